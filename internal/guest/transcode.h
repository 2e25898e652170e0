// The fast way of records between MessagePack and JSON.
//
// These functions do what package transcode defines for what log records are made
// of, and answer NULL for everything else: what is malformed, and what is rare. The
// caller then has package transcode decide. What they do write is byte for byte
// what package transcode writes; a fuzz target holds them to that.

#ifndef FLBWT_TRANSCODE_H
#define FLBWT_TRANSCODE_H

#include <stddef.h>
#include <stdint.h>

enum {
    // Containers deeper than this are left to package transcode.
    FLBWT_ENCODE_DEPTH = 64,
    // What n bytes may become: so many times n, and some more.
    FLBWT_JSON_GROWTH = 6,
    FLBWT_MSGPACK_GROWTH = 3,
    FLBWT_GROWTH_ROOM = 64,
};

// flbwt_encode writes the MessagePack value at in, which ends at end at the latest,
// as JSON to out, where there is room for FLBWT_JSON_GROWTH times the length of the
// value and FLBWT_GROWTH_ROOM bytes more. It answers where the JSON ends, and sets
// *after to what follows the value; NULL if it does not do it.
uint8_t *flbwt_encode(const uint8_t *in, const uint8_t *end, uint8_t *out, const uint8_t **after);

// flbwt_decode writes the JSON object that begins in[0..end), behind white space, as
// MessagePack to out, where there is room for FLBWT_MSGPACK_GROWTH times end - in
// and FLBWT_GROWTH_ROOM bytes more. It answers where the MessagePack ends; NULL if
// it does not do it. Containers may nest depth deep. Up to readable, which is not
// below end, memory may be read.
uint8_t *flbwt_decode(const uint8_t *in, const uint8_t *end, const uint8_t *readable, int depth,
                      uint8_t *out);

// flbwt_skip answers what follows the MessagePack value at p, having checked all of
// it; NULL if it is invalid, does not end before end, or nests deeper than depth.
const uint8_t *flbwt_skip(const uint8_t *p, const uint8_t *end, int depth);

#endif
