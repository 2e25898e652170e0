package guest

import (
	"testing"
)

// identityText returns its record; its malloc hands out one static buffer.
const identityText = `(module
  (memory (export "memory") 32)
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`

func BenchmarkRun(b *testing.B) {
	m := load(b, identityText)
	in, err := m.NewInstance(Config{Function: "filter"})
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	var batch Batch
	defer batch.Close()
	record := make([]byte, 450)
	for i := range record {
		record[i] = 'x'
	}
	const n = 75
	tag := []byte("app.log")
	b.ReportAllocs()
	b.SetBytes(n * 450)
	for b.Loop() {
		batch.Reset()
		for range n {
			from := len(batch.In)
			batch.In = append(batch.In, record...)
			batch.Add(from, 1, 2)
		}
		if _, err := in.Run(tag, &batch, 0, len(batch.Records)); err != nil {
			b.Fatal(err)
		}
		if got := batch.Records[n-1].Outcome; got != Reply {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
}
