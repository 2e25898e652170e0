#include "metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tell.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "what guests say is read as it is");

// Definitions and series are never taken back, so that who has seen one may use it without a lock:
// counts and slots are stored last, with release.

typedef struct {
    flbwt_metric_definition d; // in bytes
    uint32_t labels;
    double buckets[FLBWT_METRIC_BUCKETS];
    flbwt_series *only; // without labels
    uint8_t bytes[];
} metric;

struct flbwt_series {
    uint32_t metric, labels_len;
    uint64_t hash;
    uint8_t *labels; // after counts
    // The value is their sum: whole numbers are added exactly, and without waiting.
    atomic_uint_least64_t whole;
    atomic_uint_least64_t rest; // bits of a double
    atomic_uint_least64_t counts[];
};

struct flbwt_metrics {
    pthread_mutex_t lock; // of defining and making
    flbwt_seed seed;
    uint32_t max_series;
    uint32_t mask; // of slots
    // Both are NULL until there is a metric. In the order in which they were made,
    flbwt_series **series;
    // and by open addressing: 0: none, else one more than the index of a series.
    atomic_uint_least32_t *slots;
    metric *metrics[FLBWT_METRICS];
    atomic_uint_least32_t metrics_count, series_count;
    atomic_uint_least64_t no_room, bad_value, told;
};

// Numbers

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void add_double(atomic_uint_least64_t *to, double value)
{
    uint64_t was = atomic_load_explicit(to, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(to, &was, bits_of(double_of(was) + value),
                                                  memory_order_relaxed, memory_order_relaxed)) {}
}

// add_sum adds to whole, which has room for four thousand million of the largest numbers, or to rest.
static void add_sum(flbwt_series *s, double value)
{
    if (value >= 0 && value <= UINT32_MAX && value == (double) (uint32_t) value) {
        atomic_fetch_add_explicit(&s->whole, (uint64_t) value, memory_order_relaxed);
    }
    else {
        add_double(&s->rest, value);
    }
}

double flbwt_series_value(const flbwt_series *s)
{
    return (double) atomic_load_explicit(&s->whole, memory_order_relaxed) +
           double_of(atomic_load_explicit(&s->rest, memory_order_relaxed));
}

uint64_t flbwt_series_bucket(const flbwt_series *s, uint32_t i)
{
    return atomic_load_explicit(&s->counts[i], memory_order_relaxed);
}

// Labels

// character returns the length of the character of UTF-8 at p, 0 if there is none.
static uint32_t character(const uint8_t *p, uint32_t n)
{
    uint8_t c = p[0], low = 0x80, high = 0xbf;
    uint32_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (len > n) {
        return 0;
    }
    if (c == 0xe0) {
        low = 0xa0; // shorter forms exist
    }
    else if (c == 0xed) {
        high = 0x9f; // surrogates
    }
    else if (c == 0xf0) {
        low = 0x90;
    }
    else if (c == 0xf4) {
        high = 0x8f; // beyond Unicode
    }
    for (uint32_t i = 1; i < len; i++) {
        if (p[i] < low || p[i] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return len;
}

static bool is_utf8(const uint8_t *p, uint32_t n)
{
    uint64_t word;

    while (n > 0) {
        uint32_t len = sizeof(word);

        if (n < sizeof(word) ||
            (memcpy(&word, p, sizeof(word)), (word & 0x8080808080808080) != 0)) {
            len = character(p, n);
        }
        if (len == 0) {
            return false;
        }
        p += len;
        n -= len;
    }
    return true;
}

// make_text writes a value as UTF-8, as much of it as there may be, and returns how much that is.
static uint32_t make_text(uint8_t *to, const uint8_t *p, uint32_t n)
{
    static const uint8_t replacement[] = {0xef, 0xbf, 0xbd}; // U+FFFD
    uint32_t written = 0;

    while (n > 0) {
        uint32_t len = character(p, n), taken = len > 0 ? len : 1;
        const uint8_t *from = len > 0 ? p : replacement;

        len = len > 0 ? len : sizeof(replacement);
        if (len > FLBWT_LABEL_VALUE_BYTES - written) {
            break;
        }
        memcpy(to + written, from, len);
        written += len;
        p += taken;
        n -= taken;
    }
    return written;
}

typedef struct {
    const uint8_t *bytes;
    uint32_t len;
    uint8_t room[FLBWT_METRIC_LABELS * (sizeof(uint32_t) + FLBWT_LABEL_VALUE_BYTES)];
} label_values;

// read_labels makes values of what a guest says: of the bytes themselves, if that is text of
// allowed length. False: these are not so many values.
static bool read_labels(label_values *v, const uint8_t *p, uint32_t n, uint32_t count)
{
    uint8_t *to = v->room;
    bool as_it_is = true;

    v->bytes = p;
    v->len = n;
    for (; count > 0; count--) {
        const uint8_t *from = p;
        uint32_t len;

        if (n < sizeof(len)) {
            return false;
        }
        memcpy(&len, p, sizeof(len));
        p += sizeof(len);
        n -= sizeof(len);
        if (len > n) {
            return false;
        }
        if (as_it_is && !(len <= FLBWT_LABEL_VALUE_BYTES && is_utf8(p, len))) {
            as_it_is = false;
            memcpy(to, v->bytes, (size_t) (from - v->bytes));
            to += from - v->bytes;
        }
        if (!as_it_is) {
            uint32_t written = make_text(to + sizeof(len), p, len);

            memcpy(to, &written, sizeof(written));
            to += sizeof(written) + written;
        }
        p += len;
        n -= len;
    }
    if (!as_it_is) {
        v->bytes = v->room;
        v->len = (uint32_t) (to - v->room);
    }
    return n == 0;
}

// Series

static uint64_t hash_of(const flbwt_metrics *m, uint32_t id, const label_values *v)
{
    flbwt_seed seed = {m->seed.k0 ^ id, m->seed.k1};

    return flbwt_siphash(seed, v->bytes, v->len);
}

// find returns a series, or NULL, and then slot is where it would be.
static flbwt_series *find(const flbwt_metrics *m, uint32_t id, uint64_t hash, const label_values *v,
                          uint32_t *slot)
{
    for (uint32_t i = (uint32_t) hash & m->mask;; i = (i + 1) & m->mask) {
        uint32_t index = atomic_load_explicit(&m->slots[i], memory_order_acquire);

        if (index == 0) {
            *slot = i;
            return NULL;
        }
        flbwt_series *s = m->series[index - 1];

        if (s->hash == hash && s->metric == id && s->labels_len == v->len &&
            memcmp(s->labels, v->bytes, v->len) == 0) {
            return s;
        }
    }
}

// make adds a series, if there is room for it. The lock is held.
static flbwt_series *make(flbwt_metrics *m, uint32_t id, uint64_t hash, const label_values *v)
{
    uint32_t n = atomic_load_explicit(&m->series_count, memory_order_relaxed), slot;
    const metric *of = m->metrics[id];
    size_t counts = of->d.kind == FLBWT_HISTOGRAM ? of->d.buckets_count + 1 : 0;
    flbwt_series *s = find(m, id, hash, v, &slot);

    if (s != NULL || n >= m->max_series) {
        return s;
    }
    s = calloc(1, sizeof(*s) + counts * sizeof(s->counts[0]) + v->len);
    if (s == NULL) {
        return NULL;
    }
    s->metric = id;
    s->hash = hash;
    s->labels = (uint8_t *) &s->counts[counts];
    s->labels_len = v->len;
    if (v->len > 0) {
        memcpy(s->labels, v->bytes, v->len);
    }
    m->series[n] = s;
    atomic_store_explicit(&m->slots[slot], n + 1, memory_order_release);
    atomic_store_explicit(&m->series_count, n + 1, memory_order_release);
    return s;
}

// series_of returns the series of these values, which it makes if need be; NULL: no room.
static flbwt_series *series_of(flbwt_metrics *m, uint32_t id, const label_values *v)
{
    uint32_t slot;
    uint64_t hash = hash_of(m, id, v);
    flbwt_series *s = find(m, id, hash, v, &slot);

    if (s != NULL ||
        atomic_load_explicit(&m->series_count, memory_order_relaxed) >= m->max_series) {
        return s;
    }
    pthread_mutex_lock(&m->lock);
    s = make(m, id, hash, v);
    pthread_mutex_unlock(&m->lock);
    return s;
}

// Definitions

static bool is_name_start(uint8_t c, bool of_metric)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (of_metric && c == ':');
}

// is_name says whether text is a name by Prometheus' rules of old, which all that read them know.
static bool is_name(const uint8_t *p, size_t n, bool of_metric)
{
    if (n == 0 || n > FLBWT_METRIC_NAME_BYTES || !is_name_start(p[0], of_metric)) {
        return false;
    }
    for (size_t i = 1; i < n; i++) {
        if (!is_name_start(p[i], of_metric) && !(p[i] >= '0' && p[i] <= '9')) {
            return false;
        }
    }
    return true;
}

__attribute__((format(printf, 3, 4))) static bool refuse(char *why, size_t size, const char *format,
                                                         ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, size, format, args);
    va_end(args);
    return false;
}

static bool same(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

// check_labels counts the names of labels.
static bool check_labels(const flbwt_metric_definition *d, uint32_t *count, char *why, size_t size)
{
    const uint8_t *names[FLBWT_METRIC_LABELS];
    size_t lengths[FLBWT_METRIC_LABELS];
    const uint8_t *p = d->labels, *end = p + d->labels_len;

    for (*count = 0; d->labels_len > 0; ++*count) {
        const uint8_t *comma = p < end ? memchr(p, ',', (size_t) (end - p)) : NULL;
        size_t n = (size_t) ((comma != NULL ? comma : end) - p);
        uint32_t i = *count;

        if (i == FLBWT_METRIC_LABELS) {
            return refuse(why, size, "there are more than %d labels", FLBWT_METRIC_LABELS);
        }
        if (!is_name(p, n, false) || (n >= 2 && p[0] == '_' && p[1] == '_')) {
            return refuse(why, size,
                          "label %u is not a name of letters, digits and _, with neither a digit "
                          "nor __ at the start, of up to %d bytes",
                          i + 1, FLBWT_METRIC_NAME_BYTES);
        }
        if (d->kind == FLBWT_HISTOGRAM && same(p, n, (const uint8_t *) "le", 2)) {
            return refuse(why, size, "a histogram has a label le of its own");
        }
        names[i] = p;
        lengths[i] = n;
        for (uint32_t k = 0; k < i; k++) {
            if (same(names[k], lengths[k], p, n)) {
                return refuse(why, size, "label %.*s is there twice", (int) n, (const char *) p);
            }
        }
        if (comma == NULL) {
            ++*count;
            return true;
        }
        p = comma + 1;
    }
    return true;
}

static double bucket(const flbwt_metric_definition *d, uint32_t i)
{
    double value;

    memcpy(&value, d->buckets + i * sizeof(value), sizeof(value));
    return value;
}

static bool check_buckets(const flbwt_metric_definition *d, char *why, size_t size)
{
    if (d->kind != FLBWT_HISTOGRAM) {
        return d->buckets_count == 0 || refuse(why, size, "only a histogram has buckets");
    }
    if (d->buckets_count == 0 || d->buckets_count > FLBWT_METRIC_BUCKETS) {
        return refuse(why, size, "a histogram has 1 to %d buckets, and here are %u",
                      FLBWT_METRIC_BUCKETS, d->buckets_count);
    }
    for (uint32_t i = 0; i < d->buckets_count; i++) {
        if (!isfinite(bucket(d, i)) || (i > 0 && bucket(d, i) <= bucket(d, i - 1))) {
            return refuse(why, size, "the ends of buckets must be finite, each above the last one");
        }
    }
    return true;
}

static bool check_definition(const flbwt_metric_definition *d, uint32_t *labels, char *why,
                             size_t size)
{
    if (d->kind < FLBWT_COUNTER || d->kind > FLBWT_HISTOGRAM) {
        return refuse(why, size, "there is no kind %u: 1 is a counter, 2 a gauge, 3 a histogram",
                      d->kind);
    }
    if (!is_name(d->name, d->name_len, true)) {
        return refuse(why, size,
                      "the name is not one of letters, digits, _ and :, without a digit at the "
                      "start, of up to %d bytes",
                      FLBWT_METRIC_NAME_BYTES);
    }
    if (d->help_len > FLBWT_METRIC_HELP_BYTES || !is_utf8(d->help, d->help_len)) {
        return refuse(why, size, "the help is not UTF-8 of up to %d bytes",
                      FLBWT_METRIC_HELP_BYTES);
    }
    return check_labels(d, labels, why, size) && check_buckets(d, why, size);
}

// shown_as says whether a histogram has a metric by that name in Prometheus' formats.
static bool shown_as(const flbwt_metric_definition *histogram, const flbwt_metric_definition *d)
{
    static const char *const endings[] = {"_bucket", "_sum", "_count"};

    if (histogram->kind != FLBWT_HISTOGRAM || d->name_len <= histogram->name_len ||
        memcmp(histogram->name, d->name, histogram->name_len) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (same(d->name + histogram->name_len, d->name_len - histogram->name_len,
                 (const uint8_t *) endings[i], strlen(endings[i]))) {
            return true;
        }
    }
    return false;
}

enum { NOT_DEFINED = -3 };

// find_metric returns the number of a metric that is defined alike, NOT_DEFINED if there is none of that name, or what
// flbwt_metrics_define does.
static int find_metric(const flbwt_metrics *m, const flbwt_metric_definition *d, char *why,
                       size_t size)
{
    uint32_t n = atomic_load_explicit(&m->metrics_count, memory_order_acquire);

    for (uint32_t i = 0; i < n; i++) {
        const flbwt_metric_definition *other = &m->metrics[i]->d;

        if (same(other->name, other->name_len, d->name, d->name_len)) {
            if (other->kind == d->kind &&
                same(other->labels, other->labels_len, d->labels, d->labels_len) &&
                other->buckets_count == d->buckets_count &&
                same(other->buckets, other->buckets_count * sizeof(double), d->buckets,
                     d->buckets_count * sizeof(double))) {
                return (int) i;
            }
            if (other->version > d->version) {
                return FLBWT_METRIC_NO_ROOM;
            }
            refuse(why, size, "%.*s is defined already, with another kind, labels or buckets",
                   (int) d->name_len, (const char *) d->name);
            return FLBWT_METRIC_REFUSED;
        }
        if (shown_as(other, d) || shown_as(d, other)) {
            if (other->version > d->version) {
                return FLBWT_METRIC_NO_ROOM;
            }
            const flbwt_metric_definition *h = shown_as(other, d) ? other : d;

            refuse(why, size, "%.*s has the name of a part of the histogram %.*s",
                   (int) d->name_len, (const char *) d->name, (int) h->name_len,
                   (const char *) h->name);
            return FLBWT_METRIC_REFUSED;
        }
    }
    return NOT_DEFINED;
}

// make_tables makes room for all series that there may be.
static bool make_tables(flbwt_metrics *m)
{
    uint32_t slots = 2;

    if (m->slots != NULL) {
        return true;
    }
    while (slots < 2 * m->max_series) {
        slots *= 2;
    }
    flbwt_series **series = calloc(m->max_series, sizeof(series[0]));
    atomic_uint_least32_t *table = calloc(slots, sizeof(table[0]));

    if (series == NULL || table == NULL) {
        free(series);
        free(table);
        return false;
    }
    m->series = series;
    m->slots = table;
    m->mask = slots - 1;
    return true;
}

static const uint8_t *keep(uint8_t **to, const uint8_t *from, size_t n)
{
    uint8_t *at = *to;

    if (n > 0) {
        memcpy(at, from, n);
    }
    *to += n;
    return at;
}

// add_metric is flbwt_metrics_define for one that is new. The lock is held.
static int add_metric(flbwt_metrics *m, const flbwt_metric_definition *d, uint32_t labels)
{
    uint32_t id = atomic_load_explicit(&m->metrics_count, memory_order_relaxed);
    size_t buckets = d->buckets_count * sizeof(double);

    if (id == FLBWT_METRICS || !make_tables(m)) {
        return FLBWT_METRIC_NO_ROOM;
    }
    metric *new = calloc(1, sizeof(*new) + buckets + d->name_len + d->help_len + d->labels_len);

    if (new == NULL) {
        return FLBWT_METRIC_NO_ROOM;
    }
    uint8_t *to = new->bytes;

    new->d = *d;
    new->d.buckets = keep(&to, d->buckets, buckets);
    new->d.name = keep(&to, d->name, d->name_len);
    new->d.help = keep(&to, d->help, d->help_len);
    new->d.labels = keep(&to, d->labels, d->labels_len);
    new->labels = labels;
    if (buckets > 0) {
        memcpy(new->buckets, new->d.buckets, buckets);
    }
    m->metrics[id] = new;
    if (labels == 0) {
        label_values none = {.bytes = new->bytes};

        new->only = make(m, id, hash_of(m, id, &none), &none);
        if (new->only == NULL) {
            m->metrics[id] = NULL;
            free(new);
            return FLBWT_METRIC_NO_ROOM;
        }
    }
    atomic_store_explicit(&m->metrics_count, id + 1, memory_order_release);
    return (int) id;
}

int flbwt_metrics_define(flbwt_metrics *m, const flbwt_metric_definition *d, char *why, size_t size)
{
    uint32_t labels = 0;

    if (!check_definition(d, &labels, why, size)) {
        return FLBWT_METRIC_REFUSED;
    }
    pthread_mutex_lock(&m->lock);
    int id = find_metric(m, d, why, size);

    if (id == NOT_DEFINED) {
        id = add_metric(m, d, labels);
    }
    pthread_mutex_unlock(&m->lock);
    if (id == FLBWT_METRIC_NO_ROOM) {
        atomic_fetch_add_explicit(&m->no_room, 1, memory_order_relaxed);
    }
    return id;
}

// Counting

static bool fits(const metric *of, enum flbwt_metric_verb verb)
{
    switch (verb) {
    case FLBWT_METRIC_ADD:
        return of->d.kind == FLBWT_COUNTER || of->d.kind == FLBWT_GAUGE;
    case FLBWT_METRIC_SET:
        return of->d.kind == FLBWT_GAUGE;
    default:
        return of->d.kind == FLBWT_HISTOGRAM;
    }
}

static void observe(const metric *of, flbwt_series *s, double value)
{
    uint32_t i = 0, n = of->d.buckets_count;

    while (n > 0) { // the first one that is not below the value
        uint32_t half = n / 2;

        if (of->buckets[i + half] < value) {
            i += half + 1;
            n -= half + 1;
        }
        else {
            n = half;
        }
    }
    atomic_fetch_add_explicit(&s->counts[i], 1, memory_order_relaxed);
    add_sum(s, value);
}

enum flbwt_counted flbwt_metrics_count(flbwt_metrics *m, enum flbwt_metric_verb verb, uint32_t id,
                                       double value, const uint8_t *labels, uint32_t labels_len)
{
    if (id == (uint32_t) FLBWT_METRIC_NO_ROOM) {
        atomic_fetch_add_explicit(&m->no_room, 1, memory_order_relaxed);
        return FLBWT_NOT_COUNTED;
    }
    if (id >= atomic_load_explicit(&m->metrics_count, memory_order_acquire)) {
        return FLBWT_NO_METRIC;
    }
    const metric *of = m->metrics[id];
    flbwt_series *s = of->only;

    if (!fits(of, verb)) {
        return FLBWT_WRONG_KIND;
    }
    if (s != NULL && labels_len > 0) {
        return FLBWT_BAD_LABELS;
    }
    if (verb != FLBWT_METRIC_SET &&
        (!isfinite(value) || (of->d.kind == FLBWT_COUNTER && value < 0))) {
        atomic_fetch_add_explicit(&m->bad_value, 1, memory_order_relaxed);
        return FLBWT_NOT_COUNTED;
    }
    if (s == NULL) {
        label_values v;

        if (!read_labels(&v, labels, labels_len, of->labels)) {
            return FLBWT_BAD_LABELS;
        }
        s = series_of(m, id, &v);
        if (s == NULL) {
            atomic_fetch_add_explicit(&m->no_room, 1, memory_order_relaxed);
            return FLBWT_NOT_COUNTED;
        }
    }
    switch (verb) {
    case FLBWT_METRIC_SET:
        atomic_store_explicit(&s->rest, bits_of(value), memory_order_relaxed);
        break;
    case FLBWT_METRIC_OBSERVE:
        observe(of, s, value);
        break;
    default:
        if (of->d.kind == FLBWT_GAUGE) {
            add_double(&s->rest, value);
        }
        else {
            add_sum(s, value);
        }
    }
    return FLBWT_COUNTED;
}

bool flbwt_metrics_tell(flbwt_metrics *m, uint64_t now) { return flbwt_tell(&m->told, now); }

// Reading

flbwt_metrics_stats flbwt_metrics_look(const flbwt_metrics *m)
{
    return (flbwt_metrics_stats) {
        .metrics = atomic_load_explicit(&m->metrics_count, memory_order_acquire),
        .series = atomic_load_explicit(&m->series_count, memory_order_acquire),
        .no_room = atomic_load_explicit(&m->no_room, memory_order_relaxed),
        .bad_value = atomic_load_explicit(&m->bad_value, memory_order_relaxed),
    };
}

flbwt_metric_definition flbwt_metrics_definition(const flbwt_metrics *m, uint32_t i)
{
    return m->metrics[i]->d;
}

const flbwt_series *flbwt_metrics_series(const flbwt_metrics *m, uint32_t i)
{
    return m->series[i];
}

uint32_t flbwt_series_metric(const flbwt_series *s) { return s->metric; }

const uint8_t *flbwt_series_labels(const flbwt_series *s, uint32_t *len)
{
    *len = s->labels_len;
    return s->labels;
}

flbwt_metrics *flbwt_metrics_new(uint32_t max_series, flbwt_seed seed)
{
    flbwt_metrics *m = calloc(1, sizeof(*m));

    if (m == NULL) {
        return NULL;
    }
    pthread_mutex_init(&m->lock, NULL);
    m->max_series = max_series;
    m->seed = seed;
    return m;
}

void flbwt_metrics_free(flbwt_metrics *m)
{
    if (m == NULL) {
        return;
    }
    for (uint32_t i = 0; i < atomic_load(&m->series_count); i++) {
        free(m->series[i]);
    }
    for (uint32_t i = 0; i < atomic_load(&m->metrics_count); i++) {
        free(m->metrics[i]);
    }
    free(m->series);
    free(m->slots);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
