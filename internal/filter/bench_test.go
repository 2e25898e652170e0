package filter

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

const spaceText = `(module
  (memory (export "memory") 32)
  (func (export "malloc") (param i32) (result i32) (i32.const 65537))
  (func (export "free") (param i32))
  (func (export "same") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local.get 4))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 65536) (i32.const 32))
    (i32.const 65536)))`

func BenchmarkFilter(b *testing.B) {
	path := filepath.Join(b.TempDir(), "g.wat")
	os.WriteFile(path, []byte(spaceText), 0o600)
	for _, fn := range []string{"same", "filter"} {
		for _, n := range []int{1, 75, 1000} {
			b.Run(fmt.Sprintf("%s/%d", fn, n), func(b *testing.B) {
				f, err := New(options.Options{WasmPath: path, FunctionName: fn}, func(l Level, s string) { b.Log(l, s) })
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				body, _, err := transcode.AppendMsgpack(nil, []byte(`{"remote":"10.1.2.3","host":"-","user":"alice","method":"GET","path":"/api/v1/orders/12345?expand=items","code":200,"size":5316,"referer":"https://shop.example.com/cart","agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","latency":0.125,"kubernetes":{"pod":"web-7d4b9c6f5-x2x7p","namespace":"prod","labels":{"app":"web","tier":"frontend"}},"tags":["a","b"],"ok":true,"seq":123456}`), 100)
				if err != nil {
					b.Fatal(err)
				}
				var c []byte
				for i := range n {
					c = chunk.AppendRecord(c, int64(i), 5, nil, body)
				}
				tag := []byte("app.log")
				b.SetBytes(int64(len(c)))
				b.ReportAllocs()
				for b.Loop() {
					f.Run(tag, c)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
				if s := f.Stats(); s.Returned != s.Records {
					b.Fatalf("%+v", s)
				}
			})
		}
	}
}
