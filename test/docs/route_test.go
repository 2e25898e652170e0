package docs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// The recipe that routes does so in real Fluent Bits, and sends what it fails on a way of its own.
func TestRouteInFluentBit(t *testing.T) {
	binaries, err := fluentbit.Find()
	if err != nil {
		t.Fatal(err)
	}
	if len(binaries) == 0 {
		t.Skip("NOT TESTED: there is no Fluent Bit")
	}
	plugin, err := fluentbit.Plugin("flb-filter_wasmtime.so")
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for _, c := range configurations(t) {
		if strings.HasPrefix(c.at, "docs/recipes.md") && strings.Contains(c.classic, "rewrite_tag") {
			text = c.classic
		}
	}
	text = "[SERVICE]\n    Flush 1\n" + text + "\n[OUTPUT]\n    Name stdout\n    Match *\n"
	for _, body := range []string{`{"service":"pay-eu"}`, `{"service":"web","level":"debug"}`, `{"service":"web"}`, `{"n":4}`} {
		text = "[INPUT]\n    Name dummy\n    Tag app.log\n    Samples 1\n    Dummy " + body + "\n\n" + text
	}
	text, _ = whole(t, text, false)
	file := filepath.Join(t.TempDir(), "c.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, b := range binaries {
		t.Run(b.Version, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			has := func(out, tag, part string) bool {
				for line := range strings.Lines(out) {
					if strings.HasPrefix(line, "[0] "+tag+": ") && strings.Contains(line, part) {
						return true
					}
				}
				return false
			}
			if err := b.RunUntil(ctx, root, func(out string) bool {
				return has(out, "audit.app.log", `"pay-eu"`) && has(out, "debug.app.log", `"level"=>"debug"`) && has(out, "app.log", `"web"}`) && has(out, "failed.app.log", `"n"=>4`)
			}, "-e", plugin, "-c", file); err != nil {
				t.Error(err)
			}
		})
	}
}
