package guest

// #include "call.h"
// #include "libc.h"
import "C"

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// libcFunction is a function of the libc in libc.c, whose table this is read from.
type libcFunction struct {
	index int
	types []string // as in item.typ
}

// libcModule is where modules import it from.
const libcModule = "env"

var libcFunctions = sync.OnceValue(func() map[string]libcFunction {
	table := unsafe.Slice(C.flbwt_libc, int(C.flbwt_libc_len))
	byName := make(map[string]libcFunction, len(table))
	for i := range table {
		f := libcFunction{index: i}
		for types := range strings.SplitSeq(C.GoString(table[i].types), " ") {
			f.types = append(f.types, libcType(types))
		}
		byName[C.GoString(table[i].name)] = f
	}
	return byName
})

// libcType words a type of the table, such as "iI:F".
func libcType(types string) string {
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

// libcTypes answers the types that an import may have, if libc has its name.
func libcTypes(i item) []string {
	if i.module != libcModule {
		return nil
	}
	return libcFunctions()[i.name].types
}

func isLibc(i item) bool { return slices.Contains(libcTypes(i), i.typ) }

// importsHeap says whether the module has blocks of the host's heap in its
// memory. Compilers make calloc of malloc and memset.
func (m *Module) importsHeap() bool {
	return slices.ContainsFunc(m.imports, func(i item) bool {
		return isLibc(i) && slices.Contains([]string{"malloc", "calloc", "realloc"}, i.name)
	})
}

// libcFuncType makes the type that libcType has worded.
func libcFuncType(words string) *wasmtime.FuncType {
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

// defineLibc gives the linker what the module imports of it, for this instance.
func (in *Instance) defineLibc(linker *wasmtime.Linker, m *Module) error {
	for _, i := range m.imports {
		if !isLibc(i) {
			continue
		}
		// Linker and FuncType are a pointer to the C object, first of all.
		typ := libcFuncType(i.typ)
		failure := C.flbwt_libc_define(*(*unsafe.Pointer)(unsafe.Pointer(linker)),
			C.size_t(libcFunctions()[i.name].index), *(*unsafe.Pointer)(unsafe.Pointer(typ)), in.c)
		runtime.KeepAlive(linker)
		runtime.KeepAlive(typ)
		if failure != nil {
			return in.trapError(nil, failure)
		}
	}
	return nil
}
