// What modules import from "flb_v1" to read and change the record that they are called for
// (docs/abi.md). Nothing is done to the chunk here: what a guest gives is copied, and the host
// checks and uses it once the record has not failed.

#include "record.h"

#include "hostcall.h"
#include "tags.h"

#include "../fast/fast.h"

#include <stdlib.h>
#include <string.h>

enum {
    // Larger values are not made JSON.
    MAX_VALUE_BYTES = 4 << 20,
    // As much is copied before it is asked again whether the guest has taken too long.
    PART_BYTES = 1 << 20,
    MAX_NSEC = 999999999,
};

// The last two of 32 bits mark groups of events.
static const int64_t MAX_SEC = UINT32_MAX - 2;

static const uint32_t DONE = 0, REFUSED = UINT32_MAX; // -1
static const uint32_t NOT_GRANTED = UINT32_MAX - 1; // -2
static const uint32_t NOT_THERE = UINT32_MAX, NO_FORM = UINT32_MAX - 1; // -1, -2

flbwt_current *flbwt_current_new(bool msgpack)
{
    flbwt_current *r = calloc(1, sizeof(*r));

    if (r != NULL) {
        r->msgpack = msgpack;
    }
    return r;
}

static void trim(flbwt_buffer *b, size_t keep)
{
    if (b->cap > keep) {
        free(b->data);
        *b = (flbwt_buffer) {0};
    }
}

void flbwt_current_trim(flbwt_current *current, size_t keep)
{
    current->changes = 0;
    trim(&current->new_metadata, keep);
    trim(&current->new_group, keep);
    trim(&current->emitted, keep);
    current->metadata_json.of = current->group_json.of = 0;
    trim(&current->metadata_json.text, keep);
    trim(&current->group_json.text, keep);
}

void flbwt_current_free(flbwt_current *current)
{
    if (current != NULL) {
        flbwt_current_trim(current, 0);
        free(current);
    }
}

// record returns the current record, NULL if there is none.
static flbwt_current *record(const call *c)
{
    flbwt_current *r = c->instance->current;

    return r != NULL && r->open ? r : NULL;
}

static void do_time_get(call *c)
{
    const flbwt_current *r = record(c);

    c->v[0].i64 = r != NULL ? (int64_t) r->sec * 1000000000 + r->nsec : -1;
}

static bool is_time(int64_t sec, uint32_t nsec)
{
    return sec >= 0 && sec <= MAX_SEC && nsec <= MAX_NSEC;
}

static void do_time_set(call *c)
{
    flbwt_current *r = record(c);
    int64_t sec = c->v[0].i64;
    uint32_t nsec = param(c, 1);

    if (r == NULL || !is_time(sec, nsec)) {
        answer(c, REFUSED);
        return;
    }
    r->sec = (uint32_t) sec;
    r->nsec = nsec;
    r->changes |= FLBWT_TIME_SET;
    answer(c, DONE);
}

// given returns the bytes that two parameters say, NULL after it has ended the guest.
static const uint8_t *given(call *c, int i)
{
    const uint8_t *p = within(c->instance, param(c, i), param(c, i + 1));

    if (p == NULL) {
        flbwt_stop(c, "%s: the bytes are outside memory", c->name);
    }
    return p;
}

// add appends what the guest has given. False: the guest has been ended.
static bool add(call *c, flbwt_buffer *to, const uint8_t *bytes, uint32_t n)
{
    while (n > 0 && !flbwt_overdue(c)) {
        uint32_t part = n < PART_BYTES ? n : PART_BYTES;

        memcpy(to->data + to->len, bytes, part);
        to->len += part;
        bytes += part;
        n -= part;
    }
    return c->trap == NULL;
}

// set takes the bytes of the first two parameters as a part of the record, if that has one.
static void set(call *c, flbwt_current *r, bool has, flbwt_buffer *part, unsigned change)
{
    uint32_t n = param(c, 1);
    const uint8_t *bytes = given(c, 0);

    if (bytes == NULL) {
        return;
    }
    if (!has) {
        answer(c, REFUSED);
        return;
    }
    // What was set before is given up.
    size_t before = r->changes & change ? part->len : 0;
    if (n == 0 || n > FLBWT_GIVEN_PART_BYTES || n > FLBWT_GIVEN_BYTES - (r->given - before)) {
        answer(c, REFUSED);
        return;
    }
    size_t len = part->len;
    part->len = 0;
    if (!flbwt_reserve(part, n)) {
        part->len = len;
        answer(c, REFUSED);
        return;
    }
    if (add(c, part, bytes, n)) {
        r->given += n - before;
        r->changes |= change;
        answer(c, DONE);
    }
}

// there says whether the guest gets a value that there is or not, in the buffer of the first two
// parameters. False: it has its answer.
static bool there(call *c, bool is)
{
    if (within(c->instance, param(c, 0), param(c, 1)) == NULL) {
        flbwt_stop(c, "%s: the buffer is outside memory", c->name);
        return false;
    }
    if (!is) {
        answer(c, NOT_THERE);
    }
    return is;
}

// give writes bytes to the buffer, if there is room for all of them, and returns how many there are.
static void give(call *c, const uint8_t *bytes, size_t n)
{
    uint32_t room = param(c, 1);
    uint8_t *to = within(c->instance, param(c, 0), room);

    if (n > 0 && n <= room) {
        memcpy(to, bytes, n);
    }
    answer(c, (uint32_t) n);
}

// give_value gives a value of the chunk in the record's format.
static void give_value(call *c, const flbwt_current *r, const uint8_t *value, size_t n,
                       flbwt_json *json, uint64_t number)
{
    if (n > (r->msgpack ? (size_t) INT32_MAX : MAX_VALUE_BYTES)) {
        answer(c, NO_FORM);
        return;
    }
    if (r->msgpack) {
        give(c, value, n);
        return;
    }
    if (json->of != number) {
        const uint8_t *after;
        flbwt_record ignored;

        json->of = 0;
        json->text.len = 0;
        if (!flbwt_reserve(&json->text, n * FLBWT_JSON_GROWTH + FLBWT_GROWTH_ROOM)) {
            answer(c, NO_FORM);
            return;
        }
        uint8_t *end = flbwt_write_json(value, value + n, json->text.data, &after, &ignored);
        if (end == NULL) {
            answer(c, NO_FORM);
            return;
        }
        json->text.len = (size_t) (end - json->text.data);
        json->of = number;
    }
    give(c, json->text.data, json->text.len);
}

static void do_metadata_get(call *c)
{
    static const uint8_t none = 0x80;
    flbwt_current *r = record(c);

    if (!there(c, r != NULL)) {
        return;
    }
    if (r->changes & FLBWT_METADATA_SET) {
        give(c, r->new_metadata.data, r->new_metadata.len);
        return;
    }
    const uint8_t *end = r->header + r->header_len;
    const uint8_t *metadata = flbwt_event_metadata(r->header, r->header_len);

    if (metadata == NULL) {
        metadata = &none;
        end = metadata + 1;
    }
    give_value(c, r, metadata, (size_t) (end - metadata), &r->metadata_json, r->number);
}

static bool has_metadata(const flbwt_current *r)
{
    return r != NULL && flbwt_event_metadata(r->header, r->header_len) != NULL;
}

static void do_metadata_set(call *c)
{
    flbwt_current *r = record(c);

    set(c, r, has_metadata(r), r != NULL ? &r->new_metadata : NULL, FLBWT_METADATA_SET);
}

static void do_group_get(call *c)
{
    flbwt_current *r = record(c);

    if (!there(c, r != NULL && r->group != NULL)) {
        return;
    }
    if (r->changes & FLBWT_GROUP_SET) {
        give(c, r->new_group.data, r->new_group.len);
        return;
    }
    give_value(c, r, r->group, r->group_len, &r->group_json, r->group_number);
}

static void do_group_set(call *c)
{
    flbwt_current *r = record(c);

    set(c, r, r != NULL && r->group != NULL, r != NULL ? &r->new_group : NULL, FLBWT_GROUP_SET);
}

// emit appends a further event to what the guest has emitted. Its body and metadata are at the parameters
// from i on, where its time follows. r is NULL if there is none to emit it from.
static void emit(call *c, flbwt_current *r, int i, const uint8_t *tag, uint32_t tag_len)
{
    flbwt_emitted e = {
        .sec = c->v[i + 4].i64,
        .nsec = param(c, i + 5),
        .body_len = param(c, i + 1),
        .metadata_len = param(c, i + 3),
        .tag_len = tag_len,
    };
    const uint8_t *body = given(c, i), *metadata = given(c, i + 2);

    if (body == NULL || metadata == NULL) {
        return;
    }
    size_t n = sizeof(e) + (size_t) e.body_len + e.metadata_len + tag_len;
    if (r == NULL || e.body_len == 0 || e.body_len > FLBWT_GIVEN_PART_BYTES ||
        e.metadata_len > FLBWT_GIVEN_PART_BYTES || n > FLBWT_GIVEN_BYTES - r->given ||
        (e.sec != -1 && !is_time(e.sec, e.nsec)) ||
        (e.metadata_len > 0 && !r->ticking && !has_metadata(r))) {
        answer(c, REFUSED);
        return;
    }
    flbwt_buffer *to = &r->emitted;
    if (!(r->changes & FLBWT_EMITTED)) {
        to->len = 0;
    }
    if (!flbwt_reserve(to, n)) {
        answer(c, REFUSED);
        return;
    }
    memcpy(to->data + to->len, &e, sizeof(e));
    to->len += sizeof(e);
    if (add(c, to, body, e.body_len) && add(c, to, metadata, e.metadata_len) &&
        add(c, to, tag, tag_len)) {
        r->given += n;
        r->changes |= FLBWT_EMITTED;
        answer(c, DONE);
    }
}

static void do_emit(call *c) { emit(c, record(c), 0, NULL, 0); }

static void do_emit_to(call *c)
{
    flbwt_current *r = c->instance->current;
    uint32_t tag_len = param(c, 1);
    const uint8_t *tag = given(c, 0);

    if (tag == NULL) {
        return;
    }
    if (!r->open && !r->ticking) {
        r = NULL;
    }
    else if (!flbwt_tags_grant(&c->instance->tags, tag, tag_len)) {
        answer(c, NOT_GRANTED);
        return;
    }
    emit(c, r, 2, tag, tag_len);
}

HOST_FUNCTION(host_time_get, "time_get", do_time_get)
HOST_FUNCTION(host_time_set, "time_set", do_time_set)
HOST_FUNCTION(host_metadata_get, "metadata_get", do_metadata_get)
HOST_FUNCTION(host_metadata_set, "metadata_set", do_metadata_set)
HOST_FUNCTION(host_group_get, "group_get", do_group_get)
HOST_FUNCTION(host_group_set, "group_set", do_group_set)
HOST_FUNCTION(host_emit, "emit", do_emit)
HOST_FUNCTION(host_emit_to, "emit_to", do_emit_to)

static const flbwt_import table[] = {
    {"flb_v1", "time_get", ":I", host_time_get},
    {"flb_v1", "time_set", "Ii:i", host_time_set},
    {"flb_v1", "metadata_get", "ii:i", host_metadata_get},
    {"flb_v1", "metadata_set", "ii:i", host_metadata_set},
    {"flb_v1", "group_get", "ii:i", host_group_get},
    {"flb_v1", "group_set", "ii:i", host_group_set},
    {"flb_v1", "emit", "iiiiIi:i", host_emit},
    {"flb_v1", "emit_to", "iiiiiiIi:i", host_emit_to},
};

const flbwt_import *const flbwt_record_imports = table;
const size_t flbwt_record_imports_len = sizeof(table) / sizeof(table[0]);
