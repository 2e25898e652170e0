#include "write.h"

#include "../fast/fast.h"
#include "../fast/msgpack.h"

#include <stdlib.h>

typedef struct {
    const uint8_t *key, *value;
    uint32_t key_len, value_len;
    size_t next;
} entry;

static entry entry_at(const flbwt_table *t, size_t at)
{
    entry e;

    memcpy(&e.key_len, t->bytes + at, sizeof(e.key_len));
    memcpy(&e.value_len, t->bytes + at + sizeof(e.key_len), sizeof(e.value_len));
    e.key = t->bytes + at + sizeof(e.key_len) + sizeof(e.value_len);
    e.value = e.key + e.key_len;
    e.next = (size_t) (e.value - t->bytes) + e.value_len;
    return e;
}

// hash mixes eight bytes at a time by multiplying to 128 bits. The seed keeps keys of records from
// being chosen so that they take long.
static uint64_t hash(uint64_t seed, const uint8_t *key, size_t n)
{
    uint64_t h = seed ^ n, w;

    for (; n > 0;) {
        size_t part = n < sizeof(w) ? n : sizeof(w);

        w = 0;
        memcpy(&w, key, part);
        unsigned __int128 product =
            (unsigned __int128) (h ^ w) * UINT64_C(0x9e3779b97f4a7c15) ^ seed;
        h = (uint64_t) (product >> 64) ^ (uint64_t) product;
        key += part;
        n -= part;
    }
    h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

enum { TAG_SHIFT = 48 };

static const uint64_t place_mask = (UINT64_C(1) << TAG_SHIFT) - 1;

// find returns the slot of a key, or the empty one where it would be.
static uint64_t *find(const flbwt_table *t, const uint8_t *key, size_t n)
{
    uint64_t h = hash(t->seed, key, n);

    for (uint64_t i = h & t->mask;; i = (i + 1) & t->mask) {
        uint64_t slot = t->slots[i];

        if (slot == 0) {
            return &t->slots[i];
        }
        if (slot >> TAG_SHIFT == h >> TAG_SHIFT) {
            entry e = entry_at(t, (size_t) (slot & place_mask));

            if (is_name(e.key, e.key_len, key, n)) {
                return &t->slots[i];
            }
        }
    }
}

bool flbwt_table_index(flbwt_table *t, uint64_t entries, uint64_t seed, uint64_t *repeated,
                       size_t *first)
{
    uint64_t slots = 16;

    while (slots < entries * 2) {
        slots *= 2;
    }
    t->slots = calloc(slots, sizeof(*t->slots));
    if (t->slots == NULL) {
        return false;
    }
    t->mask = slots - 1;
    t->seed = seed;
    *repeated = 0;
    for (size_t at = t->entries_at; at < t->size;) {
        entry e = entry_at(t, at);
        uint64_t *slot = find(t, e.key, e.key_len);

        if (*slot != 0 && (*repeated)++ == 0) {
            *first = at;
        }
        // An entry is never at 0: a byte is before, and the columns.
        *slot = hash(seed, e.key, e.key_len) >> TAG_SHIFT << TAG_SHIFT | at;
        at = e.next;
    }
    return true;
}

uint8_t *flbwt_table_resize(uint8_t *bytes, size_t size) { return realloc(bytes, size); }

void flbwt_table_free(flbwt_table *t)
{
    if (t != NULL) {
        free(t->bytes);
        free(t->slots);
        free(t);
    }
}

// Values of CSV and JSON are MessagePack that was made when the file was loaded, and is valid.

// string_at returns the str at p.
static const uint8_t *string_at(const uint8_t *p, const uint8_t *end, size_t *n,
                                const uint8_t **after)
{
    head h;

    read_head(p, (size_t) (end - p), &h);
    *after = p + h.bytes;
    *n = is_fixstr(*p) ? h.bytes - 1 : h.bytes - 1 - flbwt_leads[*p - 0xc0].bytes;
    return *after - *n;
}

static bool is_string(uint8_t lead)
{
    return is_fixstr(lead) || lead == 0xd9 || lead == 0xda || lead == 0xdb;
}

// elements_at reads the header of the array or map at p, if it is one. n is elements or pairs.
static bool elements_at(const uint8_t *p, const uint8_t *end, uint32_t *n, bool *is_map,
                        const uint8_t **inside)
{
    head h;

    read_head(p, (size_t) (end - p), &h);
    if (!h.container) {
        return false;
    }
    *is_map = (*p & 0xf0) == 0x80 || *p >= 0xde;
    *n = (uint32_t) (*is_map ? h.elements / 2 : h.elements);
    *inside = p + h.bytes;
    return true;
}

// write_scalar writes what is no str, array or map: JSON has numbers, booleans and null.
static void write_scalar(writer *w, const uint8_t *p)
{
    double d;
    uint64_t bits;

    switch (*p) {
    case 0xc2:
    case 0xc3:
        write_bool(w, *p == 0xc3);
        break;
    case 0xcb:
        bits = load64(p + 1);
        memcpy(&d, &bits, sizeof(d));
        write_double(w, d);
        break;
    case 0xcc:
        write_uint(w, p[1]);
        break;
    case 0xcd:
        write_uint(w, load16(p + 1));
        break;
    case 0xce:
        write_uint(w, load32(p + 1));
        break;
    case 0xcf:
        write_uint(w, load64(p + 1));
        break;
    case 0xd0:
        write_int(w, (int8_t) p[1]);
        break;
    case 0xd1:
        write_int(w, (int16_t) load16(p + 1));
        break;
    case 0xd2:
        write_int(w, (int32_t) load32(p + 1));
        break;
    case 0xd3:
        write_int(w, (int64_t) load64(p + 1));
        break;
    case 0xc0:
        write_nil(w);
        break;
    default:
        write_int(w, (int8_t) *p); // a fixnum
    }
}

// write_value writes the value at p and returns what follows it. It nests FLBWT_TABLE_DEPTH deep.
static const uint8_t *write_value(writer *w, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *after;
    size_t len;
    uint32_t n;
    bool is_map;

    if (is_msgpack(w)) {
        len = flbwt_span_msgpack(p, (size_t) (end - p));
        put(w, p, len);
        return p + len;
    }
    if (is_string(*p)) {
        const uint8_t *s = string_at(p, end, &len, &after);

        write_string(w, s, len);
        return after;
    }
    if (!elements_at(p, end, &n, &is_map, &after)) {
        head h;

        read_head(p, (size_t) (end - p), &h);
        write_scalar(w, p);
        return p + h.bytes;
    }
    if (is_map) {
        begin_map(w, n);
    }
    else {
        begin_array(w, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        write_next(w, i);
        if (is_map) {
            after = write_value(w, after, end);
            write_colon(w);
        }
        after = write_value(w, after, end);
    }
    if (is_map) {
        end_map(w);
    }
    else {
        end_array(w);
    }
    return after;
}

// write_found writes the value that was asked for.
static int32_t write_found(writer *w, const uint8_t *p, const uint8_t *end)
{
    if (w->form == FLBWT_FORM_TEXT && is_string(*p)) {
        size_t n;
        const uint8_t *after, *s = string_at(p, end, &n, &after);

        put(w, s, n);
    }
    else {
        write_value(w, p, end);
    }
    return (int32_t) w->len;
}

static const uint8_t *skip_value(const uint8_t *p, const uint8_t *end)
{
    return p + flbwt_span_msgpack(p, (size_t) (end - p));
}

// member returns the value of a map's member: that whose key is all that is left of the path, and
// then *s is at its end, or else that whose key is the next part. NULL: there is none.
static const uint8_t *member(const uint8_t *p, const uint8_t *end, uint32_t pairs, step *s)
{
    const uint8_t *part = NULL;

    for (; pairs > 0; pairs--) {
        size_t n;
        const uint8_t *value, *key = string_at(p, end, &n, &value);

        if (is_name(s->path, s->len, key, n)) {
            s->part = s->len;
            *s = after_part(s);
            return value;
        }
        if (part == NULL && is_name(s->path, s->part, key, n)) {
            part = value;
        }
        p = skip_value(value, end);
    }
    if (part != NULL) {
        *s = after_part(s);
    }
    return part;
}

static int32_t get_json(const entry *e, const flbwt_query *q, writer *w)
{
    const uint8_t *p = e->value, *const end = p + e->value_len;

    for (step s = first_step(q); !s.ended;) {
        uint32_t n, i;
        bool is_map;

        if (!elements_at(p, end, &n, &is_map, &p)) {
            return FLBWT_TABLE_ABSENT;
        }
        if (is_map) {
            p = member(p, end, n, &s);
            if (p == NULL) {
                return FLBWT_TABLE_ABSENT;
            }
            continue;
        }
        if (!element_number(&s, n, &i)) {
            return FLBWT_TABLE_ABSENT;
        }
        for (; i > 0; i--) {
            p = skip_value(p, end);
        }
        s = after_part(&s);
    }
    return write_found(w, p, end);
}

// get_row writes a row of CSV, a map, or the field in the column that the path names.
static int32_t get_row(const flbwt_table *t, const entry *e, const flbwt_query *q, writer *w)
{
    const uint8_t *p = e->value, *const end = p + e->value_len;
    const uint8_t *name = t->bytes, *const names_end = t->bytes + t->entries_at;

    if (q->path_len == 0) {
        begin_map(w, t->columns);
    }
    for (uint32_t i = 0; i < t->columns; i++) {
        size_t n;
        const uint8_t *after, *s = string_at(name, names_end, &n, &after);

        if (q->path_len == 0) {
            write_next(w, i);
            write_string(w, s, n);
            write_colon(w);
            p = write_value(w, p, end);
        }
        else if (is_name(s, n, q->path, q->path_len)) {
            return write_found(w, p, end);
        }
        else {
            string_at(p, end, &n, &p);
        }
        name = after;
    }
    if (q->path_len > 0) {
        return FLBWT_TABLE_ABSENT;
    }
    end_map(w);
    return (int32_t) w->len;
}

int32_t flbwt_table_get(const flbwt_table *t, const flbwt_query *q, uint8_t *out, size_t room)
{
    writer w = {.out = out, .room = room, .form = q->form};

    if (q->key_len > FLBWT_TABLE_KEY_BYTES || q->path_len > FLBWT_TABLE_PATH_BYTES) {
        return FLBWT_TABLE_ABSENT;
    }
    if (t->kind == FLBWT_TABLE_MMDB) {
        return mmdb_get(t, q, &w);
    }
    uint64_t slot = q->is_address ? 0 : *find(t, q->key, q->key_len);
    if (slot == 0) {
        return FLBWT_TABLE_ABSENT;
    }
    entry e = entry_at(t, (size_t) (slot & place_mask));
    return t->kind == FLBWT_TABLE_JSON ? get_json(&e, q, &w) : get_row(t, &e, q, &w);
}

const flbwt_table *flbwt_table_enter(const flbwt_table_place *place, flbwt_table_reader *reader)
{
    flbwt_table *t = __atomic_load_n(&place->current, __ATOMIC_SEQ_CST);

    // A version that takes the place after this one was announced is seen here, and else whoever
    // has put it there sees the announcement.
    for (;;) {
        __atomic_store_n(&reader->reading, t, __ATOMIC_SEQ_CST);
        flbwt_table *now = __atomic_load_n(&place->current, __ATOMIC_SEQ_CST);
        if (now == t) {
            return t;
        }
        t = now;
    }
}

void flbwt_table_leave(flbwt_table_reader *reader)
{
    __atomic_store_n(&reader->reading, NULL, __ATOMIC_RELEASE);
}

flbwt_table *flbwt_table_swap(flbwt_table_place *place, flbwt_table *next)
{
    return __atomic_exchange_n(&place->current, next, __ATOMIC_SEQ_CST);
}

bool flbwt_table_reads(const flbwt_table_reader *reader, const flbwt_table *t)
{
    return __atomic_load_n(&reader->reading, __ATOMIC_SEQ_CST) == t;
}

void flbwt_tables_tell(flbwt_tables *tables)
{
    __atomic_fetch_add(&tables->news, 1, __ATOMIC_RELEASE);
}
