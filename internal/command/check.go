package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
)

func newCheck() *cobra.Command {
	var source guest.Source
	var config guest.Config
	cmd := &cobra.Command{
		Use:   "check [--function-name NAME] FILE",
		Short: "Say what the plugin would say of a module at start",
		Long: `Compile a module and start it, as the plugin does when Fluent Bit starts, and say
what there is to say about it.

The exit code is 0 if the plugin would start, and 1 if it would not.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source.Path = args[0]
			report, err := guest.Inspect(source, config)
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "flb-wasmtime:", err)
				return errFailed
			}
			if err := writeReport(cmd.OutOrStdout(), report); err != nil {
				return err
			}
			if len(report.Problems) > 0 {
				return errFailed
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&config.Function, "function-name", "", "Function that is to be called for each record; none means to say which ones could be")
	flags.StringVar(&config.Init, "init-function", "auto", "As the option of the filter")
	flags.StringVar(&config.Allocator, "allocator", "auto", "As the option of the filter")
	flags.BoolVar(&source.AllowPrecompiled, "allow-precompiled", false, "As the option of the filter: run machine code that flb-wasmtime compile has made")
	return cmd
}

// writeReport writes a report as a table of labels and what they stand for.
func writeReport(w io.Writer, r guest.Report) error {
	var text strings.Builder
	row := func(label string, lines ...string) {
		if len(lines) == 0 {
			lines = []string{"none"}
		}
		for _, line := range lines {
			fmt.Fprintf(&text, "%-15s%s\n", label, line)
			label = ""
		}
	}
	row("module", r.Path)
	row("size", fmt.Sprintf("%d bytes", r.SizeBytes))
	row("code", fmt.Sprintf("%s in %s", r.Origin, r.LoadTime.Round(100*time.Microsecond)))
	if r.Function != "" {
		row("function", exported(r, r.Function))
	} else {
		var candidates []string
		for _, name := range r.Candidates {
			candidates = append(candidates, exported(r, name))
		}
		row("candidates", candidates...)
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
	case r.Function == "" && len(r.Candidates) > 0:
		row("result", "the plugin would start with one of the candidates as function_name")
	default:
		row("result", "the plugin would start")
	}
	return write(w, []byte(text.String()))
}

// abi is the convention that the function is called by; there is one so far.
func abi(r guest.Report) string {
	if len(r.Candidates) == 0 || r.Function != "" && !slices.Contains(r.Candidates, r.Function) {
		return "none that is known"
	}
	return "as Fluent Bit's wasm filter: (tag, tag_len, sec, nsec, record, record_len) -> reply"
}

// exported is what the module exports under that name.
func exported(r guest.Report, name string) string {
	for _, e := range r.Exports {
		if strings.HasPrefix(e, name+": ") {
			return e
		}
	}
	return name + ": not exported"
}
