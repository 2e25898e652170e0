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
