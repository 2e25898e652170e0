package trial

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
)

// WriteMetric writes a metric in Prometheus' text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
func WriteMetric(w io.Writer, m state.Metric) {
	if m.Help != "" {
		fmt.Fprintf(w, "# HELP %s %s\n", m.Name, helpEscapes.Replace(m.Help))
	}
	fmt.Fprintf(w, "# TYPE %s %v\n", m.Name, m.Kind)
	for _, line := range Samples(m) {
		fmt.Fprintln(w, line)
	}
}

// Samples are the lines of a metric's values in that format.
func Samples(m state.Metric) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, s := range m.Series {
		if m.Kind != state.Histogram {
			add("%s%s %s", m.Name, labelText(m.Labels, s.Values), number(s.Value))
			continue
		}
		var sum uint64
		names := append(m.Labels[:len(m.Labels):len(m.Labels)], "le")
		for i, n := range s.Counts {
			sum += n
			end := math.Inf(1)
			if i < len(m.Buckets) {
				end = m.Buckets[i]
			}
			values := append(s.Values[:len(s.Values):len(s.Values)], number(end))
			add("%s_bucket%s %d", m.Name, labelText(names, values), sum)
		}
		add("%s_sum%s %s", m.Name, labelText(m.Labels, s.Values), number(s.Value))
		add("%s_count%s %d", m.Name, labelText(m.Labels, s.Values), sum)
	}
	return lines
}

var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	valueEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func labelText(names, values []string) string {
	if len(names) == 0 {
		return ""
	}
	var list []string
	for i, name := range names {
		list = append(list, name+`="`+valueEscapes.Replace(values[i])+`"`)
	}
	return "{" + strings.Join(list, ",") + "}"
}

// number writes a value as Prometheus reads it: as strconv does, also what is not finite.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
