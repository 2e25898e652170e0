package guest

// #include <stdlib.h>
// #include "lane.h"
// #include "../hostcall/record.h"
import "C"

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fast" // for lane.c and call.c
)

// MaxRecordBytes is how many bytes a record may have on its way into a guest.
const MaxRecordBytes = math.MaxInt32

// MaxReplyDepth bounds the nesting of a reply, unless its record nests deeper.
const MaxReplyDepth = C.FLBWT_REPLY_DEPTH

// Stop says why a lane has stopped.
type Stop uint32

// Why a lane stops.
const (
	StopDone     Stop = C.FLBWT_STOP_DONE      // the chunk, or the event of Call, has been dealt with
	StopBudget   Stop = C.FLBWT_STOP_BUDGET    // as many records as were allowed have been called for
	StopOutput   Stop = C.FLBWT_STOP_OUTPUT    // the guest has output, which is to be taken
	StopEvent    Stop = C.FLBWT_STOP_EVENT     // the event At has not been begun: it is not an ordinary record
	StopRecord   Stop = C.FLBWT_STOP_RECORD    // the event At has been called for, and is not emitted
	StopBatch    Stop = C.FLBWT_STOP_BATCH     // the call for a batch has failed
	StopNoMemory Stop = C.FLBWT_STOP_NO_MEMORY // the host has no memory to go on: the chunk is to stay as it came
	StopReplace  Stop = C.FLBWT_STOP_REPLACE   // the instance has to be replaced
)

// Lane takes chunks through an instance: lane.c goes from event to event as long as
// all is ordinary, and stops where something has to be decided. It must not be used
// by two goroutines at once, except for Totals and Want. Data and tag that its methods take
// are those of the current chunk; they are not kept.
type Lane struct {
	c  *C.flbwt_lane // in C memory, for the host calls it without Go
	in *Instance

	taken C.flbwt_buffer // what TakeJournal has returned last

	wantMu sync.Mutex // held while wanted and what C sees of it change
	wanted atomic.Bool
}

// NewLane returns a lane without an instance. Close frees it.
func NewLane() *Lane {
	return &Lane{c: (*C.flbwt_lane)(C.calloc(1, C.sizeof_flbwt_lane))}
}

// Close frees the lane, and not its instance. It may be called twice.
func (l *Lane) Close() {
	if l.c == nil {
		return
	}
	for _, b := range l.buffers() {
		C.free(unsafe.Pointer(b.data))
	}
	C.free(unsafe.Pointer(l.taken.data))
	C.free(unsafe.Pointer(l.c))
	l.c, l.taken = nil, C.flbwt_buffer{}
}

func (l *Lane) buffers() []C.flbwt_buffer {
	b := &l.c.batch
	return []C.flbwt_buffer{l.c.out, l.c.reply, l.c.staged, l.c.group.body, l.c.journal, l.c.ticked, b.places, b.others, b.groups, b.markers, b.edits, b.scratch, b.inherited}
}

// Attach has the lane use an instance, or none. It is not ready then: C, which asks for nothing
// else, must find an instance also after a panic that has kept SetReady from being called.
func (l *Lane) Attach(in *Instance) {
	l.in = in
	l.c.ready = false
	l.c.guest = nil
	if in != nil {
		l.c.guest = in.c
	}
	C.flbwt_lane_show(l.c)
}

// SetReady says whether chunks may be filtered by C alone until the next Begin.
func (l *Lane) SetReady(ready bool) { l.c.ready = C.bool(ready) }

// Want has the next chunk that begins not be for C alone, ready or not. It may be called from any
// goroutine.
func (l *Lane) Want() { l.want(true) }

// TakeWant says whether Want has been called since the last TakeWant. What its caller has written before
// is there to be read then.
func (l *Lane) TakeWant() bool {
	wanted := l.wanted.Load()
	if wanted {
		l.want(false)
	}
	return wanted
}

func (l *Lane) want(wanted bool) {
	l.wantMu.Lock()
	defer l.wantMu.Unlock()
	l.wanted.Store(wanted)
	C.flbwt_lane_want(l.c, C.bool(wanted))
}

// Ready says whether the next chunk is for C alone, for the tests' sake.
func (l *Lane) Ready() bool { return bool(C.flbwt_lane_ready(l.c)) }

// InChunk says whether a chunk has been begun, and not finished.
func (l *Lane) InChunk() bool { return bool(l.c.in_chunk) }

// SetTimed has the lane measure each call of the guest.
func (l *Lane) SetTimed() { l.c.timed = true }

// SetRaw has the lane stop at every reply, for the tests' sake.
func (l *Lane) SetRaw() { l.c.raw = true }

// CallTime returns what the calls of the guest that were measured took.
func (l *Lane) CallTime() time.Duration { return time.Duration(l.c.call_times.sum_ns) }

// Pointer is the flbwt_lane of lane.h, which filters chunks without Go while SetReady allows it.
// It is valid until Close.
func (l *Lane) Pointer() unsafe.Pointer { return unsafe.Pointer(l.c) }

func pointer(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }

// Begin begins a chunk, unless the lane is inside of one.
func (l *Lane) Begin(size int) { C.flbwt_lane_begin(l.c, C.size_t(size)) }

// Run goes on with the chunk, which it begins if need be, until something stops it, or
// maxRecords have been called for. If C has begun with the chunk, and has stopped, Run first returns that
// stop. There must be an instance, but at the end of the chunk.
func (l *Lane) Run(tag, data []byte, maxRecords uint64) Stop {
	stop := C.flbwt_lane_run(l.c, pointer(tag), C.uint32_t(len(tag)), pointer(data), C.size_t(len(data)), C.uint64_t(maxRecords))
	runtime.KeepAlive(l.in)
	return Stop(stop)
}

// Answered says whether the guest has given an answer that was taken, in the last Run or Call.
func (l *Lane) Answered() bool { return bool(l.c.answered) }

// Call calls the instance with the record in for the event At, which ends at next. Its
// time and metadata are data[header:][:headerLen]. If in is the lossy JSON of a record, the lane
// leaves replies to Go.
func (l *Lane) Call(tag, data, in []byte, lossy bool, header, headerLen, next int, sec, nsec uint32) Stop {
	l.c.event = C.flbwt_event{
		header: C.size_t(header), header_len: C.size_t(headerLen), next: C.size_t(next),
		sec: C.uint32_t(sec), nsec: C.uint32_t(nsec),
	}
	stop := C.flbwt_lane_call(l.c, pointer(tag), C.uint32_t(len(tag)), pointer(data), pointer(in), C.uint32_t(len(in)), C.bool(lossy))
	runtime.KeepAlive(l.in)
	return Stop(stop)
}

// At is where in the chunk the event begins that is next.
func (l *Lane) At() int { return int(l.c.at) }

// Outcome is what became of the record, after StopRecord.
func (l *Lane) Outcome() Outcome { return Outcome(l.c.outcome) }

// Repeated says, if Outcome is Reply after StopRecord, that the reply is the record as the guest was
// given it. There is no Reply then.
func (l *Lane) Repeated() bool { return bool(l.c.repeated) }

// Lossy says, after StopRecord, whether the JSON that the guest was given is not all of the record.
func (l *Lane) Lossy() bool { return bool(l.c.record.lossy) }

// Reply is what the guest replied, if Outcome is Reply after StopRecord: at least one
// byte. It is valid until the lane goes on.
func (l *Lane) Reply() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(l.c.reply.data)), int(l.c.reply.len))
}

// TakeError returns, after StopRecord and StopReplace, whether the instance has to be replaced: a
// *TrapError if it has stopped, and must be closed; ErrRecycle if it should be; nil. A *TrapError
// is returned once.
func (l *Lane) TakeError() error {
	trap, failure := l.c.trap, l.c.error
	l.c.trap, l.c.error = nil, nil
	if trap != nil || failure != nil {
		return l.in.trapError(trap, failure)
	}
	if l.in.c.recycle {
		return ErrRecycle
	}
	return nil
}

// Keep emits the event At, which ends at next, as it came. False: there is no memory.
func (l *Lane) Keep(data []byte, next int) bool {
	return bool(C.flbwt_lane_keep(l.c, pointer(data), C.size_t(next)))
}

// Replace emits event in the place of the event At, which ends at next. False: there
// is no memory.
func (l *Lane) Replace(data []byte, next int, event []byte) bool {
	return bool(C.flbwt_lane_replace(l.c, pointer(data), C.size_t(next), pointer(event), C.size_t(len(event))))
}

// Room is how many bytes a reply may still add to the chunk.
func (l *Lane) Room() int { return int(C.flbwt_lane_room(l.c)) }

// Out is what takes the chunk's place, if it is Changed. It is valid until Begin.
func (l *Lane) Out() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(l.c.out.data)), int(l.c.out.len))
}

// Changed says whether what has been emitted differs from what came.
func (l *Lane) Changed() bool { return bool(l.c.changed) }

// KeptBytes is what the lane holds for the next chunk, for the tests' sake.
func (l *Lane) KeptBytes() int {
	n := 0
	for _, b := range l.buffers() {
		n += int(b.cap)
	}
	return n
}

// Counts are of records that a lane has had answered, or not.
type Counts struct {
	Chunks    uint64 // finished
	Records   uint64 // that the guest has been called for
	Returned  uint64
	Dropped   uint64
	Routed    uint64 // dropped, but that something of them was emitted under other tags
	Added     uint64 // events beyond one for each record, by the batch ABI
	Elsewhere uint64 // events under other tags

	// Only of Totals:
	Calls       uint64 // of the guest, for a record or a batch
	MemoryBytes uint64 // of the guest, as the last chunk left it; 0: there is none
	Emission    Emission
}

// Emission is what has become of events that were emitted under other tags, by the word of whoever delivers
// them.
type Emission struct {
	Delivered, Kept, Dropped, Looped uint64 // events
	HeldBytes                        uint64 // of those that wait
}

// Counts returns those of the current chunk, which Finish adds to Totals.
func (l *Lane) Counts() Counts {
	return Counts{Records: uint64(l.c.records), Returned: uint64(l.c.returned), Dropped: uint64(l.c.dropped),
		Routed: uint64(l.c.routed), Added: uint64(l.c.added), Elsewhere: uint64(l.c.elsewhere)}
}

// CountReturned, CountDropped and CountRouted count answers that were read outside the lane.
func (l *Lane) CountReturned() { l.c.returned++ }

// CountDropped is described with CountReturned.
func (l *Lane) CountDropped() { l.c.dropped++ }

// CountRouted is described with CountReturned. Something has been emitted under another tag by Route.
func (l *Lane) CountRouted() { l.c.routed++ }

// Finish ends a chunk. One that is forgotten counts, but its records don't.
func (l *Lane) Finish(forgotten bool) { C.flbwt_lane_finish(l.c, C.bool(forgotten)) }

// Totals returns the counts of all finished chunks. It may be called from any
// goroutine.
func (l *Lane) Totals() Counts {
	t := C.flbwt_lane_totals(l.c)
	return Counts{Chunks: uint64(t.chunks), Records: uint64(t.records), Returned: uint64(t.returned), Dropped: uint64(t.dropped),
		Routed: uint64(t.routed), Added: uint64(t.added), Elsewhere: uint64(t.elsewhere),
		Emission: Emission{Delivered: uint64(t.emission.delivered), Kept: uint64(t.emission.kept), Dropped: uint64(t.emission.dropped),
			Looped: uint64(t.emission.looped), HeldBytes: uint64(t.emission.held_bytes)},
		Calls: uint64(t.calls), MemoryBytes: uint64(t.memory)}
}

// SampleEvery says of how many calls of the guest, or chunks, one is measured.
const SampleEvery = C.FLBWT_SAMPLE

// Times is a histogram of how long things took.
type Times struct {
	Counts [C.FLBWT_TIMES + 1]uint64 // of those that are in the range of TimeRanges, the last has no end
	Sum    time.Duration
}

// TimeRanges returns where the ranges of Times end.
func TimeRanges() (ends []time.Duration) {
	for i := range C.unsigned(C.FLBWT_TIMES) {
		ends = append(ends, time.Duration(C.flbwt_times_end(i)))
	}
	return ends
}

// Add adds those of another lane.
func (t *Times) Add(o Times) {
	for i, n := range o.Counts {
		t.Counts[i] += n
	}
	t.Sum += o.Sum
}

func readTimes(c *C.flbwt_times) (t Times) {
	for i := range t.Counts {
		t.Counts[i] = uint64(C.flbwt_times_count(c, C.unsigned(i)))
	}
	t.Sum = time.Duration(C.flbwt_times_sum(c))
	return t
}

// Times returns what calls of the guest took, and chunks from Begin to Finish, as far as they were
// measured. It may be called from any goroutine.
func (l *Lane) Times() (calls, chunks Times) {
	return readTimes(&l.c.call_times), readTimes(&l.c.chunk_times)
}
