#define _GNU_SOURCE
#include "border.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "_cgo_export.h"

// The stack of a worker: wasm_stack_size at its most, and room for Go's C calls
// and wasmtime below it.
enum { WORKER_STACK_BYTES = 8 * 1024 * 1024 };

// What a caller's own stack must have left beyond the guest's share for Go's C
// calls and wasmtime.
enum { STACK_ROOM_BYTES = 512 * 1024 };

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

static void allow_real_time(sigset_t *set)
{
    for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++) {
        sigdelset(set, sig);
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
    bool begun;

    switch (job->kind) {
    case JOB_START:
        inst->handle = flbwtStart(inst);
        job->result = inst->handle != 0 ? 0 : -1;
        break;
    case JOB_FILTER:
        begun = inst->direct != NULL && *inst->ready;
        if (begun) {
            job->result = inst->direct(inst->lane, job->tag, job->tag_len, job->data, job->size,
                                       &job->out, &job->out_size);
        }
        if (!begun || job->result == 0) {
            job->result = flbwtFilter(inst->handle, (void *) job->tag, job->tag_len,
                                      (void *) job->data, job->size, begun, &job->out,
                                      &job->out_size);
        }
        break;
    case JOB_STOP:
        if (inst->handle != 0) {
            flbwtStop(inst->handle);
        }
        break;
    }
}

// exclusively runs a job while no other thread runs one of the instance.
static void exclusively(struct instance *inst, struct job *job)
{
    pthread_mutex_lock(&inst->running);
    inst->current = job;
    run(inst, job);
    inst->current = NULL;
    pthread_mutex_unlock(&inst->running);
}

// What this thread's stack spans; an empty range until it has been asked for.
static __thread char *stack_low, *stack_high;

// stack_left answers how much of its stack this thread has left: 0 if it runs on
// another one, as a coroutine of Fluent Bit does.
static size_t stack_left(void)
{
    char *here = __builtin_frame_address(0);

    if (stack_high == NULL) {
        pthread_attr_t attr;
        void *low;
        size_t size;

        stack_low = stack_high = (char *) &stack_low; // no stack: nothing is left of it
        if (pthread_getattr_np(pthread_self(), &attr) == 0) {
            if (pthread_attr_getstack(&attr, &low, &size) == 0) {
                stack_low = low;
                stack_high = stack_low + size;
            }
            pthread_attr_destroy(&attr);
        }
    }
    return here > stack_low && here < stack_high ? (size_t) (here - stack_low) : 0;
}

// call_here does the job on the thread of the caller, on which Go then runs: with
// the signals of a thread of the plugin, but for the real-time ones, of which the
// watchdog of guests has one.
static void call_here(struct instance *inst, struct job *job)
{
    sigset_t own, before;

    own_signals(&own);
    allow_real_time(&own);
    pthread_sigmask(SIG_BLOCK, &own, &before);
    exclusively(inst, job);
    allow_real_time(&before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
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

        exclusively(inst, job);
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
    pthread_mutex_init(&inst->running, NULL);
    pthread_cond_init(&inst->work, NULL);
    pthread_cond_init(&inst->done, NULL);
    return plugin_thread(&inst->thread, worker_main, inst);
}

void worker_call(struct instance *inst, struct job *job)
{
    job->finished = false;
    job->lines = NULL;
    job->lines_end = &job->lines;
    job->next = NULL;

    if (job->kind == JOB_FILTER && stack_left() >= inst->stack_bytes + STACK_ROOM_BYTES) {
        call_here(inst, job);
        return;
    }
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
        pthread_mutex_destroy(&inst->running);
        pthread_mutex_destroy(&inst->lock);
    }
}
