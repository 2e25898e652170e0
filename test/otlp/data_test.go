package otlp

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

const (
	t0 = 1_790_000_000_000_000_000
	t1 = t0 + 60_000_000_000
)

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func number(n int64) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}
}

func kv(key string, value *common.AnyValue) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: value}
}

// ofEachType are attributes of every type that the host holds at any place.
func ofEachType() []*common.KeyValue {
	list := &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{
		text("one"), number(-2), {Value: &common.AnyValue_BoolValue{BoolValue: true}},
		{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{number(3)}}}},
	}}}}
	return []*common.KeyValue{
		kv("text", text("a text, ünïcode")), kv("empty", text("")),
		kv("int", number(-9_007_199_254_740_993)), kv("double", &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: 0.1}}),
		kv("true", &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}),
		kv("false", &common.AnyValue{Value: &common.AnyValue_BoolValue{}}),
		kv("list", list),
		kv("map", &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: []*common.KeyValue{
			kv("inner", text("x")), kv("deep", &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: []*common.KeyValue{kv("n", number(1))}}}}),
		}}}}),
	}
}

func double(v float64, labels ...*common.KeyValue) *metrics.NumberDataPoint {
	return &metrics.NumberDataPoint{Attributes: labels, StartTimeUnixNano: t0, TimeUnixNano: t1, Value: &metrics.NumberDataPoint_AsDouble{AsDouble: v}}
}

func integer(v int64, labels ...*common.KeyValue) *metrics.NumberDataPoint {
	return &metrics.NumberDataPoint{Attributes: labels, StartTimeUnixNano: t0, TimeUnixNano: t1, Value: &metrics.NumberDataPoint_AsInt{AsInt: v}}
}

func ptr[T any](v T) *T { return &v }

// someMetrics are metrics of every kind.
func someMetrics() *metrics.MetricsData {
	get, post := kv("method", text("GET")), kv("method", text("POST"))
	return &metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{
		Resource:  &resource.Resource{Attributes: ofEachType(), DroppedAttributesCount: 2},
		SchemaUrl: "https://opentelemetry.io/schemas/1.21.0",
		ScopeMetrics: []*metrics.ScopeMetrics{{
			Scope:     &common.InstrumentationScope{Name: "a scope", Version: "1.2"},
			SchemaUrl: "https://opentelemetry.io/schemas/1.22.0",
			Metrics: []*metrics.Metric{
				{Name: "temperature", Description: "a gauge", Unit: "Cel", Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{
					double(21.5, kv("room", text("kitchen"))), double(-3.25, kv("room", text("attic")))}}}},
				{Name: "free", Description: "without labels", Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{integer(7)}}}},
				{Name: "requests", Description: "a sum", Unit: "1", Data: &metrics.Metric_Sum{Sum: &metrics.Sum{IsMonotonic: true,
					AggregationTemporality: metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
					DataPoints:             []*metrics.NumberDataPoint{integer(12, get, kv("code", number(200))), integer(3, post, kv("code", number(500)))}}}},
				{Name: "level", Description: "a sum that falls", Data: &metrics.Metric_Sum{Sum: &metrics.Sum{
					AggregationTemporality: metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA, DataPoints: []*metrics.NumberDataPoint{double(2.5, get)}}}},
				{Name: "latency", Description: "a histogram", Unit: "s", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{
					AggregationTemporality: metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
					DataPoints: []*metrics.HistogramDataPoint{
						{Attributes: []*common.KeyValue{get}, StartTimeUnixNano: t0, TimeUnixNano: t1, Count: 6, Sum: ptr(1.75), BucketCounts: []uint64{1, 2, 3}, ExplicitBounds: []float64{0.1, 1}},
						{Attributes: []*common.KeyValue{post}, StartTimeUnixNano: t0, TimeUnixNano: t1, Count: 1, Sum: ptr(5.0), BucketCounts: []uint64{0, 0, 1}, ExplicitBounds: []float64{0.1, 1}},
					}}}},
				{Name: "sizes", Description: "an exponential histogram", Unit: "By", Data: &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{
					AggregationTemporality: metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA,
					DataPoints: []*metrics.ExponentialHistogramDataPoint{{Attributes: []*common.KeyValue{get}, StartTimeUnixNano: t0, TimeUnixNano: t1, Count: 10, Sum: ptr(99.5), Scale: 3, ZeroCount: 1,
						Positive: &metrics.ExponentialHistogramDataPoint_Buckets{Offset: 2, BucketCounts: []uint64{1, 0, 4}}, Negative: &metrics.ExponentialHistogramDataPoint_Buckets{Offset: -1, BucketCounts: []uint64{4}}}}}}},
				{Name: "durations", Description: "a summary", Data: &metrics.Metric_Summary{Summary: &metrics.Summary{DataPoints: []*metrics.SummaryDataPoint{
					{Attributes: []*common.KeyValue{get}, StartTimeUnixNano: t0, TimeUnixNano: t1, Count: 4, Sum: 10.5, QuantileValues: []*metrics.SummaryDataPoint_ValueAtQuantile{{Quantile: 0.5, Value: 2}, {Quantile: 0.99, Value: 4.5}}}}}}},
			},
		}},
	}}}
}

func id(n int, first byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// someTraces are spans with all that spans have.
func someTraces() *trace.TracesData {
	full := &trace.Span{
		TraceId: id(16, 1), SpanId: id(8, 101), ParentSpanId: id(8, 51), TraceState: "vendor=1", Name: "GET /", Kind: trace.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: t0, EndTimeUnixNano: t1, Attributes: ofEachType(), DroppedAttributesCount: 3,
		Events: []*trace.Span_Event{
			{TimeUnixNano: t0 + 1, Name: "begun", Attributes: ofEachType(), DroppedAttributesCount: 1},
			{TimeUnixNano: t0 + 2, Name: "ended"},
		}, DroppedEventsCount: 4,
		Links: []*trace.Span_Link{
			{TraceId: id(16, 31), SpanId: id(8, 61), Attributes: ofEachType(), DroppedAttributesCount: 2},
			{TraceId: id(16, 32), SpanId: id(8, 62)},
		}, DroppedLinksCount: 5,
		Status: &trace.Status{Message: "not found", Code: trace.Status_STATUS_CODE_ERROR},
	}
	child := &trace.Span{TraceId: id(16, 1), SpanId: id(8, 111), ParentSpanId: id(8, 101), Name: "select", Kind: trace.Span_SPAN_KIND_CLIENT, StartTimeUnixNano: t0 + 5, EndTimeUnixNano: t1 - 5}
	other := &trace.Span{TraceId: id(16, 2), SpanId: id(8, 121), Name: "tick", Kind: trace.Span_SPAN_KIND_INTERNAL, StartTimeUnixNano: t0, EndTimeUnixNano: t1, Status: &trace.Status{Code: trace.Status_STATUS_CODE_OK}}
	return &trace.TracesData{ResourceSpans: []*trace.ResourceSpans{
		{Resource: &resource.Resource{Attributes: ofEachType(), DroppedAttributesCount: 1}, SchemaUrl: "https://opentelemetry.io/schemas/1.21.0", ScopeSpans: []*trace.ScopeSpans{
			{Scope: &common.InstrumentationScope{Name: "first", Version: "1", Attributes: []*common.KeyValue{kv("of", text("scope"))}, DroppedAttributesCount: 6}, SchemaUrl: "https://opentelemetry.io/schemas/1.22.0", Spans: []*trace.Span{full, child}},
			{Scope: &common.InstrumentationScope{Name: "second"}, Spans: []*trace.Span{other}},
		}},
		{Resource: &resource.Resource{Attributes: []*common.KeyValue{kv("service.name", text("two"))}}, ScopeSpans: []*trace.ScopeSpans{
			{Scope: &common.InstrumentationScope{}, Spans: []*trace.Span{proto.Clone(other).(*trace.Span)}},
		}},
	}}
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readable(m proto.Message) string {
	return protojson.MarshalOptions{Multiline: true}.Format(m)
}
