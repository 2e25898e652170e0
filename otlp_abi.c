// Metrics and traces as Fluent Bit holds them: to OTLP and back by its own functions, and who owns what.
//
// Metrics belong to the caller of a processor, which may keep them (an input that counts passes its own):
// they are never changed, and what takes their place goes by `out`. Traces have no way out in any release:
// what the host's object holds is exchanged.
#define _GNU_SOURCE
#include "plugin.h"

#include <dlfcn.h>
#include <string.h>

// cmetrics 0.7 to 2.2, ctraces 0.4 to 0.7 and cfl, as Fluent Bit 3.0 to 5.1 export them.
static struct {
    struct cmt *(*cmt_create)(void);
    void (*cmt_destroy)(struct cmt *cmt);
    int (*cmt_pack)(struct cmt *cmt, char **to, size_t *size);
    void (*cmt_packed)(char *packed);
    int (*cmt_unpack)(struct cmt **to, char *from, size_t size, size_t *offset);
    char *(*cmt_encode)(struct cmt *cmt);
    void (*cmt_encoded)(char *encoded);
    int (*cmt_decode)(struct list *to, char *from, size_t size, size_t *offset);
    void (*cmt_decoded)(struct list *list);
    struct ctrace *(*ctr_create)(void *options);
    void (*ctr_destroy)(struct ctrace *ctr);
    int (*ctr_pack)(struct ctrace *ctr, char **to, size_t *size);
    void (*ctr_packed)(char *packed);
    char *(*ctr_encode)(struct ctrace *ctr);
    void (*ctr_encoded)(char *encoded);
    int (*ctr_decode)(struct ctrace **to, char *from, size_t size, size_t *offset);
    void *(*ctr_resource)(struct ctrace *ctr);
    void *(*ctr_scope)(void *resource);
    void *(*ctr_span)(struct ctrace *ctr, void *scope, char *name, void *parent);
    char *(*sds_create)(const char *from, int len);
    void (*sds_destroy)(char *sds);
    bool scope_attributes; // of metrics are encoded without harm
    bool exponential; // histograms of that kind, and signed integers with them
    bool scopeless; // spans without a scope are encoded without harm
} host;

// struct ctrace (ctraces.h of ctraces 0.4 to 0.7) begins with uint64_t last_span_id and these lists. A span
// has in a row its link in the second one, its scope, and its ctrace (ctr_span.h).
struct traces {
    uint64_t last_span_id;
    struct list resources, spans;
};

struct span_end {
    struct list link;
    void *scope;
    struct ctrace *traces;
};

// struct cfl_sds begins with the length of the text, which is behind that and what there is room for.
enum { SDS_LENGTH = -16 };

static uint64_t sds_length(const char *sds)
{
    uint64_t len;

    memcpy(&len, sds + SDS_LENGTH, sizeof(len));
    return len;
}

// Why there can be no processor of metrics, or of traces; NULL: there can.
static const char *lack[FLBWT_TRACES + 1];

// From the start of a struct cmt to the link by which a decoder has it in a list: the last member, behind
// a number of lists that has grown.
static size_t cmt_link;

static bool has_sds(void)
{
    static const char text[] = "a\0b";
    char *sds = host.sds_create(text, sizeof(text));
    bool ok = sds != NULL && host_readable(sds + SDS_LENGTH, -SDS_LENGTH + sizeof(text)) &&
              sds_length(sds) == sizeof(text) && memcmp(sds, text, sizeof(text)) == 0;

    if (sds != NULL) {
        host.sds_destroy(sds);
    }
    return ok;
}

// What is read in search of something is readable, but may be nobody's.
#define SEARCHES __attribute__((no_sanitize_address))

SEARCHES static bool is_only(const struct list *head, const struct list *item)
{
    return item != head && head->next == item && head->prev == item && item->next == head &&
           item->prev == head;
}

// A request with one gauge of one data point.
static const char one_gauge[] = "\x0a\x1d\x12\x1b\x12\x19\x0a\x01"
                                "a\x2a\x14\x0a\x12\x19\x01\0\0\0\0\0\0\0\x21\0\0\0\0\0\0\xf0\x3f";

// find_cmt_link looks for the struct cmt of a link: in front of it is a list with one gauge, of which the
// link, and in front of that the pointer to the struct cmt, are members in a row (cmt_gauge.h).
SEARCHES static size_t find_cmt_link(const struct list *link)
{
    enum { FARTHEST = 256 };
    const char *end = (const char *) link;

    for (size_t back = sizeof(struct list); back <= FARTHEST; back += sizeof(void *)) {
        const struct list *head = (const struct list *) (end - back);

        if (!host_readable(head, sizeof(*head))) {
            break;
        }
        const struct list *gauge = head->next;
        const char *cmt;

        if (gauge == NULL || gauge == head || gauge != head->prev ||
            !host_readable((const char *) gauge - sizeof(cmt), sizeof(cmt) + sizeof(*gauge)) ||
            !is_only(head, gauge)) {
            continue;
        }
        memcpy(&cmt, (const char *) gauge - sizeof(cmt), sizeof(cmt));
        if (cmt < (const char *) head && (size_t) (end - cmt) <= FARTHEST) {
            return (size_t) (end - cmt);
        }
    }
    return 0;
}

static bool knows_metrics(void)
{
    struct list list = {&list, &list};
    size_t offset = 0;

    if (host.cmt_decode(&list, (char *) one_gauge, sizeof(one_gauge) - 1, &offset) != 0) {
        return false;
    }
    if (host_readable(list.next, sizeof(list)) && is_only(&list, list.next)) {
        cmt_link = find_cmt_link(list.next);
    }
    host.cmt_decoded(&list);
    return cmt_link != 0;
}

static bool is_empty(const struct list *head) { return head->next == head && head->prev == head; }

static bool holds_spans(struct ctrace *ctr)
{
    const struct traces *t = (const struct traces *) ctr;

    if (!host_readable(ctr, sizeof(*t)) || !is_empty(&t->resources) || !is_empty(&t->spans)) {
        return false;
    }
    void *resource = host.ctr_resource(ctr);
    void *scope = resource != NULL ? host.ctr_scope(resource) : NULL;
    void *span = scope != NULL ? host.ctr_span(ctr, scope, "a", NULL) : NULL;

    if (span == NULL || !host_readable(t->spans.next, sizeof(struct span_end)) ||
        !host_readable(t->resources.next, sizeof(struct list))) {
        return false;
    }
    const struct span_end *end = (const struct span_end *) t->spans.next;

    return is_only(&t->spans, &end->link) && is_only(&t->resources, t->resources.next) &&
           end->scope == scope && end->traces == ctr;
}

static bool knows_traces(void)
{
    struct ctrace *ctr = host.ctr_create(NULL);
    bool ok = ctr != NULL && holds_spans(ctr);

    if (ctr != NULL) {
        host.ctr_destroy(ctr);
    }
    return ok;
}

static void look_up(void)
{
    static const struct host_symbol symbols[] = {
        {(void **) &host.cmt_create, "cmt_create"},
        {(void **) &host.cmt_destroy, "cmt_destroy"},
        {(void **) &host.cmt_pack, "cmt_encode_msgpack_create"},
        {(void **) &host.cmt_packed, "cmt_encode_msgpack_destroy"},
        {(void **) &host.cmt_unpack, "cmt_decode_msgpack_create"},
        {(void **) &host.cmt_encode, "cmt_encode_opentelemetry_create"},
        {(void **) &host.cmt_encoded, "cmt_encode_opentelemetry_destroy"},
        {(void **) &host.cmt_decode, "cmt_decode_opentelemetry_create"},
        {(void **) &host.cmt_decoded, "cmt_decode_opentelemetry_destroy"},
        {(void **) &host.ctr_create, "ctr_create"},
        {(void **) &host.ctr_destroy, "ctr_destroy"},
        {(void **) &host.ctr_pack, "ctr_encode_msgpack_create"},
        {(void **) &host.ctr_packed, "ctr_encode_msgpack_destroy"},
        {(void **) &host.ctr_encode, "ctr_encode_opentelemetry_create"},
        {(void **) &host.ctr_encoded, "ctr_encode_opentelemetry_destroy"},
        {(void **) &host.ctr_decode, "ctr_decode_opentelemetry_create"},
        {(void **) &host.ctr_resource, "ctr_resource_span_create"},
        {(void **) &host.ctr_scope, "ctr_scope_span_create"},
        {(void **) &host.ctr_span, "ctr_span_create"},
        {(void **) &host.sds_create, "cfl_sds_create_len"},
        {(void **) &host.sds_destroy, "cfl_sds_destroy"},
    };
    bool complete = host_look_up(symbols, sizeof(symbols) / sizeof(symbols[0])) == NULL;

    // The encoder frees what it has not allocated, of attributes of a scope, from 3.0 to 3.1 and from 4.0.1
    // to 5.0.9 (destroy_instrumentation_scope in lib/cmetrics/src/cmt_encode_opentelemetry.c).
    host.scope_attributes = dlsym(RTLD_DEFAULT, "cfl_arena_create") != NULL ||
                            (dlsym(RTLD_DEFAULT, "flb_notification_enqueue") != NULL &&
                             dlsym(RTLD_DEFAULT, "flb_input_profiles_append") == NULL);
    // It follows a NULL from 3.0 to 3.1.8 (set_instrumentation_scope in
    // lib/ctraces/src/ctr_encode_opentelemetry.c), of which 3.1.9 and 3.1.10 differ in no symbol.
    host.scopeless = dlsym(RTLD_DEFAULT, "flb_notification_enqueue") != NULL;
    host.exponential = dlsym(RTLD_DEFAULT, "cmt_exp_histogram_create") != NULL;
    if (!complete) {
        lack[FLBWT_METRICS] = lack[FLBWT_TRACES] =
            "this Fluent Bit does not export what reads and writes OTLP";
    }
    else if (!has_sds()) {
        lack[FLBWT_METRICS] = lack[FLBWT_TRACES] = "how this Fluent Bit holds texts is not known";
    }
    else {
        lack[FLBWT_METRICS] =
            knows_metrics() ? NULL : "how this Fluent Bit holds metrics is not known";
        lack[FLBWT_TRACES] =
            knows_traces() ? NULL : "how this Fluent Bit holds traces is not known";
    }
}

const char *otlp_lack(enum flbwt_signal signal)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, look_up);
    return lack[signal];
}

bool border_exponential(void) { return host.exponential; }

bool border_scope_attributes(void) { return host.scope_attributes; }

bool border_scopeless(void) { return host.scopeless; }

void otlp_inspect(struct payload *p)
{
    enum flbwt_signal signal = p->metrics != NULL ? FLBWT_METRICS : FLBWT_TRACES;
    char *packed = NULL;
    size_t size = 0;

    if ((signal == FLBWT_METRICS ? host.cmt_pack(p->metrics, &packed, &size)
                                 : host.ctr_pack(p->traces, &packed, &size)) != 0) {
        p->refused = "Fluent Bit does not write it for a chunk either";
        return;
    }
    p->refused = otlp_refusal(signal, packed, size, host.scope_attributes, host.scopeless);
    (signal == FLBWT_METRICS ? host.cmt_packed : host.ctr_packed)(packed);
}

char *border_encode(struct payload *p, size_t *len, const char **why)
{
    if (p->refused != NULL) {
        *why = p->refused;
        return NULL;
    }
    char *encoded = p->metrics != NULL ? host.cmt_encode(p->metrics) : host.ctr_encode(p->traces);

    *why = "its encoder has failed";
    *len = encoded != NULL ? sds_length(encoded) : 0;
    return encoded;
}

void border_encoded(const struct payload *p, char *encoded)
{
    (p->metrics != NULL ? host.cmt_encoded : host.ctr_encoded)(encoded);
}

static const char *decode_metrics(struct payload *p, const void *from, size_t len)
{
    struct list list = {&list, &list};
    size_t offset = 0;

    if (host.cmt_decode(&list, (char *) from, len, &offset) != 0) {
        return "Fluent Bit does not decode it";
    }
    struct list *link = list.next;

    if (!is_only(&list, link)) {
        host.cmt_decoded(&list);
        return "Fluent Bit makes several of it, and can hold one";
    }
    link->prev = link->next = NULL;
    p->put_metrics = (struct cmt *) ((char *) link - cmt_link);
    return NULL;
}

static const char *decode_traces(struct payload *p, const void *from, size_t len)
{
    struct ctrace *ctr = NULL;
    size_t offset = 0;

    if (host.ctr_decode(&ctr, (char *) from, len, &offset) != 0 || ctr == NULL) {
        return "Fluent Bit does not decode it";
    }
    p->put_traces = ctr;
    return NULL;
}

const char *border_put(struct payload *p, const void *from, size_t len)
{
    return p->metrics != NULL ? decode_metrics(p, from, len) : decode_traces(p, from, len);
}

// copy_metrics returns a copy, NULL if there is none. It is what a chunk makes of them, which they are on
// their way to: cmt_cat would lose resource, scope and more.
static struct cmt *copy_metrics(struct cmt *from)
{
    struct cmt *copy = NULL;
    char *packed = NULL;
    size_t size = 0, offset = 0;

    if (host.cmt_pack(from, &packed, &size) != 0) {
        return NULL;
    }
    if (host.cmt_unpack(&copy, packed, size, &offset) != 0) {
        copy = NULL;
    }
    host.cmt_packed(packed);
    return copy;
}

struct cmt *otlp_metrics_out(const struct job *job, bool copied)
{
    struct cmt *out = NULL;

    switch (job->result) {
    case PAYLOAD_REPLACED:
        out = job->payload.put_metrics;
        break;
    case PAYLOAD_DROPPED:
        out = host.cmt_create();
        break;
    default:
        break;
    }
    if (out != NULL) {
        return out;
    }
    // 3.0 and 3.1 destroy what came from a processor before, even if it is what comes out
    // (src/flb_processor.c, 3.0.0 to 3.1.10). Of others NULL would be a pointer that dangles, behind a
    // processor that has replaced the metrics (3.2.0 to 5.1.1).
    return copied ? copy_metrics(job->payload.metrics) : job->payload.metrics;
}

// adopt has a list that has been copied from another place be what its items are in.
static void adopt(struct list *head, const struct list *was)
{
    if (head->next == was) {
        head->next = head->prev = head;
        return;
    }
    head->next->prev = head;
    head->prev->next = head;
}

static void exchange(struct ctrace *a, struct ctrace *b)
{
    struct traces *x = (struct traces *) a, *y = (struct traces *) b, kept = *x;

    *x = *y;
    *y = kept;
    adopt(&x->resources, &y->resources);
    adopt(&x->spans, &y->spans);
    adopt(&y->resources, &x->resources);
    adopt(&y->spans, &x->spans);
    for (int i = 0; i < 2; i++) {
        struct ctrace *owner = i == 0 ? a : b;
        struct traces *t = (struct traces *) owner;

        for (struct list *l = t->spans.next; l != &t->spans; l = l->next) {
            ((struct span_end *) l)->traces = owner;
        }
    }
}

void otlp_traces_in_place(struct job *job)
{
    struct payload *p = &job->payload;

    if (job->result == PAYLOAD_DROPPED) {
        p->put_traces = host.ctr_create(NULL);
    }
    if (job->result != PAYLOAD_KEPT && p->put_traces != NULL) {
        exchange(p->traces, p->put_traces);
        host.ctr_destroy(p->put_traces);
    }
}
