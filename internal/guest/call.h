// The crossing into the guest: what the Go side of this package shares with call.c.

#ifndef FLBWT_CALL_H
#define FLBWT_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../hostcall/instance.h"

// How input gets a place in the guest's memory.
enum flbwt_allocator {
    FLBWT_MALLOC, // malloc and free around each call
    FLBWT_PINNED, // AssemblyScript: one __new'd and __pin'ned buffer, kept
    FLBWT_GROWN,  // no allocator: pages grown by the host
    FLBWT_HEAP,   // a block of the heap behind env.malloc, kept
    FLBWT_OWN,    // a batch guest's buffer, kept
};

// A reply is looked for a NUL this far beyond twice the length of the record before
// the value itself is scanned: a reply of an old Rust guest has no NUL of its own and
// may be followed by anything.
enum { FLBWT_NUL_PROBE = 4096 };

// What became of a record.
enum flbwt_outcome {
    FLBWT_NOT_RUN,
    FLBWT_REPLY,          // reply and reply_len are set
    FLBWT_DROP,           // NULL, or the empty string
    FLBWT_TRAPPED,        // the call trapped, or the guest exited
    FLBWT_TIMED_OUT,      // the call took too long and was ended
    FLBWT_NO_MEMORY,      // the guest answered 0, and memory was refused to it
    FLBWT_BAD_BUFFER,     // the allocator's buffer is not inside memory
    FLBWT_BAD_POINTER,    // the reply starts outside memory
    FLBWT_UNTERMINATED,   // the reply does not end inside memory
    FLBWT_REPLY_TOO_LARGE,
    FLBWT_HOST_NO_MEMORY, // the host has no room for the reply
    // Of the batch ABI:
    FLBWT_BAD_REPLY, // the reply as a whole is none
    FLBWT_BREACH,    // an operation on the record may not be
    FLBWT_TOO_MUCH,  // they make too much of the chunk
    FLBWT_ERROR,     // the guest says that it has failed
};

// flbwt_guest is an instance, and how it is called. It lives in C memory, next to a store
// that no two threads use at once.
typedef struct {
    flbwt_instance instance;
    wasmtime_func_t function;
    wasmtime_func_t alloc, release, pin; // malloc and free, or __new, (none), __pin
    wasmtime_func_t tick; // flb_tick
    bool has_tick;
    int allocator;
    bool msgpack;
    uint32_t max_reply;
    uint64_t min_region; // least bytes to grow for FLBWT_GROWN
    // All but FLBWT_MALLOC: the region that is kept.
    uint64_t region, region_len;
    uint64_t known_size; // FLBWT_GROWN: memory size after the last growth
    uint64_t calls;
    uint64_t recycle_bytes; // more in instance.room than this: the guest is to be replaced
    bool recycle;          // it has more, or not enough: to be replaced before the next call
} flbwt_guest;

// A flbwt_call is one call of a guest for a record. trap or error are set if it
// stopped; they are owned by the caller, and the guest must not be used again.
typedef struct {
    flbwt_guest *guest;
    wasm_trap_t *trap;
    wasmtime_error_t *error;
    uint64_t at, need;    // where tag and record stand in the guest's memory
    const uint8_t *reply; // in the guest's memory, until the call is left
    size_t rest;          // bytes of memory from reply on
} flbwt_call;

// flbwt_call_enter calls the guest. FLBWT_REPLY: reply and rest are set, and
// flbwt_call_take may follow. Any other outcome but FLBWT_TRAPPED and
// FLBWT_TIMED_OUT leaves the guest usable. flbwt_call_leave has to follow then: it
// gives the memory of the record back; false means that the guest has trapped.
enum flbwt_outcome flbwt_call_enter(flbwt_call *x, const uint8_t *tag, uint32_t tag_len,
                                    const uint8_t *in, uint32_t in_len, uint32_t sec,
                                    uint32_t nsec);
bool flbwt_call_leave(flbwt_call *x);

// flbwt_call_take copies the reply to reply, over what is in it.
enum flbwt_outcome flbwt_call_take(const flbwt_call *x, uint32_t in_len, flbwt_buffer *reply);

// flbwt_call_room begins a call for a batch: x->at is where the guest has given need bytes for it.
// FLBWT_NOT_RUN: it has. flbwt_call_batch goes on with it, once len bytes of input are there, and sets
// *result. FLBWT_REPLY: it has returned.
enum flbwt_outcome flbwt_call_room(flbwt_call *x, uint64_t need);
enum flbwt_outcome flbwt_call_batch(flbwt_call *x, uint32_t len, uint32_t *result);

// flbwt_call_tick calls flb_tick, which the guest has. FLBWT_REPLY: it has returned, and *result is set.
enum flbwt_outcome flbwt_call_tick(flbwt_call *x, uint32_t flags, uint32_t *result);

// flbwt_learn_trap calls a function that traps by "unreachable", for the watchdog. False:
// it learnt nothing.
bool flbwt_learn_trap(wasmtime_context_t *context, const wasmtime_func_t *func);

// flbwt_explain returns what a trap or error says, as text to be freed, and
// deletes both. code is a wasmtime_trap_code_t or -1.
char *flbwt_explain(wasm_trap_t *trap, wasmtime_error_t *error, int *code);

#endif
