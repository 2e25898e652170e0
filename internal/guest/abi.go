package guest

// #include "call.h"
import "C"

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/closest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostcall"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// allocator is how input gets a place in a guest's memory: call.h explains each.
type allocator uint32

const (
	allocMalloc allocator = C.FLBWT_MALLOC
	allocPinned allocator = C.FLBWT_PINNED
	allocGrown  allocator = C.FLBWT_GROWN
	allocHeap   allocator = C.FLBWT_HEAP
	allocOwn    allocator = C.FLBWT_OWN
)

// What Config.Init and Config.Allocator take besides names.
const (
	wordAuto = "auto"
	wordNone = "none"
	wordHost = "host"
)

// abi is how a module is used, on top of the ABI that all have in common: as it asks for
// by what it is, unless the user says otherwise.
type abi struct {
	init      []string // functions that are called once, in this order
	allocator allocator
	alloc     string // with allocMalloc
	free      string
	problems  []string
}

// abi finds out how the module is to be used. Its problems say why it can't be,
// each with what to do about it.
func (m *Module) abi(config Config) abi {
	a := abi{}
	a.chooseInit(m, config.Init)
	if m.IsBatch() || config.Signal != options.Logs {
		a.allocator, a.alloc = allocOwn, bufferFunction
	} else {
		a.chooseAllocator(m, config.Allocator)
	}
	a.problems = append(m.problems(config), a.problems...)
	a.problems = append(a.problems, m.traits.Storage.problems(config.memoryLimit())...)
	if m.traits.TinyGoExport {
		switch {
		case m.export("_start") != nil && m.export("_initialize") == nil:
			a.problem("the module is built by TinyGo as a command, where functions with //go:wasmexport can't be called: build it with -buildmode=c-shared")
		case a.allocator == allocGrown && config.Allocator != wordHost:
			a.problem("the module is built by TinyGo and exports no malloc and free, so its collector may write over its input: build it with -target=wasip1, or export the two by //go:wasmexport")
		}
	}
	return a
}

func (a *abi) problem(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

// configureFunction is called once for each instance, before the first record and after what
// init_function says: it returns 0, or the address of a text that ends with a NUL and says why it
// refuses the configuration.
const (
	configureFunction = "flb_configure"
	configureType     = "() -> i32"
)

const noParams = "() -> ()"

// chooseInit decides what is called before the first record. Not _start: modules of
// TinyGo work without, as in the built-in filter, and are slower after it.
func (a *abi) chooseInit(m *Module, word string) {
	add := func(name string) {
		if m.exportsFunc(name, noParams) {
			a.init = append(a.init, name)
		}
	}
	switch word {
	case "", wordAuto:
	case wordNone:
		return
	default:
		if add(word); a.init == nil {
			a.problem("init_function %q is not an exported function of the type func %s", word, noParams)
		}
		return
	}
	switch {
	case m.exportsFunc("_initialize", noParams):
		add("_initialize")
	case m.traits.Go:
		// The Go runtime starts in main, and ends it by proc_exit; exports go on
		// working.
		add("_start")
	}
	// As WAMR does (execute_post_instantiate_functions in wasm_runtime.c, 2.4.1).
	add("__post_instantiate")
	if !m.importsWASI() && m.export("_initialize") == nil {
		add("__wasm_call_ctors")
	}
}

func (a *abi) initText() string {
	if len(a.init) == 0 {
		return "nothing"
	}
	return hostlog.List(a.init, hostlog.Name)
}

const (
	allocType     = "(i32) -> i32"
	freeType      = "(i32) -> ()"
	freeSizedType = "(i32, i32) -> ()"
)

func (a *abi) chooseAllocator(m *Module, word string) {
	switch {
	case word == wordHost:
		a.allocator = allocGrown
	case word != "" && word != wordAuto:
		a.alloc, a.free, _ = strings.Cut(word, ",")
		a.allocator = allocMalloc
		if !m.exportsFunc(a.alloc, allocType) || !m.exportsFunc(a.free, freeType) && !m.exportsFunc(a.free, freeSizedType) {
			a.problem("allocator %q does not name two exported functions of the types func %s and func %s or func %s", word, allocType, freeType, freeSizedType)
		}
	case m.exportsFunc("malloc", allocType) && m.exportsFunc("free", freeType):
		a.allocator, a.alloc, a.free = allocMalloc, "malloc", "free"
	case m.exportsFunc("__new", "(i32, i32) -> i32") && m.exportsFunc("__pin", allocType):
		a.allocator = allocPinned
	case m.importsHeap():
		a.allocator = allocHeap
	default:
		a.allocator = allocGrown
		switch {
		case m.traits.ScriptHeap:
			a.problem("the module is built by AssemblyScript, whose allocator takes all of the memory for its own, and does not export it: build it with --exportRuntime")
		case m.traits.Go:
			a.problem("the module is built by Go and exports no malloc and free: add //go:wasmexport malloc and free that keep the buffers reachable, so that input has a place that Go's memory manager knows")
		}
	}
}

func (a *abi) allocatorText() string {
	switch a.allocator {
	case allocMalloc:
		return fmt.Sprintf("%s and %s, exported by the module, around each call", hostlog.Name(a.alloc), hostlog.Name(a.free))
	case allocOwn:
		return "one buffer by " + bufferFunction + ", kept"
	case allocPinned:
		return "one buffer by __new and __pin, kept (AssemblyScript)"
	case allocHeap:
		return "one block of the heap that the host keeps in the module's memory for env.malloc"
	default:
		return "the host grows the module's memory for it"
	}
}

// collects says whether the module has a garbage collector that may free what its
// malloc gave: TinyGo's, without or with its scheduler. Other modules lose nothing
// by it.
func (m *Module) collects() bool {
	return m.export("malloc") != nil && m.export("calloc") != nil && m.export("realloc") != nil
}

// Warnings says what may surprise the user of the module.
func (m *Module) Warnings(config Config) []string {
	var list []string
	a := m.abi(config)
	if w := m.unhandled(config.Signal); w != "" {
		list = append(list, w)
	}
	auto := config.Init == "" || config.Init == wordAuto
	if auto && m.export("_start") != nil && len(a.init) == 0 {
		list = append(list, "the module is a command (it exports _start): main is not run, as in the built-in filter; if the function needs what main sets up, set init_function _start")
	}
	if w := m.unusedAllocator(config, a); w != "" {
		list = append(list, w)
	}
	if len(config.Settings) > 0 && !slices.ContainsFunc(m.imports, readsConfiguration) {
		list = append(list, "configuration is set, and the module imports no function of "+hostcall.Host+" that reads it; is flb_configure exported?")
	}
	if (config.Tables != nil || config.TablesFail) && !slices.ContainsFunc(m.imports, usesTables) {
		list = append(list, "tables are set, and the module imports no function of "+hostcall.Host+" that reads them")
	}
	if m.HasTick() && config.NoTicks != "" {
		list = append(list, fmt.Sprintf("the module exports %s, which is not called: %s", tickFunction, config.NoTicks))
	}
	return list
}

func usesTables(i item) bool {
	return i.module == hostcall.Host && strings.HasPrefix(i.name, "table_")
}

func readsConfiguration(i item) bool {
	return i.module == hostcall.Host && strings.HasPrefix(i.name, "config_")
}

// unusedAllocator says why functions that look like an allocator are not used, unless
// the user has chosen otherwise, or there is a better way.
func (m *Module) unusedAllocator(config Config, a abi) string {
	malloc, free := m.export("malloc"), m.export("free")
	if config.Allocator != "" && config.Allocator != wordAuto || a.allocator != allocGrown || malloc == nil && free == nil {
		return ""
	}
	switch {
	case m.exportsFunc("malloc", allocType) && m.exportsFunc("free", freeSizedType):
		return "the exported malloc and free are not used, for free takes the size too: set allocator malloc,free to have them called so"
	case malloc == nil || free == nil:
		return "of malloc and free only one is exported, so it is not used: export both"
	default:
		return fmt.Sprintf("the exported malloc and free are not used: malloc must be func %s and free func %s", allocType, freeType)
	}
}

func (m *Module) exportsFunc(name, signature string) bool {
	e := m.export(name)
	return e != nil && e.typ == "func "+signature
}

// filterSignature is the type of the function that is called for each record.
const filterSignature = "(i32, i32, i32, i32, i32, i32) -> i32"

// Candidates lists the exported functions that could be called for records, by their
// names as they are.
func (m *Module) Candidates() []string {
	var names []string
	for _, e := range m.exports {
		if e.typ == "func "+m.signature() && e.name != "realloc" {
			names = append(names, e.name)
		}
	}
	return names
}

// problems says why the module can't be used with that function, whatever its allocator.
func (m *Module) problems(config Config) []string {
	var list []string
	function := config.Function
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }

	switch e := m.export(function); {
	case config.Signal != options.Logs: // the function is not called
	case function == "":
		add("no function can be called for records: %s", m.functionHint())
	case e == nil:
		add("function %q is not exported%s: %s", function, closest.Hint(function, m.Candidates(), hostlog.Name), m.functionHint())
	case !m.exportsFunc(function, m.signature()):
		add("function %q has the type %s: it must be %q (%s)",
			function, hostlog.Quote(e.typ, maxTypeBytes), "func "+m.signature(), m.parameters())
	}
	list = append(list, m.batchProblems()...)
	list = append(list, m.otlpProblems(config.Signal)...)

	switch {
	case m.memory == nil:
		add("the module exports no memory named \"memory\": link it without --import-memory, or export it by that name")
	case m.memory.is64:
		add("the module has a 64-bit memory: build it for wasm32")
	}

	if e := m.export(configureFunction); e != nil && e.typ != "func "+configureType {
		add("%s has the type %s: it must be %q", configureFunction, hostlog.Quote(e.typ, maxTypeBytes), "func "+configureType)
	}

	if e := m.export(tickFunction); e != nil && e.typ != "func "+tickType {
		add("%s has the type %s: it must be %q", tickFunction, hostlog.Quote(e.typ, maxTypeBytes), "func "+tickType)
	}

	byHint := make(map[string][]item)
	var hints []string // in the order of the imports
	for _, i := range m.imports {
		hint := ""
		switch g := grantFor(i); {
		case i.provider() == nil:
			hint = importHint(i)
		case g != nil && !g.given(config):
			hint = g.hint
		default:
			continue
		}
		if byHint[hint] == nil {
			hints = append(hints, hint)
		}
		byHint[hint] = append(byHint[hint], i)
	}
	for _, hint := range hints {
		word := "provided"
		if byHint[hint][0].provider() != nil {
			word = "granted"
		}
		add("the module imports %s, which is not %s: %s", hostlog.List(byHint[hint], item.quoted), word, hint)
	}
	return list
}

// grant is an option without which functions of the host can't be imported.
type grant struct {
	prefix string // of their names
	option string
	given  func(Config) bool
	hint   string // what to do
}

var grants = []grant{
	{"store_", "store_limit", func(c Config) bool { return c.State.HasStore() }, "set store_limit to how much memory the filter's key-value store may have, such as 16M"},
	{"metric_", "metrics_series", func(c Config) bool { return c.State.HasMetrics() }, "metrics_series is 0: set it to how many series the filter may have"},
	{"table_", "table.NAME", func(c Config) bool { return c.Tables != nil || c.TablesFail }, "set table.NAME PATH for each table that it looks things up in"},
	// Without a record it returns -1, so a module for several signals starts for metrics and traces, too.
	{"emit_to", "emit_tags", func(c Config) bool { return len(c.EmitTags) > 0 || c.Signal != options.Logs }, "set emit_tags to the tags that it may emit events under, such as tenant.*,alerts"},
}

// grantFor returns what an import needs, nil if that is nothing.
func grantFor(i item) *grant {
	at := slices.IndexFunc(grants, func(g grant) bool { return i.module == hostcall.Host && strings.HasPrefix(i.name, g.prefix) })
	if at < 0 {
		return nil
	}
	return &grants[at]
}

func (m *Module) functionHint() string {
	if names := m.Candidates(); len(names) > 0 {
		return "set function_name to one of " + hostlog.List(names, hostlog.Name)
	}
	return "the module exports no function of the type func " + m.signature() + ": " + m.exportHint()
}

// exportHint is how a function comes to be exported.
func (m *Module) exportHint() string {
	if m.traits.Go || m.traits.TinyGoExport {
		return "it needs a //go:wasmexport before it"
	}
	return "C needs -Wl,--export=NAME, Rust #[no_mangle] pub extern \"C\", Go and TinyGo //go:wasmexport, AssemblyScript export, Zig export and -rdynamic"
}

// maxTypeBytes bounds what a message quotes of a type: one may have a thousand parts.
const maxTypeBytes = 400

func importHint(i item) string {
	switch {
	case i.module == hostcall.Host && i.providedTypes() == nil:
		names := hostcall.Names(hostcall.Host)
		slices.Sort(names)
		return "of that module this version of the plugin has " + strings.Join(names, ", ") + ": a newer one may have it"
	case i.module == hostcall.Env && strings.HasPrefix(i.typ, "memory "):
		return "link without --import-memory"
	case i.providedTypes() != nil && i.module == hostcall.Env:
		return "its type must be " + strings.Join(i.providedTypes(), " or ") + ", as in Fluent Bit's built-in libc"
	case i.providedTypes() != nil:
		return "its type must be " + strings.Join(i.providedTypes(), " or ")
	case i.module == hostcall.WASI || i.module == hostcall.WASIUnstable:
		return "there is no such function in this version of WASI; build the module for wasm32-wasip1 (" + hostcall.WASI + ")"
	case i.module == hostcall.Env:
		return "of that module only the functions of Fluent Bit's built-in libc are; link the code that defines this one into the module (for C, build against wasi-libc and export malloc and free, instead of --allow-undefined)"
	case strings.HasPrefix(i.module, "wbindgen") || strings.HasPrefix(i.module, "__wbindgen") || strings.HasPrefix(i.name, "__wbindgen"):
		return "wasm-bindgen would be there in a browser only; leave it out (a crate such as chrono brings it with its default features), or build for wasm32-wasip1"
	case i.module == "gojs" || i.module == "go":
		return "it is built by Go for JavaScript; build with GOOS=wasip1 -buildmode=c-shared"
	default:
		return "only functions of " + hostcall.WASI + " are"
	}
}

// traits are what only the bytes of a module tell of it.
type traits struct {
	Go           bool `json:"go,omitempty"`            // built by Go, not TinyGo
	TinyGoExport bool `json:"tinygo_export,omitempty"` // has TinyGo's //go:wasmexport
	ScriptHeap   bool `json:"script_heap,omitempty"`   // has an allocator of AssemblyScript

	Storage storage `json:"storage"`
}

// The allocators of AssemblyScript take all memory up to memory.size for their own
// at their first use, which may be in the middle of the records. They are known by
// their code, in every optimisation of asc 0.18 to 0.28.
var (
	// memory.size << 16, + 15, & ~15: maybeGrowMemory of std/assembly/rt/stub.ts.
	scriptStub = regexp.MustCompile(`(?s)\x3f\x00(\x22.{1,2}|\x21.{1,2}\x20.{1,2})?\x41\x10\x74\x41\x0f\x6a\x41(\x70|\x0f\x41\x7f\x73)\x71`)

	// memory.size, and loads and stores of the tail (offset 1568) and the heads of
	// lists (96): std/assembly/rt/tlsf.ts.
	scriptTLSF = [][]byte{{0x3f, 0x00}, {0x36, 0x02, 0xa0, 0x0c}, {0x28, 0x02, 0xa0, 0x0c}, {0x36, 0x02, 0x60}, {0x28, 0x02, 0x60}}
)

func hasScriptHeap(wasm []byte) bool {
	return scriptStub.Match(wasm) ||
		!slices.ContainsFunc(scriptTLSF, func(code []byte) bool { return !bytes.Contains(wasm, code) })
}

func traitsOf(wasm []byte) traits {
	// In custom sections that the Go toolchain adds, stripped or not. TinyGo adds
	// neither.
	isGo := bytes.Contains(wasm, []byte("go:buildid")) || bytes.Contains(wasm, []byte("Go cmd/compile"))
	return traits{
		Go:         isGo,
		ScriptHeap: hasScriptHeap(wasm),
		Storage:    storageOf(wasm),
		// What its runtime says when such a function is called at the wrong time, and
		// with -panic=trap what its wrappers are called (src/runtime/
		// runtime_wasmentry.go and compiler/symbol.go, 0.34).
		TinyGoExport: !isGo && (bytes.Contains(wasm, []byte("//go:wasmexport function ")) || bytes.Contains(wasm, []byte("#wasmexport"))),
	}
}
