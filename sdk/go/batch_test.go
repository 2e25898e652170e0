package flb

import (
	"encoding/binary"
	"strings"
	"testing"
)

// input returns a batch with the same event n times.
func input(n int, body string) string {
	b := make([]byte, 64+32*n)
	put := func(at int, numbers ...int) {
		for i, number := range numbers {
			binary.LittleEndian.PutUint32(b[at+4*i:], uint32(number))
		}
	}
	put(0, 64, 0, 64, 0, 64, n, 32, 64, 0, 24)
	for i := range n {
		put(64+32*i+16, len(b), 1, len(b)+1, len(body))
	}
	return string(b) + emptyMap + body
}

// A filter that allocates nothing itself costs no garbage for an event, once buffers are large enough.
func TestNothingIsAllocatedForAnEvent(t *testing.T) {
	body := NewMap().Add("level", "info").Add("user", NewMap().Add("mail", "bob@example.com")).Add("l", []any{1, "x"}).
		Add("m", NewMap().Add("a", 1)).Value().MessagePack()
	text, nested := strings.Repeat("x", 10), []any{"p", "q"}
	filter := Func(func(e *Event) error {
		if e.Body.Get("level").Str() == "debug" {
			e.Drop()
		}
		e.Body.RewriteStrings(func(s string) (string, bool) { return "***", strings.Contains(s, "@") })
		e.Body.Set("text", text)
		e.Body.Set("n", len(text)*1000)
		e.Body.Put("l.0", 1.5)
		e.Body.Remove("other")
		e.Body.Set("m.b.c", text)
		e.Body.Set("new.b", text)
		e.Body.Remove("n.m.x")
		e.Body.Remove("m.a")
		e.Body.Set("user.name", "bob")
		e.Body.SetAt(nested, text)
		e.Metadata.Set("m", e.Body.At("l", 1))
		e.Split("l")
		return nil
	})
	b, in := newBatch(), input(1000, body)
	b.run(filter, in)
	if len(b.Ops) != 4000 || len(b.Emitted) != 2000 {
		t.Fatal(len(b.Ops), len(b.Emitted))
	}
	if n := testing.AllocsPerRun(10, func() { b.run(filter, in) }); n > 5 {
		t.Errorf("%v allocations for 1000 events", n)
	}
}

// What one large batch has needed is given back after small ones.
func TestBuffersShrink(t *testing.T) {
	b := newBatch()
	large := Func(func(e *Event) error { e.Body.Set("x", strings.Repeat("x", 16<<20)); return nil })
	b.run(large, input(1, emptyMap))
	b.run(Func(func(*Event) error { return nil }), input(1, emptyMap))
	b.run(Func(func(*Event) error { return nil }), input(1, emptyMap))
	if cap(b.Bytes) > 1<<20 {
		t.Error(cap(b.Bytes))
	}
}

func BenchmarkEvents(b *testing.B) {
	body := NewMap().Add("level", "info").Add("user", "bob").Add("message", strings.Repeat("x", 200)).Value().MessagePack()
	batch, in := newBatch(), input(1000, body)
	filter := Func(func(e *Event) error {
		e.Body.RewriteStrings(func(s string) (string, bool) { return "", false })
		e.Body.Set("environment", "production")
		return nil
	})
	b.ReportAllocs()
	for b.Loop() {
		batch.run(filter, in)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
