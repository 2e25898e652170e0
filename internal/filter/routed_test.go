package filter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// The marker that ends a group is one by package chunk, too.
func TestGroupEnd(t *testing.T) {
	if want := chunk.AppendRecord(nil, -2, 0, nil, []byte{0x80}); !bytes.Equal(guest.GroupEnd, want) {
		t.Errorf("%x, want %x", guest.GroupEnd, want)
	}
	if e, rest, err := chunk.Next(guest.GroupEnd); err != nil || e.Kind != chunk.GroupEnd || len(rest) > 0 {
		t.Errorf("it is read as %+v, %v", e, err)
	}
}

// taken is what TakeRouted returns, as values.
func taken(t *testing.T, f *Filter) map[string][]any {
	t.Helper()
	all := map[string][]any{}
	for _, r := range f.TakeRouted() {
		if all[r.Tag] != nil {
			t.Errorf("the tag %q is there twice", r.Tag)
		}
		all[r.Tag] = decode(t, r.Events)
	}
	return all
}

// tellingRouter routes each record to the tag "to." and the first letter of its body's value, and traps
// behind that if it is "!". It is a guest of six arguments for MessagePack, {"to":"x…"}.
const tellingRouter = `(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 1024) "to.")
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 1027) (i32.load8_u offset=5 (local.get 4)))
    (if (call $emit_to (i32.const 1024) (i32.const 4) (local.get 4) (local.get 5) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0))
      (then unreachable))
    (if (i32.eq (i32.load8_u (i32.const 1027)) (i32.const 0x21)) (then unreachable))
    (i32.const 0)))`

// Records that are routed arrive each once, in their order, whether instances share the chunk or not, and those
// of groups with the markers of these.
func TestRouted(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var data []byte
	want := map[string][]any{}
	var group any
	const letters = "abc"
	end := decode(t, groupEnd())[0]
	last := map[string]any{} // the group that was open under each tag
	add := func(tag string, ev any) {
		if last[tag] != group {
			if last[tag] != nil {
				want[tag] = append(want[tag], end)
			}
			if group != nil {
				want[tag] = append(want[tag], group)
			}
			last[tag] = group
		}
		want[tag] = append(want[tag], ev)
	}
	records := 0
	for g := range 40 {
		group = nil
		if g%3 == 0 {
			marker := groupStart(object{"g": g})
			data = append(data, marker...)
			v := decode(t, marker)[0]
			group = &v
		}
		for range random.IntN(30) {
			tag := letters[random.IntN(len(letters)):][:1]
			ev := event(int64(records), object{"to": tag})
			records++
			data = append(data, ev...)
			add("to."+tag, decode(t, ev)[0])
		}
		if g%3 == 0 {
			data = append(data, groupEnd()...)
		}
	}
	for tag, open := range last {
		if open != nil {
			want[tag] = append(want[tag], end)
		}
		for i, v := range want[tag] {
			if p, ok := v.(*any); ok {
				want[tag][i] = *p
			}
		}
	}
	for _, workers := range []int{1, 3} {
		f := startWith(t, options.Options{EventFormat: options.Msgpack, EmitTags: []string{"to.?", "to.*"}, Workers: workers, Timeout: time.Minute}, tellingRouter)
		for range 2 {
			out, modified := f.Run(tag, data)
			if n := len(decode(t, out)); !modified || n != 28 { // markers
				t.Errorf("%d workers: %v, %d events are left", workers, modified, n)
			}
			if diff := cmp.Diff(want, taken(t, f.Filter)); diff != "" {
				t.Errorf("%d workers: %s", workers, diff)
			}
		}
		if s := f.Stats(); s.Elsewhere != 2*uint64(records) || s.Routed != s.Elsewhere || s.Dropped != 0 || !strings.Contains(s.String(), fmt.Sprintf(" 0 dropped by the guest, %d routed, 0 failed;", s.Routed)) || !strings.Contains(s.String(), fmt.Sprintf("; %d emitted under other tags;", 2*records)) {
			t.Errorf("%d workers: %v", workers, s)
		}
	}
}

// Hops are counted by workers, too: else a loop through another plugin's emitter would not be seen.
func TestRoutedHops(t *testing.T) {
	var data []byte
	for i := range 100 {
		data = append(data, event(int64(i), object{"to": "a"})...)
	}
	for _, workers := range []int{1, 3} {
		f := startWith(t, options.Options{EventFormat: options.Msgpack, EmitTags: []string{"to.*"}, Workers: workers, Timeout: time.Minute}, tellingRouter)
		for _, want := range []uint32{1, 0} {
			f.lane.CountHops(want > 0, 0)
			f.Run(tag, data)
			n := 0
			for r := range f.lane.TakeJournal() {
				if n++; r.Hops != want {
					t.Fatalf("%d workers: event %d has come through %d filters, want %d", workers, n, r.Hops, want)
				}
			}
			if n != 100 {
				t.Errorf("%d workers: %d events", workers, n)
			}
		}
	}
}

// What a chunk that can't be read has emitted is gone with the rest of it, and what was there before stays.
func TestRoutedOfForgottenChunk(t *testing.T) {
	for _, workers := range []int{1, 2} {
		f := startWith(t, options.Options{EventFormat: options.Msgpack, EmitTags: []string{"to.*"}, Workers: workers, Timeout: time.Minute}, tellingRouter)
		good := join(event(1, object{"to": "a"}), event(2, object{"to": "b"}))
		f.Run(tag, good)
		if _, modified := f.Run(tag, append(bytes.Clone(good), 0xc1)); modified {
			t.Error("modified")
		}
		if got := taken(t, f.Filter); len(got["to.a"]) != 1 || len(got["to.b"]) != 1 || len(got) != 2 {
			t.Errorf("%d workers: %v", workers, got)
		}
		if got := taken(t, f.Filter); len(got) > 0 {
			t.Errorf("%d workers: again %v", workers, got)
		}
		if s := f.Stats(); s.Elsewhere != 2 {
			t.Errorf("%d workers: %v", workers, s)
		}
	}
}

// A record that fails after it has emitted has nothing come out.
func TestRoutedOfFailedRecord(t *testing.T) {
	f := startWith(t, options.Options{EventFormat: options.Msgpack, EmitTags: []string{"*"}, Timeout: time.Minute}, tellingRouter)
	out, _ := f.Run(tag, join(event(1, object{"to": "a"}), event(2, object{"to": "!"}), event(3, object{"to": "a"})))
	if got := decode(t, out); len(got) != 1 {
		t.Error(got)
	}
	if got := taken(t, f.Filter); len(got) != 1 || len(got["to.a"]) != 2 {
		t.Error(got)
	}
}

// A module that imports emit_to does not start without emit_tags, and is told by which option it would.
func TestEmitToIsGranted(t *testing.T) {
	_, err := New(options.Options{WasmPath: writeGuest(t, tellingRouter), FunctionName: "filter"}, func(hostlog.Level, string) {})
	if err == nil || !strings.Contains(err.Error(), "emit_to") || !strings.Contains(err.Error(), "set emit_tags") {
		t.Error(err)
	}
}

// Each answer of emit_to is the documented one; tags at the edges of what is one, and of memory.
func TestEmitToAnswers(t *testing.T) {
	long := strings.Repeat("t", 1024)
	for _, test := range []struct {
		name, program string
		codes         uint32 // two bits each: 0, -1 is 3, -2 is 2
		routed        []string
	}{
		{"one", emitTo("x", `{"a":1}`, "", -1, 0), 0, []string{"x"}},
		{"long", emitTo(long, `{"a":1}`, "", -1, 0), 0, []string{long}},
		{"too long", emitTo(long+"t", `{"a":1}`, "", -1, 0), 2, nil},
		{"empty", emitTo("", `{"a":1}`, "", -1, 0), 2, nil},
		{"other", emitTo("y", `{"a":1}`, "", -1, 0), 2, nil},
		{"control", emitTo("tt\x1ft", `{"a":1}`, "", -1, 0), 2, nil},
		{"delete", emitTo("tt\x7ft", `{"a":1}`, "", -1, 0), 2, nil},
		{"any byte", emitTo("tt\xff\x80 ", `{"a":1}`, "", -1, 0), 0, []string{"tt\xff\x80 "}},
		{"no body", emitTo("x", "", "", -1, 0), 3, nil},
		{"time", emitTo("x", `{"a":1}`, "", 1<<32-2, 0), 3, nil},
		{"after one that is granted", emitTo("x", `{"a":1}`, "", -1, 0) + emitTo("y", `{"a":1}`, "", -1, 0) + emitTo("x", `{"a":1}`, "", -1, 0), 2 << 2, []string{"x", "x"}},
		{"a prefix of one that is granted", emitTo("ttt", `{"a":1}`, "", -1, 0) + emitTo("t", `{"a":1}`, "", -1, 0), 2, []string{"ttt"}},
	} {
		f := startWith(t, options.Options{EmitTags: []string{"x", "tt*"}}, routingInterpreter)
		out, _ := f.Run([]byte(test.program+op('c', `{"codes":1}`)), event(7, object{"log": "x"}))
		if got, _ := readChunk(t, out); len(got) != 2 || got[1].Sec != int64(test.codes) {
			t.Errorf("%s: %v", test.name, decode(t, out))
		}
		var tags []string
		for r := range f.lane.TakeJournal() {
			tags = append(tags, string(r.Tag))
		}
		if diff := cmp.Diff(test.routed, tags); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// A record can emit until all that it has given is too much, and the chunk has no more than it may. The buffers
// for that are given back.
func TestManyRouted(t *testing.T) {
	text := `(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 1024) "x\80")
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $n i32)
    (loop $again
      (if (call $emit_to (i32.const 1024) (i32.const 1) (i32.const 1025) (i32.const 1) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0))
        (then (return (i32.const 0))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 1000000))))
    (i32.const 0)))`
	f := startWith(t, options.Options{EventFormat: options.Msgpack, EmitTags: []string{"x"}, Timeout: time.Minute}, text)
	one := event(1, object{"to": "a"})
	f.Run(tag, one)
	n := 0
	for r := range f.lane.TakeJournal() {
		if string(r.Tag) != "x" || len(r.Event) != 5 {
			t.Fatalf("%q % x", r.Tag, r.Event)
		}
		n++
	}
	if n != 1_000_000 {
		t.Errorf("%d events", n)
	}
	// Of a chunk with more of them, some fail for want of room, and all that come out stay within it.
	f.Run(tag, bytes.Repeat(one, 10))
	size, n := 0, 0
	for r := range f.lane.TakeJournal() {
		size += len(r.Tag) + len(r.Event)
		n++
	}
	s := f.Stats()
	if s.Causes[chunkTooLarge] == 0 || n == 0 || n%1_000_000 != 0 || uint64(n/1_000_000) != s.Routed-1 || size > 128<<20+20*len(one) {
		t.Errorf("%d events of %d bytes: %v", n, size, s)
	}
	f.Run(tag, one[:0])
	f.lane.TakeJournal()
	f.lane.TakeJournal() // the buffer that the first was given is looked at
	if n := f.lane.KeptBytes(); n > 16<<20 {
		t.Errorf("%d bytes are kept", n)
	}
}

// The same by a million operations of a batch guest on one event, half of which may not be.
func TestManyRoutedOfABatch(t *testing.T) {
	f := startScript(t, options.Options{EmitTags: []string{"x"}})
	const n = 2000
	var ops []batchOp
	for range n {
		ops = append(ops, batchOp{kind: opEmitTo, bytes: routedBytes("x", object{"a": 1})})
	}
	at := scriptReply + 16 + 24*(n)
	for i := range ops {
		locate(ops[i].bytes, uint32(at))
		at += len(ops[i].bytes)
	}
	chunk := event(1, object{"log": "x"})
	_, modified := f.Run(script(ops, nil), chunk)
	if got := taken(t, f.Filter); len(got["x"]) != n || modified { // it stays as it came
		t.Error(len(got["x"]), modified)
	}
	ops[n-1].bytes[32]++ // the last tag is another one
	ops[n-1].bytes[36]++
	f.Run(script(ops, nil), chunk)
	if got := taken(t, f.Filter); len(got) > 0 {
		t.Error(len(got["x"]))
	}
	if s := f.Stats(); s.Failed != 1 || s.Elsewhere != n || s.Returned != 1 {
		t.Error(s)
	}
}

// A record that leaves its chunk for several tags is routed once; one that stays is returned.
func TestRoutedRecordsAreCountedOnce(t *testing.T) {
	f := startScript(t, options.Options{EmitTags: []string{"x", "y"}})
	ops := []batchOp{
		{of: 0, kind: opDrop}, {of: 0, kind: opEmitTo, bytes: routedBytes("x", object{})}, {of: 0, kind: opEmitTo, bytes: routedBytes("y", object{})},
		{of: 1, kind: opEmitTo, bytes: routedBytes("x", object{})}, {of: 1, kind: opEmitTo, bytes: routedBytes("y", object{})},
		{of: 2, kind: opDrop},
	}
	at := uint32(scriptReply + 16 + 24*len(ops))
	for _, o := range ops {
		if o.kind == opEmitTo {
			locate(o.bytes, at)
		}
		at += uint32(len(o.bytes))
	}
	f.Run(script(ops, nil), bytes.Repeat(event(1, object{}), 3))
	if s := f.Stats(); s.Records != 3 || s.Routed != 1 || s.Returned != 1 || s.Dropped != 1 || s.Failed != 0 || s.Elsewhere != 4 {
		t.Error(s)
	}
}

// routedBytes describes an event for another tag; locate has it know where it is.
func routedBytes(tag string, body object) []byte {
	b := make([]byte, 40)
	for i := range 8 {
		b[i] = 0xff
	}
	packed := oracle.Pack(body)
	b[24], b[28], b[32], b[36] = 40, byte(len(packed)), byte(40+len(packed)), byte(len(tag))
	return append(append(b, packed...), tag...)
}

func locate(b []byte, at uint32) {
	for _, word := range [][]byte{b[24:28], b[32:36]} {
		v := uint32(word[0]) + at
		word[0], word[1], word[2], word[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
}

// Why an event of a batch fails names the tag that is not granted, and the option that would; what fails after it for
// something else does not.
func TestTagsThatAreNotGranted(t *testing.T) {
	for want, tags := range map[string][]string{
		"emit_tags does not grant the tag of what is emitted: ":                    {"x"},
		"emit_tags, which is not set, does not grant the tag of what is emitted: ": nil,
	} {
		f := startScript(t, options.Options{EmitTags: tags, OnError: options.Mark})
		ops := []batchOp{
			{of: 0, kind: opEmitTo, bytes: routedBytes("tenant.b", object{})},
			{of: 1, kind: opEmitTo, bytes: routedBytes("a\nb", object{})},
			{of: 2, kind: opPut, a: 1000, b: 1, bytes: []byte{1}},
			{of: 3, kind: opEmitTo, bytes: routedBytes("", object{})},
			{of: 4, kind: opEmitTo, bytes: routedBytes("large", object{})},
		}
		copy(ops[4].bytes[36:], []byte{1, 4}) // 1,025 bytes, of what stands there
		at := uint32(scriptReply + 16 + 24*len(ops))
		for _, o := range ops {
			if o.kind == opEmitTo {
				locate(o.bytes, at)
			}
			at += uint32(len(o.bytes))
		}
		reasonsOf := func(reply []byte, records int) (list []string) {
			out, _ := f.Run(reply, bytes.Repeat(event(1, object{}), records))
			for _, e := range decode(t, out) {
				list = append(list, fmt.Sprint(e.([]any)[0].([]any)[1].(map[any]any)[MarkKey]))
			}
			return list
		}
		reasons := reasonsOf(script(ops, nil), 5)
		const breach = "an operation of the guest's reply is not valid: "
		const size = breach + "the tag of what is emitted has not 1 to 1,024 bytes"
		if len(reasons) != 5 || reasons[0] != breach+want+"tenant.b" || reasons[1] != breach+want+`"a\x0ab"` || strings.Contains(reasons[2], `a\x0ab`) || reasons[3] != size || reasons[4] != size {
			t.Errorf("%q", reasons)
		}
		reasonsOf(script(ops[:1], nil), 1)
		reasons = reasonsOf(script([]batchOp{{of: 7, kind: opDrop}}, nil), 1)
		if len(reasons) != 1 || !strings.HasSuffix(reasons[0], ", or not in the order of the events") {
			t.Errorf("of no tag: %q", reasons)
		}
	}
}

// A failed record leaves the chunk for its tag, as it would be marked, and with its group's marker there; a
// group of which nothing is left goes.
func TestOnErrorRoute(t *testing.T) {
	for _, test := range []struct{ markKey, route, want string }{
		{"", "failed", "failed"},
		{"why", "dead.$TAG[1].$k", "dead.log.v_w"},
	} {
		ok, bad := event(1, object{"a": 1}), event(2, object{"trap": true, "k": "v\nw"})
		f := startWith(t, options.Options{OnError: options.Route, RouteTag: test.route, MarkKey: test.markKey}, guests.WAT("trap_when_told"))
		marked := startWith(t, options.Options{OnError: options.Mark, MarkKey: test.markKey}, guests.WAT("trap_when_told"))
		data := join(ok, bad, groupStart(object{"g": 1}), bad, groupEnd(), groupStart(object{"g": 2}), ok, bad, groupEnd(), ok)
		out, _ := f.Run(tag, data)
		if diff := cmp.Diff(decode(t, join(ok, groupStart(object{"g": 2}), ok, groupEnd(), ok)), decode(t, out)); diff != "" {
			t.Error(diff)
		}
		asMarked, _ := marked.Run(tag, bad)
		want := join(asMarked, groupStart(object{"g": 1}), asMarked, groupEnd(), groupStart(object{"g": 2}), asMarked, groupEnd())
		if diff := cmp.Diff(map[string][]any{test.want: decode(t, want)}, taken(t, f.Filter)); diff != "" {
			t.Error(diff)
		}
		if s := f.Stats(); s.Failed != 3 || s.Elsewhere != 3 || s.Returned != 3 || s.Dropped != 0 {
			t.Error(s)
		}
		if n := f.count(hostlog.Error, "taken out of the chunk, to go under the tag of on_error route"); n == 0 {
			t.Error(f.logs)
		}
	}
}

// Records that never reach a module are routed, too.
func TestOnErrorRouteWithoutModule(t *testing.T) {
	f := startWith(t, options.Options{OnError: options.Route, RouteTag: "failed", BreakerFailures: 1, BreakerBackoff: time.Hour}, guests.WAT("oob_store"))
	data := join(event(1, object{"a": 1}), event(2, object{"a": 2}), oracle.Pack([]any{5, "no map"}))
	if out, modified := f.Run(tag, data); !modified || len(out) > 0 {
		t.Errorf("%v % x", modified, out)
	}
	if got := taken(t, f.Filter); len(got["failed"]) != 3 {
		t.Error(got)
	}
	if s := f.Stats(); s.Causes[breakerOpen] != 1 || s.Causes[recordNotMap] != 1 || s.Failed != 3 {
		t.Error(s)
	}
}

// Hops are counted when that is wanted, from what the record's metadata says; else that begins anew.
func TestHops(t *testing.T) {
	hopsOf := func(f *fixture, data []byte) (list []uint32) {
		f.Run(tag, data)
		for r := range f.lane.TakeJournal() {
			list = append(list, r.Hops)
		}
		return list
	}
	hops := func(v any) []byte { return with(1, 0, object{"a": 1, "wasmtime_hops": v}, object{"to": "a"}) }
	data := join(event(1, object{"to": "a"}), hops(0), hops(1), hops(200), hops(70000), hops(uint64(1<<40)), hops(-1), hops("x"), legacyEvent(1, object{"to": "a"}),
		with(1, 0, object{"wasmtime_hopz": 3, "b": []any{1, object{"wasmtime_hops": 4}}}, object{"to": "a"}))
	f := startWith(t, options.Options{EventFormat: options.Msgpack, EmitTags: []string{"to.*"}, Timeout: time.Minute}, tellingRouter)
	if diff := cmp.Diff([]uint32{0, 0, 1, 1, 1, 1, 0, 0, 0, 0}, hopsOf(f, data)); diff != "" {
		t.Error(diff)
	}
	f.lane.CountHops(true, 0)
	want := []uint32{1, 1, 2, 201, 70001, 1<<32 - 1, 1, 1, 1, 1}
	if diff := cmp.Diff(want, hopsOf(f, data)); diff != "" {
		t.Error(diff)
	}
	b := startScript(t, options.Options{EmitTags: []string{"x"}})
	b.lane.CountHops(true, 0)
	ops := []batchOp{{of: 0, kind: opDrop}, {of: 0, kind: opEmitTo, bytes: routedBytes("x", object{})}, {of: 1, kind: opEmitTo, bytes: routedBytes("x", object{})}}
	at := uint32(scriptReply + 16 + 24*len(ops))
	for _, o := range ops[1:] {
		locate(o.bytes, at)
		at += uint32(len(o.bytes))
	}
	b.Run(script(ops, nil), join(hops(7), event(1, object{})))
	var got []uint32
	for r := range b.lane.TakeJournal() {
		got = append(got, r.Hops)
	}
	if diff := cmp.Diff([]uint32{8, 1}, got); diff != "" {
		t.Error(diff)
	}
}

// A failed record that has no room elsewhere stays in the chunk.
func TestOnErrorRouteWithoutRoom(t *testing.T) {
	f := startWith(t, options.Options{OnError: options.Route, RouteTag: "failed"}, guests.WAT("trap_when_told"))
	start := groupStart(object{"g": strings.Repeat("x", 3<<20)})
	var data []byte
	data = append(data, start...)
	for i := range 60 {
		data = append(data, event(int64(i), object{"trap": true})...)
	}
	data = append(data, groupEnd()...)
	out, modified := f.Run(tag, data)
	if !modified {
		out = data
	}
	routed := 0
	for range f.lane.TakeJournal() {
		routed++
	}
	left := len(decode(t, out)) - 2
	if routed+left != 60 || routed == 0 || left <= 0 || f.count(hostlog.Warn, "on_error route: there is no room") != 1 {
		t.Errorf("%d routed, %d are left", routed, left)
	}
}
