package command

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
)

// writeMetrics writes the metrics of the modules to a file, "-" for w, in Prometheus' text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/). If there are several filters, a
// comment goes before what each has.
func (p *pipeline) writeMetrics(path string, w io.Writer) (err error) {
	if path != "-" {
		file, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("--metrics: %w", err)
		}
		defer file.Close()
		w = file
	}
	b := bufio.NewWriter(w)
	for _, s := range p.stages {
		if len(p.stages) > 1 {
			fmt.Fprintf(b, "# filter %s\n", hostlog.Line(s.name))
		}
		for _, m := range s.filter.Metrics() {
			writeMetric(b, m)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("--metrics: %w", err)
	}
	return nil
}

func writeMetric(w io.Writer, m state.Metric) {
	if m.Help != "" {
		fmt.Fprintf(w, "# HELP %s %s\n", m.Name, helpEscapes.Replace(m.Help))
	}
	fmt.Fprintf(w, "# TYPE %s %v\n", m.Name, m.Kind)
	for _, s := range m.Series {
		if m.Kind != state.Histogram {
			fmt.Fprintf(w, "%s%s %s\n", m.Name, labelText(m.Labels, s.Values), number(s.Value))
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
			fmt.Fprintf(w, "%s_bucket%s %d\n", m.Name, labelText(names, values), sum)
		}
		fmt.Fprintf(w, "%s_sum%s %s\n", m.Name, labelText(m.Labels, s.Values), number(s.Value))
		fmt.Fprintf(w, "%s_count%s %d\n", m.Name, labelText(m.Labels, s.Values), sum)
	}
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
