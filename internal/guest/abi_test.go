package guest

import (
	"strings"
	"testing"
)

// initialised answers {"init":"…"} with the letters of what has been called since
// it was instantiated: i for _initialize, s for _start, p for __post_instantiate, c
// for __wasm_call_ctors, o for own. %s is for more fields.
const initialised = `(module
  %IMPORTS
  (memory (export "memory") 1)
  (global $n (mut i32) (i32.const 0))
  (data (i32.const 1000) "{\"init\":\"")
  (func $add (param $c i32)
    (i32.store8 (i32.add (i32.const 1009) (global.get $n)) (local.get $c))
    (global.set $n (i32.add (global.get $n) (i32.const 1))))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store16 (i32.add (i32.const 1009) (global.get $n)) (i32.const 0x7d22))
    (i32.const 1000))
  %FIELDS)`

func initModule(imports string, names ...string) string {
	var fields strings.Builder
	for _, name := range names {
		letter := map[string]string{"_initialize": "i", "_start": "s", "__post_instantiate": "p", "__wasm_call_ctors": "c", "own": "o"}[name]
		body := `(call $add (i32.const ` + map[string]string{"i": "105", "s": "115", "p": "112", "c": "99", "o": "111"}[letter] + `))`
		if name == "_start" && imports != "" {
			body += ` (call $exit (i32.const %STATUS))`
		}
		fields.WriteString(`(func (export "` + name + `") ` + body + ")\n")
	}
	return strings.NewReplacer("%IMPORTS", imports, "%FIELDS", fields.String()).Replace(initialised)
}

const importsExit = `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`

func TestInitFunction(t *testing.T) {
	all := []string{"__wasm_call_ctors", "__post_instantiate", "_start", "_initialize", "own"}
	exits := func(status string, names ...string) string {
		return strings.ReplaceAll(initModule(importsExit, names...), "%STATUS", status)
	}
	isGo := func(text string) string {
		return strings.TrimSuffix(text, ")") + `(@custom "producers" "Go cmd/compile"))`
	}
	for _, test := range []struct {
		name, text, init string
		want             string // letters, or the problem
	}{
		{"reactor", initModule("", all...), "", "ip"},
		{"auto", initModule("", all...), "auto", "ip"},
		{"none", initModule("", all...), "none", ""},
		{"own", initModule("", all...), "own", "o"},
		{"start is asked for", initModule("", all...), "_start", "s"},
		{"command", exits("0", "_start"), "", ""},
		{"command whose main is to run", exits("0", "_start"), "_start", "s"},
		{"command that exits badly", exits("3", "_start"), "_start", "_start failed"},
		{"command of Go", isGo(exits("0", "_start")), "", "s"},
		{"command of Go that exits badly", isGo(exits("2", "_start")), "", "_start failed"},
		{"reactor of Go", isGo(exits("0", "_start", "_initialize")), "", "i"},
		{"constructors", initModule("", "__wasm_call_ctors"), "", "c"},
		{"constructors of a module with WASI", exits("0", "__wasm_call_ctors"), "", ""},
		{"unknown", initModule("", "own"), "other", `init_function "other" is not an exported function`},
		{"no function of that type", initModule("", "own"), "filter", "of the type func () -> ()"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Go's own allocator has no part in this.
			in, err := load(t, test.text).NewInstance(Config{Function: "filter", Init: test.init, Allocator: "host"})
			if err != nil {
				if len(test.want) < 5 || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, want %q", err, test.want)
				}
				return
			}
			defer in.Close()
			var b Batch
			defer b.Close()
			for range 2 {
				if _, got := reply(t, in, &b, []byte("{}"), nil); string(got) != `{"init":"`+test.want+`"}` {
					t.Errorf("%s, want %q", got, test.want)
				}
			}
		})
	}
}

func TestCommandIsWarnedOf(t *testing.T) {
	m := load(t, initModule("", "_start"))
	if w := m.Warnings(Config{}); len(w) == 0 || !strings.Contains(w[0], "init_function _start") {
		t.Error(w)
	}
	for _, init := range []string{"_start", "none"} {
		if w := m.Warnings(Config{Init: init, Allocator: "host"}); len(w) > 0 {
			t.Error(init, w)
		}
	}
}

// An allocator under other names: get takes a size, put and put2 check that they
// are given what get answered, put2 the size too.
const namedAllocator = `(module
  (memory (export "memory") 1)
  (global $size (mut i32) (i32.const 0))
  (func (export "get") (param $n i32) (result i32) (global.set $size (local.get $n)) (i32.const 2048))
  (func $check (param $p i32) (if (i32.ne (local.get $p) (i32.const 2048)) (then unreachable)))
  (func (export "put") (param $p i32) (call $check (local.get $p)))
  (func (export "put2") (param $p i32) (param $n i32)
    (call $check (local.get $p))
    (if (i32.ne (local.get $n) (global.get $size)) (then unreachable)))
  (func (export "never") (param i32) unreachable)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (local.get 4) (i32.const 2048)) (then unreachable))
    (local.get 4)))`

func TestAllocator(t *testing.T) {
	for _, test := range []struct{ allocator, problem, stop string }{
		{"get,put", "", ""},
		{"get,put2", "", ""},
		{"get,never", "", "unreachable"},
		{"auto", "", "unreachable"},
		{"host", "", "unreachable"},
		{"get,none", "does not name two exported functions", ""},
		{"get", "does not name two exported functions", ""},
		{"put,get", "does not name two exported functions", ""},
	} {
		in, err := load(t, namedAllocator).NewInstance(Config{Function: "filter", Allocator: test.allocator})
		if err != nil {
			if test.problem == "" || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%s: %v", test.allocator, err)
			}
			continue
		}
		defer in.Close()
		if test.problem != "" {
			t.Errorf("%s: no problem", test.allocator)
		}
		b := Batch{In: []byte("{}")}
		defer b.Close()
		b.Add(0, 1, 2)
		_, err = in.Run(nil, &b, 0, 1)
		if (err != nil) != (test.stop != "") || err != nil && !strings.Contains(err.Error(), test.stop) {
			t.Errorf("%s: %v, want %q", test.allocator, err, test.stop)
		}
	}
}

func TestOlderWASI(t *testing.T) {
	const text = `(module
  (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  %MORE
  (memory (export "memory") 1)
  (data (i32.const 8) "old\n")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store (i32.const 0) (i32.const 8))
    (i32.store (i32.const 4) (i32.const 4))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    (local.get 4)))`
	in := instantiate(t, strings.Replace(text, "%MORE", "", 1), Config{})
	var b Batch
	defer b.Close()
	if outcome, _ := reply(t, in, &b, []byte("{}"), nil); outcome != Reply {
		t.Error(outcome)
	}
	if stdout, _ := in.TakeOutput(); string(stdout) != "old\n" {
		t.Errorf("%q", stdout)
	}
	missing := `(import "wasi_unstable" "sock_accept" (func (param i32 i32 i32) (result i32)))`
	_, err := load(t, strings.Replace(text, "%MORE", missing, 1)).NewInstance(Config{Function: "filter"})
	if err == nil || !strings.Contains(err.Error(), "wasi_unstable.sock_accept") || !strings.Contains(err.Error(), "no such function in this version of WASI") {
		t.Error(err)
	}
}

func TestTinyGoExports(t *testing.T) {
	const says = `(data (i32.const 4096) "//go:wasmexport function called before runtime initialization")`
	const named = `(@custom "name2" "probe#wasmexport")`
	const heap = `(func (export "malloc") (param i32) (result i32) (i32.const 8)) (func (export "free") (param i32))`
	for _, test := range []struct {
		name, fields string
		exports      []string
		problem      string
	}{
		{"command", says + heap, []string{"_start"}, "-buildmode=c-shared"},
		{"command, -panic=trap", heap + named, []string{"_start"}, "-buildmode=c-shared"},
		{"reactor", says + heap, []string{"_initialize"}, ""},
		{"no malloc", says, []string{"_initialize"}, "-target=wasip1"},
		{"older command", heap, []string{"_start"}, ""},
	} {
		text := strings.TrimSuffix(strings.TrimSpace(initModule("", test.exports...)), ")") + test.fields + ")"
		got := strings.Join(load(t, text).abi(Config{Function: "filter"}).problems, "; ")
		if !strings.Contains(got, test.problem) || (got == "") != (test.problem == "") {
			t.Errorf("%s: %q, want %q", test.name, got, test.problem)
		}
	}
}
