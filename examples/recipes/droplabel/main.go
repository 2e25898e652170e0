// Droplabel drops a label of metrics. Counters that differ in nothing else then are added up.
package main

import (
	"fmt"
	"strings"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/otlp"
)

var label string

func init() { otlp.Export(otlp.Module{Configure: configure, Metrics: drop}) }

func main() {}

func configure() (err error) {
	label, err = flb.Config.Require("label", "the name of a label, such as pod")
	return err
}

func drop(r *otlp.Request) error {
	for metric := range r.Metrics() {
		if metric.Type() != otlp.Sum {
			continue // gauges and histograms can't be added up
		}
		first := map[string]otlp.Point{}
		for point := range metric.Points() {
			point.Attributes().Remove(label)
			value, ok := point.Value()
			if sum, more := first[series(point)]; more && ok {
				before, _ := sum.Value()
				sum.SetValue(before + value)
				point.Drop()
			} else {
				first[series(point)] = point
			}
		}
	}
	return nil
}

// series is all that tells a point's series from others of the metric.
func series(p otlp.Point) string {
	var all strings.Builder
	for key, value := range p.Attributes().All() {
		fmt.Fprintf(&all, "%q=%d:%q,", key, value.Kind(), value.Raw())
	}
	return all.String()
}
