// Numbers at any address, big-endian as MessagePack has them and little-endian as WebAssembly does, and blocks of 16
// bytes.

#ifndef FLBWT_BYTES_H
#define FLBWT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are swapped unconditionally");

static inline uint16_t load16(const uint8_t *p) { return (uint16_t) (p[0] << 8 | p[1]); }

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static inline uint8_t *store16(uint8_t *p, uint64_t v)
{
    p[0] = (uint8_t) (v >> 8);
    p[1] = (uint8_t) v;
    return p + 2;
}

static inline uint8_t *store32(uint8_t *p, uint64_t v)
{
    uint32_t w = __builtin_bswap32((uint32_t) v);

    memcpy(p, &w, sizeof(w));
    return p + 4;
}

static inline uint8_t *store64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
    return p + 8;
}

static inline uint16_t get16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint8_t *put16(uint8_t *p, uint64_t v)
{
    uint16_t w = (uint16_t) v;

    memcpy(p, &w, sizeof(w));
    return p + sizeof(w);
}

static inline uint8_t *put32(uint8_t *p, uint64_t v)
{
    uint32_t w = (uint32_t) v;

    memcpy(p, &w, sizeof(w));
    return p + sizeof(w);
}

static inline uint8_t *put64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

enum { BLOCK = 16 };

// GCC and clang compile operators of vectors to SSE2 and NEON, which all machines of the two
// architectures have. A comparison makes each byte 0 or -1.
typedef int8_t block __attribute__((vector_size(BLOCK)));

static inline block block_load(const uint8_t *p)
{
    block b;

    memcpy(&b, p, BLOCK);
    return b;
}

static inline void block_store(uint8_t *p, block b) { memcpy(p, &b, BLOCK); }

// bits has a bit for each byte of a comparison; the lowest bit is the first byte's.
static inline unsigned bits(block comparison)
{
#if defined(__SSE2__)
    return (unsigned) _mm_movemask_epi8((__m128i) comparison);
#elif defined(__ARM_NEON)
    // Each byte keeps a bit of its own within its half; the bytes of a half are added up.
    static const uint8_t own[BLOCK] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t sums = vandq_u8((uint8x16_t) comparison, vld1q_u8(own));

    for (int i = 0; i < 3; i++) {
        sums = vpaddq_u8(sums, sums);
    }
    return vgetq_lane_u16(vreinterpretq_u16_u8(sums), 0);
#else
#error "the machine's vectors are not known"
#endif
}

// json_special marks the bytes that can't stand in a JSON string as they are, or
// are not ASCII: those from 0x80 on are negative.
static inline unsigned json_special(block b) { return bits((b < 0x20) | (b == '"') | (b == '\\')); }

// string_special marks the bytes that end a run of a JSON string: '"', '\\', NUL.
static inline unsigned string_special(block b) { return bits((b == 0) | (b == '"') | (b == '\\')); }

// block_differ marks the bytes in which a and b differ.
static inline unsigned block_differ(block a, block b) { return bits(a == b) ^ 0xffff; }

// blocks_differ says whether the four blocks at a and b do.
static inline bool blocks_differ(const uint8_t *a, const uint8_t *b)
{
    block same = block_load(a) == block_load(b);

    for (int i = BLOCK; i < 4 * BLOCK; i += BLOCK) {
        same &= block_load(a + i) == block_load(b + i);
    }
    return bits(same) != 0xffff;
}

// copy appends n bytes, which may be none at NULL, and returns where they end.
static inline uint8_t *copy(uint8_t *out, const uint8_t *bytes, size_t n)
{
    if (n > 0) {
        memcpy(out, bytes, n);
    }
    return out + n;
}

// utf8_length returns how many bytes the valid UTF-8 sequence at p takes; 0 if it
// is none.
static inline int utf8_length(const uint8_t *p, size_t n)
{
    uint8_t c = p[0];

    if (c >= 0xc2 && c <= 0xdf) {
        return n >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    }
    if (c >= 0xe0 && c <= 0xef) {
        if (n < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80) {
            return 0;
        }
        return (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] >= 0xa0) ? 0 : 3;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        if (n < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80) {
            return 0;
        }
        return (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] >= 0x90) ? 0 : 4;
    }
    return 0;
}

// start_bit returns one of 64 bits for the first four bytes of a member's JSON, which
// has no fewer.
static inline uint64_t start_bit(const uint8_t *json)
{
    return (uint64_t) 1 << (load32(json) * UINT32_C(0x9e3779b1) >> 26);
}

#endif
