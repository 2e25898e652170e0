// All of wasmtime's C API that this project uses, as release v44.0.0 declares it. The
// release's own headers are inside the module wasmtime-go, where no other package's
// compiler looks. TestForeignDeclarations compares every name below with them, and with those
// of the release in engine/, which may be linked instead.

#ifndef FLBWT_WASMTIME_H
#define FLBWT_WASMTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// wasmtime.h
#define WASMTIME_VERSION "44.0.0" // of wasmtime-go's library

// wasm.h
typedef char byte_t;
typedef float float32_t;
typedef double float64_t;
typedef byte_t wasm_byte_t;

typedef struct wasm_byte_vec_t {
    size_t size;
    wasm_byte_t *data;
} wasm_byte_vec_t;

typedef wasm_byte_vec_t wasm_name_t;
typedef wasm_name_t wasm_message_t; // ends with a NUL, which counts

typedef struct wasm_config_t wasm_config_t;
typedef struct wasm_engine_t wasm_engine_t;
typedef struct wasm_functype_t wasm_functype_t;
typedef struct wasm_memorytype_t wasm_memorytype_t;
typedef struct wasm_trap_t wasm_trap_t;

void wasm_byte_vec_delete(wasm_byte_vec_t *vec);
void wasm_trap_delete(wasm_trap_t *trap);
void wasm_trap_message(const wasm_trap_t *trap, wasm_message_t *out);

// wasmtime/error.h
typedef struct wasmtime_error wasmtime_error_t;

wasmtime_error_t *wasmtime_error_new(const char *message);
void wasmtime_error_delete(wasmtime_error_t *error);
void wasmtime_error_message(const wasmtime_error_t *error, wasm_name_t *message);

// wasmtime/trap.h
typedef uint8_t wasmtime_trap_code_t;

// Those of wasmtime_trap_code_enum that modules without references and threads can cause.
enum {
    WASMTIME_TRAP_CODE_STACK_OVERFLOW = 0,
    WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS = 1,
    WASMTIME_TRAP_CODE_HEAP_MISALIGNED = 2,
    WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS = 3,
    WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL = 4,
    WASMTIME_TRAP_CODE_BAD_SIGNATURE = 5,
    WASMTIME_TRAP_CODE_INTEGER_OVERFLOW = 6,
    WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO = 7,
    WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER = 8,
    WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED = 9,
    WASMTIME_TRAP_CODE_INTERRUPT = 10,
    WASMTIME_TRAP_CODE_OUT_OF_FUEL = 11,
};

wasm_trap_t *wasmtime_trap_new(const char *msg, size_t msg_len);
bool wasmtime_trap_code(const wasm_trap_t *trap, wasmtime_trap_code_t *code);

// wasmtime/module.h
typedef struct wasmtime_module wasmtime_module_t;

void wasmtime_module_image_range(const wasmtime_module_t *module, void **start, void **end);

// wasmtime/store.h
typedef struct wasmtime_context wasmtime_context_t;

// wasmtime/extern.h and tag.h
typedef struct wasmtime_func {
    uint64_t store_id;
    void *__private;
} wasmtime_func_t;

typedef struct wasmtime_table {
    struct {
        uint64_t store_id;
        uint32_t __private1;
    };
    uint32_t __private2; // at 16: the inner struct is padded
} wasmtime_table_t;

typedef struct wasmtime_memory {
    struct {
        uint64_t store_id;
        uint32_t __private1;
    };
    uint32_t __private2;
} wasmtime_memory_t;

typedef struct wasmtime_global {
    uint64_t store_id;
    uint32_t __private1;
    uint32_t __private2;
    uint32_t __private3;
} wasmtime_global_t;

typedef struct wasmtime_tag {
    struct {
        uint64_t store_id;
        uint32_t __private1;
    };
    uint32_t __private2;
} wasmtime_tag_t;

typedef uint8_t wasmtime_extern_kind_t;

#define WASMTIME_EXTERN_FUNC   0
#define WASMTIME_EXTERN_MEMORY 3

typedef union wasmtime_extern_union {
    wasmtime_func_t func;
    wasmtime_global_t global;
    wasmtime_table_t table;
    wasmtime_memory_t memory;
    struct wasmtime_sharedmemory *sharedmemory;
    wasmtime_tag_t tag;
} wasmtime_extern_union_t;

typedef struct wasmtime_extern {
    wasmtime_extern_kind_t kind;
    wasmtime_extern_union_t of;
} wasmtime_extern_t;

// wasmtime/val.h
typedef uint8_t wasmtime_v128[16];

typedef union wasmtime_val_raw {
    int32_t i32;
    int64_t i64;
    float32_t f32;
    float64_t f64;
    wasmtime_v128 v128;
    uint32_t anyref;
    uint32_t externref;
    void *funcref;
} wasmtime_val_raw_t;

// wasmtime/func.h
typedef struct wasmtime_caller wasmtime_caller_t;

typedef wasm_trap_t *(*wasmtime_func_unchecked_callback_t)(void *env, wasmtime_caller_t *caller,
                                                           wasmtime_val_raw_t *args_and_results,
                                                           size_t num_args_and_results);

wasmtime_error_t *wasmtime_func_call_unchecked(wasmtime_context_t *store,
                                               const wasmtime_func_t *func,
                                               wasmtime_val_raw_t *args_and_results,
                                               size_t args_and_results_len, wasm_trap_t **trap);
bool wasmtime_caller_export_get(wasmtime_caller_t *caller, const char *name, size_t name_len,
                                wasmtime_extern_t *item);

// wasmtime/memory.h
uint8_t *wasmtime_memory_data(const wasmtime_context_t *store, const wasmtime_memory_t *memory);
size_t wasmtime_memory_data_size(const wasmtime_context_t *store, const wasmtime_memory_t *memory);
wasmtime_error_t *wasmtime_memory_grow(wasmtime_context_t *store, const wasmtime_memory_t *memory,
                                       uint64_t delta, uint64_t *prev_size);

// wasmtime/linker.h
typedef struct wasmtime_linker wasmtime_linker_t;

wasmtime_error_t *wasmtime_linker_define_func_unchecked(wasmtime_linker_t *linker,
                                                        const char *module, size_t module_len,
                                                        const char *name, size_t name_len,
                                                        const wasm_functype_t *ty,
                                                        wasmtime_func_unchecked_callback_t cb,
                                                        void *data, void (*finalizer)(void *));

// wasmtime/config.h and async.h
typedef uint8_t *(*wasmtime_memory_get_callback_t)(void *env, size_t *byte_size,
                                                   size_t *byte_capacity);
typedef wasmtime_error_t *(*wasmtime_memory_grow_callback_t)(void *env, size_t new_size);

typedef struct wasmtime_linear_memory {
    void *env;
    wasmtime_memory_get_callback_t get_memory;
    wasmtime_memory_grow_callback_t grow_memory;
    void (*finalizer)(void *);
} wasmtime_linear_memory_t;

typedef wasmtime_error_t *(*wasmtime_new_memory_callback_t)(void *env, const wasm_memorytype_t *ty,
                                                            size_t minimum, size_t maximum,
                                                            size_t reserved_size_in_bytes,
                                                            size_t guard_size_in_bytes,
                                                            wasmtime_linear_memory_t *memory_ret);

typedef struct wasmtime_memory_creator {
    void *env;
    wasmtime_new_memory_callback_t new_memory;
    void (*finalizer)(void *);
} wasmtime_memory_creator_t;

void wasmtime_config_async_stack_size_set(wasm_config_t *config, uint64_t bytes);
void wasmtime_config_host_memory_creator_set(wasm_config_t *config,
                                             wasmtime_memory_creator_t *creator);
void wasmtime_config_memory_init_cow_set(wasm_config_t *config, bool enable);
void wasmtime_config_parallel_compilation_set(wasm_config_t *config, bool enable);
void wasmtime_config_wasm_exceptions_set(wasm_config_t *config, bool enable);

// engine/src/lib.rs. wasmtime-go's library has none of these: their addresses are NULL then.
#define FLBWT_ENGINE __attribute__((weak, visibility("hidden")))
FLBWT_ENGINE const char *flbwt_engine_version(void);
FLBWT_ENGINE const char *flbwt_engine_targets(void);
FLBWT_ENGINE wasmtime_error_t *flbwt_engine_precompile(const wasm_engine_t *engine,
                                                       const uint8_t *wasm, size_t len,
                                                       wasm_byte_vec_t *out);

#endif
