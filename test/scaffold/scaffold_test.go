// Package scaffold tests what flb-wasmtime new makes: it builds, passes its own tests, starts, and filters in real
// Fluent Bits.
package scaffold

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/scaffold"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// in runs a program in a directory, and returns what it says.
func in(dir, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestNew(t *testing.T) {
	command, err := fluentbit.Plugin("flb-wasmtime")
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range scaffold.Names() {
		t.Run(language, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "mask-it")
			if out, err := in(".", command, "new", language, dir); err != nil || !strings.Contains(out, "make test") {
				t.Fatalf("%v: %s", err, out)
			}
			if out, err := in(dir, "make", "-s", "why"); err != nil {
				if out == "" {
					t.Error("it can't be built, and does not say why")
				}
				t.Skipf("NOT TESTED: a filter in %s that flb-wasmtime new makes: %s", language, out)
			}
			out, err := in(dir, "make", "-s", "test", "FLB_WASMTIME="+command)
			if err != nil || !strings.Contains(out, "\n3 passed, 0 failed, 0 could not be run\n") {
				t.Fatalf("make test: %v\n%s", err, out)
			}
			out, err = in(dir, "make", "-s", "run", "FLB_WASMTIME="+command)
			if err != nil || !strings.Contains(out, "record 2: dropped\n") || strings.Contains(out, "[ warn]") {
				t.Errorf("make run: %v\n%s", err, out)
			}
			for _, config := range []string{"fluent-bit.conf", "fluent-bit.yaml"} {
				out, err := in(dir, command, "check", "--config", config)
				if err != nil || !strings.Contains(out, "\nwarnings       none\nproblems       none\n") {
					t.Errorf("check of %s: %v\n%s", config, err, out)
				}
			}
			// A case that is wrong fails.
			first := filepath.Join(dir, "cases/first.yaml")
			text, err := os.ReadFile(first)
			if err != nil {
				t.Fatal(err)
			}
			wrong := strings.Replace(string(text), `"password":"***"`, `"password":"hunter2"`, 1)
			if err := os.WriteFile(first, []byte(wrong), 0o644); err != nil {
				t.Fatal(err)
			}
			out, err = in(dir, command, "test")
			if err == nil || !strings.Contains(out, "$password\n      - \"hunter2\"\n      + \"***\"\n") {
				t.Errorf("a wrong case: %v\n%s", err, out)
			}
			runInFluentBits(t, dir)
		})
	}
}

// runInFluentBits runs the pipelines of the directory until a filtered record comes out.
func runInFluentBits(t *testing.T, dir string) {
	binaries, err := fluentbit.Find()
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := fluentbit.Plugin("flb-filter_wasmtime.so")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range binaries {
		for _, config := range []string{"fluent-bit.conf", "fluent-bit.yaml"} {
			t.Run(b.Version+"/"+config, func(t *testing.T) {
				if strings.HasPrefix(b.Version, "1.") && config == "fluent-bit.yaml" {
					t.Skip("this Fluent Bit has no YAML")
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, b.Path, "-e", plugin, "-c", config)
				cmd.Dir = dir
				cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
				var out fluentbit.Buffer
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				ticker := time.NewTicker(50 * time.Millisecond)
				defer ticker.Stop()
				const want = `"level":"info","user":"bob","password":"***","environment":"production"}`
				for !strings.Contains(out.String(), want) {
					select {
					case err := <-ended:
						t.Fatalf("Fluent Bit has ended: %v\n%s", err, out.String())
					case <-ticker.C:
					}
				}
				_ = cmd.Process.Signal(syscall.SIGTERM)
				if err := <-ended; err != nil {
					t.Errorf("%v\n%s", err, out.String())
				}
			})
		}
	}
}
