package main

// #include "plugin.h"
import "C"

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// filterInstance is a filter instance of the host with its guest. One thread at a
// time runs it (stack.c).
type filterInstance struct {
	filter   *filter.Filter
	errorLog func(line string)
}

// logError logs an error; of no instance, to stderr.
func (h *filterInstance) logError(line string) {
	if h == nil {
		logToStderr(line)
		return
	}
	h.errorLog(line)
}

// logToStderr is for errors before there is an instance whose name a line could have.
func logToStderr(line string) { fmt.Fprintln(os.Stderr, "[wasmtime]", line) }

// parse reads the instance's properties.
func parse(inst *C.struct_instance) (options.Options, error) {
	get := func(name *C.char) *C.char { return C.border_property(inst, name) }
	return options.Parse(properties(unsafe.Pointer(inst.ins), get))
}

// check says what keeps the instance from starting.
func check(inst *C.struct_instance) error {
	o, err := parse(inst)
	if err != nil {
		return err
	}
	guest.WrapHostSignals()
	return filter.Check(o)
}

// newFilterInstance reads the instance's properties and starts its guest.
func newFilterInstance(inst *C.struct_instance) (*filterInstance, error) {
	o, err := parse(inst)
	if err != nil {
		return nil, err
	}
	guest.WrapHostSignals()
	f, err := filter.New(o, func(level hostlog.Level, line string) { logLine(inst, level, line) })
	if err != nil {
		return nil, err
	}
	inst.lane = (*C.flbwt_lane)(f.Lane())
	inst.stack_bytes = C.size_t(guest.StackBytes(o.WasmStackBytes))
	return &filterInstance{filter: f, errorLog: errorLog(inst)}, nil
}

// maxValues bounds how often an option may be given.
const maxValues = 1000

// properties returns what the user set for an instance of the host, which get looks up.
func properties(instance unsafe.Pointer, get func(name *C.char) *C.char) options.Values {
	first := func(name string) *C.char {
		key := append([]byte(name), 0)
		return get((*C.char)(unsafe.Pointer(&key[0])))
	}
	known := first("wasm_path")
	return func(name string) (values []string) {
		found := make([]*C.char, maxValues)
		key := append([]byte(name), 0)
		n := C.border_values(instance, (*C.char)(unsafe.Pointer(&key[0])), first(name), known, &found[0], maxValues)
		for _, value := range found[:n] {
			values = append(values, C.GoString(value))
		}
		return values
	}
}

// logLine hands a line to the border, which writes it to Fluent Bit's log with
// the instance's name. No line leaves here that is more than one, or not printable.
func logLine(inst *C.struct_instance, level hostlog.Level, line string) {
	line = hostlog.Line(line)
	C.border_log(inst, C.int(level), (*C.char)(unsafe.Pointer(unsafe.StringData(line))), C.size_t(len(line)))
}

// errorLog returns the function that logs an instance's errors.
func errorLog(inst *C.struct_instance) func(string) {
	return func(line string) { logLine(inst, hostlog.Error, line) }
}
