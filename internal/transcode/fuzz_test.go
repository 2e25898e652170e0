package transcode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// pairs is a map with its order and duplicates: keys and values in turn.
type pairs []any

func (pairs) MapBySlice() {}

// decodeMsgpack decodes b, which is one valid value, with ugorji/go/codec: into
// pairs, []any, string, []byte, codec.RawExt, int64, uint64, float64, bool and
// nil. The error is for what that library treats in its own way, extension type
// -1.
func decodeMsgpack(b []byte) (v any, err error) {
	elements, isMap, err := oracle.Elements(b)
	if err == nil {
		list := make([]any, len(elements))
		for i, element := range elements {
			if list[i], err = decodeMsgpack(element); err != nil {
				return nil, err
			}
		}
		if isMap {
			return pairs(list), nil
		}
		return list, nil
	}
	if err != oracle.ErrNotContainer {
		return nil, err
	}
	if err := oracle.Raw(b, &v); err != nil {
		return nil, err
	}
	if _, isTime := v.(time.Time); isTime {
		return nil, errors.New("extension type -1")
	}
	return v, nil
}

// skipTimeExt ends a test with the error err of decodeMsgpack, unless that may
// be for an extension of type -1 in the input.
func skipTimeExt(t *testing.T, in []byte, err error) {
	t.Helper()
	if bytes.IndexByte(in, 0xff) < 0 {
		t.Fatalf("codec: %x: %v", in, err)
	}
	t.SkipNow()
}

// jsonOf is what AppendJSON should make of v, as a tree of what encoding/json
// returns for it with UseNumber, except that objects are pairs.
func jsonOf(v any) any {
	switch v := v.(type) {
	case nil, bool:
		return v
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	case uint64:
		return json.Number(strconv.FormatUint(v, 10))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return v
	case string:
		return jsonText(v)
	case []byte:
		return jsonText(string(v))
	case codec.RawExt:
		s := ""
		for _, c := range v.Data {
			s += fmt.Sprintf(`\x%02x`, c)
		}
		return s
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, jsonOf(e))
		}
		return out
	case pairs:
		out := pairs{}
		for i := 0; i < len(v); i += 2 {
			out = append(out, jsonOf(v[i]), jsonOf(v[i+1]))
		}
		return out
	}
	panic(fmt.Sprintf("unexpected %T", v))
}

// parseJSON returns the tree of the JSON text b, in the form of jsonOf.
func parseJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return parseToken(d)
}

func parseToken(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		out := []any{}
		for d.More() {
			v, err := parseToken(d)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err := d.Token()
		return out, err
	case json.Delim('{'):
		out := pairs{}
		for d.More() {
			v, err := parseToken(d)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err := d.Token()
		return out, err
	}
	return token, nil
}

// checkJSON compares got, from JSON, with want, from jsonOf. Floats of want must
// have been written so that they can be told from integers, and as keys, values
// other than strings must have been written as the text of their JSON.
func checkJSON(t *testing.T, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case float64:
		text, ok := got.(json.Number)
		f, err := strconv.ParseFloat(string(text), 64)
		if !ok || err != nil || math.Float64bits(f) != math.Float64bits(want) {
			t.Errorf("float %v is %v", want, got)
		}
		if !strings.ContainsAny(string(text), ".eE") {
			t.Errorf("float %v is written as the integer %s", want, text)
		}
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			t.Errorf("array of %d is %v", len(want), got)
			return
		}
		for i := range want {
			checkJSON(t, got[i], want[i])
		}
	case pairs:
		got, ok := got.(pairs)
		if !ok || len(got) != len(want) {
			t.Errorf("map of %d is %v", len(want)/2, got)
			return
		}
		for i := 0; i < len(want); i += 2 {
			key := got[i]
			if _, isString := want[i].(string); !isString {
				text, ok := key.(string)
				if !ok {
					t.Errorf("key is the %T %v", key, key)
					return
				}
				var err error
				if key, err = parseJSON([]byte(text)); err != nil {
					t.Errorf("key %q: %v", text, err)
					return
				}
			}
			checkJSON(t, key, want[i])
			checkJSON(t, got[i+1], want[i+1])
		}
	default:
		if !cmp.Equal(got, want) {
			t.Errorf("%v is %v", want, got)
		}
	}
}

// FuzzAppendJSON decodes the msgpack with ugorji/go/codec and the JSON with
// encoding/json, and compares.
func FuzzAppendJSON(f *testing.F) {
	for _, tt := range jsonTests {
		f.Add([]byte(tt.in))
	}
	for _, tt := range msgpackTests {
		if len(tt.want) < 100 {
			f.Add([]byte(tt.want))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, rest, err := transcode.AppendJSON(nil, in)
		after, skipErr := mp.Skip(in, transcode.MaxDepth)
		if err == transcode.ErrDepth && skipErr == nil && hasContainerKey(in) {
			return // counts for more than one level
		}
		if err != skipErr && !(hasContainerKey(in) && err == transcode.ErrDepth) {
			t.Fatalf("AppendJSON: %v, Skip: %v", err, skipErr)
		}
		if err != nil {
			if len(out) != 0 || len(rest) != len(in) {
				t.Errorf("after the error: %q, %d of %d bytes left", out, len(rest), len(in))
			}
			return
		}
		if len(rest) != len(after) {
			t.Errorf("AppendJSON left %d bytes, Skip %d", len(rest), len(after))
		}
		if !json.Valid(out) || !utf8.Valid(out) {
			t.Fatalf("invalid JSON: %q", out)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, out); err != nil || compact.Len() != len(out) {
			t.Errorf("not compact: %s", out)
		}
		v, err := decodeMsgpack(in[:len(in)-len(rest)])
		if err != nil {
			skipTimeExt(t, in, err)
		}
		got, err := parseJSON(out)
		if err != nil {
			t.Fatal(err)
		}
		checkJSON(t, got, jsonOf(v))
	})
}

// hasContainerKey reports whether in may have a container as the key of a map.
// It looks at every place that could be the start of a map.
func hasContainerKey(in []byte) bool {
	for i := range in {
		_, rest, err := mp.ReadMapHeader(in[i:])
		if err != nil {
			continue
		}
		for len(rest) > 0 {
			if kind := mp.KindOf(rest[0]); kind == mp.Map || kind == mp.Array {
				return true
			}
			if rest, err = mp.Skip(rest, 0); err != nil {
				break
			}
		}
	}
	return false
}

// strictJSON cuts in at its first NUL and escapes the raw control characters in
// its strings, which is what AppendMsgpack takes beyond RFC 8259. offsets holds,
// for each byte of the result and for its end, the index in in.
func strictJSON(in []byte) (out []byte, offsets []int) {
	in, _, _ = bytes.Cut(in, []byte{0})
	return oracle.EscapeControls(in)
}

// FuzzAppendMsgpack decodes the JSON with encoding/json and the msgpack with
// ugorji/go/codec, and compares.
func FuzzAppendMsgpack(f *testing.F) {
	for _, tt := range msgpackTests {
		if len(tt.in) < 500 {
			f.Add([]byte(tt.in))
		}
	}
	for _, tt := range jsonTests {
		f.Add([]byte(tt.want))
	}
	f.Add([]byte("{\"a\":\"\x01\xff\"}\x00}"))
	f.Add([]byte(`[1,-0.0,1e999]`))
	f.Add([]byte(`{"a" 1}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		const maxDepth = 100
		out, n, err := transcode.AppendMsgpack(nil, in, maxDepth)
		strict, offsets := strictJSON(in)
		decoder := json.NewDecoder(bytes.NewReader(strict))
		var value json.RawMessage
		wantErr := decoder.Decode(&value)
		end := int(decoder.InputOffset())

		var syntax *transcode.SyntaxError
		var wantSyntax *json.SyntaxError
		switch {
		case err == transcode.ErrDepth:
			if depth := bracketDepth(strict); depth <= maxDepth {
				t.Errorf("ErrDepth at a depth of %d", depth)
			}
			return
		case err == transcode.ErrNumber:
			if wantErr == nil && json.Unmarshal(value, new(any)) == nil {
				t.Errorf("ErrNumber, but encoding/json can hold the numbers of %q", value)
			}
			return
		case err == nil && wantErr == nil:
		case err == transcode.ErrEmpty && wantErr == io.EOF:
			return
		case err == transcode.ErrTruncated && wantErr == io.ErrUnexpectedEOF:
			return
		case errors.As(err, &syntax) && errors.As(wantErr, &wantSyntax):
			return
		case errors.As(err, &syntax) && wantErr == nil && leadingZero(strict[:min(end+1, len(strict))]):
			return // encoding/json sees a 0, and something behind it
		default:
			t.Fatalf("AppendMsgpack: %v, encoding/json: %v", err, wantErr)
		}

		if n != offsets[end] {
			t.Errorf("n = %d, encoding/json took %d", n, offsets[end])
		}
		if rest, err := mp.Skip(out, maxDepth); err != nil || len(rest) != 0 {
			t.Fatalf("invalid msgpack: %x, %v", out, err)
		}
		got, err := decodeMsgpack(out)
		if err != nil {
			t.Fatalf("codec: %x: %v", out, err)
		}
		want, err := parseJSON(value)
		if err != nil {
			t.Fatal(err)
		}
		checkMsgpack(t, got, want)

		handle := &codec.MsgpackHandle{WriteExt: true, PositiveIntUnsigned: true}
		var narrow []byte
		if err := codec.NewEncoderBytes(&narrow, handle).Encode(got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out, narrow) {
			t.Errorf("got %x, codec encodes that as %x", out, narrow)
		}
	})
}

func leadingZero(s []byte) bool {
	return len(s) >= 2 && s[len(s)-2] == '0' && '0' <= s[len(s)-1] && s[len(s)-1] <= '9'
}

// bracketDepth is the depth of the JSON text s, as far as it is well-formed.
func bracketDepth(s []byte) (deepest int) {
	depth, inString, escaped := 0, false, false
	for _, c := range s {
		switch {
		case escaped:
			escaped = false
		case inString && c == '\\':
			escaped = true
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

// checkMsgpack compares got, from msgpack, with want, from JSON.
func checkMsgpack(t *testing.T, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case json.Number:
		text := string(want)
		integer, isInteger := new(big.Int).SetString(text, 10)
		switch {
		case isInteger && integer.IsUint64() || isInteger && integer.IsInt64():
			if fmt.Sprintf("%T %v", got, got) != "int64 "+integer.String() &&
				fmt.Sprintf("%T %v", got, got) != "uint64 "+integer.String() {
				t.Errorf("%s is the %T %v", want, got, got)
			}
		default:
			f, err := strconv.ParseFloat(text, 64)
			g, ok := got.(float64)
			if err != nil || !ok || math.Float64bits(f) != math.Float64bits(g) {
				t.Errorf("%s is the %T %v", want, got, got)
			}
		}
	case string:
		// encoding/json has replaced invalid UTF-8, AppendMsgpack has not.
		if s, ok := got.(string); !ok || string([]rune(s)) != want {
			t.Errorf("%q is the %T %q", want, got, got)
		}
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			t.Errorf("array of %d is %v", len(want), got)
			return
		}
		for i := range want {
			checkMsgpack(t, got[i], want[i])
		}
	case pairs:
		got, ok := got.(pairs)
		if !ok || len(got) != len(want) {
			t.Errorf("object of %d is %v", len(want)/2, got)
			return
		}
		for i := range want {
			checkMsgpack(t, got[i], want[i])
		}
	default:
		if !cmp.Equal(got, want) {
			t.Errorf("%v is %v", want, got)
		}
	}
}

// FuzzRoundTrip takes msgpack to JSON and back, as a guest does that returns
// what it was given. What JSON can carry must come back.
func FuzzRoundTrip(f *testing.F) {
	for _, tt := range jsonTests {
		f.Add([]byte(tt.in))
	}
	for _, tt := range msgpackTests {
		if len(tt.want) < 100 {
			f.Add([]byte(tt.want))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		text, rest, err := transcode.AppendJSON(nil, in)
		if err != nil {
			return
		}
		back, n, err := transcode.AppendMsgpack(nil, text, transcode.MaxDepth)
		if err != nil || n != len(text) {
			t.Fatalf("%s: n = %d of %d, %v", text, n, len(text), err)
		}
		again, _, err := transcode.AppendJSON(nil, back)
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("%s became %s, %v", text, again, err)
		}
		before, err := decodeMsgpack(in[:len(in)-len(rest)])
		if err != nil {
			skipTimeExt(t, in, err)
		}
		after, err := decodeMsgpack(back)
		if err != nil {
			t.Fatalf("codec: %x: %v", back, err)
		}
		checkRoundTrip(t, after, before)
	})
}

// checkRoundTrip compares the value after with the value before the round trip,
// leaving out what JSON can't carry.
func checkRoundTrip(t *testing.T, after, before any) {
	t.Helper()
	switch before := before.(type) {
	case []byte, codec.RawExt:
		if _, ok := after.(string); !ok {
			t.Errorf("the %T %v is the %T %v", before, before, after, after)
		}
	case string:
		if utf8.ValidString(before) && after != before {
			t.Errorf("%q is %q", before, after)
		}
	case int64, uint64:
		if fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%v is the %T %v", before, after, after)
		}
	case float64:
		if math.IsNaN(before) || math.IsInf(before, 0) {
			if after != nil {
				t.Errorf("%v is %v", before, after)
			}
			return
		}
		if f, ok := after.(float64); !ok || math.Float64bits(f) != math.Float64bits(before) {
			t.Errorf("%v is the %T %v", before, after, after)
		}
	case []any:
		after, ok := after.([]any)
		if !ok || len(after) != len(before) {
			t.Errorf("array of %d is %v", len(before), after)
			return
		}
		for i := range before {
			checkRoundTrip(t, after[i], before[i])
		}
	case pairs:
		after, ok := after.(pairs)
		if !ok || len(after) != len(before) {
			t.Errorf("map of %d is %v", len(before)/2, after)
			return
		}
		for i := 0; i < len(before); i += 2 {
			if key, ok := before[i].(string); ok {
				checkRoundTrip(t, after[i], key)
			}
			checkRoundTrip(t, after[i+1], before[i+1])
		}
	default:
		if !cmp.Equal(after, before) {
			t.Errorf("%v is %v", before, after)
		}
	}
}

// jsonText is what JSON can hold of a string: U+FFFD for each invalid byte, and
// the character for a pair of encoded surrogates.
func jsonText(s string) string {
	half := func(s string) rune { // of a surrogate encoded in three bytes, else 0
		if len(s) < 3 || s[0] != 0xed || s[1] < 0xa0 || s[1] > 0xbf || s[2] < 0x80 || s[2] > 0xbf {
			return 0
		}
		return 0xd000 + rune(s[1]-0x80)*64 + rune(s[2]-0x80)
	}
	var b strings.Builder
	for len(s) > 0 {
		if len(s) >= 6 {
			if r := utf16.DecodeRune(half(s), half(s[3:])); r != utf8.RuneError {
				b.WriteRune(r)
				s = s[6:]
				continue
			}
		}
		r, size := utf8.DecodeRuneInString(s)
		b.WriteRune(r)
		s = s[size:]
	}
	return b.String()
}
