package output

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tagtemplate"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// Whatever a chunk holds: what travels is msgpack of as many values as are said, no
// record is lost or added, and lines are JSON.
func FuzzDivide(f *testing.F) {
	ts := oracle.Timestamp(1700000000, 7)
	f.Add(oracle.Pack(oracle.Current(ts, map[string]any{"m": 1}, map[string]any{"a": "x", "b": []any{1.5, nil}})), uint8(0))
	f.Add(oracle.Pack(oracle.Legacy(1.5, map[string]any{"a": map[string]any{}})), uint8(1))
	f.Add(oracle.Pack(oracle.Current(oracle.Timestamp(1<<32-1, 0), map[string]any{}, map[string]any{}),
		oracle.Current(ts, map[string]any{}, map[string]any{"a": "y"}),
		oracle.Current(oracle.Timestamp(1<<32-2, 0), map[string]any{}, map[string]any{})), uint8(0))
	f.Add([]byte{0x92, 0x05, 0x93, 1, 2, 3}, uint8(2))
	template, err := tagtemplate.Parse("t.$a.$b['c']")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, mode uint8) {
		o := options.Output{Metadata: options.Metadata(mode % 3), DateKey: "date", Tag: template}
		groups, err := divide(data, "tag", template, o.Metadata)
		if err != nil {
			return
		}
		values := 0
		for _, g := range groups {
			n := count(t, g.events)
			if n != g.count || len(g.tag) > 3*tagtemplate.MaxBytes {
				t.Fatalf("%d values, %d are said; a tag of %d bytes", n, g.count, len(g.tag))
			}
			values += n
		}
		if in := count(t, data); o.Metadata == options.MetadataOff && values > in {
			t.Errorf("%d events became %d", in, values)
		}
		p := &parcel{groups: groups}
		if err := (lines{o}).pack(p); err != nil {
			return
		}
		for line := range bytes.SplitSeq(bytes.TrimSuffix(p.text, []byte("\n")), []byte("\n")) {
			if len(line) > 0 && (!json.Valid(line) || line[0] != '{') {
				t.Errorf("not a line of JSON: %q", line)
			}
			if name, ok := twice(t, line); ok {
				t.Errorf("%q is there twice: %q", name, line)
			}
		}
	})
}

// count counts the values in b.
func count(t *testing.T, b []byte) int {
	n := 0
	for ; len(b) > 0; n++ {
		rest, err := msgp.Skip(b)
		if err != nil {
			t.Fatalf("not msgpack: %v", err)
		}
		b = rest
	}
	return n
}
