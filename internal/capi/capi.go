// Package capi is what this project uses of wasmtime's C API beside wasmtime-go: its
// declarations, in wasmtime.h, and the C objects that wasmtime-go keeps to itself. They are taken
// here and nowhere else.
//
// cgo gives each package C types of its own. A caller names its type, *C.wasm_config_t for a
// Config, and gets the object as that; a type of another name panics.
//
// A pointer is good for as long as the Go object is, so that runtime.KeepAlive has to follow its
// last use, and nil once that is closed.
package capi

// #include "wasmtime.h"
import "C"

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// Config returns the wasm_config_t of a Config.
func Config[P any](c *wasmtime.Config) P { return as[P](configOf(c)) }

// Module returns the wasmtime_module_t of a Module.
func Module[P any](m *wasmtime.Module) P { return as[P](moduleOf(m)) }

// Linker returns the wasmtime_linker_t of a Linker.
func Linker[P any](l *wasmtime.Linker) P { return as[P](linkerOf(l)) }

// FuncType returns the wasm_functype_t of a FuncType.
func FuncType[P any](t *wasmtime.FuncType) P { return as[P](funcTypeOf(t)) }

// Context returns the wasmtime_context_t of a store. It is valid until the store is closed.
func Context[P any](s *wasmtime.Store) P { return as[P](contextOf(s)) }

// Func returns the wasmtime_func_t of an item that is known to be a function. It owns nothing.
func Func[T any](item wasmtime.AsExtern) T { return as[T](funcOf(item)) }

// Memory returns the wasmtime_memory_t of an item that is known to be a memory. It owns nothing.
func Memory[T any](item wasmtime.AsExtern) T { return as[T](memoryOf(item)) }

// as gives a value of a C type, or of a pointer to one, that type's name in another package.
func as[T, U any](v U) T {
	theirs, ours := reflect.TypeFor[T](), reflect.TypeFor[U]()
	same := theirs.Size() == ours.Size() && theirs.Kind() == ours.Kind()
	if same && theirs.Kind() == reflect.Pointer {
		same = theirs.Elem().Name() == ours.Elem().Name()
	} else {
		same = same && theirs.Name() == ours.Name()
	}
	if !same {
		panic(fmt.Sprintf("%s is not %s", theirs, ours))
	}
	return *(*T)(unsafe.Pointer(&v))
}

// In v44.0.0 each of these types begins with _ptr, the C object that it owns
// (TestForeignStructs).

func configOf(c *wasmtime.Config) *C.wasm_config_t { // config.go
	return *(**C.wasm_config_t)(unsafe.Pointer(c))
}

func engineOf(e *wasmtime.Engine) *C.wasm_engine_t { // engine.go
	return *(**C.wasm_engine_t)(unsafe.Pointer(e))
}

func moduleOf(m *wasmtime.Module) *C.wasmtime_module_t { // module.go
	return *(**C.wasmtime_module_t)(unsafe.Pointer(m))
}

func linkerOf(l *wasmtime.Linker) *C.wasmtime_linker_t { // linker.go
	return *(**C.wasmtime_linker_t)(unsafe.Pointer(l))
}

func funcTypeOf(t *wasmtime.FuncType) *C.wasm_functype_t { // functype.go
	return *(**C.wasm_functype_t)(unsafe.Pointer(t))
}

func contextOf(s *wasmtime.Store) *C.wasmtime_context_t { // store.go
	return (*C.wasmtime_context_t)(unsafe.Pointer(s.Context()))
}

// externOf returns the C value of a function or memory (extern.go, func.go), which names it in its
// store and owns nothing.
func externOf(item wasmtime.AsExtern) C.wasmtime_extern_t {
	e := item.AsExtern()
	// The other package's type is of the same size, or this does not compile.
	_ = [1]byte{}[unsafe.Sizeof(e)-unsafe.Sizeof(C.wasmtime_extern_t{})]
	return *(*C.wasmtime_extern_t)(unsafe.Pointer(&e))
}

func funcOf(item wasmtime.AsExtern) C.wasmtime_func_t {
	e := externOf(item)
	if e.kind != C.WASMTIME_EXTERN_FUNC {
		panic("not a function")
	}
	return *(*C.wasmtime_func_t)(unsafe.Pointer(&e.of))
}

func memoryOf(item wasmtime.AsExtern) C.wasmtime_memory_t {
	e := externOf(item)
	if e.kind != C.WASMTIME_EXTERN_MEMORY {
		panic("not a memory")
	}
	return *(*C.wasmtime_memory_t)(unsafe.Pointer(&e.of))
}
