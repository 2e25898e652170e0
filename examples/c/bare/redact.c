/*
 * redact: masks secrets in a record before it leaves the machine.
 *
 *   - the value of a key that ends in password, token, secret, authorization,
 *     api_key, cookie, ... and everything below it, if it is a map or an array;
 *   - in every other string: card numbers (all but the last four digits), what
 *     follows "Bearer", values such as password=... or \"token\":\"...\", the
 *     local part of e-mail addresses and the password of a URL.
 *
 * It does so in the body of a record, in its metadata, and in what its group has in common, which are
 * attributes of OpenTelemetry's resources and scopes. It does not look at names of keys, nor at a
 * group in which there is no record.
 *
 * Freestanding: no libc, no allocation. The reply lives in one static buffer
 * until the next call. For a record that does not fit it replies with something that is no
 * record: that is a failure, which on_error decides about. With on_error drop no record leaves
 * unmasked, and a group of which each record fails does not leave at all.
 */

#define OUT_MAX (256 * 1024)
#define MASK "***"

/* The host functions of docs/abi.md. */
#define HOST(name) __attribute__((import_module("flb_v1"), import_name(#name)))
HOST(metadata_get) int metadata_get(char *buffer, unsigned room);
HOST(metadata_set) int metadata_set(const char *bytes, unsigned len);
HOST(group_get) int group_get(char *buffer, unsigned room);
HOST(group_set) int group_set(const char *bytes, unsigned len);

static const char no_record[] = "\"the record can't be masked\"";

static char in[OUT_MAX]; /* what is not the body */
static char out[OUT_MAX];
static unsigned out_len;
static int full;

/* Keeps one byte free for the NUL. Once full, nothing more is written. */
static void put(const char *from, const char *to)
{
    if (full || (unsigned)(to - from) > OUT_MAX - 1 - out_len) {
        full = 1;
        return;
    }
    while (from < to)
        out[out_len++] = *from++;
}

static void put_string(const char *s)
{
    const char *end = s;
    while (*end)
        end++;
    put(s, end);
}

static int is_digit(int c) { return c >= '0' && c <= '9'; }
static int is_letter(int c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static int is_alnum(int c) { return is_digit(c) || is_letter(c); }

/* What a key in a text or the local part of an address is made of. */
static int is_word(int c)
{
    return is_alnum(c) || c == '.' || c == '_' || c == '-' || c == '+' || c == '%' || c == 0x80;
}

/*
 * The character of a JSON string at p < end: its value in *c and its length as
 * the result. An escape counts as the character that it stands for, \n and the
 * like as a space; beyond ASCII all are 0x80.
 */
static int unit(const char *p, const char *end, int *c)
{
    *c = *p & 0x80 ? 0x80 : *p;
    if (*p != '\\' || end - p < 2)
        return 1;
    if (p[1] == 'u' && end - p >= 6) {
        unsigned v = 0;
        for (int i = 2; i < 6; i++)
            v = v << 4 | ((is_digit(p[i]) ? p[i] - '0' : (p[i] | 32) - 'a' + 10) & 15);
        *c = v >= 0x80 ? 0x80 : v < ' ' ? ' ' : (int)v;
        return 6;
    }
    *c = p[1] == 'n' || p[1] == 'r' || p[1] == 't' || p[1] == 'b' || p[1] == 'f' ? ' ' : p[1];
    return 2;
}

/* The character at p, or 0 at the end. */
static int peek(const char *p, const char *end)
{
    int c = 0;
    if (p < end)
        unit(p, end, &c);
    return c;
}

static const char *skip(const char *p, const char *end)
{
    int c;
    return p + unit(p, end, &c);
}

/* The last letters and digits of a name in lower case: X-Api_Key is xapikey. */
struct name {
    char tail[16];
    unsigned len;
};

/* Reads a name up to the end or, if only_word, up to what ends a word. */
static const char *read_name(const char *p, const char *end, int only_word, struct name *n)
{
    n->len = 0;
    for (int c; p < end; p = skip(p, end)) {
        unit(p, end, &c);
        if (only_word && !is_word(c))
            break;
        if (c != '-' && c != '_')
            n->tail[n->len++ % sizeof n->tail] = is_letter(c) ? c | 32 : c;
    }
    return p;
}

static int ends_with(const struct name *n, const char *s)
{
    unsigned len = 0;
    while (s[len])
        len++;
    if (len > n->len)
        return 0;
    for (unsigned i = 1; i <= len; i++)
        if (n->tail[(n->len - i) % sizeof n->tail] != s[len - i])
            return 0;
    return 1;
}

static int is_secret(const struct name *n)
{
    return ends_with(n, "password") || ends_with(n, "passwd") || ends_with(n, "passphrase") ||
           ends_with(n, "secret") || ends_with(n, "token") || ends_with(n, "authorization") ||
           ends_with(n, "apikey") || ends_with(n, "accesskey") || ends_with(n, "privatekey") ||
           ends_with(n, "cookie");
}

/* Luhn's check digit: it tells card numbers from most other long numbers. */
static int luhn(const char *digits, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) {
        int d = digits[n - 1 - i] << (i & 1);
        sum += d > 9 ? d - 9 : d;
    }
    return sum % 10 == 0;
}

/* The end of the card number that begins at p, or 0: 13 to 19 digits, which a
 * single space or hyphen may separate. */
static const char *card_end(const char *p, const char *end)
{
    const char *found = 0;
    char digits[19];
    int n = 0, separated = 1;

    for (int c; p < end; ) {
        unit(p, end, &c);
        if (is_digit(c) && n < 19) {
            digits[n++] = c - '0';
            separated = 0;
        } else if ((c == ' ' || c == '-') && !separated) {
            separated = 1;
        } else {
            break;
        }
        p = skip(p, end);
        if (n >= 13 && !separated && !is_alnum(peek(p, end)) && luhn(digits, n))
            found = p;
    }
    return found;
}

static void put_card(const char *p, const char *end)
{
    int c, digits = 0;
    for (const char *q = p; q < end; q = skip(q, end))
        digits += is_digit(peek(q, end));
    for (const char *next; p < end; p = next) {
        next = p + unit(p, end, &c);
        if (is_digit(c) && digits-- > 4)
            put_string("*");
        else
            put(p, next);
    }
}

/* Whether a host name with a dot begins at p: 163.com, but not 1.2.3. */
static int is_domain(const char *p, const char *end)
{
    int dot = 0;
    for (int c; p < end; p = skip(p, end)) {
        unit(p, end, &c);
        if (!is_word(c))
            return 0;
        if (dot && (is_letter(c) || c == 0x80))
            return 1;
        dot = c == '.';
    }
    return 0;
}

/* From the end of a key in a text over = or : to its value, or 0 if none
 * follows. *quote is the quotation mark that opens the value, or 0. */
static const char *value_start(const char *p, const char *end, int *quote)
{
    int assigned = 0;
    for (int c; p < end; p = skip(p, end)) {
        unit(p, end, &c);
        if (c == '=' || c == ':' || (c == '>' && assigned)) {
            assigned = 1;
        } else if (c == '"' || c == '\'') {
            if (assigned) {
                *quote = c;
                return skip(p, end);
            }
        } else if (c != ' ') {
            break;
        }
    }
    return assigned ? p : 0;
}

static const char *value_end(const char *p, const char *end, int quote)
{
    for (int c; p < end; p = skip(p, end)) {
        unit(p, end, &c);
        if (quote ? c == quote
                  : c == ' ' || c == '&' || c == ';' || c == ',' || c == '"' || c == '\'' ||
                    c == ')' || c == ']' || c == '}' || c == '<')
            break;
        if (c == '\\' && p + unit(p, end, &c) < end)
            p = skip(p, end);
    }
    return p;
}

/* What has to be masked of a text at the beginning of a word: [*from, result),
 * or 0 for nothing. */
static const char *secret_at(const char *word, const char *end, int before, const char **from)
{
    struct name name;
    int quote = 0;
    const char *p = read_name(word, end, 1, &name), *scheme_end;

    *from = word;
    if (peek(p, end) == '@' && (before == ':' || is_domain(skip(p, end), end)))
        return p;
    if (is_secret(&name))
        p = value_start(p, end, &quote);
    else
        p = ends_with(&name, "bearer") ? word : 0;
    if (!p)
        return 0;
    scheme_end = read_name(p, end, 1, &name);
    if (peek(scheme_end, end) == ' ' && (ends_with(&name, "bearer") || ends_with(&name, "basic")))
        for (p = scheme_end; peek(p, end) == ' '; )
            p = skip(p, end);
    else if (p == word)
        return 0;
    *from = p;
    p = value_end(p, end, quote);
    return p > *from ? p : 0;
}

static void put_text(const char *p, const char *end)
{
    const char *from, *next;
    for (int c, before = ' '; p < end; p = next, before = c) {
        next = p + unit(p, end, &c);
        if (is_digit(c) && !is_alnum(before) && (from = card_end(p, end))) {
            next = from;
            put_card(p, next);
        } else if (is_word(c) && !is_word(before) && (from = secret_at(p, end, before, &next))) {
            put(p, next);
            put_string(MASK);
            next = from;
        } else {
            put(p, next);
        }
    }
}

/* Whether the string that ends before p is a key. */
static int is_key(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p < end && *p == ':';
}

/* Masks JSON into out. 0: it is none, or there is no room. */
static int mask(const char *json, unsigned len)
{
    const char *p = json, *end = json + len, *next;
    unsigned depth = 0, masked_depth = 0; /* masked_depth: all below it is secret */
    int secret = 0;                       /* so is the value of the last key */

    out_len = full = 0;
    for (; p < end; p = next) {
        next = p + 1;
        if (*p == '"') {
            while (next < end && *next != '"')
                next += *next == '\\' && end - next > 1 ? 2 : 1;
            if (next == end)
                return 0;
            put_string("\"");
            if (is_key(++next, end)) {
                struct name name;
                read_name(p + 1, next - 1, 0, &name);
                secret = is_secret(&name);
                put(p + 1, next - 1);
            } else if (secret || masked_depth) {
                put_string(next - p > 2 ? MASK : "");
            } else {
                put_text(p + 1, next - 1);
            }
            put_string("\"");
            continue;
        }
        if (is_digit(*p) || *p == '-') {
            while (next < end && (is_alnum(*next) || *next == '.' || *next == '-' || *next == '+'))
                next++;
            if (secret || masked_depth) {
                put_string("\"" MASK "\"");
                continue;
            }
        } else if (*p == '{' || *p == '[') {
            depth++;
            if (secret && !masked_depth)
                masked_depth = depth;
            secret = 0;
        } else if (*p == '}' || *p == ']') {
            if (depth-- == masked_depth)
                masked_depth = 0;
        } else if (*p == ',') {
            secret = 0;
        }
        put(p, next);
    }
    out[out_len] = 0;
    return !full;
}

/* Masks what a host function has written to in. 1: out is to take its place, 0: there is nothing to
 * mask, which spares the host some work, -1: it may hold what it must not. */
static int mask_other(int len)
{
    int i = 0;

    if (len == -1)
        return 0; /* there is none */
    if (len < 0 || len > OUT_MAX || !mask(in, len))
        return -1;
    while (i < len && out[i] == in[i])
        i++;
    return i < len || out_len != (unsigned)len;
}

const char *redact(const char *tag, unsigned tag_len, unsigned sec, unsigned nsec,
                   const char *record, unsigned record_len)
{
    int masked;

    (void)tag, (void)tag_len, (void)sec, (void)nsec;
    masked = mask_other(metadata_get(in, OUT_MAX));
    if (masked < 0 || (masked && metadata_set(out, out_len) != 0))
        return no_record;
    masked = mask_other(group_get(in, OUT_MAX));
    if (masked < 0 || (masked && group_set(out, out_len) != 0))
        return no_record;
    return mask(record, record_len) ? out : no_record;
}
