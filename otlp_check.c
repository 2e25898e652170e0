// Whether the host's encoders of OTLP survive metrics and traces. They take them for what the host's decoder of OTLP
// makes, and don't look whether "scope" is a map, a label has a name, or an attribute a value; a Forward client sends
// what it likes. It is looked for in the MessagePack that the host writes of a payload, for which nothing has to be
// known of where the host has it.
//
// Read from 3.0.7, 3.1.10, 3.2.10, 4.2.8 and 5.1.1: lib/cmetrics/src/cmt_encode_opentelemetry.c and
// cmt_encode_msgpack.c, lib/ctraces/src/ctr_encode_opentelemetry.c and ctr_encode_msgpack.c.
#define _GNU_SOURCE
#include "plugin.h"

#include <strings.h>

#include "internal/fast/fast.h"
#include "internal/fast/msgpack.h"

// How deep values may nest: an encoder uses stack for each level. A guest's request may nest 100 messages, of which
// each level takes two.
enum { DEEPEST = 64 };

// is_whole says whether the bytes are one value, which nests no deeper than that. The host writes only the key of an
// attribute that OTLP has no value for: then some are missing at the end.
static bool is_whole(const uint8_t *p, size_t size)
{
    uint64_t waiting[DEEPEST + 1] = {1}; // for so many values, by level
    int level = 0;

    for (size_t at = 0;;) {
        head h;

        while (level > 0 && waiting[level] == 0) {
            level--;
        }
        if (waiting[level] == 0) {
            return at == size;
        }
        if (at == size || !read_head(p + at, size - at, &h) || h.bytes > size - at) {
            return false;
        }
        at += h.bytes;
        waiting[level]--;
        if (h.elements > 0) {
            if (level == DEEPEST) {
                return false;
            }
            waiting[++level] = h.elements;
        }
    }
}

// check goes over values that are whole.
struct check {
    const uint8_t *end;
    uint64_t label_names; // of the metric whose samples follow
    bool in_metrics; // no longer in what describes them
    bool scope_attributes; // there are some
    bool scopeless; // there are spans without a scope
};

static head head_of(const struct check *c, const uint8_t *p)
{
    head h = {0};

    read_head(p, (size_t) (c->end - p), &h);
    return h;
}

static const uint8_t *next_of(const struct check *c, const uint8_t *p)
{
    head h = head_of(c, p);

    return p + (h.elements == 0 ? h.bytes : flbwt_span_msgpack(p, (size_t) (c->end - p)));
}

static bool is_nil(uint8_t lead) { return lead == 0xc0; }

static bool is_array(uint8_t lead) { return (lead & 0xf0) == 0x90 || lead == 0xdc || lead == 0xdd; }

static bool is_text(uint8_t lead) { return is_fixstr(lead) || (lead >= 0xd9 && lead <= 0xdb); }

static bool is_integer(uint8_t lead)
{
    return lead <= 0x7f || lead >= 0xe0 || (lead >= 0xcc && lead <= 0xd3);
}

// A rule returns what follows a value; NULL if it is not as the encoder takes it.
typedef const uint8_t *(*rule)(struct check *c, const uint8_t *value);

static const uint8_t *next_if(const struct check *c, const uint8_t *value, bool fits)
{
    return fits ? next_of(c, value) : NULL;
}

// What is said of the members of a map that have a key, in upper or lower case: 5.1 does not tell them apart.
struct member {
    const char *key;
    size_t len;
    rule rule;
    bool needed; // and just as the key is written, for older ones
};

#define KEY(text) text, sizeof(text) - 1

static bool same(const uint8_t *key, const struct member *m)
{
    return memcmp(key, m->key, m->len) == 0;
}

static const struct member *member_of(const struct member *list, size_t n, const uint8_t *key,
                                      size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (len == list[i].len && strncasecmp((const char *) key, list[i].key, len) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

static const uint8_t *members(struct check *c, const uint8_t *map, const struct member *list,
                              size_t n)
{
    head h = head_of(c, map);
    const uint8_t *p = map + h.bytes;
    unsigned found = 0;

    if (!is_map(*map)) {
        return NULL;
    }
    for (uint64_t left = h.elements / 2; left > 0 && p != NULL; left--) {
        const uint8_t *value = next_of(c, p);
        const uint8_t *key = p + (is_fixstr(*p) ? 1 : *p == 0xd9 ? 2 : *p == 0xda ? 3 : 5);
        const struct member *m =
            is_text(*p) ? member_of(list, n, key, (size_t) (value - key)) : NULL;

        if (m != NULL && same(key, m)) {
            found |= 1U << (m - list);
        }
        p = m != NULL ? m->rule(c, value) : next_of(c, value);
    }
    for (size_t i = 0; i < n; i++) {
        if (list[i].needed && (found & 1U << i) == 0) {
            return NULL;
        }
    }
    return p;
}

#define MEMBERS(c, map, list) members(c, map, list, sizeof(list) / sizeof((list)[0]))

// each has a rule for all values of a map, or of an array.
static const uint8_t *each(struct check *c, const uint8_t *from, rule rule)
{
    head h = head_of(c, from);
    const uint8_t *p = from + h.bytes;
    bool keys = is_map(*from);

    for (uint64_t left = keys ? h.elements / 2 : h.elements; left > 0 && p != NULL; left--) {
        p = rule(c, keys ? next_of(c, p) : p);
    }
    return p;
}

static const uint8_t *in_map(struct check *c, const uint8_t *value, rule rule)
{
    return is_map(*value) ? each(c, value, rule) : NULL;
}

static const uint8_t *in_array(struct check *c, const uint8_t *value, rule rule)
{
    return is_array(*value) ? each(c, value, rule) : NULL;
}

static const uint8_t *map(struct check *c, const uint8_t *value)
{
    return next_if(c, value, is_map(*value));
}

static const uint8_t *text(struct check *c, const uint8_t *value)
{
    return next_if(c, value, is_text(*value));
}

static const uint8_t *integer(struct check *c, const uint8_t *value)
{
    return next_if(c, value, is_integer(*value));
}

// attributes are a map in which nothing is nil, at no level.
static const uint8_t *attributes(struct check *c, const uint8_t *value)
{
    const uint8_t *p = value;

    if (!is_map(*value)) {
        return NULL;
    }
    for (uint64_t waiting = 1; waiting > 0; waiting--) {
        head h = head_of(c, p);

        if (is_nil(*p)) {
            return NULL;
        }
        p += h.bytes;
        waiting += h.elements;
    }
    return p;
}

static const uint8_t *metadata(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("name"), text, false},
        {KEY("version"), text, false},
        {KEY("schema_url"), text, false},
        {KEY("dropped_attributes_count"), integer, false},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *resource(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("attributes"), attributes, true},
        {KEY("metadata"), metadata, true},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *scope_attributes(struct check *c, const uint8_t *value)
{
    c->scope_attributes = c->scope_attributes || head_of(c, value).elements > 0;
    return attributes(c, value);
}

static const uint8_t *scope(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("attributes"), scope_attributes, true},
        {KEY("metadata"), metadata, true},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *group(struct check *c, const uint8_t *value) // of a resource, or a scope
{
    static const struct member list[] = {{KEY("metadata"), metadata, false}};

    return MEMBERS(c, value, list);
}

static const uint8_t *exemplar(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{KEY("filtered_attributes"), map, false}};

    return is_map(*value) ? MEMBERS(c, value, list) : next_of(c, value);
}

static const uint8_t *exemplars(struct check *c, const uint8_t *value)
{
    return is_array(*value) ? each(c, value, exemplar) : next_of(c, value);
}

static const uint8_t *point(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{KEY("exemplars"), exemplars, false}};

    return MEMBERS(c, value, list);
}

static const uint8_t *points(struct check *c, const uint8_t *value)
{
    return in_map(c, value, point);
}

static const uint8_t *family(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("metadata"), map, false},
        {KEY("datapoints"), points, false},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *families(struct check *c, const uint8_t *value)
{
    return in_map(c, value, family);
}

static const uint8_t *types(struct check *c, const uint8_t *value)
{
    return in_map(c, value, families);
}

static const uint8_t *otlp(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{KEY("metrics"), types, false}};

    return MEMBERS(c, value, list);
}

static const uint8_t *listed_scope(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("scope_metrics"), group, false},
        {KEY("scope"), scope, false},
    };
    return is_map(*value) ? MEMBERS(c, value, list) : next_of(c, value);
}

static const uint8_t *listed_scopes(struct check *c, const uint8_t *value)
{
    return is_array(*value) ? each(c, value, listed_scope) : next_of(c, value);
}

static const uint8_t *listed_resource(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("resource_metrics"), group, false},
        {KEY("resource"), resource, false},
        {KEY("scope_metrics"), group, false},
        {KEY("scope"), scope, false},
        {KEY("scope_metrics_list"), listed_scopes, false},
    };
    return is_map(*value) ? MEMBERS(c, value, list) : next_of(c, value);
}

static const uint8_t *listed_resources(struct check *c, const uint8_t *value)
{
    return is_array(*value) ? each(c, value, listed_resource) : next_of(c, value);
}

static const uint8_t *external(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("resource_metrics"), group, false},
        {KEY("resource"), resource, false},
        {KEY("scope_metrics"), group, false},
        {KEY("scope"), scope, false},
        {KEY("otlp"), otlp, false},
        {KEY("resource_metrics_list"), listed_resources, false},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *header(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{KEY("external"), external, true}};

    return MEMBERS(c, value, list);
}

static const uint8_t *label_names(struct check *c, const uint8_t *value)
{
    c->label_names = head_of(c, value).elements;
    return next_if(c, value, is_array(*value));
}

static const uint8_t *labels(struct check *c, const uint8_t *value)
{
    return next_if(c, value, is_array(*value) && head_of(c, value).elements <= c->label_names);
}

static const uint8_t *sample(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{KEY("labels"), labels, false}};

    return MEMBERS(c, value, list);
}

static const uint8_t *samples(struct check *c, const uint8_t *value)
{
    return in_array(c, value, sample);
}

static const uint8_t *names(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{KEY("labels"), label_names, true}};

    return MEMBERS(c, value, list);
}

static const uint8_t *metric(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("meta"), names, true}, // goes before the samples
        {KEY("values"), samples, true},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *metrics(struct check *c, const uint8_t *value)
{
    c->in_metrics = true;
    return in_array(c, value, metric);
}

static const uint8_t *all_metrics(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("meta"), header, true},
        {KEY("metrics"), metrics, true},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *attributes_if_any(struct check *c, const uint8_t *value)
{
    return is_nil(*value) ? next_of(c, value) : attributes(c, value);
}

static const uint8_t *attributed(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{KEY("attributes"), attributes_if_any, false}};

    return MEMBERS(c, value, list);
}

static const uint8_t *each_attributed(struct check *c, const uint8_t *value)
{
    return in_array(c, value, attributed);
}

static const uint8_t *span(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("attributes"), attributes_if_any, false},
        {KEY("events"), each_attributed, false},
        {KEY("links"), each_attributed, false},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *spans(struct check *c, const uint8_t *value)
{
    return in_array(c, value, span);
}

static const uint8_t *scope_of_spans(struct check *c, const uint8_t *value)
{
    if (!is_nil(*value)) {
        return attributed(c, value);
    }
    c->scopeless = true;
    return next_of(c, value);
}

static const uint8_t *of_scope(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("scope"), scope_of_spans, true},
        {KEY("spans"), spans, true},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *of_scopes(struct check *c, const uint8_t *value)
{
    return in_array(c, value, of_scope);
}

static const uint8_t *of_resource(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {KEY("resource"), attributed, true},
        {KEY("scope_spans"), of_scopes, true},
    };
    return MEMBERS(c, value, list);
}

static const uint8_t *of_resources(struct check *c, const uint8_t *value)
{
    return in_array(c, value, of_resource);
}

static const uint8_t *all_traces(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{KEY("resourceSpans"), of_resources, true}};

    return MEMBERS(c, value, list);
}

const char *otlp_refusal(enum flbwt_signal signal, const void *packed, size_t size,
                         bool takes_scope_attributes, bool takes_scopeless)
{
    const uint8_t *p = packed;
    struct check c = {.end = p + size};

    if (!is_whole(p, size)) {
        return "it nests deeper than 64 levels, or holds a value that OTLP does not have";
    }
    if (signal == FLBWT_TRACES && all_traces(&c, p) == NULL) {
        return "it holds a value that OTLP does not have";
    }
    if (signal == FLBWT_METRICS && all_metrics(&c, p) == NULL) {
        return c.in_metrics
                   ? "a sample has more labels than its metric has names for"
                   : "its resource, scope or other metadata is not what the encoder takes it for";
    }
    if (c.scope_attributes && !takes_scope_attributes) {
        return "its scope has attributes, which the encoder of this version does not survive";
    }
    if (c.scopeless && !takes_scopeless) {
        return "spans have no scope, which the encoder of this version does not survive";
    }
    return NULL;
}
