// Metrics in the host's endpoint. Each filter, input and output instance of Fluent Bit has a struct cmt, of
// what its exporters show; here it is found, and written to. Exporters do not look at those of native
// processors, whose metrics go to the input's or output's.
#define _GNU_SOURCE
#include "plugin.h"
#include "internal/bounds/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

// What Fluent Bit exports and is called here, in all releases from 1.8 to 5.1: cmt_counter.h and
// cmt_gauge.h of cmetrics 0.3.7 to 2.2.1. Strings and labels are copied by it.
static struct {
    void *(*counter_create)(void *cmt, const char *ns, const char *subsystem, const char *name,
                            const char *help, int labels, char **keys);
    void (*counter_allow_reset)(void *counter);
    int (*counter_set)(void *counter, uint64_t ns, double value, int labels, char **values);
    void *(*gauge_create)(void *cmt, const char *ns, const char *subsystem, const char *name,
                          const char *help, int labels, char **keys);
    int (*gauge_set)(void *gauge, uint64_t ns, double value, int labels, char **values);
} host;

static const char *missing; // a function that the host does not export

static void look_up(void)
{
    static const struct host_symbol symbols[] = {
        {(void **) &host.counter_create, "cmt_counter_create"},
        {(void **) &host.counter_allow_reset, "cmt_counter_allow_reset"},
        {(void **) &host.counter_set, "cmt_counter_set"},
        {(void **) &host.gauge_create, "cmt_gauge_create"},
        {(void **) &host.gauge_set, "cmt_gauge_set"},
    };

    missing = host_look_up(symbols, sizeof(symbols) / sizeof(symbols[0]));
}

// metrics is what an instance writes to.
struct metrics {
    struct instance *inst;
    void *cmt;
    struct engine_timer *timer;
};

enum { INTERVAL_MS = 1000 };

// find_cmt returns the struct cmt of a filter instance, which has been given its context; NULL: it
// can't be told. In struct flb_filter_instance (flb_filter.h) stand in a row, in all releases, context,
// data, p, properties (two words), config_map, _head (two words), cmt, and a first counter, of which
// cmt_counter.h says that it points back to its cmt.
static void *find_cmt(const void *ins, const void *context)
{
    enum { CMT = 64, COUNTER = 72, COUNTER_BYTES = 128 }; // from context on
    size_t at = host_context_at(ins, context);

    if (at == 0 || !host_readable((const char *) ins + at, COUNTER + sizeof(void *))) {
        return NULL;
    }
    void *cmt = host_word(ins, at + CMT), *counter = host_word(ins, at + COUNTER);

    if (cmt == NULL || counter == NULL || !host_readable(cmt, COUNTER_BYTES) ||
        !host_readable(counter, COUNTER_BYTES)) {
        return NULL;
    }
    for (size_t i = 0; i < COUNTER_BYTES; i += sizeof(void *)) {
        if (host_word(counter, i) == cmt) {
            return cmt;
        }
    }
    return NULL;
}

static bool has_text(const void *p, const char *text)
{
    return host_readable(p, strlen(text) + 1) && strcmp(p, text) == 0;
}

// owner_of_counter returns what a counter counts for, if it is one of that cmt and of Fluent Bit's own; NULL:
// it is not. A struct cmt_counter begins with namespace and subsystem.
static const char *owner_of_counter(const void *counter, const void *cmt)
{
    enum { COUNTER_BYTES = 96, NAMESPACE = 0, SUBSYSTEM = 8 };

    if (!host_readable(cmt, sizeof(void *)) || !host_readable(counter, COUNTER_BYTES) ||
        !has_text(host_word(counter, NAMESPACE), "fluentbit")) {
        return NULL;
    }
    bool its = false;

    for (size_t i = SUBSYSTEM; i < COUNTER_BYTES; i += sizeof(void *)) {
        its |= host_word(counter, i) == cmt;
    }
    const void *subsystem = host_word(counter, SUBSYSTEM);

    return !its                            ? NULL
           : has_text(subsystem, "input")  ? "input"
           : has_text(subsystem, "output") ? "output"
                                           : NULL;
}

const char *metrics_owner(const void *owner, void **cmt)
{
    // In struct flb_input_instance (flb_input.h) and struct flb_output_instance (flb_output.h) the cmt stands
    // before the first of its counters, at 496 to 688 in 3.0 to 5.1.
    enum { FIRST = 256, LAST = 1024 };

    for (size_t i = FIRST; owner != NULL && i <= LAST; i += sizeof(void *)) {
        if (!host_readable((const char *) owner + i, 2 * sizeof(void *))) {
            break;
        }
        *cmt = host_word(owner, i);

        const char *kind = owner_of_counter(host_word(owner, i + sizeof(void *)), *cmt);

        if (kind != NULL) {
            return kind;
        }
    }
    *cmt = NULL;
    return NULL;
}

// Exporters read a cmt on the engine's thread, and for most releases nobody may write to it elsewhere.
static void write_all(void *arg)
{
    struct metrics *m = arg;

    flbwtMetrics(m->inst->handle, m);
}

static void write_metrics(void *arg) { run_go_here(write_all, arg); }

// begin says why there are no metrics; NULL: there are.
static const char *begin(struct instance *inst, struct metrics *m)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, look_up);
    if (missing != NULL) {
        return "it does not export what is needed for that";
    }
    if (inst->processor) {
        metrics_owner(inst->owner, &m->cmt);
    }
    else {
        m->cmt = find_cmt(inst->ins, inst);
    }
    if (m->cmt == NULL) {
        return "where it has them is not known";
    }
    const char *why = NULL;

    m->timer = engine_timer_start(INTERVAL_MS, write_metrics, m, &why);
    return m->timer != NULL ? NULL : why;
}

void metrics_start(struct instance *inst)
{
    struct metrics *m = calloc(1, sizeof(*m));
    const char *why;

    if (m == NULL) {
        return;
    }
    m->inst = inst;
    why = begin(inst, m);
    if (why == NULL) {
        inst->metrics = m;
        return;
    }
    free(m);
    char text[256];

    snprintf(
        text, sizeof(text),
        "metrics are not in the endpoint of this Fluent Bit: %s; stats_interval has them in the "
        "log",
        why);
    border_print(inst, FLB_LOG_INFO, text);
}

void metrics_stop(struct instance *inst)
{
    struct metrics *m = inst->metrics;

    if (m == NULL) {
        return;
    }
    inst->metrics = NULL;
    engine_timer_end(m->timer);
    free(m);
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
    uint64_t now = flbwt_clock_ns(CLOCK_REALTIME);

    return (counter ? host.counter_set : host.gauge_set)(family, now, value, labels, values) == 0;
}
