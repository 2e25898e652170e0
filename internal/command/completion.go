package command

import (
	"strings"

	"github.com/spf13/cobra"
)

// Shells complete by asking the program (cobra's hidden command __complete), so that what they
// offer is what it takes. Here is what flags take, where it is not any text.

func completeWords(cmd *cobra.Command, flag string, words ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

func completeFiles(cmd *cobra.Command, flag string, suffixes ...string) {
	must(cmd.MarkFlagFilename(flag, extensions(suffixes)...))
}

func completeConfigurations(cmd *cobra.Command) {
	completeFiles(cmd, "config", ".conf", ".yaml", ".yml")
}

func completeDirectories(cmd *cobra.Command, flags ...string) {
	for _, flag := range flags {
		must(cmd.MarkFlagDirname(flag))
	}
}

// completeModule offers modules as the first argument, and any file after it.
func completeModule(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return extensions(moduleSuffixes), cobra.ShellCompDirectiveFilterFileExt
}

func extensions(suffixes []string) []string {
	var out []string
	for _, s := range suffixes {
		out = append(out, strings.TrimPrefix(s, "."))
	}
	return out
}

// must is for errors about names of flags in the source.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
