//! wasmtime's C API as a static library, in the place of the one inside wasmtime-go, and what this
//! project adds to it, which `internal/guest/capi.go` declares.

use std::ffi::c_char;

use wasmtime_c_api::wasmtime::{Config, Engine, Error};

// All of it is exported, whatever is used here.
pub use wasmtime_c_api::*;

/// The version of wasmtime, which is this package's, too. C has it from a header only, that need
/// not belong to the library.
#[unsafe(no_mangle)]
pub extern "C" fn flbwt_engine_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The architectures that it compiles for, as target triples begin: Cargo.toml has them.
#[unsafe(no_mangle)]
pub extern "C" fn flbwt_engine_targets() -> *const c_char {
    c"x86_64 aarch64".as_ptr()
}

/// Compiles a module for the engine's target, which need not be this machine. The C API has a
/// function only for code that is to run at once. `out` gets what wasmtime_module_serialize gives.
///
/// # Safety
/// There are `len` bytes at `wasm`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flbwt_engine_precompile(
    engine: &wasm_engine_t,
    wasm: *const u8,
    len: usize,
    out: &mut wasm_byte_vec_t,
) -> Option<Box<wasmtime_error_t>> {
    // The only field of a repr(C) struct, which hides it.
    const { assert!(size_of::<wasm_engine_t>() == size_of::<Engine>()) };
    let engine = unsafe { &*std::ptr::from_ref(engine).cast::<Engine>() };
    match engine.precompile_module(unsafe { std::slice::from_raw_parts(wasm, len) }) {
        Ok(code) => {
            out.set_buffer(code);
            None
        }
        Err(error) => Some(Box::new(error.into())),
    }
}

/// The C API has it with asynchronous calls only, but max_wasm_stack is held against it without them.
#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_config_async_stack_size_set(config: &mut wasm_config_t, size: usize) {
    // The only field of a repr(C) struct, which hides it.
    const { assert!(size_of::<wasm_config_t>() == size_of::<Config>()) };
    let config = unsafe { &mut *std::ptr::from_mut(config).cast::<Config>() };
    config.async_stack_size(size);
}

/// Functions of parts of wasmtime that are left out. wasmtime-go's Go code is linked whole, with
/// its references to them.
mod left_out {
    use super::*;

    macro_rules! fail {
        ($($name:ident)*) => {$(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> Box<wasmtime_error_t> {
                Box::new(Error::msg("this library is built without it").into())
            }
        )*};
    }
    fail! {
        wasmtime_config_cache_config_load
        wasmtime_context_set_wasi
        wasmtime_linker_define_wasi
    }

    // NULL and false, which say that it failed, or nothing. The setting is of modules that there are
    // none of.
    macro_rules! ignore {
        ($($name:ident)*) => {$(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> usize {
                0
            }
        )*};
    }
    ignore! {
        wasi_config_delete
        wasi_config_inherit_argv
        wasi_config_inherit_env
        wasi_config_inherit_stderr
        wasi_config_inherit_stdin
        wasi_config_inherit_stdout
        wasi_config_new
        wasi_config_preopen_dir
        wasi_config_set_argv
        wasi_config_set_env
        wasi_config_set_stderr_file
        wasi_config_set_stdin_file
        wasi_config_set_stdout_file
        wasmtime_config_wasm_component_model_set
    }
}
