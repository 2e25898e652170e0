package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/closest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tables"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

type checkFlags struct {
	filter filterFlags
	config string
}

func newCheck() *cobra.Command {
	f := checkFlags{filter: filterFlags{}}
	cmd := &cobra.Command{
		Use:   "check {FILE | --config FILE}",
		Short: "Say what the plugin would say at start",
		Long: `Compile a module and start it, as the plugin does when Fluent Bit starts, with the
options of the filter that are given as flags, and say what there is to say about it.
Without --function-name it says which functions could be called.

With --config all filters, processors (of logs, metrics and traces) and outputs of a
Fluent Bit configuration that are called wasmtime, and filters called wasm, are
checked: their options, modules, functions and imports. Nothing is sent anywhere.

The exit code is 0 if the plugin would start, and 1 if it would not.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.filter.add(cmd)
	flags.StringVar(&f.config, "config", "", "Check the filters, processors and outputs of this Fluent Bit configuration: YAML if it ends in .yaml or .yml, else classic")
	completeConfigurations(cmd)
	cmd.ValidArgsFunction = completeModule
	return cmd
}

func (f *checkFlags) run(cmd *cobra.Command, args []string) error {
	stderr := cmd.ErrOrStderr()
	config := cmd.Flags().Changed("config")
	var err error
	if config {
		err = f.filter.refuse()
	} else {
		args, err = f.filter.takeModule(args)
	}
	switch {
	case err != nil:
		return err
	case len(args) > 0:
		return fmt.Errorf("one module or configuration is checked: what is %q for?", args[0])
	case config:
		return checkConfiguration(f.config, cmd.OutOrStdout(), stderr)
	}
	sp, err := f.filter.withoutFunction(hostlog.Info)
	if err != nil {
		return err
	}
	report, err := inspect(stderr, sp.Options)
	if err != nil {
		say(stderr, "%v", err)
		return errFailed
	}
	if err := writeReport(cmd.OutOrStdout(), report); err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return errFailed
	}
	return nil
}

// inspect looks at a module as a filter with these options would start it.
func inspect(stderr io.Writer, o options.Options) (guest.Report, error) {
	if isTerminal(stderr) {
		defer tellAfter(patience, stderr, o.WasmPath, "")()
	}
	shared := filter.NewState(o)
	defer shared.Close()
	set, problem := tables.Open(filter.Tables(o))
	if problem == nil {
		defer set.Close()
	}
	config := filter.Config(o, shared)
	config.Tables, config.TablesFail = set, problem != nil
	report, err := guest.Inspect(filter.Source(o), config)
	report.Warnings = slices.Concat(o.Warnings, report.Warnings)
	if problem != nil {
		report.Problems = append([]string{problem.Error()}, report.Problems...)
	}
	return report, err
}

// checkConfiguration checks what a configuration has of this plugin, and says of each
// filter, processor and output what there is to say.
func checkConfiguration(path string, stdout, stderr io.Writer) error {
	c, err := trial.ReadConfiguration(path, nil)
	if err != nil {
		say(stderr, "%v", err)
		return errFailed
	}
	for _, line := range slices.Concat(c.Notes, outputWarnings(c)) {
		say(stderr, "%s", line)
	}
	check := configurationCheck{stdout: stdout, stderr: stderr}
	for _, f := range slices.Concat(c.Faults, c.ProcessorFaults) {
		check.fault(f.Err)
	}
	problems := make([][]string, len(c.Specs))
	for _, f := range c.EmitterFaults() {
		check.complain(f.At)
		if f.Spec >= 0 {
			problems[f.Spec] = append(problems[f.Spec], f.Err.Error())
		}
	}
	for i, sp := range c.Specs {
		if err := check.instance("filter "+sp.Name, sp.Options, routeWarnings(c, &sp), problems[i]); err != nil {
			return err
		}
	}
	for _, sp := range c.Processors {
		if err := check.instance("processor "+sp.Name, sp.Options, nil, nil); err != nil {
			return err
		}
	}
	for i, s := range c.Outputs {
		if err := check.output(&s, i); err != nil {
			return err
		}
	}
	if check.checked == 0 {
		check.complain(fmt.Errorf("%s: it has no active filter or processor called %s, and no output called %s",
			path, strings.Join(trial.PluginNames, " or "), trial.PluginNames[0]))
	}
	if check.failed {
		return errFailed
	}
	return nil
}

// configurationCheck checks what a configuration has of this plugin, one after the other.
type configurationCheck struct {
	stdout, stderr io.Writer
	checked        int
	failed         bool
}

func (c *configurationCheck) complain(err error) {
	c.failed = true
	say(c.stderr, "%v", err)
}

// fault counts what has an error in its section as checked.
func (c *configurationCheck) fault(err error) {
	c.checked++
	c.complain(err)
}

// instance checks a filter, processor or output, and reports what is known of it already. An error is one of stdout.
func (c *configurationCheck) instance(name string, o options.Options, warnings, problems []string) error {
	report, err := inspect(c.stderr, o)
	if err != nil {
		c.fault(fmt.Errorf("%s: option %s: %w", name, wasmPath, err))
		return nil
	}
	c.checked++
	report.Warnings = append(report.Warnings, warnings...)
	report.Problems = append(report.Problems, problems...)
	c.failed = c.failed || len(report.Problems) > 0
	if err := write(c.stdout, []byte(hostlog.Line(name)+"\n")); err != nil {
		return err
	}
	return writeReport(c.stdout, report)
}

// output checks the i-th output, if it is one of this plugin. An error is one of stdout.
func (c *configurationCheck) output(s *fbconf.Section, i int) error {
	if !strings.EqualFold(s.Name, trial.PluginNames[0]) {
		return nil
	}
	name := fmt.Sprintf("output %s.%d", s.Name, i)
	if alias, ok := s.Get("alias"); ok {
		name = "output " + alias
	}
	o, err := parseOutput(s)
	if err != nil {
		c.fault(trial.Locate(s, fmt.Errorf("%s: %w", name, err)))
		return nil
	}
	return c.instance(name, o.Options, nil, nil)
}

// parseOutput reads the options of an output. Fluent Bit has many of its own: one that is
// not known is refused only if it seems to be one of this plugin, misspelt.
func parseOutput(s *fbconf.Section) (options.Output, error) {
	known := slices.Concat(trial.OptionNames(options.Table), trial.OptionNames(options.OutputTable))
	for _, p := range s.Properties {
		meant := closest.To(p.Key, known)
		if strings.HasPrefix(p.Key, "config.") || strings.HasPrefix(p.Key, "table.") {
			continue
		}
		if !slices.Contains(known, p.Key) && !slices.Contains(trial.CoreKeys, p.Key) && (meant != "" || strings.HasPrefix(p.Key, "emit_")) {
			return options.Output{}, fmt.Errorf("unknown option %q in line %d%s", p.Key, p.Line, trial.Hint(p.Key, known))
		}
	}
	return options.ParseOutput(s.Name, trial.Source(s))
}

// writeReport writes a report as a table of labels and what they stand for.
func writeReport(w io.Writer, r guest.Report) error {
	var text strings.Builder
	row := func(label string, lines ...string) {
		if len(lines) == 0 {
			lines = []string{"none"}
		}
		for _, line := range lines {
			fmt.Fprintf(&text, "%-15s%s\n", label, hostlog.Line(line))
			label = ""
		}
	}
	row("module", r.Path)
	row("size", fmt.Sprintf("%d bytes", r.SizeBytes))
	row("engine", guest.EngineText())
	row("code", fmt.Sprintf("%s in %s", r.Origin, r.LoadTime.Round(100*time.Microsecond)))
	switch {
	case r.Signal != options.Logs:
		row("signal", r.Signal.String())
		row("function", cmp.Or(r.Function, "none"))
	case r.Function != "":
		row("function", r.Function)
	default:
		row("candidates", r.Candidates...)
	}
	row("ABI", abi(r))
	row("input", r.Allocator)
	row("called first", r.Init)
	row("exports", r.Exports...)
	row("imports", r.Imports...)
	row("warnings", r.Warnings...)
	row("problems", r.Problems...)
	switch {
	case len(r.Problems) > 0:
		row("result", "the plugin would refuse this module")
	case r.Signal == options.Logs && r.Function == "" && len(r.Candidates) > 0:
		row("result", "the plugin would start with one of the candidates as function_name")
	default:
		row("result", "the plugin would start")
	}
	return write(w, []byte(text.String()))
}

// abi is the convention that the function is called by.
func abi(r guest.Report) string {
	if r.Signal != options.Logs {
		return "metrics and traces, version 1: (input, length) -> reply"
	}
	if !r.Callable {
		return "none that is known"
	}
	if r.Batch {
		return "batches, version 1: (input, length) -> reply"
	}
	return "as Fluent Bit's wasm filter: (tag, tag_len, sec, nsec, record, record_len) -> reply"
}
