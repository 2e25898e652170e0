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

	// playSamples is how many records are made up for who gives none.
	playSamples = 8
)

type playFlags struct {
	filter   filterFlags
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
		Use:   "play FILE [input ...]",
		Short: "Try a module and records live on a page in the browser",
		Long: `Serve a page on which a module and records are tried live: the records on one side,
on the other what becomes of each, with what has changed in it, logs, metrics, errors
with their backtraces, and how long records took. The options of the filter are a
form; the flags are what it begins with. When the module's file changes, it is loaded
and run again.

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
	flags.StringVar(&f.listen, "listen", playAddress, "Address of the page, [HOST:]PORT: one of this machine alone; if the default is taken, another port is")
	flags.StringVar(&f.forward, "forward", "", "Receive records of a Fluent Bit, by its output forward, at this address, [HOST:]PORT, of this machine alone; "+forwardPort+" if it is given alone")
	flags.Lookup("forward").NoOptDefVal = forwardPort
	flags.IntVar(&f.last, "last", 100, "Most records of a Fluent Bit that are kept: the last ones")
	flags.BoolVar(&f.open, "open", false, "Open the page in the browser")
	flags.StringVar(&f.tag, "tag", trial.DefaultTag, "Tag of the records")
	flags.StringVar(&f.logLevel, "log-level", "info", "Level of the filter's log: "+strings.Join(trial.LevelNames, ", "))
	addQuick(cmd, &f.quick)
	completeWords(cmd, "log-level", trial.LevelNames...)
	cmd.ValidArgsFunction = completeModule
	return cmd
}

func (f *playFlags) run(cmd *cobra.Command, args []string) (err error) {
	args, err = f.filter.takeModule(args)
	if err != nil {
		return err
	}
	level, err := trial.ParseLevel(f.logLevel)
	if err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	if f.last < 1 || f.last > maxLast {
		return fmt.Errorf("--last: invalid value %d: allowed are numbers from 1 to %d", f.last, maxLast)
	}
	// What is wrong with options is said here, and not on a page. What is wrong with the module may be
	// mended while the page is open.
	sp, err := f.filter.withoutFunction(level)
	if err != nil {
		return err
	}
	config := play.Config{Module: sp.Options.WasmPath, Tag: f.tag, LogLevel: level, Quick: f.quick, Last: f.last}
	for _, p := range f.filter.properties() {
		if p.Key != wasmPath {
			config.Properties = append(config.Properties, p)
		}
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
