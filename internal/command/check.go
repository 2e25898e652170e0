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
	flags.StringVar(&f.config, "config", "", "Check the filters and outputs of this Fluent Bit configuration: YAML if it ends in .yaml or .yml, else classic")
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
// filter and output what there is to say.
func checkConfiguration(path string, stdout, stderr io.Writer) error {
	c, err := trial.ReadConfiguration(path, nil)
	if err != nil {
		say(stderr, "%v", err)
		return errFailed
	}
	failed := false
	complain := func(err error) {
		failed = true
		say(stderr, "%v", err)
	}
	for _, note := range c.Notes {
		say(stderr, "%s", note)
	}
	for _, warning := range outputWarnings(c) {
		say(stderr, "%s", warning)
	}
	faults := slices.Concat(c.Faults, c.ProcessorFaults)
	for _, f := range faults {
		complain(f.Err)
	}
	problems := make([][]string, len(c.Specs))
	for _, f := range c.EmitterFaults() {
		complain(f.At)
		if f.Spec >= 0 {
			problems[f.Spec] = append(problems[f.Spec], f.Err.Error())
		}
	}
	checked := len(faults)
	check := func(name string, o options.Options, warnings, problems []string) error {
		checked++
		report, err := inspect(stderr, o)
		if err != nil {
			complain(fmt.Errorf("%s: option %s: %w", name, wasmPath, err))
			return nil
		}
		report.Warnings = append(report.Warnings, warnings...)
		report.Problems = append(report.Problems, problems...)
		failed = failed || len(report.Problems) > 0
		if err := write(stdout, []byte(hostlog.Line(name)+"\n")); err != nil {
			return err
		}
		return writeReport(stdout, report)
	}
	for i, sp := range c.Specs {
		if err := check("filter "+sp.Name, sp.Options, routeWarnings(c, &sp), problems[i]); err != nil {
			return err
		}
	}
	for _, p := range c.Processors {
		if err := check("processor "+p.Name, p.Options, nil, nil); err != nil {
			return err
		}
	}
	for i, s := range c.Outputs {
		if !strings.EqualFold(s.Name, trial.PluginNames[0]) {
			continue
		}
		name := fmt.Sprintf("output %s.%d", s.Name, i)
		if alias, ok := s.Get("alias"); ok {
			name = "output " + alias
		}
		o, err := parseOutput(&s)
		if err != nil {
			checked++
			complain(trial.Locate(&s, fmt.Errorf("%s: %w", name, err)))
			continue
		}
		if err := check(name, o.Options, nil, nil); err != nil {
			return err
		}
	}
	if checked == 0 {
		complain(fmt.Errorf("%s: it has no active filter or processor called %s, and no output called %s",
			path, strings.Join(trial.PluginNames, " or "), trial.PluginNames[0]))
	}
	if failed {
		return errFailed
	}
	return nil
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
	case r.Signal != guest.Logs:
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
	case r.Signal == guest.Logs && r.Function == "" && len(r.Candidates) > 0:
		row("result", "the plugin would start with one of the candidates as function_name")
	default:
		row("result", "the plugin would start")
	}
	return write(w, []byte(text.String()))
}

// abi is the convention that the function is called by.
func abi(r guest.Report) string {
	if r.Signal != guest.Logs {
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
