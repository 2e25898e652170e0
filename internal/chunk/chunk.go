// Package chunk takes the events of a Fluent Bit log chunk apart and puts new
// ones together. A chunk is a sequence of msgpack values, one per event,
// without anything around it.
//
// What is accepted follows src/flb_log_event_decoder.c of Fluent Bit 5.1.1,
// except where the comments say otherwise. All functions are safe for
// concurrent use on separate buffers.
package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// MaxDepth is how many containers may be nested in the metadata and in the body
// of an event. Fluent Bit's own reader stops far earlier, at 32 for the whole
// event (MSGPACK_EMBED_STACK_SIZE in lib/msgpack-c, 1.9 to 5.1).
const MaxDepth = 128

var (
	// ErrTruncated means that the chunk ends inside an event.
	ErrTruncated = mp.ErrTruncated
	// ErrFormat means that a value is not an event. The errors of Next wrap it and
	// say what is wrong.
	ErrFormat = errors.New("not a log event")
)

var (
	errElements = fmt.Errorf("%w: not an array of two elements", ErrFormat)
	errHeader   = fmt.Errorf("%w: its header is not an array of two elements", ErrFormat)
	errTime     = fmt.Errorf("%w: its timestamp is neither an integer, a float nor an event time", ErrFormat)
	errRange    = fmt.Errorf("%w: its timestamp is out of range", ErrFormat)
	errMetadata = fmt.Errorf("%w: its metadata is not a map", ErrFormat)
)

// Kind tells records from the markers around a group of records. A marker must
// stay what and where it is.
type Kind uint8

const (
	Record     Kind = iota
	GroupStart      // holds the resource and scope of the records that follow
	GroupEnd
)

// Seconds that make an event a marker (include/fluent-bit/flb_log_event.h,
// since 3.2).
const (
	groupStartSec = -1
	groupEndSec   = -2
)

// Event is one event of a chunk. Its slices alias the chunk, with their
// capacity clipped so that appending to one copies it.
type Event struct {
	Raw    []byte // the whole event
	Header []byte // the timestamp if Legacy, else [timestamp, metadata]
	Body   []byte // one value, as a rule a map
	Sec    int64  // since the Unix epoch; -1 and -2 in a marker
	Nsec   uint32 // as it came: an event time may hold more than 999,999,999
	Kind   Kind
	Legacy bool // [timestamp, body], as Fluent Bit wrote up to 2.0
}

// BodyIsMap reports whether the body is a map, without which Fluent Bit drops
// the event.
func (e Event) BodyIsMap() bool {
	return len(e.Body) > 0 && mp.KindOf(e.Body[0]) == mp.Map
}

// Next takes the first event off b, which holds at least one byte. rest is what
// follows. The whole event has been checked: its parts are valid msgpack, nested
// no deeper than MaxDepth. The error is ErrTruncated, or wraps ErrFormat; what
// follows then can't be found, and rest is b.
func Next(b []byte) (ev Event, rest []byte, err error) {
	ev, body, err := NextHeader(b)
	if err != nil {
		return Event{}, b, err
	}
	rest, err = mp.Skip(body, MaxDepth)
	if err != nil {
		return Event{}, b, describe(err)
	}
	ev.Raw = clip(b, rest)
	ev.Body = clip(body, rest)
	return ev, rest, nil
}

// NextHeader is the first half of Next: of the event, Raw and Body are not known
// yet. body is what follows the header, nothing if the chunk ends there. On an error
// body is b.
func NextHeader(b []byte) (ev Event, body []byte, err error) {
	count, rest, err := mp.ReadArrayHeader(b)
	if err == mp.ErrKind || err == nil && count != 2 {
		return Event{}, b, errElements
	}
	if err != nil {
		return Event{}, b, describe(err)
	}
	header := rest
	head, contents, err := mp.ReadHead(header)
	if err != nil {
		return Event{}, b, describe(err)
	}
	if head.Kind == mp.Array {
		if head.Arg != 2 {
			return Event{}, b, errHeader
		}
		head, contents, err = mp.ReadHead(contents)
		if err != nil {
			return Event{}, b, describe(err)
		}
	} else {
		ev.Legacy = true
	}
	if rest, err = ev.setTime(head, contents); err != nil {
		return Event{}, b, err
	}
	if !ev.Legacy {
		if len(rest) == 0 {
			return Event{}, b, ErrTruncated
		}
		if mp.KindOf(rest[0]) != mp.Map {
			return Event{}, b, errMetadata
		}
		if rest, err = mp.Skip(rest, MaxDepth); err != nil {
			return Event{}, b, describe(err)
		}
	}
	ev.Header = clip(header, rest)
	return ev, rest, nil
}

// clip returns the part of b that comes before its suffix rest.
func clip(b, rest []byte) []byte {
	n := len(b) - len(rest)
	return b[:n:n]
}

// describe makes an error of package mp one of this package.
func describe(err error) error {
	if err == ErrTruncated {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}

// setTime sets Sec, Nsec and Kind from a timestamp of which the head has been
// read, and returns what follows the timestamp.
func (e *Event) setTime(h mp.Head, contents []byte) (rest []byte, err error) {
	rest = contents
	switch h.Kind {
	case mp.Int: // below 0 only for markers; Fluent Bit itself refuses those
		e.Sec = int64(h.Arg)
	case mp.Uint:
		if h.Arg > math.MaxInt64 {
			return nil, errRange
		}
		e.Sec = int64(h.Arg)
	case mp.Float32:
		err = e.setFloatTime(float64(math.Float32frombits(uint32(h.Arg))))
	case mp.Float64:
		err = e.setFloatTime(math.Float64frombits(h.Arg))
	case mp.Ext:
		if h.ExtType != 0 || h.Arg != 8 {
			return nil, errTime
		}
		e.Sec = eventTimeSec(binary.BigEndian.Uint32(contents))
		e.Nsec = binary.BigEndian.Uint32(contents[4:])
		rest = contents[8:]
	default:
		return nil, errTime
	}
	if err != nil {
		return nil, err
	}
	switch e.Sec {
	case groupStartSec:
		e.Kind = GroupStart
	case groupEndSec:
		e.Kind = GroupEnd
	}
	return rest, nil
}

// eventTimeSec gives the seconds of an event time their sign. As in Fluent Bit
// 5.1.1, only the two values of the markers are negative, so that times after
// 2038 stay times; 3.2 to 4.2 read all of them as signed.
func eventTimeSec(sec uint32) int64 {
	if int32(sec) == groupStartSec || int32(sec) == groupEndSec {
		return int64(int32(sec))
	}
	return int64(sec)
}

// setFloatTime sets Sec, and Nsec to the nearest nanosecond. As in Fluent Bit,
// the seconds are cut toward zero; of a negative time, the rest is dropped.
func (e *Event) setFloatTime(t float64) error {
	// In this range both float64(sec) and the fraction are exact.
	if !(math.Abs(t) < 1<<62) {
		return errRange
	}
	sec := int64(t)
	nsec := uint32(math.Round(max(0, t-float64(sec)) * 1e9))
	if nsec == 1e9 {
		sec, nsec = sec+1, 0
	}
	e.Sec, e.Nsec = sec, nsec
	return nil
}

// AppendEvent appends an event that has the header of another, as in
// Event.Header, and the body body.
func AppendEvent(dst, header, body []byte) []byte {
	dst = mp.AppendArrayHeader(dst, 2)
	dst = append(dst, header...)
	return append(dst, body...)
}

// AppendRecord appends a record in the current format, [[timestamp, metadata],
// body]. metadata is a map; nil stands for an empty one. Of sec the low 32 bits
// are kept.
func AppendRecord(dst []byte, sec int64, nsec uint32, metadata, body []byte) []byte {
	dst = mp.AppendArrayHeader(dst, 2)
	dst = mp.AppendArrayHeader(dst, 2)
	dst = mp.AppendTimestampExt(dst, sec, nsec)
	if metadata == nil {
		dst = mp.AppendMapHeader(dst, 0)
	} else {
		dst = append(dst, metadata...)
	}
	return append(dst, body...)
}

// Parts are what an event's header is made of. metadata is a map; nil if the event is Legacy.
func (e Event) Parts() (time, metadata []byte) {
	if e.Legacy {
		return e.Header, nil
	}
	_, rest, _ := mp.ReadArrayHeader(e.Header) // without an error: Next has read it
	metadata, _ = mp.Skip(rest, 0)
	return clip(rest, metadata), metadata
}

// AppendHeader appends the header of an event. metadata is a map; nil: the event is Legacy.
func AppendHeader(dst, time, metadata []byte) []byte {
	if metadata == nil {
		return append(dst, time...)
	}
	dst = mp.AppendArrayHeader(dst, 2)
	dst = append(dst, time...)
	return append(dst, metadata...)
}

// AppendMarked appends the event with key and value added to it: to its metadata,
// or to its body if it is Legacy. An event whose part to be added to is not a map is
// appended as it came.
func AppendMarked(dst []byte, ev Event, key, value string) []byte {
	if ev.Legacy {
		body := appendPair(nil, ev.Body, key, value)
		if body == nil {
			return append(dst, ev.Raw...)
		}
		return AppendEvent(dst, ev.Header, body)
	}
	time, metadata := ev.Parts()
	dst = mp.AppendArrayHeader(dst, 2)
	dst = mp.AppendArrayHeader(dst, 2)
	dst = append(dst, time...)
	dst = appendPair(dst, metadata, key, value)
	return append(dst, ev.Body...)
}

// AppendWithMember appends the event with a member set in its body: one with that key is replaced.
// An event whose body is not a map is appended as it came.
func AppendWithMember(dst []byte, ev Event, key, value string) []byte {
	n, rest, err := mp.ReadMapHeader(ev.Body)
	if err != nil {
		return append(dst, ev.Raw...)
	}
	start := len(dst)
	dst = mp.AppendArrayHeader(dst, 2)
	dst = append(dst, ev.Header...)
	// The header of the new map is put before the members once their number is known.
	var members []byte
	kept := 0
	for range n {
		name, afterKey, err := mp.ReadHead(rest)
		if err != nil {
			return append(dst[:start], ev.Raw...)
		}
		same := name.Kind == mp.Str && string(afterKey[:min(int(name.Arg), len(afterKey))]) == key
		after, err := mp.Skip(rest, MaxDepth)
		if err == nil {
			after, err = mp.Skip(after, MaxDepth)
		}
		if err != nil {
			return append(dst[:start], ev.Raw...)
		}
		if !same {
			members = append(members, rest[:len(rest)-len(after)]...)
			kept++
		}
		rest = after
	}
	dst = mp.AppendMapHeader(dst, kept+1)
	dst = append(dst, members...)
	dst = mp.AppendString(dst, key)
	return mp.AppendString(dst, value)
}

// appendPair appends the map m with one pair more; it is nil if m is not a map.
func appendPair(dst, m []byte, key, value string) []byte {
	n, pairs, err := mp.ReadMapHeader(m)
	if err != nil {
		return nil
	}
	dst = mp.AppendMapHeader(dst, n+1)
	dst = append(dst, pairs...)
	dst = mp.AppendString(dst, key)
	return mp.AppendString(dst, value)
}
