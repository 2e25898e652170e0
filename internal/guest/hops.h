// The member of an event's metadata that says how many filters the event has come through.

#ifndef FLBWT_HOPS_H
#define FLBWT_HOPS_H

#include <stdint.h>

// Its key, as this plugin writes it.
static const uint8_t flbwt_hops_key[] = "\xadwasmtime_hops";
enum { FLBWT_HOPS_KEY_BYTES = sizeof(flbwt_hops_key) - 1 };

// flbwt_find_hops returns where the value of that member begins, among so many pairs at p; of several members with
// that key it is the last. NULL: there is none. *after is where the pairs end; NULL if they are malformed, do not end
// before end, or nest deeper than an event may.
const uint8_t *flbwt_find_hops(const uint8_t *p, const uint8_t *end, uint64_t pairs,
                               const uint8_t **after);

#endif
