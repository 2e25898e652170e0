// The plugin: a filter, a processor of metrics and traces, and an output for stock
// Fluent Bit, loaded with -e, that run WebAssembly guests on wasmtime.
//
// This file has what C calls (stack.c, output_abi.c). An ordinary chunk does not come here:
// stack.c runs it through the lane of internal/guest. What stops the lane goes from here
// through wasm_host.go and msgpack.go to internal/filter, which decides by internal/chunk
// and internal/transcode. A payload of metrics or traces goes through payload.go to internal/filter,
// a call of an output through output_instance.go to internal/output and internal/forward.
package main

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra -Wno-unused-parameter
// #cgo LDFLAGS: -Wl,--wrap=pthread_create
// #include <stdlib.h>
// #include "plugin.h"
import "C"

import (
	"runtime/cgo"
	"unsafe"

	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/delivery" // whose C the border calls
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// flbwtCheck says whether the filter of an instance would start: 0, or -1 after it has
// logged why not.
//
//export flbwtCheck
func flbwtCheck(inst *C.struct_instance) (result C.int) {
	result = -1
	defer hostlog.Recover(errorLog(inst), "check", nil)
	if err := check(inst); err != nil {
		errorLog(inst)(err.Error())
		return -1
	}
	return 0
}

// flbwtStart starts the filter of an instance and returns its handle, or 0
// after it has logged why not.
//
//export flbwtStart
func flbwtStart(inst *C.struct_instance) (handle C.uintptr_t) {
	defer hostlog.Recover(errorLog(inst), "start", nil)
	h, err := newFilterInstance(inst)
	if err != nil {
		errorLog(inst)(err.Error())
		return 0
	}
	return C.uintptr_t(cgo.NewHandle(h))
}

// flbwtFilter filters one chunk, or goes on with the one that stopped the lane. The chunk
// and tag are borrowed; out is allocated for the host.
//
//export flbwtFilter
func flbwtFilter(handle C.uintptr_t, tag unsafe.Pointer, tagLen C.int, data unsafe.Pointer,
	size C.size_t, out *unsafe.Pointer, outSize *C.size_t) (result C.int) {
	result = C.FLB_FILTER_NOTOUCH
	var h *filterInstance
	defer hostlog.Recover(func(line string) { h.logError(line) }, "filter", nil)
	h = cgo.Handle(handle).Value().(*filterInstance)
	return h.runChunk(borrow(tag, C.size_t(tagLen)), borrow(data, size), out, outSize)
}

// flbwtPayload filters a payload of metrics or traces, and says what becomes of it. It is borrowed; what takes
// its place is the host's.
//
//export flbwtPayload
func flbwtPayload(handle C.uintptr_t, tag unsafe.Pointer, tagLen C.int, p *C.struct_payload) (result C.int) {
	result = C.PAYLOAD_KEPT
	var h *filterInstance
	defer hostlog.Recover(func(line string) { h.logError(line) }, "processor", nil)
	h = cgo.Handle(handle).Value().(*filterInstance)
	return h.runPayload(borrow(tag, C.size_t(tagLen)), p)
}

// flbwtTick has the guest ticked, for the last time if it is final.
//
//export flbwtTick
func flbwtTick(handle C.uintptr_t, final C.bool) {
	var h *filterInstance
	defer tickPanics.Recover(func(line string) { h.logError(line) }, "tick")
	h = cgo.Handle(handle).Value().(*filterInstance)
	if h.filter.Ticks() {
		h.filter.Tick(bool(final))
	}
}

// Of what the host calls again and again, whether there are records or not.
var metricsPanics, tickPanics hostlog.Panics

// flbwtMetrics writes the metrics of an instance to the host, on the engine's thread.
//
//export flbwtMetrics
func flbwtMetrics(handle C.uintptr_t, to *C.struct_metrics) {
	defer metricsPanics.Recover(logToStderr, "metrics")
	cgo.Handle(handle).Value().(*filterInstance).writeMetrics(to)
}

// flbwtStop frees the filter.
//
//export flbwtStop
func flbwtStop(handle C.uintptr_t) {
	var h *filterInstance
	defer hostlog.Recover(func(line string) { h.logError(line) }, "exit", nil)
	h = cgo.Handle(handle).Value().(*filterInstance)
	defer cgo.Handle(handle).Delete()
	h.exporter.close()
	h.filter.Close()
}

// flbwtOutput takes a call of the host to an output. It returns at once;
// border_output_done completes the job later, on any thread.
//
//export flbwtOutput
func flbwtOutput(job *C.struct_output_job) { go handleOutputJob(job) }

// main is not called in a shared object.
func main() {}
