// Package sdkotlp compares package otlp of the SDKs with the full model of protobuf.
package sdkotlp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/otlp"
)

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func many[T any](r *rand.Rand, most int, make func(*rand.Rand) T) (list []T) {
	for range r.IntN(most + 1) {
		list = append(list, make(r))
	}
	return list
}

func unknown(r *rand.Rand, m proto.Message) {
	if r.IntN(3) == 0 {
		b := protowire.AppendTag(nil, protowire.Number(1000+r.IntN(5)), protowire.BytesType)
		m.ProtoReflect().SetUnknown(protowire.AppendString(b, pick(r, "", "later", strings.Repeat("x", 200))))
	}
}

func value(r *rand.Rand) *common.AnyValue {
	switch r.IntN(7) {
	case 0:
		return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: pick(r, "", "x", "é", strings.Repeat("y", 300))}}
	case 1:
		return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: r.IntN(2) == 0}}
	case 2:
		return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: pick[int64](r, 0, 1, -1, 1<<40, -1<<63)}}
	case 3:
		return &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: pick[float64](r, 0, 0.1, -1e300)}}
	case 4:
		return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: many(r, 2, value)}}}
	case 5:
		return &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: many(r, 2, attribute)}}}
	}
	return &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte("\x00b")}}
}

func attribute(r *rand.Rand) *common.KeyValue {
	kv := &common.KeyValue{Key: pick(r, "a", "b", "http.route", "long key"), Value: value(r)}
	unknown(r, kv)
	return kv
}

func attributes(r *rand.Rand) (list []*common.KeyValue) {
	for _, kv := range many(r, 4, attribute) { // keys are there once
		if !slices.ContainsFunc(list, func(other *common.KeyValue) bool { return other.Key == kv.Key }) {
			list = append(list, kv)
		}
	}
	return list
}

func someResource(r *rand.Rand) *resource.Resource {
	m := &resource.Resource{Attributes: attributes(r), DroppedAttributesCount: r.Uint32N(2)}
	unknown(r, m)
	return m
}

func someScope(r *rand.Rand) *common.InstrumentationScope {
	if r.IntN(4) == 0 {
		return nil
	}
	return &common.InstrumentationScope{Name: pick(r, "", "lib"), Version: "1", Attributes: attributes(r)}
}

func number(r *rand.Rand) *metrics.NumberDataPoint {
	p := &metrics.NumberDataPoint{Attributes: attributes(r), TimeUnixNano: 1_700_000_000_000_000_001, Flags: r.Uint32N(2)}
	if r.IntN(2) == 0 {
		p.Value = &metrics.NumberDataPoint_AsDouble{AsDouble: 1.5}
	} else {
		p.Value = &metrics.NumberDataPoint_AsInt{AsInt: -3}
	}
	p.Exemplars = many(r, 1, func(r *rand.Rand) *metrics.Exemplar { return &metrics.Exemplar{FilteredAttributes: attributes(r)} })
	unknown(r, p)
	return p
}

func metric(r *rand.Rand) *metrics.Metric {
	m := &metrics.Metric{Name: pick(r, "m", "requests_total", "old"), Description: pick(r, "", "what"), Unit: "s"}
	switch r.IntN(5) {
	case 0:
		m.Data = &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: many(r, 3, number)}}
	case 1:
		m.Data = &metrics.Metric_Sum{Sum: &metrics.Sum{DataPoints: many(r, 3, number), IsMonotonic: true, AggregationTemporality: 2}}
	case 2:
		m.Data = &metrics.Metric_Histogram{Histogram: &metrics.Histogram{DataPoints: many(r, 2, func(r *rand.Rand) *metrics.HistogramDataPoint {
			return &metrics.HistogramDataPoint{Attributes: attributes(r), Count: 3, BucketCounts: []uint64{1, 2}, ExplicitBounds: []float64{0.5}}
		})}}
	case 3:
		m.Data = &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{DataPoints: many(r, 2, func(r *rand.Rand) *metrics.ExponentialHistogramDataPoint {
			return &metrics.ExponentialHistogramDataPoint{Attributes: attributes(r), Scale: -2, Positive: &metrics.ExponentialHistogramDataPoint_Buckets{BucketCounts: []uint64{1, 300}}}
		})}}
	default:
		m.Data = &metrics.Metric_Summary{Summary: &metrics.Summary{DataPoints: many(r, 2, func(r *rand.Rand) *metrics.SummaryDataPoint {
			return &metrics.SummaryDataPoint{Attributes: attributes(r), Count: 4, Sum: 2.5}
		})}}
	}
	unknown(r, m)
	return m
}

func someMetrics(r *rand.Rand) *metrics.MetricsData {
	return &metrics.MetricsData{ResourceMetrics: many(r, 2, func(r *rand.Rand) *metrics.ResourceMetrics {
		return &metrics.ResourceMetrics{Resource: someResource(r), SchemaUrl: "u", ScopeMetrics: many(r, 2, func(r *rand.Rand) *metrics.ScopeMetrics {
			return &metrics.ScopeMetrics{Scope: someScope(r), Metrics: many(r, 3, metric)}
		})}
	})}
}

func span(r *rand.Rand) *trace.Span {
	s := &trace.Span{
		TraceId: []byte(pick(r, "0123456789abcdef", "fedcba9876543210")), SpanId: []byte("01234567"), Name: pick(r, "GET", "old"), Kind: 2, Attributes: attributes(r),
		StartTimeUnixNano: 1_700_000_000_000_000_000, EndTimeUnixNano: 1_700_000_000_000_000_000 + uint64(r.IntN(3))*1e9, Flags: 1,
		Events: many(r, 2, func(r *rand.Rand) *trace.Span_Event { return &trace.Span_Event{Name: "e", Attributes: attributes(r)} }),
		Links:  many(r, 2, func(r *rand.Rand) *trace.Span_Link { return &trace.Span_Link{Attributes: attributes(r)} }),
	}
	if r.IntN(2) == 0 {
		s.Status = &trace.Status{Code: trace.Status_StatusCode(r.IntN(3))}
	}
	unknown(r, s)
	return s
}

func someTraces(r *rand.Rand) *trace.TracesData {
	return &trace.TracesData{ResourceSpans: many(r, 2, func(r *rand.Rand) *trace.ResourceSpans {
		return &trace.ResourceSpans{Resource: someResource(r), ScopeSpans: many(r, 2, func(r *rand.Rand) *trace.ScopeSpans {
			return &trace.ScopeSpans{Scope: someScope(r), Spans: many(r, 3, span)}
		})}
	})}
}

// payloadOf writes a model: half of them with others, fields of a number or oneof before the one that counts, the
// last. An edit that changes nothing else removes them.
func payloadOf(t *testing.T, seed uint64, model proto.Message) (payload []byte, others bool) {
	t.Helper()
	if seed%2 == 0 {
		return marshal(t, model), false
	}
	payload = withOthers(t, rand.New(rand.NewPCG(seed, 3)), model.ProtoReflect())
	got := model.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(payload, got); err != nil || !proto.Equal(got, model) {
		t.Fatalf("%x is not %s: %v", payload, prototext.Format(model), err)
	}
	return payload, true
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func withOthers(t *testing.T, r *rand.Rand, m protoreflect.Message) (out []byte) {
	t.Helper()
	only := func(f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
		one := m.New()
		one.Set(f, v)
		return marshal(t, one.Interface())
	}
	part := func(f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
		b := protowire.AppendTag(nil, f.Number(), protowire.BytesType)
		return protowire.AppendBytes(b, withOthers(t, r, v.Message()))
	}
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if !m.Has(f) {
			continue
		}
		other := f
		if of := f.ContainingOneof(); of != nil {
			other = of.Fields().Get(r.IntN(of.Fields().Len()))
		}
		if !other.IsList() && other.Message() == nil {
			out = append(out, only(other, someValue(r, other))...)
		}
		switch v := m.Get(f); {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				out = append(out, part(f, v.List().Get(i))...)
			}
		case f.Message() != nil && !f.IsList():
			out = append(out, part(f, v)...)
		default:
			out = append(out, only(f, v)...)
		}
	}
	return append(out, m.GetUnknown()...)
}

// someValue is one of a field that is neither a list nor a message.
func someValue(r *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(pick(r, "a", "b", "http.route", "other"))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("other"))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(7.25)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind:
		return protoreflect.ValueOfInt32(9)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(9)
	case protoreflect.Int64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(-9)
	default:
		return protoreflect.ValueOfUint64(9)
	}
}

// edits does the same to attributes of the package and of the model.
func edits(r *rand.Rand, a otlp.Attributes, list *[]*common.KeyValue) {
	for range r.IntN(3) {
		key := pick(r, "a", "b", "http.route", "new", "newer")
		at := slices.IndexFunc(*list, func(kv *common.KeyValue) bool { return kv.Key == key })
		switch r.IntN(3) {
		case 0:
			a.Remove(key)
			if at >= 0 {
				*list = slices.Delete(*list, at, at+1)
			}
		case 1:
			to := pick(r, "b", "newest")
			a.Rename(key, to)
			if other := slices.IndexFunc(*list, func(kv *common.KeyValue) bool { return kv.Key == to }); at >= 0 && key != to {
				(*list)[at].Key = to
				if other >= 0 {
					*list = slices.Delete(*list, other, other+1)
				}
			}
		case 2:
			v := pick[any](r, "text", true, false, 7, int64(-7), 2.5)
			a.Set(key, v)
			var want *common.AnyValue
			switch v := v.(type) {
			case string:
				want = &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}}
			case bool:
				want = &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: v}}
			case int:
				want = &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: int64(v)}}
			case int64:
				want = &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: v}}
			case float64:
				want = &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: v}}
			}
			if at >= 0 {
				(*list)[at].Value = want
			} else {
				*list = append(*list, &common.KeyValue{Key: key, Value: want})
			}
		}
	}
	n := 0
	for key, v := range a.All() {
		if n >= len(*list) || (*list)[n].Key != key || v.Str() != (*list)[n].Value.GetStringValue() {
			panic("All has " + key)
		}
		if whole, _ := v.AsInt(); whole != (*list)[n].Value.GetIntValue() || len(v.Elements()) != len((*list)[n].Value.GetArrayValue().GetValues()) {
			panic("All has another value")
		}
		n++
	}
	if n != len(*list) {
		panic("All has fewer")
	}
}

// filter drops what a function says of a list, in the model.
func filter[T any](list []T, dropped func(i int) bool) (kept []T) {
	for i, v := range list {
		if !dropped(i) {
			kept = append(kept, v)
		}
	}
	return kept
}

func check(t *testing.T, seed uint64, payload, got []byte, model, empty proto.Message, changed, dropped bool) {
	t.Helper()
	if dropped {
		if got != nil {
			t.Fatalf("seed %d: it is not dropped: %s", seed, hex.EncodeToString(got))
		}
		return
	}
	if !changed {
		if !bytes.Equal(got, payload) {
			t.Fatalf("seed %d: it has changed", seed)
		}
		return
	}
	if err := proto.Unmarshal(got, empty); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if !proto.Equal(model, empty) {
		t.Fatalf("seed %d:\ngot  %s\nwant %s", seed, prototext.Format(empty), prototext.Format(model))
	}
}

func TestTraces(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		model := someTraces(r)
		payload, others := payloadOf(t, seed, model)
		before := proto.Clone(model)
		dropped := false
		got, err := otlp.Run(func(request *otlp.Request) error {
			resources := slices.Collect(request.Resources())
			for i, of := range resources {
				rs := model.ResourceSpans[i]
				edits(r, of.Attributes(), &rs.Resource.Attributes)
				for j, in := range slices.Collect(of.Scopes()) {
					ss := rs.ScopeSpans[j]
					if ss.Scope != nil {
						edits(r, in.Attributes(), &ss.Scope.Attributes)
					}
					if in.Name() != ss.Scope.GetName() {
						return errors.New("another name of a scope")
					}
					gone := map[int]bool{}
					for k, s := range slices.Collect(in.Spans()) {
						want := ss.Spans[k]
						if s.TraceID() != string(want.TraceId) || s.IsError() != (want.GetStatus().GetCode() == 2) || s.Duration() != time.Duration(want.EndTimeUnixNano-want.StartTimeUnixNano) || s.Kind() != 2 {
							return errors.New("another span")
						}
						switch r.IntN(4) {
						case 0:
							s.Drop()
							gone[k] = true
							continue
						case 1:
							s.SetName("new name")
							want.Name = "new name"
						}
						edits(r, s.Attributes(), &want.Attributes)
						events := map[int]bool{}
						for n, e := range slices.Collect(s.Events()) {
							if r.IntN(3) == 0 {
								e.Drop()
								events[n] = true
							} else {
								edits(r, e.Attributes(), &want.Events[n].Attributes)
							}
						}
						want.Events = filter(want.Events, func(i int) bool { return events[i] })
						for n, l := range slices.Collect(s.Links()) {
							edits(r, l.Attributes(), &want.Links[n].Attributes)
						}
					}
					had := len(ss.Spans) > 0
					ss.Spans = filter(ss.Spans, func(i int) bool { return gone[i] })
					if had && len(ss.Spans) == 0 {
						ss.SchemaUrl = "empty" // is marked, and goes below
					}
				}
				had := len(rs.ScopeSpans) > 0
				rs.ScopeSpans = filter(rs.ScopeSpans, func(i int) bool { return rs.ScopeSpans[i].SchemaUrl == "empty" })
				if had && len(rs.ScopeSpans) == 0 {
					rs.SchemaUrl = "empty"
				}
			}
			had := len(model.ResourceSpans) > 0
			model.ResourceSpans = filter(model.ResourceSpans, func(i int) bool { return model.ResourceSpans[i].SchemaUrl == "empty" })
			dropped = had && len(model.ResourceSpans) == 0
			return nil
		}, payload)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		check(t, seed, payload, got, model, &trace.TracesData{}, others || !proto.Equal(before, model), dropped)
	}
}

// pointsOf returns the attributes of a metric's data points, and what takes points away and says how many are left.
func pointsOf(m *metrics.Metric) (lists []*[]*common.KeyValue, keep func(gone map[int]bool) int) {
	number := func(p *metrics.NumberDataPoint) *[]*common.KeyValue { return &p.Attributes }
	switch d := m.Data.(type) {
	case *metrics.Metric_Gauge:
		return pointsIn(&d.Gauge.DataPoints, number)
	case *metrics.Metric_Sum:
		return pointsIn(&d.Sum.DataPoints, number)
	case *metrics.Metric_Histogram:
		return pointsIn(&d.Histogram.DataPoints, func(p *metrics.HistogramDataPoint) *[]*common.KeyValue { return &p.Attributes })
	case *metrics.Metric_ExponentialHistogram:
		return pointsIn(&d.ExponentialHistogram.DataPoints, func(p *metrics.ExponentialHistogramDataPoint) *[]*common.KeyValue { return &p.Attributes })
	case *metrics.Metric_Summary:
		return pointsIn(&d.Summary.DataPoints, func(p *metrics.SummaryDataPoint) *[]*common.KeyValue { return &p.Attributes })
	}
	panic("a metric without type")
}

// pointsIn is pointsOf for data points of one type.
func pointsIn[P any](points *[]P, attributes func(P) *[]*common.KeyValue) (lists []*[]*common.KeyValue, keep func(gone map[int]bool) int) {
	for _, p := range *points {
		lists = append(lists, attributes(p))
	}
	return lists, func(gone map[int]bool) int {
		*points = filter(*points, func(i int) bool { return gone[i] })
		return len(*points)
	}
}

func numbers(m *metrics.Metric) []*metrics.NumberDataPoint {
	if m.GetGauge() != nil {
		return m.GetGauge().DataPoints
	}
	return m.GetSum().GetDataPoints()
}

func TestMetrics(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		model := someMetrics(r)
		payload, others := payloadOf(t, seed, model)
		before := proto.Clone(model)
		dropped := false
		got, err := otlp.Run(func(request *otlp.Request) error {
			for i, of := range slices.Collect(request.Resources()) {
				rm := model.ResourceMetrics[i]
				edits(r, of.Attributes(), &rm.Resource.Attributes)
				for j, in := range slices.Collect(of.Scopes()) {
					sm := rm.ScopeMetrics[j]
					gone := map[int]bool{}
					for k, m := range slices.Collect(in.Metrics()) {
						want := sm.Metrics[k]
						if m.Name() != want.Name || m.Unit() != "s" || m.Description() != want.Description {
							return errors.New("another metric")
						}
						switch r.IntN(5) {
						case 0:
							m.Drop()
							gone[k] = true
							continue
						case 1:
							m.SetName("new")
							m.SetUnit("ms")
							m.SetDescription("other")
							want.Name, want.Unit, want.Description = "new", "ms", "other"
						}
						lists, keep := pointsOf(want)
						points := map[int]bool{}
						for n, p := range slices.Collect(m.Points()) {
							v, ok := p.Value()
							if list := numbers(want); ok != (list != nil) || ok && v != list[n].GetAsDouble()+float64(list[n].GetAsInt()) {
								return errors.New("another value")
							}
							if r.IntN(3) == 0 {
								p.Drop()
								points[n] = true
								continue
							}
							if ok && r.IntN(3) == 0 {
								p.SetValue(9.5)
								numbers(want)[n].Value = &metrics.NumberDataPoint_AsDouble{AsDouble: 9.5}
							}
							edits(r, p.Attributes(), lists[n])
						}
						if left := keep(points); left == 0 && len(points) > 0 {
							gone[k] = true
						}
					}
					had := len(sm.Metrics) > 0
					sm.Metrics = filter(sm.Metrics, func(i int) bool { return gone[i] })
					if had && len(sm.Metrics) == 0 {
						sm.SchemaUrl = "empty"
					}
				}
				had := len(rm.ScopeMetrics) > 0
				rm.ScopeMetrics = filter(rm.ScopeMetrics, func(i int) bool { return rm.ScopeMetrics[i].SchemaUrl == "empty" })
				if had && len(rm.ScopeMetrics) == 0 {
					rm.SchemaUrl = "empty"
				}
			}
			had := len(model.ResourceMetrics) > 0
			model.ResourceMetrics = filter(model.ResourceMetrics, func(i int) bool { return model.ResourceMetrics[i].SchemaUrl == "empty" })
			dropped = had && len(model.ResourceMetrics) == 0
			return nil
		}, payload)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		check(t, seed, payload, got, model, &metrics.MetricsData{}, others || !proto.Equal(before, model), dropped)
	}
}

// What is not edited stays as it came, though no encoder writes it so.
func TestUntouchedBytes(t *testing.T) {
	// Fields out of order, a varint that is longer than need be, an unknown field, and a group's resource twice as long.
	attribute := "\x0a\x01a\x12\x83\x00\x0a\x01v" + "\xfa\x01\x05later"
	span := "\x2a\x03GET" + "\x4a" + string(rune(len(attribute))) + attribute + "\x0a\x01t" + "\xa0\x01\x07"
	other := "\x4a\x00" + "\x2a\x01x"
	scope := "\x12" + string(rune(len(span))) + span + "\x12" + string(rune(len(other))) + other
	in := "\x12" + string(rune(len(scope))) + scope + "\x0a\x00"
	payload := []byte("\x0a" + string(rune(len(in))) + in)
	var value otlp.Value
	got, err := otlp.Run(func(r *otlp.Request) error {
		for s := range r.Spans() {
			if s.Name() == "x" {
				s.Attributes().Set("k", value)
			} else if value = s.Attributes().Get("a"); value.Str() != "v" {
				return errors.New("it is not found")
			}
		}
		return nil
	}, payload)
	if err != nil || !bytes.Contains(got, []byte(span)) || bytes.Count(got, []byte("\x0a\x01v")) != 2 {
		t.Errorf("%q of %q, %v", got, payload, err)
	}
}

func FuzzMalformed(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		traces, _ := proto.Marshal(someTraces(r))
		data, _ := proto.Marshal(someMetrics(r))
		f.Add(traces)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		kept, err := otlp.Run(func(r *otlp.Request) error {
			for m := range r.Metrics() {
				for p := range m.Points() {
					p.Value()
					p.Attributes().Get("a").AsInt()
				}
			}
			for s := range r.Spans() {
				s.IsError()
				for range s.Attributes().All() {
				}
			}
			return nil
		}, payload)
		if err == nil && !bytes.Equal(kept, payload) {
			t.Error("what is only read has changed")
		}
		edited, err := otlp.Run(func(r *otlp.Request) error {
			for of := range r.Resources() {
				of.Attributes().Set("a", 1)
			}
			return nil
		}, payload)
		if err == nil && proto.Unmarshal(payload, &trace.TracesData{}) == nil && proto.Unmarshal(edited, &trace.TracesData{}) != nil {
			t.Error("what was valid is not")
		}
	})
}
