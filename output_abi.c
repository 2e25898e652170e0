#define _GNU_SOURCE
#include "plugin.h"
#include "internal/bounds/clock.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "_cgo_export.h"

// What the Go proxy passes to FLBPluginRegister (include/fluent-bit/flb_plugin_proxy.h):
// up to description in 1.9, event_type since 4.2, config_map since 5.1.1.
struct plugin_definition {
    int type, proxy, flags;
    char *name, *description;
    int event_type;
    void *config_map;
};

_Static_assert(offsetof(struct plugin_definition, config_map) == 40, "config_map, 5.1.1");

// What it passes to FLBPluginInit (src/proxy/go/go.h, include/fluent-bit/flb_api.h, 1.9 to 5.1).
struct api {
    const char *(*output_get_property)(const char *key, struct flb_output_instance *ins);
};

struct output_plugin {
    char *name;
    const struct api *api;
    struct flb_output_instance *o_ins;
    void *context;
};

enum { FLB_ERROR = 0, FLB_OK = 1, FLB_RETRY = 2 }; // flb_output.h, 1.9 to 5.1

// When the engine's event loop came round last, by CLOCK_MONOTONIC; 0 until it has. A
// process has one engine: a reload ends the old one before it makes the next.
static _Atomic int64_t engine_seen;

static struct {
    const char *(*output_name)(struct flb_output_instance *ins);
    int (*output_log_check)(struct flb_output_instance *ins, int level); // not in 1.9
    void (*log_print)(int type, const char *file, int line, const char *fmt, ...);

    // include/fluent-bit/flb_scheduler.h, 1.8 to 5.1
    void *(*sched_ctx_get)(void);
    int (*sched_timer_cb_create)(void *sched, int type, int ms,
                                 void (*cb)(struct flb_config *config, void *data), void *data,
                                 void **timer);
} host;

// The thread that takes jobs to Go, made when the first instance starts.
static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool started;
    struct output_job *first, *last;
} dispatcher = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

// block_size is how much room a block of the host has; 0 if that can't be asked of
// the allocator that gave it.
static size_t block_size(void *block)
{
    size_t (*usable_size)(void *);
    void *allocate = dlsym(RTLD_DEFAULT, "malloc");
    Dl_info of_allocate, of_usable_size;

    *(void **) &usable_size = dlsym(RTLD_DEFAULT, "malloc_usable_size");
    if (allocate == NULL || usable_size == NULL || dladdr(allocate, &of_allocate) == 0 ||
        dladdr(*(void **) &usable_size, &of_usable_size) == 0 ||
        of_allocate.dli_fbase != of_usable_size.dli_fbase) {
        return 0;
    }
    return usable_size(block);
}

// Called when the object is loaded as out_wasmtime.so. The texts are copies: the host keeps or frees
// them, by release.
__attribute__((visibility("default"))) int FLBPluginRegister(void *def)
{
    enum { FLB_PROXY_OUTPUT_PLUGIN = 2, FLB_PROXY_GOLANG = 11 }; // flb_plugin_proxy.h, 1.9 to 5.1
    struct plugin_definition *d = def;

    d->type = FLB_PROXY_OUTPUT_PLUGIN;
    d->proxy = FLB_PROXY_GOLANG;
    d->flags = 0;
    d->name = strdup("wasmtime");
    d->description = strdup("WebAssembly transform on wasmtime, for one destination");
    if (d->name == NULL || d->description == NULL) {
        return -1;
    }

    *(void **) &host.output_name = dlsym(RTLD_DEFAULT, "flb_output_name");
    *(void **) &host.output_log_check = dlsym(RTLD_DEFAULT, "flb_output_log_check");
    *(void **) &host.log_print = dlsym(RTLD_DEFAULT, "flb_log_print");
    *(void **) &host.sched_ctx_get = dlsym(RTLD_DEFAULT, "flb_sched_ctx_get");
    *(void **) &host.sched_timer_cb_create = dlsym(RTLD_DEFAULT, "flb_sched_timer_cb_create");

    // With a config map, the host refuses unknown options. Whether its definition
    // has a place for one shows by its size; 5.0.3 to 5.1.0 may have room there that
    // they never read.
    void *map = border_output_options();
    size_t size = map != NULL ? block_size(def) : 0;
    if (size >= sizeof(*d) && size < 2 * sizeof(*d)) {
        d->config_map = map;
    }
    return 0;
}

const char *border_output_name(void *plugin)
{
    struct output_plugin *p = plugin;

    return host.output_name != NULL ? host.output_name(p->o_ins) : "wasmtime";
}

const char *border_output_property(void *plugin, const char *name)
{
    const struct output_plugin *p = plugin;

    return p->api->output_get_property(name, p->o_ins);
}

struct flb_output_instance *border_output_instance(void *plugin)
{
    return ((struct output_plugin *) plugin)->o_ins;
}

static void print_line(struct flb_output_instance *ins, int level, const char *text)
{
    const char *name = host.output_name != NULL && ins != NULL ? host.output_name(ins) : "wasmtime";

    if (host.log_print == NULL) {
        fprintf(stderr, "[output:wasmtime:%s] %s\n", name, text);
    }
    else if (ins == NULL || (host.output_log_check != NULL ? host.output_log_check(ins, level) != 0
                                                           : level <= FLB_LOG_INFO)) {
        host.log_print(level, NULL, 0, "[output:wasmtime:%s] %s", name, text);
    }
}

void border_output_line(struct output_job *job, int level, const char *text, size_t len)
{
    border_append_line(&job->lines_end, level, text, len);
}

void border_output_done(struct output_job *job, struct flb_output_instance *ins, int result)
{
    pthread_mutex_lock(&dispatcher.lock);
    job->ins = ins;
    job->result = result;
    job->finished = true;
    pthread_cond_signal(&job->done);
    pthread_mutex_unlock(&dispatcher.lock);
}

static void *dispatcher_main(void *arg)
{
    (void) arg;
    pthread_mutex_lock(&dispatcher.lock);
    for (;;) {
        while (dispatcher.first == NULL) {
            pthread_cond_wait(&dispatcher.work, &dispatcher.lock);
        }
        struct output_job *job = dispatcher.first;
        dispatcher.first = job->next;
        pthread_mutex_unlock(&dispatcher.lock);
        flbwtOutput(job);
        pthread_mutex_lock(&dispatcher.lock);
    }
    return NULL;
}

static int dispatcher_start(void)
{
    pthread_t thread;
    int error = 0;

    pthread_mutex_lock(&dispatcher.lock);
    if (!dispatcher.started) {
        error = plugin_thread(&thread, dispatcher_main, NULL);
        if (error == 0) {
            pthread_detach(thread);
            dispatcher.started = true;
        }
    }
    pthread_mutex_unlock(&dispatcher.lock);
    return error;
}

// call hands a job over, waits for it, and prints what was logged.
static int call(struct output_job *job)
{
    job->lines_end = &job->lines;
    pthread_cond_init(&job->done, NULL);
    pthread_mutex_lock(&dispatcher.lock);
    if (dispatcher.first == NULL) {
        dispatcher.first = job;
    }
    else {
        dispatcher.last->next = job;
    }
    dispatcher.last = job;
    pthread_cond_signal(&dispatcher.work);
    while (!job->finished) {
        pthread_cond_wait(&job->done, &dispatcher.lock);
    }
    pthread_mutex_unlock(&dispatcher.lock);
    pthread_cond_destroy(&job->done);

    for (struct log_line *line = job->lines, *next; line != NULL; line = next) {
        next = line->next;
        print_line(job->ins, line->level, line->text);
        free(line);
    }
    return job->result;
}

static int64_t monotonic_ns(void) { return (int64_t) flbwt_clock_ns(CLOCK_MONOTONIC); }

static void see_engine(struct flb_config *config, void *data)
{
    (void) config;
    (void) data;
    atomic_store(&engine_seen, monotonic_ns());
}

// watch_engine has the engine's event loop tell each second that it goes round. The
// engine's thread calls it.
static void watch_engine(void)
{
    enum { FLB_SCHED_TIMER_CB_PERM = 4 }; // flb_scheduler.h, 1.8 to 5.1
    void *timer, *sched = NULL;

    if (host.sched_ctx_get != NULL && host.sched_timer_cb_create != NULL) {
        sched = host.sched_ctx_get();
    }
    atomic_store(&engine_seen, 0);
    if (sched != NULL) {
        host.sched_timer_cb_create(sched, FLB_SCHED_TIMER_CB_PERM, 1000, see_engine, NULL, &timer);
    }
}

int64_t border_engine_silent(void)
{
    int64_t seen = atomic_load(&engine_seen);

    return seen != 0 ? monotonic_ns() - seen : 0;
}

// on_engine tells the engine's thread from those of Workers, which are named
// flb-out-NAME-wN (src/flb_output_thread.c, 1.9 to 5.1).
static bool on_engine(void)
{
    char name[17] = "";

    return prctl(PR_GET_NAME, name) != 0 || strncmp(name, "flb-out-", 8) != 0;
}

__attribute__((visibility("default"))) int FLBPluginInit(void *plugin)
{
    struct output_job job = {.kind = OUTPUT_INIT, .context = plugin};
    struct flb_output_instance *ins = border_output_instance(plugin);
    int error;

    if (border_second_copy()) {
        print_line(ins, FLB_LOG_ERROR,
                   "another copy of this plugin is loaded already: load one "
                   "flb-filter_wasmtime.so, and beside it the small files of other names that "
                   "come with it, or links");
        return FLB_ERROR;
    }
    const char *lack = border_start_go();
    if (lack != NULL) {
        print_line(ins, FLB_LOG_ERROR, lack);
        return FLB_ERROR;
    }
    error = dispatcher_start();
    if (error != 0) {
        char text[128];

        snprintf(text, sizeof(text), "can't start a thread: %s", strerror(error));
        print_line(ins, FLB_LOG_ERROR, text);
        return FLB_ERROR;
    }
    int result = call(&job);
    if (result == FLB_OK) {
        watch_engine();
    }
    border_drop_pages();
    return result;
}

// Fluent Bit calls it on a coroutine, whose stack is small.
__attribute__((visibility("default"))) int FLBPluginFlushCtx(void *context, void *data, size_t size,
                                                             char *tag)
{
    struct output_job job = {.kind = OUTPUT_FLUSH,
                             .context = context,
                             .data = data,
                             .size = size,
                             .tag = tag,
                             .on_engine = on_engine()};

    return context != NULL ? call(&job) : FLB_RETRY;
}

__attribute__((visibility("default"))) int FLBPluginExitCtx(void *context)
{
    struct output_job job = {.kind = OUTPUT_EXIT, .context = context};

    return context != NULL ? call(&job) : FLB_OK;
}

// Hosts look for it, and call it only without FLBPluginExitCtx.
__attribute__((visibility("default"))) int FLBPluginExit(void) { return FLB_OK; }
