// The metrics of a filter: its guests define them and count, and they outlive the guests. Any thread
// may call all of it but flbwt_metrics_free. Counting takes a lock only for the first time that
// labels have some values.

#ifndef FLBWT_METRICS_H
#define FLBWT_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "siphash.h"

typedef struct flbwt_metrics flbwt_metrics;
typedef struct flbwt_series flbwt_series;

enum flbwt_metric_kind { FLBWT_COUNTER = 1, FLBWT_GAUGE, FLBWT_HISTOGRAM };

enum {
    FLBWT_METRICS = 256, // definitions
    FLBWT_METRIC_NAME_BYTES = 200, // of metrics and of labels
    FLBWT_METRIC_HELP_BYTES = 1024,
    FLBWT_METRIC_LABELS = 16,
    FLBWT_METRIC_BUCKETS = 64,
    FLBWT_LABEL_VALUE_BYTES = 256,
};

// Lengths are in bytes. labels are names with commas between them. buckets are the upper ends, as
// little-endian f64 at any address; the last one, of all values, is not among them.
typedef struct {
    uint32_t kind;
    const uint8_t *name, *help, *labels, *buckets;
    uint32_t name_len, help_len, labels_len, buckets_count;
    uint64_t version; // of the module that defines it: a later one's is higher
} flbwt_metric_definition;

// flbwt_metrics_new returns metrics of up to that many series, or NULL: there is no memory.
flbwt_metrics *flbwt_metrics_new(uint32_t max_series, flbwt_seed seed);
void flbwt_metrics_free(flbwt_metrics *metrics);

enum { FLBWT_METRIC_NO_ROOM = -1, FLBWT_METRIC_REFUSED = -2 };

// flbwt_metrics_define returns the number of a metric: that of an earlier one, if it is defined
// alike (but for help). FLBWT_METRIC_REFUSED: why says why. What a later version has defined in another way, before
// an earlier one came back, is no mistake of that: FLBWT_METRIC_NO_ROOM.
int flbwt_metrics_define(flbwt_metrics *metrics, const flbwt_metric_definition *definition,
                         char *why, size_t why_size);

enum flbwt_metric_verb { FLBWT_METRIC_ADD, FLBWT_METRIC_SET, FLBWT_METRIC_OBSERVE };

enum flbwt_counted {
    FLBWT_COUNTED,
    FLBWT_NOT_COUNTED, // no room for another series, or a value that can't be counted
    // Mistakes of the guest:
    FLBWT_NO_METRIC, // there is no such number
    FLBWT_WRONG_KIND, // the metric is of a kind that can't be added to, set or observed
    FLBWT_BAD_LABELS, // not as many values as labels, or lengths that do not fit
};

// flbwt_metrics_count adds to a counter or gauge, sets a gauge, or puts a value into a histogram.
// labels are the values of all labels in their order, each a length of 4 bytes, little-endian, and
// so many bytes.
enum flbwt_counted flbwt_metrics_count(flbwt_metrics *metrics, enum flbwt_metric_verb verb,
                                       uint32_t id, double value, const uint8_t *labels,
                                       uint32_t labels_len);

// flbwt_metrics_tell says whether it is time for a word of what was not counted: once in 10 s.
bool flbwt_metrics_tell(flbwt_metrics *metrics, uint64_t now);

// What there is, to be read by any thread at any time.

typedef struct {
    uint32_t metrics, series;
    uint64_t no_room; // calls for which there was no room
    uint64_t bad_value; // calls with a value that can't be counted
} flbwt_metrics_stats;

flbwt_metrics_stats flbwt_metrics_look(const flbwt_metrics *metrics);

// flbwt_metrics_definition returns what metric i < stats.metrics was defined as.
flbwt_metric_definition flbwt_metrics_definition(const flbwt_metrics *metrics, uint32_t i);

// flbwt_metrics_series returns series i < stats.series, with its labels as flbwt_metrics_count takes
// them, in UTF-8 and cut to FLBWT_LABEL_VALUE_BYTES.
const flbwt_series *flbwt_metrics_series(const flbwt_metrics *metrics, uint32_t i);
uint32_t flbwt_series_metric(const flbwt_series *series); // it may be newer than the stats
const uint8_t *flbwt_series_labels(const flbwt_series *series, uint32_t *len);
double flbwt_series_value(const flbwt_series *series); // of a histogram the sum
uint64_t flbwt_series_bucket(const flbwt_series *series, uint32_t i); // up to buckets_count

#endif
