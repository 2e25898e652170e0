package oracle

import (
	"bytes"
	"slices"

	"github.com/tinylib/msgp/msgp"
)

// What docs/abi.md says of edits.

// The kinds of edits, by the numbers of their operations.
const (
	replace = 4 + iota
	set
	add
	remove
	put
)

// An Edit is an operation on a part of an event.
type Edit struct {
	Kind, A, B uint32
	Bytes      []byte
}

// A Member is one of a map, as MessagePack.
type Member struct{ Key, Value []byte }

// A Part is a value at v[At:], within Level containers of the value v.
type Part struct{ At, Len, Level int }

// Parts lists all parts of a value that is whole, itself first.
func Parts(v []byte) (list []Part) {
	appendParts(v, 0, 0, &list)
	return list
}

// appendParts lists what stands in the value at v[at:], which stands in level containers, and how deep it
// nests. ok is false if it is not whole.
func appendParts(v []byte, at, level int, list *[]Part) (end, depth int, ok bool) {
	rest, err := msgp.Skip(v[at:])
	if err != nil {
		return 0, 0, false
	}
	end = len(v) - len(rest)
	*list = append(*list, Part{at, end - at, level})
	var n uint64
	var inner []byte
	if pairs, after, err := msgp.ReadMapHeaderBytes(v[at:]); err == nil {
		n, inner, depth = uint64(pairs)*2, after, 1
	} else if elements, after, err := msgp.ReadArrayHeaderBytes(v[at:]); err == nil {
		n, inner, depth = uint64(elements), after, 1
	}
	child := len(v) - len(inner)
	for range n {
		var nested int
		if child, nested, ok = appendParts(v, child, level+1, list); !ok {
			return 0, 0, false
		}
		depth = max(depth, nested+1)
	}
	return end, depth, true
}

// WholeValues takes n values apart, if they are whole and nest at most depth deep.
func WholeValues(b []byte, n, depth int) (list [][]byte, ok bool) {
	for range n {
		if len(b) == 0 {
			return nil, false
		}
		end, nested, ok := appendParts(b, 0, 0, new([]Part))
		if !ok || nested > depth {
			return nil, false
		}
		list = append(list, b[:end])
		b = b[end:]
	}
	return list, len(b) == 0
}

// sameKey: strings of the same bytes, or the same bytes.
func sameKey(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, _, errX := msgp.ReadStringZC(a)
	y, _, errY := msgp.ReadStringZC(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// EditMap returns the members of the map that edits make of a value, which may nest so deep, or as deep as
// it came. ok is false if an edit may not be.
func EditMap(in []byte, edits []Edit, depth int) (members []Member, ok bool) {
	var inside []Part
	_, came, _ := appendParts(in, 0, 0, &inside)
	depth = max(depth, came)
	named, keyBytes := 0, 0
	var with []byte // what is put
	done := 0
	for _, e := range edits {
		switch e.Kind {
		case replace:
			v, ok := WholeValues(e.Bytes, 1, depth)
			if len(edits) > 1 || !ok || !IsMap(v[0]) {
				return nil, false
			}
			return Members(v[0]), true
		case set, remove:
			n := 1
			if e.Kind == set {
				n = 2
			}
			if _, ok := WholeValues(e.Bytes, n, depth-1); !ok {
				return nil, false
			}
			end, _, _ := appendParts(e.Bytes, 0, 0, new([]Part))
			named++
			if keyBytes += end; named > 256 || keyBytes > 65536 {
				return nil, false
			}
		case add:
			if uint64(e.A)*2 > uint64(len(e.Bytes)) {
				return nil, false
			}
			if _, ok := WholeValues(e.Bytes, int(e.A)*2, depth-1); !ok {
				return nil, false
			}
		case put:
			i := slices.IndexFunc(inside, func(p Part) bool { return p.At == int(e.A) && p.Len == int(e.B) && p.Level > 0 })
			if i < 0 || int(e.A) < done {
				return nil, false
			}
			if _, ok := WholeValues(e.Bytes, 1, depth-inside[i].Level); !ok {
				return nil, false
			}
			with = append(append(with, in[done:e.A]...), e.Bytes...)
			done = int(e.A + e.B)
		}
	}
	if !IsMap(in) {
		return nil, false
	}
	members = Members(append(with, in[done:]...))
	for _, e := range edits {
		if e.Kind == remove {
			members = slices.DeleteFunc(members, func(m Member) bool { return sameKey(m.Key, e.Bytes) })
		}
	}
	// Of several set with one key the last counts: the others may as well not be there.
	var sets []Member
	for _, e := range edits {
		if e.Kind == set {
			kv, _ := WholeValues(e.Bytes, 2, depth)
			sets = slices.DeleteFunc(sets, func(m Member) bool { return sameKey(m.Key, kv[0]) })
			sets = append(sets, Member{kv[0], kv[1]})
		}
	}
	for _, s := range sets {
		first := slices.IndexFunc(members, func(m Member) bool { return sameKey(m.Key, s.Key) })
		if first < 0 {
			members = append(members, s)
			continue
		}
		members[first] = s
		kept := slices.DeleteFunc(slices.Clone(members[first+1:]), func(m Member) bool { return sameKey(m.Key, s.Key) })
		members = append(members[:first+1], kept...)
	}
	for _, e := range edits {
		if e.Kind == add {
			kv, _ := WholeValues(e.Bytes, int(e.A)*2, depth)
			for i := 0; i < len(kv); i += 2 {
				members = append(members, Member{kv[i], kv[i+1]})
			}
		}
	}
	return members, true
}

// IsMap says whether a value is a map.
func IsMap(v []byte) bool { return len(v) > 0 && msgp.NextType(v) == msgp.MapType }

// Members takes a map apart that is whole.
func Members(m []byte) (list []Member) {
	n, rest, err := msgp.ReadMapHeaderBytes(m)
	if err != nil {
		panic(err)
	}
	kv, _ := WholeValues(rest, int(n)*2, 1<<20)
	for i := 0; i < len(kv); i += 2 {
		list = append(list, Member{kv[i], kv[i+1]})
	}
	return list
}
