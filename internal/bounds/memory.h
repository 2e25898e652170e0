// The linear memories of guests: wasmtime has them made and grown here, so that what
// an instance has in all is known and bounded, and a growth that is refused is noticed.

#ifndef FLBWT_MEMORY_H
#define FLBWT_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "../capi/wasmtime.h"

// Why memory was not grown.
enum flbwt_refusal {
    FLBWT_NOT_REFUSED = 0,
    FLBWT_REFUSED_LIMIT,   // flbwt_room.limit
    FLBWT_REFUSED_MAXIMUM, // the module's own maximum, or that of all memories
    FLBWT_REFUSED_HOST,    // the host has no memory
};

// flbwt_room is what one instance has of memory, and may have, in bytes: all its linear
// memories, exported or not, with wasmtime's heap for exceptions. The thread that runs
// the guest uses it.
typedef struct {
    uint64_t limit;
    uint64_t bytes;
    int made;                   // memories
    bool limiter;               // the store has one, which sees growths first
    // Since flbwt_room_begin: refused is as far as wasmtime has told, asked see memory.c.
    enum flbwt_refusal refused;
    int64_t asked;
    struct flbwt_memory *heap;  // the one for exceptions; NULL: none
    struct flbwt_memory *first;
} flbwt_room;

// flbwt_memory_configure has the engine of a config make memories here.
void flbwt_memory_configure(wasm_config_t *config);

// flbwt_room_enter says whose memories are made on this thread from now on; NULL:
// nobody's, and none can be made.
void flbwt_room_enter(flbwt_room *room);

// flbwt_room_made is called when all memories are made: so many are the module's. It does
// what flbwt_room_begin does.
void flbwt_room_made(flbwt_room *room, int memories);

// flbwt_room_begin forgets what was refused. flbwt_room_refusal says what has been since.
static inline void flbwt_room_begin(flbwt_room *room)
{
    room->refused = FLBWT_NOT_REFUSED;
    room->asked = 0;
}

enum flbwt_refusal flbwt_room_refusal(const flbwt_room *room);

// flbwt_may_execute says whether this process may make memory executable that it has
// written, as machine code has to be.
bool flbwt_may_execute(void);

#endif
