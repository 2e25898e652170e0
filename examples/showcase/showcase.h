/*
 * What both forms of the guest share: the configuration, and what becomes of one event, said in
 * operations of the batch ABI. batch.c hands them to the host, record.c carries them out itself.
 *
 * Strings are masked where they stand: what takes an address's place is never longer. Everything else
 * that is made stands in the arena, until the next call.
 */

#include "flb.h"

static int equal(const u8 *a, const u8 *b, u32 n)
{
    while (n > 0 && *a == *b)
        a++, b++, n--;
    return n == 0;
}

static u32 length(const char *s)
{
    u32 n = 0;

    while (s[n])
        n++;
    return n;
}

/* Memory: the input, and the arena after it, both from __heap_base on. */

extern u8 __heap_base;

static u8 *arena, *next; /* where the arena begins, and its first free byte */

/* grow has memory end there or later. 0: the host refuses it. */
static int grow(const u8 *end)
{
    u32 have = __builtin_wasm_memory_size(0), need = ((u32) end + 65535) / 65536;

    return need <= have || __builtin_wasm_memory_grow(0, need - have) != (unsigned long) -1;
}

/* reserve has room for an input. */
static u8 *reserve(u32 size)
{
    u8 *input = (u8 *) (((u32) &__heap_base + 15) & ~15U);

    if (size > 1U << 30)
        return 0;
    arena = next = input + ((size + 7) & ~7U);
    return grow(arena) ? input : 0;
}

/* room_for returns the first free bytes, so many of them; next is the caller's to move on. */
static u8 *room_for(u64 size) { return size <= 1U << 30 && grow(next + size) ? next : 0; }

static void *take(u32 size)
{
    void *p = room_for(size);

    if (p)
        next += (size + 7) & ~7U;
    return p;
}

/* The configuration. */

enum { NAME_MAX = 64, VALUE_MAX = 256, FOUND_MAX = 1024 };

struct name {
    u8 text[NAME_MAX];
    u32 len;
};

#define NAME(literal) {literal, sizeof(literal) - 1}

static const struct name level = NAME("level"), debug = NAME("debug"), country = NAME("country"),
                         count = NAME("count"), environment = NAME("environment");
static struct name split_key = NAME("items"), address_key = NAME("client_ip"),
                   count_key = NAME("user"), geo_path = NAME("country.iso_code");
static u8 environment_value[VALUE_MAX];
static u32 environment_len;
static i64 count_ttl_ms = 60000;
static int geo, masked_total;

/* read_name reads a value, unless it is not set. 0: it is empty, or too long. */
static int read_name(const char *key, u32 key_len, struct name *name)
{
    int n = config_get(key, key_len, name->text, NAME_MAX);

    if (n >= 0)
        name->len = (u32) n;
    return n == -1 || (n > 0 && n <= NAME_MAX);
}

/* read_ttl reads a number of seconds, unless it is not set. */
static int read_ttl(void)
{
    u8 text[6];
    int n = config_get("count_ttl", 9, text, sizeof(text));
    i64 seconds = 0;

    if (n == -1)
        return 1;
    if (n < 1 || n > (int) sizeof(text))
        return 0;
    for (int i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        seconds = 10 * seconds + text[i] - '0';
    }
    count_ttl_ms = 1000 * seconds;
    return seconds > 0;
}

EXPORT(flb_configure)
const char *flb_configure(void)
{
    int n = config_get("environment", 11, environment_value, VALUE_MAX);

    if (n < 1 || n > VALUE_MAX)
        return "config.environment: set what is to be added to each record, 1 to 256 bytes";
    environment_len = (u32) n;
    if (!read_name("split_key", 9, &split_key) || !read_name("address_key", 11, &address_key) ||
        !read_name("count_key", 9, &count_key) || !read_name("geo_path", 8, &geo_path))
        return "config.split_key, address_key, count_key, geo_path: set 1 to 64 bytes, or leave them out";
    if (!read_ttl())
        return "config.count_ttl: set a number of seconds, 1 to 999999";
    geo = table_open("geo", 3);
    if (geo < 0)
        return "table.geo: set it to a .mmdb or .csv file";
    masked_total = metric_define(METRIC_COUNTER, "masked_total", 12, "E-mail addresses masked", 23,
                                 "where", 5, 0, 0);
    return masked_total < 0 ? "metrics_series: there is no room for masked_total" : 0;
}

/* Masking. */

enum { IN_BODY, IN_METADATA, IN_GROUP };

static u32 masked[3]; /* since report_masked */

static void report_masked(void)
{
    static const struct {
        u32 len;
        char text[8];
    } where[] = {{4, "body"}, {8, "metadata"}, {5, "group"}};

    for (int i = 0; i < 3; i++) {
        if (masked[i] > 0)
            metric_add(masked_total, masked[i], &where[i], 4 + where[i].len);
        masked[i] = 0;
    }
}

static int is_domain(u8 c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c >= 0x80;
}

static int is_local(u8 c) { return is_domain(c) || c == '.' || c == '_' || c == '%' || c == '+'; }

/* move copies to a place that is not after it. */
static u8 *move(u8 *to, const u8 *from, u32 n)
{
    if (to != from)
        __builtin_memmove(to, from, n);
    return to + n;
}

/* mask_text copies a text to a place that is not after it, with *** for each address. */
static u8 *mask_text(u8 *to, const u8 *p, const u8 *end, u32 *found)
{
    const u8 *done = p; /* all before it is copied */

    for (; p < end; p++) {
        const u8 *from = p, *domain = p + 1;

        if (*p != '@')
            continue;
        while (from > done && is_local(from[-1]))
            from--;
        while (domain < end && (is_domain(*domain) || (*domain == '.' && domain > p + 1 &&
                                                       domain + 1 < end && is_domain(domain[1]))))
            domain++;
        if (from == p || domain == p + 1)
            continue;
        to = move(to, done, (u32) (from - done));
        *to++ = '*', *to++ = '*', *to++ = '*';
        done = domain;
        p = domain - 1;
        ++*found;
    }
    return move(to, done, (u32) (end - done));
}

/* mask_value copies the value at *p to a place that is not after it, masked, and moves *p to its end.
 * It returns the end of the copy, or 0. Headers keep their width. Keys are not masked. The host has
 * looked that the value is no deeper than 128. */
static u8 *mask_value(u8 *to, const u8 **p, const u8 *end, u32 *found)
{
    struct mp v;
    const u8 *at = *p;
    u8 *start = to;

    if (!mp_read(at, end, &v))
        return 0;
    if (v.kind == MP_STRING || v.kind == MP_BYTES) {
        u32 before = *found, len;

        *p = at + v.head + v.len;
        to = mask_text(move(to, at, v.head), at + v.head, *p, found);
        len = (u32) (to - start) - v.head;
        if (*found > before && v.head == 1)
            *start = (u8) (0xa0 | len);
        else if (*found > before)
            mp_put_big_endian(start + 1, len, v.head - 1);
        return to;
    }
    to = move(to, at, v.head + v.len);
    *p = at + v.head + v.len;
    for (u32 i = 0; i < v.count; i++) {
        if (v.kind == MP_MAP) {
            const u8 *key = *p;

            *p = mp_skip(key, end);
            if (!*p)
                return 0;
            to = move(to, key, (u32) (*p - key));
        }
        to = mask_value(to, p, end, found);
        if (!to)
            return 0;
    }
    return to;
}

/* has_at looks for an @ eight bytes at a time: most maps have none, and need not be walked. */
static int has_at(const u8 *p, const u8 *end)
{
    const u64 ones = 0x0101010101010101;
    u64 word;

    for (; end - p >= 8; p += 8) {
        __builtin_memcpy(&word, p, 8);
        word ^= ones * '@';
        if ((word - ones) & ~word & ones << 7)
            return 1;
    }
    while (p < end && *p != '@')
        p++;
    return p < end;
}

/* mask masks a map in its place. -1: it can't; 1: it is masked, and *len is its length now. */
static int mask(u8 *map, u32 *len, u32 *found)
{
    struct mp v;
    u32 before = *found;
    const u8 *p = map, *end = map + *len;
    u8 *to;

    if (!has_at(map, end))
        return 0;
    to = mp_read(p, end, &v) && v.kind == MP_MAP ? mask_value(map, &p, end, found) : 0;
    if (!to || p != end)
        return -1;
    *len = (u32) (to - map);
    return *found > before;
}

/* Operations. */

enum { OPS_MAX = 32768 };

static struct op ops[OPS_MAX];
static u32 ops_count, ops_kept; /* ops_kept: so many are free for what comes after the event */

static int add_op(struct op op)
{
    if (ops_count + ops_kept >= OPS_MAX)
        return 0;
    ops[ops_count++] = op;
    return 1;
}

/* One event. */

static int same(const struct name *name, const u8 *text, u32 len)
{
    return text && len == name->len && equal(name->text, text, len);
}

/* What is found at the top level of a body: values, or 0. */
struct found {
    u32 members;
    const u8 *level, *address, *counted;
    const u8 *split_at, *split_value, *split_end; /* a member that has an array of one or more */
    int has_added; /* there is a member with a name of those that are added */
};

static int is_added(const u8 *key, u32 len)
{
    return same(&environment, key, len) || same(&country, key, len) || same(&count, key, len);
}

static int look(const u8 *body, const u8 *end, struct found *f)
{
    struct mp v;
    const u8 *p = body, *key;
    u32 len;

    *f = (struct found) {0};
    if (!mp_read(p, end, &v) || v.kind != MP_MAP)
        return 0;
    f->members = v.count;
    p += v.head;
    for (u32 i = 0; i < f->members; i++) {
        const u8 *at = p, *value = mp_skip(p, end);

        if (!value || !(p = mp_skip(value, end)))
            return 0;
        key = mp_text(at, end, &len);
        if (same(&level, key, len))
            f->level = value;
        if (same(&address_key, key, len))
            f->address = value;
        if (same(&count_key, key, len))
            f->counted = value;
        if (same(&split_key, key, len) && !f->split_at && mp_read(value, end, &v) &&
            v.kind == MP_ARRAY && v.count > 0) {
            f->split_at = at;
            f->split_value = value;
            f->split_end = p;
        }
        f->has_added |= is_added(key, len);
    }
    return p == end;
}

/* add_members writes the members that are added into the arena, and returns how many. 0: no memory. */
static u32 add_members(const struct found *f, const u8 *end, const u8 **members)
{
    u8 *to = room_for(5 * NAME_MAX + VALUE_MAX + FOUND_MAX);
    u32 len, n = 1;
    const u8 *text;
    i64 times;

    if (!to)
        return 0;
    *members = to;
    to = mp_put_string(to, environment.text, environment.len);
    to = mp_put_string(to, environment_value, environment_len);
    text = f->address ? mp_text(f->address, end, &len) : 0;
    if (text) {
        u8 *value = mp_put_string(to, country.text, country.len);
        int got =
            table_get(geo, text, len, geo_path.text, geo_path.len, TABLE_MSGPACK, value, FOUND_MAX);

        if (got >= 0 && got <= FOUND_MAX) {
            to = value + got;
            n++;
        }
    }
    text = f->counted ? mp_text(f->counted, end, &len) : 0;
    if (text && store_add(text, len, 1, count_ttl_ms, &times) == 0) {
        to = mp_put_string(to, count.text, count.len);
        to = mp_put_uint(to, (u64) times);
        n++;
    }
    next = to;
    return n;
}

/* copy_members copies members but those of the names that are added, which it counts. */
static u8 *copy_members(u8 *to, const u8 *p, const u8 *end, const struct found *f, u32 *left_out)
{
    if (!f->has_added)
        return move(to, p, (u32) (end - p));
    while (p < end) {
        const u8 *at = p, *key;
        u32 len;

        key = mp_text(at, end, &len);
        p = mp_skip(mp_skip(at, end), end);
        if (is_added(key, len))
            ++*left_out;
        else
            to = move(to, at, (u32) (p - at));
    }
    return to;
}

/* make_body writes a body into the arena, its length to *len: that of the event, which f was found in,
 * without members of the names that are added, with element, if it is not 0, in place of the array,
 * and with the members that are added, n of them. 0: no memory. */
static const u8 *make_body(const u8 *body, const u8 *end, const struct found *f, const u8 *element,
                           const u8 *element_end, const u8 *members, u32 members_len, u32 n,
                           u32 *len)
{
    u8 head[5], *start = room_for((u64) (end - body) + members_len + sizeof(head)), *to;
    struct mp v;
    const u8 *p = body;
    u32 left_out = 0;

    if (!start || !mp_read(p, end, &v))
        return 0;
    p += v.head;
    to = start + sizeof(head);
    if (element) {
        to = copy_members(to, p, f->split_at, f, &left_out);
        to = move(to, f->split_at, (u32) (f->split_value - f->split_at));
        to = move(to, element, (u32) (element_end - element));
        p = f->split_end;
    }
    to = copy_members(to, p, end, f, &left_out);
    to = move(to, members, members_len);
    next = to;
    n = (u32) (mp_put_map(head, n + f->members - left_out) - head);
    start += sizeof(head) - n;
    move(start, head, n);
    *len = (u32) (next - start);
    return start;
}

static const char no_memory[] = "no memory for the event";
static const char no_map[] = "the event is not a map";
static const char no_ops[] = "too many changes: set a smaller batch_records";

/* filter_event adds the operations on an event, or returns why it must not pass. */
static const char *filter_event(u32 of, u8 *body, u32 body_len, u8 *metadata, u32 metadata_len)
{
    struct found f;
    struct mp v;
    struct op op = {.of = of};
    const u8 *end = body + body_len, *members, *element, *text;
    u32 n, len, members_len;
    int changed, metadata_masked = 0;

    if (!look(body, end, &f))
        return no_map;
    len = 0;
    text = f.level ? mp_text(f.level, end, &len) : 0;
    if (same(&debug, text, len)) {
        op.kind = OP_DROP;
        return add_op(op) ? 0 : no_ops;
    }
    n = add_members(&f, end, &members);
    if (n == 0)
        return no_memory;
    members_len = (u32) (next - members);

    if (metadata_len > 0)
        metadata_masked = mask(metadata, &metadata_len, &masked[IN_METADATA]);
    changed = mask(body, &body_len, &masked[IN_BODY]);
    if (metadata_masked < 0 || changed < 0)
        return no_map;
    if (metadata_masked) {
        op = (struct op) {
            .of = of, .kind = OP_REPLACE, .part = METADATA, .bytes = metadata, .len = metadata_len};
        if (!add_op(op))
            return no_ops;
    }
    if (!changed && !f.has_added && !f.split_at) {
        op = (struct op) {.of = of, .kind = OP_ADD, .a = n, .bytes = members, .len = members_len};
        return add_op(op) ? 0 : no_ops;
    }

    end = body + body_len;
    if (changed && !look(body, end, &f)) /* what is in the body has moved */
        return no_map;
    op = (struct op) {.of = of, .kind = OP_REPLACE, .part = BODY};
    if (!f.split_at) {
        op.bytes = make_body(body, end, &f, 0, 0, members, members_len, n, &op.len);
        return !op.bytes ? no_memory : add_op(op) ? 0 : no_ops;
    }
    mp_read(f.split_value, end, &v);
    element = f.split_value + v.head;
    for (u32 i = 0; i < v.count; i++) {
        const u8 *element_end = mp_skip(element, end);
        struct emitted *e = 0;

        next = (u8 *) (((u32) next + 7) & ~7U);
        if (i > 0 && !(e = take(sizeof(*e))))
            return no_memory;
        text = make_body(body, end, &f, element, element_end, members, members_len, n, &len);
        if (!text)
            return no_memory;
        op.bytes = text;
        op.len = len;
        if (e) {
            *e = (struct emitted) {SAME_TIME, 0, SAME_GROUP, 0, 0, text, len}; /* metadata as masked */
            op = (struct op) {.of = of, .kind = OP_EMIT, .bytes = e, .len = sizeof(*e)};
        }
        if (!add_op(op))
            return no_ops;
        element = element_end;
    }
    return 0;
}
