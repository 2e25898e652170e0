package filter

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// Level is a level of Fluent Bit's log, by Fluent Bit's numbers
// (include/fluent-bit/flb_log.h).
type Level int

// The levels that are used.
const (
	Error Level = 1
	Warn  Level = 2
	Info  Level = 3
)

const (
	// Messages about records appear once per cause and logInterval, with a
	// count of what was left out.
	logInterval = 10 * time.Second

	// So many lines that a guest wrote are logged per logInterval.
	maxOutputLines = 100
)

// limiter writes log lines, those about records not too often. What it looks at
// is only the cause: a few fixed words, never text of a record or of a guest. Each line
// that it writes is one printable line, whatever it was given.
type limiter struct {
	log    func(Level, string)
	now    func() time.Time
	causes map[string]*recent

	outputSince time.Time // since when outputLines are counted
	outputLines int
	outputLost  int // lines left out since then
}

// recent is what has been said about a cause.
type recent struct {
	level   Level
	last    time.Time
	leftOut uint64
}

func newLimiter(log func(Level, string)) *limiter {
	return &limiter{
		log:    func(level Level, line string) { log(level, hostlog.Line(line)) },
		now:    time.Now,
		causes: make(map[string]*recent),
	}
}

// always writes a line that comes once.
func (l *limiter) always(level Level, line string) { l.log(level, line) }

// limited writes the line that make answers, unless the cause had one lately.
func (l *limiter) limited(level Level, name string, make func() string) {
	c := l.causes[name]
	now := l.now()
	switch {
	case c == nil:
		c = &recent{level: level}
		l.causes[name] = c
	case now.Sub(c.last) < logInterval:
		c.leftOut++
		return
	}
	line := make()
	if c.leftOut > 0 {
		line += fmt.Sprintf(" (%d more like this since the last such line)", c.leftOut)
	}
	c.last = now
	c.leftOut = 0
	l.log(level, line)
}

// close writes what is left to say.
func (l *limiter) close() {
	for _, name := range slices.Sorted(maps.Keys(l.causes)) {
		if c := l.causes[name]; c.leftOut > 0 {
			l.log(c.level, fmt.Sprintf("%d more like the last one about: %s", c.leftOut, name))
		}
	}
	clear(l.causes)
	l.tellLost()
}

// lines writes what a guest wrote, line by line. Tabs become blanks.
func (l *limiter) lines(level Level, prefix string, text []byte) {
	text = bytes.TrimRight(text, "\n")
	if len(text) == 0 {
		return
	}
	if now := l.now(); now.Sub(l.outputSince) >= logInterval {
		l.tellLost()
		l.outputSince = now
		l.outputLines = 0
	}
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		if l.outputLines++; l.outputLines > maxOutputLines {
			l.outputLost++
			continue
		}
		line = bytes.ReplaceAll(bytes.TrimSuffix(line, []byte{'\r'}), []byte{'\t'}, []byte("    "))
		l.log(level, prefix+hostlog.Printable(string(line), hostlog.MaxTextBytes))
	}
}

// tellLost says how many lines of the guest have been left out.
func (l *limiter) tellLost() {
	if l.outputLost > 0 {
		l.log(Warn, fmt.Sprintf("%d lines that the guest wrote were left out", l.outputLost))
		l.outputLost = 0
	}
}
