package toolchains_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// goRows are built by the Go that runs the tests: the modules are too large to
// be committed.
var goRows = []row{
	{
		File: "go/reactor.wasm", Language: goVersion, Target: "wasip1", Form: "reactor",
		Allocator: "Go's, by exported malloc and free",
		Build:     buildGo("reactor", "-buildmode=c-shared"),
	},
	{
		File: "go/reactor_nomalloc.wasm", Language: goVersion, Target: "wasip1", Form: "reactor",
		Allocator: "none exported",
		Refused:   "exports no malloc and free",
		Build:     buildGo("reactor_nomalloc", "-buildmode=c-shared", "-tags=nomalloc"),
	},
	{
		File: "go/command.wasm", Language: goVersion, Target: "wasip1", Form: "command, main is run",
		Allocator: "Go's, by exported malloc and free",
		Build:     buildGo("command"),
	},
}

// The table in the guide is the same whatever Go runs the tests.
const goVersion = "Go (the one that runs the tests)"

// buildGo builds the probe into the project's build directory, once for each
// process; what is up to date there stays.
func buildGo(name string, args ...string) func(testing.TB) string {
	path := filepath.Join("..", "..", "build", "toolchains", "go", name+".wasm")
	build := sync.OnceValue(func() error {
		args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path}, args...)
		cmd := exec.Command("go", append(args, "./go")...)
		// GOFLAGS may ask for what there is not for wasm, such as -race.
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %v: %s", cmd, err, out)
		}
		return nil
	})
	return func(t testing.TB) string {
		t.Helper()
		if err := build(); err != nil {
			t.Fatal(err)
		}
		return path
	}
}
