package otlp

// kind is what a field holds.
type kind int

const (
	text kind = iota + 1 // a string
	blob
	integer  // a varint
	quad     // 8 bytes
	word     // 4 bytes
	quads    // a list of these
	integers // a list of varints
	one      // a message
	many     // a list of messages
	choice   // a message or number of which, with others, one is there
)

// repeated says whether fields of that kind may stand in a message more than once.
func (k kind) repeated() bool { return k == many || k == quads || k == integers }

// message is a type of opentelemetry-proto 1.7, as far as it has to be known. Fields that are not
// listed are passed over, unless it is closed.
type message struct {
	name   string
	fields map[int]member // of numbers below 32
	closed bool
	check  func(c *checker, values []field) error // of the fields, in order
}

type member struct {
	kind kind
	wire int // of a choice
	of   *message
}

// The types, from the innermost on.
var (
	anyValue = &message{name: "AnyValue"}
	keyValue = &message{name: "KeyValue", fields: map[int]member{1: {kind: text}, 2: {kind: one, of: anyValue}}, check: checkKeyValue}
	// attributes of spans and what is around them, of which the first level can't have bytes
	attribute = &message{name: "KeyValue", fields: keyValue.fields, check: checkAttribute}
	// labels of data points
	label      = &message{name: "KeyValue", fields: keyValue.fields, check: checkLabel}
	arrayValue = &message{name: "ArrayValue", fields: map[int]member{1: {kind: many, of: anyValue}}}
	mapValue   = &message{name: "KeyValueList", fields: map[int]member{1: {kind: many, of: keyValue}}}

	resource      = &message{name: "Resource", fields: map[int]member{1: {kind: many, of: keyValue}, 2: {kind: integer}}}
	scope         = &message{name: "InstrumentationScope", check: checkScope, fields: map[int]member{1: {kind: text}, 2: {kind: text}, 3: {kind: many, of: keyValue}, 4: {kind: integer}}}
	traceResource = &message{name: "Resource", fields: map[int]member{1: {kind: many, of: attribute}, 2: {kind: integer}}}
	traceScope    = &message{name: "InstrumentationScope", fields: map[int]member{1: {kind: text}, 2: {kind: text}, 3: {kind: many, of: attribute}, 4: {kind: integer}}}

	exemplar = &message{name: "Exemplar", fields: map[int]member{
		2: {kind: quad}, 3: {kind: choice, wire: fixed64}, 4: {kind: blob}, 5: {kind: blob}, 6: {kind: choice, wire: fixed64}, 7: {kind: many, of: keyValue}}}
	numberPoint = &message{name: "NumberDataPoint", check: checkNumberPoint, fields: map[int]member{
		2: {kind: quad}, 3: {kind: quad}, 4: {kind: choice, wire: fixed64}, 5: {kind: many, of: exemplar}, 6: {kind: choice, wire: fixed64}, 7: {kind: many, of: label}, 8: {kind: integer}}}
	histogramPoint = &message{name: "HistogramDataPoint", check: checkHistogramPoint, fields: map[int]member{
		2: {kind: quad}, 3: {kind: quad}, 4: {kind: quad}, 5: {kind: quad}, 6: {kind: quads}, 7: {kind: quads}, 8: {kind: many, of: exemplar}, 9: {kind: many, of: label}, 10: {kind: integer}, 11: {kind: quad}, 12: {kind: quad}}}
	buckets              = &message{name: "Buckets", fields: map[int]member{1: {kind: integer}, 2: {kind: integers}}}
	exponentialHistogram = &message{name: "ExponentialHistogram", fields: map[int]member{1: {kind: many, of: exponentialPoint}, 2: {kind: integer}}}
	exponentialPoint     = &message{name: "ExponentialHistogramDataPoint", check: checkPoint, fields: map[int]member{
		1: {kind: many, of: label}, 2: {kind: quad}, 3: {kind: quad}, 4: {kind: quad}, 5: {kind: quad}, 6: {kind: integer}, 7: {kind: quad}, 8: {kind: one, of: buckets}, 9: {kind: one, of: buckets},
		10: {kind: integer}, 11: {kind: many, of: exemplar}, 12: {kind: quad}, 13: {kind: quad}, 14: {kind: quad}}}
	quantile     = &message{name: "ValueAtQuantile", check: checkQuantile, fields: map[int]member{1: {kind: quad}, 2: {kind: quad}}}
	summaryPoint = &message{name: "SummaryDataPoint", check: checkSummaryPoint, fields: map[int]member{
		2: {kind: quad}, 3: {kind: quad}, 4: {kind: quad}, 5: {kind: quad}, 6: {kind: many, of: quantile}, 7: {kind: many, of: label}, 8: {kind: integer}}}
	gauge     = &message{name: "Gauge", fields: map[int]member{1: {kind: many, of: numberPoint}}}
	sum       = &message{name: "Sum", fields: map[int]member{1: {kind: many, of: numberPoint}, 2: {kind: integer}, 3: {kind: integer}}}
	histogram = &message{name: "Histogram", fields: map[int]member{1: {kind: many, of: histogramPoint}, 2: {kind: integer}}}
	summary   = &message{name: "Summary", fields: map[int]member{1: {kind: many, of: summaryPoint}}}
	metric    = &message{name: "Metric", check: checkMetric, fields: map[int]member{
		1: {kind: text}, 2: {kind: text}, 3: {kind: text}, 5: {kind: choice, wire: bytes, of: gauge}, 7: {kind: choice, wire: bytes, of: sum}, 9: {kind: choice, wire: bytes, of: histogram},
		10: {kind: choice, wire: bytes, of: exponentialHistogram}, 11: {kind: choice, wire: bytes, of: summary}, 12: {kind: many, of: keyValue}}}
	scopeMetrics    = &message{name: "ScopeMetrics", fields: map[int]member{1: {kind: one, of: scope}, 2: {kind: many, of: metric}, 3: {kind: text}}}
	resourceMetrics = &message{name: "ResourceMetrics", fields: map[int]member{1: {kind: one, of: resource}, 2: {kind: many, of: scopeMetrics}, 3: {kind: text}}}
	metricsRequest  = &message{name: "ExportMetricsServiceRequest", fields: map[int]member{1: {kind: many, of: resourceMetrics}}}

	event = &message{name: "Event", fields: map[int]member{1: {kind: quad}, 2: {kind: text}, 3: {kind: many, of: attribute}, 4: {kind: integer}}}
	link  = &message{name: "Link", fields: map[int]member{
		1: {kind: blob}, 2: {kind: blob}, 3: {kind: text}, 4: {kind: many, of: attribute}, 5: {kind: integer}, 6: {kind: word}}}
	status = &message{name: "Status", fields: map[int]member{2: {kind: text}, 3: {kind: integer}}}
	span   = &message{name: "Span", fields: map[int]member{
		1: {kind: blob}, 2: {kind: blob}, 3: {kind: text}, 4: {kind: blob}, 5: {kind: text}, 6: {kind: integer}, 7: {kind: quad}, 8: {kind: quad}, 9: {kind: many, of: attribute}, 10: {kind: integer},
		11: {kind: many, of: event}, 12: {kind: integer}, 13: {kind: many, of: link}, 14: {kind: integer}, 15: {kind: one, of: status}, 16: {kind: word}}}
	scopeSpans    = &message{name: "ScopeSpans", check: checkScopeSpans, fields: map[int]member{1: {kind: one, of: traceScope}, 2: {kind: many, of: span}, 3: {kind: text}}}
	resourceSpans = &message{name: "ResourceSpans", check: checkResourceSpans, fields: map[int]member{1: {kind: one, of: traceResource}, 2: {kind: many, of: scopeSpans}, 3: {kind: text}}}
	tracesRequest = &message{name: "ExportTraceServiceRequest", fields: map[int]member{1: {kind: many, of: resourceSpans}}}
)

func init() { // AnyValue holds itself
	// In 5.1 its oneof has a member more, which decoders leave out, or make an empty text of
	// (lib/cmetrics/src/cmt_decode_opentelemetry.c, lib/ctraces/src/ctr_decode_opentelemetry.c).
	anyValue.check, anyValue.closed = checkAnyValue, true
	anyValue.fields = map[int]member{
		1: {kind: choice, wire: bytes}, 2: {kind: choice, wire: varint}, 3: {kind: choice, wire: varint}, 4: {kind: choice, wire: fixed64},
		5: {kind: choice, wire: bytes, of: arrayValue}, 6: {kind: choice, wire: bytes, of: mapValue}, 7: {kind: choice, wire: bytes},
	}
}
