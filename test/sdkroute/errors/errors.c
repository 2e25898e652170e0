#include "flb_filter.h"

static int filter(flb_event *e) {
    if (flb_is(flb_get(&e->body, "level"), "error")) flb_route(e, "errors");
    return 0;
}

FLB_FILTER(filter);
