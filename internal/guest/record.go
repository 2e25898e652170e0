package guest

// #include "lane.h"
// #include "../hostcall/record.h"
import "C"

import (
	"encoding/binary"
	"unsafe"
)

// Changes are what a guest has set of its record, and the records that it has emitted after it, as
// it has given them: nothing is checked but times. Bytes are valid until the lane goes on.
type Changes struct {
	HasTime   bool
	Sec, Nsec uint32
	Metadata  []byte // nil: not set
	Group     []byte // the body of the group's marker; nil: not set
	emitted   []byte
}

// Changes returns those of the record that has been called for, after StopRecord. ok: there are some.
func (l *Lane) Changes() (c Changes, ok bool) {
	r := l.c.guest.instance.current
	if r == nil || r.changes == 0 {
		return Changes{}, false
	}
	view := func(b *C.flbwt_buffer, set C.uint) []byte {
		if r.changes&set == 0 {
			return nil
		}
		return unsafe.Slice((*byte)(unsafe.Pointer(b.data)), int(b.len))
	}
	return Changes{
		HasTime:  r.changes&C.FLBWT_TIME_SET != 0,
		Sec:      uint32(r.sec),
		Nsec:     uint32(r.nsec),
		Metadata: view(&r.new_metadata, C.FLBWT_METADATA_SET),
		Group:    view(&r.new_group, C.FLBWT_GROUP_SET),
		emitted:  view(&r.emitted, C.FLBWT_EMITTED),
	}, true
}

// Emits says whether records have been emitted that Next has not taken.
func (c *Changes) Emits() bool { return len(c.emitted) > 0 }

// Emitted is a record that a guest has emitted.
type Emitted struct {
	HasTime        bool // else it has that of the record after which it comes
	Sec, Nsec      uint32
	Body, Metadata []byte // no Metadata: it has that of the record
	Tag            []byte // that it is emitted under; none: the chunk's
}

// Next takes the next record that has been emitted off c. False: there is none.
func (c *Changes) Next() (e Emitted, ok bool) {
	if len(c.emitted) == 0 {
		return Emitted{}, false
	}
	var head C.flbwt_emitted // which may stand at any address
	number := func(offset uintptr) uint32 { return binary.NativeEndian.Uint32(c.emitted[offset:]) }
	sec := int64(binary.NativeEndian.Uint64(c.emitted[unsafe.Offsetof(head.sec):]))
	e = Emitted{HasTime: sec != -1, Sec: uint32(sec), Nsec: number(unsafe.Offsetof(head.nsec))}
	bodyEnd := C.sizeof_flbwt_emitted + int(number(unsafe.Offsetof(head.body_len)))
	metadataEnd := bodyEnd + int(number(unsafe.Offsetof(head.metadata_len)))
	end := metadataEnd + int(number(unsafe.Offsetof(head.tag_len)))
	e.Body, e.Metadata, e.Tag = c.emitted[C.sizeof_flbwt_emitted:bodyEnd], c.emitted[bodyEnd:metadataEnd], c.emitted[metadataEnd:end]
	c.emitted = c.emitted[end:]
	return e, true
}

// OpenGroup says that what is emitted next is the marker of the event At, which begins a group, with
// data[at:end] for a body. It stays open until CloseGroup or EndGroup.
func (l *Lane) OpenGroup(at, end int) { C.flbwt_lane_open_group(l.c, C.size_t(at), C.size_t(end)) }

// GroupBody returns the body of the marker of the group that is open, nil if there is none. It is valid
// until SetGroupBody.
func (l *Lane) GroupBody(data []byte) []byte {
	g := &l.c.group
	switch {
	case !bool(g.open):
		return nil
	case bool(g.set):
		return unsafe.Slice((*byte)(unsafe.Pointer(g.body.data)), int(g.body.len))
	default:
		return data[g.at:g.end]
	}
}

// SetGroupBody has the group that is open have another body. False: there is no memory.
func (l *Lane) SetGroupBody(body []byte) bool {
	return bool(C.flbwt_lane_set_group(l.c, pointer(body), C.size_t(len(body))))
}

// CloseGroup ends the group that is open, if there is one: its marker gets the body that has been set, or
// is taken out of what has been emitted if FailRecord was called, and no record of it has been answered.
// False: there is no memory.
func (l *Lane) CloseGroup(data []byte) bool {
	return bool(C.flbwt_lane_close_group(l.c, pointer(data)))
}

// EndGroup does so at the end marker At, which ends at next, and emits that, unless it has nothing to end.
func (l *Lane) EndGroup(data []byte, next int) bool {
	return bool(C.flbwt_lane_end_group(l.c, pointer(data), C.size_t(next)))
}

// PassRecord says that one has failed, and comes out all the same though others are dropped.
func (l *Lane) PassRecord() { l.c.group.passed = true }

// FailRecord says that a record of the open group, if there is one, has failed and is dropped.
func (l *Lane) FailRecord() { l.c.group.failed = true }
