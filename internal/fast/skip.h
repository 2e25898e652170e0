// Where MessagePack values end: for the C files that go over many.

#ifndef FLBWT_SKIP_H
#define FLBWT_SKIP_H

#include "msgpack.h"

// flbwt_skip_values returns what follows the n values at p, having checked all of them; NULL if one
// is invalid, does not end before end, or nests deeper than depth.
__attribute__((visibility("hidden"))) const uint8_t *flbwt_skip_values(const uint8_t *p,
                                                                       const uint8_t *end,
                                                                       uint64_t n, int depth);

// How long values of a fixed length are that begin with 0xc0 to 0xdf; 0: they are of no fixed length.
static const uint8_t flbwt_fixed[32] = {1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 5,  9, 2,
                                        3, 5, 9, 2, 3, 5, 9, 3, 4, 6, 10, 18};

// skip_flat does so, and is fast: it does not follow how containers nest, but gives up, with
// *containers above max, when there are more of them than may be nested.
static inline const uint8_t *skip_flat(const uint8_t *p, const uint8_t *end, uint64_t n,
                                       unsigned max, unsigned *containers)
{
    size_t at = 0, size = (size_t) (end - p);

    for (; n > 0; n--) {
        if (at >= size) {
            return NULL;
        }
        uint8_t c = p[at], str = (uint8_t) (c - 0xa0);
        if (str < 0x20) { // a short string, as most keys and many values are
            at += (size_t) str + 1;
            continue;
        }
        if ((uint8_t) (c + 0x20) < 0xa0) { // a small integer
            at++;
            continue;
        }
        if (c < 0xa0) {
            if (++*containers > max) {
                return NULL;
            }
            n += (uint64_t) (c & 0x0f) << (c <= 0x8f);
            at++;
            continue;
        }
        if (flbwt_fixed[c - 0xc0] > 0) {
            at += flbwt_fixed[c - 0xc0];
            continue;
        }
        flbwt_lead lead = flbwt_leads[c - 0xc0];
        if (lead.kind == KIND_INVALID || size - at < (size_t) lead.bytes + 1) {
            return NULL;
        }
        const uint8_t *length = p + at + 1;
        uint64_t len = lead.bytes == 1   ? *length
                       : lead.bytes == 2 ? load16(length)
                                         : load32(length);
        at += 1 + (size_t) lead.bytes;
        if (lead.kind < KIND_ARRAY) {
            at += len + (lead.kind == KIND_EXT);
        }
        else {
            if (len > size || ++*containers > max) {
                return NULL;
            }
            n += len << (lead.kind == KIND_MAP);
        }
    }
    return at <= size ? p + at : NULL;
}

static inline const uint8_t *skip_all(const uint8_t *p, const uint8_t *end, uint64_t n, int depth,
                                      unsigned *containers)
{
    unsigned max = depth > 0 ? (unsigned) depth : 0;
    const uint8_t *after = skip_flat(p, end, n, max, containers);

    return *containers > max ? flbwt_skip_values(p, end, n, depth) : after;
}

#endif
