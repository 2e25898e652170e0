// Package oracle writes and reads chunks with a library codec, so that tests
// don't repeat the mistakes of the project's own.
package oracle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"
)

var (
	values = handle(false)
	parts  = handle(true)
)

// handle makes a codec of the present msgpack format, with ext, bin and str.
func handle(raw bool) *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.MapType = reflect.TypeOf(map[string]any(nil))
	h.Canonical = true
	h.Raw = raw
	return h
}

// An Event is an event as it is on the wire.
type Event struct {
	// Header is msgpack, kept byte for byte: a timestamp, or an array of a
	// timestamp and metadata.
	Header string
	// Body is the record. Numbers are of type Integer or float64.
	Body any
	// Keys are the keys of the record and of the maps in it, in their order.
	Keys string
}

// An Integer is a whole number in whatever width and sign it was encoded.
type Integer string

// Timestamp is Fluent Bit's event time: ext type 0, seconds and nanoseconds.
func Timestamp(sec, nsec uint32) any {
	b := binary.BigEndian.AppendUint32(nil, sec)
	return codec.RawExt{Tag: 0, Data: binary.BigEndian.AppendUint32(b, nsec)}
}

// Current is an event as since Fluent Bit 2.1.
func Current(time any, metadata map[string]any, body any) any {
	return []any{[]any{time, metadata}, body}
}

// Legacy is an event as up to Fluent Bit 2.0.
func Legacy(time, body any) any { return []any{time, body} }

// Pack encodes values one after the other. It panics if it can't.
func Pack(vs ...any) []byte {
	var out []byte
	for _, v := range vs {
		var b []byte
		if err := codec.NewEncoderBytes(&b, values).Encode(v); err != nil {
			panic(err)
		}
		out = append(out, b...)
	}
	return out
}

// Unpack reads the events of a chunk. With an error it returns the events before
// the one that it can't read.
func Unpack(chunk []byte) ([]Event, error) {
	var events []Event
	for len(chunk) > 0 {
		var both []codec.Raw
		d := codec.NewDecoderBytes(chunk, parts)
		if err := d.Decode(&both); err != nil {
			return events, fmt.Errorf("event %d: %w", len(events), err)
		}
		if len(both) != 2 {
			return events, fmt.Errorf("event %d has %d parts", len(events), len(both))
		}
		chunk = chunk[d.NumBytesRead():]
		e := Event{Header: string(both[0])}
		if err := Value(both[1], &e.Body); err != nil {
			return events, fmt.Errorf("body of event %d: %w", len(events), err)
		}
		text, err := appendKeys(nil, orNull(both[1]))
		if err != nil {
			return events, fmt.Errorf("keys of event %d: %w", len(events), err)
		}
		e.Keys = string(text)
		events = append(events, e)
	}
	return events, nil
}

// Value decodes one msgpack value.
func Value(b []byte, v *any) error {
	err := codec.NewDecoderBytes(b, values).Decode(v)
	*v = normal(*v)
	return err
}

// Raw decodes one msgpack value into v, of which the parts that are codec.Raw stay
// encoded; a nil becomes an empty one.
func Raw(b []byte, v any) error { return codec.NewDecoderBytes(b, parts).Decode(v) }

// pairs are the keys and values of a map, in turn.
type pairs []codec.Raw

// MapBySlice tells the codec to read maps into the type.
func (pairs) MapBySlice() {}

// ErrNotContainer is the error of Elements for a value that has none.
var ErrNotContainer = errors.New("not an array or map")

// Elements reads the elements of an array, or the keys and values of a map in turn, each
// as it is encoded.
func Elements(b []byte) (elements []codec.Raw, isMap bool, err error) {
	switch first := b[0]; {
	case first&0xf0 == 0x80, first == 0xde, first == 0xdf:
		isMap = true
		err = Raw(b, (*pairs)(&elements))
	case first&0xf0 == 0x90, first == 0xdc, first == 0xdd:
		err = Raw(b, &elements)
	default:
		err = ErrNotContainer
	}
	for i := range elements {
		elements[i] = orNull(elements[i])
	}
	return elements, isMap, err
}

// orNull restores a nil, of which the codec leaves nothing.
func orNull(v codec.Raw) codec.Raw {
	if len(v) == 0 {
		return codec.Raw{0xc0}
	}
	return v
}

// Keys returns the keys of the maps in a value, as in Event.
func Keys(b []byte) (string, error) {
	text, err := appendKeys(nil, orNull(b))
	return string(text), err
}

// appendKeys writes the keys of a value's maps as {"key""key"{"key"}}.
func appendKeys(text []byte, v codec.Raw) ([]byte, error) {
	elements, isMap, err := Elements(v)
	switch {
	case err == ErrNotContainer:
		return text, nil
	case isMap:
		text = append(text, '{')
		for i := 0; i+1 < len(elements) && err == nil; i += 2 {
			var key any
			if err := Value(elements[i], &key); err != nil {
				return nil, err
			}
			text = fmt.Appendf(text, "%q", key)
			text, err = appendKeys(text, elements[i+1])
		}
		text = append(text, '}')
	default:
		for i := 0; i < len(elements) && err == nil; i++ {
			text, err = appendKeys(text, elements[i])
		}
	}
	return text, err
}

// normal makes values that differ only in the width of their encoding equal.
// Floats stay floats: 418.0 is not 418.
func normal(v any) any {
	switch v := v.(type) {
	case int64:
		return Integer(strconv.FormatInt(v, 10))
	case uint64:
		return Integer(strconv.FormatUint(v, 10))
	case float32:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = normal(v[k])
		}
	}
	return v
}

// Diff says how two chunks differ, event by event: headers byte for byte,
// bodies by type and value. It is "" if they don't.
func Diff(want, got []byte) string {
	w, err := Unpack(want)
	if err != nil {
		return fmt.Sprintf("the chunk that is wanted: %v", err)
	}
	g, err := Unpack(got)
	if err != nil {
		return fmt.Sprintf("%v in %x", err, got[:min(len(got), 64)])
	}
	return cmp.Diff(w, g)
}
