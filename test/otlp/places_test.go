package otlp

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Of what several clients send at once nothing is lost, on whatever thread processors run: that of the engine, of
// an input, or of an output's workers.
func TestThreads(t *testing.T) {
	const clients, each = 4, 25
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for name, s := range map[string]setup{
			"of the engine":   {},
			"of an input":     {input: "threaded: on"},
			"of two workers":  {outputs: true, output: "workers: 2"},
			"of both and two": {input: "threaded: on", outputs: true, output: "workers: 2"},
		} {
			t.Run(name, func(t *testing.T) {
				do, kept := "recode", 0
				if s.outputs && fb.version < "4" {
					do, kept = "keep", clients*each // by itself it loses metrics that have become larger or smaller there
				}
				s.options = guestDoes(do)
				p := start(t, fb, s)
				var all sync.WaitGroup
				for c := range clients {
					all.Go(func() {
						for i := range each {
							for _, signal := range []string{"metrics", "traces"} {
								n := c*each + i
								response, err := http.Post(p.url+"/v1/"+signal, "application/x-protobuf", bytes.NewReader(numbered(t, signal, n)))
								if err != nil {
									t.Error(err)
									return
								}
								response.Body.Close()
							}
						}
					})
				}
				all.Wait()
				for _, signal := range []string{"metrics", "traces"} {
					p.wait("all "+signal, func() bool { return len(p.versions(signal)) == clients*each })
				}
				p.stop()
				for _, signal := range []string{"metrics", "traces"} {
					counted(t, p.log.String(), signal, kept, clients*each-kept, 0, 0)
				}
				if threaded := s.input != "" && !s.outputs && fb.version >= "4"; threaded != strings.Contains(p.log.String(), "this instance does not start on the engine's thread") {
					t.Error("the log does not say what the endpoint has")
				}
			})
		}
	})
}

// A payload of 20 MB goes through, as it came or as another one; what traps in the midst of it changes nothing.
func TestLarge(t *testing.T) {
	big := someTraces()
	span := big.ResourceSpans[0].ScopeSpans[0].Spans[0]
	for n := range 20 {
		copied := proto.Clone(span).(*trace.Span)
		copied.Attributes = append(copied.Attributes, kv("big", text(fmt.Sprint(n, strings.Repeat("x", 1<<20)))))
		big.ResourceSpans[0].ScopeSpans[0].Spans = append(big.ResourceSpans[0].ScopeSpans[0].Spans, copied)
	}
	body := marshal(t, big)
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		var want *trace.TracesData
		for _, do := range []string{"", "keep", "recode", "trap"} {
			t.Run("does "+do, func(t *testing.T) {
				s := setup{signals: []string{"traces"}, input: "buffer_max_size: 100M"}
				if do != "" {
					s.options = guestDoes(do)
				}
				p := start(t, fb, s)
				p.post("traces", body)
				p.wait("traces", func() bool { return p.out.count("traces") >= 1 })
				p.stop()
				if do == "" {
					want = p.traces()
					return
				}
				if got := p.traces(); !proto.Equal(normal(got), normal(want)) {
					t.Errorf("%d bytes came out, not the %d that come without a processor", proto.Size(got), proto.Size(want))
				}
			})
		}
	})
}

// A condition of a processor is for records: metrics and traces go through all the same.
func TestCondition(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if fb.version < "4" {
			t.Skip("not in this version")
		}
		p := start(t, fb, setup{options: guestDoes("drop") + "\ncondition:\n  op: and\n  rules:\n    - field: '$no'\n      op: eq\n      value: such"})
		p.post("metrics", numbered(t, "metrics", 1))
		p.post("traces", numbered(t, "traces", 1))
		p.stop()
		counted(t, p.log.String(), "metrics", 0, 0, 1, 0)
		counted(t, p.log.String(), "traces", 0, 0, 1, 0)
		for _, signal := range []string{"metrics", "traces"} {
			if got := p.versions(signal); len(got) > 0 {
				t.Errorf("%s came out: %v", signal, got)
			}
		}
	})
}
