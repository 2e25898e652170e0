// Package e2e runs the plugin in real Fluent Bits. The environment variable
// FLUENT_BIT lists their paths, separated by colons; without it, fluent-bit of
// PATH is taken. Each test runs once per Fluent Bit.
//
// E2E_FULL=1 runs the acceptance tests at full length. E2E_REQUIRED=1 turns a
// missing Fluent Bit into a failure: without it, the tests are skipped.
//
// The tests compare what the file output writes in its msgpack format: the
// chunks as the engine has them, with metadata, group markers and exact values.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A fluentBit is a Fluent Bit to test with.
type fluentBit struct {
	path    string
	version string // names the subtests, and nothing else is decided by it
	help    string
}

// Set by TestMain.
var (
	fluentBits  []fluentBit
	pluginPath  string // flb-filter_wasmtime.so
	wasmPath    string // flb-filter_wasm.so, the same under the name of the built-in filter
	acceptCount = 5_000
)

const nothingToRun = "E2E TESTS SKIPPED: no Fluent Bit; set FLUENT_BIT, or have fluent-bit on PATH"

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "test/e2e:", err)
		return 1
	}
	if len(fluentBits) == 0 {
		fmt.Println("\n*** " + nothingToRun + " ***")
		if os.Getenv("E2E_REQUIRED") == "1" {
			return 1
		}
	}
	return m.Run()
}

// prepare finds the plugin and the Fluent Bits.
func prepare() error {
	if os.Getenv("E2E_FULL") == "1" {
		acceptCount = 150_000
	}
	var paths []string
	if list := os.Getenv("FLUENT_BIT"); list != "" {
		paths = filepath.SplitList(list)
	} else if path, err := exec.LookPath("fluent-bit"); err == nil {
		paths = []string{path}
	}
	for _, path := range paths {
		fb, err := newFluentBit(path)
		if err != nil {
			return err
		}
		fluentBits = append(fluentBits, fb)
	}
	if len(fluentBits) == 0 {
		return nil
	}

	dir := os.Getenv("FLB_WASMTIME_SO_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "build")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	pluginPath = filepath.Join(dir, "flb-filter_wasmtime.so")
	wasmPath = filepath.Join(dir, "flb-filter_wasm.so")
	for _, path := range []string{pluginPath, wasmPath} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w: run make build, or set FLB_WASMTIME_SO_DIR", err)
		}
	}
	return nil
}

var (
	versionNumber = regexp.MustCompile(`v(\d+\.\d+\.\d+)`)
	escapes       = regexp.MustCompile("\x1b\\[[0-9;]*m")
)

func newFluentBit(path string) (fluentBit, error) {
	fb := fluentBit{path: path, version: filepath.Base(path)}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return fb, fmt.Errorf("%s --version: %w", path, err)
	}
	if m := versionNumber.FindSubmatch(out); m != nil {
		fb.version = string(m[1])
	}
	// The exit code of -h is not the same in all versions.
	out, _ = exec.Command(path, "-h").CombinedOutput()
	fb.help = escapes.ReplaceAllString(string(out), "")
	return fb, nil
}

// has tells whether the help lists a plugin in a section such as "Inputs".
func (fb fluentBit) has(section, plugin string) bool {
	_, rest, _ := strings.Cut(fb.help, "\n"+section+"\n")
	list, _, _ := strings.Cut(rest, "\n\n")
	for _, line := range strings.Split(list, "\n") {
		if words := strings.Fields(line); len(words) > 0 && words[0] == plugin {
			return true
		}
	}
	return false
}

// eachFluentBit runs a test once for each Fluent Bit.
func eachFluentBit(t *testing.T, test func(t *testing.T, fb fluentBit)) {
	t.Helper()
	if len(fluentBits) == 0 {
		t.Skip(nothingToRun)
	}
	for _, fb := range fluentBits {
		t.Run(fb.version, func(t *testing.T) { test(t, fb) })
	}
}
