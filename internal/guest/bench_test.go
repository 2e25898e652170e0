package guest

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// loopText counts to 10,000 for each record.
const loopText = `(module
  (memory (export "memory") 32)
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $i i32)
    (loop $l
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (i32.store (i32.const 0) (local.get $i))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 10000))))
    (local.get 4)))`

// BenchmarkRun crosses into guests with batches of 75 records of 450 bytes,
// without and with a timeout.
func BenchmarkRun(b *testing.B) {
	redact, err := os.ReadFile("../../examples/c/bare/redact.wasm")
	if err != nil {
		b.Fatal(err)
	}
	for _, guest := range []struct{ name, function, module string }{
		{"identity", "filter", guests.WAT("identity")},
		{"loop", "filter", loopText},
		{"redact", "redact", string(redact)},
	} {
		m := load(b, guest.module)
		for _, timeout := range []time.Duration{0, time.Second} {
			b.Run(guest.name+"/timeout="+timeout.String(), func(b *testing.B) {
				in, err := m.NewInstance(Config{Function: guest.function, Timeout: timeout})
				if err != nil {
					b.Fatal(err)
				}
				defer in.Close()
				var batch Batch
				defer batch.Close()
				record := []byte(`{"log":"` + string(bytes.Repeat([]byte("some words and 12 "), 24)) + `"}`)
				const n = 75
				tag := []byte("app.log")
				b.ReportAllocs()
				b.SetBytes(int64(n * len(record)))
				for b.Loop() {
					batch.Reset()
					for range n {
						from := len(batch.In)
						batch.In = append(batch.In, record...)
						batch.Add(from, 1, 2)
					}
					if _, err := in.Run(tag, &batch, 0, n); err != nil {
						b.Fatal(err)
					}
					if got := batch.Records[n-1].Outcome; got != Reply {
						b.Fatal(got)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
			})
		}
	}
}
