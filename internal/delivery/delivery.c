#include "delivery.h"

#include "../fast/fast.h"
#include "../fast/skip.h"
#include "../guest/hops.h"

#include <stdlib.h>
#include <string.h>

enum {
    NONE = UINT32_MAX,
    HOPS_BYTES = 4 + FLBWT_HOPS_KEY_BYTES + 5, // by which an event grows: heads, the key, a number
};

// entry is an event of the journal.
typedef struct {
    size_t at;
    uint32_t destination, next; // next of the same destination, or NONE
} entry;

static flbwt_journal_entry head_at(const uint8_t *p)
{
    flbwt_journal_entry head;

    memcpy(&head, p, sizeof(head));
    return head;
}

static size_t size_of(const flbwt_journal_entry *head)
{
    return sizeof(*head) + (size_t) head->tag_len + head->marker_len + head->event_len;
}

// count_entries returns how many entries the journal has, NONE if it is none.
static uint32_t count_entries(const uint8_t *journal, size_t n)
{
    size_t at = 0;
    uint32_t count = 0;

    while (at < n) {
        if (n - at < sizeof(flbwt_journal_entry)) {
            return NONE;
        }
        flbwt_journal_entry head = head_at(journal + at);
        if (n - at < size_of(&head) || ++count == NONE) {
            return NONE;
        }
        at += size_of(&head);
    }
    return count;
}

// room makes a buffer have n elements. False: there is no memory.
static bool room(flbwt_buffer *b, size_t n, size_t size)
{
    b->len = 0;
    if (!flbwt_reserve(b, n * size + 1)) {
        return false;
    }
    b->len = n * size;
    return true;
}

static bool is_for(const flbwt_destination *to, const uint8_t *tag, uint32_t n, bool cut)
{
    return to->tag_len == n && to->cut == cut && memcmp(to->tag, tag, n) == 0;
}

// find returns the number of the destination, which is made unless it is there.
static uint32_t find(flbwt_delivery *d, const uint8_t *tag, uint32_t n, bool cut, uint32_t mask)
{
    uint32_t *table = (uint32_t *) d->table.data;
    uint64_t hash = flbwt_siphash(d->seed, tag, n) + cut;

    for (uint32_t i = (uint32_t) hash & mask;; i = (i + 1) & mask) {
        if (table[i] == NONE) {
            table[i] = d->destinations++;
            *flbwt_delivery_at(d, table[i]) = (flbwt_destination) {
                .tag = tag, .tag_len = n, .cut = cut, .first = NONE, .last = NONE};
            return table[i];
        }
        if (is_for(flbwt_delivery_at(d, table[i]), tag, n, cut)) {
            return table[i];
        }
    }
}

bool flbwt_delivery_sort(flbwt_delivery *d, const uint8_t *journal, size_t n)
{
    uint32_t count = count_entries(journal, n), slots = 16, last = 0;

    d->journal = journal;
    d->events = d->destinations = 0;
    while (count != NONE && slots / 2 < count && slots < 1U << 31) {
        slots *= 2;
    }
    if (count == NONE || count > slots / 2 || !room(&d->entries, count, sizeof(entry)) ||
        !room(&d->found, count, sizeof(flbwt_destination)) ||
        !room(&d->table, slots, sizeof(uint32_t))) {
        return false;
    }
    memset(d->table.data, 0xff, d->table.len);
    entry *entries = (entry *) d->entries.data;
    for (size_t at = 0; at < n;) {
        flbwt_journal_entry head = head_at(journal + at);
        const uint8_t *tag = journal + at + sizeof(head);
        bool cut = head.hops >= FLBWT_MAX_HOPS;

        if (d->events == 0 || !is_for(flbwt_delivery_at(d, last), tag, head.tag_len, cut)) {
            last = find(d, tag, head.tag_len, cut, slots - 1);
        }
        flbwt_destination *to = flbwt_delivery_at(d, last);
        entries[d->events] = (entry) {.at = at, .destination = last, .next = NONE};
        if (to->events == 0) {
            to->first = d->events;
        }
        else {
            entries[to->last].next = d->events;
        }
        to->last = d->events++;
        to->events++;
        to->room += (size_t) head.marker_len + head.event_len + FLBWT_GROUP_END_BYTES + HOPS_BYTES;
        at += size_of(&head);
    }
    return true;
}

static const uint8_t *skip(const uint8_t *p, const uint8_t *end)
{
    unsigned containers = 0;

    return skip_all(p, end, 1, FLBWT_EVENT_DEPTH, &containers);
}

static uint8_t *put_map_header(uint8_t *out, uint64_t pairs)
{
    if (pairs < 16) {
        *out = (uint8_t) (0x80 | pairs);
        return out + 1;
    }
    if (pairs <= UINT16_MAX) {
        *out = 0xde;
        return store16(out + 1, pairs);
    }
    *out = 0xdf;
    return store32(out + 1, pairs);
}

static uint8_t *put_number(uint8_t *out, uint32_t n)
{
    if (n < 0x80) {
        *out = (uint8_t) n;
        return out + 1;
    }
    *out = 0xce;
    return store32(out + 1, n);
}

static uint8_t *put_hops(uint8_t *out, uint32_t hops)
{
    return put_number(copy(out, flbwt_hops_key, FLBWT_HOPS_KEY_BYTES), hops);
}

// put_legacy writes an event of the form without metadata, of a time at p and a body, in the form with: all
// hosts that take events under other tags read both.
static uint8_t *put_legacy(uint8_t *out, const uint8_t *p, const uint8_t *body, const uint8_t *end,
                           uint32_t hops)
{
    *out++ = 0x92;
    *out++ = 0x92;
    out = put_map_header(copy(out, p, (size_t) (body - p)), 1);
    return copy(put_hops(out, hops), body, (size_t) (end - body));
}

// put_event writes an event, in whose metadata the hops are set unless they are 0.
static uint8_t *put_event(uint8_t *out, const uint8_t *event, size_t n, uint32_t hops)
{
    const uint8_t *end = event + n, *p, *body, *header, *members, *value, *after;
    uint64_t pairs;

    if (hops == 0 || (p = array_of_two(event, end)) == NULL || (body = skip(p, end)) == NULL ||
        skip(body, end) != end) {
        return copy(out, event, n);
    }
    header = array_of_two(p, end);
    if (header == NULL) {
        return put_legacy(out, p, body, end, hops);
    }
    if ((p = skip(header, end)) == NULL || (members = map_header(p, end, &pairs)) == NULL) {
        return copy(out, event, n);
    }
    value = flbwt_find_hops(members, end, pairs, &after);
    if (after == NULL || (value == NULL && pairs == UINT32_MAX)) {
        return copy(out, event, n);
    }
    if (value != NULL) {
        const uint8_t *rest = skip(value, end);

        out = copy(out, event, (size_t) (value - event));
        out = put_number(out, hops);
        return copy(out, rest, (size_t) (end - rest));
    }
    out = copy(out, event, (size_t) (p - event));
    out = put_map_header(out, pairs + 1);
    out = put_hops(copy(out, members, (size_t) (after - members)), hops);
    return copy(out, after, (size_t) (end - after));
}

// put_entry writes an event, and before it what ends the group of those before and begins its own. open is
// the marker of the group that is open, of which n bytes.
static uint8_t *put_entry(uint8_t *out, const uint8_t *at, bool with_hops, const uint8_t **open,
                          uint32_t *n)
{
    flbwt_journal_entry head = head_at(at);
    const uint8_t *marker = at + sizeof(head) + head.tag_len;

    if (head.marker_len != *n || memcmp(marker, *open, *n) != 0) {
        out = *n > 0 ? copy(out, flbwt_group_end, FLBWT_GROUP_END_BYTES) : out;
        out = copy(out, marker, head.marker_len);
        *open = marker;
        *n = head.marker_len;
    }
    return put_event(out, marker + head.marker_len, head.event_len, with_hops ? head.hops : 0);
}

const uint8_t *flbwt_delivery_events(flbwt_delivery *d, const flbwt_destination *to, size_t *n)
{
    const entry *entries = (const entry *) d->entries.data;
    const uint8_t *open = d->journal;
    uint32_t open_len = 0;

    d->bytes.len = 0;
    if (!flbwt_reserve(&d->bytes, to->room)) {
        return NULL;
    }
    uint8_t *out = d->bytes.data;
    for (uint32_t i = to->first; i != NONE; i = entries[i].next) {
        out = put_entry(out, d->journal + entries[i].at, true, &open, &open_len);
    }
    out = open_len > 0 ? copy(out, flbwt_group_end, FLBWT_GROUP_END_BYTES) : out;
    *n = (size_t) (out - d->bytes.data);
    return d->bytes.data;
}

const uint8_t *flbwt_delivery_left(flbwt_delivery *d, size_t *n, uint32_t *events)
{
    const entry *entries = (const entry *) d->entries.data;
    const uint8_t *open = d->journal;
    uint32_t open_len = 0;
    size_t most = 1;

    *events = 0;
    for (uint32_t i = 0; i < d->destinations; i++) {
        const flbwt_destination *to = flbwt_delivery_at(d, i);

        most += to->taken ? 0 : to->room;
        *events += to->taken ? 0 : to->events;
    }
    d->bytes.len = 0;
    if (!flbwt_reserve(&d->bytes, most)) {
        return NULL;
    }
    uint8_t *out = d->bytes.data;
    for (uint32_t i = 0; i < d->events; i++) {
        if (!flbwt_delivery_at(d, entries[i].destination)->taken) {
            out = put_entry(out, d->journal + entries[i].at, false, &open, &open_len);
        }
    }
    out = open_len > 0 ? copy(out, flbwt_group_end, FLBWT_GROUP_END_BYTES) : out;
    *n = (size_t) (out - d->bytes.data);
    return d->bytes.data;
}

size_t flbwt_delivery_journal(const flbwt_delivery *d, uint8_t *to)
{
    const entry *entries = (const entry *) d->entries.data;
    const uint8_t *begin = to;

    for (uint32_t i = 0; i < d->events; i++) {
        const flbwt_destination *of = flbwt_delivery_at(d, entries[i].destination);
        flbwt_journal_entry head =
            head_at(d->journal + entries[i].at); // still there: to is never beyond it

        if (!of->taken && !of->cut) {
            memmove(to, d->journal + entries[i].at, size_of(&head));
            to += size_of(&head);
        }
    }
    return (size_t) (to - begin);
}

void flbwt_delivery_end(flbwt_delivery *d)
{
    flbwt_buffer *const buffers[] = {&d->entries, &d->table, &d->bytes, &d->found};

    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        free(buffers[i]->data);
        *buffers[i] = (flbwt_buffer) {0};
    }
}

void flbwt_delivery_give_back(flbwt_delivery *d)
{
    if (d->entries.cap + d->table.cap + d->bytes.cap + d->found.cap > FLBWT_KEEP_BYTES) {
        flbwt_delivery_end(d);
    }
}
