package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// forged is what a hostile module has for a name or a text, in the text format: it ends a
// line, moves the cursor, turns the direction and is not plain.
const forged = `x\n[error] forged\1b[2K\e2\80\ae, y\22`

// checkLine is for what goes to a log: one line of what can be seen.
func checkLine(t *testing.T, what, line string) {
	t.Helper()
	if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%s: not printable at %d: %q", what, i, line)
	}
}

// Whatever a module has names and texts for: no message is more than a line.
func TestHostileNames(t *testing.T) {
	const filter = `(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) local.get 4)`
	const memory = `(memory (export "memory") 1)`
	for name, fields := range map[string]string{
		"import":            `(import "env` + forged + `" "` + forged + `" (func))` + memory + filter,
		"import of WASI":    `(import "wasi_snapshot_preview1" "` + forged + `" (func))` + memory + filter,
		"import of libc":    `(import "env" "` + forged + `" (func))` + memory + filter,
		"memory":            `(import "env" "` + forged + `" (memory 1))` + memory + filter,
		"export":            `(func (export "` + forged + `"))` + memory + filter,
		"candidates":        strings.Replace(filter, `"filter"`, `"`+forged+`1"`, 1) + strings.Replace(filter, `"filter"`, `"`+forged+`2"`, 1) + memory,
		"duplicate export":  `(func (export "` + forged + `")) (func (export "` + forged + `"))`,
		"name that traps":   memory + filter + `(func $f (@name "` + forged + `") unreachable) (start $f)`,
		"module that traps": memory + filter + `(func $f unreachable) (start $f)`,
		"not compiled":      `(func $f (@name "` + forged + `") (result i32) i64.const 1)`,
		"unknown in text":   `(func (export "` + forged + "\") (\x1b[2K))",
		"text of WASI":      `(import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))` + memory + filter + `(data (i32.const 0) "\08\00\00\00\20\00\00\00` + forged + `") (func $f (drop (call $w (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 64))) unreachable) (start $f)`,
	} {
		path := filepath.Join(t.TempDir(), "guest.wat")
		annotated := "(module " + fields + ")"
		if err := os.WriteFile(path, []byte(annotated), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Load(Source{Path: path})
		if err != nil {
			checkLine(t, name, err.Error())
			continue
		}
		for _, function := range []string{"filter", "nothing"} {
			config := Config{Function: function}
			r, err := Inspect(Source{Path: path}, config)
			if err != nil {
				t.Fatal(err)
			}
			for _, list := range [][]string{r.Exports, r.Imports, r.Candidates, r.Warnings, r.Problems, {r.Function, r.Allocator, r.Init, m.Summary(config)}} {
				for _, line := range list {
					checkLine(t, name, line)
				}
			}
			if in, err := m.NewInstance(config); err == nil {
				in.Close()
			} else {
				checkLine(t, name, err.Error())
			}
		}
		m.Close()
	}
}

// Names in messages end where they seem to.
func TestNamesAreQuoted(t *testing.T) {
	m := load(t, `(module (import "env" "a, b.c: func" (func)) (import "env. x" "y" (func)) (memory (export "memory") 1))`)
	if got := strings.Join(m.abi(Config{Function: "f"}).problems, "; "); !strings.Contains(got, `the module imports env."a, b.c: func": func () -> (), which`) ||
		!strings.Contains(got, `the module imports "env. x".y: func () -> (), which`) {
		t.Error(got)
	}
}

// What a guest aborts with, and why it ended otherwise, is told in one line and counted
// by a few fixed words.
func TestTrapKinds(t *testing.T) {
	abort := func(text string) string {
		var units strings.Builder
		for _, c := range text {
			fmt.Fprintf(&units, `\%02x\%02x`, byte(c), byte(c>>8))
		}
		return fmt.Sprintf(`(import "env" "abort" (func $abort (param i32 i32 i32 i32))) (data (i32.const 1000) "\%02x\00\00\00%s")`, 2*len([]rune(text)), units.String())
	}
	const callAbort = `(call $abort (i32.const 1004) (i32.const 1004) (i32.const 1) (i32.const 2))`
	const exit = `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`
	for _, test := range []struct{ imports, code, kind, reason string }{
		{"", `unreachable`, "unreachable code was reached (a panic or abort of the guest)", ""},
		{"", `(drop (i32.div_u (i32.const 1) (i32.const 0)))`, "integer division by zero", ""},
		{"", `(loop br 0)`, "timeout", "longer than the timeout of 50ms"},
		{exit, `(call $exit (i32.const 3))`, "exit", "status 3"},
		{exit, `(call $exit (i32.const 200))`, "exit", "status 200"},
		{abort("\x1b[2K\nx\u202e\u0085"), callAbort, "abort", `abort: \x1b[2K\x0ax\u{202e}\u{85} in \x1b`},
		{abort("a\nerror while executing at wasm backtrace\nlast"), callAbort, "abort", `abort: a\x0aerror`},
	} {
		in := instantiate(t, `(module `+test.imports+` (memory (export "memory") 1)
			(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) `+test.code+` (local.get 4)))`, Config{Timeout: 50 * time.Millisecond})
		var b Batch
		b.In = append(b.In, "{}"...)
		b.Add(0, 0, 0)
		_, err := in.Run(nil, &b, 0, 1)
		b.Close()
		var trap *TrapError
		if !errors.As(err, &trap) || trap.Kind != test.kind || !strings.Contains(trap.Reason, test.reason) {
			t.Errorf("%s: %+v, want %s, %s", test.code, err, test.kind, test.reason)
			continue
		}
		checkLine(t, test.code, trap.Reason)
	}
}

// Of wasmtime's messages one line is left, whatever they quote.
func TestReason(t *testing.T) {
	for message, want := range map[string]string{
		"plain":                          "plain",
		"outer\n\nCaused by:\n    inner": "outer: inner",
		"bad\n     --> <anon>:3:7\n      |\n    3 | (\x1b)\n      | ^":                                     "bad: at line:column 3:7",
		"unknown import: `a\n\x1b[2K\u202e::b`":                                                            `unknown import: ` + "`a: " + `\x1b[2K\u{202e}::b` + "`",
		"error while executing at wasm backtrace:\n    0: 0x1 - x!a\nb\n\nCaused by:\n    wasm trap: \x1b": `wasm trap: \x1b`,
	} {
		if got := reason(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

// Messages name a few of many, and it takes no time that grows with their square: with
// so many exports it would take hours.
func TestManyExports(t *testing.T) {
	const many = 1 << 20
	m := &Module{moduleInterface: moduleInterface{byName: map[string]int{}, memory: &memoryType{}}}
	for i := range many {
		m.byName[fmt.Sprint("f", i)] = i
		m.exports = append(m.exports, item{name: fmt.Sprint("f", i), typ: "func " + filterSignature})
		m.imports = append(m.imports, item{module: "m", name: fmt.Sprint("i", i), typ: "func () -> ()"})
	}
	p := m.abi(Config{Function: "missing"})
	if len(p.problems) != 2 || len(p.problems[0])+len(p.problems[1]) > 2000 ||
		!strings.Contains(p.problems[0], "f9 and 1048566 more") || !strings.Contains(p.problems[1], "m.i9: func () -> () and 1048566 more") {
		t.Errorf("%.3000q", p.problems)
	}
	if n := len(m.Candidates()); n != many {
		t.Errorf("%d candidates", n)
	}
	m.Warnings(Config{})
	if list := listed(m.exports, item.quoted); len(list) != maxListed+1 || list[maxListed] != "and 1047576 more" {
		t.Errorf("%d listed, at last %q", len(list), list[len(list)-1])
	}
}

// The looks that check takes have the limits of a start.
func TestInspectHasLimits(t *testing.T) {
	defer func(d time.Duration) { startTimeout = d }(startTimeout)
	startTimeout = 50 * time.Millisecond
	const filter = `(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) local.get 4)`
	for _, test := range []struct{ fields, want string }{
		{`(memory (export "memory") 1) (func $s (loop br 0)) (start $s)`, "it took longer than 50ms"},
		{`(memory (export "memory") 1) (func (export "_initialize") (loop br 0))`, "_initialize failed: it took longer than 50ms"},
		{`(memory (export "memory") 100)`, "memory"},
	} {
		path := filepath.Join(t.TempDir(), "guest.wat")
		if err := os.WriteFile(path, []byte("(module "+test.fields+filter+")"), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Inspect(Source{Path: path}, Config{Function: "filter", Timeout: time.Millisecond, MemoryLimitBytes: 1 << 20})
		if err != nil || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], test.want) {
			t.Errorf("%s: %v, %q; want %q", test.fields, err, r.Problems, test.want)
		}
	}
}

// Warnings are said where they are true, with what helps there.
func TestWarnings(t *testing.T) {
	const wasi = `(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))`
	const malloc = `(func (export "malloc") (param i32) (result i32) (i32.const 8))`
	const sized = `(func (export "free") (param i32 i32))`
	for _, test := range []struct{ name, fields, allocator, want string }{
		{"Rust or wasi-libc without an exported allocator", wasi, "", ""},
		{"malloc and free", malloc + `(func (export "free") (param i32))`, "", ""},
		{"chosen", malloc + sized, "malloc,free", ""},
		{"host chosen", malloc + sized, "host", ""},
		{"free with a size", malloc + sized, "", "set allocator malloc,free"},
		{"malloc alone", malloc, "", "only one is exported"},
		{"malloc of another type", `(func (export "malloc")) (func (export "free"))`, "", "malloc must be func (i32) -> i32 and free func (i32) -> ()"},
		{"command", `(func (export "_start"))`, "", "set init_function _start"},
	} {
		m := load(t, `(module `+test.fields+`(memory (export "memory") 1)
			(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) local.get 4))`)
		got := strings.Join(m.Warnings(Config{Function: "filter", Allocator: test.allocator}), "; ")
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		// What the advice is must work.
		if _, advice, ok := strings.Cut(got, "set allocator "); ok {
			allocator, _, _ := strings.Cut(advice, " ")
			if p := m.abi(Config{Function: "filter", Allocator: allocator}); len(p.problems) > 0 {
				t.Errorf("%s: allocator %s: %q", test.name, allocator, p.problems)
			}
		}
	}
}

// Configuration that nothing reads has a word.
func TestWarningOfConfiguration(t *testing.T) {
	for imports, reads := range map[string]bool{
		"": false,
		`(import "flb_v1" "log_enabled" (func (param i32) (result i32)))`:            false,
		`(import "flb_v1" "config_get" (func (param i32 i32 i32 i32) (result i32)))`: true,
		`(import "flb_v1" "config_key" (func (param i32 i32 i32) (result i32)))`:     true,
	} {
		m := load(t, `(module `+imports+`(memory (export "memory") 1)
			(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) local.get 4))`)
		for _, settings := range [][]Setting{nil, {{"a", "1"}}} {
			got := strings.Join(m.Warnings(Config{Function: "filter", Settings: settings}), "; ")
			if want := settings != nil && !reads; strings.Contains(got, "configuration is set") != want {
				t.Errorf("%s, %v: %q", imports, settings, got)
			}
		}
	}
}

// A function that is misspelt is found, and files that have no end are not read.
func TestMistakesAtStart(t *testing.T) {
	m := load(t, guests.WAT("identity"))
	if got := m.abi(Config{Function: "fitler"}).problems; len(got) != 1 || !strings.Contains(got[0], `function "fitler" is not exported (did you mean filter?)`) {
		t.Errorf("%q", got)
	}
	fifo := filepath.Join(t.TempDir(), "fifo.wasm")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero", "/proc/self/pagemap"} {
		if m, err := Load(Source{Path: path}); err == nil {
			m.Close()
			t.Errorf("%s is a module", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Error(err)
		}
	}
}

// A pipe in the place of an entry does not hold up a start.
func TestCacheEntryIsPipe(t *testing.T) {
	c := newCached(t, guests.WAT("wrap"))
	c.want(Compiled, "")
	entry := c.entries()[0]
	if err := os.Remove(entry); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(entry, 0o600); err != nil {
		t.Fatal(err)
	}
	c.want(Compiled, "not a regular file")
	c.want(Cached, "")
}
