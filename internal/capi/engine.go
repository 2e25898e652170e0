package capi

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

// Version is that of the wasmtime that is linked; code of another one can't be run. A variable for
// the tests' sake.
var Version = C.GoString(C.engine_version())

// Targets are the architectures, as target triples begin, that the library in engine/ compiles
// for; of wasmtime-go's there are none.
var Targets = strings.Fields(C.GoString(C.engine_targets()))

// Precompile compiles a module for the engine's target. For libraries with Targets only.
func Precompile(engine *wasmtime.Engine, wasm []byte) ([]byte, error) {
	var code C.wasm_byte_vec_t
	err := C.engine_precompile(engineOf(engine), (*C.uint8_t)(unsafe.SliceData(wasm)), C.size_t(len(wasm)), &code)
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

// CheckEngine compares Version with what the compiler has written into code of its own: two bytes,
// of which the second is a length, and the major version
// (wasmtime/src/engine/serialization.rs). They differ if a library was linked that neither has
// told its version nor is wasmtime-go's.
func CheckEngine(module *wasmtime.Module) error {
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
	if major, _, _ := strings.Cut(Version, "."); written != major {
		return fmt.Errorf("this program was made for wasmtime %s, but %q is linked: build it with make build, or make build ENGINE=lts", Version, written)
	}
	return nil
}
