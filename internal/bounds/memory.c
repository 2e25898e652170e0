#define _GNU_SOURCE
#include "memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct flbwt_memory {
    flbwt_room *room;
    uint8_t *base;
    size_t bytes;    // accessible from base on
    size_t capacity; // as far as they may reach; what follows is never accessible
    int before_grow; // how often wasmtime asks before it grows this one
    void *pages;
    size_t pages_bytes;
};

static __thread flbwt_room *current __attribute__((tls_model("initial-exec")));

void flbwt_room_enter(flbwt_room *room) { current = room; }

// wasmtime 48 (crates/wasmtime/src/runtime/vm/memory.rs and instance.rs) does not tell of
// a growth that it refuses by itself, because of the module's maximum or that of 65,536
// pages. But it looks at the memory for each memory.grow: three or four times before it
// calls grow, and three times after it has grown. Where it refuses, it looks five times in
// all (three times if a limiter refuses), and where nothing was to be added, three times.
// wasmtime 44 looks once more before each. Otherwise it looks twice for a memory.atomic.notify or wait, for which there is no
// reason without shared memory, and for a growth by 2^48 pages of a 64-bit memory; and
// after a fault, which ends the call.
enum {
    ASKED_BEFORE_GROWTH = 3,
    ASKED_AFTER_GROWTH = 3,
    ASKED_FOR_NOTHING = 3,
    ASKED_FOR_REFUSAL = 3
};

static int asked_first(void)
{
    return flbwt_engine_version == NULL; // the library of wasmtime-go
}

// refused_unseen says whether so many looks were for more than a few growths by nothing.
// A guest that asks for nothing three times in a call (once, if there is a limiter), and
// then drops the record, is misjudged.
static bool refused_unseen(const flbwt_room *room, int64_t asked)
{
    int64_t nothing = ASKED_FOR_NOTHING + asked_first();

    if (asked < ASKED_FOR_REFUSAL + asked_first()) {
        return false;
    }
    return room->limiter || (asked != nothing && asked != 2 * nothing);
}

enum flbwt_refusal flbwt_room_refusal(const flbwt_room *room)
{
    if (room->refused == FLBWT_NOT_REFUSED && refused_unseen(room, room->asked)) {
        return FLBWT_REFUSED_MAXIMUM;
    }
    return room->refused;
}

// wasmtime's signal handler calls this, too.
static uint8_t *get(void *env, size_t *bytes, size_t *capacity)
{
    struct flbwt_memory *m = env;

    if (m != m->room->heap) {
        m->room->asked++;
    }
    *bytes = m->bytes;
    *capacity = m->capacity;
    return m->base;
}

static enum flbwt_refusal try_to_grow(struct flbwt_memory *m, size_t bytes)
{
    flbwt_room *room = m->room;
    size_t more = bytes - m->bytes;

    if (bytes > m->capacity) { // not below 4 GiB
        return FLBWT_REFUSED_MAXIMUM;
    }
    if (room->bytes > room->limit || more > room->limit - room->bytes) {
        return FLBWT_REFUSED_LIMIT;
    }
    if (mprotect(m->base + m->bytes, more, PROT_READ | PROT_WRITE) != 0) {
        return FLBWT_REFUSED_HOST;
    }
    room->bytes += more;
    m->bytes = bytes;
    return FLBWT_NOT_REFUSED;
}

static wasmtime_error_t *grow(void *env, size_t bytes)
{
    struct flbwt_memory *m = env;
    flbwt_room *room = m->room;
    enum flbwt_refusal why = try_to_grow(m, bytes);

    if (m != room->heap) {
        if (room->refused == FLBWT_NOT_REFUSED &&
            refused_unseen(room, room->asked - m->before_grow)) {
            room->refused = FLBWT_REFUSED_MAXIMUM;
        }
        if (why != FLBWT_NOT_REFUSED) {
            room->refused = why;
        }
        room->asked = -ASKED_AFTER_GROWTH;
    }
    return why == FLBWT_NOT_REFUSED ? NULL : wasmtime_error_new("memory can't grow");
}

static void release(void *env)
{
    struct flbwt_memory *m = env;

    munmap(m->pages, m->pages_bytes);
    free(m);
}

// new_memory reserves what wasmtime asks for, since compiled code relies on it to fault
// there: reserved bytes that can become memory, and a guard. Another guard goes before,
// as wasmtime has it for memories of its own. Memory never moves.
static wasmtime_error_t *new_memory(void *env, const wasm_memorytype_t *type, size_t minimum,
                                    size_t maximum, size_t reserved, size_t guard,
                                    wasmtime_linear_memory_t *memory)
{
    flbwt_room *room = current;

    (void) env;
    (void) type;
    if (room == NULL) {
        return wasmtime_error_new("memory is made outside an instance's start");
    }
    if (minimum > reserved || room->bytes > room->limit || minimum > room->limit - room->bytes) {
        room->refused = FLBWT_REFUSED_LIMIT;
        return wasmtime_error_new("its memories are larger than memory_limit");
    }

    struct flbwt_memory *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return wasmtime_error_new("the host has no memory");
    }
    *m = (struct flbwt_memory) {
        .room = room,
        .capacity = reserved,
        // It may move, as far as wasmtime knows, or not.
        .before_grow = asked_first() + ASKED_BEFORE_GROWTH + (maximum > reserved ? 0 : 1),
        .pages_bytes = guard + reserved + guard,
    };
    m->pages =
        mmap(NULL, m->pages_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m->pages == MAP_FAILED) {
        free(m);
        return wasmtime_error_new("the host has no address space for its memory");
    }
    m->base = (uint8_t *) m->pages + guard;
    if (minimum > 0 && mprotect(m->base, minimum, PROT_READ | PROT_WRITE) != 0) {
        release(m);
        return wasmtime_error_new("the host has no memory");
    }
    m->bytes = minimum;
    room->bytes += minimum;
    if (room->made++ == 0) {
        room->first = m;
    }
    *memory = (wasmtime_linear_memory_t) {m, get, grow, release};
    return NULL;
}

void flbwt_room_made(flbwt_room *room, int memories)
{
    // wasmtime makes the heap for exceptions before all others, where it needs one
    // (crates/wasmtime/src/runtime/instance.rs).
    if (room->made > memories) {
        room->heap = room->first;
    }
    flbwt_room_begin(room);
}

void flbwt_memory_configure(wasm_config_t *config)
{
    wasmtime_memory_creator_t creator = {.new_memory = new_memory};

    wasmtime_config_host_memory_creator_set(config, &creator);
    // Memory that is mapped from an image of its data has to be wasmtime's own.
    wasmtime_config_memory_init_cow_set(config, false);
}

bool flbwt_may_execute(void)
{
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool may;

    if (p == MAP_FAILED) {
        return true; // that is another trouble
    }
    may = mprotect(p, page, PROT_READ | PROT_EXEC) == 0;
    munmap(p, page);
    return may;
}
