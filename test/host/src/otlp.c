// otlp_abi.c and host_access.c of the plugin alone, in a host whose metrics and traces are made here, in the layouts
// that there are (-DLISTS) and in such as there are not (-DWRONG_…). All of it belongs to the sanitizers: what is
// freed twice, used after, or not at all, ends the program.
#define _GNU_SOURCE
#include "../../../host_access.c"
#include "../../../otlp_abi.c"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef LISTS
#define LISTS 5
#endif

struct sds {
    uint64_t len, alloc;
    char text[];
};

char *cfl_sds_create_len(const char *from, int len)
{
    struct sds *s = malloc(sizeof(*s) + (size_t) len + 1);

    s->len = s->alloc = (uint64_t) len;
    memcpy(s->text, from, (size_t) len);
    s->text[len] = '\0';
    return s->text;
}

void cfl_sds_destroy(char *s) { free(s - sizeof(struct sds)); }

struct pair {
    char *key;
    void *value;
    struct list link;
};

struct kvlist {
    struct list list;
};

struct variant {
    int type;
    size_t size;
    uint8_t referenced;
    struct kvlist *kvlist;
};

static void add(struct list *link, struct list *head)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static void take(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
}

void *cfl_kvlist_create(void)
{
    struct kvlist *l = malloc(sizeof(*l));

    l->list.prev = l->list.next = &l->list;
    return l;
}

int cfl_kvlist_count(struct kvlist *l)
{
    int n = 0;

    for (struct list *i = l->list.next; i != &l->list; i = i->next) {
        n++;
    }
    return n;
}

struct variant *cfl_kvlist_fetch(struct kvlist *l, char *key)
{
    for (struct list *i = l->list.next; i != &l->list; i = i->next) {
        struct pair *p = (struct pair *) ((char *) i - offsetof(struct pair, link));

        if (strcmp(p->key, key) == 0) {
            return p->value;
        }
    }
    return NULL;
}

struct variant *cfl_variant_create_from_kvlist(struct kvlist *l)
{
    struct variant *v = calloc(1, sizeof(*v));

    v->kvlist = l;
    return v;
}

void cfl_variant_destroy(struct variant *v)
{
    while (v->kvlist->list.next != &v->kvlist->list) {
        struct list *i = v->kvlist->list.next;
        struct pair *p = (struct pair *) ((char *) i - offsetof(struct pair, link));

        take(i);
        cfl_variant_destroy(p->value);
        cfl_sds_destroy(p->key);
        free(p);
    }
    free(v->kvlist);
    free(v);
}

static struct kvlist *insert(struct kvlist *l, const char *key)
{
    struct pair *p = malloc(sizeof(*p));
    struct kvlist *inner = cfl_kvlist_create();

    p->key = cfl_sds_create_len(key, (int) strlen(key));
    p->value = cfl_variant_create_from_kvlist(inner);
    add(&p->link, &l->list);
    return inner;
}

struct cmt {
    int log_level;
    void *log_cb;
    struct kvlist *internal, *external;
    void *labels;
    struct list lists[LISTS];
    struct list link;
};

struct gauge {
    char opts[48];
    void *map;
#ifdef WRONG_GAUGE
    void *between;
    struct list link;
    struct cmt *cmt;
#else
    struct cmt *cmt;
    struct list link;
#endif
};

static int alive; // metrics and traces

struct cmt *cmt_create(void)
{
    struct cmt *c = calloc(1, sizeof(*c));

    c->internal = cfl_kvlist_create();
    c->external = cfl_kvlist_create();
    for (int i = 0; i < LISTS; i++) {
        c->lists[i].prev = c->lists[i].next = &c->lists[i];
    }
    alive++;
    return c;
}

void cmt_destroy(struct cmt *c)
{
    while (c->lists[1].next != &c->lists[1]) {
        struct list *i = c->lists[1].next;

        take(i);
        free((char *) i - offsetof(struct gauge, link));
    }
    cfl_variant_destroy(cfl_variant_create_from_kvlist(c->internal));
    cfl_variant_destroy(cfl_variant_create_from_kvlist(c->external));
    free(c);
    alive--;
}

static struct cmt *one(void)
{
    struct cmt *c = cmt_create();
    struct gauge *g = calloc(1, sizeof(*g));

    g->cmt = c;
    add(&g->link, &c->lists[1]);
    insert(insert(c->external, "scope"), "attributes");
    return c;
}

int cmt_encode_msgpack_create(struct cmt *c, char **to, size_t *size)
{
    (void) c;
    *to = malloc(1);
    **to = 'p';
    *size = 1;
    return 0;
}

void cmt_encode_msgpack_destroy(char *packed) { free(packed); }

int cmt_decode_msgpack_create(struct cmt **to, char *from, size_t size, size_t *offset)
{
    assert(size == 1 && from[0] == 'p' && *offset == 0);
    *to = one();
    return 0;
}

// What is decoded says how many there are to be: a digit; or it is the plugin's own request.
int cmt_decode_opentelemetry_create(struct list *to, char *from, size_t size, size_t *offset)
{
    int n = size == 1 ? from[0] - '0' : 1;

    (void) offset;
    to->prev = to->next = to;
    if (size == 1 && from[0] == 'x') {
        return -1;
    }
    for (int i = 0; i < n; i++) {
        add(&one()->link, to);
    }
    return 0;
}

void cmt_decode_opentelemetry_destroy(struct list *list)
{
    while (list->next != list) {
        struct list *i = list->next;

        take(i);
        cmt_destroy((struct cmt *) ((char *) i - offsetof(struct cmt, link)));
    }
}

char *cmt_encode_opentelemetry_create(struct cmt *c)
{
    (void) c;
    return cfl_sds_create_len("m", 1);
}

void cmt_encode_opentelemetry_destroy(char *s) { cfl_sds_destroy(s); }

struct ctrace {
    uint64_t last_span_id;
#ifdef WRONG_TRACES
    void *between;
#endif
    struct list resources, spans;
    int log_level;
    void *log_cb;
};

struct scope {
    void *scope;
    struct list spans;
    void *url;
    struct list link;
};

struct resource {
    void *resource;
#ifdef WRONG_RESOURCE
    void *between;
#endif
    struct list scopes;
    void *url;
    struct list link;
};

struct span {
    char fields[64];
    struct list link, global;
#ifdef WRONG_SPAN
    struct ctrace *ctx;
    void *scope;
#else
    void *scope;
    struct ctrace *ctx;
#endif
};

struct ctrace *ctr_create(void *options)
{
    struct ctrace *t = calloc(1, sizeof(*t));

    (void) options;
    t->resources.prev = t->resources.next = &t->resources;
    t->spans.prev = t->spans.next = &t->spans;
    alive++;
    return t;
}

void *ctr_resource_span_create(struct ctrace *t)
{
    struct resource *r = calloc(1, sizeof(*r));

    r->scopes.prev = r->scopes.next = &r->scopes;
    add(&r->link, &t->resources);
    return r;
}

void *ctr_scope_span_create(struct resource *r)
{
    struct scope *s = calloc(1, sizeof(*s));

    s->spans.prev = s->spans.next = &s->spans;
    add(&s->link, &r->scopes);
    return s;
}

void *ctr_span_create(struct ctrace *t, struct scope *scope, char *name, void *parent)
{
    struct span *s = calloc(1, sizeof(*s));

    (void) name;
    (void) parent;
    s->scope = scope;
    s->ctx = t;
    add(&s->link, &scope->spans);
    add(&s->global, &t->spans);
    return s;
}

void ctr_destroy(struct ctrace *t)
{
    while (t->resources.next != &t->resources) {
        struct list *i = t->resources.next;
        struct resource *r = (struct resource *) ((char *) i - offsetof(struct resource, link));

        while (r->scopes.next != &r->scopes) {
            struct scope *o =
                (struct scope *) ((char *) r->scopes.next - offsetof(struct scope, link));

            while (o->spans.next != &o->spans) {
                struct span *s =
                    (struct span *) ((char *) o->spans.next - offsetof(struct span, link));

                assert(s->ctx == t);
                take(&s->link);
                take(&s->global);
                free(s);
            }
            take(&o->link);
            free(o);
        }
        take(i);
        free(r);
    }
    assert(t->spans.next == &t->spans && t->spans.prev == &t->spans);
    free(t);
    alive--;
}

static struct ctrace *traces_of(int n)
{
    struct ctrace *t = ctr_create(NULL);

    for (int i = 0; i < n; i++) {
        struct scope *s = ctr_scope_span_create(ctr_resource_span_create(t));

        s->scope = t; // anything
        for (int j = 0; j <= i; j++) {
            ctr_span_create(t, s, "", NULL);
        }
    }
    return t;
}

static int spans_in(const struct ctrace *t)
{
    int n = 0;

    for (const struct list *i = t->spans.next; i != &t->spans; i = i->next, n++) {
        assert(i->prev->next == i && i->next->prev == i);
        assert(((const struct span *) ((const char *) i - offsetof(struct span, global)))->ctx ==
               t);
    }
    return n;
}

int ctr_decode_opentelemetry_create(struct ctrace **to, char *from, size_t size, size_t *offset)
{
    (void) offset;
    assert(size == 1);
    if (from[0] == 'x') {
        return -1;
    }
    *to = traces_of(from[0] - '0');
    return 0;
}

char *ctr_encode_opentelemetry_create(struct ctrace *t)
{
    (void) t;
    return cfl_sds_create_len("tr", 2);
}

void ctr_encode_opentelemetry_destroy(char *s) { cfl_sds_destroy(s); }

static void check_metrics(void)
{
    struct job job = {.payload = {.metrics = one()}};
    struct payload *p = &job.payload;
    struct cmt *in = p->metrics;
    const char *why;
    size_t len;
    char *encoded = border_encode(p, &len, &why);

    assert(encoded != NULL && len == 1);
    border_encoded(p, encoded);

    assert(otlp_metrics_out(&job, false) == in); // kept
    struct cmt *copy = otlp_metrics_out(&job, true);
    assert(copy != NULL && copy != in);
    cmt_destroy(copy);

    assert(border_put(p, "x", 1) != NULL && p->put_metrics == NULL);
    assert(border_put(p, "2", 1) != NULL && p->put_metrics == NULL);
    assert(border_put(p, "0", 1) != NULL && p->put_metrics == NULL);
    assert(border_put(p, "1", 1) == NULL && p->put_metrics != NULL);
    job.result = PAYLOAD_REPLACED;
    struct cmt *out = otlp_metrics_out(&job, true);
    assert(out == p->put_metrics && out != in);
    cmt_destroy(out);

    job.result = PAYLOAD_DROPPED;
    out = otlp_metrics_out(&job, false);
    assert(out != in && out->lists[1].next == &out->lists[1]);
    cmt_destroy(out);

    // This host has neither what came with 5.1 nor with 3.2.
    assert(!border_scope_attributes());
    insert(cfl_kvlist_fetch(cfl_kvlist_fetch(in->external, "scope")->kvlist, "attributes")->kvlist,
           "a");
    assert(border_encode(p, &len, &why) == NULL && why != NULL);
    cmt_destroy(in);
}

static void check_traces(void)
{
    // This host has not what came with 3.2.
    struct job scopeless = {.payload = {.traces = traces_of(3)}};
    struct scope *s = ctr_scope_span_create(
        (struct resource *) ((char *) scopeless.payload.traces->resources.prev -
                             offsetof(struct resource, link)));
    const char *no = NULL;
    size_t n;

    assert(!border_scopeless() && s->scope == NULL);
    assert(border_encode(&scopeless.payload, &n, &no) == NULL && no != NULL);
    s->scope = s;
    border_encoded(&scopeless.payload, border_encode(&scopeless.payload, &n, &no));
    ctr_destroy(scopeless.payload.traces);

    for (int was = 0; was < 4; was++) {
        for (int is = 0; is < 4; is++) {
            struct job job = {.payload = {.traces = traces_of(was)}};
            struct payload *p = &job.payload;
            char digit = (char) ('0' + is);
            const char *why;
            size_t len;
            char *encoded = border_encode(p, &len, &why);

            assert(encoded != NULL && len == 2);
            border_encoded(p, encoded);
            otlp_traces_in_place(&job);
            assert(spans_in(p->traces) == was * (was + 1) / 2);

            assert(border_put(p, "x", 1) != NULL && p->put_traces == NULL);
            assert(border_put(p, &digit, 1) == NULL);
            job.result = PAYLOAD_REPLACED;
            otlp_traces_in_place(&job);
            assert(spans_in(p->traces) == is * (is + 1) / 2);

            p->put_traces = NULL;
            job.result = PAYLOAD_DROPPED;
            otlp_traces_in_place(&job);
            assert(spans_in(p->traces) == 0);
            ctr_destroy(p->traces);
        }
    }
}

int main(void)
{
    const char *metrics = otlp_lack(FLBWT_METRICS), *traces = otlp_lack(FLBWT_TRACES);

    printf("metrics: %s\ntraces: %s\n", metrics != NULL ? metrics : "ok",
           traces != NULL ? traces : "ok");
    if (metrics == NULL) {
        check_metrics();
    }
    if (traces == NULL) {
        check_traces();
    }
    assert(alive == 0);
    return 0;
}
