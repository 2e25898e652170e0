package command

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

const (
	hostileName = `x\0a[error] forged\1b[2K\e2\80\ae`
	signature   = `(param i32 i32 i32 i32 i32 i32) (result i32)`
)

// hostileGuest has hostile text wherever it can.
const hostileGuest = `(module (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 1000) "\0e\00\00\00\1b\00[\002\00K\00\0a\00\0d\00\2e\20")
  (func (export "` + hostileName + `") ` + signature + `
    (call $abort (i32.const 1004) (i32.const 0) (i32.const 1) (i32.const 1)) local.get 4))`

// What a module says reaches the terminal in lines of what can be seen, whichever
// command says it.
func TestModuleForgesNothing(t *testing.T) {
	hostile := writeFile(t, "hostile.wat", hostileGuest)
	imports := writeFile(t, "imports.wat", `(module (import "`+hostileName+`" "`+hostileName+`" (func)) (memory (export "memory") 1)
		(func (export "`+hostileName+`1") `+signature+` local.get 4) (func (export "`+hostileName+`2") `+signature+` local.get 4))`)
	for _, args := range [][]string{
		{"check", hostile}, {"check", imports}, {"check", "--function-name", "f", imports}, {"run", hostile}, {"run", imports},
		{"bench", "--records", "1", hostile}, {"bench", "--records", "1", "--json", hostile}, {"bench", imports}, {"inspect", hostile}, {"inspect", "--json", hostile}, {"inspect", imports}, {"annotate", hostile, "a=b"}, {"compile", "-o", filepath.Join(t.TempDir(), "x"), hostile},
	} {
		got := runMain(`{"a":1}`+"\n", args...)
		stdout := got.stdout
		if args[0] == "run" { // records are data
			stdout = ""
		}
		for line := range strings.Lines(stdout + got.stderr) {
			if strings.HasPrefix(line, "[error]") || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%v: %q", args[:2], line)
			}
		}
		if args[0] == "bench" && slices.Contains(args, "--json") {
			var f figures
			if err := json.Unmarshal([]byte(got.stdout), &f); err != nil || f.Function != "x\n[error] forged\x1b[2K\u202e" {
				t.Errorf("%q, %v", f.Function, err)
			}
		}
	}
}

// Nor does anything else: what writes a line or a table is the last to look.
func TestLinesAreLines(t *testing.T) {
	const text = "a\n[error] forged \x1b[2K\u202e"
	const want = `a\x0a[error] forged \x1b[2K\u{202e}`
	var b strings.Builder
	trial.Spec{Plugin: "wasmtime", Name: "wasmtime.0", LogLevel: hostlog.Info}.Log(logTo(&b))(hostlog.Info, text)
	say(&b, "%s", text)
	if err := writeReport(&b, guest.Report{Path: text, Function: text, Imports: []string{text}, Problems: []string{text}}); err != nil {
		t.Fatal(err)
	}
	b.Write((&figures{Module: text, Function: text}).table())
	if n := strings.Count(b.String(), want); n != 8 {
		t.Errorf("%d times in\n%q", n, b.String())
	}
	if strings.ContainsFunc(b.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		t.Errorf("%q", b.String())
	}
}

// All commands take the same options in the same form.
func TestSameFlags(t *testing.T) {
	for _, cmd := range []*cobra.Command{newRun(), newCheck(), newBench(), newCompile()} {
		for _, o := range options.Table {
			f := cmd.Flags().Lookup(strings.TrimPrefix(flagName(o), "--"))
			if f == nil || f.Usage != o.Help || f.DefValue != o.Default || (f.NoOptDefVal == "on") != (o.Type == options.Bool) {
				t.Errorf("%s, option %s: %+v", cmd.Name(), o.Name, f)
			}
		}
	}
	good := guestFile(t, "identity")
	out := filepath.Join(t.TempDir(), "out.cwasm")
	if got := runMain("", "compile", "-o", out, good); got.code != 0 {
		t.Fatal(got)
	}
	commands := [][]string{{"run", "--quiet"}, {"check"}, {"bench", "--records", "1"}, {"compile", "-o", out + "2"}}
	for _, c := range commands {
		for _, module := range [][]string{{good}, {"--wasm-path", good}} {
			if got := runMain("{}\n", slices.Concat(c, module, []string{"--timeout", "2s", "--env", "A=1,2"})...); got.code != 0 {
				t.Errorf("%v %v: %+v", c, module, got)
			}
		}
		if got := runMain("{}\n", append(c, good, "--timeout", "soon")...); got.code != 2 || !strings.Contains(got.stderr, `option timeout: invalid value "soon"`) {
			t.Errorf("%v: %+v", c, got)
		}
		if c[0] == "compile" { // of what is compiled already nothing is made
			continue
		}
		for value, code := range map[string]int{"": 0, "=on": 0, "=true": 0, "=YES": 0, "=off": 1, "=no": 1} {
			got := runMain("{}\n", append(c, "--allow-precompiled"+value, out)...)
			if ok := got.code == 0; ok != (code == 0) {
				t.Errorf("%v --allow-precompiled%s: %+v", c, value, got)
			}
		}
	}
}

func TestRunModule(t *testing.T) {
	module := guestFile(t, "wrap")
	records := writeFile(t, "in.ndjson", "{\"a\":1}\n")
	want := `{"tag":"t","sec":0,"record":{"a":1}}` + "\n"
	rest := []string{"--tag", "t", "--time", "1970-01-01T00:00:00Z", "--log-level", "off"}
	checkResult(t, runMain("", append([]string{"run", module, records}, rest...)...), 0, want)
	checkResult(t, runMain("{\"a\":1}\n", append([]string{"run", module}, rest...)...), 0, want)
	checkResult(t, runMain("", append([]string{"run", "--wasm-path", module, records, records}, rest...)...), 0, want+want)
	// It is the module only if nothing else is.
	if got := runMain("", append([]string{"run", "--wasm-path", module, module}, rest...)...); got.code != 1 || !strings.Contains(got.stderr, "not a JSON object") {
		t.Errorf("%+v", got)
	}
}

// check has the limits of a start, which options set.
func TestCheckHasOptions(t *testing.T) {
	module := writeFile(t, "large.wat", `(module (memory (export "memory") 100) (func (export "filter") `+signature+` local.get 4)
		(func (export "get") (param i32) (result i32) (i32.const 8)) (func (export "put") (param i32)))`)
	if got := runMain("", "check", module, "--memory-limit", "7M", "--allocator", "get,put"); got.code != 0 || !strings.Contains(got.stdout, "get and put, exported") {
		t.Errorf("%+v", got)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--memory-limit", "1M"}, "memory_limit is 1000000"},
		{[]string{"--allocator", "put,get"}, "allocator \"put,get\" does not name"},
		{[]string{"--init-function", "get"}, "init_function \"get\" is not"},
		{[]string{"--cache-dir", "/tmp/no/such"}, "cache_dir: not used"},
	} {
		got := runMain("", append([]string{"check", module}, test.args...)...)
		if !strings.Contains(got.stdout, test.want) || (got.code == 0) != strings.Contains(test.want, "cache") {
			t.Errorf("%v: %+v", test.args, got)
		}
	}
}

func TestCheckConfiguration(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.wat", guests.WAT("identity"))
	bad := write("bad.wat", guests.WAT("unknown_import"))
	filter := func(more string) string { return "[FILTER]\n  Name wasmtime\n  Match *\n" + more }
	output := func(more string) string { return "[OUTPUT]\n  Name wasmtime\n  Match *\n" + more }
	module := func(path, function string) string {
		return "  wasm_path " + path + "\n  function_name " + function + "\n"
	}
	for _, test := range []struct {
		name, text string
		code       int
		want       []string // parts of both outputs
	}{
		{"good", filter(module(good, "filter")) + output(module(good, "filter")+"  emit_to stdout\n  storage.total_limit_size 1M\n  retry_limit 2\n"), 0,
			[]string{"filter wasmtime.0\nmodule ", "output wasmtime.0\nmodule ", "the plugin would start\n"}},
		{"several faults", filter("  wasm_pth x\n") + filter(module(good, "fitler")) + filter(module(bad, "filter")) +
			filter(module("/no/such.wasm", "f")) + output(module(good, "filter")+"  emit_too stdout\n") + output(module(good, "filter")+"  emit_to udp://x\n"), 1,
			[]string{`:1: filter wasmtime.0: unknown option "wasm_pth" in line 4 (did you mean wasm_path?): known`, "(did you mean filter?)", "env.mystery",
				"filter wasmtime.3: option wasm_path: can't read the module: open /no/such.wasm", `output wasmtime.0: unknown option "emit_too" in line 25 (did you mean emit_to?)`,
				`output wasmtime.1: option emit_to: invalid value "udp://x"`}},
		{"an output of another plugin", "[OUTPUT]\n  Name stdout\n  Match *\n  emit_x y\n", 1, []string{"it has no active filter or processor called wasmtime or wasm, and no output called wasmtime"}},
		{"other filters", "[FILTER]\n  Name grep\n  Match *\n" + filter(module(good, "filter")), 0, []string{"filter grep.0 is not run here", "filter wasmtime.1\n"}},
		{"syntax", "[FILTER\n", 1, []string{"section header"}},
	} {
		got := runMain("", "check", "--config", write("fluent-bit.conf", test.text))
		if got.code != test.code {
			t.Errorf("%s: exit code %d, want %d", test.name, got.code, test.code)
		}
		for _, want := range test.want {
			if !strings.Contains(got.stdout+got.stderr, want) {
				t.Errorf("%s: %q is not in\n%s%s", test.name, want, got.stdout, got.stderr)
			}
		}
	}
	if got := runMain("", "check", "--config", "x", "--timeout", "1s"); got.code != 2 || !strings.Contains(got.stderr, "--timeout: options of the filter come from the file") {
		t.Errorf("%+v", got)
	}
}

// A configuration that does not end, or is a pipe, is refused, with what includes it.
func TestEndlessConfiguration(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo.conf")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(dir, "self.conf")
	for path, text := range map[string]string{
		"/dev/zero": "", fifo: "", "/proc/self/pagemap": "",
		filepath.Join(dir, "zero.conf"): "@INCLUDE /dev/zero\n",
		filepath.Join(dir, "pipe.conf"): "@INCLUDE " + fifo + "\n",
		self:                            "@INCLUDE " + self + "\n",
	} {
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, command := range []string{"run", "check"} {
			if got := runMain("", command, "--config", path); got.code == 0 || got.stderr == "" {
				t.Errorf("%s --config %s: %+v", command, path, got)
			}
		}
	}
}

func TestEndlessEvents(t *testing.T) {
	defer func(n int64) { maxMsgpackBytes = n }(maxMsgpackBytes)
	maxMsgpackBytes = 1 << 20
	got := runMain("", append(runArgs(t, "identity"), "--input-format", "msgpack", "/dev/zero")...)
	if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, "/dev/zero: more than 1048576 bytes") {
		t.Errorf("%+v", got)
	}
}

// A report of a module with very many exports names some of them.
func TestCheckManyExports(t *testing.T) {
	var text strings.Builder
	text.WriteString(`(module (memory (export "memory") 1) (func $f ` + signature + ` local.get 4)`)
	for i := range 20_000 {
		fmt.Fprintf(&text, "(export \"f%d\" (func $f))", i)
	}
	got := runMain("", "check", "--function-name", "filter", writeFile(t, "many.wat", text.String()+")"))
	if got.code != 1 || !strings.Contains(got.stdout, "f9 and 19990 more\n") || !strings.Contains(got.stdout, "and 19001 more\n") || strings.Count(got.stdout, "\n") > 1100 {
		t.Errorf("%d, %d lines, %.2000s", got.code, strings.Count(got.stdout, "\n"), got.stdout)
	}
}
