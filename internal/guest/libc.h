// The libc that Fluent Bit's built-in filter gives to modules ("libc-builtin" of
// WAMR 2.4.1, core/iwasm/libraries/libc-builtin), as functions of the host over
// the guest's memory, and the heap behind its malloc.

#ifndef FLBWT_LIBC_H
#define FLBWT_LIBC_H

#include "call.h"

// flbwt_libc_function is one function of the module "env". Its types are those
// of parameters, ':' and of the result: i for i32, I for i64, F for f64; a blank
// stands between the types that one name may have.
typedef struct {
    const char *name, *types;
    void *(*function)(void *guest, void *caller, wasmtime_val_raw_t *values, size_t n);
} flbwt_libc_function;

extern const flbwt_libc_function *const flbwt_libc;
extern const size_t flbwt_libc_len;

// flbwt_libc_define gives flbwt_libc[i] to a wasmtime_linker_t, as a function of
// that type (a wasm_functype_t, one of its types) for that guest, which has to
// outlive the store. It answers an error or NULL.
void *flbwt_libc_define(void *linker, size_t i, const void *type, flbwt_guest *guest);

// flbwt_heap_alloc answers the address of at least n bytes, aligned to 16, in
// pages that the host has added to the guest's memory; 0 if there is no room.
// Memory may have moved then. flbwt_heap_realloc answers 0 for an address that is
// none of a block, and flbwt_heap_free ignores it.
uint32_t flbwt_heap_alloc(flbwt_guest *guest, uint64_t n);
uint32_t flbwt_heap_realloc(flbwt_guest *guest, uint32_t at, uint64_t n);
void flbwt_heap_free(flbwt_guest *guest, uint32_t at);

#endif
