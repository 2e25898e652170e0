/* The guest that is called for each record, with six arguments and event_format msgpack. */

#include "showcase.h"

EXPORT(malloc) void *malloc(u32 size) { return reserve(size); }
EXPORT(free) void free(void *p) { (void) p; }

/* drop drops a record that must not pass. A failure would follow on_error, which may let it pass, and
 * undo what has been set of its group. */
static const u8 *drop(const char *why)
{
    flb_log(LOG_ERROR, why, length(why));
    return 0;
}

/* fetch has a host function write a map into the arena. -1: there is none, -2: it can't. */
static int fetch(int (*get)(u8 *buffer, u32 room), u8 **map)
{
    u8 *p = room_for(4096);
    int n = p ? get(p, 4096) : -2;

    if (n > 4096) {
        p = room_for((u32) n);
        n = p ? get(p, (u32) n) : -2;
    }
    if (n > 0)
        next += n;
    *map = p;
    return n;
}

/* mask_group masks what the group has in common; it is masked already after its first record. What
 * can't be masked becomes an empty map, since the group goes on even if its records don't: so does
 * JSON, which comes without event_format msgpack. */
static int mask_group(int json)
{
    const char *none = json ? "{}" : "\x80";
    u8 *map;
    u32 len;
    int n = fetch(group_get, &map), changed;

    if (n == -1)
        return 1;
    len = n > 0 ? (u32) n : 0;
    changed = len > 0 && !json ? mask(map, &len, &masked[IN_GROUP]) : -1;
    if (changed < 0)
        return group_set((const u8 *) none, length(none)) == 0;
    return changed == 0 || group_set(map, len) == 0;
}

/* carry_out does what the host does with operations of a batch guest. It returns the reply. */
static const u8 *carry_out(const u8 *body, u32 body_len)
{
    const u8 *reply = body;

    for (const struct op *op = ops; op < ops + ops_count; op++) {
        const struct emitted *e = op->bytes;
        struct mp v;
        u8 *to;

        switch (op->kind) {
        case OP_DROP:
            return 0;
        case OP_REPLACE:
            if (op->part == BODY)
                reply = op->bytes;
            else if (metadata_set(op->bytes, op->len) != 0)
                return drop("the metadata can't be set");
            break;
        case OP_ADD:
            to = room_for((u64) body_len + op->len + 5);
            if (!to || !mp_read(body, body + body_len, &v))
                return drop(no_memory);
            reply = to;
            to = mp_put_map(to, v.count + op->a);
            to = move(to, body + v.head, body_len - v.head);
            __builtin_memcpy(to, op->bytes, op->len);
            break;
        case OP_EMIT: /* with the time and metadata that the record has when this returns */
            if (emit(e->body, e->body_len, 0, 0, SAME_TIME, 0) != 0)
                return drop("a part of the record can't be emitted");
            break;
        }
    }
    return reply;
}

EXPORT(filter)
const u8 *filter(const char *tag, u32 tag_len, u32 sec, u32 nsec, u8 *record, u32 len)
{
    const char *why;
    const u8 *reply;
    u8 *metadata;
    int n;

    (void) tag, (void) tag_len, (void) sec, (void) nsec;
    next = arena;
    ops_count = 0;
    ops_kept = 0;
    if (!mask_group(*record == '{'))
        return drop("the group can't be masked");
    if (*record == '{')
        return drop("records come as JSON: set event_format msgpack");
    n = fetch(metadata_get, &metadata);
    if (n < 0)
        return drop("the metadata can't be read");
    why = filter_event(0, record, len, metadata, (u32) n);
    reply = why ? drop(why) : carry_out(record, len);
    report_masked();
    return reply;
}
