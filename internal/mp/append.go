package mp

import (
	"encoding/binary"
	"math"
)

// AppendNil appends nil.
func AppendNil(dst []byte) []byte { return append(dst, 0xc0) }

// AppendBool appends v.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// AppendUint appends v in the narrowest format.
func AppendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return append(dst, 0xcd, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
	}
}

// AppendInt appends v in the narrowest format, which is an unsigned one unless
// v is negative.
func AppendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return AppendUint(dst, uint64(v))
	case v >= -0x20:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, 0xd0, byte(v))
	case v >= math.MinInt16:
		return append(dst, 0xd1, byte(v>>8), byte(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
	}
}

// AppendFloat64 appends v, always in 64 bits.
func AppendFloat64(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(v))
}

// AppendString appends s, which is shorter than 4 GiB.
func AppendString(dst []byte, s string) []byte {
	return append(AppendStringHeader(dst, len(s)), s...)
}

// AppendStringHeader appends the header of a string of n bytes, 0 ≤ n < 1<<32.
func AppendStringHeader(dst []byte, n int) []byte {
	switch {
	case n < 0x20:
		return append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xd9, byte(n))
	default:
		return appendCount(dst, 0xda, n)
	}
}

// AppendArrayHeader appends the header of an array of n elements,
// 0 ≤ n < 1<<32.
func AppendArrayHeader(dst []byte, n int) []byte {
	if n < 0x10 {
		return append(dst, 0x90|byte(n))
	}
	return appendCount(dst, 0xdc, n)
}

// AppendMapHeader appends the header of a map of n pairs, 0 ≤ n < 1<<32.
func AppendMapHeader(dst []byte, n int) []byte {
	if n < 0x10 {
		return append(dst, 0x80|byte(n))
	}
	return appendCount(dst, 0xde, n)
}

// appendCount appends n in 16 bits after the byte lead16, or in 32 bits after
// the byte after lead16.
func appendCount(dst []byte, lead16 byte, n int) []byte {
	if n <= math.MaxUint16 {
		return append(dst, lead16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, lead16+1), uint32(n))
}

// AppendTimestampExt appends a timestamp as Fluent Bit writes it: extension
// type 0 of 8 bytes, the seconds and then the nanoseconds in 32 bits each, big
// endian (src/flb_time.c, flb_time_append_to_mpack, 5.1.1). Of sec the low 32
// bits are kept.
func AppendTimestampExt(dst []byte, sec int64, nsec uint32) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, 0xd7, 0x00), uint32(sec))
	return binary.BigEndian.AppendUint32(dst, nsec)
}
