package otlp

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// payloadSample is a line of the endpoint's: what became of payloads.
var payloadSample = regexp.MustCompile(`(?m)^fluentbit_wasmtime_otlp_payloads_total\{name="([^"]*)",signal="([^"]*)",result="([^"]*)"\} (\d+)$`)

// A server that ends for a reload may leave a connection without an answer.
var endpointClient = http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// samples are those that the endpoint at a port has, without such as are 0.
func samples(t *testing.T, port string) map[string]string {
	t.Helper()
	all := map[string]string{}
	response, err := endpointClient.Get("http://127.0.0.1:" + port + "/api/v2/metrics/prometheus")
	if err != nil {
		return all // not yet
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return all
	}
	for _, s := range payloadSample.FindAllSubmatch(text, -1) {
		key := fmt.Sprintf("%s %s %s", s[1], s[2], s[3])
		if _, ok := all[key]; ok {
			t.Errorf("%s is there twice", key)
		}
		if string(s[4]) != "0" {
			all[key] = string(s[4])
		}
	}
	return all
}

// The metrics of each processor are in the endpoint, among those of its input or output, under a name of its
// own: its alias, or else what says where it stands.
func TestEndpoint(t *testing.T) {
	const alias = "\nalias: mine"
	does := func(what string) string { return "- name: wasmtime\n" + indent(guestDoes(what), "  ") }
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for name, test := range map[string]struct {
			setup
			want map[string]string
		}{
			"of an input": {setup{before: does("recode"), options: guestDoes("trap"), after: does("keep")}, map[string]string{
				"input.opentelemetry.0.metrics.0 metrics replaced": "3", "input.opentelemetry.0.traces.0 traces replaced": "2",
				"input.opentelemetry.0.metrics.1 metrics failed": "3", "input.opentelemetry.0.traces.1 traces failed": "2",
				"input.opentelemetry.0.metrics.2 metrics kept": "3", "input.opentelemetry.0.traces.2 traces kept": "2",
			}},
			"of an output": {setup{options: guestDoes("drop"), outputs: true}, map[string]string{
				"output.opentelemetry.0.metrics.0 metrics dropped": "3", "output.opentelemetry.0.traces.0 traces dropped": "2"}},
			"of both": {setup{options: guestDoes("keep"), signals: []string{"metrics"}, output: "processors:\n  metrics:\n" + indent(does("keep"), "    ")},
				map[string]string{"input.opentelemetry.0.metrics.0 metrics kept": "3", "output.opentelemetry.0.metrics.0 metrics kept": "3"}},
			"alias": {setup{options: guestDoes("keep") + alias, signals: []string{"metrics"}}, map[string]string{"mine metrics kept": "3"}},
		} {
			t.Run(name, func(t *testing.T) {
				port := freePort(t)
				test.service = "http_server: on\nhttp_listen: 127.0.0.1\nhttp_port: " + port
				p := start(t, fb, test.setup)
				for range 3 {
					p.post("metrics", marshal(t, someMetrics()))
				}
				for range 2 {
					p.post("traces", marshal(t, someTraces()))
				}
				var got map[string]string
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("the endpoint has %v", got)
					}
				})
				p.wait("the metrics", func() bool {
					got = samples(t, port)
					return t.Failed() || maps.Equal(got, test.want)
				})
				if strings.Contains(p.log.String(), "metrics are not in the endpoint") {
					t.Error("the log says that there are none")
				}
				p.stop()
			})
		}
	})
}
