package chunk_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

const (
	body      = "\x81\xa3log\xa2hi"
	metadata  = "\x81\xa1m\x01"
	eventTime = "\xd7\x00\x65\x00\x00\x00\x00\x00\x00\x07" // 0x65000000 s, 7 ns
)

var eventTests = []struct {
	name string
	in   string
	want chunk.Event
}{
	{"current", "\x92\x92" + eventTime + metadata + body, chunk.Event{
		Header: []byte("\x92" + eventTime + metadata), Body: []byte(body), Sec: 0x65000000, Nsec: 7}},
	{"legacy", "\x92" + eventTime + body, chunk.Event{
		Header: []byte(eventTime), Body: []byte(body), Sec: 0x65000000, Nsec: 7, Legacy: true}},
	{"dummy of 4.2.8", "\xdd\x00\x00\x00\x02\xdd\x00\x00\x00\x02" + eventTime + "\xdf\x00\x00\x00\x00" + body, chunk.Event{
		Header: []byte("\xdd\x00\x00\x00\x02" + eventTime + "\xdf\x00\x00\x00\x00"), Body: []byte(body),
		Sec: 0x65000000, Nsec: 7}},
	{"array 16", "\xdc\x00\x02\xdc\x00\x02" + eventTime + "\xde\x00\x00" + body, chunk.Event{
		Header: []byte("\xdc\x00\x02" + eventTime + "\xde\x00\x00"), Body: []byte(body),
		Sec: 0x65000000, Nsec: 7}},
	{"group start", "\x92\x92\xd7\x00\xff\xff\xff\xff\x00\x00\x00\x00\x80\x80", chunk.Event{
		Header: []byte("\x92\xd7\x00\xff\xff\xff\xff\x00\x00\x00\x00\x80"), Body: []byte("\x80"),
		Sec: -1, Kind: chunk.GroupStart}},
	{"group end", "\x92\x92\xd7\x00\xff\xff\xff\xfe\x00\x00\x00\x00\x80\x80", chunk.Event{
		Header: []byte("\x92\xd7\x00\xff\xff\xff\xfe\x00\x00\x00\x00\x80"), Body: []byte("\x80"),
		Sec: -2, Kind: chunk.GroupEnd}},
	{"body is no map", "\x92" + eventTime + "\xa2hi", chunk.Event{
		Header: []byte(eventTime), Body: []byte("\xa2hi"), Sec: 0x65000000, Nsec: 7, Legacy: true}},
}

func TestNext(t *testing.T) {
	for _, tt := range eventTests {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in + "rest")
			got, rest, err := chunk.Next(in)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Raw = []byte(tt.in)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			if string(rest) != "rest" {
				t.Errorf("rest = %q", rest)
			}
			if want := mp.KindOf(tt.want.Body[0]) == mp.Map; got.BodyIsMap() != want {
				t.Errorf("BodyIsMap = %v", got.BodyIsMap())
			}
			for n := range len(tt.in) {
				_, rest, err := chunk.Next([]byte(tt.in[:n]))
				if err != chunk.ErrTruncated || len(rest) != n {
					t.Errorf("of the first %d bytes, %d are left, %v", n, len(rest), err)
				}
			}
			for _, part := range [][]byte{got.Raw, got.Header, got.Body} {
				_ = append(part, "overwritten"...)
			}
			if string(in) != tt.in+"rest" {
				t.Error("appending to a part of the event changed the chunk")
			}
		})
	}
}

func TestTimestamps(t *testing.T) {
	tests := []struct {
		name string
		ts   string
		sec  int64
		nsec uint32
		kind chunk.Kind
	}{
		{"fixext 8", "\xd7\x00\x00\x00\x00\x05\x00\x00\x00\x06", 5, 6, chunk.Record},
		{"ext 8", "\xc7\x08\x00\x00\x00\x00\x05\x00\x00\x00\x06", 5, 6, chunk.Record},
		{"ext 16", "\xc8\x00\x08\x00\x00\x00\x00\x05\x00\x00\x00\x06", 5, 6, chunk.Record},
		{"ext 32", "\xc9\x00\x00\x00\x08\x00\x00\x00\x00\x05\x00\x00\x00\x06", 5, 6, chunk.Record},
		{"after 2038", "\xd7\x00\x80\x00\x00\x00\x00\x00\x00\x06", 1 << 31, 6, chunk.Record},
		{"the last second", "\xd7\x00\xff\xff\xff\xfd\x3b\x9a\xc9\xff", math.MaxUint32 - 2, 999_999_999, chunk.Record},
		{"fixint", "\x05", 5, 0, chunk.Record},
		{"uint 8", "\xcc\xfe", 254, 0, chunk.Record},
		{"uint 16", "\xcd\x01\x00", 256, 0, chunk.Record},
		{"uint 32", "\xce\xff\xff\xff\xff", math.MaxUint32, 0, chunk.Record},
		{"uint 64", "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 1 << 32, 0, chunk.Record},
		{"int 8", "\xd0\x05", 5, 0, chunk.Record},
		{"int 16", "\xd1\x01\x00", 256, 0, chunk.Record},
		{"int 32", "\xd2\x65\x00\x00\x00", 0x65000000, 0, chunk.Record},
		{"int 64", "\xd3\x00\x00\x00\x01\x00\x00\x00\x00", 1 << 32, 0, chunk.Record},
		{"group start, fixint", "\xff", -1, 0, chunk.GroupStart},
		{"group end, int 64", "\xd3\xff\xff\xff\xff\xff\xff\xff\xfe", -2, 0, chunk.GroupEnd},
		{"group start, float", float64Value(-1), -1, 0, chunk.GroupStart},
		{"group end, float 32", "\xca\xc0\x00\x00\x00", -2, 0, chunk.GroupEnd},
		{"negative", "\xfd", -3, 0, chunk.Record},
		{"float 32", "\xca\x3f\xc0\x00\x00", 1, 500_000_000, chunk.Record},
		{"float 64", float64Value(1.25), 1, 250_000_000, chunk.Record},
		// The float64 next to 1700000000.123456789 is 1700000000.1234567165374756.
		{"rounded", float64Value(1700000000.123456789), 1700000000, 123456717, chunk.Record},
		{"rounded up to a second", float64Value(math.Nextafter(2, 1)), 2, 0, chunk.Record},
		{"negative fraction", float64Value(-0.5), 0, 0, chunk.Record},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, in := range []string{"\x92" + tt.ts + body, "\x92\x92" + tt.ts + "\x80" + body} {
				ev, rest, err := chunk.Next([]byte(in))
				if err != nil || len(rest) != 0 {
					t.Fatalf("%d bytes left, %v", len(rest), err)
				}
				if ev.Sec != tt.sec || ev.Nsec != tt.nsec || ev.Kind != tt.kind {
					t.Errorf("time = %d s, %d ns, kind %d; want %d, %d, %d", ev.Sec, ev.Nsec, ev.Kind, tt.sec, tt.nsec, tt.kind)
				}
			}
		})
	}
}

func float64Value(f float64) string { return string(mp.AppendFloat64(nil, f)) }

func TestNextErrors(t *testing.T) {
	deep := strings.Repeat("\x81\xa1k", chunk.MaxDepth) + "\x01"
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"map", "\x82\x01\x80\x02\x80", chunk.ErrFormat},
		{"one element", "\x91" + eventTime, chunk.ErrFormat},
		{"three elements", "\x93" + eventTime + body + body, chunk.ErrFormat},
		{"invalid byte", "\xc1", mp.ErrInvalid},
		{"invalid byte as header", "\x92\xc1\x80", mp.ErrInvalid},
		{"invalid byte as timestamp", "\x92\x92\xc1\x80\x80", mp.ErrInvalid},
		{"invalid byte in the body", "\x92" + eventTime + "\x81\xa1a\xc1", mp.ErrInvalid},
		{"header of one", "\x92\x91" + eventTime + body, chunk.ErrFormat},
		{"header of three", "\x92\x93" + eventTime + "\x80\x80" + body, chunk.ErrFormat},
		{"header is a map", "\x92\x80" + body, chunk.ErrFormat},
		{"timestamp is a string", "\x92\xa1a" + body, chunk.ErrFormat},
		{"timestamp is nil", "\x92\x92\xc0\x80" + body, chunk.ErrFormat},
		{"timestamp is an array", "\x92\x92\x92\x01\x80\x80" + body, chunk.ErrFormat},
		{"other ext type", "\x92\xd7\x01\x00\x00\x00\x00\x00\x00\x00\x00" + body, chunk.ErrFormat},
		{"ext of 4 bytes", "\x92\xd6\x00\x00\x00\x00\x00" + body, chunk.ErrFormat},
		{"uint beyond int64", "\x92\xcf\x80\x00\x00\x00\x00\x00\x00\x00" + body, chunk.ErrFormat},
		{"NaN", "\x92" + float64Value(math.NaN()) + body, chunk.ErrFormat},
		{"infinite", "\x92" + float64Value(math.Inf(1)) + body, chunk.ErrFormat},
		{"float beyond int64", "\x92" + float64Value(1e19) + body, chunk.ErrFormat},
		{"metadata is no map", "\x92\x92" + eventTime + "\xc0" + body, chunk.ErrFormat},
		{"body too deep", "\x92" + eventTime + "\x91" + deep, mp.ErrDepth},
		{"metadata too deep", "\x92\x92" + eventTime + "\x81\x01" + deep + body, mp.ErrDepth},
		{"four billion elements", "\xdd\xff\xff\xff\xff\x00", chunk.ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, rest, err := chunk.Next([]byte(tt.in))
			if !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
			if tt.want != chunk.ErrTruncated && !errors.Is(err, chunk.ErrFormat) {
				t.Errorf("error = %v, does not wrap ErrFormat", err)
			}
			if len(rest) != len(tt.in) {
				t.Errorf("%d of %d bytes left", len(rest), len(tt.in))
			}
		})
	}

	if _, _, err := chunk.Next([]byte("\x92\x92" + eventTime + deep + deep)); err != nil {
		t.Errorf("%d levels: %v", chunk.MaxDepth, err)
	}
}

// TestRebuild takes chunks apart and puts the events together again.
func TestRebuild(t *testing.T) {
	var all []byte
	for _, tt := range eventTests {
		all = append(all, tt.in...)
	}
	for rest := all; len(rest) > 0; {
		ev, after, err := chunk.Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := chunk.Next(chunk.AppendEvent(nil, ev.Header, ev.Body))
		if err != nil {
			t.Fatal(err)
		}
		ev.Raw, again.Raw = nil, nil // its outer header may have become narrower
		if diff := cmp.Diff(ev, again); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		rest = after
	}
}

func TestAppendRecord(t *testing.T) {
	prefix := []byte("prefix")
	got := chunk.AppendRecord(prefix, 0x65000000, 7, nil, []byte(body))
	if want := "prefix\x92\x92" + eventTime + "\x80" + body; string(got) != want {
		t.Errorf("without metadata: %q, want %q", got, want)
	}
	got = chunk.AppendRecord(prefix, 0x65000000, 7, []byte(metadata), []byte(body))
	if want := "prefix\x92\x92" + eventTime + metadata + body; string(got) != want {
		t.Errorf("with metadata: %q, want %q", got, want)
	}
}

func TestNoAllocations(t *testing.T) {
	var in []byte
	for _, tt := range eventTests {
		in = append(in, tt.in...)
	}
	dst := make([]byte, 0, 2*len(in))
	allocs := testing.AllocsPerRun(100, func() {
		out := dst
		for rest := in; len(rest) > 0; {
			ev, after, err := chunk.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			out = chunk.AppendEvent(out, ev.Header, ev.Body)
			rest = after
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// FuzzNext compares Next with a reading of the event by ugorji/go/codec.
func FuzzNext(f *testing.F) {
	for _, tt := range eventTests {
		f.Add([]byte(tt.in))
	}
	f.Add([]byte("\x92\xca\x3f\xc0\x00\x00" + body))
	f.Add([]byte("\x92\x92\xfe\x80\x80" + "\x92\xff\x80"))
	f.Fuzz(func(t *testing.T, in []byte) {
		ev, rest, err := chunk.Next(in)
		// ugorji/go/codec allocates what a header asks for; it only gets what
		// Skip, which package mp tests by itself, has been over.
		after, skipErr := mp.Skip(in, 2*chunk.MaxDepth)
		if skipErr != nil {
			if err == nil {
				t.Fatalf("Next accepts what Skip doesn't: %v", skipErr)
			}
			return
		}
		want, wantErr := readEvent(in[:len(in)-len(after)])
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("Next: %v, codec: %v", err, wantErr)
		}
		if err != nil {
			if !errors.Is(err, chunk.ErrFormat) {
				t.Errorf("error of a complete value: %v", err)
			}
			return
		}
		if diff := cmp.Diff(want, ev); diff != "" {
			t.Errorf("event (-codec +Next):\n%s", diff)
		}
		if len(rest) != len(after) {
			t.Errorf("Next left %d bytes, Skip %d", len(rest), len(after))
		}
	})
}

// readEvent is Next for b, which is one whole value.
func readEvent(b []byte) (ev chunk.Event, err error) {
	parts, err := readPair(b)
	if err != nil {
		return ev, err
	}
	ev.Raw, ev.Header, ev.Body = b, parts[0], parts[1]
	ts := ev.Header
	if mp.KindOf(ts[0]) == mp.Array {
		header, err := readPair(ts)
		if err != nil {
			return ev, err
		}
		if mp.KindOf(header[1][0]) != mp.Map {
			return ev, errors.New("metadata is no map")
		}
		if mp.Depth(header[1]) > chunk.MaxDepth {
			return ev, errors.New("metadata is too deep")
		}
		ts = header[0]
	} else {
		ev.Legacy = true
	}
	if mp.Depth(ev.Body) > chunk.MaxDepth {
		return ev, errors.New("body is too deep")
	}
	if kind := mp.KindOf(ts[0]); kind == mp.Map || kind == mp.Array {
		return ev, errors.New("timestamp is a container")
	}
	var value any
	if err := oracle.Raw(ts, &value); err != nil {
		return ev, err
	}
	switch v := value.(type) {
	case int64:
		ev.Sec = v
	case uint64:
		if v > math.MaxInt64 {
			return ev, errors.New("timestamp is out of range")
		}
		ev.Sec = int64(v)
	case float64:
		if math.IsNaN(v) || math.Abs(v) >= 1<<62 {
			return ev, errors.New("timestamp is out of range")
		}
		whole, fraction := math.Modf(v)
		ev.Sec = int64(whole)
		if v > 0 {
			ev.Nsec = uint32(math.Round(fraction * 1e9))
		}
		if ev.Nsec == 1e9 {
			ev.Sec, ev.Nsec = ev.Sec+1, 0
		}
	case codec.RawExt:
		if v.Tag != 0 || len(v.Data) != 8 {
			return ev, errors.New("ext is no timestamp")
		}
		var sec, nsec uint32
		fmt.Sscanf(fmt.Sprintf("%x", v.Data), "%08x%08x", &sec, &nsec)
		ev.Sec, ev.Nsec = int64(sec), nsec
		if sec >= math.MaxUint32-1 {
			ev.Sec -= 1 << 32
		}
	default:
		return ev, fmt.Errorf("timestamp is a %T", value)
	}
	switch ev.Sec {
	case -1:
		ev.Kind = chunk.GroupStart
	case -2:
		ev.Kind = chunk.GroupEnd
	}
	return ev, nil
}

func readPair(b []byte) ([]codec.Raw, error) {
	pair, isMap, err := oracle.Elements(b)
	if err == nil && (isMap || len(pair) != 2) {
		err = fmt.Errorf("%d elements", len(pair))
	}
	return pair, err
}

func BenchmarkNext(b *testing.B) {
	for _, size := range []int{100, 400, 4000} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			in := chunk.AppendRecord(nil, 1, 2, nil, bodyOfSize(size))
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := chunk.Next(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// bodyOfSize returns a map of about size bytes, 20 for each pair.
func bodyOfSize(size int) []byte {
	pairs := size / 20
	out := mp.AppendMapHeader(nil, pairs)
	for i := range pairs {
		out = mp.AppendString(out, fmt.Sprintf("key-%04d", i))
		out = mp.AppendString(out, "ten bytes.")
	}
	return out
}
