// Package dirtyheap has tests find Go code that writes pointers into C memory that nobody has cleared.
//
// While Go's collector marks, each write of a pointer tells it of the one that was there before, wherever
// that is. In memory of malloc it may be one of Go's, which C has had and left behind: wasmtime's compiler
// leaves some into the module's bytes. If there is nothing of Go's at it any more, the runtime ends the
// process, by "found bad pointer in Go heap". That is rare, for all of it has to come together. Here it does.
package dirtyheap

import (
	"os"
	"runtime"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
)

const variable = "FLB_DIRTY_HEAP"

func init() {
	if os.Getenv(variable) != "" {
		fill()
		go collect()
	}
}

type node struct{ next, other *node }

// collect has the collector mark, most of the time, until the process ends.
func collect() {
	var list *node
	for range 300_000 {
		list = &node{list, list}
	}
	for {
		runtime.GC()
		runtime.KeepAlive(list)
	}
}

// Run runs tests of this program again in a process of its own, in which all memory of malloc is full of what Go's
// runtime calls a bad pointer, and returns what the process has written.
func Run(t *testing.T, tests string) (output string, err error) {
	t.Helper()
	if !supported {
		t.Skip("the sanitizer of addresses has a malloc of its own")
	}
	cmd := emulator.Command(os.Args[0], "-test.run="+tests, "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
