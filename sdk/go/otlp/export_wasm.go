package otlp

import "unsafe"

// What the host is given the address of stays reachable here.
var (
	out   []byte
	reply [4]uint32
)

//go:wasmexport flb_otlp_1
func flbOTLP() {}

//go:wasmexport flb_metrics
func flbMetrics(input unsafe.Pointer, _ uint32) unsafe.Pointer { return run(module.Metrics, input) }

//go:wasmexport flb_traces
func flbTraces(input unsafe.Pointer, _ uint32) unsafe.Pointer { return run(module.Traces, input) }

func run(function func(*Request) error, input unsafe.Pointer) unsafe.Pointer {
	if function == nil {
		return nil
	}
	header := (*[16]uint32)(input)
	payload := unsafe.Slice((*byte)(unsafe.Add(input, header[4])), header[5])
	operation, made := uint32(2), payload
	request, err := Run(function, payload)
	switch out = request; {
	case err != nil:
		operation, out = 3, []byte(err.Error())
	case request == nil:
		operation = 1
	case unsafe.SliceData(request) == unsafe.SliceData(made):
		return nil
	}
	reply = [4]uint32{operation, 0, uint32(uintptr(unsafe.Pointer(unsafe.SliceData(out)))), uint32(len(out))}
	return unsafe.Pointer(&reply)
}
