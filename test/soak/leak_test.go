package soak

import (
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// A guest that never frees costs memory up to recycle_memory, again and again,
// and no more than that.
func TestLeakingGuest(t *testing.T) {
	const (
		chunkRecords = 500
		recycleMB    = 64
		leakBytes    = 1024
		instance     = recycleMB * 1_000_000 / leakBytes // records that it lasts, at most
	)
	if soakRecords < 4*instance {
		t.Fatalf("SOAK_RECORDS=%d: at least %d, so that there is something to measure after the warm-up", soakRecords, 4*instance)
	}
	warmUp := max(2*instance, soakRecords/10)
	values := map[string]string{"wasm_path": guest(t, t.TempDir(), "leak"), "function_name": "filter", "recycle_memory": "64M"}
	o, err := options.Parse(options.From(func(name string) (string, bool) { v, ok := values[name]; return v, ok }))
	if err != nil {
		t.Fatal(err)
	}
	f, err := filter.New(o, func(level hostlog.Level, line string) {
		if level <= hostlog.Warn {
			t.Log(line)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	var data []byte
	a := newAuthor(1, nil)
	for n := range uint64(chunkRecords) {
		data = appendEvent(data, n, a)
	}
	start := time.Now()
	warm, most := 0, 0
	for n := 0; n < soakRecords; n += chunkRecords {
		if out, modified := f.Run([]byte("leak"), data); modified {
			t.Fatalf("record %d: the chunk of %d bytes was changed to %d", n, len(data), len(out))
		}
		if now := sizeOf(t, "self").ownKB; n < warmUp {
			warm = max(warm, now)
		} else {
			most = max(most, now)
		}
	}
	s := f.Stats()
	if s.Records != s.Returned || s.Records < uint64(soakRecords) {
		t.Errorf("records: %v", s)
	}
	if s.Recycled == 0 || s.Recycled != s.GivenUp {
		t.Errorf("%d instances given up for recycle_memory, of %d", s.Recycled, s.GivenUp)
	}
	if most > warm+warm/10 {
		t.Errorf("memory grew from at most %d kB in the first %d records to %d kB", warm, warmUp, most)
	}
	figures("leaking guest: %d records in %v, %d failed, %d instances recycled; at most %.1f MB in the first %d records, %.1f MB (%+.1f %%) in the others",
		s.Records, time.Since(start).Round(time.Second), s.Failed, s.Recycled,
		float64(warm)/1000, warmUp, float64(most)/1000, 100*float64(most-warm)/float64(warm))
}
