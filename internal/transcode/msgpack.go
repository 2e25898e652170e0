package transcode

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

var (
	// ErrEmpty means that there is nothing but white space.
	ErrEmpty = errors.New("no JSON value")
	// ErrNumber means that a number is beyond what a float64 can hold.
	ErrNumber = errors.New("JSON number is out of range")
)

// SyntaxError tells where JSON is malformed.
type SyntaxError struct {
	Offset int    // of the byte at fault, from the start of the input
	Msg    string // what is wrong with it
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Msg)
}

// AppendMsgpack appends the first JSON value of json as msgpack, every part of
// it in the narrowest format. n is how many bytes it took of json, white space
// before the value included. What follows is ignored: guests in the wild return
// strings with garbage after the value. A NUL ends the input. dst and json must
// not overlap.
//
// The grammar is that of RFC 8259, except that strings may hold raw control
// characters other than NUL, as guests write them that put strings together
// naively and Fluent Bit's own parser (lib/jsmn, 5.1.1) takes them. Bytes from
// 0x80 up are copied as they are, valid UTF-8 or not. Half of a surrogate pair
// becomes U+FFFD.
//
// Numbers with a '.' or an exponent become a float64, correctly rounded, 418.0
// too. Others become integers, or a float64 if they are beyond 64 bits.
//
// Containers may be nested maxDepth deep. The error is ErrEmpty, ErrTruncated,
// ErrDepth, ErrNumber or a *SyntaxError; out is then dst and n is 0, but what is
// after len(dst) in the array of dst may have changed.
func AppendMsgpack(dst, json []byte, maxDepth int) (out []byte, n int, err error) {
	return AppendMsgpackOf(dst, json, maxDepth, nil)
}

// AppendMsgpackOf is AppendMsgpack for JSON that was made of a record's: what it holds of
// the record's originals is put in their place. originals may be nil.
func AppendMsgpackOf(dst, json []byte, maxDepth int, originals *Originals) (out []byte, n int, err error) {
	if c, _ := peek(json, 0); c == 0 {
		return dst, 0, ErrEmpty
	}
	p := parser{originals: originals, key: isKey}
	out, n, err = p.parseValue(dst, json, 0, maxDepth)
	if err != nil {
		return dst, 0, err
	}
	return out, n, nil
}

// parser holds what the parse functions look up.
type parser struct {
	originals *Originals // nil for none
	key       int32      // number of the key of the member that is being read
}

// The parse functions take the input s and the index i in it where to start,
// and return the index of what follows.

// peek returns the first byte of s from i on that is not white space, and its
// index. At the end of the input, which a NUL is, too, the byte is 0.
func peek(s []byte, i int) (byte, int) {
	for ; i < len(s); i++ {
		if c := s[i]; c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, i
		}
	}
	return 0, i
}

// unexpected is the error for the byte c, which peek returned, at i.
func unexpected(c byte, i int, msg string) error {
	if c == 0 {
		return ErrTruncated
	}
	return &SyntaxError{Offset: i, Msg: msg}
}

func (p *parser) parseValue(dst, s []byte, i, depth int) ([]byte, int, error) {
	c, i := peek(s, i)
	switch c {
	case '{':
		return p.parseObject(dst, s, i+1, depth)
	case '[':
		return p.parseArray(dst, s, i+1, depth)
	}
	start := len(dst)
	dst, i, err := parseScalar(dst, s, c, i)
	if err == nil && p.originals != nil {
		dst = p.originals.replace(dst, start, p.key)
	}
	return dst, i, err
}

// parseScalar parses what begins with c at i.
func parseScalar(dst, s []byte, c byte, i int) ([]byte, int, error) {
	switch c {
	case '"':
		return parseString(dst, s, i+1)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return parseNumber(dst, s, i)
	case 't':
		i, err := parseLiteral(s, i, "true")
		return mp.AppendBool(dst, true), i, err
	case 'f':
		i, err := parseLiteral(s, i, "false")
		return mp.AppendBool(dst, false), i, err
	case 'n':
		i, err := parseLiteral(s, i, "null")
		return mp.AppendNil(dst), i, err
	}
	return dst, i, unexpected(c, i, "expected a value")
}

func parseLiteral(s []byte, i int, literal string) (int, error) {
	for j := range len(literal) {
		if i+j >= len(s) || s[i+j] == 0 {
			return i, ErrTruncated
		}
		if s[i+j] != literal[j] {
			return i, &SyntaxError{Offset: i + j, Msg: "expected " + literal}
		}
	}
	return i + len(literal), nil
}

// parseObject and parseArray start after the bracket. They leave one byte for
// the header, which is enough for 15 elements, and make more room at the end
// where it is not.

func (p *parser) parseObject(dst, s []byte, i, depth int) (out []byte, next int, err error) {
	if depth <= 0 {
		return dst, i, ErrDepth
	}
	start, n := len(dst), 0
	dst = append(dst, 0)
	c, i := peek(s, i)
	if c == '}' {
		return putHeader(dst, start, mp.AppendMapHeader, 0), i + 1, nil
	}
	for {
		if c != '"' {
			return dst, i, unexpected(c, i, "expected a string as key")
		}
		key := len(dst)
		if dst, i, err = parseString(dst, s, i+1); err != nil {
			return dst, i, err
		}
		if c, i = peek(s, i); c != ':' {
			return dst, i, unexpected(c, i, "expected ':' after a key")
		}
		if p.originals == nil {
			dst, i, err = p.parseValue(dst, s, i+1, depth-1)
		} else {
			outer := p.key
			p.key = p.originals.numberOf(dst[key:])
			dst = p.originals.replace(dst, key, isKey)
			dst, i, err = p.parseValue(dst, s, i+1, depth-1)
			p.key = outer
		}
		if err != nil {
			return dst, i, err
		}
		n++
		if c, i = peek(s, i); c == '}' {
			return putHeader(dst, start, mp.AppendMapHeader, n), i + 1, nil
		}
		if c != ',' {
			return dst, i, unexpected(c, i, "expected ',' or '}' in an object")
		}
		c, i = peek(s, i+1)
	}
}

func (p *parser) parseArray(dst, s []byte, i, depth int) (out []byte, next int, err error) {
	if depth <= 0 {
		return dst, i, ErrDepth
	}
	start, n := len(dst), 0
	dst = append(dst, 0)
	c, i := peek(s, i)
	if c == ']' {
		return putHeader(dst, start, mp.AppendArrayHeader, 0), i + 1, nil
	}
	for {
		if dst, i, err = p.parseValue(dst, s, i, depth-1); err != nil {
			return dst, i, err
		}
		n++
		if c, i = peek(s, i); c == ']' {
			return putHeader(dst, start, mp.AppendArrayHeader, n), i + 1, nil
		}
		if c != ',' {
			return dst, i, unexpected(c, i, "expected ',' or ']' in an array")
		}
		i++
	}
}

// putHeader writes the header of n elements, or of a string of n bytes, over
// the byte at dst[at], and moves what follows if the header is wider.
func putHeader(dst []byte, at int, appendHeader func([]byte, int) []byte, n int) []byte {
	var buf [8]byte
	header := appendHeader(buf[:0], n)
	if wider := len(header) - 1; wider > 0 {
		end := len(dst)
		dst = append(dst, header[:wider]...)
		copy(dst[at+len(header):], dst[at+1:end])
	}
	copy(dst[at:], header)
	return dst
}

// parseString starts after the quote.
func parseString(dst, s []byte, i int) ([]byte, int, error) {
	end := stringEnd(s, i)
	if end < len(s) && s[end] == '"' {
		dst = mp.AppendStringHeader(dst, end-i)
		return append(dst, s[i:end]...), end + 1, nil
	}
	return parseEscapedString(dst, s, i)
}

func parseEscapedString(dst, s []byte, i int) (out []byte, next int, err error) {
	start := len(dst)
	dst = append(dst, 0) // of the header, as in parseObject
	for {
		end := stringEnd(s, i)
		dst = append(dst, s[i:end]...)
		i = end
		if i >= len(s) || s[i] == 0 {
			return dst, i, ErrTruncated
		}
		if s[i] == '"' {
			return putHeader(dst, start, mp.AppendStringHeader, len(dst)-start-1), i + 1, nil
		}
		if dst, i, err = parseEscape(dst, s, i+1); err != nil {
			return dst, i, err
		}
	}
}

// parseEscape starts after the backslash.
func parseEscape(dst, s []byte, i int) ([]byte, int, error) {
	if i >= len(s) || s[i] == 0 {
		return dst, i, ErrTruncated
	}
	switch c := s[i]; c {
	case '"', '\\', '/':
		dst = append(dst, c)
	case 'b':
		dst = append(dst, '\b')
	case 'f':
		dst = append(dst, '\f')
	case 'n':
		dst = append(dst, '\n')
	case 'r':
		dst = append(dst, '\r')
	case 't':
		dst = append(dst, '\t')
	case 'u':
		r, i, err := parseHex4(s, i+1)
		if err != nil {
			return dst, i, err
		}
		if utf16.IsSurrogate(r) && i+1 < len(s) && s[i] == '\\' && s[i+1] == 'u' {
			low, after, err := parseHex4(s, i+2)
			if err != nil {
				return dst, after, err
			}
			// If the two are not a pair, only the first has been dealt with.
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				r, i = pair, after
			}
		}
		return utf8.AppendRune(dst, r), i, nil // U+FFFD for half a pair
	default:
		return dst, i, &SyntaxError{Offset: i, Msg: "unknown escape"}
	}
	return dst, i + 1, nil
}

// parseHex4 reads the four digits of a \u escape.
func parseHex4(s []byte, i int) (r rune, next int, err error) {
	for range 4 {
		if i >= len(s) || s[i] == 0 {
			return 0, i, ErrTruncated
		}
		c := s[i]
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, i, &SyntaxError{Offset: i, Msg: "expected four hexadecimal digits"}
		}
		r = r<<4 | rune(c)
		i++
	}
	return r, i, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// pow10 holds the powers of ten that are exact in a float64.
var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

func parseNumber(dst, s []byte, i int) ([]byte, int, error) {
	start := i
	negative := s[i] == '-'
	if negative {
		i++
	}
	first := i
	mantissa, i := parseDigits(s, i, 0)
	digits := i - first
	switch {
	case digits == 0:
		return dst, i, missingDigit(s, i)
	case s[first] == '0' && digits > 1:
		return dst, i, &SyntaxError{Offset: first + 1, Msg: "number with a leading zero"}
	}
	if i >= len(s) || s[i] != '.' && s[i]|0x20 != 'e' {
		// 19 digits always fit into 64 bits. 20 digits are at least 10¹⁹; those
		// that fit start with 1, and those of them that don't have wrapped
		// around to below 10¹⁹.
		fits := digits <= 19 || digits == 20 && s[first] == '1' && mantissa >= 1e19
		switch {
		case fits && !negative:
			return mp.AppendUint(dst, mantissa), i, nil
		case fits && mantissa <= -math.MinInt64:
			return mp.AppendInt(dst, int64(-mantissa)), i, nil
		}
		return appendParsedFloat(dst, s, start, i)
	}

	exponent := 0
	if s[i] == '.' {
		point := i
		mantissa, i = parseDigits(s, i+1, mantissa)
		if i == point+1 {
			return dst, i, missingDigit(s, i)
		}
		exponent = point + 1 - i
		digits -= exponent
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		down := false
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			down = s[i] == '-'
			i++
		}
		digitsStart := i
		var e uint64
		e, i = parseDigits(s, i, 0)
		switch {
		case i == digitsStart:
			return dst, i, missingDigit(s, i)
		case i-digitsStart > 3: // more than the fast path takes; e may have wrapped
			e = 1000
		}
		if down {
			exponent -= int(e)
		} else {
			exponent += int(e)
		}
	}

	// A mantissa and a power of ten that are both exact make one correctly
	// rounded operation (Clinger, "How to read floating point numbers
	// accurately", 1990).
	if digits <= 19 && mantissa <= maxExactInt && -len(pow10) < exponent && exponent < len(pow10) {
		f := float64(mantissa)
		if exponent < 0 {
			f /= pow10[-exponent]
		} else {
			f *= pow10[exponent]
		}
		if negative {
			f = -f
		}
		return mp.AppendFloat64(dst, f), i, nil
	}
	return appendParsedFloat(dst, s, start, i)
}

// parseDigits reads digits, as if they followed those of value. The result
// wraps around.
func parseDigits(s []byte, i int, value uint64) (uint64, int) {
	for i < len(s) && isDigit(s[i]) {
		value = value*10 + uint64(s[i]-'0')
		i++
	}
	return value, i
}

func missingDigit(s []byte, i int) error {
	if i >= len(s) || s[i] == 0 {
		return ErrTruncated
	}
	return &SyntaxError{Offset: i, Msg: "expected a digit"}
}

// appendParsedFloat appends the number s[start:end], which is well-formed.
func appendParsedFloat(dst, s []byte, start, end int) ([]byte, int, error) {
	// ParseFloat keeps nothing of the string but in its error, where it clones
	// it, so the string may alias s.
	f, err := strconv.ParseFloat(unsafe.String(&s[start], end-start), 64)
	if err != nil {
		return dst, end, ErrNumber
	}
	return mp.AppendFloat64(dst, f), end, nil
}
