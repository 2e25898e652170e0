package guest

// #include "import.h"
import "C"

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// hostFunction is a function that modules may import, from a table of import.h.
type hostFunction struct {
	c     *C.flbwt_import
	types []string // as in item.typ
}

// Where modules import from.
const (
	// wasiModule is the version of WASI that core modules of today import.
	wasiModule = "wasi_snapshot_preview1"

	// wasiUnstable is the one before, of compilers up to 2020.
	wasiUnstable = "wasi_unstable"

	// libcModule has the functions of libc.c, and what AssemblyScript imports.
	libcModule = "env"
)

// hostFunctions are all of them, by module and name. Several may have a name.
var hostFunctions = sync.OnceValue(func() map[string]map[string][]hostFunction {
	modules := make(map[string]map[string][]hostFunction)
	for i := C.size_t(0); ; i++ {
		var n C.size_t
		first := C.flbwt_imports(i, &n)
		if first == nil {
			return modules
		}
		table := unsafe.Slice(first, int(n))
		for k := range table {
			f := hostFunction{c: &table[k]}
			for types := range strings.SplitSeq(C.GoString(f.c.types), " ") {
				f.types = append(f.types, wordType(types))
			}
			module, name := C.GoString(f.c.module), C.GoString(f.c.name)
			if modules[module] == nil {
				modules[module] = make(map[string][]hostFunction)
			}
			modules[module][name] = append(modules[module][name], f)
		}
	}
})

// wordType words a type of a table, such as "iI:F", as in item.typ.
func wordType(types string) string {
	words := map[rune]string{'i': "i32", 'I': "i64", 'F': "f64"}
	params, result, _ := strings.Cut(types, ":")
	var list []string
	for _, c := range params {
		list = append(list, words[c])
	}
	if result == "" {
		result = "()"
	} else {
		result = words[rune(result[0])]
	}
	return "func (" + strings.Join(list, ", ") + ") -> " + result
}

// provider returns the function that an import is given, nil if the host has none of its
// name and type.
func provider(i item) *C.flbwt_import {
	for _, f := range hostFunctions()[i.module][i.name] {
		if slices.Contains(f.types, i.typ) {
			return f.c
		}
	}
	return nil
}

// providedTypes returns the types that the import may have, none if the host does not
// have its name.
func providedTypes(i item) (types []string) {
	for _, f := range hostFunctions()[i.module][i.name] {
		types = append(types, f.types...)
	}
	return types
}

// importsHeap says whether the module has blocks of the host's heap in its
// memory. Compilers make calloc of malloc and memset.
func (m *Module) importsHeap() bool {
	return slices.ContainsFunc(m.imports, func(i item) bool {
		return i.module == libcModule && provider(i) != nil && slices.Contains([]string{"malloc", "calloc", "realloc"}, i.name)
	})
}

func (m *Module) importsWASI() bool {
	return slices.ContainsFunc(m.imports, func(i item) bool { return i.module == wasiModule || i.module == wasiUnstable })
}

// funcType makes the type that wordType has worded.
func funcType(words string) *wasmtime.FuncType {
	kinds := map[string]wasmtime.ValKind{"i32": wasmtime.KindI32, "i64": wasmtime.KindI64, "f64": wasmtime.KindF64}
	list := func(words string) (types []*wasmtime.ValType) {
		for word := range strings.SplitSeq(strings.Trim(words, "()"), ", ") {
			if word != "" {
				types = append(types, wasmtime.NewValType(kinds[word]))
			}
		}
		return types
	}
	params, results, _ := strings.Cut(strings.TrimPrefix(words, "func "), " -> ")
	return wasmtime.NewFuncType(list(params), list(results))
}

// linker returns what the module's imports are taken from; the caller closes it.
func (in *Instance) linker(m *Module) (*wasmtime.Linker, error) {
	linker := wasmtime.NewLinker(m.engine)
	linker.AllowShadowing(true) // a module may import a function twice
	for _, i := range m.imports {
		f := provider(i)
		if f == nil {
			continue // it is missed when the module is instantiated
		}
		typ := funcType(i.typ)
		failure := C.flbwt_import_define(linkerPointer(linker), f, funcTypePointer(typ), in.c)
		runtime.KeepAlive(linker)
		runtime.KeepAlive(typ)
		if failure != nil {
			linker.Close()
			return nil, in.trapError(nil, failure)
		}
	}
	return linker, nil
}

var errNoHostMemory = errors.New("the host has no memory for it")
