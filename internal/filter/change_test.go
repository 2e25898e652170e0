package filter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// interpreter is a guest whose tag is a program for each record: one op after the other, and what it
// needs. Numbers are little-endian. Without an answer, it returns the record.
const interpreter = `(module
  (import "flb_v1" "time_get" (func $time_get (result i64)))
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (import "flb_v1" "metadata_get" (func $metadata_get (param i32 i32) (result i32)))
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "group_get" (func $group_get (param i32 i32) (result i32)))
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 64)
  (global $codes (mut i32) (i32.const 0)) ;; what the functions have returned, two bits each
  (global $p (mut i32) (i32.const 0))
  (func $note (param i32)
    (global.set $codes (i32.or (i32.shl (global.get $codes) (i32.const 2)) (i32.and (local.get 0) (i32.const 3)))))
  (func $emit_buffer (param $n i32)
    (call $note (local.get $n))
    (if (i32.ge_s (local.get $n) (i32.const 0))
      (then (call $note (call $emit (i32.const 2097152) (local.get $n) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0))))))
  (func $emit_at (param $sec i64) (param $nsec i32)
    (call $note (call $emit (i32.add (global.get $p) (i32.const 2)) (i32.load16_u (global.get $p))
      (i32.const 0) (i32.const 0) (local.get $sec) (local.get $nsec)))
    (global.set $p (i32.add (i32.add (global.get $p) (i32.const 2)) (i32.load16_u (global.get $p)))))
  (func (export "malloc") (param $n i32) (result i32) (i32.sub (i32.const 2097152) (local.get $n)))
  (func (export "free") (param i32))
  (func (export "filter") (param $tag i32) (param $len i32) (param $sec i32) (param $nsec i32) (param $record i32) (param $record_len i32) (result i32)
    (local $end i32) (local $op i32) (local $n i32)
    (global.set $codes (i32.const 0))
    (global.set $p (local.get $tag))
    (local.set $end (i32.add (local.get $tag) (local.get $len)))
    (loop $next
      (if (i32.ge_u (global.get $p) (local.get $end)) (then (return (local.get $record))))
      (local.set $op (i32.load8_u (global.get $p)))
      (global.set $p (i32.add (global.get $p) (i32.const 1)))
      (if (i32.eq (local.get $op) (i32.const 0x74)) (then ;; t: time_set
        (call $note (call $time_set (i64.load (global.get $p)) (i32.load offset=8 (global.get $p))))
        (global.set $p (i32.add (global.get $p) (i32.const 12)))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const 0x6d)) (then ;; m: metadata_set
        (local.set $n (i32.load16_u (global.get $p)))
        (global.set $p (i32.add (global.get $p) (i32.const 2)))
        (call $note (call $metadata_set (global.get $p) (local.get $n)))
        (global.set $p (i32.add (global.get $p) (local.get $n)))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const 0x67)) (then ;; g: group_set
        (local.set $n (i32.load16_u (global.get $p)))
        (global.set $p (i32.add (global.get $p) (i32.const 2)))
        (call $note (call $group_set (global.get $p) (local.get $n)))
        (global.set $p (i32.add (global.get $p) (local.get $n)))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const 0x65)) (then ;; e: emit
        (call $note (call $emit
          (i32.add (global.get $p) (i32.const 16)) (i32.load16_u (global.get $p))
          (i32.add (i32.add (global.get $p) (i32.const 16)) (i32.load16_u (global.get $p))) (i32.load16_u offset=2 (global.get $p))
          (i64.load offset=4 (global.get $p)) (i32.load offset=12 (global.get $p))))
        (global.set $p (i32.add (i32.add (i32.add (global.get $p) (i32.const 16)) (i32.load16_u (global.get $p))) (i32.load16_u offset=2 (global.get $p))))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const 0x4d)) (then ;; M: emits the metadata as a record
        (call $emit_buffer (call $metadata_get (i32.const 2097152) (i32.const 2097152)))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const 0x47)) (then ;; G: emits the body of the group's marker
        (call $emit_buffer (call $group_get (i32.const 2097152) (i32.const 2097152)))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const 0x54)) (then ;; T: emits a record with the time
        (call $emit_at (i64.div_u (call $time_get) (i64.const 1000000000)) (i32.wrap_i64 (i64.rem_u (call $time_get) (i64.const 1000000000))))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const 0x63)) (then ;; c: emits a record with the codes for seconds
        (call $emit_at (i64.extend_i32_u (global.get $codes)) (i32.const 0))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const 0x64)) (then (return (i32.const 0)))) ;; d: drops
      (if (i32.eq (local.get $op) (i32.const 0x72)) (then (return (global.get $p)))) ;; r: replies with the rest
      unreachable)
    unreachable))`

// routingInterpreter knows one op more, E: emit_to.
var routingInterpreter = strings.Replace(strings.Replace(interpreter, `  (memory`, `  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory`, 1), `      unreachable)`, `      (if (i32.eq (local.get $op) (i32.const 0x45)) (then
        (local.set $tag (i32.add (global.get $p) (i32.const 18)))
        (local.set $record (i32.add (local.get $tag) (i32.load16_u (global.get $p))))
        (local.set $n (i32.add (local.get $record) (i32.load16_u offset=2 (global.get $p))))
        (call $note (call $emit_to
          (local.get $tag) (i32.load16_u (global.get $p)) (local.get $record) (i32.load16_u offset=2 (global.get $p))
          (local.get $n) (i32.load16_u offset=4 (global.get $p)) (i64.load offset=6 (global.get $p)) (i32.load offset=14 (global.get $p))))
        (local.set $record (local.get $first))
        (global.set $p (i32.add (local.get $n) (i32.load16_u offset=4 (global.get $p))))
        (br $next)))
      unreachable)`, 1)

func init() {
	routingInterpreter = strings.Replace(routingInterpreter, `(local $n i32)
    (global.set $codes`, `(local $n i32) (local $first i32)
    (local.set $first (local.get $record))
    (global.set $codes`, 1)
}

// emitTo makes an op of the routing interpreter.
func emitTo(tag, body, metadata string, sec int64, nsec uint32) string {
	out := []byte{'E'}
	for _, s := range []string{tag, body, metadata} {
		out = binary.LittleEndian.AppendUint16(out, uint16(len(s)))
	}
	return string(out) + op(0, sec, nsec)[1:] + tag + body + metadata
}

// op makes an op of the interpreter of its letter and what follows: strings have their length before
// them.
func op(letter byte, args ...any) string {
	out := []byte{letter}
	for _, a := range args {
		switch a := a.(type) {
		case string:
			out = append(binary.LittleEndian.AppendUint16(out, uint16(len(a))), a...)
		case int64:
			out = binary.LittleEndian.AppendUint64(out, uint64(a))
		case uint32:
			out = binary.LittleEndian.AppendUint32(out, a)
		}
	}
	return string(out)
}

func timeSet(sec int64, nsec uint32) string { return op('t', sec, nsec) }
func metadataSet(value string) string       { return op('m', value) }
func groupSet(value string) string          { return op('g', value) }

func emit(body, metadata string, sec int64, nsec uint32) string {
	lengths := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16([]byte{'e'}, uint16(len(body))), uint16(len(metadata)))
	return string(lengths) + op(0, sec, nsec)[1:] + body + metadata
}

// with is an event with time, metadata and body.
func with(sec, nsec uint32, metadata, body map[string]any) []byte {
	return oracle.Pack(oracle.Current(oracle.Timestamp(sec, nsec), metadata, body))
}

func legacyEvent(sec uint32, body map[string]any) []byte {
	return oracle.Pack(oracle.Legacy(oracle.Timestamp(sec, 0), body))
}

// groupStart is the marker of a group, as Fluent Bit writes it.
func groupStart(body map[string]any) []byte {
	return oracle.Pack(oracle.Current(oracle.Timestamp(0xffffffff, 0), map[string]any{"schema": "otlp", "resource_id": 1}, body))
}

func groupEnd() []byte {
	return oracle.Pack(oracle.Current(oracle.Timestamp(0xfffffffe, 0), map[string]any{}, map[string]any{}))
}

type object = map[string]any

// packed is a value of a format, from its JSON.
func packed(t testing.TB, format options.EventFormat, text string) string {
	t.Helper()
	if format == options.JSON {
		return text
	}
	values := jsonValuesOf(t, text)
	return string(oracle.Pack(values...))
}

func jsonValuesOf(t testing.TB, text string) []any {
	t.Helper()
	var v any
	h := &codec.JsonHandle{}
	if err := codec.NewDecoderBytes([]byte(text), h).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return []any{plain(v)}
}

// plain makes maps of any keys such of strings.
func plain(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := object{}
		for k, e := range v {
			m[fmt.Sprint(k)] = plain(e)
		}
		return m
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

// A record has what was set of it, and is followed by what was emitted, in either format.
func TestChangesOfARecord(t *testing.T) {
	const maxSec = 1<<32 - 3
	came := with(100, 7, object{"a": "b"}, object{"n": 1})
	legacy := legacyEvent(100, object{"n": 1})
	for _, format := range []options.EventFormat{options.JSON, options.Msgpack} {
		p := func(text string) string { return packed(t, format, text) }
		for _, c := range []struct {
			name, program string
			in            []byte
			want          []byte
			stats         Stats
		}{
			{"nothing", "", came, came, Stats{Returned: 1}},
			{"time", timeSet(5, 999999999), came, with(5, 999999999, object{"a": "b"}, object{"n": 1}), Stats{Returned: 1}},
			{"last time", timeSet(0, 0) + timeSet(maxSec, 1), came, with(maxSec, 1, object{"a": "b"}, object{"n": 1}), Stats{Returned: 1}},
			{"metadata", metadataSet(p(`{"x":{"y":[1]}}`)), came, with(100, 7, object{"x": object{"y": []any{1}}}, object{"n": 1}), Stats{Returned: 1}},
			{"metadata and reply", metadataSet(p(`{}`)) + "r" + p(`{"m":2}`), came, with(100, 7, object{}, object{"m": 2}), Stats{Returned: 1}},
			{"emit", emit(p(`{"m":2}`), "", -1, 0), came,
				join(came, with(100, 7, object{"a": "b"}, object{"m": 2})), Stats{Returned: 1, Added: 1}},
			{"emit all", emit(p(`{"m":2}`), p(`{"z":1}`), 3, 4) + emit(p(`{"m":3}`), p(`{}`), -1, 1<<31), came,
				join(came, with(3, 4, object{"z": 1}, object{"m": 2}), with(100, 7, object{}, object{"m": 3})), Stats{Returned: 1, Added: 2}},
			{"emit, then set", emit(p(`{"m":2}`), "", -1, 0) + timeSet(8, 9) + metadataSet(p(`{"q":0}`)), came,
				join(with(8, 9, object{"q": 0}, object{"n": 1}), with(8, 9, object{"q": 0}, object{"m": 2})), Stats{Returned: 1, Added: 1}},
			{"emit and drop", emit(p(`{"m":2}`), "", 4, 0) + "d", came, with(4, 0, object{"a": "b"}, object{"m": 2}), Stats{Dropped: 1, Added: 1}},
			{"set and drop", timeSet(1, 1) + "d", came, nil, Stats{Dropped: 1}},
			{"gets", "M" + op('T', p(`{"t":0}`)), came,
				join(came, with(100, 7, object{"a": "b"}, object{"a": "b"}), with(100, 7, object{"a": "b"}, object{"t": 0})), Stats{Returned: 1, Added: 2}},
			{"gets what was set", metadataSet(p(`{"c":"d"}`)) + timeSet(50, 60) + "M" + op('T', p(`{"t":0}`)), came,
				join(with(50, 60, object{"c": "d"}, object{"n": 1}), with(50, 60, object{"c": "d"}, object{"c": "d"}), with(50, 60, object{"c": "d"}, object{"t": 0})),
				Stats{Returned: 1, Added: 2}},
			{"legacy time", timeSet(6, 0) + emit(p(`{"m":2}`), "", 7, 0), legacy, join(legacyEvent(6, object{"n": 1}), legacyEvent(7, object{"m": 2})), Stats{Returned: 1, Added: 1}},
			{"legacy metadata", "M", legacy, join(legacy, legacyEvent(100, object{})), Stats{Returned: 1, Added: 1}},
		} {
			f := startWith(t, options.Options{EventFormat: format}, interpreter)
			for range 2 { // the second time, buffers are not new
				out, modified := f.Run([]byte(c.program), c.in)
				if !modified {
					out = c.in
				}
				if diff := oracle.Diff(c.want, out); diff != "" {
					t.Errorf("%v, %s: %s", format, c.name, diff)
				}
			}
			want, got := c.stats, f.Stats()
			for _, n := range []*uint64{&want.Returned, &want.Dropped, &want.Added} {
				*n *= 2
			}
			want.Chunks, want.Records = 2, 2
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v, %s: %s", format, c.name, diff)
			}
		}
	}
}

// Codes are what a function returns, two bits each.
func TestCodesOfChanges(t *testing.T) {
	const done, refused = 0, 3
	record := with(1, 0, object{}, object{"n": 1})
	tooDeep := with(1, 0, object{"a": deep(70)}, object{"n": 1})
	for _, c := range []struct {
		name, program string
		in            []byte
		codes         []uint32
	}{
		{"time", timeSet(0, 0) + timeSet(1<<32-3, 999999999), record, []uint32{done, done}},
		{"no time", timeSet(-1, 0) + timeSet(1<<32-2, 0) + timeSet(1<<32, 0) + timeSet(-1<<63, 0) + timeSet(1, 1e9) + timeSet(1, 1<<32-1), record,
			[]uint32{refused, refused, refused, refused, refused, refused}},
		{"metadata of nothing", metadataSet(""), record, []uint32{refused}},
		{"metadata", metadataSet("{}"), record, []uint32{done}},
		{"metadata of a legacy event", metadataSet("{}") + emit("{}", "{}", -1, 0) + emit("{}", "", -1, 0), legacyEvent(1, object{}), []uint32{refused, refused, done}},
		{"no group", groupSet("{}") + "G", record, []uint32{refused, refused}},
		{"emit", emit("", "{}", -1, 0) + emit("{}", "", -2, 0) + emit("{}", "", 1<<32-2, 0) + emit("{}", "", 0, 1e9), record, []uint32{refused, refused, refused, refused}},
		{"not JSON", "M", tooDeep, []uint32{2}},
	} {
		f := startWith(t, options.Options{}, interpreter)
		out, _ := f.Run([]byte(c.program+op('c', "{}")), c.in)
		events := decode(t, out)
		header := events[len(events)-1].([]any)[0]
		if list, isList := header.([]any); isList {
			header = list[0]
		}
		got := binary.BigEndian.Uint32(header.(codec.RawExt).Data)
		want := uint32(0)
		for _, code := range c.codes {
			want = want<<2 | code
		}
		if got != want {
			t.Errorf("%s: codes %b, want %b", c.name, got, want)
		}
	}
}

func deep(n int) any {
	if n == 0 {
		return 1
	}
	return []any{deep(n - 1)}
}

// Of groups, each record sees the one that it is in, and the last one to set its body is heard.
func TestGroupOfARecord(t *testing.T) {
	record := func(n int) []byte { return with(uint32(n), 0, object{}, object{"n": n}) }
	a, b := groupStart(object{"resource": object{"k": "a"}}), groupStart(object{"resource": object{"k": "b", "more": "of it"}})
	end := groupEnd()
	set := func(text string) []byte {
		return groupStart(jsonValuesOf(t, text)[0].(object))
	}
	in := func(marker []byte, n int) []byte { // what G emits after a record
		return with(uint32(n), 0, object{}, decodeBody(t, marker))
	}
	for _, format := range []options.EventFormat{options.JSON, options.Msgpack} {
		short, long := `{"s":1}`, `{"resource":{"attributes":{"masked":"************"}}}`
		sets := func(text string) string { return groupSet(packed(t, format, text)) }
		for _, c := range []struct {
			name, program string
			in, want      []byte
		}{
			{"get", "G", join(record(1), a, record(2), record(3), end, record(4), b, record(5), end),
				join(record(1), a, record(2), in(a, 2), record(3), in(a, 3), end, record(4), b, record(5), in(b, 5), end)},
			{"shorter", sets(short), join(record(1), a, record(2), record(3), end, record(4), b, record(5), end),
				join(record(1), set(short), record(2), record(3), end, record(4), set(short), record(5), end)},
			{"longer, not ended", sets(long), join(a, record(1), record(2)), join(set(long), record(1), record(2))},
			{"get after set", "G" + sets(short) + "G", join(a, record(1), record(2), end),
				join(set(short), record(1), in(a, 1), in(set(short), 1), record(2), in(set(short), 2), in(set(short), 2), end)},
			{"with other changes", sets(long) + timeSet(9, 9), join(a, record(1), end, b, record(2), end),
				join(set(long), with(9, 9, object{}, object{"n": 1}), end, set(long), with(9, 9, object{}, object{"n": 2}), end)},
			{"dropped", sets(long) + "d", join(record(1), a, record(2), end, record(3)), join(set(long), end)},
			{"another one in it", "G" + sets(short), join(a, record(1), b, record(2), end, record(3), end),
				join(set(short), record(1), in(a, 1), set(short), record(2), in(b, 2), end, record(3), end)},
			{"no record", sets(short), join(a, end, b, end), join(a, end, b, end)},
			{"the same", sets(`{"resource":{"k":"a"}}`), join(a, record(1), end), join(a, record(1), end)},
			{"end alone", sets(short) + "G", join(end, record(1)), join(end, record(1))},
		} {
			f := startWith(t, options.Options{EventFormat: format}, interpreter)
			shared := startWith(t, options.Options{EventFormat: format, Workers: 3}, interpreter)
			out, modified := f.Run([]byte(c.program), c.in)
			if modified == bytes.Equal(c.in, c.want) {
				t.Errorf("%v, %s: modified %v", format, c.name, modified)
			}
			if !modified {
				out = c.in
			}
			if diff := oracle.Diff(c.want, out); diff != "" {
				t.Errorf("%v, %s: %s", format, c.name, diff)
			}
			want := join(out, out, out, out)
			got, modified := shared.Run([]byte(c.program), join(c.in, c.in, c.in, c.in))
			if !modified {
				got = join(c.in, c.in, c.in, c.in)
			}
			if c.name != "longer, not ended" && !bytes.Equal(want, got) {
				t.Errorf("%v, %s, shared: %s", format, c.name, oracle.Diff(want, got))
			}
			if n := f.Stats().Failed + shared.Stats().Failed; n > 0 {
				t.Errorf("%v, %s: %d failed: %v", format, c.name, n, f.logs)
			}
		}
	}
}

// decodeBody is the body of the event.
func decodeBody(t *testing.T, event []byte) object {
	t.Helper()
	return plain(bodies(t, event)[0]).(object)
}

// A record that fails has none of what was set or emitted, nor has its group.
func TestFailedRecordHasNoChanges(t *testing.T) {
	in := join(groupStart(object{"k": "a"}), with(1, 0, object{"m": "x"}, object{"n": 1}), groupEnd())
	changes := func(p func(string) string) string {
		return timeSet(5, 5) + metadataSet(p(`{"q":1}`)) + groupSet(p(`{"g":1}`)) + emit(p(`{"e":1}`), "", -1, 0)
	}
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, format := range []options.EventFormat{options.JSON, options.Msgpack} {
		p := func(text string) string { return packed(t, format, text) }
		cases := map[string]string{
			"x":                                   "unreachable",
			"r" + p(`5`):                          "not a map",
			"r" + p(nested(32)):                   "deep",
			metadataSet(p(`[]`)):                  "metadata_set: it is not a map",
			metadataSet(p(nested(31))):            "metadata_set: value is nested too deeply",
			metadataSet(p(`{}`) + p(`{}`)):        "metadata_set: something follows the map",
			groupSet(p(`{"a":1}`) + "\xff"):       "group_set: something follows the map",
			groupSet(p(`null`)):                   "group_set: it is not a map",
			groupSet(p(nested(32))):               "group_set: value is nested too deeply",
			emit(p(`"x"`), "", -1, 0):             "emit, record 2: it is not a map",
			emit(p(nested(32)), "", -1, 0):        "emit, record 2: value is nested too deeply",
			emit(p(`{}`), p(`1`), -1, 0):          "emit, metadata of record 2: it is not a map",
			emit(p(`{}`), p(nested(31)), -1, 0):   "emit, metadata of record 2: value is nested too deeply",
			metadataSet(p(`{"a":"bcd"}`)[:4]):     "metadata_set: ",
			groupSet(p(`{"a":"bcd"}`)[:4]) + "d":  "group_set: ",
			emit(p(`{"a":"bcd"}`)[:4], "", -1, 0): "emit, record 2: ",
		}
		if format == options.JSON {
			cases[metadataSet("{}\x00")] = "metadata_set: something follows the map"
			cases[metadataSet(`{"a":1e999}`)] = "metadata_set: JSON number is out of range"
			cases[emit("{}\x00{}", "", -1, 0)] = "emit, record 2: something follows the map"
		}
		for bad, text := range cases {
			f := startWith(t, options.Options{EventFormat: format}, interpreter)
			if out, modified := f.Run([]byte(changes(p)+bad), in); modified {
				t.Errorf("%v, %q: modified: %v", format, bad, decode(t, out))
			}
			if f.count(hostlog.Error, text) != 1 {
				t.Errorf("%v, %q: want %q, got %v", format, bad, text, f.logs)
			}
			got := f.Stats()
			if got.Failed != 1 || got.Added != 0 || got.Returned+got.Dropped != 0 {
				t.Errorf("%v, %q: %+v", format, bad, got)
			}
			// The next chunk does not have them either.
			if _, modified := f.Run(nil, in); modified {
				t.Errorf("%v, after %q: modified", format, bad)
			}
		}
		// As deep as may be.
		f := startWith(t, options.Options{EventFormat: format}, interpreter)
		program := metadataSet(p(nested(30))) + groupSet(p(nested(31))) + emit(p(nested(31)), p(nested(30)), -1, 0)
		if f.Run([]byte(program), in); f.Stats().Failed > 0 {
			t.Errorf("%v: %v", format, f.logs)
		}
	}
}

// What JSON can't hold of metadata and attributes, such as the bytes of a trace's number, is what it
// was after a guest has given its JSON back.
func TestChangesKeepOriginals(t *testing.T) {
	id := []byte{0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0xd2}
	values := object{"trace_id": id, "ratio": float32(0.1)}
	in := join(groupStart(values), with(1, 0, values, object{"n": 1}), groupEnd())
	back := `(module
  (import "flb_v1" "metadata_get" (func $metadata_get (param i32 i32) (result i32)))
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "group_get" (func $group_get (param i32 i32) (result i32)))
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (memory (export "memory") 3)
  (func $blank (param $n i32) (result i32) ;; replaces the brace at the end by one after a blank
    (i32.store16 (i32.add (i32.const 65535) (local.get $n)) (i32.const 0x7d20))
    (i32.add (local.get $n) (i32.const 1)))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (call $metadata_set (i32.const 65536) (call $blank (call $metadata_get (i32.const 65536) (i32.const 65536)))) (then unreachable))
    (if (call $group_set (i32.const 65536) (call $blank (call $group_get (i32.const 65536) (i32.const 65536)))) (then unreachable))
    (local.get 4)))`
	f := start(t, back, options.JSON)
	out, modified := f.Run(tag, in)
	if modified && !bytes.Equal(in, out) || f.Stats().Failed > 0 {
		t.Errorf("%v: %s", f.logs, oracle.Diff(in, out))
	}
}

// Few bytes of a guest can't make much of a chunk, or of the host's memory.
func TestEmitsAreBounded(t *testing.T) {
	metadata := strings.Repeat("m", 4000)
	in := with(1, 0, object{"m": metadata}, object{"n": 1})
	// Each of the many empty records would have all of the metadata.
	many := func(count int, body string, length int) string {
		return fmt.Sprintf(`(module
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 513)
  (data (i32.const 0) "%s")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $i i32)
    (loop $next
      (if (call $emit (i32.const 0) (i32.const %d) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (then unreachable))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const %d))))
    (local.get 4)))`, body, length, count)
	}
	f := start(t, many(100_000, "{}", 2), options.JSON)
	if _, modified := f.Run(tag, in); modified || f.count(hostlog.Error, "it makes more than") != 1 {
		t.Errorf("modified %v, %v", modified, f.logs)
	}
	if n := cap(f.event); n > 3*maxSplitBytes {
		t.Errorf("%d bytes for the events of one record", n)
	}
	// As large as one may be, and all of them. What is taken is no map, and no reason to trap.
	for _, c := range []struct {
		count, length int
		refused       bool
	}{{1, 32 << 20, false}, {1, 32<<20 + 1, true}, {2, 31 << 20, false}, {3, 31 << 20, true}} {
		f := start(t, many(c.count, "{}", c.length), options.JSON)
		f.Run(tag, join(in, in))
		taken, refused := f.count(hostlog.Error, "emit, record 1: something follows the map"), f.count(hostlog.Error, "unreachable")
		if f.Stats().Failed != 2 || taken > 0 == c.refused || refused > 0 != c.refused {
			t.Errorf("%d of %d bytes: %+v, %v", c.count, c.length, f.Stats(), f.logs)
		}
	}
}

// Nor can groups, which have few bytes, be made more of a chunk than it may have.
func TestGroupsAreBounded(t *testing.T) {
	const large = 31 << 20
	var in []byte
	for range 8 {
		in = append(in, join(groupStart(object{"k": "a"}), with(1, 0, object{}, object{"n": 1}))...)
	}
	f := start(t, fmt.Sprintf(`(module
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (memory (export "memory") 513)
  (data (i32.const 0) "\81\a1a\c6\%02x\%02x\%02x\%02x")
  (func (export "malloc") (param i32) (result i32) (i32.const 33600000))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (call $group_set (i32.const 0) (i32.const %d)) (then unreachable))
    (local.get 4)))`, large>>24, large>>16&255, large>>8&255, large&255, large+8), options.Msgpack)
	out, modified := f.Run(tag, in)
	most := 2*len(in) + 128<<20
	if !modified || len(out) > most || len(out) < most-2*large || f.Stats().Failed != 4 || f.count(hostlog.Error, "and its group") != 1 {
		t.Errorf("%d of %d bytes, %+v, %v", len(out), most, f.Stats(), f.logs)
	}
	if n := f.lane.KeptBytes(); n > 2*most {
		t.Errorf("%d bytes are kept", n)
	}
}

// A group ends with its chunk, also with one that can't be read to its end.
func TestGroupEndsWithItsChunk(t *testing.T) {
	f := start(t, interpreter, options.JSON)
	record := with(1, 0, object{}, object{"n": 1})
	for _, before := range [][]byte{
		join(groupStart(object{"k": "a"}), record),
		append(join(groupStart(object{"k": "a"}), record), 0xc1),
	} {
		f.Run([]byte(groupSet(`{"k":"b"}`)), before)
		if out, modified := f.Run([]byte("G"+groupSet("{}")), record); modified {
			t.Errorf("modified: %v", decode(t, out))
		}
	}
}

// Setting the body of a group anew for each record takes no more than once through the chunk.
func TestGroupsOfManyRecords(t *testing.T) {
	in := groupStart(object{"k": "a"})
	for range 20_000 {
		in = append(in, with(1, 0, object{}, object{"n": strings.Repeat("x", 100)})...)
	}
	f := start(t, interpreter, options.JSON)
	out, modified := f.Run([]byte(groupSet(`{"k":"b"}`)), in)
	want := bytes.Replace(in, []byte("\xa1k\xa1a"), []byte("\xa1k\xa1b"), 1)
	if !modified || !bytes.Equal(want, out) {
		t.Error("not the chunk with another group")
	}
}

// What is set of records allocates nothing for each.
func TestChangesDoNotAllocate(t *testing.T) {
	for _, format := range []options.EventFormat{options.JSON, options.Msgpack} {
		f := start(t, interpreter, format)
		p := func(text string) string { return packed(t, format, text) }
		program := []byte(timeSet(4, 5) + metadataSet(p(`{"q":1}`)) + groupSet(p(`{"g":1}`)) + emit(p(`{"e":1}`), p(`{"f":1}`), 1, 0) + "r" + p(`{"x":1}`))
		var in []byte
		for range 100 {
			in = append(in, join(groupStart(object{"k": "a"}), with(1, 0, object{"m": "x"}, object{"n": 1}), groupEnd())...)
		}
		if n := testing.AllocsPerRun(10, func() { f.Run(program, in) }); n > 0 {
			t.Errorf("%v: %v allocations for 100 records", format, n)
		}
		runtime.KeepAlive(f)
	}
}

// A group whose records have all failed, and were dropped for that, goes with its markers: nobody has said
// that what its records have in common may come out.
func TestLostGroupsBySix(t *testing.T) {
	trap, fine := event(1, object{"trap": true}), event(1, object{"n": 1})
	noMap := oracle.Pack([]any{int64(5), 7})
	start, end := groupStart(object{"k": "a"}), groupEnd()
	for _, test := range []struct {
		name       string
		chunk, out []byte
	}{
		{"all", join(start, trap, trap, end), nil},
		{"not usable", join(start, noMap, end, fine), fine},
		{"one comes out", join(start, trap, fine, end), join(start, fine, end)},
		{"no record", join(start, end, trap), join(start, end)},
		{"no end", join(start, trap, start, fine), join(start, fine)},
		{"the end is another's", join(start, fine, start, trap, end, fine), join(start, fine, end, fine)},
	} {
		for _, workers := range []int{1, 3} {
			for onError, want := range map[options.OnError][]byte{options.Drop: test.out, options.Passthrough: test.chunk} {
				f := startWith(t, options.Options{OnError: onError, Workers: workers, Timeout: time.Minute}, guests.WAT("trap_when_told"))
				out, modified := f.Run(tag, test.chunk)
				if !modified {
					out = test.chunk
				}
				if !bytes.Equal(out, want) {
					t.Errorf("%s, %d workers, %v: %v", test.name, workers, onError, decode(t, out))
				}
			}
		}
	}
}

// So it does if the module is left out.
func TestLostGroupsOfAModuleLeftOut(t *testing.T) {
	f := startWith(t, options.Options{OnError: options.Drop, Timeout: time.Minute, BreakerFailures: 1, BreakerBackoff: time.Hour}, guests.WAT("trap_when_told"))
	trap, fine := event(1, object{"trap": true}), event(1, object{"n": 1})
	out, modified := f.Run(tag, join(trap, groupStart(object{"k": "a"}), fine, groupEnd()))
	if !modified || len(out) > 0 || f.Stats().Causes[breakerOpen] != 1 {
		t.Errorf("%v, %v", decode(t, out), f.Stats())
	}
}
