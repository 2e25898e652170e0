// Tailsample keeps the traces of a payload that have an error in them or are slow, whole, and one of so many others.
package main

import (
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/otlp"
)

var (
	slow    time.Duration
	every   int
	dropped flb.Counter
)

func init() { otlp.Export(otlp.Module{Configure: configure, Traces: sample}) }

func main() {}

func configure() (err error) {
	if slow, err = flb.ParseOr("slow", time.Second, time.ParseDuration); err != nil {
		return err
	}
	if every, err = flb.ParseOr("every", 100, strconv.Atoi); err == nil && every < 1 {
		err = errors.New("config.every: set it to 1 or more")
	}
	dropped = flb.NewCounter("sampled_out_total", "Spans that were left out")
	return err
}

func sample(r *otlp.Request) error {
	keep := map[string]bool{} // by trace: one span decides for all
	for span := range r.Spans() {
		keep[span.TraceID()] = keep[span.TraceID()] || span.IsError() || span.Duration() >= slow ||
			span.Attributes().Get("sampling.keep").Str() == "always"
	}
	for span := range r.Spans() {
		if !keep[span.TraceID()] && !chosen(span.TraceID()) {
			dropped.Add(1)
			span.Drop()
		}
	}
	return nil
}

// chosen is the same on all machines, so that the parts of a trace share its fate.
func chosen(trace string) bool {
	hash := fnv.New32a()
	hash.Write([]byte(trace))
	return int(hash.Sum32()%uint32(every)) == 0
}
