package guest

// #include "lane.h"
import "C"

import (
	"fmt"
	"math"
	"regexp"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// The exports of a guest of the batch ABI (docs/abi.md).
const (
	batchMarker    = "flb_batch_1"
	bufferFunction = "flb_buffer"
	statefulMarker = "flb_stateful"

	batchSignature = "(i32, i32) -> i32"
)

// IsBatch says whether the module is a guest of the batch ABI: it is called for batches of records, and
// not for each of them.
func (m *Module) IsBatch() bool { return m.export(batchMarker) != nil }

// IsStateful says whether no record may go through the module twice.
func (m *Module) IsStateful() bool { return m.export(statefulMarker) != nil }

// anyMarker is the marker of a version of the batch ABI.
var anyMarker = regexp.MustCompile(`^flb_batch_[0-9]+$`)

// batchProblems says why the module can't be used as a guest of the batch ABI, if it asks for that.
func (m *Module) batchProblems() (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, e := range m.exports {
		if anyMarker.MatchString(e.name) && e.name != batchMarker && !m.IsBatch() {
			add("the module exports %s: of the batch ABI this version of the plugin knows %s; a newer one may know it", hostlog.Name(e.name), batchMarker)
		}
	}
	if !m.IsBatch() {
		return list
	}
	for _, marker := range []string{batchMarker, statefulMarker} {
		if e := m.export(marker); e != nil && !m.exportsFunc(marker, noParams) {
			add("%s has the type %s: it must be %q", marker, hostlog.Quote(e.typ, maxTypeBytes), "func "+noParams)
		}
	}
	if !m.exportsFunc(bufferFunction, allocType) {
		add("the module exports %s, and no function %s of the type func %s: it gives the input of a batch its place", batchMarker, bufferFunction, allocType)
	}
	return list
}

// signature is the type of the function that is called for records.
func (m *Module) signature() string {
	if m.IsBatch() {
		return batchSignature
	}
	return filterSignature
}

// parameters names those of signature.
func (m *Module) parameters() string {
	if m.IsBatch() {
		return "input, length: a batch, for the module exports " + batchMarker
	}
	return "tag, tag_len, sec, nsec, record, record_len"
}

// BatchLimits bound a batch.
type BatchLimits struct {
	Records uint32 // at least 1
	Bytes   uint64 // of its events, but for one that is larger
	// What fails is dropped, and so are groups that no batch has been answered with and of which no
	// record comes out.
	Drop bool
}

// SetBatch has the lane call its instances for batches.
func (l *Lane) SetBatch(limits BatchLimits) {
	l.c.batch.max_records = C.uint32_t(limits.Records)
	l.c.batch.max_bytes = C.size_t(limits.Bytes)
	l.c.batch.drop = C.bool(limits.Drop)
}

// Emitting says whether the guest has been called for a batch whose records are not all emitted.
func (l *Lane) Emitting() bool { return bool(l.c.batch.called) }

// Gathered is where in the chunk the events end that have been gathered for the next batch: after
// StopEvent, the one that begins there is for Gather.
func (l *Lane) Gathered() int { return int(l.c.batch.end) }

// EntryKind is what a gathered event is.
type EntryKind uint32

// The kinds. One that is unusable is a record that can't be given to a guest: the lane stops at it
// when it is to be emitted, with the outcome NotRun.
const (
	EntryRecord     EntryKind = C.FLBWT_ENTRY_RECORD
	EntryUnusable   EntryKind = C.FLBWT_ENTRY_UNUSABLE
	EntryGroupStart EntryKind = C.FLBWT_ENTRY_GROUP_START
	EntryGroupEnd   EntryKind = C.FLBWT_ENTRY_GROUP_END
)

// GroupEnd is the marker that ends a group, as Fluent Bit writes it.
var GroupEnd = C.GoBytes(unsafe.Pointer(&C.flbwt_group_end), C.FLBWT_GROUP_END_BYTES)

// Entry is an event, by where its parts are in the chunk; each ends where the next begins.
type Entry struct {
	Kind           EntryKind
	At, Time, Meta int // Meta is Body if it has no metadata
	Body, Next     int
	Sec            int64
	Nsec           uint32
}

// Gather adds the event Gathered to the batch. False: there is no memory.
func (l *Lane) Gather(e Entry) bool {
	base := int(l.c.batch.base)
	if e.Next-base > math.MaxUint32 {
		return false
	}
	offset := func(at int) C.uint32_t { return C.uint32_t(at - base) }
	return bool(C.flbwt_batch_gather(l.c, &C.flbwt_entry{
		place: C.flbwt_place{
			at: offset(e.At), time: offset(e.Time), meta: offset(e.Meta), body: offset(e.Body), next: offset(e.Next),
			sec: C.uint32_t(e.Sec), nsec: C.uint32_t(e.Nsec),
		},
		sec: C.int64_t(e.Sec), kind: C.uint32_t(e.Kind),
	}))
}

// BatchSeen says whether the guest has been called for the batch, after StopBatch: else it had no room for it.
func (l *Lane) BatchSeen() bool { return bool(l.c.batch.seen) }

// BatchRecords is how many records the batch has, after StopBatch.
func (l *Lane) BatchRecords() int { return int(l.c.batch.records) }

// BatchGroups is how many groups that the guest may change the batch has, after StopBatch.
func (l *Lane) BatchGroups() int {
	n := int(l.c.batch.groups_n)
	if outer := l.c.batch.outer; outer.next > 0 && bool(outer.answered) {
		n--
	}
	return n
}

// FailBatch has all records of the batch fail, after StopBatch: the lane stops at each, with the
// outcome of the batch. HalveBatch has them called for again, half as many at once.
func (l *Lane) FailBatch() { C.flbwt_batch_fail(l.c) }

// HalveBatch is described with FailBatch.
func (l *Lane) HalveBatch() { C.flbwt_batch_halve(l.c) }

// Why says what is wrong with a reply or an operation, after the outcomes BadReply, Breach and TooMuch.
func (l *Lane) Why() string {
	why, b := C.GoString(l.c.batch.why), &l.c.batch
	if b.refused_tag != nil {
		why += ": " + hostlog.Name(string(unsafe.Slice((*byte)(b.refused_tag), int(b.refused_tag_len))))
	}
	return why
}

// Verdict returns what the guest says of a record that has failed, after the outcome Error. The text may
// be anything.
func (l *Lane) Verdict() (code uint32, text string) {
	b := &l.c.batch
	return uint32(b.code), string(unsafe.Slice((*byte)(b.text), int(b.text_len)))
}

// PassMarker tells the lane of a marker that goes by outside of its batches, after OpenGroup or before
// EndGroup: its group is open then, or none.
func (l *Lane) PassMarker(e Entry) {
	l.c.batch.outer = C.flbwt_marker{}
	if e.Kind == EntryGroupStart {
		l.c.batch.outer = C.flbwt_marker{at: C.size_t(e.At), meta: C.size_t(e.Meta), body: C.size_t(e.Body), next: C.size_t(e.Next)}
		l.c.group.refused = l.c.batch.drop
	}
}
