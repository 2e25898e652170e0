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

bool flbwt_enter(call *c, wasmtime_caller_t *caller)
{
    wasmtime_extern_t item;
    flbwt_guest *g = c->guest;

    if (flbwt_overdue(c)) {
        return false;
    }
    // In start functions and _initialize nobody has looked for the memory yet.
    if (g->memory.store_id == 0) {
        if (!wasmtime_caller_export_get(caller, "memory", strlen("memory"), &item) ||
            item.kind != WASMTIME_EXTERN_MEMORY) {
            flbwt_stop(c, "%s: the module's memory is not there yet", c->name);
            return false;
        }
        g->memory = item.of.memory;
    }
    return true;
}

wasmtime_error_t *flbwt_import_define(wasmtime_linker_t *linker, const flbwt_import *import,
                                      const wasm_functype_t *type, flbwt_guest *guest)
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
