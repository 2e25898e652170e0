// MessagePack to JSON. flbwt_write_json mirrors AppendJSON of package transcode.

#include "fast.h"

#include "bytes.h"
#include "decimal.h"
#include "msgpack.h"

#include <math.h>

typedef struct {
    const uint8_t *p, *end;
    bool exact; // what was read so far is what its JSON decodes to
    bool lossy; // it is another value than its JSON decodes to
    int least;  // what depth was at its least
} reader;

enum { PAIR_BYTES = 6, CHARACTER_BYTES = 4 };

// put_other writes what stands for bytes at s with which no UTF-8 begins, and returns where that
// ends: CHARACTER_BYTES for the PAIR_BYTES of a surrogate pair whose halves were encoded each, else
// U+FFFD for one byte.
static __attribute__((noinline)) uint8_t *put_other(reader *r, uint8_t *out, const uint8_t *s,
                                                    size_t n)
{
    r->exact = false;
    if (n >= PAIR_BYTES && s[0] == 0xed && s[3] == 0xed && (s[1] & 0xf0) == 0xa0 &&
        (s[4] & 0xf0) == 0xb0 && (s[2] & 0xc0) == 0x80 && (s[5] & 0xc0) == 0x80) {
        uint32_t high = (uint32_t) (s[1] & 0x0f) << 6 | (s[2] & 0x3f);
        uint32_t low = (uint32_t) (s[4] & 0x0f) << 6 | (s[5] & 0x3f);
        uint32_t c = 0x10000 + (high << 10 | low);

        *out++ = (uint8_t) (0xf0 | c >> 18);
        *out++ = (uint8_t) (0x80 | (c >> 12 & 0x3f));
        *out++ = (uint8_t) (0x80 | (c >> 6 & 0x3f));
        *out++ = (uint8_t) (0x80 | (c & 0x3f));
        return out;
    }
    r->lossy = true;
    memcpy(out, "\xef\xbf\xbd", 3);
    return out + 3;
}

// put_string writes the n bytes at s as a JSON string. Up to r->end memory may be read.
static uint8_t *put_string(reader *r, uint8_t *out, const uint8_t *s, size_t n)
{
    const uint8_t *stop = s + n, *const end = r->end;

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
                    uint8_t *after = put_other(r, out, s, (size_t) (stop - s));

                    s += after - out == CHARACTER_BYTES ? PAIR_BYTES : 1;
                    out = after;
                    continue;
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
        case '\b':
            *out++ = 'b';
            break;
        case '\f':
            *out++ = 'f';
            break;
        case '\n':
            *out++ = 'n';
            break;
        case '\r':
            *out++ = 'r';
            break;
        case '\t':
            *out++ = 't';
            break;
        case '"':
        case '\\':
            *out++ = c;
            break;
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

// last_string is other_string where less than 5 bytes are left: only for a bin, or what has more of a
// length than it needs.
static __attribute__((noinline)) const uint8_t *last_string(reader *r, size_t *n)
{
    const uint8_t *p = r->p;
    size_t left = (size_t) (r->end - p), head;

    if (left >= 2 && (p[0] == 0xc4 || p[0] == 0xd9)) {
        *n = p[1];
        head = 2;
    }
    else if (left >= 3 && (p[0] == 0xc5 || p[0] == 0xda)) {
        *n = load16(p + 1);
        head = 3;
    }
    else {
        return NULL;
    }
    if (*n > left - head) {
        return NULL;
    }
    r->lossy |= p[0] <= 0xc5;
    r->exact = false;
    r->p = p + head + *n;
    return p + head;
}

// other_string finds the string or bin at r->p that is no fixstr, and goes behind it.
// NULL if there is none, or not all of it.
static const uint8_t *other_string(reader *r, size_t *n)
{
    const uint8_t *p = r->p;
    size_t left = (size_t) (r->end - p), head;

    if (left < 5) {
        return last_string(r, n);
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
    return put_string(r, out, s, n);
}

// put_fixstr writes the fixstr at p, in quotes, and returns its length: -1 if there is
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
static inline __attribute__((always_inline)) uint8_t *encode_pairs(reader *r, uint8_t *out,
                                                                   uint64_t n, int depth,
                                                                   flbwt_record *record)
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
    if (c < 0xc0) {
        return encode_string(r, out);
    }
    flbwt_lead lead = flbwt_leads[c - 0xc0];
    if (lead.kind != KIND_SCALAR && lead.kind < KIND_ARRAY) {
        return encode_string(r, out); // or an extension, which is left to Go
    }
    size_t bytes = (size_t) lead.bytes + (lead.kind != KIND_SCALAR);
    if (left < bytes) {
        return NULL;
    }
    r->p = p + bytes;
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
        return flbwt_put_float(out, (double) f);
    }
    case 0xcb: {
        uint64_t bits = load64(p);
        double f;

        memcpy(&f, &bits, sizeof(f));
        r->lossy |= isfinite(f) == 0;
        return flbwt_put_float(out, f);
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

uint8_t *flbwt_write_json(const uint8_t *in, const uint8_t *end, uint8_t *out,
                          const uint8_t **after, flbwt_record *record)
{
    reader r = {in, end, true, false, FLBWT_JSON_DEPTH};
    uint64_t n;
    const uint8_t *pairs = map_header(in, end, &n); // Fluent Bit's are of 32 bits

    record->json = out;
    record->body = in;
    record->members = 0;
    if (pairs != NULL && n <= FLBWT_MEMBERS) {
        r.p = pairs;
        out = encode_pairs(&r, out, n, FLBWT_JSON_DEPTH, record);
        record->members = r.exact && !r.lossy ? (unsigned) n : 0;
        record->depth = FLBWT_JSON_DEPTH - r.least + 1;
    }
    else {
        out = encode_value(&r, out, FLBWT_JSON_DEPTH);
    }
    record->lossy = r.lossy;
    *after = r.p;
    return out;
}
