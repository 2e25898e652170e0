package guest

import (
	"fmt"
	"strings"
	"testing"
)

const recordImports = `
  (import "flb_v1" "time_get" (func $time_get (result i64)))
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (import "flb_v1" "metadata_get" (func $metadata_get (param i32 i32) (result i32)))
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "group_get" (func $group_get (param i32 i32) (result i32)))
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))`

// Where there is no record, nothing can be had of one, nor set: in start functions, in flb_configure,
// and in the free that follows its function.
func TestNoCurrentRecord(t *testing.T) {
	in := instantiate(t, `(module `+recordImports+`
  (memory (export "memory") 2)
  (data (i32.const 1024) "{}")
  (global $calls (mut i32) (i32.const 0))
  (global $there (mut i32) (i32.const 0))
  (func $one (param i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (global.set $there (i32.add (global.get $there) (i32.ne (local.get 0) (i32.const -1)))))
  (func $try
    (call $one (i32.wrap_i64 (call $time_get)))
    (call $one (call $time_set (i64.const 1) (i32.const 1)))
    (call $one (call $metadata_get (i32.const 2048) (i32.const 1024)))
    (call $one (call $metadata_set (i32.const 1024) (i32.const 2)))
    (call $one (call $group_get (i32.const 2048) (i32.const 1024)))
    (call $one (call $group_set (i32.const 1024) (i32.const 2)))
    (call $one (call $emit (i32.const 1024) (i32.const 2) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0))))
  (start $try)
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32) (call $try))
  (func (export "flb_configure") (result i32) (call $try) (i32.const 0))
  `+answer+`
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $answer (i32.add (i32.mul (global.get $calls) (i32.const 100)) (global.get $there)))))`, Config{Msgpack: true})
	for _, want := range []uint32{2 * 7 * 100, 3 * 7 * 100, 4 * 7 * 100} {
		if got := number(t, in, "\x80"); got != want {
			t.Errorf("calls and what was there: %d, want %d", got, want)
		}
	}
}

// What a guest says of its memory is checked, whether or not it would be refused.
func TestRecordFunctionsOutsideMemory(t *testing.T) {
	end := "(i32.shl (memory.size) (i32.const 16))"
	before := func(n int) string { return fmt.Sprintf("(i32.sub %s (i32.const %d))", end, n) }
	pairs := []string{before(1) + " (i32.const 2)", end + " (i32.const 1)", "(i32.const -1) (i32.const -1)",
		"(i32.const 1) (i32.const -1)", "(i32.const -1) (i32.const 2)", "(i32.const 0x7fffffff) (i32.const 0x7fffffff)"}
	good := "(i32.const 0) (i32.const 1)"
	for _, pair := range pairs {
		for name, body := range map[string]string{
			"metadata_get": "(call $metadata_get " + pair + ")",
			"metadata_set": "(call $metadata_set " + pair + ")",
			"group_get":    "(call $group_get " + pair + ")",
			"group_set":    "(call $group_set " + pair + ")",
			"emit":         "(call $emit " + good + pair + " (i64.const -1) (i32.const 0))",
			"emit ":        "(call $emit " + pair + good + " (i64.const -5) (i32.const 0))",
		} {
			m := load(t, `(module `+recordImports+` (memory (export "memory") 2) `+answer+`
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (call $answer `+body+`)))`)
			trap := trapOf(t, m, Config{}, "{}")
			if !strings.Contains(trap.Reason, strings.TrimSpace(name)+": the ") || !strings.Contains(trap.Reason, "outside memory") {
				t.Errorf("%s: %v", body, trap)
			}
		}
	}
}
