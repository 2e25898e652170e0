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
	text := strings.Join(lines, "|")
	if !strings.HasPrefix(text, "filter: panic: runtime error: index out of range") || !strings.Contains(text, "panic_test.go") {
		t.Error(text)
	}
	if strings.ContainsAny(text, "\n\t") {
		t.Errorf("a line is more than one: %q", lines)
	}
}
