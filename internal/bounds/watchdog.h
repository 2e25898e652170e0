// The watchdog ends guests that take too long.

#ifndef FLBWT_WATCHDOG_H
#define FLBWT_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// flbwt_watch is the watchdog's view of one instance. The thread that runs the
// guest writes call, the watchdog the rest, unless it says otherwise.
typedef struct flbwt_watch {
    struct flbwt_watch *next, **link;
    uint64_t timeout_ns;          // of one call; 0: none
    uintptr_t code, code_end;     // the pages of the module's machine code
    atomic_uint_least64_t call;   // number of the call that runs; 0: none
    atomic_int thread;            // kernel's id of the thread that runs it
    atomic_uint_least64_t overdue; // number of the call that has to end
    atomic_bool interrupted;      // set by the signal handler: the call was ended
    atomic_uint_least64_t waited_ns; // what calls have waited in functions of the host so far
    uint64_t seen, seen_used_ns;  // the call that was seen last, and used_ns() by then
    uint64_t probed, probed_cpu_ns; // signal handler: overdue call, CPU time of its thread
    uint64_t calls;               // the running thread: numbers given so far
} flbwt_watch;

// flbwt_watch_add begins to watch; flbwt_watch_learn must have been called before. It
// returns 0, or an errno if timeouts can't be kept here: then the guest must not run with
// one. flbwt_watch_remove ends the watch; the guest does not run then.
int flbwt_watch_add(flbwt_watch *watch);
void flbwt_watch_remove(flbwt_watch *watch);

// flbwt_watch_enter says that this thread is about to run the guest, and waits
// while a signal of the host is being handled. Then flbwt_watch_call goes before
// each call that has timeout_ns of its own, and flbwt_watch_leave ends it.
void flbwt_watch_enter(flbwt_watch *watch);
void flbwt_watch_leave(flbwt_watch *watch);

static inline void flbwt_watch_call(flbwt_watch *watch)
{
    atomic_store_explicit(&watch->call, ++watch->calls, memory_order_release);
}

// flbwt_watch_interrupted says whether the last call was ended by the watchdog.
// flbwt_watch_overdue says, on the thread of the guest, that the call that runs
// has to end, and makes flbwt_watch_interrupted say so.
bool flbwt_watch_interrupted(flbwt_watch *watch);
bool flbwt_watch_overdue(flbwt_watch *watch);

// flbwt_watch_waited counts time against the timeout of the current call that its thread
// spent asleep, or blocked in the kernel. A function of the host that waits calls it, on the
// thread of the guest.
void flbwt_watch_waited(flbwt_watch *watch, uint64_t ns);

// flbwt_watch_learn calls trap, a function that makes a guest trap by
// "unreachable", and keeps where in the machine code that happened. False: it did not.
bool flbwt_watch_learn(void (*trap)(void *), void *arg);

// flbwt_watch_keep_handlers is flbwt_signals_keep with the watchdog's handler of faults.
void flbwt_watch_keep_handlers(void);

#endif
