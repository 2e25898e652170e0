#include "lane.h"

#include "../fast/msgpack.h"
#include "../hostcall/tags.h"

#include <string.h>

// The structures of docs/abi.md.
enum {
    HEADER_BYTES = 64,
    EVENT_BYTES = 32,
    GROUP_BYTES = 24,
    OP_BYTES = 24,
    EMITTED_BYTES = 32,
    ROUTED_BYTES = 40, // of an event under another tag
};

enum op_kind { OP_DROP = 1, OP_ERROR, OP_TIME, OP_EMIT = 9, OP_EMIT_TO };

// Of a batch: events that do not go to the guest, which nothing else bounds.
enum { MAX_OTHERS = 1 << 16 };

enum part { BODY, METADATA, PARTS };

enum {
    SAME_GROUP = -1,         // of an emitted event: that of the event it comes behind
    MAX_TEXT_BYTES = 1024,   // of an error
    MAX_MADE_BYTES = 64 << 20, // by the operations on one event
    MAX_TIME_BYTES = 10,
    MAX_HEADER_GROWTH = 4, // of a map
};

static const uint8_t nothing[1];
static const flbwt_ops no_ops = {.ops = nothing};

// An event of the guest's table.
typedef struct {
    int64_t sec;
    uint32_t nsec, group, meta, meta_len, body, body_len;
} row;

_Static_assert(sizeof(row) == EVENT_BYTES, "the table has rows of that size");

// What is to know of a gathered event besides its place.
typedef struct {
    int64_t sec;
    uint32_t kind, group;
} other;

static flbwt_place *places_of(const flbwt_batch *b)
{
    void *places = b->places.data;

    return places;
}

static flbwt_entry entry_at(const flbwt_batch *b, uint32_t i)
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

// group_at returns the i-th group of the guest's table; the first is 1.
static flbwt_marker *group_at(const flbwt_batch *b, uint32_t i)
{
    void *groups = b->groups.data;

    return (flbwt_marker *) groups + i - 1;
}

static bool push(flbwt_buffer *b, const void *item, size_t n)
{
    if (!flbwt_reserve(b, n)) {
        return false;
    }
    memcpy(b->data + b->len, item, n);
    b->len += n;
    return true;
}

// clear forgets what has been gathered and not been emitted.
static void clear(flbwt_lane *lane)
{
    flbwt_batch *b = &lane->batch;

    b->places.len = b->others.len = b->groups.len = 0;
    b->mixed = false;
    b->n = b->records = b->groups_n = b->gathered_group = 0;
    b->base = b->end = lane->at;
    b->called = b->closed = b->stopped = false;
}

void flbwt_batch_begin(flbwt_lane *lane)
{
    lane->batch.outer.next = 0;
    lane->batch.given = 0;
    clear(lane);
    lane->batch.limit = 0;
}

static bool is_record(const flbwt_entry *e) { return e->kind == FLBWT_ENTRY_RECORD; }

// ---- Gathering

static uint64_t most_records(const flbwt_batch *b, uint64_t max)
{
    uint64_t most = b->max_records;

    if (b->limit > 0 && b->limit < most) {
        most = b->limit;
    }
    return max < most ? max : most;
}

// open_group begins the guest's table with the group that is open already.
static bool open_group(flbwt_lane *lane)
{
    flbwt_batch *b = &lane->batch;

    if (b->n > 0 || b->groups_n > 0 || lane->batch.outer.next == 0) {
        return true;
    }
    b->groups_n = b->gathered_group = 1;
    return push(&b->groups, &lane->batch.outer, sizeof(lane->batch.outer));
}

static bool push_other(flbwt_batch *b, int64_t sec, uint32_t kind, uint32_t group)
{
    other o = {sec, kind, group};

    return push(&b->others, &o, sizeof(o));
}

// note_others has what is known of each event stand in others, from the from-th on.
static bool note_others(flbwt_batch *b, uint32_t from)
{
    for (uint32_t i = from; i < b->n; i++) {
        if (!push_other(b, places_of(b)[i].sec, FLBWT_ENTRY_RECORD, b->gathered_group)) {
            return false;
        }
    }
    return true;
}

static flbwt_marker marker_in_chunk(const flbwt_batch *b, const flbwt_place *p)
{
    return (flbwt_marker) {
        .at = b->base + p->at,
        .meta = b->base + p->meta,
        .body = b->base + p->body,
        .next = b->base + p->next,
    };
}

bool flbwt_batch_gather(flbwt_lane *lane, const flbwt_entry *entry)
{
    flbwt_batch *b = &lane->batch;
    uint32_t group = b->gathered_group;

    b->closed = (b->n > 0 && entry->place.next > b->max_bytes) || b->n - b->records >= MAX_OTHERS;
    if (b->closed) {
        return true;
    }
    if (!open_group(lane) || (!b->mixed && !note_others(b, 0))) {
        return false;
    }
    b->mixed = true;
    switch (entry->kind) {
    case FLBWT_ENTRY_GROUP_START: {
        flbwt_marker g = marker_in_chunk(b, &entry->place);

        if (!push(&b->groups, &g, sizeof(g))) {
            return false;
        }
        group = b->gathered_group = ++b->groups_n;
        break;
    }
    case FLBWT_ENTRY_GROUP_END:
        b->gathered_group = 0;
        break;
    case FLBWT_ENTRY_RECORD:
        group = b->gathered_group;
        b->records++;
        break;
    default:
        break;
    }
    if (!push(&b->places, &entry->place, sizeof(entry->place)) ||
        !push_other(b, entry->sec, entry->kind, group)) {
        return false;
    }
    b->n++;
    b->end = b->base + entry->place.next;
    return true;
}

enum { PLACES_STEP = 128 };

// gather gathers events until the batch is full, or the chunk at its end. DONE: it has.
static enum flbwt_stop gather(flbwt_lane *lane, const uint8_t *data, size_t size, uint64_t max)
{
    flbwt_batch *b = &lane->batch;
    uint64_t most = most_records(b, max);
    enum flbwt_reading reading = FLBWT_READ_FULL;

    if (max == 0) {
        return FLBWT_STOP_BUDGET;
    }
    if (!open_group(lane)) {
        return FLBWT_STOP_NO_MEMORY;
    }
    while (!b->closed && b->records < most && reading == FLBWT_READ_FULL && b->end < size) {
        size_t n, step = most - b->records < PLACES_STEP ? most - b->records : PLACES_STEP;

        if (!flbwt_reserve(&b->places, step * sizeof(flbwt_place))) {
            return FLBWT_STOP_NO_MEMORY;
        }
        reading = flbwt_read_events(data + b->base, size - b->base, b->end - b->base, b->max_bytes,
                                    &b->shape, places_of(b) + b->n, step, &n);
        b->closed = reading == FLBWT_READ_FULL && n < step;
        b->places.len += n * sizeof(flbwt_place);
        b->n += n;
        b->records += n;
        if (n > 0) {
            b->end = b->base + places_of(b)[b->n - 1].next;
        }
        if (b->mixed && !note_others(b, b->n - (uint32_t) n)) {
            return FLBWT_STOP_NO_MEMORY;
        }
    }
    if (reading == FLBWT_READ_UNUSUAL && b->records < most) {
        return FLBWT_STOP_EVENT;
    }
    b->closed = false;
    return FLBWT_STOP_DONE;
}

// ---- The call

static const uint8_t *bytes_of(const flbwt_lane *lane, const uint8_t *data, const flbwt_marker *g)
{
    return g->edited ? lane->batch.markers.data : data;
}

// write_input writes the input of the batch to `to`. The bytes of the events stand at offset first, behind
// those of the group that was open, and the tag is the last.
static void write_input(const flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                        const uint8_t *data, uint8_t *to, size_t first)
{
    const flbwt_batch *b = &lane->batch;
    size_t events = HEADER_BYTES, groups = events + (size_t) b->records * EVENT_BYTES,
           outer = groups + (size_t) b->groups_n * GROUP_BYTES, bytes = b->end - lane->at;
    uint8_t *p = to;

    p = put32(p, HEADER_BYTES);
    p = put32(p, 0);
    p = put32(p, first + bytes);
    p = put32(p, tag_len);
    p = put32(p, events);
    p = put32(p, b->records);
    p = put32(p, EVENT_BYTES);
    p = put32(p, groups);
    p = put32(p, b->groups_n);
    p = put32(p, GROUP_BYTES);
    memset(p, 0, (size_t) (to + HEADER_BYTES - p));

    p = to + events;
    for (uint32_t i = 0; i < b->n; i++) {
        const flbwt_place *e = &places_of(b)[i];
        int64_t sec = e->sec;
        uint32_t group = b->gathered_group;

        if (b->mixed) {
            flbwt_entry entry = entry_at(b, i);

            if (!is_record(&entry)) {
                continue;
            }
            sec = entry.sec;
            group = entry.group;
        }
        row r = {
            .sec = sec,
            .nsec = e->nsec,
            .group = group,
            .meta = (uint32_t) first + e->meta,
            .meta_len = e->body - e->meta,
            .body = (uint32_t) first + e->body,
            .body_len = e->next - e->body,
        };
        p = copy(p, (const uint8_t *) &r, sizeof(r));
    }
    for (uint32_t i = 1; i <= b->groups_n; i++) {
        const flbwt_marker *g = group_at(b, i);
        size_t meta = i == 1 && b->outer.next > 0 ? outer : first + (g->meta - lane->at);

        p = put32(p, !g->answered);
        p = put32(p, 0);
        p = put32(p, meta);
        p = put32(p, g->body - g->meta);
        p = put32(p, meta + (g->body - g->meta));
        p = put32(p, g->next - g->body);
    }
    if (first > outer) {
        memcpy(to + outer, bytes_of(lane, data, &lane->batch.outer) + lane->batch.outer.meta,
               first - outer);
    }
    memcpy(to + first, data + lane->at, bytes);
    if (tag_len > 0) {
        memcpy(to + first + bytes, tag, tag_len);
    }
}

void flbwt_batch_marker(const flbwt_lane *lane, const uint8_t *data, const uint8_t **marker,
                        size_t *n)
{
    const flbwt_batch *b = &lane->batch;
    const flbwt_marker *g = b->outer.next > 0 ? &b->outer : NULL;

    if (b->called) {
        g = b->now > 0 ? group_at(b, b->now) : NULL;
    }
    if (g != NULL) {
        *marker = bytes_of(lane, data, g) + g->at;
        *n = g->next - g->at;
    }
}

static const uint8_t *in_guest(const flbwt_guest *g, uint32_t at, uint64_t n)
{
    uint64_t size = g->instance.size;

    return at <= size && n <= size - at ? g->instance.base + at : NULL;
}

// read_ops finds a list of operations at p, and checks that the numbers it has ascend, and are below
// n. False: they do not, or it is not inside memory.
static bool read_ops(const flbwt_guest *g, const uint8_t *p, uint32_t n, flbwt_ops *ops)
{
    uint32_t last = 0;

    *ops = (flbwt_ops) {.n = get32(p + 4)};
    ops->ops = in_guest(g, get32(p), (uint64_t) ops->n * OP_BYTES);
    if (ops->ops == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < ops->n; i++) {
        uint32_t of = get32(ops->ops + (size_t) i * OP_BYTES);

        if (of < last || of >= n) {
            return false;
        }
        last = of;
    }
    return true;
}

enum { REPLY_BYTES = 16 };

static bool read_reply(flbwt_lane *lane, uint32_t at)
{
    flbwt_batch *b = &lane->batch;
    const flbwt_guest *g = lane->guest;
    const uint8_t *p = in_guest(g, at, REPLY_BYTES);

    b->ops = b->group_ops = no_ops;
    b->refused_tag = NULL;
    if (at == 0) {
        return true;
    }
    if (p == NULL) {
        b->why = "it is not inside the guest's memory";
        return false;
    }
    if (!read_ops(g, p, b->records, &b->ops)) {
        b->why = "the operations on events are outside memory, or not in the order of the events";
        return false;
    }
    if (!read_ops(g, p + 8, b->groups_n, &b->group_ops)) {
        b->why = "the operations on groups are outside memory, or not in the order of the groups";
        return false;
    }
    return true;
}

// call_guest calls for the batch. FLBWT_REPLY: what the guest says of it has been found.
static enum flbwt_outcome call_guest(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                                     const uint8_t *data)
{
    flbwt_batch *b = &lane->batch;
    flbwt_call x = {0};
    uint32_t at = 0;
    uint64_t first =
        HEADER_BYTES + (uint64_t) b->records * EVENT_BYTES + (uint64_t) b->groups_n * GROUP_BYTES +
        (lane->batch.outer.next > 0 ? lane->batch.outer.next - lane->batch.outer.meta : 0);
    uint64_t need = first + (b->end - lane->at) + tag_len;
    enum flbwt_outcome outcome = flbwt_lane_begin_call(lane, &x, need);

    b->seen = outcome == FLBWT_NOT_RUN;
    if (b->seen) {
        write_input(lane, tag, tag_len, data, x.guest->instance.base + x.at, first);
        outcome = flbwt_call_batch(&x, (uint32_t) need, &at);
    }
    flbwt_lane_end_call(lane, &x, outcome);
    if (outcome == FLBWT_REPLY && !read_reply(lane, at)) {
        outcome = FLBWT_BAD_REPLY;
    }
    return outcome;
}

// ---- Emitting

// turn_to has what is emitted next stand between the markers of that group.
static bool turn_to(flbwt_lane *lane, const uint8_t *data, uint32_t group)
{
    flbwt_batch *b = &lane->batch;

    if (b->open == group) {
        return true;
    }
    if (b->open != 0 && !flbwt_lane_append(lane, flbwt_group_end, FLBWT_GROUP_END_BYTES)) {
        return false;
    }
    if (group != 0) {
        const flbwt_marker *g = group_at(b, group);
        size_t n = g->next - g->at;

        if (!flbwt_lane_append(lane, bytes_of(lane, data, g) + g->at, n)) {
            return false;
        }
    }
    b->open = group;
    return true;
}

// marker_bytes is what turn_to may append.
static size_t marker_bytes(const flbwt_batch *b, uint32_t group)
{
    return FLBWT_GROUP_END_BYTES +
           (group != 0 ? group_at(b, group)->next - group_at(b, group)->at : 0);
}

typedef struct {
    uint32_t kind, part, a, b, len;
    const uint8_t *bytes; // NULL: they are not inside memory
} op;

static op op_at(const flbwt_guest *g, const flbwt_ops *ops, uint32_t i)
{
    const uint8_t *p = ops->ops + (size_t) i * OP_BYTES;
    uint32_t len = get32(p + 20);

    return (op) {p[4], p[5], get32(p + 8), get32(p + 12), len, in_guest(g, get32(p + 16), len)};
}

// ops_of is how many operations from ops->at on are those of n.
static uint32_t ops_of(const flbwt_ops *ops, uint32_t n)
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

static bool refuse(flbwt_batch *b, const char *why)
{
    b->why = why;
    return false;
}

// note_edits collects the edits of a part.
static bool note_edits(flbwt_lane *lane, const flbwt_ops *ops, plan *p, uint32_t part)
{
    flbwt_batch *b = &lane->batch;

    p->from[part] = b->edits.len;
    for (uint32_t i = 0; i < p->n; i++) {
        op o = op_at(lane->guest, ops, ops->at + i);

        if (o.part != part || o.kind < FLBWT_EDIT_REPLACE || o.kind > FLBWT_EDIT_PUT) {
            continue;
        }
        flbwt_edit e = {o.kind, o.a, o.b, o.bytes, o.len};
        if (!push(&b->edits, &e, sizeof(e))) {
            lane->outcome = FLBWT_HOST_NO_MEMORY;
            return refuse(b, "the host has no memory");
        }
        p->edits[part]++;
    }
    return true;
}

// say_error has lane->outcome be what the guest says by that operation.
static void say_error(flbwt_lane *lane, const op *o)
{
    lane->outcome = FLBWT_ERROR;
    lane->batch.code = o->a;
    lane->batch.text = o->bytes;
    lane->batch.text_len = o->len < MAX_TEXT_BYTES ? o->len : MAX_TEXT_BYTES;
}

// read_operation notes an operation in the plan, and which part it edits. False: it may not be, or says that the event
// has failed; then lane->outcome is FLBWT_ERROR.
static bool read_operation(flbwt_lane *lane, const op *o, plan *p, bool edited[PARTS])
{
    flbwt_batch *b = &lane->batch;

    if (o->bytes == NULL) {
        return refuse(b, "bytes are not inside memory");
    }
    switch (o->kind) {
    case OP_DROP:
        p->drop = true;
        return true;
    case OP_ERROR:
        if (p->n > 1) {
            return refuse(b, "error goes with nothing else");
        }
        say_error(lane, o);
        return false;
    case OP_TIME:
        if (o->a >= UINT32_MAX - 1 || o->b >= 1000000000) {
            return refuse(b, "the time is none that an event can have");
        }
        p->timed = true;
        p->sec = o->a;
        p->nsec = o->b;
        return true;
    case OP_EMIT_TO:
        p->elsewhere++;
        p->emitted++;
        return true;
    case OP_EMIT:
        p->emitted++;
        return true;
    case FLBWT_EDIT_REPLACE:
    case FLBWT_EDIT_SET:
    case FLBWT_EDIT_ADD:
    case FLBWT_EDIT_REMOVE:
    case FLBWT_EDIT_PUT:
        if (o->part >= PARTS) {
            return refuse(b, "an event has no part of that number");
        }
        edited[o->part] = true;
        p->made += o->len;
        return true;
    default:
        return refuse(b, "there is no operation of that number");
    }
}

// make_plan reads the operations of an event or group. False: one may not be; of an event that has failed,
// lane->outcome is FLBWT_ERROR.
static bool make_plan(flbwt_lane *lane, const flbwt_ops *ops, plan *p, bool group)
{
    flbwt_batch *b = &lane->batch;
    bool edited[PARTS] = {false, false};

    b->edits.len = 0;
    b->refused_tag = NULL;
    if ((uint64_t) p->n * OP_BYTES > MAX_MADE_BYTES) {
        lane->outcome = FLBWT_TOO_MUCH;
        return refuse(b, "there are more operations than may be");
    }
    lane->outcome = FLBWT_BREACH;
    for (uint32_t i = 0; i < p->n; i++) {
        op o = op_at(lane->guest, ops, ops->at + i);

        if (!read_operation(lane, &o, p, edited)) {
            return false;
        }
    }
    if (group && (p->drop || p->timed || p->emitted > 0)) {
        return refuse(b, "a group can only be edited");
    }
    if (p->drop && edited[BODY]) {
        return refuse(b, "the body of an event that is dropped can't be edited");
    }
    for (uint32_t part = 0; part < PARTS; part++) {
        if (edited[part] && !note_edits(lane, ops, p, part)) {
            return false;
        }
    }
    return true;
}

static uint8_t *write_time(uint8_t *out, uint32_t sec, uint32_t nsec)
{
    *out++ = 0xd7;
    *out++ = 0;
    return store32(store32(out, sec), nsec);
}

// write_part writes a part as the plan wants it, and returns where it ends; NULL: an edit is not
// valid.
static uint8_t *write_part(flbwt_batch *b, const plan *p, uint32_t part, const uint8_t *in,
                           size_t n, uint8_t *out)
{
    if (p->edits[part] == 0) {
        return copy(out, in, n);
    }
    if (n == 0) {
        b->why = "an event without metadata can't be given any";
        return NULL;
    }
    const void *edits = b->edits.data + p->from[part];

    return flbwt_edit_map(in, n, edits, p->edits[part],
                          part == BODY ? FLBWT_REPLY_DEPTH : FLBWT_METADATA_DEPTH, b->scratch.data,
                          out, &b->why);
}

// write_parts writes an event or marker, whose place is in data, as the plan wants it, and returns where it ends; NULL: an edit
// is not valid. *body is where its body begins.
static uint8_t *write_parts(flbwt_batch *b, const uint8_t *data, const flbwt_place *e,
                            const plan *p, uint8_t *out, uint8_t **body)
{
    out = copy(out, data + e->at, (p->timed ? e->time : e->meta) - e->at);
    if (p->timed) {
        out = write_time(out, p->sec, p->nsec);
    }
    out = write_part(b, p, METADATA, data + e->meta, e->body - e->meta, out);
    *body = out;
    return out != NULL ? write_part(b, p, BODY, data + e->body, e->next - e->body, out) : NULL;
}

// most_of is how many bytes that may be.
static size_t most_of(const flbwt_place *e, const plan *p)
{
    return e->next - e->at + p->made + (size_t) PARTS * MAX_HEADER_GROWTH + MAX_TIME_BYTES;
}

// reserve_in makes room for n bytes more in what comes out, of which the guest has given some. False: there
// is no memory, or it would be too much; lane->outcome says which.
static bool reserve_in(flbwt_lane *lane, flbwt_buffer *out, size_t n, size_t given)
{
    lane->outcome = FLBWT_TOO_MUCH;
    if (given > MAX_MADE_BYTES || n > flbwt_lane_room(lane)) {
        return refuse(&lane->batch, "they make more bytes than are left for it");
    }
    lane->outcome = FLBWT_HOST_NO_MEMORY;
    if (!flbwt_reserve(out, n)) {
        return refuse(&lane->batch, "the host has no memory");
    }
    lane->outcome = FLBWT_BREACH;
    return true;
}

// reserve does so in the chunk, and in scratch.
static bool reserve(flbwt_lane *lane, size_t n, size_t given)
{
    if (!reserve_in(lane, &lane->out, n, given)) {
        return false;
    }
    lane->batch.scratch.len = 0;
    if (!flbwt_reserve(&lane->batch.scratch, n)) {
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        return refuse(&lane->batch, "the host has no memory");
    }
    return true;
}

// charge counts bytes that the guest has given, or has others made of: they take time, whatever becomes of
// them. False: the chunk may have no more.
static bool charge(flbwt_lane *lane, size_t n)
{
    lane->batch.given += n;
    if (lane->batch.given <= lane->size * 2 + FLBWT_CHUNK_ROOM) {
        return true;
    }
    lane->outcome = FLBWT_TOO_MUCH;
    return refuse(&lane->batch, "operations have more bytes than a chunk may have of them");
}

// write_event appends an event as the plan wants it. False: lane->outcome and why are set.
static bool write_event(flbwt_lane *lane, const uint8_t *data, const flbwt_place *e, const plan *p)
{
    uint8_t *body, *out;

    if (!reserve(lane, most_of(e, p), p->made)) {
        return false;
    }
    out = write_parts(&lane->batch, data + lane->batch.base, e, p, lane->out.data + lane->out.len,
                      &body);
    if (out == NULL) {
        return false;
    }
    lane->out.len = (size_t) (out - lane->out.data);
    return true;
}

static bool read_map(const flbwt_guest *g, const uint8_t *p, int depth, const uint8_t **map,
                     size_t *n)
{
    unsigned containers;

    *n = get32(p + 4);
    *map = in_guest(g, get32(p), *n);
    return *map != NULL && *n > 0 && is_map(**map) &&
           flbwt_skip(*map, *map + *n, depth, &containers) == *map + *n;
}

// What an emitted event has of the one that it comes behind.
typedef struct {
    const uint8_t *time, *meta;
    size_t time_n, meta_n;
    uint8_t set[MAX_TIME_BYTES]; // time, if the plan has one
    uint32_t hops; // under another tag
} heritage;

// inherit finds what events that are emitted behind e get of it, as the plan leaves it. False:
// lane->outcome and why are set.
static bool inherit(flbwt_lane *lane, const uint8_t *data, const flbwt_place *e, const plan *p,
                    heritage *h)
{
    flbwt_batch *b = &lane->batch;
    const uint8_t *from = data + b->base;

    h->time = from + e->time;
    h->time_n = e->meta - e->time;
    h->meta = from + e->meta;
    h->meta_n = e->body - e->meta;
    h->hops = p->elsewhere > 0 ? flbwt_lane_hops(lane, h->meta, h->meta_n) : 0;
    if (p->timed) {
        h->time = h->set;
        h->time_n = (size_t) (write_time(h->set, p->sec, p->nsec) - h->set);
    }
    if (p->edits[METADATA] > 0) {
        size_t most = h->meta_n + p->made + MAX_HEADER_GROWTH;

        b->inherited.len = 0;
        if (!reserve(lane, most, p->made)) {
            return false;
        }
        if (!flbwt_reserve(&b->inherited, most)) {
            lane->outcome = FLBWT_HOST_NO_MEMORY;
            return refuse(b, "the host has no memory");
        }
        const uint8_t *end = write_part(b, p, METADATA, h->meta, h->meta_n, b->inherited.data);
        if (end == NULL) {
            return false;
        }
        h->meta = b->inherited.data;
        h->meta_n = (size_t) (end - h->meta);
    }
    return true;
}

// An event that an operation emits, once it has been checked.
typedef struct {
    int64_t sec; // -1: the time that it has inherited
    uint32_t nsec, group;
    const uint8_t *meta, *body, *tag; // tag NULL: that of the chunk
    size_t meta_n, body_n;
    uint32_t tag_n;
    size_t time_n;
} emitted;

// read_tag reads the tag of an event that is emitted under another one.
static bool read_tag(flbwt_lane *lane, const uint8_t *p, emitted *e)
{
    flbwt_guest *g = lane->guest;

    e->tag_n = get32(p + EMITTED_BYTES + 4);
    e->tag = in_guest(g, get32(p + EMITTED_BYTES), e->tag_n);
    if (e->tag == NULL) {
        return refuse(&lane->batch, "the tag of what is emitted is not inside memory");
    }
    if (e->tag_n == 0 || e->tag_n > FLBWT_TAG_BYTES) {
        return refuse(&lane->batch, "the tag of what is emitted has not 1 to 1,024 bytes");
    }
    if (flbwt_tags_grant(&g->instance.tags, e->tag, e->tag_n)) {
        return true;
    }
    lane->batch.refused_tag = e->tag;
    lane->batch.refused_tag_len = e->tag_n;
    return refuse(&lane->batch, g->instance.tags.n > 0
                                    ? "emit_tags does not grant the tag of what is emitted"
                                    : "emit_tags, which is not set, does not grant the tag of what "
                                      "is emitted");
}

// write_head writes all of an emitted event but its body, and returns where that goes.
static uint8_t *write_head(const emitted *e, const heritage *h, bool legacy, uint8_t *out)
{
    *out++ = 0x92;
    if (!legacy) {
        *out++ = 0x92;
    }
    out =
        e->sec == -1 ? copy(out, h->time, h->time_n) : write_time(out, (uint32_t) e->sec, e->nsec);
    return legacy ? out : copy(out, e->meta, e->meta_n);
}

// write_elsewhere journals an event under another tag.
static bool write_elsewhere(flbwt_lane *lane, const uint8_t *data, const emitted *e,
                            const heritage *h, bool legacy)
{
    const flbwt_marker *g = e->group > 0 ? group_at(&lane->batch, e->group) : NULL;
    flbwt_routed head = {
        .tag_len = e->tag_n,
        .marker_len = g != NULL ? (uint32_t) (g->next - g->at) : 0,
        .event_len =
            (uint32_t) (legacy ? 1 + e->time_n + e->body_n : 2 + e->time_n + e->meta_n + e->body_n),
        .hops = h->hops,
    };
    size_t before = lane->routed.len;
    uint8_t *out = flbwt_journal(&lane->routed, &head, e->tag);

    if (out == NULL) {
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        return refuse(&lane->batch, "the host has no memory");
    }
    if (g != NULL) {
        out = copy(out, bytes_of(lane, data, g) + g->at, head.marker_len);
    }
    copy(write_head(e, h, legacy, out), e->body, e->body_n);
    lane->most -= lane->routed.len - before; // there was room for it
    return true;
}

// read_emitted reads all of the description at p of an emitted event, but for its maps. False: it is not valid.
static bool read_emitted(flbwt_lane *lane, const flbwt_entry *entry, const heritage *h,
                         const uint8_t *p, bool tagged, emitted *e)
{
    flbwt_batch *b = &lane->batch;

    *e = (emitted) {.sec = (int64_t) get64(p),
                    .nsec = get32(p + 8),
                    .group = get32(p + 12),
                    .meta = h->meta,
                    .meta_n = h->meta_n};
    if (e->sec != -1 && (e->sec < 0 || e->sec >= UINT32_MAX - 1 || e->nsec >= 1000000000)) {
        return refuse(b, "the time of what is emitted is none that an event can have");
    }
    e->time_n = e->sec == -1 ? h->time_n : MAX_TIME_BYTES;
    e->group = e->group == (uint32_t) SAME_GROUP ? entry->group : e->group;
    if (e->group > b->groups_n) {
        return refuse(b, "there is no group of the number that is emitted to");
    }
    if (e->group > 0 && group_at(b, e->group)->error != NULL) {
        return refuse(b, "the group that is emitted to has failed");
    }
    return !tagged || read_tag(lane, p, e);
}

// read_maps reads the metadata and body of an emitted event. False: they are not valid.
static bool read_maps(flbwt_lane *lane, const uint8_t *p, bool legacy, emitted *e)
{
    static const uint8_t none[] = {0x80};
    flbwt_batch *b = &lane->batch;

    if (get32(p + 20) > 0 &&
        !read_map(lane->guest, p + 16, FLBWT_METADATA_DEPTH, &e->meta, &e->meta_n)) {
        return refuse(b, "the metadata of what is emitted is not one map");
    }
    if (!read_map(lane->guest, p + 24, FLBWT_REPLY_DEPTH, &e->body, &e->body_n)) {
        return refuse(b, "the body of what is emitted is not one map");
    }
    if (legacy && e->meta_n > 0 && (e->meta_n != sizeof(none) || *e->meta != none[0])) {
        return refuse(b, "an event without metadata can't emit one with");
    }
    return true;
}

// write_emitted appends the event that an operation emits behind one, whose description p has bytes for, or
// journals it, if it has a tag.
static bool write_emitted(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *entry,
                          const heritage *h, const uint8_t *p, bool tagged, size_t *made)
{
    flbwt_batch *b = &lane->batch;
    bool legacy = entry->place.meta == entry->place.body;
    emitted e;

    if (!read_emitted(lane, entry, h, p, tagged, &e)) {
        return false;
    }
    // What is too much is not gone through.
    size_t n = 2 + e.time_n + (get32(p + 20) > 0 ? get32(p + 20) : e.meta_n) + get32(p + 28);
    if (tagged) {
        n += sizeof(flbwt_routed) + e.tag_n + marker_bytes(b, e.group);
    }
    else if (b->open != e.group) {
        n += marker_bytes(b, e.group);
    }
    *made += n;
    if (!charge(lane, n) ||
        !(tagged ? reserve_in(lane, &lane->routed, n, *made) : reserve(lane, n, *made)) ||
        !read_maps(lane, p, legacy, &e)) {
        return false;
    }
    if (tagged) {
        return write_elsewhere(lane, data, &e, h, legacy);
    }
    if (!turn_to(lane, data, e.group)) {
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        return refuse(b, "the host has no memory");
    }
    uint8_t *out = write_head(&e, h, legacy, lane->out.data + lane->out.len);
    lane->out.len = (size_t) (copy(out, e.body, e.body_n) - lane->out.data);
    return true;
}

// add_members emits an event whose only operation is to add members to its body, which most batch
// guests do. False: carry_out decides.
static bool add_members(flbwt_lane *lane, const uint8_t *data, const flbwt_place *e)
{
    flbwt_batch *b = &lane->batch;
    op o = op_at(lane->guest, &b->ops, b->ops.at);
    size_t head = e->body - e->at, n = e->next - e->body,
           more = head + n + MAX_HEADER_GROWTH + o.len;

    if (o.kind != FLBWT_EDIT_ADD || o.part != BODY || o.bytes == NULL || o.len > MAX_MADE_BYTES ||
        b->given + o.len > lane->size * 2 + FLBWT_CHUNK_ROOM || b->open != b->now ||
        more > flbwt_lane_room(lane) || !flbwt_lane_change(lane, data) ||
        !flbwt_reserve(&lane->out, more)) {
        return false;
    }
    const uint8_t *event = data + b->base + e->at;
    uint8_t *out = copy(lane->out.data + lane->out.len, event, head);
    out = flbwt_add_members(event + head, n, o.a, o.bytes, o.len, FLBWT_REPLY_DEPTH, out);
    if (out == NULL) {
        return false;
    }
    lane->out.len = (size_t) (out - lane->out.data);
    b->given += o.len;
    lane->at = b->base + e->next;
    lane->returned++;
    return true;
}

// carry_out emits an event as n operations want it. False: they may not be, and nothing is emitted.
static bool carry_out(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e, uint32_t n)
{
    flbwt_batch *b = &lane->batch;
    plan p = {.n = n};
    heritage h;

    if (!make_plan(lane, &b->ops, &p, false) || !charge(lane, p.made)) {
        return false;
    }
    bool stays = p.elsewhere == n; // as it came, and goes on elsewhere too
    if (!stays && !flbwt_lane_change(lane, data)) {
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        return refuse(b, "the host has no memory");
    }
    size_t len = lane->out.len, journalled = lane->routed.len, made = p.made;
    uint32_t open = b->open;
    lane->outcome = FLBWT_HOST_NO_MEMORY;
    bool ok = turn_to(lane, data, b->now) &&
              (p.drop || stays || write_event(lane, data, &e->place, &p)) &&
              ((!p.drop && p.emitted == 0) || inherit(lane, data, &e->place, &p, &h));

    for (uint32_t i = 0; ok && p.emitted > 0 && i < n; i++) {
        op o = op_at(lane->guest, &b->ops, b->ops.at + i);
        bool tagged = o.kind == OP_EMIT_TO;

        if (o.kind == OP_EMIT || tagged) {
            lane->outcome = FLBWT_BREACH;
            ok = o.bytes != NULL && o.len >= (tagged ? ROUTED_BYTES : EMITTED_BYTES)
                     ? write_emitted(lane, data, e, &h, o.bytes, tagged, &made)
                     : refuse(b, "what describes an emitted event is too short");
        }
    }
    if (ok && stays && !flbwt_lane_keep(lane, data, b->base + e->place.next)) {
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        ok = refuse(b, "the host has no memory");
    }
    if (!ok) {
        lane->out.len = len;
        lane->most += lane->routed.len - journalled;
        lane->routed.len = journalled;
        b->open = open;
        return false;
    }
    lane->at = b->base + e->place.next;
    lane->elsewhere += p.elsewhere;
    if (p.drop && p.emitted == p.elsewhere) {
        lane->dropped += p.elsewhere == 0;
        lane->records_elsewhere += p.elsewhere > 0;
    }
    else {
        lane->returned++;
        lane->added += p.emitted - p.elsewhere - p.drop;
    }
    return true;
}

// edit_group makes the marker of a group as its operations want it, in batch->markers. It is in the chunk
// by now: no answer has had it.
static bool edit_group(flbwt_lane *lane, const uint8_t *data, flbwt_marker *g, uint32_t n)
{
    flbwt_batch *b = &lane->batch;
    plan p = {.n = n};
    flbwt_place place = {
        .meta = (uint32_t) (g->meta - g->at),
        .body = (uint32_t) (g->body - g->at),
        .next = (uint32_t) (g->next - g->at),
    };
    uint8_t *body;

    if (!make_plan(lane, &b->group_ops, &p, true) || !charge(lane, p.made)) {
        return false;
    }
    size_t most = most_of(&place, &p);
    if (p.made > MAX_MADE_BYTES || most + b->markers.len > flbwt_lane_room(lane)) {
        return refuse(b, "they make more bytes than are left for a group");
    }
    b->scratch.len = 0;
    if (!flbwt_reserve(&b->markers, most) || !flbwt_reserve(&b->scratch, most)) {
        return refuse(b, "the host has no memory");
    }
    uint8_t *from = b->markers.data + b->markers.len,
            *to = write_parts(b, data + g->at, &place, &p, from, &body);
    if (to == NULL) {
        return false;
    }
    size_t at = b->markers.len;
    b->markers.len += (size_t) (to - from);
    *g = (flbwt_marker) {
        .edited = true,
        .at = at,
        .meta = at + place.meta,
        .body = at + (size_t) (body - from),
        .next = b->markers.len,
    };
    return true;
}

// restore_groups has the groups of a failed batch that begin in it be as they came. Of the one before,
// nothing more is emitted if another one was edited.
static void restore_groups(flbwt_batch *b)
{
    for (uint32_t i = 0; i < b->n && b->mixed; i++) {
        flbwt_entry e = entry_at(b, i);

        if (e.kind == FLBWT_ENTRY_GROUP_START) {
            *group_at(b, e.group) = marker_in_chunk(b, &e.place);
        }
    }
}

// edit_groups does so with all groups, and notes which have failed.
static bool edit_groups(flbwt_lane *lane, const uint8_t *data)
{
    flbwt_batch *b = &lane->batch;
    flbwt_ops *ops = &b->group_ops;

    b->markers.len = b->outer.edited ? b->outer.next : 0;
    for (uint32_t i = 1; i <= b->groups_n; i++) {
        flbwt_marker *g = group_at(b, i);
        uint32_t n = ops_of(ops, i - 1);

        if (n > 0 && g->answered) {
            return refuse(b, "a group that an earlier batch was answered with can't be changed");
        }
        if (n > 0 && !edit_group(lane, data, g, n)) {
            if (lane->outcome != FLBWT_ERROR) {
                return false;
            }
            g->error = ops->ops + (size_t) ops->at * OP_BYTES;
        }
        ops->at += n;
    }
    return true;
}

// take_groups has them be what the guest has answered. What it says of the group that began before the
// batch goes into its marker, which has been emitted. False: there is no memory.
static bool take_groups(flbwt_lane *lane, const uint8_t *data)
{
    flbwt_batch *b = &lane->batch;

    for (uint32_t i = 1; i <= b->groups_n; i++) {
        group_at(b, i)->answered = group_at(b, i)->error == NULL;
    }
    if (b->outer.next == 0 || b->outer.answered || group_at(b, 1)->error != NULL) {
        return true;
    }
    lane->group.refused = false;
    const flbwt_marker *g = group_at(b, 1);

    return !g->edited ||
           flbwt_lane_splice(lane, data, lane->group.marker, b->outer.next - b->outer.at,
                             b->markers.data + g->at, g->next - g->at);
}

// mark_group emits the marker before a group.
static bool mark_group(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e)
{
    flbwt_batch *b = &lane->batch;
    const flbwt_marker *g = group_at(b, e->group);
    size_t next = b->base + e->place.next;

    if (!flbwt_lane_close_group(lane, data)) {
        return false;
    }
    flbwt_lane_open_group(lane, b->base + e->place.body, next);
    lane->group.refused = b->drop && (b->failed != FLBWT_NOT_RUN || g->error != NULL);
    return g->edited
               ? flbwt_lane_replace(lane, data, next, b->markers.data + g->at, g->next - g->at)
               : flbwt_lane_keep(lane, data, next);
}

// keep_outer has the group that is open behind the batch be the one that is open before the next.
static void keep_outer(flbwt_batch *b)
{
    b->outer = b->now > 0 ? *group_at(b, b->now) : (flbwt_marker) {0};
    b->outer.error = NULL;
    if (b->outer.edited) { // the others of markers are not needed any more
        size_t at = b->outer.at;

        memmove(b->markers.data, b->markers.data + at, b->outer.next - at);
        b->outer.at = 0;
        b->outer.meta -= at;
        b->outer.body -= at;
        b->outer.next -= at;
    }
}

// pass goes on behind an event that has been emitted.
static void pass(flbwt_batch *b, const flbwt_entry *e)
{
    b->i++;
    b->told = false;
    switch (e->kind) {
    case FLBWT_ENTRY_RECORD:
        b->ops.at += ops_of(&b->ops, b->record++);
        break;
    case FLBWT_ENTRY_GROUP_START:
        b->now = b->open = e->group;
        break;
    case FLBWT_ENTRY_GROUP_END:
        b->now = b->open = 0;
        break;
    default:
        break;
    }
}

// keep_records emits the records from the next event on that stay as they are.
static bool keep_records(flbwt_lane *lane, const uint8_t *data)
{
    flbwt_batch *b = &lane->batch;
    uint32_t most = b->n - b->i, n = 0;

    // Up to the record of the next operation, or what is no record.
    if (b->ops.at < b->ops.n) {
        uint32_t until = get32(b->ops.ops + (size_t) b->ops.at * OP_BYTES) - b->record;

        most = until < most ? until : most;
    }
    if (b->mixed) {
        for (flbwt_entry e = entry_at(b, b->i); n < most && is_record(&e);) {
            if (++n < most) {
                e = entry_at(b, b->i + n);
            }
        }
    }
    else {
        n = most;
    }
    b->i += n;
    b->record += n;
    lane->records += n;
    lane->returned += n;
    lane->answered = true;
    return flbwt_lane_keep(lane, data, b->base + places_of(b)[b->i - 1].next);
}

// tell_error says whether Go is to be told of the error of a group: at its marker once, and for each
// record of it.
static bool tell_error(flbwt_lane *lane, const flbwt_entry *e)
{
    flbwt_batch *b = &lane->batch;
    bool start = e->kind == FLBWT_ENTRY_GROUP_START;
    uint32_t group = start ? e->group : b->now;

    if (!(start || is_record(e)) || group == 0 || group_at(b, group)->error == NULL || b->told) {
        return false;
    }
    flbwt_ops error = {.ops = group_at(b, group)->error, .n = 1};
    op o = op_at(lane->guest, &error, 0);

    say_error(lane, &o);
    b->told = start;
    return true;
}

// emit_next emits the next event, or some records that are kept. RECORD: it is for Go to emit, and
// lane->outcome says why; a marker is for Go to know of.
static enum flbwt_stop emit_next(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e)
{
    flbwt_batch *b = &lane->batch;
    bool record = is_record(e);

    if (b->failed == FLBWT_NOT_RUN && tell_error(lane, e)) {
        lane->records += record;
        lane->answered = true;
        return turn_to(lane, data, b->now) ? FLBWT_STOP_RECORD : FLBWT_STOP_NO_MEMORY;
    }
    if (record && b->failed == FLBWT_NOT_RUN) {
        uint32_t n = ops_of(&b->ops, b->record);

        if (n > 0) {
            lane->records++;
            if ((n == 1 && add_members(lane, data, &e->place)) || carry_out(lane, data, e, n)) {
                lane->answered = true;
                return FLBWT_STOP_DONE;
            }
            lane->answered = lane->answered || lane->outcome == FLBWT_ERROR;
            return turn_to(lane, data, b->now) ? FLBWT_STOP_RECORD : FLBWT_STOP_NO_MEMORY;
        }
    }
    bool ok = turn_to(lane, data, b->now);
    switch (e->kind) {
    case FLBWT_ENTRY_UNUSABLE:
        lane->outcome = FLBWT_NOT_RUN;
        return ok ? FLBWT_STOP_RECORD : FLBWT_STOP_NO_MEMORY;
    case FLBWT_ENTRY_GROUP_START:
        ok = ok && mark_group(lane, data, e);
        break;
    case FLBWT_ENTRY_GROUP_END:
        ok = ok && flbwt_lane_end_group(lane, data, b->base + e->place.next);
        break;
    default:
        if (b->failed != FLBWT_NOT_RUN) {
            lane->records++;
            lane->outcome = b->failed;
            return ok ? FLBWT_STOP_RECORD : FLBWT_STOP_NO_MEMORY;
        }
        ok = ok && keep_records(lane, data);
    }
    return ok ? FLBWT_STOP_DONE : FLBWT_STOP_NO_MEMORY;
}

// emit emits what has been gathered. RECORD: the event at lane->at is for Go to emit.
static enum flbwt_stop emit(flbwt_lane *lane, const uint8_t *data)
{
    flbwt_batch *b = &lane->batch;

    while (b->i < b->n) {
        flbwt_entry e = entry_at(b, b->i);
        enum flbwt_stop stop = FLBWT_STOP_DONE;

        if (lane->at >= b->base + e.place.next) { // it has been
            pass(b, &e);
        }
        else if ((stop = emit_next(lane, data, &e)) != FLBWT_STOP_DONE) {
            return stop;
        }
    }
    if (!turn_to(lane, data, b->now)) {
        return FLBWT_STOP_NO_MEMORY;
    }
    keep_outer(b);
    return FLBWT_STOP_DONE;
}

// has_groups says whether the guest is to be called though no record is in the batch: there is a group that
// it has not answered for, and that comes out.
static bool has_groups(const flbwt_lane *lane)
{
    const flbwt_batch *b = &lane->batch;

    return b->groups_n > 1 || (b->groups_n == 1 && !group_at(b, 1)->answered &&
                               (b->outer.next == 0 || !flbwt_lane_is_lost(lane)));
}

static void begin_emitting(flbwt_lane *lane)
{
    flbwt_batch *b = &lane->batch;

    b->called = true;
    b->i = b->record = 0;
    b->now = b->open = lane->batch.outer.next > 0;
}

void flbwt_batch_fail(flbwt_lane *lane)
{
    flbwt_batch *b = &lane->batch;

    b->failed = lane->outcome;
    b->ops = no_ops;
    restore_groups(b);
    begin_emitting(lane);
}

void flbwt_batch_halve(flbwt_lane *lane)
{
    lane->batch.limit = lane->batch.records / 2;
    clear(lane);
}

enum flbwt_stop flbwt_batch_go_on(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                                  const uint8_t *data, size_t size, uint64_t max)
{
    flbwt_batch *b = &lane->batch;

    for (;;) {
        enum flbwt_stop stop;

        if (!b->called) {
            if (b->base != lane->at) { // Go may have passed some by
                clear(lane);
            }
            if (lane->at >= size) {
                return FLBWT_STOP_DONE;
            }
            stop = gather(lane, data, size, max);
            if (stop != FLBWT_STOP_DONE) {
                return stop;
            }
            b->failed = FLBWT_NOT_RUN;
            b->ops = b->group_ops = no_ops;
            if (b->records > 0 || has_groups(lane)) {
                lane->outcome = call_guest(lane, tag, tag_len, data);
                if (lane->outcome == FLBWT_REPLY) {
                    bool ok = edit_groups(lane, data);

                    lane->outcome = ok ? FLBWT_REPLY : FLBWT_BAD_REPLY;
                }
                if (lane->outcome != FLBWT_REPLY) {
                    return FLBWT_STOP_BATCH;
                }
                if (!take_groups(lane, data)) {
                    return FLBWT_STOP_NO_MEMORY;
                }
                lane->answered = lane->answered || b->records == 0;
            }
            begin_emitting(lane);
        }
        stop = emit(lane, data);
        if (stop != FLBWT_STOP_DONE) {
            b->stopped = true;
            return stop;
        }
        bool stopped = b->stopped;
        max -= max < b->records ? max : b->records;
        b->limit =
            b->limit > UINT32_MAX / 2 || b->failed != FLBWT_NOT_RUN ? b->limit : b->limit * 2;
        clear(lane);
        if (lane->guest != NULL && lane->guest->recycle) {
            return FLBWT_STOP_REPLACE;
        }
        if (lane->guest == NULL || stopped) { // the next batch may need another one, or none
            return FLBWT_STOP_BUDGET;
        }
    }
}
