#include "import.h"

#include <string.h>

wasmtime_error_t *flbwt_import_define(wasmtime_linker_t *linker, const flbwt_import *import,
                                      const wasm_functype_t *type, flbwt_instance *instance)
{
    return wasmtime_linker_define_func_unchecked(linker, import->module, strlen(import->module),
                                                 import->name, strlen(import->name), type,
                                                 import->function, instance, NULL);
}

// All tables.
static const struct {
    const flbwt_import *const *imports;
    const size_t *len;
} tables[] = {
    {&flbwt_libc, &flbwt_libc_len},
    {&flbwt_script, &flbwt_script_len},
    {&flbwt_wasi_imports, &flbwt_wasi_imports_len},
    {&flbwt_host, &flbwt_host_len},
    {&flbwt_record_imports, &flbwt_record_imports_len},
    {&flbwt_store_imports, &flbwt_store_imports_len},
    {&flbwt_metric_imports, &flbwt_metric_imports_len},
    {&flbwt_table_imports, &flbwt_table_imports_len},
};

const flbwt_import *flbwt_imports(size_t i, size_t *len)
{
    if (i >= sizeof(tables) / sizeof(tables[0])) {
        return NULL;
    }
    *len = *tables[i].len;
    return *tables[i].imports;
}
