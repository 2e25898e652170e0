package transcode

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// Originals are the parts of a record that are something else once they have been JSON: strings
// with bytes that are not UTF-8, bins, extensions, 32-bit floats, NaN and the infinities. A
// guest that gives such a part back as it was given it gets what it was: AppendMsgpackOf puts
// it in the place of what the JSON says. The zero value holds none. It is not safe for
// concurrent use.
type Originals struct {
	parts      []part
	keys       map[string]int32  // numbers of keys that parts stand under, as their JSON is read
	places     map[place][]int32 // parts, in the order of the record
	json, text []byte            // scratch
	kinds      uint32            // a bit for each mp.Kind that a lossy part is read as
}

// place is what a part is found by: the key that it stands under, and what its JSON is read as.
// The key is a number, for it may be long, and stand over any number of parts.
type place struct {
	key   int32
	value string
}

// What takes the place of a key's number.
const (
	isKey      int32 = -1 - iota // the part is a key itself, or no key is above it
	anyKey                       // the place is that of a part under any key
	unknownKey                   // no part stands under that key
)

// part is a lossy part, or another one that may be read the same.
type part struct {
	msgpack []byte // in the record
	due     int32  // of the first of its place: how many of it have been put in
}

// maxParts bounds what is kept of a record. Of one with more, nothing is.
const maxParts = 4096

// keepBytes bounds the scratch that is kept for the next record.
const keepBytes = 1 << 20

// Find takes the originals of the record v, which AppendJSON has taken, in place of those of the
// last one. They alias v.
func (o *Originals) Find(v []byte) {
	o.parts = o.parts[:0]
	if len(o.keys)+len(o.places) > maxParts/16 || cap(o.json)+cap(o.text) > keepBytes { // few records are like that
		*o = Originals{}
	}
	clear(o.keys)
	clear(o.places)
	if o.kinds = lossyKinds(v); o.kinds != 0 {
		o.walk(v, nil, false)
	}
	if len(o.parts) > maxParts {
		o.parts = o.parts[:0]
	}
}

// Empty says whether the JSON of the record is all there is to it.
func (o *Originals) Empty() bool { return len(o.parts) == 0 }

// member is one that scalars stand in.
type member struct {
	key    []byte
	number int32 // of the key; unknownKey until a part needs it
}

// walk adds each scalar of the value at v, and returns what follows the value. in is the member that
// the scalar stands in, at some depth; nil if it is a key itself.
func (o *Originals) walk(v []byte, in *member, inKey bool) (rest []byte) {
	h, rest, err := mp.ReadHead(v)
	if err != nil {
		return nil // AppendJSON would have refused it
	}
	switch h.Kind {
	case mp.Map, mp.Array:
		if inKey { // a string from here on: what is in it has no place of its own
			rest, _ = mp.Skip(v, MaxDepth)
			return rest
		}
		if h.Kind == mp.Map {
			in = new(member)
		}
		for ; h.Arg > 0 && len(rest) > 0; h.Arg-- {
			if h.Kind == mp.Map {
				key := rest
				rest = o.walk(rest, nil, true)
				*in = member{key[:len(key)-len(rest)], unknownKey}
			}
			rest = o.walk(rest, in, false)
		}
		return rest
	case mp.Str, mp.Bin, mp.Ext:
		contents := rest[:h.Arg]
		rest = rest[h.Arg:]
		o.add(h, v[:len(v)-len(rest)], contents, in)
	default:
		o.add(h, v[:len(v)-len(rest)], nil, in)
	}
	return rest
}

// number returns the number of a member's key.
func (o *Originals) number(m *member) int32 {
	if m.number != unknownKey {
		return m.number
	}
	text := o.asRead(m.key, appendKey)
	if m.number = o.numberOf(text); m.number == unknownKey {
		if o.keys == nil {
			o.keys = make(map[string]int32)
		}
		m.number = int32(len(o.keys))
		o.keys[string(text)] = m.number
	}
	return m.number
}

// numberOf returns the number of a key that has been read.
func (o *Originals) numberOf(key []byte) int32 {
	if n, ok := o.keys[string(key)]; ok {
		return n
	}
	return unknownKey
}

// readAs is what the JSON of a scalar is read as; lossy says whether that is another value.
func readAs(h mp.Head, contents []byte) (kind mp.Kind, lossy bool) {
	switch h.Kind {
	case mp.Str:
		return mp.Str, !utf8.Valid(contents) && hasReplacement(contents)
	case mp.Bin, mp.Ext:
		return mp.Str, true
	case mp.Float32:
		f := float64(math.Float32frombits(uint32(h.Arg)))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return mp.Nil, true
		}
		return mp.Float64, true
	case mp.Float64:
		if f := math.Float64frombits(h.Arg); math.IsNaN(f) || math.IsInf(f, 0) {
			return mp.Nil, true
		}
	}
	return h.Kind, false
}

// lossyKinds has a bit for each kind that a lossy part of v is read as.
func lossyKinds(v []byte) (kinds uint32) {
	for waiting := uint64(1); waiting > 0; waiting-- {
		h, rest, err := mp.ReadHead(v)
		if err != nil {
			return kinds // AppendJSON would have refused it
		}
		var contents []byte
		switch h.Kind {
		case mp.Map:
			waiting += 2 * h.Arg
		case mp.Array:
			waiting += h.Arg
		case mp.Str, mp.Bin, mp.Ext:
			contents, rest = rest[:h.Arg], rest[h.Arg:]
		}
		if kind, lossy := readAs(h, contents); lossy {
			kinds |= 1 << kind
		}
		v = rest
	}
	return kinds
}

// hasReplacement says whether bytes of s become U+FFFD. Of surrogate pairs nothing is lost.
func hasReplacement(s []byte) bool {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && size <= 1 {
			if r, size = surrogates(s[i:]); r == utf8.RuneError {
				return true
			}
		}
		i += size
	}
	return false
}

// add notes a part of the record under what its JSON is read as, with the key that it stands
// under.
func (o *Originals) add(h mp.Head, scalar, contents []byte, in *member) {
	kind, _ := readAs(h, contents)
	if o.kinds&(1<<kind) == 0 || len(o.parts) > maxParts {
		return
	}
	if o.places == nil {
		o.places = make(map[place][]int32)
	}
	n := int32(len(o.parts))
	o.parts = append(o.parts, part{msgpack: scalar})
	key, appendJSON := isKey, appendKey
	if in != nil {
		key, appendJSON = o.number(in), appendValue
	}
	p := place{key, string(o.asRead(scalar, appendJSON))}
	o.places[p] = append(o.places[p], n)
	// A guest may give a member another name. What has U+FFFD in it is nothing else's by chance.
	if key != isKey && kind == mp.Str && strings.Contains(p.value, replacement) {
		p.key = anyKey
		o.places[p] = append(o.places[p], n)
	}
}

const replacement = string(utf8.RuneError)

// asRead is what is read of the JSON of v, which has some, valid until the next call.
func (o *Originals) asRead(v []byte, appendJSON func(dst, v []byte, depth int) (out, rest []byte, err error)) []byte {
	var err error
	if o.json, _, err = appendJSON(o.json[:0], v, MaxDepth); err == nil {
		o.text, _, err = AppendMsgpack(o.text[:0], o.json, MaxDepth)
	}
	if err != nil {
		return []byte{0xc1} // what nothing is read as
	}
	return o.text
}

// replace puts the original of what was read to dst[start:] in its place, if there is one. key
// is the number of the key that it stands under.
func (o *Originals) replace(dst []byte, start int, key int32) []byte {
	if len(o.parts) == 0 {
		return dst
	}
	var list []int32
	if key != unknownKey {
		list = o.places[place{key, string(dst[start:])}]
	}
	if list == nil && key != isKey {
		list = o.places[place{anyKey, string(dst[start:])}]
	}
	if list == nil {
		return dst
	}
	// Parts that read the same are due one after the other, as in the record.
	first := &o.parts[list[0]]
	due := o.parts[list[int(first.due)%len(list)]].msgpack
	first.due++
	return append(dst[:start], due...)
}
