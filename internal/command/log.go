package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// levelNames are the names that Fluent Bit gives its levels, from the one that
// logs nothing; warning is another name of warn.
var levelNames = []string{"off", "error", "warn", "info", "debug", "trace"}

// parseLevel reads a log_level as flb_log_get_level_str does (src/flb_log.c,
// 5.1.1).
func parseLevel(name string) (hostlog.Level, error) {
	if strings.EqualFold(name, "warning") {
		return hostlog.Warn, nil
	}
	for level, n := range levelNames {
		if strings.EqualFold(n, name) {
			return hostlog.Level(level), nil
		}
	}
	return 0, fmt.Errorf("invalid log_level %q: allowed are %s%s", name, strings.Join(levelNames, ", "), hint(name, levelNames))
}

// newLog makes the log of one filter instance, in the form of Fluent Bit's
// (log_header_format in src/flb_log.c, 5.1.1).
func newLog(w io.Writer, max hostlog.Level, plugin, instance string) func(hostlog.Level, string) {
	return func(level hostlog.Level, text string) {
		if level > max {
			return
		}
		fmt.Fprintf(w, "[%s] [%5s] [filter:%s:%s] %s\n",
			time.Now().Format("2006/01/02 15:04:05.000"), levelNames[level], plugin, instance, hostlog.Line(text))
	}
}

// say writes a line of this program's own to standard error.
func say(stderr io.Writer, format string, args ...any) {
	fmt.Fprintln(stderr, "flb-wasmtime:", hostlog.Line(fmt.Sprintf(format, args...)))
}
