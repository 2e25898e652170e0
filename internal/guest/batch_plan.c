// What operations are to make of an event or of the marker of a group.

#include "batch_impl.h"

enum { MAX_TEXT_BYTES = 1024 }; // of an error

// note_edits collects the edits of a part.
static bool note_edits(flbwt_lane *lane, const flbwt_ops *ops, plan *p, uint32_t part)
{
    flbwt_batch *b = &lane->batch;

    p->from[part] = b->edits.len;
    for (uint32_t i = 0; i < p->n; i++) {
        op o = op_at(lane->guest, ops, ops->at + i);

        if (o.part != part || o.kind < FLBWT_EDIT_REPLACE || o.kind > FLBWT_EDIT_PUT) {
            continue;
        }
        flbwt_edit e = {o.kind, o.a, o.b, o.bytes, o.len};
        if (!push(&b->edits, &e, sizeof(e))) {
            lane->outcome = FLBWT_HOST_NO_MEMORY;
            return refuse(b, "the host has no memory");
        }
        p->edits[part]++;
    }
    return true;
}

void flbwt_batch_say_error(flbwt_lane *lane, const op *o)
{
    lane->outcome = FLBWT_ERROR;
    lane->batch.code = o->a;
    lane->batch.text = o->bytes;
    lane->batch.text_len = o->len < MAX_TEXT_BYTES ? o->len : MAX_TEXT_BYTES;
}

// read_operation notes an operation in the plan, and which part it edits. False: it may not be, or says that the event
// has failed; then lane->outcome is FLBWT_ERROR.
static bool read_operation(flbwt_lane *lane, const op *o, plan *p, bool edited[PARTS])
{
    flbwt_batch *b = &lane->batch;

    if (o->bytes == NULL) {
        return refuse(b, "bytes are not inside memory");
    }
    switch (o->kind) {
    case OP_DROP:
        p->drop = true;
        return true;
    case OP_ERROR:
        if (p->n > 1) {
            return refuse(b, "error goes with nothing else");
        }
        flbwt_batch_say_error(lane, o);
        return false;
    case OP_TIME:
        if (o->a >= UINT32_MAX - 1 || o->b >= 1000000000) {
            return refuse(b, "the time is none that an event can have");
        }
        p->timed = true;
        p->sec = o->a;
        p->nsec = o->b;
        return true;
    case OP_EMIT_TO:
        p->elsewhere++;
        p->emitted++;
        return true;
    case OP_EMIT:
        p->emitted++;
        return true;
    case FLBWT_EDIT_REPLACE:
    case FLBWT_EDIT_SET:
    case FLBWT_EDIT_ADD:
    case FLBWT_EDIT_REMOVE:
    case FLBWT_EDIT_PUT:
        if (o->part >= PARTS) {
            return refuse(b, "an event has no part of that number");
        }
        edited[o->part] = true;
        p->made += o->len;
        return true;
    default:
        return refuse(b, "there is no operation of that number");
    }
}

bool flbwt_batch_plan(flbwt_lane *lane, const flbwt_ops *ops, plan *p, bool group)
{
    flbwt_batch *b = &lane->batch;
    bool edited[PARTS] = {false, false};

    b->edits.len = 0;
    b->refused_tag = NULL;
    if ((uint64_t) p->n * OP_BYTES > MAX_MADE_BYTES) {
        lane->outcome = FLBWT_TOO_MUCH;
        return refuse(b, "there are more operations than may be");
    }
    lane->outcome = FLBWT_BREACH;
    for (uint32_t i = 0; i < p->n; i++) {
        op o = op_at(lane->guest, ops, ops->at + i);

        if (!read_operation(lane, &o, p, edited)) {
            return false;
        }
    }
    if (group && (p->drop || p->timed || p->emitted > 0)) {
        return refuse(b, "a group can only be edited");
    }
    if (p->drop && edited[BODY]) {
        return refuse(b, "the body of an event that is dropped can't be edited");
    }
    for (uint32_t part = 0; part < PARTS; part++) {
        if (edited[part] && !note_edits(lane, ops, p, part)) {
            return false;
        }
    }
    return true;
}

uint8_t *flbwt_batch_write_part(flbwt_batch *b, const plan *p, uint32_t part, const uint8_t *in,
                                size_t n, uint8_t *out)
{
    if (p->edits[part] == 0) {
        return copy(out, in, n);
    }
    if (n == 0) {
        b->why = "an event without metadata can't be given any";
        return NULL;
    }
    const void *edits = b->edits.data + p->from[part];

    return flbwt_edit_map(in, n, edits, p->edits[part],
                          part == BODY ? FLBWT_REPLY_DEPTH : FLBWT_METADATA_DEPTH, b->scratch.data,
                          out, &b->why);
}

uint8_t *flbwt_batch_write_parts(flbwt_batch *b, const uint8_t *data, const flbwt_place *e,
                                 const plan *p, uint8_t *out, uint8_t **body)
{
    out = copy(out, data + e->at, (p->timed ? e->time : e->meta) - e->at);
    if (p->timed) {
        out = write_time(out, p->sec, p->nsec);
    }
    out = flbwt_batch_write_part(b, p, METADATA, data + e->meta, e->body - e->meta, out);
    *body = out;
    return out != NULL ? flbwt_batch_write_part(b, p, BODY, data + e->body, e->next - e->body, out)
                       : NULL;
}

bool flbwt_batch_charge(flbwt_lane *lane, size_t n)
{
    lane->batch.given += n;
    if (lane->batch.given <= lane->size * 2 + FLBWT_CHUNK_ROOM) {
        return true;
    }
    lane->outcome = FLBWT_TOO_MUCH;
    return refuse(&lane->batch, "operations have more bytes than a chunk may have of them");
}
