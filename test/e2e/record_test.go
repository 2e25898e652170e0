package e2e

import (
	endian "encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// A module reads and sets time, metadata and attributes of resource and scope, and emits records.
func TestRecordFunctions(t *testing.T) {
	line := func(n int) string { return fmt.Sprintf(`{"ts":"2026-11-25T10:00:00.123Z","n":%d}`, n) }
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, workers := range []string{"1", "3"} {
			t.Run("workers "+workers, func(t *testing.T) {
				filter := filterOf(guest(t, "record_functions"), "workers", workers)
				input := tailInput(linesFile(t, line(0), line(1), line(2), line(3), line(4), line(5)), "json_ts")
				_, came := fb.finish(t, pipeline{inputs: []plugin{input}})
				_, got := fb.finish(t, pipeline{inputs: []plugin{input}, filters: []plugin{filter}})
				checkRecordFunctions(t, came, got)
			})
		}
		t.Run("groups", func(t *testing.T) {
			came := collectOpenTelemetry(t, fb)
			checkRecordFunctions(t, came, collectOpenTelemetry(t, fb, filterOf(guest(t, "record_functions"))))
		})
	})
}

// checkRecordFunctions checks what the guest record_functions makes of events.
func checkRecordFunctions(t *testing.T, came, got []oracle.Event) {
	t.Helper()
	records, marker, times := 0, 0, 0 // times: how often the body of the last marker has been set
	next := func() oracle.Event {
		if len(got) == 0 {
			t.Fatal("an event is missing")
		}
		e := got[0]
		got = got[1:]
		return e
	}
	var start oracle.Event
	checkMarker := func() {
		want := came[marker].Body
		for range times {
			want = map[string]any{"was": want}
		}
		if times > 0 {
			if diff := cmp.Diff(want, start.Body); diff != "" {
				t.Errorf("body of a marker: %s", diff)
			}
		}
		times = 0
	}
	grouped := false
	for i, e := range came {
		if isMarker(t, e) {
			checkMarker()
			g := next()
			if g.Header != e.Header {
				t.Errorf("marker % x, was % x", g.Header, e.Header)
			}
			grouped = strings.Contains(e.Header, "\xff\xff\xff\xff")
			marker, start = i, g
			continue
		}
		records++
		if grouped {
			times++
		}
		var header any
		if err := oracle.Value([]byte(e.Header), &header); err != nil {
			t.Fatal(err)
		}
		parts, hasMetadata := header.([]any)
		stamp := header
		if hasMetadata {
			stamp = parts[0]
		}
		data := stamp.(codec.RawExt).Data
		// In OTLP of 2.2 to 4.2 there are nanoseconds of several seconds.
		sec := endian.BigEndian.Uint32(data) + endian.BigEndian.Uint32(data[4:])/1e9
		header = oracle.Timestamp(sec+1, 5)
		if hasMetadata {
			header = []any{header, map[string]any{"was": parts[1]}}
		}
		for _, body := range []any{e.Body, map[string]any{"copy": true}} {
			g := next()
			var is any
			if err := oracle.Value([]byte(g.Header), &is); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(header, is); diff != "" {
				t.Errorf("header: %s", diff)
			}
			if diff := cmp.Diff(body, g.Body); diff != "" {
				t.Errorf("body: %s", diff)
			}
		}
	}
	checkMarker()
	if records == 0 || len(got) > 0 {
		t.Errorf("%d records came, %d events are left over", records, len(got))
	}
}

// The example that masks does so wherever OTLP has attributes.
func TestRedactAttributes(t *testing.T) {
	for module, function := range map[string]string{"redact.wasm": "filter", "bare/redact.wasm": "redact"} {
		module, err := filepath.Abs("../../examples/c/" + module)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(function, func(t *testing.T) { testRedactAttributes(t, module, function) })
	}
}

func testRedactAttributes(t *testing.T, module, function string) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		came := collectOpenTelemetry(t, fb)
		got := collectOpenTelemetry(t, fb, plugin{name: "wasmtime", options: []string{
			"match", "*", "wasm_path", module, "function_name", function, "on_error", "drop"}})
		addresses := 0
		// values are those of headers and bodies, masked.
		values := func(events []oracle.Event) (list []any) {
			for _, e := range events {
				var header any
				if err := oracle.Value([]byte(e.Header), &header); err != nil {
					t.Fatal(err)
				}
				list = append(list, mask(header, &addresses), mask(e.Body, &addresses))
			}
			return list
		}
		want := values(came)
		if addresses == 0 {
			t.Error("no address came")
		}
		addresses = 0
		if diff := cmp.Diff(want, values(got)); diff != "" || addresses > 0 {
			t.Errorf("%d addresses are left: %s", addresses, diff)
		}
	})
}

// mask masks the address of bob in a value, and counts it.
func mask(v any, count *int) any {
	switch v := v.(type) {
	case string:
		*count += strings.Count(v, "bob@")
		return strings.ReplaceAll(v, "bob@", "***@")
	case []any:
		for i := range v {
			v[i] = mask(v[i], count)
		}
	case map[string]any:
		for k := range v {
			v[k] = mask(v[k], count)
		}
	}
	return v
}
