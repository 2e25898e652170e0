package otlp

import (
	"testing"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What the types have here is what opentelemetry-proto has, but for fields that no Fluent Bit holds.
func TestSchema(t *testing.T) {
	left := map[string][]protoreflect.FieldNumber{"AnyValue": {8}, "KeyValue": {3}, "Resource": {3}}
	type pair struct {
		m *message
		d protoreflect.MessageDescriptor
	}
	seen := map[pair]bool{}
	var compare func(m *message, d protoreflect.MessageDescriptor)
	compare = func(m *message, d protoreflect.MessageDescriptor) {
		if seen[pair{m, d}] {
			return
		}
		seen[pair{m, d}] = true
		if want := len(m.fields) + len(left[m.name]); d.Fields().Len() != want {
			t.Errorf("%s has %d fields, want %d", d.Name(), d.Fields().Len(), want)
		}
		for _, number := range left[m.name] {
			if d.Fields().ByNumber(number) == nil {
				t.Errorf("%s has no field %d", d.Name(), number)
			}
		}
		for number, mem := range m.fields {
			f := d.Fields().ByNumber(protoreflect.FieldNumber(number))
			if f == nil || number >= 32 { // checker.walk marks those that it has seen
				t.Errorf("%s has field %d: %v", m.name, number, f)
				continue
			}
			if want := kindOf(f); mem.kind != want || mem.kind == choice && mem.wire != wireOf(f.Kind()) {
				t.Errorf("field %s of %s is %+v, want kind %d", f.Name(), m.name, mem, want)
			}
			if mem.of != nil && f.Message() != nil {
				compare(mem.of, f.Message())
			} else if mem.of != nil || f.Message() != nil {
				t.Errorf("field %s of %s is a message for one of both", f.Name(), m.name)
			}
		}
	}
	compare(metricsRequest, (&metrics.MetricsData{}).ProtoReflect().Descriptor())
	compare(tracesRequest, (&trace.TracesData{}).ProtoReflect().Descriptor())
}

func wireOf(k protoreflect.Kind) int {
	switch k {
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return fixed64
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return fixed32
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return bytes
	}
	return varint
}

func kindOf(f protoreflect.FieldDescriptor) kind {
	switch wire := wireOf(f.Kind()); {
	case f.ContainingOneof() != nil && !f.ContainingOneof().IsSynthetic():
		return choice
	case f.IsList():
		return map[int]kind{bytes: many, fixed64: quads, varint: integers}[wire]
	case f.Kind() == protoreflect.StringKind:
		return text
	case f.Kind() == protoreflect.BytesKind:
		return blob
	default:
		return map[int]kind{bytes: one, fixed64: quad, fixed32: word, varint: integer}[wire]
	}
}
