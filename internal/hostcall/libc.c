#define _GNU_SOURCE
#include "heap.h"
#include "hostcall.h"

#include <float.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    // The most that a width, or a number's precision, counts.
    FIELD_MOST = 4096,
    // A long double of 4,933 digits with as many behind the point as are given.
    NUMBER_BYTES = 3 * FIELD_MOST,
    // strstr asks for the time once in so many bytes.
    SEARCH_BYTES = 1 << 20,
};

// Pointers into the guest's memory are good until something may have made it grow.

static uint8_t *memory_at(const flbwt_instance *in, uint64_t at)
{
    return wasmtime_memory_data(in->context, &in->memory) + at;
}

// bytes returns where the guest's n bytes are, or NULL.
static uint8_t *bytes(call *c, uint64_t at, uint64_t n)
{
    uint8_t *p = within(c->instance, at, n);

    if (p == NULL) {
        flbwt_stop(c, "%s: the address 0x%llx with %llu bytes is outside the module's memory",
                   c->name, (unsigned long long) at, (unsigned long long) n);
    }
    return p;
}

// rest is bytes for as many as there are, one at least.
static const uint8_t *rest(call *c, uint32_t at, uint64_t *n)
{
    *n = flbwt_memory_size(c->instance) - at;
    return bytes(c, at, 1);
}

static void unterminated(call *c, uint32_t at)
{
    flbwt_stop(c, "%s: what starts at the address 0x%x does not end inside the module's memory",
               c->name, at);
}

// string returns a string and its length, or NULL.
static const uint8_t *string(call *c, uint32_t at, uint64_t *len)
{
    uint64_t n;
    const uint8_t *p = rest(c, at, &n), *nul;

    if (p == NULL) {
        return NULL;
    }
    nul = memchr(p, 0, n);
    if (nul == NULL) {
        unterminated(c, at);
        return NULL;
    }
    *len = (uint64_t) (nul - p);
    return p;
}

// prefix is string for at most the first n bytes, which need not end with a NUL.
static const uint8_t *prefix(call *c, uint32_t at, uint64_t n, uint64_t *len)
{
    uint64_t most;
    const uint8_t *p, *nul;

    *len = 0;
    if (n == 0) {
        return bytes(c, at, 0);
    }
    p = rest(c, at, &most);
    if (p == NULL) {
        return NULL;
    }
    nul = memchr(p, 0, n < most ? n : most);
    if (nul == NULL && n > most) {
        unterminated(c, at);
        return NULL;
    }
    *len = nul != NULL ? (uint64_t) (nul - p) : n;
    return p;
}

static bool put(call *c, uint64_t at, const void *value, uint64_t n)
{
    uint8_t *p = bytes(c, at, n);

    if (p != NULL) {
        memcpy(p, value, n);
    }
    return p != NULL;
}

// Where C leaves overlapping operands undefined, they are moved: nothing else is
// safe for the host.

static void do_malloc(call *c) { answer(c, flbwt_heap_alloc(c->instance, param(c, 0))); }

static void do_free(call *c) { flbwt_heap_free(c->instance, param(c, 0)); }

static void do_calloc(call *c)
{
    uint64_t n = (uint64_t) param(c, 0) * param(c, 1);
    uint32_t at = flbwt_heap_alloc(c->instance, n);

    if (at != 0) {
        memset(memory_at(c->instance, at), 0, n);
    }
    answer(c, at);
}

static void do_realloc(call *c)
{
    answer(c, flbwt_heap_realloc(c->instance, param(c, 0), param(c, 1)));
}

static void do_strdup(call *c)
{
    uint64_t n;

    if (string(c, param(c, 0), &n) == NULL) {
        return;
    }
    uint32_t from = param(c, 0), at = flbwt_heap_alloc(c->instance, n + 1);
    if (at != 0) {
        memmove(memory_at(c->instance, at), memory_at(c->instance, from), n + 1);
    }
    answer(c, at);
}

static void do_memcpy(call *c)
{
    uint64_t n = param(c, 2);
    uint8_t *to = bytes(c, param(c, 0), n);
    const uint8_t *from = bytes(c, param(c, 1), n);

    if (to != NULL && from != NULL) {
        memmove(to, from, n);
    }
}

static void do_memset(call *c)
{
    uint8_t *to = bytes(c, param(c, 0), param(c, 2));

    if (to != NULL) {
        memset(to, c->v[1].i32, param(c, 2));
    }
}

static void do_memcmp(call *c)
{
    uint64_t n = param(c, 2);
    const uint8_t *a = bytes(c, param(c, 0), n), *b = bytes(c, param(c, 1), n);

    if (a != NULL && b != NULL) {
        answer(c, (uint32_t) memcmp(a, b, n));
    }
}

// memchr may be given more bytes than there are, if it finds one.
static void do_memchr(call *c)
{
    uint32_t at = param(c, 0), n = param(c, 2);
    uint64_t most = 0;
    const uint8_t *p = n == 0 ? NULL : rest(c, at, &most), *hit;

    if (c->trap != NULL) {
        return;
    }
    hit = p == NULL ? NULL : memchr(p, c->v[1].i32, n < most ? n : most);
    if (hit == NULL && n > most && n != 0) {
        unterminated(c, at);
        return;
    }
    answer(c, hit == NULL ? 0 : at + (uint32_t) (hit - p));
}

static void do_strlen(call *c)
{
    uint64_t n;

    if (string(c, param(c, 0), &n) != NULL) {
        answer(c, (uint32_t) n);
    }
}

static void do_strnlen(call *c)
{
    uint64_t n;

    if (prefix(c, param(c, 0), param(c, 1), &n) != NULL) {
        answer(c, (uint32_t) n);
    }
}

// copy writes n bytes of a string and then a NUL to the guest's address at.
static bool copy(call *c, uint64_t at, const uint8_t *from, uint64_t n)
{
    uint8_t *to = bytes(c, at, n + 1);

    if (to != NULL) {
        memmove(to, from, n);
        to[n] = 0;
    }
    return to != NULL;
}

static void do_strcpy(call *c)
{
    uint64_t n;
    const uint8_t *from = string(c, param(c, 1), &n);

    if (from != NULL) {
        copy(c, param(c, 0), from, n);
    }
}

static void do_stpcpy(call *c)
{
    uint64_t n;
    const uint8_t *from = string(c, param(c, 1), &n);

    if (from != NULL && copy(c, param(c, 0), from, n)) {
        answer(c, param(c, 0) + (uint32_t) n);
    }
}

static void do_strncpy(call *c)
{
    uint64_t n = param(c, 2), len;
    uint8_t *to = bytes(c, param(c, 0), n);
    const uint8_t *from = to == NULL ? NULL : prefix(c, param(c, 1), n, &len);

    if (from != NULL) {
        memmove(to, from, len);
        memset(to + len, 0, n - len);
    }
}

static void do_strcat(call *c)
{
    uint64_t before, n;

    if (string(c, param(c, 0), &before) != NULL) {
        const uint8_t *from = string(c, param(c, 1), &n);

        if (from != NULL) {
            copy(c, param(c, 0) + before, from, n);
        }
    }
}

static void do_strncat(call *c)
{
    uint64_t before, n;

    if (string(c, param(c, 0), &before) != NULL) {
        const uint8_t *from = prefix(c, param(c, 1), param(c, 2), &n);

        if (from != NULL) {
            copy(c, param(c, 0) + before, from, n);
        }
    }
}

static int lower(int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

static int same(int c) { return c; }

// compare returns how two strings differ in their first n bytes.
static inline void compare(call *c, uint64_t n, int (*fold)(int))
{
    uint64_t a_len, b_len;
    const uint8_t *a = rest(c, param(c, 0), &a_len), *b = rest(c, param(c, 1), &b_len);
    int difference = 0;

    if (a == NULL || b == NULL) {
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (i >= a_len || i >= b_len) {
            unterminated(c, param(c, i >= a_len ? 0 : 1));
            return;
        }
        difference = fold(a[i]) - fold(b[i]);
        if (difference != 0 || a[i] == 0) {
            break;
        }
    }
    answer(c, (uint32_t) difference);
}

static void do_strcmp(call *c) { compare(c, UINT64_MAX, same); }
static void do_strncmp(call *c) { compare(c, param(c, 2), same); }
static void do_strcasecmp(call *c) { compare(c, UINT64_MAX, lower); }
static void do_strncasecmp(call *c) { compare(c, param(c, 2), lower); }

// strchr takes time by where it finds the byte, and not by how long the string is.
static void do_strchr(call *c)
{
    uint32_t at = param(c, 0);
    int wanted = c->v[1].i32;
    uint64_t n;
    const uint8_t *p = rest(c, at, &n);

    if (p == NULL) {
        return;
    }
    for (uint64_t from = 0, window = 64; from < n; from += window, window *= 2) {
        uint64_t len = n - from < window ? n - from : window;
        const uint8_t *nul = memchr(p + from, 0, len), *hit;

        if (nul != NULL) {
            len = (uint64_t) (nul - (p + from)) + 1;
        }
        hit = memchr(p + from, wanted, len);
        if (hit != NULL || nul != NULL) {
            answer(c, hit == NULL ? 0 : at + (uint32_t) (hit - p));
            return;
        }
    }
    unterminated(c, at);
}

static void do_strrchr(call *c)
{
    uint64_t n;
    const uint8_t *p = string(c, param(c, 0), &n), *hit;

    if (p != NULL) {
        hit = memrchr(p, c->v[1].i32, n + 1);
        answer(c, hit == NULL ? 0 : param(c, 0) + (uint32_t) (hit - p));
    }
}

// span counts how many bytes of the first string are in the second, or are not.
static bool span(call *c, bool in, uint32_t *count, bool *ended)
{
    bool set[256] = {false};
    uint64_t n, len;
    const uint8_t *p = rest(c, param(c, 0), &n);
    const uint8_t *members = p == NULL ? NULL : string(c, param(c, 1), &len);

    if (members == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < len; i++) {
        set[members[i]] = true;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (p[i] == 0 || set[p[i]] != in) {
            *count = (uint32_t) i;
            *ended = p[i] == 0;
            return true;
        }
    }
    unterminated(c, param(c, 0));
    return false;
}

static void do_strspn(call *c)
{
    uint32_t n;
    bool ended;

    if (span(c, true, &n, &ended)) {
        answer(c, n);
    }
}

static void do_strcspn(call *c)
{
    uint32_t n;
    bool ended;

    if (span(c, false, &n, &ended)) {
        answer(c, n);
    }
}

static void do_strpbrk(call *c)
{
    uint32_t n;
    bool ended;

    if (span(c, false, &n, &ended)) {
        answer(c, ended ? 0 : param(c, 0) + n);
    }
}

// memmem is linear, but slow in its worst case: up to 256 times memchr's time.
static void do_strstr(call *c)
{
    uint32_t at = param(c, 0);
    uint64_t n, len;
    const uint8_t *p = rest(c, at, &n);
    const uint8_t *wanted = p == NULL ? NULL : string(c, param(c, 1), &len);

    if (wanted == NULL) {
        return;
    }
    if (len == 0) {
        return; // at, which is both parameter and result
    }
    uint64_t window = len * 4 > SEARCH_BYTES ? len * 4 : SEARCH_BYTES;
    for (uint64_t from = 0; !flbwt_overdue(c); from += window - (len - 1)) {
        uint64_t here = n - from < window ? n - from : window;
        const uint8_t *nul = memchr(p + from, 0, here);
        uint64_t end = nul != NULL ? (uint64_t) (nul - (p + from)) : here;
        const uint8_t *hit = memmem(p + from, end, wanted, len);

        if (hit != NULL || nul != NULL) {
            answer(c, hit == NULL ? 0 : at + (uint32_t) (hit - p));
            return;
        }
        if (here == n - from) {
            unterminated(c, at);
            return;
        }
    }
}

// Characters are those of C's own locale.

static bool between(int c, int least, int most) { return c >= least && c <= most; }

static bool digit(int c) { return between(c, '0', '9'); }
static bool alpha(int c) { return between(c, 'A', 'Z') || between(c, 'a', 'z'); }
static bool graph(int c) { return between(c, '!', '~'); }
static bool space(int c) { return c == ' ' || between(c, '\t', '\r'); }

#define CHARACTER(name, result) \
    static void do_##name(call *call) \
    { \
        int c = call->v[0].i32; \
        answer(call, (uint32_t) (result)); \
    }

CHARACTER(isupper, between(c, 'A', 'Z'))
CHARACTER(islower, between(c, 'a', 'z'))
CHARACTER(isalpha, alpha(c))
CHARACTER(isdigit, digit(c))
CHARACTER(isalnum, alpha(c) || digit(c))
CHARACTER(isxdigit, digit(c) || between(c, 'A', 'F') || between(c, 'a', 'f'))
CHARACTER(isspace, space(c))
CHARACTER(isblank, c == ' ' || c == '\t')
CHARACTER(isgraph, graph(c))
CHARACTER(isprint, c == ' ' || graph(c))
CHARACTER(ispunct, graph(c) && !alpha(c) && !digit(c))
CHARACTER(iscntrl, between(c, 0, 31) || c == 127)
CHARACTER(tolower, lower(c))
CHARACTER(toupper, between(c, 'a', 'z') ? c - 32 : c)

// The decimal point is C's, whatever locale the process has.
static locale_t c_locale;

static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t) 0); }

static locale_t c_locale_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_c_locale);
    return c_locale;
}

static int digit_value(int c)
{
    if (digit(c)) {
        return c - '0';
    }
    return alpha(c) ? lower(c) - 'a' + 10 : INT_MAX;
}

static bool put_end(call *c, uint32_t to, uint32_t end)
{
    return to == 0 || put(c, to, &end, sizeof(end));
}

// parse reads an integer of so many bits at the address of the first parameter,
// and puts where it ends to the address end_to, unless that is NULL.
static void parse(call *c, uint32_t end_to, int base, int bits, bool is_signed)
{
    uint32_t at = param(c, 0), end = at;
    uint64_t n, i = 0, value = 0, most = UINT64_MAX >> (64 - bits);
    bool negative = false, over = false;
    const uint8_t *p = rest(c, at, &n);

    if (p == NULL) {
        return;
    }
    // A byte behind memory is none of a number.
#define AT(k) ((k) < n ? p[k] : 0)
    if (base == 0 || (base >= 2 && base <= 36)) {
        while (space(AT(i))) {
            i++;
        }
        if (AT(i) == '-' || AT(i) == '+') {
            negative = AT(i) == '-';
            i++;
        }
        if ((base == 0 || base == 16) && AT(i) == '0' && lower(AT(i + 1)) == 'x' &&
            digit_value(AT(i + 2)) < 16) {
            i += 2;
            base = 16;
        }
        else if (base == 0) {
            base = AT(i) == '0' ? 8 : 10;
        }
        for (; digit_value(AT(i)) < base; i++) {
            uint64_t d = (uint64_t) digit_value(AT(i));

            over = over || value > (most - d) / (uint64_t) base;
            value = value * (uint64_t) base + d;
            end = at + (uint32_t) i + 1;
        }
        if (i >= n) {
            unterminated(c, at);
            return;
        }
    }
#undef AT
    if (is_signed) {
        most = (most >> 1) + negative;
    }
    if (over || value > most) {
        value = most;
        negative = negative && is_signed;
    }
    if (!put_end(c, end_to, end)) {
        return;
    }
    if (bits == 64) {
        c->v[0].i64 = (int64_t) (negative ? -value : value);
    }
    else {
        answer(c, (uint32_t) (negative ? -value : value));
    }
}

static void do_strtol(call *c) { parse(c, param(c, 1), c->v[2].i32, 32, true); }
static void do_strtoul(call *c) { parse(c, param(c, 1), c->v[2].i32, 32, false); }
static void do_strtoll(call *c) { parse(c, param(c, 1), c->v[2].i32, 64, true); }
static void do_strtoull(call *c) { parse(c, param(c, 1), c->v[2].i32, 64, false); }
static void do_atoi(call *c) { parse(c, 0, 10, 32, true); }
static void do_atoll(call *c) { parse(c, 0, 10, 64, true); }

static void parse_float(call *c, uint32_t end_to)
{
    uint32_t at = param(c, 0);
    uint64_t n, i = 0;
    const uint8_t *p = rest(c, at, &n);

    if (p == NULL) {
        return;
    }
    // strtod stops at the first byte that can't be part of a number: there has to
    // be one inside memory.
    while (i < n && space(p[i])) {
        i++;
    }
    while (i < n && (alpha(p[i]) || digit(p[i]) || (p[i] != 0 && strchr("+-._()", p[i]) != NULL))) {
        i++;
    }
    if (i >= n) {
        unterminated(c, at);
        return;
    }
    char *end;
    double value = strtod_l((const char *) p, &end, c_locale_once());
    if (put_end(c, end_to, at + (uint32_t) (end - (const char *) p))) {
        c->v[0].f64 = value;
    }
}

static void do_strtod(call *c) { parse_float(c, param(c, 1)); }
static void do_atof(call *c) { parse_float(c, 0); }

#if LDBL_MANT_DIG == 113
typedef long double binary128;
#else
typedef __float128 binary128;
#endif

// A printer writes to a stream, or to the address to: at most room bytes.
typedef struct {
    call *c;
    flbwt_output *stream;
    uint64_t to, room;
    uint64_t total; // bytes so far, those without room too
    uint64_t args;  // address of the next argument
} printer;

static bool emit(printer *p, const void *from, uint64_t n)
{
    uint64_t taken = p->total >= p->room ? 0 : p->room - p->total;

    if (taken > n) {
        taken = n;
    }
    if (p->stream != NULL) {
        flbwt_write(p->stream, from, n);
    }
    else if (taken > 0) {
        uint8_t *to = bytes(p->c, p->to + p->total, taken);

        if (to == NULL) {
            return false;
        }
        memmove(to, from, taken);
    }
    p->total += n;
    return true;
}

// argument takes the next one of n bytes. clang's wasm32 lays variable arguments
// out in memory, each aligned to its size.
static bool argument(printer *p, void *value, uint64_t n)
{
    const uint8_t *from;

    p->args = (p->args + n - 1) & ~(n - 1);
    from = bytes(p->c, p->args, n);
    if (from == NULL) {
        return false;
    }
    memcpy(value, from, n);
    p->args += n;
    return true;
}

// A conversion specification. precision is -1 where none is given.
typedef struct {
    char flags[6]; // those that are set, of "-+ #0"
    int32_t width, precision;
    enum { INT, CHAR, SHORT, LONG, LONG_LONG, LONG_DOUBLE } length;
    char kind;
} specification;

static bool flagged(const specification *s, char flag) { return strchr(s->flags, flag) != NULL; }

static bool padded(printer *p, const specification *s, const void *from, uint64_t n)
{
    char blanks[FIELD_MOST];
    uint64_t pad = n < (uint64_t) s->width ? (uint64_t) s->width - n : 0;
    bool left = flagged(s, '-');

    memset(blanks, ' ', pad);
    return (left || emit(p, blanks, pad)) && emit(p, from, n) && (!left || emit(p, blanks, pad));
}

// number lets the host's printf do one number. It is given as a variable argument.
static bool number(printer *p, const specification *s, const char *length, ...)
{
    char format[24], text[NUMBER_BYTES];
    int precision = s->precision < FIELD_MOST ? s->precision : FIELD_MOST;
    va_list value;
    int n;

    snprintf(format, sizeof(format), "%%%s%d%s%.0d%s%c", s->flags, s->width,
             precision < 0 ? "" : ".", precision < 0 ? 0 : precision, length, s->kind);
    locale_t before = uselocale(c_locale_once());
    va_start(value, length);
    n = vsnprintf(text, sizeof(text), format, value);
    va_end(value);
    uselocale(before);
    if (n < 0 || n >= (int) sizeof(text)) {
        flbwt_stop(p->c, "%s: %%%c failed", p->c->name, s->kind);
        return false;
    }
    return emit(p, text, (uint64_t) n);
}

static bool integer(printer *p, const specification *s)
{
    bool is_signed = s->kind == 'd' || s->kind == 'i';
    int64_t v;
    int32_t narrow;

    if (s->length == LONG_LONG) {
        if (!argument(p, &v, sizeof(v))) {
            return false;
        }
    }
    else {
        if (!argument(p, &narrow, sizeof(narrow))) {
            return false;
        }
        v = is_signed ? narrow : (int64_t) (uint32_t) narrow;
    }
    if (s->length == CHAR) {
        v = is_signed ? (int8_t) v : (uint8_t) v;
    }
    else if (s->length == SHORT) {
        v = is_signed ? (int16_t) v : (uint16_t) v;
    }
    return number(p, s, "ll", (long long) v);
}

static bool real(printer *p, const specification *s)
{
    binary128 wide;
    double v;

    if (s->length == LONG_DOUBLE) {
        return argument(p, &wide, sizeof(wide)) && number(p, s, "L", (long double) wide);
    }
    return argument(p, &v, sizeof(v)) && number(p, s, "", v);
}

static bool pointer(printer *p, specification *s)
{
    uint32_t v;

    if (!argument(p, &v, sizeof(v))) {
        return false;
    }
    if (v == 0) {
        return padded(p, s, "(nil)", 5);
    }
    strcpy(s->flags, flagged(s, '-') ? "-#" : "#");
    s->kind = 'x';
    s->precision = -1;
    return number(p, s, "", (unsigned) v);
}

static bool text(printer *p, const specification *s)
{
    const uint8_t *from;
    uint32_t at;
    uint64_t n;

    if (!argument(p, &at, sizeof(at))) {
        return false;
    }
    if (s->length == LONG) {
        flbwt_stop(p->c, "%s: strings of wide characters are not provided", p->c->name);
        return false;
    }
    if (at == 0) {
        return padded(p, s, "(null)", s->precision >= 0 && s->precision < 6 ? s->precision : 6);
    }
    // The precision is not bounded: no more than memory has can be printed.
    from = s->precision < 0 ? string(p->c, at, &n) : prefix(p->c, at, (uint64_t) s->precision, &n);
    return from != NULL && padded(p, s, from, n);
}

static bool character(printer *p, const specification *s)
{
    int32_t v;
    char one;

    if (!argument(p, &v, sizeof(v))) {
        return false;
    }
    one = (char) v;
    return padded(p, s, &one, 1);
}

static bool count(printer *p, const specification *s)
{
    uint64_t total = p->total, n;
    uint32_t to;

    if (!argument(p, &to, sizeof(to))) {
        return false;
    }
    switch (s->length) {
    case CHAR:
        n = 1;
        break;
    case SHORT:
        n = 2;
        break;
    case LONG_LONG:
        n = 8;
        break;
    default:
        n = 4;
    }
    return put(p->c, to, &total, n);
}

// field reads a width or precision at format[*i].
static bool field(printer *p, const uint8_t *format, uint64_t len, uint64_t *i, int32_t *value)
{
    *value = 0;
    if (*i < len && format[*i] == '*') {
        ++*i;
        return argument(p, value, sizeof(*value));
    }
    for (; *i < len && digit(format[*i]); ++*i) {
        int32_t d = format[*i] - '0';

        *value = *value > (INT32_MAX - d) / 10 ? INT32_MAX : *value * 10 + d;
    }
    return true;
}

// specify reads the specification behind the '%' at format[*i]. kind is 0 if the
// format ends in it.
static bool specify(printer *p, const uint8_t *format, uint64_t len, uint64_t *i, specification *s)
{
    memset(s, 0, sizeof(*s));
    s->precision = -1;
    for (; *i < len && strchr("-+ #0'", format[*i]) != NULL; ++*i) {
        // There is nothing between thousands in C's locale.
        if (format[*i] != '\'' && !flagged(s, (char) format[*i])) {
            s->flags[strlen(s->flags)] = (char) format[*i];
        }
    }
    if (!field(p, format, len, i, &s->width)) {
        return false;
    }
    if (s->width < 0) {
        s->width = s->width == INT32_MIN ? INT32_MAX : -s->width;
        if (!flagged(s, '-')) {
            s->flags[strlen(s->flags)] = '-';
        }
    }
    if (s->width > FIELD_MOST) {
        s->width = FIELD_MOST;
    }
    if (*i < len && format[*i] == '.') {
        ++*i;
        if (!field(p, format, len, i, &s->precision)) {
            return false;
        }
    }
    for (; *i < len; ++*i) {
        switch (format[*i]) {
        case 'h':
            s->length = s->length == SHORT ? CHAR : SHORT;
            continue;
        case 'l':
            s->length = s->length == LONG ? LONG_LONG : LONG;
            continue;
        case 'j':
        case 'q':
            s->length = LONG_LONG;
            continue;
        case 'z':
        case 't':
            s->length = INT;
            continue;
        case 'L':
            s->length = LONG_DOUBLE;
            continue;
        }
        s->kind = (char) format[(*i)++];
        break;
    }
    return true;
}

static bool print(printer *p, uint32_t format_at)
{
    uint64_t len, i = 0;
    const uint8_t *format = string(p->c, format_at, &len);

    if (format == NULL) {
        return false;
    }
    // len stays the end even if sprintf writes over its own format.
    while (i < len) {
        const uint8_t *percent = memchr(format + i, '%', len - i);
        uint64_t start = percent == NULL ? len : (uint64_t) (percent - format);
        specification s;
        bool ok;

        if (!emit(p, format + i, start - i)) {
            return false;
        }
        i = start + 1;
        if (percent == NULL) {
            break;
        }
        if (flbwt_overdue(p->c) || !specify(p, format, len, &i, &s)) {
            return false;
        }
        switch (s.kind) {
        case 'd':
        case 'i':
        case 'u':
        case 'o':
        case 'x':
        case 'X':
            ok = integer(p, &s);
            break;
        case 'a':
        case 'A':
        case 'e':
        case 'E':
        case 'f':
        case 'F':
        case 'g':
        case 'G':
            ok = real(p, &s);
            break;
        case 'c':
            ok = character(p, &s);
            break;
        case 's':
            ok = text(p, &s);
            break;
        case 'p':
            ok = pointer(p, &s);
            break;
        case 'n':
            ok = count(p, &s);
            break;
        case '%':
            ok = emit(p, "%", 1);
            break;
        default: // as it stands there
            ok = emit(p, format + start, i - start);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void answer_total(call *c, uint64_t total)
{
    answer(c, total > INT32_MAX ? UINT32_MAX : (uint32_t) total);
}

static void do_printf(call *c)
{
    printer p = {.c = c, .stream = &c->instance->out, .args = param(c, 1)};

    if (print(&p, param(c, 0))) {
        answer_total(c, p.total);
    }
}

static void do_sprintf(call *c)
{
    printer p = {.c = c, .to = param(c, 0), .room = UINT64_MAX, .args = param(c, 2)};

    if (print(&p, param(c, 1)) && put(c, p.to + p.total, "", 1)) {
        answer_total(c, p.total);
    }
}

static void do_snprintf(call *c)
{
    uint64_t n = param(c, 1);
    printer p = {.c = c, .to = param(c, 0), .room = n == 0 ? 0 : n - 1, .args = param(c, 3)};

    if (!print(&p, param(c, 2))) {
        return;
    }
    if (n > 0 && !put(c, p.to + (p.total < p.room ? p.total : p.room), "", 1)) {
        return;
    }
    answer_total(c, p.total);
}

static void do_puts(call *c)
{
    uint64_t n;
    const uint8_t *p = string(c, param(c, 0), &n);

    if (p != NULL) {
        flbwt_write(&c->instance->out, p, n);
        flbwt_write(&c->instance->out, "\n", 1);
        answer_total(c, n + 1);
    }
}

static void do_putchar(call *c)
{
    uint8_t one = (uint8_t) param(c, 0);

    flbwt_write(&c->instance->out, &one, 1);
    answer(c, one);
}

static void do_exit(call *c) { flbwt_exit(c, c->v[0].i32); }
static void do_abort(call *c) { flbwt_stop(c, "%s was called", c->name); }
static void do_throw(call *c) { flbwt_stop(c, "the guest threw a C++ exception"); }
static void do_nothing(call *c) { (void) c; }

static void do_clock(call *c)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    c->v[0].i64 = (int64_t) t.tv_sec * 1000000000 + t.tv_nsec; // wasi-libc's CLOCKS_PER_SEC
}

// The address of wasi-libc's clock objects, which nobody defines here, is 0 like
// the number of the real-time clock.
static void do_clock_gettime(call *c)
{
    struct timespec t;

    clock_gettime(param(c, 0) == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, &t);
    int64_t seconds = t.tv_sec;
    int32_t nanoseconds = (int32_t) t.tv_nsec;
    uint32_t to = param(c, 1);
    if (put(c, to, &seconds, sizeof(seconds)) &&
        put(c, (uint64_t) to + 8, &nanoseconds, sizeof(nanoseconds))) {
        answer(c, 0);
    }
}

// Name, types, what it does. The first part is WAMR's table, with its types; the
// second is what else compilers and programs expect beside it.
// clang-format off
#define FUNCTIONS(X)                                                                            \
    X(printf, "ii:i", do_printf) X(sprintf, "iii:i", do_sprintf)                                \
    X(snprintf, "iiii:i", do_snprintf) X(vprintf, "ii:i", do_printf)                            \
    X(vsprintf, "iii:i", do_sprintf) X(vsnprintf, "iiii:i", do_snprintf)                        \
    X(puts, "i:i", do_puts) X(putchar, "i:i", do_putchar) X(memcmp, "iii:i", do_memcmp)         \
    X(memcpy, "iii:i", do_memcpy) X(memmove, "iii:i", do_memcpy) X(memset, "iii:i", do_memset)  \
    X(strchr, "ii:i", do_strchr) X(strcmp, "ii:i", do_strcmp) X(strcpy, "ii:i", do_strcpy)      \
    X(strlen, "i:i", do_strlen) X(strncmp, "iii:i", do_strncmp)                                 \
    X(strncpy, "iii:i", do_strncpy) X(malloc, "i:i", do_malloc) X(realloc, "ii:i", do_realloc)  \
    X(calloc, "ii:i", do_calloc) X(strdup, "i:i", do_strdup) X(_strdup, "i:i", do_strdup)       \
    X(free, "i:", do_free) X(atoi, "i:i", do_atoi) X(exit, "i:", do_exit)                       \
    X(strtol, "iii:i", do_strtol) X(strtoul, "iii:i", do_strtoul)                               \
    X(memchr, "iii:i", do_memchr) X(strncasecmp, "iii:i", do_strncasecmp)                       \
    X(strspn, "ii:i", do_strspn) X(strcspn, "ii:i", do_strcspn) X(strstr, "ii:i", do_strstr)    \
    X(isupper, "i:i", do_isupper) X(isalpha, "i:i", do_isalpha) X(isspace, "i:i", do_isspace)   \
    X(isgraph, "i:i", do_isgraph) X(isprint, "i:i", do_isprint) X(isdigit, "i:i", do_isdigit)   \
    X(isxdigit, "i:i", do_isxdigit) X(tolower, "i:i", do_tolower)                               \
    X(toupper, "i:i", do_toupper) X(isalnum, "i:i", do_isalnum)                                 \
    X(emscripten_memcpy_big, "iii:i", do_memcpy) X(abort, "i: :", do_abort)                     \
    X(abortStackOverflow, "i:", do_abort) X(nullFunc_X, "i:", do_abort)                         \
    X(__cxa_allocate_exception, "i:i", do_malloc) X(__cxa_begin_catch, "i: i:i", do_nothing)    \
    X(__cxa_throw, "iii:", do_throw) X(clock_gettime, "ii:i", do_clock_gettime)                 \
    X(clock, ":I", do_clock)                                                                    \
                                                                                                \
    X(atof, "i:F", do_atof) X(atol, "i:i", do_atoi) X(atoll, "i:I", do_atoll)                   \
    X(strtod, "ii:F", do_strtod) X(strtoll, "iii:I", do_strtoll)                                \
    X(strtoull, "iii:I", do_strtoull) X(strcat, "ii:i", do_strcat)                              \
    X(strncat, "iii:i", do_strncat) X(strrchr, "ii:i", do_strrchr)                              \
    X(strpbrk, "ii:i", do_strpbrk) X(strnlen, "ii:i", do_strnlen)                               \
    X(strcasecmp, "ii:i", do_strcasecmp) X(stpcpy, "ii:i", do_stpcpy)                           \
    X(bcmp, "iii:i", do_memcmp) X(islower, "i:i", do_islower) X(isblank, "i:i", do_isblank)     \
    X(ispunct, "i:i", do_ispunct) X(iscntrl, "i:i", do_iscntrl)
// clang-format on

#define DEFINE(name, types, act) HOST_FUNCTION(host_##name, #name, act)
#define ENTRY(name, types, act)  {"env", #name, types, host_##name},

FUNCTIONS(DEFINE)

static const flbwt_import table[] = {FUNCTIONS(ENTRY)};

const flbwt_import *const flbwt_libc = table;
const size_t flbwt_libc_len = sizeof(table) / sizeof(table[0]);
