/*
 * A filter that answers each chunk with a copy of it: what no filter that changes
 * records can go below, for Fluent Bit reads what is changed once more and stores it.
 */
#include "layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODIFIED 1

void flb_filter_set_context(struct filter_instance *, void *context);

static size_t chunks;

static int init(struct filter_instance *ins, void *config, void *data)
{
    (void) config;
    (void) data;
    flb_filter_set_context(ins, &chunks);   /* without one, finish is not called */
    return 0;
}

static int filter(const void *data, size_t bytes, const char *tag, int tag_len,
                  void **out, size_t *out_bytes, struct filter_instance *ins,
                  void *input_instance, void *context, void *config)
{
    (void) tag;
    (void) tag_len;
    (void) ins;
    (void) input_instance;
    (void) context;
    (void) config;
    *out = malloc(bytes);
    if (*out == NULL) {
        abort();                    /* to go on would be to measure something else */
    }
    memcpy(*out, data, bytes);
    *out_bytes = bytes;
    chunks++;
    return MODIFIED;
}

static int finish(void *context, void *config)
{
    (void) config;
    fprintf(stderr, "copies: %zu chunks\n", *(size_t *) context);
    return 0;
}

struct filter_plugin filter_copies_plugin = {
    .name = "copies",
    .description = "Copies chunks",
    .cb_init = init,
    .cb_filter = filter,
    .cb_exit = finish,
};
