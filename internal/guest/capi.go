package guest

// #cgo CFLAGS: -Werror=incompatible-pointer-types -Werror=int-conversion
// // else gcc only warns of a trap that is taken for an error
// #include "wasmtime.h"
import "C"

import (
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// What wasmtime-go keeps to itself and this package needs is taken here and nowhere else. The
// pointers are those of v44.0.0: each of these types begins with _ptr, the C object that it
// owns (TestForeignStructs). They are good for as long as the Go object is, so that
// runtime.KeepAlive has to follow their last use, and nil once it is closed.

// configPointer is the first field of Config (config.go).
func configPointer(c *wasmtime.Config) *C.wasm_config_t {
	return *(**C.wasm_config_t)(unsafe.Pointer(c))
}

// modulePointer is the first field of Module (module.go).
func modulePointer(m *wasmtime.Module) *C.wasmtime_module_t {
	return *(**C.wasmtime_module_t)(unsafe.Pointer(m))
}

// linkerPointer is the first field of Linker (linker.go).
func linkerPointer(l *wasmtime.Linker) *C.wasmtime_linker_t {
	return *(**C.wasmtime_linker_t)(unsafe.Pointer(l))
}

// funcTypePointer is the first field of FuncType (functype.go).
func funcTypePointer(t *wasmtime.FuncType) *C.wasm_functype_t {
	return *(**C.wasm_functype_t)(unsafe.Pointer(t))
}

// storeContext is Store.Context (store.go), whose type belongs to the other package. It is
// valid until the store is closed.
func storeContext(s *wasmtime.Store) *C.wasmtime_context_t {
	return (*C.wasmtime_context_t)(unsafe.Pointer(s.Context()))
}

// externOf answers the C value of a function or memory (AsExtern: extern.go, func.go), which
// names it in its store and owns nothing.
func externOf(item wasmtime.AsExtern) C.wasmtime_extern_t {
	e := item.AsExtern()
	// The other package's type is of the same size, or this does not compile.
	_ = [1]byte{}[unsafe.Sizeof(e)-unsafe.Sizeof(C.wasmtime_extern_t{})]
	return *(*C.wasmtime_extern_t)(unsafe.Pointer(&e))
}

// funcOf answers the C value of an item that is known to be a function.
func funcOf(item wasmtime.AsExtern) C.wasmtime_func_t {
	e := externOf(item)
	if e.kind != C.WASMTIME_EXTERN_FUNC {
		panic("not a function")
	}
	return *(*C.wasmtime_func_t)(unsafe.Pointer(&e.of))
}

// memoryOf answers the C value of an item that is known to be a memory.
func memoryOf(item wasmtime.AsExtern) C.wasmtime_memory_t {
	e := externOf(item)
	if e.kind != C.WASMTIME_EXTERN_MEMORY {
		panic("not a memory")
	}
	return *(*C.wasmtime_memory_t)(unsafe.Pointer(&e.of))
}

// engineVersion is that of the wasmtime that is linked; code of another one can't be run.
const engineVersion = C.WASMTIME_VERSION
