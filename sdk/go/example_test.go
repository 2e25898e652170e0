package flb_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/flbtest"
)

// In a module the filter is registered by func init() { flb.Filter(filter) }.
func ExampleFilter() {
	filter := func(e *flb.Event) error {
		level, ok := e.Body.GetStr("level")
		if !ok {
			return errors.New("there is no level")
		}
		if level == "debug" {
			e.Drop()
		}
		e.Body.Set("severity", strings.ToUpper(level))
		return nil
	}
	out := new(flbtest.Host).Run(filter, flbtest.Record{Body: `{"level":"warn"}`}, flbtest.Record{Body: `{"level":"debug"}`}, flbtest.Record{Body: `{}`})
	fmt.Println(out.Bodies(), out.Failures[0].Text)
	// Output: [{"level":"warn","severity":"WARN"}] there is no level
}

type sample struct {
	every, seen int
	dropped     flb.Counter
}

func (s *sample) Filter(e *flb.Event) error {
	if s.seen++; s.seen%s.every != 0 {
		s.dropped.Add(1)
		e.Drop()
	}
	return nil
}

// A filter with a configuration and a state, registered by func init() { flb.Configure(configure) }.
func ExampleConfigure() {
	configure := func() (flb.Handler, error) {
		every, err := flb.ParseOr("every", 10, strconv.Atoi)
		if err == nil && every < 1 {
			err = errors.New("config.every: set it to 1 or more")
		}
		return &sample{every: every, dropped: flb.NewCounter("dropped_total", "Events left out")}, err
	}
	host := &flbtest.Host{Config: map[string]string{"every": "2"}}
	started, err := host.Start(configure)
	if err != nil {
		panic(err)
	}
	fmt.Println(started.Run(flbtest.Record{Body: `{"n":1}`}, flbtest.Record{Body: `{"n":2}`}).Bodies(), host.Metric("dropped_total"))
	_, err = (&flbtest.Host{Config: map[string]string{"every": "0"}}).Start(configure)
	fmt.Println(err)
	// Output:
	// [{"n":2}] 1
	// config.every: set it to 1 or more
}

func ExampleValue_Get() {
	m := flb.NewMap().Add("http", flb.NewMap().Add("status", 404)).Add("a.b", "dots").Add("items", []any{1.5, "x"}).Value()
	fmt.Println(m.Get("http.status").Int(), m.Get("a.b").Str(), m.Get("items.0").Float(), m.At("items", 1).Str(), m.Get("http.method").Exists())
	// Output: 404 dots 1.5 x false
}
