package command

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
)

const compiledSuffix = ".cwasm"

func newCompile() *cobra.Command {
	var out string
	var config guest.CompileConfig
	cmd := &cobra.Command{
		Use:   "compile [-o FILE] [--target TRIPLE] [--cpu FEATURES] FILE",
		Short: "Compile a module ahead of time",
		Long: `Compile a module to machine code, for filters that should start at once. What is
written is a wasm_path for the plugin that this command belongs to, if the filter
sets allow_precompiled on. It holds machine code, which runs without a check: take
it from nobody whom you would not let run programs on your machine.

A file for another version of the plugin, another target or a CPU with more
features is refused when the filter starts.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to := out
			if to == "" {
				to = strings.TrimSuffix(args[0], filepath.Ext(args[0])) + compiledSuffix
			}
			info, err := guest.Compile(args[0], to, config)
			if err != nil {
				return err
			}
			cpu := strings.Join(info.CPU, ",")
			if cpu == "" {
				cpu = "baseline"
			}
			return write(cmd.OutOrStdout(), fmt.Appendf(nil, "%s: %d bytes from %d, for %s, CPU %s, wasmtime %s; compiled in %s\n",
				to, info.FileBytes, info.ModuleBytes, info.Target, cpu, info.EngineVersion, info.CompileTime.Round(100*time.Microsecond)))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&out, "output", "o", "", "File to write (default: the module's name with "+compiledSuffix+")")
	flags.StringVar(&config.Target, "target", "", "Target triple (default: this machine's, which is the only one that is built in)")
	flags.StringVar(&config.CPU, "cpu", "", "What the code may use: "+guest.CPUs+" (default: native, with --target baseline)")
	return cmd
}
