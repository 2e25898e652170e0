package main

// #include "plugin.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	fluentbit "github.com/fluent/fluent-bit-go/output"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/output"
)

// outputInstance is an output instance of the host, and its context. The output
// package of fluent-bit-go keeps contexts for ever: this one lets go of the output.
type outputInstance struct {
	ins *C.struct_flb_output_instance

	mu     sync.Mutex
	output *output.Output // guarded by mu; nil after the exit
}

var outputHost = output.Host{
	Thread: thread,
	Silent: func() time.Duration { return time.Duration(C.border_engine_silent()) },
}

// handleOutputJob does what a call of the host asks for. It runs on a goroutine of its own.
func handleOutputJob(job *C.struct_output_job) {
	result, ins := C.int(output.Error), (*C.struct_flb_output_instance)(nil)
	var lines []output.Line
	defer func() {
		for _, l := range lines {
			outputLine(job, l.Level, l.Text)
		}
		C.border_output_done(job, ins, result)
	}()
	defer hostlog.Recover(func(line string) { outputLine(job, hostlog.Error, line) }, "output", nil)
	if job.kind == C.OUTPUT_INIT {
		ins = C.border_output_instance(job.context)
		var err error
		if lines, err = startOutput(job.context, ins); err != nil {
			lines = append(lines, output.Line{Level: hostlog.Error, Text: err.Error()})
			return
		}
		result = C.int(output.OK)
		return
	}
	h, _ := fluentbit.FLBPluginGetContext(job.context).(*outputInstance)
	if h == nil {
		return
	}
	ins = h.ins
	h.mu.Lock()
	o := h.output
	if job.kind == C.OUTPUT_EXIT {
		h.output = nil
	}
	h.mu.Unlock()
	switch {
	case job.kind == C.OUTPUT_EXIT:
		result = C.int(output.OK)
		if o != nil {
			lines = o.Close()
		}
	case o == nil:
		result = C.int(output.Retry)
	default:
		result = C.int(output.Retry) // if there is a panic
		result = C.int(o.Flush(C.GoString(job.tag), borrow(job.data, job.size), bool(job.on_engine)))
		lines = o.Lines()
	}
}

// startOutput reads the instance's options, starts its output and makes it the
// context of the plugin.
func startOutput(plugin unsafe.Pointer, ins *C.struct_flb_output_instance) ([]output.Line, error) {
	get := func(name *C.char) *C.char { return C.border_output_property(plugin, name) }
	source, all := properties(unsafe.Pointer(ins), get)
	given, err := options.ParseOutput(C.GoString(C.border_output_name(plugin)), source)
	if err != nil {
		return nil, err
	}
	if !all {
		given.Warnings = append(given.Warnings, firstValuesOnly)
	}
	if given.To == options.Stdout && !bool(C.border_is_standard(1)) {
		return nil, errors.New("emit_to stdout: Fluent Bit has closed standard output, as it does when it goes into the background (Daemon On): name a file, file:///PATH, or run it in the foreground")
	}
	guest.WrapHostSignals()
	o, lines, err := output.New(given, &outputHost)
	if err != nil {
		return lines, err
	}
	fluentbit.FLBPluginSetContext(plugin, &outputInstance{ins: ins, output: o})
	return lines, nil
}

// outputLine is logLine for an output.
func outputLine(job *C.struct_output_job, level hostlog.Level, line string) {
	line = hostlog.Line(line)
	C.border_output_line(job, C.int(level), (*C.char)(unsafe.Pointer(unsafe.StringData(line))), C.size_t(len(line)))
}

// thread runs a function on a thread on whose stack guests may run.
func thread(f func()) error {
	if err := guest.Go(f); err != nil {
		return fmt.Errorf("can't start a thread: %w", err)
	}
	return nil
}
