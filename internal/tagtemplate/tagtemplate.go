// Package tagtemplate makes the tags of results: text with placeholders for the
// tag that a chunk came with, parts of it, and values of the record. The syntax is
// that of Fluent Bit's rewrite_tag: $TAG, $TAG[0], $key, $key['sub']['subsub'].
// A Template is not changed after Parse, and safe for concurrent use.
package tagtemplate

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// MaxBytes is the most that a tag is given: what a record would add beyond is cut.
const MaxBytes = 1024

// Template is a parsed template.
type Template struct {
	parts []part
}

type kind int

const (
	text kind = iota
	tag
	tagPart
	value
)

type part struct {
	kind  kind
	text  string
	index int      // of tagPart
	path  []string // of value
}

var errDollar = errors.New("$ must be followed by TAG, TAG[NUMBER] or the name of a key, such as $level or $kubernetes['pod_name']")

// Parse reads a template.
func Parse(s string) (Template, error) {
	var t Template
	for s != "" {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			i = len(s)
		}
		if i > 0 {
			t.parts = append(t.parts, part{kind: text, text: s[:i]})
			s = s[i:]
			continue
		}
		p, rest, err := placeholder(s[1:])
		if err != nil {
			return Template{}, err
		}
		t.parts = append(t.parts, p)
		s = rest
	}
	return t, nil
}

// Pattern is the pattern of the tags that the template makes: * stands for what differs.
func (t Template) Pattern() string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.kind == text {
			b.WriteString(p.text)
		} else {
			b.WriteByte('*')
		}
	}
	return b.String()
}

func placeholder(s string) (p part, rest string, err error) {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	name, s := s[:n], s[n:]
	if name == "" {
		return part{}, "", errDollar
	}
	if name == "TAG" {
		if !strings.HasPrefix(s, "[") {
			return part{kind: tag}, s, nil
		}
		number, rest, ok := strings.Cut(s[1:], "]")
		index, err := strconv.ParseUint(number, 10, 16)
		if !ok || err != nil {
			return part{}, "", fmt.Errorf("$TAG[%s: the number of a part of the tag is expected, as in $TAG[0]", s[1:])
		}
		return part{kind: tagPart, index: int(index)}, rest, nil
	}
	p = part{kind: value, path: []string{name}}
	for strings.HasPrefix(s, "['") {
		key, rest, ok := strings.Cut(s[2:], "']")
		if !ok || key == "" {
			return part{}, "", fmt.Errorf("$%s%s: a key in ['...'] is expected", name, s)
		}
		p.path = append(p.path, key)
		s = rest
	}
	return p, s, nil
}

// Append appends the tag for a record with that body, one valid msgpack value; a
// key that the record has not, or whose value is not a scalar, gives nothing. If
// nothing at all comes out, the tag is from.
func (t Template) Append(dst []byte, from string, body []byte) []byte {
	start := len(dst)
	for _, p := range t.parts {
		switch p.kind {
		case text:
			dst = append(dst, p.text...)
		case tag:
			dst = append(dst, from...)
		case tagPart:
			dst = append(dst, dotPart(from, p.index)...)
		case value:
			room := max(0, start+MaxBytes-len(dst))
			dst = appendScalar(dst, lookup(body, p.path), room)
		}
	}
	if len(dst) == start {
		dst = append(dst, from...)
	}
	return dst
}

func dotPart(tag string, index int) string {
	for part := range strings.SplitSeq(tag, ".") {
		if index == 0 {
			return part
		}
		index--
	}
	return ""
}

// lookup finds the value at a path; nil if there is none. Of equal keys the last
// counts, as for most readers.
func lookup(b []byte, path []string) []byte {
	for _, key := range path {
		n, rest, err := mp.ReadMapHeader(b)
		if err != nil {
			return nil
		}
		var found []byte
		for ; n > 0; n-- {
			h, contents, err := mp.ReadHead(rest)
			if err != nil {
				return nil
			}
			if rest, err = mp.Skip(rest, chunk.MaxDepth); err != nil {
				return nil
			}
			match := h.Kind == mp.Str && string(contents[:h.Arg]) == key
			from := rest
			if rest, err = mp.Skip(rest, chunk.MaxDepth); err != nil {
				return nil
			}
			if match {
				found = from[:len(from)-len(rest)]
			}
		}
		if b = found; b == nil {
			return nil
		}
	}
	return b
}

// appendScalar appends a value as text, at most room bytes of it.
func appendScalar(dst, v []byte, room int) []byte {
	if len(v) == 0 {
		return dst
	}
	h, contents, err := mp.ReadHead(v)
	if err != nil {
		return dst
	}
	var s []byte
	switch h.Kind {
	case mp.Str, mp.Bin:
		s = contents[:h.Arg]
	case mp.Bool:
		s = strconv.AppendBool(nil, h.Arg == 1)
	case mp.Int:
		s = strconv.AppendInt(nil, int64(h.Arg), 10)
	case mp.Uint:
		s = strconv.AppendUint(nil, h.Arg, 10)
	case mp.Float32:
		s = strconv.AppendFloat(nil, float64(math.Float32frombits(uint32(h.Arg))), 'f', -1, 32)
	case mp.Float64:
		s = strconv.AppendFloat(nil, math.Float64frombits(h.Arg), 'f', -1, 64)
	default:
		return dst
	}
	return append(dst, s[:min(len(s), room)]...)
}
