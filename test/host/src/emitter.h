/*
 * A stand-in for the inputs of Fluent Bit, as far as a filter may make one that takes events under
 * other tags, and for the struct flb_config that they are listed in. It aborts where the real one
 * would do damage: when events are added to an input that has none of its parts, on another thread
 * than the engine's, or inside of the filters of the same input.
 *
 * Signatures: flb_input.h, flb_input_log.h, flb_storage.h, flb_engine.h, flb_config.h (v2.1.0 and v5.1.1); structures:
 * flb_config.h, chunkio.h, cio_stream.h (v2.2.3 and v5.1.1). Include it in exactly one file, behind
 * metrics.h.
 */
#ifndef HOST_EMITTER_H
#define HOST_EMITTER_H

#include "layout.h"
#include "metrics.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_INPUTS   320
#define MAX_APPENDED 4096

/* struct cio_stream: type, name, link, three lists, parent. */
struct stream {
    int type;
    char *name;
    struct list link;
    struct list lists[3];
    void *parent;
};

/* struct cio_ctx: the list of streams stands behind options and counters. */
struct storage {
    uint64_t options[14];
    struct list streams;
    uint64_t rest[8];
};

/* struct flb_config, as far as is looked at. */
struct config {
    char event[48];
    int support_mode;
    int is_ingestion_active;
    int is_shutting_down;
    int is_running;
    double flush;
    uint64_t before[100];
    struct list filters;
    uint64_t between[100];
    struct storage *storage;
    uint64_t behind[8];
    char *storage_path;             /* NULL: there is none */
    uint64_t end[64];
};

/* struct flb_input_instance: the name stands near its beginning. */
struct input {
    char event[56];
    int id;
    int log_level;
    char name[32];
    char *alias;
    uint64_t rest[32];

    struct config *config;
    char type[16];
    size_t limit;
    int files;
    int initialized;
    struct stream *stream;
    size_t bytes;                   /* that it has taken */
    int busy;
    int pauses;                     /* less how often it was resumed */
    int gate;                       /* 1: closed, which pauses it; 2: it may be opened */
    int appends;                    /* that are under way */
};

/* What an input has taken. */
struct appended {
    char *name;
    char *tag;
    void *data;
    size_t size;
};

static struct input *inputs[MAX_INPUTS];
static int input_count;
static struct appended appended[MAX_APPENDED];
static int appended_count;
static int flushes;
static int spoilt_input;            /* the next one can't be made */
static int spoilt_config;           /* what [SERVICE] has is kept elsewhere */

/* What filters do to the events that are added, before they are taken; NULL: nothing. */
static void (*filters_of)(struct input *in, const char *tag, size_t tag_len, const void *data,
                          size_t size);

static void input_die(const char *what, const char *name)
{
    fprintf(stderr, "[host] inputs: %s: %s\n", what, name);
    abort();
}

static void list_init(struct list *l) { l->prev = l->next = l; }

static void list_add(struct list *l, struct list *link)
{
    link->prev = l->prev;
    link->next = l;
    link->prev->next = link->next->prev = link;
}

static void list_del(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
}

static struct input *make_input(struct config *config, const char *type)
{
    struct input *in = calloc(1, sizeof(*in));
    int i;

    if (!in || input_count == MAX_INPUTS) {
        input_die("too many", type);
    }
    for (i = 0; i < input_count; i++) {
        in->id += inputs[i] && strcmp(inputs[i]->type, type) == 0;
    }
    in->config = config;
    snprintf(in->type, sizeof(in->type), "%s", type);
    snprintf(in->name, sizeof(in->name), "%s.%i", type, in->id);
    inputs[input_count++] = in;
    return in;
}

static void make_stream(struct input *in)
{
    in->stream = calloc(1, sizeof(*in->stream));
    in->stream->name = in->name;
    in->stream->parent = in->config->storage;
    list_add(&in->config->storage->streams, &in->stream->link);
}

/* The config of a pipeline with one input. */
static void make_config(struct config *config)
{
    list_init(&config->filters);
    config->is_ingestion_active = 1;
    config->is_running = 1;
    config->before[3] = 1;          /* others that look like the ints */
    config->storage = calloc(1, sizeof(*config->storage));
    list_init(&config->storage->streams);
}

static __attribute__((unused)) void destroy_input(struct input *in)
{
    int i;

    if (in->stream) {
        list_del(&in->stream->link);
        free(in->stream);
    }
    for (i = 0; i < input_count; i++) {
        if (inputs[i] == in) {
            inputs[i] = NULL;
        }
    }
    free(in->alias);
    free(in);
}

#if FAMILY >= FAMILY_2_1

int flb_input_name_exists(const char *name, struct config *config)
{
    int i;

    for (i = 0; i < input_count; i++) {
        if (inputs[i] && inputs[i]->config == config &&
            (strcmp(inputs[i]->name, name) == 0 ||
             (inputs[i]->alias && strcmp(inputs[i]->alias, name) == 0))) {
            return 1;
        }
    }
    return 0;
}

/* src/flb_config.c (v2.2.0 to v5.1.1): of what there is for [SERVICE], one key. */
int flb_config_set_property(struct config *config, const char *key, const char *value)
{
    if (strcasecmp(key, "storage.path") == 0 && !spoilt_config) {
        free(config->storage_path);
        config->storage_path = strdup(value);
    }
    return 0;
}

struct input *flb_input_new(struct config *config, const char *type, void *data, int public_only)
{
    if (data || public_only || strcmp(type, "emitter") != 0) {
        input_die("made in another way", type);
    }
    return make_input(config, type);
}

int flb_input_set_property(struct input *in, const char *key, const char *value)
{
    if (strcmp(key, "alias") == 0) {
        in->alias = strdup(value);
    }
    else if (strcmp(key, "mem_buf_limit") == 0) {
        in->limit = (size_t) atol(value);
    }
    else if (strcmp(key, "storage.type") == 0) {
        in->files = strcmp(value, "filesystem") == 0;
    }
    else if (strcmp(key, "storage.pause_on_chunks_overlimit") != 0) {
        return -1;
    }
    return 0;
}

int flb_input_instance_init(struct input *in, struct config *config)
{
    if (in->config != config || spoilt_input) {
        return -1;
    }
    in->initialized = 1;
    return 0;
}

void flb_input_instance_exit(struct input *in, struct config *config)
{
    (void) config;
    in->initialized = 0;
}

void flb_input_instance_destroy(struct input *in) { destroy_input(in); }

int flb_storage_input_create(struct storage *storage, struct input *in)
{
    if (storage != in->config->storage) {
        input_die("another storage than the pipeline's", in->name);
    }
    if (in->files && !in->config->storage_path) {
        return -1;
    }
    make_stream(in);
    return 0;
}

int flb_input_log_append(struct input *in, const char *tag, size_t tag_len, const void *data,
                         size_t size)
{
    struct appended *a;

    if (!has_engine || !pthread_equal(engine, pthread_self())) {
        input_die("added to on another thread than the engine's", in->name);
    }
    if (!in->initialized || !in->stream || tag[tag_len] != '\0' || size == 0) {
        input_die("added to before it can take anything", in->name);
    }
    if (in->appends > 0) {
        input_die("added to inside of its own filters", in->name);
    }
    if (!in->config->is_running) {
        input_die("added to when all else has ended", in->name);
    }
    if (in->busy || (in->limit > 0 && in->bytes >= in->limit)) {
        return -1;
    }
    if (appended_count == MAX_APPENDED) {
        input_die("too much added", in->name);
    }
    in->appends++;
    if (filters_of) {
        filters_of(in, tag, tag_len, data, size);
    }
    in->appends--;
    a = &appended[appended_count];
    a->data = malloc(size);
    if (!a->data) {
        return -1;
    }
    appended_count++;
    a->name = strdup(in->alias ? in->alias : in->name);
    a->tag = strndup(tag, tag_len);
    memcpy(a->data, data, size);
    a->size = size;
    in->bytes += size;
    return 0;
}

int flb_input_pause(struct input *in)
{
    if (in->busy) {
        return -1;
    }
    in->pauses = 1;
    return 0;
}

int flb_input_resume(struct input *in)
{
    in->pauses = 0;
    return 0;
}

#if FAMILY >= FAMILY_5_0_3

/* flb_input.c (v5.1.1): pausing an input says nothing of its gate. */
int flb_input_rate_gate_protect(struct input *in) { return in->gate == 1; }

void flb_input_rate_gate_maybe_resume(struct input *in)
{
    if (in->gate == 2) {
        in->gate = 0;
        flb_input_resume(in);
    }
}

#endif

int flb_engine_flush(struct config *config, void *only)
{
    if (only || !config->is_shutting_down) {
        input_die("flushed at another time than the end", "");
    }
    flushes++;
    return 0;
}

#endif

#endif
