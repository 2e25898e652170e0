package host

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// body is a record of all the types that JSON and msgpack share.
func body(n int) map[string]any {
	return map[string]any{
		"n":           n,
		"log":         fmt.Sprintf("GET /items/%d\t\"q\" \u00e9\u4e16\U0001f600", n),
		"whole":       418.0,
		"ratio":       0.1,
		"big":         uint64(1<<64 - 1),
		"small":       int64(-1 << 63),
		"yes":         true,
		"none":        nil,
		"empty":       "",
		"nested":      map[string]any{"list": []any{1, "two", []any{}, map[string]any{}}},
		"k\"\n\u00e9": "key with escapes",
	}
}

// chunkOf is a chunk of n events in the current format.
func chunkOf(n int) []byte {
	var chunk []byte
	for i := range n {
		meta := map[string]any{}
		if i%2 == 1 {
			meta["origin"] = fmt.Sprint("m", i)
		}
		ts := oracle.Timestamp(1700000000+uint32(i), 123456789)
		chunk = append(chunk, oracle.Pack(oracle.Current(ts, meta, body(i)))...)
	}
	return chunk
}

// eachBody is the chunk with another body in each event.
func eachBody(t *testing.T, chunk []byte, body any) []byte {
	t.Helper()
	events, err := oracle.Unpack(chunk)
	if err != nil {
		t.Fatal(err)
	}
	packed := oracle.Pack(body)
	var out []byte
	for _, e := range events {
		out = append(append(append(out, 0x92), e.Header...), packed...)
	}
	return out
}

// same fails the test unless chunks hold the same events.
func same(t *testing.T, want, got []byte) {
	t.Helper()
	if bytes.Equal(want, got) {
		return
	}
	if diff := oracle.Diff(want, got); diff != "" {
		t.Errorf("events differ (-want +got):\n%s", diff)
	}
}
