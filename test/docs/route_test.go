package docs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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
			cmd := exec.CommandContext(ctx, b.Path, "-e", plugin, "-c", file)
			cmd.Dir = root
			cmd.Cancel = func() error { return cmd.Process.Kill() }
			var out fluentbit.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			ticker := time.NewTicker(50 * time.Millisecond)
			defer ticker.Stop()
			has := func(tag, part string) bool {
				for line := range strings.Lines(out.String()) {
					if strings.HasPrefix(line, "[0] "+tag+": ") && strings.Contains(line, part) {
						return true
					}
				}
				return false
			}
			for !has("audit.app.log", `"pay-eu"`) || !has("debug.app.log", `"level"=>"debug"`) || !has("app.log", `"web"}`) || !has("failed.app.log", `"n"=>4`) {
				select {
				case err := <-ended:
					t.Fatalf("Fluent Bit has ended: %v\n%s", err, out.String())
				case <-ticker.C:
				}
			}
			_ = cmd.Process.Signal(syscall.SIGTERM) // one: a second one may lock 5.1.1
			if err := <-ended; err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}
