package output

import (
	"strings"
	"testing"
	"unicode"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
)

// Whatever a module, a record or a far side says: what waits for the log is lines of
// what can be seen.
func TestSinkKeepsLines(t *testing.T) {
	s := newSink()
	const text = "a\n[error] forged \x1b[2K\u202e\xff"
	s.add(filter.Error, text)
	s.failed("kind", text)
	s.failed("kind", text)
	s.close()
	lines := s.take()
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	for _, l := range lines {
		if strings.ContainsFunc(l.Text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", l.Text)
		}
	}
}

// A panic is told line by line, whichever part of the output it is in.
func TestPanicIsLines(t *testing.T) {
	o := &Output{log: newSink()}
	_, err := o.opened(func() (transformer, error) { panic("a\nb") })
	if err == nil || strings.Contains(err.Error(), "log_test.go") {
		t.Errorf("%v", err)
	}
	lines := o.log.take()
	if len(lines) < 3 || lines[0].Text != `start: panic: a\x0ab` {
		t.Errorf("%q", lines)
	}
}
