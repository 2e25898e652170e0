#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

mod batch;
mod event;
mod host;
mod part;
mod path;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod value;

#[doc(hidden)]
pub use batch::Instance;
pub use event::{Emit, Error, Event, Filter, Group, Time};
pub use host::{config, log, metrics, store, Table, TableValue};
pub use part::Part;
pub use path::{Accessor, Path};
pub use value::{Kind, Map, ToValue, Value};

/// Makes a module of a filter: `export!(fn function);`, or `export!(Type);` for a [`Filter`]. The
/// function that the host calls is named `filter`.
///
/// `export!(Type, stateful);` says that an event must not go through the filter twice, for it counts
/// or stores: then `retry_batch` does not repeat events.
#[macro_export]
macro_rules! export {
    (fn $function:path) => {
        const _: () = {
            struct Function;

            impl $crate::Filter for Function {
                fn configure() -> Result<Self, $crate::Error> {
                    Ok(Function)
                }

                fn filter(&mut self, event: &mut $crate::Event) -> Result<(), $crate::Error> {
                    $function(event)
                }
            }

            $crate::export!(Function);
        };
    };
    ($filter:ty, stateful) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[export_name = "flb_stateful"]
            extern "C" fn stateful() {}
        };
        $crate::export!($filter);
    };
    ($filter:ty) => {
        #[allow(dead_code)] // outside of WebAssembly nothing calls what is in it
        const _: () = {
            static INSTANCE: $crate::Instance<$filter> = $crate::Instance::new();

            #[cfg(target_arch = "wasm32")]
            #[link_section = "flb_module"]
            #[used]
            static ABOUT: [u8; $crate::ABOUT.len()] = $crate::ABOUT;

            #[cfg_attr(target_arch = "wasm32", export_name = "flb_batch_1")]
            extern "C" fn batch() {}

            #[cfg_attr(target_arch = "wasm32", export_name = "flb_buffer")]
            extern "C" fn buffer(size: usize) -> *mut u8 {
                INSTANCE.buffer(size)
            }

            #[cfg_attr(target_arch = "wasm32", export_name = "flb_configure")]
            extern "C" fn configure() -> *const u8 {
                INSTANCE.configure()
            }

            #[cfg_attr(target_arch = "wasm32", export_name = "filter")]
            extern "C" fn filter(input: *const u8, len: usize) -> *const u8 {
                unsafe { INSTANCE.run(input, len) }
            }
        };
    };
}

#[doc(hidden)]
pub const ABOUT: [u8; ABOUT_TEXT.len()] = {
    let mut bytes = [0; ABOUT_TEXT.len()];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = ABOUT_TEXT.as_bytes()[i];
        i += 1;
    }
    bytes
};

/// What modules say of themselves, in their section `flb_module`. A test compares the version.
const ABOUT_TEXT: &str = "abi=flb_batch_1\nlanguage=Rust\nsdk=flb-filter\nsdk_version=0.1.0\n";

#[test]
fn about_has_the_version() {
    let line = std::format!("sdk_version={}", env!("CARGO_PKG_VERSION"));
    assert!(ABOUT_TEXT.lines().any(|l| l == line));
}

macro_rules! levels {
    (($d:tt) $($name:ident $level:ident, $doc:literal)+) => {$(
        #[doc = $doc]
        #[macro_export]
        macro_rules! $name {
            ($d($d part:tt)+) => {
                if $crate::log::enabled($crate::log::Level::$level) {
                    $crate::log::line($crate::log::Level::$level, &$crate::format!($d($d part)+));
                }
            };
        }
    )+};
}

levels! {
    ($)
    error Error, "Logs an error, formatted as by `format!`."
    warn Warn, "Logs a warning, formatted as by `format!`."
    info Info, "Logs a line of information, formatted as by `format!`."
    debug Debug, "Logs a line for who looks for a mistake, formatted as by `format!`."
    trace Trace, "Logs a line for who follows each step, formatted as by `format!`."
}

#[doc(hidden)]
pub use alloc::format;
