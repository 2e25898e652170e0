// Events of a chunk. flbwt_read_event and flbwt_read_events mirror Next of package chunk.

#include "fast.h"

#include "shape.h"

const uint8_t flbwt_group_end[] = {0x92, 0x92, 0xd7, 0, 0xff, 0xff, 0xff,
                                   0xfe, 0,    0,    0, 0,    0x80, 0x80};

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

// read_plain reads an event as Fluent Bit has written them since 2.1, at p: [[time, metadata], body]
// with all in the shortest form, but for the maps. It returns the body, or NULL for any other.
static const uint8_t *read_plain(const uint8_t *p, const uint8_t *end, flbwt_place *place)
{
    static const uint8_t empty[] = {0xdf, 0, 0, 0, 0};
    enum { META_AT = 12, LEAST = 18 };

    if (end - p < LEAST || load32(p) != 0x9292d700) {
        return NULL;
    }
    place->time = place->at + 2;
    place->meta = place->at + META_AT;
    place->sec = load32(p + 4);
    place->nsec = load32(p + 8);
    if (place->sec >= UINT32_MAX - 1) {
        return NULL; // a marker of a group
    }
    p += META_AT;
    if (*p == 0x80) {
        return p + 1;
    }
    if (memcmp(p, empty, sizeof(empty)) == 0) {
        return p + sizeof(empty);
    }
    unsigned containers = 0;

    return is_map(*p) ? skip_all(p, end, 1, FLBWT_EVENT_DEPTH, &containers) : NULL;
}

// read_any reads any ordinary event, up to the body.
static const uint8_t *read_any(const uint8_t *data, size_t size, flbwt_place *place)
{
    flbwt_event e;

    if (!flbwt_read_event(data, size, place->at, &e)) {
        return NULL;
    }
    place->time = (uint32_t) e.time;
    place->meta = (uint32_t) e.meta;
    place->sec = e.sec;
    place->nsec = e.nsec;
    return data + e.body;
}

enum flbwt_reading flbwt_read_events(const uint8_t *data, size_t size, size_t from,
                                     size_t max_bytes, flbwt_shape *shape, flbwt_place *places,
                                     size_t max, size_t *n)
{
    const uint8_t *end = data + size, *p = data + from;
    enum flbwt_reading reading = FLBWT_READ_ALL;
    flbwt_place *place = places;

    for (; p < end; place++) {
        unsigned containers = 0;

        if (place == places + max) {
            reading = FLBWT_READ_FULL;
            break;
        }
        place->at = (uint32_t) (p - data);
        const uint8_t *body = read_plain(p, end, place);
        if (body == NULL) {
            body = read_any(data, size, place);
        }
        const uint8_t *next =
            body != NULL ? skip_map(body, end, FLBWT_EVENT_DEPTH, &containers, shape) : NULL;
        if (next == NULL || next - p > INT32_MAX || next - data > UINT32_MAX) {
            reading = FLBWT_READ_UNUSUAL;
            break;
        }
        if ((size_t) (next - data) > max_bytes && p > data) {
            reading = FLBWT_READ_FULL;
            break;
        }
        place->body = (uint32_t) (body - data);
        place->next = (uint32_t) (next - data);
        p = next;
    }
    *n = (size_t) (place - places);
    return reading;
}

const uint8_t *flbwt_event_metadata(const uint8_t *header, size_t len)
{
    const uint8_t *end = header + len, *p = array_of_two(header, end);
    unsigned containers;

    return p != NULL ? flbwt_skip(p, end, 0, &containers) : NULL;
}
