package fast

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// FuzzReadEvents: events are where package chunk finds them, whatever records have been like before.
func FuzzReadEvents(f *testing.F) {
	event := func(body string) string { return "\x92\x92\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02\x80" + body }
	padding := strings.Repeat("\xa1p\x01", 15)
	plain := event("\x8f" + padding)
	for _, s := range append(slices.Clone(events), values...) {
		f.Add([]byte(plain), []byte(s), []byte(plain+s), uint8(0), uint8(9))
		f.Add([]byte(event(s)), []byte(event(s)+event(s)), []byte(event(s+s)), uint8(100), uint8(2))
	}
	// No key, where none is expected any more; strings beyond the end; containers that nest as deep as they may, and
	// one more.
	f.Add([]byte(event("\xde\x00\x42"+strings.Repeat("\xa1k\x01", 65)+"\xc1k\x01")+plain), []byte(event("\xde\x00\x41"+strings.Repeat("\xa1k\x01", 65))+plain),
		[]byte(event("\x8f\xc1\xa1"+padding)), uint8(0), uint8(3))
	f.Add([]byte(event("\x83\xa1a\xa2xy\xa2bb\x01\xa1b\xa1z"+padding)), []byte(event("\x83\xa1a\xd9\xff"+strings.Repeat("x", 40))),
		[]byte(event("\x83\xa1a\xbf"+strings.Repeat("x", 38))), uint8(0), uint8(3))
	f.Add([]byte(event(strings.Repeat("\x81\xa1k", 127)+"\x81\xa2kk\x80")+plain), []byte(event(strings.Repeat("\x81\xa1k", 126)+"\x81\xa2kk\x80")+plain),
		[]byte(event("\xde\x00\x50"+strings.Repeat("\xa1k\x01\xa2kk\x80", 40))+plain), uint8(0), uint8(3))
	f.Fuzz(func(t *testing.T, a, b, c []byte, maxBytes, most uint8) {
		var shape Shape
		limit := 1 << 20
		if maxBytes > 0 {
			limit = int(maxBytes)
		}
		// Each twice, so that all of them are read by what is known of the others.
		a, b, c = atEnd(t, a), atEnd(t, b), atEnd(t, c)
		for _, data := range [][]byte{a, b, c, a, b, c} {
			for from := 0; from < len(data); {
				places, reading := ReadEvents(data, from, limit, &shape, int(most)+1)
				for _, p := range places {
					checkPlace(t, data, from, p)
					if p.Next > limit && p.At > 0 {
						t.Fatalf("%x: %+v is beyond %d", data, p, limit)
					}
					from = p.Next
				}
				switch {
				case reading == ReadAll && from != len(data):
					t.Fatalf("%x: all is read at %d", data, from)
				case reading == ReadFull && len(places) <= int(most):
					if event, _, err := chunk.Next(data[from:]); err != nil || from+len(event.Raw) <= limit {
						t.Fatalf("%x: full at %d with %d events", data, from, len(places))
					}
				case reading == ReadUnusual:
					event, _, err := chunk.Next(data[from:])
					if _, ordinary := ReadEvent(data, from); ordinary && err == nil && event.BodyIsMap() {
						t.Fatalf("%x: an ordinary event at %d is declined", data, from)
					}
				}
				if reading != ReadFull || len(places) <= int(most) {
					break
				}
			}
		}
	})
}

func checkPlace(t *testing.T, data []byte, at int, p Place) {
	t.Helper()
	event, _, err := chunk.Next(data[at:])
	if err != nil || event.Kind != chunk.Record || !event.BodyIsMap() {
		t.Fatalf("%x: %+v at %d; Next: %+v, %v", data, p, at, event, err)
	}
	time, metadata := event.Parts()
	next := at + len(event.Raw)
	body := next - len(event.Body)
	want := Place{At: at, Time: body - len(metadata) - len(time), Meta: body - len(metadata), Body: body, Next: next, Sec: uint32(event.Sec), Nsec: event.Nsec}
	if p != want || int64(p.Sec) != event.Sec {
		t.Fatalf("%x: %+v, want %+v, %d s", data, p, want, event.Sec)
	}
}

// editsOf makes edits of any bytes: five of each say what it is, of which kind, at which of the
// parts of in, and how many bytes follow.
func editsOf(in, script []byte) (list []Edit) {
	inside := oracle.Parts(in)
	for len(script) >= 5 && len(list) < 600 {
		e := Edit{Kind: EditReplace + uint32(script[0]%5), A: uint32(script[1])}
		p := inside[int(script[1])%len(inside)]
		n := min(int(script[2]), len(script)-5)
		e.Bytes = script[5 : 5+n]
		switch e.Kind {
		case EditPut:
			e.A, e.B = uint32(p.At), uint32(p.Len)
			if script[3] > 200 { // about there
				e.A += uint32(script[3]) & 3
				e.B -= uint32(script[4]) & 3
			}
		case EditAdd:
			e.A &= 7
			if script[3] == 255 {
				e.A = ^uint32(0) - uint32(script[4])
			}
		case EditSet, EditRemove:
			if script[3] < 128 { // a key that is there, perhaps
				e.Bytes = append(bytes.Clone(in[p.At:p.At+p.Len]), e.Bytes...)
			}
		}
		script = script[5+n:]
		for range timesOf(script) {
			list = append(list, e)
		}
	}
	return list
}

// timesOf is how often the last edit stands, by the next bytes: an edit that adds nothing asks for many.
func timesOf(script []byte) int {
	if bytes.HasPrefix(script, []byte{0xfc, 0xf8}) {
		return 257
	}
	return 1
}

// FuzzEditMap: edits make of a map what a model of docs/abi.md makes of it.
func FuzzEditMap(f *testing.F) {
	kv := "\xa1b\x02"
	step := func(kind, at int, how string, bytes string) string {
		return string([]byte{byte(kind - EditReplace), byte(at), byte(len(bytes))}) + how + bytes
	}
	for _, in := range append(slices.Clone(values), "\x83\xa1a\x01\xd9\x01a\x92\x01\x81\xa1x\xc0\xa1b\xa1y", "\x05", "\x92\x01\x02", "\xde\x00\x01\xa1a\x01", "\x8f"+strings.Repeat(kv, 15), "\x81\xd9\xff"+strings.Repeat("k", 255)+"\x01") {
		for _, script := range []string{
			step(EditSet, 1, "\x00\x00", "\x07") + step(EditRemove, 1, "\x00\x00", "") + strings.Repeat(step(EditRemove, 1, "\x00\x00", ""), 254),
			strings.Repeat(step(EditRemove, 1, "\x00\x00", ""), 257),
			step(EditReplace, 0, "\x00\x00", "\x81"+kv), step(EditReplace, 0, "\x00\x00", "\x91\x00"),
			step(EditSet, 1, "\x00\x00", "\x07") + step(EditSet, 1, "\x00\x00", "\x08") + step(EditSet, 0, "\xff\x00", kv),
			step(EditRemove, 1, "\x00\x00", "") + step(EditRemove, 0, "\xff\x00", "\xa1b"),
			step(EditAdd, 1, "\x00\x00", kv) + step(EditAdd, 2, "\x00\x00", kv+kv) + step(EditAdd, 0, "\xff\x00", kv),
			step(EditPut, 2, "\x00\x00", "\xa3new") + step(EditPut, 4, "\x00\x00", "\x81"+kv) + step(EditSet, 1, "\x00\x00", "\xc3"),
			step(EditPut, 0, "\x00\x00", "\x80"), step(EditPut, 2, "\xff\xff", "\x80"),
			step(EditSet, 0, "\xff\x00", kv) + "\xfc\xf8\x00\x00\x00", step(EditRemove, 1, "\x00\x00", "") + "\xfc\xf8\x00\x00\x00", step(EditAdd, 0, "\xff\x00", ""),
			step(EditPut, 1, "\x00\x00", strings.Repeat("\x91", 31)+"\x01"),
		} {
			f.Add([]byte(in), []byte(script), uint8(31))
			f.Add([]byte(in), []byte(script+script), uint8(3))
		}
	}
	f.Fuzz(func(t *testing.T, in, script []byte, depth uint8) {
		depth = depth&31 + 1
		rest, err := mp.Skip(in, chunk.MaxDepth)
		if len(in) == 0 || len(in) > 4096 || err != nil || len(rest) > 0 {
			return // no event has such a part
		}
		edits := editsOf(in, script)
		if len(edits) == 0 {
			return
		}
		want, ok := model(in, edits, int(depth))
		got, why := EditMap(in, edits, int(depth))
		compareMaps(t, in, edits, want, ok, got, why == "", why)
		if e := edits[0]; e.Kind == EditAdd {
			want, ok := model(in, edits[:1], int(depth))
			// It leaves to EditMap what nests as deep as it came.
			if got, done := AddMembers(in, e.A, e.Bytes, int(depth)); done || ok && mp.Depth(in) <= int(depth) {
				compareMaps(t, in, edits[:1], want, ok, got, done, "")
			}
		}
	})
}

func model(in []byte, edits []Edit, depth int) ([]oracle.Member, bool) {
	var list []oracle.Edit
	for _, e := range edits {
		list = append(list, oracle.Edit(e))
	}
	return oracle.EditMap(in, list, depth)
}

func compareMaps(t *testing.T, in []byte, edits []Edit, want []oracle.Member, wantOK bool, got []byte, ok bool, why string) {
	t.Helper()
	if ok != wantOK {
		t.Fatalf("%x with %+v: %v (%s), want %v", in, edits, ok, why, wantOK)
	}
	if !ok {
		return
	}
	var members []byte
	for _, m := range want {
		members = append(append(members, m.Key...), m.Value...)
	}
	n, rest, err := msgp.ReadMapHeaderBytes(got)
	if err != nil || int(n) != len(want) || !bytes.Equal(rest, members) {
		t.Fatalf("%x with %+v: %x, %v; want %d of %x", in, edits, got, err, len(want), members)
	}
}
