package filter

import (
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/dirtyheap"
)

// Go writes no pointer into C memory that is not cleared, whatever a filter has of options.
func TestDirtyHeap(t *testing.T) {
	tests := []string{
		"BatchOperations", "MetricLines", "Payload", "ReloadConfiguration", "Routed", "TablesAreRefreshed", "TickOfWorkers",
		"TrapReplacesTheInstance", "WorkersDoWhatOneDoes",
	}
	out, err := dirtyheap.Run(t, "^Test("+strings.Join(tests, "|")+")$")
	if passed := strings.Count(out, "\n--- PASS: "); err != nil || passed != len(tests) {
		t.Errorf("%d tests have passed, %v\n%.6000s", passed, err, out)
	}
}
