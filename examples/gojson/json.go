// Package gojson reads JSON for the guests in Go and TinyGo without making anything
// of it: keys and values stay the text that they are in the record, so what a guest
// does not touch keeps its bytes.
package gojson

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is what Fluent Bit can read.
const MaxDepth = 31

// Members calls each for every key of the JSON object at s[i:] with its value,
// both as they are written, and answers where the object ends; -1 if there is
// none that is valid.
func Members(s string, i, depth int, each func(key, value string)) int {
	if i >= len(s) || s[i] != '{' || depth == 0 {
		return -1
	}
	i = skipSpace(s, i+1)
	if i < len(s) && s[i] == '}' {
		return i + 1
	}
	for {
		end := skipString(s, i)
		colon := skipSpace(s, end)
		if end < 0 || colon >= len(s) || s[colon] != ':' {
			return -1
		}
		start := skipSpace(s, colon+1)
		stop := skipValue(s, start, depth-1)
		if stop < 0 {
			return -1
		}
		if each != nil {
			each(s[i:end], s[start:stop])
		}
		i = skipSpace(s, stop)
		if i >= len(s) || s[i] != ',' {
			break
		}
		i = skipSpace(s, i+1)
	}
	if i >= len(s) || s[i] != '}' {
		return -1
	}
	return i + 1
}

// skipValue answers where the JSON value at s[i:] ends, -1 if there is none.
func skipValue(s string, i, depth int) int {
	if i >= len(s) {
		return -1
	}
	switch s[i] {
	case '{':
		return Members(s, i, depth, nil)
	case '[':
		return Elements(s, i, depth, nil)
	case '"':
		return skipString(s, i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s[i:], word) {
			return i + len(word)
		}
	}
	return skipNumber(s, i)
}

// Elements calls each for every element of the JSON array at s[i:], as it is written, and answers where the array
// ends; -1 if there is none that is valid.
func Elements(s string, i, depth int, each func(value string)) int {
	if i >= len(s) || s[i] != '[' || depth == 0 {
		return -1
	}
	i = skipSpace(s, i+1)
	if i < len(s) && s[i] == ']' {
		return i + 1
	}
	for {
		start := i
		if i = skipValue(s, i, depth-1); i < 0 {
			return -1
		}
		if each != nil {
			each(s[start:i])
		}
		i = skipSpace(s, i)
		if i >= len(s) || s[i] != ',' {
			break
		}
		i = skipSpace(s, i+1)
	}
	if i >= len(s) || s[i] != ']' {
		return -1
	}
	return i + 1
}

func skipSpace(s string, i int) int {
	for i >= 0 && i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

func skipString(s string, i int) int {
	if i >= len(s) || s[i] != '"' {
		return -1
	}
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i++; i >= len(s) {
				return -1
			}
			if s[i] == 'u' {
				if _, ok := hex4(s, i+1); !ok {
					return -1
				}
			} else if strings.IndexByte(`"\/bfnrt`, s[i]) < 0 {
				return -1
			}
		}
	}
	return -1
}

func skipNumber(s string, i int) int {
	first, exponent := i, false
	digits := func() bool {
		start := i
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i > start
	}
	if s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return -1
	}
	if i < len(s) && s[i] == '.' {
		if i++; !digits() {
			return -1
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		exponent = true
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return -1
		}
	}
	if exponent || i-first > 300 { // Fluent Bit takes no number that is beyond a float
		if _, err := strconv.ParseFloat(s[first:i], 64); err != nil {
			return -1
		}
	}
	return i
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	v := rune(0)
	for _, c := range []byte(s[i : i+4]) {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | rune(c-'0')
		case 'a' <= c|' ' && c|' ' <= 'f':
			v = v<<4 | rune(c|' '-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// Text is what a valid JSON string, in its quotes, says.
func Text(quoted string) string {
	s := quoted[1 : len(quoted)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		if s[i] != 'u' {
			if at := strings.IndexByte("bfnrt", s[i]); at >= 0 {
				b = append(b, "\b\f\n\r\t"[at])
			} else {
				b = append(b, s[i])
			}
			continue
		}
		r, _ := hex4(s, i+1)
		i += 4
		if utf16.IsSurrogate(r) { // the second half, if there is one
			low, ok := rune(0), false
			if strings.HasPrefix(s[i+1:], `\u`) {
				low, ok = hex4(s, i+3)
			}
			if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
				i += 6
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}

// AppendQuoted appends text as a JSON string.
func AppendQuoted(b []byte, text string) []byte {
	b = append(b, '"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, `\u00`...)
			if c < 16 {
				b = append(b, '0')
			}
			b = strconv.AppendUint(b, uint64(c), 16)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
