#ifndef FLBWT_THREAD_H
#define FLBWT_THREAD_H

#include <stddef.h>
#include <stdint.h>

// flbwt_thread_start calls flbwtThread with the handle on a thread of its own, which
// has that much stack. It answers 0, or an errno.
int flbwt_thread_start(uintptr_t handle, size_t stack_bytes);

#endif
