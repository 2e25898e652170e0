// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"): keys of a store and values
// of labels come from logs, and without the seed nobody can choose some that share a bucket.

#ifndef FLBWT_SIPHASH_H
#define FLBWT_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t k0, k1;
} flbwt_seed;

static inline uint64_t flbwt_rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static inline void flbwt_sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = flbwt_rotate(v[1], 13) ^ v[0];
    v[0] = flbwt_rotate(v[0], 32);
    v[2] += v[3];
    v[3] = flbwt_rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = flbwt_rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = flbwt_rotate(v[1], 17) ^ v[2];
    v[2] = flbwt_rotate(v[2], 32);
}

static inline uint64_t flbwt_siphash(flbwt_seed seed, const uint8_t *p, size_t n)
{
    uint64_t v[4] = {seed.k0 ^ 0x736f6d6570736575, seed.k1 ^ 0x646f72616e646f6d,
                     seed.k0 ^ 0x6c7967656e657261, seed.k1 ^ 0x7465646279746573};
    uint64_t word, last = (uint64_t) n << 56;

    for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        v[3] ^= word;
        flbwt_sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = 0; i < n; i++) {
        last |= (uint64_t) p[i] << 8 * i;
    }
    v[3] ^= last;
    flbwt_sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    flbwt_sip_round(v);
    flbwt_sip_round(v);
    flbwt_sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
