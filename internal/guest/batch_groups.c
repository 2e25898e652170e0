// The markers of groups in a batch, as the guest's operations have them.

#include "batch_impl.h"

#include <string.h>

bool flbwt_batch_turn_to(flbwt_lane *lane, const uint8_t *data, uint32_t group)
{
    flbwt_batch *b = &lane->batch;

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

    if (!flbwt_batch_plan(lane, &b->group_ops, &p, true) || !flbwt_batch_charge(lane, p.made)) {
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
            *to = flbwt_batch_write_parts(b, data + g->at, &place, &p, from, &body);
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

void flbwt_batch_restore_groups(flbwt_batch *b)
{
    for (uint32_t i = 0; i < b->n && b->mixed; i++) {
        flbwt_entry e = entry_at(b, i);

        if (e.kind == FLBWT_ENTRY_GROUP_START) {
            *group_at(b, e.group) = marker_in_chunk(b, &e.place);
        }
    }
}

bool flbwt_batch_edit_groups(flbwt_lane *lane, const uint8_t *data)
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

bool flbwt_batch_take_groups(flbwt_lane *lane, const uint8_t *data)
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

bool flbwt_batch_mark_group(flbwt_lane *lane, const uint8_t *data, const flbwt_entry *e)
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

void flbwt_batch_keep_outer(flbwt_batch *b)
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
