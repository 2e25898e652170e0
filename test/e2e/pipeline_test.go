package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// A plugin is a plugin of a pipeline: its name, and options in pairs of name
// and value.
type plugin struct {
	name       string
	options    []string
	processors []plugin // of an input, for logs; YAML only
}

// A pipeline is a configuration. It ends in one file output, or in the outputs that it has.
type pipeline struct {
	service []string // options in pairs
	outputs []plugin
	inputs  []plugin
	filters []plugin
	yaml    bool
	bare    bool // without the project's plugin
}

// filterOf is a [FILTER] that runs the guest at a path.
func filterOf(wasm string, more ...string) plugin {
	return plugin{name: "wasmtime", options: append([]string{
		"match", "*", "wasm_path", wasm, "function_name", "filter"}, more...)}
}

// write writes the configuration into dir and returns its path. What comes out
// of the pipeline is written to outPath(dir).
func (p pipeline) write(t *testing.T, dir string) string {
	t.Helper()
	parsers := filepath.Join(dir, "parsers.conf")
	writeFile(t, parsers, parsersConf)
	p.service = append([]string{"flush", "0.2", "grace", "2", "parsers_file", parsers}, p.service...)
	output := plugin{name: "file", options: []string{
		"match", "*", "path", dir, "file", filepath.Base(outPath(dir)), "format", "msgpack"}}
	outputs := p.outputs
	if outputs == nil {
		outputs = []plugin{output}
	}
	if p.yaml {
		path := filepath.Join(dir, "fluent-bit.yaml")
		writeFile(t, path, p.asYAML(outputs))
		return path
	}
	path := filepath.Join(dir, "fluent-bit.conf")
	writeFile(t, path, p.asClassic(outputs))
	return path
}

// json_ts takes the time of the records of package records, so that two runs
// over the same records give the same events.
const parsersConf = `[PARSER]
    Name json
    Format json
[PARSER]
    Name json_ts
    Format json
    Time_Key ts
    Time_Format %Y-%m-%dT%H:%M:%S.%LZ
    Time_Keep On
`

func outPath(dir string) string { return filepath.Join(dir, "out.msgpack") }

func (p pipeline) asClassic(outputs []plugin) string {
	var b strings.Builder
	section := func(title string, options []string) {
		fmt.Fprintf(&b, "[%s]\n", title)
		for i := 0; i < len(options); i += 2 {
			fmt.Fprintf(&b, "    %s %s\n", options[i], options[i+1])
		}
	}
	section("SERVICE", p.service)
	list := func(title string, plugins []plugin) {
		for _, pl := range plugins {
			section(title, append([]string{"name", pl.name}, pl.options...))
		}
	}
	list("INPUT", p.inputs)
	list("FILTER", p.filters)
	list("OUTPUT", outputs)
	return b.String()
}

func (p pipeline) asYAML(outputs []plugin) string {
	var b strings.Builder
	options := func(indent string, options []string) {
		for i := 0; i < len(options); {
			var values []string
			name := options[i]
			for ; i < len(options) && options[i] == name; i += 2 {
				values = append(values, options[i+1])
			}
			if len(values) == 1 {
				fmt.Fprintf(&b, "%s%s: %q\n", indent, name, values[0])
				continue
			}
			fmt.Fprintf(&b, "%s%s:\n", indent, name) // a list
			for _, v := range values {
				fmt.Fprintf(&b, "%s  - %q\n", indent, v)
			}
		}
	}
	list := func(title, indent string, plugins []plugin) {
		if len(plugins) == 0 {
			return
		}
		fmt.Fprintf(&b, "%s%s:\n", indent, title)
		for _, pl := range plugins {
			fmt.Fprintf(&b, "%s  - name: %s\n", indent, pl.name)
			options(indent+"    ", pl.options)
			if len(pl.processors) > 0 {
				fmt.Fprintf(&b, "%s    processors:\n%s      logs:\n", indent, indent)
				for _, pr := range pl.processors {
					fmt.Fprintf(&b, "%s        - name: %s\n", indent, pr.name)
					options(indent+"          ", pr.options)
				}
			}
		}
	}
	b.WriteString("service:\n")
	options("  ", p.service)
	b.WriteString("pipeline:\n")
	list("inputs", "  ", p.inputs)
	list("filters", "  ", p.filters)
	list("outputs", "  ", outputs)
	return b.String()
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// spaced is a guest that returns a blank and the record, so that the plugin has
// to read the reply: one that equals the record needs no reading.
const spaced = `(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 65536) (i32.const 32))
    (memory.copy (i32.const 65537) (local.get 4) (local.get 5))
    (i32.store8 (i32.add (i32.const 65537) (local.get 5)) (i32.const 0))
    (i32.const 65536)))`

// guest writes a guest's text to a file and returns its path.
func guest(t *testing.T, name string) string {
	t.Helper()
	text := spaced
	if name != "spaced" {
		text = guests.WAT(name)
	}
	path := filepath.Join(t.TempDir(), name+".wat")
	writeFile(t, path, text)
	return path
}

// binary writes a guest as a binary module, for filters that read no text.
func binary(t *testing.T, name string) string {
	t.Helper()
	wasm, err := wasmtime.Wat2Wasm(guests.WAT(name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".wasm")
	writeFile(t, path, string(wasm))
	return path
}
