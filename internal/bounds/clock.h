#ifndef FLBWT_CLOCK_H
#define FLBWT_CLOCK_H

#include <stdint.h>
#include <time.h>

// flbwt_clock_ns returns what a clock says; 0 if the kernel does not have it, or before 1970.
static inline uint64_t flbwt_clock_ns(clockid_t id)
{
    struct timespec t = {0};

    clock_gettime(id, &t);
    return t.tv_sec < 0 ? 0 : (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

#endif
