// Sample keeps one of so many traces, whole, and all that is an error.
package main

import (
	"errors"
	"hash/fnv"
	"strconv"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
)

type sample struct {
	every   int
	dropped flb.Counter
}

func init() { flb.Configure(configure) }

func main() {}

func configure() (flb.Handler, error) {
	every, err := flb.ParseOr("every", 10, strconv.Atoi)
	if err == nil && every < 1 {
		err = errors.New("config.every: set it to 1 or more")
	}
	return &sample{every, flb.NewCounter("sampled_out_total", "Events that were left out")}, err
}

func (s *sample) Filter(e *flb.Event) error {
	trace, ok := e.Body.GetStr("trace_id")
	if level := e.Body.Get("level").Str(); !ok || level == "error" || level == "fatal" {
		return nil
	}
	hash := fnv.New32a() // the same in all instances, on all machines, after each restart
	hash.Write([]byte(trace))
	if int(hash.Sum32()%uint32(s.every)) != 0 {
		s.dropped.Add(1)
		e.Drop()
		return nil
	}
	e.Body.Set("sampled", s.every) // this event stands for so many
	return nil
}
