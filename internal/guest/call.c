#include "call.h"

#include "../fast/fast.h"
#include "../hostcall/heap.h"
#include "../hostcall/record.h"

#include <stdlib.h>
#include <string.h>

// What place() returns if there is a place.
static const enum flbwt_outcome PLACED = FLBWT_NOT_RUN;

// run runs a function of up to six i32 parameters and at most one result.
static bool run(flbwt_call *x, const wasmtime_func_t *func, wasmtime_val_raw_t *args, size_t n)
{
    x->error = wasmtime_func_call_unchecked(x->guest->instance.context, func, args, n, &x->trap);
    return x->error == NULL && x->trap == NULL;
}

// call is run for a function after which the memory is read or written.
static bool call(flbwt_call *x, const wasmtime_func_t *func, wasmtime_val_raw_t *args, size_t n)
{
    if (!run(x, func, args, n)) {
        return false;
    }
    flbwt_memory_look(&x->guest->instance);
    return true;
}

static bool grow_region(flbwt_guest *g, uint64_t need)
{
    if (!flbwt_memory_grow(&g->instance, need > g->min_region ? need : g->min_region, &g->region)) {
        return false;
    }
    g->known_size = g->instance.size;
    g->region_len = g->known_size - g->region;
    return true;
}

// The functions that place input set x->at, and return what place does.

static enum flbwt_outcome place_by_malloc(flbwt_call *x, uint64_t need)
{
    wasmtime_val_raw_t args[1] = {{.i32 = (int32_t) need}};

    if (!call(x, &x->guest->alloc, args, 1)) {
        return FLBWT_TRAPPED;
    }
    x->at = (uint32_t) args[0].i32;
    return x->at != 0 ? PLACED : FLBWT_NO_MEMORY;
}

static enum flbwt_outcome place_pinned(flbwt_call *x, uint64_t need)
{
    flbwt_guest *g = x->guest;

    if (g->region_len < need) {
        // Class 1 holds no references that a collector would follow: it is
        // AssemblyScript's ArrayBuffer, and was its String.
        wasmtime_val_raw_t args[2] = {{.i32 = (int32_t) (need * 2)}, {.i32 = 1}};

        if (!call(x, &g->alloc, args, 2)) {
            return FLBWT_TRAPPED;
        }
        if (args[0].i32 == 0) {
            return FLBWT_NO_MEMORY;
        }
        if (!call(x, &g->pin, args, 1)) {
            return FLBWT_TRAPPED;
        }
        g->region = (uint32_t) args[0].i32;
        g->region_len = need * 2;
    }
    x->at = g->region;
    return PLACED;
}

static enum flbwt_outcome place_in_heap(flbwt_call *x, uint64_t need)
{
    flbwt_guest *g = x->guest;

    if (g->region_len < need) {
        flbwt_heap_free(&g->instance, (uint32_t) g->region);
        g->region_len = need * 2;
        g->region = flbwt_heap_alloc(&g->instance, g->region_len);
        if (g->region == 0) {
            g->region_len = need;
            g->region = flbwt_heap_alloc(&g->instance, g->region_len);
        }
        if (g->region == 0) {
            g->region_len = 0;
            return FLBWT_NO_MEMORY;
        }
    }
    x->at = g->region;
    return PLACED;
}

static enum flbwt_outcome place_in_grown(flbwt_call *x, uint64_t need)
{
    flbwt_guest *g = x->guest;

    // A guest's own allocator may take the first pages that the host grows
    // for its own at its first use, and does so at the end of memory later:
    // hence a fresh region for the second call, and whenever memory has
    // grown since.
    if ((g->calls < 2 || g->region_len < need || g->instance.size != g->known_size) &&
        !grow_region(g, need)) {
        return FLBWT_NO_MEMORY;
    }
    x->at = g->region;
    return PLACED;
}

// place finds need bytes in the guest's memory for the input of the next call.
// PLACED: x->at is their address. FLBWT_TRAPPED: the allocator trapped.
static enum flbwt_outcome place(flbwt_call *x, uint64_t need)
{
    enum flbwt_outcome outcome;

    if (need > INT32_MAX) {
        return FLBWT_NO_MEMORY;
    }
    switch (x->guest->allocator) {
    case FLBWT_MALLOC:
        outcome = place_by_malloc(x, need);
        break;
    case FLBWT_PINNED:
        outcome = place_pinned(x, need);
        break;
    case FLBWT_HEAP:
        outcome = place_in_heap(x, need);
        break;
    default:
        outcome = place_in_grown(x, need);
    }
    return outcome == PLACED && x->at + need > x->guest->instance.size ? FLBWT_BAD_BUFFER : outcome;
}

// after_objects returns where the JSON objects at p[at..n) end, if nothing but they and white space
// stands before a NUL or n, and else at. With neither a NUL nor an end of them before n, and more
// behind it (cut), that is n.
static size_t after_objects(const uint8_t *p, size_t n, size_t at, bool cut)
{
    const uint8_t *nul = memchr(p + at, 0, n - at);
    size_t end = nul != NULL ? (size_t) (nul - p) : n;

    for (size_t i = at; i < end;) {
        switch (p[i]) {
        case ' ':
        case '\t':
        case '\n':
        case '\r':
            i++;
            break;
        case '{': {
            size_t len = flbwt_span_json(p + i, end - i);

            if (len == 0) {
                return nul == NULL && cut ? n : at;
            }
            i += len;
            break;
        }
        default:
            return at;
        }
    }
    return end;
}

// json_length returns the length of the reply at p[0..n): up to its NUL, or that of the value, and
// of the objects that follow it, if there is no NUL in the first probe bytes; 0 if it has no end.
static size_t json_length(const uint8_t *p, size_t n, size_t probe, bool cut)
{
    const uint8_t *nul = memchr(p, 0, probe < n ? probe : n);

    if (nul == NULL) {
        size_t len = flbwt_span_json(p, n);

        if (len > 0) {
            return after_objects(p, n, len, cut);
        }
        nul = memchr(p, 0, n); // not the start of JSON, but perhaps a string
    }
    return nul != NULL ? (size_t) (nul - p) : 0;
}

// find_reply says what the guest's answer is, and where a reply stands.
static enum flbwt_outcome find_reply(flbwt_call *x, uint32_t at)
{
    const flbwt_guest *g = x->guest;
    uint64_t size = g->instance.size;

    if (at == 0) {
        // What a guest answers when malloc has failed is no wish to drop.
        bool failed =
            g->instance.heap.failed || flbwt_room_refusal(&g->instance.room) != FLBWT_NOT_REFUSED;

        return failed ? FLBWT_NO_MEMORY : FLBWT_DROP;
    }
    if (at >= size) {
        return FLBWT_BAD_POINTER;
    }
    x->reply = g->instance.base + at;
    x->rest = size - at;
    return *x->reply == 0 ? FLBWT_DROP : FLBWT_REPLY;
}

enum flbwt_outcome flbwt_call_take(const flbwt_call *x, uint32_t in_len, flbwt_buffer *reply)
{
    const flbwt_guest *g = x->guest;
    // One byte more than is allowed, to tell "too large" from "has no end".
    size_t window = x->rest <= g->max_reply ? x->rest : (size_t) g->max_reply + 1;
    bool cut = window < x->rest;
    size_t probe = (size_t) in_len * 2 + FLBWT_NUL_PROBE;
    size_t len = g->msgpack ? flbwt_span_msgpack(x->reply, window)
                            : json_length(x->reply, window, probe, cut);

    if (len == 0) {
        return cut ? FLBWT_REPLY_TOO_LARGE : FLBWT_UNTERMINATED;
    }
    if (len > g->max_reply) {
        return FLBWT_REPLY_TOO_LARGE;
    }
    reply->len = 0;
    if (!flbwt_reserve(reply, len)) {
        return FLBWT_HOST_NO_MEMORY;
    }
    memcpy(reply->data, x->reply, len);
    reply->len = len;
    return FLBWT_REPLY;
}

// put copies n bytes and a NUL. from may be NULL if there are none, which memcpy may not
// be given.
static void put(uint8_t *to, const uint8_t *from, uint32_t n)
{
    if (n > 0) {
        memcpy(to, from, n);
    }
    to[n] = 0;
}

enum flbwt_outcome flbwt_call_enter(flbwt_call *x, const uint8_t *tag, uint32_t tag_len,
                                    const uint8_t *in, uint32_t in_len, uint32_t sec, uint32_t nsec)
{
    flbwt_guest *g = x->guest;
    enum flbwt_outcome outcome;

    x->trap = NULL;
    x->error = NULL;
    x->need = (uint64_t) in_len + 1 + tag_len + 1;
    x->at = 0;
    if (g->instance.base == NULL) {
        flbwt_memory_look(&g->instance);
    }
    flbwt_watch_call(&g->instance.watch);
    flbwt_room_begin(&g->instance.room);
    outcome = place(x, x->need);
    if (outcome == PLACED) {
        // Record and tag are NUL-terminated, as the built-in filter hands them out;
        // their lengths don't count the NUL.
        uint64_t tag_at = x->at + in_len + 1;

        put(g->instance.base + x->at, in, in_len);
        put(g->instance.base + tag_at, tag, tag_len);

        wasmtime_val_raw_t args[6] = {
            {.i32 = (int32_t) tag_at}, {.i32 = (int32_t) tag_len}, {.i32 = (int32_t) sec},
            {.i32 = (int32_t) nsec},   {.i32 = (int32_t) x->at},   {.i32 = (int32_t) in_len},
        };
        g->calls++;
        g->instance.heap.failed = false;
        flbwt_room_begin(&g->instance.room); // what was refused to the allocator did not matter
        outcome =
            call(x, &g->function, args, 6) ? find_reply(x, (uint32_t) args[0].i32) : FLBWT_TRAPPED;
    }
    else {
        x->at = 0; // there is nothing to give back
    }
    if (outcome == FLBWT_TRAPPED && atomic_load(&g->instance.watch.interrupted)) {
        return FLBWT_TIMED_OUT;
    }
    return outcome;
}

bool flbwt_call_leave(flbwt_call *x)
{
    flbwt_guest *g = x->guest;

    if (x->at != 0 && g->allocator == FLBWT_MALLOC) {
        wasmtime_val_raw_t args[2] = {
            {.i32 = (int32_t) x->at}, {.i32 = (int32_t) x->need}, // for those that ask
        };

        return run(x, &g->release, args, 2);
    }
    if (x->at != 0 && g->allocator == FLBWT_GROWN) {
        // An allocator that takes the region over must find it as memory.grow
        // gives it.
        memset(g->instance.base + x->at, 0, x->need);
    }
    return true;
}

// stopped says why a call has not returned.
static enum flbwt_outcome stopped(const flbwt_call *x)
{
    return atomic_load(&x->guest->instance.watch.interrupted) ? FLBWT_TIMED_OUT : FLBWT_TRAPPED;
}

enum { ROOM_STEP = 4096 };

enum flbwt_outcome flbwt_call_room(flbwt_call *x, uint64_t need)
{
    flbwt_guest *g = x->guest;

    x->trap = NULL;
    x->error = NULL;
    if (g->instance.base == NULL) {
        flbwt_memory_look(&g->instance);
    }
    flbwt_watch_call(&g->instance.watch);
    flbwt_room_begin(&g->instance.room);
    if (need > INT32_MAX) {
        return FLBWT_NO_MEMORY;
    }
    // Half as much again, lest each batch that is a little larger is one more call.
    uint64_t size = (need + need / 2 + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
    while (g->region_len < need) {
        wasmtime_val_raw_t args[1] = {{.i32 = (int32_t) (size > INT32_MAX ? need : size)}};
        uint32_t asked = (uint32_t) args[0].i32;

        g->region_len = 0;
        if (!call(x, &g->alloc, args, 1)) {
            return stopped(x);
        }
        g->region = (uint32_t) args[0].i32;
        if (g->region == 0 && asked == need) {
            return FLBWT_NO_MEMORY;
        }
        if (g->region == 0) {
            size = need;
            continue;
        }
        if (g->region % 8 != 0 || g->region + asked > g->instance.size) {
            return FLBWT_BAD_BUFFER;
        }
        g->region_len = asked;
    }
    x->at = g->region;
    return FLBWT_NOT_RUN;
}

enum flbwt_outcome flbwt_call_batch(flbwt_call *x, uint32_t len, uint32_t *result)
{
    flbwt_guest *g = x->guest;
    wasmtime_val_raw_t args[2] = {{.i32 = (int32_t) x->at}, {.i32 = (int32_t) len}};

    g->calls++;
    flbwt_room_begin(&g->instance.room); // what was refused to flb_buffer did not matter
    if (!call(x, &g->function, args, 2)) {
        return stopped(x);
    }
    *result = (uint32_t) args[0].i32;
    if (*result == 0 && flbwt_room_refusal(&g->instance.room) != FLBWT_NOT_REFUSED) {
        return FLBWT_NO_MEMORY;
    }
    return FLBWT_REPLY;
}

enum flbwt_outcome flbwt_call_tick(flbwt_call *x, uint32_t flags, uint32_t *result)
{
    flbwt_instance *in = &x->guest->instance;
    wasmtime_val_raw_t args[1] = {{.i32 = (int32_t) flags}};

    x->trap = NULL;
    x->error = NULL;
    flbwt_watch_enter(&in->watch);
    flbwt_watch_call(&in->watch);
    flbwt_room_begin(&in->room);
    if (in->current != NULL) {
        in->current->ticking = true;
        in->current->changes = 0;
        in->current->given = 0;
    }
    bool ok = call(x, &x->guest->tick, args, 1);
    if (in->current != NULL) {
        in->current->ticking = false;
    }
    flbwt_watch_leave(&in->watch);
    if (!ok) {
        return stopped(x);
    }
    *result = (uint32_t) args[0].i32;
    return FLBWT_REPLY;
}

static void trap_on_purpose(void *arg)
{
    const flbwt_guest *g = arg;
    wasmtime_val_raw_t none;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error =
        wasmtime_func_call_unchecked(g->instance.context, &g->function, &none, 0, &trap);

    if (error != NULL) {
        wasmtime_error_delete(error);
    }
    if (trap != NULL) {
        wasm_trap_delete(trap);
    }
}

bool flbwt_learn_trap(wasmtime_context_t *context, const wasmtime_func_t *func)
{
    flbwt_guest g = {.instance.context = context, .function = *func};

    return flbwt_watch_learn(trap_on_purpose, &g);
}

char *flbwt_explain(wasm_trap_t *trap, wasmtime_error_t *error, int *code)
{
    wasm_message_t message = {0};
    wasmtime_trap_code_t trap_code;

    *code = -1;
    if (trap != NULL) {
        if (wasmtime_trap_code(trap, &trap_code)) {
            *code = trap_code;
        }
        wasm_trap_message(trap, &message);
        wasm_trap_delete(trap);
    }
    if (error != NULL) {
        if (message.data == NULL) {
            wasmtime_error_message(error, &message);
        }
        wasmtime_error_delete(error);
    }

    char *text = strndup(message.data != NULL ? message.data : "", message.size);
    if (message.data != NULL) {
        wasm_byte_vec_delete(&message);
    }
    return text;
}
