// A guest that takes too long is ended by a signal to its thread, whose handler
// lets it go on at an "unreachable" instruction of another module. wasmtime takes
// that for a trap of the guest, leaves it, and returns the trap to the caller.
// Unlike epochs or fuel this costs the guest nothing while it runs in time.
//
// wasmtime's way out needs to know where the guest was entered, and follows frame
// pointers to there. Both are right while the thread executes a function of the
// guest; not so in the few instructions by which host and guest hand over. Hence
// the conditions in interrupt().
//
// A guest may spend its time in functions of the host (memory.fill, WASI), where it
// can't be ended. Then its machine code is made not executable: to return to it is a
// fault, at a place where the guest can be ended. Other guests of the module that
// meet the closed code wait until it is open again.

#define _GNU_SOURCE
#include "watchdog.h"

#include "clock.h"
#include "signals.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

// The guest that runs on this thread. Initial-exec, so that a signal handler may
// read it without calling the allocator.
static __thread flbwt_watch *current __attribute__((tls_model("initial-exec")));
// What the frames of the guest lie below.
static __thread char *stack_end __attribute__((tls_model("initial-exec")));
static __thread int thread_id __attribute__((tls_model("initial-exec")));

enum {
    // The CPU time that a thread must have spent in a call for it to be past the
    // guest's entry.
    PROBE_CPU_NS = 1000000,
    // How often an overdue call is tried to be ended.
    RETRY_NS = 2000000,
    // The watchdog looks this often in the shortest timeout, within bounds.
    LOOKS = 8,
    LOOK_LEAST_NS = 1000000,
    LOOK_MOST_NS = 100000000,
    // It sleeps after as many looks at nothing.
    IDLE_LOOKS = 20,
};

static struct {
    // Written once, before a guest runs that is watched.
    void *trap_pc; // an "unreachable" in machine code
    struct sigaction wasmtime_fault;
    int signal;
    bool threads_have_clocks; // that other threads can read

    pthread_mutex_t lock;
    flbwt_watch *watches; // guarded by lock
    bool started;         // guarded by lock

    atomic_bool asleep; // the watchdog's, which posts follow to wake it
    sem_t wake;

    // The guest whose module's code is closed; NULL if all code is open. Any thread, in handlers of
    // signals too.
    _Atomic(flbwt_watch *) closed;
    // When another guest last opened the code, having waited for it.
    atomic_uint_least64_t opened_by_other_ns;
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER};

#if defined(__x86_64__)
static void **pc_of(ucontext_t *u) { return (void **) &u->uc_mcontext.gregs[REG_RIP]; }
static char *sp_of(ucontext_t *u) { return (char *) u->uc_mcontext.gregs[REG_RSP]; }
static char *fp_of(ucontext_t *u) { return (char *) u->uc_mcontext.gregs[REG_RBP]; }
#elif defined(__aarch64__)
static void **pc_of(ucontext_t *u) { return (void **) &u->uc_mcontext.pc; }
static char *sp_of(ucontext_t *u) { return (char *) u->uc_mcontext.sp; }
static char *fp_of(ucontext_t *u) { return (char *) u->uc_mcontext.regs[29]; }
#else
#error "the machine's registers are not known"
#endif

static bool in_guest(const flbwt_watch *w, const void *pc)
{
    return (uintptr_t) pc >= w->code && (uintptr_t) pc < w->code_end;
}

// in_frame says whether the frame that the frame pointer names returns into the
// guest's code: then it is one of the guest's, and not the one that entered it.
static bool in_frame(const flbwt_watch *w, ucontext_t *u)
{
    char *fp = fp_of(u);

    return fp >= sp_of(u) && fp <= stack_end - 2 * sizeof(void *) && (uintptr_t) fp % 16 == 0 &&
           in_guest(w, ((void **) fp)[1]);
}

static void end(flbwt_watch *w, ucontext_t *u)
{
    atomic_store(&w->interrupted, true);
    *pc_of(u) = dog.trap_pc;
}

enum {
    // How long another guest waits for closed code, and how often it looks.
    CLOSED_NS = 2000000,
    CLOSED_LOOK_NS = 50000,
    // How long the code stays open then: others run for nine tenths of the time.
    OPEN_NS = 18000000,
};

static size_t code_bytes(const flbwt_watch *w) { return w->code_end - w->code; }

// close_code closes the code of the guest on this thread, which is in a function of
// the host; again, if another thread has opened it. If the code of another guest is
// closed, the next signal tries again.
static void close_code(flbwt_watch *w)
{
    flbwt_watch *by = NULL;

    if (flbwt_clock_ns(CLOCK_MONOTONIC) - atomic_load(&dog.opened_by_other_ns) < OPEN_NS) {
        return;
    }
    if (flbwt_signals_kept() && code_bytes(w) > 0 &&
        (atomic_compare_exchange_strong(&dog.closed, &by, w) || by == w)) {
        mprotect((void *) w->code, code_bytes(w), PROT_READ);
    }
}

// open_code opens what the guest on this thread has closed.
static void open_code(flbwt_watch *w)
{
    mprotect((void *) w->code, code_bytes(w), PROT_READ | PROT_EXEC);
    atomic_compare_exchange_strong(&dog.closed, &w, NULL);
}

#if defined(__x86_64__)
// What has just returned was popped from the stack.
static bool has_returned(ucontext_t *u) { return ((void **) sp_of(u))[-1] == *pc_of(u); }
#else
static bool has_returned(ucontext_t *u) { return (void *) u->uc_mcontext.regs[30] == *pc_of(u); }
#endif

// on_fault handles faults by closed code, and leaves the others to wasmtime.
static void on_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    flbwt_watch *w = current, *by;
    int error = errno;

    if (w == NULL || info->si_addr != *pc_of(u) || !in_guest(w, info->si_addr)) {
        dog.wasmtime_fault.sa_sigaction(sig, info, context);
        return;
    }
    by = atomic_load(&dog.closed);
    if (by == w) {
        open_code(w);
        if (has_returned(u) && in_frame(w, u)) {
            end(w, u);
        }
    }
    else {
        // by may be gone any moment, and may have closed other code than this: in
        // any case the code is open in the end.
        struct timespec pause = {.tv_nsec = CLOSED_LOOK_NS};

        for (int waited = 0; by != NULL && atomic_load(&dog.closed) == by && waited < CLOSED_NS;
             waited += CLOSED_LOOK_NS) {
            nanosleep(&pause, NULL);
        }
        if (by != NULL && atomic_load(&dog.closed) == by) {
            atomic_store(&dog.opened_by_other_ns, flbwt_clock_ns(CLOCK_MONOTONIC));
        }
        mprotect((void *) w->code, code_bytes(w), PROT_READ | PROT_EXEC);
        atomic_compare_exchange_strong(&dog.closed, &by, NULL);
    }
    errno = error;
}

static void interrupt(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    flbwt_watch *w = current;
    uint64_t call;

    (void) sig;
    (void) info;
    if (w == NULL) {
        return;
    }
    call = atomic_load(&w->call);
    if (call == 0 || call != atomic_load(&w->overdue)) {
        return;
    }
    if (!in_guest(w, *pc_of(u))) {
        int error = errno;

        close_code(w);
        errno = error;
        return;
    }

    uint64_t cpu_ns = flbwt_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (w->probed != call) {
        w->probed = call;
        w->probed_cpu_ns = cpu_ns;
        return;
    }
    if (cpu_ns - w->probed_cpu_ns >= PROBE_CPU_NS && in_frame(w, u)) {
        end(w, u);
    }
}

// thread_clock returns the clock of a thread's CPU time by the kernel's id of the thread
// (include/linux/posix-timers.h: per thread, CPUCLOCK_SCHED).
static clockid_t thread_clock(int id) { return (clockid_t) (~(unsigned) id << 3 | 6); }

// used_ns returns what the guest's thread has run and waited. Unlike the clock on the wall
// it stands still while the process is stopped, or gets no processor: that is not the
// guest's doing.
static uint64_t used_ns(const flbwt_watch *w)
{
    if (!dog.threads_have_clocks) {
        return flbwt_clock_ns(CLOCK_MONOTONIC);
    }
    return flbwt_clock_ns(thread_clock(atomic_load(&w->thread))) + atomic_load(&w->waited_ns);
}

// look ends what is overdue and returns when to look again; *idle says whether
// no guest ran.
static uint64_t look(bool *idle)
{
    uint64_t next = LOOK_MOST_NS;

    *idle = true;
    pthread_mutex_lock(&dog.lock);
    for (flbwt_watch *w = dog.watches; w != NULL; w = w->next) {
        uint64_t call = atomic_load(&w->call);
        uint64_t period = w->timeout_ns / LOOKS;

        if (w->timeout_ns == 0) {
            continue;
        }
        if (period < next) {
            next = period;
        }
        if (call == 0) {
            continue;
        }
        *idle = false;
        uint64_t used = used_ns(w);
        if (call != w->seen) {
            w->seen = call;
            w->seen_used_ns = used;
        }
        // Not less: the thread may have gone on to another call, or ended.
        else if (used >= w->seen_used_ns && used - w->seen_used_ns >= w->timeout_ns) {
            atomic_store(&w->overdue, call);
            syscall(SYS_tgkill, getpid(), atomic_load(&w->thread), dog.signal);
            next = RETRY_NS;
        }
    }
    pthread_mutex_unlock(&dog.lock);
    return next < LOOK_LEAST_NS ? LOOK_LEAST_NS : next;
}

static void *watchdog(void *arg)
{
    int idle_looks = 0;

    (void) arg;
    for (;;) {
        bool idle;
        uint64_t ns = look(&idle);

        idle_looks = idle ? idle_looks + 1 : 0;
        if (idle_looks > IDLE_LOOKS) {
            atomic_store(&dog.asleep, true);
            look(&idle);
            if (idle) {
                while (sem_wait(&dog.wake) != 0) {}
            }
            atomic_store(&dog.asleep, false);
            idle_looks = 0;
            continue;
        }

        struct timespec pause = {(time_t) (ns / 1000000000u), (long) (ns % 1000000000u)};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

// The signal arrives before tgkill returns, if it does at all. Emulators of a processor know
// some of the real-time signals only, and not all of them make a thread's code known to it.
static __thread volatile sig_atomic_t signal_came __attribute__((tls_model("initial-exec")));

static void note_signal(int sig)
{
    (void) sig;
    signal_came = 1;
}

// arrives says whether a thread can be sent that signal.
static bool arrives(int sig)
{
    struct sigaction note = {.sa_handler = note_signal}, before;
    sigset_t own, mask;

    if (sigaction(sig, &note, &before) != 0) {
        return false;
    }
    sigemptyset(&own);
    sigaddset(&own, sig);
    pthread_sigmask(SIG_UNBLOCK, &own, &mask);
    signal_came = 0;
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    sigaction(sig, &before, NULL);
    return signal_came;
}

// choose_signal returns a real-time signal that arrives, the highest that nobody handles: where
// Go handles all of them, as in a program of Go's own, the highest. 0: there is none.
static int choose_signal(void)
{
    struct sigaction taken;
    int fallback = 0;

    for (int sig = SIGRTMAX; sig > SIGRTMIN; sig--) {
        if (sigaction(sig, NULL, &taken) != 0 || taken.sa_handler == SIG_IGN || !arrives(sig)) {
            continue;
        }
        if (taken.sa_handler == SIG_DFL) {
            return sig;
        }
        if (fallback == 0) {
            fallback = sig;
        }
    }
    return fallback;
}

// start_watchdog is called with dog.lock held. It returns 0 or an errno.
static int start_watchdog(void)
{
    struct sigaction action = {.sa_sigaction = interrupt,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    struct timespec t;
    pthread_t thread;
    sigset_t all, before;
    int error;

    dog.signal = choose_signal();
    if (dog.signal == 0) {
        return ENOTSUP;
    }
    sigfillset(&action.sa_mask);
    sigaction(dog.signal, &action, NULL);
    dog.threads_have_clocks = clock_gettime(thread_clock((int) syscall(SYS_gettid)), &t) == 0;

    sem_init(&dog.wake, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, NULL, watchdog, NULL);
    if (error == 0) {
        pthread_detach(thread);
        dog.started = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int flbwt_watch_add(flbwt_watch *w)
{
    int error = 0;

    pthread_mutex_lock(&dog.lock);
    if (!dog.started && w->timeout_ns > 0) {
        error = start_watchdog();
    }
    w->next = dog.watches;
    w->link = &dog.watches;
    if (dog.watches != NULL) {
        dog.watches->link = &w->next;
    }
    dog.watches = w;
    pthread_mutex_unlock(&dog.lock);
    return error;
}

void flbwt_watch_remove(flbwt_watch *w)
{
    pthread_mutex_lock(&dog.lock);
    *w->link = w->next;
    if (w->next != NULL) {
        w->next->link = w->link;
    }
    pthread_mutex_unlock(&dog.lock);
}

// prepare_thread lets the signal through to this thread, once.
static void prepare_thread(void)
{
    sigset_t own;

    thread_id = (int) syscall(SYS_gettid);
    sigemptyset(&own);
    sigaddset(&own, dog.signal);
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
}

void flbwt_watch_enter(flbwt_watch *w)
{
    flbwt_signals_hold();
    // Also without a timeout: the guest may meet code that another of its module has closed.
    current = w;
    if (w->timeout_ns == 0) {
        return;
    }
    if (thread_id == 0) {
        prepare_thread();
    }
    stack_end = __builtin_frame_address(0); // the guest's frames will lie below
    atomic_store_explicit(&w->interrupted, false, memory_order_relaxed);
    atomic_store_explicit(&w->thread, thread_id, memory_order_relaxed);
    // Not by flbwt_watch_call: either the watchdog sees the call before it falls asleep, or this
    // thread sees that it has, for which no processor may read asleep before the call is written.
    atomic_store(&w->call, ++w->calls);
    if (atomic_load(&dog.asleep)) {
        sem_post(&dog.wake);
    }
}

void flbwt_watch_leave(flbwt_watch *w)
{
    atomic_store(&w->call, 0);
    if (atomic_load(&dog.closed) == w) { // it was left without a return to its code
        open_code(w);
    }
    current = NULL;
    flbwt_signals_release();
}

bool flbwt_watch_interrupted(flbwt_watch *w) { return atomic_load(&w->interrupted); }

bool flbwt_watch_overdue(flbwt_watch *w)
{
    uint64_t call = atomic_load(&w->call);

    if (call == 0 || call != atomic_load(&w->overdue)) {
        return false;
    }
    atomic_store(&w->interrupted, true);
    return true;
}

void flbwt_watch_waited(flbwt_watch *w, uint64_t ns) { atomic_fetch_add(&w->waited_ns, ns); }

static struct sigaction before_learning;

static void learn_pc(int sig, siginfo_t *info, void *context)
{
    if (dog.trap_pc == NULL) {
        dog.trap_pc = *pc_of(context);
    }
    before_learning.sa_sigaction(sig, info, context);
}

bool flbwt_watch_learn(void (*trap)(void *), void *arg)
{
    struct sigaction action;

    // wasmtime's handler is called from ours, on the same stack.
    sigaction(SIGILL, NULL, &before_learning);
    action = before_learning;
    action.sa_sigaction = learn_pc;
    sigaction(SIGILL, &action, NULL);
    trap(arg);
    sigaction(SIGILL, &before_learning, NULL);
    return dog.trap_pc != NULL;
}

void flbwt_watch_keep_handlers(void)
{
    if (!flbwt_signals_kept()) {
        // wasmtime's handler is called from the watchdog's, on the same stack.
        sigaction(SIGSEGV, NULL, &dog.wasmtime_fault);
        flbwt_signals_keep(on_fault);
    }
}
