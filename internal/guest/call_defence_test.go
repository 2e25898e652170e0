package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What a guest may answer, or do, to make the host touch what is not the guest's,
// or lose a record.

// answer is a function by which a guest in msgpack mode replies with a number.
const answer = `(func $answer (param i32) (result i32)
    (i32.store16 (i32.const 8) (i32.const 0x04c4))
    (i32.store (i32.const 10) (local.get 0))
    (i32.const 8))`

// number runs one record and returns the number that the guest replied.
func number(t *testing.T, in *Instance, record string) uint32 {
	t.Helper()
	var b Batch
	defer b.Close()
	outcome, got := reply(t, in, &b, []byte(record), []byte("tag"))
	if outcome != Reply || len(got) != 6 || got[0] != 0xc4 {
		t.Fatalf("%v, % x", outcome, got)
	}
	return binary.LittleEndian.Uint32(got[2:])
}

func TestBufferAtTheEdge(t *testing.T) {
	for at, want := range map[string]Outcome{
		"(i32.sub (i32.const 2097152) (local.get 0))": Reply,     // ends with memory
		"(i32.sub (i32.const 2097153) (local.get 0))": BadBuffer, // one byte behind it
		"(i32.const 2097151)":                         BadBuffer,
		"(i32.const 2097152)":                         BadBuffer,
		"(i32.const -1)":                              BadBuffer,
		"(i32.const -8)":                              BadBuffer, // the sum wraps in 32 bits
		"(i32.const 0)":                               NoMemory,
	} {
		in := instantiate(t, `(module (memory (export "memory") 32 32)
  (func (export "malloc") (param i32) (result i32) `+at+`)
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`, Config{})
		var b Batch
		for range 2 {
			if outcome, _ := reply(t, in, &b, []byte(`{"a":1}`), []byte("tag")); outcome != want {
				t.Errorf("malloc answers %s: %v, want %v", at, outcome, want)
			}
		}
		b.Close()
	}
}

func TestReplyAtTheEdge(t *testing.T) {
	for _, test := range []struct {
		at      string
		last    string // byte of memory
		msgpack bool
		want    Outcome
	}{
		{"2097152", `\80`, true, BadPointer},
		{"2097152", `{`, false, BadPointer},
		{"2097153", `{`, false, BadPointer},
		{"-1", `{`, false, BadPointer},
		{"2097151", `\00`, false, Drop},
		{"2097151", `\00`, true, Drop},
		{"2097151", `{`, false, Unterminated},
		{"2097151", `\"`, false, Unterminated},
		{"2097151", `x`, false, Unterminated},
		{"2097151", `\80`, true, Reply},
		{"2097151", `\81`, true, Unterminated},
		{"2097151", `\df`, true, Unterminated},
		{"2097151", `\a1`, true, Unterminated},
		{"2097151", `\c1`, true, Reply}, // which the reader refuses
	} {
		in := instantiate(t, `(module (memory (export "memory") 32 32)
  (data (i32.const 2097151) "`+test.last+`")
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const `+test.at+`)))`, Config{Msgpack: test.msgpack})
		var b Batch
		if outcome, got := reply(t, in, &b, []byte(`{"a":1}`), nil); outcome != test.want {
			t.Errorf("reply at %s, last byte %s: %v % x, want %v", test.at, test.last, outcome, got, test.want)
		}
		b.Close()
	}
}

// A guest without allocator gets a fresh region for the second record, and
// whenever its memory has grown by itself: it may hold the old one for its own.
func TestRegionIsFresh(t *testing.T) {
	in := instantiate(t, `(module (memory (export "memory") 1) `+answer+`
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 5) (i32.const 2)) (then (drop (memory.grow (i32.const 1)))))
    (call $answer (local.get 4))))`, Config{Msgpack: true})
	const pages = pageBytes
	for i, step := range []struct {
		record string
		at     uint32
	}{
		{"{}", 1 * pages}, {"{}", 2 * pages}, {"{}", 2 * pages},
		{"{ }", 2 * pages}, // grows, to five pages
		{"{}", 4 * pages}, {"{}", 4 * pages},
	} {
		if at := number(t, in, step.record); at != step.at {
			t.Errorf("call %d: the record is at %#x, want %#x", i+1, at, step.at)
		}
	}
}

// What a record leaves in that region is wiped.
func TestRegionIsWiped(t *testing.T) {
	in := instantiate(t, `(module (memory (export "memory") 1) `+answer+`
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $at i32) (local $dirty i32)
    (local.set $at (i32.add (local.get 0) (i32.add (local.get 1) (i32.const 1))))
    (loop $next
      (if (i32.load8_u (local.get $at)) (then (local.set $dirty (i32.add (local.get $dirty) (i32.const 1)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
    (call $answer (local.get $dirty))))`, Config{Msgpack: true})
	for i, n := range []int{1000, 5000, 10, 3000, 0} {
		if dirty := number(t, in, strings.Repeat("x", n)); dirty != 0 {
			t.Errorf("call %d: %d bytes behind the record are not zero", i+1, dirty)
		}
	}
}

// wasm_heap_size is the least that is grown.
func TestHeapBytes(t *testing.T) {
	for heap, pages := range map[int64]uint32{0: 2, 1: 2, pageBytes: 2, pageBytes + 1: 3, 200_000: 5} {
		in := instantiate(t, `(module (memory (export "memory") 1) `+answer+`
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (call $answer (memory.size))))`,
			Config{Msgpack: true, HeapBytes: heap})
		if got := number(t, in, "{}"); got != pages {
			t.Errorf("HeapBytes %d: %d pages, want %d", heap, got, pages)
		}
	}
}

// A batch may take longer than the timeout, which is one record's.
func TestTimeoutOfLongBatch(t *testing.T) {
	in := instantiate(t, endlessText(
		`(i64.store (i32.const 24) (i64.const 10000000))
		 (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))`), Config{Timeout: 400 * time.Millisecond})
	var b Batch
	defer b.Close()
	for range 100 { // of 10 ms
		from := len(b.In)
		b.In = append(b.In, "{ }"...)
		b.Add(from, 0, 0)
	}
	if next, err := in.Run(nil, &b, 0, len(b.Records)); next != 100 || err != nil {
		t.Errorf("next %d, %v", next, err)
	}
}

// _initialize may take longer than the timeout of a record.
func TestSlowStart(t *testing.T) {
	m := load(t, `(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_initialize")
    (i64.store (i32.const 24) (i64.const 200000000))
    (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`)
	in, err := m.NewInstance(Config{Function: "filter", Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
}

// What a guest aborts with is read with care.
func TestAbortPointers(t *testing.T) {
	for _, test := range []struct {
		length, at string // of the message: its length is in the four bytes before it
		want       string
	}{
		{`\04\00\00\00o\00k\00`, "1004", "abort: ok in ?:7:3"},
		{`\03\00\00\00o\00k\00`, "1004", "abort: o in ?:7:3"},
		{`\00\00\00\00`, "1004", "abort:  in ?:7:3"},
		{`\01\04\00\00`, "1004", "abort: ? in ?:7:3"}, // 1,025 bytes
		{`\ff\ff\ff\ff`, "1004", "abort: ? in ?:7:3"},
		{``, "0", "abort: ? in ?:7:3"},
		{``, "3", "abort: ? in ?:7:3"},
		{``, "65536", "abort:  in ?:7:3"}, // memory ends where an empty string would
		{``, "65537", "abort: ? in ?:7:3"},
		{``, "-1", "abort: ? in ?:7:3"},
		{``, "-4", "abort: ? in ?:7:3"},
	} {
		in := instantiate(t, `(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 1 1)
  (data (i32.const 1000) "`+test.length+`")
  (func (export "malloc") (param i32) (result i32) (i32.const 16384))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $abort (i32.const `+test.at+`) (i32.const 0) (i32.const 7) (i32.const 3)) (i32.const 0)))`, Config{})
		var b Batch
		b.In = append(b.In, "{}"...)
		b.Add(0, 0, 0)
		_, err := in.Run(nil, &b, 0, 1)
		var trap *TrapError
		if !errors.As(err, &trap) || trap.Reason != test.want {
			t.Errorf("abort at %s: %v, want %q", test.at, err, test.want)
		}
		b.Close()
	}
	// The length reaches beyond memory, although it is not large.
	in := instantiate(t, `(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 1 1)
  (data (i32.const 65528) "\05\00\00\00")
  (func (export "malloc") (param i32) (result i32) (i32.const 16384))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $abort (i32.const 65532) (i32.const 0) (i32.const 7) (i32.const 3)) (i32.const 0)))`, Config{})
	var b Batch
	defer b.Close()
	b.In = append(b.In, "{}"...)
	b.Add(0, 0, 0)
	if _, err := in.Run(nil, &b, 0, 1); err == nil || !strings.Contains(err.Error(), "abort: ? in ?") {
		t.Error(err)
	}
}

// A guest that prints without end fills no memory of the host's.
func TestOutputIsBounded(t *testing.T) {
	in := instantiate(t, `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2 2)
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $i i32)
    (memory.fill (i32.const 1024) (i32.const 0x78) (i32.const 3000))
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 3000))
    (loop $l
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 100))))
    (local.get 4)))`, Config{})
	for range 2 {
		var b Batch
		reply(t, in, &b, []byte("{}"), nil)
		b.Close()
		if !in.HasOutput() {
			t.Fatal("no output")
		}
		stdout, stderr := in.TakeOutput()
		want := strings.Repeat("x", 64<<10) + fmt.Sprintf("\n(%d bytes more were written than are kept)", 300_000-64<<10)
		if string(stdout) != want || len(stderr) != 0 {
			t.Errorf("%d bytes on stdout, %d on stderr", len(stdout), len(stderr))
		}
		if in.HasOutput() {
			t.Error("output is left")
		}
	}
}

// Tables and memories are bounded, too: the host pays for them.
func TestTablesAreBounded(t *testing.T) {
	module := func(fields string) string {
		return `(module ` + fields + answer + ` (memory (export "memory") 2 2)
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $answer (table.grow $t (ref.null func) (i32.const 1048576)))))`
	}
	for name, test := range map[string]struct {
		fields string
		starts bool
	}{
		"one table":         {"(table $t 1 funcref)", true},
		"the largest table": {"(table $t 1048576 funcref)", true},
		"a larger table":    {"(table $t 1048577 funcref)", false},
		"16 tables":         {"(table $t 1 funcref)" + strings.Repeat("(table 1 funcref)", maxTables-1), true},
		"17 tables":         {"(table $t 1 funcref)" + strings.Repeat("(table 1 funcref)", maxTables), false},
	} {
		in, err := load(t, module(test.fields)).NewInstance(Config{Function: "filter", Msgpack: true})
		if (err == nil) != test.starts {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if got := int32(number(t, in, "{}")); got != -1 {
			t.Errorf("%s: the table has grown past the limit: table.grow answers %d", name, got)
		}
		in.Close()
	}
}

func TestMemoriesAreBounded(t *testing.T) {
	for n, starts := range map[int]bool{1: true, maxMemories: true, maxMemories + 1: false} {
		in, err := load(t, `(module (memory (export "memory") 2 2) `+strings.Repeat("(memory 1 1)", n-1)+`
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`).NewInstance(Config{Function: "filter"})
		if (err == nil) != starts {
			t.Errorf("%d memories: %v", n, err)
		}
		if err == nil {
			in.Close()
		}
	}
}

// A module of TinyGo's kind gets more memory to begin with, so that its collector
// runs less often.
func TestCollectorPages(t *testing.T) {
	const text = `(module (memory (export "memory") 2 %s) ` + answer + `
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "calloc") (param i32 i32) (result i32) unreachable)
  (func (export "realloc") (param i32 i32) (result i32) unreachable)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (call $answer (memory.size))))`
	for most, pages := range map[string]uint32{"": 2 + collectorPages, "2": 2} {
		in := instantiate(t, fmt.Sprintf(text, most), Config{Msgpack: true})
		if got := number(t, in, "{}"); got != pages {
			t.Errorf("at most %q: %d pages, want %d", most, got, pages)
		}
	}
}
