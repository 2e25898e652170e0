//! What the host does for a filter. Outside of WebAssembly [`testing`](crate::testing) stands in for it.

use alloc::{format, string::String, vec::Vec};
use core::{fmt::Display, str::FromStr};

use crate::{Emit, Error, Time};

/// Has a host function write into a buffer, which is as large as need be. `None` is what it says less
/// than 0.
fn fetch(function: impl Fn(*mut u8, usize) -> i32) -> Option<Vec<u8>> {
    let mut buffer = alloc::vec![0; 64];
    loop {
        let len = usize::try_from(function(buffer.as_mut_ptr(), buffer.len())).ok()?;
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
        fetch(|to, room| sys::config_get(key, to, room)).map(text)
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
        fetch(|to, room| sys::store_get(key.as_ref(), to, room))
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
        let (at, len) = old.map_or((core::ptr::null(), -1), |old| (old.as_ptr(), old.len() as i32));
        let result = sys::store_cas(key.as_ref(), at, len, value.as_ref(), ttl.0);
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
        let table = Some(sys::table_open(name)).filter(|id| *id >= 0).map(Table);
        table.ok_or_else(|| format!("table.{name}: set it to a .csv, .json or .mmdb file").into())
    }

    /// Returns as text what the path leads to in the table's value for the key: text as it is, other
    /// values as JSON. The path is as in docs/abi.md (`country.iso_code`), or empty for the whole value.
    pub fn get(&self, key: &str, path: &str) -> Option<String> {
        fetch(|to, room| sys::table_get(self.0, key, path, 2, to, room)).map(text)
    }

    /// Returns the same as MessagePack, to be read or put into a record.
    pub fn get_value(&self, key: &str, path: &str) -> Option<TableValue> {
        fetch(|to, room| sys::table_get(self.0, key, path, 1, to, room)).map(TableValue)
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

/// Emits an event under a tag, in [`Filter::tick`](crate::Filter::tick) alone: a filter has
/// [`Event::emit_to`](crate::Event::emit_to). Without a time of its own it has that of now, without metadata an
/// empty map. An error says that the tag is not of those that `emit_tags` grants; a module that
/// calls this function does not start where that is not set.
pub fn emit_to(tag: &str, event: impl Into<Emit>) -> Result<(), Error> {
    let Emit { body, metadata, time, .. } = event.into();
    let metadata = metadata.map_or(Vec::new(), |map| map.bytes);
    let Time { sec, nsec } = time.unwrap_or(Time { sec: -1, nsec: 0 });
    match sys::emit_to(tag, &body.bytes, &metadata, sec, nsec) {
        0 => Ok(()),
        -2 => Err(format!("emit_to: the tag '{tag}' is not one that emit_tags grants").into()),
        _ => Err("emit_to: it is not called in a tick, or the event is too large".into()),
    }
}

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::sys;

#[cfg(target_arch = "wasm32")]
mod sys {
    /// Declares host functions, and a safe form of each: of `[bytes]` the host gets address and length, and is
    /// done with both when it returns.
    macro_rules! imports {
        ($($name:ident($($([$bytes:ident: $of:ty])? $($arg:ident: $type:ty)?),*) $(-> $result:ty)?;)+) => {$(
            pub fn $name($($($bytes: $of)? $($arg: $type)?),*) $(-> $result)? {
                #[link(wasm_import_module = "flb_v1")]
                extern "C" {
                    fn $name($($($bytes: *const u8, _: usize)? $($arg: $type)?),*) $(-> $result)?;
                }
                unsafe { $name($($($bytes.as_ptr().cast(), $bytes.len())? $($arg)?),*) }
            }
        )+};
    }

    imports! {
        log(level: u32, [text: &str]);
        log_enabled(level: u32) -> i32;
        config_get([key: &str], to: *mut u8, room: usize) -> i32;
        table_open([name: &str]) -> i32;
        table_get(table: i32, [key: &str], [path: &str], format: i32, to: *mut u8, room: usize) -> i32;
        store_get([key: &[u8]], to: *mut u8, room: usize) -> i32;
        store_set([key: &[u8]], [value: &[u8]], ttl_ms: i64) -> i32;
        store_delete([key: &[u8]]) -> i32;
        store_add([key: &[u8]], n: i64, ttl_ms: i64, result: *mut i64) -> i32;
        store_cas([key: &[u8]], old: *const u8, old_len: i32, [value: &[u8]], ttl_ms: i64) -> i32;
        metric_define(kind: i32, [name: &str], [help: &str], [labels: &str], [buckets: &[f64]]) -> i32;
        metric_add(metric: i32, value: f64, [labels: &[u8]]) -> i32;
        metric_set(metric: i32, value: f64, [labels: &[u8]]) -> i32;
        metric_observe(metric: i32, value: f64, [labels: &[u8]]) -> i32;
        emit_to([tag: &str], [body: &[u8]], [metadata: &[u8]], sec: i64, nsec: u32) -> i32;
    }
}
