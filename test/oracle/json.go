package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"
)

// JSONValues returns the JSON values of a text, numbers as they are written (json.Number).
func JSONValues(tb testing.TB, text []byte) (list []any) {
	tb.Helper()
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		d.UseNumber()
		var v any
		err := d.Decode(&v)
		switch {
		case err == io.EOF:
			return list
		case err != nil:
			tb.Fatal(err)
		}
		list = append(list, v)
	}
}

// EscapeControls escapes raw control characters in the strings of a JSON text, which are taken as Fluent Bit's own
// parser takes them. offsets has, for each byte of the result and for its end, where it comes from in text.
func EscapeControls(text []byte) (out []byte, offsets []int) {
	inString, escaped := false, false
	for i, c := range text {
		from := len(out)
		switch {
		case !inString:
			inString = c == '"'
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			inString = false
		case c < 0x20:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
		if len(out) == from {
			out = append(out, c)
		}
		for range len(out) - from {
			offsets = append(offsets, i)
		}
	}
	return out, append(offsets, len(text))
}
