package filter

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// What is meant to blow up a reader goes through the whole filter, as a record
// and as a reply. The replies come as tags.

// tagText is a guest with room for large records that replies with its tag.
const tagText = `(module (memory (export "memory") 2048)
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 0)))`

func startLarge(t *testing.T, format options.EventFormat, text string) *fixture {
	return startWith(t, options.Options{EventFormat: format, Timeout: time.Minute, MemoryLimitBytes: 1 << 30}, text)
}

func TestReplyBombs(t *testing.T) {
	const (
		deep = 100_000
		wide = 100_000
		long = 1_000_000 // digits
	)
	in := event(1, map[string]any{"a": 1})
	nest := func(open, close string) string { return strings.Repeat(open, deep) + "1" + strings.Repeat(close, deep) }
	zeroes := make([]any, wide)
	for i := range zeroes {
		zeroes[i] = int64(0)
	}
	text := strings.Repeat("x", 16<<20)
	for _, test := range []struct {
		name   string
		format options.EventFormat
		reply  string
		want   any // the body; nil if the record passes unchanged
		failed cause
	}{
		{"JSON, deep arrays", options.JSON, `{"a":` + nest("[", "]") + `}`, nil, replyTooDeep},
		{"JSON, deep objects", options.JSON, nest(`{"a":`, "}"), nil, replyTooDeep},
		{"JSON, deep and cut", options.JSON, strings.Repeat(`{"a":[`, deep), nil, replyTooDeep},
		{"JSON, only closing", options.JSON, strings.Repeat(`}`, deep), nil, replyNotMap},
		{"JSON, wide array", options.JSON, `{"a":[0` + strings.Repeat(",0", wide-1) + `]}`, map[any]any{"a": zeroes}, none},
		{"JSON, wide and cut", options.JSON, `{"a":[0` + strings.Repeat(",0", wide-1), nil, replyInvalid},
		{"JSON, integer of a million digits", options.JSON, `{"a":1` + strings.Repeat("0", long) + `}`, nil, replyInvalid},
		{"JSON, fraction of a million digits", options.JSON, `{"a":1.5` + strings.Repeat("0", long) + `}`, map[any]any{"a": 1.5}, none},
		{"JSON, tiny number", options.JSON, `{"a":-0.` + strings.Repeat("0", long) + `1}`, map[any]any{"a": math.Copysign(0, -1)}, none},
		{"JSON, many digits that cancel out", options.JSON, `{"a":1` + strings.Repeat("0", 700) + `e-700}`, map[any]any{"a": 1.0}, none},
		{"JSON, exponent of a million digits", options.JSON, `{"a":1e` + strings.Repeat("9", long) + `}`, nil, replyInvalid},
		{"JSON, negative exponent of a million digits", options.JSON, `{"a":1e-` + strings.Repeat("9", long) + `}`, map[any]any{"a": 0.0}, none},
		{"JSON, long string", options.JSON, `{"a":"` + text + `"}`, map[any]any{"a": text}, none},
		{"JSON, long string of escapes", options.JSON, `{"a":"` + strings.Repeat(`\u0061`, 1<<20) + `"}`,
			map[any]any{"a": strings.Repeat("a", 1<<20)}, none},
		{"JSON, long string that has no end", options.JSON, `{"a":"` + text, nil, replyInvalid},
		{"JSON, long key", options.JSON, `{"` + text + `":1}`, map[any]any{text: int64(1)}, none},
		{"JSON, long blanks", options.JSON, strings.Repeat(" ", 1<<20) + `{"a":2}`, map[any]any{"a": int64(2)}, none},
		{"msgpack, deep arrays", options.Msgpack, "\x81\xa1a" + strings.Repeat("\x91", deep) + "\x01", nil, replyTooDeep},
		{"msgpack, deep maps", options.Msgpack, strings.Repeat("\x81\xa1a", deep) + "\x01", nil, replyTooDeep},
		{"msgpack, long string", options.Msgpack, "\x81\xa1a\xdb\x01\x00\x00\x00" + text, map[any]any{"a": text}, none},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := startLarge(t, test.format, strings.Replace(tagText, "2048", "400", 1))
			out, modified := f.Run([]byte(test.reply), in)
			if !modified {
				out = in
			}
			got := bodies(t, out)
			want, stats := []any{test.want}, Stats{Chunks: 1, Records: 1, Returned: 1}
			if test.want == nil {
				want = []any{map[any]any{"a": int64(1)}}
				stats.Returned, stats.Failed, stats.Causes[test.failed] = 0, 1, 1
			}
			if modified != (test.want != nil) {
				t.Errorf("modified %v, %v", modified, f.logs)
			}
			// Not by cmp, which takes long for megabytes.
			if !reflect.DeepEqual(want, got) {
				t.Errorf("another body: %.200v", got)
			}
			if diff := cmp.Diff(stats, f.Stats()); diff != "" {
				t.Error(diff)
			}
			for _, l := range f.logs {
				if len(l.line) > 2000 {
					t.Errorf("%d bytes in one line of the log", len(l.line))
				}
			}
		})
	}
}

// A reply that announces more than there is ends nowhere, and costs nothing.
func TestReplyThatAnnouncesTooMuch(t *testing.T) {
	const text = `(module (memory (export "memory") 2 2)
  (func (export "malloc") (param $n i32) (result i32) (i32.sub (i32.const 131072) (local.get $n)))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 0)))`
	in := event(1, map[string]any{"a": 1})
	for _, reply := range []string{
		"\xdf\xff\xff\xff\xff", "\xdf\x80\x00\x00\x00\xa1a\x01", "\x81\xa1a\xdd\xff\xff\xff\xff", "\x81\xa1a\xdb\xff\xff\xff\xff",
		"\x81\xa1a\xc6\xff\xff\xff\xff", "\x81\xa1a\xc9\xff\xff\xff\xff\x01", "\xde\xff\xff" + strings.Repeat("\x01", 1000),
		strings.Repeat("\x81\xa1a\xdf\xff\xff\xff\xff", 1000),
	} {
		f := startWith(t, options.Options{EventFormat: options.Msgpack}, text)
		if _, modified := f.Run([]byte(reply), in); modified {
			t.Errorf("%.20q: modified", reply)
		}
		if got := f.Stats(); got.Failed != 1 || f.count(hostlog.Error, "does not end inside its memory") != 1 {
			t.Errorf("%.20q: %v %v", reply, got, f.logs)
		}
	}
}

// Records that can't be read make the chunk one that is left alone; those that
// can be read, and only are large, go through.
func TestRecordBombs(t *testing.T) {
	body := func(b string) []byte { return append([]byte("\x92\x92\x01\x80"), b...) }
	header := func(metadata string) []byte { return append([]byte("\x92\x92\x01"), metadata+"\x80"...) }
	const deep = 100_000
	for name, in := range map[string][]byte{
		"deep arrays":            body("\x81\xa1a" + strings.Repeat("\x91", deep) + "\x01"),
		"deep maps":              body(strings.Repeat("\x81\xa1a", deep) + "\x01"),
		"deep keys":              body(strings.Repeat("\x81", deep) + strings.Repeat("\x01", deep+1)),
		"deep metadata":          header(strings.Repeat("\x81\xa1a", deep) + "\x01"),
		"four billion pairs":     body("\xdf\xff\xff\xff\xff\xa1a\x01"),
		"four billion elements":  body("\x81\xa1a\xdd\xff\xff\xff\xff\x01"),
		"four billion, nested":   body("\x81\xa1a" + strings.Repeat("\xdd\xff\xff\xff\xff", 120)),
		"string of 4 GiB":        body("\x81\xa1a\xdb\xff\xff\xff\xff"),
		"metadata of 4 billion":  header("\xdf\xff\xff\xff\xff\xa1a\x01"),
		"event of four billion":  []byte("\xdd\xff\xff\xff\xff\x01"),
		"deep timestamp":         []byte("\x92" + strings.Repeat("\x92", deep)),
		"extension of 4 GiB":     body("\x81\xa1a\xc9\xff\xff\xff\xff\x01"),
		"extension as timestamp": []byte("\x92\xc9\xff\xff\xff\xff\x00"),
	} {
		for _, format := range []options.EventFormat{options.JSON, options.Msgpack} {
			f := startWith(t, options.Options{EventFormat: format, OnError: options.Drop}, tagText)
			if _, modified := f.Run([]byte("{}"), in); modified {
				t.Errorf("%s: modified", name)
			}
			if diff := cmp.Diff(Stats{Chunks: 1, Corrupt: 1}, f.Stats()); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}

	text := strings.Repeat("x\x00\"\xff", 4<<20) // 16 MiB
	wide := make([]any, 1_000_000)
	for i := range wide {
		wide[i] = int64(i)
	}
	for name, record := range map[string]any{"long string": text, "wide array": wide, "long binary": []byte(text)} {
		in := event(1, map[string]any{"v": record})
		for _, format := range []options.EventFormat{options.JSON, options.Msgpack} {
			f := startLarge(t, format, strings.Replace(tagText, "(local.get 0)", "(local.get 4)", 1))
			if _, modified := f.Run(tag, in); modified {
				t.Errorf("%s: modified", name)
			}
			got := f.Stats()
			// As JSON, the string takes more than a reply may.
			if tooLarge := uint64(0); format == options.JSON && name != "wide array" {
				tooLarge = 1
				if got.Failed != tooLarge || f.count(hostlog.Error, "too large") != 1 {
					t.Errorf("%s: %v %v", name, got, f.logs)
				}
			} else if got.Returned != 1 || got.Failed != 0 {
				t.Errorf("%s: %v %v", name, got, f.logs)
			}
		}
	}
}

// The tag reaches the guest as it is, with its NULs, whatever its length.
func TestTagOfAnyBytes(t *testing.T) {
	bin := make([]byte, 1<<16)
	for i := range bin {
		bin[i] = byte(i * 7 >> 3)
	}
	in := join(event(1, map[string]any{"a": 1}), event(2, map[string]any{"b": 2}))
	reply := oracle.Pack(map[string]any{"tag": bin})
	f := startLarge(t, options.Msgpack, tagText)
	out, modified := f.Run(reply, in)
	if !modified {
		t.Fatal(f.logs)
	}
	want := join([]byte("\x92\x92\x01\x80"), reply, []byte("\x92\x92\x02\x80"), reply)
	if !bytes.Equal(out, want) {
		t.Errorf("%d bytes, want %d", len(out), len(want))
	}
	// In JSON mode, what the built-in filter sees as the end is the end.
	j := startLarge(t, options.JSON, tagText)
	for _, n := range []int{1, 4000, 5000, 1 << 16} {
		before := j.Stats()
		if _, modified := j.Run(bytes.Repeat([]byte{0xff}, n), in); modified {
			t.Error("modified")
		}
		if got := since(j.Stats(), before); got.Failed != 2 {
			t.Errorf("a tag of %d bytes that are no JSON: %v", n, got)
		}
		if out, modified := j.Run(make([]byte, n), in); !modified || len(out) != 0 {
			t.Errorf("a tag of %d NULs: modified %v, %d bytes", n, modified, len(out))
		}
	}
	// A guest that does not look at it does not care.
	id := startLarge(t, options.JSON, guests.WAT("identity"))
	if _, modified := id.Run(bin, in); modified || id.Stats().Returned != 2 {
		t.Error(id.Stats(), id.logs)
	}
}

func TestEmptyChunk(t *testing.T) {
	for _, onError := range []options.OnError{options.Passthrough, options.Drop, options.Mark} {
		f := startWith(t, options.Options{OnError: onError}, guests.WAT("drop"))
		for _, in := range [][]byte{nil, {}} {
			for _, tag := range [][]byte{nil, {}, tag} {
				if out, modified := f.Run(tag, in); modified || len(out) != 0 {
					t.Errorf("modified %v, %d bytes", modified, len(out))
				}
			}
		}
		if diff := cmp.Diff(Stats{Chunks: 6}, f.Stats()); diff != "" {
			t.Error(diff)
		}
	}
}

// A chunk of 64 MiB goes through in batches, each record with its own reply.
// Then the filter gives the memory back.
func TestLargeChunk(t *testing.T) {
	if testing.Short() {
		t.Skip("a chunk of 64 MiB")
	}
	var in, want []byte
	line := strings.Repeat("some words and 12 ", 24)
	for i := 0; len(in) < 64<<20; i++ {
		body := map[string]any{"seq": i, "log": line}
		in = append(in, event(int64(i), body)...)
		want = append(want, event(int64(i), pairs{"tag", "app.log", "sec", i, "record", body})...)
	}
	f := startLarge(t, options.JSON, guests.WAT("identity"))
	if _, modified := f.Run(tag, in); modified || f.Stats().Failed != 0 {
		t.Error(f.Stats(), f.logs)
	}
	f = startLarge(t, options.JSON, guests.WAT("wrap"))
	out, modified := f.Run(tag, in)
	if !modified || f.Stats().Failed != 0 {
		t.Fatal(f.Stats(), f.logs)
	}
	if got, want := rawEvents(t, out), rawEvents(t, want); len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	} else {
		for i := range want {
			if i%7 != 0 && i != len(want)-1 {
				continue
			}
			if diff := cmp.Diff(decode(t, want[i]), decode(t, got[i])); diff != "" {
				t.Fatalf("record %d: %s", i, diff)
			}
		}
	}
	if kept := f.lane.KeptBytes(); kept < 64<<20 {
		t.Fatalf("the output had %d bytes", kept)
	}
	f.Run(tag, in[:bytes.Index(in[1:], []byte{0x92, 0x92})+1])
	if kept := f.lane.KeptBytes(); kept > keepBytes {
		t.Errorf("%d bytes are kept for a chunk of one record", kept)
	}
}

// rawEvents are the events of a chunk, as they are encoded.
func rawEvents(t *testing.T, b []byte) (list [][]byte) {
	t.Helper()
	for len(b) > 0 {
		rest, err := msgp.Skip(b)
		if err != nil {
			t.Fatal(fmt.Errorf("event %d: %w", len(list), err))
		}
		list = append(list, b[:len(b)-len(rest)])
		b = rest
	}
	return list
}
