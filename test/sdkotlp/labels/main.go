package main

import (
	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/otlp"
)

var environment string

func init() { otlp.Export(otlp.Module{Configure: configure, Metrics: label, Traces: quieten}) }

func main() {}

func configure() (err error) {
	environment, err = flb.Config.Require("environment", "the label that data points get")
	return err
}

// label gives each data point a label.
func label(r *otlp.Request) error {
	for metric := range r.Metrics() {
		for point := range metric.Points() {
			point.Attributes().Set("environment", environment)
		}
	}
	return nil
}

// quieten leaves the spans of health checks out.
func quieten(r *otlp.Request) error {
	for span := range r.Spans() {
		if span.Attributes().Get("http.route").Str() == "/health" {
			span.Drop()
		}
	}
	return nil
}
