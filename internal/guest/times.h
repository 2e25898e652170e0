// How long things take: samples, counted by ranges of time.

#ifndef FLBWT_TIMES_H
#define FLBWT_TIMES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    FLBWT_TIMES = 15, // ranges that have an end; one more has none
    FLBWT_SAMPLE = 64, // of so many calls or chunks one is timed
};

// flbwt_times is written by one thread, and may be read by any.
typedef struct {
    uint64_t seen; // of these, each FLBWT_SAMPLE-th was timed
    uint64_t counts[FLBWT_TIMES + 1]; // samples that are in each range, and not in one before it
    uint64_t sum_ns;
} flbwt_times;

// flbwt_times_end is where range i < FLBWT_TIMES ends, in nanoseconds.
uint64_t flbwt_times_end(unsigned i);

// flbwt_times_due counts what begins, and says whether it is to be timed.
static inline bool flbwt_times_due(flbwt_times *t)
{
    uint64_t seen = t->seen;

    __atomic_store_n(&t->seen, seen + 1, __ATOMIC_RELAXED);
    return __builtin_expect(seen % FLBWT_SAMPLE == 0, false);
}

uint64_t flbwt_now(void); // of a clock that only goes forward, in nanoseconds

void flbwt_times_add(flbwt_times *t, uint64_t ns);

static inline uint64_t flbwt_times_count(const flbwt_times *t, unsigned i)
{
    return __atomic_load_n(&t->counts[i], __ATOMIC_RELAXED);
}

static inline uint64_t flbwt_times_sum(const flbwt_times *t)
{
    return __atomic_load_n(&t->sum_ns, __ATOMIC_RELAXED);
}

#endif
