package guest

// #include "call.h"
import "C"

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// maxModuleBytes bounds what is read of a wasm_path.
const maxModuleBytes = 256 << 20

// allocator is how input gets a place in a guest's memory. The numbers are
// enum flbwt_allocator of call.h.
type allocator int

const (
	allocMalloc allocator = iota
	allocPinned
	allocGrown
	allocHeap
)

func (a allocator) String() string {
	switch a {
	case allocMalloc:
		return "malloc and free, exported by the module, around each call"
	case allocPinned:
		return "one buffer by __new and __pin, kept (AssemblyScript)"
	case allocHeap:
		return "one block of the heap that the host keeps in the module's memory for env.malloc"
	default:
		return "none exported: the host grows the module's memory for the input"
	}
}

// Module is a compiled module with what its exports say about the guest ABI.
// It is shared by every instance and filter that uses the same file content,
// and is safe for use by several goroutines.
type Module struct {
	key      moduleKey
	users    int // guarded by modules
	compiled *wasmtime.Module
	engine   *wasmtime.Engine

	code        unsafe.Pointer // the machine code, owned by compiled
	codeEnd     unsafe.Pointer
	exports     []item
	imports     []item
	allocator   allocator
	initialize  bool // exports _initialize
	collects    bool // has a garbage collector that frees what malloc gave
	memory      *wasmtime.MemoryType
	isGo        bool
	sizeBytes   int64
	compileTime time.Duration
}

// item is an import or export; module is "" for exports.
type item struct {
	module, name string
	typ          *wasmtime.ExternType
}

func (i item) String() string {
	name := i.name
	if i.module != "" {
		name = i.module + "." + i.name
	}
	return name + ": " + typeString(i.typ)
}

type moduleKey struct {
	sum    [sha256.Size]byte
	engine *wasmtime.Engine
}

var modules struct {
	sync.Mutex
	byKey map[moduleKey]*Module
}

// Load compiles the module at path, binary or text, unless this process has
// its content compiled already. The caller closes it.
func Load(path string, stackBytes int64) (*Module, error) {
	wasm, err := read(path)
	if err != nil {
		return nil, err
	}
	engine := engineFor(stackBytes)
	key := moduleKey{sha256.Sum256(wasm), engine}

	// Held while compiling, so that filters that start at once compile once.
	modules.Lock()
	defer modules.Unlock()
	if m := modules.byKey[key]; m != nil {
		m.users++
		return m, nil
	}
	start := time.Now()
	compiled, err := wasmtime.NewModule(engine, wasm)
	if err != nil {
		return nil, fmt.Errorf("%s is not a module that can be compiled: %w", path, err)
	}
	m := &Module{
		key: key, users: 1, compiled: compiled, engine: engine,
		isGo: builtByGo(wasm), sizeBytes: int64(len(wasm)), compileTime: time.Since(start),
	}
	// The compiled module is one pointer to the C object.
	C.wasmtime_module_image_range(*(*unsafe.Pointer)(unsafe.Pointer(compiled)), &m.code, &m.codeEnd)
	m.look()
	if modules.byKey == nil {
		modules.byKey = make(map[moduleKey]*Module)
	}
	modules.byKey[key] = m
	return m, nil
}

// Close gives up one use of the module; the last one frees it. Instances must
// be closed before.
func (m *Module) Close() {
	modules.Lock()
	defer modules.Unlock()
	if m.users--; m.users == 0 {
		delete(modules.byKey, m.key)
		m.compiled.Close()
	}
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("can't read the module: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if info.Size() > maxModuleBytes {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are read", path, info.Size(), maxModuleBytes)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("can't read the module: %w", err)
	}
	switch {
	case len(content) >= 8 && string(content[:8]) == "\x00asm\x01\x00\x00\x00":
		return content, nil
	case len(content) >= 8 && string(content[:8]) == "\x00asm\x0d\x00\x01\x00":
		return nil, fmt.Errorf("%s is a WebAssembly component: build a core module (for Rust, target wasm32-unknown-unknown or wasm32-wasip1)", path)
	case len(content) >= 4 && string(content[:4]) == "\x00aot":
		return nil, fmt.Errorf("%s is compiled ahead of time for the built-in filter (flb-wamrc): give the .wasm file it was made from", path)
	case strings.HasPrefix(strings.TrimLeft(string(content[:min(len(content), 4096)]), " \t\r\n"), "("),
		strings.HasSuffix(path, ".wat"):
		wasm, err := wasmtime.Wat2Wasm(string(content))
		if err != nil {
			return nil, fmt.Errorf("%s is not valid WebAssembly text: %w", path, err)
		}
		return wasm, nil
	}
	return nil, fmt.Errorf("%s is not a WebAssembly module: it does not start with \\0asm", path)
}

// look reads the module's imports and exports.
func (m *Module) look() {
	for _, e := range m.compiled.Exports() {
		m.exports = append(m.exports, item{name: e.Name(), typ: e.Type()})
	}
	for _, i := range m.compiled.Imports() {
		name := i.Name()
		if name == nil {
			name = new(string)
		}
		m.imports = append(m.imports, item{module: i.Module(), name: *name, typ: i.Type()})
	}
	// TinyGo, without or with its scheduler. Other modules lose nothing by it.
	m.collects = m.export("malloc") != nil && m.export("calloc") != nil && m.export("realloc") != nil
	m.initialize = m.exportsFunc("_initialize", "() -> ()")
	if e := m.export("memory"); e != nil {
		m.memory = e.typ.MemoryType()
	}
	switch {
	case m.exportsFunc("malloc", "(i32) -> i32") && m.exportsFunc("free", "(i32) -> ()"):
		m.allocator = allocMalloc
	case m.exportsFunc("__new", "(i32, i32) -> i32") && m.exportsFunc("__pin", "(i32) -> i32"):
		m.allocator = allocPinned
	case m.importsHeap():
		m.allocator = allocHeap
	default:
		m.allocator = allocGrown
	}
}

func (m *Module) export(name string) *item {
	i := slices.IndexFunc(m.exports, func(e item) bool { return e.name == name })
	if i < 0 {
		return nil
	}
	return &m.exports[i]
}

func (m *Module) exportsFunc(name, signature string) bool {
	e := m.export(name)
	return e != nil && typeString(e.typ) == "func "+signature
}

// filterSignature is the type of the function that is called for each record.
const filterSignature = "(i32, i32, i32, i32, i32, i32) -> i32"

// candidates lists the exported functions that could be called for records.
func (m *Module) candidates() []string {
	var names []string
	for _, e := range m.exports {
		if m.exportsFunc(e.name, filterSignature) {
			names = append(names, e.name)
		}
	}
	return names
}

// problems says why the module can't be used with that function, each with
// what to do about it.
func (m *Module) problems(function string) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }

	switch e := m.export(function); {
	case function == "":
		add("no function can be called for records: %s", m.functionHint())
	case e == nil:
		add("function %q is not exported: %s", function, m.functionHint())
	case !m.exportsFunc(function, filterSignature):
		add("function %q has the type %q: it must be %q (tag, tag_len, sec, nsec, record, record_len)",
			function, typeString(e.typ), "func "+filterSignature)
	}

	switch {
	case m.memory == nil:
		add("the module exports no memory named \"memory\": link it with --export-memory")
	case m.memory.Is64():
		add("the module has a 64-bit memory: build it for wasm32")
	case m.memory.IsShared():
		add("the module has a shared memory: build it without threads")
	}

	byHint := make(map[string][]string)
	var hints []string // in the order of the imports
	for _, i := range m.imports {
		if provided(i) {
			continue
		}
		hint := importHint(i)
		if byHint[hint] == nil {
			hints = append(hints, hint)
		}
		byHint[hint] = append(byHint[hint], i.String())
	}
	for _, hint := range hints {
		add("the module imports %s, which is not provided: %s", strings.Join(byHint[hint], ", "), hint)
	}
	if m.isGo && m.allocator == allocGrown {
		add("the module is built by Go and exports no malloc and free: add //go:wasmexport malloc and free that keep the buffers reachable, so that input has a place that Go's memory manager knows")
	}
	return list
}

func (m *Module) functionHint() string {
	if names := m.candidates(); len(names) > 0 {
		return "set function_name to one of " + strings.Join(names, ", ")
	}
	return "the module exports no function of the type func " + filterSignature + "; is it linked with --export or #[no_mangle]?"
}

// Warnings says what may surprise the user of the module.
func (m *Module) Warnings() []string {
	var list []string
	if m.export("_start") != nil && !m.initialize {
		list = append(list, "the module is a command (it exports _start): main is not run, as in the built-in filter; what it sets up is not there")
	}
	if m.allocator == allocGrown && m.importsWASI() {
		list = append(list, "the module exports no malloc and free: input is put into pages that the host grows, which its own allocator may take for its own; export malloc and free (for C, -Wl,--export=malloc -Wl,--export=free)")
	}
	for _, name := range []string{"malloc", "free"} {
		if m.export(name) != nil && m.allocator != allocMalloc {
			list = append(list, fmt.Sprintf("%s is exported, but not used: malloc must be func (i32) -> i32 and free func (i32) -> ()", name))
		}
	}
	return list
}

// wasiModule is the only version of WASI that core modules of today import.
const wasiModule = "wasi_snapshot_preview1"

// provided says whether the host gives an import.
func provided(i item) bool {
	return i.module == wasiModule && i.typ.FuncType() != nil || isAbort(i) || isLibc(i)
}

func (m *Module) importsWASI() bool {
	return slices.ContainsFunc(m.imports, func(i item) bool { return i.module == wasiModule })
}

// isAbort is what AssemblyScript imports: env.abort(message, file, line, column).
func isAbort(i item) bool {
	return i.module == "env" && i.name == "abort" && typeString(i.typ) == "func (i32, i32, i32, i32) -> ()"
}

func importHint(i item) string {
	switch {
	case i.module == "wasi_unstable":
		return "it is built for an outdated WASI; build it for wasm32-wasip1 (wasi_snapshot_preview1)"
	case i.module == "env" && i.typ.MemoryType() != nil:
		return "link without --import-memory"
	case libcTypes(i) != nil:
		return "its type must be " + strings.Join(libcTypes(i), " or ") + ", as in Fluent Bit's built-in libc"
	case i.module == libcModule:
		return "of that module only the functions of Fluent Bit's built-in libc are; link the code that defines this one into the module (for C, build against wasi-libc and export malloc and free, instead of --allow-undefined)"
	case strings.HasPrefix(i.module, "wbindgen") || strings.HasPrefix(i.module, "__wbindgen") || strings.HasPrefix(i.name, "__wbindgen"):
		return "it is built by wasm-bindgen for JavaScript; build a plain cdylib with #[no_mangle] functions"
	case i.module == "gojs" || i.module == "go":
		return "it is built by Go for JavaScript; build with GOOS=wasip1 -buildmode=c-shared"
	default:
		return "only functions of " + wasiModule + " are"
	}
}

// builtByGo recognises what the Go toolchain links by the custom sections that
// it adds, stripped or not. TinyGo adds neither.
func builtByGo(wasm []byte) bool {
	return bytes.Contains(wasm, []byte("go:buildid")) || bytes.Contains(wasm, []byte("Go cmd/compile"))
}

// errProblems turns problems into one error.
func errProblems(list []string) error {
	if len(list) == 0 {
		return nil
	}
	return errors.New(strings.Join(list, "; "))
}

// typeString writes a type as the text format names its parts.
func typeString(t *wasmtime.ExternType) string {
	if f := t.FuncType(); f != nil {
		return "func " + valTypes(f.Params()) + " -> " + results(f.Results())
	}
	if m := t.MemoryType(); m != nil {
		s := fmt.Sprintf("memory %d", m.Minimum())
		if bounded, most := m.Maximum(); bounded {
			s += fmt.Sprintf("..%d", most)
		}
		return s + " pages"
	}
	if t.GlobalType() != nil {
		return "global " + t.GlobalType().Content().Kind().String()
	}
	if t.TableType() != nil {
		return "table"
	}
	return "tag"
}

func valTypes(types []*wasmtime.ValType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Kind().String()
	}
	return "(" + strings.Join(names, ", ") + ")"
}

func results(types []*wasmtime.ValType) string {
	if len(types) == 1 {
		return types[0].Kind().String()
	}
	return valTypes(types)
}

// Summary says in a few words what has been loaded.
func (m *Module) Summary() string {
	return fmt.Sprintf("%d bytes compiled in %s; input: %s",
		m.sizeBytes, m.compileTime.Round(time.Millisecond/10), m.allocator)
}
