package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/showcase"
)

// showcaseForms are the forms of examples/showcase, as filters.
func showcaseForms(t *testing.T, more ...string) map[string]plugin {
	t.Helper()
	dir, err := filepath.Abs("../../examples/showcase")
	if err != nil {
		t.Fatal(err)
	}
	form := func(module string, options ...string) plugin {
		options = append(append(options, "on_error", "drop", "config.environment", "production", "config.geo_path", "country",
			"table.geo", filepath.Join(dir, "geo.csv"), "store_limit", "1M"), more...)
		return filterOf(filepath.Join(dir, module), options...)
	}
	return map[string]plugin{
		"batch":          form("batch.wasm"),
		"c by SDK":       form("../showcase-c/showcase.wasm"),
		"assemblyscript": form("../showcase-assemblyscript/showcase.wasm"),
		"rust":           form("../showcase-rust/showcase.wasm"),
		"go":             form("../showcase-go/showcase.wasm", "cache_dir", showcaseCache(t)),
		"batch of 2":     form("batch.wasm", "batch_records", "2"),
		"record":         form("record.wasm", "event_format", "msgpack"),
		"zig":            form("../showcase-zig/showcase.wasm"),
	}
}

// showcaseCache builds the module of Go, which is too large to be committed, and returns a directory for
// what becomes of it: it takes seconds to compile.
func showcaseCache(t *testing.T) string {
	t.Helper()
	if out, err := exec.Command("make", "-s", "-C", "../../examples/showcase-go").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir, err := filepath.Abs("../../build/showcase-go")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// showcaseValues are headers and bodies, and with a model those that it makes of them.
func showcaseValues(t *testing.T, events []oracle.Event, m *showcase.Model) (list []any) {
	t.Helper()
	for _, e := range events {
		var header any
		if err := oracle.Value([]byte(e.Header), &header); err != nil {
			t.Fatal(err)
		}
		switch {
		case m == nil:
			list = append(list, []any{header, e.Body})
		case isMarker(t, e):
			list = append(list, []any{header, m.Mask(e.Body, "group")})
		default:
			bodies := m.Bodies(e.Body.(map[string]any))
			if len(bodies) > 0 {
				header = m.Mask(header, "metadata")
			}
			for _, b := range bodies {
				list = append(list, []any{header, any(b)})
			}
		}
	}
	return list
}

// checkShowcase compares what comes out with and without each form, and what it has counted.
func checkShowcase(t *testing.T, collect func(t *testing.T, n int, filters ...plugin) *process) {
	t.Helper()
	came := collect(t, 0).events()
	m := showcase.New(func(n int) any { return oracle.Integer(strconv.Itoa(n)) })
	want := showcaseValues(t, came, m)
	t.Logf("%d events came, masked: %v", len(came), m.Masked)
	if m.Masked["body"] == 0 || m.Dropped == 0 || len(want) <= len(came)-m.Dropped {
		t.Fatalf("%d events of %d, %+v", len(want), len(came), m)
	}
	for name, form := range showcaseForms(t) {
		t.Run(name, func(t *testing.T) {
			run := collect(t, len(want), form)
			if diff := cmp.Diff(want, showcaseValues(t, run.events(), nil)); diff != "" {
				t.Error(diff)
			}
			if run.logLine("wasmtime.0", " returned, ") == "" {
				// Some versions end before they have written all lines of their log.
				t.Log("Fluent Bit has not written the filter's last lines: counters are not compared")
				return
			}
			line := run.logLine("wasmtime.0", "counter masked_total: ")
			for where, n := range m.Masked {
				if !strings.Contains(line+",", fmt.Sprintf("{where=%q} %d,", where, n)) {
					t.Errorf("%q, want %d of %s", line, n, where)
				}
			}
			if strings.Count(line, "where=") != len(m.Masked) {
				t.Errorf("%q, want %v", line, m.Masked)
			}
		})
	}
}

func TestShowcase(t *testing.T) {
	text, err := os.ReadFile("../../examples/showcase/input.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		lines = append(lines, fmt.Sprintf(`{"ts":"2026-11-25T10:00:00.%03dZ",%s`, i, line[1:]))
	}
	input := tailInput(linesFile(t, lines...), "json_ts")
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, yaml := range []bool{false, true} {
			t.Run(map[bool]string{false: "classic", true: "YAML"}[yaml], func(t *testing.T) {
				if yaml {
					needYAML(t, fb)
				}
				checkShowcase(t, func(t *testing.T, _ int, filters ...plugin) *process {
					run, _ := fb.finish(t, pipeline{inputs: []plugin{input}, filters: filters, yaml: yaml})
					return run
				})
			})
		}
		t.Run("groups", func(t *testing.T) {
			checkShowcase(t, func(t *testing.T, n int, filters ...plugin) *process {
				return sendOpenTelemetry(t, fb, showcaseLogs, max(n, 6), filters...)
			})
		})
	})
}

// Three groups: one with all kinds of records, one of nothing but a debug record, one without an address.
const showcaseLogs = `{"resourceLogs":[
{"resource":{"attributes":[{"key":"owner","value":{"stringValue":"mail carol@example.com, or dave@example.com."}},
  {"key":"list","value":{"arrayValue":{"values":[{"stringValue":"erin@example.com"},{"intValue":"7"}]}}}]},
 "scopeLogs":[{"scope":{"name":"lib","attributes":[{"key":"author","value":{"stringValue":"frank@example.com"}}]},"logRecords":[
  {"timeUnixNano":"1700000000000000001","attributes":[{"key":"user","value":{"stringValue":"bob@example.com"}}],
   "body":{"kvlistValue":{"values":[{"key":"user","value":{"stringValue":"bob@example.com"}},{"key":"client_ip","value":{"stringValue":"192.0.2.7"}}]}}},
  {"timeUnixNano":"1700000000000000002",
   "body":{"kvlistValue":{"values":[{"key":"level","value":{"stringValue":"debug"}},{"key":"user","value":{"stringValue":"bob@example.com"}}]}}},
  {"timeUnixNano":"1700000003000000003","attributes":[{"key":"from","value":{"stringValue":"to bob@example.com and alice@example.com"}}],
   "body":{"kvlistValue":{"values":[{"key":"user","value":{"stringValue":"bob@example.com"}},{"key":"items","value":{"arrayValue":{"values":[
    {"stringValue":"alice@example.com"},{"intValue":"2"},{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":"v"}}]}}]}}}]}}},
  {"timeUnixNano":"1700000000000000004","attributes":[{"key":"k","value":{"intValue":"7"}}],
   "body":{"kvlistValue":{"values":[{"key":"log","value":{"stringValue":"plain"}}]}}}]}]},
{"resource":{"attributes":[{"key":"owner","value":{"stringValue":"grace@example.com"}}]},
 "scopeLogs":[{"scope":{"name":"quiet"},"logRecords":[
  {"timeUnixNano":"1700000000000000005","body":{"kvlistValue":{"values":[{"key":"level","value":{"stringValue":"debug"}}]}}}]}]},
{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
 "scopeLogs":[{"scope":{"name":"other"},"logRecords":[
  {"timeUnixNano":"1700000000000000006","body":{"kvlistValue":{"values":[{"key":"a","value":{"doubleValue":1.5}}]}}}]}]}]}`

// Counts begin anew when their time to live is over.
func TestShowcaseCountsExpire(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for name, form := range showcaseForms(t, "config.count_ttl", "1") {
			t.Run(name, func(t *testing.T) {
				run := fb.start(t, pipeline{
					inputs:  []plugin{{name: "dummy", options: []string{"tag", "app", "rate", "20", "dummy", `{"user":"bob"}`}}},
					filters: []plugin{form},
				})
				run.until("a count that begins anew", func() bool {
					last, highest, began := 0, 0, 0
					events, _ := oracle.Unpack(run.output())
					for _, body := range bodies(events) {
						n, err := strconv.Atoi(fmt.Sprint(body.(map[string]any)["count"]))
						if err != nil || (n != last+1 && n != 1) {
							t.Fatalf("%v after %d", body, last)
						}
						if n == 1 {
							began++
						}
						last, highest = n, max(n, highest)
					}
					return began >= 2 && highest >= 2
				})
				run.stop()
			})
		}
	})
}
