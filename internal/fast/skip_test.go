package fast

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

var events = []string{
	"\x92\x92\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02\x80\x81\xa1a\x01",              // event time
	"\x92\x92\xc7\x08\x00\x00\x00\x00\x01\x00\x00\x00\x02\x81\xa1m\x01\x81\xa1a\x01", // wide ext, metadata
	"\xdd\x00\x00\x00\x02\xdc\x00\x02\x07\x80\xdf\x00\x00\x00\x01\xa1a\x01",          // wide headers
	"\x92\xce\x66\x00\x00\x00\x81\xa1a\x01", "\x92\xd2\x66\x00\x00\x00\x81\xa1a\x01", "\x92\xd1\x00\x07\x80", "\x92\xd1\xff\xff\x80",
	"\x92\x92\xd7\x00\xff\xff\xff\xff\x00\x00\x00\x00\x80\x80", "\x92\x92\xd7\x00\xff\xff\xff\xfe\x00\x00\x00\x00\x80\x80", // markers
	"\x92\xcb\x41\xd9\x99\x99\x99\x99\x99\x9a\x80", "\x92\x92\x07\xc0\x80", "\x92\x07\x01", "\x93\x07\x80\x80", "\x92\x92\x07\x80", "",
}

// FuzzReadEvent: what C reads of an event is what package chunk reads.
func FuzzReadEvent(f *testing.F) {
	for _, s := range events {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte("xx"+s), uint8(2))
	}
	f.Fuzz(func(t *testing.T, data []byte, skipped uint8) {
		at := min(int(skipped), len(data))
		got, ok := ReadEvent(data, at)
		if !ok {
			return
		}
		event, body, err := chunk.NextHeader(data[at:])
		if err != nil || event.Kind != chunk.Record {
			t.Fatalf("%x: %+v; NextHeader: %+v, %v", data[at:], got, event, err)
		}
		want := Event{
			Body: len(data) - len(body), HeaderLen: len(event.Header), Header: len(data) - len(body) - len(event.Header),
			Sec: uint32(event.Sec), Nsec: event.Nsec,
		}
		if got != want || int64(got.Sec) != event.Sec || mp.KindOf(body[0]) != mp.Map {
			t.Fatalf("%x: %+v, want %+v", data[at:], got, want)
		}
	})
}

// Ordinary events are not declined, in any of their forms.
func TestReadEvent(t *testing.T) {
	for i, s := range events {
		if _, ok := ReadEvent([]byte(s), 0); ok != (i < 6) {
			t.Errorf("%x: %v", s, ok)
		}
	}
}

// atEnd copies data to where memory ends: reading on is a fault.
func atEnd(t testing.TB, data []byte) []byte {
	t.Helper()
	page := os.Getpagesize()
	size := (len(data)+page-1)/page*page + page
	memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(memory) })
	if err := syscall.Mprotect(memory[size-page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	at := memory[size-page-len(data) : size-page : size-page]
	copy(at, data)
	return at
}

// chunks are events of one shape, and some that only begin like them.
var chunks = func() (list []string) {
	const header = "\x92\x92\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02\x80"
	event := func(body string) string { return header + body }
	long := strings.Repeat("x", 60)
	usual := event("\x84\xa1a\x01\xa1s\xd9\x3c" + long + "\xa1m\x81\xa1n\xcb\x01\x02\x03\x04\x05\x06\x07\x08\xa1z\xd9\x3c" + long)
	list = append(list, usual, usual+usual+usual)
	// A string that goes beyond the end, with members behind it.
	list = append(list, usual+usual+event("\x84\xa1a\x01\xa1s\xd9\xff"+long))
	// Maps as deep as may be, and one deeper, of which the last is empty.
	for _, depth := range []int{chunk.MaxDepth - 1, chunk.MaxDepth} {
		deep := event(strings.Repeat("\x81\xa1k", depth-1) + "\x82\xa1k\x80\xa1s\xd9\x3c" + long)
		list = append(list, deep+deep)
	}
	return append(list, events...)
}()

// Events of one shape are not declined.
func TestReadEvents(t *testing.T) {
	var shape Shape
	for i, s := range chunks[:4] {
		_, reading := ReadEvents(atEnd(t, []byte(s)), 0, len(s), &shape, 1000)
		if want := map[bool]int{true: ReadUnusual, false: ReadAll}[i == 2]; reading != want {
			t.Errorf("%x: %d, want %d", s, reading, want)
		}
	}
}

// A chunk that is cut anywhere, of records like those before, is read up to the last whole event, and not
// a byte beyond its end: the last page is none.
func TestReadEventsOfACutChunk(t *testing.T) {
	member := func(i int, value string) string { return "\xbf" + strings.Repeat(string(rune('a'+i)), 31) + value }
	str := func(n int) string { return "\xd9" + string([]byte{byte(n)}) + strings.Repeat("x", n) }
	short := "\xbf" + strings.Repeat("y", 31)
	body := "\xde\x00\x0b" + member(0, short) + member(1, str(255)) + member(2, str(255)) +
		member(3, "\x8f"+strings.Repeat("\xa1k"+short, 15)) + member(4, "\x01") + member(5, "\xcb12345678") +
		member(6, str(40)) + member(7, "\x81\xa1m\x81\xa1n"+str(200)) + member(8, "\x92\x01\xc0") + member(9, short) + "\x01\xc3"
	event := "\x92\x92\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02\x80" + body
	other := strings.ReplaceAll(event, short, "\xa1y") // the same members, shorter
	var shape Shape
	for _, s := range []string{event + other, other + event, event + event} {
		memory := atEnd(t, []byte(s))
		for n := 1; n <= len(s); n++ {
			data := memory[len(s)-n:]
			copy(data, s)
			want := 0
			for rest := data; ; want++ {
				_, next, err := chunk.Next(rest)
				if err != nil {
					break
				}
				rest = next
			}
			places, reading := ReadEvents(data, 0, len(data), &shape, 9)
			if len(places) != want || (reading == ReadAll) != (want > 0 && places[want-1].Next == n) {
				t.Fatalf("%d of %d bytes: %d events, %d; want %d", n, len(s), len(places), reading, want)
			}
		}
	}
}

var values = []string{
	"\x80", "\x81\xa1a\x01", "\x81\xa1a", "\xdf\xff\xff\xff\xff\xa1a\x01", "\xdd\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff",
	"\xc9\x00\x00\x00\x05\x01", "\xd9\x05abc", "\xc1", "\x00", "", "\xde\x00\x01\x01\x02\x03", "\xcb\x01\x02", "\xd8\x01", "\xd4\x01\x02",
	"\x92\x81\xa1b\xc4\x02\x00\x01\xc7\x01\x05\x09", "\xdc\x00\x10" + strings.Repeat("\x01", 40), "\x92\xc1\x01",
	strings.Repeat("\x91", 200) + "\x01", strings.Repeat("\x81\x01", 31) + "\x80", "\x9f" + strings.Repeat("\x81\x01\x90", 15),
}

// FuzzSkip: a value ends where package mp finds its end, or does not.
func FuzzSkip(f *testing.F) {
	for _, s := range values {
		f.Add([]byte(s), uint8(31))
	}
	f.Fuzz(func(t *testing.T, p []byte, depth uint8) {
		n, containers, ok := Skip(p, int(depth))
		rest, err := mp.Skip(p, int(depth))
		if ok != (err == nil) || ok && n != len(p)-len(rest) {
			t.Fatalf("Skip(%x, %d) = %d, %v; mp: %d bytes left, %v", p, depth, n, ok, len(rest), err)
		}
		if ok && containers <= int(depth) && mp.Depth(p[:n]) > containers {
			t.Fatalf("Skip(%x): %d containers, nested %d deep", p, containers, mp.Depth(p[:n]))
		}
		if ok && SpanMsgpack(p) != n {
			t.Fatalf("SpanMsgpack(%x) = %d, want %d", p, SpanMsgpack(p), n)
		}
	})
}

// FuzzSkipReply: the same for a map that begins with pairs of the record that it replies to.
func FuzzSkipReply(f *testing.F) {
	for _, s := range values {
		f.Add([]byte(s), []byte("\x81\xa1k\x01"), uint8(31), uint8(0))
		f.Add([]byte("\x82\xa1a\x91\x91\x01\xa1b\x02"), []byte(s), uint8(3), uint8(8))
	}
	f.Fuzz(func(t *testing.T, in, more []byte, depth, kept uint8) {
		// The reply is the record with more behind it, cut somewhere, and another count of pairs.
		reply := append(bytes.Clone(in[:min(len(in), int(kept))]), more...)
		for _, p := range [][]byte{reply, append(bytes.Clone(in), more...), withPairs(in, more)} {
			if len(p) == 0 || mp.KindOf(p[0]) != mp.Map {
				continue
			}
			n, ok := SkipReply(p, int(depth), in)
			rest, err := mp.Skip(p, int(depth))
			if _, inErr := mp.Skip(in, chunk.MaxDepth); inErr != nil {
				continue // no lane has such a record
			}
			if ok != (err == nil) || ok && n != len(p)-len(rest) {
				t.Fatalf("SkipReply(%x, %d) to %x = %d, %v; mp: %d bytes left, %v", p, depth, in, n, ok, len(rest), err)
			}
		}
	})
}

// withPairs is the map in with a pair more, of which more is the key and the value.
func withPairs(in, more []byte) []byte {
	n, pairs, err := mp.ReadMapHeader(in)
	if err != nil {
		return nil
	}
	return append(append(mp.AppendMapHeader(nil, n+1), pairs...), more...)
}

// FuzzSpanJSON: an object ends where package transcode finds its end.
func FuzzSpanJSON(f *testing.F) {
	for _, s := range []string{`{}`, ` {"a":[1,"]"]} x`, `{"a":"\""}`, `[1]`, `"a"`, `{`, `{"a":"\`, `]`, ``, `{"a":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		n := SpanJSON(p)
		if n < 0 || n > len(p) {
			t.Fatalf("SpanJSON(%q) = %d", p, n)
		}
		trimmed := bytes.TrimLeft(p, " \t\r\n")
		if len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '[' {
			if n != 0 {
				t.Fatalf("SpanJSON(%q) = %d", p, n)
			}
			return
		}
		if _, used, err := transcode.AppendMsgpack(nil, p, transcode.MaxDepth); err == nil && used != n {
			t.Fatalf("SpanJSON(%q) = %d, want %d", p, n, used)
		}
	})
}
