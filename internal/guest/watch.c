#define _GNU_SOURCE
#include "watch.h"

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

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t = {0};

    clock_gettime(id, &t);
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

// The guest that runs on this thread. Initial-exec, so that a signal handler may
// read it without calling the allocator.
static __thread flbwt_watch *current __attribute__((tls_model("initial-exec")));
// What the frames of the guest lie below.
static __thread char *stack_end __attribute__((tls_model("initial-exec")));
static __thread int thread_id __attribute__((tls_model("initial-exec")));

// ---- Signals of the host ------------------------------------------------------
//
// Fluent Bit's handler for SIGHUP and SIGCONT calls signal() for SIGSEGV and
// SIGFPE (flb_signal_init in src/fluent-bit.c, 1.9 to 5.1), over the handlers by
// which wasmtime makes traps of faults. A guest that then faults would take the
// process down, so wasmtime's handlers are put back before a chunk. What is left
// is a signal in the middle of a chunk: it waits for the end of the chunk.

static const int fault_signals[] = {SIGSEGV, SIGFPE};
enum { FAULT_SIGNALS = sizeof(fault_signals) / sizeof(fault_signals[0]) };

static struct sigaction kept[FAULT_SIGNALS];
static atomic_bool handlers_kept;

static const int host_signals[] = {SIGHUP, SIGCONT};
enum { HOST_SIGNALS = sizeof(host_signals) / sizeof(host_signals[0]) };

// The others that Fluent Bit handles on the main thread, to end.
static const int end_signals[] = {SIGINT, SIGQUIT, SIGTERM};
enum { END_SIGNALS = sizeof(end_signals) / sizeof(end_signals[0]) };

static struct sigaction host_actions[HOST_SIGNALS];
static atomic_bool host_wrapped;
static atomic_int guests_running;
static atomic_int pending; // bits of host_signals that wait for guests to leave

static void restore_handlers(void)
{
    if (!atomic_load_explicit(&handlers_kept, memory_order_acquire)) {
        return;
    }
    for (int i = 0; i < FAULT_SIGNALS; i++) {
        struct sigaction now;

        sigaction(fault_signals[i], NULL, &now);
        if (now.sa_sigaction != kept[i].sa_sigaction) {
            sigaction(fault_signals[i], &kept[i], NULL);
        }
    }
}

static void on_fault(int sig, siginfo_t *info, void *context);
static struct sigaction wasmtime_fault;

void flbwt_signals_keep(void)
{
    struct sigaction own;

    if (atomic_load(&handlers_kept)) {
        return;
    }
    // wasmtime's handler is called from ours, on the same stack.
    sigaction(SIGSEGV, NULL, &wasmtime_fault);
    own = wasmtime_fault;
    own.sa_sigaction = on_fault;
    sigaction(SIGSEGV, &own, NULL);
    for (int i = 0; i < FAULT_SIGNALS; i++) {
        sigaction(fault_signals[i], NULL, &kept[i]);
    }
    atomic_store_explicit(&handlers_kept, true, memory_order_release);
}

static void on_host_signal(int sig, siginfo_t *info, void *context);

static void add_signals(sigset_t *set, const int *signals, int n)
{
    for (int i = 0; i < n; i++) {
        sigaddset(set, signals[i]);
    }
}

// block_in_end_handlers has the host's handlers for its end run to their own end before a host
// signal is handled. All of them call localtime, which waits for its lock for ever if it is
// interrupted by itself: SIGCONT follows SIGTERM where timeout(1) ends Fluent Bit.
static void block_in_end_handlers(void)
{
    for (int i = 0; i < END_SIGNALS; i++) {
        struct sigaction now;

        sigaction(end_signals[i], NULL, &now);
        if (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN) {
            add_signals(&now.sa_mask, host_signals, HOST_SIGNALS);
            add_signals(&now.sa_mask, end_signals, END_SIGNALS);
            sigaction(end_signals[i], &now, NULL);
        }
    }
}

// wrap puts on_host_signal in front of whatever handles the signal now.
static void wrap(int i)
{
    struct sigaction now, own = {.sa_sigaction = on_host_signal};

    sigaction(host_signals[i], NULL, &now);
    if (now.sa_sigaction == on_host_signal || now.sa_handler == SIG_DFL ||
        now.sa_handler == SIG_IGN) {
        return;
    }
    host_actions[i] = now;
    own.sa_flags = now.sa_flags | SA_SIGINFO;
    own.sa_mask = now.sa_mask;
    add_signals(&own.sa_mask, host_signals, HOST_SIGNALS);
    add_signals(&own.sa_mask, end_signals, END_SIGNALS);
    sigaction(host_signals[i], &own, NULL);
    // The host installs all of its handlers at a time.
    block_in_end_handlers();
}

static void wrap_all(void)
{
    for (int i = 0; i < HOST_SIGNALS; i++) {
        wrap(i);
    }
}

// send_to_main sends a signal to the main thread, on which signals of the
// process arrive as a rule.
static void send_to_main(int sig)
{
    syscall(SYS_tgkill, getpid(), getpid(), sig);
}

static void on_host_signal(int sig, siginfo_t *info, void *context)
{
    int error = errno;
    int i = sig == host_signals[0] ? 0 : 1;

    // Fluent Bit's handler calls localtime, which takes a lock. On the thread of
    // its logger, which holds that lock now and then, it would wait for ever.
    if (syscall(SYS_gettid) != getpid()) { // not thread_id: any thread of the host
        send_to_main(sig);
        errno = error;
        return;
    }

    // From here on no guest starts. If one runs, the last to leave sends the
    // signal again.
    atomic_fetch_or(&pending, 1 << i);
    if (atomic_load(&guests_running) == 0) {
        struct sigaction *host = &host_actions[i];

        if (host->sa_flags & SA_SIGINFO) {
            host->sa_sigaction(sig, info, context);
        }
        else {
            host->sa_handler(sig);
        }
        wrap_all();
        restore_handlers();
        atomic_fetch_and(&pending, ~(1 << i));
    }
    errno = error;
}

void flbwt_signals_wrap(void)
{
    wrap_all();
    atomic_store(&host_wrapped, true);
}

// A thread that holds the signals counts as running a guest; it waits while one
// of them waits.
void flbwt_signals_hold(void)
{
    for (int waited = 0;; waited++) {
        atomic_fetch_add(&guests_running, 1);
        // A signal that nobody takes (every thread of the host may block it)
        // must not hold up records for ever.
        if (atomic_load(&pending) == 0 || waited == 1000) {
            break;
        }
        atomic_fetch_sub(&guests_running, 1);

        struct timespec pause = {.tv_nsec = 100000};
        nanosleep(&pause, NULL);
    }
    if (atomic_load_explicit(&host_wrapped, memory_order_relaxed)) {
        // The host may have installed its handlers anew, as after a reload.
        wrap_all();
    }
    restore_handlers();
}

void flbwt_signals_release(void)
{
    if (atomic_fetch_sub(&guests_running, 1) == 1) {
        int waiting = atomic_load(&pending);

        for (int i = 0; i < HOST_SIGNALS; i++) {
            if (waiting & 1 << i) {
                send_to_main(host_signals[i]);
            }
        }
    }
}

// ---- Time ---------------------------------------------------------------------
//
// A guest that takes too long is ended by a signal to its thread, whose handler
// lets it go on at an "unreachable" instruction of another module. wasmtime takes
// that for a trap of the guest, leaves it, and answers the trap to the caller.
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

static int interrupt_signal;
static bool threads_have_clocks; // that other threads can read
static void *trap_pc; // an "unreachable" in machine code

static pthread_mutex_t watches_lock = PTHREAD_MUTEX_INITIALIZER;
static flbwt_watch *watches; // guarded by watches_lock
static bool watchdog_started; // guarded by watches_lock
static atomic_bool watchdog_asleep;
static sem_t watchdog_wake;

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
    return (uintptr_t) pc >= (uintptr_t) w->code && (uintptr_t) pc < (uintptr_t) w->code_end;
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
    *pc_of(u) = trap_pc;
}

// The guest whose module's code is closed; NULL if all code is open.
static _Atomic(flbwt_watch *) closed;
// When another guest last opened the code, having waited for it.
static atomic_uint_least64_t opened_by_other_ns;

enum {
    // How long another guest waits for closed code, and how often it looks.
    CLOSED_NS = 2000000,
    CLOSED_LOOK_NS = 50000,
    // How long the code stays open then: others run for nine tenths of the time.
    OPEN_NS = 18000000,
};

static size_t code_bytes(const flbwt_watch *w)
{
    return (size_t) ((const char *) w->code_end - (const char *) w->code);
}

// close_code closes the code of the guest on this thread, which is in a function of
// the host; again, if another thread has opened it. If the code of another guest is
// closed, the next signal tries again.
static void close_code(flbwt_watch *w)
{
    flbwt_watch *by = NULL;

    if (clock_ns(CLOCK_MONOTONIC) - atomic_load(&opened_by_other_ns) < OPEN_NS) {
        return;
    }
    if (atomic_load(&handlers_kept) && code_bytes(w) > 0 &&
        (atomic_compare_exchange_strong(&closed, &by, w) || by == w)) {
        mprotect((void *) w->code, code_bytes(w), PROT_READ);
    }
}

// open_code opens what the guest on this thread has closed.
static void open_code(flbwt_watch *w)
{
    mprotect((void *) w->code, code_bytes(w), PROT_READ | PROT_EXEC);
    atomic_compare_exchange_strong(&closed, &w, NULL);
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
        wasmtime_fault.sa_sigaction(sig, info, context);
        return;
    }
    by = atomic_load(&closed);
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

        for (int waited = 0; by != NULL && atomic_load(&closed) == by && waited < CLOSED_NS;
             waited += CLOSED_LOOK_NS) {
            nanosleep(&pause, NULL);
        }
        if (by != NULL && atomic_load(&closed) == by) {
            atomic_store(&opened_by_other_ns, clock_ns(CLOCK_MONOTONIC));
        }
        mprotect((void *) w->code, code_bytes(w), PROT_READ | PROT_EXEC);
        atomic_compare_exchange_strong(&closed, &by, NULL);
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

    uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (w->probed != call) {
        w->probed = call;
        w->probed_cpu_ns = cpu_ns;
        return;
    }
    if (cpu_ns - w->probed_cpu_ns >= PROBE_CPU_NS && in_frame(w, u)) {
        end(w, u);
    }
}

// used_ns returns what the guest's thread has run and waited. Unlike the clock on the wall
// it stands still while the process is stopped, or gets no processor: that is not the
// guest's doing.
static uint64_t used_ns(const flbwt_watch *w)
{
    // The clock of a thread by its id (include/linux/posix-timers.h: per thread, CPUCLOCK_SCHED).
    clockid_t cpu = (clockid_t) (~(unsigned) atomic_load(&w->thread) << 3 | 6);

    return (threads_have_clocks ? clock_ns(cpu) : clock_ns(CLOCK_MONOTONIC)) +
           (threads_have_clocks ? atomic_load(&w->waited_ns) : 0);
}

// look ends what is overdue and returns when to look again; *idle says whether
// no guest ran.
static uint64_t look(bool *idle)
{
    uint64_t next = LOOK_MOST_NS;

    *idle = true;
    pthread_mutex_lock(&watches_lock);
    for (flbwt_watch *w = watches; w != NULL; w = w->next) {
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
            syscall(SYS_tgkill, getpid(), atomic_load(&w->thread), interrupt_signal);
            next = RETRY_NS;
        }
    }
    pthread_mutex_unlock(&watches_lock);
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
            atomic_store(&watchdog_asleep, true);
            look(&idle);
            if (idle) {
                while (sem_wait(&watchdog_wake) != 0) {
                }
            }
            atomic_store(&watchdog_asleep, false);
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

// start_watchdog is called with watches_lock held. It returns 0 or an errno.
static int start_watchdog(void)
{
    struct sigaction action = {.sa_sigaction = interrupt, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    struct timespec t;
    pthread_t thread;
    sigset_t all, before;
    int error;

    interrupt_signal = choose_signal();
    if (interrupt_signal == 0) {
        return ENOTSUP;
    }
    sigfillset(&action.sa_mask);
    sigaction(interrupt_signal, &action, NULL);
    threads_have_clocks = clock_gettime((clockid_t) (~(unsigned) syscall(SYS_gettid) << 3 | 6), &t) == 0;

    sem_init(&watchdog_wake, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, NULL, watchdog, NULL);
    if (error == 0) {
        pthread_detach(thread);
        watchdog_started = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int flbwt_watch_add(flbwt_watch *w)
{
    int error = 0;

    pthread_mutex_lock(&watches_lock);
    if (!watchdog_started && w->timeout_ns > 0) {
        error = start_watchdog();
    }
    w->next = watches;
    w->link = &watches;
    if (watches != NULL) {
        watches->link = &w->next;
    }
    watches = w;
    pthread_mutex_unlock(&watches_lock);
    return error;
}

void flbwt_watch_remove(flbwt_watch *w)
{
    pthread_mutex_lock(&watches_lock);
    *w->link = w->next;
    if (w->next != NULL) {
        w->next->link = w->link;
    }
    pthread_mutex_unlock(&watches_lock);
}

// prepare_thread lets the signal through to this thread, once.
static void prepare_thread(void)
{
    sigset_t own;

    thread_id = (int) syscall(SYS_gettid);
    sigemptyset(&own);
    sigaddset(&own, interrupt_signal);
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
    atomic_store(&w->interrupted, false);
    atomic_store(&w->thread, thread_id);
    flbwt_watch_call(w);
    if (atomic_load_explicit(&watchdog_asleep, memory_order_seq_cst)) {
        sem_post(&watchdog_wake);
    }
}

void flbwt_watch_leave(flbwt_watch *w)
{
    atomic_store(&w->call, 0);
    if (atomic_load(&closed) == w) { // it was left without a return to its code
        open_code(w);
    }
    current = NULL;
    flbwt_signals_release();
}

bool flbwt_watch_interrupted(flbwt_watch *w)
{
    return atomic_load(&w->interrupted);
}

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
    if (trap_pc == NULL) {
        trap_pc = *pc_of(context);
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
    return trap_pc != NULL;
}
