// What the functions have in common that guests call: for the C files that define some.

#ifndef FLBWT_HOSTCALL_H
#define FLBWT_HOSTCALL_H

#include "import.h"

// A call of one of the functions. Once trap is set, the guest ends with it: what finds
// it set has nothing more to do.
typedef struct {
    flbwt_instance *instance;
    const char *name;
    wasmtime_val_raw_t *v; // the parameters, and then the result
    wasm_trap_t *trap;
} call;

static inline uint32_t param(const call *c, int i) { return (uint32_t) c->v[i].i32; }

static inline uint64_t param64(const call *c, int i) { return (uint64_t) c->v[i].i64; }

static inline void answer(call *c, uint32_t value) { c->v[0].i32 = (int32_t) value; }

// flbwt_stop ends the guest with a message of one line.
__attribute__((format(printf, 2, 3))) void flbwt_stop(call *c, const char *format, ...);

// flbwt_stop_with does so with text that is longer, of n bytes without a NUL.
void flbwt_stop_with(call *c, const char *text, size_t n);

// flbwt_exit ends it with a status, which is no failure if it is 0 and the guest
// was being set up.
void flbwt_exit(call *c, int32_t status);

// flbwt_overdue says whether the guest has taken too long, and ends it then: the
// watchdog only ends what runs in the guest's code. Work of a length that the guest
// chooses is done in parts with this between them.
bool flbwt_overdue(call *c);

// within returns where the guest's n bytes are, or NULL. Pointers into its memory are
// good until something may have made it grow.
static inline uint8_t *within(const flbwt_instance *in, uint64_t at, uint64_t n)
{
    uint64_t size = flbwt_memory_size(in);

    return at <= size && n <= size - at ? wasmtime_memory_data(in->context, &in->memory) + at
                                        : NULL;
}

// flbwt_text returns a parameter that is an address, with its length after it, or NULL after it has
// ended the guest. flbwt_room_for does so with the address of n bytes that are written to.
const uint8_t *flbwt_text(call *c, int i);
uint8_t *flbwt_room_for(call *c, int i, uint32_t n);

// flbwt_enter has to go before the function. False: c->trap is set.
bool flbwt_enter(call *c, wasmtime_caller_t *caller);

// HOST_FUNCTION defines a function that a table names, from act, a void (call *).
#define HOST_FUNCTION(symbol, its_name, act) \
    static wasm_trap_t *symbol(void *instance, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, \
                               size_t n) \
    { \
        call c = {instance, its_name, v, NULL}; \
\
        (void) n; \
        if (flbwt_enter(&c, caller)) { \
            act(&c); \
        } \
        return c.trap; \
    }

#endif
