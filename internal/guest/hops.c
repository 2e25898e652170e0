// How many filters an event under another tag has come through, and how many events a chunk has.

#define _GNU_SOURCE
#include "hops.h"

#include "lane.h"

#include "../fast/msgpack.h"

#include <string.h>

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

static const uint8_t *skip(const uint8_t *p, const uint8_t *end)
{
    unsigned containers;

    return flbwt_skip(p, end, FLBWT_EVENT_DEPTH, &containers);
}

// is_key says whether the key at p, which is valid and ends at end, is flbwt_hops_key, in any of the forms that a
// string of that length may have.
static bool is_key(const uint8_t *p, const uint8_t *end)
{
    const size_t n = FLBWT_HOPS_KEY_BYTES - 1;
    size_t head = (size_t) (end - p) - n; // wraps around if the key is shorter

    return ((head == 1 && is_fixstr(*p)) || (head == 2 && *p == 0xd9) ||
            (head == 3 && *p == 0xda) || (head == 5 && *p == 0xdb)) &&
           memcmp(end - n, flbwt_hops_key + 1, n) == 0;
}

const uint8_t *flbwt_find_hops(const uint8_t *p, const uint8_t *end, uint64_t pairs,
                               const uint8_t **after)
{
    const uint8_t *found = NULL;

    for (; p != NULL && pairs > 0; pairs--) {
        const uint8_t *value = skip(p, end), *next = value != NULL ? skip(value, end) : NULL;

        if (next != NULL && is_key(p, value)) {
            found = value;
        }
        p = next;
    }
    *after = p;
    return found;
}

// hops_of is the count in the metadata at p; 0: there is none.
static uint32_t hops_of(const uint8_t *p, const uint8_t *end)
{
    uint64_t pairs = 0;
    const uint8_t *members = p != NULL && p < end ? map_header(p, end, &pairs) : NULL, *after,
                  *value = members != NULL ? flbwt_find_hops(members, end, pairs, &after) : NULL;

    return value != NULL ? number_at(value) : 0;
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
    if (memmem(data, n, flbwt_hops_key + 1, FLBWT_HOPS_KEY_BYTES - 1) == NULL) {
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
