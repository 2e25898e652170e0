package options

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the files that are made from the table")

// The host's config map and the README's table are made from Table; -update
// writes them.

func TestConfigMap(t *testing.T) {
	compare(t, "../../config_map.inc", configMap("filter", Table))
	compare(t, "../../config_map_output.inc", configMap("output", OutputTable))
}

// configMap is a table as config map entries.
func configMap(whose string, table []Option) string {
	types := map[Type]string{String: "CONFIG_MAP_STR", Size: "CONFIG_MAP_SIZE", List: "CONFIG_MAP_CLIST",
		Time: "CONFIG_MAP_TIME", Int: "CONFIG_MAP_INT", Bool: "CONFIG_MAP_BOOL"}
	var b strings.Builder
	b.WriteString("// The " + whose + "'s options as config map entries. Made from internal/options by\n" +
		"// go test ./internal/options -update\n\n")
	for _, o := range table {
		def := "NULL"
		if o.Default != "" {
			def = strconv.Quote(o.Default)
		}
		kind, flags := types[o.Type], "0"
		if o.Prefix != "" {
			kind = "CONFIG_MAP_STR_PREFIX"
		}
		if o.Multiple {
			flags = "CONFIG_MAP_MULT"
		}
		fmt.Fprintf(&b, "{%s, %q, %s, %s, 0, 0,\n %q},\n", kind, o.Name, def, flags, o.Help)
	}
	return b.String()
}

func TestReadme(t *testing.T) {
	readmeTable(t, "<!-- options: made from internal/options -->\n", "<!-- /options -->", Table)
	readmeTable(t, "<!-- output options: made from internal/options -->\n", "<!-- /output options -->", OutputTable)
}

func readmeTable(t *testing.T, begin, end string, table []Option) {
	t.Helper()
	path := "../../README.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("README.md has no table between %q and %q", begin, end)
	}
	var b strings.Builder
	b.WriteString("| option | takes | default | meaning |\n|---|---|---|---|\n")
	for _, o := range table {
		def := "none"
		switch {
		case o.Required:
			def = "must be set"
		case o.Default != "":
			def = "`" + o.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", o.Label(), o.Type, def, o.Help)
	}
	compare(t, path, before+begin+b.String()+end+after)
}

func compare(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what the table says (-want +got); run go test ./internal/options -update\n%s", path, diff)
	}
}

func TestParse(t *testing.T) {
	dir := t.TempDir()
	got, err := Parse(set(map[string]string{
		"wasm_path": " /x.wasm ", "wasm_sha256": "SHA256:" + strings.Repeat("Ab", 32), "function_name": "f", "event_format": "MsgPack",
		"accessible_paths": dir + ":rw , /", "wasm_heap_size": "64k", "wasm_stack_size": "2MB",
		"env": "A=1, B=x=y,C=", "on_error": "Mark", "timeout": "250ms", "memory_limit": "1G",
		"recycle_memory": "0", "workers": "4", "breaker_failures": "3", "breaker_backoff": "2",
		"store_limit": "16M", "metrics_series": "0",
		"init_function": "_start", "allocator": " get , put", "cache_dir": "/var/cache/x", "table_limit": "1M", "table_refresh": "0", "allow_precompiled": "On",
		"emit_tags": "tenant.*, alerts", "emit_on_busy": "Block 30s", "emitter_name": "em", "emitter_storage.type": "Filesystem", "emitter_mem_buf_limit": "1M", "tick_interval": "250ms",
		"on_start_error": "passthrough", "reload_module": "yes", "reload_interval": "100ms", "reload_probe": "0",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := Options{
		WasmPath: "/x.wasm", WasmSHA256: strings.Repeat("ab", 32), FunctionName: "f", EventFormat: Msgpack,
		AccessiblePaths: []Path{{dir, true}, {"/", false}}, WasmHeapBytes: 64_000, WasmStackBytes: 2_000_000,
		Env: []string{"A=1", "B=x=y", "C="}, TableLimitBytes: 1_000_000, OnError: Mark, Timeout: 250 * time.Millisecond,
		MemoryLimitBytes: 1_000_000_000, BreakerFailures: 3, BreakerBackoff: 2 * time.Second,
		BatchRecords: 1000, BatchBytes: 1_000_000, Workers: 4, InitFunction: "_start", Allocator: "get,put", CacheDir: "/var/cache/x", AllowPrecompiled: true,
		EmitTags: []string{"tenant.*", "alerts"}, EmitOnBusy: BlockBusy, EmitBlockTime: 30 * time.Second, EmitterName: "em", EmitterFilesystem: true,
		EmitterMemLimitBytes: 1_000_000, TickInterval: 250 * time.Millisecond,
		StoreLimitBytes: 16_000_000, OnStartError: StartWithout, ReloadModule: true, ReloadInterval: 100 * time.Millisecond,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseDefaults(t *testing.T) {
	got, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b"}))
	if err != nil {
		t.Fatal(err)
	}
	// As the built-in filter's, but for the paths: nothing is granted unasked.
	want := Options{
		WasmPath: "a", FunctionName: "b", EventFormat: JSON, WasmHeapBytes: 8192, WasmStackBytes: 8192,
		TableLimitBytes: 256_000_000, TableRefresh: 5 * time.Second,
		OnError: Passthrough, Timeout: time.Second, MemoryLimitBytes: 256_000_000, RecycleMemoryBytes: 64_000_000,
		BreakerFailures: 100, BreakerBackoff: time.Second, Workers: 1, BatchRecords: 1000, BatchBytes: 1_000_000, InitFunction: "auto", Allocator: "auto",
		EmitterMemLimitBytes: 10_000_000, TickInterval: time.Second, MetricsSeries: 1000, ReloadInterval: time.Second, ReloadProbe: 100,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ option, value string }{
		{"wasm_path", ""},
		{"wasm_sha256", "abc"},
		{"wasm_sha256", "sha512:" + strings.Repeat("a", 64)},
		{"wasm_sha256", strings.Repeat("g", 64)},
		{"wasm_sha256", strings.Repeat("a", 65)},
		{"function_name", " "},
		{"event_format", "xml"},
		{"event_format", ""},
		{"accessible_paths", "/,/does/not/exist"},
		{"accessible_paths", file},
		{"env", "A"},
		{"env", "=b"},
		{"env", "1A=b"},
		{"env", "A-B=c"},
		{"env", `A="b`},
		{"env", `A="b" c`},
		{"env", `A="b\d"`},
		{"env", `A="b\`},
		{"env", "A=\"b\x00\""},
		{"accessible_paths", `"/`},
		{"accessible_paths", `"/" x`},
		{"on_error", "ignore"},
		{"on_error", "route"},
		{"on_error", "route:"},
		{"on_error", "route:a\tb"},
		{"on_error", "route:$"},
		{"on_error", "route:" + strings.Repeat("t", 1025)},
		{"emit_tags", strings.Repeat("t", 1025)},
		{"emit_tags", "ok,a\x01b"},
		{"emit_on_busy", "wait"},
		{"emit_on_busy", "block"},
		{"emit_on_busy", "block soon"},
		{"emit_on_busy", "block 0"},
		{"emit_on_busy", "block 2h"},
		{"emit_on_busy", "keep 1s"},
		{"emitter_storage.type", "disk"},
		{"emitter_mem_buf_limit", "1"},
		{"tick_interval", "-1s"},
		{"timeout", "-1s"},
		{"timeout", "soon"},
		{"timeout", "11m"},
		{"timeout", "1 s"},
		{"memory_limit", "0"},
		{"memory_limit", "5G"},
		{"memory_limit", "-1"},
		{"memory_limit", "1.5M"},
		{"memory_limit", "8 M"},
		{"memory_limit", "M"},
		{"memory_limit", "9223372036854775807G"},
		{"recycle_memory", "x"},
		{"recycle_memory", "8KBB"},
		{"workers", "0"},
		{"workers", "65"},
		{"breaker_failures", "-1"},
		{"breaker_failures", "many"},
		{"breaker_backoff", "0"},
		{"store_limit", "5G"},
		{"store_limit", "-1"},
		{"metrics_series", "-1"},
		{"metrics_series", "100001"},
		{"on_start_error", "drop"},
		{"reload_module", "1"},
		{"reload_interval", "0"},
		{"reload_probe", "10001"},
	} {
		values := map[string]string{"wasm_path": "a", "function_name": "b", test.option: test.value}
		_, err := Parse(set(values))
		if err == nil {
			t.Errorf("%s = %q: no error", test.option, test.value)
			continue
		}
		value := strings.TrimSpace(test.value)
		if test.option == "env" { // a value may be a secret
			value, _, _ = strings.Cut(value, "=")
		}
		for _, part := range []string{test.option, strings.Trim(strconv.Quote(value), `"`)} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s = %q: the error does not name %q: %v", test.option, test.value, part, err)
			}
		}
	}
}

// Any text can be a value, and what needs no quotes needs none.
func TestEnv(t *testing.T) {
	for value, want := range map[string][]string{
		"":                       nil,
		" , ,":                   nil,
		"A=1":                    {"A=1"},
		"A=1,B=2 , _c3= x":       {"A=1", "B=2", "_c3= x"},
		"A=,B=":                  {"A=", "B="},
		"A=1,,B=2,":              {"A=1", "B=2"},
		"PATTERN=[0-9]{3,4}":     {"PATTERN=[0-9]{3,4}"},
		"A=x , y ,, z, B=1,2,=3": {"A=x , y ,, z", "B=1,2,=3"},
		"A=a=b,c":                {"A=a=b,c"},
		`A="B=1,C=2",D=3`:        {"A=B=1,C=2", "D=3"},
		`A=" x ", B="",C=3`:      {"A= x ", "B=", "C=3"},
		`A="say \"\\\n\r\t\""`:   {"A=say \"\\\n\r\t\""},
		`A=x"y"`:                 {`A=x"y"`},
		`J={"a":1,"b":[2,3]}`:    {`J={"a":1,"b":[2,3]}`},
		"A=ü,ß,B=\u202e":         {"A=ü,ß", "B=\u202e"},
		"A=two\nlines,B=1":       {"A=two\nlines", "B=1"},
	} {
		o, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b", "env": value}))
		if diff := cmp.Diff(want, o.Env); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", value, err, diff)
		}
	}
}

func TestEnvErrorsShowNoValue(t *testing.T) {
	for _, value := range []string{`A=sesame,B="sesame" sesame`, `A="sesame`, "1=sesame", "A=sesame,B=\"sesame\x00\"", `A="sesame\d"`} {
		_, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b", "env": value}))
		if err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// The built-in filter refuses no size, so a configuration that it runs has to run here.
func TestSizesOfTheBuiltInFilter(t *testing.T) {
	const most = 4_000_000
	for value, want := range map[string]struct {
		bytes  int64
		warned bool
	}{
		"8192": {8192, false}, "64k": {64_000, false}, "1.5k": {1_500, false}, "2MB": {2_000_000, false}, "4M": {most, false},
		"0": {0, false}, "false": {0, false}, "1e3": {1000, false}, "+5": {5, false}, "x8": {0, false},
		"4000001": {most, true}, "8M": {most, true}, "2G": {most, true}, "9223372036854775807G": {most, true},
		// -1 in Fluent Bit, which is the largest there is as a size_t.
		"-1": {most, true}, "-8k": {most, true}, "lots": {most, true}, "k": {0, false}, "8 k": {most, true}, "8KBB": {most, true},
		"8KK": {most, true}, "8B": {most, true}, "": {most, true},
	} {
		o, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b", "wasm_stack_size": value}))
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		if o.WasmStackBytes != want.bytes || (len(o.Warnings) > 0) != want.warned {
			t.Errorf("%q: %d bytes, warnings %q; want %v", value, o.WasmStackBytes, o.Warnings, want)
		}
		for _, part := range []string{"wasm_stack_size", fmt.Sprintf("%q", value), fmt.Sprint(want.bytes)} {
			if want.warned && !strings.Contains(o.Warnings[0], part) {
				t.Errorf("%q: the warning does not have %s: %s", value, part, o.Warnings[0])
			}
		}
	}
	// The room for records has to have its place in memory_limit.
	for limit, want := range map[string]int64{"256M": 16_000_000, "8M": 1_000_000, "65536": 8192} {
		values := map[string]string{"wasm_path": "a", "function_name": "b", "wasm_heap_size": "2G", "memory_limit": limit, "emit_to": "stdout"}
		o, err := Parse(set(values))
		if err != nil || o.WasmHeapBytes != want || len(o.Warnings) != 1 {
			t.Errorf("memory_limit %s: %d bytes, %q, %v; want %d", limit, o.WasmHeapBytes, o.Warnings, err, want)
		}
		out, err := ParseOutput("redact.3", set(values))
		if err != nil || out.WasmHeapBytes != want || len(out.Warnings) != 1 {
			t.Errorf("output, memory_limit %s: %d bytes, %q, %v; want %d", limit, out.WasmHeapBytes, out.Warnings, err, want)
		}
	}
}

func TestPathWithComma(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a, "b"`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := `/ , "` + strings.ReplaceAll(dir, `"`, `\"`) + `:rw",/tmp`
	o, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b", "accessible_paths": text}))
	if diff := cmp.Diff([]Path{{"/", false}, {dir, true}, {"/tmp", false}}, o.AccessiblePaths); err != nil || diff != "" {
		t.Errorf("%s: %v\n%s", text, err, diff)
	}
}

func set(values map[string]string) Source {
	return From(func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	})
}
