//go:build !asan

#include "malloc.h"

#include <stdlib.h>

void *__libc_malloc(size_t n); // glibc's

static uintptr_t word; // written once

void dirtyheap_fill(uintptr_t w) { __atomic_store_n(&word, w, __ATOMIC_RELAXED); }

// malloc takes the place of glibc's in the whole program.
void *malloc(size_t n)
{
    uintptr_t *p = __libc_malloc(n), w = __atomic_load_n(&word, __ATOMIC_RELAXED);

    if (w != 0 && p != NULL) {
        for (size_t i = 0; i < n / sizeof(w); i++) {
            p[i] = w;
        }
    }
    return p;
}
