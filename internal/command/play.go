package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/play"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

const (
	// playAddress is always the same if it is free, so that links between users lead to a page.
	playAddress = "127.0.0.1:20200"

	// forwardPort is that of Fluent Bit's output forward, if nothing says another.
	forwardPort = "24224"

	// maxLast bounds --last.
	maxLast = 10_000

	// playSamples is how many records are made up if none are given.
	playSamples = 8
)

type playFlags struct {
	filter   filterFlags
	config   string
	name     string
	listen   string
	forward  string
	last     int
	open     bool
	tag      string
	logLevel string
	quick    bool
}

func newPlay() *cobra.Command {
	f := playFlags{filter: filterFlags{}}
	cmd := &cobra.Command{
		Use:   "play {FILE | --config FILE} [input ...]",
		Short: "Try a module and records live on a page in the browser",
		Long: `Serve a page on which a module and records are tried live: the records on one side,
on the other what becomes of each, with what has changed in it, logs, metrics, errors
with their backtraces, and how long records took. The options of the filter are a
form; the flags are what it begins with. When the module's file changes, it is loaded
and run again.

With --config the filter is one of a configuration of Fluent Bit, classic or YAML: the
first one in it that is called wasmtime or wasm, or the one that --filter names. Nothing
is written to the configuration.

The page is printed as a URL, for this machine alone; the URL has a token without
which nothing is answered. --open has the browser open it. Ctrl-C ends it.

Records are read from the files, as ndjson: a JSON object a line. Without files there
are some that are made up. The page takes others: pasted, dropped, or with --forward
the last ones that a Fluent Bit has sent, which is told so by:

  [OUTPUT]
      Name  forward
      Match *

Options that name files, such as --table, can't be changed on the page.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.filter.add(cmd)
	flags.StringVar(&f.config, "config", "", "Take the filter of this Fluent Bit configuration: YAML if it ends in .yaml or .yml, else classic")
	flags.StringVar(&f.name, "filter", "", "Which filter of the configuration: its alias, or as messages name it, such as wasmtime.1 (default: the first one)")
	flags.StringVar(&f.listen, "listen", playAddress, "Address of the page, [HOST:]PORT: one of this machine alone; if the default is taken, another port is")
	flags.StringVar(&f.forward, "forward", "", "Receive records of a Fluent Bit, by its output forward, at this address, [HOST:]PORT, of this machine alone; "+forwardPort+" if it is given alone")
	flags.Lookup("forward").NoOptDefVal = forwardPort
	flags.IntVar(&f.last, "last", 100, "Most records of a Fluent Bit that are kept: the last ones")
	flags.BoolVar(&f.open, "open", false, "Open the page in the browser")
	flags.StringVar(&f.tag, "tag", "", "Tag of the records (default: that of the configuration's first input, or "+trial.DefaultTag+")")
	flags.StringVar(&f.logLevel, "log-level", "", "Level of the filter's log: "+strings.Join(trial.LevelNames, ", ")+" (default: the configuration's, or info)")
	addQuick(cmd, &f.quick)
	completeConfigurations(cmd)
	completeWords(cmd, "log-level", trial.LevelNames...)
	cmd.ValidArgsFunction = completeModule
	return cmd
}

func (f *playFlags) run(cmd *cobra.Command, args []string) (err error) {
	if f.last < 1 || f.last > maxLast {
		return fmt.Errorf("--last: invalid value %d: allowed are numbers from 1 to %d", f.last, maxLast)
	}
	config, args, err := f.begin(cmd, args)
	if err != nil {
		return err
	}
	if config.Input, err = playInput(args); err != nil {
		return err
	}

	listener, err := f.listenForPages(cmd)
	if err != nil {
		return err
	}
	defer listener.Close()
	var forward net.Listener
	if cmd.Flags().Changed("forward") {
		if forward, err = play.Listen(f.forward); err != nil {
			return fmt.Errorf("--forward: %w", err)
		}
		defer forward.Close()
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server := play.New(config, listener, forward)
	text := server.URL() + "\n"
	if forward != nil {
		text += fmt.Sprintf("Fluent Bit may send records to %s, by its output forward.\n", forward.Addr())
	}
	if err := write(cmd.OutOrStdout(), []byte(text)); err != nil {
		return err
	}
	if f.open {
		f.openBrowser(ctx, cmd, server.URL())
	}
	return server.Run(ctx)
}

// begin is what the page begins with, but for the records: these are in what is left of the arguments. What is
// wrong with options is said here, and not on a page. What is wrong with the module may be mended while the page
// is open.
func (f *playFlags) begin(cmd *cobra.Command, args []string) (play.Config, []string, error) {
	config := play.Config{Tag: f.tag, Quick: f.quick, Last: f.last}
	given, err := givenLevel(f.logLevel)
	if err != nil {
		return config, nil, err
	}
	var sp trial.Spec
	tag := trial.DefaultTag
	if cmd.Flags().Changed("config") {
		conf, err := f.filter.configured(f.config, given)
		if err != nil {
			return config, nil, err
		}
		if sp, err = chosen(conf.Specs, f.name); err != nil {
			return config, nil, fmt.Errorf("%s: %w", f.config, err)
		}
		for _, note := range conf.Notes {
			say(cmd.ErrOrStderr(), "%s", note)
		}
		if f.name == "" && len(conf.Specs) > 1 {
			say(cmd.ErrOrStderr(), "filter %s is tried; --filter chooses another one: %s", sp.Name, specNames(conf.Specs))
		}
		tag = conf.Tag
	} else {
		if f.name != "" {
			return config, nil, errors.New("--filter: it chooses a filter of a configuration: give --config, too")
		}
		if args, err = f.filter.takeModule(args); err != nil {
			return config, nil, err
		}
		level := hostlog.Info
		if given != nil {
			level = *given
		}
		if sp, err = f.filter.withoutFunction(level); err != nil {
			return config, nil, err
		}
		sp.Properties = f.filter.properties()
	}
	if !cmd.Flags().Changed("tag") {
		config.Tag = tag
	}
	config.Module, config.LogLevel = sp.Options.WasmPath, sp.LogLevel
	for _, p := range sp.Properties {
		if p.Key != wasmPath {
			config.Properties = append(config.Properties, p)
		}
	}
	return config, args, nil
}

// chosen is the filter of that name, or the first one if there is none.
func chosen(specs []trial.Spec, name string) (trial.Spec, error) {
	for _, sp := range specs {
		if name == "" || sp.Name == name {
			return sp, nil
		}
	}
	return trial.Spec{}, fmt.Errorf("it has no filter %s: there are %s", hostlog.Name(name), specNames(specs))
}

func specNames(specs []trial.Spec) string {
	return hostlog.List(specs, func(sp trial.Spec) string { return hostlog.Name(sp.Name) })
}

// playInput is what the page begins with.
func playInput(paths []string) (string, error) {
	if len(paths) > 0 {
		return play.ReadInput(paths)
	}
	var b strings.Builder
	for record := range records.Generate(playSamples, madeUpSeed) {
		b.Write(record)
		b.WriteByte('\n')
	}
	return b.String(), nil
}

func (f *playFlags) listenForPages(cmd *cobra.Command) (net.Listener, error) {
	l, err := play.Listen(f.listen)
	if errors.Is(err, syscall.EADDRINUSE) && !cmd.Flags().Changed("listen") {
		say(cmd.ErrOrStderr(), "%s is taken: the page has another port, which links of others don't lead to", f.listen)
		l, err = play.Listen("127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	return l, nil
}

// openBrowser asks the desktop to open the page. That it does not is no failure: the URL has been printed.
func (f *playFlags) openBrowser(ctx context.Context, cmd *cobra.Command, url string) {
	c := exec.CommandContext(ctx, "xdg-open", url)
	if err := c.Start(); err != nil {
		say(cmd.ErrOrStderr(), "--open: %s", hostlog.Line(err.Error()))
		return
	}
	go func() { _ = c.Wait() }()
}
