// Package otlp is for modules that see metrics and traces, in Fluent Bit's processor wasmtime: each payload as an
// OTLP request, of which they read and edit what they name. What they don't touch stays as it came, byte for byte,
// with fields that this package does not know.
//
//	func init() {
//		otlp.Export(otlp.Module{Traces: func(r *otlp.Request) error {
//			for span := range r.Spans() {
//				if span.Attributes().Get("http.route").Str() == "/health" {
//					span.Drop()
//				}
//			}
//			return nil
//		}})
//	}
//
//	func main() {}
//
// [Run] runs such a function in tests, without WebAssembly. Configuration, the store, the log and metrics are those
// of package flb.
package otlp

import (
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"time"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

// Module is what a module does. Its functions may be nil: such payloads pass.
type Module struct {
	// Configure is called before the first payload. An error keeps Fluent Bit from starting, with its text.
	Configure func() error
	// Metrics and Traces are called for each payload. An error, or a panic, is logged; the payload passes as it
	// came, or is dropped by on_error.
	Metrics, Traces func(*Request) error
}

var module Module

// Export makes a module of functions for metrics and traces. Call it once, in init.
func Export(m Module) {
	Also(m)
	flb.Configure(func() (flb.Handler, error) {
		var err error
		if m.Configure != nil {
			err = m.Configure()
		}
		return flb.Func(func(*flb.Event) error { return errors.New("the module has nothing for records") }), err
	})
}

// Also makes functions for metrics and traces a part of a module that has a filter for records: of [flb.Filter] or
// [flb.Configure], by which it is configured, too.
func Also(m Module) { module = m }

// Run runs a function on a request. It returns the one that takes its place: the same if nothing was changed, and
// nil if it is dropped.
func Run(function func(*Request) error, payload []byte) (request []byte, err error) {
	defer sys.Recover(&err)
	r := &Request{&message{raw: payload, items: 1}}
	if err := function(r); err != nil {
		return nil, err
	}
	if r.m.dropped || r.m.isEmpty() {
		return nil, nil
	}
	if !r.m.changed {
		return payload, nil
	}
	return r.m.encode(make([]byte, 0, len(payload)+len(payload)/8)), nil
}

// Request is a payload: what the processor is called for.
type Request struct{ m *message }

// Drop drops the payload.
func (r *Request) Drop() { r.m.dropped = true }

// Resources goes through what there is of each resource.
func (r *Request) Resources() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		r.m.each(1, 2, 0, func(m *message) bool { return yield(Resource{m}) })
	}
}

// Metrics goes through all metrics.
func (r *Request) Metrics() iter.Seq[Metric] {
	return func(yield func(Metric) bool) {
		r.m.each(1, 2, 0, func(of *message) bool {
			return of.each(2, 2, 0, func(in *message) bool {
				return in.each(2, 0, 12, func(m *message) bool { return yield(Metric{m}) })
			})
		})
	}
}

// Spans goes through all spans.
func (r *Request) Spans() iter.Seq[Span] {
	return func(yield func(Span) bool) {
		r.m.each(1, 2, 0, func(of *message) bool {
			return of.each(2, 2, 0, func(in *message) bool {
				return in.each(2, 0, 9, func(m *message) bool { return yield(Span{m}) })
			})
		})
	}
}

// Resource is what there is of a resource.
type Resource struct{ m *message }

// Attributes returns those of the resource.
func (r Resource) Attributes() Attributes { return Attributes{r.m.one(1, 1)} }

// Drop drops all that there is of the resource.
func (r Resource) Drop() { r.m.drop() }

// Scopes goes through what there is of each scope.
func (r Resource) Scopes() iter.Seq[Scope] {
	return func(yield func(Scope) bool) {
		r.m.each(2, 2, 0, func(m *message) bool { return yield(Scope{m}) })
	}
}

// Scope is what there is of an instrumentation scope.
type Scope struct{ m *message }

// Name returns the name of the scope.
func (s Scope) Name() string { return string(s.m.one(1, 3).bytes(1)) }

// Version returns the version of the scope.
func (s Scope) Version() string { return string(s.m.one(1, 3).bytes(2)) }

// Attributes returns those of the scope.
func (s Scope) Attributes() Attributes { return Attributes{s.m.one(1, 3)} }

// Resource returns what the scope is a part of.
func (s Scope) Resource() Resource { return Resource{s.m.parent} }

// Drop drops all that there is of the scope.
func (s Scope) Drop() { s.m.drop() }

// Metrics goes through the metrics of the scope.
func (s Scope) Metrics() iter.Seq[Metric] {
	return func(yield func(Metric) bool) {
		s.m.each(2, 0, 12, func(m *message) bool { return yield(Metric{m}) })
	}
}

// Spans goes through the spans of the scope.
func (s Scope) Spans() iter.Seq[Span] {
	return func(yield func(Span) bool) {
		s.m.each(2, 0, 9, func(m *message) bool { return yield(Span{m}) })
	}
}

// Metric is a metric, with its data points.
type Metric struct{ m *message }

// Type is what kind of metric it is.
type Type int

const (
	Unknown              Type = 0
	Gauge                Type = 5
	Sum                  Type = 7
	Histogram            Type = 9
	ExponentialHistogram Type = 10
	Summary              Type = 11
)

// Name returns the name.
func (m Metric) Name() string { return string(m.m.bytes(1)) }

// SetName renames the metric.
func (m Metric) SetName(name string) { m.m.set(1, bytes, []byte(name)) }

// Description returns the description.
func (m Metric) Description() string { return string(m.m.bytes(2)) }

// SetDescription sets the description.
func (m Metric) SetDescription(text string) { m.m.set(2, bytes, []byte(text)) }

// Unit returns the unit.
func (m Metric) Unit() string { return string(m.m.bytes(3)) }

// SetUnit sets the unit. Values stay as they are.
func (m Metric) SetUnit(unit string) { m.m.set(3, bytes, []byte(unit)) }

// Scope returns what the metric is a part of.
func (m Metric) Scope() Scope { return Scope{m.m.parent} }

// Drop drops the metric.
func (m Metric) Drop() { m.m.drop() }

// Type returns what kind of metric it is.
func (m Metric) Type() Type {
	for i := len(m.m.all()) - 1; i >= 0; i-- {
		switch t := Type(m.m.fields[i].number); t {
		case Gauge, Sum, Histogram, ExponentialHistogram, Summary:
			return t
		}
	}
	return Unknown
}

// Points goes through the data points. A metric all of whose points are dropped is dropped.
func (m Metric) Points() iter.Seq[Point] {
	return func(yield func(Point) bool) {
		t, attributes := m.Type(), 7
		switch t {
		case Histogram:
			attributes = 9
		case ExponentialHistogram:
			attributes = 1
		}
		m.m.items = int(t)
		m.m.each(int(t), 1, 0, func(data *message) bool {
			return data.each(1, 0, attributes, func(p *message) bool { return yield(Point{p, t}) })
		})
	}
}

// Point is a data point of a metric.
type Point struct {
	m *message
	t Type
}

// Attributes returns the labels. Without one of them several points may be of one series: they are not added up.
func (p Point) Attributes() Attributes { return Attributes{p.m} }

// Drop drops the point.
func (p Point) Drop() { p.m.drop() }

// Time returns when the value was taken.
func (p Point) Time() time.Time { return at(p.m.number(3)) }

// Value returns the number that a point of a gauge or sum has; false if it has none.
func (p Point) Value() (float64, bool) {
	double, whole := p.m.last(4), p.m.last(6)
	switch {
	case p.t != Gauge && p.t != Sum || double == whole: // there is neither
		return 0, false
	case double > whole:
		return math.Float64frombits(p.m.number(4)), true
	}
	return float64(int64(p.m.number(6))), true
}

// SetValue gives a point of a gauge or sum another number. Other points stay as they are.
func (p Point) SetValue(value float64) {
	if p.t == Gauge || p.t == Sum {
		p.m.clear(6)
		p.m.set(4, fixed64, binary.LittleEndian.AppendUint64(nil, math.Float64bits(value)))
	}
}

func at(ns uint64) time.Time { return time.Unix(int64(ns/1e9), int64(ns%1e9)) }

// Span is a span of a trace.
type Span struct{ m *message }

// TraceID returns the 16 bytes of the trace's number.
func (s Span) TraceID() string { return string(s.m.bytes(1)) }

// ID returns the 8 bytes of the span's number.
func (s Span) ID() string { return string(s.m.bytes(2)) }

// ParentID returns the 8 bytes of the parent's number; none if it is the first span of a trace.
func (s Span) ParentID() string { return string(s.m.bytes(4)) }

// Name returns the name.
func (s Span) Name() string { return string(s.m.bytes(5)) }

// SetName renames the span.
func (s Span) SetName(name string) { s.m.set(5, bytes, []byte(name)) }

// Kind returns the kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
func (s Span) Kind() int { return int(s.m.number(6)) }

// Start returns when the span began.
func (s Span) Start() time.Time { return at(s.m.number(7)) }

// Duration returns how long the span took.
func (s Span) Duration() time.Duration { return time.Duration(s.m.number(8) - s.m.number(7)) }

// IsError says whether the span's status is an error.
func (s Span) IsError() bool { return s.m.one(15, 0).number(3) == 2 }

// Attributes returns those of the span.
func (s Span) Attributes() Attributes { return Attributes{s.m} }

// Scope returns what the span is a part of.
func (s Span) Scope() Scope { return Scope{s.m.parent} }

// Drop drops the span.
func (s Span) Drop() { s.m.drop() }

// Events goes through the events of the span.
func (s Span) Events() iter.Seq[SpanEvent] {
	return func(yield func(SpanEvent) bool) {
		s.m.each(11, 0, 3, func(m *message) bool { return yield(SpanEvent{m}) })
	}
}

// Links goes through the links of the span.
func (s Span) Links() iter.Seq[Link] {
	return func(yield func(Link) bool) {
		s.m.each(13, 0, 4, func(m *message) bool { return yield(Link{m}) })
	}
}

// SpanEvent is something that happened in a span.
type SpanEvent struct{ m *message }

// Name returns the name.
func (e SpanEvent) Name() string { return string(e.m.bytes(2)) }

// Attributes returns those of the event.
func (e SpanEvent) Attributes() Attributes { return Attributes{e.m} }

// Drop drops the event.
func (e SpanEvent) Drop() { e.m.drop() }

// Link is a link to another span.
type Link struct{ m *message }

// Attributes returns those of the link.
func (l Link) Attributes() Attributes { return Attributes{l.m} }

// Drop drops the link.
func (l Link) Drop() { l.m.drop() }

// Attributes are those of something: of a data point its labels.
type Attributes struct{ m *message }

func (a Attributes) is(i int, key string) bool {
	f := a.m.fields[i]
	return f.number == a.m.attributes && f.wire == bytes && string(a.m.child(i, 0, 0).bytes(1)) == key
}

func (a Attributes) find(key string) *message {
	for i := range a.m.all() {
		if a.is(i, key) && !a.m.fields[i].child.dropped {
			return a.m.fields[i].child
		}
	}
	return nil
}

// Get returns the value of a key; it is missing if there is none.
func (a Attributes) Get(key string) Value {
	if found := a.find(key); found != nil {
		return Value{found.one(2, 0)}
	}
	return Value{}
}

// All goes through keys and values, in order.
func (a Attributes) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		a.m.each(a.m.attributes, 0, 0, func(m *message) bool { return yield(string(m.bytes(1)), Value{m.one(2, 0)}) })
	}
}

// Set gives a key a value: a string, bool, int, int64, float64, or a [Value] that there is. A key that is not there is
// added as the last one. Another type panics, which fails the payload.
func (a Attributes) Set(key string, value any) {
	v := appendValue(nil, value)
	if found := a.find(key); found != nil {
		found.set(2, bytes, v)
		return
	}
	a.m.add(a.m.attributes, appendField(appendField(nil, 1, bytes, []byte(key)), 2, bytes, v))
}

// Remove removes a key, and says whether it was there.
func (a Attributes) Remove(key string) bool {
	found := a.find(key)
	for next := found; next != nil; next = a.find(key) {
		next.drop()
	}
	return found != nil
}

// Rename gives a key another name, if it is there, and says so. What has that name goes.
func (a Attributes) Rename(key, to string) bool {
	found := a.find(key)
	if found != nil && key != to {
		a.Remove(to)
		found.set(1, bytes, []byte(to))
	}
	return found != nil
}
