// Calls all of the store and the metrics on several threads at once, and checks the sums.

#include "../metrics.c"
#include "../store.h"

enum { THREADS = 4, ROUNDS = 2000, SERIES = 1000, TIGHT = 20000 };

static pthread_barrier_t begin;
static flbwt_store *store;
static flbwt_metrics *metrics;

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static flbwt_store_op op(uint64_t now, const char *name)
{
    return (flbwt_store_op) {store, now, (const uint8_t *) name, (uint32_t) strlen(name)};
}

static uint32_t define(const char *name, const char *labels)
{
    char why[200];
    static const double end = 1;
    bool histogram = strcmp(name, "sizes") == 0;
    flbwt_metric_definition d = {.kind = histogram ? FLBWT_HISTOGRAM : FLBWT_COUNTER,
                                 .buckets = (const uint8_t *) &end,
                                 .buckets_count = histogram,
                                 .name = (const uint8_t *) name,
                                 .name_len = (uint32_t) strlen(name),
                                 .labels = (const uint8_t *) labels,
                                 .labels_len = (uint32_t) strlen(labels)};
    int id = flbwt_metrics_define(metrics, &d, why, sizeof(why));

    check(id >= 0, "not defined");
    return (uint32_t) id;
}

// Of two threads that miss a series, the second finds what the first has made.
static void check_made_once(void)
{
    uint32_t id = define("once", "a");
    label_values v = {.bytes = (const uint8_t *) "\0\0\0\0", .len = 4};
    uint64_t hash = hash_of(metrics, id, &v);
    flbwt_series *made = make(metrics, id, hash, &v);

    check(made != NULL && make(metrics, id, hash, &v) == made, "a series is there twice");
}

static void *work(void *arg)
{
    char name[32];

    (void) arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t sum;
        uint8_t value[8];
        uint8_t labels[] = {2, 0, 0, 0, (uint8_t) (i % SERIES % 100), (uint8_t) (i % SERIES / 100)};

        snprintf(name, sizeof(name), "%u", i);
        flbwt_store_op one = op(i, name), count = op(i, "count");

        flbwt_store_set(&one, (const uint8_t *) name, 2, i % 3);
        flbwt_store_get(&one, value, sizeof(value));
        flbwt_store_cas(&one, NULL, 0, value, 1, FLBWT_TTL_KEEP);
        flbwt_store_delete(&one);
        check(flbwt_store_add(&count, 1, 0, &sum) == FLBWT_STORED, "not added");
        flbwt_store_tell(store, i);
        flbwt_store_look(store);

        snprintf(name, sizeof(name), "m%u", i % 100);
        check(flbwt_metrics_count(metrics, FLBWT_METRIC_ADD, define(name, ""), 1, labels, 0) ==
                  FLBWT_COUNTED,
              "not counted");
        check(flbwt_metrics_count(metrics, FLBWT_METRIC_ADD, define("labelled", "a"), 0.5, labels,
                                  sizeof(labels)) == FLBWT_COUNTED,
              "not counted");
        flbwt_metrics_tell(metrics, i);
        if (i % 100 > 0) {
            continue;
        }
        flbwt_metrics_stats stats = flbwt_metrics_look(metrics);
        double all = 0;

        for (uint32_t k = 0; k < stats.series; k++) {
            all += flbwt_series_value(flbwt_metrics_series(metrics, k));
        }
        check(all >= 0, "less than nothing");
    }
    uint32_t sizes = define("sizes", ""), shared = define("shared", ""), many = define("many", "a");

    // All want to make the same series.
    pthread_barrier_wait(&begin);
    for (uint32_t i = 0; i < TIGHT; i++) {
        uint8_t labels[] = {3, 0, 0, 0, i & 127, i >> 7 & 127, i >> 14 & 127};

        flbwt_metrics_count(metrics, FLBWT_METRIC_ADD, many, 0, labels, sizeof(labels));
    }
    for (unsigned i = 0; i < TIGHT; i++) {
        flbwt_metrics_count(metrics, FLBWT_METRIC_OBSERVE, sizes, 1, NULL, 0);
        flbwt_metrics_count(metrics, FLBWT_METRIC_ADD, shared, 0.5, NULL, 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    flbwt_seed seed = {1, 2};
    int64_t sum;
    double all = 0;

    store = flbwt_store_new(100000, seed);
    metrics = flbwt_metrics_new(2 * TIGHT, seed);
    pthread_barrier_init(&begin, NULL, THREADS);
    check_made_once();
    for (int i = 0; i < THREADS; i++) {
        check(pthread_create(&threads[i], NULL, work, NULL) == 0, "no thread");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    flbwt_store_op count = op(0, "count");

    flbwt_store_add(&count, 0, 0, &sum);
    check(sum == THREADS * ROUNDS, "the store's sum");
    flbwt_metrics_stats stats = flbwt_metrics_look(metrics);

    check(stats.metrics == 105, "how many metrics");
    check(stats.series == 103 + SERIES + TIGHT, "how many series");
    for (uint32_t k = 0; k < stats.series; k++) {
        const flbwt_series *s = flbwt_metrics_series(metrics, k);

        all += flbwt_series_value(s);
        if (flbwt_metrics_definition(metrics, flbwt_series_metric(s)).kind == FLBWT_HISTOGRAM) {
            check(flbwt_series_bucket(s, 0) == THREADS * TIGHT, "the values of a histogram");
        }
    }
    check(all == 1.5 * THREADS * (ROUNDS + TIGHT), "the sum of metrics");
    flbwt_store_free(store);
    flbwt_metrics_free(metrics);
    return 0;
}
