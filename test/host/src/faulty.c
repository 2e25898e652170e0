/*
 * A filter that makes the mistake which the tag names, so that a test can see
 * that the host notices.
 */
#include "layout.h"

#include <stdlib.h>
#include <string.h>

#define MODIFIED 1
#define NOTOUCH  2

static char not_from_malloc[8];

__attribute__((noinline)) static int deep(size_t bytes)
{
    volatile char room[bytes];
    size_t i;

    for (i = 0; i < bytes; i++) {
        room[i] = 1;
    }
    return NOTOUCH + (room[0] != 1);
}

static int filter(const void *data, size_t bytes, const char *tag, int tag_len, void **out,
                  size_t *out_bytes, struct filter_instance *ins, void *input_instance,
                  void *context, void *config)
{
    volatile char *borrowed = (volatile char *) (uintptr_t) data;

    (void) input_instance;
    (void) context;
    (void) config;
    *out_bytes = 8;
    switch (tag_len ? tag[0] : 0) {
    case 's':                       /* stack: more than a coroutine has */
        *out_bytes = 0;
        return deep(40 * 1024);
    case 'p':                       /* past the end of the output */
        *out = malloc(8);
        memset(*out, 1, 8);
        ((volatile char *) *out)[8] = 1;
        return MODIFIED;
    case 'f':                       /* foreign memory as output */
        *out = not_from_malloc;
        return MODIFIED;
    case 'w':                       /* write to the input */
        borrowed[0] = 0;
        return NOTOUCH;
    case 'r':                       /* read past the end of the input */
        return NOTOUCH + (borrowed[bytes] & 0);
    case 'i':                       /* write to the instance, behind alias */
        ins->poison[0] = 0;
        return NOTOUCH;
    }
    return NOTOUCH;
}

struct filter_plugin filter_faulty_plugin = {
    .name = "faulty",
    .description = "Makes mistakes",
    .cb_filter = filter,
};
