package dirtyheap

import (
	"os"
	"strings"
	"testing"
)

// The runtime does find what this is for.
func TestRun(t *testing.T) {
	if os.Getenv(variable) != "" {
		writePointers()
		return
	}
	out, err := Run(t, "^TestRun$")
	if err == nil || !strings.Contains(out, "found bad pointer in Go heap") {
		t.Errorf("%v\n%.6000s", err, out)
	}
}
