package flb

import (
	"errors"
	"math"
	"strings"
	"unsafe"
)

// Kind is what a [Value] is.
type Kind uint8

const (
	KindMissing Kind = iota // there is no value
	KindNil
	KindBool
	KindInt
	KindFloat
	KindStr
	KindBin // bytes that are not said to be text
	KindArray
	KindMap
	KindExt // an extension of MessagePack
)

// leads has the values from 0xc0 to 0xdf: how many bytes their length or number has, and how many
// bytes there are besides.
var leads = [32]struct {
	kind         Kind
	width, fixed uint8
}{
	{KindNil, 0, 0}, {KindNil, 0, 0}, {KindBool, 0, 0}, {KindBool, 0, 0},
	{KindBin, 1, 0}, {KindBin, 2, 0}, {KindBin, 4, 0}, {KindExt, 1, 1}, {KindExt, 2, 1}, {KindExt, 4, 1},
	{KindFloat, 0, 4}, {KindFloat, 0, 8},
	{KindInt, 0, 1}, {KindInt, 0, 2}, {KindInt, 0, 4}, {KindInt, 0, 8},
	{KindInt, 0, 1}, {KindInt, 0, 2}, {KindInt, 0, 4}, {KindInt, 0, 8},
	{KindExt, 0, 2}, {KindExt, 0, 3}, {KindExt, 0, 5}, {KindExt, 0, 9}, {KindExt, 0, 17},
	{KindStr, 1, 0}, {KindStr, 2, 0}, {KindStr, 4, 0},
	{KindArray, 2, 0}, {KindArray, 4, 0}, {KindMap, 2, 0}, {KindMap, 4, 0},
}

// head returns what the value at s[at] is, where its data begin and end, without what an array or map
// holds, and how many elements or members these have. Where nothing is there it is KindMissing.
func head(s string, at int) (kind Kind, from, to, count int) {
	if at == len(s) {
		return
	}
	c := s[at]
	at++
	switch {
	case c < 0x80 || c >= 0xe0:
		return KindInt, at, at, 0
	case c < 0x90:
		return KindMap, at, at, int(c & 15)
	case c < 0xa0:
		return KindArray, at, at, int(c & 15)
	case c < 0xc0:
		return KindStr, at, at + int(c&31), 0
	}
	lead := leads[c-0xc0]
	if lead.width > 0 {
		n := int(bigEndian(s[at : at+int(lead.width)]))
		at += int(lead.width)
		if lead.kind >= KindArray && lead.kind <= KindMap {
			return lead.kind, at, at, n
		}
		return lead.kind, at, at + int(lead.fixed) + n, 0
	}
	return lead.kind, at, at + int(lead.fixed), 0
}

func bigEndian(s string) (n uint64) {
	for i := range len(s) {
		n = n<<8 | uint64(s[i])
	}
	return n
}

// skip returns the end of the value at s[at].
func skip(s string, at int) int {
	for left := 1; left > 0; left-- {
		switch c := s[at]; {
		case c < 0x80 || c >= 0xe0 || c&0xfc == 0xc0:
			at++
		case c >= 0xa0 && c < 0xc0:
			at += 1 + int(c&31)
		default:
			kind, _, to, count := head(s, at)
			if kind == KindMap {
				count *= 2
			}
			at = to
			left += count
		}
	}
	return at
}

// Value is a value of a record. It is read where it stands: nothing is parsed but what is asked for.
// A Value, and text out of it, may be kept: it never changes. It keeps the records that came with it in
// memory, though; [strings.Clone] makes a copy of a text that does not.
//
// The zero Value is missing, which is what a path leads to that leads nowhere.
type Value struct {
	s string // begins with the value, and may go on behind it
}

// Kind returns what the value is.
func (v Value) Kind() Kind {
	kind, _, _, _ := head(v.s, 0)
	return kind
}

// Exists says whether there is a value. Nil is one.
func (v Value) Exists() bool { return v.s != "" }

// MessagePack returns the value as it stands in the record.
func (v Value) MessagePack() string {
	if v.s == "" {
		return ""
	}
	return v.s[:skip(v.s, 0)]
}

// AsStr returns a text, and whether the value is one. It may hold bytes that are not UTF-8.
func (v Value) AsStr() (string, bool) { return v.data(KindStr, KindStr) }

func (v Value) data(kind, or Kind) (string, bool) {
	is, from, to, _ := head(v.s, 0)
	if is != kind && is != or {
		return "", false
	}
	return v.s[from:to], true
}

// Str returns a text; "" if the value is something else.
func (v Value) Str() string { return first(v.AsStr()) }

// AsBytes returns the bytes of a text or bin, and whether the value is one.
func (v Value) AsBytes() (string, bool) { return v.data(KindStr, KindBin) }

// number returns a whole number: its 64 bits, and whether it is negative.
func (v Value) number() (n uint64, negative, ok bool) {
	if v.Kind() != KindInt {
		return 0, false, false
	}
	c := v.s[0]
	if c < 0x80 || c >= 0xe0 {
		return uint64(int8(c)), c >= 0xe0, true
	}
	_, from, to, _ := head(v.s, 0)
	n = bigEndian(v.s[from:to])
	if c >= 0xd0 {
		shift := 64 - 8*(to-from)
		signed := int64(n<<shift) >> shift
		return uint64(signed), signed < 0, true
	}
	return n, false, true
}

// AsInt returns a whole number, and whether the value is one of 64 bits with its sign.
func (v Value) AsInt() (int64, bool) {
	n, negative, ok := v.number()
	if !ok || !negative && n > math.MaxInt64 {
		return 0, false
	}
	return int64(n), true
}

// Int returns a whole number; 0 if the value is something else.
func (v Value) Int() int64 { return first(v.AsInt()) }

// AsUint returns a whole number, and whether the value is one that is not negative.
func (v Value) AsUint() (uint64, bool) {
	n, negative, ok := v.number()
	if !ok || negative {
		return 0, false
	}
	return n, true
}

// AsFloat returns a number, whole or not, and whether the value is one.
func (v Value) AsFloat() (float64, bool) {
	if v.Kind() == KindFloat {
		if v.s[0] == 0xca {
			return float64(math.Float32frombits(uint32(bigEndian(v.s[1:5])))), true
		}
		return math.Float64frombits(bigEndian(v.s[1:9])), true
	}
	n, negative, ok := v.number()
	if negative {
		return float64(int64(n)), ok
	}
	return float64(n), ok
}

// Float returns a number; 0 if the value is something else.
func (v Value) Float() float64 { return first(v.AsFloat()) }

// AsBool returns true or false, and whether the value is one of them.
func (v Value) AsBool() (value, ok bool) { return v.s != "" && v.s[0] == 0xc3, v.Kind() == KindBool }

// Bool says whether the value is true.
func (v Value) Bool() bool { return first(v.AsBool()) }

func first[T any](value T, _ bool) T { return value }

// Len returns the number of elements of an array, or members of a map, else 0.
func (v Value) Len() int {
	_, _, _, count := head(v.s, 0)
	return count
}

// Elements goes through an array; if the value is something else, there are none.
func (v Value) Elements() func(yield func(Value) bool) {
	return func(yield func(Value) bool) {
		if v.Kind() != KindArray {
			return
		}
		_, at, _, count := head(v.s, 0)
		for ; count > 0 && yield(Value{v.s[at:]}); count-- {
			at = skip(v.s, at)
		}
	}
}

// Members goes through a map, as key and value; if the value is something else, there are none.
func (v Value) Members() func(yield func(key, value Value) bool) {
	return func(yield func(key, value Value) bool) {
		if v.Kind() != KindMap {
			return
		}
		_, at, _, count := head(v.s, 0)
		for ; count > 0; count-- {
			next := skip(v.s, at)
			if !yield(Value{v.s[at:]}, Value{v.s[next:]}) {
				return
			}
			at = skip(v.s, next)
		}
	}
}

// Key returns the member of a map with that key.
func (v Value) Key(key string) Value {
	if v.Kind() != KindMap {
		return Value{}
	}
	_, at, _, count := head(v.s, 0)
	for ; count > 0; count-- {
		kind, from, to, _ := head(v.s, at)
		if kind == KindStr && v.s[from:to] == key {
			return Value{v.s[to:]}
		}
		if kind != KindStr {
			to = skip(v.s, at)
		}
		at = skip(v.s, to)
	}
	return Value{}
}

// Index returns an element of an array; 0 is the first one.
func (v Value) Index(i int) Value {
	for element := range v.Elements() {
		if i == 0 {
			return element
		}
		i--
	}
	return Value{}
}

// Get returns what a path leads to: keys with dots between, and numbers for elements of arrays
// ("a.b", "items.0.name"). Keys with dots are found, too: in a map, a member whose key is all that is
// left of the path goes before one whose key is what is left up to the first dot.
func (v Value) Get(path string) Value {
	for r := textual(path); r.more && v.Exists(); {
		v, _, r = r.step(v)
	}
	return v
}

// digits returns a number of up to 9 digits, and -1 for something else.
func digits(s string) (n int) {
	if s == "" || len(s) > 9 {
		return -1
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = 10*n + int(s[i]-'0')
	}
	return n
}

// At returns what keys (string) and numbers of elements (int) lead to, one after the other: dots in
// keys are theirs. It panics if a step is something else. [Accessor] reads steps.
func (v Value) At(steps ...any) Value {
	for r := literal(steps); r.more; {
		v, _, r = r.step(v)
	}
	return v
}

// Accessor returns the steps for [Value.At] of a path as Fluent Bit's options have it: $a['b'][0].
func Accessor(text string) (steps []any, err error) {
	first, rest, more := strings.Cut(strings.TrimPrefix(text, "$"), "[")
	if steps = []any{first}; first == "" || text[0] != '$' || strings.Contains(first, "]") || more && rest == "" {
		rest = "?"
	}
	for rest != "" {
		step, after, ok := strings.Cut(rest, "]")
		key, quoted := strings.CutPrefix(step, "'")
		if quoted {
			key, after, ok = strings.Cut(rest[1:], "']")
		}
		if index := digits(step); quoted && key != "" {
			steps = append(steps, key)
		} else if index >= 0 {
			steps = append(steps, index)
		} else {
			ok = false
		}
		if rest = strings.TrimPrefix(after, "["); !ok || after != "" && rest == after || after == "[" {
			return nil, errors.New("'" + text + "' is not a path: write it as $key['key'][0]")
		}
	}
	return steps, nil
}

// view returns bytes as a string, as long as they do not change.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
