// Events under other tags, and ticks. The filter's emitter takes them; a timer of the engine has the guest ticked,
// delivers what waits, and sees the end come.
#define _GNU_SOURCE
#include "emit.h"
#include "internal/bounds/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/random.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TIMER_MS = 100 };

static const int64_t LOG_EVERY_NS = 10 * INT64_C(1000000000);

static const struct {
    int level;
    const char *text;
} causes[CAUSES] = {
    [KEPT] = {FLB_LOG_WARN,
              "events stay under the tag that they came with, which an output has to match: the "
              "emitter is busy"},
    [DROPPED_BUSY] = {FLB_LOG_ERROR, "events for other tags are dropped: the emitter is busy "
                                     "(emit_on_busy drop)"},
    [DROPPED_LATE] = {FLB_LOG_ERROR, "events for other tags are dropped: the emitter has been busy "
                                     "for longer than emit_on_busy lets them wait"},
    [DROPPED_FULL] = {FLB_LOG_ERROR, "events for other tags are dropped: what waits has reached "
                                     "emitter_mem_buf_limit"},
    [DROPPED_NO_MEMORY] = {FLB_LOG_ERROR, "events for other tags are dropped: there is no memory "
                                          "for them"},
    [LOOPED] = {FLB_LOG_WARN,
                "events stay under the tag that they came with: they have been through "
                "this filter before (Match has a tag that it emits)"},
    [TICK_LOOPED] = {FLB_LOG_ERROR,
                     "events of flb_tick are dropped: what they are made of has come back to this "
                     "filter again and again (Match has a tag that it emits, or a filter behind "
                     "it)"},
};

static int64_t now_ns(void) { return (int64_t) flbwt_clock_ns(CLOCK_MONOTONIC); }

static void count(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

// log_limited counts events, and logs how many that are since its last line: once in 10 seconds, or now.
static void log_limited(struct emission *e, enum cause cause, uint64_t events, bool now)
{
    char text[512];
    int64_t t = now_ns();

    pthread_mutex_lock(&e->lock);
    events = e->unlogged[cause] += events;
    if (events == 0 || (!now && t < e->next_log_ns[cause])) {
        pthread_mutex_unlock(&e->lock);
        return;
    }
    e->unlogged[cause] = 0;
    e->next_log_ns[cause] = t + LOG_EVERY_NS;
    pthread_mutex_unlock(&e->lock);
    snprintf(text, sizeof(text), "%" PRIu64 " %s", events, causes[cause].text);
    border_print(e->inst, causes[cause].level, text);
}

static void drop(struct emission *e, enum cause cause, uint64_t events)
{
    if (events > 0) {
        count(&emit_counters(e)->dropped, events);
        log_limited(e, cause, events, false);
    }
}

// deliver has the emitter take what it can of a delivery that has been sorted, on the engine's thread.
static void deliver(struct emission *e)
{
    flbwt_delivery *d = &e->delivery;
    bool busy = false;

    for (uint32_t i = 0; i < d->destinations; i++) {
        flbwt_destination *to = flbwt_delivery_at(d, i);
        size_t n;

        if (to->cut) {
            continue;
        }
        const uint8_t *events = flbwt_delivery_events(d, to, &n);
        to->taken = events != NULL && emit_host_append(e, to, events, n);
        if (to->taken) {
            e->appended = true;
            count(&emit_counters(e)->delivered, to->events);
        }
        busy |= !to->taken;
    }
    pthread_mutex_lock(&e->lock);
    e->busy = busy;
    pthread_mutex_unlock(&e->lock);
}

// events_left is how many of a delivery are not taken: those in a loop, or the others.
static uint64_t events_left(const flbwt_delivery *d, bool looped)
{
    uint64_t events = 0;

    for (uint32_t i = 0; i < d->destinations; i++) {
        const flbwt_destination *to = flbwt_delivery_at(d, i);

        events += !to->taken && to->cut == looped ? to->events : 0;
    }
    return events;
}

// mark_taken has all be taken but what is in a loop.
static void mark_taken(flbwt_delivery *d)
{
    for (uint32_t i = 0; i < d->destinations; i++) {
        flbwt_destination *to = flbwt_delivery_at(d, i);

        to->taken |= !to->cut;
    }
}

static uint64_t events_of(const flbwt_buffer *journal) { return flbwt_journal_events(journal, 0); }

// drain delivers what waits, in order, until the emitter is busy. True: nothing waits. On the engine's thread.
static bool drain(struct emission *e, int64_t now)
{
    flbwt_delivery *d = &e->delivery;
    struct held *h;

    while ((h = emit_queue_take(e)) != NULL) {
        if (h->until_ns <= now) {
            drop(e, DROPPED_LATE, events_of(&h->journal));
            emit_queue_free(h);
            continue;
        }
        bool sorted = flbwt_delivery_sort(d, h->journal.data, h->journal.len);

        if (sorted) {
            deliver(e);
        }
        if (sorted && events_left(d, false) == 0) {
            emit_queue_free(h);
            continue;
        }
        if (e->inst->emits.on_busy == ON_BUSY_DROP) {
            drop(e, DROPPED_BUSY, sorted ? events_left(d, false) : events_of(&h->journal));
            emit_queue_free(h);
            continue;
        }
        if (sorted) {
            h->journal.len = flbwt_delivery_journal(d, h->journal.data);
        }
        emit_queue_put_back(e, h);
        return false;
    }
    return true;
}

// keep_in_chunk appends events to what comes out of the chunk. False: there is no memory.
static bool keep_in_chunk(struct job *job, const uint8_t *events, size_t n)
{
    bool modified = job->result == FLB_FILTER_MODIFIED;
    size_t size = modified ? job->out_size : job->size;
    uint8_t *out = realloc(modified ? job->out : NULL, size + n);

    if (out == NULL) {
        return false;
    }
    if (!modified) {
        memcpy(out, job->data, size);
    }
    memcpy(out + size, events, n);
    job->out = out;
    job->out_size = size + n;
    job->result = FLB_FILTER_MODIFIED;
    return true;
}

// hold has what is left of a delivery of a journal wait. False: there is no room.
static bool hold(struct emission *e, const flbwt_delivery *d, const flbwt_buffer *of)
{
    const struct emission_options *o = &e->inst->emits;
    int64_t until = o->on_busy == ON_BUSY_BLOCK ? now_ns() + o->block_ns : INT64_MAX;
    flbwt_buffer journal = {0};
    bool held = false;

    if (flbwt_reserve(&journal, of->len)) {
        journal.len = flbwt_delivery_journal(d, journal.data);
        held = emit_queue_add(e, &journal, until);
    }
    free(journal.data);
    return held;
}

// handle_undelivered decides about what is left of a delivery: job is that of the chunk that it came of, or of a
// tick.
static void handle_undelivered(struct emission *e, flbwt_delivery *d, struct job *job,
                               bool may_wait, struct flb_input_instance *input)
{
    const struct emission_options *o = &e->inst->emits;
    bool chunk = job->kind == JOB_FILTER;
    uint64_t busy = events_left(d, false), looped = events_left(d, true);

    may_wait |= o->on_busy == ON_BUSY_BLOCK || (!chunk && o->on_busy == ON_BUSY_KEEP);
    if (busy > 0 && may_wait && hold(e, d, &job->journal)) {
        mark_taken(d);
        busy = 0;
        if (o->on_busy == ON_BUSY_BLOCK && pthread_equal(pthread_self(), e->engine)) {
            emit_pause_later(e, input);
        }
    }
    else if (busy > 0 && (!chunk || o->on_busy == ON_BUSY_DROP)) {
        drop(e, may_wait ? DROPPED_FULL : DROPPED_BUSY, busy);
        mark_taken(d);
        busy = 0;
    }
    if (!chunk && looped > 0) { // there is no chunk for them to stay in
        drop(e, TICK_LOOPED, looped);
        looped = 0;
    }
    if (busy + looped == 0) {
        return;
    }
    uint32_t events;
    size_t n;
    const uint8_t *bytes = flbwt_delivery_left(d, &n, &events);

    if (bytes == NULL || !keep_in_chunk(job, bytes, n)) {
        drop(e, DROPPED_NO_MEMORY, busy + looped);
        return;
    }
    count(&emit_counters(e)->kept, busy);
    log_limited(e, KEPT, busy, false);
    count(&emit_counters(e)->looped, looped);
    log_limited(e, LOOPED, looped, false);
}

void emission_begin(struct instance *inst, struct flb_input_instance *input, struct job *job)
{
    struct emission *e = inst->emission;

    if (e == NULL) {
        return;
    }
    job->count_hops = e->emitter != NULL && emit_host_is_emitter(input);
    count(&e->chunks, 1);
    count(&e->reads, !job->count_hops);
    if (job->count_hops && inst->emits.tick_ns > 0) {
        job->tick_hops = flbwt_chunk_hops(job->data, job->size);
        job->ending = __atomic_load_n(&e->stopping, __ATOMIC_RELAXED);
    }
}

// recycle_journal keeps what a journal has allocated for the instance's next one, or frees it.
static void recycle_journal(struct instance *inst, flbwt_buffer *journal)
{
    pthread_mutex_lock(&inst->lock);
    if (inst->spare.data == NULL) {
        inst->spare = *journal;
        *journal = (flbwt_buffer) {0};
    }
    pthread_mutex_unlock(&inst->lock);
    free(journal->data);
    *journal = (flbwt_buffer) {0};
}

// deliver_here does so on the engine's thread, where the emitter can be called.
static void deliver_here(struct emission *e, struct job *job, struct flb_input_instance *input)
{
    flbwt_delivery *d = &e->delivery;

    emit_host_is_stopping(e);
    bool drained = drain(e, now_ns()); // what has waited comes first

    if (!flbwt_delivery_sort(d, job->journal.data, job->journal.len)) {
        drop(e, DROPPED_NO_MEMORY, events_of(&job->journal));
        return;
    }
    if (drained) {
        deliver(e);
    }
    handle_undelivered(e, d, job, false, input);
    flbwt_delivery_give_back(d);
}

// deliver_later does so where the emitter can't be called. In a loop, all stays.
static void deliver_later(struct emission *e, struct job *job, bool loop,
                          struct flb_input_instance *input)
{
    flbwt_delivery d = {.seed = e->delivery.seed};

    if (!flbwt_delivery_sort(&d, job->journal.data, job->journal.len)) {
        drop(e, DROPPED_NO_MEMORY, events_of(&job->journal));
        flbwt_delivery_end(&d);
        return;
    }
    for (uint32_t i = 0; loop && i < d.destinations; i++) {
        flbwt_delivery_at(&d, i)->cut = true;
    }
    pthread_mutex_lock(&e->lock);
    bool busy = e->busy;
    pthread_mutex_unlock(&e->lock);
    handle_undelivered(e, &d, job, !busy, emit_host_is_emitter(input) ? NULL : input);
    flbwt_delivery_end(&d);
}

void emission_deliver(struct instance *inst, struct flb_input_instance *input, struct job *job)
{
    struct emission *e = inst->emission;

    if (job->journal.len > 0 && e != NULL && e->emitter != NULL) {
        bool engine = pthread_equal(pthread_self(), e->engine);
        // Filters run inside of a delivery, and this one may be among them.
        bool loop = (engine && e->delivering) ||
                    (input != NULL && (input == e->emitter || input == e->shutdown_emitter));

        // An emitter of rewrite_tag, from 3.0 on, frees what is added to it while it delivers.
        bool nested = emit_host_is_foreign(input);

        if (engine && !loop && !nested && has_stack_for_go()) {
            deliver_here(e, job, input);
        }
        else {
            deliver_later(e, job, loop, input);
        }
    }
    if (job->journal.data != NULL) {
        recycle_journal(inst, &job->journal);
    }
}

// tick has the guest ticked, and delivers what it makes. False: the instance is busy with a chunk.
static bool tick(struct emission *e, struct job *job)
{
    border_call(e->inst, job);
    if (job->busy) {
        return false;
    }
    emission_deliver(e->inst, NULL, job);
    return true;
}

static uint64_t read_counter(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

// is_handed_over says whether there has been a final tick since the last chunk.
static bool is_handed_over(const struct emission *e)
{
    return e->inst->emits.tick_ns == 0 || (e->ended && e->ended_chunks == read_counter(&e->chunks));
}

// tick_finally has the guest hand over what it holds, unless it has since the last chunk.
// False: it holds nothing, or is busy.
static bool tick_finally(struct emission *e)
{
    uint64_t chunks = read_counter(&e->chunks), reads = read_counter(&e->reads);
    struct job job = {
        .kind = JOB_TICK,
        .final = true,
        // A round of final ticks alone is cut. What has been read since the last one is not to be cut with it.
        .count_anew = e->ended && reads != e->ended_reads,
    };

    if (is_handed_over(e) || !tick(e, &job)) {
        return false;
    }
    e->ended = true;
    e->ended_chunks = chunks;
    e->ended_reads = reads;
    return true;
}

// flush_at_end has all filters of the pipeline hand over what they hold, again and again as long as some get
// what others have handed over: the host ends with the next full second of its clock, which may be at once.
static void flush_at_end(const struct emission *e)
{
    enum { ROUNDS = 8 };
    struct emission *first = NULL; // to start
    bool more = true, appended = false;

    for (struct instance *p = border_lock_running(); p != NULL; p = p->next) {
        struct emission *here = p->emission;

        if (here != NULL && here->timer != NULL && p->config == e->inst->config) {
            here->later = first;
            first = here; // on this thread, which ends them, too
        }
    }
    border_unlock_running();
    for (struct emission *here = first; here != NULL; here = here->later) {
        emit_host_is_stopping(here); // its own timer may not have been called yet
    }
    for (int round = 0; more && round < ROUNDS; round++) {
        more = false;
        for (struct emission *here = first; here != NULL; here = here->later) {
            more |= tick_finally(here);
            drain(here, now_ns());
        }
    }
    for (struct emission *here = first; here != NULL; here = here->later) {
        appended |= here->appended;
        here->appended = false;
    }
    if (appended) {
        // The host flushes when it is told to stop, which is over, and may end before it would again.
        emit_host_flush(e);
    }
}

static void tick_in_time(struct emission *e, int64_t now)
{
    int64_t every = e->inst->emits.tick_ns;
    struct job job = {.kind = JOB_TICK};

    if (every > 0 && now >= e->next_tick_ns && tick(e, &job)) {
        e->next_tick_ns += every;
        if (e->next_tick_ns <= now) {
            e->next_tick_ns = now + every;
        }
    }
}

// log_pending logs what has been counted since the last line of each cause, if it is time for one, or now.
static void log_pending(struct emission *e, bool now)
{
    for (int i = 0; i < CAUSES; i++) {
        if (__atomic_load_n(&e->unlogged[i], __ATOMIC_RELAXED) > 0) {
            log_limited(e, i, 0, now);
        }
    }
}

static void on_timer(void *arg)
{
    struct emission *e = arg;

    if (emit_host_is_stopping(e)) {
        flush_at_end(e);
        return;
    }
    int64_t now = now_ns();
    if (drain(e, now)) {
        pthread_mutex_lock(&e->lock);
        e->busy = false; // as far as is known: the next one finds out
        pthread_mutex_unlock(&e->lock);
        emit_pause_end(e);
    }
    else {
        emit_pause_inputs(e);
    }
    tick_in_time(e, now);
    log_pending(e, false);
}

static void free_emission(struct emission *e)
{
    flbwt_delivery_end(&e->delivery);
    free(e->tag.data);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static bool begin(struct emission *e)
{
    struct instance *inst = e->inst;
    const char *why = NULL;

    if (inst->emits.wanted && !emit_host_open(e)) {
        return false;
    }
    e->timer = engine_timer_start(TIMER_MS, on_timer, e, &why);
    if (e->timer != NULL) {
        return true;
    }
    if (e->emitter != NULL) {
        emit_host_close(e);
        return emit_host_refuse(inst, "%s", why);
    }
    char text[256];

    snprintf(text, sizeof(text), "flb_tick is called at the end alone: %s", why);
    border_print(inst, FLB_LOG_WARN, text);
    return true;
}

bool emission_start(struct instance *inst)
{
    if (!inst->emits.wanted && inst->emits.tick_ns == 0) {
        return true;
    }
    struct emission *e = calloc(1, sizeof(*e));

    if (e == NULL) {
        return emit_host_refuse(inst, "there is no memory");
    }
    e->inst = inst;
    e->engine = pthread_self();
    e->end = &e->first;
    e->next_tick_ns = now_ns() + inst->emits.tick_ns;
    pthread_mutex_init(&e->lock, NULL);
    // By its number: libc has had it as a function since 2.25 only.
    if (syscall(SYS_getrandom, &e->delivery.seed, sizeof(e->delivery.seed), GRND_NONBLOCK) !=
        (long) sizeof(e->delivery.seed)) {
        e->delivery.seed.k0 = (uintptr_t) e ^ (uint64_t) now_ns();
    }
    if (!inst->emits.wanted) {
        emit_host_find_stops(e);
    }
    if (!begin(e)) {
        free_emission(e);
        return false;
    }
    border_lock_running();
    inst->emission = e;
    border_unlock_running();
    return true;
}

void emission_stop(struct instance *inst)
{
    struct emission *e = inst->emission;
    struct held *h;
    uint64_t lost = 0;

    if (e == NULL) {
        return;
    }
    // Nothing can be delivered here: what runs inside of a delivery has begun to end (flb_engine_shutdown).
    if (!is_handed_over(e)) {
        struct job job = {.kind = JOB_TICK, .final = true};

        border_call(inst, &job);
        lost += events_of(&job.journal);
        recycle_journal(inst, &job.journal);
    }
    if (e->timer != NULL) {
        engine_timer_end(e->timer);
    }
    while ((h = emit_queue_take(e)) != NULL) {
        lost += events_of(&h->journal);
        emit_queue_free(h);
    }
    log_pending(e, true);
    if (lost > 0) {
        char text[256];

        count(&emit_counters(e)->dropped, lost);
        snprintf(text, sizeof(text),
                 "%" PRIu64 " events for other tags are lost: Fluent Bit ends before it has taken "
                 "them",
                 lost);
        border_print(inst, FLB_LOG_ERROR, text);
    }
    border_lock_running();
    inst->emission = NULL;
    border_unlock_running();
    free_emission(e);
}
