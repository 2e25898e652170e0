package transcode

import (
	"bytes"
	"math"
	"unicode/utf8"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// Originals are the parts of a record that are something else once they have been JSON: strings
// with bytes that are not UTF-8, bins, extensions, 32-bit floats, NaN and the infinities. A
// guest that gives such a part back as it was given it gets what it was: AppendMsgpackOf puts
// it in the place of what the JSON says. The zero value holds none. It is not safe for
// concurrent use.
type Originals struct {
	parts  []part
	places map[string][]int32 // parts by placeOf, in the order of the record
	text   []byte             // scratch
	kinds  uint32             // a bit for each mp.Kind that a lossy part is read as
}

// part is a lossy part, or another one that may be read the same.
type part struct {
	msgpack []byte // in the record
	due     int32  // of the first of its place: how many of it have been put in
}

// maxParts bounds what is kept of a record. Of one with more, nothing is.
const maxParts = 4096

// Find takes the originals of the record v, which AppendJSON has taken, in place of those of the
// last one. They alias v.
func (o *Originals) Find(v []byte) {
	o.parts = o.parts[:0]
	if len(o.places) > maxParts/16 { // few records are like that
		o.parts, o.places = nil, nil
	}
	clear(o.places)
	o.kinds = 0
	o.walk(v, nil, false, (*Originals).noteKind)
	if o.kinds != 0 {
		o.walk(v, nil, false, (*Originals).add)
	}
	if len(o.parts) > maxParts {
		o.parts = o.parts[:0]
	}
}

// Empty says whether the JSON of the record is all there is to it.
func (o *Originals) Empty() bool { return len(o.parts) == 0 }

// walk calls visit for each scalar of the value at v, and returns what follows the value. key is
// that of the member that the scalar stands in, at some depth; nil if it is a key itself.
func (o *Originals) walk(v, key []byte, isKey bool, visit func(o *Originals, h mp.Head, scalar, contents, key []byte)) (rest []byte) {
	h, rest, err := mp.ReadHead(v)
	if err != nil {
		return nil // AppendJSON would have refused it
	}
	switch h.Kind {
	case mp.Map, mp.Array:
		if isKey { // a string from here on: what is in it has no place of its own
			rest, _ = mp.Skip(v, MaxDepth)
			return rest
		}
		for ; h.Arg > 0 && len(rest) > 0; h.Arg-- {
			if h.Kind == mp.Map {
				key = rest
				rest = o.walk(rest, nil, true, visit)
				key = key[:len(key)-len(rest)]
			}
			rest = o.walk(rest, key, false, visit)
		}
		return rest
	case mp.Str, mp.Bin, mp.Ext:
		contents := rest[:h.Arg]
		rest = rest[h.Arg:]
		visit(o, h, v[:len(v)-len(rest)], contents, key)
	default:
		visit(o, h, v[:len(v)-len(rest)], nil, key)
	}
	return rest
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

func (o *Originals) noteKind(h mp.Head, _, contents, _ []byte) {
	if kind, lossy := readAs(h, contents); lossy {
		o.kinds |= 1 << kind
	}
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
func (o *Originals) add(h mp.Head, scalar, contents, key []byte) {
	kind, _ := readAs(h, contents)
	if o.kinds&(1<<kind) == 0 || len(o.parts) > maxParts {
		return
	}
	if o.places == nil {
		o.places = make(map[string][]int32)
	}
	n := int32(len(o.parts))
	o.parts = append(o.parts, part{msgpack: scalar})
	place := func(key, value []byte) {
		o.text = placeOf(o.text[:0], key, value)
		o.places[string(o.text)] = append(o.places[string(o.text)], n)
	}
	if key == nil {
		place(nil, asRead(scalar, appendKey))
		return
	}
	value := asRead(scalar, appendValue)
	place(asRead(key, appendKey), value)
	// A guest may give a member another name. What has U+FFFD in it is nothing else's by chance.
	if kind == mp.Str && bytes.Contains(value, replacement) {
		place(anyKey, value)
	}
}

// asRead is what is read of the JSON of v, which has some.
func asRead(v []byte, appendJSON func(dst, v []byte, depth int) (out, rest []byte, err error)) []byte {
	json, _, err := appendJSON(nil, v, MaxDepth)
	if err == nil {
		json, _, err = AppendMsgpack(nil, json, MaxDepth)
	}
	if err != nil {
		return []byte{anyKey[0]} // nothing is read so
	}
	return json
}

// replacement is U+FFFD.
var replacement = utf8.AppendRune(nil, utf8.RuneError)

// anyKey stands for the key of a member, which no MessagePack string is.
var anyKey = []byte{0xc1}

// placeOf appends what a part is found by: a key, which is a MessagePack value, or nothing for
// a key itself, and what is read there.
func placeOf(dst, key, value []byte) []byte { return append(append(dst, key...), value...) }

// replace puts the original of what was read to dst[start:] in its place, if there is one.
func (o *Originals) replace(dst []byte, start int, key []byte) []byte {
	if o == nil || len(o.parts) == 0 {
		return dst
	}
	value := dst[start:]
	o.text = placeOf(o.text[:0], key, value)
	list := o.places[string(o.text)]
	if list == nil && key != nil {
		o.text = placeOf(o.text[:0], anyKey, value)
		list = o.places[string(o.text)]
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
