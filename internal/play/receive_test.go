package play

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/IBM/fluent-forward-go/fluent/protocol"
	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// What a client of the Forward protocol that is not this project's sends, in each of its modes, is what the page gets.
func TestReceive(t *testing.T) {
	s := start(t, Config{Module: module(t, "identity"), Last: 4})
	c, err := net.Dial("tcp", s.forward.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	at := time.Unix(1767366245, 678).UTC()
	entries := func(n ...int) (list protocol.EntryList) {
		for _, n := range n {
			list = append(list, protocol.EntryExt{Timestamp: protocol.EventTime{Time: at}, Record: map[string]any{"n": n}})
		}
		return list
	}
	answers := msgp.NewReader(c)
	type message interface {
		protocol.ChunkEncoder
		msgp.Encodable
	}
	// One after the other: the library packs into one buffer.
	for _, m := range []func() (message, error){
		func() (message, error) { return protocol.NewMessageExt("one", map[string]any{"n": 0}), nil },
		func() (message, error) { return protocol.NewForwardMessage("list", entries(1, 2)), nil },
		func() (message, error) { return protocol.NewPackedForwardMessage("packed", entries(3)) },
		func() (message, error) { return protocol.NewCompressedPackedForwardMessage("zipped", entries(4, 5)) },
	} {
		m, err := m()
		if err != nil {
			t.Fatal(err)
		}
		id, err := m.Chunk()
		if err != nil {
			t.Fatal(err)
		}
		if err := msgp.Encode(c, m); err != nil {
			t.Fatal(err)
		}
		ack := map[string]any{}
		if err := answers.ReadMapStrIntf(ack); err != nil || len(ack) != 1 || ack["ack"] != id {
			t.Fatalf("the answer is %v, %v, and not of %s", ack, err, id)
		}
	}
	got := s.received.state(true)
	want := receivedState{Total: 6, Kept: 4, Lines: strings.Join([]string{
		`["tag","list"]`, `[["2026-01-02T15:04:05.000000678Z",{}],{"n":2}]`,
		`["tag","packed"]`, `[["2026-01-02T15:04:05.000000678Z",{}],{"n":3}]`,
		`["tag","zipped"]`, `[["2026-01-02T15:04:05.000000678Z",{}],{"n":4}]`, `[["2026-01-02T15:04:05.000000678Z",{}],{"n":5}]`, ""}, "\n")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// They run as they came.
	if r := s.run(t, got.Lines); r.Counts.Unchanged != 4 {
		t.Errorf("%+v %q", r.Counts, statuses(r))
	}
}

// far is a connection of which one side has sent these bytes, and no more.
type far struct {
	io.Reader
	io.Writer
}

func TestReceiveRefuses(t *testing.T) {
	huge := append([]byte{0x92, 0xa1, 'x', 0xc6, 0xff, 0xff, 0xff, 0xff}, make([]byte, 100)...)
	for _, tt := range []struct {
		name string
		sent []byte
		want string
	}{
		{"a length that is too much", huge, "it has more than"},
		{"no message", []byte{0x01}, "no message of the Forward protocol"},
		{"cut off", []byte{0x93, 0xa1, 'x', 0xc4, 5, 1}, "can't be read"},
		{"depth", bytes.Repeat([]byte{0x91}, 1000), "nested too deeply"},
		{"no gzip", msgpack(t, []any{"x", []byte("no gzip"), map[string]any{"compressed": "gzip"}}), "compressed"},
		{"metrics", msgpack(t, []any{"x", []byte{}, map[string]any{"fluent_signal": 1}}), "only logs"},
		{"an event that is none", msgpack(t, []any{"x", []byte{1, 2}, map[string]any{}}), "an event that was sent"},
	} {
		r := newReceived(3, func() {})
		if err := r.take(far{bytes.NewReader(tt.sent), io.Discard}); err != nil {
			r.keep(nil, err.Error())
		}
		if got := r.state(true); !strings.Contains(got.Problem, tt.want) || got.Kept > 0 {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func msgpack(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgp.AppendIntf(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A reader of messages takes from the wire what a reader of values takes, and no byte more.
func FuzzMessage(f *testing.F) {
	f.Add([]byte{0x93, 0xa1, 'x', 0xc4, 2, 0x92, 0x00, 0x80})
	f.Add(msgpack(f, []any{"x", 1, map[string]any{"a": []any{1.5, nil, true, -1000, "é"}}}))
	for lead := range 256 {
		f.Add(append([]byte{byte(lead)}, bytes.Repeat([]byte{0, 1, 0x80}, 12)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, b := net.Pipe()
		go func() { _, _ = a.Write(data); a.Close() }()
		var ack bytes.Buffer
		r := newReceived(10, func() {})
		_ = r.take(far{b, &ack})
		b.Close()
		m := messageReader{in: bufio.NewReader(bytes.NewReader(data)), room: maxMessageBytes}
		err := m.value(maxMessageDepth)
		rest, skipErr := msgp.Skip(data)
		if (err == nil) != (skipErr == nil) && err != mp.ErrDepth {
			t.Fatalf("% x: %v, and the other reader says %v", data, err, skipErr)
		}
		if err == nil && !bytes.Equal(m.data, data[:len(data)-len(rest)]) {
			t.Fatalf("% x: took % x", data, m.data)
		}
		if s := r.state(true); s.Kept > 10 {
			t.Fatalf("%d are kept", s.Kept)
		}
	})
}
