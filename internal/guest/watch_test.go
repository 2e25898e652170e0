package guest

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

const busyTimeout = 50 * time.Millisecond

// Guests that never return, by what they spend their time with. All are ended,
// whatever instruction the signal finds them at, and the instances after them
// work.
var endless = map[string]string{
	"empty loop":  `(loop $l (br $l))`,
	"arithmetic":  `(loop $l (global.set $x (i64.mul (i64.add (global.get $x) (i64.const 7)) (i64.const 13))) (br $l))`,
	"memory":      `(loop $l (i32.store (i32.and (i32.wrap_i64 (global.get $x)) (i32.const 65532)) (i32.const 1)) (global.set $x (i64.add (global.get $x) (i64.const 4))) (br $l))`,
	"leaf calls":  `(loop $l (call $leaf) (br $l))`,
	"deep calls":  `(loop $l (drop (call $deep (i32.const 100))) (br $l))`,
	"indirect":    `(loop $l (call_indirect (type $void) (i32.const 0)) (br $l))`,
	"host calls":  `(loop $l (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 0))) (br $l))`,
	"memory.fill": `(loop $l (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (br $l))`,
	"memory.grow": `(loop $l (drop (memory.grow (i32.const 0))) (br $l))`,
	"float":       `(loop $l (global.set $f (f64.sqrt (f64.add (global.get $f) (f64.const 1)))) (br $l))`,
	"sleep":       `(i64.store (i32.const 24) (i64.const 3600000000000)) (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))`,
	"short sleeps": `(i64.store (i32.const 24) (i64.const 1000000))
		(loop $l (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))) (br $l))`,
}

func endlessText(body string) string {
	return `(module
  (type $void (func))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (table 1 funcref) (elem (i32.const 0) $leaf)
  (global $x (mut i64) (i64.const 1))
  (global $f (mut f64) (f64.const 1))
  (func $leaf (global.set $x (i64.add (global.get $x) (i64.const 1))))
  (func $deep (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
      (else (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))))
  (func (export "malloc") (param i32) (result i32) (i32.const 131072))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 5) (i32.const 2)) (then ` + body + `))
    (local.get 4)))`
}

func TestTimeout(t *testing.T) {
	for name, body := range endless {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := load(t, endlessText(body))
			stopsAtSecond(t, m, Config{Timeout: busyTimeout}, TimedOut, "timeout of 50ms")
		})
	}
}

func TestTimeoutAtStart(t *testing.T) {
	defer func(d time.Duration) { startTimeout = d }(startTimeout)
	startTimeout = busyTimeout
	m := load(t, `(module (memory (export "memory") 1)
	  (func (export "_initialize") (loop $l (br $l)))
	  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))`)
	if _, err := m.NewInstance(Config{Function: "filter", Timeout: busyTimeout}); err == nil || !strings.Contains(err.Error(), "took longer") {
		t.Error(err)
	}
}

// Many guests are ended at once, on many threads, over and over.
func TestHammerTimeouts(t *testing.T) {
	modules := make([]*Module, 0, len(endless))
	for _, body := range endless {
		modules = append(modules, load(t, endlessText(body)))
	}
	end := time.Now().Add(2 * time.Second)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			var b Batch
			defer b.Close()
			for i := g; time.Now().Before(end); i++ {
				in, err := modules[i%len(modules)].NewInstance(Config{Function: "filter", Timeout: 8 * time.Millisecond})
				if err != nil {
					t.Error(err)
					return
				}
				b.Reset()
				b.In = append(b.In, "{ }"...)
				b.Add(0, 0, 0)
				if _, err := in.Run(nil, &b, 0, len(b.Records)); err == nil || b.Records[0].Outcome != TimedOut {
					t.Error(err, b.Records[0].Outcome)
				}
				in.Close()
			}
		})
	}
	wg.Wait()
}

func TestMemoryLimit(t *testing.T) {
	m := load(t, guests.WAT("leak_to_limit"))
	in, err := m.NewInstance(Config{Function: "filter", MemoryLimitBytes: 40 * pageBytes})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var b Batch
	defer b.Close()
	outcomes := map[Outcome]int{}
	for range 60 {
		b.Reset()
		b.In = append(b.In, `{"a":1}`...)
		b.Add(0, 0, 0)
		_, err := in.Run(nil, &b, 0, len(b.Records))
		if full := b.Records[0].Outcome == NoMemory; errors.Is(err, ErrRecycle) != full {
			t.Fatal(err, b.Records[0].Outcome)
		}
		outcomes[b.Records[0].Outcome]++
	}
	grown := int(40 - m.memory.pages)
	if outcomes[Reply] != grown || outcomes[NoMemory] != 60-grown {
		t.Errorf("%v, the guest starts with %d pages", outcomes, m.memory.pages)
	}
	if _, err := m.NewInstance(Config{Function: "filter", MemoryLimitBytes: pageBytes}); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("a limit below what the module starts with: %v", err)
	}
}

func TestRecycle(t *testing.T) {
	m := load(t, guests.WAT("grow"))
	in, err := m.NewInstance(Config{Function: "filter", RecycleMemoryBytes: int64(m.memory.pages+2) * pageBytes})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var b Batch
	defer b.Close()
	for range 5 {
		from := len(b.In)
		b.In = append(b.In, `{"a":1}`...)
		b.Add(from, 0, 0)
	}
	next, err := in.Run(nil, &b, 0, len(b.Records))
	if next != 3 || !errors.Is(err, ErrRecycle) || b.Records[2].Outcome != Reply {
		t.Errorf("next %d, %v, %v", next, err, b.Records)
	}
}

// Guests that spend their time in functions of the host are ended, too, while
// others of the same module go on.
func TestTimeoutInHost(t *testing.T) {
	for _, test := range []struct{ name, imports, body string }{
		{"memory.fill", "", `(memory.fill (i32.const 65536) (i32.const 1) (i32.const 33554432))`},
		{"memory.copy", "", `(memory.copy (i32.const 65536) (i32.const 131072) (i32.const 33554432))`},
		{"memory.fill of little", "", `(memory.fill (i32.const 65536) (i32.const 1) (i32.const 4096))`},
		{"memory.grow", "", `(drop (memory.grow (i32.const 0)))`},
		{"much of random_get", `(import "wasi_snapshot_preview1" "random_get" (func $f (param i32 i32) (result i32)))`,
			`(drop (call $f (i32.const 65536) (i32.const 16777216)))`},
		{"random_get", `(import "wasi_snapshot_preview1" "random_get" (func $f (param i32 i32) (result i32)))`,
			`(drop (call $f (i32.const 65536) (i32.const 4096)))`},
		{"clock_time_get", `(import "wasi_snapshot_preview1" "clock_time_get" (func $f (param i32 i64 i32) (result i32)))`,
			`(drop (call $f (i32.const 0) (i64.const 0) (i32.const 65536)))`},
		{"sched_yield", `(import "wasi_snapshot_preview1" "sched_yield" (func $f (result i32)))`, `(drop (call $f))`},
		{"poll_oneoff", `(import "wasi_snapshot_preview1" "poll_oneoff" (func $f (param i32 i32 i32 i32) (result i32)))`,
			`(drop (call $f (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))`},
		{"fd_write", `(import "wasi_snapshot_preview1" "fd_write" (func $f (param i32 i32 i32 i32) (result i32)))`,
			`(i32.store (i32.const 4) (i32.const 33554432)) (drop (call $f (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 65536)))`},
	} {
		t.Run(test.name, func(t *testing.T) {
			// "loop" stands for the record {"loop":1}, by its length.
			m := load(t, `(module `+test.imports+`
  (memory (export "memory") 600)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "free") (param i32))
  (func $work (param $forever i32) (loop $l `+test.body+` (br_if $l (local.get $forever))))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $work (i32.gt_u (local.get 5) (i32.const 2)))
    (local.get 4)))`)
			var wg sync.WaitGroup
			var hanging atomic.Int32
			hanging.Store(2)
			for range 2 {
				wg.Go(func() {
					defer hanging.Add(-1)
					for range 3 {
						in, err := m.NewInstance(Config{Function: "filter", Timeout: 10 * time.Millisecond})
						if err != nil {
							t.Error(err)
							return
						}
						b := Batch{In: []byte(`{"loop":1}`)}
						b.Add(0, 1, 2)
						if _, err := in.Run(nil, &b, 0, 1); err == nil || b.Records[0].Outcome != TimedOut {
							t.Errorf("%v, %v", b.Records[0].Outcome, err)
						}
						in.Close()
						b.Close()
					}
				})
			}
			for _, timeout := range []time.Duration{time.Minute, 0} {
				wg.Go(func() {
					in, err := m.NewInstance(Config{Function: "filter", Timeout: timeout})
					if err != nil {
						t.Error(err)
						return
					}
					defer in.Close()
					var b Batch
					defer b.Close()
					for hanging.Load() > 0 {
						if outcome, got := reply(t, in, &b, []byte("{}"), nil); outcome != Reply || string(got) != "{}" {
							t.Errorf("%v, %q", outcome, got)
							return
						}
						in.TakeOutput()
					}
				})
			}
			wg.Wait()
		})
	}
}
