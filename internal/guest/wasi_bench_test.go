package guest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// BenchmarkWASI calls a function of WASI a thousand times for each record.
func BenchmarkWASI(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, 4096), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, test := range []struct{ name, body string }{
		{"clock_time_get", `(drop (call $clock (i32.const 1) (i64.const 0) (i32.const 0)))`},
		{"fd_write", `(drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 0)))`},
		{"random_get", `(drop (call $random (i32.const 0) (i32.const 16)))`},
		{"open and close", `(drop (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
			(drop (call $close (i32.load (i32.const 0))))`},
		{"open, read and close", `(drop (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
			(drop (call $read (i32.load (i32.const 0)) (i32.const 72) (i32.const 1) (i32.const 4)))
			(drop (call $close (i32.load (i32.const 0))))`},
	} {
		b.Run(test.name, func(b *testing.B) {
			in := instantiate(b, `(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 64) "\c8\00\00\00\20\00\00\00\00\04\00\00\00\10\00\00") (data (i32.const 100) "file")
  (func (export "malloc") (param i32) (result i32) (i32.const 131072))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $i i32)
    (loop $l `+test.body+`
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))
    (local.get 4)))`, Config{Dirs: []Dir{{Path: dir}}})
			var batch Batch
			defer batch.Close()
			for b.Loop() {
				reply(b, in, &batch, []byte("{}"), nil)
				in.TakeOutput()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/call")
		})
	}
}

// BenchmarkInstance makes and closes instances of modules without and with WASI, and
// with a directory.
func BenchmarkInstance(b *testing.B) {
	rust, err := os.ReadFile("../../test/toolchains/rust-1.85/wasi_malloc.wasm")
	if err != nil {
		b.Fatal(err)
	}
	for _, test := range []struct {
		name, function, module string
		dirs                   []Dir
	}{
		{"no imports", "filter", guests.WAT("identity"), nil},
		{"WASI", "probe", string(rust), nil},
		{"WASI and a directory", "probe", string(rust), []Dir{{Path: b.TempDir()}}},
	} {
		b.Run(test.name, func(b *testing.B) {
			m := load(b, test.module)
			for b.Loop() {
				in, err := m.NewInstance(Config{Function: test.function, Dirs: test.dirs})
				if err != nil {
					b.Fatal(err)
				}
				in.Close()
			}
		})
	}
}
