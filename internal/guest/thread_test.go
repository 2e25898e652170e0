package guest

import (
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// A panic of a thread ends it, and not the process.
func TestThreadPanics(t *testing.T) {
	defer func(f func(string)) { hostlog.Stray = f }(hostlog.Stray)
	for name, start := range map[string]func(func()) error{"": Go, ", slowly": GoSlowly} {
		told := make(chan string, 100)
		hostlog.Stray = func(line string) { told <- line }
		if err := start(func() { panic("a mistake" + name) }); err != nil {
			t.Fatal(err)
		}
		if line := <-told; line != "thread: panic: a mistake"+name {
			t.Errorf("%q", line)
		}
	}
}
