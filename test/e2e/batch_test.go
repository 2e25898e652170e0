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

	"github.com/google/go-cmp/cmp"

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
		if line := run.logLine(" returned, "); line != "" {
			t.Errorf("%q in the log, want %q", line, want)
		}
		// Some versions end before they have written all lines of their log.
		t.Log("Fluent Bit has not written the filter's last line: its count is not compared")
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
		t.Run("emit with 2 workers", func(t *testing.T) {
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

// otlpDepth is how deep values nest: some Fluent Bits read no deeper ones.
const otlpDepth = 3

// otlpValue is a value of JSON as OTLP has it. What nests deeper is text.
func otlpValue(v any, depth int) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		if depth == 0 {
			return map[string]any{"stringValue": fmt.Sprint(v)}
		}
		list := []any{}
		for _, key := range sortedKeys(v) {
			list = append(list, map[string]any{"key": key, "value": otlpValue(v[key], depth-1)})
		}
		return map[string]any{"kvlistValue": map[string]any{"values": list}}
	case []any:
		if depth == 0 {
			return map[string]any{"stringValue": fmt.Sprint(v)}
		}
		list := []any{}
		for _, e := range v {
			list = append(list, otlpValue(e, depth-1))
		}
		return map[string]any{"arrayValue": map[string]any{"values": list}}
	case bool:
		return map[string]any{"boolValue": v}
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return map[string]any{"intValue": v.String()}
		}
		if !strings.Contains(v.String(), ".") { // OTLP has no such integer
			return map[string]any{"stringValue": v.String()}
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
			"body":       otlpValue(record, otlpDepth),
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
				// In one piece: 2.2.3 reads what it has read of a request where that was before its buffer grew.
				inputs: []plugin{{name: "opentelemetry", options: []string{
					"listen", "127.0.0.1", "port", port, "tag", "app", "mem_buf_limit", "0",
					"buffer_chunk_size", "4M", "buffer_max_size", "8M"}}},
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

// told are numbered records, some of which tell batch_told what to do.
func told(n int, letters map[int]string) (lines []string) {
	for i := range n {
		if do := letters[i]; do != "" {
			lines = append(lines, fmt.Sprintf(`{"n":%d,"do":"%s"}`, i, do))
		} else {
			lines = append(lines, fmt.Sprintf(`{"n":%d}`, i))
		}
	}
	return lines
}

// A batch guest drops, adds a key, emits, reports an error, breaks a rule, and fails on one record: with
// retry_batch that one alone fails, else all of its batch.
func TestBatchVerdicts(t *testing.T) {
	const n, dropped, emits, erring, breaking, bad = 100, 10, 20, 30, 47, 50
	for _, c := range []struct {
		name    string // in paths, which tail has in lists
		letter  string // of the bad record
		cause   string
		onError string
		retry   bool
		batch   int
	}{
		{"trap retried", "u", "the guest trapped", "passthrough", true, 1000},
		{"trap retried in small batches", "u", "the guest trapped", "passthrough", true, 20},
		{"trap retried and dropped", "u", "the guest trapped", "drop", true, 1000},
		{"trap", "u", "the guest trapped", "passthrough", false, 20},
		{"trap dropped", "u", "the guest trapped", "drop", false, 20},
		{"timeout retried", "l", "the guest took longer than timeout", "passthrough", true, 1000},
		{"timeout", "l", "the guest took longer than timeout", "passthrough", false, 20},
		{"memory retried", "n", "the guest has no memory left for the record", "passthrough", true, 1000},
		{"reply retried", "q", "the guest's reply for the batch is not valid", "passthrough", true, 1000},
		{"reply", "p", "the guest's reply for the batch is not valid", "drop", false, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			input := tailInput(linesFile(t, told(n, map[int]string{
				dropped: "D", emits: "M", erring: "c", breaking: "b", bad: c.letter})...), "json")
			// All of a batch fail without a retry.
			failsWith := func(i int) bool {
				return i == bad || !c.retry && i/c.batch == bad/c.batch
			}
			var want []any
			failed, returned := 0, 0
			for i := range n {
				body := map[string]any{"n": oracle.Integer(strconv.Itoa(i))}
				for at, do := range map[int]string{dropped: "D", emits: "M", erring: "c", breaking: "b", bad: c.letter} {
					if i == at {
						body["do"] = do
					}
				}
				switch {
				case i == dropped:
					continue
				case failsWith(i) || i == erring || i == breaking:
					failed++
					if c.onError == "passthrough" {
						want = append(want, body)
					}
					continue
				case i == emits:
					body["seen"] = true
					want = append(want, body, map[string]any{"copy": oracle.Integer("1")}, map[string]any{"copy": oracle.Integer("2")})
				default:
					if body["do"] == nil {
						body["seen"] = true
					}
					want = append(want, body)
				}
				returned++
			}
			eachFluentBit(t, func(t *testing.T, fb fluentBit) {
				run, events := fb.finish(t, pipeline{inputs: []plugin{input}, filters: []plugin{{name: "wasmtime", options: []string{
					"match", "*", "wasm_path", guest(t, "batch_told"), "function_name", "mark",
					"batch_records", strconv.Itoa(c.batch), "retry_batch", map[bool]string{true: "on", false: "off"}[c.retry],
					"on_error", c.onError, "timeout", "500ms", "log_level", "info"}}}})
				if diff := cmp.Diff(want, bodies(events)); diff != "" {
					t.Errorf("bodies (-want +got):\n%s", diff)
				}
				sums := fmt.Sprintf("%d records: %d returned, 1 dropped by the guest, %d failed (", n, returned, failed)
				if run.logLine(sums, c.cause, "1: the guest reports an error", "errors by code: 1 of 7", "; 2 added;") == "" {
					t.Errorf("no line %q in the log, with the cause, the error by its code, and what was added", sums)
				}
				fate := "passed through unchanged"
				if c.onError == "drop" {
					fate = "dropped (on_error drop)"
				}
				line := run.logLine(fmt.Sprintf("record %d of a chunk (tag app, time ", erring+1), fate, "the guest reports an error: code 7", "no such")
				if line == "" || strings.Contains(line[strings.Index(line, "code 7"):], "\x1b") {
					t.Errorf("no line of the error, or one that is not printable: %q", line)
				}
				if !failsWith(breaking) && run.logLine(fmt.Sprintf("record %d of a chunk (", breaking+1), "an operation of the guest's reply is not valid") == "" {
					t.Error("no line of the operation that is not valid")
				}
				if again := run.logLine("is run again in halves"); (again != "") != c.retry {
					t.Errorf("run again: %q", again)
				}
				// What happened to the bad one, or to the first of its batch.
				first := bad
				if !c.retry {
					first = bad / c.batch * c.batch
				}
				if c.letter != "n" && run.logLine(fmt.Sprintf("record %d of a chunk (", first+1), fate) == "" {
					t.Errorf("no line of record %d", first+1)
				}
			})
		})
	}
}

// otlpTexts are logs in OTLP's JSON: a resource for each list, with an address in its attributes, and in
// those of its scope, and a record for each text.
func otlpTexts(resources ...[]string) string {
	const attributes = `"attributes":[{"key":"user","value":{"stringValue":"bob@example.com"}}]`
	var list []string
	for i, texts := range resources {
		var records []string
		for j, text := range texts {
			records = append(records, fmt.Sprintf(`{"timeUnixNano":"17000000000000%02d%03d","body":{"stringValue":"%s"},%s}`, i, j, text, attributes))
		}
		list = append(list, fmt.Sprintf(`{"resource":{%s},"scopeLogs":[{"scope":{"name":"lib",%[1]s},"logRecords":[%s]}]}`, attributes, strings.Join(records, ",")))
	}
	return `{"resourceLogs":[` + strings.Join(list, ",") + `]}`
}

// A guest that masks fails on some batches. With on_error drop no address comes out, not in the markers
// of groups either: of a group that began in such a batch a later one masks them, and a group of which
// all batches fail is dropped as a whole.
func TestBatchMaskingFails(t *testing.T) {
	logs := otlpTexts([]string{"trap", "a", "b", "c", "d"}, []string{"e", "f", "trap"}, []string{"trap", "trap", "trap", "trap"}, []string{"g"})
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		bare := sendOpenTelemetry(t, fb, logs, 13)
		markers := 0
		for _, e := range bare.events() {
			if isMarker(t, e) {
				markers++
			}
		}
		for _, c := range []struct {
			retry string
			n     int // of 13 records
		}{
			// Batches are 2 records: trap a, b c, d e, f trap, trap trap, trap trap, g.
			{"off", 5},
			{"on", 7},
		} {
			run := sendOpenTelemetry(t, fb, logs, c.n, filterOf(guest(t, "batch_masks"), "on_error", "drop", "batch_records", "2", "retry_batch", c.retry))
			records, out := 0, 0
			for _, e := range run.events() {
				if isMarker(t, e) {
					out++
				} else {
					records++
				}
				if body, ok := e.Body.(map[string]any); !ok || len(body) > 0 {
					t.Errorf("retry_batch %s: %v is not masked", c.retry, e.Body)
				}
			}
			if records != c.n || out != markers*3/4 {
				t.Errorf("retry_batch %s: %d records and %d of %d markers come out", c.retry, records, out, markers)
			}
			if bytes.Contains(run.output(), []byte("bob@")) {
				t.Errorf("retry_batch %s: an address comes out: %q", c.retry, run.output())
			}
		}
		t.Logf("%d markers", markers)
	})
}
