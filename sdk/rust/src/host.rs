//! What the host does for a filter. Outside of WebAssembly [`testing`](crate::testing) stands in for it.

use alloc::{format, string::String, vec::Vec};
use core::{fmt::Display, str::FromStr};

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
        let read =
            |s: String| s.trim().parse::<T>().map_err(|e| format!("config.{key} is '{s}': {e}").into());
        get(key).map(read).transpose()
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

    fn change(function: fn(i32, f64, &[u8]) -> i32, metric: i32, value: f64, labels: &[&str]) {
        let mut to = Vec::with_capacity(128);
        for label in labels {
            to.extend_from_slice(&(label.len() as u32).to_le_bytes());
            to.extend_from_slice(label.as_bytes());
        }
        function(metric, value, &to);
    }

    macro_rules! metric {
        ($metric:ident $kind:literal ($($buckets:ident)?) $doc:literal $($change:ident $function:ident $what:literal)+) => {
            #[doc = $doc]
            #[derive(Clone, Copy)]
            pub struct $metric(i32);

            impl $metric {
                /// Defines the metric, with the names of its labels; a histogram by the upper ends of its
                /// buckets, 1 to 64 that ascend.
                pub fn new(name: &str, help: &str, labels: &[&str] $(, $buckets: &[f64])?) -> Self {
                    let buckets = [&[][..] $(, $buckets)?].concat();
                    $metric(sys::metric_define($kind, name, help, &labels.join(","), &buckets))
                }

                $(#[doc = $what]
                pub fn $change(&self, value: f64, labels: &[&str]) {
                    change(sys::$function, self.0, value, labels);
                })+
            }
        };
    }

    metric!(Counter 1 () "What only grows." add metric_add "Adds to the counter of these labels.");
    metric!(Gauge 2 () "What grows and shrinks." add metric_add "Adds to the gauge of these labels."
        set metric_set "Sets the gauge of these labels.");
    metric!(Histogram 3 (buckets) "How many values there are up to each of some bounds."
        observe metric_observe "Counts a value.");
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

    fn check<T>(result: i32, value: T) -> Result<T, Error> {
        (result >= 0).then_some(value).ok_or_else(|| "there is no room in the store: see store_limit".into())
    }

    /// Returns the value of a key.
    pub fn get(key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        fetch(|to| sys::store_get(key.as_ref(), to))
    }

    /// Sets a key.
    pub fn set(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>, ttl: Ttl) -> Result<(), Error> {
        check(sys::store_set(key.as_ref(), value.as_ref(), ttl.0), ())
    }

    /// Deletes a key, and says whether it was there.
    pub fn delete(key: impl AsRef<[u8]>) -> bool {
        sys::store_delete(key.as_ref()) == 1
    }

    /// Adds to a counter, and returns what it is then. `ttl` counts if the key is new. A key that has a
    /// value of another length than 8 bytes is a trap.
    pub fn add(key: impl AsRef<[u8]>, n: i64, ttl: Ttl) -> Result<i64, Error> {
        let mut result = 0;
        check(sys::store_add(key.as_ref(), n, ttl.0, &mut result), ()).map(|_| result)
    }

    /// Sets a key if its value is `old`, or with `None` if it is not there; says whether it was so.
    pub fn compare_and_set(
        key: impl AsRef<[u8]>, old: Option<&[u8]>, value: impl AsRef<[u8]>, ttl: Ttl,
    ) -> Result<bool, Error> {
        let result = sys::store_cas(key.as_ref(), old, value.as_ref(), ttl.0);
        check(result, result == 1)
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

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::sys;

#[cfg(target_arch = "wasm32")]
mod sys {
    /// Declares a host function, and a safe form of it: of a slice the host gets address and length,
    /// and is done with both when it returns.
    macro_rules! import {
        ($name:ident($($arg:tt)*) -> $result:ty) => { import!(@ $result, $name () () () $($arg)*,); };
        ($name:ident($($arg:tt)*)) => { import!($name($($arg)*) -> i32); };
        (@ $result:ty, $name:ident ($($safe:tt)*) ($($raw:tt)*) ($($call:tt)*) $(,)?) => {
            pub fn $name($($safe)*) -> $result {
                #[link(wasm_import_module = "flb_v1")]
                extern "C" {
                    fn $name($($raw)*) -> $result;
                }
                unsafe { $name($($call)*) }
            }
        };
        (@ $t:ty, $name:ident ($($s:tt)*) ($($r:tt)*) ($($c:tt)*) $arg:ident: slice $type:ty, $($more:tt)*) => {
            import!(@ $t, $name ($($s)* $arg: &$type,) ($($r)* _: *const u8, _: usize,)
                ($($c)* $arg.as_ptr().cast(), $arg.len(),) $($more)*);
        };
        (@ $t:ty, $name:ident ($($s:tt)*) ($($r:tt)*) ($($c:tt)*) $arg:ident: room, $($more:tt)*) => {
            import!(@ $t, $name ($($s)* $arg: &mut [u8],) ($($r)* _: *mut u8, _: usize,)
                ($($c)* $arg.as_mut_ptr(), $arg.len(),) $($more)*);
        };
        (@ $t:ty, $name:ident ($($s:tt)*) ($($r:tt)*) ($($c:tt)*) $arg:ident: optional, $($more:tt)*) => {
            import!(@ $t, $name ($($s)* $arg: Option<&[u8]>,) ($($r)* _: *const u8, _: i32,)
                ($($c)* $arg.map_or(core::ptr::null(), <[u8]>::as_ptr), $arg.map_or(-1, |a| a.len() as i32),)
                $($more)*);
        };
        (@ $t:ty, $name:ident ($($s:tt)*) ($($r:tt)*) ($($c:tt)*) $arg:ident: $type:ty, $($more:tt)*) => {
            import!(@ $t, $name ($($s)* $arg: $type,) ($($r)* _: $type,) ($($c)* $arg,) $($more)*);
        };
    }

    import!(log(level: u32, text: slice str) -> ());
    import!(log_enabled(level: u32));
    import!(config_get(key: slice str, to: room));
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
}
