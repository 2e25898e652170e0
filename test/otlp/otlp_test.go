package otlp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// through sends metrics and traces through a Fluent Bit, and returns what comes out of each, and the log.
func through(t *testing.T, fb fluentBit, s setup) (*metrics.MetricsData, *trace.TracesData, string) {
	t.Helper()
	p := start(t, fb, s)
	p.post("metrics", marshal(t, someMetrics()))
	p.wait("metrics", func() bool { return p.out.count("metrics") >= 1 })
	p.post("traces", marshal(t, someTraces()))
	p.wait("traces", func() bool { return p.out.count("traces") >= 1 })
	p.stop()
	return p.metrics(), p.traces(), p.log.String()
}

// metrics is all that has come out.
func (p *process) metrics() *metrics.MetricsData {
	p.t.Helper()
	var all metrics.MetricsData
	p.merge("metrics", &all)
	return &all
}

func (p *process) traces() *trace.TracesData {
	p.t.Helper()
	var all trace.TracesData
	p.merge("traces", &all)
	return &all
}

func (p *process) merge(signal string, to proto.Message) {
	p.t.Helper()
	for _, b := range p.out.of(signal) {
		if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(b, to); err != nil {
			p.t.Fatal(err)
		}
	}
}

func guestDoes(what string) string { return "wasm_path: " + watGuest + "\nconfig.do: " + what }

func equal(t *testing.T, got, want proto.Message) {
	t.Helper()
	if got, want = normal(got), normal(want); !proto.Equal(got, want) {
		t.Errorf("there came out\n%s\ninstead of\n%s", readable(got), readable(want))
	}
}

// counted checks the line of a processor's end. The last lines of a log may be missing.
func counted(t *testing.T, log, signal string, kept, replaced, dropped, failed int) {
	t.Helper()
	want := fmt.Sprintf("%d payloads of %s: %d kept, %d replaced, %d dropped by the guest, %d failed", kept+replaced+dropped+failed, signal, kept, replaced, dropped, failed)
	if strings.Contains(log, " payloads of "+signal) && !strings.Contains(log, want) {
		t.Errorf("the log has no line with %q", want)
	}
}

// What comes out of an identity is what comes out without it, field for field: if the guest keeps payloads,
// gives the same bytes, or others that mean the same.
func TestIdentity(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		wantMetrics, wantTraces, _ := through(t, fb, setup{})
		complete(t, fb, wantMetrics, wantTraces)
		for _, where := range []string{"input", "output"} {
			for _, do := range []string{"keep", "same", "recode"} {
				t.Run(where+"/"+do, func(t *testing.T) {
					m, tr, log := through(t, fb, setup{options: guestDoes(do), outputs: where == "output"})
					equal(t, m, wantMetrics)
					equal(t, tr, wantTraces)
					replaced := 0
					if do == "recode" {
						replaced = 1
					}
					counted(t, log, "metrics", 1-replaced, replaced, 0, 0)
					counted(t, log, "traces", 1-replaced, replaced, 0, 0)
				})
			}
		}
	})
}

// A label added to each data point, and an attribute to each span, are all that differs.
func TestChange(t *testing.T) {
	added, cache := kv("guest", text("go")), t.TempDir()
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		wantMetrics, wantTraces, _ := through(t, fb, setup{})
		eachPoint(wantMetrics, func(labels *[]*common.KeyValue) { *labels = append(*labels, added) })
		for _, rs := range wantTraces.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					s.Attributes = append(s.Attributes, added)
				}
			}
		}
		for _, where := range []string{"input", "output"} {
			t.Run(where, func(t *testing.T) {
				if where == "output" && fb.version < "4" {
					// By itself it loses metrics that a processor of an output has made larger.
					t.Skip("not in this version: docs/support.md")
				}
				m, tr, log := through(t, fb, setup{options: "wasm_path: " + goGuest + "\ncache_dir: " + cache, outputs: where == "output"})
				equal(t, m, wantMetrics)
				equal(t, tr, wantTraces)
				counted(t, log, "metrics", 0, 1, 0, 0)
				counted(t, log, "traces", 0, 1, 0, 0)
			})
		}
	})
}

func eachPoint(m *metrics.MetricsData, do func(labels *[]*common.KeyValue)) {
	for _, rm := range m.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, metric := range sm.Metrics {
				for _, p := range metric.GetGauge().GetDataPoints() {
					do(&p.Attributes)
				}
				for _, p := range metric.GetSum().GetDataPoints() {
					do(&p.Attributes)
				}
				for _, p := range metric.GetHistogram().GetDataPoints() {
					do(&p.Attributes)
				}
				for _, p := range metric.GetExponentialHistogram().GetDataPoints() {
					do(&p.Attributes)
				}
				for _, p := range metric.GetSummary().GetDataPoints() {
					do(&p.Attributes)
				}
			}
		}
	}
}

// Nothing of what a guest drops comes out.
func TestDrop(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, do := range []string{"drop", "empty"} {
			for _, where := range []string{"input", "output"} {
				t.Run(do+"/"+where, func(t *testing.T) {
					p := start(t, fb, setup{options: guestDoes(do), outputs: where == "output"})
					for range 3 {
						p.post("metrics", marshal(t, someMetrics()))
						p.post("traces", marshal(t, someTraces()))
					}
					p.stop()
					for _, rm := range p.metrics().ResourceMetrics {
						for _, sm := range rm.ScopeMetrics {
							if len(sm.Metrics) > 0 {
								t.Errorf("metrics came out: %s", readable(sm))
							}
						}
					}
					if tr := p.traces(); len(tr.ResourceSpans) > 0 {
						t.Errorf("traces came out: %s", readable(tr))
					}
					log := p.log.String()
					if where == "input" {
						counted(t, log, "metrics", 0, 0, 3, 0)
						counted(t, log, "traces", 0, 0, 3, 0)
					}
				})
			}
		}
	})
}

// Of what a guest does wrong the payload passes as it was, or is dropped by on_error, and is counted.
func TestHostile(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		wantMetrics, wantTraces, _ := through(t, fb, setup{})
		for do, why := range map[string]string{
			"error":   `the guest reports an error: code 0: "no, says the guest"`,
			"garbage": "what the guest has made of it can't take its place",
			"cut":     "it is cut off",
			"twice":   "has field 1, or one in its place, twice",
			"big":     "may have 67108864",
			"trap":    "function flb_metrics: unreachable code was reached",
			"hang":    "it took longer than the timeout",
			"memory":  "the guest has no memory left",
			"outside": "it is not inside the guest's memory",
			"far":     "what it names is not inside the guest's memory",
			"odd":     "it is no operation that the host knows",
		} {
			t.Run(do, func(t *testing.T) {
				m, tr, log := through(t, fb, setup{options: guestDoes(do) + "\ntimeout: 300ms\nmemory_limit: 128M"})
				equal(t, m, wantMetrics)
				equal(t, tr, wantTraces)
				counted(t, log, "metrics", 0, 0, 0, 1)
				counted(t, log, "traces", 0, 0, 0, 1)
				if !strings.Contains(log, why) || !strings.Contains(log, "passes through unchanged") {
					t.Errorf("the log does not say %q", why)
				}
			})
		}
		t.Run("on_error drop", func(t *testing.T) {
			p := start(t, fb, setup{options: guestDoes("trap") + "\non_error: drop"})
			p.post("traces", marshal(t, someTraces()))
			p.post("metrics", marshal(t, someMetrics()))
			p.stop()
			if tr := p.traces(); len(tr.ResourceSpans) > 0 {
				t.Errorf("traces came out: %s", readable(tr))
			}
			counted(t, p.log.String(), "metrics", 0, 0, 0, 1)
			if !strings.Contains(p.log.String(), "is dropped (on_error drop)") {
				t.Error("the log does not say what becomes of the payload")
			}
		})
	})
}

// Spans without a scope pass by the guest where the encoder would end the process, as the OTLP output does there.
func TestScopeless(t *testing.T) {
	tr := someTraces()
	for _, rs := range tr.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			ss.Scope = nil
		}
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		p := start(t, fb, setup{options: guestDoes("recode") + "\non_error: drop", signals: []string{"traces"}})
		p.post("traces", marshal(t, tr))
		if fb.version < "3.2" {
			p.wait("the failure", func() bool { return strings.Contains(p.log.String(), "spans have no scope") })
		} else {
			p.wait("traces", func() bool { return p.out.count("traces") >= 1 })
		}
		p.stop()
		spans := 0
		for _, rs := range p.traces().ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				spans += len(ss.Spans)
			}
		}
		want, replaced := 4, 1
		if fb.version < "3.2" {
			want, replaced = 0, 0
		}
		if spans != want {
			t.Errorf("%d spans came out, want %d", spans, want)
		}
		counted(t, p.log.String(), "traces", 0, replaced, 0, 1-replaced)
	})
}

// Behind a processor that has replaced the metrics, and before one, nothing is freed twice or used after.
func TestNeighbours(t *testing.T) {
	const labels = "- name: labels\n  insert: neighbour 1"
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		signals := []string{"metrics"}
		want := func() *metrics.MetricsData {
			p := start(t, fb, setup{before: labels, signals: signals})
			p.post("metrics", marshal(t, someMetrics()))
			p.wait("metrics", func() bool { return p.out.count("metrics") >= 1 })
			p.stop()
			return p.metrics()
		}()
		for _, do := range []string{"keep", "recode"} {
			for name, s := range map[string]setup{
				"between": {before: labels, after: "- name: wasmtime\n" + indent(guestDoes("keep"), "  ")},
				"behind":  {before: labels},
				"before":  {after: labels},
			} {
				t.Run(do+"/"+name, func(t *testing.T) {
					s.options, s.signals = guestDoes(do), signals
					p := start(t, fb, s)
					for range 20 {
						p.post("metrics", marshal(t, someMetrics()))
					}
					p.wait("metrics", func() bool { return p.out.count("metrics") >= 1 })
					p.stop()
					all := p.metrics()
					if len(all.ResourceMetrics) != 20 {
						t.Fatalf("%d payloads came out", len(all.ResourceMetrics))
					}
					for _, rm := range all.ResourceMetrics {
						equal(t, &metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{rm}}, want)
					}
				})
			}
		}
	})
}

// The metrics of Fluent Bit itself, of which an input may pass those that it goes on counting with.
func TestOwnMetrics(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, do := range []string{"keep", "recode", "drop"} {
			t.Run(do, func(t *testing.T) {
				p := launch(t, fb, setup{options: guestDoes(do), signals: []string{"metrics"},
					inputs: "    - name: fluentbit_metrics\n      tag: own\n      scrape_interval: 1\n      scrape_on_start: true\n%s"})
				if do == "drop" {
					p.wait("a start", func() bool { return strings.Contains(p.log.String(), "] module "+watGuest) })
				} else {
					p.wait("metrics", func() bool { return p.out.count("metrics") >= 2 })
				}
				p.stop()
				text := readable(p.metrics())
				if strings.Contains(text, "fluentbit_uptime") == (do == "drop") {
					t.Errorf("there came out\n%s", text)
				}
				if !strings.Contains(p.log.String(), "0 failed;") {
					t.Error("payloads have failed")
				}
			})
		}
	})
}

// Logs are for the filter of that name, which one section of processors names alike.
func TestLogs(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		module := filepath.Join(t.TempDir(), "both.wat")
		wat, err := os.ReadFile(watGuest)
		if err != nil {
			t.Fatal(err)
		}
		// Of logs it keeps every batch.
		both := strings.TrimSuffix(strings.TrimSpace(string(wat)), ")") + `
			(func (export "flb_batch_1")) (func (export "logs") (param i32 i32) (result i32) (i32.const 0)))`
		if err := os.WriteFile(module, []byte(both), 0o600); err != nil {
			t.Fatal(err)
		}
		s := setup{options: "wasm_path: " + module + "\nfunction_name: logs\nconfig.do: recode", signals: []string{"logs", "metrics", "traces"}}
		t.Run("with the filter", func(t *testing.T) {
			s.plugins = []string{processor, filter}
			_, _, log := through(t, fb, s)
			counted(t, log, "metrics", 0, 1, 0, 0)
			counted(t, log, "traces", 0, 1, 0, 0)
			if !strings.Contains(log, "[filter:wasmtime:wasmtime.0] module") {
				t.Error("there is no filter")
			}
		})
		t.Run("without it", func(t *testing.T) {
			s.plugins = []string{processor}
			p := launch(t, fb, s)
			if err := <-p.ended; err == nil {
				t.Error("Fluent Bit has ended well")
			}
			if !strings.Contains(p.log.String(), "load flb-filter_wasmtime.so, too") {
				t.Errorf("it does not say what is missing:\n%s", p.log.String())
			}
		})
	})
}

// What keeps a processor from starting is said.
func TestRefused(t *testing.T) {
	records, err := filepath.Abs("../guests/identity.wat")
	if err != nil {
		t.Fatal(err)
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for name, test := range map[string]struct{ options, want string }{
			"a guest of records": {"wasm_path: " + records, "it does not export flb_otlp_1"},
			"no module":          {"wasm_path: /nowhere.wasm", "option wasm_path"},
			"no path":            {"timeout: 1s", "option wasm_path is not set"},
			"a list":             {guestDoes("keep") + "\nenv:\n  - A=1\n  - B=2", "option env: a list or map can't be read here"},
			"a misspelt option":  {guestDoes("keep") + "\ntimeouts: 1s", "timeouts"},
		} {
			t.Run(name, func(t *testing.T) {
				if name == "a list" && fb.version < "3.1" {
					t.Skip("Fluent Bit takes a list for a text")
				}
				p := launch(t, fb, setup{options: test.options, signals: []string{"metrics"}})
				if err := <-p.ended; err == nil {
					t.Error("Fluent Bit has ended well")
				}
				if log := p.log.String(); !strings.Contains(log, test.want) || strings.Contains(log, "SIGSEGV") {
					t.Errorf("it does not say %q:\n%s", test.want, log)
				}
			})
		}
	})
}
