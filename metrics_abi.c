// Metrics in the host's endpoint. Each filter instance of Fluent Bit has a struct cmt, of what its
// exporters show; here it is found, and written to.
#define _GNU_SOURCE
#include "plugin.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "_cgo_export.h"

// What Fluent Bit exports and is called here, in all releases from 1.8 to 5.1: cmt_counter.h and
// cmt_gauge.h of cmetrics 0.3.7 to 2.2.1, flb_scheduler.h. Strings and labels are copied by it.
static struct {
    void *(*counter_create)(void *cmt, const char *ns, const char *subsystem, const char *name,
                            const char *help, int labels, char **keys);
    void (*counter_allow_reset)(void *counter);
    int (*counter_set)(void *counter, uint64_t ns, double value, int labels, char **values);
    void *(*gauge_create)(void *cmt, const char *ns, const char *subsystem, const char *name,
                          const char *help, int labels, char **keys);
    int (*gauge_set)(void *gauge, uint64_t ns, double value, int labels, char **values);
    void *(*sched_ctx_get)(void);
    int (*timer_create)(void *sched, int type, int ms,
                        void (*cb)(struct flb_config *config, void *data), void *data,
                        void **timer);
    void (*timer_invalidate)(void *timer);
    bool complete;
} host;

static const struct {
    void **to;
    const char *name;
} wanted[] = {
    {(void **) &host.counter_create, "cmt_counter_create"},
    {(void **) &host.counter_allow_reset, "cmt_counter_allow_reset"},
    {(void **) &host.counter_set, "cmt_counter_set"},
    {(void **) &host.gauge_create, "cmt_gauge_create"},
    {(void **) &host.gauge_set, "cmt_gauge_set"},
    {(void **) &host.sched_ctx_get, "flb_sched_ctx_get"},
    {(void **) &host.timer_create, "flb_sched_timer_cb_create"},
    {(void **) &host.timer_invalidate, "flb_sched_timer_invalidate"},
};

static void look_up(void)
{
    host.complete = true;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        *wanted[i].to = dlsym(RTLD_DEFAULT, wanted[i].name);
        host.complete &= *wanted[i].to != NULL;
    }
}

// metrics is what an instance writes to. It outlives the instance if its timer can't be ended.
struct metrics {
    pthread_mutex_t lock;
    struct instance *inst; // guarded by lock; NULL: it has ended
    void *cmt;
    void *sched, *timer;
};

enum {
    TIMER_PERMANENT = 4, // FLB_SCHED_TIMER_CB_PERM of flb_scheduler.h, 1.8 to 5.1
    INTERVAL_MS = 1000,
};

bool border_readable(const void *p, size_t n)
{
    int ends[2];

    if ((uintptr_t) p % sizeof(void *) != 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return false;
    }
    bool ok = write(ends[1], p, n) == (ssize_t) n;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static void *word_at(const void *p, size_t at)
{
    void *word;

    memcpy(&word, (const char *) p + at, sizeof(word));
    return word;
}

// find_cmt returns the struct cmt of a filter instance, which has been given its context; NULL: it
// can't be told. In struct flb_filter_instance (flb_filter.h) stand in a row, in all releases, context,
// data, p, properties (two words), config_map, _head (two words), cmt, and a first counter, of which
// cmt_counter.h says that it points back to its cmt.
static void *find_cmt(const void *ins, const void *context)
{
    enum {
        FIRST = 48, // context: behind the name and two words in 1.8,
        LAST = 96, // at 80 since 2.1.4
        CMT = 64,
        COUNTER = 72,
        COUNTER_BYTES = 128,
    };
    size_t at = 0;

    for (size_t i = FIRST; i <= LAST; i += sizeof(void *)) {
        if (word_at(ins, i) == context) {
            if (at != 0) {
                return NULL;
            }
            at = i;
        }
    }
    if (at == 0 || !border_readable((const char *) ins + at, COUNTER + sizeof(void *))) {
        return NULL;
    }
    void *cmt = word_at(ins, at + CMT), *counter = word_at(ins, at + COUNTER);

    if (cmt == NULL || counter == NULL || !border_readable(cmt, COUNTER_BYTES) ||
        !border_readable(counter, COUNTER_BYTES)) {
        return NULL;
    }
    for (size_t i = 0; i < COUNTER_BYTES; i += sizeof(void *)) {
        if (word_at(counter, i) == cmt) {
            return cmt;
        }
    }
    return NULL;
}

// on_engine says whether this is the engine's thread (src/flb_lib.c, 1.8 to 5.1). Exporters read a cmt
// there, and for most releases nobody may write to it elsewhere.
static bool on_engine(void)
{
    char name[17] = "";

    return prctl(PR_GET_NAME, name) == 0 && strcmp(name, "flb-pipeline") == 0;
}

static void write_all(void *arg)
{
    struct metrics *m = arg;

    flbwtMetrics(m->inst->handle, m);
}

static void tick(struct flb_config *config, void *data)
{
    struct metrics *m = data;

    (void) config;
    pthread_mutex_lock(&m->lock);
    if (m->inst != NULL) {
        run_go_here(write_all, m);
    }
    pthread_mutex_unlock(&m->lock);
}

// begin says why there are no metrics; NULL: there are.
static const char *begin(struct instance *inst, struct metrics *m)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, look_up);
    if (!host.complete) {
        return "it does not export what is needed for that";
    }
    m->cmt = find_cmt(inst->ins, inst);
    if (m->cmt == NULL) {
        return "where it has them is not known";
    }
    m->sched = on_engine() ? host.sched_ctx_get() : NULL;
    if (m->sched == NULL) {
        return "this filter does not start on the engine's thread (a processor of a threaded input "
               "does not)";
    }
    if (!has_stack_for_go()) {
        return "the engine's thread has too small a stack";
    }
    if (host.timer_create(m->sched, TIMER_PERMANENT, INTERVAL_MS, tick, m, &m->timer) != 0) {
        return "it has no timer";
    }
    return NULL;
}

void metrics_start(struct instance *inst)
{
    struct metrics *m = calloc(1, sizeof(*m));
    const char *why;

    if (m == NULL) {
        return;
    }
    pthread_mutex_init(&m->lock, NULL);
    m->inst = inst;
    why = begin(inst, m);
    if (why == NULL) {
        inst->metrics = m;
        return;
    }
    free(m);
    inst->no_metrics = why;
}

void metrics_stop(struct instance *inst)
{
    struct metrics *m = inst->metrics;

    if (m == NULL) {
        return;
    }
    inst->metrics = NULL;
    pthread_mutex_lock(&m->lock);
    m->inst = NULL;
    pthread_mutex_unlock(&m->lock);
    // The scheduler goes after all filters (flb_engine_shutdown, flb_config_exit).
    if (on_engine() && host.sched_ctx_get() == m->sched) {
        host.timer_invalidate(m->timer);
        pthread_mutex_destroy(&m->lock);
        free(m);
    }
}

void *border_family(struct metrics *m, bool counter, const char *ns, const char *subsystem,
                    const char *name, const char *help, int labels, char **keys)
{
    if (!counter) {
        return host.gauge_create(m->cmt, ns, subsystem, name, help, labels, keys);
    }
    void *made = host.counter_create(m->cmt, ns, subsystem, name, help, labels, keys);
    if (made != NULL) {
        host.counter_allow_reset(made);
    }
    return made;
}

bool border_set(void *family, bool counter, double value, int labels, char **values)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t now = (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
    return (counter ? host.counter_set : host.gauge_set)(family, now, value, labels, values) == 0;
}
