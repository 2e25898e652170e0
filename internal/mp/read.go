// Package mp reads and writes the formats of the MessagePack specification,
// as far as Fluent Bit's chunks need them.
//
// The shape is that of github.com/tinylib/msgp: ReadX takes a buffer and
// returns a value and what follows it, AppendX appends to a buffer and returns
// it. Nothing here keeps state, so everything is safe for concurrent use as
// long as buffers are not shared. The input is untrusted: every length is
// checked against the bytes that are there, nothing is allocated for it, and
// nesting is limited.
package mp

import (
	"encoding/binary"
	"errors"
)

var (
	// ErrTruncated means that the buffer ends inside a value.
	ErrTruncated = errors.New("value is truncated")
	// ErrDepth means that more containers are nested than was allowed.
	ErrDepth = errors.New("value is nested too deeply")
	// ErrInvalid means that a value starts with 0xc1, which the specification
	// never uses.
	ErrInvalid = errors.New("invalid msgpack byte 0xc1")
	// ErrKind means that the value is not of the kind that was asked for.
	ErrKind = errors.New("msgpack value is of another kind")
)

// Kind is a family of formats. Int and Uint tell how a number is stored, not
// its sign: 5 may come as either.
type Kind uint8

const (
	Invalid Kind = iota // 0xc1
	Nil
	Bool
	Int
	Uint
	Float32
	Float64
	Str
	Bin
	Ext
	Array
	Map
)

// Head is what a value says before its contents.
type Head struct {
	Kind    Kind
	ExtType int8 // of an Ext
	// Arg is the value itself of a Bool (0 or 1), an Int (two's complement),
	// a Uint or a float (IEEE 754 bits), the length in bytes of the payload of
	// a Str, Bin or Ext, and the number of elements of an Array or pairs of a
	// Map.
	Arg uint64
}

// format is what the first byte of a value tells.
type format struct {
	kind     Kind
	argWidth uint8 // bytes of argument after the first byte
	fixedArg uint8 // the argument when argWidth is 0
	fixedLen uint8 // bytes of the whole value, 0 if the first byte leaves it open
}

var formats = func() (t [256]format) {
	for i := range 0x80 {
		lead := uint8(i)
		t[lead] = format{kind: Uint, fixedArg: lead, fixedLen: 1} // positive fixint
	}
	for i := range uint8(0x10) {
		t[0x80|i] = format{kind: Map, fixedArg: i}
		t[0x90|i] = format{kind: Array, fixedArg: i}
	}
	for i := range uint8(0x20) {
		t[0xa0|i] = format{kind: Str, fixedArg: i, fixedLen: 1 + i}
		t[0xe0|i] = format{kind: Int, fixedArg: 0xe0 | i, fixedLen: 1} // negative fixint
	}
	t[0xc0] = format{kind: Nil, fixedLen: 1}
	t[0xc2] = format{kind: Bool, fixedArg: 0, fixedLen: 1}
	t[0xc3] = format{kind: Bool, fixedArg: 1, fixedLen: 1}
	t[0xca] = format{kind: Float32, argWidth: 4, fixedLen: 5}
	t[0xcb] = format{kind: Float64, argWidth: 8, fixedLen: 9}
	for i := range uint8(4) {
		width := uint8(1) << i
		t[0xcc+i] = format{kind: Uint, argWidth: width, fixedLen: 1 + width}
		t[0xd0+i] = format{kind: Int, argWidth: width, fixedLen: 1 + width}
	}
	for i := range uint8(5) {
		t[0xd4+i] = format{kind: Ext, fixedArg: 1 << i, fixedLen: 2 + 1<<i}
	}
	for i := range uint8(3) {
		width := uint8(1) << i
		t[0xc4+i] = format{kind: Bin, argWidth: width}
		t[0xc7+i] = format{kind: Ext, argWidth: width}
		t[0xd9+i] = format{kind: Str, argWidth: width}
	}
	for i := range uint8(2) {
		width := uint8(2) << i
		t[0xdc+i] = format{kind: Array, argWidth: width}
		t[0xde+i] = format{kind: Map, argWidth: width}
	}
	return t
}()

// KindOf returns the kind of the values that start with the byte lead.
func KindOf(lead byte) Kind { return formats[lead].kind }

// ReadHead reads the head of the first value of b. What follows it, rest,
// starts with the payload of a Str, Bin or Ext, or with the first element of
// an Array or Map, and is known to be long enough for the payload, or for one
// byte per element. On an error rest is b.
func ReadHead(b []byte) (h Head, rest []byte, err error) {
	if len(b) == 0 {
		return Head{}, b, ErrTruncated
	}
	f := formats[b[0]]
	h = Head{Kind: f.kind, Arg: uint64(f.fixedArg)}
	rest = b[1:]
	if len(rest) < int(f.argWidth) {
		return Head{}, b, ErrTruncated
	}
	switch f.argWidth {
	case 1:
		h.Arg, rest = uint64(rest[0]), rest[1:]
	case 2:
		h.Arg, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
	case 4:
		h.Arg, rest = uint64(binary.BigEndian.Uint32(rest)), rest[4:]
	case 8:
		h.Arg, rest = binary.BigEndian.Uint64(rest), rest[8:]
	}
	min := uint64(0) // bytes that must follow
	switch f.kind {
	case Invalid:
		return Head{}, b, ErrInvalid
	case Int:
		unused := 64 - 8*max(1, f.argWidth)
		h.Arg = uint64(int64(h.Arg<<unused) >> unused)
	case Str, Bin, Array:
		min = h.Arg
	case Map:
		min = 2 * h.Arg
	case Ext:
		if len(rest) == 0 {
			return Head{}, b, ErrTruncated
		}
		h.ExtType, rest = int8(rest[0]), rest[1:]
		min = h.Arg
	}
	if min > uint64(len(rest)) {
		return Head{}, b, ErrTruncated
	}
	return h, rest, nil
}

// ReadMapHeader reads the header of a map of n pairs. b holds at least 2n
// bytes after it. The error is ErrKind if the first value of b is not a map; rest
// is then b.
func ReadMapHeader(b []byte) (n int, rest []byte, err error) {
	return readCount(b, Map)
}

// ReadArrayHeader reads the header of an array of n elements. b holds at least
// n bytes after it. The error is ErrKind if the first value of b is not an array;
// rest is then b.
func ReadArrayHeader(b []byte) (n int, rest []byte, err error) {
	return readCount(b, Array)
}

func readCount(b []byte, kind Kind) (int, []byte, error) {
	h, rest, err := ReadHead(b)
	if err != nil {
		return 0, b, err
	}
	if h.Kind != kind {
		return 0, b, ErrKind
	}
	return int(h.Arg), rest, nil
}

// Skip returns what follows the first value of b, having checked the whole of
// that value. A scalar has depth 0, a container is one deeper than the deepest
// of its elements; a value deeper than maxDepth is refused with ErrDepth. On an
// error rest is b. The time taken is proportional to the bytes skipped, the
// stack used to maxDepth.
func Skip(b []byte, maxDepth int) (rest []byte, err error) {
	rest, _, err = walk(b, 1, maxDepth)
	if err != nil {
		return b, err
	}
	return rest, nil
}

// deepest is as far as Depth looks, so that its recursion is bounded whatever
// it is given.
const deepest = 10_000

// Depth returns how many containers are nested in one another in the first
// value of b, which must be valid: 0 for a scalar, 1 for a map of scalars.
// Anything deeper than 10,000 counts as 10,001.
func Depth(b []byte) int {
	_, depth, err := walk(b, 1, deepest)
	if err == ErrDepth {
		return deepest + 1
	}
	return depth
}

// walk goes over n values and returns what follows them and the depth of the
// deepest.
func walk(b []byte, n uint64, maxDepth int) (rest []byte, depth int, err error) {
	for ; n > 0; n-- {
		if len(b) == 0 {
			return b, depth, ErrTruncated
		}
		if size := int(formats[b[0]].fixedLen); size != 0 {
			if size > len(b) {
				return b, depth, ErrTruncated
			}
			b = b[size:]
			continue
		}
		h, contents, err := ReadHead(b)
		if err != nil {
			return b, depth, err
		}
		if h.Kind != Array && h.Kind != Map {
			b = contents[h.Arg:]
			continue
		}
		if maxDepth <= 0 {
			return b, depth, ErrDepth
		}
		elements := h.Arg
		if h.Kind == Map {
			elements *= 2
		}
		var inner int
		b, inner, err = walk(contents, elements, maxDepth-1)
		depth = max(depth, inner+1)
		if err != nil {
			return b, depth, err
		}
	}
	return b, depth, nil
}
