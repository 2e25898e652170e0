package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// engine is a build of wasmtime's C API, and what is in it.
type engine struct {
	Name   string       `json:"name"`
	Rust   string       `json:"rust"` // the compiler, whose standard library is in it
	Crates []*component `json:"crates"`
	Std    []*component `json:"std"` // crates inside the standard library
	Texts  texts        `json:"texts"`
}

func (e *engine) write(path string) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(e); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

func readEngine(path string) (*engine, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	e := &engine{}
	if err := json.Unmarshal(b, e); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return e, nil
}

// targets are what is built for. Crates of other systems are not in the library.
var targets = []string{"x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"}

type cargoPackage struct {
	ID           string
	Name         string
	Version      string
	License      string
	Source       string
	ManifestPath string `json:"manifest_path"`
	Features     map[string][]string
	Targets      []struct{ Kind []string }
}

type cargoMetadata struct {
	Packages []cargoPackage
	Resolve  struct {
		Root  string
		Nodes []struct {
			ID   string
			Deps []struct {
				Pkg      string
				DepKinds []struct{ Kind *string } `json:"dep_kinds"`
			}
		}
	}
}

func readMetadata(manifest string) (*cargoMetadata, error) {
	args := []string{"metadata", "--quiet", "--format-version", "1", "--all-features", "--manifest-path", manifest}
	for _, t := range targets {
		args = append(args, "--filter-platform", t)
	}
	out, err := output("cargo", args...)
	if err != nil {
		return nil, err
	}
	meta := &cargoMetadata{}
	if err := json.Unmarshal(out, meta); err != nil {
		return nil, fmt.Errorf("cargo metadata: %w", err)
	}
	return meta, nil
}

// newEngine is the library that cargo has built from this manifest.
func newEngine(manifest, library string) (*engine, error) {
	e := &engine{Texts: texts{}}
	var err error
	if e.Crates, err = cargoCrates(manifest, e.Texts); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(e.Crates, func(c *component) bool { return c.Name == "wasmtime" })
	if at < 0 {
		return nil, fmt.Errorf("%s: wasmtime is not among its crates", manifest)
	}
	e.Name = "wasmtime " + e.Crates[at].Version
	return e, e.addStd(library)
}

// cargoCrates asks cargo for the crates that are linked into what this manifest builds: not those
// that only run while it is built.
func cargoCrates(manifest string, licenses texts) ([]*component, error) {
	meta, err := readMetadata(manifest)
	if err != nil {
		return nil, err
	}
	checksums, err := readLock(filepath.Join(filepath.Dir(manifest), "Cargo.lock"))
	if err != nil {
		return nil, err
	}
	linked := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		at := slices.IndexFunc(meta.Packages, func(p cargoPackage) bool { return p.ID == id })
		if linked[id] || slices.Contains(meta.Packages[at].Targets[0].Kind, "proc-macro") {
			return
		}
		linked[id] = true
		for _, n := range meta.Resolve.Nodes {
			if n.ID != id {
				continue
			}
			for _, d := range n.Deps {
				// A normal dependency has no kind.
				for _, k := range d.DepKinds {
					if k.Kind == nil {
						visit(d.Pkg)
					}
				}
			}
		}
	}
	visit(meta.Resolve.Root)

	var crates []*component
	for _, p := range meta.Packages {
		if !linked[p.ID] || p.Source == "" { // of no registry: this project's own
			continue
		}
		c := &component{Name: p.Name, Version: p.Version, License: strings.ReplaceAll(p.License, "/", " OR "), Checksum: checksums[p.Name+" "+p.Version]}
		if c.License == "" || c.Checksum == "" {
			return nil, fmt.Errorf("crate %s %s: license %q, checksum %q: both are needed", p.Name, p.Version, c.License, c.Checksum)
		}
		if c.Texts, err = licenses.read(filepath.Dir(p.ManifestPath)); err != nil {
			return nil, err
		}
		crates = append(crates, c)
	}
	slices.SortFunc(crates, compare)
	return crates, nil
}

// publishedEngine is the library that a release of wasmtime has, and wasmtime-go in it: with all
// features, at the versions that the crate was published with.
func publishedEngine(version, library string) (*engine, error) {
	const name = "wasmtime-c-api-impl"
	manifest, remove, err := emptyCrate(name + " = \"=" + version + "\"\n")
	if err != nil {
		return nil, err
	}
	defer remove()
	// Once for its own Cargo.lock and the names of its features.
	meta, err := readMetadata(manifest)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(meta.Packages, func(p cargoPackage) bool { return p.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("cargo metadata: no %s", name)
	}
	api := meta.Packages[at]
	lock, err := os.ReadFile(filepath.Join(filepath.Dir(api.ManifestPath), "Cargo.lock"))
	if err != nil {
		return nil, err
	}
	features := fmt.Sprintf("%q", slices.Sorted(maps.Keys(api.Features)))
	all, remove, err := emptyCrate(name + " = { version = \"=" + version + "\", features = " + strings.ReplaceAll(features, " ", ", ") + " }\n")
	if err != nil {
		return nil, err
	}
	defer remove()
	if err := os.WriteFile(filepath.Join(filepath.Dir(all), "Cargo.lock"), lock, 0o644); err != nil {
		return nil, err
	}
	return newEngine(all, library)
}

// readLock has the checksums of a Cargo.lock by "name version".
func readLock(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for entry := range strings.SplitSeq(string(b), "[[package]]\n") {
		fields := map[string]string{}
		for _, m := range regexp.MustCompile(`(?m)^(\w+) = "(.*)"$`).FindAllStringSubmatch(entry, -1) {
			fields[m[1]] = m[2]
		}
		sums[fields["name"]+" "+fields["version"]] = fields["checksum"]
	}
	return sums, nil
}

// Rust's standard library has crates of its own, which show by paths of the machine that it was
// built on: Rust's or Debian's.
var (
	stdPath   = regexp.MustCompile(`/(?:rust/deps|vendor)/([A-Za-z0-9_-]+)-(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)/`)
	rustcName = regexp.MustCompile(`rustc version (\d+\.\d+\.\d+)`)
)

// addStd adds the standard library that the library was built with.
func (e *engine) addStd(library string) error {
	b, err := os.ReadFile(library)
	if err != nil {
		return err
	}
	rustc := rustcName.FindSubmatch(b)
	if rustc == nil {
		return fmt.Errorf("%s does not say which rustc built it", library)
	}
	e.Rust = string(rustc[1])
	std := &component{Name: "std", Version: e.Rust, License: "MIT OR Apache-2.0"}
	std.Texts = []string{e.Texts.add("Copyright (c) The Rust Project Contributors (see https://thanks.rust-lang.org)\n" +
		"The Rust Standard Library is dual-licensed under Apache 2.0 and MIT terms.\n")}
	versions := map[string]string{}
	for _, m := range stdPath.FindAllSubmatch(b, -1) {
		versions[string(m[1])] = string(m[2])
	}
	if len(versions) == 0 {
		return fmt.Errorf("%s has no paths of the crates of Rust's standard library", library)
	}
	var dependencies strings.Builder
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		fmt.Fprintf(&dependencies, "%s = { version = \"=%s\", default-features = false }\n", name, versions[name])
	}
	manifest, remove, err := emptyCrate(dependencies.String())
	if err != nil {
		return err
	}
	defer remove()
	crates, err := cargoCrates(manifest, e.Texts)
	e.Std = append([]*component{std}, crates...)
	return err
}

// emptyCrate makes a crate with these dependencies, for cargo to say what they are.
func emptyCrate(dependencies string) (manifest string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "crates")
	if err != nil {
		return "", nil, err
	}
	manifest = filepath.Join(dir, "Cargo.toml")
	err = os.WriteFile(filepath.Join(dir, "lib.rs"), nil, 0o644)
	if err == nil {
		err = os.WriteFile(manifest, []byte("[package]\nname = \"none\"\nversion = \"0.0.0\"\nedition = \"2021\"\n"+
			"[lib]\npath = \"lib.rs\"\n[dependencies]\n"+dependencies), 0o644)
	}
	return manifest, func() { os.RemoveAll(dir) }, err
}

// cratePath is in the object for each place that may panic.
var cratePath = regexp.MustCompile(`/([A-Za-z0-9_-]+)-(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)/src/[A-Za-z0-9_/-]+\.rs`)

// cratesSeen are the crates whose paths are in a file, as "name version".
func cratesSeen(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, m := range cratePath.FindAllSubmatch(b, -1) {
		seen[string(m[1])+" "+string(m[2])] = true
	}
	var out []string
	for s := range seen {
		out = append(out, s)
	}
	slices.Sort(out)
	return out, nil
}

// missing is what a file shows to be in it, and the engine does not list.
func (e *engine) missing(seen []string) []string {
	var out []string
	for _, s := range seen {
		is := func(c *component) bool { return c.Name+" "+c.Version == s }
		if !slices.ContainsFunc(e.Crates, is) && !slices.ContainsFunc(e.Std, is) {
			out = append(out, s)
		}
	}
	return out
}

// engineOf finds the engine that was linked: the one that lists all crates that are seen.
func engineOf(path string, engines []*engine) (*engine, error) {
	seen, err := cratesSeen(path)
	if err != nil {
		return nil, err
	}
	if len(seen) == 0 {
		return nil, fmt.Errorf("%s: no paths of crates are in it, by which its engine could be known", path)
	}
	var why []string
	for _, e := range engines {
		missing := e.missing(seen)
		if len(missing) == 0 {
			return e, nil
		}
		why = append(why, fmt.Sprintf("%s has no %s", e.Name, strings.Join(missing, ", ")))
	}
	return nil, fmt.Errorf("%s has crates in it that no list has: %s", path, strings.Join(why, "; "))
}

// components are the crates of the engine as parts of these files, with its texts added to those
// of others.
func (e *engine) components(files []file, all texts) []*component {
	in := map[string]bool{}
	for _, f := range files {
		in[f.name] = true
	}
	for key, text := range e.Texts {
		all[key] = text
	}
	var out []*component
	for _, c := range slices.Concat(e.Crates, e.Std) {
		c.in = in
		c.purl = "pkg:cargo/" + c.Name + "@" + c.Version
		if c.Name == "std" {
			c.purl = "pkg:generic/rust-std@" + c.Version
		}
		if !slices.ContainsFunc(out, func(o *component) bool { return o.purl == c.purl }) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, compare)
	return out
}

func compare(a, b *component) int {
	return strings.Compare(a.Name+" "+a.Version, b.Name+" "+b.Version)
}

func output(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return out, nil
}
