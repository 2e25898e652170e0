// Package host tests the built shared object the way Fluent Bit uses it. A
// small C program (src/host.c) stands in for Fluent Bit: it loads the object,
// registers the filter and calls it. It is compiled once for each family of
// Fluent Bit versions that lay out their structures alike, so that all of them
// are tested on a machine that has no Fluent Bit.
package host

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
)

// The object, and its other names.
const (
	filterWasmtime = "flb-filter_wasmtime.so"
	filterWasm     = "flb-filter_wasm.so"
	outWasmtime    = "out_wasmtime.so"
)

// A family is a range of Fluent Bit versions with the same layouts.
type family struct {
	name   string
	number int // FAMILY of src/layout.h

	eventType    bool // struct flb_filter_plugin has event_type
	preRun       bool // and cb_pre_run
	notification bool // and cb_notification

	plain bool // a host for benchmarks: malloc is libc's, and calls can be timed
}

var families = []family{
	{name: "1.8-2.0", number: 180},
	{name: "2.1", number: 210, eventType: true},
	{name: "2.2-3.1", number: 220, eventType: true, preRun: true},
	{name: "3.2-5.0.2", number: 320, eventType: true, preRun: true, notification: true},
	{name: "5.0.3-5.1", number: 503, eventType: true, preRun: true, notification: true},
}

// unknown exports none of the symbols by which a plugin could know its host.
var unknown = family{name: "unknown", number: 0}

// newest is for tests of what no layout can change.
var newest = families[len(families)-1]

// Set by TestMain.
var (
	objectDir string // where the shared objects are
	hostDir   string // where the hosts are, by family number
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "test/host:", err)
		return 1
	}
	defer os.RemoveAll(hostDir)
	return m.Run()
}

// prepare finds the shared objects and compiles the hosts.
func prepare() error {
	objectDir = os.Getenv("FLB_WASMTIME_SO_DIR")
	if objectDir == "" {
		objectDir = filepath.Join("..", "..", "build")
	}
	var err error
	if objectDir, err = filepath.Abs(objectDir); err != nil {
		return err
	}
	for _, name := range []string{filterWasmtime, filterWasm, outWasmtime} {
		if _, err := os.Stat(filepath.Join(objectDir, name)); err != nil {
			return fmt.Errorf("%w: run make build, or set FLB_WASMTIME_SO_DIR", err)
		}
	}
	if hostDir, err = os.MkdirTemp("", "flb-host-"); err != nil {
		return err
	}
	for _, f := range append([]family{unknown}, families...) {
		if err := compile(f); err != nil {
			os.RemoveAll(hostDir)
			return err
		}
	}
	return nil
}

// compiling is a call of the C compiler: CC, which may hold arguments.
func compiling(args ...string) *exec.Cmd {
	cc := strings.Fields(cmp.Or(os.Getenv("CC"), "cc"))
	return exec.Command(cc[0], append(cc[1:], args...)...)
}

// running is a call of a host that has been compiled: by FLB_HOST_LOADER, if that is set to the
// dynamic linker of another C library, with its arguments; else by the emulator, if there is one.
func running(binary string) []string {
	if loader := strings.Fields(os.Getenv("FLB_HOST_LOADER")); len(loader) > 0 {
		return append(loader, binary)
	}
	return emulator.Words(binary)
}

func compile(f family, flags ...string) error {
	args := append([]string{"-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
		"-rdynamic", "-DFAMILY=" + strconv.Itoa(f.number), "-o", f.binary()}, flags...)
	args = append(args, strings.Fields(os.Getenv("FLB_HOST_CFLAGS"))...) // of sanitizers
	args = append(args, filepath.Join("src", "host.c"), "-ldl", "-lpthread")
	if out, err := compiling(args...).CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("compile the host of family %s: %w", f.name, err), errors.New(string(out)))
	}
	return nil
}

func (f family) binary() string {
	name := "host-" + strconv.Itoa(f.number)
	if f.plain {
		name += "-plain"
	}
	return filepath.Join(hostDir, name)
}

// eachFamily runs a test once for each family.
func eachFamily(t *testing.T, test func(t *testing.T, f family)) {
	t.Helper()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) { test(t, f) })
	}
}
