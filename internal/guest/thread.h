#ifndef FLBWT_THREAD_H
#define FLBWT_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>

// flbwt_thread_start starts a thread on whose stack guests may run, and which blocks the
// signals that the caller's blocks. It returns 0, or an errno.
int flbwt_thread_start(pthread_t *thread, void *(*start)(void *), void *arg);

// flbwt_thread_start_go has such a thread call flbwtThread with the handle.
int flbwt_thread_start_go(uintptr_t handle);

// flbwt_thread_leave: call last on any thread that ran Go or a guest. As it ends, wasmtime
// unmaps the stack that signals are handled on, and the kernel goes on using it: Go's next
// SIGURG would end the process.
static inline void flbwt_thread_leave(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    sigaltstack(&none, NULL);
}

#endif
