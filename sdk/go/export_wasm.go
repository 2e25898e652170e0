package flb

import (
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

// What the host is given the address of stays reachable here.
var (
	instance = newBatch()
	handler  Handler
	input    []uint64
	refusal  []byte
	reply    [4]uint32
)

//go:wasmexport flb_batch_1
func flbBatch() {}

//go:wasmexport flb_buffer
func flbBuffer(size uint32) unsafe.Pointer {
	input = nil
	input = make([]uint64, size/8+1)
	return unsafe.Pointer(&input[0])
}

//go:wasmexport flb_configure
func flbConfigure() unsafe.Pointer {
	var err error
	if handler, err = start(); err == nil {
		return nil
	}
	refusal = append([]byte(err.Error()), 0)
	if len(refusal) == 1 {
		refusal = []byte("the module refuses its configuration\x00")
	}
	return unsafe.Pointer(&refusal[0])
}

//go:wasmexport filter
func filter(at unsafe.Pointer, size uint32) unsafe.Pointer {
	b := instance
	// A copy, which never changes: what a filter keeps of it stays what it is.
	b.run(handler, string(unsafe.Slice((*byte)(at), size)))
	if len(b.Ops)+len(b.GroupOps) == 0 {
		return nil
	}
	places := [2]uint32{address(unsafe.SliceData(b.Bytes)), sys.InInput: address(unsafe.StringData(b.input))}
	for i := range b.Emitted {
		b.Emitted[i].Body += places[b.Emitted[i].Place]
		b.Emitted[i].Metadata += places[0]
		b.Emitted[i].Tag += places[0]
	}
	for _, ops := range [2][]sys.Op{b.Ops, b.GroupOps} {
		for i := range ops {
			if ops[i].Kind >= sys.Emit {
				ops[i].Address = address(&b.Emitted[ops[i].Address])
			} else {
				ops[i].Address += places[0]
			}
		}
	}
	reply = [4]uint32{
		address(unsafe.SliceData(b.Ops)), uint32(len(b.Ops)),
		address(unsafe.SliceData(b.GroupOps)), uint32(len(b.GroupOps)),
	}
	return unsafe.Pointer(&reply)
}

func address[T any](p *T) uint32 { return uint32(uintptr(unsafe.Pointer(p))) }
