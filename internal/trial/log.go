package trial

import (
	"fmt"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// LevelNames are the names that Fluent Bit gives its levels, from the one that
// logs nothing; warning is another name of warn.
var LevelNames = []string{"off", "error", "warn", "info", "debug", "trace"}

// ParseLevel reads a log_level as flb_log_get_level_str does (src/flb_log.c,
// 5.1.1).
func ParseLevel(name string) (hostlog.Level, error) {
	if strings.EqualFold(name, "warning") {
		return hostlog.Warn, nil
	}
	for level, n := range LevelNames {
		if strings.EqualFold(n, name) {
			return hostlog.Level(level), nil
		}
	}
	return 0, fmt.Errorf("invalid log_level %q: allowed are %s%s", name, strings.Join(LevelNames, ", "), Hint(name, LevelNames))
}

// Line is a line of a filter's log.
type Line struct {
	Filter *Spec
	Level  hostlog.Level
	Text   string
}

// String is the line in the form of Fluent Bit's log, but for the time
// (log_header_format in src/flb_log.c, 5.1.1).
func (l Line) String() string {
	kind := "filter"
	if l.Filter.Options.Signal != options.Logs {
		kind = "processor"
	}
	return fmt.Sprintf("[%5s] [%s:%s:%s] %s", LevelNames[l.Level], kind, l.Filter.Plugin, l.Filter.Name, hostlog.Line(l.Text))
}

// Log is what takes the log of the filter, and hands on what its level lets through.
func (sp Spec) Log(to func(Line)) func(hostlog.Level, string) {
	return func(level hostlog.Level, text string) {
		if level <= sp.LogLevel {
			to(Line{&sp, level, text})
		}
	}
}
