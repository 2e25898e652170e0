// Package fbconf reads configuration files of Fluent Bit, classic and YAML, as
// far as a program needs them that runs filters without Fluent Bit: sections
// and their properties in order, includes read, variables replaced. It follows
// Fluent Bit 5.1.1 (src/config_format/, src/flb_env.c), and refuses a few
// mistakes that Fluent Bit lets pass.
package fbconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
)

// maxFiles bounds how many files one configuration can consist of, as
// FLB_CF_FILE_NUM_LIMIT does in Fluent Bit. No file is read twice, so it also
// bounds how deep includes go.
const maxFiles = 1000

// What is read of one file, and of all: no configuration has as much.
const (
	maxFileBytes = 16 << 20
	maxAllBytes  = 64 << 20
)

// Config is a configuration with its includes read and its variables replaced.
type Config struct {
	// Sections are in the order in which Fluent Bit meets them.
	Sections []Section
	// Warnings are worded "file:line: text". They are what Fluent Bit logs, or
	// keeps quiet about, and goes on.
	Warnings []string
	// Files are all that were read.
	Files []string
}

// Kind returns the sections of one kind, in order.
func (c *Config) Kind(kind string) []Section {
	var found []Section
	for _, s := range c.Sections {
		if s.Kind == kind {
			found = append(found, s)
		}
	}
	return found
}

// Section is what configures one plugin, or the service.
type Section struct {
	Kind       string     // service, input, filter, output, …; in lower case, singular
	Name       string     // value of the property name; empty if there is none
	Properties []Property // all of them, name too
	Processors []Section  // processors of an input or output; of kind processor
	Signal     string     // of a processor: logs, metrics, traces or profiles
	File       string
	Line       int
}

// Property is one key with one value. A list in YAML makes one Property for
// each of its elements, as it does in Fluent Bit.
type Property struct {
	Key    string // in lower case; camelCase of YAML is turned into snake_case
	Value  string
	Nested bool // the value is a mapping in YAML, and Value is empty
	List   bool // it is an element of a list in YAML
	Line   int
}

// Get returns the first value of a property. Case does not matter.
func (s *Section) Get(key string) (value string, ok bool) {
	for _, p := range s.Properties {
		if strings.EqualFold(p.Key, key) {
			return p.Value, true
		}
	}
	return "", false
}

// Error is what is wrong with a configuration, and where.
type Error struct {
	File string
	Line int // 0 if the file as a whole is meant
	Text string
	Err  error // the cause; may be nil
}

func (e *Error) Error() string {
	text := e.Text
	if e.Err != nil {
		text = fmt.Sprintf("%s: %v", text, e.Err)
	}
	return position{e.File, e.Line}.String() + ": " + text
}

func (e *Error) Unwrap() error { return e.Err }

// Load reads the configuration at path: YAML if the name ends in .yaml or .yml,
// classic otherwise. Variables that the configuration does not set are asked of
// env, which returns "" for those it does not know either. Every error is an
// *Error.
func Load(path string, env func(string) string) (*Config, error) {
	l := &loader{
		env:  env,
		dir:  filepath.Dir(path),
		vars: map[string]string{},
		seen: map[string]bool{},
		files: files{
			read:   func(path string) ([]byte, error) { return regular.Read(path, maxFileBytes) },
			exists: func(path string) bool { _, err := os.Stat(path); return err == nil },
			glob:   filepath.Glob,
		},
	}
	read := l.classic
	if ext := filepath.Ext(path); strings.EqualFold(ext, ".yaml") || strings.EqualFold(ext, ".yml") {
		read = l.yaml
	}
	if err := read(path, position{}); err != nil {
		return nil, err
	}
	l.expandAll()
	return &l.config, nil
}

// files is the part of the file system that is needed; tests replace it.
type files struct {
	read   func(path string) ([]byte, error)
	exists func(path string) bool
	glob   func(pattern string) ([]string, error)
}

type loader struct {
	files  files
	env    func(string) string
	dir    string            // of the main file
	vars   map[string]string // set by @SET and env:
	seen   map[string]bool   // files read, by absolute path
	bytes  int               // of these
	config Config
}

type position struct {
	file string
	line int
}

func (p position) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

func (p position) errorf(format string, args ...any) error {
	return &Error{File: p.file, Line: p.line, Text: fmt.Sprintf(format, args...)}
}

func (l *loader) warnf(at position, format string, args ...any) {
	l.config.Warnings = append(l.config.Warnings, at.String()+": "+fmt.Sprintf(format, args...))
}

// open reads a file that from includes; the zero position stands for the user.
func (l *loader) open(path string, from position) ([]byte, error) {
	if from == (position{}) {
		from.file = path
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, &Error{File: from.file, Line: from.line, Text: "no file " + path, Err: err}
	}
	if l.seen[abs] {
		return nil, from.errorf("file %s is included already", path)
	}
	if len(l.seen) == maxFiles {
		return nil, from.errorf("more than %d files are included", maxFiles)
	}
	l.seen[abs] = true
	l.config.Files = append(l.config.Files, path)
	data, err := l.files.read(path)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return nil, &Error{File: from.file, Line: from.line, Text: "read " + path, Err: err}
	}
	if l.bytes += len(data); l.bytes > maxAllBytes {
		return nil, from.errorf("the files that are included have more than %d bytes", maxAllBytes)
	}
	return data, nil
}

// include reads the files that path names with read. Patterns must match
// something, as in Fluent Bit.
func (l *loader) include(path string, at position, read func(string, position) error) error {
	if !strings.Contains(path, "*") {
		return read(path, at)
	}
	paths, err := l.files.glob(path)
	if err != nil {
		return &Error{File: at.file, Line: at.line, Text: "include " + path, Err: err}
	}
	if len(paths) == 0 {
		return at.errorf("no file matches %s", path)
	}
	for _, p := range paths {
		if err := read(p, at); err != nil {
			return err
		}
	}
	return nil
}

// expandAll replaces variables in all values. It is done last because Fluent
// Bit runs every @SET, wherever it stands, before it configures a plugin.
func (l *loader) expandAll() {
	var expand func(s *Section)
	expand = func(s *Section) {
		for i := range s.Properties {
			p := &s.Properties[i]
			p.Value = l.expand(p.Value, position{s.File, p.Line})
		}
		s.Name, _ = s.Get("name")
		for i := range s.Processors {
			expand(&s.Processors[i])
		}
	}
	for i := range l.config.Sections {
		expand(&l.config.Sections[i])
	}
}

// expand replaces ${NAME} and ${NAME:-default}. What comes in is not looked at
// again.
func (l *loader) expand(s string, at position) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "${")
		if !ok {
			break
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok || name == "" {
			break
		}
		out.WriteString(before)
		s = after

		name, fallback, hasFallback := strings.Cut(name, ":-")
		value, ok := l.vars[name]
		if !ok {
			value = l.env(name)
			ok = value != ""
		}
		switch {
		case value == "" && hasFallback:
			value = fallback
		case !ok:
			l.warnf(at, "variable ${%s} is not set", name)
		}
		out.WriteString(value)
	}
	out.WriteString(s)
	return out.String()
}

// sectionKind is the kind that a section's or list's name stands for.
func sectionKind(name string) string {
	kind := strings.ToLower(strings.TrimSpace(name))
	switch kind {
	case "inputs", "filters", "outputs", "customs":
		return strings.TrimSuffix(kind, "s")
	}
	return kind
}
