package command

import (
	"fmt"
	"io"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// logTo writes a log of filters, with the time.
func logTo(w io.Writer) func(trial.Line) {
	return func(line trial.Line) {
		fmt.Fprintf(w, "[%s] %s\n", time.Now().Format("2006/01/02 15:04:05.000"), line)
	}
}

// say writes a line of this program's own to standard error.
func say(stderr io.Writer, format string, args ...any) {
	fmt.Fprintln(stderr, "flb-wasmtime:", hostlog.Line(fmt.Sprintf(format, args...)))
}
