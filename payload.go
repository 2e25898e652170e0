package main

// #include "plugin.h"
import "C"

import (
	"errors"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/otlp"
)

var verdicts = [...]C.int{filter.Kept: C.PAYLOAD_KEPT, filter.Replaced: C.PAYLOAD_REPLACED, filter.Dropped: C.PAYLOAD_DROPPED}

// runPayload filters metrics or traces, by the functions of the host that read and write OTLP.
func (h *filterInstance) runPayload(tag []byte, p *C.struct_payload) C.int {
	var encoded *C.char
	defer func() {
		if encoded != nil {
			C.border_encoded(p, encoded)
		}
	}()
	exponential := bool(C.border_exponential())
	return verdicts[h.filter.RunPayload(filter.Payload{
		Tag: tag,
		Encode: func() ([]byte, error) {
			var n C.size_t
			var why *C.char
			if encoded = C.border_encode(p, &n, &why); encoded == nil {
				return nil, errors.New(C.GoString(why))
			}
			return borrow(unsafe.Pointer(encoded), n), nil
		},
		Put: func(request []byte) error {
			why := C.border_put(p, unsafe.Pointer(unsafe.SliceData(request)), C.size_t(len(request)))
			if why != nil {
				return errors.New(C.GoString(why))
			}
			return nil
		},
		Host: otlp.Host{ExponentialHistograms: exponential, SignedIntegers: exponential, ScopeAttributes: bool(C.border_scope_attributes()), ScopelessSpans: bool(C.border_scopeless())},
	})]
}
