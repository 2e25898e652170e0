package command

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
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
	for _, s := range p.trial.Stages {
		if len(p.trial.Stages) > 1 {
			fmt.Fprintf(b, "# filter %s\n", hostlog.Line(s.Name))
		}
		for _, m := range s.Filter.Metrics() {
			trial.WriteMetric(b, m)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("--metrics: %w", err)
	}
	return nil
}
