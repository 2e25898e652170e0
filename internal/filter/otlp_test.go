package filter

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/otlp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// A request of metrics, by hand: ResourceMetrics, ScopeMetrics, a gauge "a" with one data point of 1.
const oneGauge = "\x0a\x1d\x12\x1b\x12\x19\x0a\x01a\x2a\x14\x0a\x12\x19\x01\x00\x00\x00\x00\x00\x00\x00\x21\x00\x00\x00\x00\x00\x00\xf0\x3f"

// payloads runs payloads through a filter of metrics.
type payloads struct {
	*fixture
	put    []string // what has taken the place of some
	encode error
	refuse error
}

func startPayloads(t *testing.T, o options.Options, do string) *payloads {
	t.Helper()
	o.Signal = options.Metrics
	o.Config = []options.Property{{Key: "do", Value: do}}
	return &payloads{fixture: startWith(t, o, guests.WAT("otlp"))}
}

func (p *payloads) run() Verdict {
	return p.RunPayload(Payload{
		Tag:    tag,
		Encode: func() ([]byte, error) { return []byte(oneGauge), p.encode },
		Put: func(request []byte) error {
			if p.refuse == nil {
				p.put = append(p.put, string(request))
			}
			return p.refuse
		},
		Host: otlp.Host{},
	})
}

func TestPayload(t *testing.T) {
	for _, test := range []struct {
		do       string
		onError  options.OnError
		want     Verdict
		counted  Verdict
		put, log string
	}{
		{do: "keep", want: Kept, counted: Kept},
		{do: "same", want: Kept, counted: Kept},
		{do: "recode", want: Replaced, counted: Replaced, put: oneGauge + "\xfa\x06\x00"},
		{do: "drop", want: Dropped, counted: Dropped},
		{do: "empty", want: Dropped, counted: Dropped},
		{do: "error", want: Kept, counted: Failed, log: `code 0: "no, says the guest"`},
		{do: "garbage", want: Kept, counted: Failed, log: "can't take its place"},
		{do: "garbage", onError: options.Drop, want: Dropped, counted: Failed, log: "is dropped (on_error drop)"},
		{do: "cut", want: Kept, counted: Failed, log: "cut off"},
		{do: "trap", want: Kept, counted: Failed, log: "unreachable"},
		{do: "outside", want: Kept, counted: Failed, log: "not inside the guest's memory"},
		{do: "far", want: Kept, counted: Failed, log: "what it names"},
		{do: "odd", want: Kept, counted: Failed, log: "no operation that the host knows"},
	} {
		p := startPayloads(t, options.Options{OnError: test.onError, Timeout: time.Minute, MemoryLimitBytes: 16 << 20}, test.do)
		for i := range 3 {
			if got := p.run(); got != test.want {
				t.Errorf("%s: payload %d is %v, want %v", test.do, i, got, test.want)
			}
		}
		if s := p.Stats(); s.Payloads[options.Metrics][test.counted] != 3 || s.Records != 0 {
			t.Errorf("%s: counts are %v", test.do, s.Payloads)
		}
		if test.put != "" && (len(p.put) != 3 || p.put[2] != test.put) || test.put == "" && p.put != nil {
			t.Errorf("%s: %q was put", test.do, p.put)
		}
		if log := p.lines(); test.log != "" && !strings.Contains(log, test.log) {
			t.Errorf("%s: the log has no %q:\n%s", test.do, test.log, log)
		}
		p.Close()
	}
}

// lines are what was logged.
func (p *payloads) lines() string {
	var b strings.Builder
	for _, l := range p.logs {
		b.WriteString(l.line + "\n")
	}
	return b.String()
}

// What the host can't encode, and what it does not take, changes nothing.
func TestPayloadOfHost(t *testing.T) {
	p := startPayloads(t, options.Options{}, "recode")
	p.encode = errors.New("no encoder")
	if got := p.run(); got != Kept || !strings.Contains(p.lines(), "no encoder") {
		t.Errorf("it is %v; the log:\n%s", got, p.lines())
	}
	p.encode, p.refuse = nil, errors.New("no room")
	if got := p.run(); got != Kept || !strings.Contains(p.lines(), "no room") {
		t.Errorf("it is %v; the log:\n%s", got, p.lines())
	}
	p.refuse = nil
	if got := p.run(); got != Replaced {
		t.Errorf("it is %v", got)
	}
	p.Close()
	if log := p.lines(); !strings.Contains(log, "3 payloads of metrics: 0 kept, 1 replaced, 0 dropped by the guest, 2 failed") {
		t.Errorf("the log:\n%s", log)
	}
}

// A guest that keeps trapping is left out, and asked again; one that leaks is replaced.
func TestPayloadsOfBadGuest(t *testing.T) {
	p := startPayloads(t, options.Options{BreakerFailures: 3, BreakerBackoff: time.Hour}, "trap")
	for range 5 {
		p.run()
	}
	s := p.Stats()
	if s.GivenUp != 3 || s.Payloads[options.Metrics][Failed] != 5 {
		t.Errorf("%d instances given up, payloads %v", s.GivenUp, s.Payloads)
	}
	p.breaker.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	p.run()
	if s := p.Stats(); s.GivenUp != 4 {
		t.Errorf("%d instances given up: it was not asked again", s.GivenUp)
	}

	p = startPayloads(t, options.Options{RecycleMemoryBytes: 64 << 20, MemoryLimitBytes: 256 << 20}, "leak")
	for range 2000 {
		if got := p.run(); got != Kept {
			t.Fatalf("it is %v: %s", got, p.lines())
		}
	}
	if s := p.Stats(); s.Recycled != 1 || s.Payloads[options.Metrics][Kept] != 2000 {
		t.Errorf("%d instances recycled, payloads %v", s.Recycled, s.Payloads)
	}
}

// A module is no guest of a signal that it has no function for, and a start says so.
func TestPayloadsOfOtherModules(t *testing.T) {
	noTraces := strings.Replace(guests.WAT("otlp"), `"flb_traces"`, `"flb_other"`, 1)
	p := &payloads{fixture: startWith(t, options.Options{Signal: options.Traces}, noTraces)}
	if got := p.run(); got != Kept || !strings.Contains(p.lines(), "no function flb_traces") {
		t.Errorf("it is %v; the log:\n%s", got, p.lines())
	}
	for text, want := range map[string]string{
		guests.WAT("identity"): "does not export flb_otlp_1",
		strings.Replace(guests.WAT("otlp"), "flb_otlp_1", "flb_otlp_2", 1):                                                                                 "exports flb_otlp_2",
		strings.Replace(guests.WAT("otlp"), "flb_buffer", "buffer", 1):                                                                                     "no function flb_buffer",
		strings.Replace(noTraces, "flb_metrics", "metrics", 1):                                                                                             "neither flb_metrics nor flb_traces",
		strings.Replace(guests.WAT("otlp"), `(func (export "flb_otlp_1"))`, `(func (export "flb_otlp_1") (param i32))`, 1):                                 "flb_otlp_1 has the type",
		strings.Replace(guests.WAT("otlp"), `(func (export "flb_metrics") (param $in i32) (param i32)`, `(func (export "flb_metrics") (param $in i32)`, 1): "flb_metrics has the type",
	} {
		_, err := New(options.Options{Signal: options.Metrics, WasmPath: writeGuest(t, text)}, func(hostlog.Level, string) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
