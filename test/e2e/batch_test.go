package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// batchSizes are bounds of a batch: a record each, what does not divide a chunk evenly, the default, and
// more than any chunk has.
var batchSizes = []struct{ records, bytes string }{{"1", "1M"}, {"7", "1M"}, {"1000000", "4K"}, {"1000", "1M"}, {"1000000", "16M"}}

// rebuilding is a filter that makes every event anew.
func rebuilding(t *testing.T, way string, more ...string) plugin {
	return plugin{name: "wasmtime", options: append([]string{
		"match", "*", "wasm_path", guest(t, "batch_rebuild"), "function_name", way}, more...)}
}

// allReturned checks what the filter says of n records at its end.
func allReturned(t *testing.T, run *process, n int) {
	t.Helper()
	if want := fmt.Sprintf("%d records: %[1]d returned, 0 dropped by the guest, 0 failed;", n); run.logLine(want) == "" {
		t.Errorf("no line %q in the log", want)
	}
	if line := run.logLine("[error]"); line != "" {
		t.Error(line)
	}
}

const eventTimeBytes = 10

// narrowHeaders has the array of time and metadata begin as the plugin writes it: some Fluent Bits write
// arrays of two with the widest header.
func narrowHeaders(events []oracle.Event) []oracle.Event {
	for i, e := range events {
		if rest, wide := strings.CutPrefix(e.Header, "\xdd\x00\x00\x00\x02"); wide {
			events[i].Header = "\x92" + rest
		}
	}
	return events
}

// Events of which a guest makes others with the same time, metadata and body come out as without the filter.
func TestBatchRebuild(t *testing.T) {
	input := tailInput(generated(t, acceptCount), "json_ts")
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		bare := fb.start(t, pipeline{inputs: []plugin{input}, bare: true})
		if code := bare.wait(); code != 0 {
			t.Fatalf("exit code = %d, want 0", code)
		}
		want := bare.output()
		events := bare.events()
		if len(events) != acceptCount {
			t.Fatalf("%d records without the filter, want %d", len(events), acceptCount)
		}
		rebuild := func(t *testing.T, way string, options ...string) *process {
			run := fb.start(t, pipeline{inputs: []plugin{input}, filters: []plugin{rebuilding(t, way, options...)}})
			if code := run.wait(); code != 0 {
				t.Fatalf("exit code = %d, want 0", code)
			}
			allReturned(t, run, acceptCount)
			return run
		}
		events = narrowHeaders(events)
		sameEvents := func(t *testing.T, run *process) { sameInOrder(t, events, narrowHeaders(run.events())) }
		same := func(t *testing.T, run *process) {
			if !bytes.Equal(run.output(), want) {
				t.Error("bytes have changed")
				sameEvents(t, run)
			}
		}
		for _, size := range batchSizes {
			t.Run(size.records+" records "+size.bytes, func(t *testing.T) {
				same(t, rebuild(t, "filter", "batch_records", size.records, "batch_bytes", size.bytes))
			})
		}
		t.Run("2 workers", func(t *testing.T) {
			same(t, rebuild(t, "filter", "workers", "2", "batch_records", "50"))
		})
		t.Run("emit, 2 workers", func(t *testing.T) {
			sameEvents(t, rebuild(t, "emit", "workers", "2", "batch_records", "50"))
		})
		// In other bytes, so that it is known that they are the guest's.
		t.Run("recode", func(t *testing.T) {
			run := rebuild(t, "recode")
			sameEvents(t, run)
			if bytes.Equal(run.output(), want) && !fb.legacyEvents() {
				t.Error("no byte has changed")
			}
		})
	})
}

// otlpValue is a value of JSON as OTLP has it.
func otlpValue(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		list := []any{}
		for _, key := range sortedKeys(v) {
			list = append(list, map[string]any{"key": key, "value": otlpValue(v[key])})
		}
		return map[string]any{"kvlistValue": map[string]any{"values": list}}
	case []any:
		list := []any{}
		for _, e := range v {
			list = append(list, otlpValue(e))
		}
		return map[string]any{"arrayValue": map[string]any{"values": list}}
	case bool:
		return map[string]any{"boolValue": v}
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return map[string]any{"intValue": v.String()}
		}
		// As it stands there: some Fluent Bits refuse a double that is written like an integer.
		return map[string]any{"doubleValue": json.RawMessage(v)}
	default:
		return map[string]any{"stringValue": fmt.Sprint(v)}
	}
}

func sortedKeys(m map[string]any) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// otlpRequests are n generated records as bodies of requests, in groups of several sizes.
func otlpRequests(t *testing.T, n int) (requests [][]byte) {
	t.Helper()
	const perRequest = 1000
	var groups []any
	var group []any
	have := 0
	flush := func() {
		attribute := map[string]any{"key": "service.name", "value": map[string]any{"stringValue": fmt.Sprint("service ", have)}}
		groups = append(groups, map[string]any{
			"resource":  map[string]any{"attributes": []any{attribute}},
			"scopeLogs": []any{map[string]any{"scope": map[string]any{"name": fmt.Sprint("scope ", have), "version": "1"}, "logRecords": group}},
		})
		group = nil
	}
	for text := range records.Generate(n, 1) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var record any
		if err := d.Decode(&record); err != nil {
			t.Fatal(err)
		}
		time := fmt.Sprint(1_700_000_000_000_000_000 + have*1_000_003)
		group = append(group, map[string]any{
			"timeUnixNano": time, "observedTimeUnixNano": time, "severityNumber": 9, "severityText": "INFO",
			"body":       otlpValue(record),
			"attributes": []any{map[string]any{"key": "n", "value": map[string]any{"intValue": fmt.Sprint(have)}}},
			"traceId":    "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
		})
		have++
		end := have%perRequest == 0 || have == n
		if end || have%97 == 0 || have%perRequest < 3 {
			flush()
		}
		if end {
			b, err := json.Marshal(map[string]any{"resourceLogs": groups})
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, b)
			groups = nil
		}
	}
	return requests
}

// The same for records between markers of groups, which are made anew as well.
func TestBatchRebuildGroups(t *testing.T) {
	requests := otlpRequests(t, acceptCount)
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.has("Inputs", "opentelemetry") {
			t.Skip("this Fluent Bit has no opentelemetry input")
		}
		collect := func(t *testing.T, filters ...plugin) *process {
			port := freePort(t)
			run := fb.start(t, pipeline{
				inputs: []plugin{{name: "opentelemetry", options: []string{
					"listen", "127.0.0.1", "port", port, "tag", "app", "mem_buf_limit", "0"}}},
				filters: filters,
			})
			run.dial(port).Close()
			for _, request := range requests {
				response, err := http.Post("http://127.0.0.1:"+port+"/v1/logs", "application/json", bytes.NewReader(request))
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
			}
			run.stop()
			return run
		}
		bare := collect(t)
		want, events := bare.output(), bare.events()
		markers := 0
		for _, e := range events {
			if isMarker(t, e) {
				markers++
			}
		}
		if n := len(events) - markers; n != acceptCount {
			t.Fatalf("%d records without the filter, want %d", n, acceptCount)
		}
		events = narrowHeaders(events)
		t.Logf("%d records, %d markers of groups", acceptCount, markers)
		for _, way := range []struct {
			name    string
			options []string
		}{
			{"filter", nil},
			{"filter", []string{"batch_records", "10"}},
			{"filter", []string{"batch_bytes", "4K"}},
			{"filter", []string{"workers", "2"}},
			{"emit", nil},
			{"emit", []string{"batch_records", "10"}},
			{"emit", []string{"workers", "2", "batch_records", "50"}},
			{"recode", []string{"batch_records", "50"}},
		} {
			t.Run(way.name+" "+strings.Join(way.options, " "), func(t *testing.T) {
				run := collect(t, rebuilding(t, way.name, way.options...))
				allReturned(t, run, acceptCount)
				same := bytes.Equal(run.output(), want)
				if !same {
					sameInOrder(t, events, narrowHeaders(run.events()))
				}
				if same != (way.name == "filter") && way.name != "emit" {
					t.Errorf("the same bytes: %v", same)
				}
			})
		}
	})
}

// The output does with them as the filter does.
func TestBatchRebuildOutput(t *testing.T) {
	in := generated(t, acceptCount)
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		var mu sync.Mutex
		var got []oracle.Event
		s, err := forwardserver.Listen(forwardserver.Config{Received: func(m forwardserver.Message) forwardserver.Verdict {
			events, err := oracle.Unpack(m.Events)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, events...)
			return forwardserver.Acknowledge
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Kill()
		p := fb.startOutput(t, fmt.Sprintf(strings.Replace(outputService, "grace 2", "grace 30", 1)+`
[INPUT]
    name tail
    path %s
    parser json_ts
    tag app
    read_from_head true
    exit_on_eof true
    mem_buf_limit 400M
[OUTPUT]
    name wasmtime
    match app
    wasm_path %s
    function_name filter
    batch_records 100
    emit_to forward://%s
    workers 2
    retry_limit no_limits
[OUTPUT]
    name file
    match app
    path DIR
    file plain
    format msgpack
`, in, guest(t, "batch_rebuild"), s.Address()))
		if code := p.wait(); code != 0 {
			t.Fatalf("exit code = %d, want 0", code)
		}
		allReturned(t, p, acceptCount)
		want := sortedBySeq(fileEvents(t, p.dir+"/plain"))
		if len(want) != acceptCount {
			t.Fatalf("%d records of the other output, want %d", len(want), acceptCount)
		}
		mu.Lock()
		defer mu.Unlock()
		// The forward protocol has no place for metadata where there is none.
		want = narrowHeaders(want)
		for i, e := range want {
			if time, ok := strings.CutPrefix(e.Header, "\x92"); ok {
				want[i].Header = time[:eventTimeBytes]
			}
		}
		sameInOrder(t, want, sortedBySeq(got))
	})
}

// sortedBySeq sorts generated records by their number: chunks come in any order.
func sortedBySeq(events []oracle.Event) []oracle.Event {
	seq := func(e oracle.Event) int {
		body, _ := e.Body.(map[string]any)
		n, _ := body["seq"].(oracle.Integer)
		i, _ := strconv.Atoi(string(n))
		return i
	}
	slices.SortStableFunc(events, func(a, b oracle.Event) int { return seq(a) - seq(b) })
	return events
}
