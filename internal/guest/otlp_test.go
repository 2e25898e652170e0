package guest

import (
	"encoding/binary"
	"strings"
	"sync"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// replies answers whatever address the payload begins with. Of its memory all but the input is 0.
const replies = `(module
  (memory (export "memory") 3 3)
  (func (export "flb_otlp_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (if (i32.gt_u (local.get $n) (i32.const 65536)) (then (return (i32.const 0))))
    (i32.const 131072))
  (func (export "flb_traces") (param $in i32) (param i32) (result i32)
    (i32.load (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))))`

// A module for several signals that emits starts without emit_tags for metrics and traces. There is no record there, so
// emit_to returns -1.
func TestEmitToOfPayloads(t *testing.T) {
	m := load(t, `(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "t\80")
  (func (export "flb_otlp_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0))
  (func (export "flb_traces") (param i32 i32) (result i32)
    (if (i32.ne (i32.const -1)
          (call $emit_to (i32.const 16) (i32.const 1) (i32.const 17) (i32.const 1) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)))
      (then unreachable))
    (i32.const 0)))`)
	if _, err := m.NewInstance(Config{Function: "filter"}); err == nil || !strings.Contains(err.Error(), "which is not granted: set emit_tags") {
		t.Errorf("for logs: %v", err)
	}
	in, err := m.NewInstance(Config{Signal: options.Traces})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	l := NewLane()
	t.Cleanup(l.Close)
	l.Attach(in)
	if answer, outcome := l.CallOTLP(options.Traces, []byte("tag"), []byte("x")); outcome != Reply || answer.Operation != Keep {
		t.Errorf("%v, %v", outcome, answer)
	}
}

// FuzzOTLPReply: of any address and any bytes there, the answer is what docs/abi.md makes of them, and all of it
// is inside memory.
func FuzzOTLPReply(f *testing.F) {
	const at, memory = 131072, 3 * 65536
	word := binary.LittleEndian.AppendUint32
	seed := func(words ...uint32) {
		var b []byte
		for _, w := range words {
			b = word(b, w)
		}
		f.Add("tag", b)
	}
	const payload = at + 64 + 3
	seed(0)
	seed(payload+4, 2, 0, payload, 4)
	seed(payload+4, 3, 0, memory-4, 4)
	seed(payload+4, 2, 0, memory-4, 5)
	seed(payload+4, 2, 0, 0xffffffff, 1)
	seed(payload+4, 2, 0, 8, 0xffffffff)
	seed(payload+4, 1, 0, 0xffffffff, 0xffffffff)
	seed(payload+4, 4, 0, 0, 0)
	seed(payload+4, 2, 1, 0, 0)
	seed(memory - 16)
	seed(memory - 15)
	seed(memory)
	seed(0xfffffff8)
	in := instantiate(f, replies, Config{Signal: options.Traces})
	l := NewLane()
	f.Cleanup(l.Close)
	l.Attach(in)
	var mu sync.Mutex
	f.Fuzz(func(t *testing.T, tag string, data []byte) {
		if len(data) < 4 || 64+len(tag)+len(data) > 60_000 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		image := make([]byte, memory)
		for i, v := range []uint32{64, 2, 64, uint32(len(tag)), uint32(64 + len(tag)), uint32(len(data))} {
			binary.LittleEndian.PutUint32(image[at+4*i:], v)
		}
		copy(image[at+64:], tag+string(data))
		defer l.CallOTLP(options.Traces, nil, make([]byte, len(tag)+len(data))) // the next one finds 0 there
		answer, outcome := l.CallOTLP(options.Traces, []byte(tag), data)
		get := func(i uint64) uint32 { return binary.LittleEndian.Uint32(image[i:]) }
		reply := uint64(binary.LittleEndian.Uint32(data))
		wantOutcome, operation := Reply, Keep
		var bytes []byte
		switch {
		case reply == 0:
		case reply+16 > memory:
			wantOutcome = BadReply
		case get(reply) < 1 || get(reply) > 3 || get(reply+4) != 0:
			wantOutcome = BadReply
		default:
			operation = Operation(get(reply))
			from, n := uint64(get(reply+8)), uint64(get(reply+12))
			switch {
			case operation == Discard:
			case from+n > memory:
				wantOutcome = BadReply
			default:
				bytes = image[from : from+n]
			}
		}
		switch {
		case outcome != wantOutcome || (outcome == BadReply) != (answer.Why != ""):
			t.Fatalf("%v, %q, want %v", outcome, answer.Why, wantOutcome)
		case outcome == Reply && (answer.Operation != operation || string(answer.Bytes) != string(bytes)):
			t.Fatalf("%v with %d bytes, want %v with %d", answer.Operation, len(answer.Bytes), operation, len(bytes))
		}
	})
}
