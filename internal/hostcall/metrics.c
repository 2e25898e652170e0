// What modules import from "flb_v1" to define metrics and count (../state/metrics.h).

#include "hostcall.h"

#include "../bounds/clock.h"
#include "../state/metrics.h"

// no_room has the filter say that something was not counted, if it has not lately.
static void no_room(call *c)
{
    if (flbwt_metrics_tell(c->instance->metrics, flbwt_clock_ns(CLOCK_MONOTONIC))) {
        c->instance->notices |= FLBWT_NOTICE_METRICS;
    }
}

static void do_define(call *c)
{
    uint64_t bytes = (uint64_t) param(c, 8) * sizeof(double);
    flbwt_metric_definition d = {
        .kind = param(c, 0),
        .name = flbwt_text(c, 1),
        .name_len = param(c, 2),
        .help = flbwt_text(c, 3),
        .help_len = param(c, 4),
        .labels = flbwt_text(c, 5),
        .labels_len = param(c, 6),
        .buckets = within(c->instance, param(c, 7), bytes),
        .buckets_count = param(c, 8),
        .version = c->instance->version,
    };
    char why[192];

    if (c->trap != NULL) {
        return;
    }
    if (d.buckets == NULL) {
        flbwt_stop(c, "metric_define: the buckets are outside memory");
        return;
    }
    int id = flbwt_metrics_define(c->instance->metrics, &d, why, sizeof(why));

    if (id == FLBWT_METRIC_REFUSED) {
        flbwt_stop(c, "metric_define: %s", why);
        return;
    }
    if (id == FLBWT_METRIC_NO_ROOM) {
        no_room(c);
    }
    answer(c, (uint32_t) id);
}

static void count(call *c, enum flbwt_metric_verb verb)
{
    const uint8_t *labels = flbwt_text(c, 2);
    double value;

    if (labels == NULL) {
        return;
    }
    memcpy(&value, &c->v[1].f64, sizeof(value));
    switch (
        flbwt_metrics_count(c->instance->metrics, verb, param(c, 0), value, labels, param(c, 3))) {
    case FLBWT_COUNTED:
        answer(c, 0);
        break;
    case FLBWT_NOT_COUNTED:
        no_room(c);
        answer(c, UINT32_MAX);
        break;
    case FLBWT_NO_METRIC:
        flbwt_stop(c, "%s: there is no metric %u", c->name, param(c, 0));
        break;
    case FLBWT_WRONG_KIND:
        flbwt_stop(c, "%s: metric %u is of another kind", c->name, param(c, 0));
        break;
    case FLBWT_BAD_LABELS:
        flbwt_stop(
            c,
            "%s: there must be a length of 4 bytes and a value for each label of metric %u, and nothing else",
            c->name, param(c, 0));
        break;
    }
}

static void do_add(call *c) { count(c, FLBWT_METRIC_ADD); }
static void do_set(call *c) { count(c, FLBWT_METRIC_SET); }
static void do_observe(call *c) { count(c, FLBWT_METRIC_OBSERVE); }

HOST_FUNCTION(metric_define, "metric_define", do_define)
HOST_FUNCTION(metric_add, "metric_add", do_add)
HOST_FUNCTION(metric_set, "metric_set", do_set)
HOST_FUNCTION(metric_observe, "metric_observe", do_observe)

static const flbwt_import table[] = {
    {"flb_v1", "metric_define", "iiiiiiiii:i", metric_define},
    {"flb_v1", "metric_add", "iFii:i", metric_add},
    {"flb_v1", "metric_set", "iFii:i", metric_set},
    {"flb_v1", "metric_observe", "iFii:i", metric_observe},
};

const flbwt_import *const flbwt_metric_imports = table;
const size_t flbwt_metric_imports_len = sizeof(table) / sizeof(table[0]);
