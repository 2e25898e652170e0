/*
 * A stand-in for cmetrics and for the scheduler, as far as a filter may write its metrics by them.
 * Like the real ones up to Fluent Bit 5.0 it tells the values of labels apart by their bytes in a
 * row, and it aborts where those would do damage: when something is written to what has been freed,
 * on another thread than the engine's, or of a number of labels that is not the metric's.
 *
 * Signatures: cmt_counter.h and cmt_gauge.h (cmetrics 0.3.7 and 2.2.1), flb_scheduler.h (v1.9.10 and
 * v5.1.1). Include it in exactly one file.
 */
#ifndef HOST_METRICS_H
#define HOST_METRICS_H

#include "layout.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define MAX_METRICS 128
#define MAX_SAMPLES 4096
#define MAX_TIMERS  640

struct cmt;

struct sample {
    char *joined;                   /* the values in a row */
    char **values;
    double value;
};

/* counter and gauge alike; as in struct cmt_counter, cmt stands behind 64 bytes. */
struct metric {
    char *name;                     /* all of it */
    char *help;
    int is_counter;
    int may_reset;
    int labels;
    char **keys;
    uint64_t rest[3];
    struct cmt *cmt;
    struct sample *samples;
    int count;
};

struct cmt {
    int alive;
    struct metric *metrics[MAX_METRICS];
    int count;
    char rest[128];
};

static pthread_t engine;            /* the thread that is it, if there is one */
static int has_engine;
static int metric_writes;           /* calls that have set a value */

static void metrics_die(const char *what, const char *name)
{
    fprintf(stderr, "[host] metrics: %s: %s\n", what, name);
    abort();
}

static char *copy_of(const char *s)
{
    char *copy = strdup(s);

    if (!copy) {
        metrics_die("no memory", s);
    }
    return copy;
}

static __attribute__((unused)) char **copies_of(int n, char **list)
{
    char **copies = calloc((size_t) n + 1, sizeof(*copies));
    int i;

    for (i = 0; i < n; i++) {
        copies[i] = copy_of(list[i]);
    }
    return copies;
}

#if FAMILY != FAMILY_UNKNOWN

static struct metric *create(struct cmt *cmt, int is_counter, char *ns, char *subsystem, char *name,
                             char *help, int labels, char **keys)
{
    struct metric *m = calloc(1, sizeof(*m));
    char full[1024];

    if (!cmt->alive || cmt->count == MAX_METRICS) {
        metrics_die("no cmt, or too much in it", name);
    }
    if (!has_engine || !pthread_equal(engine, pthread_self())) {
        metrics_die("made on another thread than the engine's", name);
    }
    if (help[0] == '\0') {
        metrics_die("no help", name);
    }
    snprintf(full, sizeof(full), "%s_%s_%s", ns, subsystem, name);
    m->name = copy_of(full);
    m->help = copy_of(help);
    m->is_counter = is_counter;
    m->labels = labels;
    m->keys = copies_of(labels, keys);
    m->cmt = cmt;
    m->samples = calloc(MAX_SAMPLES, sizeof(m->samples[0]));
    cmt->metrics[cmt->count++] = m;
    return m;
}

static int set(struct metric *m, double value, int labels, char **values)
{
    char joined[8192] = "";
    int i;

    if (!m->cmt->alive) {
        metrics_die("set after its end", m->name);
    }
    if (!has_engine || !pthread_equal(engine, pthread_self())) {
        metrics_die("set on another thread than the engine's", m->name);
    }
    if (labels != m->labels) {
        metrics_die("another number of labels", m->name);
    }
    for (i = 0; i < labels; i++) {
        strcat(joined, values[i]);
    }
    for (i = 0; i < m->count && strcmp(m->samples[i].joined, joined) != 0; i++) {}
    if (i == MAX_SAMPLES) {
        metrics_die("too many values", m->name);
    }
    if (i == m->count) {
        m->samples[i].joined = copy_of(joined);
        m->samples[i].values = copies_of(labels, values);
        m->count++;
    }
    if (m->is_counter && !m->may_reset && value < m->samples[i].value) {
        metrics_die("a counter goes back", m->name);
    }
    m->samples[i].value = value;
    metric_writes++;
    return 0;
}

struct metric *cmt_counter_create(struct cmt *cmt, char *ns, char *subsystem, char *name,
                                  char *help, int labels, char **keys)
{
    return create(cmt, 1, ns, subsystem, name, help, labels, keys);
}

void cmt_counter_allow_reset(struct metric *m) { m->may_reset = 1; }

int cmt_counter_set(struct metric *m, uint64_t ns, double value, int labels, char **values)
{
    (void) ns;
    return set(m, value, labels, values);
}

struct metric *cmt_gauge_create(struct cmt *cmt, char *ns, char *subsystem, char *name, char *help,
                                int labels, char **keys)
{
    return create(cmt, 0, ns, subsystem, name, help, labels, keys);
}

int cmt_gauge_set(struct metric *m, uint64_t ns, double value, int labels, char **values)
{
    (void) ns;
    return set(m, value, labels, values);
}

#endif

static void free_list(char **list)
{
    int i;

    for (i = 0; list[i]; i++) {
        free(list[i]);
    }
    free(list);
}

/* What the host makes for an instance before its cb_init. */
static void make_cmt(struct filter_instance *ins)
{
    struct metric *first;

    ins->cmt = calloc(1, sizeof(*ins->cmt));
    first = calloc(1, sizeof(*first));
    ins->cmt->alive = 1;
    first->cmt = ins->cmt;
    ins->first_counter = first;
}

/* The cmt's memory stays, so that what is written to it later shows. */
static void destroy_cmt(struct cmt *cmt)
{
    int i;
    int k;

    cmt->alive = 0;
    for (i = 0; i < cmt->count; i++) {
        struct metric *m = cmt->metrics[i];

        for (k = 0; k < m->count; k++) {
            free(m->samples[k].joined);
            free_list(m->samples[k].values);
        }
        free(m->samples);
        free_list(m->keys);
    }
}

/* The scheduler of the engine's thread. */
static struct timer {
    void (*cb)(void *config, void *data);
    void *data;
    int active;
} timers[MAX_TIMERS];

static int timer_count;

#if FAMILY != FAMILY_UNKNOWN

void *flb_sched_ctx_get(void)
{
    return has_engine && pthread_equal(engine, pthread_self()) ? timers : NULL;
}

int flb_sched_timer_cb_create(void *sched, int type, int ms, void (*cb)(void *config, void *data),
                              void *data, struct timer **out)
{
    struct timer *t = &timers[timer_count];

    if (sched != timers || type != 4 || ms < 100 || timer_count == MAX_TIMERS) {
        return -1;
    }
    t->cb = cb;
    t->data = data;
    t->active = 1;
    timer_count++;
    *out = t;
    return 0;
}

void flb_sched_timer_invalidate(struct timer *t)
{
    if (!t->active) {
        metrics_die("a timer ends twice", "");
    }
    t->active = 0;
}

#endif

#endif
