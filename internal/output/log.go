package output

import (
	"fmt"
	"sync"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

const (
	// maxLines bounds what waits for the next call of the host, which alone can
	// write to its log.
	maxLines = 200

	// failures of one kind are told once in this time.
	failureInterval = 10 * time.Second
)

// Line is a line for the host's log; its text is one printable line.
type Line struct {
	Level filter.Level
	Text  string
}

// sink keeps lines until a thread of the host comes by.
type sink struct {
	now func() time.Time

	mu      sync.Mutex
	lines   []Line
	leftOut int
	told    map[string]time.Time // when a failure was told last
	untold  map[string]int
	failing bool
}

func newSink() *sink {
	return &sink{now: time.Now, told: map[string]time.Time{}, untold: map[string]int{}}
}

func (s *sink) add(level filter.Level, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append(level, text)
}

func (s *sink) append(level filter.Level, text string) {
	if len(s.lines) >= maxLines {
		s.leftOut++
		return
	}
	s.lines = append(s.lines, Line{level, hostlog.Line(text)})
}

// failed tells a failure that a retry may mend, unless one of its kind has been
// told lately.
func (s *sink) failed(kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = true
	if last, ok := s.told[kind]; ok && s.now().Sub(last) < failureInterval {
		s.untold[kind]++
		return
	}
	if n := s.untold[kind]; n > 0 {
		text += fmt.Sprintf(" (%d more like this since the last such line)", n)
	}
	s.told[kind], s.untold[kind] = s.now(), 0
	s.append(filter.Warn, text)
}

// succeeded tells the end of a row of failures.
func (s *sink) succeeded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		s.failing = false
		n := 0
		for _, more := range s.untold {
			n += more
		}
		clear(s.told)
		clear(s.untold)
		s.append(filter.Info, fmt.Sprintf("delivering again (%d more failures since the last line about them)", n))
	}
}

// close tells what has not been told.
func (s *sink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for kind, n := range s.untold {
		if n > 0 {
			s.append(filter.Warn, fmt.Sprintf("%d more failures since the last line about them (%s)", n, kind))
		}
	}
	clear(s.untold)
}

func (s *sink) take() []Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.lines
	if s.leftOut > 0 {
		lines = append(lines, Line{filter.Warn, fmt.Sprintf("%d lines were left out", s.leftOut)})
	}
	s.lines, s.leftOut = nil, 0
	return lines
}
