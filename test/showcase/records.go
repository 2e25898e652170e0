package showcase

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
)

// Records yields n records of [records.Generate] that have something for the guest to do, besides those
// with the level debug: each a user, three of four a client_ip, one of four an address in a text, and one
// of sixteen items, three of them.
func Records(n int, seed uint64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		ips := []string{"192.0.2.7", "198.51.100.4", "203.0.113.9"}
		i := 0
		for record := range records.Generate(n, seed) {
			record = bytes.TrimSuffix(record, []byte("}"))
			record = fmt.Appendf(record, `,"user":"user-%d"`, i%50)
			if i%4 < len(ips) {
				record = fmt.Appendf(record, `,"client_ip":"%s"`, ips[i%4])
			}
			if i%4 == 1 {
				record = fmt.Appendf(record, `,"note":"mail to user-%d@example.com was sent"`, i%50)
			}
			if i%16 == 0 {
				record = append(record, `,"items":[{"sku":"A-100","qty":2},{"sku":"B-7","qty":1},"gift"]`...)
			}
			if !yield(append(record, '}')) {
				return
			}
			i++
		}
	}
}
