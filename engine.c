// The host's engine: its thread, timers on it, and memory of the host that may be looked at.
#define _GNU_SOURCE
#include "plugin.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

// flb_scheduler.h, 1.8 to 5.1.
static struct {
    void *(*sched_ctx_get)(void);
    int (*timer_create)(void *sched, int type, int ms,
                        void (*cb)(struct flb_config *config, void *data), void *data,
                        void **timer);
    void (*timer_invalidate)(void *timer);
} host;

enum { TIMER_PERMANENT = 4 }; // FLB_SCHED_TIMER_CB_PERM of flb_scheduler.h, 1.8 to 5.1

static void look_up(void)
{
    *(void **) &host.sched_ctx_get = dlsym(RTLD_DEFAULT, "flb_sched_ctx_get");
    *(void **) &host.timer_create = dlsym(RTLD_DEFAULT, "flb_sched_timer_cb_create");
    *(void **) &host.timer_invalidate = dlsym(RTLD_DEFAULT, "flb_sched_timer_invalidate");
}

bool engine_readable(const void *p, size_t n)
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

void *engine_word(const void *p, size_t at)
{
    void *word;

    memcpy(&word, (const char *) p + at, sizeof(word));
    return word;
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
    if (host.sched_ctx_get == NULL || host.timer_create == NULL || host.timer_invalidate == NULL) {
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
