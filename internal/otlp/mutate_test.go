package otlp

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// node is a field of a request, with what is in it if it is a message that the checks know.
type node struct {
	f    field
	of   *message
	kids []*node
}

func parse(m *message, b []byte, depth int) (list []*node) {
	for len(b) > 0 && depth > 0 {
		f, rest, err := next(b)
		if err != nil {
			return list
		}
		n := &node{f: f}
		if mem, ok := m.fields[f.number]; ok && mem.of != nil && f.wire == bytes {
			n.of, n.kids = mem.of, parse(mem.of, f.bytes, depth-1)
		}
		list, b = append(list, n), rest
	}
	return list
}

func write(list []*node) (out []byte) {
	for _, n := range list {
		content := n.f.bytes
		if n.of != nil {
			content = write(n.kids)
		}
		out = binary.AppendUvarint(out, uint64(n.f.number)<<3|uint64(n.f.wire))
		switch n.f.wire {
		case varint:
			out = binary.AppendUvarint(out, n.f.value)
		case fixed64:
			out = binary.LittleEndian.AppendUint64(out, n.f.value)
		case fixed32:
			out = binary.LittleEndian.AppendUint32(out, uint32(n.f.value))
		default:
			out = appendBytes(out[:len(out)-len(binary.AppendUvarint(nil, uint64(n.f.number)<<3|bytes))], n.f.number, content)
		}
	}
	return out
}

// mutate changes one field, somewhere, in a way that often leaves a request.
func mutate(r *rand.Rand, m *message, list []*node) []*node {
	if len(list) > 0 && r.IntN(4) > 0 {
		if n := list[r.IntN(len(list))]; n.of != nil {
			n.kids = mutate(r, n.of, n.kids)
			return list
		}
	}
	at := 0
	if len(list) > 0 {
		at = r.IntN(len(list))
	}
	switch k := r.IntN(8); {
	case len(list) == 0 || k == 0: // a field of the type, with little in it
		for number, mem := range m.fields {
			n := &node{f: field{number: number}}
			switch mem.kind {
			case integer, integers:
				n.f.value = r.Uint64() >> r.IntN(64)
			case quad, quads:
				n.f.wire, n.f.value = fixed64, r.Uint64()
			case word:
				n.f.wire, n.f.value = fixed32, r.Uint64()
			case choice:
				n.f.wire, n.f.value, n.of = mem.wire, r.Uint64(), mem.of
			default:
				n.f.wire, n.of = bytes, mem.of
			}
			return append(list, n)
		}
	case k == 1:
		return append(list[:at:at], list[at+1:]...)
	case k == 2: // twice, of which the other one says something else, or nothing
		copied := parse(m, write(list[at:at+1]), 100)[0]
		switch f := &copied.f; {
		case r.IntN(3) == 0:
		case copied.of != nil:
			copied.kids = mutate(r, copied.of, copied.kids)
		case f.wire == bytes:
			f.bytes = [][]byte{nil, []byte("key"), []byte(strings.Repeat("l", 1+r.IntN(4)))}[r.IntN(3)]
		default:
			f.value = r.Uint64() >> r.IntN(64)
		}
		return slices.Insert(list, r.IntN(len(list)+1), copied)
	case k == 7: // one that the type may have got since
		number := slices.Max(slices.Collect(maps.Keys(m.fields))) + 1
		return slices.Insert(list, r.IntN(len(list)+1), &node{f: field{number: number, value: 1}})
	case k == 3:
		other := r.IntN(len(list))
		list[at], list[other] = list[other], list[at]
	case k == 4:
		list[at].f.value = []uint64{0, 1, 1 << 31, 1<<63 - 1, 1 << 63, 1<<64 - 1, r.Uint64()}[r.IntN(7)]
	case k == 5 && list[at].of == nil && list[at].f.wire == bytes:
		b := list[at].f.bytes
		switch r.IntN(3) {
		case 0:
			list[at].f.bytes = b[:len(b)/2/8*8]
		case 1:
			list[at].f.bytes = append(b[:len(b):len(b)], b...)
		default:
			list[at].f.bytes = []byte("key")
		}
	default:
		list[at].f.number = 1 + r.IntN(16)
	}
	return list
}
