// MessagePack (github.com/msgpack/msgpack, spec.md): what lead bytes say. Mirrors ReadHead of
// package mp.

#ifndef FLBWT_MSGPACK_H
#define FLBWT_MSGPACK_H

#include "bytes.h"

// What a lead byte from 0xc0 to 0xdf begins.
enum flbwt_kind {
    KIND_SCALAR,  // a value of a fixed length
    KIND_FIXEXT,  // an extension of a fixed length
    KIND_INVALID, // nothing
    KIND_BYTES,   // a str or bin: a length, and as many bytes
    KIND_EXT,     // a length, a type, and as many bytes
    KIND_ARRAY,   // a length, and as many values
    KIND_MAP,     // a length, and twice as many values
};

// The table of these lead bytes. bytes is how long a scalar or fixext is in all, else of how
// many bytes the length is.
typedef struct {
    uint8_t kind, bytes;
} flbwt_lead;

extern const flbwt_lead flbwt_leads[32] __attribute__((visibility("hidden")));

static inline bool is_fixstr(uint8_t lead) { return (lead & 0xe0) == 0xa0; }

static inline bool is_map(uint8_t lead)
{
    return (lead & 0xf0) == 0x80 || lead == 0xde || lead == 0xdf;
}

// map_header reads the header of the map at p, and returns what follows it. NULL if there
// is none.
static inline const uint8_t *map_header(const uint8_t *p, const uint8_t *end, uint64_t *pairs)
{
    size_t left = (size_t) (end - p);

    if (left >= 1 && (*p & 0xf0) == 0x80) {
        *pairs = *p & 0x0f;
        return p + 1;
    }
    if (left >= 3 && *p == 0xde) {
        *pairs = load16(p + 1);
        return p + 3;
    }
    if (left >= 5 && *p == 0xdf) {
        *pairs = load32(p + 1);
        return p + 5;
    }
    return NULL;
}

// array_of_two returns what follows the header of an array of two elements at p;
// NULL if there is none. Headers come in any width.
static inline const uint8_t *array_of_two(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t) (end - p);

    if (left >= 1 && *p == 0x92) {
        return p + 1;
    }
    if (left >= 3 && *p == 0xdc && load16(p + 1) == 2) {
        return p + 3;
    }
    return left >= 5 && *p == 0xdd && load32(p + 1) == 2 ? p + 5 : NULL;
}

// What a value is by its lead byte and its length: how many bytes it takes, without its elements,
// which are half as many as a map's keys and values.
typedef struct {
    size_t bytes;
    uint64_t elements;
    bool container; // an array or a map
} head;

// read_head reads the head of the value at p, of which left > 0 bytes are there. False if its
// length is not among them, or if it is none.
static inline bool read_head(const uint8_t *p, size_t left, head *h)
{
    uint8_t c = *p;

    h->bytes = 1;
    h->elements = 0;
    h->container = false;
    if (is_fixstr(c)) {
        h->bytes = 1 + (c & 0x1f);
        return true;
    }
    if (c <= 0x7f || c >= 0xe0) {
        return true;
    }
    if (c <= 0x9f) { // a fixmap or a fixarray
        h->elements = (uint64_t) (c & 0x0f) << (c <= 0x8f);
        h->container = true;
        return true;
    }
    flbwt_lead lead = flbwt_leads[c - 0xc0];
    h->bytes = lead.bytes;
    if (lead.kind <= KIND_FIXEXT) {
        return true;
    }
    if (lead.kind == KIND_INVALID || left < (size_t) lead.bytes + 1) {
        return false;
    }
    uint64_t length = lead.bytes == 1 ? p[1] : lead.bytes == 2 ? load16(p + 1) : load32(p + 1);
    h->bytes = 1 + (size_t) lead.bytes;
    if (lead.kind >= KIND_ARRAY) {
        h->elements = length << (lead.kind == KIND_MAP);
        h->container = true;
    }
    else {
        h->bytes += length + (lead.kind == KIND_EXT);
    }
    return true;
}

#endif
