#ifndef FLBWT_DIRTYHEAP_H
#define FLBWT_DIRTYHEAP_H

#include <stddef.h>
#include <stdint.h>

// dirtyheap_fill has all memory of malloc be full of a word from now on.
void dirtyheap_fill(uintptr_t word);

#endif
