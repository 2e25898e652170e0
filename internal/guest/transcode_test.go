package guest

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

// FuzzLaneEncode holds what lanes write to what package transcode writes.
func FuzzLaneEncode(f *testing.F) {
	addCorpus(f, "FuzzAppendJSON")
	f.Fuzz(func(t *testing.T, in []byte) {
		got, n, ok := Encode(nil, in)
		if !ok {
			return
		}
		want, rest, err := transcode.AppendJSON(nil, in)
		if err != nil || !bytes.Equal(got, want) || n != len(in)-len(rest) {
			t.Fatalf("Encode(%x) = %q, %d bytes read; AppendJSON: %q, %d, %v", in, got, n, want, len(in)-len(rest), err)
		}
	})
}

// FuzzLaneDecode is FuzzLaneEncode for the way back.
func FuzzLaneDecode(f *testing.F) {
	addCorpus(f, "FuzzAppendMsgpack")
	f.Fuzz(func(t *testing.T, in []byte) {
		const depth = 31
		got, ok := Decode(nil, in, depth)
		if !ok {
			return
		}
		want, _, err := transcode.AppendMsgpack(nil, in, depth)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("Decode(%q) = %x; AppendMsgpack: %x, %v", in, got, want, err)
		}
	})
}

// Ordinary records don't stop lanes.
func TestLanesTakeOrdinaryRecords(t *testing.T) {
	for text := range records.Generate(2000, 3) {
		packed, _, err := transcode.AppendMsgpack(nil, text, 31)
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := transcode.AppendJSON(nil, packed)
		if err != nil {
			t.Fatal(err)
		}
		if got, n, ok := Encode(nil, packed); !ok || n != len(packed) || !bytes.Equal(got, want) {
			t.Fatalf("Encode of %s: %s, %d of %d bytes, %v", text, got, n, len(packed), ok)
		}
		if got, ok := Decode(nil, want, 31); !ok || !bytes.Equal(got, packed) {
			t.Fatalf("Decode of %s: %x, %v", want, got, ok)
		}
	}
}

// Floats of all sizes are written as strconv has them.
func TestEncodeFloats(t *testing.T) {
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
		got, _, ok := Encode(nil, mp.AppendFloat64(nil, f))
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
			t.Fatalf("Encode(%v) = %s, want %s, %v", f, got, want, err)
		}
		back, ok := Decode(nil, append(append([]byte(`{"f":`), got...), '}'), 1)
		if !ok || !bytes.Equal(back[3:], mp.AppendFloat64(nil, f)) {
			t.Fatalf("Decode(%s) = %x, %v", got, back, ok)
		}
	}
}
