#include "lane.h"

#include "../bounds/clock.h"

#include <string.h>

// The structures of docs/abi.md.
enum { HEADER_BYTES = 64, EVENT_BYTES = 32, GROUP_BYTES = 24, OP_BYTES = 24, EMITTED_BYTES = 32 };

enum op_kind { OP_DROP = 1, OP_ERROR, OP_TIME, OP_EMIT = 9 };

enum part { BODY, METADATA, PARTS };

enum {
    SAME_GROUP = -1,         // of an emitted event: that of the event it comes behind
    MAX_TEXT_BYTES = 1024,   // of an error
    MAX_MADE_BYTES = 64 << 20, // by the operations on one event
    MAX_TIME_BYTES = 10,
    MAX_HEADER_GROWTH = 4, // of a map
};

// Numbers of the guest, which needs not align them.
static uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint8_t *put32(uint8_t *p, size_t v)
{
    uint32_t w = (uint32_t) v;

    memcpy(p, &w, sizeof(w));
    return p + sizeof(w);
}

static flbwt_entry *entry_at(const flbwt_batch *b, uint32_t i)
{
    void *entries = b->entries.data;

    return (flbwt_entry *) entries + i;
}

// group_at returns the i-th group of the guest's table; the first is 1.
static flbwt_group *group_at(const flbwt_batch *b, uint32_t i)
{
    void *groups = b->groups.data;

    return (flbwt_group *) groups + i - 1;
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

    b->entries.len = b->groups.len = 0;
    b->n = b->records = b->groups_n = b->gathered_group = 0;
    b->end = lane->at;
    b->called = b->closed = false;
}

void flbwt_batch_begin(flbwt_lane *lane)
{
    clear(lane);
    lane->batch.limit = 0;
}

// ---- Gathering

static uint64_t most_records(const flbwt_batch *b, uint64_t max)
{
    uint64_t most = b->max_records;

    if (b->limit > 0 && b->limit < most) {
        most = b->limit;
    }
    return max < most ? max : most;
}

static bool is_record(const flbwt_entry *e) { return e->kind == FLBWT_ENTRY_RECORD; }

// open_group begins the guest's table with the group that is open already.
static bool open_group(flbwt_lane *lane)
{
    flbwt_batch *b = &lane->batch;

    if (b->n > 0 || b->groups_n > 0 || lane->group.next == 0) {
        return true;
    }
    b->groups_n = b->gathered_group = 1;
    return push(&b->groups, &lane->group, sizeof(lane->group));
}

// gather_entry adds an event. *full: there is no room for it in this batch.
static bool gather_entry(flbwt_lane *lane, const flbwt_entry *entry, bool *full)
{
    flbwt_batch *b = &lane->batch;
    flbwt_entry e = *entry;

    *full = b->records > 0 && e.next - lane->at > b->max_bytes;
    if (*full) {
        return true;
    }
    if (!open_group(lane)) {
        return false;
    }
    switch (e.kind) {
    case FLBWT_ENTRY_GROUP_START: {
        flbwt_group g = {FLBWT_IN_CHUNK, e.at, e.meta, e.body, e.next};

        if (!push(&b->groups, &g, sizeof(g))) {
            return false;
        }
        e.group = b->gathered_group = ++b->groups_n;
        break;
    }
    case FLBWT_ENTRY_GROUP_END:
        b->gathered_group = 0;
        break;
    default:
        e.group = b->gathered_group;
    }
    if (!push(&b->entries, &e, sizeof(e))) {
        return false;
    }
    b->n++;
    b->records += is_record(&e);
    b->end = e.next;
    return true;
}

bool flbwt_batch_gather(flbwt_lane *lane, const flbwt_entry *entry)
{
    bool full;

    if (!gather_entry(lane, entry, &full)) {
        return false;
    }
    if (full) {
        lane->batch.closed = true;
    }
    return true;
}

// gather gathers events until the batch is full, or the chunk at its end. DONE: it has.
static enum flbwt_stop gather(flbwt_lane *lane, const uint8_t *data, size_t size, uint64_t max)
{
    flbwt_batch *b = &lane->batch;
    uint64_t most = most_records(b, max);
    bool full = b->closed;

    if (max == 0) {
        return FLBWT_STOP_BUDGET;
    }
    while (!full && b->end < size && b->records < most) {
        flbwt_event e;
        unsigned containers;

        if (!flbwt_read_event(data, size, b->end, &e)) {
            return FLBWT_STOP_EVENT;
        }
        const uint8_t *after =
            flbwt_skip(data + e.body, data + size, FLBWT_EVENT_DEPTH, &containers);
        if (after == NULL || after - (data + e.body) > INT32_MAX) {
            return FLBWT_STOP_EVENT;
        }
        flbwt_entry entry = {
            .at = b->end,
            .time = e.time,
            .meta = e.meta,
            .body = e.body,
            .next = (size_t) (after - data),
            .sec = e.sec,
            .nsec = e.nsec,
            .kind = FLBWT_ENTRY_RECORD,
        };
        if (!gather_entry(lane, &entry, &full)) {
            lane->outcome = FLBWT_HOST_NO_MEMORY;
            return FLBWT_STOP_BATCH;
        }
    }
    b->closed = false;
    return FLBWT_STOP_DONE;
}

// ---- The call

static const uint8_t *bytes_of(const flbwt_lane *lane, const uint8_t *data, const flbwt_group *g)
{
    return g->where == FLBWT_IN_CHUNK ? data
           : g->where == FLBWT_IN_OUT ? lane->out.data
                                      : lane->batch.markers.data;
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
        const flbwt_entry *e = entry_at(b, i);

        if (!is_record(e)) {
            continue;
        }
        memcpy(p, &e->sec, sizeof(e->sec));
        p = put32(p + sizeof(e->sec), e->nsec);
        p = put32(p, e->group);
        p = put32(p, first + (e->meta - lane->at));
        p = put32(p, e->body - e->meta);
        p = put32(p, first + (e->body - lane->at));
        p = put32(p, e->next - e->body);
    }
    for (uint32_t i = 1; i <= b->groups_n; i++) {
        const flbwt_group *g = group_at(b, i);
        bool here = i > 1 || lane->group.next == 0;
        size_t meta = here ? first + (g->meta - lane->at) : outer;

        p = put32(p, here);
        p = put32(p, 0);
        p = put32(p, meta);
        p = put32(p, g->body - g->meta);
        p = put32(p, meta + (g->body - g->meta));
        p = put32(p, g->next - g->body);
    }
    if (first > outer) {
        memcpy(to + outer, bytes_of(lane, data, &lane->group) + lane->group.meta, first - outer);
    }
    memcpy(to + first, data + lane->at, bytes);
    if (tag_len > 0) {
        memcpy(to + first + bytes, tag, tag_len);
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

    b->ops = b->group_ops = (flbwt_ops) {0};
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
    flbwt_guest *g = lane->guest;
    flbwt_call x = {.guest = g};
    uint32_t at = 0;
    uint64_t first = HEADER_BYTES + (uint64_t) b->records * EVENT_BYTES +
                     (uint64_t) b->groups_n * GROUP_BYTES +
                     (lane->group.next > 0 ? lane->group.next - lane->group.meta : 0);
    uint64_t need = first + (b->end - lane->at) + tag_len;
    uint64_t from = lane->timed ? flbwt_clock_ns(CLOCK_MONOTONIC) : 0;

    flbwt_watch_enter(&g->instance.watch);
    enum flbwt_outcome outcome = flbwt_call_room(&x, need);
    if (outcome == FLBWT_NOT_RUN) {
        write_input(lane, tag, tag_len, data, g->instance.base + x.at, first);
        outcome = flbwt_call_batch(&x, (uint32_t) need, &at);
    }
    flbwt_watch_leave(&g->instance.watch);
    if (lane->timed) {
        lane->calls_ns += flbwt_clock_ns(CLOCK_MONOTONIC) - from;
    }
    lane->trap = x.trap;
    lane->error = x.error;
    if (outcome == FLBWT_REPLY && !read_reply(lane, at)) {
        outcome = FLBWT_BAD_REPLY;
    }
    if (outcome == FLBWT_NO_MEMORY || g->instance.room.bytes > g->recycle_bytes) {
        g->recycle = true;
    }
    return outcome;
}

// ---- Emitting

// As the host writes it.
static const uint8_t group_end[] = {0x92, 0x92, 0xd7, 0, 0xff, 0xff, 0xff,
                                    0xfe, 0,    0,    0, 0,    0x80, 0x80};

// turn_to has what is emitted next stand between the markers of that group.
static bool turn_to(flbwt_lane *lane, const uint8_t *data, uint32_t group)
{
    flbwt_batch *b = &lane->batch;

    if (b->open == group) {
        return true;
    }
    if (b->open != 0 && !flbwt_lane_append(lane, group_end, sizeof(group_end))) {
        return false;
    }
    if (group != 0) {
        const flbwt_group *g = group_at(b, group);
        size_t n = g->next - g->at;

        if (!flbwt_reserve(&lane->out, n) || // which may move what is to be copied
            !flbwt_lane_append(lane, bytes_of(lane, data, g) + g->at, n)) {
            return false;
        }
    }
    b->open = group;
    return true;
}

// marker_bytes is what turn_to may append.
static size_t marker_bytes(const flbwt_batch *b, uint32_t group)
{
    return sizeof(group_end) + (group != 0 ? group_at(b, group)->next - group_at(b, group)->at : 0);
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
    uint32_t emitted;
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
            return refuse(b, "the host has no memory for them");
        }
        p->edits[part]++;
    }
    return true;
}

// make_plan reads the operations of an event or group. False: one may not be; of an event that has failed,
// lane->outcome is FLBWT_ERROR.
static bool make_plan(flbwt_lane *lane, const flbwt_ops *ops, plan *p, bool group)
{
    flbwt_batch *b = &lane->batch;
    bool edited[PARTS] = {false, false};

    lane->outcome = FLBWT_BREACH;
    b->edits.len = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        op o = op_at(lane->guest, ops, ops->at + i);

        if (o.bytes == NULL) {
            return refuse(b, "bytes are not inside memory");
        }
        switch (o.kind) {
        case OP_DROP:
            p->drop = true;
            break;
        case OP_ERROR:
            if (p->n > 1 || group) {
                break;
            }
            lane->outcome = FLBWT_ERROR;
            b->code = o.a;
            b->text = o.bytes;
            b->text_len = o.len < MAX_TEXT_BYTES ? o.len : MAX_TEXT_BYTES;
            return false;
        case OP_TIME:
            if (o.a >= UINT32_MAX - 1 || o.b >= 1000000000) {
                return refuse(b, "the time is none that an event can have");
            }
            p->timed = true;
            p->sec = o.a;
            p->nsec = o.b;
            break;
        case OP_EMIT:
            p->emitted++;
            break;
        case FLBWT_EDIT_REPLACE:
        case FLBWT_EDIT_SET:
        case FLBWT_EDIT_ADD:
        case FLBWT_EDIT_REMOVE:
        case FLBWT_EDIT_PUT:
            if (o.part >= PARTS) {
                return refuse(b, "an event has no part of that number");
            }
            edited[o.part] = true;
            p->made += o.len;
            break;
        default:
            return refuse(b, "there is no operation of that number");
        }
        if (o.kind == OP_ERROR) {
            return refuse(b, "error goes with nothing else, and not with groups");
        }
    }
    if (group && (p->drop || p->timed || p->emitted > 0)) {
        return refuse(b, "a group can only be edited");
    }
    if (p->drop && (p->timed || edited[BODY] || edited[METADATA])) {
        return refuse(b, "drop goes with emit only");
    }
    for (uint32_t part = 0; part < PARTS; part++) {
        if (edited[part] && !note_edits(lane, ops, p, part)) {
            return false;
        }
    }
    return true;
}

static uint8_t *copy(uint8_t *out, const uint8_t *bytes, size_t n)
{
    memcpy(out, bytes, n);
    return out + n;
}

static uint8_t *write_time(uint8_t *out, uint32_t sec, uint32_t nsec)
{
    uint32_t big[2] = {__builtin_bswap32(sec), __builtin_bswap32(nsec)};

    *out++ = 0xd7;
    *out++ = 0;
    return copy(out, (const uint8_t *) big, sizeof(big));
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

// write_parts writes an event or marker as the plan wants it, and returns where it ends; NULL: an edit
// is not valid. *body is where its body begins.
static uint8_t *write_parts(flbwt_batch *b, const uint8_t *data, const flbwt_entry *e,
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
static size_t most_of(const flbwt_entry *e, const plan *p)
{
    return e->next - e->at + p->made + (size_t) PARTS * MAX_HEADER_GROWTH + MAX_TIME_BYTES;
}

// reserve makes room for n bytes more, of which the guest has given some. False: there is no memory, or it
// would be too much; lane->outcome says which.
static bool reserve(flbwt_lane *lane, size_t n, size_t given)
{
    lane->outcome = FLBWT_TOO_MUCH;
    if (given > MAX_MADE_BYTES || n > flbwt_lane_room(lane)) {
        return refuse(&lane->batch, "they make more bytes than are left for it");
    }
    lane->outcome = FLBWT_HOST_NO_MEMORY;
    lane->batch.scratch.len = 0;
    if (!flbwt_reserve(&lane->out, n) || !flbwt_reserve(&lane->batch.scratch, n)) {
        return refuse(&lane->batch, "the host has no memory");
    }
    lane->outcome = FLBWT_BREACH;
    return true;
}

// write_event appends an event as the plan wants it. False: lane->outcome and why are set.
static bool write_event(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e, const plan *p)
{
    uint8_t *body, *out;

    if (!reserve(lane, most_of(e, p), p->made)) {
        return false;
    }
    out = write_parts(&lane->batch, data, e, p, lane->out.data + lane->out.len, &body);
    if (out == NULL) {
        return false;
    }
    lane->out.len = (size_t) (out - lane->out.data);
    return true;
}

static bool is_map(uint8_t lead) { return (lead & 0xf0) == 0x80 || lead == 0xde || lead == 0xdf; }

static bool read_map(const flbwt_guest *g, const uint8_t *p, int depth, const uint8_t **map,
                     size_t *n)
{
    unsigned containers;

    *n = get32(p + 4);
    *map = in_guest(g, get32(p), *n);
    return *map != NULL && *n > 0 && is_map(**map) &&
           flbwt_skip(*map, *map + *n, depth, &containers) == *map + *n;
}

// write_emitted appends the event that an operation emits behind e.
static bool write_emitted(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e,
                          const uint8_t *p, size_t *made)
{
    static const uint8_t none[] = {0x80};
    flbwt_batch *b = &lane->batch;
    bool legacy = e->meta == e->body;
    int64_t sec;
    uint32_t nsec = get32(p + 8), group = get32(p + 12);
    const uint8_t *meta = data + e->meta, *body;
    size_t meta_n = e->body - e->meta, body_n;

    lane->outcome = FLBWT_BREACH;
    memcpy(&sec, p, sizeof(sec));
    if (sec != -1 && (sec < 0 || sec >= UINT32_MAX - 1 || nsec >= 1000000000)) {
        return refuse(b, "the time of what is emitted is none that an event can have");
    }
    group = group == (uint32_t) SAME_GROUP ? e->group : group;
    if (group > b->groups_n) {
        return refuse(b, "there is no group of the number that is emitted to");
    }
    if (get32(p + 20) > 0 && !read_map(lane->guest, p + 16, FLBWT_METADATA_DEPTH, &meta, &meta_n)) {
        return refuse(b, "the metadata of what is emitted is not one map");
    }
    if (!read_map(lane->guest, p + 24, FLBWT_REPLY_DEPTH, &body, &body_n)) {
        return refuse(b, "the body of what is emitted is not one map");
    }
    if (legacy && meta_n > 0 && (meta_n != sizeof(none) || *meta != none[0])) {
        return refuse(b, "an event without metadata can't emit one with");
    }
    size_t n = 2 + MAX_TIME_BYTES + meta_n + body_n + marker_bytes(b, group);
    *made += n;
    if (!reserve(lane, n, *made)) {
        return false;
    }
    if (!turn_to(lane, data, group)) {
        return false;
    }
    uint8_t *out = lane->out.data + lane->out.len;
    *out++ = 0x92;
    if (!legacy) {
        *out++ = 0x92;
    }
    out = sec == -1 ? copy(out, data + e->time, e->meta - e->time)
                    : write_time(out, (uint32_t) sec, nsec);
    if (!legacy) {
        out = copy(out, meta, meta_n);
    }
    lane->out.len = (size_t) (copy(out, body, body_n) - lane->out.data);
    return true;
}

// carry_out emits an event as n operations want it. False: they may not be, and nothing is emitted.
static bool carry_out(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e, uint32_t n)
{
    flbwt_batch *b = &lane->batch;
    plan p = {.n = n};

    if (!make_plan(lane, &b->ops, &p, false)) {
        return false;
    }
    if (!flbwt_lane_change(lane, data)) {
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        return false;
    }
    size_t len = lane->out.len, made = p.made;
    uint32_t open = b->open;
    bool ok = turn_to(lane, data, b->now) && (p.drop || write_event(lane, data, e, &p));

    for (uint32_t i = 0; ok && p.emitted > 0 && i < n; i++) {
        op o = op_at(lane->guest, &b->ops, b->ops.at + i);

        if (o.kind == OP_EMIT) {
            ok = o.len >= EMITTED_BYTES ? write_emitted(lane, data, e, o.bytes, &made)
                                        : refuse(b, "what describes an emitted event is too short");
        }
    }
    if (!ok) {
        lane->out.len = len;
        b->open = open;
        return false;
    }
    lane->at = e->next;
    if (p.drop && p.emitted == 0) {
        lane->dropped++;
    }
    else {
        lane->returned++;
        lane->added += p.emitted - p.drop;
    }
    return true;
}

// edit_group makes the marker of a group as its operations want it, in batch->markers.
static bool edit_group(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e, uint32_t n)
{
    flbwt_batch *b = &lane->batch;
    plan p = {.n = n};
    uint8_t *body;

    if (!make_plan(lane, &b->group_ops, &p, true)) {
        return false;
    }
    size_t most = most_of(e, &p);
    if (p.made > MAX_MADE_BYTES || most + b->markers.len > flbwt_lane_room(lane)) {
        return refuse(b, "they make more bytes than are left for a group");
    }
    b->scratch.len = 0;
    if (!flbwt_reserve(&b->markers, most) || !flbwt_reserve(&b->scratch, most)) {
        return refuse(b, "the host has no memory");
    }
    uint8_t *from = b->markers.data + b->markers.len,
            *to = write_parts(b, data, e, &p, from, &body);
    if (to == NULL) {
        return false;
    }
    size_t at = b->markers.len;
    b->markers.len += (size_t) (to - from);
    *group_at(b, e->group) = (flbwt_group) {
        .where = FLBWT_IN_MARKERS,
        .at = at,
        .meta = at + (e->meta - e->at),
        .body = at + (size_t) (body - from),
        .next = b->markers.len,
    };
    return true;
}

// edit_groups does so with all groups.
static bool edit_groups(flbwt_lane *lane, const uint8_t *data)
{
    flbwt_batch *b = &lane->batch;
    flbwt_ops *ops = &b->group_ops;

    b->markers.len = 0;
    for (uint32_t i = 0; i < b->n && ops->at < ops->n; i++) {
        const flbwt_entry *e = entry_at(b, i);
        uint32_t n;

        if (e->kind != FLBWT_ENTRY_GROUP_START) {
            continue;
        }
        n = ops_of(ops, e->group - 1);
        if (n > 0 && !edit_group(lane, data, e, n)) {
            return false;
        }
        ops->at += n;
    }
    return ops->at == ops->n || refuse(b, "a group that began before the batch can't be changed");
}

// mark_group emits the marker before a group.
static bool mark_group(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e)
{
    flbwt_batch *b = &lane->batch;
    flbwt_group *g = group_at(b, e->group);

    if (g->where == FLBWT_IN_CHUNK) {
        return flbwt_lane_keep(lane, data, e->next);
    }
    if (!flbwt_lane_change(lane, data)) {
        return false;
    }
    size_t from = lane->out.len;
    if (!flbwt_lane_append(lane, b->markers.data + g->at, g->next - g->at)) {
        return false;
    }
    *g = (flbwt_group) {
        .where = FLBWT_IN_OUT,
        .at = from,
        .meta = from + (g->meta - g->at),
        .body = from + (g->body - g->at),
        .next = lane->out.len,
    };
    lane->at = e->next;
    return true;
}

// pass goes on behind an entry that has been emitted.
static void pass(flbwt_batch *b)
{
    const flbwt_entry *e = entry_at(b, b->i++);

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

static bool is_kept(const flbwt_batch *b, const flbwt_entry *e)
{
    return is_record(e) && ops_of(&b->ops, b->record) == 0;
}

// keep_records emits the records from the next entry on that stay as they are.
static bool keep_records(flbwt_lane *lane, const uint8_t *data)
{
    flbwt_batch *b = &lane->batch;
    size_t next = lane->at;

    for (; b->i < b->n && is_kept(b, entry_at(b, b->i)); pass(b)) {
        next = entry_at(b, b->i)->next;
        lane->records++;
        lane->returned++;
    }
    lane->answered = true;
    return flbwt_lane_keep(lane, data, next);
}

// emit emits what has been gathered. RECORD: the event at lane->at is for Go to emit.
static enum flbwt_stop emit(flbwt_lane *lane, const uint8_t *data)
{
    flbwt_batch *b = &lane->batch;

    while (b->i < b->n) {
        const flbwt_entry *e = entry_at(b, b->i);
        bool ok;

        if (lane->at >= e->next) { // Go has
            pass(b);
            continue;
        }
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        if (is_record(e) && b->failed == FLBWT_NOT_RUN && b->ops.at < b->ops.n && !is_kept(b, e)) {
            lane->records++;
            ok = carry_out(lane, data, e, ops_of(&b->ops, b->record));
            lane->answered = lane->answered || ok;
            if (!ok) {
                enum flbwt_outcome why = lane->outcome;

                ok = turn_to(lane, data, b->now);
                lane->outcome = ok ? why : FLBWT_HOST_NO_MEMORY;
                ok = false;
            }
        }
        else if (!turn_to(lane, data, b->now)) {
            ok = false;
        }
        else if (e->kind == FLBWT_ENTRY_UNUSABLE) {
            lane->outcome = FLBWT_NOT_RUN;
            ok = false;
        }
        else if (is_record(e) && b->failed != FLBWT_NOT_RUN) {
            lane->records++;
            lane->outcome = b->failed;
            ok = false;
        }
        else if (is_record(e)) {
            ok = keep_records(lane, data);
        }
        else if (e->kind == FLBWT_ENTRY_GROUP_START) {
            ok = mark_group(lane, data, e);
        }
        else {
            ok = flbwt_lane_keep(lane, data, e->next);
        }
        if (!ok) {
            return FLBWT_STOP_RECORD;
        }
    }
    if (!turn_to(lane, data, b->now)) {
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        return FLBWT_STOP_BATCH;
    }
    lane->group = b->now > 0 ? *group_at(b, b->now) : (flbwt_group) {0};
    return FLBWT_STOP_DONE;
}

static void begin_emitting(flbwt_lane *lane)
{
    flbwt_batch *b = &lane->batch;

    b->called = true;
    b->i = b->record = 0;
    b->now = b->open = lane->group.next > 0;
}

void flbwt_batch_fail(flbwt_lane *lane)
{
    lane->batch.failed = lane->outcome;
    lane->batch.ops = (flbwt_ops) {0};
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
            if (b->n == 0 || entry_at(b, 0)->at != lane->at) { // Go may have passed some by
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
            b->ops = b->group_ops = (flbwt_ops) {0};
            if (b->records > 0) {
                lane->outcome = call_guest(lane, tag, tag_len, data);
                if (lane->outcome == FLBWT_REPLY && !edit_groups(lane, data)) {
                    lane->outcome = FLBWT_BAD_REPLY;
                }
                if (lane->outcome != FLBWT_REPLY) {
                    return FLBWT_STOP_BATCH;
                }
            }
            begin_emitting(lane);
        }
        stop = emit(lane, data);
        if (stop != FLBWT_STOP_DONE) {
            return stop;
        }
        max -= max < b->records ? max : b->records;
        b->limit =
            b->limit > UINT32_MAX / 2 || b->failed != FLBWT_NOT_RUN ? b->limit : b->limit * 2;
        clear(lane);
        if (lane->guest != NULL && lane->guest->recycle) {
            return FLBWT_STOP_REPLACE;
        }
    }
}
