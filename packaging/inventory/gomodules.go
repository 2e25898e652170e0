package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// goModules adds the modules that a binary says it was linked from.
func goModules(path string, to map[string]*component) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	add := func(name, version string) {
		c := to[name]
		if c == nil {
			c = &component{Name: name, Version: version, in: map[string]bool{}}
			to[name] = c
		}
		if c.Version != version {
			err = fmt.Errorf("%s has %s %s in it, and another binary %s", path, name, version, c.Version)
		}
		c.in[base(path)] = true
	}
	add("std", strings.TrimPrefix(strings.Fields(info.GoVersion)[0], "go"))
	for _, m := range info.Deps {
		if m.Replace != nil {
			return fmt.Errorf("%s: %s is replaced by %s: there is no saying whose licence that has", path, m.Path, m.Replace.Path)
		}
		add(m.Path, m.Version)
	}
	return err
}

// readGoLicenses finds the licences of modules in Go's module cache.
func readGoLicenses(modules map[string]*component, all texts) ([]*component, error) {
	var out []*component
	dirs := map[string]string{}
	args := []string{"mod", "download", "-json"}
	for name, c := range modules {
		out = append(out, c)
		c.purl = "pkg:golang/" + name + "@" + c.Version
		if name != "std" {
			args = append(args, name+"@"+c.Version)
		}
	}
	slices.SortFunc(out, compare)
	slices.Sort(args[3:])
	listed, err := output("go", args...)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(listed))
	for {
		var m struct{ Path, Dir string }
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go mod download: %w", err)
		}
		dirs[m.Path] = m.Dir
	}
	root, err := output("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	for _, c := range out {
		if c.Name == "std" {
			err = c.readGo(strings.TrimSpace(string(root)), all)
		} else {
			c.Texts, err = all.read(dirs[c.Name])
		}
		if err != nil {
			return nil, err
		}
		var ids []string
		for _, key := range c.Texts {
			if id := identify(all[key]); id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			return nil, fmt.Errorf("module %s %s: its licence is not known: teach identify in packaging/inventory/licenses.go", c.Name, c.Version)
		}
		c.License = strings.Join(ids, " AND ")
	}
	return out, nil
}

// readGo is for the standard library, whose licence is one file. Debian has it elsewhere.
func (c *component) readGo(root string, all texts) error {
	for _, path := range []string{filepath.Join(root, "LICENSE"), strings.Replace(root, "/lib/", "/share/", 1) + "/LICENSE"} {
		if b, err := os.ReadFile(path); err == nil {
			c.Texts = []string{all.add(string(b))}
			return nil
		}
	}
	return fmt.Errorf("the licence of Go is not in %s", root)
}
