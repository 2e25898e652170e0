// What the files of batches share: batch.c, batch_gather.c, batch_call.c, batch_plan.c, batch_groups.c, batch_emit.c.

#ifndef FLBWT_BATCH_IMPL_H
#define FLBWT_BATCH_IMPL_H

#include "lane.h"

#include "../fast/msgpack.h"

#include <string.h>

enum { OP_BYTES = 24 }; // of an operation, by docs/abi.md

enum op_kind { OP_DROP = 1, OP_ERROR, OP_TIME, OP_EMIT = 9, OP_EMIT_TO };

enum part { BODY, METADATA, PARTS };

enum {
    MAX_MADE_BYTES = 64 << 20, // by the operations on one event
    MAX_TIME_BYTES = 10,
    MAX_HEADER_GROWTH = 4, // of a map
};

static const uint8_t nothing[1]; // ops may not be NULL
static const flbwt_ops no_ops = {.ops = nothing};

// What is to know of a gathered event besides its place. flbwt_batch.others is of these.
typedef struct {
    int64_t sec;
    uint32_t kind, group;
} other;

static inline flbwt_place *places_of(const flbwt_batch *b)
{
    void *places = b->places.data;

    return places;
}

static inline flbwt_entry entry_at(const flbwt_batch *b, uint32_t i)
{
    const void *others = b->others.data;
    flbwt_entry e = {.place = places_of(b)[i], .kind = FLBWT_ENTRY_RECORD};

    if (b->mixed) {
        const other *o = (const other *) others + i;

        e.sec = o->sec;
        e.kind = o->kind;
        e.group = o->group;
    }
    else {
        e.sec = e.place.sec;
        e.group = b->gathered_group;
    }
    return e;
}

static inline bool is_record(const flbwt_entry *e) { return e->kind == FLBWT_ENTRY_RECORD; }

// group_at returns the i-th group of the guest's table; the first is 1.
static inline flbwt_marker *group_at(const flbwt_batch *b, uint32_t i)
{
    void *groups = b->groups.data;

    return (flbwt_marker *) groups + i - 1;
}

static inline bool push(flbwt_buffer *b, const void *item, size_t n)
{
    if (!flbwt_reserve(b, n)) {
        return false;
    }
    memcpy(b->data + b->len, item, n);
    b->len += n;
    return true;
}

static inline flbwt_marker marker_in_chunk(const flbwt_batch *b, const flbwt_place *p)
{
    return (flbwt_marker) {
        .at = b->base + p->at,
        .meta = b->base + p->meta,
        .body = b->base + p->body,
        .next = b->base + p->next,
    };
}

static inline const uint8_t *bytes_of(const flbwt_lane *lane, const uint8_t *data,
                                      const flbwt_marker *g)
{
    return g->edited ? lane->batch.markers.data : data;
}

static inline const uint8_t *in_guest(const flbwt_guest *g, uint32_t at, uint64_t n)
{
    uint64_t size = g->instance.size;

    return at <= size && n <= size - at ? g->instance.base + at : NULL;
}

static inline bool refuse(flbwt_batch *b, const char *why)
{
    b->why = why;
    return false;
}

typedef struct {
    uint32_t kind, part, a, b, len;
    const uint8_t *bytes; // NULL: they are not inside memory
} op;

static inline op op_at(const flbwt_guest *g, const flbwt_ops *ops, uint32_t i)
{
    const uint8_t *p = ops->ops + (size_t) i * OP_BYTES;
    uint32_t len = get32(p + 20);

    return (op) {p[4], p[5], get32(p + 8), get32(p + 12), len, in_guest(g, get32(p + 16), len)};
}

// ops_of is how many operations from ops->at on are those of n.
static inline uint32_t ops_of(const flbwt_ops *ops, uint32_t n)
{
    uint32_t i = ops->at;

    while (i < ops->n && get32(ops->ops + (size_t) i * OP_BYTES) == n) {
        i++;
    }
    return i - ops->at;
}

// What operations make of an event: the edits of a part stand together in batch->edits.
typedef struct {
    uint32_t n; // operations
    bool drop, timed;
    uint32_t sec, nsec;
    uint32_t emitted, elsewhere; // of these, under other tags
    size_t edits[PARTS], from[PARTS]; // how many, and where they begin
    size_t made; // bytes that are given
} plan;

static inline uint8_t *write_time(uint8_t *out, uint32_t sec, uint32_t nsec)
{
    *out++ = 0xd7;
    *out++ = 0;
    return store32(store32(out, sec), nsec);
}

// most_of is how many bytes an event may have by the plan.
static inline size_t most_of(const flbwt_place *e, const plan *p)
{
    return e->next - e->at + p->made + (size_t) PARTS * MAX_HEADER_GROWTH + MAX_TIME_BYTES;
}

// flbwt_batch_fill gathers events until the batch is full, or the chunk at its end. DONE: it has.
enum flbwt_stop flbwt_batch_fill(flbwt_lane *lane, const uint8_t *data, size_t size, uint64_t max);

// flbwt_batch_call calls for the batch. FLBWT_REPLY: what the guest says of it has been found.
enum flbwt_outcome flbwt_batch_call(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                                    const uint8_t *data);

// flbwt_batch_say_error has lane->outcome be what the guest says by that operation.
void flbwt_batch_say_error(flbwt_lane *lane, const op *o);

// flbwt_batch_plan reads the operations of an event or group. False: one may not be; of an event that has failed,
// lane->outcome is FLBWT_ERROR.
bool flbwt_batch_plan(flbwt_lane *lane, const flbwt_ops *ops, plan *p, bool group);

// flbwt_batch_write_part writes a part as the plan wants it, and returns where it ends; NULL: an edit is not valid,
// and b->why says how. There is room for it at out, as most_of has it, and in b->scratch.
uint8_t *flbwt_batch_write_part(flbwt_batch *b, const plan *p, uint32_t part, const uint8_t *in,
                                size_t n, uint8_t *out);

// flbwt_batch_write_parts writes an event or marker, whose place is in data, as the plan wants it, and returns where it
// ends; NULL: an edit is not valid. *body is where its body begins.
uint8_t *flbwt_batch_write_parts(flbwt_batch *b, const uint8_t *data, const flbwt_place *e,
                                 const plan *p, uint8_t *out, uint8_t **body);

// flbwt_batch_charge counts bytes that the guest has given, or has others made of: they take time, whatever becomes of
// them. False: the chunk may have no more.
bool flbwt_batch_charge(flbwt_lane *lane, size_t n);

// turn_to has what is emitted next stand between the markers of that group; 0: of none. False: there is no memory.
bool flbwt_batch_turn_to(flbwt_lane *lane, const uint8_t *data, uint32_t group);
static inline bool turn_to(flbwt_lane *lane, const uint8_t *data, uint32_t group)
{
    return lane->batch.open == group || flbwt_batch_turn_to(lane, data, group);
}

// flbwt_batch_restore_groups has the groups of a failed batch that begin in it be as they came. Of the one before,
// nothing more is emitted if another one was edited.
void flbwt_batch_restore_groups(flbwt_batch *b);

// flbwt_batch_edit_groups makes the markers of all groups as their operations want them, in b->markers, and notes
// which groups have failed. False: an operation may not be, and b->why says why.
bool flbwt_batch_edit_groups(flbwt_lane *lane, const uint8_t *data);

// flbwt_batch_take_groups follows it: what the guest says of the group that began before the batch goes into its
// marker, which has been emitted. False: there is no memory.
bool flbwt_batch_take_groups(flbwt_lane *lane, const uint8_t *data);

// flbwt_batch_mark_group emits the marker before a group. False: there is no memory.
bool flbwt_batch_mark_group(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e);

// flbwt_batch_keep_outer has the group that is open behind the batch be the one that is open before the next.
void flbwt_batch_keep_outer(flbwt_batch *b);

// flbwt_batch_emit emits what has been gathered. RECORD: the event at lane->at is for Go to emit.
enum flbwt_stop flbwt_batch_emit(flbwt_lane *lane, const uint8_t *data);

#endif
