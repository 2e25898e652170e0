package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// Requests go through a module, from files of protocol buffers and of JSON to either.
func TestRunPayloads(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	marshal := func(m proto.Message) string {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	module := file("otlp.wat", guests.WAT("otlp"))
	spans := marshal(&trace.TracesData{ResourceSpans: []*trace.ResourceSpans{{Resource: &resource.Resource{}, ScopeSpans: []*trace.ScopeSpans{{
		Spans: []*trace.Span{{Name: "GET /", Attributes: []*common.KeyValue{{Key: "k", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: 7}}}}}}}}}}})
	gauge := marshal(&metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: []*metrics.Metric{
		{Name: "g", Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{{Value: &metrics.NumberDataPoint_AsDouble{AsDouble: 1}}}}}}}}}}}})
	traces, gauges := file("t.pb", spans), file("m.pb", gauge)
	asJSON := file("t.json", `{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[{"name":"GET /","attributes":[{"key":"k","value":{"intValue":"7"}}]}]}]}]}`)
	for name, test := range map[string]struct {
		args   []string
		code   int
		stdout string // all of it, or of JSON a part
		stderr string
	}{
		"kept":           {[]string{"--signal", "traces", module, traces}, 0, spans, "1 payloads of traces: 1 kept"},
		"replaced":       {[]string{"--signal", "metrics", "--set", "do=recode", module, gauges}, 0, gauge + "\xfa\x06\x00", "1 replaced"},
		"two":            {[]string{"--signal", "metrics", module, gauges, gauges}, 0, gauge + gauge, "2 kept"},
		"from JSON":      {[]string{"--signal", "traces", module, asJSON}, 0, spans, "1 kept"},
		"to JSON":        {[]string{"--signal", "traces", "--output-format", "json", module, traces}, 0, `"GET /"`, "1 kept"},
		"dropped":        {[]string{"--signal", "traces", "--set", "do=drop", module, traces}, 0, "", "1 dropped by the guest"},
		"failed":         {[]string{"--signal", "traces", "--set", "do=trap", module, traces}, 1, spans, "[processor:wasmtime:wasmtime.0] a payload of traces"},
		"no request":     {[]string{"--signal", "traces", module, module}, 2, "", "it is no OTLP request"},
		"no signal":      {[]string{"--signal", "logs", module, traces}, 2, "", "allowed are metrics and traces"},
		"no such format": {[]string{"--signal", "traces", "--output-format", "msgpack", module, traces}, 2, "", "allowed with --signal are pb and json"},
		"with --diff":    {[]string{"--signal", "traces", "--diff", module, traces}, 2, "", "leave --diff out"},
	} {
		t.Run(name, func(t *testing.T) {
			r := runMain("", append([]string{"run"}, test.args...)...)
			if r.code != test.code || !strings.Contains(r.stderr, test.stderr) {
				t.Errorf("exit code %d, want %d; stderr:\n%s", r.code, test.code, r.stderr)
			}
			isJSON := strings.Contains(name, "to JSON")
			if isJSON && !strings.Contains(r.stdout, test.stdout) || !isJSON && r.stdout != test.stdout {
				t.Errorf("stdout is %q, want %q", r.stdout, test.stdout)
			}
		})
	}
}
