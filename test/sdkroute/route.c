#include "flb_filter.h"
static long long n;
static int filter(flb_event *e)
{
    flb_map m = flb_new_map();
    n++;
    flb_value what = flb_get(&e->body, "do");
    if (flb_is(what, "route"))
        flb_route(e, "t.route");
    else if (flb_is(what, "edited")) {
        flb_set(&e->body, "n", 2);
        flb_route(e, "t.edited");
    }
    else if (flb_is(what, "emit")) {
        flb_add(&m, "new", 1);
        flb_emit_to(e, "t.emit", &m);
    }
    else if (flb_is(what, "bad"))
        flb_route(e, "elsewhere");
    else {
        flb_add(&m, "own", 1);
        flb_emit(e, &m);
    }
    return 0;
}
static int tick(int last)
{
    flb_map m = flb_new_map(), meta = flb_new_map(), none = flb_new_map();
    flb_time t = {5, 0};
    flb_add(&m, "n", n);
    flb_add(&m, "last", flb_bool(last));
    flb_add(&meta, "m", 1);
    int why = flb_tick_emit_as("t.tick", &m, &meta, &t);
    return why || last ? why : flb_tick_emit("elsewhere", &none);
}
FLB_FILTER(filter);
FLB_TICK(tick);
