// The key-value store of a filter: its guests share it, and it outlives them. Any thread may call
// all of it but flbwt_store_free. Nothing in it waits for longer than another thread needs for one
// key, and none of it is moved at once as it grows.

#ifndef FLBWT_STORE_H
#define FLBWT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "siphash.h"

typedef struct flbwt_store flbwt_store;

enum { FLBWT_STORE_KEY_BYTES = 1024, FLBWT_STORE_VALUE_BYTES = 1 << 20 };

// What flbwt_store_get returns for a key that is not there.
enum { FLBWT_STORE_NONE = -1 };

// Times to live, in nanoseconds, besides positive ones.
enum { FLBWT_TTL_NONE = 0, FLBWT_TTL_KEEP = -1 };

enum flbwt_stored {
    FLBWT_STORED,
    FLBWT_STORE_DIFFERS, // flbwt_store_cas: the value is not the old one
    FLBWT_STORE_FULL,    // there is no room, or the key or value is too long
    FLBWT_STORE_NO_COUNTER, // flbwt_store_add: the value does not have 8 bytes
};

// Whom an operation is for, and when: now is of a clock that does not go back, in nanoseconds.
typedef struct {
    flbwt_store *store;
    uint64_t now;
    const uint8_t *key;
    uint32_t key_len;
} flbwt_store_op;

// flbwt_store_new returns a store that takes that many bytes, with all that its keys and values
// need, or NULL: there is no memory.
flbwt_store *flbwt_store_new(uint64_t limit, flbwt_seed seed);
void flbwt_store_free(flbwt_store *store);

// flbwt_store_get returns the length of the value, which it writes to buffer if there is room for
// all of it.
int64_t flbwt_store_get(const flbwt_store_op *op, uint8_t *buffer, uint32_t room);

// ttl_ns counts from now. FLBWT_TTL_KEEP: the time that the key has left; a new one has no end.
enum flbwt_stored flbwt_store_set(const flbwt_store_op *op, const uint8_t *value, uint32_t len,
                                  int64_t ttl_ns);

// flbwt_store_delete says whether the key was there.
bool flbwt_store_delete(const flbwt_store_op *op);

// flbwt_store_add adds to a counter, which wraps, and sets result to what it has then. A new one
// begins with 0, and ttl_ns is of new ones alone.
enum flbwt_stored flbwt_store_add(const flbwt_store_op *op, int64_t delta, int64_t ttl_ns,
                                  int64_t *result);

// flbwt_store_cas does what flbwt_store_set does if the value is old; old NULL: if the key is not
// there.
enum flbwt_stored flbwt_store_cas(const flbwt_store_op *op, const uint8_t *old, uint32_t old_len,
                                  const uint8_t *value, uint32_t len, int64_t ttl_ns);

// flbwt_store_tell says whether it is time for a word of what has been refused: once in 10 s.
bool flbwt_store_tell(flbwt_store *store, uint64_t now);

// Expired keys count until they are found.
typedef struct {
    uint64_t keys, bytes, limit;
    uint64_t table_bytes; // of bytes: what is not of a key
    uint64_t refused;     // calls
} flbwt_store_stats;

flbwt_store_stats flbwt_store_look(flbwt_store *store);

#endif
