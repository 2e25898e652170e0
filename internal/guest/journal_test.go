package guest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// chunkHops is ChunkHops by another codec, of what is valid up to where package chunk can read it.
func chunkHops(t *testing.T, data []byte) (hops uint64) {
	t.Helper()
	for len(data) > 0 {
		e, rest, err := chunk.Next(data)
		if err != nil {
			break
		}
		data = rest
		_, metadata := e.Parts()
		if len(metadata) == 0 {
			continue
		}
		elements, _, err := oracle.Elements(metadata)
		if err != nil {
			t.Fatalf("%x: %v", metadata, err)
		}
		of := uint64(0)
		for i := 0; i+1 < len(elements); i += 2 {
			var key, value any
			if lead := elements[i][0]; lead&0xe0 == 0xa0 || lead >= 0xd9 && lead <= 0xdb {
				_ = oracle.Value(elements[i], &key)
			}
			if fmt.Sprint(key) != "wasmtime_hops" {
				continue
			}
			_ = oracle.Value(elements[i+1], &value)
			number, ok := value.(oracle.Integer)
			if of, err = strconv.ParseUint(string(number), 10, 64); !ok || err != nil {
				of = 0
			}
		}
		hops = max(hops, of)
	}
	return min(hops, 1<<32-2) + 1
}

func hopping(hops any) []byte {
	return oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 1), map[string]any{"a": "wasmtime_hops", "wasmtime_hops": hops}, map[string]any{"n": 7}))
}

// What is highest counts, wherever it stands; what only looks like it does not.
func TestChunkHops(t *testing.T) {
	inBody := oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 1), map[string]any{"b": map[string]any{"wasmtime_hops": 5}}, map[string]any{"wasmtime_hops": 6}))
	start := oracle.Pack(oracle.Current(oracle.Timestamp(0xffffffff, 0), map[string]any{}, map[string]any{"resource": "x"}))
	legacy := oracle.Pack(oracle.Legacy(1700000000, map[string]any{"wasmtime_hops": 6}))
	withKey := func(head string) string {
		return strings.Replace(string(hopping(7)), "\xadwasmtime_hops\x07", head+"wasmtime_hops\x07", 1)
	}
	for what, c := range map[string]struct {
		chunk  string
		want   uint32
		events int
	}{
		"nothing":          {"", 1, 0},
		"none":             {string(inBody) + string(legacy), 1, 2},
		"the first":        {string(hopping(7)) + string(hopping(2)), 8, 2},
		"the last":         {string(inBody) + string(start) + string(legacy) + string(hopping(2)) + string(hopping(7)), 8, 5},
		"a key of str 8":   {withKey("\xd9\x0d"), 8, 1},
		"a key of str 16":  {withKey("\xda\x00\x0d"), 8, 1},
		"a key of str 32":  {withKey("\xdb\x00\x00\x00\x0d"), 8, 1},
		"a key of bin 8":   {withKey("\xc4\x0d"), 1, 1},
		"a large one":      {string(hopping(70000)), 70001, 1},
		"too large a one":  {string(hopping(uint64(1) << 63)), 1<<32 - 1, 1},
		"a negative one":   {string(hopping(-7)), 1, 1},
		"a text":           {string(hopping("7")), 1, 1},
		"one and garbage":  {string(hopping(3)) + "\xc1" + string(hopping(7)), 4, 1},
		"one that is torn": {string(hopping(3)) + string(hopping(7)[:30]), 4, 1},
	} {
		if got := ChunkHops([]byte(c.chunk)); got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
		if got := ChunkEvents([]byte(c.chunk)); got != c.events {
			t.Errorf("%s: %d events, want %d", what, got, c.events)
		}
	}
}

// FuzzChunkHops compares with another codec what can be read of a chunk.
func FuzzChunkHops(f *testing.F) {
	f.Add([]byte(string(hopping(3)) + string(hopping("x")) + string(oracle.Pack(oracle.Legacy(1, map[string]any{"wasmtime_hops": 6})))))
	f.Add(hopping(uint64(1) << 63)[:40])
	f.Fuzz(func(t *testing.T, data []byte) {
		got := uint64(ChunkHops(data))
		// What package chunk refuses may be read here: a time, or what nests too deep.
		events, whole := eventsOf(data)
		if !whole {
			return
		}
		if want := chunkHops(t, data); got != want {
			t.Errorf("%x: %d, want %d", data, got, want)
		}
		if got := ChunkEvents(data); got != events {
			t.Errorf("%x: %d events, want %d", data, got, events)
		}
	})
}

// eventsOf counts the events of a chunk, and says whether it can be read to its end.
func eventsOf(data []byte) (n int, whole bool) {
	for ; len(data) > 0; n++ {
		_, rest, err := chunk.Next(data)
		if err != nil {
			return n, false
		}
		data = rest
	}
	return n, true
}
