// Package scaffold tests what flb-wasmtime new makes: it builds, passes its own tests, starts, and filters in real
// Fluent Bits.
package scaffold

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
	command := command(t)
	for _, language := range scaffold.Languages {
		t.Run(language.Name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "mask-it")
			create(t, language.Name, dir)
			if out, err := in(dir, "make", "-s", "why"); err != nil {
				if out == "" {
					t.Error("it can't be built, and does not say why")
				}
				t.Skipf("NOT TESTED: a filter in %s that flb-wasmtime new makes: %s", language.Title, out)
			}
			out, err := in(dir, "make", "-s", "test", "FLB_WASMTIME="+command)
			if err != nil || !strings.Contains(out, "\n3 passed, 0 failed, 0 could not be run\n") {
				t.Fatalf("make test: %v\n%s", err, out)
			}
			out, err = in(dir, command, "inspect", "mask-it.wasm")
			if err != nil || !regexp.MustCompile(`(?m)^says +abi=flb_batch_1\n +language=\S+\n +sdk=`).MatchString(out) || strings.Contains(out, "\nnotes ") {
				t.Errorf("inspect: %v\n%s", err, out)
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
			// So do the filter's own tests, where the filter is wrong.
			source := filepath.Join(dir, language.Source)
			if text, err = os.ReadFile(source); err != nil {
				t.Fatal(err)
			}
			wrong = strings.Replace(string(text), `"password", "***"`, `"password", "?"`, 1)
			if err := os.WriteFile(source, []byte(wrong), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := in(dir, "make", "-s", "unit"); err == nil || wrong == string(text) {
				t.Errorf("the tests of a wrong filter: %v\n%s", err, out)
			}
		})
	}
}

// docs/other-tags.md has a filter named as a package of Go's standard library.
func TestNameOfGoPackage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "errors")
	create(t, "go", dir)
	if out, err := in(dir, "make", "-s", "FLB_WASMTIME="+command(t)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A Makefile whose tools are missing, or are no good, says what to do.
func TestMissingTools(t *testing.T) {
	bin := t.TempDir()
	tools := map[string]string{
		"old-go":  "echo go1.23.12",
		"old-cc":  "exit 1",
		"npm":     "echo no network; exit 1",
		"rustup":  "[ -z \"$NO_RUSTUP\" ]",
		"no-rust": "echo /nowhere",
	}
	for name, text := range tools {
		script(t, filepath.Join(bin, name), text)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for _, c := range []struct {
		language string
		args     []string
		want     string
	}{
		{"rust", []string{"RUSTC="}, "Run: rustup target add wasm32-unknown-unknown"},
		{"rust", []string{"RUSTC=", "NO_RUSTUP=1"}, "In Debian: apt install rustc cargo libstd-rust-dev-wasm32 lld"},
		{"rust", []string{"RUSTC=no-rust", "CARGO=nowhere"}, "There is no nowhere, which belongs to no-rust. In Debian: apt install cargo"},
		{"rust", []string{"RUSTC=no-rust", "CARGO=true", "LINKER=nowhere"}, "In Debian: apt install lld"},
		{"go", []string{"GO="}, "Get it from https://go.dev/dl"},
		{"tinygo", []string{"GO=true", "TINYGO="}, "https://tinygo.org/getting-started/install"},
		{"tinygo", []string{"GO="}, "There is no go, which tinygo needs"},
		{"c", []string{"CLANGS=nowhere old-cc"}, "There is no clang, 16 or later, that builds for wasm32. In Debian: apt install clang-19 lld-19"},
		{"c", []string{"CLANGS=nowhere", "TARGET=wasm32-wasi"}, "WASI SDK, in /opt/wasi-sdk or WASI_SDK_PATH"},
		{"cpp", []string{"CLANG=nowhere", "CXX=nowhere"}, "In Debian: apt install gcc g++ libc6-dev"},
		{"assemblyscript", []string{"NPM=nowhere"}, "There is no nowhere. In Debian: apt install nodejs npm"},
		{"assemblyscript", []string{"NPM=npm"}, "no network\nnpm can't install the compiler, assemblyscript"},
	} {
		dir := filepath.Join(t.TempDir(), "redact")
		create(t, c.language, dir)
		out, err := in(dir, "make", append([]string{"-s", "why"}, c.args...)...)
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s %q: %v: %q, want %q", c.language, c.args, err, out, c.want)
		}
	}
}

// The first compiler that is found is passed over for one that can do it.
func TestToolsBehindOthers(t *testing.T) {
	for _, c := range []struct {
		language, name string
		first          string // what the one that comes first does
		other          string // succeeds if there is one that can do it
	}{
		{"rust", "rustc", "echo /nowhere", `[ -d "$(/usr/bin/rustc --print target-libdir --target wasm32-unknown-unknown)" ]`}, // as rustup's
		{"go", "go", "echo go1.19.8", "/usr/local/go/bin/go version"},
		{"c", "clang", "exit 1", "clang-19 --version && wasm-ld-19 --version"},
		{"cpp", "clang", "exit 1", "clang-19 --version && wasm-ld-19 --version"},
	} {
		t.Run(c.language, func(t *testing.T) {
			if out, err := in(".", "sh", "-c", c.other); err != nil {
				t.Skipf("NOT TESTED: what a filter in %s is built with, where the first %s can't: %v %s", c.language, c.name, err, out)
			}
			dir := filepath.Join(t.TempDir(), "redact")
			create(t, c.language, dir)
			bin := t.TempDir()
			script(t, filepath.Join(bin, c.name), "echo called >>"+bin+"/log; "+c.first)
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			if out, err := in(dir, "make", "-s", "why"); err != nil {
				t.Errorf("make why: %v: %s", err, out)
			}
			if _, err := os.Stat(filepath.Join(bin, "log")); err != nil {
				t.Errorf("the first %s was not tried", c.name)
			}
			if out, err := in(dir, "make", "-s"); err != nil || !strings.HasPrefix(out, "redact.wasm: ") {
				t.Errorf("make: %v: %s", err, out)
			}
		})
	}
}

// Where there is no wasm-opt a module is built all the same; where there is one it is run on what was built.
func TestWasmOpt(t *testing.T) {
	for _, language := range []string{"rust", "c"} {
		t.Run(language, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "redact")
			create(t, language, dir)
			if out, err := in(dir, "make", "-s", "why"); err != nil {
				t.Skipf("NOT TESTED: wasm-opt for %s: %s", language, out)
			}
			module := filepath.Join(dir, "redact.wasm")
			size := func(args ...string) int64 {
				_ = os.Remove(module)
				out, err := in(dir, "make", append([]string{"-s"}, args...)...)
				if err != nil {
					t.Fatalf("make %q: %v: %s", args, err, out)
				}
				info, err := os.Stat(module)
				if err != nil {
					t.Fatal(err)
				}
				return info.Size()
			}
			plain := size("WASM_OPT=")
			if plain > 80<<10 {
				t.Errorf("%d bytes", plain)
			}
			optimizer := filepath.Join(t.TempDir(), "wasm-opt")
			script(t, optimizer, `while [ "$1" != -o ]; do shift; done; cat "$3" >"$2.tmp"; printf '\0\3\1a!' >>"$2.tmp"; mv "$2.tmp" "$2"`)
			if got := size("WASM_OPT=" + optimizer); got != plain+5 {
				t.Errorf("%d bytes, want the 5 of a section more than %d", got, plain)
			}
			if _, err := exec.LookPath("wasm-opt"); err != nil {
				t.Skip("NOT TESTED: the real wasm-opt: it is not there")
			}
			if got := size(); got >= plain {
				t.Errorf("%d bytes of wasm-opt, %d without", got, plain)
			}
			if out, err := in(dir, command(t), "test"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// create has flb-wasmtime new make the directory.
func create(t *testing.T, language, dir string) {
	t.Helper()
	if out, err := in(".", command(t), "new", language, dir); err != nil || !strings.Contains(out, "make test") {
		t.Fatalf("%v: %s", err, out)
	}
}

func command(t *testing.T) string {
	t.Helper()
	path, err := fluentbit.Plugin("flb-wasmtime")
	if err != nil {
		t.Fatal(err)
	}
	return path
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
				const want = `"level":"info","user":"bob","password":"***","environment":"production"}`
				if err := b.RunUntil(ctx, dir, func(out string) bool { return strings.Contains(out, want) }, "-e", plugin, "-c", config); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
