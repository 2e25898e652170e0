package main

import (
	"bufio"
	"embed"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/showcase"
)

// The columns of the table: who does the job.
const (
	here = iota
	interpreter
	aot
	native
	lua
	copies
	columns
)

var columnTitles = [columns]string{
	"here", "built-in wasm, interpreted", "built-in wasm, .aot", "native", "lua", "copy only",
}

// fewer is by how much fewer records a filter gets that takes milliseconds.
const fewer = 10

// A row is a job that filters do.
type row struct {
	title   string
	heavy   bool                            // has a scale of its own in the chart
	shows   bool                            // is about the records of test/showcase
	kept    func(record map[string]any) int // how many records become of one
	made    func(body map[string]any) bool  // tells whether a filter has done the job
	filters [columns]filter
}

// A filter is one of a configuration. One without a name stands for none.
type filter struct {
	name    string
	options []string // in pairs
	fewer   bool
	shows   bool
	made    func(body map[string]any) bool // instead of the row's, if it does another job
}

// with is a filter with one more option.
func (f filter) with(key, value string) filter {
	f.options = append(slices.Clone(f.options), key, value)
	return f
}

// work is what runs need: the plugin, the records and the modules.
type work struct {
	dir, root    string
	plugin       string
	copiers      map[string]string // by Fluent Bit's version: copies.c as a plugin
	wamrc        string            // its version; "" if there is none
	full, tenth  input
	shown        input // records of test/showcase
	one          input // a single record
	averageBytes int
	rows         []row
	counted      bool // runs are, under valgrind
}

// An input is a file of records, one on a line.
type input struct {
	path    string
	records int
	kept    []int // by row: how many come out
}

//go:embed testdata
var testdata embed.FS

// newWork writes records and modules into dir.
func newWork(dir, root string, n int) (*work, error) {
	if os.Getenv("FLB_WASMTIME_SO_DIR") == "" {
		os.Setenv("FLB_WASMTIME_SO_DIR", filepath.Join(root, "build"))
	}
	plugin, err := fluentbit.Plugin("flb-filter_wasmtime.so")
	if err != nil {
		return nil, err
	}
	w := &work{dir: dir, root: root, plugin: plugin, copiers: map[string]string{}}
	parsers := "[PARSER]\n    Name json\n    Format json\n"
	if err := os.WriteFile(w.path("parsers.conf"), []byte(parsers), 0o666); err != nil {
		return nil, err
	}
	if err := w.makeRows(); err != nil {
		return nil, err
	}
	size := 0
	if w.full, size, err = w.makeInput("full.log", n, records.Generate(n, 1)); err != nil {
		return nil, err
	}
	w.averageBytes = size / n
	if w.tenth, _, err = w.makeInput("tenth.log", n/fewer, records.Generate(n/fewer, 1)); err != nil {
		return nil, err
	}
	if w.shown, _, err = w.makeInput("shown.log", n, showcase.Records(n, 1)); err != nil {
		return nil, err
	}
	w.one, _, err = w.makeInput("one.log", 1, records.Generate(1, 1))
	return w, err
}

func (w *work) path(name string) string { return filepath.Join(w.dir, name) }

// input is what a filter reads.
func (w *work) input(f filter) input {
	switch {
	case f.fewer:
		return w.tenth
	case f.shows:
		return w.shown
	}
	return w.full
}

// makeInput writes n records, and counts what each row makes of them.
func (w *work) makeInput(name string, n int, texts iter.Seq[[]byte]) (input, int, error) {
	in := input{path: w.path(name), records: n, kept: make([]int, len(w.rows))}
	file, err := os.Create(in.path)
	if err != nil {
		return in, 0, err
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	size := 0
	for text := range texts {
		var record map[string]any
		if err := json.Unmarshal(text, &record); err != nil {
			return in, 0, err
		}
		for i, r := range w.rows {
			in.kept[i] += r.kept(record)
		}
		size += len(text)
		buffered.Write(text)
		buffered.WriteByte('\n')
	}
	return in, size, buffered.Flush()
}

// A module is a guest in the forms that filters load.
type module struct{ wasm, aot, function string }

// module writes a module, from a text or a binary.
func (w *work) module(name, function string, code []byte) (module, error) {
	if strings.HasSuffix(name, ".wat") {
		// The built-in filter reads no text.
		var err error
		if code, err = wasmtime.Wat2Wasm(string(code)); err != nil {
			return module{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	m := module{wasm: w.path(strings.TrimSuffix(name, filepath.Ext(name)) + ".wasm"), function: function}
	if err := os.WriteFile(m.wasm, code, 0o666); err != nil {
		return m, err
	}
	if wamrc := os.Getenv("FLB_WAMRC"); wamrc != "" {
		m.aot = strings.TrimSuffix(m.wasm, ".wasm") + ".aot"
		if out, err := exec.Command(wamrc, "-o", m.aot, m.wasm).CombinedOutput(); err != nil {
			return m, fmt.Errorf("%s %s: %w\n%s", wamrc, m.wasm, err, out)
		}
	}
	return m, nil
}

// guest is a module in this project's filter.
func (m module) guest(format string) filter {
	return filter{name: "wasmtime", options: []string{
		"wasm_path", m.wasm, "function_name", m.function, "event_format", format}}
}

// guests is a module in the wasm filters, for records as JSON. In MessagePack the
// built-in has no column: it cuts a reply at its first zero byte, and there is one
// in every record of these.
func (m module) guests() [columns]filter {
	builtIn := func(path string) filter {
		if path == "" {
			return filter{}
		}
		return filter{name: "wasm", options: []string{"wasm_path", path, "function_name", m.function}}
	}
	return [columns]filter{here: m.guest("json"), interpreter: builtIn(m.wasm), aot: builtIn(m.aot)}
}

func (w *work) makeRows() error {
	if wamrc := os.Getenv("FLB_WAMRC"); wamrc != "" {
		out, err := exec.Command(wamrc, "--version").Output()
		if err != nil {
			return fmt.Errorf("FLB_WAMRC: %s --version: %w", wamrc, err)
		}
		w.wamrc = strings.TrimSpace(string(out))
	}

	modules := map[string]module{}
	for _, m := range []struct {
		name, function string
		read           func() ([]byte, error)
	}{
		{"wrap.wat", "filter", func() ([]byte, error) { return []byte(guests.WAT("wrap")), nil }},
		{"add_json.wat", "filter", func() ([]byte, error) { return testdata.ReadFile("testdata/add_json.wat") }},
		{"add_msgpack.wat", "filter", func() ([]byte, error) { return testdata.ReadFile("testdata/add_msgpack.wat") }},
		{"add_batch.wat", "filter", func() ([]byte, error) { return testdata.ReadFile("testdata/add_batch.wat") }},
		{"look_msgpack.wat", "filter", func() ([]byte, error) { return testdata.ReadFile("testdata/look_msgpack.wat") }},
		{"look_batch.wat", "filter", func() ([]byte, error) { return testdata.ReadFile("testdata/look_batch.wat") }},
		{"drop_msgpack.wat", "filter", func() ([]byte, error) { return testdata.ReadFile("testdata/drop_msgpack.wat") }},
		{"identity.wat", "filter", func() ([]byte, error) { return []byte(guests.WAT("identity")), nil }},
		{"msgpack_identity.wat", "filter", func() ([]byte, error) { return []byte(guests.WAT("msgpack_identity")), nil }},
		{"enrich.wasm", "enrich", func() ([]byte, error) { return os.ReadFile(filepath.Join(w.root, "examples/rust/bare/enrich.wasm")) }},
		{"showcase_c.wasm", "filter", func() ([]byte, error) { return os.ReadFile(filepath.Join(w.root, "examples/showcase/batch.wasm")) }},
		{"showcase_sdk.wasm", "filter", func() ([]byte, error) {
			return os.ReadFile(filepath.Join(w.root, "examples/showcase-c/showcase.wasm"))
		}},
		{"showcase_rust.wasm", "filter", func() ([]byte, error) {
			return os.ReadFile(filepath.Join(w.root, "examples/showcase-rust/showcase.wasm"))
		}},
		{"showcase_serde.wasm", "filter", func() ([]byte, error) {
			return os.ReadFile(filepath.Join(w.root, "test/toolchains/serde/showcase.wasm"))
		}},
		{"hello.wasm", "hello", func() ([]byte, error) { return os.ReadFile(filepath.Join(w.root, "examples/hello-rust/hello.wasm")) }},
	} {
		code, err := m.read()
		if err != nil {
			return err
		}
		if modules[m.name], err = w.module(m.name, m.function, code); err != nil {
			return err
		}
	}
	identity, enrich, hello := modules["identity.wat"], modules["enrich.wasm"], modules["hello.wasm"]
	msgpack := func(name string) [columns]filter {
		return [columns]filter{here: modules[name].guest("msgpack")}
	}

	script, err := testdata.ReadFile("testdata/filters.lua")
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.path("filters.lua"), script, 0o666); err != nil {
		return err
	}
	table, err := os.ReadFile(filepath.Join(w.root, "examples/showcase/geo.csv"))
	if err != nil {
		return err
	}
	// Where the script looks for it, for the working directory is this one.
	if err := os.WriteFile(w.path("geo.csv"), table, 0o666); err != nil {
		return err
	}
	luaFilter := func(function string) filter {
		return filter{name: "lua", options: []string{"script", w.path("filters.lua"), "call", function}}
	}

	all := func(map[string]any) int { return 1 }
	notDebug := func(record map[string]any) bool { return record["level"] != "debug" }
	one := func(keeps bool) int {
		if keeps {
			return 1
		}
		return 0
	}
	has := func(key string, value any) func(map[string]any) bool {
		return func(body map[string]any) bool { return hasSeq(body) && body[key] == value }
	}
	w.rows = []row{
		{title: "wraps the record in new JSON", kept: all,
			made: func(body map[string]any) bool {
				record, _ := body["record"].(map[string]any)
				return body["tag"] == "app" && body["sec"] != nil && record["seq"] != nil && len(body) == 3
			},
			filters: modules["wrap.wat"].guests()},
		{title: "adds a key, JSON; `modify` Add", kept: all, made: has("k", "v"), filters: modules["add_json.wat"].guests()},
		{title: "adds a key, MessagePack; `record_modifier` Record", kept: all, made: has("k", "v"),
			filters: msgpack("add_msgpack.wat")},
		{title: "drops level debug, MessagePack; `grep` Exclude", kept: func(record map[string]any) int { return one(notDebug(record)) }, made: notDebug,
			filters: msgpack("drop_msgpack.wat")},
		{title: "returns the record, JSON", kept: all, made: has("k", nil), filters: identity.guests()},
		{title: "returns the record, MessagePack", kept: all, made: has("k", nil),
			filters: msgpack("msgpack_identity.wat")},
		{title: "adds a key, batches", kept: all, made: has("k", "v"), filters: msgpack("add_batch.wat")},
		{title: "looks at a key, MessagePack", kept: all, made: has("k", nil), filters: msgpack("look_msgpack.wat")},
		{title: "looks at a key, batches", kept: all, made: has("k", nil), filters: msgpack("look_batch.wat")},
		{title: "`examples/rust/bare`: adds three keys, drops two levels",
			kept:    func(record map[string]any) int { return one(notDebug(record) && record["level"] != "trace") },
			made:    func(body map[string]any) bool { return body["severity_number"] != nil && body["tag"] == "app" },
			filters: enrich.guests()},
		{title: "`examples/hello-rust`: parses and prints by serde_json", heavy: true, kept: all,
			made: func(body map[string]any) bool {
				original, _ := body["original"].(string)
				return body["lang"] == "Rust" && json.Valid([]byte(original))
			},
			filters: hello.guests()},
	}
	shown := func(title, module string) row {
		r := row{title: title, shows: true,
			kept: func(record map[string]any) int {
				if items, ok := record["items"].([]any); ok && notDebug(record) {
					return len(items)
				}
				return one(notDebug(record))
			},
			made: func(body map[string]any) bool {
				note, _ := body["note"].(string)
				return body["environment"] == "production" && body["count"] != nil && !strings.Contains(note, "@") &&
					(body["country"] == nil) == (body["client_ip"] == nil || body["client_ip"] == "203.0.113.9")
			}}
		r.filters[here] = modules[module].guest("json").with("split", "on").with("config.environment", "production").
			with("config.geo_path", "country").with("store_limit", "1M").with("table.geo", w.path("geo.csv")).
			with("cache_dir", w.path("cache")) // what checks a filter before it is timed compiles the module
		return r
	}
	bySDK := shown("`examples/showcase-rust`: masks, adds, splits, counts, by the SDK", "showcase_rust.wasm")
	bySDK.filters[lua] = luaFilter("showcase")
	bySDK.filters[copies] = filter{name: "copies", made: hasSeq}
	w.rows = append(w.rows, bySDK,
		shown("the same in C by the SDK, `examples/showcase-c`", "showcase_sdk.wasm"),
		shown("the same in C without an SDK, `examples/showcase`", "showcase_c.wasm"),
		shown("the same by serde_json, JSON", "showcase_serde.wasm"))
	for i := range w.rows {
		for c := range w.rows[i].filters {
			w.rows[i].filters[c].shows = w.rows[i].shows
		}
	}
	w.rows[1].filters[native] = filter{name: "modify", options: []string{"add", "k v"}}
	w.rows[1].filters[lua] = luaFilter("add")
	w.rows[2].filters[native] = filter{name: "record_modifier", options: []string{"record", "k v"}}
	w.rows[2].filters[lua] = luaFilter("add")
	w.rows[3].filters[native] = filter{name: "grep", options: []string{"exclude", "level ^debug$"}}
	w.rows[3].filters[lua] = luaFilter("drop")
	w.rows[4].filters[lua] = luaFilter("keep")
	w.heavy().filters[interpreter].fewer = true
	for i := range 3 {
		w.rows[i].filters[copies] = filter{name: "copies", made: hasSeq}
	}
	return nil
}

// hasSeq tells a record from something else.
func hasSeq(body map[string]any) bool { return body["seq"] != nil }

// heavy is the row of the heavy guest, which keeps all records.
func (w *work) heavy() *row {
	return &w.rows[slices.IndexFunc(w.rows, func(r row) bool { return r.heavy })]
}
