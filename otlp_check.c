// What metrics and traces must be for the host's encoders of OTLP to survive them. What a Forward client sends may be
// anything, but they take it for what the host's decoder of OTLP makes: as maps what is called as some are, names of
// labels and values of attributes as there. That is looked for in the MessagePack of a payload, which the host writes
// for the chunk anyway, so that nothing has to be known of where the host has it.
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

// check is made of values that are whole.
struct check {
    const uint8_t *end;
    uint64_t label_names; // of the metric whose samples follow
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
    return p + flbwt_span_msgpack(p, (size_t) (c->end - p));
}

static bool is_nil(uint8_t lead) { return lead == 0xc0; }

static bool is_array(uint8_t lead) { return (lead & 0xf0) == 0x90 || lead == 0xdc || lead == 0xdd; }

static bool is_text(uint8_t lead) { return is_fixstr(lead) || (lead >= 0xd9 && lead <= 0xdb); }

static bool is_integer(uint8_t lead)
{
    return lead <= 0x7f || lead >= 0xe0 || (lead >= 0xcc && lead <= 0xd3);
}

// has_key says whether a text is a key, in upper or lower case: 5.1 does not tell them apart. *exactly: it is, as the
// key is written, for older ones.
static bool has_key(const struct check *c, const uint8_t *p, const char *key, bool *exactly)
{
    size_t len = strlen(key), bytes = head_of(c, p).bytes;
    size_t before = is_fixstr(*p) ? 1 : *p == 0xd9 ? 2 : *p == 0xda ? 3 : 5;

    if (!is_text(*p) || bytes != before + len ||
        strncasecmp((const char *) p + before, key, len) != 0) {
        return false;
    }
    *exactly = memcmp(p + before, key, len) == 0;
    return true;
}

// A rule says whether a value is as the encoder takes it.
typedef bool (*rule)(struct check *c, const uint8_t *value);

// What is said of the members of a map that have a key.
struct member {
    const char *key;
    rule rule;
    bool needed;
};

static bool members(struct check *c, const uint8_t *map, const struct member *list, size_t n)
{
    head h = head_of(c, map);
    const uint8_t *p = map + h.bytes;
    unsigned found = 0;

    if (!is_map(*map)) {
        return false;
    }
    for (uint64_t left = h.elements / 2; left > 0; left--) {
        const uint8_t *value = next_of(c, p);

        for (size_t i = 0; i < n; i++) {
            bool exactly;

            if (has_key(c, p, list[i].key, &exactly)) {
                if (!list[i].rule(c, value)) {
                    return false;
                }
                found |= (unsigned) exactly << i;
            }
        }
        p = next_of(c, value);
    }
    for (size_t i = 0; i < n; i++) {
        if (list[i].needed && (found & 1U << i) == 0) {
            return false;
        }
    }
    return true;
}

#define MEMBERS(c, map, list) members(c, map, list, sizeof(list) / sizeof((list)[0]))

// elements has a rule for each value of a map or array.
static bool elements(struct check *c, const uint8_t *from, rule rule)
{
    head h = head_of(c, from);
    const uint8_t *p = from + h.bytes;

    for (uint64_t left = is_map(*from) ? h.elements / 2 : h.elements; left > 0; left--) {
        const uint8_t *value = is_map(*from) ? next_of(c, p) : p;

        if (!rule(c, value)) {
            return false;
        }
        p = next_of(c, value);
    }
    return true;
}

static bool maps(struct check *c, const uint8_t *value, rule rule)
{
    return is_map(*value) && elements(c, value, rule);
}

static bool array(struct check *c, const uint8_t *value, rule rule)
{
    return is_array(*value) && elements(c, value, rule);
}

static bool map(struct check *c, const uint8_t *value)
{
    (void) c;
    return is_map(*value);
}

static bool text(struct check *c, const uint8_t *value)
{
    (void) c;
    return is_text(*value);
}

static bool integer(struct check *c, const uint8_t *value)
{
    (void) c;
    return is_integer(*value);
}

// attributes are a map in which nothing is nil, at no level.
static bool attributes(struct check *c, const uint8_t *value)
{
    const uint8_t *end = next_of(c, value);

    for (const uint8_t *p = value; p < end; p += head_of(c, p).bytes) {
        if (is_nil(*p)) {
            return false;
        }
    }
    return is_map(*value);
}

// ---- metrics

static bool metadata(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {"name", text, false},
        {"version", text, false},
        {"schema_url", text, false},
        {"dropped_attributes_count", integer, false},
    };
    return MEMBERS(c, value, list);
}

static bool described(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {"attributes", attributes, true},
        {"metadata", metadata, true},
    };
    return MEMBERS(c, value, list);
}

static bool some_attributes(struct check *c, const uint8_t *value)
{
    c->scope_attributes = c->scope_attributes || head_of(c, value).elements > 0;
    return true;
}

static bool scope_of_metrics(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"attributes", some_attributes, false}};

    return described(c, value) && MEMBERS(c, value, list);
}

static bool of_metrics(struct check *c, const uint8_t *value) // resource_metrics and scope_metrics
{
    static const struct member list[] = {{"metadata", metadata, false}};

    return MEMBERS(c, value, list);
}

static bool exemplar(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"filtered_attributes", map, false}};

    return !is_map(*value) || MEMBERS(c, value, list);
}

static bool exemplars(struct check *c, const uint8_t *value)
{
    return !is_array(*value) || array(c, value, exemplar);
}

static bool point(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"exemplars", exemplars, false}};

    return MEMBERS(c, value, list);
}

static bool points(struct check *c, const uint8_t *value) { return maps(c, value, point); }

static bool family(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {"metadata", map, false},
        {"datapoints", points, false},
    };
    return MEMBERS(c, value, list);
}

static bool families(struct check *c, const uint8_t *value) { return maps(c, value, family); }

static bool types(struct check *c, const uint8_t *value) { return maps(c, value, families); }

static bool otlp(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"metrics", types, false}};

    return MEMBERS(c, value, list);
}

#define OF_ONE_SCOPE \
    {"scope", scope_of_metrics, false}, { "scope_metrics", of_metrics, false }

#define OF_ONE_RESOURCE \
    {"resource", described, false}, {"resource_metrics", of_metrics, false}, OF_ONE_SCOPE

static bool listed_scope(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {OF_ONE_SCOPE};

    return !is_map(*value) || MEMBERS(c, value, list);
}

static bool listed_scopes(struct check *c, const uint8_t *value)
{
    return !is_array(*value) || array(c, value, listed_scope);
}

static bool listed_resource(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        OF_ONE_RESOURCE,
        {"scope_metrics_list", listed_scopes, false},
    };
    return !is_map(*value) || MEMBERS(c, value, list);
}

static bool listed_resources(struct check *c, const uint8_t *value)
{
    return !is_array(*value) || array(c, value, listed_resource);
}

static bool external(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        OF_ONE_RESOURCE,
        {"otlp", otlp, false},
        {"resource_metrics_list", listed_resources, false},
    };
    return MEMBERS(c, value, list);
}

static bool header(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"external", external, true}};

    return MEMBERS(c, value, list);
}

static bool meta(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"meta", header, true}};

    return MEMBERS(c, value, list);
}

static bool label_names(struct check *c, const uint8_t *value)
{
    c->label_names = head_of(c, value).elements;
    return is_array(*value);
}

static bool labels(struct check *c, const uint8_t *value)
{
    return is_array(*value) && head_of(c, value).elements <= c->label_names;
}

static bool sample(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"labels", labels, false}};

    return MEMBERS(c, value, list);
}

static bool samples(struct check *c, const uint8_t *value) { return array(c, value, sample); }

static bool names(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"labels", label_names, true}};

    return MEMBERS(c, value, list);
}

static bool metric(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {"meta", names, true}, // goes before the other
        {"values", samples, true},
    };
    return MEMBERS(c, value, list);
}

static bool all_metrics(struct check *c, const uint8_t *value) { return array(c, value, metric); }

static bool metrics(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"metrics", all_metrics, true}};

    return MEMBERS(c, value, list);
}

// ---- traces

static bool attributes_if_any(struct check *c, const uint8_t *value)
{
    return is_nil(*value) || attributes(c, value);
}

static bool attributed(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"attributes", attributes_if_any, false}};

    return MEMBERS(c, value, list);
}

static bool each_attributed(struct check *c, const uint8_t *value)
{
    return array(c, value, attributed);
}

static bool span(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {"attributes", attributes_if_any, false},
        {"events", each_attributed, false},
        {"links", each_attributed, false},
    };
    return MEMBERS(c, value, list);
}

static bool spans(struct check *c, const uint8_t *value) { return array(c, value, span); }

static bool scope_of_traces(struct check *c, const uint8_t *value)
{
    c->scopeless = c->scopeless || is_nil(*value);
    return is_nil(*value) || attributed(c, value);
}

static bool of_scope(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {"scope", scope_of_traces, true},
        {"spans", spans, true},
    };
    return MEMBERS(c, value, list);
}

static bool of_scopes(struct check *c, const uint8_t *value) { return array(c, value, of_scope); }

static bool of_resource(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {
        {"resource", attributed, true},
        {"scope_spans", of_scopes, true},
    };
    return MEMBERS(c, value, list);
}

static bool of_resources(struct check *c, const uint8_t *value)
{
    return array(c, value, of_resource);
}

static bool traces(struct check *c, const uint8_t *value)
{
    static const struct member list[] = {{"resourceSpans", of_resources, true}};

    return MEMBERS(c, value, list);
}

const char *otlp_refusal(enum flbwt_signal signal, const void *packed, size_t size,
                         bool scope_attributes, bool scopeless)
{
    const uint8_t *p = packed;
    struct check c = {.end = p + size};

    if (!is_whole(p, size)) {
        return "they nest deeper than 64 levels, or hold a value that OTLP does not have";
    }
    if (signal == FLBWT_METRICS && !meta(&c, p)) {
        return "their resource, scope or other metadata is not what the encoder takes it for";
    }
    if (signal == FLBWT_METRICS && !metrics(&c, p)) {
        return "a sample has more labels than its metric has names for";
    }
    if (signal == FLBWT_TRACES && !traces(&c, p)) {
        return "they hold a value that OTLP does not have";
    }
    if (c.scope_attributes && !scope_attributes) {
        return "their scope has attributes, which the encoder of this version does not survive";
    }
    if (c.scopeless && !scopeless) {
        return "spans have no scope, which the encoder of this version does not survive";
    }
    return NULL;
}
