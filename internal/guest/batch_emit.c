// The events of a batch, as the guest's operations have them.

#include "batch_impl.h"

#include "../hostcall/tags.h"

#include <string.h>

// The structures of docs/abi.md.
enum {
    EMITTED_BYTES = 32,
    EMITTED_TO_BYTES = 40, // of an event under another tag
};

enum { SAME_GROUP = -1 }; // of an emitted event: that of the event it comes behind

// marker_bytes is what turn_to may append.
static size_t marker_bytes(const flbwt_batch *b, uint32_t group)
{
    return FLBWT_GROUP_END_BYTES +
           (group != 0 ? group_at(b, group)->next - group_at(b, group)->at : 0);
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

// write_event appends an event as the plan wants it. False: lane->outcome and why are set.
static bool write_event(flbwt_lane *lane, const uint8_t *data, const flbwt_place *e, const plan *p)
{
    uint8_t *body, *out;

    if (!reserve(lane, most_of(e, p), p->made)) {
        return false;
    }
    out = flbwt_batch_write_parts(&lane->batch, data + lane->batch.base, e, p,
                                  lane->out.data + lane->out.len, &body);
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
        const uint8_t *end =
            flbwt_batch_write_part(b, p, METADATA, h->meta, h->meta_n, b->inherited.data);
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
    flbwt_journal_entry head = {
        .tag_len = e->tag_n,
        .marker_len = g != NULL ? (uint32_t) (g->next - g->at) : 0,
        .event_len =
            (uint32_t) (legacy ? 1 + e->time_n + e->body_n : 2 + e->time_n + e->meta_n + e->body_n),
        .hops = h->hops,
    };
    size_t before = lane->journal.len;
    uint8_t *out = flbwt_journal(&lane->journal, &head, e->tag);

    if (out == NULL) {
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        return refuse(&lane->batch, "the host has no memory");
    }
    if (g != NULL) {
        out = copy(out, bytes_of(lane, data, g) + g->at, head.marker_len);
    }
    copy(write_head(e, h, legacy, out), e->body, e->body_n);
    lane->most -= lane->journal.len - before; // there was room for it
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
        n += sizeof(flbwt_journal_entry) + e.tag_n + marker_bytes(b, e.group);
    }
    else if (b->open != e.group) {
        n += marker_bytes(b, e.group);
    }
    *made += n;
    if (!flbwt_batch_charge(lane, n) ||
        !(tagged ? reserve_in(lane, &lane->journal, n, *made) : reserve(lane, n, *made)) ||
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

    if (!flbwt_batch_plan(lane, &b->ops, &p, false) || !flbwt_batch_charge(lane, p.made)) {
        return false;
    }
    bool stays = p.elsewhere == n; // as it came, and goes on elsewhere too
    if (!stays && !flbwt_lane_change(lane, data)) {
        lane->outcome = FLBWT_HOST_NO_MEMORY;
        return refuse(b, "the host has no memory");
    }
    size_t len = lane->out.len, journalled = lane->journal.len, made = p.made;
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
            ok = o.bytes != NULL && o.len >= (tagged ? EMITTED_TO_BYTES : EMITTED_BYTES)
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
        lane->most += lane->journal.len - journalled;
        lane->journal.len = journalled;
        b->open = open;
        return false;
    }
    lane->at = b->base + e->place.next;
    lane->elsewhere += p.elsewhere;
    if (p.drop && p.emitted == p.elsewhere) {
        lane->dropped += p.elsewhere == 0;
        lane->routed += p.elsewhere > 0;
    }
    else {
        lane->returned++;
        lane->added += p.emitted - p.elsewhere - p.drop;
    }
    return true;
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

    flbwt_batch_say_error(lane, &o);
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
        ok = ok && flbwt_batch_mark_group(lane, data, e);
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

enum flbwt_stop flbwt_batch_emit(flbwt_lane *lane, const uint8_t *data)
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
    if (b->groups_n > 0) {
        flbwt_batch_keep_outer(b);
    }
    return FLBWT_STOP_DONE;
}
