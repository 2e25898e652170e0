//go:build !wasm

package flb

import "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"

func init() {
	b := newBatch()
	sys.Run = func(handler any, input string) *sys.Reply {
		b.run(handler.(Handler), input)
		return &b.Reply
	}
	sys.Value = func(s string) any { return Value{s} }
	sys.Start = func(function any) (any, error) {
		configure = function.(func() (Handler, error))
		return start()
	}
}
