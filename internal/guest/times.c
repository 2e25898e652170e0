#include "times.h"

#include "../bounds/clock.h"

static const uint64_t ends[FLBWT_TIMES] = {
    1000,     5000,     10000,     50000,     100000,     500000,     1000000,     5000000,
    10000000, 50000000, 100000000, 500000000, 1000000000, 5000000000, 10000000000,
};

uint64_t flbwt_times_end(unsigned i) { return ends[i]; }

uint64_t flbwt_now(void) { return flbwt_clock_ns(CLOCK_MONOTONIC); }

void flbwt_times_add(flbwt_times *t, uint64_t ns)
{
    unsigned i = 0;

    while (i < FLBWT_TIMES && ns > ends[i]) {
        i++;
    }
    __atomic_fetch_add(&t->counts[i], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&t->sum_ns, ns, __ATOMIC_RELAXED);
}
