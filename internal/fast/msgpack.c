// Where MessagePack values end. flbwt_skip mirrors Skip of package mp.

#include "skip.h"

#include "fast.h"

const flbwt_lead flbwt_leads[32] = {
    [0x00] = {KIND_SCALAR, 1},  // nil
    [0x01] = {KIND_INVALID, 0}, //
    [0x02] = {KIND_SCALAR, 1},  // false
    [0x03] = {KIND_SCALAR, 1},  // true
    [0x04] = {KIND_BYTES, 1},   // bin 8
    [0x05] = {KIND_BYTES, 2},   // bin 16
    [0x06] = {KIND_BYTES, 4},   // bin 32
    [0x07] = {KIND_EXT, 1},     // ext 8
    [0x08] = {KIND_EXT, 2},     // ext 16
    [0x09] = {KIND_EXT, 4},     // ext 32
    [0x0a] = {KIND_SCALAR, 5},  // float 32
    [0x0b] = {KIND_SCALAR, 9},  // float 64
    [0x0c] = {KIND_SCALAR, 2},  // uint 8
    [0x0d] = {KIND_SCALAR, 3},  // uint 16
    [0x0e] = {KIND_SCALAR, 5},  // uint 32
    [0x0f] = {KIND_SCALAR, 9},  // uint 64
    [0x10] = {KIND_SCALAR, 2},  // int 8
    [0x11] = {KIND_SCALAR, 3},  // int 16
    [0x12] = {KIND_SCALAR, 5},  // int 32
    [0x13] = {KIND_SCALAR, 9},  // int 64
    [0x14] = {KIND_FIXEXT, 3},  // fixext 1
    [0x15] = {KIND_FIXEXT, 4},  // fixext 2
    [0x16] = {KIND_FIXEXT, 6},  // fixext 4
    [0x17] = {KIND_FIXEXT, 10}, // fixext 8
    [0x18] = {KIND_FIXEXT, 18}, // fixext 16
    [0x19] = {KIND_BYTES, 1},   // str 8
    [0x1a] = {KIND_BYTES, 2},   // str 16
    [0x1b] = {KIND_BYTES, 4},   // str 32
    [0x1c] = {KIND_ARRAY, 2},   // array 16
    [0x1d] = {KIND_ARRAY, 4},   // array 32
    [0x1e] = {KIND_MAP, 2},     // map 16
    [0x1f] = {KIND_MAP, 4},     // map 32
};

const uint8_t *flbwt_skip_values(const uint8_t *p, const uint8_t *end, uint64_t n, int depth)
{
    for (; n > 0; n--) {
        size_t left = (size_t) (end - p);
        head h;

        if (left == 0 || !read_head(p, left, &h) || h.bytes > left) {
            return NULL;
        }
        p += h.bytes;
        if (h.container) {
            if (depth <= 0 || h.elements > (uint64_t) (end - p)) {
                return NULL;
            }
            p = flbwt_skip_values(p, end, h.elements, depth - 1);
            if (p == NULL) {
                return NULL;
            }
        }
    }
    return p;
}

const uint8_t *flbwt_skip(const uint8_t *p, const uint8_t *end, int depth, unsigned *containers)
{
    *containers = 0;
    return skip_all(p, end, 1, depth, containers);
}

const uint8_t *flbwt_skip_reply(const uint8_t *p, const uint8_t *end, int depth, const uint8_t *in,
                                size_t in_len, unsigned in_containers)
{
    uint64_t pairs, in_pairs;
    unsigned containers = 0;
    const uint8_t *body = map_header(p, end, &pairs),
                  *in_body = map_header(in, in + in_len, &in_pairs);

    if (body == NULL || depth <= 0) {
        return NULL;
    }
    if (in_body != NULL && pairs >= in_pairs && in_containers <= (unsigned) depth) {
        size_t same = in_len - (size_t) (in_body - in);

        if ((size_t) (end - body) >= same && memcmp(body, in_body, same) == 0) {
            pairs -= in_pairs;
            body += same;
        }
    }
    return skip_all(body, end, pairs * 2, depth - 1, &containers);
}

size_t flbwt_span_msgpack(const uint8_t *p, size_t n)
{
    size_t at = 0;

    // Each value that is waited for takes a byte at least, so the count can't outrun n
    // unnoticed; no stack is needed to know where the first one ends.
    for (uint64_t waiting = 1; waiting > 0; waiting--) {
        head h = {.bytes = 1}; // of what is none, and has to be refused by who reads it

        if (waiting > n - at || (p[at] != 0xc1 && !read_head(p + at, n - at, &h)) ||
            h.bytes > n - at) {
            return 0;
        }
        at += h.bytes;
        waiting += h.elements;
    }
    return at;
}
