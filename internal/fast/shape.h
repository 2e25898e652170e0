// Where maps end that are made like the ones before: records of one source have the same keys in the
// same order, with values of the same types. Going over such a map from value to value is bound by
// latency, for each length has to be loaded before the next; what is as expected need not wait for that.

#ifndef FLBWT_SHAPE_H
#define FLBWT_SHAPE_H

#include "fast.h"

#include "skip.h"

enum {
    SHAPE_LOOK_AHEAD = 16, // members that a record may lack at once
    SHAPE_SAFE_BYTES = 40, // of a short key and the lead byte of its value, and some more
    NO_KEY = 0xc1, // no value begins with it
};

// What stands behind the last member. Where the bytes have NO_KEY too, it is read as a value, and is
// none.
static const flbwt_member flbwt_no_member = {.key = NO_KEY};

// shape_learn notes the member at p, of which SHAPE_SAFE_BYTES are there, before m.
static inline void shape_learn(flbwt_shape *shape, flbwt_member *m, const uint8_t *p)
{
    size_t behind = (size_t) (shape->members + shape->n - m);
    uint8_t c;

    memmove(m + 1, m, behind * sizeof(*m));
    shape->members[++shape->n] = flbwt_no_member;
    *m = (flbwt_member) {.key = *p, .key_len = (uint8_t) (1 + (*p & 0x1f))};
    c = p[m->key_len];
    if (is_fixstr(c) || c == 0xd9) {
        m->from = 0xa0;
        m->span = 0x20;
        m->is_str = true;
    }
    else if ((uint8_t) (c + 0x20) < 0xa0) { // a small integer
        m->from = 0xe0;
        m->span = 0xa0;
        m->len = 1;
    }
    else if (c < 0x90) { // a small map
        m->from = c;
        m->span = 1;
        m->len = 1;
        m->members = c & 0x0f;
        m->containers = 1;
    }
    else if (c >= 0xc0 && flbwt_fixed[c - 0xc0] > 0) {
        m->from = c;
        m->span = 1;
        m->len = flbwt_fixed[c - 0xc0];
    }
}

// shape_find returns what is known of the member at p, which is not the one that was expected, m; NULL if
// its key is no short string.
static inline flbwt_member *shape_find(flbwt_shape *shape, flbwt_member *m, const uint8_t *p)
{
    const flbwt_member *end = shape->members + shape->n;

    if (!is_fixstr(*p)) {
        return NULL;
    }
    for (flbwt_member *ahead = m; ahead < end && ahead < m + SHAPE_LOOK_AHEAD; ahead++) {
        if (ahead->key == *p) {
            return ahead;
        }
    }
    if (shape->n == FLBWT_SHAPE_MEMBERS) { // it is of other records
        shape->n = 0;
        m = shape->members;
    }
    shape_learn(shape, m, p);
    return m;
}

// skip_map is skip_all for one map.
static inline const uint8_t *skip_map(const uint8_t *map, const uint8_t *end, int depth,
                                      unsigned *containers, flbwt_shape *shape)
{
    uint64_t pairs;
    const uint8_t *p = map_header(map, end, &pairs);
    unsigned max = (unsigned) depth;
    flbwt_member *m = shape->members;

    if (p == NULL) {
        return NULL;
    }
    if (shape->n == 0) {
        *m = flbwt_no_member;
    }
    *containers = 1;
    const uint8_t *safe = end - map > SHAPE_SAFE_BYTES ? end - SHAPE_SAFE_BYTES : map;
    for (; pairs > 0; pairs--) {
        if (p >= safe) { // or it is behind the end
            p = p <= end ? skip_flat(p, end, pairs * 2, max, containers) : NULL;
            break;
        }
        if (*p != m->key) {
            flbwt_member *found = shape_find(shape, m, p);

            if (found == NULL) {
                p = skip_flat(p, end, 2, max, containers);
                if (p == NULL) {
                    break;
                }
                continue;
            }
            m = found;
        }
        const uint8_t *value = p + m->key_len;
        uint8_t c = *value, above = (uint8_t) (c - m->from);
        if (above < m->span && m->is_str) {
            p = value + above + 1;
        }
        else if (above < m->span) {
            p = value + m->len;
            *containers += m->containers;
            pairs += m->members;
        }
        else if (c == 0xd9) {
            p = value + 2 + value[1];
        }
        else {
            p = skip_flat(value, end, 1, max, containers);
            if (p == NULL) {
                break;
            }
        }
        m++;
    }
    if (*containers > max) {
        return flbwt_skip_values(map, end, 1, depth);
    }
    return p <= end ? p : NULL;
}

#endif
