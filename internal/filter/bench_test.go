package filter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// spacedText answers the record with a blank before it, so that the reply has to
// be read.
const spacedText = `(module
  (memory (export "memory") 32)
  (func (export "malloc") (param i32) (result i32) (i32.const 65537))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 65536) (i32.const 32))
    (i32.const 65536)))`

// BenchmarkFilter runs chunks of 1, 75 and 1,000 records of about 100 bytes,
// 400 bytes and 4 KB, with the limits that users get by default.
func BenchmarkFilter(b *testing.B) {
	for _, guest := range []struct {
		name, text string
		format     options.EventFormat
	}{
		{"same", guests.WAT("identity"), options.JSON},
		{"reread", spacedText, options.JSON},
		{"drop", guests.WAT("drop"), options.JSON},
		{"msgpack", guests.WAT("msgpack_identity"), options.Msgpack},
	} {
		for _, size := range []int{100, 400, 4000} {
			for _, n := range []int{1, 75, 1000} {
				b.Run(fmt.Sprintf("%s/%dB/%d", guest.name, size, n), func(b *testing.B) {
					f := startWith(b, options.Options{
						EventFormat: guest.format, Timeout: time.Second,
						MemoryLimitBytes: 256e6, RecycleMemoryBytes: 64e6,
						BreakerFailures: 100, BreakerBackoff: time.Second,
					}, guest.text)
					var chunk []byte
					for i := range n {
						chunk = append(chunk, event(int64(i), benchRecord(size))...)
					}
					b.SetBytes(int64(len(chunk)))
					b.ReportAllocs()
					for b.Loop() {
						f.Run(tag, chunk)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
					if s := f.Stats(); s.Failed > 0 {
						b.Fatal(s)
					}
				})
			}
		}
	}
}

// benchRecord is an access log record of about size bytes as JSON.
func benchRecord(size int) map[string]any {
	record := map[string]any{"method": "GET", "code": 200, "latency": 0.125, "ok": true, "user": nil}
	if size > 100 {
		record["path"] = "/api/v1/orders/12345?expand=items"
		record["agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \"quoted\""
		record["kubernetes"] = map[string]any{
			"pod": "web-7d4b9c6f5-x2x7p", "namespace": "prod",
			"labels": map[string]any{"app": "web", "tier": "frontend"},
		}
		record["tags"] = []any{"a", "b", 3, -4.5}
	}
	for i := 0; i < size/1000; i++ {
		record[fmt.Sprintf("message%d", i)] = strings.Repeat("some words, numbers such as 1234\n", 30)
	}
	return record
}
