// The MaxMind DB format 2.0 (maxmind.github.io/MaxMind-DB). Whether what is asked for is there is
// known by the data section alone: a pointer, a length or a count is believed only as far as its
// bytes are there.

#include "write.h"

#include "../fast/bytes.h"

#include <stdlib.h>

static uint32_t load24(const uint8_t *p) { return (uint32_t) (p[0] << 16 | p[1] << 8 | p[2]); }

// branch returns the record of a node on one side.
static uint32_t branch(const flbwt_table *t, uint32_t node, unsigned side)
{
    const uint8_t *p = t->bytes + (size_t) node * (t->record_bits / 4);

    switch (t->record_bits) {
    case 24:
        return load24(p + 3 * side);
    case 28:
        return side == 0 ? (uint32_t) (p[3] & 0xf0) << 20 | load24(p)
                         : (uint32_t) (p[3] & 0x0f) << 24 | load24(p + 4);
    default:
        return load32(p + 4 * side);
    }
}

void flbwt_table_tree(flbwt_table *t)
{
    t->ipv4_start = 0;
    for (int i = 0; t->ipv6 && i < 96 && t->ipv4_start < t->nodes; i++) {
        t->ipv4_start = branch(t, t->ipv4_start, 0);
    }
}

// walk returns the record for an address of that many bytes.
static uint32_t walk(const flbwt_table *t, const uint8_t *address, int bytes)
{
    uint32_t node = bytes == 4 ? t->ipv4_start : 0;

    for (int i = 0; i < bytes * 8 && node < t->nodes; i++) {
        node = branch(t, node, (unsigned) address[i / 8] >> (7 - i % 8) & 1);
    }
    return node;
}

enum type {
    TYPE_POINTER = 1,
    TYPE_STRING = 2,
    TYPE_DOUBLE = 3,
    TYPE_BYTES = 4,
    TYPE_UINT16 = 5,
    TYPE_UINT32 = 6,
    TYPE_MAP = 7,
    TYPE_INT32 = 8,
    TYPE_UINT64 = 9,
    TYPE_UINT128 = 10,
    TYPE_ARRAY = 11,
    TYPE_BOOL = 14,
    TYPE_FLOAT = 15,
};

typedef struct {
    const uint8_t *data;
    size_t size;
    unsigned steps; // that are left
} section;

typedef struct {
    enum type type;
    uint32_t size;    // bytes, members or elements; the value of a bool; where a pointer points
    size_t at, after; // what it holds; where the next value begins, unless it has members
} field;

static uint64_t number(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

// has_bytes returns where the n bytes at *at are, and goes behind them; NULL: they are not there.
static const uint8_t *has_bytes(const section *d, size_t *at, size_t n)
{
    const uint8_t *p = d->data + *at;

    if (*at > d->size || n > d->size - *at) {
        return NULL;
    }
    *at += n;
    return p;
}

static bool read_pointer(const section *d, uint8_t control, field *f)
{
    static const uint32_t base[] = {0, 2048, 526336, 0};
    size_t n = 1 + (size_t) (control >> 3 & 3);
    const uint8_t *p = has_bytes(d, &f->at, n);

    if (p == NULL) {
        return false;
    }
    uint64_t high = n < 4 ? (uint64_t) (control & 7) << (8 * n) : 0;
    uint64_t to = high + number(p, n) + base[n - 1];
    if (to >= d->size) {
        return false;
    }
    f->size = (uint32_t) to;
    f->after = f->at;
    return true;
}

static bool has_size(const field *f, uint32_t size) { return f->size == size; }

// has_valid_size says whether a value of a fixed length has it, and other numbers are not too long.
static bool has_valid_size(const field *f)
{
    switch (f->type) {
    case TYPE_DOUBLE:
        return has_size(f, 8);
    case TYPE_FLOAT:
        return has_size(f, 4);
    case TYPE_UINT16:
        return f->size <= 2;
    case TYPE_UINT32:
    case TYPE_INT32:
        return f->size <= 4;
    case TYPE_UINT64:
        return f->size <= 8;
    case TYPE_UINT128:
        return f->size <= 16;
    case TYPE_BOOL:
        return f->size <= 1;
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_MAP:
    case TYPE_ARRAY:
        return true;
    default: // a container of a cache, the end marker
        return false;
    }
}

// read_field reads the head of the value at a place. False: it is damaged, or there have been too
// many.
static bool read_field(section *d, size_t at, field *f)
{
    static const uint32_t base[] = {29, 285, 65821};
    const uint8_t *p = has_bytes(d, &at, 1);

    if (p == NULL || d->steps == 0) {
        return false;
    }
    d->steps--;
    uint8_t control = *p;
    unsigned type = control >> 5;
    f->at = at;
    if (type == TYPE_POINTER) {
        f->type = TYPE_POINTER;
        return read_pointer(d, control, f);
    }
    if (type == 0) {
        p = has_bytes(d, &f->at, 1);
        if (p == NULL) {
            return false;
        }
        type = 7u + *p;
        if (type <= TYPE_MAP || type > TYPE_FLOAT) {
            return false;
        }
    }
    f->type = (enum type) type;
    f->size = control & 0x1f;
    if (f->size >= 29) {
        size_t n = f->size - 28;

        p = has_bytes(d, &f->at, n);
        if (p == NULL) {
            return false;
        }
        f->size = base[n - 1] + (uint32_t) number(p, n);
    }
    bool is_inside = type != TYPE_MAP && type != TYPE_ARRAY && type != TYPE_BOOL;
    f->after = f->at;
    return has_valid_size(f) && (!is_inside || has_bytes(d, &f->after, f->size) != NULL);
}

// follow reads the value at a place, or that which a pointer there points to. *after is what follows
// the pointer; 0 if there is none.
static bool follow(section *d, size_t at, field *f, size_t *after)
{
    *after = 0;
    if (!read_field(d, at, f)) {
        return false;
    }
    if (f->type == TYPE_POINTER) {
        *after = f->after;
        return read_field(d, f->size, f) && f->type != TYPE_POINTER;
    }
    return true;
}

// skip_field goes behind the value at *at. Pointers are not followed, so that it takes no more steps
// than there are bytes.
static bool skip_field(section *d, size_t *at)
{
    field f;

    for (uint64_t waiting = 1; waiting > 0; waiting--) {
        if (!read_field(d, *at, &f)) {
            return false;
        }
        waiting += f.type == TYPE_MAP ? 2 * (uint64_t) f.size : f.type == TYPE_ARRAY ? f.size : 0;
        *at = f.after;
    }
    return true;
}

// read_key reads a key of a map, and goes behind it.
static bool read_key(section *d, size_t *at, field *key)
{
    size_t after;

    if (!follow(d, *at, key, &after) || key->type != TYPE_STRING) {
        return false;
    }
    *at = after != 0 ? after : key->after;
    return true;
}

static void write_uint128(writer *w, const uint8_t *p, uint32_t n)
{
    unsigned __int128 v = 0;
    uint8_t digits[40];
    size_t at = sizeof(digits);

    for (uint32_t i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    if (v <= UINT64_MAX) {
        write_uint(w, (uint64_t) v);
        return;
    }
    for (; v > 0; v /= 10) {
        digits[--at] = (uint8_t) ('0' + (unsigned) (v % 10));
    }
    write_string(w, digits + at, sizeof(digits) - at);
}

static void write_scalar(const section *d, const field *f, writer *w)
{
    const uint8_t *p = d->data + f->at;
    uint64_t bits = 0;
    uint32_t bits32;
    double real;
    float single;

    switch (f->type) {
    case TYPE_STRING:
        write_string(w, p, f->size);
        break;
    case TYPE_BYTES:
        write_bytes(w, p, f->size);
        break;
    case TYPE_DOUBLE:
        bits = load64(p);
        memcpy(&real, &bits, sizeof(real));
        write_double(w, real);
        break;
    case TYPE_FLOAT:
        bits32 = load32(p);
        memcpy(&single, &bits32, sizeof(single));
        write_float(w, single);
        break;
    case TYPE_INT32:
        write_int(w, (int32_t) (uint32_t) number(p, f->size));
        break;
    case TYPE_UINT128:
        write_uint128(w, p, f->size);
        break;
    case TYPE_BOOL:
        write_bool(w, f->size != 0);
        break;
    default:
        write_uint(w, number(p, f->size));
    }
}

// write_field writes the value at *at, and goes behind it.
static bool write_field(section *d, size_t *at, writer *w, int depth)
{
    field f;
    size_t after;

    if (!follow(d, *at, &f, &after) || w->len > FLBWT_TABLE_WRITTEN_BYTES) {
        return false;
    }
    if (f.type != TYPE_MAP && f.type != TYPE_ARRAY) {
        write_scalar(d, &f, w);
        *at = after != 0 ? after : f.after;
        return true;
    }
    if (depth == 0 || f.size > d->steps) {
        return false;
    }
    size_t inside = f.at;
    if (f.type == TYPE_ARRAY) {
        begin_array(w, f.size);
    }
    else {
        begin_map(w, f.size);
    }
    for (uint32_t i = 0; i < f.size; i++) {
        write_next(w, i);
        if (f.type == TYPE_MAP) {
            field key;

            if (!read_key(d, &inside, &key)) {
                return false;
            }
            write_string(w, d->data + key.at, key.size);
            write_colon(w);
        }
        if (!write_field(d, &inside, w, depth - 1)) {
            return false;
        }
    }
    if (f.type == TYPE_ARRAY) {
        end_array(w);
    }
    else {
        end_map(w);
    }
    *at = after != 0 ? after : inside;
    return true;
}

// member finds a member of a map, as for JSON (table.c). FLBWT_TABLE_ABSENT: there is none; 0: *at
// is its value.
static int member(section *d, const field *map, step *s, size_t *at)
{
    size_t part = SIZE_MAX, p = map->at;

    for (uint32_t i = 0; i < map->size; i++) {
        field key;

        if (!read_key(d, &p, &key)) {
            return FLBWT_TABLE_DAMAGED;
        }
        if (is_name(s->path, s->len, d->data + key.at, key.size)) {
            s->part = s->len;
            part = p;
            break;
        }
        if (part == SIZE_MAX && is_name(s->path, s->part, d->data + key.at, key.size)) {
            part = p;
        }
        if (!skip_field(d, &p)) {
            return FLBWT_TABLE_DAMAGED;
        }
    }
    if (part == SIZE_MAX) {
        return FLBWT_TABLE_ABSENT;
    }
    *at = part;
    *s = after_part(s);
    return 0;
}

// descend goes from *at to what the path leads to.
static int descend(section *d, const flbwt_query *q, size_t *at)
{
    for (step s = first_step(q); !s.ended;) {
        field f;
        size_t after;
        uint32_t i;

        if (!follow(d, *at, &f, &after)) {
            return FLBWT_TABLE_DAMAGED;
        }
        if (f.type == TYPE_MAP) {
            int result = member(d, &f, &s, at);

            if (result != 0) {
                return result;
            }
            continue;
        }
        if (f.type != TYPE_ARRAY || !element_number(&s, f.size, &i)) {
            return FLBWT_TABLE_ABSENT;
        }
        for (*at = f.at; i > 0; i--) {
            if (!skip_field(d, at)) {
                return FLBWT_TABLE_DAMAGED;
            }
        }
        s = after_part(&s);
    }
    return 0;
}

enum { SEPARATOR_BYTES = 16 };

// value_at finds where in the data section a record leads, one that is no node and not nodes.
static bool value_at(const flbwt_table *t, uint32_t record, size_t *at)
{
    *at = (size_t) (record - t->nodes) - SEPARATOR_BYTES;
    return record - t->nodes >= SEPARATOR_BYTES && *at < t->data_size;
}

enum flbwt_table_fault flbwt_table_verify(const flbwt_table *t, size_t *at)
{
    // A bit for each byte of the data section: most values are led to many times.
    uint8_t *seen = calloc(t->data_size / 8 + 1, 1);
    enum flbwt_table_fault fault = seen != NULL ? FLBWT_TABLE_GOOD : FLBWT_TABLE_NO_MEMORY;

    for (uint64_t i = 0; i < (uint64_t) t->nodes * 2 && fault == FLBWT_TABLE_GOOD; i++) {
        uint32_t record = branch(t, (uint32_t) (i / 2), (unsigned) i & 1);
        section d = {t->data, t->data_size, FLBWT_TABLE_STEPS};
        writer w = {.form = FLBWT_FORM_JSON}; // the longest
        size_t value, after;

        if (record <= t->nodes) {
            continue;
        }
        if (!value_at(t, record, &value)) {
            *at = (size_t) (i / 2);
            fault = FLBWT_TABLE_BAD_NODE;
            break;
        }
        if ((seen[value / 8] >> value % 8 & 1) != 0) {
            continue;
        }
        seen[value / 8] |= (uint8_t) (1 << value % 8);
        after = value;
        if (!write_field(&d, &after, &w, FLBWT_TABLE_DEPTH) || w.len > FLBWT_TABLE_WRITTEN_BYTES) {
            *at = value;
            fault = FLBWT_TABLE_BAD_VALUE;
        }
    }
    free(seen);
    return fault;
}

int32_t mmdb_get(const flbwt_table *t, const flbwt_query *q, writer *w)
{
    uint8_t address[16];
    int bytes = 0;
    section d = {t->data, t->data_size, FLBWT_TABLE_STEPS};
    field f;
    size_t after;

    if (!q->is_address) {
        bytes = flbwt_address(q->key, q->key_len, address);
    }
    else if (q->key_len == 4 || q->key_len == 16) {
        bytes = (int) q->key_len;
        memcpy(address, q->key, q->key_len);
        if (bytes == 16 && flbwt_address_mapped(address)) {
            memmove(address, address + 12, 4);
            bytes = 4;
        }
    }
    if (bytes == 0 || (bytes == 16 && !t->ipv6)) {
        return FLBWT_TABLE_ABSENT;
    }
    uint32_t record = walk(t, address, bytes);
    if (record == t->nodes) {
        return FLBWT_TABLE_ABSENT;
    }
    size_t at;
    if (record < t->nodes || !value_at(t, record, &at)) {
        return FLBWT_TABLE_DAMAGED;
    }
    int result = descend(&d, q, &at);
    if (result != 0) {
        return result;
    }
    if (w->form == FLBWT_FORM_TEXT && follow(&d, at, &f, &after) && f.type == TYPE_STRING) {
        put(w, d.data + f.at, f.size);
        return (int32_t) w->len;
    }
    return write_field(&d, &at, w, FLBWT_TABLE_DEPTH) && w->len <= FLBWT_TABLE_WRITTEN_BYTES
               ? (int32_t) w->len
               : FLBWT_TABLE_DAMAGED;
}
