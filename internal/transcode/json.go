// Package transcode turns msgpack into JSON, for guests that read JSON, and
// the JSON that they return into msgpack.
//
// Both directions append to a buffer of the caller's, allocate nothing but its
// growth, and keep the order of keys, and duplicate ones. Numbers keep their
// value and their kind: an integer stays an integer, a float a float. All
// functions are safe for concurrent use on separate buffers.
package transcode

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// MaxDepth is how many containers may be nested in a value that AppendJSON
// takes, the same as in an event that package chunk takes.
const MaxDepth = 128

// keyDepth is what a map or array counts when it is the key of a map. The
// quotes and backslashes in it are escaped once more for each such key around
// them, and double each time: this leaves room for three of them at most.
const keyDepth = 32

// Errors of both directions. They are those of package mp.
var (
	// ErrTruncated means that the input ends inside a value.
	ErrTruncated = mp.ErrTruncated
	// ErrDepth means that containers are nested too deeply.
	ErrDepth = mp.ErrDepth
)

// AppendJSON appends the first msgpack value of v as compact JSON (RFC 8259).
// rest is what follows the value. dst and v must not overlap. What JSON lacks is
// written as follows, near what the built-in wasm filter means to do
// (src/flb_pack.c, msgpack2json, 5.1.1):
//
//   - A float always has a '.' or an exponent, and as few digits as give its
//     exact value back. NaN and the infinities are null.
//   - Bytes of a string that are not UTF-8 become U+FFFD, one for each byte; but
//     a surrogate pair that was encoded half by half becomes its character.
//   - A bin is written as a string.
//   - An ext, timestamps included, is a string of \xNN, one for each byte of
//     its payload.
//   - A key that is not a string, bin or ext is a string that holds its JSON.
//
// Containers may be nested MaxDepth deep, of which one used as a key takes 32.
// The error is ErrTruncated, ErrDepth or mp.ErrInvalid; out is then dst and rest
// is v, but what is after len(dst) in the array of dst may have changed.
func AppendJSON(dst, v []byte) (out, rest []byte, err error) {
	out, rest, err = appendValue(dst, v, MaxDepth)
	if err != nil {
		return dst, v, err
	}
	return out, rest, nil
}

func appendValue(dst, b []byte, depth int) (out, rest []byte, err error) {
	if s, rest, ok := shortString(b); ok {
		return appendQuoted(dst, s), rest, nil
	}
	h, rest, err := mp.ReadHead(b)
	if err != nil {
		return dst, b, err
	}
	switch h.Kind {
	case mp.Str, mp.Bin:
		return appendQuoted(dst, rest[:h.Arg]), rest[h.Arg:], nil
	case mp.Uint:
		return strconv.AppendUint(dst, h.Arg, 10), rest, nil
	case mp.Int:
		return strconv.AppendInt(dst, int64(h.Arg), 10), rest, nil
	case mp.Float32:
		return appendFloat(dst, float64(math.Float32frombits(uint32(h.Arg)))), rest, nil
	case mp.Float64:
		return appendFloat(dst, math.Float64frombits(h.Arg)), rest, nil
	case mp.Map:
		return appendMap(dst, rest, h.Arg, depth)
	case mp.Array:
		return appendArray(dst, rest, h.Arg, depth)
	case mp.Ext:
		return appendExt(dst, rest[:h.Arg]), rest[h.Arg:], nil
	case mp.Bool:
		if h.Arg != 0 {
			return append(dst, "true"...), rest, nil
		}
		return append(dst, "false"...), rest, nil
	default: // mp.Nil
		return append(dst, "null"...), rest, nil
	}
}

// shortString reads a string of less than 32 bytes, as most keys and many values
// are, faster than mp.ReadHead does.
func shortString(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 || b[0]&^0x1f != 0xa0 {
		return nil, b, false
	}
	end := 1 + int(b[0]&0x1f)
	if end > len(b) {
		return nil, b, false
	}
	return b[1:end], b[end:], true
}

func appendMap(dst, b []byte, n uint64, depth int) (out, rest []byte, err error) {
	if depth <= 0 {
		return dst, b, ErrDepth
	}
	if n == 0 {
		return append(dst, "{}"...), b, nil
	}
	separator := byte('{')
	for ; n > 0; n-- {
		dst = append(dst, separator)
		if key, after, ok := shortString(b); ok {
			dst, b = appendQuoted(dst, key), after
		} else if dst, b, err = appendKey(dst, b, depth-1); err != nil {
			return dst, b, err
		}
		dst = append(dst, ':')
		if dst, b, err = appendValue(dst, b, depth-1); err != nil {
			return dst, b, err
		}
		separator = ','
	}
	return append(dst, '}'), b, nil
}

func appendArray(dst, b []byte, n uint64, depth int) (out, rest []byte, err error) {
	if depth <= 0 {
		return dst, b, ErrDepth
	}
	if n == 0 {
		return append(dst, "[]"...), b, nil
	}
	separator := byte('[')
	for ; n > 0; n-- {
		dst = append(dst, separator)
		if dst, b, err = appendValue(dst, b, depth-1); err != nil {
			return dst, b, err
		}
		separator = ','
	}
	return append(dst, ']'), b, nil
}

// appendKey appends the first value of b as a JSON string.
func appendKey(dst, b []byte, depth int) (out, rest []byte, err error) {
	if len(b) == 0 {
		return dst, b, ErrTruncated
	}
	switch mp.KindOf(b[0]) {
	case mp.Str, mp.Bin, mp.Ext:
		return appendValue(dst, b, depth)
	case mp.Map, mp.Array:
		start := len(dst)
		if dst, rest, err = appendValue(dst, b, depth+1-keyDepth); err != nil {
			return dst, b, err
		}
		// Quote the text after itself, then move it to its place.
		end := len(dst)
		dst = appendQuoted(dst, dst[start:])
		return dst[:start+copy(dst[start:], dst[end:])], rest, nil
	default:
		dst = append(dst, '"')
		if dst, rest, err = appendValue(dst, b, depth); err != nil {
			return dst, b, err
		}
		return append(dst, '"'), rest, nil
	}
}

// maxExactInt is 2⁵³, up to which every integer is a float64.
const maxExactInt = 1 << 53

// appendFloat appends f with a '.' or an exponent. Integers below 2⁵³ are most
// floats of real records and need no search for the shortest digits.
func appendFloat(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	switch {
	case abs < maxExactInt && abs == math.Trunc(abs):
		if math.Signbit(f) { // of -0, too
			dst = append(dst, '-')
		}
		return append(strconv.AppendUint(dst, uint64(abs), 10), ".0"...)
	case !(abs <= math.MaxFloat64):
		return append(dst, "null"...)
	case abs < 1e-6 || abs >= 1e21: // where ECMAScript and encoding/json change over
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	case abs >= maxExactInt:
		return append(strconv.AppendFloat(dst, f, 'f', -1, 64), ".0"...)
	default:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
}

const hexDigits = "0123456789abcdef"

// appendExt appends the payload of an extension: \xNN for each byte, the
// backslash escaped.
func appendExt(dst, payload []byte) []byte {
	dst = append(dst, '"')
	for _, c := range payload {
		dst = append(dst, '\\', '\\', 'x', hexDigits[c>>4], hexDigits[c&0xf])
	}
	return append(dst, '"')
}

// appendQuoted appends s as a JSON string. s may be a part of dst.
func appendQuoted(dst, s []byte) []byte {
	n := plainLen(s)
	start := len(dst)
	dst = slices.Grow(dst, n+2)[:start+1+n]
	dst[start] = '"'
	copy(dst[start+1:], s[:n])
	if n < len(s) {
		dst = appendEscaped(dst, s[n:])
	}
	return append(dst, '"')
}

// appendEscaped appends s with everything replaced that can't stand in a JSON
// string.
func appendEscaped(dst, s []byte) []byte {
	start := 0 // of what has not been appended yet
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			if r, size := utf8.DecodeRune(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		} else if !isSpecial(c) {
			i += plainLen(s[i:])
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			if c < 0x20 {
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
				break
			}
			r, size := surrogates(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size - 1
		}
		i++
		start = i
	}
	return append(dst, s[start:]...)
}

// surrogates decodes a surrogate pair whose halves are each encoded as if they
// were characters (CESU-8). That is how the JSON parser of Fluent Bit up to 3.2
// stores "\ud83d\ude00" (src/flb_unescape.c, 3.2.10). Everything else is one byte that
// stands for nothing.
func surrogates(s []byte) (r rune, size int) {
	if len(s) >= 6 && s[0] == 0xed && s[3] == 0xed &&
		s[1]&0xf0 == 0xa0 && s[4]&0xf0 == 0xb0 && s[2]&0xc0 == 0x80 && s[5]&0xc0 == 0x80 {
		high := rune(s[1]&0x0f)<<6 | rune(s[2]&0x3f)
		low := rune(s[4]&0x0f)<<6 | rune(s[5]&0x3f)
		return 0x10000 + high<<10 | low, 6
	}
	return utf8.RuneError, 1
}
