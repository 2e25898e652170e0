package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/scaffold"
)

func newNew() *cobra.Command {
	var sdks string
	cmd := &cobra.Command{
		Use:   "new LANG NAME",
		Short: "Begin a filter",
		Long: `Make a directory NAME with a filter in that language that builds and runs: its source,
its tests, cases for flb-wasmtime test, a pipeline of Fluent Bit (classic and YAML), a
Makefile, and a copy of the SDK. Nothing is downloaded.

Languages: ` + strings.Join(scaffold.Names(), ", ") + `.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("new takes a language and a name: flb-wasmtime new %s redact; languages are %s",
					scaffold.Languages[0].Name, strings.Join(scaffold.Names(), ", "))
			}
			language, err := scaffold.Find(args[0])
			if err != nil {
				return err
			}
			if sdks == "" {
				program, err := os.Executable()
				if err != nil {
					return err
				}
				if sdks, err = scaffold.FindSDKs(program); err != nil {
					return err
				}
			}
			dir := args[1]
			if err := language.New(dir, sdks); err != nil {
				return err
			}
			name := hostlog.Line(filepath.Base(filepath.Clean(dir)))
			return write(cmd.OutOrStdout(), fmt.Appendf(nil, `%[1]s is a filter in %[2]s, which %[3]s has.

    cd %[4]s
    make         # builds %[1]s.wasm
    make test    # runs its own tests, then the cases in cases/
    make run     # shows what it changes in sample.ndjson
    fluent-bit -e /usr/lib/fluent-bit/flb-filter_wasmtime.so -c fluent-bit.conf
`, name, language.Title, filepath.Join(name, language.Source), hostlog.Line(dir)))
		},
	}
	cmd.Flags().StringVar(&sdks, "sdk", "", "Directory that has the SDKs (default: the one that belongs to this program)")
	completeDirectories(cmd, "sdk")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return scaffold.Names(), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}
