/*
 * Measures how long a chunk is between two filters of this name: the first notes the
 * time, the second, which has a path, the difference. At its end it writes all of them
 * to the path, as uint64 of nanoseconds. Fluent Bit ends after the chunk that has the
 * bytes of last in it.
 */
#define _GNU_SOURCE
#include "layout.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOTOUCH 2
#define MAX     (1 << 20)

const char *flb_filter_get_property(const char *key, struct filter_instance *);
void flb_filter_set_context(struct filter_instance *, void *context);

enum { BEGIN, END };

static int places[] = {BEGIN, END};
static char path[4096], last[64];

/* A chunk goes through all filters on one thread, and there is one input. */
static _Thread_local uint64_t began;
static uint64_t took[MAX];
static size_t chunks;

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

static int init(struct filter_instance *ins, void *config, void *data)
{
    const char *to = flb_filter_get_property("path", ins);

    (void) config;
    (void) data;
    if (to != NULL) {
        snprintf(path, sizeof(path), "%s", to);
        snprintf(last, sizeof(last), "%s", flb_filter_get_property("last", ins));
    }
    flb_filter_set_context(ins, &places[to != NULL ? END : BEGIN]);
    return 0;
}

static int filter(const void *data, size_t bytes, const char *tag, int tag_len,
                  void **out, size_t *out_bytes, struct filter_instance *ins,
                  void *input_instance, void *context, void *config)
{
    uint64_t at = now();

    (void) tag;
    (void) tag_len;
    (void) out;
    (void) out_bytes;
    (void) ins;
    (void) input_instance;
    (void) config;
    if (*(int *) context == BEGIN) {
        began = now();
        return NOTOUCH;
    }
    if (chunks < MAX) {
        took[chunks++] = at - began;
    }
    if (memmem(data, bytes, last, strlen(last)) != NULL) {
        raise(SIGTERM);
    }
    return NOTOUCH;
}

static int finish(void *context, void *config)
{
    FILE *f;

    (void) config;
    if (*(int *) context == BEGIN) {
        return 0;
    }
    f = fopen(path, "w");
    if (f == NULL || fwrite(took, sizeof(took[0]), chunks, f) != chunks || fclose(f) != 0) {
        perror(path);
        abort();                    /* nothing has been measured */
    }
    return 0;
}

struct filter_plugin filter_latency_plugin = {
    .name = "latency",
    .description = "Measures the time between two of its instances",
    .cb_init = init,
    .cb_filter = filter,
    .cb_exit = finish,
};
