//go:build wasip1

// A guest that adds the attribute guest=go to all data points, spans and resources of metrics and traces, and
// writes what comes anew, fields in another order.
package main

import (
	"unsafe"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

var (
	buffer []byte
	out    []byte
	reply  [4]uint32
)

//go:wasmexport flb_otlp_1
func marker() {}

//go:wasmexport flb_buffer
func flbBuffer(size uint32) uint32 {
	buffer = make([]byte, size+8)
	return (address(buffer) + 7) &^ 7
}

func address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// payload is that of an input.
func payload(input uint32) []byte {
	header := unsafe.Slice((*uint32)(unsafe.Pointer(uintptr(input))), 16)
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(input+header[4]))), header[5])
}

func replace(m proto.Message) uint32 {
	var err error
	if out, err = proto.Marshal(m); err != nil {
		panic(err)
	}
	reply = [4]uint32{2, 0, address(out), uint32(len(out))}
	return uint32(uintptr(unsafe.Pointer(&reply)))
}

func added(list []*common.KeyValue) []*common.KeyValue {
	return append(list, &common.KeyValue{Key: "guest", Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "go"}}})
}

//go:wasmexport flb_metrics
func flbMetrics(input, _ uint32) uint32 {
	var r metrics.MetricsData
	if err := proto.Unmarshal(payload(input), &r); err != nil {
		panic(err)
	}
	for _, rm := range r.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				for _, p := range m.GetGauge().GetDataPoints() {
					p.Attributes = added(p.Attributes)
				}
				for _, p := range m.GetSum().GetDataPoints() {
					p.Attributes = added(p.Attributes)
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					p.Attributes = added(p.Attributes)
				}
				for _, p := range m.GetExponentialHistogram().GetDataPoints() {
					p.Attributes = added(p.Attributes)
				}
				for _, p := range m.GetSummary().GetDataPoints() {
					p.Attributes = added(p.Attributes)
				}
			}
		}
	}
	return replace(&r)
}

//go:wasmexport flb_traces
func flbTraces(input, _ uint32) uint32 {
	var r trace.TracesData
	if err := proto.Unmarshal(payload(input), &r); err != nil {
		panic(err)
	}
	for _, rs := range r.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				s.Attributes = added(s.Attributes)
			}
		}
	}
	return replace(&r)
}

func main() {}
