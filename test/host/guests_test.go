package host

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// function is what the guests export.
const function = "filter"

// Guests that only these tests need. All of them take the six arguments of the
// ABI: tag, its length, seconds, nanoseconds, record, its length.
var local = map[string]string{
	// spaced returns a blank and the record, so that the reply has to be read.
	"spaced": `(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 65536) (i32.const 32))
    (memory.copy (i32.const 65537) (local.get 4) (local.get 5))
    (i32.store8 (i32.add (i32.const 65537) (local.get 5)) (i32.const 0))
    (i32.const 65536)))`,

	// tag returns {"tag":"..."}.
	"tag": `(module
  (memory (export "memory") 17)
  (data (i32.const 65536) "{\"tag\":\"")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (memory.copy (i32.const 65544) (local.get 0) (local.get 1))
    (i32.store (i32.add (i32.const 65544) (local.get 1)) (i32.const 0x7d22))
    (i32.const 65536)))`,

	// unreachable always traps.
	"unreachable": `(module
  (memory (export "memory") 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (unreachable)))`,

	// deep recurses 2,000 times, too deep for the stack of a coroutine, and
	// returns the record.
	"deep": deep(2000),
}

// deep is a guest that recurses so many times and returns the record.
func deep(times int) string {
	return fmt.Sprintf(`(module
  (memory (export "memory") 17)
  (func $down (param i32 i64 i64 i64 i64) (result i64)
    (if (result i64) (local.get 0)
      (then (i64.add (local.get 1) (call $down (i32.sub (local.get 0) (i32.const 1))
        (local.get 2) (local.get 3) (local.get 4) (local.get 1))))
      (else (local.get 1))))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $down (i32.const %d)
      (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
    (memory.copy (i32.const 65536) (local.get 4) (local.get 5))
    (i32.store8 (i32.add (i32.const 65536) (local.get 5)) (i32.const 0))
    (i32.const 65536)))`, times)
}

// guest writes a guest's text to a file and returns its path.
func guest(t *testing.T, name string) string {
	t.Helper()
	text, ok := local[name]
	if !ok {
		text = guests.WAT(name)
	}
	return guestFile(t, text)
}

func guestFile(t *testing.T, text string) string { return fileOf(t, "guest.wat", text) }

func file(t *testing.T, content string) string { return fileOf(t, "file", content) }

func fileOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
