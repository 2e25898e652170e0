// Numbers as decimal digits, and back.

#ifndef FLBWT_DECIMAL_H
#define FLBWT_DECIMAL_H

#include "bytes.h"

// eight_digits returns the decimal digits of v < 10^8 as bytes from 0 to 9, the first
// in the lowest byte. It divides in parallel: by 10^4 into halves, by 100, by 10.
static inline uint64_t eight_digits(uint64_t v)
{
    uint64_t halves = v / 10000 | v % 10000 << 32;
    uint64_t hundreds = halves * 10486 >> 20 & 0x7f0000007f;
    uint64_t pairs = hundreds | (halves - hundreds * 100) << 16;
    uint64_t tens = pairs * 103 >> 10 & 0x000f000f000f000f;

    return tens | (pairs - tens * 10) << 8;
}

static const uint64_t zeroes = 0x3030303030303030;

static inline uint8_t *put_eight_digits(uint8_t *out, uint64_t v)
{
    return put64(out, eight_digits(v) | zeroes);
}

// put_uint may write up to 8 bytes beyond the number.
static inline uint8_t *put_uint(uint8_t *out, uint64_t v)
{
    if (v >= 100000000) {
        out = put_uint(out, v / 100000000);
        return put_eight_digits(out, v % 100000000);
    }
    uint64_t digits = eight_digits(v);
    // The last digit stays, even if it is 0.
    unsigned leading = (unsigned) __builtin_ctzll(digits | (uint64_t) 1 << 56) & 0x38;
    put64(out, (digits | zeroes) >> leading);
    return out + 8 - leading / 8;
}

static inline uint8_t *put_int(uint8_t *out, int64_t v)
{
    if (v < 0) {
        *out++ = '-';
        return put_uint(out, -(uint64_t) v);
    }
    return put_uint(out, (uint64_t) v);
}

// The powers of ten that are exact in a double.
static const double pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { POWERS = sizeof(pow10) / sizeof(pow10[0]) };

static const double max_exact = 9007199254740992.0; // 2^53

// The powers of five below this one fit into 64 bits.
enum { POWERS_OF_FIVE = 28 };

// flbwt_put_float writes f as appendFloat of package transcode does. It returns where the
// digits end; NULL for powers of two above 2^53 or below 1e-6, which are left to it.
uint8_t *flbwt_put_float(uint8_t *out, double f);

// flbwt_divide returns the double that is closest to mantissa / 10^k, mantissa > 0 and
// k < POWERS_OF_FIVE.
double flbwt_divide(uint64_t mantissa, int k);

// flbwt_read_float reads a number that was found to be well-formed; false if it is long or out
// of range.
bool flbwt_read_float(const uint8_t *from, const uint8_t *to, double *f);

#endif
