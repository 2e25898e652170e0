package transcode_test

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

var jsonTests = []struct {
	name string
	in   string
	want string
}{
	{"nil", "\xc0", `null`},
	{"false", "\xc2", `false`},
	{"true", "\xc3", `true`},
	{"zero", "\x00", `0`},
	{"largest uint64", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", `18446744073709551615`},
	{"smallest int64", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", `-9223372036854775808`},
	{"negative fixint", "\xe0", `-32`},
	{"wider than needed", "\xd3\x00\x00\x00\x00\x00\x00\x00\x05", `5`},

	{"empty string", "\xa0", `""`},
	{"string", "\xa5hello", `"hello"`},
	{"UTF-8", "\xabh\u00e9\u20ac \U0001f600", "\"h\u00e9\u20ac \U0001f600\""},
	{"line separators are raw", "\xa6\u2028\u2029", "\"\u2028\u2029\""},
	{"HTML is raw", "\xa3<&>", `"<&>"`},
	{"DEL is raw", "\xa1\x7f", "\"\x7f\""},
	{"quote and backslash", "\xa4a\"\\b", `"a\"\\b"`},
	{"solidus", "\xa1/", `"/"`},
	{"short escapes", "\xa5\b\f\n\r\t", `"\b\f\n\r\t"`},
	{"long escapes", "\xa4\x00\x01\x0b\x1f", `"\u0000\u0001\u000b\u001f"`},
	{"escape behind a word", "\xaaabcdefgh\ni", `"abcdefgh\ni"`},
	{"invalid UTF-8", "\xa3\xff\xfea", "\"\ufffd\ufffda\""},
	{"cut rune", "\xa3a\xe2\x82", "\"a\ufffd\ufffd\""},
	{"encoded surrogate", "\xa3\xed\xa0\x80", "\"\ufffd\ufffd\ufffd\""},
	{"encoded surrogate pair", "\xa8a\xed\xa0\xbd\xed\xb8\x80b", "\"a\U0001f600b\""},
	{"encoded surrogates the wrong way round", "\xa6\xed\xb8\x80\xed\xa0\xbd", "\"\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\""},
	{"half of a pair before a pair", "\xa9\xed\xa0\xbd\xed\xa0\xbd\xed\xb8\x80", "\"\ufffd\ufffd\ufffd\U0001f600\""},
	{"overlong", "\xa2\xc0\x80", "\"\ufffd\ufffd\""},
	{"U+FFFD itself", "\xa3\ufffd", "\"\ufffd\""},
	{"bin", "\xc4\x04a\"\xff\n", "\"a\\\"\ufffd\\n\""},

	{"ext", "\xd5\x07\x0a\xff", `"\\x0a\\xff"`},
	{"empty ext", "\xc7\x00\x07", `""`},
	{"event time", "\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02", `"\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x02"`},
	{"timestamp of the specification", "\xd6\xff\x00\x00\x00\x01", `"\\x00\\x00\\x00\\x01"`},

	{"empty array", "\x90", `[]`},
	{"array", "\x93\x01\xc0\x91\xa1a", `[1,null,["a"]]`},
	{"empty map", "\x80", `{}`},
	{"map", "\x82\xa1a\x01\xa1b\x81\xa1c\xc2", `{"a":1,"b":{"c":false}}`},
	{"order and duplicates", "\x83\xa1b\x01\xa1a\x02\xa1b\x03", `{"b":1,"a":2,"b":3}`},
	{"map 32", "\xdf\x00\x00\x00\x01\xdb\x00\x00\x00\x01a\x01", `{"a":1}`},

	{"integer key", "\x82\x01\x02\xff\x03", `{"1":2,"-1":3}`},
	{"float key", "\x81\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x01", `{"1.5":1}`},
	{"nil and bool keys", "\x83\xc0\x01\xc2\x02\xc3\x03", `{"null":1,"false":2,"true":3}`},
	{"bin key", "\x81\xc4\x02a\xff\x01", "{\"a\ufffd\":1}"},
	{"ext key", "\x81\xd4\x07\x0a\x01", `{"\\x0a":1}`},
	{"map key", "\x81\x81\xa1a\xa1\"\x01", `{"{\"a\":\"\\\"\"}":1}`},
	{"array key", "\x81\x92\xa1a\xc0\x01", `{"[\"a\",null]":1}`},
	{"map key in a map key", "\x81\x81\x81\xa1a\x01\x02\x03", `{"{\"{\\\"a\\\":1}\":2}":3}`},
}

func TestAppendJSON(t *testing.T) {
	for _, tt := range jsonTests {
		t.Run(tt.name, func(t *testing.T) {
			out, rest, err := transcode.AppendJSON([]byte("prefix"), []byte(tt.in+"rest"))
			if err != nil {
				t.Fatal(err)
			}
			if want := "prefix" + tt.want; string(out) != want {
				t.Errorf("got %s, want %s", out, want)
			}
			if string(rest) != "rest" {
				t.Errorf("rest = %q", rest)
			}
			if !json.Valid([]byte(tt.want)) {
				t.Errorf("the test wants invalid JSON: %s", tt.want)
			}
			for n := range len(tt.in) {
				out, rest, err := transcode.AppendJSON([]byte("prefix"), []byte(tt.in[:n]))
				if err != transcode.ErrTruncated || string(out) != "prefix" || len(rest) != n {
					t.Errorf("of the first %d bytes: %q, %d bytes left, %v", n, out, len(rest), err)
				}
			}
		})
	}
}

func TestAppendJSONFloats(t *testing.T) {
	tests := []struct {
		f    float64
		want string
	}{
		{0, `0.0`},
		{math.Copysign(0, -1), `-0.0`},
		{418, `418.0`},
		{-418, `-418.0`},
		{0.1, `0.1`},
		{-0.1842, `-0.1842`},
		{1e-6, `0.000001`},
		{9.5e-7, `9.5e-07`},
		{1 << 53, `9007199254740992.0`},
		{1<<53 - 1, `9007199254740991.0`},
		{1 << 63, `9223372036854776000.0`}, // the shortest digits, then zeros
		{123456789012345680000, `123456789012345680000.0`},
		{1e21, `1e+21`},
		{-1e21, `-1e+21`},
		{math.MaxFloat64, `1.7976931348623157e+308`},
		{math.SmallestNonzeroFloat64, `5e-324`},
		{math.NaN(), `null`},
		{math.Inf(1), `null`},
		{math.Inf(-1), `null`},
	}
	for _, tt := range tests {
		out, _, err := transcode.AppendJSON(nil, mp.AppendFloat64(nil, tt.f))
		if err != nil || string(out) != tt.want {
			t.Errorf("%g = %s, %v; want %s", tt.f, out, err, tt.want)
		}
	}

	single := float32(0.1) // its value is not that of the float64 0.1
	out, _, err := transcode.AppendJSON(nil, msgp.AppendFloat32(nil, single))
	if want := `0.10000000149011612`; err != nil || string(out) != want {
		t.Errorf("float32 = %s, %v, want %s", out, err, want)
	}
}

func TestAppendJSONErrors(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("\x91", n) + "\x01" }
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"nothing", "", transcode.ErrTruncated},
		{"never used", "\xc1", mp.ErrInvalid},
		{"never used, as key", "\x81\xc1\x01", mp.ErrInvalid},
		{"128 levels", nested(128), nil},
		{"129 levels", nested(129), transcode.ErrDepth},
		{"129 levels, innermost empty", strings.Repeat("\x91", 128) + "\x80", transcode.ErrDepth},
		{"three keys in keys", strings.Repeat("\x81", 4) + strings.Repeat("\x01", 5), nil},
		{"four keys in keys", strings.Repeat("\x81", 5) + strings.Repeat("\x01", 6), transcode.ErrDepth},
		{"many keys in keys", strings.Repeat("\x81", 1000) + strings.Repeat("\x01", 1001), transcode.ErrDepth},
		{"map of four billion pairs", "\xdf\xff\xff\xff\xff\xa1a\x01", transcode.ErrTruncated},
		{"string of 4 GiB", "\xdb\xff\xff\xff\xffa", transcode.ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, rest, err := transcode.AppendJSON([]byte("prefix"), []byte(tt.in))
			if err != tt.want {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if err != nil && (string(out) != "prefix" || len(rest) != len(tt.in)) {
				t.Errorf("after the error: %q, %d of %d bytes left", out, len(rest), len(tt.in))
			}
		})
	}
}

// TestAppendJSONGrowth bounds how much longer the text is than its source,
// whatever the source.
func TestAppendJSONGrowth(t *testing.T) {
	quotes := strings.Repeat(`"`, 1000)
	in := msgp.AppendString(nil, quotes)
	for range 3 { // as deep as keys in keys may be
		in = append(append([]byte{0x81}, in...), 0x01)
	}
	in = append([]byte{0x81}, append(in, 0x01)...)
	out, _, err := transcode.AppendJSON(nil, in)
	if err != nil {
		t.Fatal(err)
	}
	if limit := 16*len(in) + 100; len(out) > limit {
		t.Errorf("%d bytes became %d", len(in), len(out))
	}
}

func TestAppendJSONLongStrings(t *testing.T) {
	for n := range 70 {
		for _, tail := range []string{"", "\n", `"`, "\u00e9", "\xff"} {
			s := strings.Repeat("x", n) + tail + strings.Repeat("y", n%11)
			out, _, err := transcode.AppendJSON(nil, msgp.AppendString(nil, s))
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if err := json.Unmarshal(out, &got); err != nil || got != string([]rune(s)) {
				t.Errorf("%s = %s, %v", strconv.Quote(s), out, err)
			}
		}
	}
}
