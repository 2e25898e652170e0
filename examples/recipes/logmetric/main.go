// Logmetric counts requests and how long they took, by labels out of the log, and lets all events pass.
package main

import (
	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/stateful" // no event is counted twice
)

type logmetric struct {
	requests flb.Counter
	seconds  flb.Histogram
}

func init() { flb.Configure(configure) }

func main() {}

func configure() (flb.Handler, error) {
	bounds := []float64{0.01, 0.05, 0.1, 0.5, 1, 5}
	return &logmetric{
		flb.NewCounter("http_requests_total", "Requests", "service", "method", "status"),
		flb.NewHistogram("http_request_seconds", "How long requests took", bounds, "service"),
	}, nil
}

func (l *logmetric) Filter(e *flb.Event) error {
	status, ok := e.Body.Get("status").AsInt()
	if !ok || status < 100 || status > 599 {
		return nil // not a request
	}
	service := e.Body.Get("service").Str()
	method := e.Body.Get("method").Str()
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
	default:
		method = "other" // a label has few values, whatever is sent
	}
	l.requests.Add(1, service, method, string(rune('0'+status/100))+"xx")
	if took, ok := e.Body.Get("seconds").AsFloat(); ok {
		l.seconds.Observe(took, service)
	}
	return nil
}
