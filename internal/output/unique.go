package output

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// uniqueKeys takes members out of JSON objects that have another of the same name
// behind them. Its time is linear in the text, whatever the names are. It may be used
// again, but not by two goroutines at once.
type uniqueKeys struct {
	seed    maphash.Seed
	open    []container
	members []member
	dead    []span

	// Where the last member of each name is in members, by hash; a power of two.
	// What an earlier round has left has another number.
	table []slot
	round uint32
}

type container struct {
	object bool
	id     int // of an object, in the text
	last   int // its last member, -1 if there is none
}

type member struct {
	key  span
	in   int // the object's id
	next int // where the next member begins
}

type slot struct {
	round  uint32
	member int
}

type span struct{ from, to int }

// clean takes them out of text, valid JSON in which equal names are written alike, as
// package transcode does, and returns what is left of it, in its place.
func (u *uniqueKeys) clean(text []byte) []byte {
	u.begin()
	key := false // a string that comes now is the name of a member
	objects := 0
	for i := 0; i < len(text); {
		switch text[i] {
		case '{':
			u.open = append(u.open, container{object: true, id: objects, last: -1})
			objects++
			key = true
		case '[':
			u.open = append(u.open, container{})
			key = false
		case '}', ']':
			u.open = u.open[:len(u.open)-1]
		case ',':
			key = u.open[len(u.open)-1].object
		case '"':
			end := stringEnd(text, i)
			if key {
				u.add(text, span{i, end})
				key = false
			}
			i = end
			continue
		}
		i++
	}
	if len(u.dead) == 0 {
		return text
	}
	// A member that goes may hold others that go.
	slices.SortFunc(u.dead, func(a, b span) int { return a.from - b.from })
	out, done := text[:0], 0
	for _, d := range u.dead {
		if d.from >= done {
			out = append(out, text[done:d.from]...)
			done = d.to
		}
	}
	return append(out, text[done:]...)
}

func (u *uniqueKeys) begin() {
	if u.table == nil {
		u.seed = maphash.MakeSeed()
		u.table = make([]slot, 64)
	}
	if u.round++; u.round == 0 {
		clear(u.table)
		u.round = 1
	}
	u.open, u.members, u.dead = u.open[:0], u.members[:0], u.dead[:0]
}

// add notes a member of the object that is open.
func (u *uniqueKeys) add(text []byte, key span) {
	in := &u.open[len(u.open)-1]
	if in.last >= 0 {
		u.members[in.last].next = key.from
	}
	in.last = len(u.members)
	u.members = append(u.members, member{key: key, in: in.id})
	if 2*len(u.members) > len(u.table) {
		u.grow(text)
	}
	s := u.find(text, in.last)
	if s.round == u.round {
		// The next member begins before this one ends.
		u.dead = append(u.dead, span{u.members[s.member].key.from, u.members[s.member].next})
	}
	*s = slot{u.round, in.last}
}

// find finds the slot of a member's name, or where it belongs.
func (u *uniqueKeys) find(text []byte, m int) *slot {
	key := text[u.members[m].key.from:u.members[m].key.to]
	in := u.members[m].in
	mask := len(u.table) - 1
	for i := (int(maphash.Bytes(u.seed, key)) + in*0x9e3779b1) & mask; ; i = (i + 1) & mask {
		s := &u.table[i]
		if s.round != u.round {
			return s
		}
		other := u.members[s.member]
		if other.in == in && bytes.Equal(key, text[other.key.from:other.key.to]) {
			return s
		}
	}
}

func (u *uniqueKeys) grow(text []byte) {
	old := u.table
	u.table = make([]slot, 2*len(old))
	for _, s := range old {
		if s.round == u.round {
			*u.find(text, s.member) = s
		}
	}
}

// stringEnd returns where the string that begins at i ends.
func stringEnd(text []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(text[i:], '"')
		slash := i
		for text[slash-1] == '\\' {
			slash--
		}
		if (i-slash)%2 == 0 {
			return i + 1
		}
	}
}
