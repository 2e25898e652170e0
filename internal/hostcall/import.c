#include "import.h"

#include <string.h>

wasmtime_error_t *flbwt_import_define(wasmtime_linker_t *linker, const flbwt_import *import,
                                      const wasm_functype_t *type, flbwt_instance *instance)
{
    return wasmtime_linker_define_func_unchecked(linker, import->module, strlen(import->module),
                                                 import->name, strlen(import->name), type,
                                                 import->function, instance, NULL);
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
    case 3:
        *len = flbwt_host_len;
        return flbwt_host;
    case 4:
        *len = flbwt_table_imports_len;
        return flbwt_table_imports;
    default:
        return NULL;
    }
}
