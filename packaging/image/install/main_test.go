package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// image makes the directory of an image with these files.
func image(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestInstall(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	const plugin, alias = "flb-filter_wasmtime.so", "flb-filter_wasm.so"
	to := t.TempDir()
	left := filepath.Join(to, temporary+"123")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := install(image(t, map[string]string{plugin: "one", alias: "name"}), to); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, to), []string{alias, plugin}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, name := range []string{plugin, alias} {
		if info, err := os.Stat(filepath.Join(to, name)); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v: another user can't read it", name, info.Mode(), err)
		}
	}

	// A new version: what is loaded goes on as it was, what is the same stays.
	loaded, err := os.Open(filepath.Join(to, plugin))
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	kept, replaced := inode(t, filepath.Join(to, alias)), inode(t, filepath.Join(to, plugin))
	if err := install(image(t, map[string]string{plugin: "two!", alias: "name"}), to); err != nil {
		t.Fatal(err)
	}
	if inode(t, filepath.Join(to, alias)) != kept {
		t.Error("a file that was there was written anew")
	}
	if inode(t, filepath.Join(to, plugin)) == replaced {
		t.Error("a file was changed that may be loaded")
	}
	old := make([]byte, 8)
	if n, _ := loaded.Read(old); string(old[:n]) != "one" {
		t.Errorf("what was open has %q in it now", old[:n])
	}
	if b, err := os.ReadFile(filepath.Join(to, plugin)); err != nil || string(b) != "two!" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestInstallErrors(t *testing.T) {
	from := image(t, map[string]string{"flb-filter_wasmtime.so": "one"})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ from, to, want string }{
		{from, filepath.Join(t.TempDir(), "none"), "does not exist: mount a volume there"},
		{from, file, "is not a directory"},
		{from, from, "is where the files come from"},
		{t.TempDir(), t.TempDir(), "there is nothing in"},
	} {
		if err := install(tt.from, tt.to); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("from %s to %s: %v, want %q", tt.from, tt.to, err, tt.want)
		}
	}
	// A directory stands where the file should: the error is not lost, and nothing is left.
	to := t.TempDir()
	if err := os.Mkdir(filepath.Join(to, "flb-filter_wasmtime.so"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := install(from, to); !errors.Is(err, fs.ErrExist) && err == nil {
		t.Error("no error")
	}
	if got := names(t, to); len(got) != 1 {
		t.Errorf("%q was left", got)
	}
}
