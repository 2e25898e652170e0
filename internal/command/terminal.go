package command

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// paletteOf has colours for a terminal, unless its user wants none (https://no-color.org).
func paletteOf(w io.Writer) trial.Palette {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return trial.Palette{}
	}
	return trial.Colours
}

// patience is how long compiling may take without a word.
const patience = time.Second

// loading loads the module of a filter. If that takes long, whoever sits at a terminal is told why.
func loading(stderr io.Writer, sp *trial.Spec, quick bool, choose string) (*guest.Module, error) {
	if isTerminal(stderr) {
		advice := "; with --quick it takes less, and runs slower"
		if quick {
			advice = ""
		}
		defer tellAfter(patience, stderr, sp.Options.WasmPath, advice)()
	}
	sp.Quick = quick
	return sp.Load(choose)
}

// tellAfter says that a module is being compiled, unless what it returns is called before.
func tellAfter(d time.Duration, stderr io.Writer, path, advice string) (stop func()) {
	timer := time.AfterFunc(d, func() {
		fmt.Fprintf(stderr, "flb-wasmtime: compiling %s%s\n", hostlog.Line(path), advice)
	})
	return func() { timer.Stop() }
}

func addQuick(cmd *cobra.Command, quick *bool) {
	cmd.Flags().BoolVar(quick, "quick", false, "Compile the module quickly, to code that is not optimised")
}
