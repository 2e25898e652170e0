#include "store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tell.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "counters are read as values");

// The table is split into shards by the hash, each with a lock. A shard is a table of chains that
// grows by linear hashing, one chain for each new key, so that no key waits for a whole table. Its
// chains are in segments, each as large as all before it.

enum { SHARD_BITS = 4, SHARDS = 1 << SHARD_BITS };
enum { FIRST_BITS = 2, FIRST = 1 << FIRST_BITS, SEGMENTS = 32 };

// What malloc adds to a block, and rounds it up to.
enum { BLOCK_BYTES = 16 };

// How many chains are looked through for expired keys: each time that a key is set, and in each
// shard before a key is refused, which is tried so often as that finds some.
enum { SWEEP_CHAINS = 2, FULL_SWEEP_CHAINS = 64, FULL_SWEEPS = 8 };

static const uint64_t NEVER = UINT64_MAX;

typedef struct entry {
    struct entry *next;
    uint64_t hash;
    uint64_t expires; // NEVER, or a time of flbwt_store_op.now
    uint32_t key_len, value_len;
    uint8_t bytes[]; // key, value
} entry;

// The shard of a lock is in cache lines of its own.
typedef struct {
    _Alignas(64) pthread_mutex_t lock;
    uint64_t keys;
    uint32_t chains, half; // half <= chains < 2 * half; half is a power of two
    uint32_t cursor;       // the chain that is swept next
    // No key expires before earliest. pass is that bound for what the cursor has passed by.
    uint64_t earliest, pass;
    entry **segments[SEGMENTS];
    entry *first[FIRST];
} shard;

struct flbwt_store {
    shard shards[SHARDS];
    flbwt_seed seed;
    uint64_t limit;
    atomic_uint_least64_t bytes, table_bytes, refused, told;
    void *block; // that it is in
};

// Tables of a shard, by the chain.

static entry **chain(shard *s, uint32_t i)
{
    if (i < FIRST) {
        return &s->first[i];
    }
    int segment = 31 - __builtin_clz(i);

    return &s->segments[segment][i - (UINT32_C(1) << segment)];
}

static entry **chain_of(shard *s, uint64_t hash)
{
    uint32_t i = (uint32_t) hash & (2 * s->half - 1);

    return chain(s, i < s->chains ? i : i - s->half);
}

static uint64_t charge(uint64_t key_len, uint64_t value_len)
{
    uint64_t n = sizeof(entry) + key_len + value_len;

    return (n + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES;
}

static uint64_t charge_of(const entry *e) { return charge(e->key_len, e->value_len); }

static bool reserve(flbwt_store *store, uint64_t n)
{
    uint64_t bytes = atomic_load_explicit(&store->bytes, memory_order_relaxed);

    do {
        if (n > store->limit - bytes) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&store->bytes, &bytes, bytes + n,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static void give_back(flbwt_store *store, uint64_t n)
{
    atomic_fetch_sub_explicit(&store->bytes, n, memory_order_relaxed);
}

// grow adds a chain, to which half of the keys of another go, unless there is no room for it.
static void grow(flbwt_store *store, shard *s)
{
    uint32_t i = s->chains;

    if ((i & (i - 1)) == 0) { // the first one of a segment
        int segment = 31 - __builtin_clz(i);
        uint64_t bytes = (uint64_t) i * sizeof(entry *);

        if (segment >= SEGMENTS - 1) {
            return;
        }
        if (!reserve(store, bytes)) {
            return;
        }
        s->segments[segment] = calloc(i, sizeof(entry *));
        if (s->segments[segment] == NULL) {
            give_back(store, bytes);
            return;
        }
        atomic_fetch_add_explicit(&store->table_bytes, bytes, memory_order_relaxed);
    }
    entry **from = chain(s, i - s->half), **to = chain(s, i);
    uint32_t mask = 2 * s->half - 1;

    while (*from != NULL) {
        entry *e = *from;

        if (((uint32_t) e->hash & mask) == i) {
            *from = e->next;
            e->next = NULL;
            *to = e;
            to = &e->next;
        }
        else {
            from = &e->next;
        }
    }
    s->chains++;
    if (s->chains == 2 * s->half) {
        s->half = s->chains;
    }
}

static void drop(flbwt_store *store, shard *s, entry **link)
{
    entry *e = *link;

    *link = e->next;
    give_back(store, charge_of(e));
    s->keys--;
    free(e);
}

// sweep drops the expired keys of the next few chains, and says whether there were any.
static bool sweep(flbwt_store *store, shard *s, uint64_t now, uint32_t chains)
{
    bool dropped = false;

    if (now < s->earliest) {
        return false;
    }
    if (chains > s->chains) {
        chains = s->chains;
    }
    for (; chains > 0; chains--) {
        entry **link = chain(s, s->cursor);

        while (*link != NULL) {
            if ((*link)->expires <= now) {
                drop(store, s, link);
                dropped = true;
                continue;
            }
            s->pass = (*link)->expires < s->pass ? (*link)->expires : s->pass;
            link = &(*link)->next;
        }
        if (++s->cursor >= s->chains) {
            s->cursor = 0;
            s->earliest = s->pass;
            s->pass = NEVER;
        }
    }
    return dropped;
}

// sweep_all does so in all shards, as far as may be done at once.
static bool sweep_all(flbwt_store *store, uint64_t now)
{
    bool dropped = false;

    for (int i = 0; i < SHARDS; i++) {
        shard *s = &store->shards[i];

        pthread_mutex_lock(&s->lock);
        dropped = sweep(store, s, now, FULL_SWEEP_CHAINS) || dropped;
        pthread_mutex_unlock(&s->lock);
    }
    return dropped;
}

// A place is where the key of an operation is, or would be, in a shard that is locked.
typedef struct {
    const flbwt_store_op *op;
    shard *shard;
    uint64_t hash;
    entry **link; // to its entry, or to NULL
} place;

static void lock(place *at)
{
    const flbwt_store_op *op = at->op;

    at->hash = flbwt_siphash(op->store->seed, op->key, op->key_len);
    at->shard = &op->store->shards[at->hash >> (64 - SHARD_BITS)];
    pthread_mutex_lock(&at->shard->lock);
    for (at->link = chain_of(at->shard, at->hash); *at->link != NULL;) {
        entry *e = *at->link;

        if (e->hash != at->hash || e->key_len != op->key_len ||
            memcmp(e->bytes, op->key, op->key_len) != 0) {
            at->link = &e->next;
            continue;
        }
        if (e->expires <= op->now) {
            drop(op->store, at->shard, at->link);
            continue;
        }
        break;
    }
}

static void unlock(place *at) { pthread_mutex_unlock(&at->shard->lock); }

static uint8_t *value_of(entry *e) { return e->bytes + e->key_len; }

static void set_end(place *at, entry *e, int64_t ttl_ns)
{
    uint64_t now = at->op->now;

    if (ttl_ns == FLBWT_TTL_KEEP) {
        return;
    }
    e->expires = ttl_ns == FLBWT_TTL_NONE || (uint64_t) ttl_ns >= NEVER - now
                     ? NEVER
                     : now + (uint64_t) ttl_ns;
    if (e->expires < at->shard->earliest) {
        at->shard->earliest = e->expires;
    }
    if (e->expires < at->shard->pass) {
        at->shard->pass = e->expires;
    }
}

// put sets the value at a place. False: there is no room.
static bool put(place *at, const uint8_t *value, uint32_t len, int64_t ttl_ns)
{
    const flbwt_store_op *op = at->op;
    entry *old = *at->link, *e = old;
    uint64_t had = old != NULL ? charge_of(old) : 0, need = charge(op->key_len, len);

    if (old == NULL || old->value_len != len) {
        if (need > had && !reserve(op->store, need - had)) {
            return false;
        }
        e = malloc(sizeof(entry) + op->key_len + len);
        if (e == NULL) {
            give_back(op->store, need > had ? need - had : 0);
            return false;
        }
        if (had > need) {
            give_back(op->store, had - need);
        }
        e->hash = at->hash;
        e->key_len = op->key_len;
        e->value_len = len;
        if (op->key_len > 0) {
            memcpy(e->bytes, op->key, op->key_len);
        }
        e->next = old != NULL ? old->next : NULL;
        e->expires = old != NULL ? old->expires : NEVER;
        *at->link = e;
        free(old);
    }
    if (len > 0) {
        memcpy(value_of(e), value, len);
    }
    set_end(at, e, ttl_ns);
    if (old == NULL && ++at->shard->keys > at->shard->chains) {
        grow(op->store, at->shard);
    }
    sweep(op->store, at->shard, op->now, SWEEP_CHAINS);
    return true;
}

// What a key is set by.
typedef struct {
    const uint8_t *value;
    uint32_t len;
    int64_t ttl_ns;
    bool compares; // cas
    const uint8_t *old;
    uint32_t old_len;
    bool adds;
    int64_t delta, *result;
} change;

static enum flbwt_stored add_at(place *at, const change *c)
{
    entry *e = *at->link;
    uint64_t sum = 0;

    if (e != NULL && e->value_len != sizeof(sum)) {
        return FLBWT_STORE_NO_COUNTER;
    }
    if (e != NULL) {
        memcpy(&sum, value_of(e), sizeof(sum));
    }
    sum += (uint64_t) c->delta;
    if (!put(at, (const uint8_t *) &sum, sizeof(sum), e != NULL ? FLBWT_TTL_KEEP : c->ttl_ns)) {
        return FLBWT_STORE_FULL;
    }
    *c->result = (int64_t) sum;
    return FLBWT_STORED;
}

static enum flbwt_stored change_at(place *at, const change *c)
{
    entry *e = *at->link;

    if (c->adds) {
        return add_at(at, c);
    }
    if (c->compares && (c->old == NULL ? e != NULL
                                       : e == NULL || e->value_len != c->old_len ||
                                             memcmp(value_of(e), c->old, c->old_len) != 0)) {
        return FLBWT_STORE_DIFFERS;
    }
    return put(at, c->value, c->len, c->ttl_ns) ? FLBWT_STORED : FLBWT_STORE_FULL;
}

static enum flbwt_stored apply(const flbwt_store_op *op, const change *c)
{
    place at = {.op = op};
    bool fits = op->key_len <= FLBWT_STORE_KEY_BYTES && c->len <= FLBWT_STORE_VALUE_BYTES;
    enum flbwt_stored result = FLBWT_STORE_FULL;

    for (int sweeps = 0; fits; sweeps++) {
        lock(&at);
        result = change_at(&at, c);
        unlock(&at);
        fits = result == FLBWT_STORE_FULL && sweeps < FULL_SWEEPS && sweep_all(op->store, op->now);
    }
    if (result == FLBWT_STORE_FULL) {
        atomic_fetch_add_explicit(&op->store->refused, 1, memory_order_relaxed);
    }
    return result;
}

enum flbwt_stored flbwt_store_set(const flbwt_store_op *op, const uint8_t *value, uint32_t len,
                                  int64_t ttl_ns)
{
    change c = {.value = value, .len = len, .ttl_ns = ttl_ns};

    return apply(op, &c);
}

enum flbwt_stored flbwt_store_add(const flbwt_store_op *op, int64_t delta, int64_t ttl_ns,
                                  int64_t *result)
{
    change c = {.adds = true, .delta = delta, .ttl_ns = ttl_ns, .result = result};

    return apply(op, &c);
}

enum flbwt_stored flbwt_store_cas(const flbwt_store_op *op, const uint8_t *old, uint32_t old_len,
                                  const uint8_t *value, uint32_t len, int64_t ttl_ns)
{
    change c = {.compares = true,
                .old = old,
                .old_len = old_len,
                .value = value,
                .len = len,
                .ttl_ns = ttl_ns};

    return apply(op, &c);
}

int64_t flbwt_store_get(const flbwt_store_op *op, uint8_t *buffer, uint32_t room)
{
    place at = {.op = op};
    int64_t n = FLBWT_STORE_NONE;

    if (op->key_len > FLBWT_STORE_KEY_BYTES) {
        return n;
    }
    lock(&at);
    if (*at.link != NULL) {
        n = (*at.link)->value_len;
        if (n > 0 && n <= room) {
            memcpy(buffer, value_of(*at.link), (size_t) n);
        }
    }
    unlock(&at);
    return n;
}

bool flbwt_store_delete(const flbwt_store_op *op)
{
    place at = {.op = op};
    bool found;

    if (op->key_len > FLBWT_STORE_KEY_BYTES) {
        return false;
    }
    lock(&at);
    found = *at.link != NULL;
    if (found) {
        drop(op->store, at.shard, at.link);
    }
    unlock(&at);
    return found;
}

bool flbwt_store_tell(flbwt_store *store, uint64_t now) { return flbwt_tell(&store->told, now); }

flbwt_store_stats flbwt_store_look(flbwt_store *store)
{
    flbwt_store_stats stats = {.bytes = atomic_load(&store->bytes),
                               .table_bytes = atomic_load(&store->table_bytes),
                               .limit = store->limit,
                               .refused = atomic_load(&store->refused)};

    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&store->shards[i].lock);
        stats.keys += store->shards[i].keys;
        pthread_mutex_unlock(&store->shards[i].lock);
    }
    return stats;
}

flbwt_store *flbwt_store_new(uint64_t limit, flbwt_seed seed)
{
    // calloc aligns to 16 bytes.
    void *block = calloc(1, sizeof(flbwt_store) + _Alignof(flbwt_store));

    if (block == NULL) {
        return NULL;
    }
    uintptr_t aligned =
        ((uintptr_t) block + _Alignof(flbwt_store) - 1) & ~(uintptr_t) (_Alignof(flbwt_store) - 1);
    flbwt_store *store = (flbwt_store *) aligned;

    store->block = block;
    store->limit = limit;
    store->seed = seed;
    for (int i = 0; i < SHARDS; i++) {
        shard *s = &store->shards[i];

        pthread_mutex_init(&s->lock, NULL);
        s->chains = s->half = FIRST;
        s->earliest = s->pass = NEVER;
    }
    return store;
}

void flbwt_store_free(flbwt_store *store)
{
    if (store == NULL) {
        return;
    }
    for (int i = 0; i < SHARDS; i++) {
        shard *s = &store->shards[i];

        for (uint32_t k = 0; k < s->chains; k++) {
            entry **link = chain(s, k);

            while (*link != NULL) {
                drop(store, s, link);
            }
        }
        for (int k = 0; k < SEGMENTS; k++) {
            free(s->segments[k]);
        }
        pthread_mutex_destroy(&s->lock);
    }
    free(store->block);
}
