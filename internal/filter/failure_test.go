package filter

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// on_error decides over each record that fails, and over no other.
func TestOnError(t *testing.T) {
	ok, bad := map[string]any{"a": 1}, map[string]any{"trap": true}
	header := func(meta map[string]any) []any { return []any{1, meta} }
	in := join(
		oracle.Pack([]any{header(map[string]any{}), ok}),
		oracle.Pack([]any{header(map[string]any{"m": "x"}), bad}),
		oracle.Pack([]any{header(map[string]any{}), ok}),
		oracle.Pack([]any{5, bad}), // legacy
		oracle.Pack([]any{5, "no map"}),
	)
	const reason = "the guest trapped"
	event := func(meta map[any]any, body map[any]any) any { return []any{[]any{int64(1), meta}, body} }
	gotOK, gotBad := map[any]any{"a": int64(1)}, map[any]any{"trap": true}
	for _, test := range []struct {
		onError options.OnError
		want    []any
	}{
		{options.Drop, []any{event(map[any]any{}, gotOK), event(map[any]any{}, gotOK)}},
		{options.Mark, []any{
			event(map[any]any{}, gotOK),
			event(map[any]any{"m": "x", MarkKey: reason}, gotBad),
			event(map[any]any{}, gotOK),
			[]any{int64(5), map[any]any{"trap": true, MarkKey: reason}},
			[]any{int64(5), "no map"},
		}},
		{options.Passthrough, decode(t, in)},
	} {
		f := startWith(t, options.Options{OnError: test.onError}, guests.WAT("trap_when_told"))
		out, modified := f.Run(tag, in)
		if !modified {
			out = in
		}
		if modified == (test.onError == options.Passthrough) {
			t.Errorf("%v: modified %v", test.onError, modified)
		}
		if diff := cmp.Diff(test.want, decode(t, out)); diff != "" {
			t.Errorf("on_error %v: %s", test.onError, diff)
		}
		if got := f.Stats(); got.Failed != 3 || got.Returned != 2 || got.Dropped != 0 {
			t.Errorf("on_error %v: %+v", test.onError, got)
		}
	}
}

// A record that never ends costs its timeout, and the others go on.
func TestTimeout(t *testing.T) {
	f := startWith(t, options.Options{Timeout: 30 * time.Millisecond}, guests.WAT("infinite_loop"))
	ok, bad := event(1, map[string]any{"a": 1}), event(1, map[string]any{"loop": true})
	if _, modified := f.Run(tag, join(ok, bad, ok, bad, bad, ok)); modified {
		t.Error("modified")
	}
	got := f.Stats()
	if got.Failed != 3 || got.Returned != 3 || got.GivenUp != 3 || !strings.Contains(got.String(), "3: the guest took longer than timeout") {
		t.Error(got)
	}
	if f.count(hostlog.Error, "timeout of 30ms") != 1 {
		t.Error(f.logs)
	}
}

// The breaker opens after failures in a row, lets one record through when its
// time is over, and closes when that is answered.
func TestBreaker(t *testing.T) {
	f := startWith(t, options.Options{BreakerFailures: 3, BreakerBackoff: time.Second}, guests.WAT("trap_when_told"))
	now := time.Unix(0, 0)
	f.breaker.now = func() time.Time { return now }
	ok, bad := event(1, map[string]any{"a": 1}), event(1, map[string]any{"trap": true})
	run := func(events ...[]byte) (ran int) {
		before := f.Stats()
		f.Run(tag, join(events...))
		after := f.Stats()
		return len(events) - int(after.Causes[breakerOpen]-before.Causes[breakerOpen])
	}
	for i, step := range []struct {
		wait   time.Duration
		events [][]byte
		ran    int // by the guest
	}{
		{0, [][]byte{bad, bad, ok, bad, bad, ok}, 6}, // never three in a row
		{0, [][]byte{bad, bad, bad, ok, ok}, 3},
		{time.Second - 1, [][]byte{ok}, 0},
		{1, [][]byte{bad, ok}, 1},               // the trial fails: 2 s
		{time.Second, [][]byte{ok, ok}, 0},      // not yet
		{time.Second, [][]byte{ok, bad, ok}, 3}, // the trial succeeds
		{0, [][]byte{bad, bad, bad, ok}, 3},     // opens anew, for the shortest time
		{time.Second, [][]byte{ok}, 1},
		{0, [][]byte{ok, bad, bad, bad, ok}, 4}, // the answer before them counts once
	} {
		now = now.Add(step.wait)
		if got := run(step.events...); got != step.ran {
			t.Errorf("step %d: the guest had %d records, want %d", i, got, step.ran)
		}
	}
	if opened, closed := f.count(hostlog.Error, "keeps failing"), f.count(hostlog.Info, "back in the path"); opened != 3 || closed != 2 {
		t.Errorf("%d lines when it opened, %d when it closed: %v", opened, closed, f.logs)
	}
}

// Replies of no use open the breaker too, also if each chunk has one record.
func TestBreakerOnUselessReplies(t *testing.T) {
	f := startWith(t, options.Options{BreakerFailures: 5, BreakerBackoff: time.Hour}, guests.WAT("not_a_map"))
	for range 20 {
		f.Run(tag, event(1, map[string]any{"a": 1}))
	}
	if got := f.Stats(); got.Causes[replyNotMap] != 5 || got.Causes[breakerOpen] != 15 {
		t.Error(got)
	}
}

// A guest that times out is left out long before a chunk's worth of timeouts.
func TestBreakerOnTimeouts(t *testing.T) {
	f := startWith(t, options.Options{Timeout: 10 * time.Millisecond, BreakerFailures: 100, BreakerBackoff: time.Hour},
		guests.WAT("infinite_loop"))
	var in []byte
	for range 1000 {
		in = append(in, event(1, map[string]any{"loop": true})...)
	}
	f.Run(tag, in)
	if got := f.Stats(); got.Failed != 1000 || got.Causes[breakerOpen] != 996 {
		t.Error(got)
	}
}

// A guest that leaks is replaced in time, and loses nothing by it.
func TestRecycle(t *testing.T) {
	f := startWith(t, options.Options{MemoryLimitBytes: 256 << 20, RecycleMemoryBytes: 128 << 20}, guests.WAT("grow"))
	var in []byte
	for range 1500 {
		in = append(in, event(1, map[string]any{"a": 1})...)
	}
	for range 4 { // of a page a record: 6,000 pages, 375 MiB
		if _, modified := f.Run(tag, in); modified {
			t.Error("modified")
		}
	}
	if got := f.Stats(); got.Returned != 6000 || got.Failed != 0 || got.Recycled < 2 || got.GivenUp < got.Recycled-1 {
		t.Error(got)
	}
}

// recycle_memory below what the guest needs does not end in replacing it for
// each record.
func TestRecycleIsNoBusyLoop(t *testing.T) {
	f := startWith(t, options.Options{MemoryLimitBytes: 64 << 20, RecycleMemoryBytes: 64 << 10}, guests.WAT("identity"))
	var in []byte
	for range 5000 {
		in = append(in, event(1, map[string]any{"a": 1})...)
	}
	f.Run(tag, in)
	if got := f.Stats(); got.Returned != 5000 || got.Recycled > 12 {
		t.Error(got)
	}
	if f.count(hostlog.Warn, "recycle_memory is little") == 0 {
		t.Error(f.logs)
	}
}

// A guest sees the variables and directories that it was given, and no others.
func TestNothingUnlessGranted(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "x")
	const text = `(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 128) "{\"env\":0,\"args\":0,\"dirs\":0}\00")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $dirs i32)
    (drop (call $env (i32.const 0) (i32.const 8)))
    (i32.store8 (i32.const 135) (i32.add (i32.const 48) (i32.load (i32.const 0))))
    (drop (call $args (i32.const 0) (i32.const 8)))
    (i32.store8 (i32.const 144) (i32.add (i32.const 48) (i32.load (i32.const 0))))
    (block $end (loop $l
      (br_if $end (call $prestat (i32.add (local.get $dirs) (i32.const 3)) (i32.const 16)))
      (local.set $dirs (i32.add (local.get $dirs) (i32.const 1)))
      (br $l)))
    (i32.store8 (i32.const 153) (i32.add (i32.const 48) (local.get $dirs)))
    (i32.const 128)))`
	for _, test := range []struct {
		o    options.Options
		want map[any]any
	}{
		{options.Options{}, map[any]any{"env": int64(0), "args": int64(0), "dirs": int64(0)}},
		{options.Options{Env: []string{"A=1", "B="}, AccessiblePaths: []options.Path{{Dir: t.TempDir()}}},
			map[any]any{"env": int64(2), "args": int64(0), "dirs": int64(1)}},
	} {
		f := startWith(t, test.o, text)
		out, modified := f.Run(tag, event(1, map[string]any{"x": 1}))
		if !modified {
			t.Fatal(f.logs)
		}
		if diff := cmp.Diff([]any{test.want}, bodies(t, out)); diff != "" {
			t.Error(diff)
		}
	}
}

// A trial is one record, also of a guest that fails without a trap, and only an
// answer of use ends the time without it.
func TestBreakerTrial(t *testing.T) {
	for _, guest := range []string{"oob_pointer", "malloc_null", "malloc_oob", "not_a_map", "bad_json", "oob_store"} {
		f := startWith(t, options.Options{BreakerFailures: 3, BreakerBackoff: time.Second}, guests.WAT(guest))
		now := time.Unix(0, 0)
		f.breaker.now = func() time.Time { return now }
		var in []byte
		for range 400 {
			in = append(in, event(1, map[string]any{"a": 1})...)
		}
		f.Run(tag, in)
		for doublings := range 3 {
			now = now.Add(time.Second << doublings)
			before := f.Stats()
			f.Run(tag, in)
			after := f.Stats()
			if got := after.Causes[breakerOpen] - before.Causes[breakerOpen]; got != 399 {
				t.Errorf("%s: %d of 400 records passed by the guest in trial %d, want 399", guest, got, doublings)
			}
		}
		if opened, closed := f.count(hostlog.Error, "keeps failing"), f.count(hostlog.Info, "back in the path"); opened != 1 || closed != 0 {
			t.Errorf("%s: %d lines when it opened, %d when it closed", guest, opened, closed)
		}
	}
}

// Each cause has a line of its own, however close they follow, and what is counted at
// the end is what the lines say.
func TestEachCauseHasItsLine(t *testing.T) {
	f := startWith(t, options.Options{Timeout: 30 * time.Millisecond}, `(module
  (memory (export "memory") 1 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 8192))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $c i32)
    (local.set $c (i32.load8_u (i32.add (local.get 4) (i32.const 5))))
    (if (i32.eq (local.get $c) (i32.const 49)) (then unreachable))
    (if (i32.eq (local.get $c) (i32.const 50)) (then (loop $l (br $l))))
    (if (i32.eq (local.get $c) (i32.const 51)) (then (drop (i32.div_u (i32.const 1) (i32.const 0)))))
    (if (i32.eq (local.get $c) (i32.const 52)) (then (drop (i32.load (i32.const -1)))))
    local.get 4))`)
	var in []byte
	for _, k := range []int{1, 2, 3, 4, 1, 2, 3, 4} {
		in = append(in, event(1, map[string]any{"k": k})...)
	}
	f.Run(tag, in)
	for _, text := range []string{"unreachable", "timeout of 30ms", "division by zero", "out of bounds memory access"} {
		if n := f.count(hostlog.Error, text); n != 1 {
			t.Errorf("%d lines about %s: %+v", n, text, f.logs)
		}
	}
	if n := f.count(hostlog.Error, "instance is given up"); n != 4 {
		t.Errorf("%d lines: %+v", n, f.logs)
	}
	f.log.Close()
	logStats(f.log, f.Stats())
	if n := f.count(hostlog.Error, "1 more like the last one about: "); n != 4 {
		t.Errorf("%d lines: %+v", n, f.logs)
	}
	if f.count(hostlog.Warn, "8 failed") != 1 || f.count(hostlog.Warn, "; 8 instances given up, 0 of them for recycle_memory;") != 1 {
		t.Errorf("%+v", f.logs)
	}
}
