#ifndef FLBWT_THREAD_H
#define FLBWT_THREAD_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

// flbwt_thread_start calls flbwtThread with the handle on a thread of its own, which
// has that much stack. It answers 0, or an errno.
int flbwt_thread_start(uintptr_t handle, size_t stack_bytes);

// flbwt_thread_leave is the last that a thread does on which Go and guests have run: as it
// ends, wasmtime unmaps the stack that signals are handled on, and leaves the kernel in the
// belief that there is one. Go's next SIGURG would end the process.
static inline void flbwt_thread_leave(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    sigaltstack(&none, NULL);
}

#endif
