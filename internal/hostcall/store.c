// What modules import from "flb_v1" of the filter's key-value store (../state/store.h).

#include "hostcall.h"

#include "../bounds/clock.h"
#include "../state/store.h"

static const uint32_t NONE = UINT32_MAX; // -1

// begin makes an operation for the key at parameters 0 and 1. False: the guest ends.
static bool begin(call *c, flbwt_store_op *op)
{
    op->store = c->instance->store;
    op->key_len = param(c, 1);
    op->key = flbwt_text(c, 0);
    op->now = flbwt_clock_ns(CLOCK_MONOTONIC);
    return op->key != NULL;
}

// ttl makes nanoseconds of a parameter. False: the guest ends.
static bool ttl(call *c, int i, int64_t *ns)
{
    int64_t ms = (int64_t) param64(c, i);

    if (ms < FLBWT_TTL_KEEP) {
        flbwt_stop(c, "%s: a time to live of %lld ms: 0 is none, and -1 that of before", c->name,
                   (long long) ms);
        return false;
    }
    *ns = ms <= 0 ? ms : ms > INT64_MAX / 1000000 ? INT64_MAX : ms * 1000000;
    return true;
}

// refused has the filter say that there is no room, if it has not lately.
static void refused(call *c, const flbwt_store_op *op)
{
    if (flbwt_store_tell(op->store, op->now)) {
        c->instance->notices |= FLBWT_NOTICE_STORE;
    }
}

static void do_get(call *c)
{
    flbwt_store_op op;
    uint8_t *buffer;

    if (!begin(c, &op) || (buffer = flbwt_room_for(c, 2, param(c, 3))) == NULL) {
        return;
    }
    answer(c, (uint32_t) flbwt_store_get(&op, buffer, param(c, 3)));
}

static void do_set(call *c)
{
    flbwt_store_op op;
    const uint8_t *value;
    int64_t ns;

    if (!begin(c, &op) || (value = flbwt_text(c, 2)) == NULL || !ttl(c, 4, &ns)) {
        return;
    }
    if (flbwt_store_set(&op, value, param(c, 3), ns) == FLBWT_STORED) {
        answer(c, 0);
        return;
    }
    refused(c, &op);
    answer(c, NONE);
}

static void do_delete(call *c)
{
    flbwt_store_op op;

    if (begin(c, &op)) {
        answer(c, flbwt_store_delete(&op));
    }
}

static void do_add(call *c)
{
    flbwt_store_op op;
    int64_t ns, sum;
    uint8_t *result;

    if (!begin(c, &op) || !ttl(c, 3, &ns) || (result = flbwt_room_for(c, 4, sizeof(sum))) == NULL) {
        return;
    }
    switch (flbwt_store_add(&op, (int64_t) param64(c, 2), ns, &sum)) {
    case FLBWT_STORED:
        memcpy(result, &sum, sizeof(sum));
        answer(c, 0);
        break;
    case FLBWT_STORE_NO_COUNTER:
        flbwt_stop(c, "store_add: the key has a value that is no counter: a counter has 8 bytes");
        break;
    default:
        refused(c, &op);
        answer(c, NONE);
    }
}

static void do_cas(call *c)
{
    flbwt_store_op op;
    bool absent = param(c, 3) == NONE;
    const uint8_t *old = NULL, *value;
    int64_t ns;

    if (!begin(c, &op) || (!absent && (old = flbwt_text(c, 2)) == NULL) ||
        (value = flbwt_text(c, 4)) == NULL || !ttl(c, 6, &ns)) {
        return;
    }
    switch (flbwt_store_cas(&op, old, absent ? 0 : param(c, 3), value, param(c, 5), ns)) {
    case FLBWT_STORED:
        answer(c, 1);
        break;
    case FLBWT_STORE_DIFFERS:
        answer(c, 0);
        break;
    default:
        refused(c, &op);
        answer(c, NONE);
    }
}

HOST_FUNCTION(store_get, "store_get", do_get)
HOST_FUNCTION(store_set, "store_set", do_set)
HOST_FUNCTION(store_delete, "store_delete", do_delete)
HOST_FUNCTION(store_add, "store_add", do_add)
HOST_FUNCTION(store_cas, "store_cas", do_cas)

static const flbwt_import table[] = {
    {"flb_v1", "store_get", "iiii:i", store_get},     {"flb_v1", "store_set", "iiiiI:i", store_set},
    {"flb_v1", "store_delete", "ii:i", store_delete}, {"flb_v1", "store_add", "iiIIi:i", store_add},
    {"flb_v1", "store_cas", "iiiiiiI:i", store_cas},
};

const flbwt_import *const flbwt_store_imports = table;
const size_t flbwt_store_imports_len = sizeof(table) / sizeof(table[0]);
