#include "border.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "_cgo_export.h"

// The stack of a worker: wasm_stack_size at its most, and room for Go's C calls
// and wasmtime below it.
enum { WORKER_STACK_BYTES = 8 * 1024 * 1024 };

// own_signals leaves a thread of the plugin the signals that it causes itself,
// and those of Go's scheduler and profiler. The host's are for the host's
// threads: its handlers would run on whatever stack a goroutine has.
static void own_signals(sigset_t *set)
{
    static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
                               SIGABRT, SIGSYS, SIGURG, SIGPROF};

    sigfillset(set);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        sigdelset(set, kept[i]);
    }
}

static sigset_t loader_signals;

// Go's threads inherit the mask of the thread that loads the library, on which
// the Go runtime starts: after constructors with a priority, and before the
// library's last ones.
__attribute__((constructor(102))) static void before_go(void)
{
    sigset_t own;

    own_signals(&own);
    pthread_sigmask(SIG_SETMASK, &own, &loader_signals);
}

__attribute__((constructor)) static void after_go(void)
{
    pthread_sigmask(SIG_SETMASK, &loader_signals, NULL);
}

static void run(struct instance *inst, struct job *job)
{
    switch (job->kind) {
    case JOB_START:
        inst->handle = flbwtStart(inst);
        job->result = inst->handle != 0 ? 0 : -1;
        break;
    case JOB_FILTER:
        job->result = flbwtFilter(inst->handle, (void *) job->tag, job->tag_len,
                                  (void *) job->data, job->size, &job->out, &job->out_size);
        break;
    case JOB_STOP:
        if (inst->handle != 0) {
            flbwtStop(inst->handle);
        }
        break;
    }
}

static void *worker_main(void *arg)
{
    struct instance *inst = arg;
    bool stopped = false;

    pthread_mutex_lock(&inst->lock);
    while (!stopped) {
        while (inst->first == NULL) {
            pthread_cond_wait(&inst->work, &inst->lock);
        }
        struct job *job = inst->first;
        inst->first = job->next;
        pthread_mutex_unlock(&inst->lock);

        inst->current = job;
        run(inst, job);
        inst->current = NULL;
        stopped = job->kind == JOB_STOP;

        pthread_mutex_lock(&inst->lock);
        job->finished = true;
        pthread_cond_broadcast(&inst->done);
    }
    pthread_mutex_unlock(&inst->lock);
    return NULL;
}

int plugin_thread(pthread_t *thread, void *(*start)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t own, before;
    int error;

    own_signals(&own);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &own, &before);
    error = pthread_create(thread, &attr, start, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return error;
}

int worker_start(struct instance *inst)
{
    pthread_mutex_init(&inst->lock, NULL);
    pthread_cond_init(&inst->work, NULL);
    pthread_cond_init(&inst->done, NULL);
    return plugin_thread(&inst->thread, worker_main, inst);
}

static void *output_main(void *handle)
{
    flbwtThread((uintptr_t) handle);
    return NULL;
}

int border_thread(uintptr_t handle)
{
    pthread_t thread;
    int error = plugin_thread(&thread, output_main, (void *) handle);

    if (error == 0) {
        pthread_detach(thread);
    }
    return error;
}

void worker_call(struct instance *inst, struct job *job)
{
    job->finished = false;
    job->lines = NULL;
    job->lines_end = &job->lines;
    job->next = NULL;

    pthread_mutex_lock(&inst->lock);
    if (inst->first == NULL) {
        inst->first = job;
    }
    else {
        inst->last->next = job;
    }
    inst->last = job;
    pthread_cond_signal(&inst->work);
    while (!job->finished) {
        pthread_cond_wait(&inst->done, &inst->lock);
    }
    pthread_mutex_unlock(&inst->lock);

    if (job->kind == JOB_STOP) {
        pthread_join(inst->thread, NULL);
        pthread_cond_destroy(&inst->done);
        pthread_cond_destroy(&inst->work);
        pthread_mutex_destroy(&inst->lock);
    }
}
