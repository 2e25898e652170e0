#include "thread.h"

#include <pthread.h>

#include "_cgo_export.h"

static void *thread_main(void *arg)
{
    flbwtThread((uintptr_t) arg);
    flbwt_thread_leave();
    return NULL;
}

int flbwt_thread_start(uintptr_t handle, size_t stack_bytes)
{
    pthread_attr_t attr;
    pthread_t thread;
    int error;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, stack_bytes);
    error = pthread_create(&thread, &attr, thread_main, (void *) handle);
    pthread_attr_destroy(&attr);
    return error;
}
