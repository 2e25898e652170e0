/*
 * flb_test.h: tests of filters without WebAssembly. It is a host in memory, for one file, which includes the
 * filter's source before. A filter goes the way that it goes in Fluent Bit: it is given a batch as the ABI has it,
 * and what it replies is carried out. The host has no bounds but those of memory. What it returns lives until
 * flb_test_reset.
 *
 *     flb_test_config("environment", "test");
 *     assert(!flb_test_start());                     // 0, or why the configuration is refused
 *     assert(!strcmp(flb_test_bodies("{\"a\":1}"), "{\"a\":1,\"environment\":\"test\"}\n"));
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FLB_TEST_H
#define FLB_TEST_H

#include <stdio.h>
#include <string.h>
#include "flb_filter.h"

#ifdef __cplusplus
extern "C" {
#endif
const char *flb_export_configure(void);
void *flb_export_buffer(unsigned size);
const struct flb_reply_ *flb_export_filter(void *input, unsigned len);
const char *flb_export_tick(unsigned flags);

/* An event, as it came out: body and metadata are JSON; metadata is 0 if the event is of a form without. tag is 0,
 * unless it is emitted under another one. */
typedef struct flb_test_event_out {
    const char *body, *metadata, *tag;
    long long sec;
    unsigned nsec, group;
} flb_test_event_out;

struct flb_bytes_ {
    flb_byte *at;
    size_t len, room;
};

struct flb_pair_ { /* a setting, a table, a key of the store, a series, all by name */
    struct flb_pair_ *next;
    struct flb_bytes_ key, value;
    long long ends; /* when a key of the store expires; 0: never */
    double sum;
};

struct flb_came_ {
    struct flb_bytes_ body, metadata;
    long long sec;
    unsigned nsec, group;
};

enum { FLB_TEST_MOST_ = 256 };

static struct flb_test_state_ {
    struct flb_pair_ *config, *tables, *store, *series;
    const char *tag, *metrics[FLB_TEST_MOST_];
    int level, metric_count;
    long long now_ms;
    struct flb_bytes_ log;
    struct flb_came_ events[FLB_TEST_MOST_], groups[FLB_TEST_MOST_];
    unsigned event_count, group_count, out_count, routed_count, error_count;
    flb_test_event_out out[16 * FLB_TEST_MOST_];
    flb_test_event_out routed[16 * FLB_TEST_MOST_]; /* under other tags */
    int in_tick;
    const char *errors[FLB_TEST_MOST_], *group_bodies[FLB_TEST_MOST_];
    struct flb_op_ *group_errors[FLB_TEST_MOST_];
    int error_codes[FLB_TEST_MOST_];
    void **kept;
} flb_test_;

static inline void flb_test_fail_(const char *what, const char *at) {
    fprintf(stderr, "flb_test.h: %s: %.60s\n", what, at);
    abort();
}

static inline void *flb_keep_(size_t size) {
    void **p = (void **) calloc(1, sizeof(*p) + size + 1);
    if (!p) flb_test_fail_("no memory", "");
    *p = flb_test_.kept;
    flb_test_.kept = p;
    return p + 1;
}

/* flb_test_reset makes a new host, without configuration, tables and groups, whose tag is app.log. */
static inline void flb_test_reset(void) {
    for (void **p = flb_test_.kept, **next; p; p = next) {
        next = (void **) *p;
        free(p);
    }
    memset(&flb_test_, 0, sizeof(flb_test_));
    flb_test_.tag = "app.log";
    flb_test_.level = FLB_INFO;
}

static inline void flb_bytes_add_(struct flb_bytes_ *to, const void *at, size_t len) {
    if (to->room - to->len < len + 1) {
        flb_byte *old = to->at;
        to->room = 2 * to->room + len + 16;
        to->at = (flb_byte *) flb_keep_(to->room);
        if (old) memcpy(to->at, old, to->len);
    }
    if (len) memcpy(to->at + to->len, at, len);
    to->len += len;
    to->at[to->len] = 0;
}

static inline void flb_bytes_add_arg_(struct flb_bytes_ *to, flb_arg arg) {
    flb_bytes_add_(to, arg.head, arg.head_len);
    flb_bytes_add_(to, arg.at, arg.len);
}

static inline struct flb_pair_ *flb_pair_(struct flb_pair_ **list, const void *key, size_t len, int make) {
    struct flb_pair_ *p;
    for (p = *list; p && (p->key.len != len || (len && memcmp(p->key.at, key, len))); p = p->next) {}
    if (!p && make) {
        p = (struct flb_pair_ *) flb_keep_(sizeof(*p));
        flb_bytes_add_(&p->key, key, len);
        p->next = *list;
        *list = p;
    }
    return p;
}

/* JSON. */

static inline const char *flb_json_blank_(const char *p) { return p + strspn(p, " \t\r\n"); }

static inline const char *flb_json_text_(const char *p, struct flb_bytes_ *to) {
    struct flb_bytes_ text = {0, 0, 0};
    flb_bytes_add_(&text, "", 0);
    for (p++; *p != '"'; p++) {
        unsigned c = (flb_byte) *p, low = 0;
        flb_byte u[4];
        if (c == 0) flb_test_fail_("JSON", "a text does not end");
        if (c == '\\') {
            const char *from = "\"\\/bfnrt", *found = strchr(from, *++p);
            if (found && *p) c = (flb_byte) "\"\\/\b\f\n\r\t"[found - from];
            else if (sscanf(p, "u%4x", &c) == 1) p += 4;
            else flb_test_fail_("JSON", p);
            if (!found && c >> 10 == 0x36 && sscanf(p + 1, "\\u%4x", &low) == 1) {
                c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
                p += 6;
            }
            u[0] = (flb_byte) (c < 0x80 ? c : c < 0x800 ? 0xc0 | c >> 6 : c < 0x10000 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
            u[1] = (flb_byte) (0x80 | (c >> (c < 0x800 ? 0 : c < 0x10000 ? 6 : 12) & 63));
            u[2] = (flb_byte) (0x80 | (c >> (c < 0x10000 ? 0 : 6) & 63));
            u[3] = (flb_byte) (0x80 | (c & 63));
            flb_bytes_add_(&text, u, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        }
        else flb_bytes_add_(&text, p, 1);
    }
    flb_bytes_add_arg_(to, flb_arg_text_(flb_text_of(text.at, (unsigned) text.len)));
    return p + 1;
}

/* Writes a value as MessagePack, and returns where it ends. */
static inline const char *flb_json_read_(const char *p, struct flb_bytes_ *to) {
    p = flb_json_blank_(p);
    if (*p == '{' || *p == '[') {
        char close = *p == '{' ? '}' : ']';
        struct flb_bytes_ inner = {0, 0, 0};
        flb_byte head[5];
        unsigned count = 0;
        for (p = flb_json_blank_(p + 1); *p != close; count++) {
            if (count > 0 && *p++ != ',') flb_test_fail_("JSON: expected a comma before", p - 1);
            p = flb_json_blank_(p);
            if (close == '}') {
                if (*p != '"') flb_test_fail_("JSON: expected a key before", p);
                p = flb_json_blank_(flb_json_text_(p, &inner));
                if (*p++ != ':') flb_test_fail_("JSON: expected : before", p - 1);
            }
            p = flb_json_blank_(flb_json_read_(p, &inner));
        }
        flb_bytes_add_(to, head, flb_put_head_(head, close == '}' ? FLB_MAP : FLB_ARRAY, count));
        flb_bytes_add_(to, inner.at, inner.len);
        return p + 1;
    }
    if (*p == '"') return flb_json_text_(p, to);
    if (!strncmp(p, "null", 4)) return flb_bytes_add_arg_(to, flb_nil()), p + 4;
    if (!strncmp(p, "true", 4)) return flb_bytes_add_arg_(to, flb_bool(1)), p + 4;
    if (!strncmp(p, "false", 5)) return flb_bytes_add_arg_(to, flb_bool(0)), p + 5;
    size_t len = strspn(p, "+-.0123456789eE");
    if (len == 0) flb_test_fail_("JSON: expected a value before", p);
    if (strcspn(p, ".eE") < len) flb_bytes_add_arg_(to, flb_arg_float_(strtod(p, 0)));
    else if (*p == '-') flb_bytes_add_arg_(to, flb_arg_int_(strtoll(p, 0, 10)));
    else flb_bytes_add_arg_(to, flb_arg_uint_(strtoull(p, 0, 10)));
    return p + len;
}

static inline struct flb_bytes_ flb_json_map_(const char *json) {
    struct flb_bytes_ map = {0, 0, 0};
    if (*flb_json_blank_(json) != '{') flb_test_fail_("JSON: expected an object before", json);
    json = flb_json_blank_(flb_json_read_(json, &map));
    if (*json) flb_test_fail_("JSON: expected the end before", json);
    return map;
}

static inline void flb_json_write_(flb_value v, struct flb_bytes_ *to) {
    char number[40];
    unsigned long long u;
    long long i;
    double f;
    flb_text text = flb_as_bytes(v);
    enum flb_kind kind = flb_kind_of(v);
    if (kind == FLB_MAP || kind == FLB_ARRAY) {
        flb_bytes_add_(to, kind == FLB_MAP ? "{" : "[", 1);
        unsigned count = 0;
        for (flb_iter it = flb_iterate(v); flb_next(&it); count++) {
            if (count > 0) flb_bytes_add_(to, ",", 1);
            if (kind == FLB_MAP) flb_json_write_(it.key, to);
            if (kind == FLB_MAP) flb_bytes_add_(to, ":", 1);
            flb_json_write_(it.value, to);
        }
        flb_bytes_add_(to, kind == FLB_MAP ? "}" : "]", 1);
        return;
    }
    if (text.at) {
        flb_bytes_add_(to, "\"", 1);
        for (unsigned n = 0; n < text.len; n++) {
            flb_byte c = (flb_byte) text.at[n];
            int escaped = c < 0x20 || c == '"' || c == '\\';
            snprintf(number, sizeof(number), c == '\n' ? "\\n" : c < 0x20 ? "\\u%04x" : "\\%c", c);
            flb_bytes_add_(to, escaped ? number : (const char *) &c, escaped ? strlen(number) : 1);
        }
        flb_bytes_add_(to, "\"", 1);
        return;
    }
    if (flb_as_int(v, &i)) snprintf(number, sizeof(number), "%lld", i);
    else if (flb_as_uint(v, &u)) snprintf(number, sizeof(number), "%llu", u);
    else if (flb_as_double(v, &f)) snprintf(number, sizeof(number), f > -1e15 && f < 1e15 && f == (double) (long long) f ? "%.1f" : "%.17g", f);
    else snprintf(number, sizeof(number), "%s", kind == FLB_BOOL ? *v.at & 1 ? "true" : "false" : kind == FLB_NIL ? "null" : "\"(extension)\"");
    flb_bytes_add_(to, number, strlen(number));
}

/* flb_test_json returns a value as JSON without blanks. */
static inline const char *flb_test_json(flb_value v) {
    struct flb_bytes_ json = {0, 0, 0};
    flb_json_write_(v, &json);
    return (const char *) json.at;
}

/* What a test says. */

static inline void flb_test_config(const char *key, const char *value) {
    struct flb_pair_ *p = flb_pair_(&flb_test_.config, key, strlen(key), 1);
    p->value.len = 0;
    flb_bytes_add_(&p->value, value, strlen(value));
}

/* flb_test_table sets table.NAME to an object of JSON, whose keys are looked up. */
static inline void flb_test_table(const char *name, const char *json) {
    flb_pair_(&flb_test_.tables, name, strlen(name), 1)->value = flb_json_map_(json);
}

/* flb_test_group gives batches a group that may be changed, with that body. */
static inline void flb_test_group(const char *json) {
    struct flb_came_ *g = &flb_test_.groups[flb_test_.group_count++];
    g->body = flb_json_map_(json);
    g->metadata = flb_json_map_("{}");
}

/* flb_test_start reads the configuration: 0, or why it is refused. */
static inline const char *flb_test_start(void) { return flb_export_configure(); }

/* flb_test_event adds an event to the next batch, without metadata ({}), at 1,700,000,000 s, in no group. */
static inline struct flb_came_ *flb_test_event(const char *body) {
    struct flb_came_ *e = &flb_test_.events[flb_test_.event_count++];
    if (flb_test_.event_count > FLB_TEST_MOST_) flb_test_fail_("too many events", body);
    e->body = flb_json_map_(body);
    e->metadata = flb_json_map_("{}");
    e->sec = 1700000000;
    e->nsec = e->group = 0;
    return e;
}

/* flb_test_metadata gives the last event metadata; 0: it is of a form without. */
static inline void flb_test_metadata(const char *json) {
    struct flb_bytes_ none = {0, 0, 0};
    flb_test_.events[flb_test_.event_count - 1].metadata = json ? flb_json_map_(json) : none;
}

/* flb_test_in_group puts the last event into a group: 1 is the first one. */
static inline void flb_test_in_group(unsigned n) { flb_test_.events[flb_test_.event_count - 1].group = n; }

static inline void flb_test_put_(struct flb_bytes_ *all, size_t at, const struct flb_bytes_ *part) {
    unsigned where[2] = {(unsigned) all->len, (unsigned) part->len};
    memcpy(all->at + at, where, sizeof(where));
    flb_bytes_add_(all, part->at, part->len);
}

/* What a host makes of a part. */
static inline const char *flb_test_part_(const struct flb_bytes_ *came, unsigned which, struct flb_op_ *ops, unsigned n) {
    flb_part part;
    flb_map made;
    unsigned named = 0;
    memset(&part, 0, sizeof(part));
    flb_load_(&part, which, came->at, (unsigned) came->len);
    part.puts = (struct flb_op_ *) flb_keep_((n + 1) * sizeof(*ops));
    for (unsigned i = 0; i < n; i++) {
        if (ops[i].part != which || ops[i].kind < FLB_REPLACE_ || ops[i].kind > FLB_PUT_) continue;
        if (ops[i].kind == FLB_REPLACE_) return flb_test_json(flb_value_of_(ops[i].bytes));
        if (ops[i].kind == FLB_PUT_) part.puts[part.puts_count++] = ops[i];
        else part.edits++;
        named += ops[i].kind == FLB_SET_ || ops[i].kind == FLB_REMOVE_;
    }
    if (named > 256) flb_test_fail_("more than 256 sets and removes of a part", "");
    if (came->len == 0) return 0;
    made = flb_apply_(&part, ops, n);
    return flb_test_json(flb_map_value(&made));
}

/* The next event under a tag; 0 if that is none. */
static inline flb_test_event_out *flb_test_routed_(flb_text tag) {
    flb_test_event_out *out = &flb_test_.routed[flb_test_.routed_count];
    char *copy = (char *) flb_keep_(tag.len);
    for (unsigned i = 0; i < tag.len; i++)
        if ((flb_byte) (copy[i] = tag.at[i]) < ' ' || copy[i] == 0x7f) return 0;
    if (tag.len == 0 || tag.len > 1024) return 0;
    if (++flb_test_.routed_count > 16 * FLB_TEST_MOST_) flb_test_fail_("too many events come out", "");
    out->tag = copy;
    return out;
}

static inline void flb_test_carry_out_(const struct flb_came_ *e, struct flb_op_ *ops, unsigned n) {
    flb_test_event_out *out;
    long long sec = e->sec;
    unsigned nsec = e->nsec, dropped = 0;
    const char *body = flb_test_part_(&e->body, 0, ops, n), *metadata = flb_test_part_(&e->metadata, 1, ops, n);
    if (e->group && flb_test_.group_errors[e->group - 1]) ops = flb_test_.group_errors[e->group - 1], n = 1;
    if (n > 0 && ops[0].kind == FLB_ERROR_) {
        flb_text text = flb_text_of(ops[0].bytes, ops[0].len);
        char *copy = (char *) flb_keep_(text.len);
        if (text.len) memcpy(copy, text.at, text.len);
        flb_test_.error_codes[flb_test_.error_count] = (int) ops[0].a;
        flb_test_.errors[flb_test_.error_count++] = copy;
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        if (ops[i].kind == FLB_TIME_) sec = ops[i].a, nsec = ops[i].b;
        dropped |= ops[i].kind == FLB_DROP_;
    }
    for (unsigned i = dropped; i <= n; i++) {
        const struct flb_emitted_ *made = (const struct flb_emitted_ *) (i ? ops[i - 1].bytes : 0);
        if (i && ops[i - 1].kind < FLB_EMIT_) continue;
        out = i && ops[i - 1].kind == FLB_EMIT_TO_ ? flb_test_routed_(made->tag) : &flb_test_.out[flb_test_.out_count++];
        if (!out) flb_test_fail_("emit_to: this is not a tag", made->tag.at);
        if (flb_test_.out_count > 16 * FLB_TEST_MOST_) flb_test_fail_("too many events come out", "");
        out->body = i ? flb_test_json(flb_value_of_(made->body.at)) : body;
        out->metadata = i && made->metadata.len ? flb_test_json(flb_value_of_(made->metadata.at)) : metadata;
        out->sec = i && made->sec != -1 ? made->sec : sec;
        out->nsec = i && made->sec != -1 ? made->nsec : nsec;
        out->group = i && made->group != ~0U ? made->group : e->group;
    }
}

/* flb_test_run calls the filter for the events that have been added. Afterwards there are none. */
static inline void flb_test_run(void) {
    enum { HEADER = 64, EVENT = 40, GROUP = 32 }; /* larger than they are today */
    struct flb_test_state_ *t = &flb_test_;
    struct flb_bytes_ all = {0, 0, 0}, tag = {(flb_byte *) t->tag, strlen(t->tag), 0};
    unsigned size = HEADER + EVENT * t->event_count + GROUP * t->group_count, n;
    unsigned head[10] = {HEADER, 0, 0, 0, HEADER, t->event_count, EVENT, HEADER + EVENT * t->event_count, t->group_count, GROUP};
    const struct flb_reply_ *reply;
    void *input, *zeros = flb_keep_(size);
    flb_bytes_add_(&all, zeros, size);
    memcpy(all.at, head, sizeof(head));
    flb_test_put_(&all, 8, &tag);
    for (unsigned i = 0; i < t->event_count + t->group_count; i++) {
        int is_event = i < t->event_count;
        struct flb_came_ *e = is_event ? &t->events[i] : &t->groups[i - t->event_count];
        size_t at = is_event ? HEADER + EVENT * i : HEADER + EVENT * t->event_count + GROUP * (i - t->event_count);
        memcpy(all.at + at, &e->sec, 8);
        if (!is_event) memcpy(all.at + at, "\1", 2);
        if (is_event) memcpy(all.at + at + 8, &e->nsec, 4);
        if (is_event) memcpy(all.at + at + 12, &e->group, 4);
        flb_test_put_(&all, at + (is_event ? 16 : 8), &e->metadata);
        flb_test_put_(&all, at + (is_event ? 24 : 16), &e->body);
    }
    input = flb_export_buffer((unsigned) all.len);
    if (!input) flb_test_fail_("flb_buffer has no memory", "");
    memcpy(input, all.at, all.len);
    reply = flb_export_filter(input, (unsigned) all.len);
    t->out_count = t->routed_count = t->error_count = 0;
    for (unsigned kind = 0; kind < 2; kind++) {
        unsigned count = reply ? kind ? reply->event_count : reply->group_count : 0;
        struct flb_op_ *op = (struct flb_op_ *) (reply ? kind ? reply->events : reply->groups : 0);
        for (unsigned i = 0; i < (kind ? t->event_count : t->group_count); i++, op = op ? op + n : op, count -= n) {
            for (n = 0; n < count && op[n].of == i;) n++;
            if (kind) flb_test_carry_out_(&t->events[i], op, n);
            else t->group_errors[i] = n > 0 && op->kind == FLB_ERROR_ ? op : 0;
            if (!kind) t->group_bodies[i] = flb_test_part_(&t->groups[i].body, 0, op, n);
        }
        if (count > 0) flb_test_fail_("operations do not ascend", "");
    }
    t->event_count = 0;
}

/* flb_test_bodies runs the filter on lines of JSON, each the body of an event, and returns those that come out. */
static inline const char *flb_test_bodies(const char *lines) {
    struct flb_bytes_ all = {0, 0, 0};
    while (*flb_json_blank_(lines)) {
        size_t len = strcspn(lines, "\n");
        char *line = (char *) memcpy(flb_keep_(len), lines, len);
        flb_test_event(line);
        lines += len + (lines[len] == '\n');
    }
    flb_test_run();
    flb_bytes_add_(&all, "", 0);
    for (unsigned i = 0; i < flb_test_.out_count; i++) {
        flb_bytes_add_(&all, flb_test_.out[i].body, strlen(flb_test_.out[i].body));
        flb_bytes_add_(&all, "\n", 1);
    }
    return (const char *) all.at;
}

/* flb_test_tick has a tick come, which may be the last one: 0, or why it has failed. What it emits is in
 * flb_test_.routed. It is for a filter that has FLB_TICK. */
#define flb_test_tick(last) flb_test_tick_(flb_export_tick, last)

static inline const char *flb_test_tick_(const char *(*tick)(unsigned), unsigned last) {
    const char *why;
    flb_test_.routed_count = 0;
    flb_test_.in_tick = 1;
    why = tick(last);
    flb_test_.in_tick = 0;
    if (why) flb_test_.routed_count = 0;
    return why;
}

/* flb_test_metric returns a metric with these values of its labels ("POST,200"): of a histogram their sum. */
static inline double flb_test_metric(const char *name, const char *labels) {
    struct flb_pair_ *p;
    const char *key = flb_printf("%s,%s", name, labels).at;
    p = flb_pair_(&flb_test_.series, key, strlen(key), 0);
    return p ? p->sum : 0;
}

/* flb_test_advance lets time pass, for keys of the store, and for what ticks emit now. */
static inline void flb_test_advance(long long ms) { flb_test_.now_ms += ms; }

/* Host functions. */

static inline int flb_test_give_(const void *at, size_t len, void *to, unsigned room) {
    if (len <= room && len) memcpy(to, at, len);
    return (int) len;
}

void flb_host_log(int level, const void *text, unsigned len) {
    flb_bytes_add_(&flb_test_.log, &"EWIDT"[level - 1], 1);
    flb_bytes_add_(&flb_test_.log, " ", 1);
    flb_bytes_add_(&flb_test_.log, text, len);
    flb_bytes_add_(&flb_test_.log, "\n", 1);
}
int flb_host_log_enabled(int level) { return level <= flb_test_.level; }
int flb_host_emit_to(const void *tag, unsigned tag_len, const void *body, unsigned body_len, const void *metadata,
                     unsigned metadata_len, long long sec, unsigned nsec) {
    flb_test_event_out *out = flb_test_.in_tick ? flb_test_routed_(flb_text_of(tag, tag_len)) : 0;
    (void) body_len;
    if (!out) return flb_test_.in_tick ? -2 : -1;
    out->body = flb_test_json(flb_value_of_(body));
    out->metadata = metadata_len ? flb_test_json(flb_value_of_(metadata)) : "{}";
    out->sec = sec == -1 ? 1700000000 + flb_test_.now_ms / 1000 : sec;
    out->nsec = nsec;
    return 0;
}
int flb_host_config_get(const void *key, unsigned len, void *to, unsigned room) {
    struct flb_pair_ *p = flb_pair_(&flb_test_.config, key, len, 0);
    return p ? flb_test_give_(p->value.at, p->value.len, to, room) : -1;
}
int flb_host_config_key(unsigned i, void *to, unsigned room) {
    struct flb_pair_ *p = flb_test_.config;
    while (p && i-- > 0) p = p->next;
    return p ? flb_test_give_(p->key.at, p->key.len, to, room) : -1;
}
int flb_host_table_open(const void *name, unsigned len) {
    int id = 0;
    for (struct flb_pair_ *p = flb_test_.tables; p; p = p->next, id++)
        if (p->key.len == len && !memcmp(p->key.at, name, len)) return id;
    return -1;
}
int flb_host_table_get(int table, const void *key, unsigned len, const void *path, unsigned path_len, int format,
                       void *to, unsigned room) {
    struct flb_pair_ *p = flb_test_.tables;
    flb_value v;
    (void) format;
    while (p && table-- > 0) p = p->next;
    if (!p) flb_test_fail_("a trap: there is no such table", "");
    v = flb_member_(0, flb_value_of_(p->value.at), flb_text_of(key, len));
    if (path_len > 0) v = flb_get_value_(v, flb_text_of(path, path_len));
    return v.at ? flb_test_give_(v.at, flb_msgpack(v).len, to, room) : -1;
}
static inline struct flb_pair_ *flb_test_key_(const void *key, unsigned len, int make, long long ttl_ms) {
    struct flb_pair_ *p = flb_pair_(&flb_test_.store, key, len, make);
    if (p && p->ends && p->ends <= flb_test_.now_ms) {
        memset(&p->value, 0, sizeof(p->value));
        p->ends = 0;
    }
    if (make && (ttl_ms > 0 || ttl_ms == FLB_FOREVER)) p->ends = ttl_ms ? flb_test_.now_ms + ttl_ms : 0;
    return p && (p->value.at || make) ? p : 0;
}
int flb_host_store_get(const void *key, unsigned len, void *to, unsigned room) {
    struct flb_pair_ *p = flb_test_key_(key, len, 0, 0);
    return p ? flb_test_give_(p->value.at, p->value.len, to, room) : -1;
}
int flb_host_store_set(const void *key, unsigned len, const void *value, unsigned value_len, long long ttl_ms) {
    struct flb_pair_ *p = flb_test_key_(key, len, 1, ttl_ms);
    p->value.len = 0;
    flb_bytes_add_(&p->value, value, value_len);
    return 0;
}
int flb_host_store_delete(const void *key, unsigned len) {
    struct flb_pair_ *p = flb_test_key_(key, len, 0, 0);
    if (p) memset(&p->value, 0, sizeof(p->value));
    return p != 0;
}
int flb_host_store_add(const void *key, unsigned len, long long delta, long long ttl_ms, long long *result) {
    struct flb_pair_ *p = flb_test_key_(key, len, 0, 0);
    *result = delta;
    if (p && p->value.len != 8) flb_test_fail_("a trap: store_add of what is not a counter", (const char *) key);
    if (p) {
        memcpy(result, p->value.at, 8);
        *result += delta;
    }
    return flb_host_store_set(key, len, result, 8, p ? FLB_KEEP : ttl_ms);
}
int flb_host_store_cas(const void *key, unsigned len, const void *old, int old_len, const void *value,
                       unsigned value_len, long long ttl_ms) {
    struct flb_pair_ *p = flb_test_key_(key, len, 0, 0);
    if (old_len < 0 ? p != 0 : !p || p->value.len != (size_t) old_len || memcmp(p->value.at, old, p->value.len)) return 0;
    return flb_host_store_set(key, len, value, value_len, ttl_ms), 1;
}
int flb_host_metric_define(int kind, const void *name, unsigned name_len, const void *help, unsigned help_len,
                           const void *labels, unsigned labels_len, const double *buckets, unsigned count) {
    char *copy = (char *) memcpy(flb_keep_(name_len), name, name_len);
    (void) kind, (void) help, (void) help_len, (void) labels, (void) labels_len, (void) buckets, (void) count;
    for (int i = 0; i < flb_test_.metric_count; i++)
        if (!strcmp(flb_test_.metrics[i], copy)) return i;
    flb_test_.metrics[flb_test_.metric_count] = copy;
    return flb_test_.metric_count++;
}
static inline struct flb_pair_ *flb_test_series_(int metric, const flb_byte *labels, unsigned len) {
    struct flb_bytes_ key = {0, 0, 0};
    flb_bytes_add_(&key, flb_test_.metrics[metric], strlen(flb_test_.metrics[metric]));
    if (len == 0) flb_bytes_add_(&key, ",", 1);
    for (unsigned n; len > 0; labels += 4 + n, len -= 4 + n) {
        memcpy(&n, labels, 4);
        flb_bytes_add_(&key, ",", 1);
        flb_bytes_add_(&key, labels + 4, n);
    }
    return flb_pair_(&flb_test_.series, key.at, key.len, 1);
}
int flb_host_metric_add(int metric, double value, const void *labels, unsigned len) {
    flb_test_series_(metric, (const flb_byte *) labels, len)->sum += value;
    return 0;
}
int flb_host_metric_set(int metric, double value, const void *labels, unsigned len) {
    flb_test_series_(metric, (const flb_byte *) labels, len)->sum = value;
    return 0;
}
int flb_host_metric_observe(int metric, double value, const void *labels, unsigned len) {
    return flb_host_metric_add(metric, value, labels, len);
}
#ifdef __cplusplus
}
#endif
#endif
