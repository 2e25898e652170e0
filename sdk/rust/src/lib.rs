//! Filters for [Fluent Bit](https://fluentbit.io) that run as WebAssembly, in its filter `wasmtime` of
//! [fluent-bit-wasmtime](https://github.com/fluent-bit-wasmtime/fluent-bit-wasmtime).
//!
//! A filter is a function that is called for each event:
//!
//! ```
//! use flb_filter::{Error, Event};
//!
//! fn filter(event: &mut Event) -> Result<(), Error> {
//!     match event.body.get_str("level") {
//!         Some("debug") => event.drop(),
//!         Some(level) => event.body.set("severity", level.to_uppercase()),
//!         None => return Err("there is no level".into()),
//!     }
//!     Ok(())
//! }
//!
//! flb_filter::export!(fn filter);
//!
//! # fn main() {
//! use flb_filter::testing::{Host, Record};
//!
//! let out = Host::new().run(filter, &[
//!     Record::json(r#"{"level":"warn"}"#),
//!     Record::json(r#"{"level":"debug"}"#),
//!     Record::json(r#"{}"#),
//! ]);
//! assert_eq!(out.bodies(), [r#"{"level":"warn","severity":"WARN"}"#]);
//! assert_eq!(out.errors[0].1.text(), "there is no level");
//! # }
//! ```
//!
//! One with a configuration, or a state, is a type:
//!
//! ```
//! use flb_filter::{config, metrics::Counter, Error, Event, Filter};
//!
//! struct Sample {
//!     every: u64,
//!     seen: u64,
//!     dropped: Counter,
//! }
//!
//! impl Filter for Sample {
//!     fn configure() -> Result<Self, Error> {
//!         let every = config::parse_or("every", 10)?;
//!         if every == 0 {
//!             return Err("config.every: set it to 1 or more".into());
//!         }
//!         Ok(Sample { every, seen: 0, dropped: Counter::new("dropped_total", "Events left out", &[]) })
//!     }
//!
//!     fn filter(&mut self, event: &mut Event) -> Result<(), Error> {
//!         self.seen += 1;
//!         if self.seen % self.every != 0 {
//!             self.dropped.add(1.0, &[]);
//!             event.drop();
//!         }
//!         Ok(())
//!     }
//! }
//!
//! flb_filter::export!(Sample);
//!
//! # fn main() {
//! use flb_filter::testing::{Host, Record};
//!
//! let host = Host::new().config("every", "2");
//! let out = host.start::<Sample>().unwrap().run(&[Record::json(r#"{"n":1}"#), Record::json(r#"{"n":2}"#)]);
//! assert_eq!(out.bodies(), [r#"{"n":2}"#]);
//! assert_eq!(host.metric("dropped_total", &[]), 1.0);
//! assert!(Host::new().config("every", "0").start::<Sample>().is_err());
//! # }
//! ```
//!
//! The crate has no dependencies, and is `no_std` with `default-features = false`.
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

mod batch;
mod event;
mod host;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod value;

#[doc(hidden)]
pub use batch::Instance;
pub use event::{Emit, Error, Event, Filter, Group, Part, Time};
pub use host::{config, log, metrics, store, Table, TableValue};
pub use value::{Kind, List, Map, Path, Step, ToValue, Value};

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
        const _: () = {
            static INSTANCE: $crate::Instance<$filter> = $crate::Instance::new();

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

            // Outside of WebAssembly nothing else uses them.
            #[cfg(not(target_arch = "wasm32"))]
            const _: (
                extern "C" fn(),
                extern "C" fn(usize) -> *mut u8,
                extern "C" fn() -> *const u8,
                extern "C" fn(*const u8, usize) -> *const u8,
            ) = (batch, buffer, configure, filter);
        };
    };
}

macro_rules! levels {
    ($($name:ident $level:ident, $doc:literal)+) => { levels! { ($) $($name $level, $doc)+ } };
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
    error Error, "Logs an error, formatted as by `format!`."
    warn Warn, "Logs a warning, formatted as by `format!`."
    info Info, "Logs a line of information, formatted as by `format!`."
    debug Debug, "Logs a line for who looks for a mistake, formatted as by `format!`."
    trace Trace, "Logs a line for who follows each step, formatted as by `format!`."
}

#[doc(hidden)]
pub use alloc::format;
