#include "lane.h"

#include "../hostcall/record.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    // Larger records are for Go.
    MAX_BYTES = 4 * 1024 * 1024,
    // What a chunk that is changed is given beyond its own size, and an eighth of it.
    SPARE_BYTES = 4096,
};

void flbwt_lane_begin(flbwt_lane *lane, size_t size)
{
    if (lane->in_chunk) {
        return;
    }
    flbwt_give_back(&lane->out);
    lane->in_chunk = true;
    lane->began_ns = flbwt_times_due(&lane->chunk_times) ? flbwt_now() : 0;
    lane->held = lane->answered = lane->changed = false;
    lane->size = size;
    lane->at = 0;
    lane->out.len = 0;
    lane->most = size * 2 + FLBWT_CHUNK_ROOM;
    lane->journal_before = lane->journal.len;
    lane->records = lane->returned = lane->dropped = lane->added = lane->elsewhere = 0;
    lane->group.open = lane->group.set = lane->group.inside = false;
    lane->group.body.len = 0;
    flbwt_batch_begin(lane);
}

bool flbwt_lane_append(flbwt_lane *lane, const uint8_t *bytes, size_t n)
{
    flbwt_buffer *b = &lane->out;

    if (!flbwt_reserve(b, n)) {
        return false;
    }
    if (n > 0) {
        memcpy(b->data + b->len, bytes, n);
    }
    b->len += n;
    return true;
}

bool flbwt_lane_change(flbwt_lane *lane, const uint8_t *data)
{
    if (lane->changed) {
        return true;
    }
    lane->out.len = 0;
    if (!flbwt_reserve(&lane->out, lane->size + lane->size / 8 + SPARE_BYTES) ||
        !flbwt_lane_append(lane, data, lane->at)) {
        return false;
    }
    lane->changed = true;
    return true;
}

bool flbwt_lane_keep(flbwt_lane *lane, const uint8_t *data, size_t next)
{
    if (lane->changed && !flbwt_lane_append(lane, data + lane->at, next - lane->at)) {
        return false;
    }
    lane->at = next;
    return true;
}

bool flbwt_lane_replace(flbwt_lane *lane, const uint8_t *data, size_t next, const uint8_t *bytes,
                        size_t n)
{
    if (!flbwt_lane_change(lane, data) || !flbwt_lane_append(lane, bytes, n)) {
        return false;
    }
    lane->at = next;
    return true;
}

static uint64_t answers(const flbwt_lane *lane)
{
    return lane->returned + lane->dropped + lane->routed;
}

void flbwt_lane_open_group(flbwt_lane *lane, size_t at, size_t end)
{
    flbwt_group *g = &lane->group;

    g->open = true;
    g->failed = g->refused = g->passed = false;
    g->within = g->inside;
    g->inside = true;
    g->marker = lane->changed ? lane->out.len : lane->at;
    g->begin = lane->at;
    g->at = at;
    g->end = end;
    g->emitted = g->marker + at - lane->at;
    g->number++;
    g->answers = answers(lane);
}

bool flbwt_lane_set_group(flbwt_lane *lane, const uint8_t *body, size_t n)
{
    flbwt_group *g = &lane->group;

    // body may be what is set.
    if (n > g->body.len && !flbwt_reserve(&g->body, n - g->body.len)) {
        return false;
    }
    memmove(g->body.data, body, n);
    g->body.len = n;
    g->set = true;
    g->number++;
    return true;
}

bool flbwt_lane_splice(flbwt_lane *lane, const uint8_t *data, size_t at, size_t was,
                       const uint8_t *bytes, size_t n)
{
    if (!flbwt_lane_change(lane, data) || (n > was && !flbwt_reserve(&lane->out, n - was))) {
        return false;
    }
    uint8_t *to = lane->out.data + at;
    memmove(to + n, to + was, lane->out.len - at - was);
    memcpy(to, bytes, n);
    lane->out.len += n - was;
    return true;
}

void flbwt_lane_marker(const flbwt_lane *lane, const uint8_t *data, const uint8_t **start,
                       size_t *start_len, const uint8_t **body, size_t *body_len)
{
    const flbwt_group *g = &lane->group;

    *start = *body = NULL;
    *start_len = *body_len = 0;
    if (lane->batch.max_records > 0) {
        flbwt_batch_marker(lane, data, start, start_len);
    }
    else if (g->open) {
        *start = data + g->begin;
        *start_len = g->at - g->begin;
        *body = g->set ? g->body.data : data + g->at;
        *body_len = g->set ? g->body.len : g->end - g->at;
    }
}

bool flbwt_lane_is_lost(const flbwt_lane *lane)
{
    const flbwt_group *g = &lane->group;

    return g->open && (g->failed || g->refused) && !g->passed && answers(lane) == g->answers;
}

bool flbwt_lane_close_group(flbwt_lane *lane, const uint8_t *data)
{
    flbwt_group *g = &lane->group;
    bool ok = true;

    if (flbwt_lane_is_lost(lane)) { // nothing stands behind its marker
        ok = flbwt_lane_change(lane, data);
        lane->out.len = ok ? g->marker : lane->out.len;
        g->inside = g->within;
    }
    else if (g->set) {
        ok = flbwt_lane_splice(lane, data, g->emitted, g->end - g->at, g->body.data, g->body.len);
    }
    g->open = g->set = false;
    g->body.len = 0;
    return ok;
}

bool flbwt_lane_end_group(flbwt_lane *lane, const uint8_t *data, size_t next)
{
    flbwt_group *g = &lane->group;
    bool lost = flbwt_lane_is_lost(lane);

    if (!flbwt_lane_close_group(lane, data)) {
        return false;
    }
    if (lost && !g->inside) {
        lane->at = next;
        return true;
    }
    g->inside = false;
    return flbwt_lane_keep(lane, data, next);
}

size_t flbwt_lane_room(const flbwt_lane *lane)
{
    size_t used = (lane->changed ? lane->out.len : lane->at) + lane->group.body.len;

    return used < lane->most ? lane->most - used : 0;
}

// open_event makes room for the current event with a body of up to n bytes, and
// writes what stands before the body. It returns where that goes; NULL if there is
// no memory, or the chunk might have more than it may, or if more has changed than the event would.
static uint8_t *open_event(flbwt_lane *lane, const uint8_t *data, size_t n)
{
    const flbwt_event *e = &lane->event;

    if (1 + e->header_len + n > flbwt_lane_room(lane) || !flbwt_lane_change(lane, data) ||
        !flbwt_reserve(&lane->out, 1 + e->header_len + n)) {
        return NULL;
    }
    uint8_t *out = lane->out.data + lane->out.len;
    *out++ = 0x92;
    memcpy(out, data + e->header, e->header_len);
    return out + e->header_len;
}

// object_follows says whether JSON at p[0..n) goes on with another object.
static bool object_follows(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] > ' ' || p[i] == 0) {
            return p[i] == '{';
        }
    }
    return false;
}

// repeats says whether the reply is the record as the guest was given it.
static inline bool repeats(const flbwt_guest *g, const flbwt_call *x, const uint8_t *in,
                           uint32_t in_len)
{
    return in_len > 0 && x->rest >= in_len && in_len <= g->max_reply &&
           memcmp(x->reply, in, in_len) == 0 &&
           (g->msgpack || !object_follows(x->reply + in_len, x->rest - in_len));
}

// emit_reply emits the current event with the guest's reply for a body. False: it is
// for Go to read, and nothing has been emitted.
static bool emit_reply(flbwt_lane *lane, const uint8_t *data, const flbwt_call *x,
                       const uint8_t *in, uint32_t in_len)
{
    const flbwt_guest *g = lane->guest;
    const uint8_t *reply = x->reply;
    uint8_t *out;

    // A reply that repeats its input leaves the body as it was: exact even where
    // JSON is not, and cheap for filters that mostly drop.
    if (repeats(g, x, in, in_len)) {
        return flbwt_lane_keep(lane, data, lane->event.next);
    }
    if (lane->record.lossy && !g->msgpack) {
        return false;
    }
    bool changed = lane->changed;
    size_t len = lane->out.len;
    if (g->msgpack) {
        size_t window = x->rest <= g->max_reply ? x->rest : g->max_reply;
        const uint8_t *end = flbwt_skip_reply(reply, reply + window, FLBWT_REPLY_DEPTH, in, in_len,
                                              lane->containers);

        if (end == NULL) {
            return false;
        }
        size_t n = (size_t) (end - reply);
        out = open_event(lane, data, n);
        if (out != NULL) {
            memcpy(out, reply, n);
            out += n;
        }
    }
    else {
        size_t probe = (size_t) in_len * 2 + FLBWT_NUL_PROBE;
        const uint8_t *nul = memchr(reply, 0, probe < x->rest ? probe : x->rest);

        if (nul == NULL || (size_t) (nul - reply) > g->max_reply) {
            return false;
        }
        out = open_event(lane, data,
                         (size_t) (nul - reply) * FLBWT_MSGPACK_GROWTH + FLBWT_GROWTH_ROOM);
        if (out != NULL) {
            out = flbwt_read_json(reply, nul, reply + x->rest, FLBWT_REPLY_DEPTH,
                                  in == lane->staged.data ? &lane->record : NULL, out);
        }
    }
    if (out == NULL) {
        lane->out.len = len;
        lane->changed = changed;
        return false;
    }
    lane->out.len = (size_t) (out - lane->out.data);
    lane->at = lane->event.next;
    return true;
}

// show has the guest's functions know the current event.
static __attribute__((noinline)) void show(const flbwt_lane *lane, flbwt_current *r,
                                           const uint8_t *data)
{
    const flbwt_group *g = &lane->group;

    r->open = true;
    r->header = data + lane->event.header;
    r->header_len = lane->event.header_len;
    r->sec = lane->event.sec;
    r->nsec = lane->event.nsec;
    r->group = !g->open ? NULL : g->set ? g->body.data : data + g->at;
    r->group_len = g->set ? g->body.len : g->end - g->at;
    r->group_number = g->number;
    r->number++;
    r->changes = 0;
    r->given = 0;
}

// call_for calls the guest for the record of the current event. DONE: the event has
// been dealt with.
static enum flbwt_stop call_for(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                                const uint8_t *data, const uint8_t *in, uint32_t in_len)
{
    flbwt_guest *g = lane->guest;
    flbwt_call x = {.guest = g};
    bool timed = flbwt_times_due(&lane->call_times) || lane->timed;
    uint64_t from = timed ? flbwt_now() : 0, spent = 0;
    bool handled = false, touched = false;
    flbwt_current *current = g->instance.current;

    lane->records++;
    if (current != NULL) {
        show(lane, current, data);
    }
    lane->outcome =
        flbwt_call_enter(&x, tag, tag_len, in, in_len, lane->event.sec, lane->event.nsec);
    if (current != NULL) {
        current->open = false;
        touched = current->changes != 0; // then Go makes the event
    }
    if (timed) {
        spent = flbwt_now() - from;
    }
    switch (lane->outcome) {
    case FLBWT_TRAPPED:
    case FLBWT_TIMED_OUT:
        if (timed) {
            flbwt_times_add(&lane->call_times, spent);
        }
        lane->trap = x.trap;
        lane->error = x.error;
        return FLBWT_STOP_RECORD;
    case FLBWT_REPLY:
        handled = !lane->raw && !touched && emit_reply(lane, data, &x, in, in_len);
        lane->returned += handled;
        lane->repeated = touched && repeats(g, &x, in, in_len);
        if (!handled && !lane->repeated) {
            lane->outcome = flbwt_call_take(&x, in_len, &lane->reply);
        }
        break;
    case FLBWT_DROP:
        handled = !touched && flbwt_lane_change(lane, data);
        if (handled) {
            lane->at = lane->event.next;
            lane->dropped++;
        }
        else if (!touched) {
            lane->outcome = FLBWT_HOST_NO_MEMORY;
        }
        break;
    }

    from = timed ? flbwt_now() : 0;
    bool gone = !flbwt_call_leave(&x);
    if (timed) {
        flbwt_times_add(&lane->call_times, spent + flbwt_now() - from);
    }
    if (gone) {
        lane->trap = x.trap;
        lane->error = x.error;
    }
    else if (lane->outcome == FLBWT_NO_MEMORY || g->instance.room.bytes > g->recycle_bytes) {
        g->recycle = true;
    }
    if (!handled) {
        return FLBWT_STOP_RECORD;
    }
    lane->answered = true;
    return gone || g->recycle ? FLBWT_STOP_REPLACE : FLBWT_STOP_DONE;
}

// stage makes the record of the current event: JSON, or the body itself.
static bool stage(flbwt_lane *lane, const uint8_t *data, size_t size, const uint8_t **in,
                  uint32_t *in_len)
{
    flbwt_event *e = &lane->event;
    const uint8_t *body = data + e->body, *end = data + size, *after;

    if (lane->guest->msgpack) {
        after = flbwt_skip(body, end, FLBWT_EVENT_DEPTH, &lane->containers);
        if (after == NULL || after - body > INT32_MAX) {
            return false;
        }
        *in = body;
        *in_len = (uint32_t) (after - body);
    }
    else {
        size_t most = (size_t) (end - body);

        if (most > MAX_BYTES) {
            most = flbwt_span_msgpack(body, most);
            if (most == 0 || most > MAX_BYTES) {
                return false;
            }
        }
        lane->staged.len = 0;
        if (!flbwt_reserve(&lane->staged, most * FLBWT_JSON_GROWTH + FLBWT_GROWTH_ROOM)) {
            return false;
        }
        uint8_t *out = flbwt_write_json(body, end, lane->staged.data, &after, &lane->record);
        if (out == NULL) {
            return false;
        }
        *in = lane->staged.data;
        *in_len = (uint32_t) (out - lane->staged.data);
    }
    e->next = (size_t) (after - data);
    return true;
}

// go_on goes from event to event.
static enum flbwt_stop go_on(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                             const uint8_t *data, size_t size, uint64_t max)
{
    enum flbwt_stop stop = FLBWT_STOP_DONE;

    lane->trap = NULL;
    lane->error = NULL;
    flbwt_watch_enter(&lane->guest->instance.watch);
    while (lane->at < size && stop == FLBWT_STOP_DONE) {
        const uint8_t *in;
        uint32_t in_len;

        if (max-- == 0) {
            stop = FLBWT_STOP_BUDGET;
        }
        else if (!flbwt_read_event(data, size, lane->at, &lane->event) ||
                 !stage(lane, data, size, &in, &in_len)) {
            stop = FLBWT_STOP_EVENT;
        }
        else {
            stop = call_for(lane, tag, tag_len, data, in, in_len);
        }
    }
    flbwt_watch_leave(&lane->guest->instance.watch);
    return stop;
}

enum flbwt_stop flbwt_lane_run(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                               const uint8_t *data, size_t size, uint64_t max)
{
    flbwt_lane_begin(lane, size);
    if (!lane->held) {
        lane->answered = false;
        if (lane->batch.max_records > 0) {
            lane->stop = flbwt_batch_go_on(lane, tag, tag_len, data, size, max);
        }
        else if (lane->at < size) {
            lane->stop = go_on(lane, tag, tag_len, data, size, max);
        }
        else {
            lane->stop = FLBWT_STOP_DONE;
        }
        lane->held = true;
    }
    // What the guest has said comes before what becomes of the record that it said it about.
    if (lane->guest != NULL &&
        (flbwt_has_written(&lane->guest->instance) || flbwt_has_news(&lane->guest->instance))) {
        return FLBWT_STOP_OUTPUT;
    }
    lane->held = false;
    return lane->stop;
}

enum flbwt_stop flbwt_lane_call(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                                const uint8_t *data, const uint8_t *in, uint32_t in_len, bool lossy)
{
    lane->trap = NULL;
    lane->error = NULL;
    lane->answered = false;
    lane->containers = UINT_MAX; // not known
    lane->record.lossy = lossy;
    flbwt_watch_enter(&lane->guest->instance.watch);
    lane->stop = call_for(lane, tag, tag_len, data, in, in_len);
    flbwt_watch_leave(&lane->guest->instance.watch);
    return lane->stop;
}

// finish_journal adds to the totals, or forgets, what the chunk has emitted under other tags.
static void finish_journal(flbwt_lane *lane, bool forgotten)
{
    if (forgotten) {
        lane->journal.len = lane->journal_before;
    }
    else {
        __atomic_fetch_add(&lane->total_elsewhere, lane->elsewhere, __ATOMIC_RELAXED);
        __atomic_fetch_add(&lane->total_routed, lane->routed, __ATOMIC_RELAXED);
    }
    lane->elsewhere = lane->routed = 0;
}

void flbwt_lane_finish(flbwt_lane *lane, bool forgotten)
{
    if (lane->in_chunk && lane->began_ns != 0) {
        flbwt_times_add(&lane->chunk_times, flbwt_now() - lane->began_ns);
    }
    lane->in_chunk = false;
    flbwt_lane_show(lane);
    __atomic_fetch_add(&lane->total_chunks, 1, __ATOMIC_RELAXED);
    if (lane->elsewhere > 0) {
        finish_journal(lane, forgotten);
    }
    if (!forgotten) {
        __atomic_fetch_add(&lane->total_records, lane->records, __ATOMIC_RELAXED);
        __atomic_fetch_add(&lane->total_returned, lane->returned, __ATOMIC_RELAXED);
        __atomic_fetch_add(&lane->total_dropped, lane->dropped, __ATOMIC_RELAXED);
        __atomic_fetch_add(&lane->total_added, lane->added, __ATOMIC_RELAXED);
    }
    flbwt_give_back(&lane->staged);
    flbwt_give_back(&lane->reply);
    flbwt_give_back(&lane->batch.places);
    flbwt_give_back(&lane->batch.others);
    flbwt_give_back(&lane->batch.groups);
    flbwt_give_back(&lane->batch.markers);
    flbwt_give_back(&lane->batch.edits);
    flbwt_give_back(&lane->batch.scratch);
    flbwt_give_back(&lane->batch.inherited);
    flbwt_give_back(&lane->group.body);
    if (lane->guest != NULL && lane->guest->instance.current != NULL) {
        flbwt_current_trim(lane->guest->instance.current, FLBWT_KEEP_BYTES);
    }
}

enum flbwt_filter_result flbwt_lane_filter(flbwt_lane *lane, const void *tag, int tag_len,
                                           const void *data, size_t size, void **out,
                                           size_t *out_size)
{
    if (flbwt_lane_run(lane, tag, (uint32_t) tag_len, data, size, UINT64_MAX) != FLBWT_STOP_DONE) {
        lane->held = true;
        return FLBWT_FILTER_STOPPED;
    }
    flbwt_lane_finish(lane, false);
    if (!lane->changed) {
        return FLBWT_FILTER_NOTOUCH;
    }
    *out = NULL;
    *out_size = lane->out.len;
    if (lane->out.len > 0) {
        *out = lane->out.data;
        lane->out = (flbwt_buffer) {0};
    }
    return FLBWT_FILTER_MODIFIED;
}

void flbwt_lane_want(flbwt_lane *lane, bool wanted)
{
    __atomic_store_n(&lane->wanted, wanted, __ATOMIC_RELEASE);
}

bool flbwt_lane_ready(const flbwt_lane *lane)
{
    return lane->ready && !__atomic_load_n(&lane->wanted, __ATOMIC_ACQUIRE);
}

flbwt_totals flbwt_lane_totals(const flbwt_lane *lane)
{
    return (flbwt_totals) {
        .chunks = __atomic_load_n(&lane->total_chunks, __ATOMIC_RELAXED),
        .records = __atomic_load_n(&lane->total_records, __ATOMIC_RELAXED),
        .returned = __atomic_load_n(&lane->total_returned, __ATOMIC_RELAXED),
        .dropped = __atomic_load_n(&lane->total_dropped, __ATOMIC_RELAXED),
        .added = __atomic_load_n(&lane->total_added, __ATOMIC_RELAXED),
        .elsewhere = __atomic_load_n(&lane->total_elsewhere, __ATOMIC_RELAXED),
        .routed = __atomic_load_n(&lane->total_routed, __ATOMIC_RELAXED),
        .emission =
            {
                .delivered = __atomic_load_n(&lane->emission.delivered, __ATOMIC_RELAXED),
                .kept = __atomic_load_n(&lane->emission.kept, __ATOMIC_RELAXED),
                .dropped = __atomic_load_n(&lane->emission.dropped, __ATOMIC_RELAXED),
                .looped = __atomic_load_n(&lane->emission.looped, __ATOMIC_RELAXED),
                .held_bytes = __atomic_load_n(&lane->emission.held_bytes, __ATOMIC_RELAXED),
            },
        .calls = __atomic_load_n(&lane->call_times.seen, __ATOMIC_RELAXED),
        .memory = __atomic_load_n(&lane->memory, __ATOMIC_RELAXED),
    };
}
