package otlp

import (
	"testing"

	"google.golang.org/protobuf/proto"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// through sends metrics and traces through a Fluent Bit, and returns what comes out.
func through(t *testing.T, fb fluentBit, s setup) (*metrics.MetricsData, *trace.TracesData, string) {
	t.Helper()
	p := start(t, fb, s)
	// One after the other: of two look-ups of a name at once 4.2.8 dies in c-ares, without the plugin.
	p.post("metrics", marshal(t, someMetrics()))
	p.wait("metrics", func() bool { return p.out.count("metrics") >= 1 })
	p.post("traces", marshal(t, someTraces()))
	p.wait("traces", func() bool { return p.out.count("traces") >= 1 })
	p.stop()
	var m metrics.MetricsData
	var tr trace.TracesData
	for _, b := range p.out.of("metrics") {
		if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range p.out.of("traces") {
		if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(b, &tr); err != nil {
			t.Fatal(err)
		}
	}
	return &m, &tr, p.log.String()
}

func guestDoes(what string) string {
	return "wasm_path: " + watGuest + "\nconfig.do: " + what
}

func TestIdentity(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		wantMetrics, wantTraces, _ := through(t, fb, setup{})
		t.Logf("%s\n%s", readable(wantMetrics), readable(wantTraces))
		for _, outputs := range []bool{false, true} {
			for _, do := range []string{"keep", "same", "recode"} {
				t.Run(do, func(t *testing.T) {
					m, tr, log := through(t, fb, setup{options: guestDoes(do), outputs: outputs})
					if !proto.Equal(m, wantMetrics) {
						t.Errorf("metrics differ:\n%s", readable(m))
					}
					if !proto.Equal(tr, wantTraces) {
						t.Errorf("traces differ:\n%s", readable(tr))
					}
					_ = log
				})
			}
		}
	})
}
