// Package otlp checks OTLP requests of metrics and traces that guests have made, before a decoder of the
// host gets them: Fluent Bit's believe much of what they read, and leave out in silence what they do not
// know. It knows neither guests nor Fluent Bit's types.
package otlp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Wire types of protocol buffers.
const (
	varint  = 0
	fixed64 = 1
	bytes   = 2
	fixed32 = 5
)

var errCut = errors.New("it is cut off, or no protocol buffer")

// field is one field of a message.
type field struct {
	number int
	wire   int
	value  uint64 // of a number
	bytes  []byte // of wire type bytes
}

// next reads the first field of a message, and returns what follows it.
func next(message []byte) (f field, rest []byte, err error) {
	key, rest, err := number(message)
	if err != nil {
		return f, nil, err
	}
	f.number, f.wire = int(key>>3), int(key&7)
	if key>>3 == 0 || key>>3 > 1<<29-1 {
		return f, nil, fmt.Errorf("there is no field of number %d", key>>3)
	}
	switch f.wire {
	case varint:
		f.value, rest, err = number(rest)
	case fixed64:
		if len(rest) < 8 {
			return f, nil, errCut
		}
		f.value, rest = binary.LittleEndian.Uint64(rest), rest[8:]
	case fixed32:
		if len(rest) < 4 {
			return f, nil, errCut
		}
		f.value, rest = uint64(binary.LittleEndian.Uint32(rest)), rest[4:]
	case bytes:
		var n uint64
		if n, rest, err = number(rest); err != nil {
			return f, nil, err
		}
		if n > uint64(len(rest)) {
			return f, nil, errCut
		}
		f.bytes, rest = rest[:n], rest[n:]
	default:
		return f, nil, fmt.Errorf("a field of wire type %d", f.wire)
	}
	return f, rest, err
}

// number reads a varint of at most 64 bits.
func number(p []byte) (value uint64, rest []byte, err error) {
	v, n := binary.Uvarint(p)
	if n <= 0 {
		return 0, nil, errCut
	}
	return v, p[n:], nil
}

func appendBytes(to []byte, number int, content []byte) []byte {
	to = binary.AppendUvarint(to, uint64(number)<<3|bytes)
	to = binary.AppendUvarint(to, uint64(len(content)))
	return append(to, content...)
}
