package guest

// #cgo CFLAGS: -Werror=incompatible-pointer-types -Werror=int-conversion
// // else gcc only warns of a trap that is taken for an error
// #include "wasmtime.h"
//
// // What calls a function that may not be linked has to look first, which cgo can't.
// static const char *engine_version(void)
// {
//     return flbwt_engine_version ? flbwt_engine_version() : WASMTIME_VERSION;
// }
//
// static const char *engine_targets(void)
// {
//     return flbwt_engine_targets ? flbwt_engine_targets() : "";
// }
//
// static wasmtime_error_t *engine_precompile(const wasm_engine_t *engine, const uint8_t *wasm,
//                                            size_t len, wasm_byte_vec_t *out)
// {
//     return flbwt_engine_precompile(engine, wasm, len, out);
// }
import "C"

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
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

// enginePointer is the first field of Engine (engine.go).
func enginePointer(e *wasmtime.Engine) *C.wasm_engine_t {
	return *(**C.wasm_engine_t)(unsafe.Pointer(e))
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
var engineVersion = C.GoString(C.engine_version())

// engineTargets are the architectures, as target triples begin, that the library in engine/
// compiles for; of wasmtime-go's there are none.
var engineTargets = strings.Fields(C.GoString(C.engine_targets()))

// precompile compiles a module for the engine's target. For libraries with engineTargets only.
func precompile(engine *wasmtime.Engine, wasm []byte) ([]byte, error) {
	var code C.wasm_byte_vec_t
	err := C.engine_precompile(enginePointer(engine), (*C.uint8_t)(unsafe.SliceData(wasm)), C.size_t(len(wasm)), &code)
	runtime.KeepAlive(engine)
	if err != nil {
		defer C.wasmtime_error_delete(err)
		var message C.wasm_name_t
		C.wasmtime_error_message(err, &message)
		defer C.wasm_byte_vec_delete(&message)
		return nil, errors.New(string(vecBytes(message)))
	}
	defer C.wasm_byte_vec_delete(&code)
	return slices.Clone(vecBytes(code)), nil
}

func vecBytes(v C.wasm_byte_vec_t) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v.data)), int(v.size))
}

// checkEngine compares engineVersion with what the compiler has written into code of its own:
// two bytes, of which the second is a length, and the major version
// (wasmtime/src/engine/serialization.rs). They differ if a library was linked that neither has
// told its version nor is wasmtime-go's.
func checkEngine(module *wasmtime.Module) error {
	code, err := module.Serialize()
	if err != nil {
		return err
	}
	written := "an unknown version"
	if file, err := elf.NewFile(bytes.NewReader(code)); err == nil {
		if section := file.Section(".wasmtime.engine"); section != nil {
			if data, err := section.Data(); err == nil && len(data) > 2 && len(data) > 2+int(data[1]) {
				written = string(data[2 : 2+int(data[1])])
			}
		}
	}
	if major, _, _ := strings.Cut(engineVersion, "."); written != major {
		return fmt.Errorf("this program was made for wasmtime %s, but %q is linked: build it with make build, or make build ENGINE=lts", engineVersion, written)
	}
	return nil
}
