/* The guest that is called for many events at once. */

#include "showcase.h"

EXPORT(flb_batch_1) void flb_batch_1(void) {}
/* What is counted in the store would be counted again if events came a second time. */
EXPORT(flb_stateful) void flb_stateful(void) {}
EXPORT(flb_buffer) u8 *flb_buffer(u32 size) { return reserve(size); }

/* A part of a group that can't be masked becomes an empty map. */
static void filter_group(u32 of, int part, u8 *map, u32 len)
{
    int changed = mask(map, &len, &masked[IN_GROUP]);

    if (changed < 0)
        len = (u32) (mp_put_map(map, 0) - map);
    if (changed != 0)
        add_op((struct op) {
            .of = of, .kind = OP_REPLACE, .part = (u8) part, .bytes = map, .len = len});
}

EXPORT(filter)
const struct reply *filter(u8 *in, u32 len)
{
    static struct reply reply;
    const struct input *input = (const struct input *) in;
    u32 first;

    (void) len;
    next = arena;
    ops_count = 0;
    ops_kept = input->event_count;
    if (2 * (u64) input->group_count + input->event_count > OPS_MAX)
        __builtin_trap(); /* all events fail */
    for (u32 i = 0; i < input->group_count; i++) {
        const struct group *g = (const struct group *) (in + input->groups + i * input->group_size);

        if (g->changeable) {
            filter_group(i, BODY, in + g->body, g->body_len);
            filter_group(i, METADATA, in + g->metadata, g->metadata_len);
        }
    }
    first = ops_count;
    for (u32 i = 0; i < input->event_count; i++) {
        const struct event *e = (const struct event *) (in + input->events + i * input->event_size);
        u32 before = ops_count;
        const char *why;

        ops_kept--;
        why = filter_event(i, in + e->body, e->body_len, in + e->metadata, e->metadata_len);
        if (why) {
            ops_count = before;
            add_op(
                (struct op) {.of = i, .kind = OP_ERROR, .a = 1, .bytes = why, .len = length(why)});
        }
    }
    report_masked();
    reply = (struct reply) {ops + first, ops_count - first, ops, first};
    return &reply;
}
