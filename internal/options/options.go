// Package options is the one table of the filter's options: what they are
// called, what they take, what they mean, and how they are checked. The host's
// config map, the command's flags, the README's table and the parser all come
// from it, and tests compare them with it.
package options

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Type is the kind of value that an option takes.
type Type int

// The types, as Fluent Bit's config maps know them.
const (
	String Type = iota
	Size        // bytes, with Fluent Bit's decimal suffixes: 8k, 1M, 2GB
	List        // comma separated strings
)

// String is the type's name as the README and the command's help write it.
func (t Type) String() string {
	switch t {
	case Size:
		return "size"
	case List:
		return "comma list"
	default:
		return "string"
	}
}

// Option is a row of the table.
type Option struct {
	Name     string
	Type     Type
	Default  string // "" means none
	Required bool
	Help     string
}

// MaxWasmStackBytes bounds wasm_stack_size: guests run on threads whose stack
// must hold it.
const MaxWasmStackBytes = 4_000_000

// Table lists every option of the filter, in the order in which they are
// documented. Names are snake_case; the host compares them without case.
var Table = []Option{
	{Name: "wasm_path", Type: String, Required: true,
		Help: "Path of the WebAssembly module to run: binary (.wasm) or text (.wat)"},
	{Name: "function_name", Type: String, Required: true,
		Help: "Name of the exported function that is called for each record"},
	{Name: "event_format", Type: String, Default: "json",
		Help: "Format in which a record is handed to the function and taken back: json or msgpack"},
	{Name: "accessible_paths", Type: List,
		Help: "Directories that the module may read, by the same names inside and outside; none unless set"},
	{Name: "wasm_heap_size", Type: Size, Default: "8192",
		Help: "Least room for tag and record in a module that exports no allocator; grows with the records"},
	{Name: "wasm_stack_size", Type: Size, Default: "8192",
		Help: "Native stack of the module; at least 512K are always given, at most 4M"},
}

// EventFormat says how a record crosses into the guest and back.
type EventFormat int

// The event formats.
const (
	JSON EventFormat = iota
	Msgpack
)

func (f EventFormat) String() string {
	if f == Msgpack {
		return "msgpack"
	}
	return "json"
}

// Options are the checked values of one filter instance. They are not changed
// after Parse.
type Options struct {
	WasmPath        string
	FunctionName    string
	EventFormat     EventFormat
	AccessiblePaths []string // existing directories, as the user wrote them
	WasmHeapBytes   int64
	WasmStackBytes  int64
}

// Error is a value that an option can't take, worded for the log of the host.
type Error struct {
	Filter string // instance name
	Option string
	Value  string // what was found; "" if the option is missing
	Want   string // what is allowed
}

func (e *Error) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("filter %s: option %s is not set: %s", e.Filter, e.Option, e.Want)
	}
	return fmt.Sprintf("filter %s: option %s: invalid value %q: %s", e.Filter, e.Option, e.Value, e.Want)
}

// Parse reads the options of the filter instance named filter through get,
// which answers the value that the user set, if any. Every error is an *Error.
func Parse(filter string, get func(name string) (value string, ok bool)) (Options, error) {
	p := parser{filter: filter, get: get}
	o := Options{
		WasmPath:       p.str("wasm_path", "give the path of a .wasm file"),
		FunctionName:   p.str("function_name", "give the name of a function that the module exports"),
		EventFormat:    p.eventFormat("event_format"),
		WasmHeapBytes:  p.size("wasm_heap_size", 1_000_000_000),
		WasmStackBytes: p.size("wasm_stack_size", MaxWasmStackBytes),
	}
	o.AccessiblePaths = p.dirs("accessible_paths")
	if p.err != nil {
		return Options{}, p.err
	}
	return o, nil
}

// parser keeps the first error, so that Parse reads as a list of options.
type parser struct {
	filter string
	get    func(string) (string, bool)
	err    error
}

func (p *parser) fail(option, value, want string) {
	if p.err == nil {
		p.err = &Error{Filter: p.filter, Option: option, Value: value, Want: want}
	}
}

// value answers the option's text, its default if the user set nothing.
func (p *parser) value(name string) string {
	if v, ok := p.get(name); ok {
		return strings.TrimSpace(v)
	}
	for _, o := range Table {
		if o.Name == name {
			return o.Default
		}
	}
	panic("option " + name + " is not in the table")
}

func (p *parser) str(name, want string) string {
	v := p.value(name)
	if v == "" {
		p.fail(name, "", want)
	}
	return v
}

func (p *parser) eventFormat(name string) EventFormat {
	v := p.value(name)
	switch strings.ToLower(v) {
	case "json":
		return JSON
	case "msgpack":
		return Msgpack
	}
	p.fail(name, v, "allowed are json and msgpack")
	return JSON
}

func (p *parser) size(name string, most int64) int64 {
	v := p.value(name)
	n, ok := parseSize(v)
	if !ok || n > most {
		p.fail(name, v, fmt.Sprintf("allowed are sizes such as 8192, 64k or 1M, from 0 to %d bytes", most))
		return 0
	}
	return n
}

func (p *parser) dirs(name string) []string {
	v := p.value(name)
	var dirs []string
	for _, d := range strings.Split(v, ",") {
		d = strings.TrimSpace(d)
		if d == "" {
			continue
		}
		info, err := os.Stat(d)
		if err != nil || !info.IsDir() {
			p.fail(name, v, fmt.Sprintf("%q is not a directory that can be read", filepath.Clean(d)))
			return nil
		}
		dirs = append(dirs, d)
	}
	return dirs
}

// parseSize reads a size as Fluent Bit's flb_utils_size_to_bytes does (decimal
// factors, a B behind them if one likes; src/flb_utils.c, 5.1.1), but refuses what that
// function lets pass as 0: signs, blanks, fractions of a byte, rubbish.
func parseSize(s string) (int64, bool) {
	u := strings.ToUpper(s)
	factor := int64(1)
	for suffix, f := range map[string]int64{"K": 1e3, "M": 1e6, "G": 1e9} {
		if t, ok := strings.CutSuffix(strings.TrimSuffix(u, "B"), suffix); ok {
			u, factor = t, f
			break
		}
	}
	n, err := strconv.ParseUint(u, 10, 63)
	if err != nil || int64(n) > (1<<62)/factor {
		return 0, false
	}
	return int64(n) * factor, true
}
