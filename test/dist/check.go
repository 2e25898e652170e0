package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// object is the shared object, and what its other names need.
const object = "flb-filter_wasmtime.so"

// exports is what Fluent Bit looks up in the object. Everything else that it exported could be
// bound to the host's symbol of the same name.
var exports = []string{
	"FLBPluginExit", "FLBPluginExitCtx", "FLBPluginFlushCtx", "FLBPluginInit", "FLBPluginRegister",
	"filter_wasm_plugin", "filter_wasmtime_plugin", "processor_wasmtime_plugin",
}

// kinds of files, by name.
var kinds = map[string]kind{
	object:                      plugin,
	"flb-filter_wasm.so":        alias,
	"flb-processor_wasmtime.so": alias,
	"out_wasmtime.so":           alias,
	"flb-wasmtime":              program,
}

type kind int

const (
	plugin  kind = iota // shares a process, its symbols and its thread-local storage, with Fluent Bit
	alias               // holds nothing but the name of the object
	program             // has a process of its own
)

// allocator is what the object brings of its own: the host's is less aligned (alloc.c).
var allocator = []string{"malloc", "calloc", "realloc", "free"}

// libcs is what has to be the C library's, which is made for the machine that it runs on. A
// compiler's own may take a byte at a time.
var libcs = []string{"memcpy", "memmove", "memset", "strlen"}

// libraries is what may be needed: glibc's, which every image has. Before 2.34 they were several.
var libraries = []string{"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"}

// libgcc is in the images too, but what is built for all of them brings its own unwinder.
const libgcc = "libgcc_s.so.1"

// importedData is the data that the object shares with the C library. Other data might be bound
// to the host's.
var importedData = []string{"__environ", "environ", "stderr", "stdout", "__stack_chk_guard"}

// optional is what may be imported weakly and is used if it is there: newer functions of glibc,
// for which Rust has others, and what compilers and libraries look for in a program that is
// being watched.
var optional = []string{
	"__cxa_finalize", "__cxa_thread_atexit_impl", "getrandom", "gettid", "statx",
	"_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__gmon_start__",
	"ZSTD_trace_compress_begin", "ZSTD_trace_compress_end", "ZSTD_trace_decompress_begin",
	"ZSTD_trace_decompress_end", "__unw_add_dynamic_fde",
}

// staticTLS is the most thread-local storage that the object may have: glibc has 1664 bytes for
// all objects that are loaded later, and other Go plugins need theirs.
const staticTLS = 1280

type machine struct {
	name, loader, interpreter string
	page                      uint64 // the largest that a kernel may have
}

var machines = map[elf.Machine]machine{
	elf.EM_X86_64:  {"amd64", "ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2", 4096},
	elf.EM_AARCH64: {"arm64", "ld-linux-aarch64.so.1", "/lib/ld-linux-aarch64.so.1", 65536},
}

// check returns what a file asks for in a line, and what is wrong with it. glibc is the newest
// version that it may ask for; if that is "", it is for this machine alone.
func check(path, glibc string) (summary string, problems []string, err error) {
	known, ok := kinds[filepath.Base(path)]
	if !ok {
		return "", nil, errors.New("a file that is not meant to be there")
	}
	file, err := elf.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	m, ok := machines[file.Machine]
	if !ok || file.Class != elf.ELFCLASS64 {
		return "", nil, fmt.Errorf("it is for %s, %s", file.Machine, file.Class)
	}
	c := &checker{file: file, kind: known, machine: m, glibc: glibc}
	if err := errors.Join(c.symbols(), c.needed(), c.versions()); err != nil {
		return "", nil, err
	}
	c.segments()
	summary = m.name + ", needs " + strings.Join(c.libraries, " ")
	if known != alias {
		summary += fmt.Sprintf("; glibc %s, %d bytes of thread-local storage", c.newest, c.tls)
	}
	return summary, c.problems, nil
}

type checker struct {
	file      *elf.File
	kind      kind
	machine   machine
	glibc     string
	problems  []string
	libraries []string
	newest    string
	tls       uint64
}

func (c *checker) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *checker) symbols() error {
	symbols, err := c.file.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return err
	}
	var exported, imported []string
	for _, s := range symbols {
		isData := elf.ST_TYPE(s.Info) == elf.STT_OBJECT || elf.ST_TYPE(s.Info) == elf.STT_TLS
		if s.Section != elf.SHN_UNDEF {
			if c.kind != program && isData && elf.ST_VISIBILITY(s.Other) != elf.STV_PROTECTED {
				c.problem("it exports data, %s, that can be bound to the host's", s.Name)
			}
			exported = append(exported, s.Name)
			continue
		}
		imported = append(imported, s.Name)
		if c.kind != plugin {
			continue
		}
		switch weak := elf.ST_BIND(s.Info) == elf.STB_WEAK; {
		case slices.Contains(allocator, s.Name):
			c.problem("its own %s is not bound inside it", s.Name)
		case isData && !slices.Contains(importedData, s.Name):
			c.problem("it imports data, %s, that the host may define", s.Name)
		case weak && !slices.Contains(optional, s.Name):
			c.problem("it imports %s if it is there, and that is not known to be a good thing", s.Name)
		case !weak && s.Version == "":
			c.problem("it imports %s from anything that may define it", s.Name)
		}
	}
	for _, name := range libcs {
		if c.kind != alias && !slices.Contains(imported, name) {
			c.problem("its %s is not the C library's", name)
		}
	}
	var own []string
	if c.kind == plugin {
		own = exports
	}
	slices.Sort(exported)
	if c.kind != program && !slices.Equal(exported, own) {
		c.problem("it exports %q and should export %q", exported, own)
	}
	return nil
}

func (c *checker) needed() (err error) {
	if c.libraries, err = c.file.ImportedLibraries(); err != nil {
		return err
	}
	allowed := append([]string{c.machine.loader}, libraries...)
	if c.glibc == "" {
		allowed = append(allowed, libgcc)
	}
	if c.kind == alias {
		allowed = []string{object}
		if !slices.Contains(c.libraries, object) {
			c.problem("it does not need %s", object)
		}
	}
	for _, library := range c.libraries {
		if !slices.Contains(allowed, library) {
			c.problem("it needs %s, which not every image has", library)
		}
	}
	var paths []string
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		found, err := c.file.DynString(tag)
		if err != nil {
			return err
		}
		paths = append(paths, found...)
	}
	var own []string
	if c.kind == alias {
		own = []string{"$ORIGIN"}
	}
	if !slices.Equal(paths, own) {
		c.problem("it looks for libraries in %q", paths)
	}
	return nil
}

func (c *checker) versions() error {
	if c.file.SectionByType(elf.SHT_GNU_VERNEED) == nil {
		return nil
	}
	needs, err := c.file.DynamicVersionNeeds()
	if err != nil {
		return err
	}
	for _, library := range needs {
		for _, need := range library.Needs {
			version, isGlibc := strings.CutPrefix(need.Dep, "GLIBC_")
			if !isGlibc {
				if c.glibc != "" {
					c.problem("it asks for %s of %s", need.Dep, library.Name)
				}
				continue
			}
			if c.newest == "" || newer(version, c.newest) {
				c.newest = version
			}
			if c.glibc != "" && newer(version, c.glibc) {
				c.problem("it asks for glibc %s, newer than %s%s", version, c.glibc, c.users(need.Dep))
			}
		}
	}
	return nil
}

// users names the symbols of a version.
func (c *checker) users(version string) string {
	symbols, err := c.file.DynamicSymbols()
	if err != nil {
		return ""
	}
	var names []string
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF && s.Version == version {
			names = append(names, s.Name)
		}
	}
	return ": " + strings.Join(names, " ")
}

// newer compares versions of numbers and dots.
func newer(a, b string) bool {
	numbers := func(version string) (n []int) {
		for part := range strings.SplitSeq(version, ".") {
			i, err := strconv.Atoi(part)
			if err != nil {
				i = 1 << 30 // GLIBC_PRIVATE, GLIBC_ABI_DT_RELR: of no release
			}
			n = append(n, i)
		}
		return n
	}
	return slices.Compare(numbers(a), numbers(b)) > 0
}

func (c *checker) segments() {
	stack := false
	for _, p := range c.file.Progs {
		switch p.Type {
		case elf.PT_GNU_STACK:
			stack = true
			if p.Flags&elf.PF_X != 0 {
				c.problem("it asks for an executable stack")
			}
		case elf.PT_LOAD:
			if p.Flags&(elf.PF_W|elf.PF_X) == elf.PF_W|elf.PF_X {
				c.problem("a segment is writable and executable")
			}
			if p.Align < c.machine.page {
				c.problem("its segments are aligned to %d bytes, and pages may have %d", p.Align, c.machine.page)
			}
		case elf.PT_TLS:
			c.tls = p.Memsz
			if c.kind == plugin && c.tls > staticTLS {
				c.problem("it has %d bytes of thread-local storage, more than %d", c.tls, staticTLS)
			}
		case elf.PT_INTERP:
			name := make([]byte, p.Filesz)
			if _, err := p.ReadAt(name, 0); err != nil || strings.TrimRight(string(name), "\x00") != c.machine.interpreter {
				c.problem("its dynamic linker is %q", name)
			}
		}
	}
	if !stack {
		c.problem("it does not say that its stack is not executable")
	}
	text, err := c.file.DynValue(elf.DT_TEXTREL)
	flags, err2 := c.file.DynValue(elf.DT_FLAGS)
	if err != nil || err2 != nil {
		c.problem("its dynamic section can't be read: %v", errors.Join(err, err2))
	}
	if len(text) > 0 || len(flags) > 0 && elf.DynFlag(flags[0])&elf.DF_TEXTREL != 0 {
		c.problem("its code is written to when it is loaded (text relocations)")
	}
}
