// Events of a chunk. flbwt_read_event mirrors Next of package chunk.

#include "fast.h"

#include "msgpack.h"

// array_of_two returns what follows the header of an array of two elements at p;
// NULL if there is none. Headers come in any width.
static const uint8_t *array_of_two(const uint8_t *p, const uint8_t *end)
{
    static const uint8_t wide[] = {0xdc, 0, 2}, wider[] = {0xdd, 0, 0, 0, 2};

    if (end - p >= 1 && p[0] == 0x92) {
        return p + 1;
    }
    if (end - p >= 3 && memcmp(p, wide, sizeof(wide)) == 0) {
        return p + sizeof(wide);
    }
    if (end - p >= 5 && memcmp(p, wider, sizeof(wider)) == 0) {
        return p + sizeof(wider);
    }
    return NULL;
}

static bool is_map(uint8_t lead) { return (lead & 0xf0) == 0x80 || lead == 0xde || lead == 0xdf; }

// read_time reads the timestamp at p, an event time or an integer, and returns what
// follows.
static const uint8_t *read_time(const uint8_t *p, const uint8_t *end, flbwt_event *e)
{
    static const uint8_t fixext[] = {0xd7, 0}, ext[] = {0xc7, 8, 0};
    size_t left = (size_t) (end - p), head = 0;

    if (left >= sizeof(fixext) + 8 && memcmp(p, fixext, sizeof(fixext)) == 0) {
        head = sizeof(fixext);
    }
    else if (left >= sizeof(ext) + 8 && memcmp(p, ext, sizeof(ext)) == 0) {
        head = sizeof(ext);
    }
    if (head > 0) {
        e->sec = load32(p + head);
        e->nsec = load32(p + head + 4);
        return p + head + 8;
    }
    e->nsec = 0;
    if (left >= 1 && *p <= 0x7f) {
        e->sec = *p;
        return p + 1;
    }
    if (left >= 2 && *p == 0xcc) {
        e->sec = p[1];
        return p + 2;
    }
    // Some encoders write what is not negative as signed.
    if (left >= 3 && (*p == 0xcd || (*p == 0xd1 && p[1] <= 0x7f))) {
        e->sec = (uint32_t) p[1] << 8 | p[2];
        return p + 3;
    }
    if (left >= 5 && (*p == 0xce || (*p == 0xd2 && p[1] <= 0x7f))) {
        e->sec = load32(p + 1);
        return p + 5;
    }
    return NULL;
}

bool flbwt_read_event(const uint8_t *data, size_t size, size_t at, flbwt_event *e)
{
    const uint8_t *end = data + size, *p = array_of_two(data + at, end), *inner;

    if (p == NULL) {
        return false;
    }
    e->header = (size_t) (p - data);
    inner = array_of_two(p, end);
    if (inner != NULL) {
        p = inner;
    }
    e->time = (size_t) (p - data);
    p = read_time(p, end, e);
    if (p == NULL) {
        return false;
    }
    if ((int32_t) e->sec == -1 || (int32_t) e->sec == -2) {
        return false; // it may be a marker of a group
    }
    e->meta = (size_t) (p - data);
    if (inner != NULL) {
        if (p == end || !is_map(*p)) {
            return false;
        }
        unsigned containers;

        p = flbwt_skip(p, end, FLBWT_EVENT_DEPTH, &containers);
        if (p == NULL) {
            return false;
        }
    }
    e->header_len = (size_t) (p - data) - e->header;
    e->body = (size_t) (p - data);
    return p < end && is_map(*p);
}
