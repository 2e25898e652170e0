// Package state is what a filter keeps for its guests, beyond the life of one and shared by all: a
// key-value store and metrics. Guests use it by functions of package hostcall, in C; Go makes it,
// looks at it and ends it.
package state

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra
// #include <stdlib.h>
// #include "store.h"
// #include "metrics.h"
import "C"

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"strings"
	"unsafe"
)

// State is the store and the metrics of a filter, or one of them, or neither.
type State struct {
	store   *C.flbwt_store
	metrics *C.flbwt_metrics
}

// New makes a store of up to storeBytes and metrics of up to maxSeries, each if it is more than 0.
// Close frees them.
func New(storeBytes int64, maxSeries int) *State {
	s := &State{}
	if storeBytes > 0 {
		s.store = C.flbwt_store_new(C.uint64_t(storeBytes), seed())
	}
	if maxSeries > 0 {
		s.metrics = C.flbwt_metrics_new(C.uint32_t(maxSeries), seed())
	}
	return s
}

func seed() C.flbwt_seed {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return C.flbwt_seed{C.uint64_t(binary.NativeEndian.Uint64(b[:8])), C.uint64_t(binary.NativeEndian.Uint64(b[8:]))}
}

// Close frees it. No guest may use it any more.
func (s *State) Close() {
	C.flbwt_store_free(s.store)
	C.flbwt_metrics_free(s.metrics)
	s.store, s.metrics = nil, nil
}

// HasStore and HasMetrics say what there is. A nil State has nothing.
func (s *State) HasStore() bool { return s != nil && s.store != nil }

// HasMetrics says whether there are metrics.
func (s *State) HasMetrics() bool { return s != nil && s.metrics != nil }

// StorePointer is the flbwt_store of store.h, valid until Close; nil: there is none.
func (s *State) StorePointer() unsafe.Pointer {
	if s == nil {
		return nil
	}
	return unsafe.Pointer(s.store)
}

// MetricsPointer is the flbwt_metrics of metrics.h, valid until Close; nil: there are none.
func (s *State) MetricsPointer() unsafe.Pointer {
	if s == nil {
		return nil
	}
	return unsafe.Pointer(s.metrics)
}

// StoreStats is what a store holds. Keys that have expired count until they are found.
type StoreStats struct {
	Keys       uint64
	Bytes      uint64 // of keys, values and what they need besides
	LimitBytes uint64
	Refused    uint64 // calls, for want of room or since key or value was too long
}

// StoreStats may be called on any goroutine. Without a store all is 0.
func (s *State) StoreStats() StoreStats {
	if !s.HasStore() {
		return StoreStats{}
	}
	c := C.flbwt_store_look(s.store)
	return StoreStats{Keys: uint64(c.keys), Bytes: uint64(c.bytes), LimitBytes: uint64(c.limit), Refused: uint64(c.refused)}
}

// Kind is the kind of a metric.
type Kind uint32

// The kinds, by the numbers of the guests' ABI.
const (
	Counter   Kind = C.FLBWT_COUNTER
	Gauge     Kind = C.FLBWT_GAUGE
	Histogram Kind = C.FLBWT_HISTOGRAM
)

// String is the word that Prometheus has for it.
func (k Kind) String() string {
	return [...]string{Counter: "counter", Gauge: "gauge", Histogram: "histogram"}[k]
}

// Metric is one of a guest's metrics at some time. Names are such that Prometheus takes them, and
// texts are UTF-8.
type Metric struct {
	Name    string
	Kind    Kind
	Help    string
	Labels  []string  // names
	Buckets []float64 // of a histogram, the upper ends; one more has no end
	Series  []Series  // in the order in which they came to be
}

// Series is a metric with some values of its labels.
type Series struct {
	Values []string // of the labels, in their order
	Value  float64  // of a histogram, the sum of all values
	Counts []uint64 // of a histogram: how many values are in each bucket, and not in one before it
}

// DefineAs defines the metrics of another State here, as far as there is room.
func (s *State) DefineAs(other *State) {
	if !s.HasMetrics() || !other.HasMetrics() {
		return
	}
	var why [1]C.char
	for i := range C.flbwt_metrics_look(other.metrics).metrics {
		definition := C.flbwt_metrics_definition(other.metrics, i)
		C.flbwt_metrics_define(s.metrics, &definition, &why[0], C.size_t(len(why)))
	}
}

// MetricsStats counts what metrics there are, and what was not counted.
type MetricsStats struct {
	Metrics, Series uint64
	NoRoom          uint64 // calls for which there was no room for another series or metric
	BadValue        uint64 // calls with a value that can't be counted
}

// MetricsStats may be called on any goroutine. Without metrics all is 0.
func (s *State) MetricsStats() MetricsStats {
	if !s.HasMetrics() {
		return MetricsStats{}
	}
	c := C.flbwt_metrics_look(s.metrics)
	return MetricsStats{Metrics: uint64(c.metrics), Series: uint64(c.series), NoRoom: uint64(c.no_room), BadValue: uint64(c.bad_value)}
}

// Metrics returns all of them as they are now, in the order in which they were defined. It may be
// called on any goroutine, while guests count.
func (s *State) Metrics() []Metric { return s.FirstMetrics(math.MaxInt) }

// FirstMetrics is Metrics, with no more than that many series in all: those that came first.
func (s *State) FirstMetrics(maxSeries int) []Metric {
	if !s.HasMetrics() {
		return nil
	}
	stats := C.flbwt_metrics_look(s.metrics)
	list := make([]Metric, stats.metrics)
	for i := range list {
		list[i] = readMetric(C.flbwt_metrics_definition(s.metrics, C.uint32_t(i)))
	}
	for i := range min(stats.series, C.uint32_t(min(maxSeries, math.MaxUint32))) {
		c := C.flbwt_metrics_series(s.metrics, i)
		id := int(C.flbwt_series_metric(c))
		if id >= len(list) {
			continue // it is new
		}
		m := &list[id]
		m.Series = append(m.Series, m.readSeries(c))
	}
	return list
}

func readMetric(d C.flbwt_metric_definition) Metric {
	m := Metric{
		Name: text(d.name, d.name_len),
		Kind: Kind(d.kind),
		Help: text(d.help, d.help_len),
	}
	if labels := text(d.labels, d.labels_len); labels != "" {
		m.Labels = strings.Split(labels, ",")
	}
	buckets := text(d.buckets, d.buckets_count*8)
	for ; buckets != ""; buckets = buckets[8:] {
		m.Buckets = append(m.Buckets, math.Float64frombits(binary.NativeEndian.Uint64([]byte(buckets[:8]))))
	}
	return m
}

func (m *Metric) readSeries(c *C.flbwt_series) Series {
	s := Series{Value: float64(C.flbwt_series_value(c))}
	var n C.uint32_t
	p := C.flbwt_series_labels(c, &n)
	for labels := text(p, n); labels != ""; {
		end := 4 + binary.NativeEndian.Uint32([]byte(labels[:4]))
		s.Values = append(s.Values, labels[4:end])
		labels = labels[end:]
	}
	if m.Kind == Histogram {
		for i := range len(m.Buckets) + 1 {
			s.Counts = append(s.Counts, uint64(C.flbwt_series_bucket(c, C.uint32_t(i))))
		}
	}
	return s
}

func text(p *C.uint8_t, n C.uint32_t) string {
	return C.GoStringN((*C.char)(unsafe.Pointer(p)), C.int(n))
}

// Count returns how many values a histogram has.
func (s *Series) Count() (n uint64) {
	for _, c := range s.Counts {
		n += c
	}
	return n
}
