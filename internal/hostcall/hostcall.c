#include "hostcall.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void flbwt_stop(call *c, const char *format, ...)
{
    char text[256];
    va_list args;

    if (c->trap != NULL) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    c->trap = wasmtime_trap_new(text, strlen(text));
}

void flbwt_stop_with(call *c, const char *text, size_t n)
{
    if (c->trap == NULL) {
        c->trap = wasmtime_trap_new(text, n);
    }
}

void flbwt_exit(call *c, int32_t status)
{
    c->instance->exited = true;
    c->instance->exit_status = status;
    flbwt_stop(c, "the guest exited with status %d", (int) status);
}

bool flbwt_overdue(call *c)
{
    if (!flbwt_watch_overdue(&c->instance->watch)) {
        return false;
    }
    flbwt_stop(c, "%s: the call took too long", c->name);
    return true;
}

const uint8_t *flbwt_text(call *c, int i)
{
    const uint8_t *p = within(c->instance, param(c, i), param(c, i + 1));

    if (p == NULL) {
        flbwt_stop(c, "%s: the text is outside memory", c->name);
    }
    return p;
}

uint8_t *flbwt_room_for(call *c, int i, uint32_t n)
{
    uint8_t *p = within(c->instance, param(c, i), n);

    if (p == NULL) {
        flbwt_stop(c, "%s: the buffer is outside memory", c->name);
    }
    return p;
}

bool flbwt_enter(call *c, wasmtime_caller_t *caller)
{
    wasmtime_extern_t item;
    flbwt_instance *in = c->instance;

    if (flbwt_overdue(c)) {
        return false;
    }
    // In start functions and _initialize nobody has looked for the memory yet.
    if (in->memory.store_id == 0) {
        if (!wasmtime_caller_export_get(caller, "memory", strlen("memory"), &item) ||
            item.kind != WASMTIME_EXTERN_MEMORY) {
            flbwt_stop(c, "%s: the module's memory is not there yet", c->name);
            return false;
        }
        in->memory = item.of.memory;
    }
    return true;
}
