// The heap behind the malloc of the libc that Fluent Bit's built-in filter gives to
// modules ("libc-builtin" of WAMR 2.4.1, core/iwasm/libraries/libc-builtin). Its
// functions are flbwt_libc (import.h).

#ifndef FLBWT_LIBC_H
#define FLBWT_LIBC_H

#include "call.h"

// flbwt_heap_alloc answers the address of at least n bytes, aligned to 16, in
// pages that the host has added to the guest's memory; 0 if there is no room.
// Memory may have moved then. flbwt_heap_realloc answers 0 for an address that is
// none of a block, and flbwt_heap_free ignores it.
uint32_t flbwt_heap_alloc(flbwt_guest *guest, uint64_t n);
uint32_t flbwt_heap_realloc(flbwt_guest *guest, uint32_t old, uint64_t n);
void flbwt_heap_free(flbwt_guest *guest, uint32_t at);

#endif
