package filter

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// Operations by their numbers in docs/abi.md.
const (
	opDrop = 1 + iota
	opError
	opTime
	opReplace
	opSet
	opAdd
	opRemove
	opPut
	opEmit
	opEmitTo
)

// batchOp is one of a reply. Its bytes are put where the guest can say their address.
type batchOp struct {
	of         uint32
	kind, part byte
	a, b       uint32
	bytes      []byte
}

// Where batch_script has its reply and its input.
const (
	scriptReply = 65536
	scriptInput = 1048576
)

// script is the tag that has batch_script reply by these operations.
func script(events, groups []batchOp) []byte {
	reply := make([]byte, 16, 16+24*(len(events)+len(groups)))
	var data []byte
	dataAt := uint32(scriptReply + cap(reply))
	for _, o := range append(append([]batchOp{}, events...), groups...) {
		reply = binary.LittleEndian.AppendUint32(reply, o.of)
		reply = append(reply, o.kind, o.part, 0, 0)
		for _, v := range []uint32{o.a, o.b, dataAt + uint32(len(data)), uint32(len(o.bytes))} {
			reply = binary.LittleEndian.AppendUint32(reply, v)
		}
		data = append(data, o.bytes...)
	}
	for i, v := range []int{scriptReply + 16, len(events), scriptReply + 16 + 24*len(events), len(groups)} {
		binary.LittleEndian.PutUint32(reply[4*i:], uint32(v))
	}
	return append(reply, data...)
}

func packedValue(v any) []byte { return oracle.Pack(v) }

func member(key string, value any) []byte { return append(packedValue(key), packedValue(value)...) }

func startScript(t testing.TB, o options.Options) *fixture {
	t.Helper()
	if o.BatchRecords == 0 {
		o.BatchRecords = 1000
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = 1 << 20
	}
	o.Timeout = time.Minute
	return startWith(t, o, guests.WAT("batch_script"))
}

func TestBatchOperations(t *testing.T) {
	f := startScript(t, options.Options{})
	body := func(s string) map[any]any { return map[any]any{"log": s} }
	chunk := join(event(1, body("a")), event(2, body("b")), event(3, body("c")), event(4, body("d")))
	for _, test := range []struct {
		name string
		ops  []batchOp
		want []any
	}{
		{"keep", nil, []any{body("a"), body("b"), body("c"), body("d")}},
		{"drop", []batchOp{{of: 1, kind: opDrop}}, []any{body("a"), body("c"), body("d")}},
		{"replace", []batchOp{{of: 1, kind: opReplace, bytes: packedValue(body("x"))}}, []any{body("a"), body("x"), body("c"), body("d")}},
		{"set", []batchOp{{of: 0, kind: opSet, bytes: member("log", 5)}, {of: 3, kind: opSet, bytes: member("k", 6)}},
			[]any{map[any]any{"log": int64(5)}, body("b"), body("c"), map[any]any{"log": "d", "k": int64(6)}}},
		{"add", []batchOp{{of: 2, kind: opAdd, a: 2, bytes: append(member("k", 1), member("l", 2)...)}},
			[]any{body("a"), body("b"), map[any]any{"log": "c", "k": int64(1), "l": int64(2)}, body("d")}},
		{"remove", []batchOp{{of: 2, kind: opRemove, bytes: packedValue("log")}}, []any{body("a"), body("b"), map[any]any{}, body("d")}},
		{"put", []batchOp{{of: 2, kind: opPut, a: 5, b: 2, bytes: packedValue("longer than it was")}},
			[]any{body("a"), body("b"), body("longer than it was"), body("d")}},
	} {
		out, modified := f.Run(script(test.ops, nil), chunk)
		if !modified {
			out = chunk
		}
		if modified != (len(test.ops) > 0) {
			t.Errorf("%s: modified %v", test.name, modified)
		}
		if diff := cmp.Diff(test.want, bodies(t, out)); diff != "" {
			t.Errorf("%s: %s\n%v", test.name, diff, f.logs)
		}
	}
}

// Each code of an error has a line in the log, and a count, up to a number of codes.
func TestErrorsByCode(t *testing.T) {
	f := startScript(t, options.Options{OnError: options.Drop})
	chunk := join(event(1, map[string]any{"a": 1}), event(2, map[string]any{"a": 2}))
	const codes = 100
	for code := range uint32(codes) {
		ops := []batchOp{{of: 1, kind: opError, a: code, bytes: []byte("bad \x1b[1m")}}
		for range 2 {
			if out, _ := f.Run(script(ops, nil), chunk); len(decode(t, out)) != 1 {
				t.Fatalf("code %d: % x", code, out)
			}
		}
	}
	if n := f.count(hostlog.Error, `the guest reports an error: code `); n != maxErrorCodes+1 {
		t.Errorf("%d lines", n)
	}
	if n := f.count(hostlog.Error, `record 2 of a chunk (tag`); n != maxErrorCodes+1 {
		t.Errorf("%d lines with the record's number", n)
	}
	if n := f.count(hostlog.Error, `: code 7: "bad \x1b[1m"`); n != 1 {
		t.Errorf("%d lines of code 7", n)
	}
	s := f.Stats()
	if s.Failed != 2*codes || s.OtherErrors != 2*(codes-maxErrorCodes) || s.Errors[31] != (errorCount{31, 2}) {
		t.Errorf("%+v", s)
	}
	if text := s.String(); !strings.Contains(text, "; errors by code: 2 of 0, 2 of 1, ") || !strings.Contains(text, ", 2 of 31, 136 of others") {
		t.Error(text)
	}
}

// What a module has had no room for goes to it in halves; what it has seen does so with retry_batch alone, and
// never to one that is stateful.
func TestBatchAgain(t *testing.T) {
	const refused = "(drop (memory.grow (i32.const 65000)))"
	module := func(stateful bool, buffer, call string) string {
		marker := ""
		if stateful {
			marker = `(func (export "flb_stateful"))`
		}
		return `(module (memory (export "memory") 17) (func (export "flb_batch_1")) ` + marker + `
  (func (export "flb_buffer") (param $n i32) (result i32) ` + buffer + `)
  (func (export "filter") (param i32 i32) (result i32) ` + call + ` (i32.const 0)))`
	}
	const room, noRoom = "(i32.const 65536)", refused + "(i32.const 0)"
	for _, test := range []struct {
		name            string
		stateful, retry bool
		buffer, call    string
		again           bool
	}{
		{"no room", false, false, noRoom, "", true},
		{"no room, stateful", true, true, noRoom, "", true},
		{"no memory in the call", false, false, room, refused, false},
		{"no memory in the call, retry_batch", false, true, room, refused, true},
		{"no memory in the call, stateful", true, true, room, refused, false},
		{"trap, stateful", true, true, room, "(unreachable)", false},
		{"trap, retry_batch", false, true, room, "(unreachable)", true},
	} {
		f := startWith(t, options.Options{BatchRecords: 1000, BatchBytes: 1 << 20, RetryBatch: test.retry, Timeout: time.Minute,
			MemoryLimitBytes: 16 << 20}, module(test.stateful, test.buffer, test.call))
		chunk := join(event(1, map[any]any{"a": 1}), event(2, map[any]any{"b": 2}), event(3, map[any]any{"c": 3}))
		if _, modified := f.Run(tag, chunk); modified {
			t.Errorf("%s: modified", test.name)
		}
		if s := f.Stats(); s.Failed != 3 || s.Records != 3 {
			t.Errorf("%s: %v", test.name, s)
		}
		again := slices.ContainsFunc(f.logs, func(l logged) bool { return strings.Contains(l.line, "is run again in halves") })
		if again != test.again {
			t.Errorf("%s: run again: %v\n%v", test.name, again, f.logs)
		}
	}
}

// groupOf is the chunk of a group of records, which tell batch_told what to do.
func groupOf(name string, letters ...string) []byte {
	chunk := groupStart(object{"g": name})
	for _, do := range letters {
		chunk = append(chunk, event(1, object{"do": do})...)
	}
	return append(chunk, groupEnd()...)
}

// A group of which no record comes out because they have failed goes with its markers, as long as failed
// records are dropped. One that the guest has emptied stays.
func TestLostGroups(t *testing.T) {
	type list = []any
	one := packedValue(list{int64(5), object{"n": 1}})
	noMap := packedValue(list{int64(5), 7})
	for _, test := range []struct {
		name    string
		records int
		chunk   []byte
		want    []byte
	}{
		{"trap", 1000, groupOf("a", "u", "."), nil},
		{"reply", 1000, join(groupOf("a", "p"), groupOf("b", ".")), nil},
		{"trap in each batch", 1, groupOf("a", "u", "u"), nil},
		{"error", 1000, groupOf("a", "c", "c"), nil},
		{"breach", 1000, join(groupOf("a", "b"), one), one},
		{"unusable", 1000, join(groupStart(object{"g": "a"}), noMap, groupEnd()), nil},
		{"each by something else", 1, join(groupStart(object{"g": "a"}), event(1, object{"do": "u"}), event(1, object{"do": "c"}), noMap, groupEnd()), nil},
		{"dropped by the guest", 1000, groupOf("a", "D", "c"), groupOf("a")},
		{"dropped by the guest in another batch", 1, groupOf("a", "u", "D"), groupOf("a")},
		{"part", 1, groupOf("a", "u", ".", "u"), groupOf("a", ".")},
		{"others", 1, join(groupOf("a", "."), groupOf("b", "u"), groupOf("c", ".")), join(groupOf("a", "."), groupOf("c", "."))},
		{"without records", 1000, groupOf("a"), groupOf("a")},
		{"without records in a failed batch", 1000, join(groupOf("a"), groupOf("b", "u"), groupOf("c")), nil},
		{"without records, behind a failed batch", 1, join(groupOf("a", "u"), groupOf("b")), groupOf("b")},
		{"no end", 1000, groupOf("a", "u")[:len(groupOf("a", "u"))-len(groupEnd())], nil},
		{"the end is another's", 1, join(groupOf("a", ".")[:len(groupOf("a", "."))-len(groupEnd())], groupOf("b", "u"), one), join(groupOf("a", "."), one)},
		{"the end is another's, which is lost", 1, join(groupOf("a", "u")[:len(groupOf("a", "u"))-len(groupEnd())], groupOf("b", "u"), one), one},
	} {
		for _, onError := range []options.OnError{options.Drop, options.Passthrough} {
			f := startWith(t, options.Options{BatchRecords: test.records, BatchBytes: 1 << 20, OnError: onError, Timeout: time.Minute}, guests.WAT("batch_told"))
			out, modified := f.Run(tag, test.chunk)
			if !modified {
				out = test.chunk
			}
			if diff := cmp.Diff(decode(t, test.want), decode(t, out)); onError == options.Drop && diff != "" {
				t.Errorf("%s: %s", test.name, diff)
			}
			if kept := strings.Count(string(out), "schema"); onError != options.Drop && kept != strings.Count(string(test.chunk), "schema") {
				t.Errorf("%s: %d groups come out with on_error passthrough", test.name, kept)
			}
		}
	}
}

// trapsAlone is a batch guest that traps when it is called for groups alone.
const trapsAlone = `(module (memory (export "memory") 17) (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $in i32) (param i32) (result i32)
    (if (i32.eqz (i32.load offset=20 (local.get $in))) (then (unreachable)))
    (i32.const 0)))`

// A call for groups alone that fails has a line in the log and counts for the breaker, and no record has
// failed. Groups do not pass by a module that is left out, if on_error is drop, nor does their end.
func TestGroupsAloneFail(t *testing.T) {
	for _, onError := range []options.OnError{options.Drop, options.Mark} {
		f := startWith(t, options.Options{BatchRecords: 1000, BatchBytes: 1 << 20, OnError: onError, Timeout: time.Minute,
			BreakerFailures: 3, BreakerBackoff: time.Hour}, trapsAlone)
		now := time.Now()
		f.breaker.now = func() time.Time { return now }
		chunk := join(groupOf("a"), groupOf("b"))
		for i := range 5 {
			out, modified := f.Run(tag, chunk)
			if drop := onError == options.Drop; modified != drop || len(out) > 0 {
				t.Errorf("%v, chunk %d: modified %v, %d bytes", onError, i, modified, len(out))
			}
		}
		fate := map[options.OnError]string{options.Drop: "dropped (on_error drop)", options.Mark: "pass through unchanged"}[onError]
		if n := f.count(hostlog.Error, "groups without records, 2 of a chunk (tag "+string(tag)+"), "+fate+": function filter: "); n == 0 {
			t.Errorf("no line: %v", f.logs)
		}
		if s := f.Stats(); s.Records+s.Failed > 0 || s.GivenUp != 3 {
			t.Errorf("%+v", s)
		}
		if state := f.breaker.state(); state != open {
			t.Errorf("breaker %v after three calls", state)
		}
		// While a group goes by, the module comes back: what it says of the group counts.
		now = now.Add(2 * time.Hour)
		out, modified := f.Run(tag, groupOf("a", "."))
		if state := f.breaker.state(); modified || state != closed {
			t.Errorf("breaker %v, %v", state, decode(t, out))
		}
	}
}

// A group without records that a call has failed for comes out if a later call is answered with it.
func TestGroupAloneIsAnsweredLater(t *testing.T) {
	start, rest := groupStart(object{"g": "a"}), join(groupEnd(), event(1, object{"a": 1}))
	if len(rest) > len(start) {
		t.Fatal("the second batch has no room for an event")
	}
	f := startWith(t, options.Options{BatchRecords: 1000, BatchBytes: int64(len(start)), OnError: options.Drop, Timeout: time.Minute}, trapsAlone)
	if out, modified := f.Run(tag, join(start, rest)); modified || f.Stats().GivenUp != 1 {
		t.Errorf("%v: %v", f.Stats(), decode(t, out))
	}
}

// The module is not called for a group that is dropped anyway.
func TestNoCallForALostGroup(t *testing.T) {
	trapping := strings.Replace(trapsAlone, "(i32.eqz (i32.load offset=20 (local.get $in)))", "(i32.const 1)", 1)
	for onError, calls := range map[options.OnError]uint64{options.Drop: 1, options.Mark: 2} {
		f := startWith(t, options.Options{BatchRecords: 1, BatchBytes: 1 << 20, OnError: onError, Timeout: time.Minute}, trapping)
		f.Run(tag, groupOf("a", "."))
		if n := f.Stats().GivenUp; n != calls {
			t.Errorf("%v: %d calls, want %d", onError, n, calls)
		}
	}
}

// What is wrong with the reply for groups alone is in the log.
func TestBadReplyForGroupsAlone(t *testing.T) {
	f := startScript(t, options.Options{OnError: options.Drop})
	if out, modified := f.Run(script([]batchOp{{kind: opDrop}}, nil), groupOf("a")); !modified || len(out) > 0 {
		t.Errorf("%v", decode(t, out))
	}
	want := "groups without records, 1 of a chunk (tag "
	if f.count(hostlog.Error, want) != 1 || f.count(hostlog.Error, "not in the order of the events") != 1 {
		t.Error(f.logs)
	}
}

// An answer for groups alone brings the module back.
func TestGroupsAloneCloseTheBreaker(t *testing.T) {
	f := startScript(t, options.Options{OnError: options.Drop, BreakerFailures: 1, BreakerBackoff: time.Hour})
	now := time.Now()
	f.breaker.now = func() time.Time { return now }
	f.Run(script([]batchOp{{kind: 77}}, nil), groupOf("a", "."))
	if state := f.breaker.state(); state != open {
		t.Fatalf("breaker %v", state)
	}
	now = now.Add(2 * time.Hour)
	if _, modified := f.Run(nil, groupOf("a")); modified || f.breaker.state() != closed {
		t.Errorf("modified %v, breaker %v", modified, f.breaker.state())
	}
}

// A group that begins while the module is left out may be changed once it is back.
func TestGroupOfAModuleThatComesBack(t *testing.T) {
	f := startScript(t, options.Options{BatchRecords: 1, OnError: options.Passthrough, BreakerFailures: 1, BreakerBackoff: time.Hour})
	from := time.Now()
	asked := 0
	f.breaker.now = func() time.Time { // at the third event it may come back
		if asked++; asked > 3 {
			return from.Add(2 * time.Hour)
		}
		return from
	}
	f.breaker.until = from.Add(time.Hour)
	reply := script(nil, []batchOp{{kind: opAdd, a: 1, bytes: member("k", 1)}})
	out, _ := f.Run(reply, groupOf("a", ".", ".", "."))
	if len(out) == 0 {
		t.Fatal(f.logs)
	}
	got := bodies(t, out)
	if diff := cmp.Diff(map[any]any{"g": "a", "k": int64(1)}, got[0]); diff != "" || len(got) != 5 {
		t.Errorf("%d events, %s", len(got), diff)
	}
}

// emittedTo is the bytes of an emit: an event with this body in the group of that number.
func emittedTo(group uint32, body []byte, at uint32) []byte {
	b := binary.LittleEndian.AppendUint64(nil, ^uint64(0))
	for _, v := range []uint32{0, group, 0, 0, at + 32, uint32(len(body))} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, body...)
}

// A marker that has been edited goes from batch to batch, for events that are emitted behind others.
func TestEditedMarkerStandsInLaterBatches(t *testing.T) {
	f := startWith(t, options.Options{BatchRecords: 2, BatchBytes: 1 << 20, Timeout: time.Minute}, batchGuest(polite, false))
	// Each batch has the end of a group and the begin of another. Its first event emits one to no group, so
	// that the group goes on behind another marker.
	chunk := join(groupOf("a", "."), groupOf("b", ".", "."), groupOf("c", ".", "."), groupOf("d", "."))
	const ops = 3
	events := []batchOp{{kind: opEmit, bytes: emittedTo(0, packedValue(object{"e": 1}), scriptReply+16+24*ops)}}
	out, _ := f.Run(script(events, []batchOp{
		{of: 0, kind: opAdd, a: 1, bytes: member("edited", 1)},
		{of: 1, kind: opAdd, a: 1, bytes: member("edited", "a longer one")},
	}), chunk)
	groups := map[any]int{}
	for _, body := range bodies(t, out) {
		b := body.(map[any]any)
		if b["g"] != nil {
			groups[b["g"]]++
			if b["edited"] == nil {
				t.Errorf("%v is not edited", b)
			}
		}
	}
	if len(out) == 0 || f.Stats().Failed > 0 || groups["b"] < 2 || groups["c"] < 2 {
		t.Errorf("%v, %v\n%v", groups, f.Stats(), f.logs)
	}
}

// A batch that fails for what it says of a second group leaves the first as it came, which began before.
func TestFailedBatchLeavesTheGroupBefore(t *testing.T) {
	f := startScript(t, options.Options{BatchRecords: 2})
	chunk := join(groupOf("a", ".", ".", "."), groupOf("b", "."))
	// There is no second group in the first batch, and what is said of it in the second one is a breach.
	reply := script(nil, []batchOp{{of: 0, kind: opAdd, a: 1, bytes: member("k", 1)}, {of: 1, kind: opAdd, a: 1, bytes: []byte{0xc1}}})
	if out, modified := f.Run(reply, chunk); modified {
		t.Errorf("%v", decode(t, out))
	}
	if s := f.Stats(); s.Failed != 4 {
		t.Error(s)
	}
}

// The log says of a failed batch which record is its first, and when that is, though a marker comes before.
func TestFailedBatchOfAGroupInTheLog(t *testing.T) {
	f := startWith(t, options.Options{BatchRecords: 1000, BatchBytes: 1 << 20, Timeout: time.Minute}, guests.WAT("batch_told"))
	f.Run(tag, groupOf("a", "u"))
	if f.count(hostlog.Error, "record 1 of a chunk (tag "+string(tag)+", time 1970-01-01T00:00:01Z) ") != 1 {
		t.Error(f.logs)
	}
}
