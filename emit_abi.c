// Events under other tags, and ticks. An input of the host, an emitter, takes them for each filter that
// makes some; a timer of the engine has the guest ticked, delivers what waits, and sees the end come.
#define _GNU_SOURCE
#include "plugin.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal/delivery/delivery.h"

// What Fluent Bit exports and is called here: flb_input.h, flb_storage.h and flb_engine.h of all releases from
// 1.8 to 5.1, flb_input_log.h of those from 2.1 on.
static struct {
    int (*log_append)(struct flb_input_instance *in, const char *tag, size_t tag_len,
                      const void *data, size_t size);
    int (*name_exists)(const char *name, struct flb_config *config);
    struct flb_input_instance *(*input_new)(struct flb_config *config, const char *plugin,
                                            void *data, int public_only);
    int (*set_property)(struct flb_input_instance *in, const char *key, const char *value);
    int (*instance_init)(struct flb_input_instance *in, struct flb_config *config);
    void (*instance_exit)(struct flb_input_instance *in, struct flb_config *config);
    void (*instance_destroy)(struct flb_input_instance *in);
    int (*storage_create)(void *cio, struct flb_input_instance *in);
    int (*input_pause)(struct flb_input_instance *in);
    int (*input_resume)(struct flb_input_instance *in);
    int (*engine_flush)(struct flb_config *config, void *only);

    // Since 5.1, else NULL: an input may be paused by its gate, of which input_pause knows nothing.
    int (*gate_protect)(struct flb_input_instance *in);
    void (*gate_maybe_resume)(struct flb_input_instance *in);
} host;

static const char *missing; // a function that the host does not export

static void look_up(void)
{
    static const struct host_symbol symbols[] = {
        {(void **) &host.log_append, "flb_input_log_append"},
        {(void **) &host.name_exists, "flb_input_name_exists"},
        {(void **) &host.input_new, "flb_input_new"},
        {(void **) &host.set_property, "flb_input_set_property"},
        {(void **) &host.instance_init, "flb_input_instance_init"},
        {(void **) &host.instance_exit, "flb_input_instance_exit"},
        {(void **) &host.instance_destroy, "flb_input_instance_destroy"},
        {(void **) &host.storage_create, "flb_storage_input_create"},
        {(void **) &host.input_pause, "flb_input_pause"},
        {(void **) &host.input_resume, "flb_input_resume"},
        {(void **) &host.engine_flush, "flb_engine_flush"},
    };
    static const struct host_symbol since_5_1[] = {
        {(void **) &host.gate_protect, "flb_input_rate_gate_protect"},
        {(void **) &host.gate_maybe_resume, "flb_input_rate_gate_maybe_resume"},
    };

    missing = host_look_up(symbols, sizeof(symbols) / sizeof(symbols[0]));
    host_look_up(since_5_1, sizeof(since_5_1) / sizeof(since_5_1[0]));
}

enum {
    TIMER_MS = 100,
    STOP_INTS =
        512 / sizeof(int), // of flb_config, in which those that tell of the end are looked for
    CONFIG_BYTES = 8192, // in which the storage is
    MAX_PAUSED = 16,
};

static const int64_t LOG_EVERY_NS = 10 * INT64_C(1000000000);

// held are events that wait, as a journal.
struct held {
    struct held *next;
    int64_t until_ns; // they are dropped then; INT64_MAX: never
    flbwt_buffer journal;
};

// What a line of the log, of which there is one in 10 seconds, tells of.
enum about {
    KEPT,
    DROPPED_BUSY,
    DROPPED_LATE,
    DROPPED_FULL,
    DROPPED_NO_MEMORY,
    LOOPED,
    TICK_LOOPED,
    ABOUTS
};

static const struct {
    int level;
    const char *text;
} abouts[ABOUTS] = {
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

struct emission {
    struct instance *inst;
    struct emission *next; // of all
    struct flb_input_instance *emitter; // NULL: there are ticks alone
    struct flb_input_instance
        *last; // takes what the emitter does not at the end; NULL: not needed yet
    void *cio;
    pthread_t engine;
    struct engine_timer *timer;
    bool stops[STOP_INTS]; // where the ints stand that may tell of the end

    // Of the engine's thread.
    flbwt_delivery delivery;
    flbwt_buffer tag; // the one that is delivered, with a NUL behind it
    bool delivering;
    bool stopping;
    bool appended; // since the engine was last told to flush
    bool ended; // there has been a final tick,
    uint64_t ended_at; // after so many chunks
    int64_t next_tick_ns;
    struct flb_input_instance *to_pause[MAX_PAUSED];
    int to_pause_count;
    struct flb_input_instance *paused[MAX_PAUSED]; // written while all.lock is held
    int paused_count;

    uint64_t chunks; // atomic: that have come

    pthread_mutex_t lock; // guards all that follows
    struct held *first, **end;
    size_t held_bytes;
    bool busy; // the emitter has not taken what was last delivered
    uint64_t untold[ABOUTS]; // events, since the last line
    int64_t told_ns[ABOUTS];
};

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

static void count(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static flbwt_emission *counters(struct emission *e) { return &e->inst->lane->emission; }

static void set_held(struct emission *e, size_t bytes)
{
    e->held_bytes = bytes;
    __atomic_store_n(&counters(e)->held_bytes, bytes, __ATOMIC_RELAXED);
}

// tell counts events for the log, and says so unless that has been done just before.
static void tell(struct emission *e, enum about about, uint64_t events, bool now)
{
    char text[512];
    int64_t t = now_ns();

    pthread_mutex_lock(&e->lock);
    events = e->untold[about] += events;
    if (events == 0 || (!now && t < e->told_ns[about])) {
        pthread_mutex_unlock(&e->lock);
        return;
    }
    e->untold[about] = 0;
    e->told_ns[about] = t + LOG_EVERY_NS;
    pthread_mutex_unlock(&e->lock);
    snprintf(text, sizeof(text), "%" PRIu64 " %s", events, abouts[about].text);
    border_print(e->inst, abouts[about].level, text);
}

static void drop(struct emission *e, enum about why, uint64_t events)
{
    if (events > 0) {
        count(&counters(e)->dropped, events);
        tell(e, why, events, false);
    }
}

// find_cio returns the storage of a pipeline, which the emitter needs: a struct cio_ctx (chunkio.h), that has
// a list of streams (cio_stream.h), of which each points back to it. At the start all inputs have theirs. NULL:
// it can't be told.
static bool is_cio(const char *p)
{
    enum {
        CIO_BYTES = 192, // the list stands behind the options, 112 to 144 bytes
        LINK = 16, // of a stream: its type and name come first,
        PARENT = 80, // and behind it three more lists
        MAX_STREAMS = 1000,
    };

    if (!host_readable(p, CIO_BYTES)) {
        return false;
    }
    for (size_t at = 0; at + 2 * sizeof(void *) <= CIO_BYTES; at += sizeof(void *)) {
        const char *list = p + at, *before = list, *link = host_word(list, sizeof(void *));
        int n = 0;

        while (link != list && n < MAX_STREAMS) {
            const char *stream = (const char *) ((uintptr_t) link - LINK); // link may be anything

            if (!host_readable(stream, PARENT + sizeof(void *)) || host_word(link, 0) != before ||
                host_word(stream, PARENT) != (const void *) p) {
                break;
            }
            n++;
            before = link;
            link = host_word(link, sizeof(void *));
        }
        if (n > 0 && link == list && host_word(list, 0) == before) {
            return true;
        }
    }
    return false;
}

static void *find_cio(const struct flb_config *config)
{
    size_t readable = 0;

    while (readable < CONFIG_BYTES && host_readable((const char *) config + readable, 256)) {
        readable += 256;
    }
    for (size_t at = 0; at < readable; at += sizeof(void *)) {
        void *p = host_word(config, at);

        if (p != NULL && is_cio(p)) {
            return p;
        }
    }
    return NULL;
}

// is_in_pipeline says whether an instance, which is the host's context, is one of the pipeline's filters, whose
// list begins in flb_config, and in no processor, which has a list of its own. In struct flb_filter_instance
// (flb_filter.h, 1.8 to 5.1) _head stands six words behind context.
static bool is_in_pipeline(const struct instance *inst)
{
    enum { HEAD = 48, MAX_FILTERS = 10000 };
    size_t at = host_context_at(inst->ins, inst);
    const char *head = (const char *) inst->ins + at + HEAD, *config = (const char *) inst->config;

    if (at == 0 || !host_readable(head, sizeof(struct list))) {
        return false;
    }
    const char *link = host_word(head, sizeof(void *));

    for (int n = 0; n < MAX_FILTERS && link != head; n++) {
        if (link >= config && link < config + CONFIG_BYTES) {
            return true;
        }
        if (!host_readable(link, sizeof(struct list))) {
            return false;
        }
        link = host_word(link, sizeof(void *));
    }
    return false;
}

// is_ending says whether the pipeline has been told to stop. In flb_config.h, 2.0 to 5.1, stand in a row the
// ints is_ingestion_active, is_shutting_down and is_running, of which the engine then changes the first two
// at once; it goes on for a second and more. see_ends notes where they may be; false: nowhere.
static bool at_stop(const struct emission *e, size_t i, int ingests, int shuts)
{
    int ints[3];

    memcpy(ints, (const char *) e->inst->config + i * sizeof(int), sizeof(ints));
    return ints[0] == ingests && ints[1] == shuts && ints[2] == 1;
}

static bool see_ends(struct emission *e)
{
    bool any = false;

    if (!host_readable(e->inst->config, (STOP_INTS + 2) * sizeof(int))) {
        return false;
    }
    for (size_t i = 0; i < STOP_INTS; i++) {
        e->stops[i] = at_stop(e, i, 1, 0);
        any |= e->stops[i];
    }
    return any;
}

static bool is_ending(struct emission *e)
{
    for (size_t i = 0; i < STOP_INTS && !e->stopping; i++) {
        e->stopping = e->stops[i] && at_stop(e, i, 0, 1);
    }
    return e->stopping;
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct instance *inst, const char *format,
                                                         ...)
{
    char text[1024];
    int n = snprintf(text, sizeof(text),
                     "events can't go under other tags (emit_tags, on_error "
                     "route): ");
    va_list args;

    va_start(args, format);
    vsnprintf(text + n, sizeof(text) - (size_t) n, format, args);
    va_end(args);
    border_print(inst, FLB_LOG_ERROR, text);
    return false;
}

bool emission_check(struct instance *inst)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct emission_options *o = &inst->emits;

    if (!o->wanted) {
        return true;
    }
    pthread_once(&once, look_up);
    if (missing != NULL) {
        return refuse(inst, "this Fluent Bit does not export %s; 2.2 and later do", missing);
    }
    if (host.name_exists(o->name, inst->config)) {
        return refuse(inst, "there is an input %s already: set emitter_name to another name",
                      o->name);
    }
    return true;
}

// make_emitter makes an input that takes events, of the given name, with a limit unless that is 0; NULL:
// the host can't, and has said why.
static struct flb_input_instance *make_emitter(struct emission *e, const char *name, int64_t limit)
{
    struct flb_config *config = e->inst->config;
    struct flb_input_instance *in = host.input_new(config, "emitter", NULL, 0);
    char number[32];

    if (in == NULL) {
        return NULL;
    }
    snprintf(number, sizeof(number), "%" PRId64, limit);
    if (host.set_property(in, "alias", name) == 0 &&
        host.set_property(in, "mem_buf_limit", number) == 0 &&
        host.set_property(in, "storage.type",
                          e->inst->emits.filesystem ? "filesystem" : "memory") == 0 &&
        (limit > 0 || host.set_property(in, "storage.pause_on_chunks_overlimit", "off") == 0) &&
        host.instance_init(in, config) == 0 && host.storage_create(e->cio, in) == 0) {
        return in;
    }
    host.instance_exit(in, config);
    host.instance_destroy(in);
    return NULL;
}

// The emissions that there are: their emitters are told from those of other plugins.
static struct {
    pthread_mutex_t lock;
    struct emission *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void enter_all(struct emission *e)
{
    pthread_mutex_lock(&all.lock);
    e->next = all.first;
    all.first = e;
    pthread_mutex_unlock(&all.lock);
}

static void leave_all(struct emission *e)
{
    pthread_mutex_lock(&all.lock);
    for (struct emission **p = &all.first; *p != NULL; p = &(*p)->next) {
        if (*p == e) {
            *p = e->next;
            break;
        }
    }
    pthread_mutex_unlock(&all.lock);
}

static bool is_of_this_plugin(const struct flb_input_instance *in)
{
    bool found = false;

    pthread_mutex_lock(&all.lock);
    for (const struct emission *e = all.first; e != NULL; e = e->next) {
        found |= in == e->emitter || in == e->last;
    }
    pthread_mutex_unlock(&all.lock);
    return found;
}

// input_is_emitter says whether an input is one, of this filter or of another one: rewrite_tag has some, too.
// Its name, emitter.N, stands near the beginning of struct flb_input_instance (flb_input.h, 2.2 to 5.1).
static bool input_is_emitter(const struct flb_input_instance *in)
{
    enum { NAMED = 192 };

    return in != NULL && memmem(in, NAMED, "emitter.", 8) != NULL;
}

// append has the emitter take events. False: it is busy, and nothing was taken.
static bool append(struct emission *e, struct flb_input_instance *in, const flbwt_destination *to,
                   const uint8_t *events, size_t n)
{
    e->tag.len = 0;
    if (!flbwt_reserve(&e->tag, (size_t) to->tag_len + 1)) {
        return false;
    }
    memcpy(e->tag.data, to->tag, to->tag_len);
    e->tag.data[to->tag_len] = '\0'; // for matches of older hosts
    e->delivering = true;
    bool ok = host.log_append(in, (const char *) e->tag.data, to->tag_len, events, n) == 0;
    e->delivering = false;
    return ok;
}

static struct flb_input_instance *last_emitter(struct emission *e)
{
    if (e->last == NULL && e->stopping) {
        char name[512];

        // The emitter stays paused once the pipeline stops, if it was.
        snprintf(name, sizeof(name), "%s_end", e->inst->emits.name);
        e->last = make_emitter(e, name, 0);
    }
    return e->last;
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
        to->taken = events != NULL &&
                    (append(e, e->emitter, to, events, n) ||
                     (e->stopping && last_emitter(e) != NULL && append(e, e->last, to, events, n)));
        if (to->taken) {
            e->appended = true;
            count(&counters(e)->delivered, to->events);
        }
        busy |= !to->taken;
    }
    pthread_mutex_lock(&e->lock);
    e->busy = busy;
    pthread_mutex_unlock(&e->lock);
}

static size_t bytes_of(const flbwt_buffer *journal) { return journal->len + sizeof(struct held); }

// hold has a journal wait, which it then owns. False: there is no room, and the caller keeps it.
static bool hold(struct emission *e, flbwt_buffer *journal, int64_t until_ns)
{
    struct held *h = malloc(sizeof(*h));

    if (h == NULL) {
        return false;
    }
    // What a journal has beyond its length does not count.
    uint8_t *exact = realloc(journal->data, journal->len);
    if (exact != NULL) {
        journal->data = exact;
        journal->cap = journal->len;
    }
    *h = (struct held) {.until_ns = until_ns, .journal = *journal};
    pthread_mutex_lock(&e->lock);
    if (e->held_bytes + bytes_of(journal) > (size_t) e->inst->emits.limit) {
        pthread_mutex_unlock(&e->lock);
        free(h);
        return false;
    }
    set_held(e, e->held_bytes + bytes_of(journal));
    *e->end = h;
    e->end = &h->next;
    pthread_mutex_unlock(&e->lock);
    *journal = (flbwt_buffer) {0};
    return true;
}

// take_held returns what waits for longest; NULL: nothing does. put_back has it do so again.
static struct held *take_held(struct emission *e)
{
    pthread_mutex_lock(&e->lock);
    struct held *h = e->first;
    if (h != NULL) {
        e->first = h->next;
        if (e->first == NULL) {
            e->end = &e->first;
        }
        set_held(e, e->held_bytes - bytes_of(&h->journal));
    }
    pthread_mutex_unlock(&e->lock);
    return h;
}

static void put_back(struct emission *e, struct held *h)
{
    pthread_mutex_lock(&e->lock);
    h->next = e->first;
    e->first = h;
    if (h->next == NULL) {
        e->end = &h->next;
    }
    set_held(e, e->held_bytes + bytes_of(&h->journal));
    pthread_mutex_unlock(&e->lock);
}

static void free_held(struct held *h)
{
    free(h->journal.data);
    free(h);
}

// events_left is how many of a delivery are not taken: those in a loop, or the others.
static uint64_t events_left(const flbwt_delivery *d, bool cut)
{
    uint64_t events = 0;

    for (uint32_t i = 0; i < d->destinations; i++) {
        const flbwt_destination *to = flbwt_delivery_at(d, i);

        events += !to->taken && to->cut == cut ? to->events : 0;
    }
    return events;
}

// take_others has all be taken but what is in a loop.
static void take_others(flbwt_delivery *d)
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

    while ((h = take_held(e)) != NULL) {
        if (h->until_ns <= now) {
            drop(e, DROPPED_LATE, events_of(&h->journal));
            free_held(h);
            continue;
        }
        flbwt_buffer left = {0};
        bool sorted = flbwt_delivery_sort(d, h->journal.data, h->journal.len);

        if (sorted) {
            deliver(e);
        }
        if (sorted && events_left(d, false) == 0) {
            free_held(h);
            continue;
        }
        if (e->inst->emits.on_busy == ON_BUSY_DROP) {
            drop(e, DROPPED_BUSY, sorted ? events_left(d, false) : events_of(&h->journal));
            free_held(h);
            continue;
        }
        if (sorted && flbwt_delivery_journal(d, &left)) {
            free(h->journal.data);
            h->journal = left;
        }
        else {
            free(left.data);
        }
        put_back(e, h);
        return false;
    }
    return true;
}

// want_pause has the timer pause an input of which events wait. Here the input is in the midst of an append, whose
// data it still needs: servers (forward) close connections when they are paused.
static void want_pause(struct emission *e, struct flb_input_instance *in)
{
    for (int i = 0; i < e->to_pause_count; i++) {
        if (e->to_pause[i] == in) {
            return;
        }
    }
    if (in != NULL && e->to_pause_count < MAX_PAUSED) {
        e->to_pause[e->to_pause_count++] = in;
    }
}

static bool has_paused(const struct emission *e, const struct flb_input_instance *in)
{
    bool found = false;

    for (int i = 0; i < e->paused_count; i++) {
        found |= e->paused[i] == in;
    }
    return found;
}

// resume_input has an input go on, unless events of another filter wait for that, or the host has paused it
// meanwhile, which then lets it go on.
static void resume_input(const struct emission *e, struct flb_input_instance *in)
{
    bool others = false;

    pthread_mutex_lock(&all.lock);
    for (const struct emission *other = all.first; other != NULL; other = other->next) {
        others |= other != e && has_paused(other, in);
    }
    pthread_mutex_unlock(&all.lock);
    // One that is paused for its limits says so if it is to be paused again. A gate that is closed is asked: it
    // opens if it may, else it pauses the input once more, until its own timer lets it go on.
    if (others || host.input_pause(in) != 0) {
        return;
    }
    if (host.gate_protect != NULL && host.gate_maybe_resume != NULL) {
        host.gate_maybe_resume(in);
        if (host.gate_protect(in) != 0) {
            return;
        }
    }
    host.input_resume(in);
}

// pause_input pauses an input, also one that is paused already: the host may have let it go on.
static void pause_input(struct emission *e, struct flb_input_instance *in)
{
    if (host.input_pause(in) != 0) {
        return; // the host has paused it, and lets it go on when it will
    }
    pthread_mutex_lock(&all.lock);
    bool noted = has_paused(e, in);
    if (!noted && e->paused_count < MAX_PAUSED) {
        e->paused[e->paused_count++] = in;
        noted = true;
    }
    pthread_mutex_unlock(&all.lock);
    if (!noted) {
        resume_input(e, in);
    }
}

// pause_inputs has the host read no more of inputs while events of them wait: they would have to be dropped.
static void pause_inputs(struct emission *e)
{
    for (int i = 0; i < e->to_pause_count; i++) {
        pause_input(e, e->to_pause[i]);
    }
}

static void resume_inputs(struct emission *e)
{
    for (int i = 0; i < e->paused_count; i++) {
        resume_input(e, e->paused[i]);
    }
    pthread_mutex_lock(&all.lock);
    e->paused_count = 0;
    pthread_mutex_unlock(&all.lock);
}

// keep appends events to what comes out of the chunk.
static bool keep(struct job *job, const uint8_t *events, size_t n)
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

// have_wait has what is left of a delivery wait. False: there is no room.
static bool have_wait(struct emission *e, const flbwt_delivery *d)
{
    const struct emission_options *o = &e->inst->emits;
    int64_t until = o->on_busy == ON_BUSY_BLOCK ? now_ns() + o->block_ns : INT64_MAX;
    flbwt_buffer journal = {0};
    bool held = flbwt_delivery_journal(d, &journal) && hold(e, &journal, until);

    free(journal.data);
    return held;
}

// settle decides about what is left of a delivery: job is that of the chunk that it came of, or of a tick.
static void settle(struct emission *e, flbwt_delivery *d, struct job *job, bool may_wait,
                   struct flb_input_instance *input)
{
    const struct emission_options *o = &e->inst->emits;
    bool chunk = job->kind == JOB_FILTER;
    uint64_t busy = events_left(d, false), cut = events_left(d, true);

    may_wait |= o->on_busy == ON_BUSY_BLOCK || (!chunk && o->on_busy == ON_BUSY_KEEP);
    if (busy > 0 && may_wait && have_wait(e, d)) {
        take_others(d);
        busy = 0;
        if (o->on_busy == ON_BUSY_BLOCK && pthread_equal(pthread_self(), e->engine)) {
            want_pause(e, input);
        }
    }
    else if (busy > 0 && (!chunk || o->on_busy == ON_BUSY_DROP)) {
        drop(e, may_wait ? DROPPED_FULL : DROPPED_BUSY, busy);
        take_others(d);
        busy = 0;
    }
    if (!chunk && cut > 0) { // there is no chunk for them to stay in
        drop(e, TICK_LOOPED, cut);
        cut = 0;
    }
    if (busy + cut == 0) {
        return;
    }
    uint32_t events;
    size_t n;
    const uint8_t *bytes = flbwt_delivery_left(d, &n, &events);

    if (bytes == NULL || !keep(job, bytes, n)) {
        drop(e, DROPPED_NO_MEMORY, busy + cut);
        return;
    }
    count(&counters(e)->kept, busy);
    tell(e, KEPT, busy, false);
    count(&counters(e)->looped, cut);
    tell(e, LOOPED, cut, false);
}

void emission_begin(struct instance *inst, struct flb_input_instance *input, struct job *job)
{
    if (inst->emission != NULL) {
        count(&inst->emission->chunks, 1);
        job->count_hops = inst->emission->emitter != NULL && input_is_emitter(input);
        if (job->count_hops && inst->emits.tick_ns > 0) {
            job->tick_hops = flbwt_chunk_hops(job->data, job->size);
        }
    }
}

// give_back returns what a journal has allocated to the instance, for the next one.
static void give_back(struct instance *inst, flbwt_buffer *journal)
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

    is_ending(e);
    bool free = drain(e, now_ns()); // what has waited comes first

    if (!flbwt_delivery_sort(d, job->routed.data, job->routed.len)) {
        drop(e, DROPPED_NO_MEMORY, events_of(&job->routed));
        return;
    }
    if (free) {
        deliver(e);
    }
    settle(e, d, job, false, input);
    flbwt_delivery_give_back(d);
}

// deliver_later does so where the emitter can't be called. In a loop, all stays.
static void deliver_later(struct emission *e, struct job *job, bool loop,
                          struct flb_input_instance *input)
{
    flbwt_delivery d = {.seed = e->delivery.seed};

    if (!flbwt_delivery_sort(&d, job->routed.data, job->routed.len)) {
        drop(e, DROPPED_NO_MEMORY, events_of(&job->routed));
        flbwt_delivery_end(&d);
        return;
    }
    for (uint32_t i = 0; loop && i < d.destinations; i++) {
        flbwt_delivery_at(&d, i)->cut = true;
    }
    pthread_mutex_lock(&e->lock);
    bool busy = e->busy;
    pthread_mutex_unlock(&e->lock);
    settle(e, &d, job, !busy, input_is_emitter(input) ? NULL : input);
    flbwt_delivery_end(&d);
}

void emission_deliver(struct instance *inst, struct flb_input_instance *input, struct job *job)
{
    struct emission *e = inst->emission;

    if (job->routed.len > 0 && e != NULL && e->emitter != NULL) {
        bool engine = pthread_equal(pthread_self(), e->engine);
        // Filters run inside of a delivery, and this one may be among them.
        bool loop = (engine && e->delivering) ||
                    (input != NULL && (input == e->emitter || input == e->last));

        // An emitter of rewrite_tag, from 3.0 on, frees what is added to it while it delivers.
        bool nested = input_is_emitter(input) && !is_of_this_plugin(input);

        if (engine && !loop && !nested && has_stack_for_go()) {
            deliver_here(e, job, input);
        }
        else {
            deliver_later(e, job, loop, input);
        }
    }
    if (job->routed.data != NULL) {
        give_back(inst, &job->routed);
    }
}

// tick has the guest ticked, and delivers what it makes. False: the instance is busy with a chunk.
static bool tick(struct emission *e, bool final)
{
    struct job job = {.kind = JOB_TICK, .final = final};

    border_call(e->inst, &job);
    if (job.busy) {
        return false;
    }
    emission_deliver(e->inst, NULL, &job);
    return true;
}

static uint64_t chunks_of(struct emission *e)
{
    return __atomic_load_n(&e->chunks, __ATOMIC_RELAXED);
}

// tick_finally has the guest hand over what it holds, unless it has since the last chunk.
// False: it holds nothing, or is busy.
static bool tick_finally(struct emission *e)
{
    uint64_t chunks = chunks_of(e);

    if (e->inst->emits.tick_ns == 0 || (e->ended && e->ended_at == chunks) || !tick(e, true)) {
        return false;
    }
    e->ended = true;
    e->ended_at = chunks;
    return true;
}

// round_off has all filters of the pipeline hand over what they hold, again and again as long as some get
// what others have handed over: the host ends with the next full second of its clock, which may be at once.
static void round_off(const struct emission *e)
{
    enum { ROUNDS = 8, FILTERS = 256 };
    struct emission *here[FILTERS];
    size_t n = 0;
    bool more = true;

    pthread_mutex_lock(&all.lock);
    for (struct emission *p = all.first; p != NULL && n < FILTERS; p = p->next) {
        if (p->timer != NULL && p->inst->config == e->inst->config) {
            here[n++] = p; // on this thread, which ends them, too
        }
    }
    pthread_mutex_unlock(&all.lock);
    for (int round = 0; more && round < ROUNDS; round++) {
        more = false;
        for (size_t i = n; i-- > 0;) { // the first to start comes first
            is_ending(here[i]); // its own timer may not have been called yet
            more |= tick_finally(here[i]);
            drain(here[i], now_ns());
        }
    }
    bool appended = false;
    for (size_t i = 0; i < n; i++) {
        appended |= here[i]->appended;
        here[i]->appended = false;
    }
    if (appended) {
        // The host flushes when it is told to stop, which is over, and may end before it would again.
        host.engine_flush(e->inst->config, NULL);
    }
}

static void tick_in_time(struct emission *e, int64_t now)
{
    int64_t every = e->inst->emits.tick_ns;

    if (every > 0 && now >= e->next_tick_ns && tick(e, false)) {
        e->next_tick_ns += every;
        if (e->next_tick_ns <= now) {
            e->next_tick_ns = now + every;
        }
    }
}

static void tell_all(struct emission *e, bool now)
{
    for (int i = 0; i < ABOUTS; i++) {
        if (__atomic_load_n(&e->untold[i], __ATOMIC_RELAXED) > 0) {
            tell(e, i, 0, now);
        }
    }
}

// come_round is called by the timer.
static void come_round(void *arg)
{
    struct emission *e = arg;

    if (is_ending(e)) {
        round_off(e);
        return;
    }
    int64_t now = now_ns();
    if (drain(e, now)) {
        pthread_mutex_lock(&e->lock);
        e->busy = false; // as far as is known: the next one finds out
        pthread_mutex_unlock(&e->lock);
        resume_inputs(e);
    }
    else {
        pause_inputs(e);
    }
    e->to_pause_count = 0;
    tick_in_time(e, now);
    tell_all(e, false);
}

// has_emitter makes what takes events. False: the log says why it can't be.
static bool has_emitter(struct emission *e)
{
    struct instance *inst = e->inst;

    if (!emission_check(inst)) {
        return false;
    }
    if (!is_in_pipeline(inst)) {
        return refuse(inst,
                      "a filter in processors of an input or output can't do that; one of the "
                      "pipeline's filters can");
    }
    e->cio = find_cio(inst->config);
    if (e->cio == NULL) {
        return refuse(inst, "where this Fluent Bit has its storage is not known");
    }
    if (!see_ends(e)) {
        return refuse(inst, "where this Fluent Bit says that it ends is not known");
    }
    e->emitter = make_emitter(e, inst->emits.name, inst->emits.limit);
    if (e->emitter == NULL) {
        return refuse(inst, "Fluent Bit can't make the emitter %s%s", inst->emits.name,
                      inst->emits.filesystem
                          ? ": emitter_storage.type filesystem needs storage.path "
                            "of the service to be set"
                          : "");
    }
    return true;
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

    if (inst->emits.wanted && !has_emitter(e)) {
        return false;
    }
    e->timer = engine_timer_start(TIMER_MS, come_round, e, &why);
    if (e->timer != NULL) {
        return true;
    }
    if (e->emitter != NULL) {
        host.instance_exit(e->emitter, inst->config);
        host.instance_destroy(e->emitter);
        return refuse(inst, "%s", why);
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
        return refuse(inst, "there is no memory");
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
        see_ends(e);
    }
    if (!begin(e)) {
        free_emission(e);
        return false;
    }
    enter_all(e);
    inst->emission = e;
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
    if (inst->emits.tick_ns > 0 && (!e->ended || e->ended_at != chunks_of(e))) {
        struct job job = {.kind = JOB_TICK, .final = true};

        border_call(inst, &job);
        lost += events_of(&job.routed);
        give_back(inst, &job.routed);
    }
    if (e->timer != NULL) {
        engine_timer_end(e->timer);
    }
    while ((h = take_held(e)) != NULL) {
        lost += events_of(&h->journal);
        free_held(h);
    }
    tell_all(e, true);
    if (lost > 0) {
        char text[256];

        count(&counters(e)->dropped, lost);
        snprintf(text, sizeof(text),
                 "%" PRIu64 " events for other tags are lost: Fluent Bit ends before it has taken "
                 "them",
                 lost);
        border_print(inst, FLB_LOG_ERROR, text);
    }
    inst->emission = NULL;
    leave_all(e);
    free_emission(e);
}
