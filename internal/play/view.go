package play

import (
	"fmt"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// block is a value, or how it has changed, as lines to be shown.
type block struct {
	Title string `json:"title,omitempty"` // what it is, unless it is the body
	Lines []line `json:"lines"`
	More  bool   `json:"more,omitempty"` // there would be more lines
}

// line is a part of a value.
type line struct {
	Sign  string `json:"s,omitempty"` // + it is there now, - it was there
	Depth int    `json:"d,omitempty"`
	Text  string `json:"t"`
}

const (
	maxBlockLines = 300
	maxTextBytes  = 2000 // of a line
	maxShortBytes = 64   // of a list or map on one line
)

// changed shows where a value has changed.
func changed(title string, was, is trial.Value) block {
	v := view{}
	v.both(0, "", was, is, "")
	return block{title, v.lines, v.full()}
}

// whole shows one value, all of it with that sign.
func whole(title, sign string, value trial.Value) block {
	v := view{}
	v.one(sign, 0, "", value, "")
	return block{title, v.lines, v.full()}
}

type view struct{ lines []line }

func (v *view) full() bool { return len(v.lines) >= maxBlockLines }

func (v *view) add(sign string, depth int, text string) {
	if !v.full() {
		v.lines = append(v.lines, line{sign, depth, text})
	}
}

// one adds a value on one line if it is short, else its parts on lines of their own.
func (v *view) one(sign string, depth int, prefix string, value trial.Value, suffix string) {
	switch value := value.(type) {
	case trial.Map:
		if !isShort(value) {
			v.add(sign, depth, prefix+"{")
			for i, m := range value {
				if v.full() {
					return
				}
				v.one(sign, depth+1, key(m.Key), m.Value, comma(i, len(value)))
			}
			v.add(sign, depth, "}"+suffix)
			return
		}
	case trial.List:
		if !isShort(value) {
			v.add(sign, depth, prefix+"[")
			for i, x := range value {
				if v.full() {
					return
				}
				v.one(sign, depth+1, "", x, comma(i, len(value)))
			}
			v.add(sign, depth, "]"+suffix)
			return
		}
	}
	v.add(sign, depth, prefix+text(value)+suffix)
}

// both adds what two values have in common once, and the rest of each with its sign.
func (v *view) both(depth int, prefix string, was, is trial.Value, suffix string) {
	if v.full() {
		return
	}
	if trial.Equal(was, is) {
		v.one("", depth, prefix, is, suffix)
		return
	}
	switch w := was.(type) {
	case trial.Map:
		if i, ok := is.(trial.Map); ok {
			v.add("", depth, prefix+"{")
			v.maps(depth+1, w, i)
			v.add("", depth, "}"+suffix)
			return
		}
	case trial.List:
		if i, ok := is.(trial.List); ok {
			v.add("", depth, prefix+"[")
			v.lists(depth+1, w, i)
			v.add("", depth, "]"+suffix)
			return
		}
	}
	v.one("-", depth, prefix, was, suffix)
	v.one("+", depth, prefix, is, suffix)
}

func (v *view) maps(depth int, was, is trial.Map) {
	taken := make([]bool, len(is))
	at := make(map[string][]int, len(is))
	for i, m := range is {
		at[key(m.Key)] = append(at[key(m.Key)], i)
	}
	for n, m := range was {
		places := at[key(m.Key)]
		if len(places) == 0 {
			v.one("-", depth, key(m.Key), m.Value, ",")
			continue
		}
		i := places[0]
		at[key(m.Key)], taken[i] = places[1:], true
		v.both(depth, key(m.Key), m.Value, is[i].Value, comma(n, max(len(was), len(is))))
	}
	for i, m := range is {
		if !taken[i] {
			v.one("+", depth, key(m.Key), m.Value, comma(i, len(is)))
		}
	}
}

// lists leaves what both begin and end with as it is, and compares the rest one by one.
func (v *view) lists(depth int, was, is trial.List) {
	head := 0
	for head < min(len(was), len(is)) && trial.Equal(was[head], is[head]) {
		v.one("", depth, "", is[head], comma(head, len(is)))
		head++
	}
	tail := 0
	for tail < min(len(was), len(is))-head && trial.Equal(was[len(was)-1-tail], is[len(is)-1-tail]) {
		tail++
	}
	for n := head; n < max(len(was), len(is))-tail && !v.full(); n++ {
		switch {
		case n >= len(is)-tail:
			v.one("-", depth, "", was[n], ",")
		case n >= len(was)-tail:
			v.one("+", depth, "", is[n], comma(n, len(is)))
		default:
			v.both(depth, "", was[n], is[n], comma(n, len(is)))
		}
	}
	for n := len(is) - tail; n < len(is); n++ {
		v.one("", depth, "", is[n], comma(n, len(is)))
	}
}

func key(k trial.Value) string { return text(k) + ": " }

func comma(i, n int) string {
	if i < n-1 {
		return ","
	}
	return ""
}

// text is a value on one line, cut if it is long.
func text(v trial.Value) string {
	long := 0
	switch x := v.(type) {
	case string:
		if long = len(x); long > maxTextBytes {
			v = cut(x)
		}
	case trial.Bin:
		if long = len(x); long > maxTextBytes {
			v = x[:maxTextBytes]
		}
	case trial.Ext:
		if long = len(x.Data); long > maxTextBytes {
			v = trial.Ext{Type: x.Type, Data: x.Data[:maxTextBytes]}
		}
	default:
		if !isShort(v) { // a key of a map that is a map
			return "…"
		}
	}
	s := trial.Notation(v)
	if long > maxTextBytes {
		s += fmt.Sprintf(" … %d bytes", long)
	}
	return s
}

// cut cuts text, not within a character.
func cut(s string) string {
	end := maxTextBytes
	for end > maxTextBytes-4 && s[end]&0xc0 == 0x80 {
		end--
	}
	return s[:end]
}

// isShort reports whether a value fits on one line with others.
func isShort(v trial.Value) bool { return spend(v, maxShortBytes) >= 0 }

// spend is what a value leaves of a room, less than 0: it is too long.
func spend(v trial.Value, room int) int {
	switch v := v.(type) {
	case string:
		return room - len(v) - 2
	case trial.Bin:
		return room - len(v)
	case trial.Ext:
		return room - len(v.Data)
	case trial.List:
		for _, x := range v {
			if room = spend(x, room-1); room < 0 {
				break
			}
		}
	case trial.Map:
		for _, m := range v {
			if room = spend(m.Value, spend(m.Key, room-2)); room < 0 {
				break
			}
		}
	default:
		room -= 4
	}
	return room
}
