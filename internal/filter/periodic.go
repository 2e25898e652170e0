package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
)

// periodic has a line with a filter's report be logged, with the first chunk after each interval.
type periodic struct {
	interval time.Duration
	format   options.StatsFormat
	timer    *time.Timer
	due      atomic.Bool

	mu   sync.Mutex
	lane *guest.Lane // guarded by mu; nil: the filter has ended
}

// newPeriodic makes one, or nil if the options want none.
func newPeriodic(o options.Options, lane *guest.Lane) *periodic {
	if o.StatsInterval == 0 {
		return nil
	}
	p := &periodic{interval: o.StatsInterval, format: o.StatsFormat, lane: lane}
	p.timer = time.AfterFunc(p.interval, hostlog.Guard("stats", p.ask))
	return p
}

// ask has the next chunk come to Go.
func (p *periodic) ask() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lane != nil {
		p.due.Store(true)
		p.lane.Want()
	}
}

// take says whether a line is due, which the caller logs.
func (p *periodic) take() bool {
	if p == nil || !p.due.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due.Store(false)
	p.timer.Reset(p.interval)
	return true
}

// end is called before the lane is closed.
func (p *periodic) end() {
	if p == nil {
		return
	}
	p.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lane = nil
}

// logReport logs what there is to tell so far.
func (f *Filter) logReport() {
	r := f.Report()
	text := ""
	if f.periodic.format == options.StatsJSON {
		text = r.json(f.FirstMetrics(maxJSONSeries))
	} else {
		text = r.text()
	}
	f.log.Always(hostlog.Info, text)
}

// text is the report in one line for people.
func (r *Report) text() string {
	line := fmt.Sprintf("stats: %v; %d calls; %d instances with %d bytes of memory", r.Stats, r.Calls, r.Instances, r.MemoryBytes)
	if n := r.Breakers[open] + r.Breakers[trial]; n > 0 {
		line += fmt.Sprintf("; the breaker is open for %d of %d", n, n+r.Breakers[closed])
	}
	return line
}

// maxJSONBytes is how long a line may become by the metrics of guests; maxJSONSeries bounds what is read
// of them.
const (
	maxJSONBytes  = hostlog.MaxLineBytes - 1024
	maxJSONSeries = 1000
)

// json is the report as a JSON object of ASCII, which a log leaves as it is: by family a number; by the
// value of its label if it has one; or of what is counted by ranges, count and sum. What is 0 for a label
// is left out. guests are the metrics of the guest, a list of those with labels.
func (r *Report) json(guests []state.Metric) string {
	w := &jsonWriter{}
	w.object(func() {
		for _, m := range r.Metrics() {
			name := m.Name[len(MetricNamespace)+len(MetricSubsystem)+2:]
			switch {
			case name == "series_hidden" || len(m.Series) == 0:
			case m.Kind == state.Histogram:
				w.key(name).histogram(&m.Series[0])
			case len(m.Labels) == 0:
				w.key(name).number(m.Series[0].Value)
			case len(m.Labels) == 1:
				w.key(name).object(func() {
					for _, s := range m.Series {
						if s.Value != 0 {
							w.key(s.Values[0]).number(s.Value)
						}
					}
				})
			case name == payloadsTotal:
				w.key(name).object(func() {
					for _, s := range m.Series {
						if s.Value != 0 {
							w.key(s.Values[1]).number(s.Value) // all of one signal
						}
					}
				})
			default: // info: the last one is now
				s := m.Series[len(m.Series)-1]
				w.key(name).object(func() { w.labels(&m, &s) })
			}
		}
		w.guests(guests)
	})
	return string(w.out)
}

// guests writes as many metrics of guests as there is room for.
func (w *jsonWriter) guests(list []state.Metric) {
	left := 0
	if len(list) > 0 {
		w.key("guest").object(func() {
			for i := range list {
				before := w.mark()
				w.key(list[i].Name).guest(&list[i])
				if len(w.out) > maxJSONBytes {
					w.reset(before)
					left++
				}
			}
		})
	}
	if left > 0 {
		w.key("guest_left_out").number(float64(left))
	}
}

func (w *jsonWriter) guest(m *state.Metric) {
	value := func(s *state.Series) {
		if m.Kind == state.Histogram {
			w.histogram(s)
		} else {
			w.number(s.Value)
		}
	}
	if len(m.Labels) == 0 {
		value(&m.Series[0])
		return
	}
	w.list(func() {
		for i := range m.Series {
			w.element().object(func() {
				w.key("labels").object(func() { w.labels(m, &m.Series[i]) })
				w.key("value")
				value(&m.Series[i])
			})
		}
	})
}

// jsonWriter writes JSON. Its functions return it for what goes behind.
type jsonWriter struct {
	out   []byte
	comma bool // before the next member or element
}

type jsonMark struct {
	len   int
	comma bool
}

func (w *jsonWriter) mark() jsonMark   { return jsonMark{len(w.out), w.comma} }
func (w *jsonWriter) reset(m jsonMark) { w.out, w.comma = w.out[:m.len], m.comma }

func (w *jsonWriter) element() *jsonWriter {
	if w.comma {
		w.out = append(w.out, ',')
	}
	w.comma = true
	return w
}

func (w *jsonWriter) key(name string) *jsonWriter {
	w.element().string(name)
	w.out = append(w.out, ':')
	return w
}

func (w *jsonWriter) within(begin, end byte, body func()) {
	w.out = append(w.out, begin)
	w.comma = false
	body()
	w.out = append(w.out, end)
	w.comma = true
}

func (w *jsonWriter) object(body func()) { w.within('{', '}', body) }
func (w *jsonWriter) list(body func())   { w.within('[', ']', body) }

// number writes one; null of those that JSON does not have.
func (w *jsonWriter) number(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		w.out = append(w.out, "null"...)
		return
	}
	w.out = strconv.AppendFloat(w.out, v, 'g', -1, 64)
}

func (w *jsonWriter) histogram(s *state.Series) {
	w.object(func() {
		w.key("count").number(float64(s.Count()))
		w.key("sum").number(s.Value)
	})
}

func (w *jsonWriter) labels(m *state.Metric, s *state.Series) {
	for i, name := range m.Labels {
		w.key(name).string(s.Values[i])
	}
}

func (w *jsonWriter) string(s string) {
	text, _ := json.Marshal(s) // of a string there is no error
	for _, c := range string(bytes.ReplaceAll(text, []byte{0x7f}, []byte(`\u007f`))) {
		switch {
		case c < 0x80:
			w.out = append(w.out, byte(c))
		case c < 0x10000:
			w.out = fmt.Appendf(w.out, `\u%04x`, c)
		default:
			c -= 0x10000
			w.out = fmt.Appendf(w.out, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		}
	}
}
