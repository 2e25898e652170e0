package command

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
)

// fluentBitVersions are those whose plugin layouts are known.
const fluentBitVersions = "1.9 – 5.1"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which versions this program is made of",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, _ := debug.ReadBuildInfo()
			return write(cmd.OutOrStdout(), versionText(info))
		},
	}
}

// versionText is this project's version and what the build says of itself; info may be nil.
func versionText(info *debug.BuildInfo) []byte {
	own, wasmtimeGo := version.Version, "unknown"
	if info != nil {
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if revision := settings["vcs.revision"]; revision != "" {
			own += " (" + revision
			if settings["vcs.modified"] == "true" {
				own += ", modified"
			}
			own += ")"
		}
		for _, d := range info.Deps {
			if strings.HasPrefix(d.Path, "github.com/bytecodealliance/wasmtime-go/") {
				wasmtimeGo = d.Version
			}
		}
	}
	return fmt.Appendf(nil, "flb-wasmtime %s\n%s\nwasmtime-go %s\n%s %s/%s\nFluent Bit %s\n",
		own, guest.EngineText(), wasmtimeGo, runtime.Version(), runtime.GOOS, runtime.GOARCH, fluentBitVersions)
}
