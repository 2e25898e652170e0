package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// readsYAML tells whether the version reads today's YAML configurations, by a
// dry run of one without the plugin.
func (fb fluentBit) readsYAML(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	p := pipeline{inputs: []plugin{{name: "dummy"}}, yaml: true}
	return fb.exec(t, dir, "--dry-run", "-c", p.write(t, dir)).wait() == 0
}

func needYAML(t *testing.T, fb fluentBit) {
	t.Helper()
	if !fb.readsYAML(t) {
		t.Skip("this Fluent Bit does not read such YAML")
	}
}

// needOption skips the test if an input has no such option. Fluent Bit 1.9 crashes on one
// that it does not know while there is an output of a Go plugin.
func (fb fluentBit) needOption(t *testing.T, input, option string) {
	t.Helper()
	help, err := exec.Command(fb.path, "-i", input, "-h").CombinedOutput()
	if err != nil || !strings.Contains(fluentbit.Plain(string(help)), option) {
		t.Skipf("the input %s of this Fluent Bit has no option %s", input, option)
	}
}

func TestDummy(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, yaml := range []bool{false, true} {
			t.Run(fmt.Sprintf("yaml_%v", yaml), func(t *testing.T) {
				if yaml {
					needYAML(t, fb)
				}
				run := fb.start(t, pipeline{
					inputs: []plugin{{name: "dummy", options: []string{
						"tag", "app", "rate", "50", "samples", "20", "dummy", `{"message":"caf\u00e9","n":7,"f":1.0}`}}},
					filters: []plugin{filterOf(guest(t, "wrap"))},
					yaml:    yaml,
				})
				events := run.untilEvents(20)
				run.stop()
				want := map[string]any{"message": "caf\u00e9", "n": oracle.Integer("7"), "f": 1.0}
				for i, e := range events {
					body := e.Body.(map[string]any)
					if body["tag"] != "app" || !reflect.DeepEqual(body["record"], any(want)) {
						t.Fatalf("record %d is %v", i, body)
					}
				}
			})
		}
	})
}

// Fluent Bit from 2.1 on makes filters processors of an input, which run on the
// thread of the input if it has one.
func TestProcessorOfThreadedInput(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !strings.Contains(fb.help, "\nProcessors\n") {
			t.Skip("this Fluent Bit has no processors")
		}
		input := func(tag string) plugin {
			return plugin{
				name:       "dummy",
				options:    []string{"tag", tag, "threaded", "true", "rate", "100", "samples", "50", "dummy", `{"n":1}`},
				processors: []plugin{{name: "wasmtime", options: []string{"wasm_path", guest(t, "wrap"), "function_name", "filter"}}},
			}
		}
		run := fb.start(t, pipeline{inputs: []plugin{input("first"), input("second")}, yaml: true})
		events := run.untilEvents(100)
		run.stop()
		count := map[any]int{}
		for _, e := range events {
			count[e.Body.(map[string]any)["tag"]]++
		}
		if diff := cmp.Diff(map[any]int{"first": 50, "second": 50}, count); diff != "" {
			t.Errorf("records by tag (-want +got):\n%s", diff)
		}
	})
}

// One instance is called by the engine for inputs of several threads.
func TestFilterBehindThreadedInputs(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !strings.Contains(fb.help, "\nProcessors\n") {
			t.Skip("this Fluent Bit has no threaded inputs for all plugins")
		}
		var inputs []plugin
		for i := range 4 {
			inputs = append(inputs, plugin{name: "dummy", options: []string{
				"tag", fmt.Sprint("t", i), "threaded", "true", "rate", "200", "samples", "100", "dummy", `{"n":1}`}})
		}
		run := fb.start(t, pipeline{inputs: inputs, filters: []plugin{filterOf(guest(t, "wrap"))}})
		events := run.untilEvents(400)
		run.stop()
		count := map[any]int{}
		for _, e := range events {
			count[e.Body.(map[string]any)["tag"]]++
		}
		want := map[any]int{"t0": 100, "t1": 100, "t2": 100, "t3": 100}
		if diff := cmp.Diff(want, count); diff != "" {
			t.Errorf("records by tag (-want +got):\n%s", diff)
		}
	})
}

// All three forms of the forward protocol, with integer and exact times.
func TestForward(t *testing.T) {
	record := func(n int) map[string]any { return map[string]any{"n": n, "s": "x"} }
	times := []any{oracle.Timestamp(1700000000, 123456789), 1700000001, oracle.Timestamp(1700000002, 0)}
	entries := []any{
		[]any{times[0], record(2)},
		[]any{times[1], record(3)},
	}
	messages := []any{
		[]any{"app.message", times[0], record(0)},
		[]any{"app.message", times[1], record(1)},
		[]any{"app.forward", entries},
		// Before 4.2, Fluent Bit reads options also where there are none.
		[]any{"app.packed", oracle.Pack(
			[]any{times[2], record(4)},
			[]any{times[0], record(5)},
		), map[string]any{"size": 2}},
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		collect := func(filters ...plugin) []oracle.Event {
			port := freePort(t)
			run := fb.start(t, pipeline{
				inputs:  []plugin{{name: "forward", options: []string{"listen", "127.0.0.1", "port", port}}},
				filters: filters,
			})
			// A connection for each: before 5.1, Fluent Bit trips over forms
			// that change on one connection.
			for _, m := range messages {
				if _, err := run.dial(port).Write(oracle.Pack(m)); err != nil {
					t.Fatal(err)
				}
			}
			events := run.untilEvents(6)
			run.stop()
			return events
		}
		want := collect()
		if diff := cmp.Diff(sorted(want), sorted(collect(filterOf(guest(t, "spaced"))))); diff != "" {
			t.Errorf("events (-without the filter +with it):\n%s", diff)
		}
		for _, e := range collect(filterOf(guest(t, "wrap"))) {
			body := e.Body.(map[string]any)
			if tag, _ := body["tag"].(string); !strings.HasPrefix(tag, "app.") {
				t.Errorf("record %v", body)
			}
		}
	})
}

// Health collects on a coroutine, whose stack is small: the guest has another one, and
// Go, which prints what the guest says, the instance's thread.
func TestInputOnACoroutine(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.has("Inputs", "health") {
			t.Skip("this Fluent Bit has no input health")
		}
		for name, want := range map[string]any{
			"wrap":           map[string]any{"tag": "app", "record": map[string]any{"alive": false}},
			"wasi_print":     map[string]any{"alive": false},
			"stack_overflow": map[string]any{"alive": false},
		} {
			t.Run(name, func(t *testing.T) {
				p := fb.start(t, pipeline{
					inputs: []plugin{{name: "health", options: []string{
						"tag", "app", "host", "127.0.0.1", "port", freePort(t), "interval_sec", "0", "interval_nsec", "20000000"}}},
					filters: []plugin{filterOf(guest(t, name))},
				})
				for _, e := range p.untilEvents(20) {
					body := e.Body.(map[string]any)
					delete(body, "sec")
					if diff := cmp.Diff(want, any(body)); diff != "" {
						t.Fatalf("-want +got:\n%s", diff)
					}
				}
				// Some versions do not end while health is at work.
			})
		}
	})
}

// sorted orders events by their records' n: chunks of several tags come in any
// order.
func sorted(events []oracle.Event) map[any]oracle.Event {
	by := map[any]oracle.Event{}
	for _, e := range events {
		by[e.Body.(map[string]any)["n"]] = e
	}
	return by
}

const otlp = `{"resourceLogs":[
{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"user","value":{"stringValue":"bob@example.com"}}]},
 "scopeLogs":[{"scope":{"name":"lib","version":"1.0"},"logRecords":[
  {"timeUnixNano":"1700000000000000001","severityNumber":9,"severityText":"INFO",
   "body":{"stringValue":"hello"},"attributes":[{"key":"k","value":{"intValue":"7"}},{"key":"user","value":{"stringValue":"bob@example.com"}}],
   "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"},
  {"timeUnixNano":"1700000000000000002","body":{"stringValue":"again"}}]}]},
{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
 "scopeLogs":[{"scope":{"name":"other"},"logRecords":[
  {"timeUnixNano":"1700000000000000003","body":{"kvlistValue":{"values":[
   {"key":"a","value":{"doubleValue":1.5}},{"key":"b","value":{"boolValue":true}}]}}}]}]}]}`

// collectOpenTelemetry is what becomes of otlp.
func collectOpenTelemetry(t *testing.T, fb fluentBit, filters ...plugin) []oracle.Event {
	t.Helper()
	// Three records, in two groups where there are groups.
	return sendOpenTelemetry(t, fb, otlp, 3, filters...).events()
}

// sendOpenTelemetry runs Fluent Bit until so many events have become of logs in OTLP's JSON.
func sendOpenTelemetry(t *testing.T, fb fluentBit, logs string, n int, filters ...plugin) *process {
	t.Helper()
	if !fb.has("Inputs", "opentelemetry") {
		t.Skip("this Fluent Bit has no opentelemetry input")
	}
	port := freePort(t)
	run := fb.start(t, pipeline{
		inputs:  []plugin{{name: "opentelemetry", options: []string{"listen", "127.0.0.1", "port", port, "tag", "app"}}},
		filters: filters,
	})
	run.dial(port).Close()
	response, err := http.Post("http://127.0.0.1:"+port+"/v1/logs", "application/json", strings.NewReader(logs))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	if response.StatusCode == http.StatusBadRequest {
		t.Skip("this Fluent Bit takes no OTLP logs in JSON")
	}
	if response.StatusCode/100 != 2 {
		t.Fatalf("POST /v1/logs: %s", response.Status)
	}
	run.until(fmt.Sprintf("%d events", n), func() bool {
		events, err := oracle.Unpack(run.output())
		return err == nil && len(events) >= n
	})
	run.stop()
	return run
}

// Since Fluent Bit 3.2, the records of a resource and scope lie between group
// markers, whose bodies hold resource and scope.
func TestOpenTelemetry(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		collect := func(t *testing.T, filters ...plugin) []oracle.Event { return collectOpenTelemetry(t, fb, filters...) }
		want := collect(t)
		if diff := cmp.Diff(want, collect(t, filterOf(guest(t, "spaced")))); diff != "" {
			t.Errorf("events (-without the filter +with it):\n%s", diff)
		}

		got := collect(t, filterOf(guest(t, "wrap")))
		if len(got) != len(want) {
			t.Fatalf("%d events, want %d", len(got), len(want))
		}
		groups, tag := 0, any(nil)
		for i, e := range got {
			if e.Header != want[i].Header {
				t.Errorf("event %d: header % x, want % x", i, e.Header, want[i].Header)
			}
			expect := want[i].Body
			if isMarker(t, e) {
				groups++
			} else {
				// Versions differ in whether the path is put into the tag.
				if tag == nil {
					tag = e.Body.(map[string]any)["tag"]
				}
				expect = map[string]any{"tag": tag, "sec": oracle.Integer("1700000000"), "record": expect}
			}
			if diff := cmp.Diff(expect, e.Body); diff != "" {
				t.Errorf("event %d (-want +got):\n%s", i, diff)
			}
		}
		if tag != "app" && tag != "v1_logs" {
			t.Errorf("tag = %v", tag)
		}
		t.Logf("%d events, %d of them group markers", len(got), groups)
	})
}

// isMarker tells whether an event starts or ends a group: its seconds are -1 or
// -2.
func isMarker(t *testing.T, e oracle.Event) bool {
	t.Helper()
	for _, sec := range []string{"\xff\xff\xff\xff", "\xff\xff\xff\xfe"} {
		if strings.Contains(e.Header, "\xd7\x00"+sec+"\x00\x00\x00\x00") {
			return true
		}
	}
	return false
}
