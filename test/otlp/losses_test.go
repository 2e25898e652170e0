package otlp

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// What Fluent Bit loses of metrics and traces by itself, from its OTLP input to its OTLP output, and so also
// of what a guest replaces. docs/support.md has it in words; the tests say when it has changed.

// lossOf says what is left of someMetrics and someTraces.
func lossOf(fb fluentBit) (*metrics.MetricsData, *trace.TracesData) {
	m, tr := someMetrics(), someTraces()
	since5 := fb.version >= "5"
	eachPoint(m, func(labels *[]*common.KeyValue) {
		for _, l := range *labels {
			if v, ok := l.Value.Value.(*common.AnyValue_IntValue); ok {
				l.Value = text(strconv.FormatInt(v.IntValue, 10)) // labels are texts
			}
		}
	})
	sm := m.ResourceMetrics[0].ScopeMetrics[0]
	for _, metric := range sm.Metrics {
		if s := metric.GetSum(); s != nil {
			s.IsMonotonic = true
		}
	}
	if !since5 {
		beforeFive(fb, sm)
	}
	for _, rs := range tr.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				s.DroppedLinksCount = 0
				if fb.version < "3.2" {
					s.TraceState, s.DroppedEventsCount = "", 0
				}
				if s.Status == nil {
					s.Status = &trace.Status{}
				}
			}
		}
	}
	return m, tr
}

// beforeFive is what versions before 5.0 lose beyond that, which hold neither start times nor units nor
// integers.
func beforeFive(fb fluentBit, sm *metrics.ScopeMetrics) {
	sm.Metrics = slices.DeleteFunc(sm.Metrics, func(m *metrics.Metric) bool { return m.GetExponentialHistogram() != nil })
	number := func(list []*metrics.NumberDataPoint) {
		for _, p := range list {
			p.StartTimeUnixNano = 0
			if v, ok := p.Value.(*metrics.NumberDataPoint_AsInt); ok {
				p.Value = &metrics.NumberDataPoint_AsDouble{AsDouble: float64(v.AsInt)}
			}
		}
	}
	for _, m := range sm.Metrics {
		m.Unit = ""
		number(m.GetGauge().GetDataPoints())
		number(m.GetSum().GetDataPoints())
		if h := m.GetHistogram(); h != nil {
			h.AggregationTemporality = 0
			for _, p := range h.DataPoints {
				p.StartTimeUnixNano = 0
				if fb.version >= "3.2" && fb.version < "4" {
					p.Sum = nil
				}
			}
		}
		for _, p := range m.GetSummary().GetDataPoints() {
			p.StartTimeUnixNano = 0
		}
	}
}

// normal brings metrics into one order, and leaves out scopes that say nothing: some versions write one where
// others have none.
func normal(m proto.Message) proto.Message {
	m = proto.Clone(m)
	switch m := m.(type) {
	case *metrics.MetricsData:
		for _, rm := range m.ResourceMetrics {
			for _, sm := range rm.ScopeMetrics {
				slices.SortStableFunc(sm.Metrics, func(a, b *metrics.Metric) int { return strings.Compare(a.Name, b.Name) })
				if proto.Equal(sm.Scope, &common.InstrumentationScope{}) {
					sm.Scope = nil
				}
			}
		}
	case *trace.TracesData:
		for _, rs := range m.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				if proto.Equal(ss.Scope, &common.InstrumentationScope{}) {
					ss.Scope = nil
				}
			}
		}
	}
	return m
}

// complete checks what comes out without a processor.
func complete(t *testing.T, fb fluentBit, m *metrics.MetricsData, tr *trace.TracesData) {
	t.Helper()
	wantMetrics, wantTraces := lossOf(fb)
	equal(t, m, wantMetrics)
	equal(t, tr, wantTraces)
}
