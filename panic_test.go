package main

import (
	"strings"
	"testing"
)

// What a function was to answer in case of a panic is answered, and the log says
// where it happened.
func TestLogPanic(t *testing.T) {
	var lines []string
	log := func(line string) { lines = append(lines, line) }
	fails := func() (result int) {
		result = 2
		defer logPanic(log, "filter")
		var none []int
		return none[result]
	}
	if got := fails(); got != 2 {
		t.Errorf("%d, want 2", got)
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "filter: panic: runtime error: index out of range") ||
		!strings.Contains(lines[0], "panic_test.go") {
		t.Error(lines)
	}
}
