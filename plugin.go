// The plugin: a filter for stock Fluent Bit, loaded with -e, that runs
// WebAssembly guests on wasmtime.
//
// This file has what the border calls (host.c, worker.c) and Fluent Bit's Go
// proxy looks up. The way of a chunk from here: wasm_host.go, msgpack.go,
// internal/filter, internal/chunk, internal/transcode, internal/guest.
package main

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra -Wno-unused-parameter
// #cgo LDFLAGS: -Wl,-Bsymbolic-functions
// #include <stdlib.h>
// #include "border.h"
import "C"

import (
	"runtime/cgo"
	"unsafe"

	"github.com/fluent/fluent-bit-go/output"
)

// flbwtStart starts the filter of an instance and answers its handle, or 0
// after it has logged why not.
//
//export flbwtStart
func flbwtStart(inst *C.struct_instance) (handle C.uintptr_t) {
	defer logPanic(errorLog(inst), "start")
	h, err := newHosted(inst)
	if err != nil {
		errorLog(inst)(err.Error())
		return 0
	}
	return C.uintptr_t(cgo.NewHandle(h))
}

// flbwtFilter filters one chunk, with which the lane may have begun. The chunk and tag
// are borrowed; out is allocated for the host.
//
//export flbwtFilter
func flbwtFilter(handle C.uintptr_t, tag unsafe.Pointer, tagLen C.int, data unsafe.Pointer,
	size C.size_t, begun C.bool, out *unsafe.Pointer, outSize *C.size_t) (result C.int) {
	h := cgo.Handle(handle).Value().(*hosted)
	result = C.FLB_FILTER_NOTOUCH
	defer logPanic(h.errorLog, "filter")
	return h.runChunk(borrow(tag, C.size_t(tagLen)), borrow(data, size), bool(begun), out, outSize)
}

// flbwtStop frees the filter.
//
//export flbwtStop
func flbwtStop(handle C.uintptr_t) {
	h := cgo.Handle(handle).Value().(*hosted)
	defer cgo.Handle(handle).Delete()
	defer logPanic(h.errorLog, "exit")
	h.filter.Close()
}

// FLBPluginRegister is what the Go proxy of Fluent Bit calls first when the
// object is loaded as out_wasmtime.so.
//
//export FLBPluginRegister
func FLBPluginRegister(def unsafe.Pointer) C.int {
	return C.int(output.FLBPluginRegister(def, "wasmtime", "WebAssembly transform on wasmtime"))
}

// FLBPluginInit refuses: the output door is not built yet.
//
//export FLBPluginInit
func FLBPluginInit(plugin unsafe.Pointer) C.int {
	text := C.CString("the output plugin is not built yet: use the filter (flb-filter_wasmtime.so, [FILTER] Name wasmtime)")
	defer C.free(unsafe.Pointer(text))
	C.border_output_log(C.FLB_LOG_ERROR, text)
	return output.FLB_ERROR
}

// FLBPluginFlushCtx is never called, since no instance starts.
//
//export FLBPluginFlushCtx
func FLBPluginFlushCtx(ctx, data unsafe.Pointer, size C.int, tag *C.char) C.int {
	return output.FLB_ERROR
}

// FLBPluginExit has nothing to free.
//
//export FLBPluginExit
func FLBPluginExit() C.int { return output.FLB_OK }

// main is not called in a shared object.
func main() {}
