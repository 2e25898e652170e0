#ifndef FLBWT_TELL_H
#define FLBWT_TELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// flbwt_tell says whether the last word was 10 s ago, and notes that there is one now.
static inline bool flbwt_tell(atomic_uint_least64_t *told, uint64_t now_ns)
{
    uint64_t last = atomic_load_explicit(told, memory_order_relaxed);

    return (last == 0 || (now_ns > last && now_ns - last >= UINT64_C(10000000000))) &&
           atomic_compare_exchange_strong(told, &last, now_ns | 1);
}

#endif
