// JSON to MessagePack. flbwt_read_json mirrors AppendMsgpack of package transcode.

#include "fast.h"

#include "bytes.h"
#include "decimal.h"
#include "msgpack.h"

#include <math.h>

typedef struct {
    const uint8_t *p, *end, *readable;
    const flbwt_record *record;
    unsigned cursor; // the member of record behind the one that was repeated last
} text;

// next returns the first byte that is no white space, and goes there; 0 at the end.
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
        return mantissa <= (uint64_t) INT64_MAX + 1 ? put_negative_msgpack(out, (int64_t) -mantissa)
                                                    : NULL;
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
    if (digits <= 19 && mantissa <= (uint64_t) max_exact && exponent > -POWERS &&
        exponent < POWERS) {
        f = (double) mantissa;
        f = exponent < 0 ? f / pow10[-exponent] : f * pow10[exponent];
        if (negative) {
            f = -f;
        }
    }
    else if (digits <= 19 && mantissa > 0 && exponent <= 0 && exponent > -POWERS_OF_FIVE) {
        f = flbwt_divide(mantissa, -exponent);
        if (negative) {
            f = -f;
        }
    }
    else if (!flbwt_read_float(start, p, &f)) {
        return NULL;
    }
    uint64_t bits;
    memcpy(&bits, &f, sizeof(bits));
    t->p = p;
    *out++ = 0xcb;
    return store64(out, bits);
}

// string_end returns the first '"', '\\' or NUL from p on, or end.
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
    return is_digit(c)                              ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
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
    case '"':
        *out++ = '"';
        return out;
    case '\\':
        *out++ = '\\';
        return out;
    case '/':
        *out++ = '/';
        return out;
    case 'b':
        *out++ = '\b';
        return out;
    case 'f':
        *out++ = '\f';
        return out;
    case 'n':
        *out++ = '\n';
        return out;
    case 'r':
        *out++ = '\r';
        return out;
    case 't':
        *out++ = '\t';
        return out;
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

// after_element returns the byte after an element: close at the end, else what the next
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

// common returns how many of the n bytes at a and b are the same, from the first one
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
// for letter, and returns how many. It goes behind the last of them.
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

uint8_t *flbwt_read_json(const uint8_t *in, const uint8_t *end, const uint8_t *readable, int depth,
                         const flbwt_record *record, uint8_t *out)
{
    text t = {in, end, readable, record, 0};

    if (next(&t) != '{') {
        return NULL;
    }
    t.p++;
    out = decode_object(&t, out, depth);
    // Another object makes it more than one record.
    return out != NULL && next(&t) == '{' ? NULL : out;
}

size_t flbwt_span_json(const uint8_t *p, size_t n)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < n; i++) {
        uint8_t c = p[i];

        if (in_string) {
            if (c == '\\') {
                i++;
            }
            else if (c == '"') {
                in_string = false;
            }
            continue;
        }
        switch (c) {
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (depth <= 1) {
                return depth == 1 ? i + 1 : 0;
            }
            depth--;
            break;
        case '"':
            in_string = true;
            break;
        case ' ':
        case '\t':
        case '\n':
        case '\r':
            continue;
        }
        if (depth == 0) {
            return 0;
        }
    }
    return 0;
}
