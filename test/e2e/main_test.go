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
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
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
	found, err := fluentbit.Find()
	if err != nil {
		return err
	}
	for _, b := range found {
		fluentBits = append(fluentBits, fluentBit{path: b.Path, version: b.Version, help: b.Help})
	}
	if len(fluentBits) == 0 {
		return nil
	}

	if pluginPath, err = fluentbit.Plugin("flb-filter_wasmtime.so"); err != nil {
		return err
	}
	wasmPath, err = fluentbit.Plugin("flb-filter_wasm.so")
	return err
}

// has tells whether the help lists a plugin in a section such as "Inputs".
func (fb fluentBit) has(section, plugin string) bool {
	return fluentbit.Binary{Help: fb.help}.Has(section, plugin)
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
