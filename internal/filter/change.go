package filter

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

// What a guest has set of its record, and emitted after it, by host functions.

// given is what events are made of then, kept so that a record needs no allocation.
type given struct {
	time, metadata, header            []byte // of the record, as they have been set
	otherTime, otherMetadata, emitted []byte // the same of an emitted record; emitted is its header
	group                             []byte
	routed                            []byte // events for other tags
	elsewhere                         []elsewhere
	metadataParts, groupParts         transcode.Originals
}

// elsewhere is an event that is emitted under another tag. Its tag is the guest's, until that goes on.
type elsewhere struct {
	tag []byte
	end int // of the event in given.routed, where the next one begins
}

// maxMetadataDepth is less than guest.MaxReplyDepth by the header's array, which metadata stands in.
const maxMetadataDepth = guest.MaxReplyDepth - 1

// change makes f.event of a record, of the guest's answer and of what it has set and emitted. A group
// whose body is set has it only if the cause is none; else err may say more. records are those of the
// answer, emitted what comes after them.
func (f *Filter) change(data []byte, event *chunk.Event, outcome guest.Outcome, c guest.Changes) (records, emitted int, why cause, err error) {
	if outcome != guest.Reply && outcome != guest.Drop {
		return 0, 0, causeOf(outcome), nil
	}
	g := &f.given
	g.trim()
	g.routed, g.elsewhere = g.routed[:0], g.elsewhere[:0]
	time, metadata := event.Parts()
	came := metadata
	if !f.msgpack && (c.Metadata != nil || c.Emits()) {
		g.metadataParts.Find(came)
	}
	if c.HasTime {
		g.time = mp.AppendTimestampExt(g.time[:0], int64(c.Sec), c.Nsec)
		time = g.time
	}
	if c.Metadata != nil {
		if g.metadata, err = f.appendGiven(g.metadata[:0], c.Metadata, came, maxMetadataDepth, &g.metadataParts); err != nil {
			return 0, 0, givenInvalid, fmt.Errorf("metadata_set: %w", err)
		}
		metadata = g.metadata
	}
	g.header = chunk.AppendHeader(g.header[:0], time, metadata)

	f.event = f.event[:0]
	switch {
	case outcome == guest.Drop:
	case f.lane.Repeated():
		f.event = chunk.AppendEvent(f.event, g.header, event.Body)
		records = 1
	default:
		changed := *event
		changed.Header = g.header
		if records, why, err = f.reply(&changed, f.lane.Reply()); why != none {
			return 0, 0, why, err
		}
	}
	if emitted, why, err = f.appendEmitted(event, c, time, metadata); why != none {
		return 0, 0, why, err
	}
	if c.Group != nil {
		if why, err = f.setGroup(data, c.Group); why != none {
			return 0, 0, why, err
		}
	}
	return records, emitted, none, nil
}

// appendEmitted appends what the guest has emitted to f.event, and what goes under other tags to given. time and
// metadata are the record's, as they have been set.
func (f *Filter) appendEmitted(event *chunk.Event, c guest.Changes, time, metadata []byte) (emitted int, why cause, err error) {
	g := &f.given
	_, came := event.Parts()
	if !f.msgpack && c.Emits() {
		lossy := event.Body
		if !f.lane.Lossy() {
			lossy = nil
		}
		f.originals.Find(lossy)
	}
	for e, ok := c.Next(); ok; e, ok = c.Next() {
		header, to, number := g.header, &f.event, emitted+len(g.elsewhere)+1
		if len(e.Tag) > 0 {
			to = &g.routed
		}
		if e.HasTime || len(e.Metadata) > 0 {
			t, m := time, metadata
			if e.HasTime {
				g.otherTime = mp.AppendTimestampExt(g.otherTime[:0], int64(e.Sec), e.Nsec)
				t = g.otherTime
			}
			if len(e.Metadata) > 0 {
				if g.otherMetadata, err = f.appendGiven(g.otherMetadata[:0], e.Metadata, came, maxMetadataDepth, &g.metadataParts); err != nil {
					return 0, givenInvalid, fmt.Errorf("emit, metadata of record %d: %w", number, err)
				}
				m = g.otherMetadata
			}
			g.emitted = chunk.AppendHeader(g.emitted[:0], t, m)
			header = g.emitted
		}
		*to = chunk.AppendEvent(*to, header, nil)
		if *to, err = f.appendGiven(*to, e.Body, event.Body, guest.MaxReplyDepth, &f.originals); err != nil {
			return 0, givenInvalid, fmt.Errorf("emit, record %d: %w", number, err)
		}
		if len(e.Tag) > 0 {
			g.elsewhere = append(g.elsewhere, elsewhere{e.Tag, len(g.routed)})
		} else {
			emitted++
		}
		if len(f.event)+len(g.routed) > maxSplitBytes {
			return 0, causeOf(guest.ReplyTooLarge), errSplitTooLarge
		}
	}
	return emitted, none, nil
}

// setGroup has the open group have another body, if the chunk has room for it next to f.event.
func (f *Filter) setGroup(data, value []byte) (why cause, err error) {
	g, came := &f.given, f.lane.GroupBody(data)
	if !f.msgpack {
		g.groupParts.Find(came)
	}
	if g.group, err = f.appendGiven(g.group[:0], value, came, guest.MaxReplyDepth, &g.groupParts); err != nil {
		return givenInvalid, fmt.Errorf("group_set: %w", err)
	}
	need := len(f.event) + len(g.group) + f.elsewhereBytes(data, len(g.group))
	switch room := f.lane.Room(); {
	case bytes.Equal(g.group, came):
	case need > room:
		return chunkTooLarge, fmt.Errorf("this one makes %d bytes of events and its group, and %d are left", need, room)
	case !f.lane.SetGroupBody(g.group):
		return causeOf(guest.HostNoMemory), nil
	}
	return none, nil
}

var errFollowed = errors.New("something follows the map")

// appendGiven appends a map that the guest has given in the place of one that came, or next to it, of
// which parts are the originals. It may nest depth deep, or as deep as what came.
func (f *Filter) appendGiven(dst, value, came []byte, depth int, parts *transcode.Originals) ([]byte, error) {
	out, err := f.appendMap(dst, value, depth, parts)
	if errors.Is(err, mp.ErrDepth) {
		out, err = f.appendMap(dst, value, max(depth, mp.Depth(came)), parts)
	}
	return out, err
}

func (f *Filter) appendMap(dst, value []byte, depth int, parts *transcode.Originals) ([]byte, error) {
	if f.msgpack || f.batch {
		if mp.KindOf(value[0]) != mp.Map {
			return dst, errNotMap
		}
		rest, err := mp.Skip(value, depth)
		if err == nil && len(rest) > 0 {
			err = errFollowed
		}
		return append(dst, value...), err
	}
	value = skipBlanks(value)
	if first(value) != '{' {
		return dst, errNotMap
	}
	out, n, err := transcode.AppendMsgpackOf(dst, value, depth, parts)
	if err == nil && len(skipBlanks(value[n:])) > 0 {
		err = errFollowed
	}
	return out, err
}

// trim gives back what a large record has left.
func (g *given) trim() {
	for _, b := range []*[]byte{&g.metadata, &g.header, &g.otherMetadata, &g.emitted, &g.group, &g.routed} {
		if cap(*b) > keepBytes {
			*b = nil
		}
	}
}
