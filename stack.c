#define _GNU_SOURCE
#include "plugin.h"
#include "internal/guest/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "_cgo_export.h"

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

// Written once, while the library is loaded: to make one takes as long as a system call.
static sigset_t blocked; // in a call of the host
static sigset_t real_time, not_real_time;

__attribute__((constructor)) static void make_sets(void)
{
    sigset_t own;

    own_signals(&own);
    sigemptyset(&real_time);
    sigfillset(&not_real_time);
    for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++) {
        sigaddset(&real_time, sig);
        sigdelset(&not_real_time, sig);
    }
    sigandset(&blocked, &own, &not_real_time);
}

// filter_directly filters without Go; false: Go has to go on, or the job is another one.
static bool filter_directly(struct instance *inst, struct job *job)
{
    if (job->kind != JOB_FILTER || inst->lane == NULL || !flbwt_lane_ready(inst->lane)) {
        return false;
    }
    job->result = (int) flbwt_lane_filter(inst->lane, job->tag, job->tag_len, job->data, job->size,
                                          &job->out, &job->out_size);
    return job->result != FLBWT_FILTER_STOPPED;
}

static void run_in_go(struct instance *inst, struct job *job)
{
    switch (job->kind) {
    case JOB_CHECK:
        job->result = flbwtCheck(inst);
        break;
    case JOB_START:
        inst->handle = flbwtStart(inst);
        job->result = inst->handle != 0 ? 0 : -1;
        break;
    case JOB_FILTER:
        job->result = flbwtFilter(inst->handle, (void *) job->tag, job->tag_len, (void *) job->data,
                                  job->size, &job->out, &job->out_size);
        break;
    case JOB_PAYLOAD:
        job->result = flbwtPayload(inst->handle, (void *) job->tag, job->tag_len, &job->payload);
        break;
    case JOB_TICK:
        flbwtTick(inst->handle, job->final);
        break;
    case JOB_STOP:
        if (inst->handle != 0) {
            flbwtStop(inst->handle);
        }
        break;
    }
}

// acquire waits until no other job runs, and makes this one the current one. release has
// to follow. False: another job runs, and this one does not wait.
static bool acquire(struct instance *inst, struct job *job)
{
    pthread_mutex_lock(&inst->lock);
    while (inst->current != NULL && job->kind != JOB_TICK) {
        pthread_cond_wait(&inst->freed, &inst->lock);
    }
    job->busy = inst->current != NULL;
    if (!job->busy) {
        inst->current = job;
    }
    pthread_mutex_unlock(&inst->lock);
    if (!job->busy && inst->lane != NULL) {
        if (job->count_anew) {
            flbwt_lane_forget_hops(inst->lane);
        }
        flbwt_lane_give_hops(inst->lane, job->count_hops, job->tick_hops);
    }
    return !job->busy;
}

// removes_events says whether fewer events have come out of the chunk of a JOB_FILTER than were in it.
static bool removes_events(const struct job *job)
{
    return job->result == FLB_FILTER_MODIFIED &&
           flbwt_chunk_events(job->out, job->out_size) < flbwt_chunk_events(job->data, job->size);
}

// release lets the next job have the instance. This one takes with it what it has emitted under other tags.
static void release(struct instance *inst, struct job *job)
{
    flbwt_lane *lane = job->kind == JOB_STOP ? NULL : inst->lane;

    if (lane != NULL && lane->tick_hops > 0) {
        flbwt_lane_end_hops(lane, job->kind == JOB_TICK,
                            job->tick_hops > 0 && !job->ending && !removes_events(job));
    }
    if (lane != NULL && flbwt_lane_has_journal(lane)) {
        pthread_mutex_lock(&inst->lock);
        job->journal = inst->spare;
        inst->spare = (flbwt_buffer) {0};
        pthread_mutex_unlock(&inst->lock);
        flbwt_lane_take_journal(lane, &job->journal);
    }
    pthread_mutex_lock(&inst->lock);
    inst->current = NULL;
    pthread_cond_signal(&inst->freed);
    pthread_mutex_unlock(&inst->lock);
}

// hand_over has the instance's thread do the current job in Go, and waits for it.
static void hand_over(struct instance *inst, struct job *job)
{
    pthread_mutex_lock(&inst->lock);
    inst->handed = job;
    pthread_cond_signal(&inst->handing);
    while (!job->finished) {
        pthread_cond_wait(&inst->finishing, &inst->lock);
    }
    pthread_mutex_unlock(&inst->lock);
}

static void *instance_main(void *arg)
{
    struct instance *inst = arg;
    bool stopped = false;

    pthread_mutex_lock(&inst->lock);
    while (!stopped) {
        while (inst->handed == NULL) {
            pthread_cond_wait(&inst->handing, &inst->lock);
        }
        struct job *job = inst->handed;
        inst->handed = NULL;
        pthread_mutex_unlock(&inst->lock);

        run_in_go(inst, job);
        stopped = job->kind == JOB_STOP;

        pthread_mutex_lock(&inst->lock);
        job->finished = true;
        pthread_cond_signal(&inst->finishing);
    }
    pthread_mutex_unlock(&inst->lock);
    flbwt_thread_leave();
    return NULL;
}

// What this thread's stack spans; an empty range until it has been asked for.
static __thread char *stack_low, *stack_high;

// stack_left returns how much of its stack this thread has left: 0 if it runs on
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

// block_signals leaves the caller's thread the signals of a thread of the plugin, but
// for the real-time ones, of which the watchdog of guests has one. restore_signals takes
// that back.
static void block_signals(sigset_t *before) { pthread_sigmask(SIG_BLOCK, &blocked, before); }

static void restore_signals(sigset_t *before)
{
    sigset_t after;

    sigandset(&after, before, &not_real_time);
    pthread_sigmask(SIG_SETMASK, &after, NULL);
}

// call_here does the job on the thread of the caller, on which Go then runs.
static void call_here(struct instance *inst, struct job *job)
{
    sigset_t before;

    block_signals(&before);
    if (acquire(inst, job)) {
        if (!filter_directly(inst, job)) {
            run_in_go(inst, job);
        }
        release(inst, job);
    }
    restore_signals(&before);
}

bool has_stack_for_go(void) { return stack_left() >= STACK_ROOM_BYTES; }

bool run_go_here(void (*run)(void *arg), void *arg)
{
    sigset_t before;

    if (!has_stack_for_go()) {
        return false;
    }
    block_signals(&before);
    run(arg);
    restore_signals(&before);
    return true;
}

// A stack that a guest runs on while the thread's own is a coroutine's.
struct stack {
    void *pages;
    size_t size;
    ucontext_t caller, guest;
    struct instance *inst;
    bool done;
};

static struct stack *new_stack(size_t size)
{
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    struct stack *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    // Pages count once they are used. The lowest one ends the process before anything
    // else is overwritten.
    s->size = (size + page - 1) / page * page + page;
    s->pages = mmap(NULL, s->size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (s->pages == MAP_FAILED || mprotect(s->pages, page, PROT_NONE) != 0) {
        if (s->pages != MAP_FAILED) {
            munmap(s->pages, s->size);
        }
        free(s);
        return NULL;
    }
    return s;
}

static void free_stack(struct stack *s)
{
    if (s != NULL) {
        munmap(s->pages, s->size);
        free(s);
    }
}

// What makecontext calls takes numbers, and no pointers.
static __thread struct stack *entered;

static void on_stack(void)
{
    struct stack *s = entered;

    s->done = filter_directly(s->inst, s->inst->current);
}

// enter_stack goes to the stack, and comes back when the guest has.
static bool enter_stack(struct stack *s)
{
    s->done = false;
    if (getcontext(&s->guest) == 0) {
        s->guest.uc_stack.ss_sp = s->pages;
        s->guest.uc_stack.ss_size = s->size;
        s->guest.uc_link = &s->caller;
        makecontext(&s->guest, on_stack, 0);
        entered = s;
        swapcontext(&s->caller, &s->guest);
    }
    return s->done;
}

// run_on_stack is filter_directly on the instance's stack.
static bool run_on_stack(struct instance *inst)
{
    if (inst->stack == NULL) {
        inst->stack = new_stack(inst->stack_bytes + STACK_ROOM_BYTES);
    }
    if (inst->stack == NULL) {
        return false;
    }
    inst->stack->inst = inst;
    return enter_stack(inst->stack);
}

// call_from_coroutine does the job for a caller without a stack: Go, which finds out
// where the stack of a thread ends, gets the instance's thread, if it is needed.
static void call_from_coroutine(struct instance *inst, struct job *job)
{
    sigset_t before;

    block_signals(&before);
    // As the watchdog wants it, too: what it changes for the thread does not outlast a
    // context.
    pthread_sigmask(SIG_UNBLOCK, &real_time, NULL);
    acquire(inst, job);
    if (!run_on_stack(inst)) {
        hand_over(inst, job);
    }
    release(inst, job);
    restore_signals(&before);
}

int plugin_thread(pthread_t *thread, void *(*start)(void *), void *arg)
{
    sigset_t own, before;
    int error;

    own_signals(&own);
    pthread_sigmask(SIG_SETMASK, &own, &before);
    error = flbwt_thread_start(thread, start, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int start_instance_thread(struct instance *inst)
{
    pthread_mutex_init(&inst->lock, NULL);
    pthread_cond_init(&inst->freed, NULL);
    pthread_cond_init(&inst->handing, NULL);
    pthread_cond_init(&inst->finishing, NULL);
    return plugin_thread(&inst->thread, instance_main, inst);
}

void run_job(struct instance *inst, struct job *job)
{
    job->finished = false;
    job->lines = NULL;
    job->lines_end = &job->lines;

    bool runs_guest = job->kind == JOB_FILTER || job->kind == JOB_TICK || job->kind == JOB_PAYLOAD;

    if (runs_guest && stack_left() >= inst->stack_bytes + STACK_ROOM_BYTES) {
        call_here(inst, job);
    }
    else if (job->kind == JOB_FILTER) {
        call_from_coroutine(inst, job);
    }
    else if (acquire(inst, job)) {
        hand_over(inst, job);
        release(inst, job);
    }

    if (job->kind == JOB_STOP) {
        pthread_join(inst->thread, NULL);
        free_stack(inst->stack);
        free(inst->spare.data);
        pthread_cond_destroy(&inst->finishing);
        pthread_cond_destroy(&inst->handing);
        pthread_cond_destroy(&inst->freed);
        pthread_mutex_destroy(&inst->lock);
    }
}
