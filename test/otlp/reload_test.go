package otlp

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// signals are those of an OTLP input that come out of an OTLP output without a processor.
func (fb fluentBit) signals() []string {
	if strings.HasPrefix(fb.version, "3.1.") {
		return []string{"metrics", "traces"}
	}
	return []string{"metrics", "traces", "logs"}
}

// numbered is a request with one text, which has a number and a place for a version.
func numbered(t *testing.T, signal string, n int) []byte {
	mark := fmt.Sprintf("n=%d;@@", n)
	attributes := []*common.KeyValue{kv("mark", text(mark))}
	switch signal {
	case "metrics":
		return marshal(t, &metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: []*metrics.Metric{
			{Name: "a", Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{double(1, attributes...)}}}}}}}}}})
	case "traces":
		return marshal(t, &trace.TracesData{ResourceSpans: []*trace.ResourceSpans{{Resource: &resource.Resource{}, ScopeSpans: []*trace.ScopeSpans{{Scope: &common.InstrumentationScope{}, Spans: []*trace.Span{
			{TraceId: id(16, 1), SpanId: id(8, 1), Name: "a", StartTimeUnixNano: t0, EndTimeUnixNano: t1, Attributes: attributes}}}}}}})
	}
	return marshal(t, &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{Resource: &resource.Resource{}, ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{
		{TimeUnixNano: t0, Body: text(mark)}}}}}}})
}

var marked = regexp.MustCompile(`n=(\d+);(..)`)

// versions are those of the guests that what has come out of a signal has been through, by number.
func (p *process) versions(signal string) map[int]string {
	p.t.Helper()
	all := map[int]string{}
	for _, body := range p.out.of(signal) {
		for _, m := range marked.FindAllSubmatch(body, -1) {
			n, _ := strconv.Atoi(string(m[1]))
			if was, ok := all[n]; ok {
				p.t.Errorf("%s: %d has come out twice, of %s and %s", signal, n, was, m[2])
			}
			all[n] = string(m[2])
		}
	}
	return all
}

// versioned is a guest that writes its version, of two bytes, into all signals.
func versioned(version string) string {
	const of = `
	(func $mark (param $at i32) (param $len i32)
	  (local $end i32)
	  (local.set $end (i32.add (local.get $at) (i32.sub (local.get $len) (i32.const 1))))
	  (block $done (loop $on
	    (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
	    (if (i32.eq (i32.load16_u (local.get $at)) (i32.const 0x4040))
	      (then (i32.store16 (local.get $at) (i32.const VERSION))))
	    (local.set $at (i32.add (local.get $at) (i32.const 1)))
	    (br $on))))
	(func $run (param $in i32) (result i32)
	  (local $at i32)
	  (local.set $at (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))
	  (call $mark (local.get $at) (i32.load offset=20 (local.get $in)))
	  (i32.store (i32.const 128) (i32.const 2))
	  (i32.store (i32.const 136) (local.get $at))
	  (i32.store (i32.const 140) (i32.load offset=20 (local.get $in)))
	  (i32.const 128))
	(func (export "flb_metrics") (param i32 i32) (result i32) (call $run (local.get 0)))
	(func (export "flb_traces") (param i32 i32) (result i32) (call $run (local.get 0)))
	(func (export "logs") (param i32 i32 i32 i32 i32 i32) (result i32)
	  (call $mark (local.get 4) (local.get 5))
	  (memory.copy (i32.const 4096) (local.get 4) (local.get 5))
	  (i32.store8 (i32.add (i32.const 4096) (local.get 5)) (i32.const 0))
	  (i32.const 4096)))`
	const head = `(module (memory (export "memory") 2) (func (export "flb_otlp_1"))
	(func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))`
	number := fmt.Sprintf("0x%02x%02x", version[1], version[0])
	return head + strings.Replace(of, "VERSION", number, 1)
}

// replaceFile has another file take the place of one, all at once.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// sender sends numbered requests of all signals, one after the other.
type sender struct {
	*process
	signals []string
	n       int
}

func (s *sender) send() {
	for _, signal := range s.signals {
		s.post(signal, numbered(s.t, signal, s.n))
	}
	s.n++
}

// until sends on until some of what is sent from now on has come out of each signal as that version.
func (s *sender) until(version string) {
	s.t.Helper()
	from := s.n
	s.wait("version "+version, func() bool {
		s.send()
		for _, signal := range s.signals {
			found := false
			for n, v := range s.versions(signal) {
				found = found || n >= from && v == version
			}
			if !found {
				return false
			}
		}
		return true
	})
}

// history is the versions of all that has been sent, in order, each once for a run of it.
func (s *sender) history(signal string) string {
	var list []string
	all := s.versions(signal)
	for n := range s.n {
		v, ok := all[n]
		if !ok {
			s.t.Errorf("%s: %d is lost", signal, n)
		}
		if len(list) == 0 || list[len(list)-1] != v {
			list = append(list, v)
		}
	}
	return strings.Join(list, " ")
}

// A new version of a module takes over between two payloads, and between two chunks, of which none is lost and
// none comes twice; one that can't be started changes nothing, and one that fails is taken back.
func TestReloadModule(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		module := filepath.Join(t.TempDir(), "module.wat")
		replaceFile(t, module, versioned("v1"))
		p := start(t, fb, setup{signals: fb.signals(), plugins: []string{processor, filter},
			options: "wasm_path: " + module + "\nfunction_name: logs\nreload_module: on\nreload_interval: 100ms\nbreaker_failures: 3"})
		s := &sender{process: p, signals: fb.signals()}
		says := func(what string, times int) {
			t.Helper()
			p.wait(what, func() bool {
				s.send()
				return strings.Count(p.log.String(), what) == times
			})
		}
		s.until("v1")
		replaceFile(t, module, versioned("v2"))
		s.until("v2")
		replaceFile(t, module, "(module")
		says("reload refused: ", len(s.signals))
		// That of logs is tried with a record first.
		replaceFile(t, module, strings.Replace(versioned("xx"), "(local $end i32)", "(local $end i32) unreachable", 1))
		says("taken back: module "+module, 2)
		if len(s.signals) == 3 {
			says("reload refused: ", 4)
		}
		s.until("v2")
		replaceFile(t, module, versioned("v3"))
		s.until("v3")
		for _, signal := range s.signals {
			p.wait("all "+signal, func() bool { return len(p.versions(signal)) == s.n })
		}
		p.stop()
		want := map[string]string{"metrics": "v1 v2 @@ v2 v3", "traces": "v1 v2 @@ v2 v3", "logs": "v1 v2 v3"}
		for _, signal := range s.signals {
			if got, want := s.history(signal), want[signal]; got != want {
				t.Errorf("%s have been through %s, want %s", signal, got, want)
			}
		}
	})
}

// A hot reload of Fluent Bit starts processors anew, with what their options say then, and under the same names.
func TestHotReload(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		module := filepath.Join(t.TempDir(), "module.wat")
		replaceFile(t, module, versioned("v1"))
		port := freePort(t)
		p := start(t, fb, setup{signals: fb.signals(), plugins: []string{processor, filter}, options: "wasm_path: " + module + "\nfunction_name: logs",
			service: "hot_reload: on\nhttp_server: on\nhttp_listen: 127.0.0.1\nhttp_port: " + port})
		s := &sender{process: p, signals: fb.signals()}
		for i, version := range []string{"v1", "v2", "v3"} {
			if i > 0 {
				replaceFile(t, module, versioned(version))
				started := func() int { return strings.Count(p.log.String(), "] module "+module) }
				before := started()
				if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
					t.Fatal(err)
				}
				p.wait("the reload", func() bool { return started() == before+len(s.signals) && p.listens() })
			}
			from := s.n
			s.until(version)
			sent := strconv.Itoa(s.n - from)
			want := map[string]string{"input.opentelemetry.0.metrics.0 metrics replaced": sent, "input.opentelemetry.0.traces.0 traces replaced": sent}
			p.wait("the metrics", func() bool { return maps.Equal(samples(t, port), want) })
			for _, signal := range s.signals {
				p.wait("all "+signal, func() bool { return len(p.versions(signal)) == s.n })
			}
		}
		p.stop()
		for _, signal := range s.signals {
			if got := s.history(signal); got != "v1 v2 v3" {
				t.Errorf("%s have been through %s", signal, got)
			}
		}
	})
}
