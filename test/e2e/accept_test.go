package e2e

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"
	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// generated writes n generated records to a file, one on a line.
func generated(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "records.log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for record := range records.Generate(n, 1) {
		w.Write(record)
		w.WriteByte('\n')
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

// sameInOrder compares events or records. It shows the first that differs.
func sameInOrder[T any](t *testing.T, want, got []T) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
	for i := range min(len(want), len(got)) {
		if !reflect.DeepEqual(want[i], got[i]) {
			t.Errorf("record %d is the first that differs (-want +got):\n%s", i, cmp.Diff(want[i], got[i]))
			return
		}
	}
}

// Records that a guest returns as they are come out as without the filter: in
// order, with the same time and metadata, value for value, integers as integers
// and floats as the same floats.
func TestAcceptanceIdentity(t *testing.T) {
	input := tailInput(generated(t, acceptCount), "json_ts")
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		_, want := fb.finish(t, pipeline{inputs: []plugin{input}, bare: true})
		if len(want) != acceptCount {
			t.Fatalf("%d records without the filter, want %d", len(want), acceptCount)
		}
		for _, c := range []struct{ guest, format string }{
			{"spaced", "json"}, {"identity", "json"}, {"msgpack_identity", "msgpack"},
		} {
			t.Run(c.guest, func(t *testing.T) {
				run, got := fb.finish(t, pipeline{
					inputs:  []plugin{input},
					filters: []plugin{filterOf(guest(t, c.guest), "event_format", c.format)},
				})
				sameInOrder(t, want, got)
				if line := run.logLine("[error]"); line != "" {
					t.Error(line)
				}
			})
		}
	})
}

// The same guest under the built-in wasm filter gives the same values, but for
// what the built-in does not keep:
//   - it prints floats that are no whole number with 16 digits (src/flb_pack.c,
//     5.1.1);
//   - it escapes characters beyond the Basic Multilingual Plane as two
//     surrogates, which some versions (3.2.10) read back as two characters.
func TestAcceptanceBuiltIn(t *testing.T) {
	input := tailInput(generated(t, acceptCount), "json_ts")
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.has("Filters", "wasm") {
			t.Skip("this Fluent Bit has no wasm filter")
		}
		// The built-in reads no text. This guest exports an allocator: without
		// one, the built-in of Fluent Bit 2 and 3 runs out of memory.
		binary, err := wasmtime.Wat2Wasm(guests.WAT("wrap"))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "wrap.wasm")
		writeFile(t, path, string(binary))
		ours := filterOf(path)
		theirs := filterOf(path, "accessible_paths", t.TempDir())
		theirs.name = "wasm"

		_, events := fb.finish(t, pipeline{inputs: []plugin{input}, filters: []plugin{ours}})
		got := bodies(events)
		_, events = fb.finish(t, pipeline{inputs: []plugin{input}, filters: []plugin{theirs}, bare: true})
		want := bodies(events)
		inexact, split := 0, 0
		for i := range got {
			got[i] = asBuiltIn(got[i], &inexact)
		}
		for i := range want {
			want[i] = joined(want[i], &split)
		}
		sameInOrder(t, want, got)
		t.Logf("the built-in rounded %d floats and split characters in %d strings", inexact, split)
	})
}

// joined is a value whose strings' surrogates are characters again. It counts
// the strings that changed.
func joined(v any, split *int) any {
	switch v := v.(type) {
	case string:
		s := joinSurrogates(v)
		if s != v {
			*split++
		}
		return s
	case []any:
		for i := range v {
			v[i] = joined(v[i], split)
		}
	case map[string]any:
		for key := range v {
			v[key] = joined(v[key], split)
		}
	}
	return v
}

// joinSurrogates makes one character of each pair of surrogates that are encoded
// as if they were characters.
func joinSurrogates(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		if len(s) >= 6 && s[0] == 0xed && s[1]&0xf0 == 0xa0 && s[3] == 0xed && s[4]&0xf0 == 0xb0 {
			high := rune(s[1]&0x0f)<<6 | rune(s[2]&0x3f)
			low := rune(s[4]&0x0f)<<6 | rune(s[5]&0x3f)
			b.WriteRune(0x10000 + (high<<10 | low))
			s = s[6:]
			continue
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}

// asBuiltIn is a value as it is after the built-in filter printed its floats. It
// counts those that changed.
func asBuiltIn(v any, inexact *int) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) {
			return v
		}
		text := strconv.FormatFloat(v, 'g', 16, 64)
		if !strings.ContainsAny(text, ".e") {
			// Rounded to a whole number and printed without a point, it is
			// read as an integer.
			*inexact++
			return oracle.Integer(text)
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != v {
			*inexact++
		}
		return f
	case []any:
		for i := range v {
			v[i] = asBuiltIn(v[i], inexact)
		}
	case map[string]any:
		for key := range v {
			v[key] = asBuiltIn(v[key], inexact)
		}
	}
	return v
}
