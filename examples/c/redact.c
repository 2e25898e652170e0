/* Masks secrets in the body and the metadata of an event, and in what its group has in common. */

#include "flb_filter.h"
#include "secrets.h"

/* Masks a value of a part, and what is in it. */
static void mask(flb_part *part, flb_value v, int is_secret) {
    flb_buf masked = {0, 0, 0, 0, FLB_STR};
    flb_text text = flb_as_bytes(v);

    for (flb_iter i = flb_iterate(v); flb_next(&i);)
        mask(part, i.value, is_secret || is_secret_name(flb_as_text(i.key)));
    switch (flb_kind_of(v)) {
    case FLB_STR:
    case FLB_BIN:
        if (is_secret && text.len > 0)
            flb_put(part, v, "***");
        else if (mask_text(text, &masked))
            flb_put(part, v, flb_buf_text(&masked));
        break;
    case FLB_INT:
    case FLB_FLOAT:
        if (is_secret) flb_put(part, v, "***");
        break;
    default: break;
    }
}

static int filter(flb_event *e) {
    mask(&e->body, flb_part_value(&e->body), 0);
    mask(&e->metadata, flb_part_value(&e->metadata), 0);
    return 0;
}

static int group(flb_group *g) {
    mask(&g->body, flb_part_value(&g->body), 0);
    mask(&g->metadata, flb_part_value(&g->metadata), 0);
    return 0;
}

FLB_FILTER(filter, 0, group);
