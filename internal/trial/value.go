package trial

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

// Value is a value of MessagePack: nil, bool, int64, uint64 (beyond int64), float64, string (of any
// bytes), Bin, Ext, List or Map.
type Value any

// Bin is bytes that are no text.
type Bin []byte

// Ext is a value of an extension type.
type Ext struct {
	Type int8
	Data []byte
}

// List is an array.
type List []Value

// Map is a map, with its members in order. A key may be there several times, and be any value.
type Map []Member

// Member is a key of a map with its value.
type Member struct{ Key, Value Value }

// Get returns the first member with that key.
func (m Map) Get(key string) (Value, bool) {
	for _, x := range m {
		if x.Key == Value(key) {
			return x.Value, true
		}
	}
	return nil, false
}

// Decode reads the first value of b. rest is what follows it; the value shares no memory with b.
func Decode(b []byte) (v Value, rest []byte, err error) {
	if _, err := mp.Skip(b, chunk.MaxDepth); err != nil {
		return nil, b, err
	}
	v, rest = decode(b)
	return v, rest, nil
}

// decode is Decode for what has been checked.
func decode(b []byte) (Value, []byte) {
	h, rest, _ := mp.ReadHead(b)
	switch h.Kind {
	case mp.Bool:
		return h.Arg == 1, rest
	case mp.Int:
		return int64(h.Arg), rest
	case mp.Uint:
		if h.Arg > math.MaxInt64 {
			return h.Arg, rest
		}
		return int64(h.Arg), rest
	case mp.Float32:
		return float64(math.Float32frombits(uint32(h.Arg))), rest
	case mp.Float64:
		return math.Float64frombits(h.Arg), rest
	case mp.Str:
		return string(rest[:h.Arg]), rest[h.Arg:]
	case mp.Bin:
		return Bin(bytes.Clone(rest[:h.Arg])), rest[h.Arg:]
	case mp.Ext:
		return Ext{h.ExtType, bytes.Clone(rest[:h.Arg])}, rest[h.Arg:]
	case mp.Array:
		list := List{}
		for range h.Arg {
			var v Value
			v, rest = decode(rest)
			list = append(list, v)
		}
		return list, rest
	case mp.Map:
		m := Map{}
		for range h.Arg {
			var x Member
			x.Key, rest = decode(rest)
			x.Value, rest = decode(rest)
			m = append(m, x)
		}
		return m, rest
	}
	return nil, rest
}

// Append appends a value as MessagePack.
func Append(dst []byte, v Value) []byte {
	switch v := v.(type) {
	case bool:
		return mp.AppendBool(dst, v)
	case int64:
		return mp.AppendInt(dst, v)
	case uint64:
		return mp.AppendUint(dst, v)
	case float64:
		return mp.AppendFloat64(dst, v)
	case string:
		return mp.AppendString(dst, v)
	case Bin:
		dst = append(dst, 0xc6)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v)))
		return append(dst, v...)
	case Ext:
		dst = append(dst, 0xc9)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v.Data)))
		return append(append(dst, byte(v.Type)), v.Data...)
	case List:
		dst = mp.AppendArrayHeader(dst, len(v))
		for _, x := range v {
			dst = Append(dst, x)
		}
		return dst
	case Map:
		dst = mp.AppendMapHeader(dst, len(v))
		for _, x := range v {
			dst = Append(Append(dst, x.Key), x.Value)
		}
		return dst
	}
	return mp.AppendNil(dst)
}

// What JSON has no form for is written as an object with one member of these names: base64 of bytes,
// [type, base64] of an extension, the word of a float that is no number, or a list of [key, value].
const (
	binKey   = "$bin"
	strKey   = "$str" // a string that is not UTF-8
	extKey   = "$ext"
	floatKey = "$float"
	mapKey   = "$map" // with keys that are no strings, or that would be read as one of these
)

// AppendNotation appends a value as JSON from which ParseValue reads the same value. A number with a point or
// an exponent is a float, another one an integer.
func AppendNotation(dst []byte, v Value) []byte {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return appendTagged(dst, strKey, base64.StdEncoding.EncodeToString([]byte(v)))
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return appendTagged(dst, floatKey, strconv.FormatFloat(v, 'g', -1, 64))
		}
	case Bin:
		return appendTagged(dst, binKey, base64.StdEncoding.EncodeToString(v))
	case Ext:
		return appendTagged(dst, extKey, List{int64(v.Type), base64.StdEncoding.EncodeToString(v.Data)})
	case List:
		dst = append(dst, '[')
		for i, x := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendNotation(dst, x)
		}
		return append(dst, ']')
	case Map:
		if !v.isPlain() {
			list := List{}
			for _, x := range v {
				list = append(list, List{x.Key, x.Value})
			}
			return appendTagged(dst, mapKey, list)
		}
		dst = append(dst, '{')
		for i, x := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(AppendNotation(dst, x.Key), ':')
			dst = AppendNotation(dst, x.Value)
		}
		return append(dst, '}')
	}
	out, _, _ := transcode.AppendJSON(nil, Append(nil, v)) // a scalar: it can't fail
	return appendVisible(dst, out)
}

// appendVisible appends JSON in which characters that can't be seen, or change how others are seen, are escaped.
func appendVisible(dst, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == 0x7f || r >= utf8.RuneSelf && !unicode.IsPrint(r):
			for _, unit := range utf16.Encode([]rune{r}) {
				dst = fmt.Appendf(dst, `\u%04x`, unit)
			}
		default:
			dst = append(dst, text[:size]...)
		}
		text = text[size:]
	}
	return dst
}

func appendTagged(dst []byte, key string, v Value) []byte {
	dst = strconv.AppendQuote(append(dst, '{'), key)
	return append(AppendNotation(append(dst, ':'), v), '}')
}

// isPlain reports whether a map is written as an object of its own.
func (m Map) isPlain() bool {
	seen := make(map[string]bool, len(m))
	for _, x := range m {
		key, ok := x.Key.(string)
		// Readers of JSON keep one of several with one key.
		if !ok || !utf8.ValidString(key) || seen[key] {
			return false
		}
		seen[key] = true
		if len(m) == 1 && slices.Contains([]string{binKey, strKey, extKey, floatKey, mapKey}, key) {
			return false
		}
	}
	return true
}

// Notation is what AppendNotation appends.
func Notation(v Value) string { return string(AppendNotation(nil, v)) }

// ParseValue reads one JSON value, and nothing else, as AppendNotation writes it.
func ParseValue(text []byte) (Value, error) {
	data, n, err := transcode.AppendMsgpack(nil, text, chunk.MaxDepth)
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimSpace(text[n:]); len(rest) > 0 {
		return nil, fmt.Errorf("something follows the value at byte %d", n)
	}
	v, _ := decode(data)
	return untag(v)
}

// untag puts values in the place of the objects that stand for them.
func untag(v Value) (_ Value, err error) {
	switch v := v.(type) {
	case List:
		for i := range v {
			if v[i], err = untag(v[i]); err != nil {
				return nil, err
			}
		}
	case Map:
		if len(v) == 1 {
			key, _ := v[0].Key.(string)
			if read := tags[key]; read != nil {
				value, ok := read(v[0].Value)
				if !ok {
					return nil, fmt.Errorf("%s can't be read: see what stands for values that JSON has no form for", Notation(v[0].Key))
				}
				if m, ok := value.(Map); ok {
					return untagMembers(m)
				}
				return value, nil
			}
		}
		return untagMembers(v)
	}
	return v, nil
}

func untagMembers(m Map) (_ Value, err error) {
	for i := range m {
		if m[i].Key, err = untag(m[i].Key); err != nil {
			return nil, err
		}
		if m[i].Value, err = untag(m[i].Value); err != nil {
			return nil, err
		}
	}
	return m, nil
}

var tags = map[string]func(Value) (Value, bool){
	binKey: func(v Value) (Value, bool) { b, ok := base64Of(v); return Bin(b), ok },
	strKey: func(v Value) (Value, bool) { b, ok := base64Of(v); return string(b), ok },
	extKey: func(v Value) (Value, bool) {
		pair, _ := v.(List)
		if len(pair) != 2 {
			return nil, false
		}
		number, ok := pair[0].(int64)
		data, isText := base64Of(pair[1])
		return Ext{int8(number), data}, ok && isText && number == int64(int8(number))
	},
	floatKey: func(v Value) (Value, bool) {
		text, _ := v.(string)
		f, err := strconv.ParseFloat(text, 64)
		return f, err == nil
	},
	mapKey: func(v Value) (Value, bool) {
		list, ok := v.(List)
		m := Map{}
		for _, x := range list {
			pair, _ := x.(List)
			if len(pair) != 2 {
				return nil, false
			}
			m = append(m, Member{pair[0], pair[1]})
		}
		return m, ok
	},
}

func base64Of(v Value) ([]byte, bool) {
	text, ok := v.(string)
	b, err := base64.StdEncoding.DecodeString(text)
	return b, ok && err == nil
}

// Equal reports whether two values are the same in MessagePack: the widths of numbers and headers, and the
// order of a map's members, mean nothing; an integer is never equal to a float, nor a string to a bin.
func Equal(a, b Value) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b))
	case Bin:
		b, ok := b.(Bin)
		return ok && bytes.Equal(a, b)
	case Ext:
		b, ok := b.(Ext)
		return ok && a.Type == b.Type && bytes.Equal(a.Data, b.Data)
	case List:
		b, ok := b.(List)
		return ok && slices.EqualFunc(a, b, func(x, y Value) bool { return Equal(x, y) })
	case Map:
		b, ok := b.(Map)
		if !ok || len(a) != len(b) {
			return false
		}
		_, _, different := match(a, b)
		return !different
	default: // of a type that == compares
		return a == b
	}
}

// match pairs the members of two maps by their keys, of several with one key in their order. The
// result says for each of a which one of b it is, -1: none; and which of b are left.
func match(a, b Map) (partner []int, left []int, different bool) {
	at := make(map[string][]int, len(b))
	for i, x := range b {
		key := Notation(x.Key)
		at[key] = append(at[key], i)
	}
	for _, x := range a {
		key := Notation(x.Key)
		if len(at[key]) == 0 {
			partner, different = append(partner, -1), true
			continue
		}
		i := at[key][0]
		at[key] = at[key][1:]
		partner = append(partner, i)
		different = different || !Equal(x.Value, b[i].Value)
	}
	for _, places := range at {
		left = append(left, places...)
	}
	slices.Sort(left)
	return partner, left, different || len(left) > 0
}

// Change is a place at which two values differ. Of a member or element that only one of them has,
// the other side is absent.
type Change struct {
	Path    string // as a record accessor of Fluent Bit: $a['b'][0]; "$" is the whole
	Was, Is Value
	Added   bool // it was not there
	Removed bool // it is not there any more
}

// Diff lists where two values differ, as deep as they can be compared.
func Diff(was, is Value) []Change { return diff(nil, "$", was, is) }

func diff(list []Change, path string, was, is Value) []Change {
	switch w := was.(type) {
	case Map:
		if i, ok := is.(Map); ok {
			return diffMaps(list, path, w, i)
		}
	case List:
		if i, ok := is.(List); ok {
			return diffLists(list, path, w, i)
		}
	}
	if Equal(was, is) {
		return list
	}
	return append(list, Change{Path: path, Was: was, Is: is})
}

func diffMaps(list []Change, path string, was, is Map) []Change {
	partner, left, _ := match(was, is)
	for n, x := range was {
		if partner[n] < 0 {
			list = append(list, Change{Path: member(path, x.Key), Was: x.Value, Removed: true})
			continue
		}
		list = diff(list, member(path, x.Key), x.Value, is[partner[n]].Value)
	}
	for _, n := range left {
		list = append(list, Change{Path: member(path, is[n].Key), Is: is[n].Value, Added: true})
	}
	return list
}

// diffLists compares what is between the elements that both begin and end with.
func diffLists(list []Change, path string, was, is List) []Change {
	same := 0
	for same < min(len(was), len(is)) && Equal(was[same], is[same]) {
		same++
	}
	end := 0
	for end < min(len(was), len(is))-same && Equal(was[len(was)-1-end], is[len(is)-1-end]) {
		end++
	}
	wasEnd, isEnd := len(was)-end, len(is)-end
	for n := same; n < max(wasEnd, isEnd); n++ {
		at := path + "[" + strconv.Itoa(n) + "]"
		switch {
		case n >= isEnd:
			list = append(list, Change{Path: at, Was: was[n], Removed: true})
		case n >= wasEnd:
			list = append(list, Change{Path: at, Is: is[n], Added: true})
		default:
			list = diff(list, at, was[n], is[n])
		}
	}
	return list
}

// member is the path of a map's member.
func member(path string, key Value) string {
	text, ok := key.(string)
	if !ok || !utf8.ValidString(text) {
		return path + "[" + Notation(key) + "]"
	}
	if path == "$" && isWord(text) {
		return path + text
	}
	return path + "['" + strings.ReplaceAll(text, "'", `\'`) + "']"
}

func isWord(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

var errTime = errors.New(`a time is text such as "2026-01-02T15:04:05.678Z", or seconds since 1970, up to 2106`)
