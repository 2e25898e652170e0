// A batch from its first event to its last: gathered, given to the guest, emitted.

#include "batch_impl.h"

// clear forgets what has been gathered and not been emitted.
static void clear(flbwt_lane *lane)
{
    flbwt_batch *b = &lane->batch;

    b->places.len = b->others.len = b->groups.len = 0;
    b->mixed = false;
    b->n = b->records = b->groups_n = b->gathered_group = 0;
    b->base = b->end = lane->at;
    b->called = b->closed = b->stopped = false;
}

void flbwt_batch_begin(flbwt_lane *lane)
{
    lane->batch.outer.next = 0;
    lane->batch.given = 0;
    clear(lane);
    lane->batch.limit = 0;
}

// has_groups says whether the guest is to be called though no record is in the batch: there is a group that
// it has not answered for, and that comes out.
static bool has_groups(const flbwt_lane *lane)
{
    const flbwt_batch *b = &lane->batch;

    return b->groups_n > 1 || (b->groups_n == 1 && !group_at(b, 1)->answered &&
                               (b->outer.next == 0 || !flbwt_lane_is_lost(lane)));
}

static void begin_emitting(flbwt_lane *lane)
{
    flbwt_batch *b = &lane->batch;

    b->called = true;
    b->i = b->record = 0;
    b->now = b->open = lane->batch.outer.next > 0;
}

void flbwt_batch_fail(flbwt_lane *lane)
{
    flbwt_batch *b = &lane->batch;

    b->failed = lane->outcome;
    b->ops = no_ops;
    flbwt_batch_restore_groups(b);
    begin_emitting(lane);
}

void flbwt_batch_halve(flbwt_lane *lane)
{
    lane->batch.limit = lane->batch.records / 2;
    clear(lane);
}

enum flbwt_stop flbwt_batch_go_on(flbwt_lane *lane, const uint8_t *tag, uint32_t tag_len,
                                  const uint8_t *data, size_t size, uint64_t max)
{
    flbwt_batch *b = &lane->batch;

    for (;;) {
        enum flbwt_stop stop;

        if (!b->called) {
            if (b->base != lane->at) { // Go may have passed some by
                clear(lane);
            }
            if (lane->at >= size) {
                return FLBWT_STOP_DONE;
            }
            stop = flbwt_batch_fill(lane, data, size, max);
            if (stop != FLBWT_STOP_DONE) {
                return stop;
            }
            b->failed = FLBWT_NOT_RUN;
            b->ops = b->group_ops = no_ops;
            if (b->records > 0 || has_groups(lane)) {
                lane->outcome = flbwt_batch_call(lane, tag, tag_len, data);
                if (lane->outcome == FLBWT_REPLY && b->groups_n > 0) {
                    bool ok = flbwt_batch_edit_groups(lane, data);

                    lane->outcome = ok ? FLBWT_REPLY : FLBWT_BAD_REPLY;
                }
                if (lane->outcome != FLBWT_REPLY) {
                    return FLBWT_STOP_BATCH;
                }
                if (b->groups_n > 0 && !flbwt_batch_take_groups(lane, data)) {
                    return FLBWT_STOP_NO_MEMORY;
                }
                lane->answered = lane->answered || b->records == 0;
            }
            begin_emitting(lane);
        }
        stop = flbwt_batch_emit(lane, data);
        if (stop != FLBWT_STOP_DONE) {
            b->stopped = true;
            return stop;
        }
        bool stopped = b->stopped;
        max -= max < b->records ? max : b->records;
        b->limit =
            b->limit > UINT32_MAX / 2 || b->failed != FLBWT_NOT_RUN ? b->limit : b->limit * 2;
        clear(lane);
        if (lane->guest != NULL && lane->guest->recycle) {
            return FLBWT_STOP_REPLACE;
        }
        if (lane->guest == NULL || stopped) { // the next batch may need another one, or none
            return FLBWT_STOP_BUDGET;
        }
    }
}
