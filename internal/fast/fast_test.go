package fast

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

// addCorpus adds the inputs that package transcode keeps for a fuzz target.
func addCorpus(f *testing.F, target string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("../transcode/testdata/fuzz", target, "*"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no corpus of %s: %v", target, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			quoted, ok := strings.CutPrefix(strings.TrimSpace(line), "[]byte(")
			if !ok {
				continue
			}
			value, err := strconv.Unquote(strings.TrimSuffix(quoted, ")"))
			if err != nil {
				f.Fatalf("%s: %v", name, err)
			}
			f.Add([]byte(value))
		}
	}
}

// FuzzWriteJSON holds what C writes to what package transcode writes.
func FuzzWriteJSON(f *testing.F) {
	addCorpus(f, "FuzzAppendJSON")
	f.Fuzz(func(t *testing.T, in []byte) {
		got, n, ok := WriteJSON(nil, in)
		if !ok {
			return
		}
		want, rest, err := transcode.AppendJSON(nil, in)
		if err != nil || !bytes.Equal(got, want) || n != len(in)-len(rest) {
			t.Fatalf("WriteJSON(%x) = %q, %d bytes read; AppendJSON: %q, %d, %v", in, got, n, want, len(in)-len(rest), err)
		}
	})
}

// FuzzReadJSON is FuzzWriteJSON for the way back.
func FuzzReadJSON(f *testing.F) {
	addCorpus(f, "FuzzAppendMsgpack")
	f.Fuzz(func(t *testing.T, in []byte) {
		const depth = 31
		got, ok := ReadJSON(nil, in, depth, nil)
		if !ok {
			return
		}
		want, _, err := transcode.AppendMsgpack(nil, in, depth)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("ReadJSON(%q) = %x; AppendMsgpack: %x, %v", in, got, want, err)
		}
	})
}

// FuzzReadReply is FuzzReadJSON for a reply to a record that it may repeat, or
// parts of it: whether it does makes no difference. The reply is json with the parts of
// the record's JSON in it that edits say, three bytes each: a place in json, and where
// the part begins and ends.
func FuzzReadReply(f *testing.F) {
	for text := range records.Generate(20, 4) {
		body, _, err := transcode.AppendMsgpack(nil, text, 31)
		if err != nil {
			f.Fatal(err)
		}
		// Fluent Bit's inputs write the header of a record's map so.
		body = append([]byte{0xdf, 0, 0, 0, body[0] & 0x0f}, body[1:]...)
		f.Add(body, []byte(`{"tag":"app","record":}`), []byte{22, 0, 255})     // wrapped
		f.Add(body, []byte(`,"k":"v"}`), []byte{0, 0, 254})                    // a key at the end
		f.Add(body, []byte(`{"k":[1,2],}`), []byte{11, 1, 254})                // a key in front
		f.Add(body, []byte(`{"seq":7,"gone":null,}`), []byte{21, 9, 254})      // others in front
		f.Add(body, []byte(`{,}`), []byte{1, 80, 254, 2, 1, 80})               // the order changed
		f.Add(body, []byte(`5 ,"a":{"b":{}}}`), []byte{0, 0, 254, 14, 1, 254}) // a number goes on
	}
	f.Fuzz(func(t *testing.T, body, json, edits []byte) {
		const depth = 31
		text, n, ok := WriteJSON(nil, body)
		if !ok {
			return
		}
		body = body[:n]
		// 255 is the end, whatever the length: places are in 254ths of it.
		place := func(in []byte, at byte) int {
			if at >= 254 {
				return len(in) - (255 - int(at))
			}
			return len(in) * int(at) / 254
		}
		var reply []byte
		from := 0
		for ; len(edits) >= 3 && len(text) > 1; edits = edits[3:] {
			at := max(min(int(edits[0]), len(json)), from)
			reply = append(reply, json[from:at]...)
			from = at
			first, last := place(text, edits[1]), place(text, edits[2])
			if edits[1] < 16 { // the beginning letter by letter
				first = min(int(edits[1]), len(text))
			}
			if first < last {
				reply = append(reply, text[first:last]...)
			}
		}
		reply = append(reply, json[from:]...)

		got, ok := ReadJSON(nil, reply, depth, body)
		alone, okAlone := ReadJSON(nil, reply, depth, nil)
		if ok != okAlone || !bytes.Equal(got, alone) {
			t.Fatalf("ReadJSON(%q) = %x, %v; knowing of %x: %x, %v", reply, alone, okAlone, body, got, ok)
		}
		if !ok {
			return
		}
		want, _, err := transcode.AppendMsgpack(nil, reply, depth)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("ReadJSON(%q) = %x; AppendMsgpack: %x, %v", reply, got, want, err)
		}
	})
}

// What decodes to other bytes than the record has is decoded, and a number that goes on
// is another number.
func TestRepliesThatOnlySeemToRepeat(t *testing.T) {
	const key = "\xa8abcdefgh" // long enough to be looked for
	for name, c := range map[string]struct{ value, before, after string }{
		"float 32":         {"\xca\x3f\xc0\x00\x00", "1.5", "1.5"},
		"NaN":              {"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "null", "null"},
		"bin 8":            {"\xc4\x01x", `"x"`, `"x"`},
		"bin 16":           {"\xc5\x00\x01x", `"x"`, `"x"`},
		"bin 32":           {"\xc6\x00\x00\x00\x01x", `"x"`, `"x"`},
		"wide str 8":       {"\xd9\x01x", `"x"`, `"x"`},
		"wide str 16":      {"\xda\x00\x01x", `"x"`, `"x"`},
		"wide str 32":      {"\xdb\x00\x00\x00\x01x", `"x"`, `"x"`},
		"wide uint 8":      {"\xcc\x05", "5", "5"},
		"wide uint 16":     {"\xcd\x00\x80", "128", "128"},
		"wide uint 32":     {"\xce\x00\x00\x01\x00", "256", "256"},
		"wide uint 64":     {"\xcf\x00\x00\x00\x00\x00\x01\x00\x00", "65536", "65536"},
		"wide int 8":       {"\xd0\x05", "5", "5"},
		"wide int 16":      {"\xd1\xff\xf0", "-16", "-16"},
		"wide int 32":      {"\xd2\x00\x00\x01\x00", "256", "256"},
		"wide int 64":      {"\xd3\xff\xff\xff\xff\xff\xff\xff\x00", "-256", "-256"},
		"wide array 16":    {"\xdc\x00\x01\x05", "[5]", "[5]"},
		"wide array 32":    {"\xdd\x00\x00\x00\x01\x05", "[5]", "[5]"},
		"wide map 16":      {"\xde\x00\x01\xa1a\x05", `{"a":5}`, `{"a":5}`},
		"wide map 32":      {"\xdf\x00\x00\x00\x01\xa1a\x05", `{"a":5}`, `{"a":5}`},
		"a number goes on": {"\x05", "5", "55"},
		"a blank follows":  {"\x05", "5", "5 "},
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte("\x82" + key + c.value + "\xa1z\x01")
			if text, _, ok := WriteJSON(nil, body); !ok || string(text) != `{"abcdefgh":`+c.before+`,"z":1}` {
				t.Fatalf("WriteJSON(%x) = %s, %v", body, text, ok)
			}
			reply := []byte(`{"abcdefgh":` + c.after + `,"k":2}`)
			got, ok := ReadJSON(nil, reply, 31, body)
			want, _, err := transcode.AppendMsgpack(nil, reply, 31)
			if !ok || err != nil || !bytes.Equal(got, want) {
				t.Errorf("ReadJSON(%s) = %x, %v; want %x, %v", reply, got, ok, want, err)
			}
		})
	}
}

// A record that nests deeper than a reply may is not repeated inside of another.
func TestRepeatedDepth(t *testing.T) {
	body := []byte("\x81\xa8abcdefgh" + strings.Repeat("\x91", 29) + "\x05")
	text, _, ok := WriteJSON(nil, body)
	if !ok {
		t.Fatal("not encoded")
	}
	for wraps := range 4 {
		reply := []byte(strings.Repeat(`{"r":`, wraps) + string(text) + strings.Repeat("}", wraps))
		_, _, err := transcode.AppendMsgpack(nil, reply, 31)
		if _, ok := ReadJSON(nil, reply, 31, body); ok != (err == nil) {
			t.Errorf("%d times: %v, %v", wraps, ok, err)
		}
	}
}

// Ordinary records are not declined.
func TestOrdinaryRecords(t *testing.T) {
	for text := range records.Generate(2000, 3) {
		packed, _, err := transcode.AppendMsgpack(nil, text, 31)
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := transcode.AppendJSON(nil, packed)
		if err != nil {
			t.Fatal(err)
		}
		if got, n, ok := WriteJSON(nil, packed); !ok || n != len(packed) || !bytes.Equal(got, want) {
			t.Fatalf("WriteJSON of %s: %s, %d of %d bytes, %v", text, got, n, len(packed), ok)
		}
		if got, ok := ReadJSON(nil, want, 31, nil); !ok || !bytes.Equal(got, packed) {
			t.Fatalf("ReadJSON of %s: %x, %v", want, got, ok)
		}
	}
}

// Floats of all sizes are written as strconv has them.
func TestWriteFloats(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		f := math.Float64frombits(random.Uint64())
		switch i % 4 {
		case 1:
			f = random.Float64() * math.Pow(10, float64(random.IntN(16)-6))
		case 2:
			f = math.Round(f*1e3) / 1e3
		case 3:
			f = float64(random.IntN(1_000_000)) / math.Pow(10, float64(random.IntN(12)))
		}
		got, _, ok := WriteJSON(nil, mp.AppendFloat64(nil, f))
		if !ok {
			if math.Float64bits(f)<<12 != 0 {
				t.Fatalf("%v was not written", f)
			}
			continue
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		want, _, err := transcode.AppendJSON(nil, mp.AppendFloat64(nil, f))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("WriteJSON(%v) = %s, want %s, %v", f, got, want, err)
		}
		back, ok := ReadJSON(nil, append(append([]byte(`{"f":`), got...), '}'), 1, nil)
		if !ok || !bytes.Equal(back[3:], mp.AppendFloat64(nil, f)) {
			t.Fatalf("ReadJSON(%s) = %x, %v", got, back, ok)
		}
	}
}

// Decimals of up to 19 digits are read as strconv reads them.
func TestReadFloats(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		digits := strconv.FormatUint(random.Uint64()>>random.IntN(64), 10)
		digits = digits[:min(len(digits), 19)]
		point := random.IntN(len(digits) + 1)
		text := digits[:point] + "." + digits[point:]
		if point == 0 {
			text = "0." + strings.Repeat("0", random.IntN(12)) + digits
		}
		if point == len(digits) || (text[0] == '0' && point > 1) {
			continue
		}
		if random.IntN(4) == 0 {
			text += "e" + strconv.Itoa(random.IntN(60)-30)
		}
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := ReadJSON(nil, []byte(`{"f":`+text+`}`), 1, nil)
		if !ok || !bytes.Equal(got[3:], mp.AppendFloat64(nil, want)) {
			t.Fatalf("ReadJSON(%s) = %x, %v; want %x", text, got, ok, mp.AppendFloat64(nil, want))
		}
	}
}

// Bytes that are no text, such as the number of a trace, are not left to Go, wherever they stand.
func TestWriteJSONOfBytes(t *testing.T) {
	for _, in := range []string{
		"\xc4\x02\x80\xff",                         // at the very end
		"\x81\xa1k\xc4\x00",                        //
		"\x81\xa1k\xc5\x00\x01\x80",                //
		"\xc4\x08\x5b\x8e\xff\xf7\x98\x03\x81\xd2", //
		"\xa6\xed\xa0\xbd\xed\xb8\x80",             // a surrogate pair
		"\xa8\xed\xa0\xbd\xed\xb8x\xc3(",           // halves of one
		"\xd9\x01\xe2",                             // cut
		"\xbf" + strings.Repeat("\xfe", 31),
	} {
		got, n, ok := WriteJSON(nil, []byte(in))
		want, _, err := transcode.AppendJSON(nil, []byte(in))
		if !ok || err != nil || n != len(in) || !bytes.Equal(got, want) {
			t.Errorf("%x: %q, %d bytes, %v; want %q, %v", in, got, n, ok, want, err)
		}
	}
}
