package otlp

import (
	"encoding/binary"
	"errors"
	"math"
)

// The types of fields on the wire.
const (
	varint = iota
	fixed64
	bytes
	fixed32 = 5
)

// message is a message of protobuf. Its fields are found when one is asked for, and those that are not edited are
// written as they came, whatever they are.
type message struct {
	raw              []byte // as it came
	parent           *message
	fields           []field
	items            int // the fields without which it is dropped, once they have been
	attributes       int // the fields that are its attributes
	read             bool
	changed, dropped bool
}

type field struct {
	number, wire int
	raw          []byte // with its tag; nil: it is made anew of the child
	value        []byte // of a varint or number its bytes
	child        *message
}

// errMalformed is what is panicked with where bytes are no message.
var errMalformed = errors.New("otlp: the payload is not valid protobuf")

// uvarint reads a number, and returns what is left.
func uvarint(b []byte) (uint64, []byte) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		panic(errMalformed)
	}
	return n, b[size:]
}

func next(b []byte) (f field, rest []byte) {
	tag, rest := uvarint(b)
	f.number, f.wire = int(tag>>3), int(tag&7)
	size := 0
	switch f.wire {
	case varint:
		_, after := uvarint(rest)
		size = len(rest) - len(after)
	case fixed64:
		size = 8
	case fixed32:
		size = 4
	case bytes:
		var n uint64
		if n, rest = uvarint(rest); n > uint64(len(rest)) {
			panic(errMalformed)
		}
		size = int(n)
	default:
		panic(errMalformed) // groups were never in OTLP
	}
	if f.number == 0 || tag>>3 > 1<<29-1 || size > len(rest) {
		panic(errMalformed)
	}
	f.value, rest = rest[:size], rest[size:]
	f.raw = b[:len(b)-len(rest)]
	return f, rest
}

func (m *message) all() []field {
	if !m.read {
		m.read = true
		for rest := m.raw; len(rest) > 0; {
			var f field
			f, rest = next(rest)
			m.fields = append(m.fields, f)
		}
	}
	return m.fields
}

// touch says that a message, and so each one around it, is to be written anew.
func (m *message) touch() {
	for ; m != nil && !m.changed; m = m.parent {
		m.changed = true
	}
}

func (m *message) drop() {
	m.dropped = true
	m.parent.touch()
}

// child returns the message that the i-th field holds.
func (m *message) child(i, items, attributes int) *message {
	f := &m.all()[i]
	if f.child == nil {
		f.child = &message{raw: f.value, parent: m, items: items, attributes: attributes}
	}
	return f.child
}

// each calls a function for each message in fields of that number that has not been dropped.
func (m *message) each(number, items, attributes int, function func(*message) bool) bool {
	for i, n := 0, len(m.all()); i < n && i < len(m.fields); i++ { // the function may edit the message
		if f := &m.fields[i]; f.number == number && f.wire == bytes {
			if c := m.child(i, items, attributes); !c.dropped && !function(c) {
				return false
			}
		}
	}
	return true
}

// last returns where the field of that number is which counts, or -1.
func (m *message) last(number int) int {
	fields := m.all()
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].number == number {
			return i
		}
	}
	return -1
}

// one returns the message in the field of that number, which may not be there yet.
func (m *message) one(number, attributes int) *message {
	i := m.last(number)
	if i < 0 {
		i = len(m.fields)
		m.fields = append(m.fields, field{number: number, wire: bytes})
	}
	return m.child(i, 0, attributes)
}

func (m *message) bytes(number int) []byte {
	if i := m.last(number); i >= 0 && m.fields[i].wire == bytes {
		return m.fields[i].value
	}
	return nil
}

// number returns a number of whatever width, as its bits.
func (m *message) number(number int) uint64 {
	i := m.last(number)
	if i < 0 {
		return 0
	}
	switch f := m.fields[i]; f.wire {
	case varint:
		n, _ := uvarint(f.value)
		return n
	case fixed64:
		return binary.LittleEndian.Uint64(f.value)
	case fixed32:
		return uint64(binary.LittleEndian.Uint32(f.value))
	}
	return 0
}

// set makes a field of that number the only one, in the place of the first.
func (m *message) set(number, wire int, value []byte) {
	kept, done := m.all()[:0:0], false
	raw := appendField(nil, number, wire, value)
	f := field{number: number, wire: wire, raw: raw, value: raw[len(raw)-len(value):]}
	for _, old := range m.fields {
		if old.number != number {
			kept = append(kept, old)
		} else if !done {
			kept, done = append(kept, f), true
		}
	}
	if !done {
		kept = append(kept, f)
	}
	m.fields = kept
	m.touch()
}

// clear removes the fields of that number.
func (m *message) clear(number int) {
	kept := m.all()[:0:0]
	for _, f := range m.fields {
		if f.number != number {
			kept = append(kept, f)
		}
	}
	m.fields = kept
	m.touch()
}

func (m *message) add(number int, value []byte) {
	m.all()
	raw := appendField(nil, number, bytes, value)
	m.fields = append(m.fields, field{number: number, wire: bytes, raw: raw, value: raw[len(raw)-len(value):]})
	m.touch()
}

func appendField(to []byte, number, wire int, value []byte) []byte {
	to = binary.AppendUvarint(to, uint64(number)<<3|uint64(wire))
	if wire == bytes {
		to = binary.AppendUvarint(to, uint64(len(value)))
	}
	return append(to, value...)
}

// isEmpty says whether all that a message is there for has been dropped.
func (m *message) isEmpty() bool {
	if !m.changed || m.items == 0 {
		return false
	}
	found := false
	for i := range m.fields {
		if f := &m.fields[i]; f.number == m.items {
			if f.child == nil || !f.child.dropped && !f.child.isEmpty() {
				return false
			}
			found = true
		}
	}
	return found
}

func (m *message) encode(to []byte) []byte {
	if !m.changed {
		return append(to, m.raw...)
	}
	for i := range m.fields {
		f := &m.fields[i]
		switch {
		case f.child == nil || !f.child.changed && !f.child.dropped:
			to = append(to, f.raw...)
		case !f.child.dropped && !f.child.isEmpty():
			to = appendField(to, f.number, bytes, f.child.encode(nil))
		}
	}
	return to
}

// Kind is what a [Value] is.
type Kind int

const (
	KindMissing Kind = iota // there is no value, or an empty one
	KindStr
	KindBool
	KindInt
	KindFloat
	KindArray
	KindMap
	KindBytes
)

// Value is the value of an attribute, as it stands in the payload.
type Value struct{ m *message }

// wires has the wire types of the kinds.
var wires = [...]int{KindStr: bytes, KindBool: varint, KindInt: varint, KindFloat: fixed64, KindArray: bytes, KindMap: bytes, KindBytes: bytes}

func (v Value) field() field {
	if v.m != nil {
		for i := len(v.m.all()) - 1; i >= 0; i-- {
			if f := v.m.fields[i]; f.number < len(wires) && f.wire == wires[f.number] {
				return f
			}
		}
	}
	return field{}
}

// Kind returns what the value is.
func (v Value) Kind() Kind { return Kind(v.field().number) }

// Exists says whether there is a value.
func (v Value) Exists() bool { return v.Kind() != KindMissing }

// Raw returns the bytes of the value as they stand: of a text its text, of others as protobuf has them.
func (v Value) Raw() string { return string(v.field().value) }

// AsStr returns a text, and whether the value is one.
func (v Value) AsStr() (string, bool) { return string(v.field().value), v.Kind() == KindStr }

// Str returns a text; "" if the value is something else.
func (v Value) Str() string {
	if text, ok := v.AsStr(); ok {
		return text
	}
	return ""
}

// AsInt returns a whole number, and whether the value is one.
func (v Value) AsInt() (int64, bool) {
	if v.Kind() != KindInt {
		return 0, false
	}
	return int64(v.m.number(int(KindInt))), true
}

// AsFloat returns a number, whole or not, and whether the value is one.
func (v Value) AsFloat() (float64, bool) {
	if v.Kind() != KindFloat {
		n, ok := v.AsInt()
		return float64(n), ok
	}
	return math.Float64frombits(v.m.number(int(KindFloat))), true
}

// AsBool returns true or false, and whether the value is one of them.
func (v Value) AsBool() (value, ok bool) {
	ok = v.Kind() == KindBool
	return ok && v.m.number(int(KindBool)) != 0, ok
}

// Elements returns the elements of an array; none if it is not one.
func (v Value) Elements() (list []Value) {
	if v.Kind() == KindArray {
		(&message{raw: v.field().value}).each(1, 0, 0, func(m *message) bool {
			list = append(list, Value{m})
			return true
		})
	}
	return list
}

// Map returns the members of a map, to be read; none if it is not one.
func (v Value) Map() Attributes {
	if v.Kind() != KindMap {
		return Attributes{&message{attributes: 1}}
	}
	return Attributes{&message{raw: v.field().value, attributes: 1}}
}

// appendValue appends a value as an AnyValue.
func appendValue(to []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendField(to, int(KindStr), bytes, []byte(v))
	case bool:
		if v {
			return append(to, byte(KindBool)<<3, 1)
		}
		return append(to, byte(KindBool)<<3, 0)
	case int:
		return appendValue(to, int64(v))
	case int64:
		return binary.AppendUvarint(append(to, byte(KindInt)<<3), uint64(v))
	case float64:
		return binary.LittleEndian.AppendUint64(append(to, byte(KindFloat)<<3|fixed64), math.Float64bits(v))
	case Value:
		if v.Exists() {
			return v.m.encode(to)
		}
	}
	panic("otlp: the value of an attribute is a string, bool, int, int64, float64 or Value")
}
