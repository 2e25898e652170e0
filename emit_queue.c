// Events under other tags that wait for the emitter, up to emitter_mem_buf_limit.
#include "emit.h"

#include <stdlib.h>

static size_t bytes_of(const flbwt_buffer *journal) { return journal->len + sizeof(struct held); }

static void set_bytes(struct emission *e, size_t bytes)
{
    e->held_bytes = bytes;
    __atomic_store_n(&emit_counters(e)->held_bytes, bytes, __ATOMIC_RELAXED);
}

// shrink gives back what a journal has allocated beyond its length, which does not count.
static void shrink(flbwt_buffer *journal)
{
    uint8_t *exact = realloc(journal->data, journal->len);

    if (exact != NULL) {
        journal->data = exact;
        journal->cap = journal->len;
    }
}

bool emit_queue_add(struct emission *e, flbwt_buffer *journal, int64_t until_ns)
{
    struct held *h = malloc(sizeof(*h));

    if (h == NULL) {
        return false;
    }
    shrink(journal);
    *h = (struct held) {.until_ns = until_ns, .journal = *journal};
    pthread_mutex_lock(&e->lock);
    if (e->held_bytes + bytes_of(journal) > (size_t) e->inst->emits.limit) {
        pthread_mutex_unlock(&e->lock);
        free(h);
        return false;
    }
    set_bytes(e, e->held_bytes + bytes_of(journal));
    *e->end = h;
    e->end = &h->next;
    pthread_mutex_unlock(&e->lock);
    *journal = (flbwt_buffer) {0};
    return true;
}

struct held *emit_queue_take(struct emission *e)
{
    pthread_mutex_lock(&e->lock);
    struct held *h = e->first;
    if (h != NULL) {
        e->first = h->next;
        if (e->first == NULL) {
            e->end = &e->first;
        }
        set_bytes(e, e->held_bytes - bytes_of(&h->journal));
    }
    pthread_mutex_unlock(&e->lock);
    return h;
}

void emit_queue_put_back(struct emission *e, struct held *h)
{
    if (h->journal.len < h->journal.cap) {
        shrink(&h->journal);
    }
    pthread_mutex_lock(&e->lock);
    h->next = e->first;
    e->first = h;
    if (h->next == NULL) {
        e->end = &h->next;
    }
    set_bytes(e, e->held_bytes + bytes_of(&h->journal));
    pthread_mutex_unlock(&e->lock);
}

void emit_queue_free(struct held *h)
{
    free(h->journal.data);
    free(h);
}
