package filter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// Records in front of the damage have been through the guest already; the chunk
// still is left alone, whatever became of them.
func TestCorruptBehindRecords(t *testing.T) {
	var in []byte
	for i := range 1025 {
		in = append(in, event(int64(i), map[string]any{"trap": i%100 == 0})...)
	}
	in = append(in, 0xc1)
	for _, onError := range []options.OnError{options.Passthrough, options.Drop, options.Mark} {
		for _, name := range []string{"wrap", "drop", "trap_when_told"} {
			f := startWith(t, options.Options{OnError: onError}, guests.WAT(name))
			for range 2 {
				if _, modified := f.Run(tag, in); modified {
					t.Errorf("%s, on_error %v: modified", name, onError)
				}
			}
			got := f.Stats()
			got.GivenUp, got.NoMemory = 0, 0
			if diff := cmp.Diff(Stats{Chunks: 2, Corrupt: 2}, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

// A record that came deeper than a reply may be comes back as deep, and no deeper.
func TestReplyAsDeepAsTheRecord(t *testing.T) {
	nest := func(depth int) any {
		var v any = int64(1)
		for range depth {
			v = map[string]any{"m": v}
		}
		return v
	}
	// It adds a blank, so that the reply does not repeat the record.
	const spaced = `(module (memory (export "memory") 2 2)
  (func (export "malloc") (param i32) (result i32) (i32.const 65537))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 65536) (i32.const 32)) (i32.const 65536)))`
	for _, depth := range []int{1, 31, 32, 50, 127, 128} {
		f := start(t, spaced, options.JSON)
		in := event(1, nest(depth))
		out, modified := f.Run(tag, in)
		if !modified || f.Stats().Returned != 1 {
			t.Errorf("depth %d: %v %v", depth, f.Stats(), f.logs)
			continue
		}
		if diff := cmp.Diff(decode(t, in), decode(t, out)); diff != "" {
			t.Error(diff)
		}
		w := start(t, guests.WAT("wrap"), options.JSON) // one level more
		if _, modified := w.Run(tag, in); modified != (depth <= 30) {
			t.Errorf("depth %d: modified %v with a level more", depth, modified)
		}
	}
}

// The back-off doubles with each trial that fails, up to 64 times the first one.
func TestBreakerBackoff(t *testing.T) {
	f := startWith(t, options.Options{BreakerFailures: 1, BreakerBackoff: time.Second}, guests.WAT("trap_when_told"))
	now := time.Unix(0, 0)
	f.breaker.now = func() time.Time { return now }
	bad := event(1, map[string]any{"trap": true})
	ran := func() uint64 {
		f.Run(tag, bad)
		s := f.Stats()
		return s.Failed - s.Causes[breakerOpen]
	}
	calls := ran()
	for i, seconds := range []int{1, 2, 4, 8, 16, 32, 64, 64, 64, 64} {
		now = now.Add(time.Duration(seconds)*time.Second - 1)
		if ran() != calls {
			t.Errorf("trial %d: earlier than after %d s", i, seconds)
		}
		now = now.Add(1)
		if calls++; ran() != calls {
			t.Errorf("trial %d: not after %d s", i, seconds)
		}
	}
	for range 100 { // does not wrap around
		now = now.Add(64 * time.Second)
		if calls++; ran() != calls {
			t.Fatal("not after 64 s")
		}
		if ran() != calls {
			t.Fatal("twice after 64 s")
		}
	}
}

// Useless replies that are not in a row do not open the breaker, even in chunks
// of their own.
func TestBreakerCountsInARow(t *testing.T) {
	const text = `(module (memory (export "memory") 2 2)
  (data (i32.const 1024) "[1]\00")
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (select (i32.const 1024) (local.get 4) (i32.gt_u (local.get 5) (i32.const 7)))))`
	f := startWith(t, options.Options{BreakerFailures: 3, BreakerBackoff: time.Hour}, text)
	ok, bad := event(1, map[string]any{"a": 1}), event(1, map[string]any{"a": 10})
	for range 20 {
		for _, chunk := range [][]byte{bad, bad, ok, join(bad, ok, bad, ok, bad)} {
			f.Run(tag, chunk)
		}
		f.Run(tag, ok)
	}
	if got := f.Stats(); got.Causes[breakerOpen] != 0 || got.Causes[replyNotMap] != 100 || got.Returned != 80 {
		t.Error(got)
	}
}

// breaker_failures 0: never.
func TestBreakerOff(t *testing.T) {
	f := startWith(t, options.Options{BreakerBackoff: time.Hour}, guests.WAT("trap_when_told"))
	var in []byte
	for range 600 {
		in = append(in, event(1, map[string]any{"trap": true})...)
	}
	f.Run(tag, in)
	if got := f.Stats(); got.Failed != 600 || got.Causes[breakerOpen] != 0 {
		t.Error(got)
	}
}

// A module that can't be instantiated again fails its records, opens the breaker,
// and is back when it can be.
func TestNoInstance(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	mkdir := func() {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mkdir()
	f := startWith(t, options.Options{
		BreakerFailures: 5, BreakerBackoff: time.Second, AccessiblePaths: []options.Path{{Dir: dir}},
	}, guests.WAT("trap_when_told"))
	now := time.Unix(0, 0)
	f.breaker.now = func() time.Time { return now }
	ok, bad := event(1, map[string]any{"a": 1}), event(1, map[string]any{"trap": true})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	f.Run(tag, join(bad, ok, ok)) // one trap, and one failure to replace
	for range 10 {
		if _, modified := f.Run(tag, join(ok, ok)); modified {
			t.Error("modified")
		}
	}
	got := f.Stats()
	if got.Records != 23 || got.Failed != 23 || got.Causes[breakerOpen] == 0 || got.Causes[notRun] == 0 || got.GivenUp != 1 {
		t.Error(got)
	}
	if got.Causes[notRun]+got.Causes[breakerOpen] != 22 || got.Causes[notRun] > 2+2*3 {
		t.Error(got)
	}
	if f.count(hostlog.Error, "can't be instantiated again") != 1 || f.count(hostlog.Error, "keeps failing") != 1 {
		t.Error(f.logs)
	}
	mkdir()
	now = now.Add(time.Second)
	f.Run(tag, join(ok, ok))
	if after := f.Stats(); after.Returned != 2 || after.GivenUp != 1 || f.count(hostlog.Info, "back in the path") != 1 {
		t.Error(after, f.logs)
	}
}

// NULL of a guest whose memory is full by what it declares is no drop, and the
// guest is replaced by one with room: every third record fails.
func TestNullOfAFullGuest(t *testing.T) {
	const from, to = `(memory (export "memory") 17)`, `(memory (export "memory") 17 19)`
	text := guests.WAT("leak_to_limit")
	if strings.Count(text, from) != 1 {
		t.Fatal("the guest declares another memory")
	}
	f := start(t, strings.Replace(text, from, to, 1), options.JSON)
	in := event(1, map[string]any{"a": 1})
	for range 5 {
		if out, modified := f.Run(tag, in); modified {
			t.Fatalf("modified: %v", decode(t, out))
		}
	}
	if got := f.Stats(); got.Failed != 1 || got.Dropped != 0 || got.Returned != 4 || got.GivenUp != 1 {
		t.Errorf("%+v", got)
	}
	if f.count(hostlog.Error, "no memory left") != 1 {
		t.Error(f.logs)
	}
}

// What a guest prints forges no line of the log.
func TestGuestForgesNoLogLine(t *testing.T) {
	const text = `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2 2)
  (data (i32.const 0) "\00\04\00\00\1c\00\00\00")
  (data (i32.const 1024) "ok\r[2020] [error] \1b[2K\c2\85\e2\80\ae\ff")
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    (local.get 4)))`
	f := start(t, text, options.JSON)
	f.Run(tag, event(1, map[string]any{"a": 1}))
	want := `guest stdout: ok\x0d[2020] [error] \x1b[2K\u{85}\u{202e}\xff`
	if f.count(hostlog.Info, want) != 1 {
		t.Errorf("want %q in %+v", want, f.logs)
	}
	for _, l := range f.logs {
		if strings.ContainsFunc(l.line, func(r rune) bool { return r < ' ' || r == 0x85 || r == 0x202e || r == 0xfffd }) {
			t.Errorf("%q", l.line)
		}
	}
}
