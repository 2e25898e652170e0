// A lane is the way of chunks through one guest: event by event from the chunk into
// the guest's memory, and from there to what takes the chunk's place. All that is
// ordinary happens here, without Go. What is not, stops the lane, and Go decides.

#ifndef FLBWT_LANE_H
#define FLBWT_LANE_H

#include <stdlib.h>

#include "batch.h"
#include "times.h"

// Replies that nest deeper are for Go. Fluent Bit can't read an event that nests more than 32
// containers (MSGPACK_EMBED_STACK_SIZE, 32 in msgpack-c of 1.9, 64 in 5.1), and the event's own
// array is one of them.
enum { FLBWT_REPLY_DEPTH = 31 };

// What replies may make of a chunk: twice its size, and that many bytes. Without a bound the kernel
// would end the host for a guest that answers each record by as much as it may.
enum { FLBWT_CHUNK_ROOM = 128 << 20 };

// Why flbwt_lane_run returns.
enum flbwt_stop {
    FLBWT_STOP_DONE = 0, // the chunk has been gone through
    FLBWT_STOP_BUDGET, // as many records as were allowed have been called for
    FLBWT_STOP_OUTPUT, // the guest has written to its standard streams: that is to be taken
    FLBWT_STOP_EVENT, // the event at lane->at has not been begun: it is no ordinary record
    FLBWT_STOP_RECORD, // the event at lane->at has been called for, and is not emitted:
    // lane->outcome says why, FLBWT_REPLY that reply is for Go to read
    FLBWT_STOP_BATCH, // the call for a batch has failed: lane->outcome says why
    FLBWT_STOP_NO_MEMORY, // the host has none for what goes on: the chunk is to stay as it came
    FLBWT_STOP_REPLACE, // all before lane->at is emitted; the guest is to be replaced
};

// The group that the event at lane->at is in. The body of its marker says what its records have in
// common.
typedef struct {
    bool open;
    bool set; // body takes the place of the marker's, once the group is closed
    bool failed; // a record of it has, and was dropped
    bool passed; // one has, and comes out all the same
    // Of batches: no answer has had it, one that would have has failed, and it may not pass.
    bool refused;
    bool inside; // no end marker stands behind the last start marker that has been emitted
    bool within; // it was so before the group began
    size_t marker; // where its marker begins in what has been emitted
    size_t begin; // where it begins in the chunk
    size_t at, end; // the marker's body, in the chunk
    size_t emitted; // where that stands in what has been emitted
    flbwt_buffer body; // empty if it is not set
    uint64_t number; // another one for each body
    uint64_t answers; // of the guest for records of the chunk, before the group began
} flbwt_group;

// flbwt_journal_entry stands before the bytes of an event that is emitted under another tag: those of the tag, of
// the marker that begins its group (none if marker_len is 0), and of the event. Entries stand one behind the
// other, at any address.
typedef struct {
    uint32_t tag_len, marker_len, event_len;
    uint32_t hops; // through filters that it has come, with this one; 0: they are not counted
} flbwt_journal_entry;

enum {
    // An event that comes through so many filters is in a loop.
    FLBWT_MAX_HOPS = 8,
    // A guest that folds is taken to hold what it was given for so many ticks.
    FLBWT_HOPS_TICKS = 64,
};

// flbwt_emission is what has become of events that were emitted under another tag, for the filter's report.
// Whoever delivers them writes it; any thread may, by atomic operations.
typedef struct {
    uint64_t delivered, kept, dropped, looped; // events
    uint64_t held_bytes; // of those that wait
} flbwt_emission;

// flbwt_lane is used by one thread at a time. Go owns it, and what is in it.
typedef struct {
    flbwt_guest *guest; // NULL: there is none
    bool ready; // Go has nothing to do before the next chunk
    bool wanted; // all the same it is to have that one; written by any thread
    bool timed; // each call of the guest is, not only some
    bool raw; // every reply is for Go to read

    // The current chunk.
    bool in_chunk; // it has been begun, and not finished
    size_t size;
    size_t at; // the event that is next
    bool answered; // since the last run or call: the guest has given an answer that was taken
    size_t most; // bytes of what comes out, less those in the journal
    bool changed; // out differs from the chunk up to at; else out is empty
    flbwt_buffer out;
    uint64_t records, returned, dropped; // called for, and what became of them
    uint64_t added; // events that came out beyond one for each record
    uint64_t began_ns; // the chunk, if it is a sample; else 0
    uint64_t call_began_ns; // the call of flbwt_lane_begin_call, if it is timed; else 0
    flbwt_group group;

    // Events that are emitted under another tag, as flbwt_journal_entry: those of chunks, and of ticks. Both keep
    // what nobody has taken.
    flbwt_buffer journal, ticked;
    size_t journal_before; // bytes of the journal when the chunk began
    uint64_t elsewhere; // events of the chunk that are in the journal
    uint64_t routed; // its records that came out there alone
    bool count_hops; // set before a chunk: what is emitted under another tag gets its hops
    uint32_t tick_hops; // those of what ticks emit; 0: they are not counted
    uint32_t tick_hops_left; // ticks until that is forgotten
    uint32_t tick_hops_before, tick_hops_left_before; // both before the chunk
    flbwt_emission emission;

    // The stop.
    enum flbwt_stop stop;
    bool held; // the next run returns it
    flbwt_event event;
    uint32_t outcome;
    wasm_trap_t *trap; // the guest is gone; owned by who takes it, as is error
    wasmtime_error_t *error;
    bool repeated; // FLBWT_REPLY: the reply is the record, and not in reply
    flbwt_buffer reply;

    flbwt_buffer staged; // the record as JSON
    flbwt_record record; // what is in staged
    unsigned containers; // of MessagePack: how many the record is made of, or more than it may nest

    flbwt_batch batch;

    flbwt_times call_times, chunk_times; // of the guest's calls, and of chunks from begin to finish

    // Of finished chunks: flbwt_lane_totals may be called by any thread.
    uint64_t total_chunks, total_records, total_returned, total_dropped, total_added,
        total_elsewhere, total_routed;
    uint64_t memory; // of the guest, as the last chunk left it; 0: there is none
} flbwt_lane;

typedef struct {
    uint64_t chunks, records, returned, dropped, added, elsewhere, routed;
    uint64_t calls; // of the guest, for a record or a batch, those of the current chunk too
    uint64_t memory; // in bytes; 0: there is no guest
    flbwt_emission emission;
} flbwt_totals;

flbwt_totals flbwt_lane_totals(const flbwt_lane *lane);

// flbwt_lane_show has the totals tell of the guest as it is now.
static inline void flbwt_lane_show(flbwt_lane *lane)
{
    __atomic_store_n(&lane->memory, lane->guest != NULL ? lane->guest->instance.room.bytes : 0,
                     __ATOMIC_RELAXED);
}

// flbwt_lane_want says whether Go is to have the next chunk that begins. Any thread may call it. What
// it has written before is seen by the thread that runs that chunk.
void flbwt_lane_want(flbwt_lane *lane, bool wanted);

// flbwt_lane_ready says whether flbwt_lane_filter may have the next chunk.
bool flbwt_lane_ready(const flbwt_lane *lane);

// flbwt_lane_filter filters a chunk without Go, if flbwt_lane_ready, and returns what a
// filter of Fluent Bit does; *out is then for the host to free. FLBWT_FILTER_STOPPED: Go has to
// go on by flbwt_lane_run, which first returns what stopped the lane.
enum flbwt_filter_result { FLBWT_FILTER_STOPPED, FLBWT_FILTER_MODIFIED, FLBWT_FILTER_NOTOUCH };

enum flbwt_filter_result flbwt_lane_filter(flbwt_lane *lane, const void *tag, int tag_len,
                                           const void *data, size_t size, void **out,
                                           size_t *out_size);

// flbwt_lane_take_journal swaps what has been emitted under other tags, in order, for an empty buffer: it has
// to follow each chunk and tick. What `to` has allocated is used again by the lane; its bytes are forgotten.
void flbwt_lane_take_journal(flbwt_lane *lane, flbwt_buffer *to);

// flbwt_lane_route emits an event under another tag, from the record whose metadata that is, in the group
// that is open. flbwt_lane_route_tick emits one of a tick. False: there is no memory.
bool flbwt_lane_route(flbwt_lane *lane, const uint8_t *data, const uint8_t *tag, uint32_t tag_len,
                      const uint8_t *metadata, size_t metadata_len, const uint8_t *event,
                      uint32_t event_len);
bool flbwt_lane_route_tick(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                           const uint8_t *event, uint32_t event_len);

// flbwt_lane_join_journal moves what another lane has emitted under other tags behind that of this one.
void flbwt_lane_join_journal(flbwt_lane *lane, flbwt_lane *from);

// flbwt_lane_keep_journal forgets what the last chunk has emitted under other tags, and counts it as kept: the chunk
// stays as it came. flbwt_lane_drop_journal forgets all that nobody has taken, counts it as dropped, and returns how
// many events that is.
void flbwt_lane_keep_journal(flbwt_lane *lane);
uint64_t flbwt_lane_drop_journal(flbwt_lane *lane);

// flbwt_lane_count_lost counts events under other tags as dropped.
void flbwt_lane_count_lost(flbwt_lane *lane, uint64_t events);

// flbwt_journal_events is how many events stand in a journal from a byte on.
uint64_t flbwt_journal_events(const flbwt_buffer *journal, size_t from);

// flbwt_journal appends an entry to a journal, and returns where the bytes of its marker and its event are
// to be written. NULL: there is no memory.
uint8_t *flbwt_journal(flbwt_buffer *journal, const flbwt_journal_entry *head, const uint8_t *tag);

// flbwt_lane_hops is how often an event with that metadata will have come through a filter; 0 if that is not
// counted: it comes from an input, and does not say that it has come through some. The metadata has been checked.
uint32_t flbwt_lane_hops(const flbwt_lane *lane, const uint8_t *metadata, size_t n);

// flbwt_chunk_hops is how often the event of a chunk that has come farthest will have come through a filter.
uint32_t flbwt_chunk_hops(const uint8_t *data, size_t n);

// flbwt_chunk_events is how many events a chunk has, as far as it can be read.
size_t flbwt_chunk_events(const uint8_t *data, size_t n);

// flbwt_lane_give_hops: call before each chunk or tick. count: the chunk comes from an emitter, so emitted events
// carry their number of hops. hops: that of the farthest event of the chunk plus one, which later ticks inherit; 0 if
// there are no ticks.
// flbwt_lane_end_hops: call after it, before what has been emitted is taken, if tick_hops is not 0. kept: no event of
// the chunk has left it, so that nothing is made of them in ticks.
static inline void flbwt_lane_give_hops(flbwt_lane *lane, bool count, uint32_t hops)
{
    lane->count_hops = count;
    lane->tick_hops_before = lane->tick_hops;
    lane->tick_hops_left_before = lane->tick_hops_left;
    if (hops > 0 && hops >= lane->tick_hops) {
        lane->tick_hops = hops;
        lane->tick_hops_left = FLBWT_HOPS_TICKS;
    }
}
void flbwt_lane_end_hops(flbwt_lane *lane, bool tick, bool kept);

// flbwt_lane_forget_hops has ticks count from what comes next.
static inline void flbwt_lane_forget_hops(flbwt_lane *lane) { lane->tick_hops = 0; }

// flbwt_lane_marker finds the marker of the group that is open, as it stands now, in two parts; NULL: there
// is none. flbwt_batch_marker does so for a guest of the batch ABI, whose marker is in one part.
void flbwt_lane_marker(const flbwt_lane *lane, const uint8_t *data, const uint8_t **start,
                       size_t *start_len, const uint8_t **body, size_t *body_len);
void flbwt_batch_marker(const flbwt_lane *lane, const uint8_t *data, const uint8_t **marker,
                        size_t *n);

// Buffers beyond this are given back when a chunk does not need them.
enum { FLBWT_KEEP_BYTES = 4 << 20 };

static inline void flbwt_give_back(flbwt_buffer *b)
{
    if (b->cap > FLBWT_KEEP_BYTES) {
        free(b->data);
        *b = (flbwt_buffer) {0};
    }
}

// flbwt_lane_has_journal says whether there is something for flbwt_lane_take_journal.
static inline bool flbwt_lane_has_journal(const flbwt_lane *lane)
{
    return (lane->journal.len | lane->ticked.len) > 0;
}

// flbwt_lane_begin begins a chunk, unless the lane is inside of one.
void flbwt_lane_begin(flbwt_lane *lane, size_t size);

// flbwt_lane_run goes on with the chunk, which it begins if need be, until something stops it, or
// max records have been called for. The lane must have a guest, but at the end of the chunk.
enum flbwt_stop flbwt_lane_run(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                               const uint8_t *data, size_t size, uint64_t max);

// flbwt_lane_call does the same with one event, lane->event, for which Go has made the record that
// the guest is given; lossy if that is JSON, and not all of the record. FLBWT_STOP_DONE: it is
// emitted. Output is not looked at.
enum flbwt_stop flbwt_lane_call(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                                const uint8_t *data, const uint8_t *in, uint32_t in_len,
                                bool lossy);

// flbwt_lane_begin_call begins a call of the lane's guest for a batch or a payload, with need bytes of input. x is
// zeroed. FLBWT_NOT_RUN: the input's place is x->at, and flbwt_call_batch may follow. flbwt_lane_end_call follows
// either way, with the outcome: it sets lane->trap and lane->error, and guest->recycle if the guest has to go.
static inline enum flbwt_outcome flbwt_lane_begin_call(flbwt_lane *lane, flbwt_call *x,
                                                       uint64_t need)
{
    x->guest = lane->guest;
    lane->call_began_ns = flbwt_times_due(&lane->call_times) || lane->timed ? flbwt_now() : 0;
    flbwt_watch_enter(&x->guest->instance.watch);
    return flbwt_call_room(x, need);
}

static inline void flbwt_lane_end_call(flbwt_lane *lane, const flbwt_call *x,
                                       enum flbwt_outcome outcome)
{
    flbwt_guest *g = x->guest;

    flbwt_watch_leave(&g->instance.watch);
    if (lane->call_began_ns != 0) {
        flbwt_times_add(&lane->call_times, flbwt_now() - lane->call_began_ns);
    }
    lane->trap = x->trap;
    lane->error = x->error;
    if (outcome == FLBWT_NO_MEMORY || g->instance.room.bytes > g->recycle_bytes) {
        g->recycle = true;
    }
}

// flbwt_lane_keep emits the event at lane->at, which ends at next, as it came.
// flbwt_lane_replace emits bytes in its place. False: there is no memory.
bool flbwt_lane_keep(flbwt_lane *lane, const uint8_t *data, size_t next);
bool flbwt_lane_replace(flbwt_lane *lane, const uint8_t *data, size_t next, const uint8_t *bytes,
                        size_t n);

// flbwt_lane_change says that the event at lane->at will not be emitted as it came, flbwt_lane_append
// emits bytes without an end of that event. False: there is no memory.
bool flbwt_lane_change(flbwt_lane *lane, const uint8_t *data);
bool flbwt_lane_append(flbwt_lane *lane, const uint8_t *bytes, size_t n);

// flbwt_batch_go_on is flbwt_lane_run for a guest of the batch ABI, flbwt_batch_begin what goes before
// at the start of a chunk.
void flbwt_batch_begin(flbwt_lane *lane);
enum flbwt_stop flbwt_batch_go_on(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                                  const uint8_t *data, size_t size, uint64_t max);

// flbwt_batch_gather adds an event to the batch, after FLBWT_STOP_EVENT. False: there is no memory.
// If there is no room for it in the batch, it is asked for again.
bool flbwt_batch_gather(flbwt_lane *lane, const flbwt_entry *entry);

// After FLBWT_STOP_BATCH: flbwt_batch_fail has all of its records fail, flbwt_batch_halve has them
// gathered again, half as many at once.
void flbwt_batch_fail(flbwt_lane *lane);
void flbwt_batch_halve(flbwt_lane *lane);

// flbwt_lane_open_group says that what is emitted next is the marker of the event at lane->at, which
// begins a group, with data[at..end) for a body. It stays open until flbwt_lane_close_group or
// flbwt_lane_end_group.
void flbwt_lane_open_group(flbwt_lane *lane, size_t at, size_t end);

// flbwt_lane_set_group has the open group have another body. False: there is no memory.
bool flbwt_lane_set_group(flbwt_lane *lane, const uint8_t *body, size_t n);

// flbwt_lane_close_group puts a body that has been set into what has been emitted. If the group is lost,
// its marker is taken out of that. False: there is no memory.
bool flbwt_lane_close_group(flbwt_lane *lane, const uint8_t *data);

// flbwt_lane_end_group does so at the end marker at lane->at, and emits that, unless it has nothing to end.
bool flbwt_lane_end_group(flbwt_lane *lane, const uint8_t *data, size_t next);

// flbwt_lane_is_lost says whether nothing comes out of the open group, its marker included: records of it
// have failed, and been dropped, and no other has been answered; or it is refused.
bool flbwt_lane_is_lost(const flbwt_lane *lane);

// flbwt_lane_splice replaces `was` emitted bytes at `at` by n others. False: there is no memory.
bool flbwt_lane_splice(flbwt_lane *lane, const uint8_t *data, size_t at, size_t was,
                       const uint8_t *bytes, size_t n);

// flbwt_lane_room is how many bytes a reply may still add to the chunk.
size_t flbwt_lane_room(const flbwt_lane *lane);

// flbwt_lane_finish ends the chunk. If it is not forgotten, its records are added to the totals.
void flbwt_lane_finish(flbwt_lane *lane, bool forgotten);

#endif
