package guest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// throwing is a guest with tags and functions that throw. A record is what body makes of
// it, and what it leaves is the reply.
func throwing(body string) string {
	return `(module (memory (export "memory") 2)
  (tag $e (param i32)) (tag $none) (tag $many (param v128 i64 f32 externref funcref exnref))
  (global $last (mut exnref) (ref.null exn)) (table $t 10 exnref)
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func $throw (param $depth i32)
    (if (local.get $depth)
      (then (call $throw (i32.sub (local.get $depth) (i32.const 1))))
      (else (throw $e (i32.const 1)))))
  (elem declare func $throw)
  (func $overflow (block $h (try_table (catch_all $h) (call $overflow) (call $overflow))))
  (func $catch (param $depth i32)
    (block $h (result i32) (try_table (result i32) (catch $e $h) (call $throw (local.get $depth)) (i32.const 0)))
    (drop))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $x exnref) (local $i i32) ` + body + `))`
}

// hoard throws an exception that holds the last one, so that none of them is freed.
const hoard = `(block $h (result v128 i64 f32 externref funcref exnref exnref)
  (try_table (catch_ref $many $h) (throw $many (v128.const i64x2 1 2) (i64.const 3) (f32.const 1) (ref.null extern) (ref.func $throw) (global.get $last))) unreachable)
  (global.set $last) drop drop drop drop drop drop`

// A module that throws and catches runs, and so do the records after it; what it does not
// catch is a trap.
func TestExceptions(t *testing.T) {
	for name, test := range map[string]struct {
		body    string
		outcome Outcome
		reason  string
	}{
		"caught":              {`(block $h (result i32) (try_table (result i32) (catch $e $h) (throw $e (local.get 4))))`, Reply, ""},
		"caught above":        {`(call $catch (i32.const 2000)) (local.get 4)`, Reply, ""},
		"caught by all":       {`(block $h (try_table (catch_all $h) (throw $none))) (local.get 4)`, Reply, ""},
		"thrown again":        {`(block $h (result exnref) (try_table (result exnref) (catch_all_ref $h) (throw $none))) (local.set $x) (block $h (try_table (catch $none $h) (throw_ref (local.get $x)))) (local.get 4)`, Reply, ""},
		"kept":                {`(block $h (result exnref) (try_table (result exnref) (catch_all_ref $h) (throw $none))) (global.set $last) (table.set $t (i32.const 1) (global.get $last)) (local.get 4)`, Reply, ""},
		"many values":         {hoard + `(local.get 4)`, Reply, ""},
		"dropped":             {`(call $catch (i32.const 5)) (i32.const 0)`, Drop, ""},
		"dropped, after many": {`(loop $l (call $catch (i32.const 0)) (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000)))) (i32.const 0)`, Drop, ""},
		// Beside a limiter, memory.c takes fewer looks for a refusal.
		"dropped, after many, beside table.grow": {`(loop $l (call $catch (i32.const 0)) (if (i32.const 0) (then (drop (table.grow $t (ref.null exn) (i32.const 1))))) (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000)))) (i32.const 0)`, Drop, ""},
		"not caught":                             {`(try_table (call $throw (i32.const 5))) (local.get 4)`, Trapped, "the guest threw an exception that nothing catches"},
		"none":                                   {`(throw_ref (ref.null exn))`, Trapped, "null reference"},
		"no stack":                               {`(call $overflow) (local.get 4)`, Trapped, "stack overflow"},
		"trap in a try":                          {`(block $h (try_table (catch_all $h) unreachable)) (local.get 4)`, Trapped, "unreachable code"},
		"no memory left":                         {`(loop $l ` + hoard + ` (br $l)) (local.get 4)`, Trapped, "no memory is left for the guest's exceptions: it has "},
	} {
		t.Run(name, func(t *testing.T) {
			const limit = 20e6
			in := instantiate(t, throwing(test.body), Config{MemoryLimitBytes: limit})
			for range 3 {
				b := Batch{In: []byte(`{}`)}
				b.Add(0, 1, 2)
				_, err := in.Run(nil, &b, 0, 1)
				if b.Records[0].Outcome != test.outcome || (err != nil) != (test.outcome == Trapped) || err != nil && !strings.Contains(err.Error(), test.reason) {
					t.Fatalf("%v, %v; want %v, %q", b.Records[0].Outcome, err, test.outcome, test.reason)
				}
				if n := in.MemoryBytes(); n > limit {
					t.Errorf("it has %d bytes", n)
				}
				if test.outcome == Trapped {
					break
				}
			}
		})
	}
}

// What exceptions take of memory counts for the instance to be replaced.
func TestExceptionsAreRecycled(t *testing.T) {
	in := instantiate(t, throwing(`(loop $l `+hoard+` (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000)))) (local.get 4)`),
		Config{RecycleMemoryBytes: 2e6})
	var b Batch
	for range 20 {
		from := len(b.In)
		b.In = append(b.In, `{}`...)
		b.Add(from, 1, 2)
	}
	if next, err := in.Run(nil, &b, 0, len(b.Records)); err == nil || next == len(b.Records) {
		t.Errorf("next %d, %v, %d bytes", next, err, in.MemoryBytes())
	}
}

// A guest is ended among its exceptions, too.
func TestTimeoutAmongExceptions(t *testing.T) {
	for name, body := range map[string]string{
		"throws":           `(loop $l (call $catch (i32.const 0)) (br $l))`,
		"throws from deep": `(loop $l (call $catch (i32.const 2000)) (br $l))`, // frames are large on arm64
		"throws again": `(local.set $x (block $h (result exnref) (try_table (result exnref) (catch_all_ref $h) (throw $none))))
      (loop $l (local.set $x (block $h (result exnref) (try_table (result exnref) (catch_all_ref $h) (throw_ref (local.get $x))))) (br $l))`,
	} {
		t.Run(name, func(t *testing.T) {
			m := load(t, throwing(`(if (i32.gt_u (local.get 5) (i32.const 2)) (then `+body+`)) (local.get 4)`))
			stopsAtSecond(t, m, Config{MemoryLimitBytes: 4e9, Timeout: 50 * time.Millisecond}, TimedOut, "timeout")
		})
	}
}

// What the engine does not know, or is not to run, is refused with what to do.
func TestProposals(t *testing.T) {
	for own, want := range map[string]string{
		`(tag $e) (func try throw $e catch $e end)`:                            "-wasm-use-legacy-eh=false",
		`(type $s (struct (field i32))) (func (param (ref $s)))`:               "build for linear memory",
		`(global (mut i31ref) (ref.null i31))`:                                 "build for linear memory",
		`(type $t (func)) (func (param (ref $t)))`:                             "typed function references are not supported",
		`(type $f (func)) (type $c (cont $f))`:                                 "stack switching is not supported",
		`(memory 1 (pagesize 1))`:                                              "--page-size",
		`(func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 1)))`: "-mno-wide-arithmetic",
	} {
		path := filepath.Join(t.TempDir(), "guest.wat")
		if err := os.WriteFile(path, []byte(inside("1", own, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Load(Source{Path: path})
		if err == nil {
			m.Close()
			t.Errorf("%s: no error", own)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", own, err, want)
		}
	}
}
