package guest

// #include "otlp.h"
import "C"

import (
	"fmt"
	"regexp"
	"runtime"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// A guest is called for each record of options.Logs, or for batches of them, and for options.Metrics and
// options.Traces with an OTLP request (docs/abi.md).

// otlpMarker is the export of a guest for metrics and traces.
const otlpMarker = "flb_otlp_1"

// anyOTLPMarker is the marker of a version of that ABI.
var anyOTLPMarker = regexp.MustCompile(`^flb_otlp_[0-9]+$`)

// otlpFunctions are called for a signal.
var otlpFunctions = [options.NumSignals]string{options.Metrics: "flb_metrics", options.Traces: "flb_traces"}

// IsOTLP says whether the module is a guest for metrics or traces.
func (m *Module) IsOTLP() bool { return m.export(otlpMarker) != nil }

// Handles says whether the module has a function for metrics, or for traces.
func (m *Module) Handles(s options.Signal) bool {
	return m.IsOTLP() && m.export(otlpFunctions[s]) != nil
}

// Called is the function that guests are called by.
func (c *Config) Called() string {
	if c.Signal == options.Logs {
		return c.Function
	}
	return otlpFunctions[c.Signal]
}

// functionFor is the function that instances are called by; "" if the module has none for their signal.
func (m *Module) functionFor(config Config) string {
	switch {
	case config.Signal == options.Logs:
		return config.Function
	case m.Handles(config.Signal):
		return otlpFunctions[config.Signal]
	}
	return ""
}

// otlpProblems says why the module can't be used as a guest for metrics and traces, if it asks for that,
// or is to be one.
func (m *Module) otlpProblems(signal options.Signal) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, e := range m.exports {
		if anyOTLPMarker.MatchString(e.name) && e.name != otlpMarker && !m.IsOTLP() {
			add("the module exports %s: of the ABI for metrics and traces this version of the plugin knows %s; a newer one may know it", hostlog.Name(e.name), otlpMarker)
		}
	}
	if !m.IsOTLP() {
		if signal != options.Logs && list == nil {
			add("the module can't be called for %s: it does not export %s (docs/abi.md)", signal, otlpMarker)
		}
		return list
	}
	if e := m.export(otlpMarker); !m.exportsFunc(otlpMarker, noParams) {
		add("%s has the type %s: it must be %q", otlpMarker, hostlog.Quote(e.typ, maxTypeBytes), "func "+noParams)
	}
	if !m.IsBatch() && !m.exportsFunc(bufferFunction, allocType) {
		add("the module exports %s, and no function %s of the type func %s: it gives the input its place", otlpMarker, bufferFunction, allocType)
	}
	none := true
	for _, s := range []options.Signal{options.Metrics, options.Traces} {
		e := m.export(otlpFunctions[s])
		none = none && e == nil
		if e != nil && !m.exportsFunc(e.name, batchSignature) {
			add("%s has the type %s: it must be %q", otlpFunctions[s], hostlog.Quote(e.typ, maxTypeBytes), "func "+batchSignature)
		}
	}
	if none {
		add("the module exports %s, and neither %s nor %s", otlpMarker, otlpFunctions[options.Metrics], otlpFunctions[options.Traces])
	}
	return list
}

// unhandled says what the user should know if the module is not called for the signal.
func (m *Module) unhandled(signal options.Signal) string {
	if signal == options.Logs || m.Handles(signal) {
		return ""
	}
	return fmt.Sprintf("the module exports no function %s: all %s pass", otlpFunctions[signal], signal)
}

// MaxPayloadBytes bounds what a guest is given, and gives, of metrics or traces at once.
const MaxPayloadBytes = 64 << 20

// Operation is what a guest says of a payload.
type Operation uint32

// The operations.
const (
	Keep    Operation = C.FLBWT_OTLP_KEEP
	Discard Operation = C.FLBWT_OTLP_DROP
	Replace Operation = C.FLBWT_OTLP_REPLACE
	Fail    Operation = C.FLBWT_OTLP_ERROR
)

// Answer is what a guest says of a payload.
type Answer struct {
	Operation Operation
	Bytes     []byte // of Replace a payload, of Fail a text; the guest's, until it is called again
	Why       string // of the outcome BadReply
}

// CallOTLP calls the guest with a payload, of MaxPayloadBytes at most, for the signal that it was made
// for. If the outcome is Reply, there is an answer; else TakeError is to be asked. The lane must be
// outside of a chunk.
func (l *Lane) CallOTLP(s options.Signal, tag, payload []byte) (Answer, Outcome) {
	var a C.flbwt_otlp_answer
	// Metrics are 1 and traces 2, in the ABI too.
	outcome := Outcome(C.flbwt_otlp_call(l.c, C.uint32_t(s), pointer(tag), C.uint32_t(len(tag)), pointer(payload), C.uint32_t(len(payload)), &a))
	runtime.KeepAlive(l.in)
	return Answer{
		Operation: Operation(a.operation),
		Bytes:     unsafe.Slice((*byte)(a.bytes), int(a.len)),
		Why:       C.GoString(a.why),
	}, outcome
}
