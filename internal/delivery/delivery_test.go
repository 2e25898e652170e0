package delivery

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// entry is an event of a journal.
type entry struct {
	tag, marker string
	event       []byte
	hops        uint32
}

func journal(events ...entry) (j []byte) {
	for _, e := range events {
		for _, n := range []uint32{uint32(len(e.tag)), uint32(len(e.marker)), uint32(len(e.event)), e.hops} {
			j = binary.NativeEndian.AppendUint32(j, n)
		}
		j = append(append(append(j, e.tag...), e.marker...), e.event...)
	}
	return j
}

func event(metadata map[string]any, n int) []byte {
	return oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, uint32(n)), metadata, map[string]any{"n": n}))
}

func marker(name string) string {
	return string(oracle.Pack(oracle.Current(oracle.Timestamp(0xffffffff, 0), map[string]any{}, map[string]any{"group": name})))
}

var end = oracle.Pack(oracle.Current(oracle.Timestamp(0xfffffffe, 0), map[string]any{}, map[string]any{}))

func none(int) bool { return false }

func TestSort(t *testing.T) {
	e := make([][]byte, 8)
	for i := range e {
		e[i] = event(map[string]any{}, i)
	}
	a, b := marker("a"), marker("b")
	j := journal(
		entry{tag: "x", event: e[0]},
		entry{tag: "y", marker: a, event: e[1]},
		entry{tag: "x", marker: a, event: e[2]},
		entry{tag: "y", marker: a, event: e[3]},
		entry{tag: "y", marker: b, event: e[4]},
		entry{tag: "y", event: e[5]},
		entry{tag: "x", marker: a, event: e[6]},
	)
	join := func(parts ...any) []byte {
		var all []byte
		for _, p := range parts {
			all = fmt.Appendf(all, "%s", p)
		}
		return all
	}
	s, ok := sort(j, func(i int) bool { return i == 1 })
	if !ok || len(s.destinations) != 2 {
		t.Fatal(ok, s.destinations)
	}
	for i, want := range []destination{
		{"x", false, 3, join(e[0], a, e[2], e[6], end)},
		{"y", false, 4, join(a, e[1], e[3], end, b, e[4], end, e[5])},
	} {
		got := s.destinations[i]
		if got.tag != want.tag || got.cut != want.cut || got.count != want.count || !bytes.Equal(got.events, want.events) {
			t.Errorf("%+v\nwant %+v", got, want)
		}
	}
	if want := join(e[0], a, e[2], e[6], end); !bytes.Equal(s.left, want) || s.leftEvents != 3 {
		t.Errorf("%d events are left: %q", s.leftEvents, s.left)
	}
	if want := journal(entry{tag: "x", event: e[0]}, entry{tag: "x", marker: a, event: e[2]}, entry{tag: "x", marker: a, event: e[6]}); !bytes.Equal(s.journal, want) || !bytes.Equal(s.inPlace, want) {
		t.Errorf("%q, in place %q", s.journal, s.inPlace)
	}
}

// hopsOf is what a reader finds.
func hopsOf(t *testing.T, b []byte) (hops any, metadata map[string]any) {
	t.Helper()
	events, err := oracle.Unpack(b)
	if err != nil || len(events) != 1 {
		t.Fatalf("%q: %v", b, err)
	}
	var header any
	if err := oracle.Value([]byte(events[0].Header), &header); err != nil {
		t.Fatal(err)
	}
	metadata = map[string]any{}
	for key, value := range header.([]any)[1].(map[string]any) {
		metadata[key] = value
	}
	return metadata["wasmtime_hops"], metadata
}

// The hops of an event are a member of its metadata, whatever else is there, and events that have come through too
// many filters are cut: they are left as they came.
func TestHops(t *testing.T) {
	for _, others := range []int{0, 1, 14, 15, 16, 65534, 65535, 65536} {
		for _, had := range []any{nil, 1, 200, "text", []any{1, 2}} {
			if others > 16 && had != nil && had != 1 {
				continue
			}
			m := map[string]any{}
			for i := range others {
				m[fmt.Sprint("k", i)] = i
			}
			if had != nil {
				m["wasmtime_hops"] = had
			}
			for _, hops := range []uint32{0, 1, 7, 8, 300} {
				in := event(m, 1)
				s, ok := sort(journal(entry{tag: "x", event: in, hops: hops}), none)
				if !ok || !bytes.Equal(s.left, in) {
					t.Fatalf("%v: left is %q", ok, s.left)
				}
				if cut := s.destinations[0].cut; cut != (hops >= 8) {
					t.Errorf("%d hops: cut %v", hops, cut)
				}
				got, all := hopsOf(t, s.destinations[0].events)
				want := had
				if hops > 0 {
					want = hops
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%d others, %v: hops %v, want %v", others, had, got, want)
				}
				if n := others + strings.Count(fmt.Sprint(want != nil), "true"); len(all) != n {
					t.Errorf("%d members, want %d", len(all), n)
				}
			}
		}
	}
}

// A member of hops whose key is a string in a longer form than need be is replaced too, and no second one is added.
func TestHopsOfLongerKeys(t *testing.T) {
	const key = "wasmtime_hops"
	for _, head := range []string{"\xad", "\xd9\x0d", "\xda\x00\x0d", "\xdb\x00\x00\x00\x0d"} {
		in := bytes.Replace(event(map[string]any{"a": 1, key: 3, "z": 2}, 1), []byte("\xad"+key), []byte(head+key), 1)
		s, ok := sort(journal(entry{tag: "x", event: in, hops: 4}), none)
		if !ok || !bytes.Equal(s.left, in) {
			t.Fatalf("%v: left is %q", ok, s.left)
		}
		got := s.destinations[0].events
		if hops, all := hopsOf(t, got); fmt.Sprint(hops) != "4" || len(all) != 3 || bytes.Count(got, []byte(key)) != 1 {
			t.Errorf("%q became %q", in, got)
		}
	}
	// Bytes are not a string, and a longer string is another one.
	for _, other := range []string{"\xc4\x0d" + key, "\xae" + key + "s", "\xae_" + key, "\x91\xad" + key} {
		in := bytes.Replace(event(map[string]any{key: 3}, 1), []byte("\xad"+key), []byte(other), 1)
		s, _ := sort(journal(entry{tag: "x", event: in, hops: 4}), none)
		if got := s.destinations[0].events; bytes.Count(got, []byte(key)) != 2 || !bytes.Contains(got, []byte(other+"\x03\xad"+key+"\x04")) {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// Of one tag, events that are cut and others are two destinations, of which each has its own.
func TestCutAndOthers(t *testing.T) {
	e := [][]byte{event(map[string]any{}, 0), event(map[string]any{}, 1), event(map[string]any{}, 2)}
	s, _ := sort(journal(entry{"x", "", e[0], 0}, entry{"x", "", e[1], 8}, entry{"x", "", e[2], 0}), func(i int) bool { return i == 0 })
	if len(s.destinations) != 2 || s.destinations[0].count != 2 || !s.destinations[1].cut || !bytes.Equal(s.left, e[1]) {
		t.Errorf("%+v", s)
	}
}

// An event of the form without metadata gets some, for the hops; its time and body stay.
func TestHopsOfLegacyEvents(t *testing.T) {
	body := map[string]any{"n": 1, "list": []any{1, []any{2, 3}}}
	for _, time := range []any{oracle.Timestamp(1700000000, 5), 1700000000, 1.5} {
		plain := oracle.Pack([]any{time, body})
		for _, in := range [][]byte{plain, append([]byte{0xdc, 0, 2}, plain[1:]...), append([]byte{0xdd, 0, 0, 0, 2}, plain[1:]...)} {
			s, ok := sort(journal(entry{tag: "x", event: in, hops: 300}, entry{tag: "y", event: in}), none)
			if !ok || string(s.left) != string(in)+string(in) || !bytes.Equal(s.destinations[1].events, in) {
				t.Errorf("%x is left as %x", in, s.left)
			}
			if want := oracle.Pack([]any{[]any{time, map[string]any{"wasmtime_hops": 300}}, body}); !sameValue(t, s.destinations[0].events, want) {
				t.Errorf("%x became %x, want %x", in, s.destinations[0].events, want)
			}
		}
	}
}

// sameValue says whether two values in MessagePack are the same.
func sameValue(t *testing.T, a, b []byte) bool {
	t.Helper()
	var values [2]any
	for i, packed := range [][]byte{a, b} {
		if err := oracle.Value(packed, &values[i]); err != nil {
			t.Fatalf("%x: %v", packed, err)
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

// What is no event, or no map stands for its metadata, stays as it is.
func TestHopsOfOtherBytes(t *testing.T) {
	for _, in := range []string{"", "\x92", "\x92\x92", "\x92\x92\x00", "\x92\x00", "\x92\x92\x00\xc0\x80", "\xdd\x00\x00\x00\x02\x92\x00\xde\x00",
		"\x92\x92\x00\x81\xadwasmtime_hops", "\x92\x92\xc1\x80\x80", "\x93\x92\x00\x80\x80"} {
		s, ok := sort(journal(entry{tag: "x", event: []byte(in), hops: 3}), none)
		if !ok || string(s.destinations[0].events) != in {
			t.Errorf("%q became %+v", in, s.destinations)
		}
	}
}

// The same by an oracle: maps and lists of Go. Most tags are new ones.
func TestSortManyTags(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var events []entry
	want := map[string][]byte{}
	var order []string
	for i := range 20000 {
		e := entry{tag: fmt.Sprint("tag.", r.IntN(15000)), event: event(map[string]any{}, i)}
		if _, ok := want[e.tag]; !ok {
			order = append(order, e.tag)
		}
		want[e.tag] = append(want[e.tag], e.event...)
		events = append(events, e)
	}
	s, ok := sort(journal(events...), none)
	if !ok || len(s.destinations) != len(order) || s.leftEvents != len(events) {
		t.Fatal(ok, len(s.destinations), len(order), s.leftEvents)
	}
	for i, d := range s.destinations {
		if d.tag != order[i] || !bytes.Equal(d.events, want[d.tag]) {
			t.Fatalf("destination %d is %+v", i, d)
		}
	}
}

// FuzzSort has events of any bytes in journals that may be cut off anywhere.
func FuzzSort(f *testing.F) {
	f.Add(uint32(1), uint32(3), uint32(0), []byte("xab\x92\x92\x00\x80\x80"), 100)
	f.Add(uint32(1), uint32(0), uint32(7), append([]byte("x"), event(map[string]any{"wasmtime_hops": 6}, 1)...), 100)
	f.Fuzz(func(t *testing.T, tag, marker, hops uint32, rest []byte, length int) {
		if uint64(tag)+uint64(marker) > uint64(len(rest)) {
			return
		}
		one := entry{tag: string(rest[:tag]), marker: string(rest[tag : tag+marker]), event: rest[tag+marker:], hops: hops}
		j := journal(one, one)
		whole := length < 0 || length >= len(j)
		if !whole {
			j = j[:length]
		}
		s, ok := sort(j, none)
		if half := len(j) == 0 || len(j) == headBytes+len(rest); ok != (whole || half) {
			t.Fatalf("%d bytes: %v", len(j), ok)
		}
		if !ok {
			return
		}
		if want := j[:len(j)*max(0, min(1, 8-int(min(hops, 8))))]; !bytes.Equal(s.journal, want) || !bytes.Equal(s.inPlace, want) {
			t.Fatalf("the journal became %q, in place %q", s.journal, s.inPlace)
		}
		var want []byte
		if marker > 0 && len(j) > 0 {
			want = append(want, one.marker...)
		}
		for range s.leftEvents {
			want = append(want, one.event...)
		}
		if marker > 0 && len(j) > 0 {
			want = append(want, end...)
		}
		if !bytes.Equal(s.left, want) {
			t.Fatalf("%q is left, want %q", s.left, want)
		}
	})
}
