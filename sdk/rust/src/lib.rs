#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

mod batch;
mod event;
mod host;
pub mod otlp;
mod part;
mod path;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod value;

pub use event::{Emit, Error, Event, Filter, Group, Time};
pub use host::{config, emit_to, log, metrics, store, Table, TableValue};
pub use part::Part;
pub use path::{Accessor, Path};
pub use value::{Kind, Map, ToValue, Value};
#[doc(hidden)]
pub use {alloc::format, batch::Instance};

/// Makes a module of a filter: `export!(fn function);`, or `export!(Type);` for a [`Filter`]. The
/// function that the host calls is named `filter`.
///
/// `export!(Type, stateful);` says that an event must not go through the filter twice, for it counts
/// or stores: then `retry_batch` does not repeat events. `export!(Type, tick);` has [`Filter::tick`] called;
/// `export!(Type, stateful, tick);` says both.
#[macro_export]
macro_rules! export {
    (fn $function:path) => {
        const _: () = {
            struct Function;

            impl $crate::Filter for Function {
                fn configure() -> Result<Self, $crate::Error> { Ok(Function) }
                fn filter(&mut self, event: &mut $crate::Event) -> Result<(), $crate::Error> { $function(event) }
            }

            $crate::export!(Function);
        };
    };
    (# $instance:ident stateful) => { $crate::export!(@ "flb_stateful" stateful() {}); };
    (# $instance:ident tick) => {
        $crate::export!(@ "flb_tick" tick(flags: u32) -> *const u8 { $instance.tick(flags) });
    };
    (@ $name:literal $($function:tt)+) => {
        #[cfg_attr(target_arch = "wasm32", export_name = $name)]
        extern "C" fn $($function)+
    };
    ($filter:ty $(, $more:ident)*) => {
        #[allow(dead_code)] // outside of WebAssembly nothing calls what is in it
        const _: () = {
            static INSTANCE: $crate::Instance<$filter> = $crate::Instance::new();

            #[cfg_attr(target_arch = "wasm32", link_section = "flb_module", used)]
            static ABOUT: [u8; $crate::ABOUT.len()] = $crate::ABOUT;

            $($crate::export!(# INSTANCE $more);)*
            $crate::export!(@ "flb_batch_1" batch() {});
            $crate::export!(@ "flb_buffer" buffer(size: usize) -> *mut u8 { INSTANCE.buffer(size) });
            $crate::export!(@ "flb_configure" configure() -> *const u8 { INSTANCE.configure() });
            $crate::export!(@ "filter" filter(input: *const u8, len: usize) -> *const u8 {
                unsafe { INSTANCE.run(input, len) }
            });
        };
    };
}

/// What modules say of themselves, in their section `flb_module`.
#[doc(hidden)]
pub const ABOUT: [u8; 63] = *b"abi=flb_batch_1\nlanguage=Rust\nsdk=flb-filter\nsdk_version=0.1.0\n";

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
