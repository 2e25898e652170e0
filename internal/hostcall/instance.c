#include "instance.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES = 65536 };

// Room for output that the log has not taken yet, per stream.
enum { OUTPUT_LIMIT_BYTES = 64 * 1024 };

bool flbwt_reserve(flbwt_buffer *b, size_t more)
{
    size_t need = b->len + more;

    if (need > b->cap) {
        size_t cap = b->cap * 2 > need ? b->cap * 2 : need;
        uint8_t *data = realloc(b->data, cap);

        if (data == NULL) {
            return false;
        }
        b->data = data;
        b->cap = cap;
    }
    return true;
}

bool flbwt_memory_grow(flbwt_instance *in, uint64_t bytes, uint64_t *from)
{
    uint64_t previous_pages;
    enum flbwt_refusal refused = in->room.refused;
    int64_t asked = in->room.asked;
    wasmtime_error_t *error = wasmtime_memory_grow(
        in->context, &in->memory, (bytes + PAGE_BYTES - 1) / PAGE_BYTES, &previous_pages);

    in->room.refused = refused;
    in->room.asked = asked;
    if (error != NULL) {
        wasmtime_error_delete(error);
        return false;
    }
    *from = previous_pages * PAGE_BYTES;
    flbwt_memory_look(in);
    return true;
}

void flbwt_write(flbwt_output *o, const void *bytes, size_t n)
{
    size_t room = OUTPUT_LIMIT_BYTES - o->buffer.len;
    size_t taken = n < room ? n : room;

    if (!flbwt_reserve(&o->buffer, taken)) {
        taken = 0;
    }
    if (taken > 0) {
        memcpy(o->buffer.data + o->buffer.len, bytes, taken);
        o->buffer.len += taken;
    }
    o->lost += n - taken;
}

void flbwt_write_line(flbwt_output *log, uint8_t level, const void *text, uint32_t n)
{
    size_t size = 1 + sizeof(n) + (size_t) n;

    if (size > OUTPUT_LIMIT_BYTES - log->buffer.len || !flbwt_reserve(&log->buffer, size)) {
        log->lost++;
        return;
    }
    uint8_t *to = log->buffer.data + log->buffer.len;
    *to++ = level;
    memcpy(to, &n, sizeof(n));
    if (n > 0) {
        memcpy(to + sizeof(n), text, n);
    }
    log->buffer.len += size;
}
