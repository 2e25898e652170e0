// Signals of the host.
//
// Fluent Bit's handler for SIGHUP and SIGCONT calls signal() for SIGSEGV and
// SIGFPE (flb_signal_init in src/fluent-bit.c, 1.9 to 5.1), over the handlers by
// which wasmtime makes traps of faults. A guest that then faults would take the
// process down, so wasmtime's handlers are put back before a chunk. What is left
// is a signal in the middle of a chunk: it waits for the end of the chunk.

#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int fault_signals[] = {SIGSEGV, SIGFPE};
enum { FAULT_SIGNALS = sizeof(fault_signals) / sizeof(fault_signals[0]) };

static const int host_signals[] = {SIGHUP, SIGCONT};
enum { HOST_SIGNALS = sizeof(host_signals) / sizeof(host_signals[0]) };

// The others that Fluent Bit handles on the main thread, to end.
static const int end_signals[] = {SIGINT, SIGQUIT, SIGTERM};
enum { END_SIGNALS = sizeof(end_signals) / sizeof(end_signals[0]) };

static struct {
    // Written once, before kept is set: by the thread that starts the first engine.
    struct sigaction fault_actions[FAULT_SIGNALS];
    atomic_bool kept;

    // Written with no guest running, or by the main thread's handlers, which don't interrupt one
    // another.
    struct sigaction host_actions[HOST_SIGNALS];
    atomic_bool wrapped;

    // Any thread.
    atomic_int guests_running;
    atomic_int pending; // bits of host_signals that wait for guests to leave
} state;

void flbwt_signals_keep(void (*on_fault)(int, siginfo_t *, void *))
{
    struct sigaction own;

    if (atomic_load(&state.kept)) {
        return;
    }
    sigaction(SIGSEGV, NULL, &own);
    own.sa_sigaction = on_fault;
    sigaction(SIGSEGV, &own, NULL);
    for (int i = 0; i < FAULT_SIGNALS; i++) {
        sigaction(fault_signals[i], NULL, &state.fault_actions[i]);
    }
    atomic_store_explicit(&state.kept, true, memory_order_release);
}

bool flbwt_signals_kept(void) { return atomic_load(&state.kept); }

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
    state.host_actions[i] = now;
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

// restore_handlers looks for handlers that the host has installed anew, as after a reload. It installs all
// of them at a time, and that of SIGFPE last: while those of faults are in place, so are the wrappers
// of the others. A handler of a fault is put back when that is so, lest another thread takes it for
// that sooner.
static void restore_handlers(void)
{
    if (!atomic_load_explicit(&state.kept, memory_order_acquire)) {
        return;
    }
    for (int i = 0; i < FAULT_SIGNALS; i++) {
        struct sigaction now;

        sigaction(fault_signals[i], NULL, &now);
        if (now.sa_sigaction != state.fault_actions[i].sa_sigaction) {
            if (atomic_load(&state.wrapped)) {
                wrap_all();
            }
            sigaction(fault_signals[i], &state.fault_actions[i], NULL);
        }
    }
}

// send_to_main sends a signal to the main thread, on which signals of the
// process arrive as a rule.
static void send_to_main(int sig) { syscall(SYS_tgkill, getpid(), getpid(), sig); }

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
    atomic_fetch_or(&state.pending, 1 << i);
    if (atomic_load(&state.guests_running) == 0) {
        struct sigaction *host = &state.host_actions[i];

        if (host->sa_flags & SA_SIGINFO) {
            host->sa_sigaction(sig, info, context);
        }
        else {
            host->sa_handler(sig);
        }
        wrap_all();
        restore_handlers();
        atomic_fetch_and(&state.pending, ~(1 << i));
    }
    errno = error;
}

void flbwt_signals_wrap(void)
{
    wrap_all();
    atomic_store(&state.wrapped, true);
}

// A thread that holds the signals counts as running a guest; it waits while one
// of them waits.
void flbwt_signals_hold(void)
{
    for (int waited = 0;; waited++) {
        atomic_fetch_add(&state.guests_running, 1);
        // A signal that nobody takes (every thread of the host may block it)
        // must not hold up records for ever.
        if (atomic_load(&state.pending) == 0 || waited == 1000) {
            break;
        }
        atomic_fetch_sub(&state.guests_running, 1);

        struct timespec pause = {.tv_nsec = 100000};
        nanosleep(&pause, NULL);
    }
    restore_handlers();
}

void flbwt_signals_release(void)
{
    if (atomic_fetch_sub(&state.guests_running, 1) == 1) {
        int waiting = atomic_load(&state.pending);

        for (int i = 0; i < HOST_SIGNALS; i++) {
            if (waiting & 1 << i) {
                send_to_main(host_signals[i]);
            }
        }
    }
}
