// Package packages tests what users install: by make install, and by the packages of a release,
// in the root of another system.
package packages

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
)

const root = "../.."

// run runs a program to its end and returns what it wrote to standard output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// listing is what stands below a directory but directories: links with what they point to.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if d.Type() == fs.ModeSymlink {
			to, _ := os.Readlink(path)
			name += " -> " + to
		}
		files = append(files, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// installed are the files that users are told of, with their documentation apart.
var installed = []string{
	"bin/flb-wasmtime",
	"lib/fluent-bit/flb-filter_wasm.so",
	"lib/fluent-bit/flb-filter_wasmtime.so",
	"lib/fluent-bit/flb-processor_wasmtime.so",
	"lib/fluent-bit/out_wasmtime.so",
	"share/bash-completion/completions/flb-wasmtime",
	"share/fish/vendor_completions.d/flb-wasmtime.fish",
	"share/man/man1/flb-wasmtime.1",
	"share/zsh/site-functions/_flb-wasmtime",
}

const (
	doc   = "share/doc/fluent-bit-wasmtime/"
	share = "share/fluent-bit-wasmtime/" // what flb-wasmtime new copies
)

// documents are those that have to be among the documentation, for one.
var documents = []string{"LICENSE", "README.md", "docs/quickstart.md", "docs/languages/rust.md", "examples/c/redact.wasm", "examples/c/fluent-bit.conf", "deploy/systemd/wasmtime.conf"}

func split(files []string) (programs, docs []string) {
	for _, f := range files {
		if d, ok := strings.CutPrefix(f, doc); ok {
			docs = append(docs, d)
		} else if !strings.HasPrefix(f, share+"sdk/") {
			programs = append(programs, f)
		}
	}
	return programs, docs
}

// make install installs what runs, into a directory with any name, and make uninstall removes that,
// and nothing of others.
func TestInstall(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "a directory")
	others := []string{"lib/fluent-bit/other.so", "share/man/man1/other.1"}
	for _, name := range others {
		path := filepath.Join(dest, "opt", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "make", "-s", "-C", root, "install", "DESTDIR="+dest, "PREFIX=/opt")
	programs, docs := split(listing(t, filepath.Join(dest, "opt")))
	want := slices.Sorted(slices.Values(append(slices.Clone(installed), others...)))
	if diff := cmp.Diff(want, programs); diff != "" {
		t.Errorf("installed (-want +got):\n%s", diff)
	}
	for _, d := range documents {
		if !slices.Contains(docs, d) {
			t.Errorf("%s is not among the documents", d)
		}
	}
	for _, d := range docs {
		if strings.Contains(d, ".gitignore") || strings.HasSuffix(d, "_test.go") {
			t.Errorf("%s is among the documents", d)
		}
	}
	command := filepath.Join(dest, "opt/bin/flb-wasmtime")
	if out := run(t, command, "version"); !strings.HasPrefix(out, "flb-wasmtime "+version.Version) {
		t.Errorf("the installed command says %q", out)
	}
	filter := filepath.Join(t.TempDir(), "filter")
	run(t, command, "new", "rust", filter)
	if _, err := os.Stat(filepath.Join(filter, "flb-filter/src/lib.rs")); err != nil {
		t.Error("what the installed command begins has no SDK:", err)
	}
	for name, mode := range map[string]os.FileMode{command: 0o755, filepath.Join(dest, "opt/lib/fluent-bit/flb-filter_wasmtime.so"): 0o644} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, mode)
		}
	}
	run(t, "make", "-s", "-C", root, "uninstall", "DESTDIR="+dest, "PREFIX=/opt")
	if diff := cmp.Diff(others, listing(t, dest), cmp.Transformer("base", filepath.Base)); len(listing(t, dest)) != len(others) {
		t.Errorf("after make uninstall (-want +got):\n%s", diff)
	}
}

// The version of a release stands in one place, which packages and tags are made from.
func TestVersionOfMakefile(t *testing.T) {
	if out := strings.TrimSpace(run(t, "make", "-s", "-C", root, "version")); out != version.Version {
		t.Errorf("make version says %q, and internal/version %q", out, version.Version)
	}
	if !regexp.MustCompile(`^\d+\.\d+\.\d+(-dev)?$`).MatchString(version.Version) {
		t.Errorf("%q", version.Version)
	}
}
