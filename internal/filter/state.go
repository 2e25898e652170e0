package filter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
)

// What the log says of the filter's store and metrics, which its instances share.

// Metrics returns the metrics that the module has defined, as they are now. It may be called from
// any goroutine, until Close.
func (f *Filter) Metrics() []state.Metric { return f.state.Metrics() }

// FirstMetrics is Metrics, with no more than that many series in all: those that came first.
func (f *Filter) FirstMetrics(maxSeries int) []state.Metric {
	return f.config.State.FirstMetrics(maxSeries)
}

func (f *Filter) logNotices(notices guest.Notice) {
	if notices&guest.NoticeStore != 0 {
		s := f.state.StoreStats()
		f.log.Always(hostlog.Warn, fmt.Sprintf("the store has refused %d calls so far: it has %s", s.Refused, storeText(s)))
	}
	if notices&guest.NoticeMetrics != 0 {
		f.log.Always(hostlog.Warn, uncounted(f.state.MetricsStats()))
	}
}

func storeText(s state.StoreStats) string {
	return fmt.Sprintf("%d keys, and %d bytes of the %d that store_limit allows", s.Keys, s.Bytes, s.LimitBytes)
}

func uncounted(s state.MetricsStats) string {
	return fmt.Sprintf("metrics: %d calls so far were not counted: %d for want of room (%d series; metrics_series is the most), %d for a value that is negative or not finite",
		s.NoRoom+s.BadValue, s.NoRoom, s.Series, s.BadValue)
}

// maxMetricLines bounds the lines that a filter logs of its metrics at its end.
const maxMetricLines = 50

// logState logs what there was at the end.
func (f *Filter) logState() {
	if s := f.state.StoreStats(); s.Keys+s.Refused > 0 {
		level := hostlog.Info
		if s.Refused > 0 {
			level = hostlog.Warn
		}
		f.log.Always(level, fmt.Sprintf("store: %s; %d calls refused", storeText(s), s.Refused))
	}
	metrics := f.Metrics()
	for _, m := range metrics[:min(len(metrics), maxMetricLines)] {
		f.log.Always(hostlog.Info, metricText(m))
	}
	if more := len(metrics) - maxMetricLines; more > 0 {
		f.log.Always(hostlog.Info, fmt.Sprintf("and %d more metrics", more))
	}
	if s := f.state.MetricsStats(); s.NoRoom+s.BadValue > 0 {
		f.log.Always(hostlog.Warn, uncounted(s))
	}
}

// metricText is a metric in one line.
func metricText(m state.Metric) string {
	text := fmt.Sprintf("%v %s", m.Kind, m.Name)
	switch {
	case len(m.Labels) == 0:
		return text + ": " + seriesText(m, m.Series[0])
	case len(m.Series) == 0:
		return text + ": no series"
	default:
		return text + ": " + hostlog.List(m.Series, func(s state.Series) string {
			var labels []string
			for i, name := range m.Labels {
				labels = append(labels, name+"="+hostlog.Quote(s.Values[i], maxLabelBytes))
			}
			return "{" + strings.Join(labels, ",") + "} " + seriesText(m, s)
		})
	}
}

// maxLabelBytes bounds what a line quotes of a label's value.
const maxLabelBytes = 64

func seriesText(m state.Metric, s state.Series) string {
	value := strconv.FormatFloat(s.Value, 'g', -1, 64)
	if m.Kind != state.Histogram {
		return value
	}
	return fmt.Sprintf("%d values, sum %s", s.Count(), value)
}
