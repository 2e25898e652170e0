// The input of a batch in the guest's memory, and its reply.

#include "batch_impl.h"

#include <string.h>

// The structures of docs/abi.md.
enum { HEADER_BYTES = 64, EVENT_BYTES = 32, GROUP_BYTES = 24, REPLY_BYTES = 16 };

// An event of the guest's table.
typedef struct {
    int64_t sec;
    uint32_t nsec, group, meta, meta_len, body, body_len;
} row;

_Static_assert(sizeof(row) == EVENT_BYTES, "the table has rows of that size");

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

enum flbwt_outcome flbwt_batch_call(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
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
