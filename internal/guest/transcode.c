#define _GNU_SOURCE
#include "transcode.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static uint16_t load16(const uint8_t *p) { return (uint16_t) (p[0] << 8 | p[1]); }

static uint32_t load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static uint8_t *store16(uint8_t *p, uint64_t v)
{
    p[0] = (uint8_t) (v >> 8);
    p[1] = (uint8_t) v;
    return p + 2;
}

static uint8_t *store32(uint8_t *p, uint64_t v)
{
    uint32_t w = __builtin_bswap32((uint32_t) v);

    memcpy(p, &w, sizeof(w));
    return p + 4;
}

static uint8_t *store64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
    return p + 8;
}

static uint8_t *store_little(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

static bool is_fixstr(uint8_t lead) { return (lead & 0xe0) == 0xa0; }

// map_header reads the header of the map at p, and answers what follows it. NULL if there
// is none.
static const uint8_t *map_header(const uint8_t *p, const uint8_t *end, uint64_t *pairs)
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

// ---- Blocks of 16 bytes -------------------------------------------------------

enum { BLOCK = 16 };

#if defined(__SSE2__)
typedef __m128i block;

static block block_load(const uint8_t *p) { return _mm_loadu_si128((const __m128i *) p); }
static void block_store(uint8_t *p, block b) { _mm_storeu_si128((__m128i *) p, b); }

// json_special marks the bytes that can't stand in a JSON string as they are, or
// are not ASCII; the lowest bit is the first byte's. One of c and c - 0x20 has its
// highest bit set if c is below 0x20, or not below 0x80.
static unsigned json_special(block b)
{
    block low = _mm_or_si128(b, _mm_sub_epi8(b, _mm_set1_epi8(0x20)));
    block quote = _mm_cmpeq_epi8(b, _mm_set1_epi8('"'));
    block backslash = _mm_cmpeq_epi8(b, _mm_set1_epi8('\\'));

    return (unsigned) _mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, backslash)));
}

// string_special marks the bytes that end a run of a JSON string: '"', '\\', NUL.
static unsigned string_special(block b)
{
    block nul = _mm_cmpeq_epi8(b, _mm_setzero_si128());
    block quote = _mm_cmpeq_epi8(b, _mm_set1_epi8('"'));
    block backslash = _mm_cmpeq_epi8(b, _mm_set1_epi8('\\'));

    return (unsigned) _mm_movemask_epi8(_mm_or_si128(nul, _mm_or_si128(quote, backslash)));
}

// block_differ marks the bytes in which a and b differ.
static unsigned block_differ(block a, block b)
{
    return (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) ^ 0xffff;
}

// blocks_differ says whether the four blocks at a and b do.
static bool blocks_differ(const uint8_t *a, const uint8_t *b)
{
    block first = _mm_cmpeq_epi8(block_load(a), block_load(b));
    block second = _mm_cmpeq_epi8(block_load(a + BLOCK), block_load(b + BLOCK));
    block third = _mm_cmpeq_epi8(block_load(a + 2 * BLOCK), block_load(b + 2 * BLOCK));
    block fourth = _mm_cmpeq_epi8(block_load(a + 3 * BLOCK), block_load(b + 3 * BLOCK));

    return _mm_movemask_epi8(_mm_and_si128(_mm_and_si128(first, second), _mm_and_si128(third, fourth))) != 0xffff;
}
#else
typedef struct { uint8_t byte[BLOCK]; } block;

static block block_load(const uint8_t *p)
{
    block b;

    memcpy(&b, p, BLOCK);
    return b;
}

static void block_store(uint8_t *p, block b) { memcpy(p, &b, BLOCK); }

static unsigned json_special(block b)
{
    unsigned mask = 0;

    for (int i = 0; i < BLOCK; i++) {
        uint8_t c = b.byte[i];

        mask |= (unsigned) (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') << i;
    }
    return mask;
}

static unsigned string_special(block b)
{
    unsigned mask = 0;

    for (int i = 0; i < BLOCK; i++) {
        uint8_t c = b.byte[i];

        mask |= (unsigned) (c == 0 || c == '"' || c == '\\') << i;
    }
    return mask;
}

static unsigned block_differ(block a, block b)
{
    unsigned mask = 0;

    for (int i = 0; i < BLOCK; i++) {
        mask |= (unsigned) (a.byte[i] != b.byte[i]) << i;
    }
    return mask;
}

static bool blocks_differ(const uint8_t *a, const uint8_t *b) { return memcmp(a, b, 4 * BLOCK) != 0; }
#endif

// ---- MessagePack to JSON ------------------------------------------------------

// eight_digits answers the decimal digits of v < 10^8 as bytes from 0 to 9, the first
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

static uint8_t *put_eight_digits(uint8_t *out, uint64_t v)
{
    return store_little(out, eight_digits(v) | zeroes);
}

// put_uint may write up to 8 bytes beyond the number.
static uint8_t *put_uint(uint8_t *out, uint64_t v)
{
    if (v >= 100000000) {
        out = put_uint(out, v / 100000000);
        return put_eight_digits(out, v % 100000000);
    }
    uint64_t digits = eight_digits(v);
    // The last digit stays, even if it is 0.
    unsigned leading = (unsigned) __builtin_ctzll(digits | (uint64_t) 1 << 56) & 0x38;
    store_little(out, (digits | zeroes) >> leading);
    return out + 8 - leading / 8;
}

static uint8_t *put_int(uint8_t *out, int64_t v)
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
    1, 5, 25, 125, 625, 3125, 15625, 78125, 390625, 1953125, 9765625, 48828125, 244140625,
    1220703125, 6103515625, 30517578125, 152587890625, 762939453125, 3814697265625,
    19073486328125, 95367431640625, 476837158203125, 2384185791015625, 11920928955078125,
    59604644775390625, 298023223876953125, 1490116119384765625, 7450580596923828125,
};
enum { POWERS_OF_FIVE = sizeof(pow5) / sizeof(pow5[0]) };

// put_17_digits writes f, 1e-6 <= f < 2^53, that takes 16 or 17 digits, f * 10^k being at
// least 1e15, and is no integer or power of two. NULL if two decimals are equally good.
static uint8_t *put_17_digits(uint8_t *out, double f, int k)
{
    uint64_t bits;

    memcpy(&bits, &f, sizeof(bits));
    uint64_t mantissa = (bits & ((uint64_t) 1 << 52) - 1) | (uint64_t) 1 << 52;
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

// least_exponent answers the decimal exponent of f, or one less: f >= DBL_MIN.
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
// an integer of 15 digits or of 16; if it answers false, *k makes f one of 15.
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

static uint8_t *put_float(uint8_t *out, double f)
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

// utf8_length answers how many bytes the valid UTF-8 sequence at p takes; 0 if it
// is none.
static int utf8_length(const uint8_t *p, size_t n)
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

// put_string writes the n bytes at s as a JSON string. Up to end memory may be read.
static uint8_t *put_string(uint8_t *out, const uint8_t *s, size_t n, const uint8_t *end)
{
    const uint8_t *stop = s + n;

    *out++ = '"';
    while (s < stop) {
        if (end - s >= BLOCK) {
            block b = block_load(s);
            unsigned special = json_special(b);
            size_t plain = special != 0 ? (size_t) __builtin_ctz(special) : BLOCK;

            // The room for what the rest of the value may become lies behind.
            block_store(out, b);
            if (plain >= (size_t) (stop - s)) {
                out += stop - s;
                break;
            }
            out += plain;
            s += plain;
            if (plain == BLOCK) {
                continue;
            }
        }
        uint8_t c = *s;
        if (c >= 0x80) {
            do { // such characters come in rows
                int length = utf8_length(s, (size_t) (stop - s));

                if (length == 0) {
                    return NULL;
                }
                for (int i = 0; i < length; i++) {
                    *out++ = *s++;
                }
            } while (s < stop && *s >= 0x80);
            continue;
        }
        s++;
        if (c >= 0x20 && c != '"' && c != '\\') {
            *out++ = c;
            continue;
        }
        *out++ = '\\';
        switch (c) {
        case '\b': *out++ = 'b'; break;
        case '\f': *out++ = 'f'; break;
        case '\n': *out++ = 'n'; break;
        case '\r': *out++ = 'r'; break;
        case '\t': *out++ = 't'; break;
        case '"':
        case '\\': *out++ = c; break;
        default:
            memcpy(out, "u00", 3);
            out[3] = "0123456789abcdef"[c >> 4];
            out[4] = "0123456789abcdef"[c & 15];
            out += 5;
        }
    }
    *out++ = '"';
    return out;
}

// start_bit answers one of 64 bits for the first four bytes of a member's JSON, which
// has no fewer.
static uint64_t start_bit(const uint8_t *json)
{
    return (uint64_t) 1 << (load32(json) * UINT32_C(0x9e3779b1) >> 26);
}

typedef struct {
    const uint8_t *p, *end;
    bool exact; // what was read so far is what its JSON decodes to
    bool lossy; // it is another value than its JSON decodes to
    int least;  // what depth was at its least
} reader;

// other_string finds the string or bin at r->p that is no fixstr, and goes behind it.
// NULL if there is none, or not all of it.
static const uint8_t *other_string(reader *r, size_t *n)
{
    const uint8_t *p = r->p;
    size_t left = (size_t) (r->end - p), head;

    if (left < 5) { // only a bin, or what has more of a length than it needs
        return NULL;
    }
    switch (p[0]) {
    case 0xc4:
        *n = p[1];
        head = 2;
        r->lossy = true;
        break;
    case 0xc5:
        *n = load16(p + 1);
        head = 3;
        r->lossy = true;
        break;
    case 0xc6:
        *n = load32(p + 1);
        head = 5;
        r->lossy = true;
        break;
    case 0xd9:
        *n = p[1];
        head = 2;
        r->exact &= *n > 31;
        break;
    case 0xda:
        *n = load16(p + 1);
        head = 3;
        r->exact &= *n > UINT8_MAX;
        break;
    case 0xdb:
        *n = load32(p + 1);
        head = 5;
        r->exact &= *n > UINT16_MAX;
        break;
    default:
        return NULL;
    }
    if (*n > left - head) {
        return NULL;
    }
    r->p = p + head + *n;
    return p + head;
}

// encode_string writes the string or bin at r->p. NULL if there is none.
static __attribute__((noinline)) uint8_t *encode_string(reader *r, uint8_t *out)
{
    const uint8_t *s = r->p + 1;
    size_t n;

    if (r->p < r->end && is_fixstr(*r->p)) {
        n = *r->p & 0x1f;
        if (n > (size_t) (r->end - s)) {
            return NULL;
        }
        r->p = s + n;
    }
    else {
        s = other_string(r, &n);
        if (s == NULL) {
            return NULL;
        }
    }
    return put_string(out, s, n, r->end);
}

// put_fixstr writes the fixstr at p, in quotes, and answers its length: -1 if there is
// none with nothing to escape, or less than two blocks behind p.
static inline int put_fixstr(uint8_t *out, const uint8_t *p, const uint8_t *end)
{
    if (end - p <= 2 * BLOCK || !is_fixstr(*p)) {
        return -1;
    }
    unsigned n = *p & 0x1f;
    block first = block_load(p + 1), second = block_load(p + 1 + BLOCK);

    if (((json_special(first) | json_special(second) << BLOCK) & ((1u << n) - 1)) != 0) {
        return -1;
    }
    out[0] = '"';
    block_store(out + 1, first);
    block_store(out + 1 + BLOCK, second);
    out[n + 1] = '"';
    return (int) n;
}

static uint8_t *encode_other(reader *r, uint8_t *out, int depth);

static uint8_t *encode_value(reader *r, uint8_t *out, int depth)
{
    int n = put_fixstr(out, r->p, r->end);

    if (n >= 0) {
        r->p += n + 1;
        return out + n + 2;
    }
    return encode_other(r, out, depth);
}

// encode_pairs writes n pairs. If record is not NULL they are noted there, the body
// their JSON beginning at out.
static inline __attribute__((always_inline)) uint8_t *
encode_pairs(reader *r, uint8_t *out, uint64_t n, int depth, flbwt_record *record)
{
    uint8_t separator = '{';
    uint64_t starts = 0;

    if (depth <= 0) {
        return NULL;
    }
    if (depth < r->least) {
        r->least = depth;
    }
    if (n == 0) {
        *out++ = '{';
    }
    // Not r->p: what is written to out might be that, as far as the compiler knows.
    const uint8_t *p = r->p, *const end = r->end;
    for (uint64_t i = 0; i < n; i++) {
        *out++ = separator;
        separator = ',';
        if (record != NULL) {
            record->json_at[i] = (uint32_t) (out - record->json);
            record->body_at[i] = (uint32_t) (p - record->body);
        }
        const uint8_t *text = out;
        int length = put_fixstr(out, p, end);
        if (length >= 0) {
            p += length + 1;
            out += length + 2;
        }
        else {
            r->p = p;
            out = encode_string(r, out);
            if (out == NULL) {
                return NULL;
            }
            p = r->p;
        }
        *out++ = ':';

        length = put_fixstr(out, p, end);
        if (length >= 0) {
            p += length + 1;
            out += length + 2;
        }
        else {
            r->p = p;
            out = encode_other(r, out, depth - 1);
            if (out == NULL) {
                return NULL;
            }
            p = r->p;
        }
        if (record != NULL) {
            starts |= start_bit(text);
        }
    }
    r->p = p;
    *out++ = '}';
    if (record != NULL) {
        record->starts = starts;
        record->json_at[n] = (uint32_t) (out - record->json);
        record->body_at[n] = (uint32_t) (p - record->body);
    }
    return out;
}

static uint8_t *encode_map(reader *r, uint8_t *out, uint64_t n, int depth)
{
    return encode_pairs(r, out, n, depth, NULL);
}

static uint8_t *encode_array(reader *r, uint8_t *out, uint64_t n, int depth)
{
    uint8_t separator = '[';

    if (depth <= 0) {
        return NULL;
    }
    if (depth < r->least) {
        r->least = depth;
    }
    if (n == 0) {
        *out++ = '[';
    }
    for (; n > 0; n--) {
        *out++ = separator;
        separator = ',';
        out = encode_value(r, out, depth - 1);
        if (out == NULL) {
            return NULL;
        }
    }
    *out++ = ']';
    return out;
}

// encode_other writes the value at r->p.
static uint8_t *encode_other(reader *r, uint8_t *out, int depth)
{
    // What a value from 0xc0 to 0xdf has at least; 0 if it is none of the following.
    static const uint8_t width[32] = {
        [0x00] = 1, [0x02] = 1, [0x03] = 1, [0x0a] = 5, [0x0b] = 9, [0x0c] = 2, [0x0d] = 3,
        [0x0e] = 5, [0x0f] = 9, [0x10] = 2, [0x11] = 3, [0x12] = 5, [0x13] = 9,
        [0x1c] = 3, [0x1d] = 5, [0x1e] = 3, [0x1f] = 5,
    };
    const uint8_t *p = r->p;
    size_t left = (size_t) (r->end - p);
    uint64_t u;
    int64_t i;

    if (left == 0) {
        return NULL;
    }
    uint8_t c = *p;
    if (c <= 0x7f) {
        r->p = p + 1;
        return put_uint(out, c);
    }
    if (c >= 0xe0) {
        r->p = p + 1;
        return put_int(out, (int8_t) c);
    }
    if (c <= 0x8f) {
        r->p = p + 1;
        return encode_map(r, out, c & 0x0f, depth);
    }
    if (c <= 0x9f) {
        r->p = p + 1;
        return encode_array(r, out, c & 0x0f, depth);
    }
    if (c < 0xc0 || width[c - 0xc0] == 0) {
        return encode_string(r, out); // or an extension, or invalid
    }
    if (left < width[c - 0xc0]) {
        return NULL;
    }
    r->p = p + width[c - 0xc0];
    p++;
    switch (c) {
    case 0xc0:
        memcpy(out, "null", 4);
        return out + 4;
    case 0xc2:
        memcpy(out, "false", 5);
        return out + 5;
    case 0xc3:
        memcpy(out, "true", 4);
        return out + 4;
    case 0xca: {
        uint32_t bits = load32(p);
        float f;

        memcpy(&f, &bits, sizeof(f));
        r->lossy = true;
        return put_float(out, (double) f);
    }
    case 0xcb: {
        uint64_t bits = load64(p);
        double f;

        memcpy(&f, &bits, sizeof(f));
        r->lossy |= isfinite(f) == 0;
        return put_float(out, f);
    }
    case 0xcc:
        r->exact &= *p > 0x7f;
        return put_uint(out, *p);
    case 0xcd:
        u = load16(p);
        r->exact &= u > UINT8_MAX;
        return put_uint(out, u);
    case 0xce:
        u = load32(p);
        r->exact &= u > UINT16_MAX;
        return put_uint(out, u);
    case 0xcf:
        u = load64(p);
        r->exact &= u > UINT32_MAX;
        return put_uint(out, u);
    case 0xd0:
        i = (int8_t) *p;
        r->exact &= i < -0x20;
        return put_int(out, i);
    case 0xd1:
        i = (int16_t) load16(p);
        r->exact &= i < INT8_MIN;
        return put_int(out, i);
    case 0xd2:
        i = (int32_t) load32(p);
        r->exact &= i < INT16_MIN;
        return put_int(out, i);
    case 0xd3:
        i = (int64_t) load64(p);
        r->exact &= i < INT32_MIN;
        return put_int(out, i);
    case 0xdc:
        u = load16(p);
        r->exact &= u > 15;
        return encode_array(r, out, u, depth);
    case 0xdd:
        u = load32(p);
        r->exact &= u > UINT16_MAX;
        return encode_array(r, out, u, depth);
    case 0xde:
        u = load16(p);
        r->exact &= u > 15;
        return encode_map(r, out, u, depth);
    default:
        u = load32(p);
        r->exact &= u > UINT16_MAX;
        return encode_map(r, out, u, depth);
    }
}

uint8_t *flbwt_encode(const uint8_t *in, const uint8_t *end, uint8_t *out, const uint8_t **after,
                      flbwt_record *record)
{
    reader r = {in, end, true, false, FLBWT_ENCODE_DEPTH};
    uint64_t n;
    const uint8_t *pairs = map_header(in, end, &n); // Fluent Bit's are of 32 bits

    record->json = out;
    record->body = in;
    record->members = 0;
    if (pairs != NULL && n <= FLBWT_MEMBERS) {
        r.p = pairs;
        out = encode_pairs(&r, out, n, FLBWT_ENCODE_DEPTH, record);
        record->members = r.exact && !r.lossy ? (unsigned) n : 0;
        record->depth = FLBWT_ENCODE_DEPTH - r.least + 1;
    }
    else {
        out = encode_value(&r, out, FLBWT_ENCODE_DEPTH);
    }
    record->lossy = r.lossy;
    *after = r.p;
    return out;
}

// ---- JSON to MessagePack ------------------------------------------------------

typedef struct {
    const uint8_t *p, *end, *readable;
    const flbwt_record *record;
    unsigned cursor; // the member of record behind the one that was repeated last
} text;

// next answers the first byte that is no white space, and goes there; 0 at the end.
static inline uint8_t next(text *t)
{
    if (t->p < t->end && *t->p > ' ') {
        return *t->p;
    }
    while (t->p < t->end) {
        uint8_t c = *t->p;

        if (c > ' ' || (c != ' ' && c != '\n' && c != '\t' && c != '\r')) {
            return c;
        }
        t->p++;
    }
    return 0;
}

static uint8_t *put_uint_msgpack(uint8_t *out, uint64_t v)
{
    if (v < 0x80) {
        *out++ = (uint8_t) v;
        return out;
    }
    if (v <= UINT8_MAX) {
        *out++ = 0xcc;
        *out++ = (uint8_t) v;
        return out;
    }
    if (v <= UINT16_MAX) {
        *out++ = 0xcd;
        return store16(out, v);
    }
    if (v <= UINT32_MAX) {
        *out++ = 0xce;
        return store32(out, v);
    }
    *out++ = 0xcf;
    return store64(out, v);
}

static uint8_t *put_negative_msgpack(uint8_t *out, int64_t v)
{
    if (v >= -0x20) {
        *out++ = (uint8_t) v;
        return out;
    }
    if (v >= INT8_MIN) {
        *out++ = 0xd0;
        *out++ = (uint8_t) v;
        return out;
    }
    if (v >= INT16_MIN) {
        *out++ = 0xd1;
        return store16(out, (uint64_t) v);
    }
    if (v >= INT32_MIN) {
        *out++ = 0xd2;
        return store32(out, (uint64_t) v);
    }
    *out++ = 0xd3;
    return store64(out, (uint64_t) v);
}

static bool is_digit(uint8_t c) { return (uint8_t) (c - '0') <= 9; }

// divide answers the double that is closest to mantissa / 10^k, mantissa > 0 and
// k < POWERS_OF_FIVE.
static double divide(uint64_t mantissa, int k)
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

// read_float reads a number that was found to be well-formed; false if it is long
// or out of range.
static bool read_float(const uint8_t *from, const uint8_t *to, double *f)
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

static uint8_t *decode_number(text *t, uint8_t *out)
{
    const uint8_t *p = t->p, *start = p, *end = t->end, *first;
    uint64_t mantissa = 0;
    int digits, exponent = 0;
    bool negative = *p == '-';

    p += negative;
    for (first = p; p < end && is_digit(*p); p++) {
        mantissa = mantissa * 10 + (uint64_t) (*p - '0');
    }
    if (p == first || p - first > 40 || (*first == '0' && p - first > 1)) {
        return NULL;
    }
    digits = (int) (p - first);
    if (p == end || (*p != '.' && (*p | 0x20) != 'e')) {
        // 19 digits always fit into 64 bits. 20 digits are at least 10^19; those that
        // fit start with 1, and those of them that don't have wrapped around.
        if (digits > 20 || (digits == 20 && (*first != '1' || mantissa < 10000000000000000000u))) {
            return NULL;
        }
        t->p = p;
        if (!negative) {
            return put_uint_msgpack(out, mantissa);
        }
        if (mantissa == 0) {
            return put_uint_msgpack(out, 0);
        }
        return mantissa <= (uint64_t) INT64_MAX + 1
                   ? put_negative_msgpack(out, (int64_t) -mantissa) : NULL;
    }
    if (*p == '.') {
        const uint8_t *point = p++;

        for (; p < end && is_digit(*p); p++) {
            mantissa = mantissa * 10 + (uint64_t) (*p - '0');
        }
        if (p == point + 1 || p - point > 40) {
            return NULL;
        }
        exponent = -(int) (p - point - 1);
        digits -= exponent;
    }
    if (p < end && (*p | 0x20) == 'e') {
        bool down = false;
        int e = 0;

        p++;
        if (p < end && (*p == '+' || *p == '-')) {
            down = *p++ == '-';
        }
        const uint8_t *from = p;
        for (; p < end && is_digit(*p) && p - from < 4; p++) {
            e = e * 10 + (*p - '0');
        }
        if (p == from || p - from == 4) {
            return NULL;
        }
        exponent += down ? -e : e;
    }

    // A mantissa and a power of ten that are both exact make one correctly rounded
    // operation (Clinger, 1990).
    double f;
    if (digits <= 19 && mantissa <= (uint64_t) max_exact && exponent > -POWERS && exponent < POWERS) {
        f = (double) mantissa;
        f = exponent < 0 ? f / pow10[-exponent] : f * pow10[exponent];
        if (negative) {
            f = -f;
        }
    }
    else if (digits <= 19 && mantissa > 0 && exponent <= 0 && exponent > -POWERS_OF_FIVE) {
        f = divide(mantissa, -exponent);
        if (negative) {
            f = -f;
        }
    }
    else if (!read_float(start, p, &f)) {
        return NULL;
    }
    uint64_t bits;
    memcpy(&bits, &f, sizeof(bits));
    t->p = p;
    *out++ = 0xcb;
    return store64(out, bits);
}

// string_end answers the first '"', '\\' or NUL from p on, or end.
static const uint8_t *string_end(const uint8_t *p, const uint8_t *end, const uint8_t *readable)
{
    while (readable - p >= BLOCK) {
        unsigned special = string_special(block_load(p));

        if (special != 0) {
            p += __builtin_ctz(special);
            return p < end ? p : end;
        }
        p += BLOCK;
        if (p >= end) {
            return end;
        }
    }
    while (p < end && *p != '"' && *p != '\\' && *p != 0) {
        p++;
    }
    return p;
}

static int hex_digit(uint8_t c)
{
    return is_digit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static bool read_hex4(const uint8_t *p, const uint8_t *end, unsigned *v)
{
    if (end - p < 4) {
        return false;
    }
    *v = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);

        if (d < 0) {
            return false;
        }
        *v = *v << 4 | (unsigned) d;
    }
    return true;
}

static uint8_t *put_utf8(uint8_t *out, unsigned r)
{
    if (r < 0x80) {
        *out++ = (uint8_t) r;
        return out;
    }
    if (r < 0x800) {
        *out++ = (uint8_t) (0xc0 | r >> 6);
        *out++ = (uint8_t) (0x80 | (r & 0x3f));
        return out;
    }
    if (r < 0x10000) {
        *out++ = (uint8_t) (0xe0 | r >> 12);
        *out++ = (uint8_t) (0x80 | (r >> 6 & 0x3f));
        *out++ = (uint8_t) (0x80 | (r & 0x3f));
        return out;
    }
    *out++ = (uint8_t) (0xf0 | r >> 18);
    *out++ = (uint8_t) (0x80 | (r >> 12 & 0x3f));
    *out++ = (uint8_t) (0x80 | (r >> 6 & 0x3f));
    *out++ = (uint8_t) (0x80 | (r & 0x3f));
    return out;
}

// decode_escape reads what stands behind a backslash. Halves of surrogate pairs
// are left to package transcode.
static uint8_t *decode_escape(text *t, uint8_t *out)
{
    unsigned r, low;

    if (t->p >= t->end) {
        return NULL;
    }
    switch (*t->p++) {
    case '"': *out++ = '"'; return out;
    case '\\': *out++ = '\\'; return out;
    case '/': *out++ = '/'; return out;
    case 'b': *out++ = '\b'; return out;
    case 'f': *out++ = '\f'; return out;
    case 'n': *out++ = '\n'; return out;
    case 'r': *out++ = '\r'; return out;
    case 't': *out++ = '\t'; return out;
    case 'u':
        if (!read_hex4(t->p, t->end, &r)) {
            return NULL;
        }
        t->p += 4;
        if (r < 0xd800 || r > 0xdfff) {
            return put_utf8(out, r);
        }
        if (r > 0xdbff || t->end - t->p < 6 || t->p[0] != '\\' || t->p[1] != 'u' ||
            !read_hex4(t->p + 2, t->end, &low) || low < 0xdc00 || low > 0xdfff) {
            return NULL;
        }
        t->p += 6;
        return put_utf8(out, 0x10000 + ((r - 0xd800) << 10) + (low - 0xdc00));
    default:
        return NULL;
    }
}

// put_header writes the header of n over the byte at start, with which out began,
// and moves what stands behind it if it takes more than a byte.
static uint8_t *put_header(uint8_t *start, uint8_t *out, uint64_t n, uint8_t fix, unsigned fix_most,
                           uint8_t one, uint8_t two)
{
    if (n <= fix_most) {
        *start = (uint8_t) (fix | n);
        return out;
    }
    size_t width = one != 0 && n <= UINT8_MAX ? 1 : n <= UINT16_MAX ? 2 : 4;
    memmove(start + 1 + width, start + 1, (size_t) (out - start - 1));
    switch (width) {
    case 1:
        start[0] = one;
        start[1] = (uint8_t) n;
        break;
    case 2:
        start[0] = two;
        store16(start + 1, n);
        break;
    default:
        start[0] = (uint8_t) (two + 1);
        store32(start + 1, n);
    }
    return out + width;
}

// decode_string starts behind the quote.
static uint8_t *decode_string(text *t, uint8_t *out)
{
    uint8_t *start = out++;

    // Most strings end in the first block.
    if (t->readable - t->p >= BLOCK) {
        block b = block_load(t->p);
        unsigned special = string_special(b);

        if (special != 0) {
            unsigned n = (unsigned) __builtin_ctz(special);

            if (t->p + n < t->end && t->p[n] == '"') {
                block_store(out, b);
                *start = (uint8_t) (0xa0 | n);
                t->p += n + 1;
                return out + n;
            }
        }
    }
    for (;;) {
        const uint8_t *from = t->p, *to = string_end(from, t->end, t->readable);

        if (to == t->end || *to == 0) {
            return NULL;
        }
        // Blocks where there is room to read; what is written beyond is written over.
        if (t->readable - to >= BLOCK) {
            for (; from < to; from += BLOCK, out += BLOCK) {
                block_store(out, block_load(from));
            }
            out -= from - to;
        }
        else {
            memcpy(out, from, (size_t) (to - from));
            out += to - from;
        }
        t->p = to + 1;
        if (*to == '"') {
            return put_header(start, out, (uint64_t) (out - start - 1), 0xa0, 31, 0xd9, 0xda);
        }
        out = decode_escape(t, out);
        if (out == NULL) {
            return NULL;
        }
    }
}

static uint8_t *decode_value(text *t, uint8_t *out, int depth);

// after_element answers the byte behind an element: close at the end, else what the next
// element begins with; 0 if neither follows.
static inline uint8_t after_element(text *t, uint8_t close)
{
    uint8_t c = next(t);

    if (c == close) {
        return c;
    }
    if (c != ',') {
        return 0;
    }
    t->p++;
    c = next(t);
    return c != close ? c : 0;
}

// common answers how many of the n bytes at a and b are the same, from the first one
// on.
static size_t common(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t i = 0;

    for (; i + 4 * BLOCK <= n; i += 4 * BLOCK) {
        if (blocks_differ(a + i, b + i)) {
            break;
        }
    }
    for (; i + BLOCK <= n; i += BLOCK) {
        unsigned differ = block_differ(block_load(a + i), block_load(b + i));

        if (differ != 0) {
            return i + (size_t) __builtin_ctz(differ);
        }
    }
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

// repeat_members writes the members from t->p on that are those of the record, letter
// for letter, and answers how many. It goes behind the last of them.
static unsigned repeat_members(text *t, uint8_t **out)
{
    const flbwt_record *r = t->record;
    unsigned i = t->cursor;
    uint64_t first, other;

    if (t->readable - t->p < (ptrdiff_t) sizeof(first) || (r->starts & start_bit(t->p)) == 0) {
        return 0;
    }
    memcpy(&first, t->p, sizeof(first));
    for (unsigned tried = 0; tried < r->members; tried++, i = i + 1 < r->members ? i + 1 : 0) {
        const uint8_t *json = r->json + r->json_at[i];

        memcpy(&other, json, sizeof(other));
        if (first != other) {
            continue;
        }
        // With the ',' or '}' behind it, but not that of the last member: what follows
        // it in the reply may be either.
        size_t most = r->json_at[r->members] - 1 - r->json_at[i], left = (size_t) (t->end - t->p);
        size_t same = common(t->p, json, most < left ? most : left);
        unsigned next = i;

        while (next < r->members && r->json_at[next + 1] - 1 - r->json_at[i] <= same) {
            next++;
        }
        // A number may go on where the record's ends.
        for (; next > i; next--) {
            size_t n = r->json_at[next] - 1 - r->json_at[i];

            if (n < left && (t->p[n] == ',' || t->p[n] == '}')) {
                size_t from = r->body_at[i], bytes = r->body_at[next] - from;

                memcpy(*out, r->body + from, bytes);
                *out += bytes;
                t->p += n;
                t->cursor = next < r->members ? next : 0;
                return next - i;
            }
        }
    }
    return 0;
}

// decode_object and decode_array start behind the bracket.
static uint8_t *decode_object(text *t, uint8_t *out, int depth)
{
    uint8_t *start = out++;
    uint64_t n = 0;
    uint8_t c;
    bool repeats = t->record != NULL && t->record->members > 0 && t->record->depth <= depth;

    if (depth <= 0) {
        return NULL;
    }
    c = next(t);
    while (c != '}') {
        if (c != '"') {
            return NULL;
        }
        unsigned repeated = repeats ? repeat_members(t, &out) : 0;
        n += repeated;
        if (repeated == 0) {
            t->p++;
            out = decode_string(t, out);
            if (out == NULL || next(t) != ':') {
                return NULL;
            }
            t->p++;
            out = decode_value(t, out, depth - 1);
            if (out == NULL) {
                return NULL;
            }
            n++;
        }
        c = after_element(t, '}');
        if (c == 0) {
            return NULL;
        }
    }
    t->p++;
    return put_header(start, out, n, 0x80, 15, 0, 0xde);
}

static uint8_t *decode_array(text *t, uint8_t *out, int depth)
{
    uint8_t *start = out++;
    uint64_t n = 0;
    uint8_t c;

    if (depth <= 0) {
        return NULL;
    }
    c = next(t);
    while (c != ']') {
        out = decode_value(t, out, depth - 1);
        if (out == NULL) {
            return NULL;
        }
        n++;
        c = after_element(t, ']');
        if (c == 0) {
            return NULL;
        }
    }
    t->p++;
    return put_header(start, out, n, 0x90, 15, 0, 0xdc);
}

static bool literal(text *t, const char *word, size_t n)
{
    if ((size_t) (t->end - t->p) < n || memcmp(t->p, word, n) != 0) {
        return false;
    }
    t->p += n;
    return true;
}

static uint8_t *decode_value(text *t, uint8_t *out, int depth)
{
    switch (next(t)) {
    case '"':
        t->p++;
        return decode_string(t, out);
    case '{':
        t->p++;
        return decode_object(t, out, depth);
    case '[':
        t->p++;
        return decode_array(t, out, depth);
    case '-':
    case '0' ... '9':
        return decode_number(t, out);
    case 't':
        *out++ = 0xc3;
        return literal(t, "true", 4) ? out : NULL;
    case 'f':
        *out++ = 0xc2;
        return literal(t, "false", 5) ? out : NULL;
    case 'n':
        *out++ = 0xc0;
        return literal(t, "null", 4) ? out : NULL;
    default:
        return NULL;
    }
}

uint8_t *flbwt_decode(const uint8_t *in, const uint8_t *end, const uint8_t *readable, int depth,
                      const flbwt_record *record, uint8_t *out)
{
    text t = {in, end, readable, record, 0};

    if (next(&t) != '{') {
        return NULL;
    }
    t.p++;
    return decode_object(&t, out, depth);
}

// ---- MessagePack --------------------------------------------------------------

// What a lead byte says: how long the value is in all, or of which width the length
// behind it is, and what that counts.
enum { FIXED, PAYLOAD, EXTENSION, ELEMENTS, PAIRS, INVALID };

static const struct {
    uint8_t what, width;
} leads[32] = {
    [0x00] = {FIXED, 1},     [0x01] = {INVALID, 0},   [0x02] = {FIXED, 1},
    [0x03] = {FIXED, 1},     [0x04] = {PAYLOAD, 1},   [0x05] = {PAYLOAD, 2},
    [0x06] = {PAYLOAD, 4},   [0x07] = {EXTENSION, 1}, [0x08] = {EXTENSION, 2},
    [0x09] = {EXTENSION, 4}, [0x0a] = {FIXED, 5},     [0x0b] = {FIXED, 9},
    [0x0c] = {FIXED, 2},     [0x0d] = {FIXED, 3},     [0x0e] = {FIXED, 5},
    [0x0f] = {FIXED, 9},     [0x10] = {FIXED, 2},     [0x11] = {FIXED, 3},
    [0x12] = {FIXED, 5},     [0x13] = {FIXED, 9},     [0x14] = {FIXED, 3},
    [0x15] = {FIXED, 4},     [0x16] = {FIXED, 6},     [0x17] = {FIXED, 10},
    [0x18] = {FIXED, 18},    [0x19] = {PAYLOAD, 1},   [0x1a] = {PAYLOAD, 2},
    [0x1b] = {PAYLOAD, 4},   [0x1c] = {ELEMENTS, 2},  [0x1d] = {ELEMENTS, 4},
    [0x1e] = {PAIRS, 2},     [0x1f] = {PAIRS, 4},
};

static const uint8_t *skip_values(const uint8_t *p, const uint8_t *end, uint64_t n, int depth)
{
    for (; n > 0; n--) {
        size_t left = (size_t) (end - p), bytes;
        uint64_t elements = 0;

        if (left == 0) {
            return NULL;
        }
        uint8_t c = *p;
        if (c <= 0x7f || c >= 0xe0) {
            p++;
            continue;
        }
        if (c >= 0xa0 && c <= 0xbf) {
            bytes = 1 + (c & 0x1f);
        }
        else if (c <= 0x9f) {
            bytes = 1;
            elements = (uint64_t) (c & 0x0f) << (c <= 0x8f);
        }
        else {
            uint8_t what = leads[c - 0xc0].what, width = leads[c - 0xc0].width;

            if (what == INVALID) {
                return NULL;
            }
            if (what == FIXED) {
                bytes = width;
            }
            else {
                uint64_t length;

                if (left < (size_t) width + 1) {
                    return NULL;
                }
                length = width == 1 ? p[1] : width == 2 ? load16(p + 1) : load32(p + 1);
                bytes = 1 + (size_t) width;
                switch (what) {
                case ELEMENTS: elements = length; break;
                case PAIRS: elements = length * 2; break;
                case EXTENSION: bytes += 1 + length; break;
                default: bytes += length;
                }
            }
        }
        if (bytes > left) {
            return NULL;
        }
        p += bytes;
        if (c <= 0x9f || c >= 0xdc) { // an array or a map
            if (depth <= 0 || elements > (uint64_t) (end - p)) {
                return NULL;
            }
            p = skip_values(p, end, elements, depth - 1);
            if (p == NULL) {
                return NULL;
            }
        }
    }
    return p;
}

// skip_flat does it for skip_values, and is fast: it does not follow how containers nest,
// but gives up, with *containers above most, when there are more of them than may be
// nested.
static const uint8_t *skip_flat(const uint8_t *p, const uint8_t *end, uint64_t n, unsigned most,
                                unsigned *containers)
{
    for (; n > 0; n--) {
        size_t left = (size_t) (end - p), bytes;
        uint64_t length, elements;
        uint8_t c, what, width;

        if (left == 0) {
            return NULL;
        }
        c = *p;
        if (is_fixstr(c)) {
            bytes = 1 + (c & 0x1f);
        }
        else if (c <= 0x7f || c >= 0xe0) {
            bytes = 1;
        }
        else if (c <= 0x9f) {
            bytes = 1;
            elements = (uint64_t) (c & 0x0f) << (c <= 0x8f);
            if (elements > left - 1 || ++*containers > most) {
                return NULL;
            }
            n += elements;
        }
        else {
            what = leads[c - 0xc0].what;
            width = leads[c - 0xc0].width;
            bytes = width;
            if (what != FIXED) {
                if (what == INVALID || left < (size_t) width + 1) {
                    return NULL;
                }
                length = width == 1 ? p[1] : width == 2 ? load16(p + 1) : load32(p + 1);
                bytes = 1 + (size_t) width;
                if (what == ELEMENTS || what == PAIRS) {
                    elements = length << (what == PAIRS);
                    if (elements > left - bytes || ++*containers > most) {
                        return NULL;
                    }
                    n += elements;
                }
                else {
                    bytes += length + (what == EXTENSION);
                }
            }
        }
        if (bytes > left) {
            return NULL;
        }
        p += bytes;
    }
    return p;
}

static const uint8_t *skip(const uint8_t *p, const uint8_t *end, uint64_t n, int depth,
                           unsigned *containers)
{
    unsigned most = depth > 0 ? (unsigned) depth : 0;
    const uint8_t *after = skip_flat(p, end, n, most, containers);

    return *containers > most ? skip_values(p, end, n, depth) : after;
}

const uint8_t *flbwt_skip(const uint8_t *p, const uint8_t *end, int depth, unsigned *containers)
{
    *containers = 0;
    return skip(p, end, 1, depth, containers);
}

const uint8_t *flbwt_skip_reply(const uint8_t *p, const uint8_t *end, int depth,
                                const uint8_t *in, size_t in_len, unsigned in_containers)
{
    uint64_t pairs, in_pairs;
    unsigned containers = 0;
    const uint8_t *body = map_header(p, end, &pairs), *in_body = map_header(in, in + in_len, &in_pairs);

    if (body == NULL) {
        return NULL;
    }
    if (in_body != NULL && pairs >= in_pairs && in_containers <= (unsigned) depth) {
        size_t same = in_len - (size_t) (in_body - in);

        if ((size_t) (end - body) >= same && memcmp(body, in_body, same) == 0) {
            pairs -= in_pairs;
            body += same;
        }
    }
    return skip(body, end, pairs * 2, depth - 1, &containers);
}
