package transcode_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

var msgpackTests = []struct {
	name string
	in   string
	want string
}{
	{"null", `null`, "\xc0"},
	{"false", `false`, "\xc2"},
	{"true", `true`, "\xc3"},
	{"white space before", " \t\r\n1", "\x01"},

	{"empty string", `""`, "\xa0"},
	{"string", `"hello"`, "\xa5hello"},
	{"string of 31", `"` + strings.Repeat("x", 31) + `"`, "\xbf" + strings.Repeat("x", 31)},
	{"string of 32", `"` + strings.Repeat("x", 32) + `"`, "\xd9\x20" + strings.Repeat("x", 32)},
	{"string of 256", `"` + strings.Repeat("x", 256) + `"`, "\xda\x01\x00" + strings.Repeat("x", 256)},
	{"string of 65536", `"` + strings.Repeat("x", 65536) + `"`, "\xdb\x00\x01\x00\x00" + strings.Repeat("x", 65536)},
	{"escaped string of 31", `"\n` + strings.Repeat("x", 30) + `"`, "\xbf\n" + strings.Repeat("x", 30)},
	{"escaped string of 32", `"` + strings.Repeat("x", 31) + `\n"`, "\xd9\x20" + strings.Repeat("x", 31) + "\n"},
	{"escaped string of 256", `"\n` + strings.Repeat("x", 255) + `"`, "\xda\x01\x00\n" + strings.Repeat("x", 255)},
	{"escaped string of 65536", `"\n` + strings.Repeat("x", 65535) + `"`, "\xdb\x00\x01\x00\x00\n" + strings.Repeat("x", 65535)},
	{"escapes", `"\"\\\/\b\f\n\r\t"`, "\xa8\"\\/\b\f\n\r\t"},
	{"NUL by escape", `"a\u0000b"`, "\xa3a\x00b"},
	{"\\u of one, two and three bytes", `"\u0041\u00e9\u20AC"`, "\xa6A\u00e9\u20ac"},
	{"surrogate pair", `"\ud83d\uDE00"`, "\xa4\U0001f600"},
	{"high surrogate alone", `"\ud83d"`, "\xa3\ufffd"},
	{"low surrogate alone", `"\ude00x"`, "\xa4\ufffdx"},
	{"high surrogate before another escape", `"\ud83d\n"`, "\xa4\ufffd\n"},
	{"high surrogate before another \\u", `"\ud83d\u0041"`, "\xa4\ufffdA"},
	{"high surrogate before a pair", `"\ud83d\ud83d\ude00"`, "\xa7\ufffd\U0001f600"},
	{"surrogates the wrong way round", `"\ude00\ud83d"`, "\xa6\ufffd\ufffd"},
	{"raw UTF-8", "\"\u00e9\U0001f600\"", "\xa6\u00e9\U0001f600"},
	{"invalid UTF-8 is kept", "\"\xff\xed\xa0\x80\"", "\xa4\xff\xed\xa0\x80"},
	{"raw control characters are kept", "\"a\n\t\x01\x1f\"", "\xa5a\n\t\x01\x1f"},
	{"DEL", "\"\x7f\"", "\xa1\x7f"},

	{"zero", `0`, "\x00"},
	{"minus zero", `-0`, "\x00"},
	{"fixint", `127`, "\x7f"},
	{"uint 8", `128`, "\xcc\x80"},
	{"negative fixint", `-32`, "\xe0"},
	{"int 8", `-33`, "\xd0\xdf"},
	{"largest int64", `9223372036854775807`, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"},
	{"smallest int64", `-9223372036854775808`, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"},
	{"below int64", `-9223372036854775809`, float64Value(-(1 << 63))},
	{"20 digits", `10000000000000000000`, "\xcf\x8a\xc7\x23\x04\x89\xe8\x00\x00"},
	{"largest uint64", `18446744073709551615`, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"},
	{"beyond uint64", `18446744073709551616`, float64Value(1 << 64)},
	{"largest that wraps", `19999999999999999999`, float64Value(19999999999999999999)},
	{"20 nines", `99999999999999999999`, float64Value(99999999999999999999)},
	{"21 digits", `100000000000000000000`, float64Value(1e20)},

	{"integral float", `418.0`, float64Value(418)},
	{"minus zero float", `-0.0`, float64Value(math.Copysign(0, -1))},
	{"exponent", `1e2`, float64Value(100)},
	{"upper-case exponent with sign", `-1.5E+2`, float64Value(-150)},
	{"negative exponent", `25e-2`, float64Value(0.25)},
	{"exponent with zeros", `1e0000000002`, float64Value(100)},
	{"fast path at its limit", `9007199254740992e22`, float64Value(9007199254740992e22)},
	{"mantissa beyond 2⁵³", `9007199254740993e-1`, float64Value(900719925474099.3)},
	{"half way, rounded to even", `9007199254740993.0`, float64Value(9007199254740992)},
	{"just above half way", `9007199254740993.00000000000000000001`, float64Value(9007199254740994)},
	{"exponent 23", `1e23`, float64Value(1e23)},
	{"smallest", `4.9e-324`, float64Value(math.SmallestNonzeroFloat64)},
	{"largest", `1.7976931348623157e308`, float64Value(math.MaxFloat64)},
	{"underflow", `1e-999999999999999999999`, float64Value(0)},
	{"exponent of 2 modulo 2⁶⁴", `1e-18446744073709551618`, float64Value(0)},
	{"many zeros", `0.` + strings.Repeat("0", 400) + `1e401`, float64Value(1)},

	{"empty array", `[ ]`, "\x90"},
	{"array", `[1 , "a",[null]]`, "\x93\x01\xa1a\x91\xc0"},
	{"array of 15", `[` + strings.Repeat("0,", 14) + `0]`, "\x9f" + strings.Repeat("\x00", 15)},
	{"array of 16", `[` + strings.Repeat("0,", 15) + `0]`, "\xdc\x00\x10" + strings.Repeat("\x00", 16)},
	{"array of 65536", `[` + strings.Repeat("0,", 65535) + `0]`, "\xdd\x00\x01\x00\x00" + strings.Repeat("\x00", 65536)},
	{"empty object", `{}`, "\x80"},
	{"object", ` { "a" : 1 , "b" : { } } `, "\x82\xa1a\x01\xa1b\x80"},
	{"order and duplicates", `{"b":1,"a":2,"b":3}`, "\x83\xa1b\x01\xa1a\x02\xa1b\x03"},
	{"object of 16", `{` + strings.Repeat(`"":0,`, 15) + `"":0}`, "\xde\x00\x10" + strings.Repeat("\xa0\x00", 16)},
	{"wide containers in one another", `[[` + strings.Repeat("0,", 15) + `0]` + strings.Repeat(",0", 15) + `]`,
		"\xdc\x00\x10\xdc\x00\x10" + strings.Repeat("\x00", 31)},
}

func float64Value(f float64) string { return string(msgp.AppendFloat64(nil, f)) }

func TestAppendMsgpack(t *testing.T) {
	for _, tt := range msgpackTests {
		t.Run(tt.name, func(t *testing.T) {
			value := strings.TrimRight(tt.in, " ")
			for _, tail := range []string{"", "\x00garbage", " ]", "\xff"} {
				out, n, err := transcode.AppendMsgpack([]byte("prefix"), []byte(value+tail), 2)
				if err != nil {
					t.Fatalf("with %q behind: %v", tail, err)
				}
				if want := "prefix" + tt.want; string(out) != want {
					t.Errorf("with %q behind:\n got %.80q\nwant %.80q", tail, out, want)
				}
				if n != len(value) {
					t.Errorf("with %q behind: n = %d, want %d", tail, n, len(value))
				}
			}
		})
	}
}

func TestAppendMsgpackErrors(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	syntax := func(offset int) error { return &transcode.SyntaxError{Offset: offset} }
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"nothing", "", transcode.ErrEmpty},
		{"white space", " \r\n\t", transcode.ErrEmpty},
		{"NUL", "\x00{}", transcode.ErrEmpty},
		{"white space and NUL", " \x00{}", transcode.ErrEmpty},

		{"open object", `{`, transcode.ErrTruncated},
		{"open array", `[1,`, transcode.ErrTruncated},
		{"key alone", `{"a"`, transcode.ErrTruncated},
		{"key and colon", `{"a":`, transcode.ErrTruncated},
		{"open string", `"abc`, transcode.ErrTruncated},
		{"NUL in a string", "\"abc\x00\"", transcode.ErrTruncated},
		{"NUL in an object", "{\"a\":\x001}", transcode.ErrTruncated},
		{"open escape", `"\`, transcode.ErrTruncated},
		{"open \\u", `"\u00`, transcode.ErrTruncated},
		{"open second \\u", `"\ud83d\u`, transcode.ErrTruncated},
		{"NUL in \\u", "\"\\u00\x0000\"", transcode.ErrTruncated},
		{"half a literal", `tru`, transcode.ErrTruncated},
		{"half a literal and NUL", "nul\x00", transcode.ErrTruncated},
		{"minus alone", `-`, transcode.ErrTruncated},
		{"point at the end", `1.`, transcode.ErrTruncated},
		{"exponent at the end", `1e-`, transcode.ErrTruncated},

		{"garbage", `hello`, syntax(0)},
		{"wrong literal", ` nulL`, syntax(4)},
		{"NaN", `NaN`, syntax(0)},
		{"negative infinity", `-Infinity`, syntax(1)},
		{"plus sign", `+1`, syntax(0)},
		{"leading zero", `01`, syntax(1)},
		{"negative leading zero", `[-01]`, syntax(3)},
		{"leading zero of a float", `00.5`, syntax(1)},
		{"point first", `.5`, syntax(0)},
		{"point last", `[1.]`, syntax(3)},
		{"exponent without digits", `[1e]`, syntax(3)},
		{"hexadecimal", `[0x1]`, syntax(2)},
		{"single quotes", `'a'`, syntax(0)},
		{"key without quotes", `{a:1}`, syntax(1)},
		{"number as key", `{1:1}`, syntax(1)},
		{"no colon", `{"a" 1}`, syntax(5)},
		{"no comma in an object", `{"a":1 "b":2}`, syntax(7)},
		{"no comma in an array", `[1 2]`, syntax(3)},
		{"trailing comma in an object", `{"a":1,}`, syntax(7)},
		{"trailing comma in an array", `[1,]`, syntax(3)},
		{"leading comma", `[,1]`, syntax(1)},
		{"wrong bracket", `[1}`, syntax(2)},
		{"comment", `[/**/]`, syntax(1)},
		{"unknown escape", `"\x41"`, syntax(2)},
		{"raw control character as escape", "\"\\\n\"", syntax(2)},
		{"\\u cut by a quote", `"\u00"`, syntax(5)},
		{"\\u with a letter", `"\u00g0"`, syntax(5)},
		{"second \\u with a letter", `"\ud83d\u00g0"`, syntax(11)},
		{"byte order mark", "\ufeff{}", syntax(0)},
		{"other white space", "\v1", syntax(0)},

		{"overflow", `1e999`, transcode.ErrNumber},
		{"negative overflow", `-1e309`, transcode.ErrNumber},
		{"integer of 400 digits", strings.Repeat("9", 400), transcode.ErrNumber},
		{"exponent of 2 modulo 2⁶⁴", `1e18446744073709551618`, transcode.ErrNumber},
		{"overflow behind a fraction", `0.1e99999999999999999999`, transcode.ErrNumber},

		{"128 levels", nested(128), nil},
		{"129 levels", nested(129), transcode.ErrDepth},
		{"129 levels, innermost an object", strings.Repeat(`{"a":`, 128) + `{}`, transcode.ErrDepth},
		{"a million levels", strings.Repeat("[", 1e6), transcode.ErrDepth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, n, err := transcode.AppendMsgpack([]byte("prefix"), []byte(tt.in), 128)
			var got, want *transcode.SyntaxError
			if errors.As(tt.want, &want) {
				if !errors.As(err, &got) || got.Offset != want.Offset {
					t.Fatalf("error = %v, want one at byte %d", err, want.Offset)
				}
			} else if err != tt.want {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if err != nil && (string(out) != "prefix" || n != 0) {
				t.Errorf("after the error: %q, n = %d", out, n)
			}
		})
	}
}

func TestSyntaxErrorText(t *testing.T) {
	_, _, err := transcode.AppendMsgpack(nil, []byte(`{"a" 1}`), 1)
	if want := "invalid JSON at byte 5: expected ':' after a key"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

// TestTruncated cuts a value that has everything in it at each byte.
func TestTruncated(t *testing.T) {
	const value = `{"s":"a\"\u00e9\ud83d\ude00","n":[-1,2.5e-3,0],"l":[true,false,null],"e":{}}`
	if _, _, err := transcode.AppendMsgpack(nil, []byte(value), 2); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(value); n++ {
		for _, end := range []string{"", "\x00", "\x00}"} {
			if _, _, err := transcode.AppendMsgpack(nil, []byte(value[:n]+end), 2); err != transcode.ErrTruncated {
				t.Errorf("%s%q: %v", value[:n], end, err)
			}
		}
	}
}

// TestBufferIsKept checks that a buffer with room is not replaced.
func TestBufferIsKept(t *testing.T) {
	dst := make([]byte, 0, 1<<16)
	in := []byte(strings.Repeat("[", 128) + strings.Repeat("]", 128))
	out, _, err := transcode.AppendMsgpack(dst, in, 128)
	if err != nil {
		t.Fatal(err)
	}
	if &out[0] != &dst[:1][0] {
		t.Error("the buffer was replaced though it had room")
	}
	if want := bytes.Repeat([]byte{0x91}, 127); !cmp.Equal(out, append(want, 0x90)) {
		t.Errorf("got %x", out)
	}
}

func TestNoAllocations(t *testing.T) {
	doc := []byte(`{"s":"plain","esc":"a\n\u00e9\ud83d\ude00","i":[1,-200,18446744073709551615],` +
		`"f":[0.1842,418.0,1e300,12345678901234567890.5],"l":[true,false,null],"raw":"` + "\u00e9\xff" + `",` +
		`"wide":[` + strings.Repeat("1,", 40) + `1]}`)
	dst := make([]byte, 0, 4096)
	packed, _, err := transcode.AppendMsgpack(nil, doc, 8)
	if err != nil {
		t.Fatal(err)
	}
	packed = append([]byte{0x92}, packed...)
	packed = append(packed, "\x84\x01\xd4\x07a\xc0\xc4\x01b\x91\x01\x02\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x03"...)
	for _, tt := range []struct {
		name string
		f    func() error
	}{
		{"AppendMsgpack", func() error { _, _, err := transcode.AppendMsgpack(dst, doc, 8); return err }},
		{"AppendJSON", func() error { _, _, err := transcode.AppendJSON(dst, packed); return err }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			allocs := testing.AllocsPerRun(100, func() {
				if err := tt.f(); err != nil {
					t.Error(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations", allocs)
			}
		})
	}
}

func ExampleAppendMsgpack() {
	reply := []byte(`{"status":418}` + "\x00left over from an earlier reply")
	out, n, err := transcode.AppendMsgpack(nil, reply, transcode.MaxDepth)
	fmt.Printf("%q %d %v\n", out, n, err)
	// Output: "\x81\xa6status\xcd\x01\xa2" 14 <nil>
}
