package chunk_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// pairsOf are n pairs of msgpack, "000" to "999" with the value nil.
func pairsOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "\xa3%03d\xc0", i%1000)
	}
	return b.String()
}

func TestAppendMarked(t *testing.T) {
	const (
		groupStart = "\x92\x92\xd7\x00\xff\xff\xff\xff\x00\x00\x00\x00\x81\xa6schema\xa4otlp\x80"
		wide       = "\xdd\x00\x00\x00\x02" // an array of two, as Fluent Bit's mpack writes it
	)
	long := strings.Repeat("reason", 20)
	pair := "\xa3key\xd9\x78" + long
	for _, tt := range []struct {
		name string
		in   string
		want string
	}{
		{"current", "\x92\x92" + eventTime + "\x80" + body, "\x92\x92" + eventTime + "\x81" + pair + body},
		{"metadata is kept, in order", "\x92\x92" + eventTime + "\x82\xa1b\x01\xa1a\x02" + body,
			"\x92\x92" + eventTime + "\x83\xa1b\x01\xa1a\x02" + pair + body},
		{"a key that is there stays", "\x92\x92" + eventTime + "\x81\xa3key\x01" + body,
			"\x92\x92" + eventTime + "\x82\xa3key\x01" + pair + body},
		{"fixmap of 14", "\x92\x92" + eventTime + "\x8e" + pairsOf(14) + body,
			"\x92\x92" + eventTime + "\x8f" + pairsOf(14) + pair + body},
		{"fixmap of 15 becomes a map 16", "\x92\x92" + eventTime + "\x8f" + pairsOf(15) + body,
			"\x92\x92" + eventTime + "\xde\x00\x10" + pairsOf(15) + pair + body},
		{"map 16", "\x92\x92" + eventTime + "\xde\x00\xff" + pairsOf(255) + body,
			"\x92\x92" + eventTime + "\xde\x01\x00" + pairsOf(255) + pair + body},
		{"map 16 of 65535 becomes a map 32", "\x92\x92" + eventTime + "\xde\xff\xff" + pairsOf(65535) + body,
			"\x92\x92" + eventTime + "\xdf\x00\x01\x00\x00" + pairsOf(65535) + pair + body},
		{"map 32", "\x92\x92" + eventTime + "\xdf\x00\x01\x00\x00" + pairsOf(65536) + body,
			"\x92\x92" + eventTime + "\xdf\x00\x01\x00\x01" + pairsOf(65536) + pair + body},
		{"map 16 of nothing", "\x92\x92" + eventTime + "\xde\x00\x00" + body, "\x92\x92" + eventTime + "\x81" + pair + body},
		{"map 32 of nothing", wide + wide + eventTime + "\xdf\x00\x00\x00\x00" + body, "\x92\x92" + eventTime + "\x81" + pair + body},
		{"nested metadata", "\x92\x92" + eventTime + "\x81\xa1m\x82\xa1a\x90\xa1b\x80" + body,
			"\x92\x92" + eventTime + "\x82\xa1m\x82\xa1a\x90\xa1b\x80" + pair + body},
		{"time as ext 8", "\x92\x92\xc7\x08\x00\x00\x00\x00\x05\x00\x00\x00\x06\x80" + body,
			"\x92\x92\xc7\x08\x00\x00\x00\x00\x05\x00\x00\x00\x06\x81" + pair + body},
		{"time as float", "\x92\x92\xcb\x40\x1c\x00\x00\x00\x00\x00\x00\x80" + body,
			"\x92\x92\xcb\x40\x1c\x00\x00\x00\x00\x00\x00\x81" + pair + body},
		{"body is no map", "\x92\x92" + eventTime + "\x80\xa2hi", "\x92\x92" + eventTime + "\x81" + pair + "\xa2hi"},
		{"body is nil", "\x92\x92" + eventTime + "\x80\xc0", "\x92\x92" + eventTime + "\x81" + pair + "\xc0"},
		{"legacy", "\x92" + eventTime + body, "\x92" + eventTime + "\x82" + body[1:] + pair},
		{"legacy, empty body", "\x92\x05\x80", "\x92\x05\x81" + pair},
		{"legacy, fixmap of 15", "\x92\x05\x8f" + pairsOf(15), "\x92\x05\xde\x00\x10" + pairsOf(15) + pair},
		{"legacy, map 32 of one", wide + "\x05\xdf\x00\x00\x00\x01\xa1a\x01", "\x92\x05\x82\xa1a\x01" + pair},
		{"legacy, body is no map", "\x92" + eventTime + "\xa2hi", "\x92" + eventTime + "\xa2hi"},
		{"legacy, body is no map, wide", wide + eventTime + "\xc0", wide + eventTime + "\xc0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in + groupStart)
			ev, rest, err := chunk.Next(in)
			if err != nil {
				t.Fatal(err)
			}
			got := chunk.AppendMarked([]byte("prefix"), ev, "key", long)
			if want := "prefix" + tt.want; string(got) != want {
				t.Fatalf("got % x\nwant % x", clipped(got), clipped([]byte(want)))
			}
			if string(in) != tt.in+groupStart || string(rest) != groupStart {
				t.Error("the chunk, or the marker after the event, has changed")
			}

			// codec sees the old event, and one pair more.
			before, after := pairsByCodec(t, tt.in), pairsByCodec(t, tt.want)
			if n := len(before); ev.Legacy && !ev.BodyIsMap() {
				if diff := cmp.Diff(before, after); diff != "" {
					t.Error(diff)
				}
			} else if len(after) != n+2 || !slices.EqualFunc(before, after[:n], func(a, b codec.Raw) bool { return bytes.Equal(a, b) }) {
				t.Errorf("%d elements, then %d", n, len(after))
			} else {
				var key, value string
				for i, to := range []*string{&key, &value} {
					if err := oracle.Raw(after[n+i], to); err != nil {
						t.Fatal(err)
					}
				}
				if key != "key" || value != long {
					t.Errorf("%q: %q", key, value)
				}
			}
			again, rest, err := chunk.Next(got[len("prefix"):])
			if err != nil || len(rest) != 0 {
				t.Fatalf("%d bytes left, %v", len(rest), err)
			}
			if again.Sec != ev.Sec || again.Nsec != ev.Nsec || again.Kind != ev.Kind || again.Legacy != ev.Legacy {
				t.Errorf("%+v became %+v", ev, again)
			}
			if !ev.Legacy && !bytes.Equal(again.Body, ev.Body) {
				t.Errorf("the body % x became % x", ev.Body, again.Body)
			}
		})
	}
}

// pairsByCodec are the keys and values that a mark is added to: of the metadata,
// or of the body of a legacy event. There are none in a body that is not a map.
func pairsByCodec(t *testing.T, event string) []codec.Raw {
	t.Helper()
	parts, err := readPair([]byte(event))
	if err != nil {
		t.Fatal(err)
	}
	from := parts[1]
	if header, err := readPair(parts[0]); err == nil {
		from = header[1]
	}
	list, isMap, err := oracle.Elements(from)
	if err != nil && err != oracle.ErrNotContainer {
		t.Fatal(err)
	}
	if !isMap {
		return nil
	}
	return list
}

func clipped(b []byte) []byte { return b[:min(len(b), 200)] }
