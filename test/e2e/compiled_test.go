package e2e

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	module "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// A module that was compiled ahead of time and one that comes from the cache, in
// one pipeline; the second start finds the cache filled by the first.
func TestCompiledModules(t *testing.T) {
	emulator.Skip(t, "the test compiles for its own processor")
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		compiled := filepath.Join(t.TempDir(), "wrap.cwasm")
		if _, err := module.Compile(guest(t, "wrap"), compiled, module.CompileConfig{CPU: "baseline"}); err != nil {
			t.Fatal(err)
		}
		cache := filepath.Join(t.TempDir(), "cache")
		for _, origin := range []string{" bytes compiled in ", " bytes taken from the cache in "} {
			run, events := fb.finish(t, pipeline{
				inputs: []plugin{tailInput(linesFile(t, numbered(20)...), "json")},
				filters: []plugin{
					filterOf(guest(t, "spaced"), "cache_dir", cache),
					filterOf(compiled, "allow_precompiled", "on"),
				},
			})
			for _, parts := range [][]string{{"spaced.wat, function filter", origin}, {"wrap.cwasm, function filter", " bytes precompiled, loaded in "}} {
				if run.logLine(parts...) == "" {
					t.Errorf("no log line with %q:\n%s", parts, fluentbit.Clip(run.log.String()))
				}
			}
			var inner []any
			for _, body := range bodies(events) {
				outer, _ := body.(map[string]any)
				inner = append(inner, outer["record"])
			}
			if diff := cmp.Diff(numberedBodies(20), inner); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		}
	})
}
