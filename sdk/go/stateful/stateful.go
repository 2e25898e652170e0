// Package stateful, imported for nothing but its effect, says that an event must not go through the
// filter twice, for it counts or stores: then retry_batch does not repeat events.
//
//	import _ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/stateful"
package stateful

//go:wasmexport flb_stateful
func flbStateful() {}
