package output

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/forward"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// Whatever a module, a record or a far side says: what waits for the log is lines of
// what can be seen.
func TestSinkKeepsLines(t *testing.T) {
	s := newSink()
	const text = "a\n[error] forged \x1b[2K\u202e\xff"
	s.add(hostlog.Error, text)
	s.failed("kind", text)
	s.failed("kind", text)
	s.close()
	lines := s.take()
	if len(lines) != 3 {
		t.Fatalf("%+v", lines)
	}
	for _, l := range lines {
		if strings.ContainsFunc(l.Text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", l.Text)
		}
	}
}

// Each kind of failure has its line: one that goes on does not hide another.
func TestFailureOfEachKind(t *testing.T) {
	s := newSink()
	for range 3 {
		for _, err := range []error{
			&forward.Error{Kind: forward.TLS, Err: errors.New("a")},
			fmt.Errorf("wrapped: %w", &forward.Error{Kind: forward.Handshake, Err: errors.New("b")}),
			&fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOSPC},
			syscall.EMFILE,
			errors.New("start: panic: mistake"),
		} {
			s.failed(kindOf(err), kindOf(err))
		}
	}
	s.succeeded()
	s.failed(fileFailure, "again")
	s.failed(fileFailure, "again")
	s.close()
	var got []string
	for _, l := range s.take() {
		got = append(got, fmt.Sprint(l.Level, " ", l.Text))
	}
	want := []string{"2 TLS", "2 handshake", "2 file", "2 other failures",
		"3 delivering again (11 more failures since the last line about them)",
		"2 again", "2 1 more like the last one about: file"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
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
		t.Errorf("%+v", lines)
	}
}
