package guest

import (
	"errors"
	"strings"
	"testing"
)

// Every kind of trap ends the call it happens in with a reason, and nothing else;
// the next instance works.
func TestTraps(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"unreachable":        {`unreachable`, "unreachable"},
		"load out of bounds": {`(drop (i32.load (i32.const -4)))`, "out of bounds memory access"},
		"store behind end":   {`(i64.store (i32.const 131065) (i64.const 1))`, "out of bounds memory access"},
		"fill out of bounds": {`(memory.fill (i32.const 131071) (i32.const 0) (i32.const 2))`, "out of bounds memory access"},
		"division by zero":   {`(drop (i32.div_s (i32.const 1) (local.get 1)))`, "integer division by zero"},
		"remainder by zero":  {`(drop (i64.rem_u (i64.const 1) (i64.const 0)))`, "integer division by zero"},
		"division overflow":  {`(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))`, "integer overflow"},
		"float to integer":   {`(drop (i32.trunc_f64_s (f64.const nan)))`, "invalid conversion to integer"},
		"float too large":    {`(drop (i32.trunc_f64_s (f64.const 1e300)))`, "integer overflow"},
		"deep recursion":     {`(call $deep)`, "stack overflow"},
		"large frames":       {`(drop (call $large (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))`, "stack overflow"},
		"another signature":  {`(call_indirect (type $other) (i64.const 1) (i32.const 0))`, "indirect call with another signature"},
		"empty table slot":   {`(call_indirect (type $void) (i32.const 1))`, "indirect call to null"},
		"behind the table":   {`(call_indirect (type $void) (i32.const 2))`, "out of bounds table access"},
		"exit":               {`(call $exit (i32.const 7))`, "exited with status 7"},
		"exit well":          {`(call $exit (i32.const 0))`, "exited with status 0"},
	} {
		t.Run(name, func(t *testing.T) {
			m := load(t, `(module
  (type $void (func)) (type $other (func (param i64)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2 2)
  (table 2 funcref) (elem (i32.const 0) $deep)
  (func $deep (call $deep))
  (func $large (param i64 i64 i64 i64) (result i64)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local.set 4 (i64.mul (local.get 0) (i64.const 3))) (local.set 5 (i64.mul (local.get 1) (i64.const 5)))
    (local.set 6 (i64.mul (local.get 2) (i64.const 7))) (local.set 7 (i64.mul (local.get 3) (i64.const 9)))
    (local.set 8 (i64.xor (local.get 4) (local.get 1))) (local.set 9 (i64.xor (local.get 5) (local.get 2)))
    (local.set 10 (call $large (local.get 9) (local.get 8) (local.get 7) (local.get 6)))
    (i64.add (i64.add (i64.add (local.get 4) (local.get 5)) (i64.add (local.get 6) (local.get 7)))
      (i64.add (i64.add (local.get 8) (local.get 9)) (i64.add (local.get 10) (i64.add (local.get 0) (local.get 1))))))
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 5) (i32.const 2)) (then `+test.body+`))
    (local.get 4)))`)
			stopsAtSecond(t, m, Config{}, Trapped, test.want)
		})
	}
}

// stopsAtSecond runs a guest that stops at records of more than two bytes: the
// second of three. It does so over and over, in new instances, for a reason that
// says want.
func stopsAtSecond(t *testing.T, m *Module, config Config, outcome Outcome, want string) {
	t.Helper()
	config.Function = "filter"
	for range 3 {
		in, err := m.NewInstance(config)
		if err != nil {
			t.Fatal(err)
		}
		var b Batch
		for _, record := range []string{"{}", "{ }", "{}"} {
			from := len(b.In)
			b.In = append(b.In, record...)
			b.Add(from, 0, 0)
		}
		next, err := in.Run(nil, &b, 0, len(b.Records))
		var trap *TrapError
		if next != 2 || !errors.As(err, &trap) || !strings.Contains(trap.Reason, want) {
			t.Errorf("next %d, %v, want %q", next, err, want)
		}
		if b.Records[0].Outcome != Reply || b.Records[1].Outcome != outcome || b.Records[2].Outcome != NotRun {
			t.Errorf("%v", b.Records)
		}
		in.Close()
		b.Close()
	}
}

// Any status is said, as C's exit takes it.
func TestExitStatus(t *testing.T) {
	for status, want := range map[string]string{"255": "status 255", "126": "status 126", "-1": "status -1"} {
		in := instantiate(t, `(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (call $exit (i32.const `+status+`)) (local.get 4)))`, Config{})
		b := Batch{In: []byte("{}")}
		b.Add(0, 1, 2)
		if _, err := in.Run(nil, &b, 0, 1); err == nil || err.Error() != "the guest exited with "+want {
			t.Error(err)
		}
		b.Close()
	}
}
