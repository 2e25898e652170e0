package filter

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// replies is a guest that replies with its tag: tests hand over as the tag what is to be replied.
const replies = `(module (memory (export "memory") 64)
  (func (export "malloc") (param $n i32) (result i32) (i32.sub (i32.const 2097152) (local.get $n)))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 0)))`

// jsonValues reads values as encoding/json does.
func jsonValues(t *testing.T, text string) (values []any) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(text)); d.More(); {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

// Each record of a reply becomes an event with the time and metadata of the one that it was made
// of, in its place.
func TestSplitReply(t *testing.T) {
	header := []any{7, map[string]any{"m": "x"}}
	record := oracle.Pack([]any{header, map[string]any{"a": []any{1, 2, 3}}})
	legacy := oracle.Pack([]any{9, map[string]any{"b": "c"}})
	long := `{"s":"` + strings.Repeat("x", 5000) + `"}`
	for _, reply := range []string{
		`{"x":"1"}` + "\n" + `{"x":"2","y":{}}`,
		`{"x":"1"}{"x":"2"}{"x":"3"}` + "\n\n",
		` [{"x":"1"} , {"x":"2"}] `,
		`[{"x":"1"}]`,
		`[]`,
		long + long + `{"z":"end"}`, // no NUL in the first bytes that are looked through
		`[` + long + `,` + long + `]`,
	} {
		f := startWith(t, options.Options{Split: true}, replies)
		out, modified := f.Run([]byte(reply), join(record, legacy))
		values := jsonValues(t, reply)
		if list, isList := values[0].([]any); isList {
			values = list
		}
		var want bytes.Buffer
		for _, h := range []any{header, 9} {
			for _, v := range values {
				want.Write(oracle.Pack([]any{h, v}))
			}
		}
		if diff := cmp.Diff(decode(t, want.Bytes()), decode(t, out)); !modified || diff != "" {
			t.Errorf("%.80q: modified %v, %s", reply, modified, diff)
		}
		got := f.Stats()
		returned, dropped, added := uint64(2), uint64(0), uint64(2*(len(values)-1))
		if len(values) == 0 {
			returned, dropped, added = 0, 2, 0
		}
		if got.Returned != returned || got.Dropped != dropped || got.Added != added || got.Failed != 0 {
			t.Errorf("%.80q: %+v", reply, got)
		}
	}
}

func TestSplitMsgpack(t *testing.T) {
	f := startWith(t, options.Options{Split: true, EventFormat: options.Msgpack}, replies)
	parts := []any{map[string]any{"x": 1}, map[string]any{}, map[string]any{"y": []any{nil}}}
	out, _ := f.Run(oracle.Pack(parts), event(1, map[string]any{"a": 1}))
	want := join(event(1, map[string]any{"x": 1}), event(1, map[string]any{}), event(1, map[string]any{"y": []any{nil}}))
	if diff := cmp.Diff(decode(t, want), decode(t, out)); diff != "" || f.Stats().Added != 2 {
		t.Errorf("%s %v", diff, f.Stats())
	}
	for _, bad := range [][]byte{oracle.Pack([]any{map[string]any{}, 1}), {0x92, 0x80, 0xc1}} {
		if _, modified := f.Run(bad, event(1, map[string]any{"a": 1})); modified {
			t.Errorf("% x: modified", bad)
		}
	}
}

// What is not several records for certain is one, or a failure: no record is lost without a word.
func TestSeveralRecords(t *testing.T) {
	record := event(1, map[string]any{"a": 1})
	input := `{"a":1}`
	for _, test := range []struct {
		reply string
		split bool
		want  string // body, or what the log says
	}{
		{`{"x":1}` + "\n" + `{"x":2}`, false, "a list of records, and split is off"},
		{input + "\n" + `{"x":2}`, false, "a list of records, and split is off"}, // begins as the record does
		{`[{"x":1}]`, false, "a list of records, and split is off"},
		{`[1]`, false, "not a map"},
		{`[{"x":1},1]`, true, "not a map"},
		{`[{"x":1}{"x":1}]`, true, "can't be read"},
		{`[{"x":1}][{"x":1}]`, true, "can't be read"},
		{`[{"x":1}`, true, "can't be read"},
		{`{"x":1}{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, true, "nests deeper"},
		// Guests that write no NUL are followed by anything.
		{`{"x":1}rubbish`, true, `{"x":1}`},
		{`{"x":1} "`, false, `{"x":1}`},
		{`{"x":1}{"x":`, false, `{"x":1}`},
		{`{"x":1}{]`, true, `{"x":1}`},
		{`{"x":1}{"x":2}{"x":`, true, `{"x":1}`},
		{`{"x":1}{"rest":"of"}},"an":"earlier reply"}`, false, `{"x":1}`},
	} {
		f := startWith(t, options.Options{Split: test.split}, replies)
		out, modified := f.Run([]byte(test.reply), record)
		if strings.HasPrefix(test.want, "{") {
			want := event(1, map[string]any{"x": 1})
			if diff := cmp.Diff(decode(t, want), decode(t, out)); diff != "" {
				t.Errorf("%.60q: %s", test.reply, diff)
			}
			continue
		}
		if modified || f.count(hostlog.Error, test.want) != 1 || f.Stats().Failed != 1 {
			t.Errorf("%.60q: modified %v, %v, want %q", test.reply, modified, f.logs, test.want)
		}
	}
}

// A reply may not multiply metadata without a bound.
func TestSplitIsBounded(t *testing.T) {
	record := oracle.Pack([]any{[]any{1, map[string]any{"m": strings.Repeat("m", 1<<20)}}, map[string]any{"a": 1}})
	f := startWith(t, options.Options{Split: true}, replies)
	_, modified := f.Run([]byte("["+strings.Repeat(`{},`, 500)+"{}]"), record)
	if modified || f.count(hostlog.Error, "bytes of events") != 1 || f.Stats().Failed != 1 {
		t.Errorf("modified %v, %v", modified, f.logs)
	}
}

// What replies make of a chunk has a bound, and records beyond are not lost.
func TestChunkIsBounded(t *testing.T) {
	const records, replyBytes, most = 8, 30 << 20, 128 << 20
	text := `{"s":"` + strings.Repeat("x", replyBytes) + `"}`
	body := map[string]any{"s": strings.Repeat("x", replyBytes)}
	in := bytes.Repeat(event(1, map[string]any{"a": 1}), records)
	large := strings.NewReplacer(`"memory") 64`, `"memory") 640`, "2097152", "41943040").Replace(replies)
	for _, c := range []struct {
		name  string
		o     options.Options
		reply []byte
	}{
		{"one", options.Options{}, []byte(text)},
		{"several", options.Options{Split: true}, []byte(text + `{}`)},
		{"msgpack", options.Options{EventFormat: options.Msgpack}, oracle.Pack(body)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startWith(t, c.o, large)
			out, _ := f.Run(c.reply, in)
			got := f.Stats()
			if len(out) > most+2*len(in) || got.Returned != most/replyBytes || got.Failed != records-got.Returned {
				t.Errorf("%d bytes, %+v", len(out), got)
			}
			if unchanged := event(1, map[string]any{"a": 1}); !bytes.HasSuffix(out, bytes.Repeat(unchanged, int(got.Failed))) {
				t.Error("the other records are not there")
			}
			if f.count(hostlog.Error, "the guest's replies make too much of the chunk: this one makes 314") != 1 {
				t.Error(f.logs)
			}
		})
	}
}

// The line in the log finds the record: by its number, tag, time, and an excerpt.
func TestReportFindsTheRecord(t *testing.T) {
	bad := map[string]any{"trap": true, "user": "bob"}
	at := func(sec int, body any) []byte { return oracle.Pack([]any{[]any{sec, map[string]any{}}, body}) }
	marker := func(sec int) []byte {
		return oracle.Pack([]any{[]any{sec, map[string]any{}}, map[string]any{}})
	}
	for _, test := range []struct {
		name string
		o    options.Options
		in   [][]byte
		want string
	}{
		{"first", options.Options{}, [][]byte{at(0, bad)}, "record 1 of a chunk (tag app.log, time 1970-01-01T00:00:00Z) passed through unchanged: function filter: unreachable"},
		{"markers don't count", options.Options{OnError: options.Drop}, [][]byte{marker(-1), at(1, map[string]any{}), marker(-2), at(1700000000, bad)},
			"record 2 of a chunk (tag app.log, time 2023-11-14T22:13:20Z) dropped (on_error drop): function filter"},
		{"excerpt", options.Options{LogFailed: true}, [][]byte{at(1, map[string]any{"trap": true})}, `; it is {"trap":true}`},
		{"long", options.Options{LogFailed: true}, [][]byte{at(1, map[string]any{"trap": true, "x": strings.Repeat("x", 2000)})}, "more bytes)"},
		{"not a map", options.Options{LogFailed: true}, [][]byte{at(1, "a\nb")}, `its body is not a map; it is "a\nb"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := startWith(t, test.o, guests.WAT("trap_when_told"))
			f.Run(tag, join(test.in...))
			if f.count(hostlog.Error, test.want) != 1 {
				t.Errorf("want %q, got %v", test.want, f.logs)
			}
		})
	}

	// Workers have parts of a chunk.
	f := startWith(t, options.Options{Workers: 3}, guests.WAT("trap_when_told"))
	var in []byte
	for i := range 30 {
		body := map[string]any{"n": i}
		if i == 26 {
			body = bad
		}
		in = append(in, at(i, body)...)
	}
	f.Run(tag, in)
	if f.count(hostlog.Error, "record 27 of a chunk (tag app.log, time 1970-01-01T00:00:26Z)") != 1 {
		t.Error(f.logs)
	}
}

// A marked record has what the log says of its failure, in the metadata or the body: of an error that a batch guest
// reports code and text, as one line of what can be seen.
func TestMarkSaysWhatTheGuestReports(t *testing.T) {
	const reason = `the guest reports an error: code 7: "no\x00 \xff\x1b[1m\u{202e} user “é”"`
	text := []byte("no\x00 \xff\x1b[1m\u202e user “é”")
	in := join(event(1, map[string]any{"a": 1}), oracle.Pack([]any{5, map[string]any{"a": 2}}))
	ops := []batchOp{{of: 0, kind: opError, a: 7, bytes: text}, {of: 1, kind: opError, a: 7, bytes: text}}
	for key, want := range map[string][]byte{
		"": join(
			oracle.Pack([]any{[]any{1, map[string]any{MarkKey: reason}}, map[string]any{"a": 1}}),
			oracle.Pack([]any{5, map[string]any{"a": 2, MarkKey: reason}}),
		),
		"why": join(event(1, map[string]any{"a": 1, "why": reason}), oracle.Pack([]any{5, map[string]any{"a": 2, "why": reason}})),
	} {
		f := startScript(t, options.Options{OnError: options.Mark, MarkKey: key})
		out, _ := f.Run(script(ops, nil), in)
		if diff := cmp.Diff(decode(t, want), decode(t, out)); diff != "" {
			t.Errorf("mark_key %q: %s", key, diff)
		}
		if f.count(hostlog.Error, reason) != 1 {
			t.Errorf("mark_key %q: %v", key, f.logs)
		}
	}

	// Without a text there is the code; of a long one as much as of other texts in messages.
	f := startScript(t, options.Options{OnError: options.Mark, MarkKey: "why"})
	ops = []batchOp{{of: 0, kind: opError, a: 1}, {of: 1, kind: opError, a: 2, bytes: bytes.Repeat([]byte{0xff}, 1024)}}
	out, _ := f.Run(script(ops, nil), in)
	want := join(
		event(1, map[string]any{"a": 1, "why": "the guest reports an error: code 1"}),
		oracle.Pack([]any{5, map[string]any{"a": 2, "why": `the guest reports an error: code 2: "` + strings.Repeat(`\xff`, 1024) + `"`}}),
	)
	if diff := cmp.Diff(decode(t, want), decode(t, out)); diff != "" {
		t.Error(diff)
	}
}

// mark_key sets a key of the body, which a filter or an output can route by.
func TestMarkKey(t *testing.T) {
	f := startWith(t, options.Options{OnError: options.Mark, MarkKey: "why"}, guests.WAT("trap_when_told"))
	in := join(
		event(1, map[string]any{"trap": true}),
		oracle.Pack([]any{5, map[string]any{"trap": true}}),
		oracle.Pack([]any{[]any{6, map[string]any{}}, []any{"no map"}}),
	)
	out, _ := f.Run(tag, in)
	const reason = "the guest trapped"
	want := join(
		event(1, map[string]any{"trap": true, "why": reason}),
		oracle.Pack([]any{5, map[string]any{"trap": true, "why": reason}}),
		oracle.Pack([]any{[]any{6, map[string]any{}}, []any{"no map"}}),
	)
	if diff := cmp.Diff(decode(t, want), decode(t, out)); diff != "" {
		t.Error(diff)
	}
	// A key that is there is replaced.
	out, _ = f.Run(tag, oracle.Pack([]any{5, map[string]any{"why": "before", "trap": true}}))
	if diff := cmp.Diff([]any{[]any{int64(5), map[any]any{"trap": true, "why": reason}}}, decode(t, out)); diff != "" {
		t.Error(diff)
	}
}
