package transcode

import (
	"encoding/binary"
	"math/bits"
)

// Eight bytes at a time: each constant repeats a byte, and the tests below set
// the high bit of the bytes of a word that they are for. A borrow may also set
// that of a byte above one found, so only the lowest is exact.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// special marks the bytes of a word that can't stand as they are in a JSON
// string, or are not ASCII: below 0x20, '"', '\\', and from 0x80 up.
func special(w uint64) uint64 {
	// With 0x02 flipped, the control characters and '"' (0x22) are exactly the
	// bytes below 0x21. Bytes from 0x80 up are marked in any case, so the
	// subtractions need no masking.
	ctlOrQuote := (w ^ 0x02*ones) - 0x21*ones
	backslash := (w ^ '\\'*ones) - ones
	return (ctlOrQuote | backslash | w) & highs
}

// isSpecial is special for one byte.
func isSpecial(c byte) bool {
	return c < 0x20 || c == '"' || c == '\\' || c >= 0x80
}

// plainLen returns how many bytes s starts with that are not special.
func plainLen(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if special(binary.LittleEndian.Uint64(s[i:])) != 0 {
			break
		}
	}
	if i+8 > len(s) {
		// The last, partial word: read it together with bytes already seen, or
		// its two halves one over the other.
		switch {
		case i == len(s):
			return i
		case i > 0:
			if special(binary.LittleEndian.Uint64(s[len(s)-8:])) == 0 {
				return len(s)
			}
		case len(s) >= 4:
			low, high := binary.LittleEndian.Uint32(s), binary.LittleEndian.Uint32(s[len(s)-4:])
			if special(uint64(high)<<32|uint64(low)) == 0 {
				return len(s)
			}
		}
	}
	for i < len(s) && !isSpecial(s[i]) {
		i++
	}
	return i
}

// stringEnd returns the index, from i on, of the first '"', '\\' or NUL of s,
// or len(s).
func stringEnd(s []byte, i int) int {
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		quote, backslash := w^'"'*ones, w^'\\'*ones
		found := ((w-ones)&^w | (quote-ones)&^quote | (backslash-ones)&^backslash) & highs
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(s) && s[i] != '"' && s[i] != '\\' && s[i] != 0 {
		i++
	}
	return i
}
