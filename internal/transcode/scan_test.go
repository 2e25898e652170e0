package transcode

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func plainLenByByte(s []byte) int {
	for i, c := range s {
		if c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
			return i
		}
	}
	return len(s)
}

func stringEndByByte(s []byte, from int) int {
	if i := bytes.IndexAny(s[from:], "\"\\\x00"); i >= 0 {
		return from + i
	}
	return len(s)
}

func checkScans(t *testing.T, s []byte) {
	t.Helper()
	if got, want := plainLen(s), plainLenByByte(s); got != want {
		t.Fatalf("plainLen(%q) = %d, want %d", s, got, want)
	}
	for from := range len(s) + 1 {
		if got, want := stringEnd(s, from), stringEndByByte(s, from); got != want {
			t.Fatalf("stringEnd(%q, %d) = %d, want %d", s, from, got, want)
		}
	}
}

// TestScanEachByte puts each byte at each place of strings around the size of
// one and two words.
func TestScanEachByte(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				s := []byte(strings.Repeat("a", length))
				s[at] = byte(c)
				checkScans(t, s)
			}
		}
	}
}

// TestScanNeighbours mixes the bytes next to the limits, so that borrows run
// from one byte of a word into the next.
func TestScanNeighbours(t *testing.T) {
	const alphabet = "\x00\x01\x02\x1f\x20\x21\x22\x23\x5b\x5c\x5d\x7f\x80\x81\xa0\xa2\xdc\xfe\xff"
	rng := rand.New(rand.NewPCG(1, 2))
	s := make([]byte, 24)
	for range 50_000 {
		for i := range s {
			s[i] = alphabet[rng.IntN(len(alphabet))]
		}
		checkScans(t, s[:rng.IntN(len(s)+1)])
	}
}
