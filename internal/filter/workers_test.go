package filter

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// However many instances share a chunk, it becomes the same, in the same order.
func TestWorkersDoWhatOneDoes(t *testing.T) {
	for _, name := range []string{"identity", "wrap", "drop", "trap_when_told", "not_a_map"} {
		for _, n := range []int{1, 2, 3, 7, 500} {
			var in []byte
			for i := range n {
				in = append(in, event(int64(i+1), map[string]any{
					"n": i, "trap": i%5 == 3, "text": strings.Repeat("x", i*13%97),
				})...)
			}
			one := startWith(t, options.Options{Workers: 1}, guests.WAT(name))
			want, wantModified := one.Run(tag, in)
			for _, workers := range []int{2, 3, 8} {
				f := startWith(t, options.Options{Workers: workers}, guests.WAT(name))
				for range 3 {
					got, modified := f.Run(tag, in)
					if modified != wantModified || !bytes.Equal(got, want) {
						t.Fatalf("%s, %d records, %d workers: %x (modified %t), want %x (modified %t)",
							name, n, workers, got, modified, want, wantModified)
					}
				}
				wantStats, gotStats := one.Stats(), f.Stats()
				for _, count := range []*uint64{&wantStats.Chunks, &wantStats.Records, &wantStats.Returned, &wantStats.Dropped, &wantStats.Failed} {
					*count *= 3
				}
				wantStats.GivenUp, gotStats.GivenUp = 0, 0 // each has its own next instance
				wantStats.Causes, gotStats.Causes = [numCauses]uint64{}, [numCauses]uint64{}
				if diff := cmp.Diff(wantStats, gotStats); diff != "" {
					t.Errorf("%s, %d records, %d workers: %s", name, n, workers, diff)
				}
			}
		}
	}
}

// A chunk that can't be read is not changed, wherever the damage is.
func TestWorkersLeaveCorruptChunks(t *testing.T) {
	var good []byte
	for i := range 40 {
		good = append(good, event(int64(i+1), map[string]any{"n": i})...)
	}
	first := len(event(1, map[string]any{"n": 0}))
	// 92 c0 80 is MessagePack, and no event.
	for name, in := range map[string][]byte{
		"begin":  append([]byte("\x92\xc0\x80"), good...),
		"middle": append(append(append([]byte(nil), good[:20*first]...), "\x92\xc0\x80"...), good[20*first:]...),
		"end":    append(append([]byte(nil), good...), "\x92\xc0\x80"...),
		"cut":    good[:len(good)-1],
	} {
		f := startWith(t, options.Options{Workers: 3}, guests.WAT("wrap"))
		if _, modified := f.Run(tag, in); modified {
			t.Errorf("%s: modified", name)
		}
		if diff := cmp.Diff(Stats{Chunks: 1, Corrupt: 1}, f.Stats()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What a worker's guest writes, and why it fails, is in the log when Run returns.
func TestWorkersLog(t *testing.T) {
	var in []byte
	for i := range 30 {
		in = append(in, event(int64(i+1), map[string]any{"n": i, "trap": i == 29})...)
	}
	f := startWith(t, options.Options{Workers: 3}, guests.WAT("trap_when_told"))
	f.Run(tag, in)
	if f.count(hostlog.Error, "unreachable") != 1 {
		t.Errorf("%v", f.logs)
	}
}

// A chunk ends where its last part does, and no part cuts an event.
func TestSplit(t *testing.T) {
	for n := 1; n < 30; n++ {
		var in []byte
		starts := map[int]bool{}
		for i := range n {
			starts[len(in)] = true
			in = append(in, event(1, strings.Repeat("y", i*i%50))...)
		}
		for parts := 1; parts < 10; parts++ {
			share := max(1/float64(parts), float64(n%4)/4)
			ends := split(nil, in, parts, share)
			if len(ends) == 0 || len(ends) > parts || ends[len(ends)-1] != len(in) {
				t.Fatalf("%d events in %d parts: %v of %d", n, parts, ends, len(in))
			}
			if parts > 1 && float64(ends[0]) < share*float64(len(in)) {
				t.Fatalf("%d events in %d parts: %v of %d, the first having less than %v", n, parts, ends, len(in), share)
			}
			for i, end := range ends[:len(ends)-1] {
				if !starts[end] || i > 0 && end <= ends[i-1] {
					t.Fatalf("%d events in %d parts: %v", n, parts, ends)
				}
			}
		}
	}
}

func BenchmarkWorkers(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			f := startWith(b, options.Options{Workers: workers, Timeout: time.Second}, guests.WAT("wrap"))
			var chunk []byte
			for i := range 1000 {
				chunk = append(chunk, event(int64(i), benchRecord(400))...)
			}
			b.ReportAllocs()
			for b.Loop() {
				f.Run(tag, chunk)
			}
		})
	}
}

// No part begins inside a group, and a chunk of several groups has several parts.
func TestSplitKeepsGroups(t *testing.T) {
	record := with(1, 0, object{}, object{"n": 1})
	start, end := groupStart(object{"k": "v"}), groupEnd()
	for name, c := range map[string]struct {
		unit  []byte
		parts int
	}{
		"ended":     {join(start, record, record, record, end), 4},
		"not ended": {join(start, record, record, record), 1}, // what ends the last one may end the first
		"between":   {join(record, start, record, end, record, record), 4},
	} {
		in := bytes.Repeat(c.unit, 8)
		ends := split(nil, in, 4, 0.25)
		if len(ends) != c.parts || ends[len(ends)-1] != len(in) {
			t.Errorf("%s: %v of %d", name, ends, len(in))
		}
		for _, at := range ends {
			inside := at % len(c.unit)
			if inside > 0 && (name != "between" || inside > len(record) && inside < len(record)+len(start)+len(record)+len(end)) {
				t.Errorf("%s: a part ends at %d of %d", name, inside, len(c.unit))
			}
		}
	}
	if ends := split(nil, join(start, bytes.Repeat(record, 20), end), 4, 0.25); len(ends) != 1 {
		t.Errorf("one group: %v", ends)
	}
}

// A worker that gets no thread leaves nothing behind.
func TestWorkerWithoutThread(t *testing.T) {
	defer func(f func(func()) error) { goThread = f }(goThread)
	goThread = func(func()) error { return syscall.EAGAIN }
	instances, helpers := guest.Open(), guest.Helpers()
	path := writeGuest(t, guests.WAT("identity"))
	_, err := New(options.Options{WasmPath: path, FunctionName: "filter", Workers: 3}, func(hostlog.Level, string) {})
	if !errors.Is(err, syscall.EAGAIN) || !strings.Contains(err.Error(), "option workers: can't start a thread") {
		t.Errorf("%v", err)
	}
	if n, m := guest.Open()-instances, guest.Helpers()-helpers; n != 0 || m != 0 {
		t.Errorf("%d instances and %d helpers are left", n, m)
	}
}
