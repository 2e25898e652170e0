package flb

import (
	"slices"
	"strings"
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
// What is read is the part as it came; edits take effect when the filter has returned, one after the
// other. [Part.Edited] has them at once. An edit costs what it touches, however large the part is, unless
// another one has touched the same member before: then it costs a copy of the part.
type Part struct {
	came     string // nothing: there is no such part
	base     string // what edits are of: came, unless replaced
	replaced bool
	spare    [2][]byte // for bases: the first one has the latest
	puts     []sys.Op  // ascend
	edits    []sys.Op  // set, remove and add; B is the length of the key, with its header
	keys     int       // bytes of keys of sets and removes
	bytes    *[]byte   // the batch's, in which the operations' are
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

// Set gives what a path leads to the value, as [Value.Get] finds it. What is not there is added as the
// last member of its map, which is made if need be. Where a value that is not a map is in the way, the
// event fails. [Part.SetAt] and [Part.Add] make a key with a dot.
//
// Values are nil, bool, numbers and text of Go, []byte, which becomes a bin, [Value], [*Map], []string and
// []any; another type panics.
func (p *Part) Set(path string, value any) { p.change(textual(path), value, false) }

// SetAt does the same with what keys and numbers of elements lead to, as [Value.At] finds it.
func (p *Part) SetAt(steps []any, value any) { p.change(literal(steps), value, false) }

// Add adds a member as the last one, without a look whether its key is there. Dots in the key are its.
func (p *Part) Add(key string, value any) { p.edit(sys.Add, key, end, value) }

// Remove removes what a path leads to, if it is there.
func (p *Part) Remove(path string) { p.change(textual(path), nil, true) }

// RemoveAt removes what keys and numbers of elements lead to, if it is there.
func (p *Part) RemoveAt(steps ...any) { p.change(literal(steps), nil, true) }

// SetOrRemove sets what a path leads to if ok, and removes it if not.
func (p *Part) SetOrRemove(path string, value any, ok bool) { p.change(textual(path), value, !ok) }

func (p *Part) change(path path, value any, remove bool) {
	if !path.more {
		p.fail("a path has one step at least")
		return
	}
	if path.steps == nil && strings.IndexByte(path.text, '.') < 0 {
		p.edit(kindOf(remove), path.text, end, value)
		return
	}
	to, inPlace := p.find(path, !remove, true)
	switch {
	case !remove && !to.found.Exists() && to.holder.Kind() != KindMap:
		p.fail("set: a value that is not a map is in the way")
	case remove && !to.found.Exists():
	case len(to.holder.s) == len(p.base):
		p.edit(kindOf(remove), to.key, to.rest, value)
	case inPlace:
		p.putValue(to.found, value)
	default:
		from := len(*p.bytes)
		*p.bytes = to.appendChanged(*p.bytes, value, remove)
		p.put(to.holder, from)
	}
}

func kindOf(remove bool) uint8 {
	if remove {
		return sys.Remove
	}
	return sys.Set
}

// find returns where a path leads to once no earlier edit is in the way, and whether to put a value there: if
// one is to be put, and there is one, which with only has to be the only one with its key.
func (p *Part) find(path path, put, only bool) (to place, inPlace bool) {
	to = path.find(Value{p.base})
	inPlace = put && to.found.Exists() && (!only || to.isOnly())
	if p.touches(path, &to, inPlace) {
		p.carryOut()
		return p.find(path, put, only)
	}
	return to, inPlace
}

// touches says whether what has been edited has to do with a place that is to be edited: with the value
// that is there, or with all of its holder.
func (p *Part) touches(path path, to *place, inPlace bool) bool {
	if len(p.puts) > 0 {
		at, end := p.bounds(to.holder)
		if inPlace {
			at, _ = p.bounds(to.found)
			end = at
		} else if at == 0 {
			at, end = p.bounds(to.found)
		}
		if p.covers(p.before(end), at) {
			return true
		}
	}
	if len(p.edits) == 0 {
		return false
	}
	key, _, _ := path.first()
	return slices.ContainsFunc(p.edits, func(op sys.Op) bool {
		return p.isOf(&op, key) || path.steps == nil && p.isOf(&op, path.text)
	})
}

// bounds returns where a value of the base begins and ends.
func (p *Part) bounds(v Value) (at, end int) {
	at = len(p.base) - len(v.s)
	if v.Exists() {
		return at, at + skip(v.s, 0)
	}
	return at, at
}

// carryOut has edits from now on be those of the part as it is with the edits so far.
func (p *Part) carryOut() {
	base := p.appendEdited(p.spare[1][:0])
	p.spare[0], p.spare[1] = base, p.spare[0]
	p.rebase(view(base), true)
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

// edit sets, adds or removes a member.
func (p *Part) edit(kind uint8, key string, inner path, value any) {
	if p.came == "" {
		p.fail(missingPart)
		return
	}
	if kind != sys.Add {
		p.forget(key)
	}
	from, to := len(*p.bytes), appendStr(*p.bytes, key)
	op := sys.Op{Kind: kind, Address: uint32(from), B: uint32(len(to) - from)}
	if kind != sys.Remove {
		to = inner.appendNew(to, value)
	}
	*p.bytes, op.Len = to, uint32(len(to)-from)
	if kind != sys.Add {
		p.keys += int(op.B)
	}
	p.edits = append(p.edits, op)
	if len(p.edits) > maxEdits || p.keys > maxKeyBytes {
		p.carryOut()
	}
}

// Put replaces the value that a path leads to, however deep; false if there is none.
func (p *Part) Put(path string, value any) bool {
	to, exists := p.find(textual(path), true, false)
	if exists {
		p.putValue(to.found, value)
	}
	return exists
}

func (p *Part) putValue(old Value, value any) {
	from := len(*p.bytes)
	*p.bytes = appendValue(*p.bytes, value)
	p.put(old, from)
}

// PutValue replaces a value that has been read from the part, by whatever way; false if there is none. It
// goes before [Part.Set] and [Part.Remove] of whole members, whatever the order of the calls. A value that
// is no more, since it or one around it has been edited, fails the event.
func (p *Part) PutValue(old Value, value any) bool {
	at := len(p.came) - len(old.s)
	switch {
	case !old.Exists():
		return false
	case at < 0 || unsafe.StringData(p.came[at:]) != unsafe.StringData(old.s):
		p.fail("put: the value is not one of this part")
		return false
	case p.replaced:
		p.fail("put: the part has been replaced, or edited twice in one place: put values of it first")
		return false
	}
	p.putValue(old, value)
	return true
}

// put has the batch's bytes from one on replace a value of the base.
func (p *Part) put(old Value, from int) {
	at, end := p.bounds(old)
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
// puts what it returns in the text's place. Bins are taken for text. What edits have made is looked at,
// too, which costs a copy of the part: rewrite first.
func (p *Part) RewriteStrings(function func(text string) (string, bool)) {
	if p.edited() {
		p.rebase(view(p.appendEdited(nil)), true) // the function may keep texts
	}
	p.rewrite(0, function)
}

// rewrite returns the end of the value at base[at].
func (p *Part) rewrite(at int, function func(string) (string, bool)) int {
	kind, from, to, count := head(p.base, at)
	switch kind {
	case KindStr, KindBin:
		if text, ok := function(p.base[from:to]); ok {
			from := len(*p.bytes)
			if kind == KindStr {
				*p.bytes = appendStr(*p.bytes, text)
			} else {
				*p.bytes = appendBin(*p.bytes, text)
			}
			p.put(Value{p.base[at:]}, from)
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
	setCount(to[start:], most, n)
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
