// What modules may import, as tables from which the Go side makes their types.

#ifndef FLBWT_IMPORT_H
#define FLBWT_IMPORT_H

#include "instance.h"

// flbwt_import is one function of the host. Its types are those of parameters, ':' and
// of the result: i for i32, I for i64, F for f64; a blank stands between the types that
// one name may have.
typedef struct {
    const char *module, *name, *types;
    wasmtime_func_unchecked_callback_t function; // its env is the flbwt_instance
} flbwt_import;

// flbwt_imports returns the i-th table and its length, NULL after the last one. Tables
// may share a module, and names if their types differ.
const flbwt_import *flbwt_imports(size_t i, size_t *len);

// The tables.
extern const flbwt_import *const flbwt_host,
    *const flbwt_libc, *const flbwt_script, *const flbwt_wasi_imports,
                                                *const flbwt_record_imports,
                                                    *const flbwt_store_imports,
                                                        *const flbwt_metric_imports,
                                                            *const flbwt_table_imports;
extern const size_t flbwt_host_len, flbwt_libc_len, flbwt_script_len, flbwt_wasi_imports_len,
    flbwt_record_imports_len, flbwt_store_imports_len, flbwt_metric_imports_len,
    flbwt_table_imports_len;

// flbwt_import_define gives a function to a linker, as one of that type (one of its types)
// for that guest, which has to outlive the store. It returns an error or NULL.
wasmtime_error_t *flbwt_import_define(wasmtime_linker_t *linker, const flbwt_import *import,
                                      const wasm_functype_t *type, flbwt_instance *instance);

#endif
