#include "heap.h"

#include <string.h>

// A block is a header and, at the address that the guest knows, as many bytes as
// its class has. The guest can write to headers: each is checked for what it says
// about itself before anything is done by it, and a guest that forges one gets
// blocks that overlap its own data, and nothing else. What the host keeps is of a
// fixed size.

enum {
    PAGE_BYTES = 65536,
    STEP_MOST_BYTES = 1 << 20,
};

typedef struct {
    uint32_t class;
    uint32_t check; // of address, class and state
    uint32_t next;  // free blocks: the next one of the class
    uint32_t unused;
} header;

_Static_assert(sizeof(header) == 16, "blocks are aligned to 16");

enum { USED = 0x55534544, FREE = 0x46524545 };

static uint8_t *memory_at(const flbwt_instance *in, uint64_t at)
{
    return wasmtime_memory_data(in->context, &in->memory) + at;
}

static uint32_t check_of(uint64_t at, uint32_t class, uint32_t state)
{
    return ((uint32_t) at ^ state) * 0x9e3779b1u + class;
}

// Classes are 16, 32, 48 and 64 bytes, and then four for each doubling.
static uint32_t class_of(uint64_t n)
{
    uint32_t above = n == 0 ? 0 : (uint32_t) ((n - 1) / 16); // whole units of 16 but one

    if (above < 4) {
        return above;
    }
    uint32_t shift = 29 - (uint32_t) __builtin_clz(above);
    return shift * 4 + 4 + (above >> shift & 3);
}

static uint64_t class_bytes(uint32_t class)
{
    if (class < 4) {
        return (class + 1) * 16;
    }
    return (uint64_t) (class % 4 + 5) << (class / 4 - 1) << 4;
}

// load reads the header of a block. False: there is no block of that state.
static bool load(const flbwt_instance *in, uint64_t at, uint32_t state, header *h)
{
    uint64_t size = flbwt_memory_size(in);

    if (at % sizeof(*h) != 0 || at < in->heap.low + sizeof(*h) || at > size) {
        return false;
    }
    memcpy(h, memory_at(in, at - sizeof(*h)), sizeof(*h));
    return h->class < FLBWT_HEAP_CLASSES && h->check == check_of(at, h->class, state) &&
           class_bytes(h->class) <= size - at;
}

static void store(const flbwt_instance *in, uint64_t at, uint32_t class, uint32_t state,
                  uint32_t next)
{
    header h = {class, check_of(at, class, state), next, 0};

    memcpy(memory_at(in, at - sizeof(h)), &h, sizeof(h));
}

// pop takes a free block of a class; 0: there is none. A list that the guest has
// damaged ends there.
static uint64_t pop(flbwt_instance *in, uint32_t class)
{
    uint64_t at = in->heap.free[class];
    header h;

    if (at == 0 || !load(in, at, FREE, &h) || h.class != class) {
        in->heap.free[class] = 0;
        return 0;
    }
    in->heap.free[class] = h.next;
    store(in, at, class, USED, 0);
    return at;
}

// grow makes room for need bytes at heap.top.
static bool grow(flbwt_instance *in, uint64_t need)
{
    flbwt_heap *h = &in->heap;
    // The guest's own pages may stand behind the heap's.
    uint64_t left = flbwt_memory_size(in) == h->end ? h->end - h->top : 0;
    uint64_t least = need - left, from;

    if (h->step < PAGE_BYTES) {
        h->step = PAGE_BYTES;
    }
    if ((least >= h->step || !flbwt_memory_grow(in, h->step, &from)) &&
        !flbwt_memory_grow(in, least, &from)) {
        return false;
    }
    if (h->low == 0) {
        h->low = from;
    }
    if (from != h->end) {
        h->top = from;
    }
    h->end = flbwt_memory_size(in);
    if (h->step < STEP_MOST_BYTES) {
        h->step *= 2;
    }
    return true;
}

uint32_t flbwt_heap_alloc(flbwt_instance *in, uint64_t n)
{
    uint64_t at = 0;

    if (n < UINT32_MAX) {
        uint32_t class = class_of(n);
        uint64_t need = sizeof(header) + class_bytes(class);

        at = pop(in, class);
        if (at == 0 && (in->heap.end - in->heap.top >= need || grow(in, need))) {
            at = in->heap.top + sizeof(header);
            in->heap.top += need;
            store(in, at, class, USED, 0);
        }
        while (at == 0 && ++class < FLBWT_HEAP_CLASSES) {
            at = pop(in, class);
        }
    }
    if (at == 0) {
        in->heap.failed = true;
    }
    return (uint32_t) at;
}

void flbwt_heap_free(flbwt_instance *in, uint32_t at)
{
    header h;

    if (load(in, at, USED, &h)) {
        store(in, at, h.class, FREE, in->heap.free[h.class]);
        in->heap.free[h.class] = at;
    }
}

uint32_t flbwt_heap_realloc(flbwt_instance *in, uint32_t old, uint64_t n)
{
    header h;

    if (old == 0) {
        return flbwt_heap_alloc(in, n);
    }
    if (!load(in, old, USED, &h)) {
        return 0;
    }
    uint64_t had = class_bytes(h.class);
    if (n <= had) {
        return old;
    }
    uint32_t at = flbwt_heap_alloc(in, n);
    if (at != 0) {
        // With forged headers the two may overlap.
        memmove(memory_at(in, at), memory_at(in, old), had);
        flbwt_heap_free(in, old);
    }
    return at;
}
