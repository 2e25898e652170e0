package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The committed list is of the library that wasmtime-go has, and has every crate that shows in it.
func TestCommittedCrates(t *testing.T) {
	const path = "github.com/bytecodealliance/wasmtime-go/v44"
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	version, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	version = strings.TrimPrefix(version, "v")
	lists, err := filepath.Glob("../crates/*.json")
	if err != nil || len(lists) != 1 {
		t.Fatalf("%q, %v: want the list of wasmtime-go's library", lists, err)
	}
	e, err := readEngine(lists[0])
	if err != nil {
		t.Fatal(err)
	}
	if e.Name != "wasmtime "+version {
		t.Errorf("%s is of %s, and go.mod has wasmtime-go %s: inventory crates -published %s makes it", lists[0], e.Name, version, version)
	}
	for _, machine := range []string{"x86_64", "aarch64"} {
		library := filepath.Join(dir, "build/linux-"+machine+"/libwasmtime.a")
		seen, err := cratesSeen(library)
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) < 50 {
			t.Errorf("%s shows only %d crates", machine, len(seen))
		}
		if missing := e.missing(seen); len(missing) > 0 {
			t.Errorf("%s has %q, which the list has not", machine, missing)
		}
		b, err := os.ReadFile(library)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "rustc version "+e.Rust+" ") {
			t.Errorf("%s was not built by rustc %s", machine, e.Rust)
		}
	}
	for _, c := range slices.Concat(e.Crates, e.Std) {
		if c.License == "" || c.Name != "std" && !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(c.Checksum) {
			t.Errorf("%s %s: license %q, checksum %q", c.Name, c.Version, c.License, c.Checksum)
		}
		for _, key := range c.Texts {
			if e.Texts[key] == "" {
				t.Errorf("%s %s: a text is missing", c.Name, c.Version)
			}
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The engine is the one that lists all that shows; a crate that none lists is an error that names it.
func TestEngineOf(t *testing.T) {
	old := &engine{Name: "old", Crates: []*component{{Name: "a-b", Version: "1.0.0"}, {Name: "c", Version: "0.3.0"}}}
	lts := &engine{Name: "lts", Crates: []*component{{Name: "a-b", Version: "1.0.1"}}, Std: []*component{{Name: "c", Version: "0.3.0"}}}
	for _, tt := range []struct {
		text, want, err string
	}{
		{"\x00/x/registry/src/index-12/a-b-1.0.0/src/lib.rs\x00/rust/deps/c-0.3.0/src/m/n.rs", "old", ""},
		{"/x/a-b-1.0.1/src/lib.rs/rust/deps/c-0.3.0/src/m.rs", "lts", ""},
		{"/x/a-b-1.0.2/src/lib.rs", "", "old has no a-b 1.0.2; lts has no a-b 1.0.2"},
		{"/x/a-b-1.0.1+build.5/src/lib.rs", "", "a-b 1.0.1+build.5"},
		{"no paths", "", "no paths of crates"},
	} {
		e, err := engineOf(write(t, tt.text), []*engine{old, lts})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: error %v, want %q", tt.text, err, tt.err)
			}
		} else if err != nil || e.Name != tt.want {
			t.Errorf("%q: %v, %v, want %s", tt.text, e, err, tt.want)
		}
	}
}

func TestReadLock(t *testing.T) {
	sums, err := readLock(write(t, `version = 4

[[package]]
name = "a"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "aa"
dependencies = [
 "b",
]

[[package]]
name = "a"
version = "2.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "bb"

[[package]]
name = "own"
version = "0.0.0"
`))
	if err != nil || sums["a 1.0.0"] != "aa" || sums["a 2.0.0"] != "bb" || sums["own 0.0.0"] != "" {
		t.Errorf("%q, %v", sums, err)
	}
}

// Licences are found by the names that they go by, in directories of C code too; what differs in
// blanks alone is one.
func TestReadLicenses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"LICENSE-MIT": "one\n two", "LICENSE.txt": "one two\r\n", "COPYING": "three", "src/c/LICENCE": "four",
		"license.rs": "no", "tests/LICENSE": "no", "README": "no", "licensed": "no",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all := texts{}
	keys, err := all.read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, key := range keys {
		got = append(got, strings.Join(strings.Fields(all[key]), " "))
	}
	slices.Sort(got)
	if want := []string{"four", "one two", "three"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestIdentify(t *testing.T) {
	for text, want := range map[string]string{
		"Apache License\n  Version 2.0, January 2004":                                                                                             "Apache-2.0",
		"Apache License Version 2.0, January 2004 … --- LLVM Exceptions to the Apache 2.0 License ----":                                           "Apache-2.0 WITH LLVM-exception",
		"Copyright me\n\nPermission is hereby granted, free of charge, … The above copyright notice and this permission notice shall be included": "MIT",
		"Redistribution and use in source and binary forms, … Neither the name of Google":                                                         "BSD-3-Clause",
		"Do what you like": "",
	} {
		if got := identify(text); got != want {
			t.Errorf("identify(%.30q) = %q, want %q", text, got, want)
		}
	}
}

// What a binary needs is what binutils say it does.
func TestReadNeeds(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("not compared: there is no objdump")
	}
	for _, path := range []string{"/bin/ls", objdump} {
		n, err := readNeeds([]string{path})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(objdump, "-p", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		var libraries []string
		for _, m := range regexp.MustCompile(`NEEDED +(\S+)`).FindAllStringSubmatch(string(out), -1) {
			libraries = append(libraries, m[1])
		}
		slices.Sort(libraries)
		if !slices.Equal(libraries, n.libraries) {
			t.Errorf("%s: %q, want %q", path, n.libraries, libraries)
		}
		if !strings.Contains(string(out), "GLIBC_"+n.glibc+"\n") {
			t.Errorf("%s: GLIBC_%s is not among what it needs", path, n.glibc)
		}
		for _, m := range regexp.MustCompile(`0x00 \d+ GLIBC_(\d+\.\d+)`).FindAllStringSubmatch(string(out), -1) {
			a, b := numbers(m[1]), numbers(n.glibc)
			if slices.Compare(a[:], b[:]) > 0 {
				t.Errorf("%s: needs GLIBC_%s, and not only %s", path, m[1], n.glibc)
			}
		}
	}
	if _, err := readNeeds([]string{write(t, "text")}); err == nil {
		t.Error("a text needs something")
	}
}
