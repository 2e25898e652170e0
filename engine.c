// The host's engine: its thread, and timers on it.
#define _GNU_SOURCE
#include "plugin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

// flb_scheduler.h, 1.8 to 5.1.
static struct {
    void *(*sched_ctx_get)(void);
    int (*timer_create)(void *sched, int type, int ms,
                        void (*cb)(struct flb_config *config, void *data), void *data,
                        void **timer);
    void (*timer_invalidate)(void *timer);
} host;

enum { TIMER_PERMANENT = 4 }; // FLB_SCHED_TIMER_CB_PERM of flb_scheduler.h, 1.8 to 5.1

static const char *missing; // a function that the host does not export

static void look_up(void)
{
    static const struct host_symbol symbols[] = {
        {(void **) &host.sched_ctx_get, "flb_sched_ctx_get"},
        {(void **) &host.timer_create, "flb_sched_timer_cb_create"},
        {(void **) &host.timer_invalidate, "flb_sched_timer_invalidate"},
    };

    missing = host_look_up(symbols, sizeof(symbols) / sizeof(symbols[0]));
}

bool is_engine_thread(void)
{
    char name[17] = "";

    return prctl(PR_GET_NAME, name) == 0 && strcmp(name, "flb-pipeline") == 0;
}

struct engine_timer {
    pthread_mutex_t lock;
    void (*run)(void *arg); // guarded by lock; NULL: it has been ended
    void *arg;
    void *sched, *timer;
};

static void fire(struct flb_config *config, void *data)
{
    struct engine_timer *t = data;

    (void) config;
    pthread_mutex_lock(&t->lock);
    if (t->run != NULL) {
        t->run(t->arg);
    }
    pthread_mutex_unlock(&t->lock);
}

struct engine_timer *engine_timer_start(int ms, void (*run)(void *arg), void *arg, const char **why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, look_up);
    if (missing != NULL) {
        *why = "it does not export what is needed for that";
        return NULL;
    }
    void *sched = is_engine_thread() ? host.sched_ctx_get() : NULL;

    if (sched == NULL) {
        *why =
            "this instance does not start on the engine's thread (a processor of a threaded input "
            "does not)";
        return NULL;
    }
    if (!has_stack_for_go()) {
        *why = "the engine's thread has too small a stack";
        return NULL;
    }
    struct engine_timer *t = calloc(1, sizeof(*t));

    *why = "it has no timer";
    if (t == NULL) {
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    t->run = run;
    t->arg = arg;
    t->sched = sched;
    if (host.timer_create(sched, TIMER_PERMANENT, ms, fire, t, &t->timer) != 0) {
        pthread_mutex_destroy(&t->lock);
        free(t);
        return NULL;
    }
    return t;
}

void engine_timer_end(struct engine_timer *t)
{
    pthread_mutex_lock(&t->lock);
    t->run = NULL;
    pthread_mutex_unlock(&t->lock);
    // The scheduler goes after all filters (flb_engine_shutdown, flb_config_exit).
    if (is_engine_thread() && host.sched_ctx_get() == t->sched) {
        host.timer_invalidate(t->timer);
        pthread_mutex_destroy(&t->lock);
        free(t);
    }
}
