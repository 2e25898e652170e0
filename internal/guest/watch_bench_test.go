package guest

import (
	"testing"
	"time"
)

// BenchmarkBesideOverdue is a call of a guest while another of its module is overdue in a function
// of the host, over and over.
func BenchmarkBesideOverdue(b *testing.B) {
	m := load(b, `(module
  (memory (export "memory") 600)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.gt_u (local.get 5) (i32.const 2)) (then
      (loop $l (memory.fill (i32.const 65536) (i32.const 1) (i32.const 33554432)) (br $l))))
    (local.get 4)))`)
	for _, beside := range []struct {
		name string
		hang bool
	}{{"alone", false}, {"beside", true}} {
		b.Run(beside.name, func(b *testing.B) {
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					default:
					}
					if !beside.hang {
						time.Sleep(time.Millisecond)
						continue
					}
					in, err := m.NewInstance(Config{Function: "filter", Timeout: 10 * time.Millisecond})
					if err != nil {
						b.Error(err)
						return
					}
					batch := Batch{In: []byte(`{"loop":1}`)}
					batch.Add(0, 1, 2)
					_, _ = in.Run(nil, &batch, 0, 1)
					in.Close()
					batch.Close()
				}
			}()
			in, err := m.NewInstance(Config{Function: "filter", Timeout: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			defer in.Close()
			var batch Batch
			defer batch.Close()
			for b.Loop() {
				reply(b, in, &batch, []byte("{}"), nil)
			}
			close(stop)
			<-stopped
		})
	}
}
