package command

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

const compiledSuffix = ".cwasm"

func newCompile() *cobra.Command {
	var out string
	var config guest.CompileConfig
	filterFlags := filterFlags{}
	cmd := &cobra.Command{
		Use:   "compile [-o FILE] [--target TRIPLE] [--cpu FEATURES] FILE",
		Short: "Compile a module ahead of time",
		Long: `Compile a module to machine code, for filters that should start at once. What is
written is a wasm_path for the plugin that this command belongs to, if the filter
sets allow_precompiled on. It holds machine code, which runs without a check: take
it from nobody whom you would not let run programs on your machine.

A file for another wasmtime, another target or a CPU with more features is refused
when the filter starts. With --target the code uses what every CPU of the target has
(x86-64: SSE2; arm64: ARMv8.0 with NEON), unless --cpu names more.

The options of the filter are taken as by the other commands, and looked at; the code
depends on none of them. --wasm-sha256 is the hash of the file that is compiled.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			args, err := filterFlags.takeModule(args)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				return fmt.Errorf("one module is compiled: what is %q for?", args[0])
			}
			sp, err := filterFlags.withoutFunction(hostlog.Info)
			if err != nil {
				return err
			}
			path, to := sp.Options.WasmPath, out
			config.SHA256 = sp.Options.WasmSHA256
			if to == "" {
				to = strings.TrimSuffix(path, filepath.Ext(path)) + compiledSuffix
			}
			info, err := guest.Compile(path, to, config)
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
	flags.StringVar(&config.Target, "target", "", "Target triple: "+strings.Join(guest.Targets(), " or ")+" (default: this machine's)")
	flags.StringVar(&config.CPU, "cpu", "", "What the code may use: "+guest.CPUs+" (default: native, with --target baseline)")
	filterFlags.add(cmd)
	completeFiles(cmd, "output", compiledSuffix)
	cmd.ValidArgsFunction = completeModule
	return cmd
}
