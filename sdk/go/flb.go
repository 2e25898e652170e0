// Package flb is for filters of [Fluent Bit]'s logs that run as WebAssembly, in its filter wasmtime of
// [fluent-bit-wasmtime]: by Go's GOOS=wasip1 GOARCH=wasm, or by TinyGo.
//
// A filter is a function that is called for each event:
//
//	func main() {}
//
//	func init() { flb.Filter(filter) }
//
//	func filter(e *flb.Event) error {
//		if e.Body.Get("level").Str() == "debug" {
//			e.Drop()
//		}
//		return nil
//	}
//
// One with a configuration or a state is a [Handler], which [Configure] makes. Package flbtest runs both
// in tests, without WebAssembly.
//
// An error is that of one event: the host counts it and logs it with its text, and on_error of the filter
// says what becomes of the event. So is a panic; but what the Go runtime can't recover from, and any
// panic with TinyGo, ends the module's instance, and all events of the batch have failed.
//
// [Fluent Bit]: https://fluentbit.io
// [fluent-bit-wasmtime]: https://github.com/fluent-bit-wasmtime/fluent-bit-wasmtime
package flb

import (
	"errors"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

// Version is that of the package.
const Version = "0.1.0"

// Handler is a filter with a configuration or a state.
type Handler interface {
	// Filter is called for each event. An error is that of this event alone.
	Filter(*Event) error
}

// GroupHandler is a [Handler] that edits what the events of a group have in common.
type GroupHandler interface {
	Handler
	// Group is called for each group that can be edited in a batch, before the events of the batch. An
	// error leaves the group as it is, and is one of all of its events in the batch.
	Group(*Group) error
}

// Func is a filter that is a function.
type Func func(*Event) error

// Filter calls the function.
func (f Func) Filter(e *Event) error { return f(e) }

var configure func() (Handler, error)

// Filter makes a module of a function. Call it or [Configure] once, in init. The function that the host
// calls is named filter.
func Filter(function func(*Event) error) {
	Configure(func() (Handler, error) { return Func(function), nil })
}

// Configure makes a module of a filter. The function is called before the first event; an error keeps
// Fluent Bit from starting, with its text.
func Configure(function func() (Handler, error)) {
	if configure != nil {
		panic("flb: a module has one filter: call Filter or Configure once")
	}
	configure = function
}

// start configures the filter.
func start() (handler Handler, err error) {
	if configure == nil {
		return nil, errors.New("the module has no filter: call flb.Filter or flb.Configure in init")
	}
	defer sys.Recover(&err)
	if handler, err = configure(); err == nil && handler == nil {
		err = errors.New("the module has no filter: flb.Configure has returned nil")
	}
	return handler, err
}
