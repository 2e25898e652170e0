package guest

// #include "call.h"
//
// static const uint8_t *image_of(const wasmtime_module_t *module, size_t *n)
// {
//     void *start, *end;
//
//     wasmtime_module_image_range(module, &start, &end);
//     *n = (size_t) ((char *) end - (char *) start);
//     return start;
// }
import "C"

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
)

// maxModuleBytes bounds what is read of a wasm_path.
const maxModuleBytes = 256 << 20

// Module is a compiled module with what its exports say about the guest ABI.
// It is shared by every instance and filter that uses the same file content,
// and is safe for use by several goroutines.
type Module struct {
	key      moduleKey
	number   uint64 // how many were loaded before it, and it
	users    int    // guarded by modules
	compiled *wasmtime.Module
	engine   *wasmtime.Engine

	code, codeEnd uintptr // where the machine code is, owned by compiled
	moduleInterface
	traits    traits
	lines     *lineTable
	sizeBytes int64
	origin    Origin
	version   string // what the module says it is
	loadTime  time.Duration

	compileTime time.Duration // the part of loadTime that the compiler took
	cacheDir    string        // where its code is kept; "": nowhere
}

// FromCache says whether the module's code was taken from the cache.
func (m *Module) FromCache() bool { return m.origin == Cached }

// CompileTime is how long the module took to be compiled; 0 if its code was in the cache or in
// its file.
func (m *Module) CompileTime() time.Duration { return m.compileTime }

var loads atomic.Uint64

type moduleKey struct {
	sum    [sha256.Size]byte
	engine *wasmtime.Engine
}

var modules = struct {
	sync.Mutex
	byKey   map[moduleKey]*Module
	loading map[moduleKey]*loading
}{byKey: make(map[moduleKey]*Module), loading: make(map[moduleKey]*loading)}

// loading is a module on its way.
type loading struct {
	users  int           // that wait for it; guarded by modules
	done   chan struct{} // closed when the rest is set
	module *Module
	err    error
}

// Source says where a module is, and how its code is come by.
type Source struct {
	Path             string
	SHA256           string       // that the file must have, in hexadecimal; "": any
	StackBytes       int64        // native stack; 0 means the minimum, which is the default
	AllowPrecompiled bool         // the file may hold machine code, made by Compile
	CacheDir         string       // of code that was compiled before, or CacheAuto; "" for none
	Writable         []string     // directories that the module may write to: not the cache
	Quick            bool         // what has to be compiled is, quickly: to code that is not optimised
	Background       bool         // what has to be compiled is, on the thread that asks alone; nobody else waits for it
	Warn             func(string) // takes what hinders the cache; nil: nobody wants to know
}

// Load compiles a module, binary or text, unless its code is at hand: in this
// process, in the cache, or in the file itself. The caller closes it.
func Load(s Source) (*Module, error) {
	content, err := read(s.Path)
	if err != nil {
		return nil, err
	}
	if err := checkSum(s.Path, content, s.SHA256); err != nil {
		return nil, err
	}
	return loadContent(s, content)
}

// checkSum compares the hash of a file with the one that is asked for; "" is any.
func checkSum(path string, content []byte, want string) error {
	if want == "" {
		return nil
	}
	if sum := hexSum(content); sum != want {
		return fmt.Errorf("%s has the SHA-256 %s, and wasm_sha256 asks for %s: put the file that is meant in its place, or, if this one is, set wasm_sha256 to its hash", path, sum, want)
	}
	return nil
}

func loadContent(s Source, content []byte) (*Module, error) {
	if isPrecompiled(content) && !s.AllowPrecompiled {
		return nil, fmt.Errorf("%s is machine code, which runs without a check: if you trust where it comes from, set allow_precompiled on; else give the .wasm file", s.Path)
	}
	engine, err := engineFor(s.StackBytes)
	if err != nil {
		return nil, err
	}
	key := moduleKey{sha256.Sum256(content), engine}

	// Filters that start at once compile once; those of other modules don't wait.
	modules.Lock()
	if m := modules.byKey[key]; m != nil {
		m.users++
		modules.Unlock()
		return m, nil
	}
	if l := modules.loading[key]; l != nil {
		l.users++
		modules.Unlock()
		<-l.done
		return l.module, l.err
	}
	if s.Background {
		modules.Unlock()
		return loadAlone(s, content, key)
	}
	l := &loading{users: 1, done: make(chan struct{}), err: errors.New("the module could not be loaded")}
	modules.loading[key] = l
	modules.Unlock()

	defer func() { // after a panic, too
		modules.Lock()
		defer modules.Unlock()
		if l.module != nil {
			l.module.users = l.users
			modules.byKey[key] = l.module
		}
		delete(modules.loading, key)
		close(l.done)
	}()
	l.module, l.err = newModule(s, content, key)
	return l.module, l.err
}

// loadAlone loads a module that nobody waits for until it is loaded: who wants it meanwhile loads it faster.
func loadAlone(s Source, content []byte, key moduleKey) (*Module, error) {
	background.Lock()
	defer background.Unlock()
	if m := use(key, nil); m != nil {
		return m, nil
	}
	m, err := newModule(s, content, key)
	if err != nil {
		return nil, err
	}
	return use(key, m), nil
}

// background is held while a module is compiled that nobody waits for: one takes much memory, and filters find
// the new version of theirs at the same time.
var background sync.Mutex

// use returns the module that there is for a key, with one user more; if there is none, m is it. If there is one,
// m is closed.
func use(key moduleKey, m *Module) *Module {
	modules.Lock()
	defer modules.Unlock()
	if other := modules.byKey[key]; other != nil {
		if m != nil {
			m.compiled.Close()
		}
		m = other
	}
	if m != nil {
		modules.byKey[key] = m
		m.users++
	}
	return m
}

func newModule(s Source, content []byte, key moduleKey) (*Module, error) {
	m := &Module{key: key, engine: key.engine, number: loads.Add(1)}
	start := time.Now()
	var err error
	if isPrecompiled(content) {
		err = m.precompiled(s.Path, content)
	} else {
		err = m.compile(s, content)
	}
	if err != nil {
		return nil, err
	}
	m.loadTime = time.Since(start)
	if m.code, m.codeEnd, err = codePages(m.compiled); err != nil {
		m.compiled.Close()
		return nil, err
	}
	return m, nil
}

func (m *Module) precompiled(path string, file []byte) error {
	h, compiled, sections, err := deserialize(m.engine, file)
	if err == nil {
		if m.moduleInterface, err = readInterface(sections); err != nil {
			compiled.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("%s can't be run: %w", path, err)
	}
	m.origin = Precompiled
	m.compiled, m.traits, m.sizeBytes = compiled, h.Traits, h.Bytes
	return nil
}

// compile takes the code from the cache, or compiles and leaves it there. What is
// wrong with the cache is only said.
func (m *Module) compile(s Source, content []byte) error {
	wasm, err := toBinary(s.Path, content)
	if err != nil {
		return err
	}
	m.traits, m.sizeBytes, m.lines = traitsOf(wasm), int64(len(wasm)), newLineTable(wasm)
	m.version = versionIn(wasm)
	warn := func(text string, err error) {
		if s.Warn != nil {
			s.Warn(fmt.Sprintf("cache_dir: %s: %v", text, err))
		}
	}
	var c *cache
	if s.CacheDir != "" {
		if c, err = openCache(s, wasm); err != nil {
			warn("not used", err)
		} else {
			defer c.close()
			m.cacheDir = c.dir
			if m.compiled, err = c.load(m.engine, wasm); err != nil {
				warn("compiled again", err)
			} else if m.compiled == nil && !s.Quick && !s.Background { // whose claim others would wait for
				// If it can't be claimed since nothing can be written there, store says so.
				claim, err := c.claim()
				switch {
				case err == nil:
					defer claim.Close()
				case errors.Is(err, errCompiling):
					warn("compiled here", err)
				}
				// Whoever has been waited for has left it there.
				if m.compiled, err = c.load(m.engine, wasm); err != nil {
					warn("compiled again", err)
				}
			}
			if m.compiled != nil {
				m.origin = Cached
				return m.readInterface(s.Path, wasm)
			}
		}
	}
	m.origin = Compiled
	if s.Quick {
		m.origin = CompiledQuickly
	}
	start := time.Now()
	if m.compiled, err = compile(m.engine, s, wasm); err != nil {
		return notCompiled(s.Path, err)
	}
	m.compileTime = time.Since(start)
	if err := m.readInterface(s.Path, wasm); err != nil {
		return err
	}
	if c != nil && !s.Quick {
		if err := c.store(m.compiled, wasm); err != nil {
			m.cacheDir = ""
			warn("the code was not kept", err)
		}
	}
	return nil
}

// readInterface reads the interface of a module that has code.
func (m *Module) readInterface(path string, wasm []byte) (err error) {
	if m.moduleInterface, err = readInterface(wasm); err != nil {
		m.compiled.Close()
		err = notCompiled(path, err)
	}
	return err
}

// codePages finds the pages of a module's machine code, which wasmtime keeps as an ELF image
// whose text has pages of its own (wasmtime-environ 44.0.0, src/obj.rs). That is read from the
// image and not from /proc/self/maps, in which emulators show no executable pages.
func codePages(compiled *wasmtime.Module) (start, end uintptr, err error) {
	defer runtime.KeepAlive(compiled)
	var n C.size_t
	p := C.image_of(capi.Module[*C.wasmtime_module_t](compiled), &n)
	image := unsafe.Slice((*byte)(p), int(n))
	start = uintptr(unsafe.Pointer(p))
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, 0, fmt.Errorf("can't find the module's code: %w", err)
	}
	text := file.Section(".text")
	if text == nil || text.Size == 0 {
		return start, start, nil // a module without functions
	}
	page := uint64(os.Getpagesize())
	from, to := text.Offset, (text.Offset+text.Size+page-1)/page*page
	if from%page != 0 || text.Offset+text.Size > uint64(len(image)) {
		return 0, 0, fmt.Errorf("can't find the module's code: its text is at %d, %d bytes of %d", text.Offset, text.Size, len(image))
	}
	return start + uintptr(from), start + uintptr(to), nil
}

func notCompiled(path string, err error) error {
	if errors.Is(err, errNotExecutable) {
		return err
	}
	reason := oneLine(err.Error())
	return fmt.Errorf("%s is not a module that can be compiled: %s%s", path, reason, proposalHint(reason))
}

// excerpt is how the parser of the text format shows lines of it.
var excerpt = regexp.MustCompile(`^(\d+ )?\|`)

// oneLine makes one line of what wasmtime says of a module in several: of its causes,
// one after the other, and of the place in the text.
func oneLine(message string) string {
	var parts []string
	for line := range strings.Lines(message) {
		line = strings.TrimSpace(line)
		if place, ok := strings.CutPrefix(line, "--> <anon>:"); ok {
			line = "at line:column " + place
		}
		if line != "" && line != "Caused by:" && !excerpt.MatchString(line) {
			parts = append(parts, line)
		}
	}
	return hostlog.Printable(strings.Join(parts, ": "), hostlog.MaxTextBytes)
}

// proposals are the parts of WebAssembly that the engine refuses, by words of wasmtime 44
// for that, and what to do about it.
var proposals = []struct{ words, hint string }{
	{"legacy_exceptions", "exceptions of before the standard are not supported: build with -mllvm -wasm-use-legacy-eh=false (clang 20), or without exceptions (clang -fno-exceptions and no setjmp, Rust panic=abort)"},
	{"gc feature", "garbage-collected types are not supported: build for linear memory"},
	{"function references", "typed function references are not supported: build without them"},
	{"stack switching", "stack switching is not supported: build without it"},
	{"wide arithmetic", "wide arithmetic is not supported: build with -mno-wide-arithmetic"},
	{"custom page sizes", "pages of other sizes are not supported: link without --page-size"},
}

func proposalHint(reason string) string {
	for _, p := range proposals {
		if strings.Contains(reason, p.words) {
			return "; " + p.hint
		}
	}
	return ""
}

// Share returns the module for one more use.
func (m *Module) Share() *Module {
	modules.Lock()
	defer modules.Unlock()
	m.users++
	return m
}

// Loaded is how many modules are loaded, for the tests' sake.
func Loaded() int {
	modules.Lock()
	defer modules.Unlock()
	return len(modules.byKey)
}

// Close gives up one use of the module; the last one frees it. Instances must
// be closed before.
func (m *Module) Close() {
	modules.Lock()
	defer modules.Unlock()
	if m.users--; m.users > 0 {
		return
	}
	if modules.byKey[m.key] == m {
		delete(modules.byKey, m.key)
	}
	m.compiled.Close()
}

func read(path string) ([]byte, error) {
	content, err := regular.Read(path, maxModuleBytes)
	if err != nil {
		return nil, fmt.Errorf("can't read the module: %w", err)
	}
	return content, nil
}

// toBinary returns the binary module that a file holds, which may be text.
func toBinary(path string, content []byte) ([]byte, error) {
	switch {
	case len(content) >= 8 && string(content[:8]) == "\x00asm\x01\x00\x00\x00":
		return harmless(content), nil
	case len(content) >= 8 && string(content[:8]) == "\x00asm\x0d\x00\x01\x00":
		return nil, fmt.Errorf("%s is a WebAssembly component: build a core module (for Rust, target wasm32-unknown-unknown or wasm32-wasip1)", path)
	case len(content) >= 4 && string(content[:4]) == "\x00aot":
		return nil, fmt.Errorf("%s is compiled ahead of time for the built-in filter (flb-wamrc): give the .wasm file it was made from, or what flb-wasmtime compile makes of that", path)
	case strings.HasPrefix(strings.TrimLeft(string(content[:min(len(content), 4096)]), " \t\r\n"), "("),
		strings.HasSuffix(path, ".wat"):
		wasm, err := wasmtime.Wat2Wasm(string(content))
		if err != nil {
			return nil, fmt.Errorf("%s is not valid WebAssembly text: %s", path, oneLine(err.Error()))
		}
		return harmless(wasm), nil
	}
	if len(content) == 0 {
		return nil, fmt.Errorf("%s is not a WebAssembly module: the file is empty", path)
	}
	return nil, fmt.Errorf("%s is not a WebAssembly module: it does not start with \\0asm", path)
}

// Hash is the SHA-256 of the module's file, in hexadecimal digits.
func (m *Module) Hash() string { return fmt.Sprintf("%x", m.key.sum) }

// errProblems turns problems into one error.
func errProblems(list []string) error {
	if len(list) == 0 {
		return nil
	}
	return errors.New(strings.Join(list, "; "))
}

// Summary says in a few words what has been loaded, and how it is used.
func (m *Module) Summary(config Config) string {
	a := m.abi(config)
	kept := ""
	if m.cacheDir != "" {
		kept = ", kept in " + m.cacheDir
	}
	return fmt.Sprintf("%d bytes %s in %s%s; called first: %s; input: %s",
		m.sizeBytes, m.origin.text(), m.loadTime.Round(time.Millisecond/10), kept, a.initText(), a.allocatorText())
}
