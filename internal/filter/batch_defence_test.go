package filter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// What batch guests may do to the host, and what must not come of it.

// oddMarker is that of a group with that body.
func oddMarker(body any) []byte {
	return oracle.Pack(oracle.Current(oracle.Timestamp(0xffffffff, 0), map[string]any{}, body))
}

// hostileReply is a guest that replies to each batch with n operations, the first ones of 24 bytes each
// of a pattern, whose number grows from event to event or stays 0. The bytes of the pattern stand at
// 1024; from 65536 on memory is what the host has not written to, and 0.
func hostileReply(n int, grows bool, pattern []byte, data string) string {
	step := 0
	if grows {
		step = 1
	}
	return fmt.Sprintf(`(module
  (memory (export "memory") 4000)
  (data (i32.const 1024) "%s")
  (data (i32.const 2048) "%s")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 209715200))
  (func (export "filter") (param i32 i32) (result i32) (local $i i32) (local $op i32)
    (i32.store (i32.const 16) (i32.const 104857600))
    (i32.store (i32.const 20) (i32.const %d))
    (local.set $op (i32.const 104857600))
    (loop $next
      (memory.copy (local.get $op) (i32.const 1024) (i32.const 24))
      (i32.store (local.get $op) (i32.mul (i32.const %d) (local.get $i)))
      (local.set $op (i32.add (local.get $op) (i32.const 24)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const %d))))
    (i32.const 16)))`, watBytes(pattern), data, n, step, n)
}

func watBytes(b []byte) string {
	var s bytes.Buffer
	for _, c := range b {
		fmt.Fprintf(&s, "\\%02x", c)
	}
	return s.String()
}

// operation is one of a reply.
func operation(o batchOp, at, n uint32) []byte {
	b := []byte{0, 0, 0, 0, o.kind, o.part, 0, 0}
	for _, v := range []uint32{o.a, o.b, at, n} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// What operations give is gone through before it is known that they may not be, so a chunk has so many
// bytes of them: 128 MiB, of which one event has 64 MiB at most.
func TestHostileOperationsAreBounded(t *testing.T) {
	const events = 200
	var chunk []byte
	for i := range events {
		chunk = append(chunk, event(int64(i), map[string]any{"a": 1})...)
	}
	// A map of 30 million members, and a byte behind it.
	const size = 60_000_000 + 5 + 1
	emitted := make([]byte, 32)
	binary.LittleEndian.PutUint64(emitted, ^uint64(0))
	binary.LittleEndian.PutUint32(emitted[24:], 65536)
	binary.LittleEndian.PutUint32(emitted[28:], size)
	header := `") (data (i32.const 65536) "\df\01\c9\c3\80`
	for _, test := range []struct {
		name    string
		guest   string
		charged uint64 // events of which the bytes are gone through
	}{
		{"emit", hostileReply(events, true, operation(batchOp{kind: opEmit}, 2048, 32), watBytes(emitted)+header), 2},
		{"replace", hostileReply(events, true, operation(batchOp{kind: opReplace}, 65536, size), header), 2},
		{"add", hostileReply(events, true, operation(batchOp{kind: opAdd, a: 30_000_000}, 65536+5, size-5), header), 2},
		{"more than one event may have", hostileReply(1, true, operation(batchOp{kind: opReplace}, 65536, 64<<20+1), header), 0},
		{"operations", hostileReply(3_000_000, false, operation(batchOp{kind: opAdd}, 65536, 0), ""), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := startWith(t, options.Options{BatchRecords: events, BatchBytes: 1 << 20, Timeout: time.Minute}, test.guest)
			for range 2 {
				before := f.Stats()
				if out, _ := f.Run(tag, chunk); len(out) > 0 && !bytes.Equal(out, chunk) {
					t.Fatal("the chunk has changed")
				}
				got := since(f.Stats(), before)
				if breaches := got.Causes[causeOf(guest.Breach)]; breaches != test.charged || got.Causes[causeOf(guest.TooMuch)] != got.Failed-breaches || got.Failed == 0 {
					t.Errorf("%d breaches, want %d: %v", breaches, test.charged, got)
				}
			}
			f.Run(nil, nil)
			if kept := f.lane.KeptBytes(); kept > keepBytes {
				t.Errorf("%d bytes are kept", kept)
			}
		})
	}
}

// A time may have more bytes than the host writes for one. At some length of what is emitted they are
// beyond what has been reserved, as a sanitizer sees.
func TestEmittedBehindWideTime(t *testing.T) {
	f := startScript(t, options.Options{})
	wide := []byte("\x92\x92\xc9\x00\x00\x00\x08\x00\x00\x00\x00\x07\x00\x00\x00\x01\x80\x81\xa1a\x01")
	plain := event(1, map[string]any{"b": 2})
	chunk := join(groupStart(map[string]any{"g": 1}), plain, groupEnd(), groupStart(map[string]any{"g": 2}), wide, groupEnd())
	time := wide[2:16]
	for n := range 5000 {
		body := packedValue(map[string]any{"b": string(bytes.Repeat([]byte("x"), n))})
		emitted := make([]byte, 32)
		binary.LittleEndian.PutUint64(emitted, ^uint64(0))
		at := uint32(scriptReply + 16 + 24)
		for i, v := range []uint32{1, 0, 0, at + 32, uint32(len(body))} {
			binary.LittleEndian.PutUint32(emitted[12+4*i:], v)
		}
		out, _ := f.Run(script([]batchOp{{of: 1, kind: opEmit, bytes: join(emitted, body)}}, nil), chunk)
		came := join([]byte{0x92, 0x92}, time, []byte{0x80}, body)
		if !bytes.Contains(out, came) {
			t.Fatalf("of %d bytes: % x", n, out)
		}
	}
}

// What edits of groups take is given back.
func TestEditedGroupsAreGivenBack(t *testing.T) {
	const groups = 20
	// Each group gets a member of 600 kB.
	pattern := operation(batchOp{kind: opAdd, a: 1}, 65536, 600_000+7)
	text := hostileReply(groups, true, pattern, `") (data (i32.const 65536) "\a1k\db\00\09\27\c0`)
	text = string(bytes.ReplaceAll([]byte(text), []byte("(i32.store (i32.const 16) (i32.const 104857600))"), []byte("(i32.store (i32.const 24) (i32.const 104857600))")))
	text = string(bytes.ReplaceAll([]byte(text), []byte("(i32.store (i32.const 20)"), []byte("(i32.store (i32.const 28)")))
	f := startWith(t, options.Options{BatchRecords: 1000, BatchBytes: 1 << 20, Timeout: time.Minute}, text)
	var chunk []byte
	for range groups {
		chunk = append(chunk, join(groupStart(map[string]any{"g": 1}), event(1, map[string]any{"a": 1}), groupEnd())...)
	}
	out, _ := f.Run(tag, chunk)
	if len(out) < groups*600_000 {
		t.Fatalf("%d bytes: %v", len(out), f.logs)
	}
	f.Run(tag, event(1, map[string]any{"a": 1})) // a breach: there are no groups
	if kept := f.lane.KeptBytes(); kept > keepBytes {
		t.Errorf("%d bytes are kept for a chunk of one record", kept)
	}
}

// A batch that fails leaves groups as they came, those too whose operations were no breach.
func TestFailedBatchLeavesGroups(t *testing.T) {
	f := startScript(t, options.Options{})
	chunk := join(groupStart(map[string]any{"g": 1}), event(1, map[string]any{"a": 1}), groupStart(map[string]any{"g": 2}), event(2, map[string]any{"a": 2}))
	reply := script(nil, []batchOp{{of: 0, kind: opAdd, a: 1, bytes: member("k", 1)}, {of: 1, kind: opAdd, a: 1, bytes: []byte{0xc1}}})
	if out, modified := f.Run(reply, chunk); modified && !bytes.Equal(out, chunk) {
		t.Errorf("%v", decode(t, out))
	}
	if n := f.Stats().Causes[causeOf(guest.BadReply)]; n != 2 {
		t.Errorf("%d records failed by the reply: %v", n, f.logs)
	}
}

// A marker goes to the guest even if it and its first record are more than a batch may have.
func TestMarkerBeforeLargeRecord(t *testing.T) {
	f := startScript(t, options.Options{BatchBytes: 100})
	large := event(1, map[string]any{"a": string(bytes.Repeat([]byte("x"), 1000))})
	reply := script(nil, []batchOp{{of: 0, kind: opAdd, a: 1, bytes: member("k", 1)}})
	out, _ := f.Run(reply, join(groupStart(map[string]any{"g": 1}), large, groupEnd()))
	want := map[any]any{"g": int64(1), "k": int64(1)}
	if len(out) == 0 {
		t.Fatal(f.logs)
	}
	if diff := cmp.Diff(want, bodies(t, out)[0]); diff != "" {
		t.Error(diff)
	}
}

// Markers may have any body, and other than a map it can only be replaced.
func TestMarkerOfNoMap(t *testing.T) {
	f := startScript(t, options.Options{})
	for _, body := range []any{5, "x", nil, []any{1, 2}} {
		chunk := join(oddMarker(body), event(1, map[string]any{"a": 1}))
		for _, o := range []batchOp{{kind: opAdd, a: 1, bytes: member("k", 1)}, {kind: opSet, bytes: member("k", 1)}, {kind: opRemove, bytes: packedValue("k")}, {kind: opPut, a: 1, b: 1, bytes: []byte{0}}} {
			failed := f.Stats().Failed
			if out, modified := f.Run(script(nil, []batchOp{o}), chunk); modified && !bytes.Equal(out, chunk) || f.Stats().Failed != failed+1 {
				t.Errorf("%v, operation %d: %v, %v", body, o.kind, decode(t, out), f.Stats())
			}
		}
		out, _ := f.Run(script(nil, []batchOp{{kind: opReplace, bytes: packedValue(map[string]any{"r": 1})}}), chunk)
		if diff := cmp.Diff(map[any]any{"r": int64(1)}, bodies(t, out)[0]); diff != "" {
			t.Error(diff)
		}
	}
}

// The breaker counts breaches, and leaves the module out from the next batch on. An error that the
// guest reports is an answer, which brings it back.
func TestBatchBreaker(t *testing.T) {
	f := startScript(t, options.Options{BatchRecords: 2, BreakerFailures: 3, BreakerBackoff: time.Hour})
	now := time.Now()
	f.breaker.now = func() time.Time { return now }
	var chunk []byte
	for i := range 10 {
		chunk = append(chunk, event(int64(i), map[string]any{"a": 1})...)
	}
	f.Run(script([]batchOp{{of: 0, kind: 77}, {of: 1, kind: 77}}, nil), chunk)
	got := f.Stats()
	if breaches, out := got.Causes[causeOf(guest.Breach)], got.Causes[breakerOpen]; breaches != 4 || out != 6 {
		t.Errorf("%d breaches, and %d records without the module: %v", breaches, out, got)
	}
	now = now.Add(2 * time.Hour)
	f.Run(script([]batchOp{{of: 0, kind: opError, a: 1}}, nil), chunk[:len(chunk)/10])
	if state := f.breaker.state(); state != closed {
		t.Errorf("state %d after an error that was reported", state)
	}
}

// Events that do not go to the guest are bounded in a batch, and stand where they were.
func TestManyMarkers(t *testing.T) {
	const markers = 200_000
	one := []byte{0x92, 0xff, 0x80} // of a group that has nothing
	chunk := join(bytes.Repeat(one, markers), groupStart(map[string]any{"g": 1}), event(1, map[string]any{"a": 1}), bytes.Repeat(one, markers))
	f := startScript(t, options.Options{})
	out, modified := f.Run(script([]batchOp{{kind: opDrop}}, nil), chunk)
	want := join(bytes.Repeat(one, markers), groupStart(map[string]any{"g": 1}), bytes.Repeat(one, markers))
	if !modified || !bytes.Equal(out, want) {
		t.Errorf("%d bytes, want %d: %v", len(out), len(want), f.Stats())
	}
	f.Run(nil, event(1, map[string]any{"a": 1}))
	if kept := f.lane.KeptBytes(); kept > 3*keepBytes { // in three lists
		t.Errorf("%d bytes are kept", kept)
	}
}

// A chunk may be nothing but groups: they go to the guest, in batches that are bounded as others are.
func TestManyGroupsAlone(t *testing.T) {
	const groups = 1_000_000
	one := []byte{0x92, 0xff, 0x81, 0xa1, 'g', 1} // a group that nothing ends
	for _, test := range []struct {
		batchBytes int64
		most       int // bytes that the lane holds for a batch
	}{{1 << 20, 16 << 20}, {16 << 20, 16 << 20}} {
		f := startWith(t, options.Options{BatchRecords: 1000, BatchBytes: test.batchBytes, OnError: options.Drop, Timeout: time.Minute}, countsGroups)
		chunk := bytes.Repeat(one, groups)
		begun := time.Now()
		if out, modified := f.Run(tag, chunk); modified {
			t.Errorf("%d bytes come out of %d: %v", len(out), len(chunk), f.logs)
		}
		t.Logf("%d groups took %v", groups, time.Since(begun))
		if kept := f.lane.KeptBytes(); kept > test.most {
			t.Errorf("%d bytes are kept", kept)
		}
		// The guest knows how many it has been given.
		count := event(1, map[string]any{"count": "?"})
		out, _ := f.Run(tag, count)
		if diff := cmp.Diff([]any{map[any]any{"n": int64(groups)}}, bodies(t, out)); diff != "" {
			t.Error(diff)
		}
	}
}

// countsGroups traps for a batch of groups of more than 4 MiB, and makes {"n": …} of each event: how many
// groups it has been given.
const countsGroups = `(module (memory (export "memory") 512)
  (global $n (mut i32) (i32.const 0))
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
  (data (i32.const 64) "\00\00\00\00" "\04\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\08\00\00\00")
  (data (i32.const 4096) "\81\a1n\ce")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (if (i32.gt_u (local.get $len) (i32.const 4194304)) (then (unreachable)))
    (global.set $n (i32.add (global.get $n) (i32.load offset=32 (local.get $in))))
    (if (i32.load offset=32 (local.get $in)) ;; the first may have been in another batch
      (then (global.set $n (i32.add (i32.sub (global.get $n) (i32.const 1))
        (i32.load (i32.add (local.get $in) (i32.load offset=28 (local.get $in))))))))
    (if (i32.eqz (i32.load offset=20 (local.get $in))) (then (return (i32.const 0))))
    ;; The number as it is, the highest byte first.
    (i32.store8 (i32.const 4100) (i32.shr_u (global.get $n) (i32.const 24)))
    (i32.store8 (i32.const 4101) (i32.shr_u (global.get $n) (i32.const 16)))
    (i32.store8 (i32.const 4102) (i32.shr_u (global.get $n) (i32.const 8)))
    (i32.store8 (i32.const 4103) (global.get $n))
    (i32.const 16)))`

// Texts of errors make no more of a chunk than replies may: where there is no room for one, the mark does without.
func TestMarksOfALargeChunk(t *testing.T) {
	const batch, batches = 100, 400
	f := startScript(t, options.Options{OnError: options.Mark, BatchRecords: batch})
	var ops []batchOp
	for i := range batch {
		ops = append(ops, batchOp{of: uint32(i), kind: opError, bytes: bytes.Repeat([]byte{0xff}, 1024)})
	}
	in := bytes.Repeat(event(1, map[string]any{"a": 1}), batch*batches)
	out, _ := f.Run(script(ops, nil), in)
	const short = "\xd9\x1cthe guest reports an error"
	most := 2*len(in) + 128<<20
	if n := bytes.Count(out, []byte(MarkKey)); n != batch*batches {
		t.Errorf("%d marks", n)
	}
	if len(out) < most-8192 || len(out) > most+batch*batches*len(MarkKey+short) || !bytes.Contains(out, []byte("the guest reports an error\x81")) {
		t.Errorf("%d bytes of %d, want %d", len(out), len(in), most)
	}
}
