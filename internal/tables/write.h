// How values are written: one way for MessagePack and JSON.

#ifndef FLBWT_TABLE_WRITE_H
#define FLBWT_TABLE_WRITE_H

#include "table.h"

#include <string.h>

// writer counts all that is written, and keeps it as far as there is room.
typedef struct {
    uint8_t *out;
    size_t room, len;
    enum flbwt_table_form form;
} writer;

static inline bool is_msgpack(const writer *w) { return w->form == FLBWT_FORM_MSGPACK; }

static inline void put(writer *w, const void *bytes, size_t n)
{
    if (n > 0 && w->len <= w->room && n <= w->room - w->len) {
        memcpy(w->out + w->len, bytes, n);
    }
    w->len += n;
}

static inline void put_byte(writer *w, uint8_t b) { put(w, &b, 1); }

void write_nil(writer *w);
void write_bool(writer *w, bool value);
void write_uint(writer *w, uint64_t value);
void write_int(writer *w, int64_t value);
void write_double(writer *w, double value);
void write_float(writer *w, float value);
void write_string(writer *w, const uint8_t *s, size_t n);
void write_bytes(writer *w, const uint8_t *s, size_t n); // as hexadecimal digits in JSON

// Containers: begin, then for each element write_next and for each member of a map write_next, the
// key, write_colon, and the value; end.
void begin_map(writer *w, uint32_t n);
void begin_array(writer *w, uint32_t n);

static inline void write_next(writer *w, uint32_t i)
{
    if (i > 0 && !is_msgpack(w)) {
        put_byte(w, ',');
    }
}

static inline void write_colon(writer *w)
{
    if (!is_msgpack(w)) {
        put_byte(w, ':');
    }
}

static inline void end_map(writer *w)
{
    if (!is_msgpack(w)) {
        put_byte(w, '}');
    }
}

static inline void end_array(writer *w)
{
    if (!is_msgpack(w)) {
        put_byte(w, ']');
    }
}

// step is the next part of a path, and all that is left of it.
typedef struct {
    const uint8_t *path;
    size_t len;  // of all that is left
    size_t part; // up to the first dot
    bool ended;  // nothing is left, not even an empty name
} step;

static inline step next_step(const uint8_t *path, size_t len)
{
    const uint8_t *dot = len > 0 ? memchr(path, '.', len) : NULL;

    return (step) {path, len, dot != NULL ? (size_t) (dot - path) : len, false};
}

static inline step first_step(const flbwt_query *q)
{
    step s = next_step(q->path, q->path_len);

    s.ended = q->path_len == 0;
    return s;
}

// after_part is what is left after the part.
static inline step after_part(const step *s)
{
    return s->part == s->len ? (step) {.ended = true}
                             : next_step(s->path + s->part + 1, s->len - s->part - 1);
}

static inline bool is_name(const uint8_t *name, size_t n, const uint8_t *key, size_t key_len)
{
    return n == key_len && (n == 0 || memcmp(name, key, n) == 0);
}

// element_number reads the part as the number of an element. False: it is none below n.
bool element_number(const step *s, uint32_t n, uint32_t *i);

int32_t mmdb_get(const flbwt_table *t, const flbwt_query *q, writer *w);

#endif
