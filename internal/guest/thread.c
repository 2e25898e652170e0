#include "thread.h"

#include "_cgo_export.h"

// The stack of a thread: wasm_stack_size at its most, and room for Go's C calls and wasmtime
// below it. The limits of the process may give threads too little.
enum { STACK_BYTES = 8 * 1024 * 1024 };

int flbwt_thread_start(pthread_t *thread, void *(*start)(void *), void *arg)
{
    pthread_attr_t attr;
    int error;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    error = pthread_create(thread, &attr, start, arg);
    pthread_attr_destroy(&attr);
    return error;
}

static void *go_main(void *arg)
{
    flbwtThread((uintptr_t) arg);
    flbwt_thread_leave();
    return NULL;
}

int flbwt_thread_start_go(uintptr_t handle)
{
    pthread_t thread;
    int error = flbwt_thread_start(&thread, go_main, (void *) handle);

    if (error == 0) {
        pthread_detach(thread);
    }
    return error;
}
