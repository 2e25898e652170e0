#include "write.h"

#include "../fast/bytes.h"
#include "../fast/decimal.h"

#include <stdio.h>

void write_nil(writer *w)
{
    if (is_msgpack(w)) {
        put_byte(w, 0xc0);
    }
    else {
        put(w, "null", 4);
    }
}

void write_bool(writer *w, bool value)
{
    if (is_msgpack(w)) {
        put_byte(w, value ? 0xc3 : 0xc2);
    }
    else if (value) {
        put(w, "true", 4);
    }
    else {
        put(w, "false", 5);
    }
}

// put_number writes a lead byte and the low n bytes of a number, the first one first.
static void put_number(writer *w, uint8_t lead, uint64_t value, size_t n)
{
    uint8_t b[9] = {lead};

    store64(b + 1, value << (64 - 8 * n));
    put(w, b, 1 + n);
}

void write_uint(writer *w, uint64_t value)
{
    uint8_t digits[32];

    if (!is_msgpack(w)) {
        put(w, digits, (size_t) (put_uint(digits, value) - digits));
    }
    else if (value < 0x80) {
        put_byte(w, (uint8_t) value);
    }
    else if (value <= UINT8_MAX) {
        put_number(w, 0xcc, value, 1);
    }
    else if (value <= UINT16_MAX) {
        put_number(w, 0xcd, value, 2);
    }
    else if (value <= UINT32_MAX) {
        put_number(w, 0xce, value, 4);
    }
    else {
        put_number(w, 0xcf, value, 8);
    }
}

void write_int(writer *w, int64_t value)
{
    uint8_t digits[32];

    if (value >= 0) {
        write_uint(w, (uint64_t) value);
    }
    else if (!is_msgpack(w)) {
        put(w, digits, (size_t) (put_int(digits, value) - digits));
    }
    else if (value >= -0x20) {
        put_byte(w, (uint8_t) value);
    }
    else if (value >= INT8_MIN) {
        put_number(w, 0xd0, (uint64_t) value, 1);
    }
    else if (value >= INT16_MIN) {
        put_number(w, 0xd1, (uint64_t) value, 2);
    }
    else if (value >= INT32_MIN) {
        put_number(w, 0xd2, (uint64_t) value, 4);
    }
    else {
        put_number(w, 0xd3, (uint64_t) value, 8);
    }
}

static void write_digits(writer *w, double value)
{
    uint8_t digits[64];
    uint8_t *end = flbwt_put_float(digits, value);

    if (end == NULL) { // 17 digits are exact, and perhaps not the fewest
        int n = snprintf((char *) digits, sizeof(digits), "%.16e", value);

        end = digits + n;
        for (uint8_t *p = digits; p < end; p++) {
            if (*p == ',') { // of the host's locale
                *p = '.';
            }
        }
    }
    put(w, digits, (size_t) (end - digits));
}

void write_double(writer *w, double value)
{
    uint64_t bits;

    if (!is_msgpack(w)) {
        write_digits(w, value);
        return;
    }
    memcpy(&bits, &value, sizeof(bits));
    put_number(w, 0xcb, bits, 8);
}

void write_float(writer *w, float value)
{
    uint32_t bits;

    if (!is_msgpack(w)) {
        write_digits(w, (double) value);
        return;
    }
    memcpy(&bits, &value, sizeof(bits));
    put_number(w, 0xca, bits, 4);
}

// put_length writes the head of what has a length of n: in the lead byte up to fix_most, in one
// byte if there is such a head, in two, or in four.
static void put_length(writer *w, uint32_t n, uint8_t fix, uint32_t fix_most, uint8_t one,
                       uint8_t two)
{
    if (n <= fix_most) {
        put_byte(w, (uint8_t) (fix | n));
    }
    else if (one != 0 && n <= UINT8_MAX) {
        put_number(w, one, n, 1);
    }
    else if (n <= UINT16_MAX) {
        put_number(w, two, n, 2);
    }
    else {
        put_number(w, (uint8_t) (two + 1), n, 4);
    }
}

void begin_map(writer *w, uint32_t n)
{
    if (is_msgpack(w)) {
        put_length(w, n, 0x80, 15, 0, 0xde);
    }
    else {
        put_byte(w, '{');
    }
}

void begin_array(writer *w, uint32_t n)
{
    if (is_msgpack(w)) {
        put_length(w, n, 0x90, 15, 0, 0xdc);
    }
    else {
        put_byte(w, '[');
    }
}

static void put_escaped(writer *w, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    const char *name = c != 0 ? strchr("\bb\ff\nn\rr\tt\"\"\\\\", c) : NULL;

    if (name != NULL) {
        put_byte(w, '\\');
        put_byte(w, (uint8_t) name[1]);
        return;
    }
    uint8_t text[6] = {'\\', 'u', '0', '0', (uint8_t) hex[c >> 4], (uint8_t) hex[c & 15]};
    put(w, text, sizeof(text));
}

// put_quoted writes a string of JSON. Bytes that are not UTF-8 become U+FFFD.
static void put_quoted(writer *w, const uint8_t *s, size_t n)
{
    put_byte(w, '"');
    for (size_t i = 0; i < n;) {
        size_t from = i;

        while (i < n) {
            int length = s[i] < 0x80 ? 1 : utf8_length(s + i, n - i);

            if (length == 0 || s[i] < 0x20 || s[i] == '"' || s[i] == '\\') {
                break;
            }
            i += (size_t) length;
        }
        put(w, s + from, i - from);
        if (i < n && s[i] < 0x80) {
            put_escaped(w, s[i++]);
        }
        else if (i < n) {
            put(w, "\xef\xbf\xbd", 3);
            i++;
        }
    }
    put_byte(w, '"');
}

void write_string(writer *w, const uint8_t *s, size_t n)
{
    if (is_msgpack(w)) {
        put_length(w, (uint32_t) n, 0xa0, 31, 0xd9, 0xda);
        put(w, s, n);
    }
    else {
        put_quoted(w, s, n);
    }
}

void write_bytes(writer *w, const uint8_t *s, size_t n)
{
    static const char hex[] = "0123456789abcdef";

    if (is_msgpack(w)) {
        size_t width = n <= UINT8_MAX ? 1 : n <= UINT16_MAX ? 2 : 4;

        put_number(w, (uint8_t) (0xc4 + width / 2), n, width);
        put(w, s, n);
        return;
    }
    put_byte(w, '"');
    for (size_t i = 0; i < n; i++) {
        put_byte(w, (uint8_t) hex[s[i] >> 4]);
        put_byte(w, (uint8_t) hex[s[i] & 15]);
    }
    put_byte(w, '"');
}

bool element_number(const step *s, uint32_t n, uint32_t *i)
{
    uint64_t number = 0;

    if (s->part == 0 || s->part > 9) {
        return false;
    }
    for (size_t k = 0; k < s->part; k++) {
        if (s->path[k] < '0' || s->path[k] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t) (s->path[k] - '0');
    }
    *i = (uint32_t) number;
    return number < n;
}
