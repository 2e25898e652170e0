// Package hostcall holds the functions that guests may import: the host functions of this project,
// WASI, the C library that Fluent Bit's built-in filter provides, and what AssemblyScript asks for. They know an instance by its
// flbwt_instance (instance.h), and not how it is called for a record.
package hostcall

// #cgo CFLAGS: -Werror=incompatible-pointer-types -Werror=int-conversion
// // else gcc only warns of a trap that is taken for an error
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

	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/bounds" // for C
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fast"   // for record.c
	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"  // for C
	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tables" // for C
)

// Function is a function that modules may import, from a table of import.h.
type Function struct {
	c     *C.flbwt_import
	types []string // worded by wordType
}

// Where modules import from.
const (
	// WASI is the version of WASI that core modules of today import.
	WASI = "wasi_snapshot_preview1"

	// WASIUnstable is the one before, of compilers up to 2020.
	WASIUnstable = "wasi_unstable"

	// Host has the functions of this project (host.c, table.c).
	Host = "flb_v1"

	// Env has the functions of libc.c, and what AssemblyScript imports.
	Env = "env"
)

// functions are all of them, by module and name. Several may have a name.
var functions = sync.OnceValue(func() map[string]map[string][]Function {
	modules := make(map[string]map[string][]Function)
	for i := C.size_t(0); ; i++ {
		var n C.size_t
		first := C.flbwt_imports(i, &n)
		if first == nil {
			return modules
		}
		table := unsafe.Slice(first, int(n))
		for k := range table {
			f := Function{c: &table[k]}
			for types := range strings.SplitSeq(C.GoString(f.c.types), " ") {
				f.types = append(f.types, wordType(types))
			}
			module, name := C.GoString(f.c.module), C.GoString(f.c.name)
			if modules[module] == nil {
				modules[module] = make(map[string][]Function)
			}
			modules[module][name] = append(modules[module][name], f)
		}
	}
})

// wordType words a type of a table, such as "iI:F": "func (i32, i64) -> f64".
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

// Names returns the names of what may be imported from a module, nil if the host has none of it.
func Names(module string) (names []string) {
	for name := range functions()[module] {
		names = append(names, name)
	}
	return names
}

// Find returns the function that an import of that type is given, nil if the host has none of
// its name and type.
func Find(module, name, typ string) *Function {
	for _, f := range functions()[module][name] {
		if slices.Contains(f.types, typ) {
			return &f
		}
	}
	return nil
}

// Types returns the types that the import may have, none if the host does not have its name.
func Types(module, name string) (types []string) {
	for _, f := range functions()[module][name] {
		types = append(types, f.types...)
	}
	return types
}

// UsesHeap says whether a guest that imports the function has blocks of the host's heap in its
// memory. Compilers make calloc of malloc and memset.
func (f *Function) UsesHeap() bool {
	return C.GoString(f.c.module) == Env && slices.Contains([]string{"malloc", "calloc", "realloc"}, C.GoString(f.c.name))
}

// UsesRecord says whether a guest that imports the function needs a flbwt_current.
func (f *Function) UsesRecord() bool {
	table := unsafe.Slice(C.flbwt_record_imports, int(C.flbwt_record_imports_len))
	for i := range table {
		if f.c == &table[i] {
			return true
		}
	}
	return false
}

// Define gives the function to a linker, as one of that type, which is one of its types, for
// the flbwt_instance at instance, which has to outlive the linker's stores.
func (f *Function) Define(l *wasmtime.Linker, typ string, instance unsafe.Pointer) error {
	t := funcType(typ)
	failure := C.flbwt_import_define(capi.Linker[*C.wasmtime_linker_t](l), f.c, capi.FuncType[*C.wasm_functype_t](t), (*C.flbwt_instance)(instance))
	runtime.KeepAlive(l)
	runtime.KeepAlive(t)
	if failure == nil {
		return nil
	}
	defer C.wasmtime_error_delete(failure)
	var message C.wasm_message_t
	C.wasmtime_error_message(failure, &message)
	defer C.wasm_byte_vec_delete(&message)
	return errors.New(C.GoStringN(message.data, C.int(message.size)))
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
