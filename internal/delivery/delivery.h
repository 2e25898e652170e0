// What a lane has journalled of events under other tags, brought into the form in which Fluent Bit takes
// them: for each tag the bytes of a chunk.

#ifndef FLBWT_DELIVERY_H
#define FLBWT_DELIVERY_H

#include "../guest/lane.h"
#include "../state/siphash.h"

// flbwt_destination is a tag of a journal.
typedef struct {
    const uint8_t *tag; // in the journal
    uint32_t tag_len;
    // Its events are in a loop; those of the same tag that are not are another destination.
    bool cut;
    bool taken; // set by the caller: flbwt_delivery_left leaves them out
    uint32_t events;
    // Of the delivery.
    uint32_t first, last;
    size_t room;
} flbwt_destination;

// flbwt_delivery sorts a journal. Its buffers are used again by the next one.
typedef struct {
    flbwt_seed seed; // for tags, which guests choose
    flbwt_buffer entries, table, bytes;
    flbwt_buffer found; // flbwt_destination, in the order in which each came first
    const uint8_t *journal;
    uint32_t events, destinations;
} flbwt_delivery;

// flbwt_delivery_sort sorts the journal, which has to stay as it is as long as the delivery is looked at.
// False: there is no memory, or it is not a journal.
bool flbwt_delivery_sort(flbwt_delivery *d, const uint8_t *journal, size_t n);

static inline flbwt_destination *flbwt_delivery_at(const flbwt_delivery *d, uint32_t i)
{
    return (flbwt_destination *) d->found.data + i;
}

// flbwt_delivery_events returns the events of a destination, each group of them between its markers, and
// with the hops that they have come. They are good until the next call. NULL: there is no memory.
const uint8_t *flbwt_delivery_events(flbwt_delivery *d, const flbwt_destination *to, size_t *n);

// flbwt_delivery_left returns the same of all destinations that are not taken, in the order of the journal and
// without hops, and how many events they are.
const uint8_t *flbwt_delivery_left(flbwt_delivery *d, size_t *n, uint32_t *events);

// flbwt_delivery_journal writes what is left and not cut, as a journal, and returns its length in bytes. to has room
// for the journal that was sorted, or is that journal: then the delivery may be looked at no more.
size_t flbwt_delivery_journal(const flbwt_delivery *d, uint8_t *to);

// flbwt_delivery_end frees what the delivery has allocated; flbwt_delivery_give_back does so if it is much.
void flbwt_delivery_end(flbwt_delivery *d);
void flbwt_delivery_give_back(flbwt_delivery *d);

#endif
