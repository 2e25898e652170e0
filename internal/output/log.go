package output

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/forward"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// maxLines bounds what waits for the next call of the host, which alone can write to
// its log.
const maxLines = 200

// Line is a line for the host's log; its text is one printable line.
type Line struct {
	Level hostlog.Level
	Text  string
}

// sink keeps lines until a thread of the host comes by.
type sink struct {
	mu       sync.Mutex
	failures *hostlog.Limiter // guarded by mu, as all that follows; it logs to append
	failing  bool
	lines    []Line
	leftOut  int
}

func newSink() *sink {
	s := &sink{}
	s.failures = hostlog.NewLimiter(s.append)
	return s
}

func (s *sink) add(level hostlog.Level, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append(level, hostlog.Line(text))
}

// append is add with s.mu held, of a line that is printable.
func (s *sink) append(level hostlog.Level, line string) {
	if len(s.lines) >= maxLines {
		s.leftOut++
		return
	}
	s.lines = append(s.lines, Line{level, line})
}

// Kinds of failures that are none of package forward's.
const (
	retryCacheFull = "retry_cache is full"
	fileFailure    = "file"
	otherFailure   = "other failures"
)

// kindOf tells failures apart for the log, in a few fixed words.
func kindOf(err error) string {
	var far *forward.Error
	var path *fs.PathError
	var errno syscall.Errno
	switch {
	case errors.As(err, &far):
		return string(far.Kind)
	case errors.As(err, &path), errors.As(err, &errno):
		return fileFailure
	default:
		return otherFailure
	}
}

// failed logs a failure that a retry may mend, unless one of its kind has been logged
// lately.
func (s *sink) failed(kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = true
	s.failures.Limited(hostlog.Warn, kind, func() string { return text })
}

// succeeded logs the end of a row of failures.
func (s *sink) succeeded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		s.failing = false
		s.append(hostlog.Info, fmt.Sprintf("delivering again (%d more failures since the last line about them)", s.failures.Forget()))
	}
}

// close logs what has been left out.
func (s *sink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures.Close()
}

// take returns the lines, and empties the sink.
func (s *sink) take() []Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.lines
	if s.leftOut > 0 {
		lines = append(lines, Line{hostlog.Warn, fmt.Sprintf("%d lines were left out", s.leftOut)})
	}
	s.lines, s.leftOut = nil, 0
	return lines
}
