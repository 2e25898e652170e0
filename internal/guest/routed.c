// Events under other tags: the journal of a lane.

#define _GNU_SOURCE
#include "lane.h"

#include "../fast/msgpack.h"

#include <string.h>

// hops_key is the member of an event's metadata that says through how many filters it has come.
static const char hops_key[] = "wasmtime_hops";

// number_at reads the number at p, which is valid: 0 if it is negative, or none.
static uint32_t number_at(const uint8_t *p)
{
    uint64_t v = 0;

    switch (*p) {
    case 0xcc:
        return p[1];
    case 0xcd:
        return load16(p + 1);
    case 0xce:
        return load32(p + 1);
    case 0xd0:
        return p[1] < 0x80 ? p[1] : 0;
    case 0xd1:
        return p[1] < 0x80 ? load16(p + 1) : 0;
    case 0xd2:
        return p[1] < 0x80 ? load32(p + 1) : 0;
    case 0xcf:
        v = load64(p + 1);
        break;
    case 0xd3:
        v = p[1] < 0x80 ? load64(p + 1) : 0;
        break;
    default:
        v = *p <= 0x7f ? *p : 0;
    }
    return v < UINT32_MAX ? (uint32_t) v : UINT32_MAX;
}

// is_hops says whether the value at p, which is valid, is the key of hops.
static bool is_hops(const uint8_t *p, const uint8_t *end)
{
    const size_t n = sizeof(hops_key) - 1;
    const uint8_t *text = is_fixstr(*p) && (*p & 0x1f) == n         ? p + 1
                          : *p == 0xd9 && end - p >= 2 && p[1] == n ? p + 2
                                                                    : NULL;

    return text != NULL && (size_t) (end - text) >= n && memcmp(text, hops_key, n) == 0;
}

static const uint8_t *skip(const uint8_t *p, const uint8_t *end)
{
    unsigned containers;

    return flbwt_skip(p, end, FLBWT_EVENT_DEPTH, &containers);
}

// hops_of is the count in the metadata at p; 0: there is none.
static uint32_t hops_of(const uint8_t *p, const uint8_t *end)
{
    uint64_t pairs = 0;
    uint32_t hops = 0;

    p = p < end ? map_header(p, end, &pairs) : NULL;
    for (; p != NULL && pairs > 0; pairs--) {
        const uint8_t *value = skip(p, end), *next = value != NULL ? skip(value, end) : NULL;

        if (next != NULL && is_hops(p, value)) {
            hops = number_at(value);
        }
        p = next;
    }
    return hops;
}

static uint32_t one_more(uint32_t hops) { return hops < UINT32_MAX ? hops + 1 : hops; }

uint32_t flbwt_lane_hops(const flbwt_lane *lane, const uint8_t *metadata, size_t n)
{
    uint32_t hops = hops_of(metadata, metadata + n);

    // What comes from an input has come through no filter, whatever its sender says.
    return lane->count_hops ? one_more(hops) : hops > 0;
}

uint32_t flbwt_chunk_hops(const uint8_t *data, size_t n)
{
    const uint8_t *p = data, *end = data + n, *header;
    uint32_t highest = 0;

    // Hardly any chunk has such a member.
    if (memmem(data, n, hops_key, sizeof(hops_key) - 1) == NULL) {
        return 1;
    }
    while (p != NULL && (p = array_of_two(p, end)) != NULL) {
        const uint8_t *body = skip(p, end);

        if (body != NULL && (header = array_of_two(p, end)) != NULL) {
            uint32_t hops = hops_of(skip(header, body), body);

            highest = hops > highest ? hops : highest;
        }
        p = body != NULL ? skip(body, end) : NULL;
    }
    return one_more(highest);
}

size_t flbwt_chunk_events(const uint8_t *data, size_t n)
{
    size_t events = 0;

    for (const uint8_t *p = data, *end = data + n; p < end && (p = skip(p, end)) != NULL;) {
        events++;
    }
    return events;
}

void flbwt_lane_end_hops(flbwt_lane *lane, bool tick, bool kept)
{
    bool forgotten = tick && --lane->tick_hops_left == 0;

    // What has come so far does not go on: the loop is cut, and what follows is not in it.
    if (forgotten || (lane->tick_hops >= FLBWT_MAX_HOPS && lane->ticked.len > 0)) {
        lane->tick_hops = 0;
    }
    else if (kept) {
        lane->tick_hops = lane->tick_hops_before;
        lane->tick_hops_left = lane->tick_hops_left_before;
    }
}

uint8_t *flbwt_journal(flbwt_buffer *journal, const flbwt_routed *head, const uint8_t *tag)
{
    size_t n = sizeof(*head) + (size_t) head->tag_len + head->marker_len + head->event_len;

    if (!flbwt_reserve(journal, n)) {
        return NULL;
    }
    uint8_t *to = journal->data + journal->len;

    journal->len += n;
    to = copy(to, (const uint8_t *) head, sizeof(*head));
    return copy(to, tag, head->tag_len);
}

// charge_room has what the chunk may still have be less by what a journal has grown since it had so many
// bytes.
static void charge_room(flbwt_lane *lane, size_t before)
{
    size_t n = lane->routed.len - before;

    lane->most = n < lane->most ? lane->most - n : 0;
}

bool flbwt_lane_route(flbwt_lane *lane, const uint8_t *data, const uint8_t *tag, uint32_t tag_len,
                      const uint8_t *metadata, size_t metadata_len, const uint8_t *event,
                      uint32_t event_len)
{
    const uint8_t *start, *body;
    size_t start_len, body_len, before = lane->routed.len;

    flbwt_lane_marker(lane, data, &start, &start_len, &body, &body_len);
    flbwt_routed head = {
        .tag_len = tag_len,
        .marker_len = (uint32_t) (start_len + body_len),
        .event_len = event_len,
        .hops = flbwt_lane_hops(lane, metadata, metadata_len),
    };
    uint8_t *to = flbwt_journal(&lane->routed, &head, tag);

    if (to == NULL) {
        return false;
    }
    to = copy(to, start, start_len);
    to = copy(to, body, body_len);
    copy(to, event, event_len);
    lane->elsewhere++;
    charge_room(lane, before);
    return true;
}

bool flbwt_lane_route_tick(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                           const uint8_t *event, uint32_t event_len)
{
    flbwt_routed head = {.tag_len = tag_len, .event_len = event_len, .hops = lane->tick_hops};
    uint8_t *to = flbwt_journal(&lane->ticked, &head, tag);

    if (to != NULL) {
        copy(to, event, event_len);
    }
    return to != NULL;
}

// move appends what is in a journal to another. False: there is no memory, and it stays where it is.
static bool move(flbwt_buffer *to, flbwt_buffer *from)
{
    if (from->len > 0 && !flbwt_reserve(to, from->len)) {
        return false;
    }
    copy(to->data + to->len, from->data, from->len);
    to->len += from->len;
    from->len = 0;
    return true;
}

// give_back does so with an empty buffer: what could not be moved waits for the next time.
static void give_back(flbwt_buffer *b)
{
    if (b->len == 0) {
        flbwt_give_back(b);
    }
}

void flbwt_lane_join_routed(flbwt_lane *lane, flbwt_lane *from)
{
    move(&lane->routed, &from->routed);
    move(&lane->ticked, &from->ticked);
    from->routed_before = from->routed.len;
    give_back(&from->routed);
    give_back(&from->ticked);
}

void flbwt_lane_take_routed(flbwt_lane *lane, flbwt_buffer *to)
{
    flbwt_buffer empty = *to;

    move(&lane->routed, &lane->ticked);
    empty.len = 0;
    give_back(&empty);
    give_back(&lane->ticked);
    *to = lane->routed;
    lane->routed = empty;
    lane->routed_before = 0;
}

uint64_t flbwt_journal_events(const flbwt_buffer *journal, size_t from)
{
    uint64_t events = 0;
    flbwt_routed head;

    for (size_t at = from; at + sizeof(head) <= journal->len; events++) {
        memcpy(&head, journal->data + at, sizeof(head));
        at += sizeof(head) + (size_t) head.tag_len + head.marker_len + head.event_len;
    }
    return events;
}

void flbwt_lane_keep_routed(flbwt_lane *lane)
{
    __atomic_fetch_add(&lane->emission.kept,
                       flbwt_journal_events(&lane->routed, lane->routed_before), __ATOMIC_RELAXED);
    lane->routed.len = lane->routed_before;
}

void flbwt_lane_count_lost(flbwt_lane *lane, uint64_t events)
{
    __atomic_fetch_add(&lane->emission.dropped, events, __ATOMIC_RELAXED);
}

uint64_t flbwt_lane_drop_routed(flbwt_lane *lane)
{
    uint64_t events =
        flbwt_journal_events(&lane->routed, 0) + flbwt_journal_events(&lane->ticked, 0);

    flbwt_lane_count_lost(lane, events);
    lane->routed.len = lane->ticked.len = 0;
    return events;
}
