//! What the host does for a filter. Outside of WebAssembly [`testing`](crate::testing) stands in for it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;
use core::str::FromStr;

use crate::Error;

/// Has a host function write into a buffer, which is as large as need be. `None` is what it says less
/// than 0.
fn fetch(function: impl Fn(&mut [u8]) -> i32) -> Option<Vec<u8>> {
    let mut buffer = alloc::vec![0; 64];
    loop {
        let len = usize::try_from(function(&mut buffer)).ok()?;
        let fits = len <= buffer.len();
        buffer.resize(len, 0);
        if fits {
            return Some(buffer);
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned())
}

/// The configuration: what the user has set as `config.KEY`, and in `config_file`. Upper and lower
/// case are the same in a key.
pub mod config {
    use super::*;

    /// Returns the value of a key, if it is set. Bytes that are not UTF-8 are U+FFFD.
    pub fn get(key: &str) -> Option<String> {
        fetch(|to| sys::config_get(key, to)).map(text)
    }

    /// Returns the value of a key, or an error that says what to set it to.
    pub fn require(key: &str, what: &str) -> Result<String, Error> {
        get(key).ok_or_else(|| format!("config.{key}: set it to {what}").into())
    }

    /// Returns the value of a key as a number, a `bool`, an [`Accessor`](crate::Accessor) or whatever else
    /// reads itself from text, if it is set; an error with the key and the value if it can't be read.
    pub fn parse<T: FromStr>(key: &str) -> Result<Option<T>, Error>
    where
        T::Err: Display,
    {
        let parse = |text: String| match text.trim().parse() {
            Ok(value) => Ok(value),
            Err(why) => Err(format!("config.{key} is '{text}': {why}").into()),
        };
        get(key).map(parse).transpose()
    }

    /// Returns the keys that are set, in lower case and in order.
    pub fn keys() -> Vec<String> {
        (0..).map_while(|i| fetch(|to| sys::config_key(i, to)).map(text)).collect()
    }
}

/// Fluent Bit's log. The macros [`error!`](crate::error), [`warn!`](crate::warn), [`info!`](crate::info),
/// [`debug!`](crate::debug) and [`trace!`](crate::trace) format only what is logged.
pub mod log {
    use super::*;

    /// Levels of the log.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Level {
        Error = 1,
        Warn = 2,
        Info = 3,
        Debug = 4,
        Trace = 5,
    }

    /// Says whether lines of that level reach the log.
    pub fn enabled(level: Level) -> bool {
        sys::log_enabled(level as u32) == 1
    }

    /// Writes a line. The host takes 16 KiB of it, and 100 lines in 10 s.
    pub fn line(level: Level, text: &str) {
        sys::log(level as u32, text);
    }
}

/// Metrics, which Fluent Bit's log has at the end, and `flb-wasmtime run --metrics`. Define them in
/// [`configure`](crate::Filter::configure); to define one again finds it.
///
/// Labels are given in the order of their names, all of them. The host counts what it has no room for
/// by itself. A name or label that Prometheus does not allow is a trap.
pub mod metrics {
    use super::*;

    type Change = fn(i32, f64, &[u8]) -> i32;

    fn change(function: Change, metric: i32, value: f64, labels: &[&str]) {
        let mut to = Vec::with_capacity(128);
        for label in labels {
            to.extend_from_slice(&(label.len() as u32).to_le_bytes());
            to.extend_from_slice(label.as_bytes());
        }
        function(metric, value, &to);
    }

    /// What only grows.
    #[derive(Clone, Copy)]
    pub struct Counter(i32);

    impl Counter {
        /// Defines a counter.
        pub fn new(name: &str, help: &str, labels: &[&str]) -> Self {
            Counter(sys::metric_define(1, name, help, &labels.join(","), &[]))
        }

        /// Adds to the counter of these labels.
        pub fn add(&self, n: f64, labels: &[&str]) {
            change(sys::metric_add, self.0, n, labels);
        }
    }

    /// What grows and shrinks.
    #[derive(Clone, Copy)]
    pub struct Gauge(i32);

    impl Gauge {
        /// Defines a gauge.
        pub fn new(name: &str, help: &str, labels: &[&str]) -> Self {
            Gauge(sys::metric_define(2, name, help, &labels.join(","), &[]))
        }

        /// Adds to the gauge of these labels.
        pub fn add(&self, n: f64, labels: &[&str]) {
            change(sys::metric_add, self.0, n, labels);
        }

        /// Sets the gauge of these labels.
        pub fn set(&self, value: f64, labels: &[&str]) {
            change(sys::metric_set, self.0, value, labels);
        }
    }

    /// How many values there are up to each of some bounds.
    #[derive(Clone, Copy)]
    pub struct Histogram(i32);

    impl Histogram {
        /// Defines a histogram by the upper ends of its buckets, 1 to 64 that ascend.
        pub fn new(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Self {
            Histogram(sys::metric_define(3, name, help, &labels.join(","), buckets))
        }

        /// Counts a value.
        pub fn observe(&self, value: f64, labels: &[&str]) {
            change(sys::metric_observe, self.0, value, labels);
        }
    }
}

/// The key-value store, which all instances of the filter share, and which ends with it. A filter
/// that uses it needs `store_limit`. An error says that there is no room; so it does of a key of more than
/// 1,024 bytes, and a value of more than 1 MiB.
pub mod store {
    use super::*;

    /// How long a key lives from now on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Ttl(i64);

    impl Ttl {
        /// Until it is deleted.
        pub const FOREVER: Ttl = Ttl(0);
        /// As long as it would have.
        pub const KEEP: Ttl = Ttl(-1);

        /// Returns that of so many seconds, in milliseconds, and at least one.
        pub fn seconds(n: impl Into<f64>) -> Self {
            Ttl(((n.into() * 1000.0) as i64).max(1))
        }
    }

    fn full() -> Error {
        "there is no room in the store: see store_limit".into()
    }

    /// Returns the value of a key.
    pub fn get(key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        fetch(|to| sys::store_get(key.as_ref(), to))
    }

    /// Sets a key.
    pub fn set(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>, ttl: Ttl) -> Result<(), Error> {
        (sys::store_set(key.as_ref(), value.as_ref(), ttl.0) == 0).then_some(()).ok_or_else(full)
    }

    /// Deletes a key, and says whether it was there.
    pub fn delete(key: impl AsRef<[u8]>) -> bool {
        sys::store_delete(key.as_ref()) == 1
    }

    /// Adds to a counter, and returns what it is then. `ttl` counts if the key is new. A key that has a
    /// value of another length than 8 bytes is a trap.
    pub fn add(key: impl AsRef<[u8]>, n: i64, ttl: Ttl) -> Result<i64, Error> {
        let mut result = 0;
        (sys::store_add(key.as_ref(), n, ttl.0, &mut result) == 0).then_some(result).ok_or_else(full)
    }

    /// Sets a key if its value is `old`, or with `None` if it is not there; says whether it was so.
    pub fn compare_and_set(
        key: impl AsRef<[u8]>, old: Option<&[u8]>, value: impl AsRef<[u8]>, ttl: Ttl,
    ) -> Result<bool, Error> {
        match sys::store_cas(key.as_ref(), old, value.as_ref(), ttl.0) {
            -1 => Err(full()),
            set => Ok(set == 1),
        }
    }
}

/// A table that the user has set as `table.NAME`: a CSV, JSON or MaxMind DB file.
#[derive(Clone, Copy)]
pub struct Table(i32);

impl Table {
    /// Opens a table, or returns an error that says to set it. Open it in
    /// [`configure`](crate::Filter::configure).
    pub fn open(name: &str) -> Result<Self, Error> {
        match sys::table_open(name) {
            -1 => Err(format!("table.{name}: set it to a .csv, .json or .mmdb file").into()),
            table => Ok(Table(table)),
        }
    }

    /// Returns as text what the path leads to in the table's value for the key: text as it is, other
    /// values as JSON. The path is as in docs/abi.md (`country.iso_code`), or empty for the whole value.
    pub fn get(&self, key: &str, path: &str) -> Option<String> {
        fetch(|to| sys::table_get(self.0, key, path, 2, to)).map(text)
    }

    /// Returns the same as MessagePack, to be read or put into a record.
    pub fn get_value(&self, key: &str, path: &str) -> Option<TableValue> {
        fetch(|to| sys::table_get(self.0, key, path, 1, to)).map(TableValue)
    }
}

/// A value out of a table.
pub struct TableValue(Vec<u8>);

impl TableValue {
    /// Returns the value, to read it.
    pub fn value(&self) -> crate::Value<'_> {
        crate::Value::new(&self.0)
    }
}

impl crate::ToValue for TableValue {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.0);
    }
}

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::sys;

#[cfg(target_arch = "wasm32")]
mod sys {
    /// Declares a host function, and a safe form of it: of a slice the host gets address and length,
    /// and is done with both when it returns.
    macro_rules! import {
        ($name:ident($($arg:tt)*)) => { import!(@ $name () () () $($arg)*,); };
        (@ $name:ident ($($safe:tt)*) ($($raw:tt)*) ($($call:tt)*) $(,)?) => {
            pub fn $name($($safe)*) -> i32 {
                #[link(wasm_import_module = "flb_v1")]
                extern "C" {
                    fn $name($($raw)*) -> i32;
                }
                unsafe { $name($($call)*) }
            }
        };
        (@ $name:ident ($($s:tt)*) ($($r:tt)*) ($($c:tt)*) $arg:ident: slice $type:ty, $($more:tt)*) => {
            import!(@ $name ($($s)* $arg: &$type,) ($($r)* _: *const u8, _: usize,)
                ($($c)* $arg.as_ptr().cast(), $arg.len(),) $($more)*);
        };
        (@ $name:ident ($($s:tt)*) ($($r:tt)*) ($($c:tt)*) $arg:ident: room, $($more:tt)*) => {
            import!(@ $name ($($s)* $arg: &mut [u8],) ($($r)* _: *mut u8, _: usize,)
                ($($c)* $arg.as_mut_ptr(), $arg.len(),) $($more)*);
        };
        (@ $name:ident ($($s:tt)*) ($($r:tt)*) ($($c:tt)*) $arg:ident: optional, $($more:tt)*) => {
            import!(@ $name ($($s)* $arg: Option<&[u8]>,) ($($r)* _: *const u8, _: i32,)
                ($($c)* $arg.map_or(core::ptr::null(), <[u8]>::as_ptr), $arg.map_or(-1, |a| a.len() as i32),)
                $($more)*);
        };
        (@ $name:ident ($($s:tt)*) ($($r:tt)*) ($($c:tt)*) $arg:ident: $type:ty, $($more:tt)*) => {
            import!(@ $name ($($s)* $arg: $type,) ($($r)* _: $type,) ($($c)* $arg,) $($more)*);
        };
    }

    import!(log_enabled(level: u32));
    import!(config_get(key: slice str, to: room));
    import!(config_key(i: usize, to: room));
    import!(table_open(name: slice str));
    import!(table_get(table: i32, key: slice str, path: slice str, format: i32, to: room));
    import!(store_get(key: slice [u8], to: room));
    import!(store_set(key: slice [u8], value: slice [u8], ttl_ms: i64));
    import!(store_delete(key: slice [u8]));
    import!(store_add(key: slice [u8], n: i64, ttl_ms: i64, result: &mut i64));
    import!(store_cas(key: slice [u8], old: optional, value: slice [u8], ttl_ms: i64));
    import!(metric_define(kind: i32, name: slice str, help: slice str, labels: slice str, buckets: slice [f64]));
    import!(metric_add(metric: i32, value: f64, labels: slice [u8]));
    import!(metric_set(metric: i32, value: f64, labels: slice [u8]));
    import!(metric_observe(metric: i32, value: f64, labels: slice [u8]));

    pub fn log(level: u32, text: &str) {
        #[link(wasm_import_module = "flb_v1")]
        extern "C" {
            fn log(level: u32, text: *const u8, len: usize);
        }
        unsafe { log(level, text.as_ptr(), text.len()) }
    }
}
