// The allocator of the objects in this library.
//
// Fluent Bit builds its jemalloc with --with-lg-quantum=3 (CMakeLists.txt, 1.9
// to 5.1) and exports it: its malloc aligns to 8 bytes where the platform's ABI
// promises 16. Compiled Rust relies on that promise, and so wasmtime crashes on
// the first aligned vector load that hits such a block. These definitions are
// bound inside this library only (exports.map); they take memory from the host's
// allocator, so that blocks may be freed on either side.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>

enum { ALIGNMENT = 16 };

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*posix_memalign)(void **, size_t, size_t);
    size_t (*usable_size)(void *);
} host;

static void *find(const char *name, void *own)
{
    void *f = dlsym(RTLD_DEFAULT, name);

    // In a program of which this is a part, rather than a library of.
    return f != own ? f : dlsym(RTLD_NEXT, name);
}

// Before any other constructor of this library, and before its code can run.
__attribute__((constructor(101))) static void find_host(void)
{
    *(void **) &host.malloc = find("malloc", (void *) malloc);
    *(void **) &host.calloc = find("calloc", (void *) calloc);
    *(void **) &host.realloc = find("realloc", (void *) realloc);
    *(void **) &host.free = find("free", (void *) free);
    *(void **) &host.posix_memalign = find("posix_memalign", NULL);
    *(void **) &host.usable_size = find("malloc_usable_size", NULL);
}

static bool aligned(const void *p) { return (uintptr_t) p % ALIGNMENT == 0; }

// A request of a multiple of 16 bytes is, as a rule, aligned to 16.
static size_t rounded(size_t n)
{
    return n <= SIZE_MAX - ALIGNMENT ? (n + ALIGNMENT - 1) & ~(size_t) (ALIGNMENT - 1) : n;
}

// realigned returns a block with the first n bytes of p, and frees p.
static void *realigned(void *p, size_t n, size_t used)
{
    void *q = NULL;

    if (host.posix_memalign(&q, ALIGNMENT, n) == 0) {
        memcpy(q, p, used < n ? used : n);
    }
    host.free(p);
    return q;
}

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)

void *malloc(size_t n)
{
    void *p = host.malloc(rounded(n));

    return aligned(p) ? p : realigned(p, rounded(n), 0);
}

void *calloc(size_t count, size_t n)
{
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(count, n, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    p = host.calloc(1, rounded(bytes));
    return aligned(p) ? p : realigned(p, rounded(bytes), bytes);
}

void *realloc(void *p, size_t n)
{
    void *q = host.realloc(p, rounded(n)), *to = NULL;

    if (aligned(q)) {
        return q;
    }
    // p is gone, and NULL would say that it is not: without memory the block stays where it is.
    if (host.posix_memalign(&to, ALIGNMENT, rounded(n)) != 0) {
        return q;
    }
    size_t used = host.usable_size(q);
    memcpy(to, q, used < rounded(n) ? used : rounded(n));
    host.free(q);
    return to;
}

void free(void *p) { host.free(p); }

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
