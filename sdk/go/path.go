package flb

import (
	"strconv"
	"strings"
)

// path is what is left of a way to a value: a text with dots, or steps.
type path struct {
	text  string
	steps []any
	more  bool // something is left
}

// end is where nothing is left.
var end path

func textual(text string) path { return path{text: text, more: true} }

func literal(steps []any) path { return path{steps: steps, more: len(steps) > 0} }

// first returns the first part as a key, and as the number of an element or -1, and what is left then.
func (p path) first() (key string, index int, rest path) {
	if p.steps == nil {
		key, rest.text, rest.more = strings.Cut(p.text, ".")
		return key, digits(key), rest
	}
	switch step := p.steps[0].(type) {
	case string:
		return step, -1, literal(p.steps[1:])
	case int:
		return strconv.Itoa(step), step, literal(p.steps[1:])
	}
	panic("flb: a step of a path is a string or an int")
}

// step goes along the first part, or if a key is all that is left, along that. It returns the next value,
// which may be missing, its key, and what is left then.
func (p path) step(v Value) (next Value, key string, rest path) {
	if p.steps == nil {
		if next = v.Key(p.text); next.Exists() {
			return next, p.text, end
		}
	}
	key, index, rest := p.first()
	switch v.Kind() {
	case KindArray:
		next = v.Index(index)
	case KindMap:
		if p.steps != nil || rest.more { // else it is the key that has been looked for
			next = v.Key(key)
		}
	}
	return next, key, rest
}

// place is where a path leads to.
type place struct {
	holder Value  // the innermost value on the way that is there and holds another, the first one at least
	found  Value  // what is there, if it is
	key    string // of that in the holder, or of what is to be made there
	rest   path   // what is to be made in it
}

func (p path) find(from Value) (to place) {
	for to.holder, to.rest = from, p; to.rest.more; to.holder = to.found {
		to.found, to.key, to.rest = to.rest.step(to.holder)
		if !to.found.Exists() || !to.rest.more {
			break
		}
	}
	return to
}

// isOnly says whether there is a value, and no other one with its key.
func (to *place) isOnly() bool {
	n := 0
	for key := range to.holder.Members() {
		if text, ok := key.AsStr(); ok && text == to.key {
			n++
		}
	}
	return to.found.Exists() && n <= 1
}

// appendNew appends a value in maps with a member each.
func (p path) appendNew(to []byte, value any) []byte {
	for p.more {
		var key string
		key, _, p = p.first()
		to = appendStr(append(to, 0x81), key)
	}
	return appendValue(to, value)
}

// appendChanged appends the holder with another value at the place, or without one.
func (to *place) appendChanged(b []byte, value any, remove bool) []byte {
	s, start, n, done := to.holder.s, len(b), 0, remove
	kind, at, _, count := head(s, 0)
	if kind == KindMap {
		b = appendMapHead(b, count+1)
	} else {
		b = appendArrayHead(b, count+1)
	}
	for range count {
		from, is := at, at == len(s)-len(to.found.s)
		if kind == KindMap {
			key, ok := Value{s[at:]}.AsStr()
			at, is = skip(s, at), ok && key == to.key
		}
		end := skip(s, at)
		if !is {
			b = append(b, s[from:end]...)
			n++
		} else if !done {
			b = appendValue(append(b, s[from:at]...), value)
			n, done = n+1, true
		}
		at = end
	}
	if !done {
		b = to.rest.appendNew(appendStr(b, to.key), value)
		n++
	}
	setCount(b[start:], count+1, n)
	return b
}
