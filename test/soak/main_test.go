// Package soak runs the plugin under load for as long as one likes, with guests
// that do everything a guest can do wrong, and counts what becomes of numbered
// records: each must come out once, in order, with the text that it has to have.
//
// The environment says how long (make soak sets it to minutes):
//
//	FLUENT_BIT=path[:path...]  the Fluent Bits; else fluent-bit of PATH
//	SOAK=10s                   how long TestSoak feeds each of them
//	SOAK_RELOADS=5             how often TestReload reloads each of them
//	SOAK_ROUTES=60000          how many records TestRoutes sends, for each way
//	SOAK_SWAPS=20              how often TestSwaps has another module take over
//	SOAK_RECORDS=300000        how many records TestLeakingGuest sends
//	SOAK_SEED=1                of the random numbers
//
// Each test prints one line with its figures.
package soak

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// A fluentBit is a Fluent Bit to test with.
type fluentBit struct {
	path    string
	version string // names the subtests, and nothing else is decided by it
	reloads bool   // it knows hot reload; before, SIGHUP ended it
	groups  bool   // it knows markers of groups
}

// Set by TestMain.
var (
	fluentBits  []fluentBit
	pluginPath  string
	soakTime    = 10 * time.Second
	soakReloads = 5
	soakSwaps   = 20
	soakRecords = 300_000
	soakRoutes  = 60_000
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
	found, err := fluentbit.Find()
	if err != nil {
		return err
	}
	for _, b := range found {
		fluentBits = append(fluentBits, fluentBit{path: b.Path, version: b.Version,
			reloads: strings.Contains(b.Help, "--enable-hot-reload"),
			groups:  b.Has("Processors", "opentelemetry_envelope")}) // which came with them
	}
	if len(fluentBits) == 0 {
		return nil
	}

	pluginPath, err = fluentbit.Plugin("flb-filter_wasmtime.so")
	return err
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
	read("SOAK_SWAPS", func(v string) (e error) { soakSwaps, e = strconv.Atoi(v); return e })
	read("SOAK_ROUTES", func(v string) (e error) { soakRoutes, e = strconv.Atoi(v); return e })
	read("SOAK_RECORDS", func(v string) (e error) { soakRecords, e = strconv.Atoi(v); return e })
	read("SOAK_SEED", func(v string) (e error) { soakSeed, e = strconv.ParseUint(v, 10, 64); return e })
	return err
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
