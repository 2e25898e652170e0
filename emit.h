// Events under other tags, as the files have them in common that deliver them:
//
// emit_abi.c    what becomes of them, and when; ticks
// emit_host.c   the input of the host that takes them, an emitter, and what has to be found for it
// emit_queue.c  those that wait
// emit_pause.c  inputs that are paused meanwhile

#ifndef FLBWT_EMIT_H
#define FLBWT_EMIT_H

#include "plugin.h"

#include "internal/delivery/delivery.h"

enum {
    EMIT_STOP_INTS = 128, // the first of flb_config, among which those are that tell of the end
    EMIT_MAX_PAUSED = 16,
};

// held are events that wait, as a journal.
struct held {
    struct held *next;
    int64_t until_ns; // they are dropped then; INT64_MAX: never
    flbwt_buffer journal;
};

// Why events are told of in the log, once in 10 seconds each.
enum cause {
    KEPT,
    DROPPED_BUSY,
    DROPPED_LATE,
    DROPPED_FULL,
    DROPPED_NO_MEMORY,
    LOOPED,
    TICK_LOOPED,
    CAUSES
};

// emission is what an instance has that emits events under other tags, or is ticked.
struct emission {
    struct instance *inst;
    struct flb_input_instance *emitter; // NULL: there are ticks alone
    // Takes what the emitter does not at the end; NULL: it has not been needed yet.
    struct flb_input_instance *shutdown_emitter;
    void *cio;
    pthread_t engine;
    struct engine_timer *timer; // NULL: the guest is ticked at the end alone
    bool stops[EMIT_STOP_INTS]; // where the ints begin that may tell of the end

    // Of the engine's thread.
    flbwt_delivery delivery;
    flbwt_buffer tag; // the one that is delivered, with a NUL behind it
    bool delivering;
    bool appended; // since the engine was last told to flush
    bool ended; // there has been a final tick,
    uint64_t ended_chunks, ended_reads; // after so many of these
    struct emission *later; // of those that end together: the one that has started next
    int64_t next_tick_ns;
    struct flb_input_instance *to_pause[EMIT_MAX_PAUSED];
    int to_pause_count;
    // Written between border_lock_running and border_unlock_running.
    struct flb_input_instance *paused[EMIT_MAX_PAUSED];
    int paused_count;

    // Atomic.
    bool stopping; // the pipeline has been told to stop
    uint64_t chunks; // that have come
    uint64_t reads; // chunks of inputs that are not emitters

    pthread_mutex_t lock; // guards all that follows
    struct held *first, **end;
    size_t held_bytes;
    bool busy; // the emitter has not taken what was last delivered
    uint64_t unlogged[CAUSES]; // events, since the last line
    int64_t next_log_ns[CAUSES];
};

static inline flbwt_emission *emit_counters(struct emission *e) { return &e->inst->lane->emission; }

// emit_host.c. All but emit_host_is_emitter and emit_host_is_foreign on the engine's thread.

// emit_host_open makes the emitter. False: the log says why it can't be. emit_host_close ends it before the
// instance has started; the host ends all others.
bool emit_host_open(struct emission *e);
void emit_host_close(struct emission *e);

// emit_host_refuse logs why there can be no events under other tags, and returns false.
__attribute__((format(printf, 2, 3))) bool emit_host_refuse(struct instance *inst,
                                                            const char *format, ...);

// emit_host_append has an emitter take events. False: they are busy, and nothing was taken.
bool emit_host_append(struct emission *e, const flbwt_destination *to, const uint8_t *events,
                      size_t n);

// emit_host_find_stops finds where the pipeline may say that it has been told to stop; false: nowhere.
// emit_host_is_stopping says whether it has been; the engine then goes on for a second and more.
bool emit_host_find_stops(struct emission *e);
bool emit_host_is_stopping(struct emission *e);

// emit_host_flush has the host pass on what its inputs have.
void emit_host_flush(const struct emission *e);

// emit_host_is_emitter says whether an input, which may be NULL, is one, of this filter or of another one:
// rewrite_tag has some, too. emit_host_is_foreign says whether it is one of another plugin.
bool emit_host_is_emitter(const struct flb_input_instance *in);
bool emit_host_is_foreign(const struct flb_input_instance *in);

// emit_host_pause pauses an input, also one that is paused already; false: the host has paused it, and lets it
// go on when it will. emit_host_resume has it go on, unless the host has paused it meanwhile.
bool emit_host_pause(struct flb_input_instance *in);
void emit_host_resume(struct flb_input_instance *in);

// emit_queue.c. Any thread may call.

// emit_queue_add has a journal wait, which it then owns. False: there is no room, and the caller keeps it.
bool emit_queue_add(struct emission *e, flbwt_buffer *journal, int64_t until_ns);

// emit_queue_take returns what has waited for longest, which the caller then owns; NULL: nothing waits.
// emit_queue_put_back has it wait in the same place again, emit_queue_free frees it.
struct held *emit_queue_take(struct emission *e);
void emit_queue_put_back(struct emission *e, struct held *h);
void emit_queue_free(struct held *h);

// emit_pause.c. On the engine's thread.

// emit_pause_later has the timer pause an input, which may be NULL, of which events wait. Here the input is in the
// midst of an append, whose data it still needs: servers (forward) close connections when they are paused.
void emit_pause_later(struct emission *e, struct flb_input_instance *in);

// emit_pause_inputs pauses these. emit_pause_end does not, and has those go on that this instance has paused.
void emit_pause_inputs(struct emission *e);
void emit_pause_end(struct emission *e);

#endif
