// Which events a batch is made of.

#include "batch_impl.h"

enum {
    // Of a batch: events that do not go to the guest, which nothing else bounds.
    MAX_OTHERS = 1 << 16,
    PLACES_STEP = 128,
};

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

enum flbwt_stop flbwt_batch_fill(flbwt_lane *lane, const uint8_t *data, size_t size, uint64_t max)
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
