// The heap behind the malloc of the libc that Fluent Bit's built-in filter gives to
// modules ("libc-builtin" of WAMR 2.4.1, core/iwasm/libraries/libc-builtin). Its
// functions are flbwt_libc (import.h).

#ifndef FLBWT_HEAP_H
#define FLBWT_HEAP_H

#include "instance.h"

// flbwt_heap_alloc returns the address of at least n bytes, aligned to 16, in
// pages that the host has added to the guest's memory; 0 if there is no room.
// Memory may have moved then. flbwt_heap_realloc returns 0 for an address that is
// none of a block, and flbwt_heap_free ignores it.
uint32_t flbwt_heap_alloc(flbwt_instance *instance, uint64_t n);
uint32_t flbwt_heap_realloc(flbwt_instance *instance, uint32_t old, uint64_t n);
void flbwt_heap_free(flbwt_instance *instance, uint32_t at);

#endif
