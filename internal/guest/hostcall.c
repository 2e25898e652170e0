#include "hostcall.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// include/wasmtime/linker.h, func.h and trap.h of v44.0.0.
void *wasmtime_linker_define_func_unchecked(
    void *linker, const char *module, size_t module_len, const char *name, size_t name_len,
    const void *type, void *(*callback)(void *, void *, wasmtime_val_raw_t *, size_t), void *data,
    void (*finalizer)(void *));
bool wasmtime_caller_export_get(void *caller, const char *name, size_t name_len,
                                wasmtime_extern_t *item);
void *wasmtime_trap_new(const char *message, size_t len);

_Static_assert(sizeof(wasmtime_extern_t) == 32, "wasmtime_extern_t");

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
    c->guest->exited = true;
    c->guest->exit_status = status;
    flbwt_stop(c, "the guest exited with status %d", (int) status);
}

bool flbwt_overdue(call *c)
{
    if (!flbwt_watch_overdue(&c->guest->watch)) {
        return false;
    }
    flbwt_stop(c, "%s: the call took too long", c->name);
    return true;
}

bool flbwt_enter(call *c, void *caller)
{
    wasmtime_extern_t item;
    flbwt_guest *g = c->guest;

    if (flbwt_overdue(c)) {
        return false;
    }
    // In start functions and _initialize nobody has looked for the memory yet.
    if (g->memory.outer.store_id == 0) {
        if (!wasmtime_caller_export_get(caller, "memory", strlen("memory"), &item) ||
            item.kind != WASMTIME_EXTERN_MEMORY) {
            flbwt_stop(c, "%s: the module's memory is not there yet", c->name);
            return false;
        }
        g->memory = item.of.memory;
    }
    return true;
}

void *flbwt_import_define(void *linker, const flbwt_import *import, const void *type,
                          flbwt_guest *guest)
{
    return wasmtime_linker_define_func_unchecked(linker, import->module, strlen(import->module),
                                                 import->name, strlen(import->name), type,
                                                 import->function, guest, NULL);
}

const flbwt_import *flbwt_imports(size_t i, size_t *len)
{
    switch (i) {
    case 0:
        *len = flbwt_libc_len;
        return flbwt_libc;
    case 1:
        *len = flbwt_script_len;
        return flbwt_script;
    case 2:
        *len = flbwt_wasi_imports_len;
        return flbwt_wasi_imports;
    default:
        return NULL;
    }
}
