package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// The imports and exports of a module are read from its bytes. The C API of wasmtime
// knows the types of WebAssembly 1.0 and ends the process at some of the others
// (wasm_valtype_kind, crates/c-api/src/types/val.rs, v44.0.0), and its objects are not
// safe for use by several threads, not even to be read.

// item is an import or export; module is "" for exports.
type item struct {
	module, name string
	typ          string // as the text format names its parts
}

func (i item) String() string {
	name := hostlog.Name(i.name)
	if i.module != "" {
		name = hostlog.Name(i.module) + "." + name
	}
	return name + ": " + i.typ
}

// quoted is String for a message, where a type may not be as long as it likes.
func (i item) quoted() string { return hostlog.Printable(i.String(), maxTypeBytes) }

// memoryType is what the export "memory" is.
type memoryType struct {
	pages          uint64
	bounded        bool
	maxPages       uint64 // if it is bounded
	is64, isShared bool
}

func (m memoryType) String() string {
	s := fmt.Sprintf("memory %d", m.pages)
	if m.bounded {
		s += fmt.Sprintf("..%d", m.maxPages)
	}
	return s + " pages"
}

// moduleInterface is what a module asks for and gives.
type moduleInterface struct {
	imports, exports []item
	byName           map[string]int // of exports
	memory           *memoryType    // the export "memory"; nil: there is none
}

func (m *moduleInterface) export(name string) *item {
	i, ok := m.byName[name]
	if !ok {
		return nil
	}
	return &m.exports[i]
}

// Sections by their numbers (WebAssembly 3.0, 5.5.2).
const (
	sectionCustom   = 0
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionMemory   = 5
	sectionGlobal   = 6
	sectionExport   = 7
	sectionCode     = 10
	sectionTag      = 13
)

// Kinds of imports and exports, and the index spaces of their definitions.
const (
	externFunc = iota
	externTable
	externMemory
	externGlobal
	externTag
	numExterns
)

var errNotModule = errors.New("its sections can't be read")

const wasmHeaderBytes = 8 // \0asm, version

// interfaceSections returns the sections of a module that its interface is in, as a
// binary that readInterface takes.
func interfaceSections(wasm []byte) ([]byte, error) {
	if len(wasm) < wasmHeaderBytes {
		return nil, errNotModule
	}
	out := append([]byte(nil), wasm[:wasmHeaderBytes]...)
	err := sections(wasm, func(id byte, whole, _ []byte) error {
		switch id {
		case sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal, sectionExport, sectionTag:
			out = append(out, whole...)
		}
		return nil
	})
	return out, err
}

// sections calls f with each section, as a whole and what it contains.
func sections(wasm []byte, f func(id byte, whole, content []byte) error) error {
	if len(wasm) < wasmHeaderBytes {
		return errNotModule
	}
	for rest := wasm[wasmHeaderBytes:]; len(rest) > 0; {
		r := wasmReader{rest: rest}
		id := r.byte()
		content := r.bytes(r.u32())
		if r.failed {
			return errNotModule
		}
		if err := f(id, rest[:len(rest)-len(r.rest)], content); err != nil {
			return err
		}
		rest = r.rest
	}
	return nil
}

// readInterface reads the interface of a module that wasmtime has found valid. Bytes
// that are not such a module are an error, or nonsense that is as long as they are.
func readInterface(wasm []byte) (moduleInterface, error) {
	m := moduleInterface{byName: map[string]int{}}
	s := spaces{}
	err := sections(wasm, func(id byte, _, content []byte) error {
		r := wasmReader{rest: content}
		switch id {
		case sectionType:
			s.readTypes(&r)
		case sectionImport:
			for n := r.u32(); n > 0 && !r.failed; n-- {
				i := item{module: r.name(), name: r.name()}
				i.typ = s.define(&r, r.byte())
				m.imports = append(m.imports, i)
			}
		case sectionFunction:
			s.defineAll(&r, externFunc)
		case sectionTable:
			s.defineAll(&r, externTable)
		case sectionMemory:
			s.defineAll(&r, externMemory)
		case sectionGlobal:
			s.defineGlobals(&r)
		case sectionTag:
			s.defineAll(&r, externTag)
		case sectionExport:
			for n := r.u32(); n > 0 && !r.failed; n-- {
				e := item{name: r.name()}
				kind, index := r.byte(), r.u32()
				if e.typ = s.text(&r, kind, index); r.failed {
					break
				}
				if kind == externMemory && e.name == "memory" {
					m.memory = &s.memories[index]
				}
				m.byName[e.name] = len(m.exports)
				m.exports = append(m.exports, e)
			}
		}
		if r.failed {
			return errNotModule
		}
		return nil
	})
	return m, err
}

// spaces are the index spaces of a module: what each definition's type is.
type spaces struct {
	types    []string // "func (i32) -> i32" of function types, "" of others
	texts    [numExterns][]string
	memories []memoryType
}

func (s *spaces) text(r *wasmReader, kind byte, index uint32) string {
	if kind >= numExterns || uint64(index) >= uint64(len(s.texts[kind])) {
		r.failed = true
		return ""
	}
	return s.texts[kind][index]
}

// define reads the type of an import or definition, notes it and returns its text.
func (s *spaces) define(r *wasmReader, kind byte) (text string) {
	switch kind {
	case externFunc:
		// One text for all functions of a type: a type may be long, and functions many.
		if text = s.funcType(r.u32()); text == "" {
			r.failed = true
		}
	case externTable:
		text = "table " + r.valType()
		r.limits()
	case externMemory:
		memory := r.limits()
		text = memory.String()
		s.memories = append(s.memories, memory)
	case externGlobal:
		text = "global " + r.valType()
		r.byte() // whether it can be changed
	case externTag:
		text = "tag"
		r.byte()
		r.u32()
	default:
		r.failed = true
	}
	if !r.failed {
		s.texts[kind] = append(s.texts[kind], text)
	}
	return text
}

func (s *spaces) funcType(index uint32) string {
	if uint64(index) >= uint64(len(s.types)) {
		return ""
	}
	return s.types[index]
}

// defineAll reads a section of definitions.
func (s *spaces) defineAll(r *wasmReader, kind byte) {
	for n := r.u32(); n > 0 && !r.failed; n-- {
		// A table may begin with 0x40 0x00, and end with an expression.
		withValue := kind == externTable && len(r.rest) > 1 && r.rest[0] == 0x40
		if withValue {
			r.bytes(2)
		}
		s.define(r, kind)
		if withValue && !r.constant() {
			s.unknown(r, kind, n-1)
			return
		}
	}
}

// defineGlobals reads the section of globals, each a type and an expression.
func (s *spaces) defineGlobals(r *wasmReader) {
	for n := r.u32(); n > 0 && !r.failed; n-- {
		if s.define(r, externGlobal); !r.constant() {
			s.unknown(r, externGlobal, n-1)
			return
		}
	}
}

// unknown notes n definitions that stand after an expression that can't be read: only
// their text in a report is lost.
func (s *spaces) unknown(r *wasmReader, kind byte, n uint32) {
	if r.failed || uint64(n) > uint64(len(r.rest)) {
		r.failed = true
		return
	}
	for ; n > 0; n-- {
		s.texts[kind] = append(s.texts[kind], [...]string{externTable: "table", externGlobal: "global"}[kind])
	}
	r.rest = nil
}

// readTypes reads the section of types: function types, and those of the GC proposal
// as far as to know where they end.
func (s *spaces) readTypes(r *wasmReader) {
	for n := r.u32(); n > 0 && !r.failed; n-- {
		group := uint32(1)
		if r.next(0x4e) { // rec
			group = r.u32()
		}
		for ; group > 0 && !r.failed; group-- {
			s.types = append(s.types, r.subType())
		}
	}
}

// subType reads a type that may say what it is a subtype of.
func (r *wasmReader) subType() string {
	if r.next(0x50) || r.next(0x4f) { // sub, sub final
		for n := r.u32(); n > 0 && !r.failed; n-- {
			r.u32()
		}
	}
	switch r.byte() {
	case 0x60:
		params, results := r.valTypes(), r.valTypes()
		result := "(" + strings.Join(results, ", ") + ")"
		if len(results) == 1 {
			result = results[0]
		}
		return "func (" + strings.Join(params, ", ") + ") -> " + result
	case 0x5f: // struct
		for n := r.u32(); n > 0 && !r.failed; n-- {
			r.fieldType()
		}
	case 0x5e: // array
		r.fieldType()
	default:
		r.failed = true
	}
	return ""
}

func (r *wasmReader) fieldType() {
	if !r.next(0x78) && !r.next(0x77) { // i8, i16
		r.valType()
	}
	r.byte() // whether it can be changed
}

func (r *wasmReader) valTypes() []string {
	var list []string
	for n := r.u32(); n > 0 && !r.failed; n-- {
		list = append(list, r.valType())
	}
	return list
}

// valTypeNames are the types of one byte, by that (WebAssembly 3.0, 5.3).
var valTypeNames = map[byte]string{
	0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128",
	0x70: "funcref", 0x6f: "externref", 0x6e: "anyref", 0x6d: "eqref", 0x6c: "i31ref",
	0x6b: "structref", 0x6a: "arrayref", 0x69: "exnref", 0x68: "contref",
	0x71: "nullref", 0x72: "nullexternref", 0x73: "nullfuncref", 0x74: "nullexnref", 0x75: "nullcontref",
}

// bottomTypes are the heap types of those that only null has.
var bottomTypes = map[byte]string{0x71: "none", 0x72: "noextern", 0x73: "nofunc", 0x74: "noexn", 0x75: "nocont"}

// valType reads a type and returns its name in the text format.
func (r *wasmReader) valType() string {
	switch c := r.byte(); c {
	case 0x63:
		return "(ref null " + r.heapType() + ")"
	case 0x64:
		return "(ref " + r.heapType() + ")"
	default:
		name, ok := valTypeNames[c]
		r.failed = r.failed || !ok
		return name
	}
}

func (r *wasmReader) heapType() string {
	if len(r.rest) > 0 && r.rest[0] >= 0x40 && r.rest[0] < 0x80 { // a negative number of one byte
		c := r.byte()
		if name, ok := bottomTypes[c]; ok {
			return name
		}
		name, ok := strings.CutSuffix(valTypeNames[c], "ref")
		r.failed = r.failed || !ok
		return name
	}
	return fmt.Sprint(r.u32())
}

func (r *wasmReader) limits() (m memoryType) {
	flags := r.byte()
	m.bounded, m.isShared, m.is64 = flags&1 != 0, flags&2 != 0, flags&4 != 0
	m.pages = r.u64()
	if m.bounded {
		m.maxPages = r.u64()
	}
	if flags&8 != 0 { // a page size
		r.u32()
	}
	return m
}

// constant reads a constant expression to its end. False: it has an instruction that is
// not known here.
func (r *wasmReader) constant() bool {
	for !r.failed {
		switch op := r.byte(); op {
		case 0x0b: // end
			return true
		case 0x41, 0x42, 0x23, 0xd2: // i32.const, i64.const, global.get, ref.func
			r.leb()
		case 0x43: // f32.const
			r.bytes(4)
		case 0x44: // f64.const
			r.bytes(8)
		case 0xd0: // ref.null
			r.heapType()
		case 0xfd: // v128.const
			if r.u32() != 12 {
				return false
			}
			r.bytes(16)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub, mul
		default:
			return false
		}
	}
	return true
}

// wasmReader reads the parts of a binary module. Once it has failed, what it returns
// means nothing.
type wasmReader struct {
	rest   []byte
	failed bool
}

func (r *wasmReader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// next takes a byte if it is this one.
func (r *wasmReader) next(b byte) bool {
	if len(r.rest) == 0 || r.rest[0] != b {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *wasmReader) bytes(n uint32) []byte {
	if r.failed || uint64(n) > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *wasmReader) name() string { return string(r.bytes(r.u32())) }

func (r *wasmReader) u64() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.bytes(uint32(n))
	return v
}

func (r *wasmReader) u32() uint32 {
	v := r.u64()
	if v > 1<<32-1 {
		r.failed = true
		return 0
	}
	return uint32(v)
}

// leb passes over a number, signed or not.
func (r *wasmReader) leb() {
	for r.byte()&0x80 != 0 {
	}
}
