package mp_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// The formats in the order of the specification's table, with the bytes that
// it gives for them.
var formatTests = []struct {
	name    string
	in      string
	want    mp.Head
	payload int // bytes of contents
}{
	{"positive fixint 0", "\x00", mp.Head{Kind: mp.Uint, Arg: 0}, 0},
	{"positive fixint 127", "\x7f", mp.Head{Kind: mp.Uint, Arg: 127}, 0},
	{"fixmap 0", "\x80", mp.Head{Kind: mp.Map, Arg: 0}, 0},
	{"fixmap 15", "\x8f" + strings.Repeat("\xc0", 30), mp.Head{Kind: mp.Map, Arg: 15}, 30},
	{"fixarray 0", "\x90", mp.Head{Kind: mp.Array, Arg: 0}, 0},
	{"fixarray 15", "\x9f" + strings.Repeat("\xc0", 15), mp.Head{Kind: mp.Array, Arg: 15}, 15},
	{"fixstr 0", "\xa0", mp.Head{Kind: mp.Str, Arg: 0}, 0},
	{"fixstr 31", "\xbf" + strings.Repeat("a", 31), mp.Head{Kind: mp.Str, Arg: 31}, 31},
	{"nil", "\xc0", mp.Head{Kind: mp.Nil}, 0},
	{"false", "\xc2", mp.Head{Kind: mp.Bool, Arg: 0}, 0},
	{"true", "\xc3", mp.Head{Kind: mp.Bool, Arg: 1}, 0},
	{"bin 8", "\xc4\x02ab", mp.Head{Kind: mp.Bin, Arg: 2}, 2},
	{"bin 16", "\xc5\x00\x02ab", mp.Head{Kind: mp.Bin, Arg: 2}, 2},
	{"bin 32", "\xc6\x00\x00\x00\x02ab", mp.Head{Kind: mp.Bin, Arg: 2}, 2},
	{"ext 8", "\xc7\x03\x05abc", mp.Head{Kind: mp.Ext, ExtType: 5, Arg: 3}, 3},
	{"ext 8 empty", "\xc7\x00\x05", mp.Head{Kind: mp.Ext, ExtType: 5}, 0},
	{"ext 16", "\xc8\x00\x03\xffabc", mp.Head{Kind: mp.Ext, ExtType: -1, Arg: 3}, 3},
	{"ext 32", "\xc9\x00\x00\x00\x03\x80abc", mp.Head{Kind: mp.Ext, ExtType: -128, Arg: 3}, 3},
	{"float 32", "\xca\x3f\x80\x00\x00", mp.Head{Kind: mp.Float32, Arg: 0x3f800000}, 0},
	{"float 64", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", mp.Head{Kind: mp.Float64, Arg: 0x3ff0 << 48}, 0},
	{"uint 8", "\xcc\xff", mp.Head{Kind: mp.Uint, Arg: math.MaxUint8}, 0},
	{"uint 16", "\xcd\xff\xfe", mp.Head{Kind: mp.Uint, Arg: math.MaxUint16 - 1}, 0},
	{"uint 32", "\xce\xff\xff\xff\xfe", mp.Head{Kind: mp.Uint, Arg: math.MaxUint32 - 1}, 0},
	{"uint 64", "\xcf\xff\xff\xff\xff\xff\xff\xff\xfe", mp.Head{Kind: mp.Uint, Arg: math.MaxUint64 - 1}, 0},
	{"int 8", "\xd0\x80", mp.Head{Kind: mp.Int, Arg: negative(-1 << 7)}, 0},
	{"int 8 positive", "\xd0\x05", mp.Head{Kind: mp.Int, Arg: 5}, 0},
	{"int 16", "\xd1\x80\x00", mp.Head{Kind: mp.Int, Arg: negative(-1 << 15)}, 0},
	{"int 32", "\xd2\x80\x00\x00\x00", mp.Head{Kind: mp.Int, Arg: negative(-1 << 31)}, 0},
	{"int 64", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", mp.Head{Kind: mp.Int, Arg: negative(-1 << 63)}, 0},
	{"fixext 1", "\xd4\x01a", mp.Head{Kind: mp.Ext, ExtType: 1, Arg: 1}, 1},
	{"fixext 2", "\xd5\x01ab", mp.Head{Kind: mp.Ext, ExtType: 1, Arg: 2}, 2},
	{"fixext 4", "\xd6\x01abcd", mp.Head{Kind: mp.Ext, ExtType: 1, Arg: 4}, 4},
	{"fixext 8", "\xd7\x01abcdefgh", mp.Head{Kind: mp.Ext, ExtType: 1, Arg: 8}, 8},
	{"fixext 16", "\xd8\x01abcdefghabcdefgh", mp.Head{Kind: mp.Ext, ExtType: 1, Arg: 16}, 16},
	{"str 8", "\xd9\x01a", mp.Head{Kind: mp.Str, Arg: 1}, 1},
	{"str 16", "\xda\x00\x01a", mp.Head{Kind: mp.Str, Arg: 1}, 1},
	{"str 32", "\xdb\x00\x00\x00\x01a", mp.Head{Kind: mp.Str, Arg: 1}, 1},
	{"array 16", "\xdc\x00\x01\xc0", mp.Head{Kind: mp.Array, Arg: 1}, 1},
	{"array 32", "\xdd\x00\x00\x00\x01\xc0", mp.Head{Kind: mp.Array, Arg: 1}, 1},
	{"map 16", "\xde\x00\x01\xc0\xc0", mp.Head{Kind: mp.Map, Arg: 1}, 2},
	{"map 32", "\xdf\x00\x00\x00\x01\xc0\xc0", mp.Head{Kind: mp.Map, Arg: 1}, 2},
	{"negative fixint -32", "\xe0", mp.Head{Kind: mp.Int, Arg: negative(-32)}, 0},
	{"negative fixint -1", "\xff", mp.Head{Kind: mp.Int, Arg: negative(-1)}, 0},
}

func negative(v int64) uint64 { return uint64(v) }

func TestFormats(t *testing.T) {
	for _, tt := range formatTests {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in + "rest")
			head, rest, err := mp.ReadHead(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, head); diff != "" {
				t.Errorf("head (-want +got):\n%s", diff)
			}
			if want := tt.payload + len("rest"); len(rest) != want {
				t.Errorf("ReadHead left %d bytes, want %d", len(rest), want)
			}
			if kind := mp.KindOf(in[0]); kind != tt.want.Kind {
				t.Errorf("KindOf = %d, want %d", kind, tt.want.Kind)
			}
			rest, err = mp.Skip(in, 1)
			if err != nil || string(rest) != "rest" {
				t.Errorf("Skip left %q, %v", rest, err)
			}
			for n := range len(tt.in) {
				cut := []byte(tt.in[:n])
				if rest, err := mp.Skip(cut, 1); err != mp.ErrTruncated || len(rest) != n {
					t.Errorf("Skip of the first %d bytes: left %d bytes, %v", n, len(rest), err)
				}
			}
			depth := 0
			if tt.want.Kind == mp.Array || tt.want.Kind == mp.Map {
				depth = 1
			}
			if got := mp.Depth(in); got != depth {
				t.Errorf("Depth = %d, want %d", got, depth)
			}
		})
	}
}

func TestSkipErrors(t *testing.T) {
	tests := []struct {
		name     string
		in       string
		maxDepth int
		want     error
	}{
		{"nothing", "", 1, mp.ErrTruncated},
		{"never used", "\xc1", 1, mp.ErrInvalid},
		{"never used, inside", "\x92\x01\xc1", 1, mp.ErrInvalid},
		{"map of four billion pairs", "\xdf\xff\xff\xff\xff\x01\x02", 1, mp.ErrTruncated},
		{"array of four billion", "\xdd\xff\xff\xff\xff\x01\x02", 1, mp.ErrTruncated},
		{"string of 4 GiB", "\xdb\xff\xff\xff\xffa", 1, mp.ErrTruncated},
		{"bin of 4 GiB", "\xc6\xff\xff\xff\xffa", 1, mp.ErrTruncated},
		{"ext of 4 GiB", "\xc9\xff\xff\xff\xff\x00a", 1, mp.ErrTruncated},
		{"key without value", "\x81\xa1a", 1, mp.ErrTruncated},
		{"container where none may be", "\x80", 0, mp.ErrDepth},
		{"negative limit", "\x90", -1, mp.ErrDepth},
		{"too deep in a key", "\x81\x91\x90\x01", 2, mp.ErrDepth},
		{"too deep behind siblings", "\x93\x90\x90\x91\x90", 2, mp.ErrDepth},
		{"very deep", strings.Repeat("\x91", 1e6) + "\x01", 128, mp.ErrDepth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rest, err := mp.Skip([]byte(tt.in), tt.maxDepth)
			if err != tt.want || len(rest) != len(tt.in) {
				t.Errorf("Skip left %d of %d bytes, %v, want %v", len(rest), len(tt.in), err, tt.want)
			}
		})
	}
}

func TestDepth(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want int
	}{
		{"scalar", "\x01", 0},
		{"empty map", "\x80", 1},
		{"map of scalars", "\x82\xa1a\x01\xa1b\xc0", 1},
		{"siblings", "\x92\x91\x01\x91\x02", 2},
		{"deepest first", "\x92\x91\x91\x01\x91\x02", 3},
		{"in a key", "\x81\x91\x90\x01", 3},
		{"only the first value", "\x90\x91\x91\x90", 1},
		{"10,000", strings.Repeat("\x91", 10_000) + "\x01", 10_000},
		{"more than is told apart", strings.Repeat("\x91", 1e6) + "\x01", 10_001},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mp.Depth([]byte(tt.in)); got != tt.want {
				t.Errorf("Depth = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestReadCounts(t *testing.T) {
	for _, tt := range []struct {
		name          string
		in            string
		array, object int
		arrayErr      error
		objectErr     error
	}{
		{"array", "\x92\x01\x02", 2, 0, nil, mp.ErrKind},
		{"map", "\xde\x00\x01\x01\x02", 0, 1, mp.ErrKind, nil},
		{"scalar", "\x01", 0, 0, mp.ErrKind, mp.ErrKind},
		{"nothing", "", 0, 0, mp.ErrTruncated, mp.ErrTruncated},
		{"short", "\x92\x01", 0, 0, mp.ErrTruncated, mp.ErrTruncated},
		{"key without value", "\x81\x01", 0, 0, mp.ErrTruncated, mp.ErrTruncated},
		{"invalid", "\xc1", 0, 0, mp.ErrInvalid, mp.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in)
			n, rest, err := mp.ReadArrayHeader(in)
			if n != tt.array || err != tt.arrayErr || err != nil && len(rest) != len(in) {
				t.Errorf("ReadArrayHeader = %d, %d bytes, %v", n, len(rest), err)
			}
			n, rest, err = mp.ReadMapHeader(in)
			if n != tt.object || err != tt.objectErr || err != nil && len(rest) != len(in) {
				t.Errorf("ReadMapHeader = %d, %d bytes, %v", n, len(rest), err)
			}
		})
	}
}

// edges are the numbers around which a wider format is needed.
func edges() (all []uint64) {
	for _, bits := range []int{4, 5, 7, 8, 15, 16, 31, 32, 63} {
		edge := uint64(1) << bits
		all = append(all, edge-1, edge, edge+1)
	}
	return append(all, 0, math.MaxUint64)
}

func TestAppendNumbers(t *testing.T) {
	for _, v := range edges() {
		if got, want := mp.AppendUint(nil, v), msgp.AppendUint64(nil, v); !bytes.Equal(got, want) {
			t.Errorf("AppendUint(%d) = %x, want %x", v, got, want)
		}
		for _, v := range []int64{int64(v), -int64(v)} {
			want := msgp.AppendInt64(nil, v)
			if v >= 0 {
				want = msgp.AppendUint64(nil, uint64(v)) // msgp keeps int formats for positive numbers
			}
			if got := mp.AppendInt(nil, v); !bytes.Equal(got, want) {
				t.Errorf("AppendInt(%d) = %x, want %x", v, got, want)
			}
		}
	}
	for _, v := range []float64{0, math.Copysign(0, -1), 1, 1.5, math.MaxFloat64, math.Inf(-1), math.NaN()} {
		if got, want := mp.AppendFloat64(nil, v), msgp.AppendFloat64(nil, v); !bytes.Equal(got, want) {
			t.Errorf("AppendFloat64(%g) = %x, want %x", v, got, want)
		}
	}
}

func TestAppendHeaders(t *testing.T) {
	for _, v := range edges() {
		if v > math.MaxUint32 {
			continue
		}
		n := int(v)
		if got, want := mp.AppendMapHeader(nil, n), msgp.AppendMapHeader(nil, uint32(v)); !bytes.Equal(got, want) {
			t.Errorf("AppendMapHeader(%d) = %x, want %x", n, got, want)
		}
		if got, want := mp.AppendArrayHeader(nil, n), msgp.AppendArrayHeader(nil, uint32(v)); !bytes.Equal(got, want) {
			t.Errorf("AppendArrayHeader(%d) = %x, want %x", n, got, want)
		}
		if n > 1<<17 {
			continue
		}
		s := strings.Repeat("x", n)
		if got, want := mp.AppendString(nil, s), msgp.AppendString(nil, s); !bytes.Equal(got, want) {
			t.Errorf("AppendString of %d bytes = %x…, want %x…", n, got[:min(8, len(got))], want[:min(8, len(want))])
		}
	}
	if got, want := mp.AppendStringHeader(nil, 1<<32-1), "\xdb\xff\xff\xff\xff"; string(got) != want {
		t.Errorf("AppendStringHeader = %x, want %x", got, want)
	}
}

func TestAppendOthers(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"nil", mp.AppendNil(nil), "\xc0"},
		{"false", mp.AppendBool(nil, false), "\xc2"},
		{"true", mp.AppendBool(nil, true), "\xc3"},
		{"timestamp", mp.AppendTimestampExt(nil, 0x01020304, 0x05060708), "\xd7\x00\x01\x02\x03\x04\x05\x06\x07\x08"},
		{"timestamp of a group", mp.AppendTimestampExt(nil, -1, 0), "\xd7\x00\xff\xff\xff\xff\x00\x00\x00\x00"},
		{"timestamp after 2038", mp.AppendTimestampExt(nil, 1<<31, 0), "\xd7\x00\x80\x00\x00\x00\x00\x00\x00\x00"},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("%s = %x, want %x", tt.name, tt.got, tt.want)
		}
	}
}

// FuzzSkip compares Skip with the same function of tinylib/msgp, and Depth with
// a walk by its readers.
func FuzzSkip(f *testing.F) {
	for _, tt := range formatTests {
		f.Add([]byte(tt.in))
	}
	f.Add([]byte("\x82\xa1a\x91\x80\x91\x01\xc0"))
	f.Add([]byte("\xdf\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const maxDepth = 1000
		rest, err := mp.Skip(in, maxDepth)
		wantRest, wantErr := msgp.Skip(in)
		switch {
		case err == mp.ErrDepth:
			if mp.Depth(in) <= maxDepth {
				t.Errorf("ErrDepth at a depth of %d", mp.Depth(in))
			}
			return
		case (err == nil) != (wantErr == nil):
			t.Fatalf("Skip: %v, msgp: %v", err, wantErr)
		case err == mp.ErrInvalid:
			if !errors.As(wantErr, new(msgp.InvalidPrefixError)) {
				t.Errorf("Skip: %v, msgp: %v", err, wantErr)
			}
		case err != nil && err != mp.ErrTruncated:
			t.Errorf("unexpected error %v", err)
		}
		if err != nil {
			if len(rest) != len(in) {
				t.Errorf("after %v, %d of %d bytes are left", err, len(rest), len(in))
			}
			mp.Depth(in) // doesn't panic
			return
		}
		if len(rest) != len(wantRest) {
			t.Errorf("Skip left %d bytes, msgp %d", len(rest), len(wantRest))
		}
		depth, _, err := depthByMsgp(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := mp.Depth(in); got != depth {
			t.Errorf("Depth = %d, want %d", got, depth)
		}
		if _, err := mp.Skip(in, depth); err != nil {
			t.Errorf("Skip within a depth of %d: %v", depth, err)
		}
		if _, err := mp.Skip(in, depth-1); depth > 0 && err != mp.ErrDepth {
			t.Errorf("Skip within a depth of %d: %v", depth-1, err)
		}
	})
}

func depthByMsgp(b []byte) (depth int, rest []byte, err error) {
	var n uint32
	elements := 0
	switch msgp.NextType(b) {
	case msgp.ArrayType:
		n, b, err = msgp.ReadArrayHeaderBytes(b)
		elements = int(n)
	case msgp.MapType:
		n, b, err = msgp.ReadMapHeaderBytes(b)
		elements = 2 * int(n)
	default:
		b, err = msgp.Skip(b)
		return 0, b, err
	}
	for range elements {
		if err != nil {
			break
		}
		var inner int
		inner, b, err = depthByMsgp(b)
		depth = max(depth, inner)
	}
	return depth + 1, b, err
}

func TestNoAllocations(t *testing.T) {
	value := []byte("\x83\xa1a\x92\x01\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xa1b\xd9\x03xyz\xa1c\x81\xc0\xc3")
	hostile := []byte("\xdf\xff\xff\xff\xff\xa1a")
	dst := make([]byte, 0, 64)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := mp.Skip(value, 3); err != nil {
			t.Error(err)
		}
		if _, err := mp.Skip(hostile, 3); err == nil {
			t.Error("a truncated map was accepted")
		}
		mp.Depth(value)
		out := mp.AppendMapHeader(dst, 1)
		out = mp.AppendString(out, "key")
		out = mp.AppendArrayHeader(out, 5)
		out = mp.AppendInt(out, math.MinInt64)
		out = mp.AppendFloat64(out, 1.5)
		mp.AppendTimestampExt(out, 1, 2)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
