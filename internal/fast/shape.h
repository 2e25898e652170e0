// Where maps end that are made like the ones before: records of one source have the same keys in the
// same order, with values of the same types. Going over such a map from value to value is bound by
// latency, for each length has to be loaded before the next; what is as expected need not wait for that.
// What is expected is laid out in a line, too, which is half of the gain.

#ifndef FLBWT_SHAPE_H
#define FLBWT_SHAPE_H

#include "fast.h"

#include "skip.h"

enum {
    SHAPE_LOOK_AHEAD = 16, // members that a record may lack at once
    SHAPE_MEMBER_BYTES = 64, // of a short key and a value that is no longer than a short string
    SHAPE_LONG = 4, // how many of these more a value may have whose length is a byte of its own
    NO_KEY = 0xc1, // no value begins with it
};

// What the values of a member have been so far.
enum shape_kind {
    SHAPE_SAME, // of len bytes, by their lead byte
    SHAPE_STR, // strings of less than 256 bytes
    SHAPE_ANY,
};

// How long values are whose lead byte tells it; 0: it does not.
// clang-format off
static const uint8_t flbwt_lengths[256] = {
    [0x00 ... 0x7f] = 1, // small integers
    [0xa0] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, // short strings
    17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
    [0xc0] = 1, [0xc2] = 1, 1, // nil, false, true
    [0xca] = 5, 9, // floats
    2, 3, 5, 9, 2, 3, 5, 9, // integers
    3, 4, 6, 10, 18, // extensions
    [0xe0 ... 0xff] = 1, // small integers
};
// clang-format on

#define EXPECTED(condition) __builtin_expect(condition, 1)

// What stands behind the last member. Where the bytes have NO_KEY too, it is read as a value, and is
// none.
static const flbwt_member flbwt_no_member = {.key = NO_KEY, .kind = SHAPE_ANY};

// shape_learn notes the member at p, of which SHAPE_MEMBER_BYTES are there, before m.
static inline void shape_learn(flbwt_shape *shape, flbwt_member *m, const uint8_t *p)
{
    size_t behind = (size_t) (shape->members + shape->n - m);
    uint8_t key_len = (uint8_t) (1 + (*p & 0x1f)), c = p[key_len];

    memmove(m + 1, m, behind * sizeof(*m));
    shape->members[++shape->n] = flbwt_no_member;
    *m = (flbwt_member) {.key = *p, .key_len = key_len, .kind = SHAPE_ANY};
    if (c == 0xd9) {
        m->kind = SHAPE_STR;
    }
    else if (flbwt_lengths[c] > 0) {
        m->kind = SHAPE_SAME;
        m->len = flbwt_lengths[c];
    }
}

// shape_find returns what is known of the member at p, which is not the one that was expected, m; NULL if
// its key is no short string.
static __attribute__((noinline)) flbwt_member *shape_find(flbwt_shape *shape, flbwt_member *m,
                                                          const uint8_t *p)
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

// skip_unexpected is skip_flat, out of the way.
static __attribute__((noinline)) const uint8_t *skip_unexpected(const uint8_t *p,
                                                                const uint8_t *end, uint64_t n,
                                                                unsigned max, unsigned *containers)
{
    return skip_flat(p, end, n, max, containers);
}

// skip_map is skip_all for one map.
static inline const uint8_t *skip_map(const uint8_t *map, const uint8_t *end, int depth,
                                      unsigned *containers, flbwt_shape *shape)
{
    uint64_t pairs;
    const uint8_t *p = map_header(map, end, &pairs);
    unsigned max = (unsigned) depth, count = 1;
    flbwt_member *m = shape->members;

    if (p == NULL) {
        return NULL;
    }
    if (shape->n == 0) {
        *m = flbwt_no_member;
    }
    while (pairs > 0 && p != NULL && p <= end) {
        // The next n members need no look at the end, and sure more, unless one is longer than most.
        uint64_t sure = (uint64_t) (end - p) / SHAPE_MEMBER_BYTES, n = sure < pairs ? sure : pairs;

        if (n == 0) {
            p = skip_unexpected(p, end, pairs * 2, max, &count);
            break;
        }
        pairs -= n;
        sure -= n;
        do {
            if (!EXPECTED(*p == m->key)) {
                flbwt_member *found = shape_find(shape, m, p);

                if (found == NULL) {
                    p = skip_unexpected(p, end, 2, max, &count);
                    break;
                }
                m = found;
            }
            const uint8_t *value = p + m->key_len;
            size_t c = *value;
            if (m->kind == SHAPE_STR) {
                m++;
                if (EXPECTED(c - 0xa0 < 0x20)) { // a short one
                    p = value + c - 0x9f;
                    continue;
                }
            }
            else if (m->kind == SHAPE_SAME) {
                size_t len = m->len;

                if (EXPECTED(flbwt_lengths[c] == len)) {
                    // By the length of the shape, which does not have to be loaded from the record.
                    __asm__("" : "+r"(len));
                    m++;
                    p = value + len;
                    continue;
                }
                m->kind = is_fixstr((uint8_t) c) || c == 0xd9 ? SHAPE_STR : SHAPE_ANY;
                m++;
            }
            else {
                m++;
            }
            if (flbwt_lengths[c] > 0) {
                p = value + flbwt_lengths[c];
                continue;
            }
            if ((c & 0xf0) ==
                0x80) { // a small map, whose members are gone over like those around it
                uint64_t more = c & 0x0f;

                p = value + 1;
                count++;
                if (more > sure) {
                    pairs += more;
                    break;
                }
                n += more;
                sure -= more;
                continue;
            }
            if (c == 0xd9) {
                p = value + 2 + value[1];
                if (sure < SHAPE_LONG) {
                    break;
                }
                sure -= SHAPE_LONG;
                continue;
            }
            p = skip_unexpected(value, end, 1, max, &count);
            break;
        } while (--n > 0);
        pairs += n > 0 ? n - 1 : 0;
    }
    *containers = count;
    if (count > max) {
        return flbwt_skip_values(map, end, 1, depth);
    }
    return p != NULL && p <= end ? p : NULL;
}

#endif
