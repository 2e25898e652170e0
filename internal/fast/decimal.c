// Floats as decimals. Mirrors appendFloat and appendParsedFloat of package transcode, and so
// strconv.

#define _GNU_SOURCE
#include "decimal.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static locale_t c_locale(void)
{
    static locale_t c; // made twice at worst

    locale_t made = __atomic_load_n(&c, __ATOMIC_ACQUIRE);
    if (made == (locale_t) 0) {
        made = newlocale(LC_ALL_MASK, "C", (locale_t) 0);
        __atomic_store_n(&c, made, __ATOMIC_RELEASE);
    }
    return made;
}

// put_fraction writes the decimal d / 10^k, k > 0.
static uint8_t *put_fraction(uint8_t *out, uint64_t d, int k)
{
    uint8_t digits[24 + 2 * BLOCK], *end = put_uint(digits, d);
    int n = (int) (end - digits);

    if (n > k) { // at most 20 digits: two blocks each, of which the rest is written over
        block_store(out, block_load(digits));
        block_store(out + BLOCK, block_load(digits + BLOCK));
        out += n - k;
        *out++ = '.';
        block_store(out, block_load(end - k));
        block_store(out + BLOCK, block_load(end - k + BLOCK));
        return out + k;
    }
    *out++ = '0';
    *out++ = '.';
    memset(out, '0', (size_t) (k - n));
    out += k - n;
    memcpy(out, digits, (size_t) n);
    return out + n;
}

// shortest finds the fewest digits that give f > 0 back: digits times ten to *power, of
// which there are *n.
static uint64_t shortest(double f, int *n, int *power)
{
    locale_t before = uselocale(c_locale());
    uint64_t digits = 0;
    char text[40];

    // 15 digits, if they do, are those of the shortest decimal with zeroes behind it;
    // not so where a double has fewer bits.
    for (int precision = f < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, f);
        if (strtod(text, NULL) == f) {
            break;
        }
    }
    uselocale(before);

    char *p = text; // d.ddddde±xx
    for (*n = 0; *p != 'e'; p++) {
        if (*p != '.') {
            digits = digits * 10 + (uint64_t) (*p - '0');
            *n += 1;
        }
    }
    *power = atoi(p + 1) - (*n - 1);
    while (digits % 10 == 0) {
        digits /= 10;
        *n -= 1;
        *power += 1;
    }
    return digits;
}

// A power of two has less room for decimals below it than above.
static bool is_power_of_two(double f)
{
    uint64_t bits;

    memcpy(&bits, &f, sizeof(bits));
    return bits << 12 == 0;
}

typedef unsigned __int128 wide;

// The powers of five that fit into 64 bits.
static const uint64_t pow5[] = {
    1,
    5,
    25,
    125,
    625,
    3125,
    15625,
    78125,
    390625,
    1953125,
    9765625,
    48828125,
    244140625,
    1220703125,
    6103515625,
    30517578125,
    152587890625,
    762939453125,
    3814697265625,
    19073486328125,
    95367431640625,
    476837158203125,
    2384185791015625,
    11920928955078125,
    59604644775390625,
    298023223876953125,
    1490116119384765625,
    7450580596923828125,
};
_Static_assert(sizeof(pow5) / sizeof(pow5[0]) == POWERS_OF_FIVE, "pow5");

// put_17_digits writes f, 1e-6 <= f < 2^53, that takes 16 or 17 digits, f * 10^k being at
// least 1e15, and is no integer or power of two. NULL if two decimals are equally good.
static uint8_t *put_17_digits(uint8_t *out, double f, int k)
{
    uint64_t bits;

    memcpy(&bits, &f, sizeof(bits));
    uint64_t mantissa = (bits & (((uint64_t) 1 << 52) - 1)) | (uint64_t) 1 << 52;
    int exponent = (int) (bits >> 52 & 0x7ff) - 1075; // f is mantissa * 2^exponent

    for (int digits = 16; digits <= 17; digits++, k++) {
        // f * 10^k is scaled / 2^shift, exactly.
        int shift = -exponent - k;
        wide scaled = (wide) mantissa * pow5[k], unit = (wide) 1 << shift;
        uint64_t d = (uint64_t) (scaled >> shift);
        wide off = scaled & (unit - 1);

        if (off * 2 == unit) {
            return NULL;
        }
        if (off * 2 > unit) {
            d++;
            off = unit - off;
        }
        // Half the way to the next double is 5^k / 2 in the same measure.
        if (off * 2 < pow5[k] || digits == 17) {
            return put_fraction(out, d, k);
        }
    }
    return NULL;
}

// put_scientific writes digits times ten to power, as ECMAScript and encoding/json do
// below 1e-6 and from 1e21 on.
static uint8_t *put_scientific(uint8_t *out, uint64_t digits, int power)
{
    uint8_t *end = put_uint(out + 1, digits);
    int n = (int) (end - out - 1), exponent = power + n - 1;

    out[0] = out[1]; // d.ddd
    out[1] = '.';
    out = n > 1 ? end : out + 1;
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    exponent = abs(exponent);
    if (exponent < 10) {
        *out++ = '0';
    }
    return put_uint(out, (uint64_t) exponent);
}

// put_other_float writes f > 0 that is no integer below 2^53.
static uint8_t *put_other_float(uint8_t *out, double f)
{
    int n, power;

    if (is_power_of_two(f)) {
        return NULL;
    }
    uint64_t digits = shortest(f, &n, &power);

    if (f < 1e-6 || f >= 1e21) {
        return put_scientific(out, digits, power);
    }
    if (power < 0) {
        return put_fraction(out, digits, -power);
    }
    out = put_uint(out, digits);
    memset(out, '0', (size_t) power);
    out += power;
    *out++ = '.';
    *out++ = '0';
    return out;
}

// least_exponent returns the decimal exponent of f, or one less: f >= DBL_MIN.
static int least_exponent(double f)
{
    uint64_t bits;

    memcpy(&bits, &f, sizeof(bits));
    int exponent = (int) (bits >> 52 & 0x7ff) - 1023;
    return exponent * 1233 >> 12; // times the logarithm of 2, rounded down
}

// strip_zeroes divides d by the power of ten that it ends in, of up to 15 digits, and
// takes it from *k.
static uint64_t strip_zeroes(uint64_t d, int *k)
{
    if (d % 100000000 == 0) {
        d /= 100000000;
        *k -= 8;
    }
    if (d % 10000 == 0) {
        d /= 10000;
        *k -= 4;
    }
    if (d % 100 == 0) {
        d /= 100;
        *k -= 2;
    }
    if (d % 10 == 0) {
        d /= 10;
        *k -= 1;
    }
    return d;
}

// fifteen_digits finds the fewest digits that give f > 0 back, if 15 do, f is no integer
// and the power of ten is exact: f is then digits / 10^k. It is given the k that makes f
// an integer of 15 digits or of 16; if it returns false, *k makes f one of 15.
static bool fifteen_digits(double f, uint64_t *digits, int *k)
{
    if (*k < 0 || *k >= POWERS) {
        return false;
    }
    if (f * pow10[*k] >= 1e15) {
        *k -= 1;
    }
    if (*k <= 0) {
        return false;
    }
    // A decimal of up to 15 digits and its double know each other.
    uint64_t d = (uint64_t) (f * pow10[*k] + 0.5);
    if ((double) d / pow10[*k] != f) {
        return false;
    }
    *digits = strip_zeroes(d, k);
    return true;
}

uint8_t *flbwt_put_float(uint8_t *out, double f)
{
    double size = fabs(f);

    if (isnan(f) || isinf(f)) {
        memcpy(out, "null", 4);
        return out + 4;
    }
    if (signbit(f)) {
        *out++ = '-';
    }
    if (size <= max_exact && size == (double) (uint64_t) size) {
        out = put_uint(out, (uint64_t) size);
        *out++ = '.';
        *out++ = '0';
        return out;
    }
    uint64_t digits;
    int k = 14 - least_exponent(size);
    if (fifteen_digits(size, &digits, &k)) {
        return size >= 1e-6 ? put_fraction(out, digits, k) : put_scientific(out, digits, -k);
    }
    if (size >= 1e-6 && size < max_exact && !is_power_of_two(size)) {
        uint8_t *end = put_17_digits(out, size, k > 0 ? k + 1 : 1);
        if (end != NULL) {
            return end;
        }
    }
    return put_other_float(out, size);
}

double flbwt_divide(uint64_t mantissa, int k)
{
    int shift = __builtin_clzll(mantissa);
    wide dividend = (wide) (mantissa << shift) << 64, quotient = dividend / pow5[k];
    bool inexact = quotient * pow5[k] != dividend;

    // The quotient has more than 64 bits: 53 of them, the half of the last one, and
    // whether there is anything behind that.
    int spare = 64 - __builtin_clzll((uint64_t) (quotient >> 64)) + 64 - 53;
    uint64_t kept = (uint64_t) (quotient >> spare);
    wide half = (wide) 1 << (spare - 1), rest = quotient & (half * 2 - 1);

    if (rest > half || (rest == half && (inexact || (kept & 1) != 0))) {
        kept++;
    }
    return ldexp((double) kept, spare - 64 - shift - k);
}

bool flbwt_read_float(const uint8_t *from, const uint8_t *to, double *f)
{
    char copy[64];
    size_t n = (size_t) (to - from);

    if (n >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, from, n);
    copy[n] = '\0';
    *f = strtod_l(copy, NULL, c_locale());
    return !isinf(*f);
}
