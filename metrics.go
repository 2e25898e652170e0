package main

// #include <stdlib.h>
// #include "plugin.h"
import "C"

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
)

// maxGuestSamples bounds what the endpoint has of the metrics of a filter's guests: values, of which a
// histogram has one for each bucket. Older hosts look through all values of a metric for each that is
// written or shown, on the engine's thread.
const maxGuestSamples = 1000

// refreshEvery is how often, in calls of write, values are written that have not changed: remote write
// leaves out those whose time is long ago.
const refreshEvery = 60

// exporter writes the metrics of an instance to the host. One thread at a time uses it.
type exporter struct {
	instance string // its name in the host
	calls    int
	families map[string]*family
	samples  int // of guests
}

// family is a metric in the host.
type family struct {
	handle  unsafe.Pointer // the host's; nil: there is none
	counter bool
	samples map[string]*sample // by the values of its labels
	joined  map[string]bool    // these values without anything between them
	guests  bool               // it is one of definitions
}

// sample is a value in the host, for some values of the labels.
type sample struct {
	values **C.char // in one block of C memory; nil: the host does not show it
	n      C.int
	last   uint64 // bits of the value
}

// definitions are the metrics of guests, by name. The host puts those of all instances together, and
// shows none at all if labels differ.
var definitions struct {
	sync.Mutex
	byName map[string]*definition
}

type definition struct {
	shape string // kind and labels
	users int
}

// writeMetrics writes what has changed.
func (h *filterInstance) writeMetrics(to *C.struct_metrics) { h.exporter.write(to, h.filter) }

func (e *exporter) write(to *C.struct_metrics, f *filter.Filter) {
	if e.families == nil {
		e.families = map[string]*family{}
	}
	refresh := e.calls%refreshEvery == 0
	e.calls++
	shown := 0
	for _, m := range f.FirstMetrics(maxGuestSamples) {
		m.Name = filter.GuestPrefix + m.Name
		shown += e.writeMetric(to, &m, refresh, true)
	}
	r := f.Report()
	if r.Counted != nil {
		r.Hidden = r.Counted.Series - min(r.Counted.Series, uint64(shown))
	}
	const prefix = filter.MetricNamespace + "_" + filter.MetricSubsystem + "_"
	for _, m := range r.Metrics() {
		m.Name = strings.TrimPrefix(m.Name, prefix)
		e.writeMetric(to, &m, refresh, false)
	}
}

// writeMetric writes a metric, and returns how many of its series the host shows. A histogram is
// counters: RATIONALE.md says why.
func (e *exporter) writeMetric(to *C.struct_metrics, m *state.Metric, refresh, guests bool) (shown int) {
	labels := ownLabels(m.Labels)
	if m.Kind != state.Histogram {
		f := e.family(to, m.Name, m.Help, labels, m.Kind == state.Counter, guests)
		for i := range m.Series {
			if e.set(f, m.Series[i].Values, m.Series[i].Value, refresh) {
				shown++
			}
		}
		return shown
	}
	buckets := e.family(to, m.Name+"_bucket", m.Help, append(slices.Clone(labels), "le"), true, guests)
	sums := e.family(to, m.Name+"_sum", m.Help, labels, true, guests)
	counts := e.family(to, m.Name+"_count", m.Help, labels, true, guests)
	if buckets.handle == nil || sums.handle == nil || counts.handle == nil {
		return 0
	}
	for i := range m.Series {
		s := &m.Series[i]
		if guests && counts.sample(s.Values) == nil && e.samples+len(s.Counts)+2 > maxGuestSamples {
			continue // not a part of it
		}
		var total uint64
		ok := true
		for b, n := range s.Counts {
			total += n
			end := math.Inf(1)
			if b < len(m.Buckets) {
				end = m.Buckets[b]
			}
			values := append(slices.Clone(s.Values), strconv.FormatFloat(end, 'g', -1, 64))
			ok = e.set(buckets, values, float64(total), refresh) && ok
		}
		ok = e.set(sums, s.Values, s.Value, refresh) && ok
		ok = e.set(counts, s.Values, float64(total), refresh) && ok
		if ok {
			shown++
		}
	}
	return shown
}

// ownLabels are labels with none that is called name, which is the host's for the instance: as
// Prometheus does, such a one is exported_name.
func ownLabels(labels []string) []string {
	own := slices.Clone(labels)
	for i, label := range labels {
		if label == "name" {
			for own[i] = "exported_name"; slices.Contains(labels, own[i]); {
				own[i] = "exported_" + own[i]
			}
		}
	}
	return own
}

// family returns the metric of that name, which is made unless it is there.
func (e *exporter) family(to *C.struct_metrics, name, help string, labels []string, counter, guests bool) *family {
	if f := e.families[name]; f != nil {
		return f
	}
	f := &family{counter: counter, samples: map[string]*sample{}, joined: map[string]bool{}}
	e.families[name] = f
	if guests {
		if !define(name, strconv.FormatBool(counter)+","+strings.Join(labels, ",")) {
			return f
		}
		f.guests = true
	}
	if help == "" {
		help = " " // the host takes that for none
	}
	keys, n := cStrings(append([]string{"name"}, labels...))
	defer C.free(unsafe.Pointer(keys))
	texts := [...]*C.char{C.CString(filter.MetricNamespace), C.CString(filter.MetricSubsystem), C.CString(name), C.CString(text(help))}
	for _, t := range texts {
		defer C.free(unsafe.Pointer(t))
	}
	f.handle = C.border_family(to, C.bool(counter), texts[0], texts[1], texts[2], texts[3], n, keys)
	return f
}

// define says whether a metric of guests may be shown: no other instance has one of that name with
// another shape.
func define(name, shape string) bool {
	definitions.Lock()
	defer definitions.Unlock()
	d := definitions.byName[name]
	if d == nil {
		d = &definition{shape: shape}
		if definitions.byName == nil {
			definitions.byName = map[string]*definition{}
		}
		definitions.byName[name] = d
	}
	if d.shape != shape {
		return false
	}
	d.users++
	return true
}

// set writes a value, unless it is there already. It says whether the host shows it.
func (e *exporter) set(f *family, values []string, value float64, refresh bool) bool {
	if f.handle == nil {
		return false
	}
	s := f.sample(values)
	if s == nil {
		s = e.newSample(f, values)
		f.samples[keyOf(values)] = s
		refresh = true
	}
	bits := math.Float64bits(value)
	if s.values == nil || !refresh && bits == s.last {
		return s.values != nil
	}
	if bool(C.border_set(f.handle, C.bool(f.counter), C.double(value), s.n, s.values)) {
		s.last = bits
	}
	return true
}

func (f *family) sample(values []string) *sample { return f.samples[keyOf(values)] }

func keyOf(values []string) string { return strings.Join(values, "\xff") } // which stands in no text

// newSample makes one. The host tells values of labels apart by their bytes in a row, up to 5.0: of two
// whose bytes are the same it shows the first.
func (e *exporter) newSample(f *family, values []string) *sample {
	s := &sample{}
	all := append([]string{e.instance}, values...)
	joined := text(strings.Join(all, ""))
	if f.guests {
		if e.samples == maxGuestSamples {
			return s
		}
		e.samples++
	}
	if !f.joined[joined] {
		f.joined[joined] = true
		s.values, s.n = cStrings(all)
	}
	return s
}

// close frees what the host does not.
func (e *exporter) close() {
	definitions.Lock()
	defer definitions.Unlock()
	for name, f := range e.families {
		for _, s := range f.samples {
			C.free(unsafe.Pointer(s.values))
		}
		if d := definitions.byName[name]; f.guests && d != nil {
			if d.users--; d.users == 0 {
				delete(definitions.byName, name)
			}
		}
	}
	e.families = nil
}

// cStrings makes a list of C strings in one block, for the caller to free.
func cStrings(list []string) (**C.char, C.int) {
	size := uintptr(len(list)) * unsafe.Sizeof(uintptr(0))
	for _, s := range list {
		size += uintptr(len(text(s))) + 1
	}
	block := C.calloc(1, C.size_t(size))
	pointers := unsafe.Slice((**C.char)(block), len(list))
	at := unsafe.Add(block, len(list)*int(unsafe.Sizeof(uintptr(0))))
	for i, s := range list {
		s = text(s)
		pointers[i] = (*C.char)(at)
		to := unsafe.Slice((*byte)(at), len(s)+1)
		copy(to, s)
		to[len(s)] = 0
		at = unsafe.Add(at, len(s)+1)
	}
	return (**C.char)(block), C.int(len(list))
}

// text is a string that C takes whole.
func text(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }
