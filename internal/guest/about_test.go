package guest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"
	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

func binaryOf(tb testing.TB, text string) []byte {
	tb.Helper()
	wasm, err := wasmtime.Wat2Wasm(text)
	if err != nil {
		tb.Fatal(err)
	}
	return wasm
}

// custom is a module with sections of a name, written by another encoder than the one under test: the
// annotations of the text format.
func custom(tb testing.TB, contents ...string) []byte {
	tb.Helper()
	var text strings.Builder
	text.WriteString(`(module (@custom "other" "stays") (memory (export "memory") 1)`)
	for _, c := range contents {
		fmt.Fprintf(&text, " (@custom \"flb_module\" %s)", watString(c))
	}
	return binaryOf(tb, text.String()+")")
}

func watString(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "\\%02x", s[i])
	}
	return `"` + b.String() + `"`
}

func TestAbout(t *testing.T) {
	for _, test := range []struct {
		name     string
		sections []string
		want     map[string]string
		ignored  int
	}{
		{"none", nil, nil, 0},
		{"one", []string{"name=redact\nsdk=rust\n"}, map[string]string{"name": "redact", "sdk": "rust"}, 0},
		{"by linkers and C: without an end, a NUL, twice", []string{"name=a", "sdk=c\x00name=b\x00\x00"}, map[string]string{"name": "b", "sdk": "c"}, 0},
		{"an empty value, = in a value, CRLF", []string{"a=1\r\nb=c=d\r\na=\r\n"}, map[string]string{"b": "c=d"}, 0},
		{"not lines", []string{"a\n=b\nA=b\n a=b\nok=1\nx=\x1b[2K\ny=\xff\nz=\u202e\n" + strings.Repeat("k", 65) + "=v\nlong=" + strings.Repeat("v", 1025)},
			map[string]string{"ok": "1"}, 9},
		{"too many lines", []string{strings.Repeat("a=b\n", 105)}, map[string]string{"a": "b"}, 5},
		{"too long", []string{"first=1\n" + strings.Repeat("x=y\n", 20) + strings.Repeat("#", 20_000)}, map[string]string{"first": "1", "x": "y"}, 1},
	} {
		got, ignored := readAbout(custom(t, test.sections...))
		if diff := cmp.Diff(test.want, got); diff != "" || ignored != test.ignored {
			t.Errorf("%s: %d ignored, want %d\n%s", test.name, ignored, test.ignored, diff)
		}
	}
}

func TestAnnotate(t *testing.T) {
	plain := custom(t)
	wasm := custom(t, "name=a\nsdk=c\n", "junk\nname=b\n")
	out, err := Annotate("m.wasm", wasm, map[string]string{"source": "https://git.example/a?b=c", "sdk": "", "version": "1.0"})
	if err != nil {
		t.Fatal(err)
	}
	got, ignored := readAbout(out)
	want := map[string]string{"name": "b", "source": "https://git.example/a?b=c", "version": "1.0"}
	if diff := cmp.Diff(want, got); diff != "" || ignored != 0 {
		t.Errorf("%d ignored\n%s", ignored, diff)
	}
	if !bytes.HasPrefix(out, plain) {
		t.Error("other sections have changed")
	}
	again, err := Annotate("m.wasm", out, nil)
	if err != nil || !bytes.Equal(out, again) {
		t.Errorf("what is annotated again is another module: %v", err)
	}
	none, err := Annotate("m.wasm", out, map[string]string{"name": "", "source": "", "version": ""})
	if err != nil || !bytes.Equal(none, plain) {
		t.Errorf("%q, %v", none, err)
	}
	large := map[string]string{}
	for i := range 20 {
		large[fmt.Sprint("k", i)] = strings.Repeat("v", 1024)
	}
	for name, set := range map[string]map[string]string{"a key": {"A b": "c"}, "a line end": {"a": "b\nc"}, "an escape": {"a": "\x1b"}, "much": large} {
		if _, err := Annotate("m.wasm", wasm, set); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for path, content := range map[string]string{
		"m.wat": "(module)", "a component": "\x00asm\x0d\x00\x01\x00", "invalid": "\x00asm\x01\x00\x00\x00\x0a\x01\x01", "m.cwasm": precompiledMagic, "empty": "",
	} {
		if _, err := Annotate(path, []byte(content), nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// What toolchains write, as one of them writes it.
func TestProducers(t *testing.T) {
	wasm, err := os.ReadFile("testdata/lines/lines5.wasm")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(readProducers(wasm)); !strings.Contains(got, "{language C11 }") || !strings.Contains(got, "{processed-by Debian clang ") {
		t.Error(got)
	}
}

func TestDescribe(t *testing.T) {
	d, err := Describe("m.wat", []byte(`(module
		(import "flb_v1" "store_get" (func (param i32 i32 i32 i32) (result i32)))
		(import "flb_v1" "config_get" (func (param i32 i32 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
		(import "env" "mystery" (func))
		(memory (export "memory") 1)
		(@custom "flb_module" "abi=flb_filter\0asource=https://git.example/x\0a")
		(func (export "flb_batch_1")) (func (export "flb_buffer") (param i32) (result i32) i32.const 0)
		(func (export "f") (param i32 i32) (result i32) i32.const 0))`))
	if err != nil {
		t.Fatal(err)
	}
	if d.ABI != ABIBatch || !slices.Equal(d.Functions, []string{"f: func (i32, i32) -> i32"}) {
		t.Errorf("%s %q", d.ABI, d.Functions)
	}
	if !slices.Equal(d.Needs, []string{"store_limit"}) || !slices.Equal(d.Uses, []string{"config.KEY", "accessible_paths"}) {
		t.Errorf("needs %q, uses %q", d.Needs, d.Uses)
	}
	if len(d.Problems) != 1 || !strings.Contains(d.Problems[0], "env.mystery") || !maps.Equal(d.About, map[string]string{"abi": "flb_filter", "source": "https://git.example/x"}) {
		t.Errorf("%q %q", d.Problems, d.About)
	}
	if len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "its ABI is flb_filter") {
		t.Errorf("%q", d.Notes)
	}
	// Sections that can be read do not make a module.
	invalid := binaryOf(t, `(module (func (export "f") (result i32) i32.const 0))`)
	invalid[len(invalid)-3] = 0x42 // i64.const
	if _, err := Describe("m.wasm", invalid); err == nil || !strings.Contains(err.Error(), "is not a module") {
		t.Errorf("an invalid module: %v", err)
	}
	// Of machine code the interface is told, for whatever machine it is.
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/m.wat", []byte(guests.WAT("identity")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Compile(dir+"/m.wat", dir+"/m.cwasm", CompileConfig{}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(dir + "/m.cwasm")
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Replace(content, []byte(hostTarget()), []byte("riscv64-"+hostTarget()[8:]), 1)
	d, err = Describe("m.cwasm", content)
	if err != nil || d.Compiled == nil || !strings.HasPrefix(d.Compiled.Target, "riscv64-") || d.ABI != ABIFilter || len(d.Functions) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

// Bytes from anybody are described, or refused, and what is annotated stays what it was.
func FuzzDescribe(f *testing.F) {
	f.Add(binaryOf(f, guests.WAT("identity")))
	f.Add(custom(f, "name=a\n", "b"))
	f.Add([]byte(precompiledMagic + "\x02\x00\x00\x00{}"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x0bflb_module\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 0 && strings.HasPrefix(strings.TrimLeft(string(content), " \t\r\n"), "(") {
			return // the parser of the text format is wasmtime's
		}
		before, err := Describe("x", content)
		if err != nil {
			return
		}
		readAbout(content)
		readProducers(content)
		out, err := Annotate("x", content, map[string]string{"fuzz": "1"})
		if err != nil {
			return
		}
		after, err := Describe("x", out)
		if err != nil {
			t.Fatal(err)
		}
		if after.About["fuzz"] != "1" || after.ABI != before.ABI || !slices.Equal(after.Exports, before.Exports) || !slices.Equal(after.Imports, before.Imports) {
			t.Errorf("%+v\n%+v", before, after)
		}
	})
}
