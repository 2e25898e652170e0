// Package soak runs the plugin under load for as long as one likes, with guests
// that do everything a guest can do wrong, and counts what becomes of numbered
// records: each must come out once, in order, with the text that it has to have.
//
// The environment says how long (make soak sets it to minutes):
//
//	FLUENT_BIT=path[:path...]  the Fluent Bits; else fluent-bit of PATH
//	SOAK=10s                   how long TestSoak feeds each of them
//	SOAK_RELOADS=5             how often TestReload reloads each of them
//	SOAK_RECORDS=300000        how many records TestLeakingGuest sends
//	SOAK_SEED=1                of the random numbers
//
// Each test prints one line with its figures.
package soak

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A fluentBit is a Fluent Bit to test with.
type fluentBit struct {
	path    string
	version string // names the subtests, and nothing else is decided by it
	reloads bool   // it knows hot reload; before, SIGHUP ended it
}

// Set by TestMain.
var (
	fluentBits  []fluentBit
	pluginPath  string
	soakTime    = 10 * time.Second
	soakReloads = 5
	soakRecords = 300_000
	soakSeed    = uint64(1)
)

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "test/soak:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func prepare() error {
	if err := readEnv(); err != nil {
		return err
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
	var err error
	if pluginPath, err = filepath.Abs(filepath.Join(dir, "flb-filter_wasmtime.so")); err != nil {
		return err
	}
	if _, err := os.Stat(pluginPath); err != nil {
		return fmt.Errorf("%w: run make build, or set FLB_WASMTIME_SO_DIR", err)
	}
	return nil
}

func readEnv() (err error) {
	read := func(name string, parse func(string) error) {
		if v := os.Getenv(name); v != "" && err == nil {
			if e := parse(v); e != nil {
				err = fmt.Errorf("%s: %w", name, e)
			}
		}
	}
	read("SOAK", func(v string) (e error) { soakTime, e = time.ParseDuration(v); return e })
	read("SOAK_RELOADS", func(v string) (e error) { soakReloads, e = strconv.Atoi(v); return e })
	read("SOAK_RECORDS", func(v string) (e error) { soakRecords, e = strconv.Atoi(v); return e })
	read("SOAK_SEED", func(v string) (e error) { soakSeed, e = strconv.ParseUint(v, 10, 64); return e })
	return err
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
	fb.reloads = strings.Contains(string(out), "--enable-hot-reload")
	return fb, nil
}

// eachFluentBit runs a test once for each Fluent Bit.
func eachFluentBit(t *testing.T, test func(t *testing.T, fb fluentBit)) {
	t.Helper()
	for _, fb := range fluentBits {
		t.Run(fb.version, func(t *testing.T) { test(t, fb) })
	}
}

// figures prints a line, which go test shows with -v.
func figures(format string, args ...any) {
	fmt.Printf("soak: "+format+"\n", args...)
}
