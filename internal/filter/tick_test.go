package filter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// counter folds records into {"n":how many,"f":flags} under the tag "agg", by each tick that has any. The
// letter of a record {"to":"x"} says what else is to happen: ! traps, b fails, g has memory grow; and what the ticks
// after it do once they have emitted: t traps, l never ends, e reports an error, o does so by a text outside
// memory, i emits what is no map. Once it has
// been told that it is not called again, it traps.
const counter = `(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 2)
  (global $n (mut i32) (i32.const 0))
  (global $do (mut i32) (i32.const 0))
  (global $ended (mut i32) (i32.const 0))
  (data (i32.const 1024) "agg")
  (data (i32.const 1032) "it is broken\00")
  (data (i32.const 2048) "\82\a1n\ce....\a1f.")
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "free") (param i32))
  (func $emit (param $from i32) (param $len i32)
    (if (call $emit_to (i32.const 1024) (i32.const 3) (local.get $from) (local.get $len) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0))
      (then unreachable)))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $do i32)
    (if (global.get $ended) (then unreachable))
    (local.set $do (i32.load8_u offset=5 (local.get 4)))
    (if (i32.eq (local.get $do) (i32.const 0x21)) (then unreachable))
    (if (i32.eq (local.get $do) (i32.const 0x62)) (then (return (i32.const 2049))))
    (if (i32.eq (local.get $do) (i32.const 0x67)) (then (drop (memory.grow (i32.const 16)))))
    (global.set $do (local.get $do))
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.const 0))
  (func (export "flb_tick") (param $flags i32) (result i32)
    (if (global.get $ended) (then unreachable))
    (global.set $ended (i32.and (local.get $flags) (i32.const 1)))
    (if (i32.eqz (global.get $n)) (then (return (i32.const 0))))
    (i32.store8 (i32.const 2052) (i32.shr_u (global.get $n) (i32.const 24)))
    (i32.store8 (i32.const 2053) (i32.shr_u (global.get $n) (i32.const 16)))
    (i32.store8 (i32.const 2054) (i32.shr_u (global.get $n) (i32.const 8)))
    (i32.store8 (i32.const 2055) (global.get $n))
    (i32.store8 (i32.const 2058) (local.get $flags))
    (call $emit (i32.const 2048) (i32.const 11))
    (if (i32.eq (global.get $do) (i32.const 0x74)) (then unreachable))
    (if (i32.eq (global.get $do) (i32.const 0x6c)) (then (loop (br 0))))
    (if (i32.eq (global.get $do) (i32.const 0x65)) (then (return (i32.const 1032))))
    (if (i32.eq (global.get $do) (i32.const 0x6f)) (then (return (i32.const -1))))
    (if (i32.eq (global.get $do) (i32.const 0x69)) (then (call $emit (i32.const 2049) (i32.const 2))))
    (global.set $n (i32.const 0))
    (i32.const 0)))`

func counting(o options.Options) options.Options {
	o.EventFormat, o.EmitTags, o.TickInterval = options.Msgpack, []string{"agg"}, time.Second
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	return o
}

func letters(text string) (data []byte) {
	for i := range len(text) {
		data = append(data, event(int64(i), object{"to": text[i : i+1]})...)
	}
	return data
}

// window is what a tick has made: n of flags.
func windows(t *testing.T, f *Filter) (list []string) {
	t.Helper()
	for _, r := range f.TakeRouted() {
		if r.Tag != "agg" {
			t.Errorf("tag %q", r.Tag)
		}
		events, _ := readChunk(t, r.Events)
		for _, ev := range events {
			if ev.Legacy || time.Since(time.Unix(ev.Sec, int64(ev.Nsec))) > time.Minute {
				t.Errorf("% x", ev.Raw)
			}
			b := decode(t, ev.Raw)[0].([]any)[1].(map[any]any)
			list = append(list, fmt.Sprintf("%v of %v", b["n"], b["f"]))
		}
	}
	return list
}

func wantWindows(t *testing.T, what string, f *Filter, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, windows(t, f)); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// An instance is ticked, and told by the last one that it is not called again; a record that comes all the
// same finds another one, which is ticked at the end as well.
func TestTick(t *testing.T) {
	f := startWith(t, counting(options.Options{}), counter)
	if !f.Ticks() {
		t.Fatal("no ticks")
	}
	f.Run(tag, letters("..."))
	f.Tick(false)
	f.Tick(false)
	wantWindows(t, "first", f.Filter, "3 of 0")
	f.Run(tag, letters(".."))
	f.Tick(false)
	f.Run(tag, letters("."))
	f.Tick(true)
	wantWindows(t, "second and last", f.Filter, "2 of 0", "1 of 1")
	f.Tick(true)
	f.Tick(false)
	if f.instance != nil || f.lane.Ready() {
		t.Error("an instance is there behind the last tick")
	}
	f.Run(tag, letters("...."))
	f.Tick(true)
	wantWindows(t, "behind the last", f.Filter, "4 of 1")
	s := f.Stats()
	if s.Ticks != 5 || s.FailedTicks != 0 || s.Elsewhere != 4 || s.GivenUp != 0 {
		t.Errorf("%+v", s)
	}
	if text := s.String(); !strings.Contains(text, "; 4 emitted under other tags; 5 ticks, 0 of them failed;") {
		t.Error(text)
	}
}

// Each worker's instance is ticked, and what they hand over adds up.
func TestTickOfWorkers(t *testing.T) {
	f := startWith(t, counting(options.Options{Workers: 3}), counter)
	f.Run(tag, letters(strings.Repeat(".", 1000)))
	f.Tick(true)
	n := sum(t, f.Filter)
	if n != 1000 || f.Stats().Ticks != 3 {
		t.Errorf("%d: %v", n, f.Stats())
	}
}

// sum is how many records the windows have in all that have come out.
func sum(t *testing.T, f *Filter) int {
	t.Helper()
	return added(t, windows(t, f))
}

func added(t *testing.T, list []string) (n int) {
	t.Helper()
	for _, w := range list {
		var k, flags int
		if _, err := fmt.Sscanf(w, "%d of %d", &k, &flags); err != nil {
			t.Fatal(err)
		}
		n += k
	}
	return n
}

// tickHops are the hops of what ticks have emitted.
func tickHops(f *Filter) (list []uint32) {
	for r := range f.lane.TakeJournal() {
		list = append(list, r.Hops)
	}
	return list
}

// What ticks emit has come as far as what was given before it, be it long before and to another instance; once
// that has come too far, counting begins anew.
func TestTickHops(t *testing.T) {
	for _, workers := range []int{1, 3} {
		f := startWith(t, counting(options.Options{Workers: workers}), counter)
		give := func(hops uint32) {
			f.lane.CountHops(hops > 0, hops)
			f.Run(tag, letters(strings.Repeat(".", 200)))
			f.lane.EndHops(false, false)
		}
		tick := func(want uint32) {
			t.Helper()
			f.lane.CountHops(false, 0)
			f.Tick(false)
			f.lane.EndHops(true, false)
			if diff := cmp.Diff(slices.Repeat([]uint32{want}, workers), tickHops(f.Filter)); diff != "" {
				t.Errorf("%d workers: %s", workers, diff)
			}
		}
		silent := func(n int) {
			t.Helper()
			for range n {
				f.lane.CountHops(false, 0)
				f.Tick(false)
				f.lane.EndHops(true, false)
			}
			if list := tickHops(f.Filter); len(list) > 0 {
				t.Errorf("%d workers: %v", workers, list)
			}
		}
		give(0)
		tick(0)
		give(3)
		give(2)
		give(0)
		tick(3)
		silent(62)
		give(0)
		tick(3)
		give(0)
		tick(0)
		give(2)
		silent(0)
		give(3)
		tick(3)
		give(8)
		silent(0)
		give(1)
		tick(8)
		give(0)
		tick(0)
		give(4)
		tick(4)
		silent(40)
		give(4) // from where what has come as far is known for 64 ticks again
		tick(4)
		silent(40)
		give(0)
		tick(4)
		// Of what stays in its chunk nothing is made.
		f.lane.CountHops(true, 7)
		f.Run(tag, letters(strings.Repeat(".", 200)))
		f.lane.EndHops(false, true)
		tick(4)
		silent(20) // the 64 go on as if it had not come
		give(0)
		tick(4)
		give(0)
		tick(0)
	}
}

// Counting begins anew for all workers, whether records come or not.
func TestTickHopsWithoutRecords(t *testing.T) {
	for _, workers := range []int{1, 3} {
		f := startWith(t, counting(options.Options{Workers: workers}),
			strings.Replace(counter, "(if (i32.eqz (global.get $n)) (then (return (i32.const 0))))", "", 1))
		f.lane.CountHops(true, 8)
		f.Run(tag, letters("."))
		f.lane.EndHops(false, false)
		for _, want := range []uint32{8, 0} {
			f.lane.CountHops(false, 0)
			f.Tick(false)
			f.lane.EndHops(true, false)
			if diff := cmp.Diff(slices.Repeat([]uint32{want}, workers), tickHops(f.Filter)); diff != "" {
				t.Errorf("%d workers: %s", workers, diff)
			}
		}
	}
}

// An instance that is replaced in a chunk hands over what has come as far as that chunk.
func TestRecycledHops(t *testing.T) {
	for _, workers := range []int{1, 3} {
		f := startWith(t, counting(options.Options{Workers: workers, MemoryLimitBytes: 64 << 20, RecycleMemoryBytes: 1 << 20}), counter)
		f.lane.CountHops(true, 5)
		f.Run(tag, letters(strings.Repeat("....g", 2000)))
		list := tickHops(f.Filter)
		if len(list) < workers || slices.Max(list) != 5 || slices.Min(list) != 5 {
			t.Errorf("%d workers: %v", workers, list)
		}
	}
}

// An instance that is recycled hands over what it holds, in the middle of a chunk too, and in one that is
// forgotten.
func TestRecycledHandsOver(t *testing.T) {
	for _, workers := range []int{1, 3} {
		f := startWith(t, counting(options.Options{Workers: workers, MemoryLimitBytes: 64 << 20, RecycleMemoryBytes: 1 << 20}), counter)
		data := letters(strings.Repeat("....g", 2000))
		f.Run(tag, data)
		f.Run(tag, append(bytes.Clone(data), 0xc1))
		f.Tick(true)
		list := windows(t, f.Filter)
		if n := added(t, list); n != 20_000 {
			t.Errorf("%d workers: %d", workers, n)
		}
		if s := f.Stats(); s.Recycled < 2 || s.Ticks < s.Recycled || s.Elsewhere != uint64(len(list)) || s.Elsewhere != s.Ticks {
			t.Errorf("%d workers: %+v", workers, s)
		}
	}
}

// An instance that traps, or hangs, in its last tick is given up once, and for that.
func TestLastTickFails(t *testing.T) {
	const batch = `(module
  (memory (export "memory") 2)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 4096))
  (func (export "filter") (param i32 i32) (result i32) (drop (memory.grow (i32.const 1000))) (i32.const 0))
  (func (export "flb_tick") (param $flags i32) (result i32)
    (if (global.get $ended) (then unreachable))
    (i32.const 0))
  (global $ended (mut i32) (i32.const 0)))`
	for what, end := range map[string]string{"trap": "unreachable", "hang": "(loop (br 0))"} {
		for name, test := range map[string]struct {
			module string
			limit  int64
			data   []byte
		}{
			"recycled":  {counter, 64 << 20, letters("..g..g.")},
			"no memory": {counter, 1 << 20, letters("..g..g.")},
			"batch":     {batch, 1 << 20, letters("....")},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				o := counting(options.Options{Timeout: 50 * time.Millisecond, MemoryLimitBytes: test.limit, RecycleMemoryBytes: 1 << 19,
					RetryBatch: true, BatchRecords: 10, BatchBytes: 1000})
				f := startWith(t, o, strings.Replace(test.module, "(param $flags i32) (result i32)\n    (if (global.get $ended) (then unreachable))",
					"(param $flags i32) (result i32)\n    (if (local.get $flags) (then "+end+"))", 1))
				f.Run(tag, test.data)
				s := f.Stats()
				if s.FailedTicks == 0 || s.GivenUp != s.FailedTicks || s.NoMemory+s.Recycled > 0 || what == "hang" && s.TimedOut != s.GivenUp {
					t.Errorf("%+v\n%v", s, f.logs)
				}
				f.Tick(true) // which fails, too
			})
		}
	}
}

// Of a tick that fails nothing comes out, and the log says why. After a trap, or too long a time, the instance
// is another one.
func TestTickFails(t *testing.T) {
	for letter, test := range map[string]struct {
		line    string
		stopped bool
	}{
		"t": {"flb_tick: unreachable code was reached (a panic or abort of the guest)", true},
		"l": {"flb_tick: it took longer than the timeout of 200ms", true},
		"e": {`flb_tick: it reports an error: "it is broken"`, false},
		"o": {"flb_tick: it reports an error, by a text outside its memory", false},
		"i": {"flb_tick: emit_to, record 2: it is not a map", false},
	} {
		f := startWith(t, counting(options.Options{Timeout: 200 * time.Millisecond, BreakerFailures: 26, BreakerBackoff: time.Hour}), counter)
		f.Run(tag, letters("."+letter))
		f.Tick(false)
		wantWindows(t, letter, f.Filter)
		if n := f.count(hostlog.Error, test.line); n != 1 {
			t.Errorf("%s: %v", letter, f.logs)
		}
		s := f.Stats()
		if s.FailedTicks != 1 || s.Ticks != 0 || s.Elsewhere != 0 || s.GivenUp == 1 != test.stopped || s.TimedOut == 1 != (letter == "l") {
			t.Errorf("%s: %+v", letter, s)
		}
		f.Run(tag, letters("."))
		f.Tick(false)
		want := "3 of 0"
		if test.stopped {
			want = "1 of 0"
		}
		if letter != "i" { // which has nothing left
			wantWindows(t, letter+", again", f.Filter, want)
		}
		f.Run(tag, letters(letter))
		f.Tick(true)
		if f.instance != nil {
			t.Errorf("%s: an instance is there behind the last tick", letter)
		}
	}
}

// Ticks that trap open the breaker, and then there are none.
func TestTicksTellTheBreaker(t *testing.T) {
	f := startWith(t, counting(options.Options{BreakerFailures: 3, BreakerBackoff: time.Hour}), strings.Replace(counter, "(if (i32.eqz (global.get $n)) (then (return (i32.const 0))))", "unreachable", 1))
	for range 10 {
		f.Tick(false)
	}
	if s := f.Stats(); s.FailedTicks != 3 || s.GivenUp != 3 || f.breaker.state() != open {
		t.Errorf("%+v", s)
	}
	f.Tick(true)
	if s := f.Stats(); s.FailedTicks != 3 {
		t.Errorf("%+v", s)
	}
}

// While the breaker is open an instance that there is has no ticks, but for the last one: what it holds would be
// lost else.
func TestTickWhileTheBreakerIsOpen(t *testing.T) {
	f := startWith(t, counting(options.Options{BreakerFailures: 2, BreakerBackoff: time.Hour}), counter)
	f.Run(tag, letters("...bb"))
	if f.breaker.state() != open || f.instance == nil {
		t.Fatal(f.logs)
	}
	f.Tick(false)
	wantWindows(t, "open", f.Filter)
	f.Tick(true)
	wantWindows(t, "last", f.Filter, "3 of 1")
}

// After a trap nobody has an instance, and what the guest has in the store is ticked all the same.
func TestTickMakesAnInstance(t *testing.T) {
	f := startWith(t, counting(options.Options{}), counter)
	f.Run(tag, letters("..!"))
	if f.instance != nil {
		t.Fatal("an instance")
	}
	f.Tick(false)
	if s := f.Stats(); f.instance == nil || s.Ticks != 1 || !f.lane.Ready() {
		t.Errorf("%+v", s)
	}
}

// What is held when another version takes over is handed over by the one before, with workers too; so is what
// that holds which is taken back.
func TestReloadHandsOver(t *testing.T) {
	for _, workers := range []int{1, 3} {
		r := startReloading(t, counting(options.Options{Workers: workers, BreakerFailures: 2, BreakerBackoff: time.Second}), counter)
		sent, got := 0, 0
		send := func(text string) {
			r.Run(tag, letters(text))
			sent += len(text) - strings.Count(text, "b")
			got += sum(t, r.Filter)
		}
		many := strings.Repeat(".", 200)
		send(many)
		replaceFile(t, r.path, strings.Replace(counter, "(global $n", "(global (mut i32) (i32.const 0)) (global $n", 1))
		r.looks()
		send(many) // the first of them is for the version before
		if r.results() != "1 0 0" || got != 200 {
			t.Fatalf("%d workers: %s, %d are handed over: %v", workers, r.results(), got, r.logs)
		}
		if workers == 1 {
			send(many + "bb" + many) // it is taken back
			if r.results() != "1 0 1" || got != 600 || r.Stats().GivenUp != 0 {
				t.Errorf("%s, %d are handed over: %v", r.results(), got, r.logs)
			}
		}
		instances := guest.Open()
		r.Tick(true)
		got += sum(t, r.Filter)
		if got != sent {
			t.Errorf("%d workers: %d of %d: %v", workers, got, sent, r.logs)
		}
		if n := guest.Open(); n != instances-workers {
			t.Errorf("%d workers: %d instances, were %d", workers, n, instances)
		}
	}
}

// A version that is tried emits nothing, and is not ticked.
func TestProbeDoesNotEmit(t *testing.T) {
	r := startReloading(t, counting(options.Options{ReloadProbe: 100, Workers: 2}), counter)
	r.reload.look() // asks for a sample
	r.Run(tag, letters("...."))
	replaceFile(t, r.path, strings.Replace(strings.Replace(counter, "(global $n", "(global (mut i32) (i32.const 0)) (global $n", 1),
		"(global.set $n (i32.add", `(call $emit (i32.const 2048) (i32.const 11)) (global.set $n (i32.add`, 1))
	r.looks()
	if n := sum(t, r.Filter); n != 0 {
		t.Error(n)
	}
	r.Tick(true)
	if n := sum(t, r.Filter); n != 4 {
		t.Error(n)
	}
}

// tick_interval 0, outputs, and modules without flb_tick have no ticks; feature says so.
func TestNoTicks(t *testing.T) {
	asking := strings.Replace(strings.Replace(counter, "(memory", `(import "flb_v1" "feature" (func $feature (param i32 i32) (result i32)))
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory`, 1), "(global.set $do (local.get $do))", `(call $log (i32.const 3) (i32.const 3072) (i32.add (call $feature (i32.const 3080) (i32.const 4)) (i32.mul (call $feature (i32.const 3084) (i32.const 7)) (i32.const 2))))`, 1)
	asking = strings.Replace(asking, `(data (i32.const 1024) "agg")`, `(data (i32.const 1024) "agg") (data (i32.const 3072) "123") (data (i32.const 3080) "tickemit_to")`, 1)
	for _, test := range []struct {
		interval time.Duration
		output   bool
		log      string
		why      string
	}{
		{time.Second, false, "guest: 123", ""},
		{0, false, "guest: 12", "tick_interval is 0"},
		{time.Second, true, "guest: 12", "an output has no ticks"},
	} {
		o := counting(options.Options{IsOutput: test.output})
		o.TickInterval = test.interval
		f := startWith(t, o, asking)
		f.Run(tag, letters("."))
		if f.count(hostlog.Info, test.log) != 1 || f.count(hostlog.Info, "guest: 123") == 1 != (test.why == "") {
			t.Errorf("%+v: %v", test, f.logs)
		}
		warned := f.count(hostlog.Warn, "the module exports flb_tick, which is not called: "+test.why)
		if f.Ticks() != (test.why == "") || warned == 1 != (test.why != "") {
			t.Errorf("%+v: %v", test, f.logs)
		}
		f.Tick(true)
		if s := f.Stats(); s.Ticks == 1 != (test.why == "") {
			t.Errorf("%+v: %v", test, s)
		}
	}
	f := startWith(t, counting(options.Options{}), strings.Replace(counter, `(export "flb_tick")`, "", 1))
	f.Tick(true)
	if f.Ticks() || f.Stats().Ticks != 0 || f.instance == nil {
		t.Error(f.Stats())
	}
	_, err := New(options.Options{EmitTags: []string{"agg"}, WasmPath: writeGuest(t, strings.Replace(counter, `(param $flags i32) (result i32)
    (if`, `(result i32) (local $flags i32)
    (if`, 1)), FunctionName: "filter"}, func(hostlog.Level, string) {})
	if err == nil || !strings.Contains(err.Error(), `flb_tick has the type "func () -> i32": it must be "func (i32) -> i32"`) {
		t.Error(err)
	}
}

// A tick emits in the format of the filter, and of a batch guest in MessagePack; within a batch there is nothing
// to emit from.
func TestTickFormats(t *testing.T) {
	text := func(marker, body string) string {
		escaped := ""
		for i := range len(body) {
			escaped += fmt.Sprintf("\\%02x", body[i])
		}
		value := fmt.Sprintf("(i32.const 2048) (i32.const %d)", len(body))
		return `(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 1024) "agg") (data (i32.const 2048) "` + escaped + `")
  (func $emit (result i32) (call $emit_to (i32.const 1024) (i32.const 3) ` + value + value + ` (i64.const 77) (i32.const 5)))
  ` + marker + `
  (func (export "flb_tick") (param i32) (result i32) (call $emit)))`
	}
	const six = `(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4))`
	const batch = `(func (export "flb_batch_1")) (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param i32 i32) (result i32) (if (i32.ne (call $emit) (i32.const -1)) (then unreachable)) (i32.const 0))`
	want := decode(t, oracle.Pack([]any{[]any{oracle.Timestamp(77, 5), object{"a": 1}}, object{"a": 1}}))
	for _, test := range []struct {
		name, module string
		format       options.EventFormat
	}{
		{"JSON", text(six, `{"a":1}`), options.JSON},
		{"MessagePack", text(six, "\x81\xa1a\x01"), options.Msgpack},
		{"batch", text(batch, "\x81\xa1a\x01"), options.JSON},
	} {
		o := counting(options.Options{BatchRecords: 10, BatchBytes: 1000})
		o.EventFormat = test.format
		f := startWith(t, o, test.module)
		f.Run(tag, event(1, object{"b": 2}))
		f.Tick(false)
		if diff := cmp.Diff(map[string][]any{"agg": want}, taken(t, f.Filter)); diff != "" {
			t.Errorf("%s: %s\n%v", test.name, diff, f.logs)
		}
	}
}
