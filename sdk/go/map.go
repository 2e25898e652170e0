package flb

import (
	"encoding/binary"
	"math"
)

// appendHead appends a header with a length: a short form up to most where there is one, else of 1
// byte (where one is its lead), 2 or 4.
func appendHead(to []byte, n int, short byte, most int, one, two byte) []byte {
	switch {
	case n <= most:
		return append(to, short|byte(n))
	case one != 0 && n < 1<<8:
		return append(to, one, byte(n))
	case n < 1<<16:
		return append(to, two, byte(n>>8), byte(n))
	}
	return append(to, two+1, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func appendMapHead(to []byte, n int) []byte { return appendHead(to, n, 0x80, 15, 0, 0xde) }

func appendArrayHead(to []byte, n int) []byte { return appendHead(to, n, 0x90, 15, 0, 0xdc) }

// setCount writes how many there are into the header of a map or array that was made for the most.
func setCount(h []byte, most, n int) {
	switch {
	case most <= 15:
		h[0] = h[0]&0xf0 | byte(n)
	case most < 1<<16:
		h[1], h[2] = byte(n>>8), byte(n)
	default:
		h[1], h[2], h[3], h[4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	}
}

func appendStr(to []byte, s string) []byte {
	return append(appendHead(to, len(s), 0xa0, 31, 0xd9, 0xda), s...)
}

func appendBin(to []byte, s string) []byte {
	return append(appendHead(to, len(s), 0, -1, 0xc4, 0xc5), s...)
}

func appendUint(to []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(to, byte(n))
	case n < 1<<8:
		return append(to, 0xcc, byte(n))
	case n < 1<<16:
		return append(to, 0xcd, byte(n>>8), byte(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(to, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(to, 0xcf), n)
}

func appendInt(to []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendUint(to, uint64(n))
	case n >= -0x20:
		return append(to, byte(n))
	case n >= -1<<7:
		return append(to, 0xd0, byte(n))
	case n >= -1<<15:
		return append(to, 0xd1, byte(n>>8), byte(n))
	case n >= -1<<31:
		return binary.BigEndian.AppendUint32(append(to, 0xd2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(to, 0xd3), uint64(n))
}

// appendValue appends a value of the types that [Part.Set] has.
func appendValue(to []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(to, 0xc0)
	case string:
		return appendStr(to, v)
	case bool:
		if v {
			return append(to, 0xc3)
		}
		return append(to, 0xc2)
	case int:
		return appendInt(to, int64(v))
	case int32:
		return appendInt(to, int64(v))
	case int64:
		return appendInt(to, v)
	case uint:
		return appendUint(to, uint64(v))
	case uint8:
		return appendUint(to, uint64(v))
	case uint32:
		return appendUint(to, uint64(v))
	case uint64:
		return appendUint(to, v)
	case float32:
		return appendValue(to, float64(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(to, 0xcb), math.Float64bits(v))
	case []byte:
		return appendBin(to, view(v))
	case Value:
		if !v.Exists() {
			return append(to, 0xc0)
		}
		return append(to, v.MessagePack()...)
	case *Map:
		return append(appendMapHead(to, v.count), v.members...)
	case []string:
		return appendSlice(to, v, appendStr)
	case []any:
		return appendSlice(to, v, appendValue)
	}
	panic("a value of this type can't be put into a record")
}

func appendSlice[T any](to []byte, list []T, element func([]byte, T) []byte) []byte {
	to = appendArrayHead(to, len(list))
	for _, e := range list {
		to = element(to, e)
	}
	return to
}

// Map is a map of one's own, to be put into a record or emitted. The zero Map is empty.
type Map struct {
	count   int
	members []byte
}

// NewMap returns an empty map.
func NewMap() *Map { return &Map{} }

// MapOf copies a value that is a map; of something else it returns an empty map.
func MapOf(v Value) *Map {
	m := &Map{}
	if v.Kind() == KindMap {
		_, at, _, count := head(v.s, 0)
		m.count, m.members = count, []byte(v.MessagePack()[at:])
	}
	return m
}

// Add adds a member as the last one, without a look whether its key is there. It returns the map.
func (m *Map) Add(key string, value any) *Map {
	m.count++
	m.members = appendValue(appendStr(m.members, key), value)
	return m
}

// Set does what [Part.Set] does, in the map. It costs a copy of the map, and returns it; where a value
// that is not a map is in the way, it panics, which fails the event.
func (m *Map) Set(path string, value any) *Map {
	return m.edit(func(p *Part) { p.Set(path, value) })
}

// Remove removes what the path leads to, if it is there. It costs a copy of the map, and returns it.
func (m *Map) Remove(path string) *Map {
	return m.edit(func(p *Part) { p.Remove(path) })
}

func (m *Map) edit(edit func(*Part)) *Map {
	p := Part{bytes: new([]byte)}
	p.load(m.Value().s)
	if edit(&p); p.fault != "" {
		panic(p.fault)
	}
	*m = *p.Edited()
	return m
}

// Value returns a copy of the map as it is, to read it.
func (m *Map) Value() Value { return Value{view(appendValue(nil, m))} }
