/*
 * A checked malloc. Fluent Bit exports jemalloc's malloc from its executable,
 * so a plugin's blocks come from the host's allocator and are freed by it; this
 * one stands in its place and aborts when a block that it did not hand out is
 * freed, a block is freed twice, or its end was written over.
 *
 * It aligns blocks to 8 bytes and no more, as Fluent Bit does, which builds its
 * jemalloc with --with-lg-quantum=3 (CMakeLists.txt, v1.9.10 and v5.1.1). The
 * platform's ABI promises 16, and compiled code may crash without them.
 *
 * Include it in exactly one file.
 */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void __libc_free(void *);

#define BLOCK_LIVE  UINT64_C(0x6c6976652d626c6b)
#define BLOCK_FREED UINT64_C(0x66726565642d626b)
#define TAIL_BYTES  16
#define ALIGN_BYTES 8
#define TAIL_FILL   0x5a
#define FREED_FILL  0xdd

/* state comes last: glibc's own free list overwrites the first 16 bytes. */
struct block {
    void *base;
    size_t size;
    uint64_t reserved;
    uint64_t state;
};

_Static_assert(sizeof(struct block) % 16 == 0, "a block is aligned as its header is");

/* Blocks of so many bytes and more are refused, once some more have been given; 0: none are. */
static atomic_size_t memory_deny_bytes;
static atomic_long memory_deny_after;

static atomic_size_t memory_live_bytes;
static atomic_size_t memory_live_blocks;

static void memory_die(const char *what)
{
    static const char prefix[] = "[host] malloc check: ";
    ssize_t ignored = write(STDERR_FILENO, prefix, sizeof(prefix) - 1);

    ignored += write(STDERR_FILENO, what, strlen(what));
    ignored += write(STDERR_FILENO, "\n", 1);
    (void) ignored;
    abort();
}

static struct block *block_of(void *p)
{
    struct block *b = (struct block *) p - 1;
    const unsigned char *tail;
    int i;

    if (b->state == BLOCK_FREED) {
        memory_die("block used after free, or freed twice");
    }
    if (b->state != BLOCK_LIVE) {
        memory_die("block does not come from the host's malloc, or its start was overwritten");
    }
    tail = (unsigned char *) p + b->size;
    for (i = 0; i < TAIL_BYTES; i++) {
        if (tail[i] != TAIL_FILL) {
            memory_die("block written past its end");
        }
    }
    return b;
}

/* align is a power of two, at least that of the header's fields. */
static void *allocate(size_t align, size_t size)
{
    struct block *b;
    unsigned char *base;
    unsigned char *p;

    if (size > PTRDIFF_MAX - 2 * align - sizeof(*b) - TAIL_BYTES ||
        (memory_deny_bytes > 0 && size >= memory_deny_bytes &&
         atomic_fetch_sub(&memory_deny_after, 1) <= 0)) {
        errno = ENOMEM;
        return NULL;
    }
    base = __libc_malloc(size + 2 * align + sizeof(*b) + TAIL_BYTES);
    if (!base) {
        return NULL;
    }
    p = (unsigned char *) (((uintptr_t) base + sizeof(*b) + align - 1) & ~(uintptr_t) (align - 1));
    /* Not aligned to more than was asked for. */
    if (((uintptr_t) p & align) == 0) {
        p += align;
    }
    b = (struct block *) p - 1;
    b->base = base;
    b->size = size;
    b->state = BLOCK_LIVE;
    memset(p + size, TAIL_FILL, TAIL_BYTES);
    atomic_fetch_add(&memory_live_bytes, size);
    atomic_fetch_add(&memory_live_blocks, 1);
    return p;
}

void *malloc(size_t size) { return allocate(ALIGN_BYTES, size); }

void free(void *p)
{
    struct block *b;

    if (!p) {
        return;
    }
    b = block_of(p);
    atomic_fetch_sub(&memory_live_bytes, b->size);
    atomic_fetch_sub(&memory_live_blocks, 1);
    b->state = BLOCK_FREED;
    memset(p, FREED_FILL, b->size);
    __libc_free(b->base);
}

void *calloc(size_t n, size_t size)
{
    void *p;

    if (__builtin_mul_overflow(n, size, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    p = allocate(ALIGN_BYTES, size);
    if (p) {
        /* Through a volatile pointer: gcc would turn it into a call of calloc. */
        void *(*volatile fill)(void *, int, size_t) = memset;
        fill(p, 0, size);
    }
    return p;
}

void *realloc(void *p, size_t size)
{
    void *q;

    if (!p) {
        return malloc(size);
    }
    if (size == 0) {
        free(p);
        return NULL;
    }
    q = allocate(ALIGN_BYTES, size);
    if (q) {
        size_t old = block_of(p)->size;
        memcpy(q, p, old < size ? old : size);
        free(p);
    }
    return q;
}

void *memalign(size_t align, size_t size)
{
    return allocate(align < ALIGN_BYTES ? ALIGN_BYTES : align, size);
}

void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }

int posix_memalign(void **out, size_t align, size_t size)
{
    void *p = memalign(align, size);

    if (!p) {
        return ENOMEM;
    }
    *out = p;
    return 0;
}

void *valloc(size_t size) { return allocate((size_t) sysconf(_SC_PAGESIZE), size); }

size_t malloc_usable_size(void *p) { return p ? block_of(p)->size : 0; }

#endif
