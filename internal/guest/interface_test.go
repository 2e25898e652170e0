package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"
	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// ofWasmtime returns a type as wasmtime has it. It ends the process at types that
// wasmtime-go does not know.
func ofWasmtime(t *wasmtime.ExternType) string {
	list := func(types []*wasmtime.ValType) string {
		var names []string
		for _, t := range types {
			names = append(names, t.Kind().String())
		}
		return strings.Join(names, ", ")
	}
	switch {
	case t.FuncType() != nil:
		results := list(t.FuncType().Results())
		if len(t.FuncType().Results()) != 1 {
			results = "(" + results + ")"
		}
		return "func (" + list(t.FuncType().Params()) + ") -> " + results
	case t.MemoryType() != nil:
		m := memoryType{pages: t.MemoryType().Minimum()}
		m.bounded, m.maxPages = t.MemoryType().Maximum()
		return m.String()
	case t.GlobalType() != nil:
		return "global " + t.GlobalType().Content().Kind().String()
	default:
		return "table " + t.TableType().Element().Kind().String()
	}
}

const manyKinds = `(module
  (import "a" "f" (func (param i32 i64 f32 f64) (result f32 f64)))
  (import "a" "g" (global (mut i64)))
  (import "a" "t" (table 1 2 externref))
  (import "a" "m" (memory 1 5))
  (import "" "" (func (result funcref)))
  (global (export "g1") i32 (i32.const -7))
  (global (export "g2") (mut i64) (i64.const 9223372036854775807))
  (global (export "g3") f32 (f32.const 1.5))
  (global (export "g4") f64 (f64.const nan))
  (global (export "g5") funcref (ref.func 0))
  (global (export "g6") (mut externref) (ref.null extern))
  (global (export "g7") i64 (global.get 0))
  (global (export "g8") i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3))))
  (table (export "t2") 3 4 funcref)
  (memory (export "memory") 300 70000 )
  (memory (export "m3") 2)
  (export "g0" (global 0))
  (export "f0" (func 0))
  (export "m0" (memory 0))
  (export "t0" (table 0))
  (func (export "none"))
  (func (export "ref") (param externref) (result funcref i32) (ref.null func) (i32.const 1)))`

// Imports and exports are what wasmtime says, in its order, for modules of which it
// can say it.
func TestInterface(t *testing.T) {
	texts := map[string]string{"many kinds": strings.Replace(strings.Replace(manyKinds, "70000 ", "30000", 1), `(global.get 0)`, `(i64.const 5)`, 1)}
	for _, name := range guests.Names() {
		texts[name] = guests.WAT(name)
	}
	engine, err := engineFor(0)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range texts {
		wasm, err := wasmtime.Wat2Wasm(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		module, err := wasmtime.NewModule(engine, wasm)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var exports, imports []item
		for _, e := range module.Exports() {
			exports = append(exports, item{name: e.Name(), typ: ofWasmtime(e.Type())})
		}
		for _, i := range module.Imports() {
			imports = append(imports, item{module: i.Module(), name: *i.Name(), typ: ofWasmtime(i.Type())})
		}
		module.Close()
		sections, err := interfaceSections(wasm)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, wasm := range [][]byte{wasm, sections} {
			got, err := readInterface(wasm)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if diff := cmp.Diff(exports, got.exports, cmp.AllowUnexported(item{})); diff != "" {
				t.Errorf("%s: exports (-want +got)\n%s", name, diff)
			}
			if diff := cmp.Diff(imports, got.imports, cmp.AllowUnexported(item{})); diff != "" {
				t.Errorf("%s: imports (-want +got)\n%s", name, diff)
			}
		}
	}
}

// Modules with all that WebAssembly has load, or are refused in words. Types that can't
// be reached through wasmtime's C API end no process.
func TestExoticModules(t *testing.T) {
	for _, test := range []struct {
		fields string
		says   string // part of what is exported or imported; "" if the module may be refused
	}{
		{`(func (export "x") (param v128) (result v128) local.get 0)`, "x: func (v128) -> v128"},
		{`(global (export "x") v128 (v128.const i64x2 1 2)) (global (export "y") i32 (i32.const 1))`, "x: global v128"},
		{`(global (export "x") v128 (v128.const i64x2 1 2)) (global (export "y") i32 (i32.const 1))`, "y: global i32"},
		{`(import "a" "x" (func (param v128)))`, "a.x: func (v128) -> ()"},
		{`(import "a" "x" (global (mut v128)))`, "a.x: global v128"},
		{`(func (export "x") (param externref funcref))`, "x: func (externref, funcref) -> ()"},
		{`(table (export "x") i64 1 externref)`, "x: table externref"},
		{`(table (export "x") 1 funcref)`, "x: table funcref"},
		{`(memory (export "x") i64 1)`, "x: memory 1 pages"},
		{`(memory (export "x") 1 2 shared)`, "x: memory 1..2 pages"},
		{`(import "a" "x" (memory 1 2 shared))`, "a.x: memory 1..2 pages"},
		{`(global (export "x") i64 (i64.sub (i64.const 3) (i64.const 1)))`, "x: global i64"},
		{`(type $t (func)) (func (export "x") (param (ref $t)))`, ""},
		{`(type $t (func)) (global (export "x") (ref null $t) (ref.null $t))`, ""},
		{`(type $t (func)) (table (export "x") 1 (ref $t) (ref.func $f)) (func $f) (elem declare func $f)`, ""},
		{`(func (export "x") (param (ref func) (ref extern) (ref null nofunc)))`, ""},
		{`(func (export "x") (param anyref eqref i31ref structref arrayref nullref))`, ""},
		{`(func (export "x") (param exnref nullexnref))`, ""},
		{`(tag (export "x") (param i32))`, ""},
		{`(import "a" "x" (tag (param i64)))`, "a.x: tag"},
		{`(rec (type $a (struct (field (mut i8) (ref null $b)))) (type $b (array i16))) (func (export "x") (param (ref $a)))`, ""},
		{`(type $a (sub (struct))) (type $b (sub final $a (struct (field i32)))) (global (export "x") (ref null $b) (ref.null $b))`, ""},
		{`(memory (export "x") 1 (pagesize 1))`, ""},
	} {
		text := "(module " + test.fields + ` (memory (export "memory") 1)
			(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) local.get 4))`
		wasm, err := wasmtime.Wat2Wasm(text)
		if err != nil {
			t.Fatalf("%s: %v", test.fields, err)
		}
		// Those that this wasmtime refuses as well: another may not.
		m, err := readInterface(wasm)
		if err != nil || m.export("x") == nil && m.imports == nil || m.memory == nil {
			t.Errorf("%s: %+v, %v", test.fields, m, err)
		}
		if !slices.ContainsFunc(append(m.exports, m.imports...), func(i item) bool { return strings.Contains(i.String(), test.says) }) {
			t.Errorf("%s: %v %v", test.fields, m.exports, m.imports)
		}
		path := filepath.Join(t.TempDir(), "exotic.wasm")
		if err := os.WriteFile(path, wasm, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Inspect(Source{Path: path}, Config{Function: "filter"})
		switch {
		case test.says == "" && err != nil: // in words
		case err != nil, !strings.HasPrefix(test.says, "a.x:") && len(r.Problems) > 0 && !strings.Contains(r.Problems[0], "build it without threads"):
			t.Errorf("%s: %v, %q", test.fields, err, r.Problems)
		case strings.HasPrefix(test.says, "a.x:") && (len(r.Problems) != 1 || !strings.Contains(r.Problems[0], test.says)):
			t.Errorf("%s: %q", test.fields, r.Problems)
		}
	}
}

// What can't be read of a constant costs the text of types, no more.
func TestUnknownConstant(t *testing.T) {
	wasm, err := wasmtime.Wat2Wasm(`(module (type $a (array i8)) (global (export "a") (ref $a) (array.new_default $a (i32.const 3)))
		(global (export "b") i32 (i32.const 1)) (func (export "f")))`)
	if err != nil {
		t.Fatal(err)
	}
	m, err := readInterface(wasm)
	if got := fmt.Sprint(m.exports); err != nil || got != "[a: global (ref 0) b: global f: func () -> ()]" {
		t.Errorf("%s, %v", got, err)
	}
}

// Bytes that are no module are an error, or little.
func FuzzReadInterface(f *testing.F) {
	for _, text := range []string{manyKinds, guests.WAT("identity")} {
		wasm, err := wasmtime.Wat2Wasm(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wasm)
	}
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x07\x05\xff\xff\xff\xff\x0f"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x01\x06\x01\x4e\xff\xff\xff\x0f"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x06\x06\xff\xff\xff\xff\x0f\x7f"))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := readInterface(wasm)
		if n := len(m.imports) + len(m.exports); n > len(wasm) {
			t.Errorf("%d imports and exports of %d bytes", n, len(wasm))
		}
		sections, sectionsErr := interfaceSections(wasm)
		if err == nil && (sectionsErr != nil || len(sections) > len(wasm)) {
			t.Errorf("%d of %d bytes, %v", len(sections), len(wasm), sectionsErr)
		}
	})
}
