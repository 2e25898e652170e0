// Big-endian numbers as MessagePack has them, and blocks of 16 bytes.

#ifndef FLBWT_BYTES_H
#define FLBWT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
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

static inline uint8_t *store_little(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

enum { BLOCK = 16 };

#if defined(__SSE2__)
typedef __m128i block;

static inline block block_load(const uint8_t *p) { return _mm_loadu_si128((const __m128i *) p); }
static inline void block_store(uint8_t *p, block b) { _mm_storeu_si128((__m128i *) p, b); }

// json_special marks the bytes that can't stand in a JSON string as they are, or
// are not ASCII; the lowest bit is the first byte's. One of c and c - 0x20 has its
// highest bit set if c is below 0x20, or not below 0x80.
static inline unsigned json_special(block b)
{
    block low = _mm_or_si128(b, _mm_sub_epi8(b, _mm_set1_epi8(0x20)));
    block quote = _mm_cmpeq_epi8(b, _mm_set1_epi8('"'));
    block backslash = _mm_cmpeq_epi8(b, _mm_set1_epi8('\\'));

    return (unsigned) _mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, backslash)));
}

// string_special marks the bytes that end a run of a JSON string: '"', '\\', NUL.
static inline unsigned string_special(block b)
{
    block nul = _mm_cmpeq_epi8(b, _mm_setzero_si128());
    block quote = _mm_cmpeq_epi8(b, _mm_set1_epi8('"'));
    block backslash = _mm_cmpeq_epi8(b, _mm_set1_epi8('\\'));

    return (unsigned) _mm_movemask_epi8(_mm_or_si128(nul, _mm_or_si128(quote, backslash)));
}

// block_differ marks the bytes in which a and b differ.
static inline unsigned block_differ(block a, block b)
{
    return (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) ^ 0xffff;
}

// blocks_differ says whether the four blocks at a and b do.
static inline bool blocks_differ(const uint8_t *a, const uint8_t *b)
{
    block first = _mm_cmpeq_epi8(block_load(a), block_load(b));
    block second = _mm_cmpeq_epi8(block_load(a + BLOCK), block_load(b + BLOCK));
    block third = _mm_cmpeq_epi8(block_load(a + 2 * BLOCK), block_load(b + 2 * BLOCK));
    block fourth = _mm_cmpeq_epi8(block_load(a + 3 * BLOCK), block_load(b + 3 * BLOCK));

    return _mm_movemask_epi8(
               _mm_and_si128(_mm_and_si128(first, second), _mm_and_si128(third, fourth))) != 0xffff;
}
#else
typedef struct {
    uint8_t byte[BLOCK];
} block;

static inline block block_load(const uint8_t *p)
{
    block b;

    memcpy(&b, p, BLOCK);
    return b;
}

static inline void block_store(uint8_t *p, block b) { memcpy(p, &b, BLOCK); }

static inline unsigned json_special(block b)
{
    unsigned mask = 0;

    for (int i = 0; i < BLOCK; i++) {
        uint8_t c = b.byte[i];

        mask |= (unsigned) (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') << i;
    }
    return mask;
}

static inline unsigned string_special(block b)
{
    unsigned mask = 0;

    for (int i = 0; i < BLOCK; i++) {
        uint8_t c = b.byte[i];

        mask |= (unsigned) (c == 0 || c == '"' || c == '\\') << i;
    }
    return mask;
}

static inline unsigned block_differ(block a, block b)
{
    unsigned mask = 0;

    for (int i = 0; i < BLOCK; i++) {
        mask |= (unsigned) (a.byte[i] != b.byte[i]) << i;
    }
    return mask;
}

static inline bool blocks_differ(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, 4 * BLOCK) != 0;
}
#endif

// start_bit returns one of 64 bits for the first four bytes of a member's JSON, which
// has no fewer.
static inline uint64_t start_bit(const uint8_t *json)
{
    return (uint64_t) 1 << (load32(json) * UINT32_C(0x9e3779b1) >> 26);
}

#endif
