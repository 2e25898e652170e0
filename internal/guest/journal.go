package guest

// #include "lane.h"
import "C"

import (
	"encoding/binary"
	"iter"
	"unsafe"
)

// JournalEntry is an event that is emitted under another tag than the chunk's. Bytes are valid until the next call of
// TakeJournal.
type JournalEntry struct {
	Tag    []byte
	Marker []byte // that begins its group; none: it is in none
	Event  []byte
	Hops   uint32 // filters that it has come through; 0: they are not counted
}

// TakeJournal takes what has been emitted under other tags by chunks, and then by ticks.
func (l *Lane) TakeJournal() iter.Seq[JournalEntry] {
	C.flbwt_lane_take_journal(l.c, &l.taken)
	return func(yield func(JournalEntry) bool) {
		for rest := unsafe.Slice((*byte)(unsafe.Pointer(l.taken.data)), int(l.taken.len)); len(rest) > 0; {
			var head C.flbwt_journal_entry // which may stand at any address
			cut := func(n int) []byte {
				part := rest[:n:n]
				rest = rest[n:]
				return part
			}
			header := cut(C.sizeof_flbwt_journal_entry)
			number := func(offset uintptr) int { return int(binary.NativeEndian.Uint32(header[offset:])) }
			r := JournalEntry{Tag: cut(number(unsafe.Offsetof(head.tag_len))), Hops: uint32(number(unsafe.Offsetof(head.hops)))}
			r.Marker = cut(number(unsafe.Offsetof(head.marker_len)))
			r.Event = cut(number(unsafe.Offsetof(head.event_len)))
			if !yield(r) {
				return
			}
		}
	}
}

// JoinJournal moves what another lane has emitted under other tags behind that of this one.
func (l *Lane) JoinJournal(from *Lane) { C.flbwt_lane_join_journal(l.c, from.c) }

// KeepJournal forgets what the last chunk has emitted under other tags, which is counted as kept: the chunk stays as
// it came.
func (l *Lane) KeepJournal() { C.flbwt_lane_keep_journal(l.c) }

// DropJournal forgets all events under other tags that nobody has taken, counts them as dropped, and returns how many
// they are.
func (l *Lane) DropJournal() uint64 { return uint64(C.flbwt_lane_drop_journal(l.c)) }

// CountLost counts events under other tags as dropped.
func (l *Lane) CountLost(events int) { C.flbwt_lane_count_lost(l.c, C.uint64_t(events)) }

// Route emits an event under another tag, from the record with that metadata, in the group that is open. False:
// there is no memory.
func (l *Lane) Route(data, tag, metadata, event []byte) bool {
	return bool(C.flbwt_lane_route(l.c, pointer(data), pointer(tag), C.uint32_t(len(tag)),
		pointer(metadata), C.size_t(len(metadata)), pointer(event), C.uint32_t(len(event))))
}

// RouteTick emits one of a tick.
func (l *Lane) RouteTick(tag, event []byte) bool {
	return bool(C.flbwt_lane_route_tick(l.c, pointer(tag), C.uint32_t(len(tag)), pointer(event), C.uint32_t(len(event))))
}

// JournalEntryBytes is what Route needs of Room, besides the tag, MarkerBytes and the event.
const JournalEntryBytes = C.sizeof_flbwt_journal_entry

// MarkerBytes is how long the marker of the group is that is open; 0: there is none.
func (l *Lane) MarkerBytes(data []byte) int {
	var start, body *C.uint8_t
	var startLen, bodyLen C.size_t
	C.flbwt_lane_marker(l.c, pointer(data), &start, &startLen, &body, &bodyLen)
	return int(startLen) + int(bodyLen)
}

// CountHops has events that are emitted under other tags say how many filters they have come through; those of ticks
// have come through so many, unless that is 0. For the tests' sake: the border does so in C.
func (l *Lane) CountHops(on bool, ofTicks uint32) {
	C.flbwt_lane_give_hops(l.c, C.bool(on), C.uint32_t(ofTicks))
}

// CountHopsAs has them do so as those of another lane do.
func (l *Lane) CountHopsAs(other *Lane) {
	l.c.count_hops, l.c.tick_hops = other.c.count_hops, other.c.tick_hops
}

// EndHops goes behind a chunk, or a tick, before TakeJournal. kept: no event of the chunk has left it. For the tests'
// sake, as CountHops.
func (l *Lane) EndHops(tick, kept bool) {
	if l.c.tick_hops > 0 {
		C.flbwt_lane_end_hops(l.c, C.bool(tick), C.bool(kept))
	}
}

// ChunkHops is how many filters the event of a chunk that has come farthest will have come through. For the tests'
// sake, as CountHops.
func ChunkHops(chunk []byte) uint32 {
	return uint32(C.flbwt_chunk_hops(pointer(chunk), C.size_t(len(chunk))))
}

// ChunkEvents is how many events a chunk has, as far as it can be read. For the tests' sake, as CountHops.
func ChunkEvents(chunk []byte) int {
	return int(C.flbwt_chunk_events(pointer(chunk), C.size_t(len(chunk))))
}
