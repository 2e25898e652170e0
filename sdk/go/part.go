package flb

import (
	"slices"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

// A host takes so many sets and removes of a part, and so many bytes of their keys.
const (
	maxEdits    = 256
	maxKeyBytes = 65536
)

const (
	emptyMap    = "\x80"
	missingPart = "the event is of a form that has no metadata, or its group has no map"
)

// Part is the body or the metadata of an event or group: a map.
//
// What is read is the part as it came; edits take effect when the filter has returned, and cost what
// they touch, however large the part is. [Part.Edited] has them at once.
type Part struct {
	came     string // nothing: there is no such part
	base     string // what edits are of: came, unless replaced
	replaced bool
	puts     []sys.Op // ascend
	edits    []sys.Op // set, remove and add; B is the length of the key, with its header
	keys     int      // bytes of keys of sets and removes
	bytes    *[]byte  // the batch's, in which the operations' are
	fault    string
}

// load goes to the next event or group.
func (p *Part) load(came string) { p.came, p.fault = came, ""; p.rebase(p.Value().s, false) }

func (p *Part) rebase(base string, replaced bool) {
	p.base, p.replaced, p.puts, p.edits, p.keys = base, replaced, p.puts[:0], p.edits[:0], 0
}

// Value returns the part as it came: a map.
func (p *Part) Value() Value {
	if p.came == "" {
		return Value{emptyMap}
	}
	return Value{p.came}
}

// Get returns what a path leads to, in the part as it came. See [Value.Get].
func (p *Part) Get(path string) Value { return p.Value().Get(path) }

// At returns what keys and numbers of elements lead to, in the part as it came. See [Value.At].
func (p *Part) At(steps ...any) Value { return p.Value().At(steps...) }

// GetStr returns the text that a path leads to, and whether there is one.
func (p *Part) GetStr(path string) (string, bool) { return p.Get(path).AsStr() }

// Set gives the member of that key the value, or adds it as the last one. Values are nil, bool, numbers
// and text of Go, []byte, which becomes a bin, [Value], [*Map], []string and []any; another type panics.
func (p *Part) Set(key string, value any) { p.forget(key); p.edit(sys.Set, key, value) }

// Add adds a member as the last one, without a look whether its key is there.
func (p *Part) Add(key string, value any) { p.edit(sys.Add, key, value) }

// Remove removes the member of that key, if it is there.
func (p *Part) Remove(key string) { p.forget(key); p.edit(sys.Remove, key, nil) }

// SetOrRemove sets the member if ok, and removes it if not.
func (p *Part) SetOrRemove(key string, value any, ok bool) {
	if ok {
		p.Set(key, value)
	} else {
		p.Remove(key)
	}
}

func (p *Part) op(op *sys.Op) string { return view((*p.bytes)[op.Address:][:op.Len]) }

func (p *Part) isOf(op *sys.Op, key string) bool {
	s := p.op(op)
	_, from, to, _ := head(s, 0)
	return s[from:to] == key
}

// forget leaves out what a set or remove of the key overrules: a host would do it after that. A remove
// stays: a member that is set after it is the last one.
func (p *Part) forget(key string) {
	for i := len(p.edits) - 1; i >= 0; i-- {
		if op := &p.edits[i]; op.Kind != sys.Remove && p.isOf(op, key) {
			if op.Kind == sys.Set {
				p.keys -= int(op.B)
			}
			p.edits = slices.Delete(p.edits, i, i+1)
		}
	}
}

func (p *Part) edit(kind uint8, key string, value any) {
	if p.came == "" {
		p.fail(missingPart)
		return
	}
	from, to := len(*p.bytes), appendStr(*p.bytes, key)
	op := sys.Op{Kind: kind, Address: uint32(from), B: uint32(len(to) - from)}
	if kind != sys.Remove {
		to = appendValue(to, value)
	}
	*p.bytes, op.Len = to, uint32(len(to)-from)
	if kind != sys.Add {
		p.keys += int(op.B)
	}
	p.edits = append(p.edits, op)
	if len(p.edits) > maxEdits || p.keys > maxKeyBytes {
		p.rebase(view(p.appendEdited(nil)), true)
	}
}

// Put replaces the value that a path leads to, however deep; false if there is none. A value inside one
// that has been replaced can't be: that fails the event. Puts go before [Part.Set] and [Part.Remove],
// which are of whole members, whatever the order of the calls.
func (p *Part) Put(path string, value any) bool { return p.PutValue(p.Get(path), value) }

// PutValue does the same with a value that has been read from the part, by whatever way.
func (p *Part) PutValue(old Value, value any) bool {
	at := len(p.came) - len(old.s)
	switch {
	case !old.Exists():
		return false
	case at < 0 || unsafe.StringData(p.came[at:]) != unsafe.StringData(old.s):
		p.fail("put: the value is not one of this part")
		return false
	case p.replaced:
		p.fail("put after replace, or after 256 edits: put first")
		return false
	}
	from := len(*p.bytes)
	*p.bytes = appendValue(*p.bytes, value)
	p.put(at, at+skip(old.s, 0), from)
	return true
}

// put has the batch's bytes from one on replace those from at to end.
func (p *Part) put(at, end, from int) {
	first, last := p.before(at), p.before(end)
	if p.covers(first, at) {
		p.fail("put inside a value that has been replaced")
		return
	}
	op := sys.Op{Kind: sys.Put, A: uint32(at), B: uint32(end - at), Address: uint32(from), Len: uint32(len(*p.bytes) - from)}
	p.puts = slices.Replace(p.puts, first, last, op)
}

// before returns how many puts begin before a place.
func (p *Part) before(at int) int {
	n := len(p.puts)
	if n == 0 || int(p.puts[n-1].A) < at {
		return n
	}
	n, _ = slices.BinarySearchFunc(p.puts, at, func(p sys.Op, at int) int { return int(p.A) - at })
	return n
}

// covers says whether the last of the first n puts goes beyond a place.
func (p *Part) covers(n, at int) bool { return n > 0 && int(p.puts[n-1].A+p.puts[n-1].B) > at }

// Replace replaces the part as a whole, by a [*Map] or a [Value] that is a map, and forgets earlier
// edits of it.
func (p *Part) Replace(with any) {
	base := view(appendValue(nil, with))
	if p.came == "" {
		p.fail(missingPart)
	} else if (Value{base}).Kind() != KindMap {
		p.fail("replace: a part is a map")
	} else {
		p.rebase(base, true)
	}
}

// RewriteStrings calls a function for each text that is a value, at any depth, and if it returns true
// puts what it returns in the text's place. Bins are taken for text. Text that has been put, set or
// added before is not looked at.
func (p *Part) RewriteStrings(function func(text string) (string, bool)) { p.rewrite(0, function) }

// rewrite returns the end of the value at base[at].
func (p *Part) rewrite(at int, function func(string) (string, bool)) int {
	kind, from, to, count := head(p.base, at)
	switch kind {
	case KindStr, KindBin:
		if p.covers(p.before(at+1), at) {
			break
		}
		if text, ok := function(p.base[from:to]); ok {
			from := len(*p.bytes)
			if kind == KindStr {
				*p.bytes = appendStr(*p.bytes, text)
			} else {
				*p.bytes = appendBin(*p.bytes, text)
			}
			p.put(at, to, from)
		}
	case KindArray:
		for ; count > 0; count-- {
			to = p.rewrite(to, function)
		}
	case KindMap:
		for ; count > 0; count-- {
			to = p.rewrite(skip(p.base, to), function)
		}
	}
	return to
}

// Edited returns a copy of the part with the edits so far.
func (p *Part) Edited() *Map { return MapOf(Value{view(p.appendEdited(nil))}) }

func (p *Part) edited() bool { return p.replaced || len(p.puts)+len(p.edits) > 0 }

// appendEdited does what a host does with put, remove, set and add.
func (p *Part) appendEdited(to []byte) []byte {
	_, at, _, count := head(p.base, 0)
	start, most, n, next := len(to), count+len(p.edits), 0, 0
	to = appendMapHead(to, most)
	for ; count > 0; count-- {
		value := skip(p.base, at)
		end := skip(p.base, value)
		edit := p.editOf(Value{p.base[at:]})
		if edit == nil || edit.Kind == sys.Set && edit.Part == 0 {
			to = append(to, p.base[at:value]...)
			n++
		}
		for at = value; next < len(p.puts) && int(p.puts[next].A) < end; next++ {
			if put := &p.puts[next]; edit == nil {
				to = append(append(to, p.base[at:put.A]...), p.op(put)...)
				at = int(put.A + put.B)
			}
		}
		if edit == nil {
			to = append(to, p.base[at:end]...)
		} else if edit.Kind == sys.Set && edit.Part == 0 {
			to = append(to, p.op(edit)[edit.B:]...)
			edit.Part = 1 // done
		}
		at = end
	}
	for _, kind := range [2]uint8{sys.Set, sys.Add} {
		for i := range p.edits {
			if op := &p.edits[i]; op.Kind == kind && op.Part == 0 {
				to = append(to, p.op(op)...)
				n++
			}
		}
	}
	for i := range p.edits {
		p.edits[i].Part = 0
	}
	// The header has the width of the most that there could be.
	switch h := to[start:]; {
	case most <= 15:
		h[0] = 0x80 | byte(n)
	case most < 1<<16:
		h[1], h[2] = byte(n>>8), byte(n)
	default:
		h[1], h[2], h[3], h[4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	}
	return to
}

// editOf returns the remove of a key, or else the set.
func (p *Part) editOf(key Value) (edit *sys.Op) {
	text, ok := key.AsStr()
	for i := range p.edits {
		if op := &p.edits[i]; ok && op.Kind != sys.Add && p.isOf(op, text) && (edit == nil || op.Kind == sys.Remove) {
			edit = op
		}
	}
	return edit
}

// sets says whether a member has been set or added.
func (p *Part) sets(key string) bool {
	return slices.ContainsFunc(p.edits, func(op sys.Op) bool { return op.Kind != sys.Remove && p.isOf(&op, key) })
}

// fail fails the event, if it does not fail already.
func (p *Part) fail(why string) {
	if p.fault == "" {
		p.fault = why
	}
}

// finish appends the operations on the part.
func (p *Part) finish(of int, part uint8, ops []sys.Op) []sys.Op {
	if p.replaced {
		from := len(*p.bytes)
		*p.bytes = p.appendEdited(*p.bytes)
		return append(ops, sys.Op{Of: uint32(of), Kind: sys.Replace, Part: part, Address: uint32(from), Len: uint32(len(*p.bytes) - from)})
	}
	for _, list := range [2][]sys.Op{p.puts, p.edits} {
		for _, op := range list {
			op.Of, op.Part = uint32(of), part
			switch op.Kind {
			case sys.Add:
				op.A, op.B = 1, 0
			case sys.Set, sys.Remove:
				op.B = 0
			}
			ops = append(ops, op)
		}
	}
	return ops
}
