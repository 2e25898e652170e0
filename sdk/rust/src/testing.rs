//! Tests of filters, without WebAssembly: a host in memory, with records written as JSON.
//!
//! A filter goes the way that it goes in Fluent Bit: it is given a batch as the ABI has it, and what it
//! replies is carried out. See the [crate's](crate) first page.

use core::time::Duration;
use std::borrow::ToOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use crate::batch::{self, kind, Op};
use crate::event::apply;
use crate::log::Level;
use crate::{Error, Event, Filter, Group, Kind, List, Map, Time, ToValue, Value};

/// An event, to be filtered or as it has come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    body: Vec<u8>,
    /// Empty: the event is of a form without.
    metadata: Vec<u8>,
    time: Time,
    group: u32,
}

impl Record {
    /// Returns an event with that body, no metadata (an empty map), at 1,700,000,000 s, in no group.
    pub fn new(body: &Map) -> Self {
        let time = Time { sec: 1_700_000_000, nsec: 0 };
        Record { body: bytes(body), metadata: vec![0x80], time, group: 0 }
    }

    /// Returns the same with a body of JSON: an object. Panics if the text is something else.
    pub fn json(body: &str) -> Self {
        Record::new(&map(body))
    }

    /// Gives the event metadata: an object of JSON.
    pub fn metadata(mut self, json: &str) -> Self {
        self.metadata = bytes(&map(json));
        self
    }

    /// Makes the event one of the form without metadata, of older inputs.
    pub fn without_metadata(mut self) -> Self {
        self.metadata.clear();
        self
    }

    /// Gives the event a time.
    pub fn time(mut self, sec: i64, nsec: u32) -> Self {
        self.time = Time { sec, nsec };
        self
    }

    /// Puts the event into a group of [`Host::group`]: 1 is the first one.
    pub fn group(mut self, group: usize) -> Self {
        self.group = group as u32;
        self
    }

    /// Returns the body as JSON without blanks.
    pub fn body_json(&self) -> String {
        json(Value::new(&self.body))
    }

    /// Returns the metadata as JSON without blanks; nothing if the event is of a form without.
    pub fn metadata_json(&self) -> String {
        if self.metadata.is_empty() {
            return String::new();
        }
        json(Value::new(&self.metadata))
    }

    /// Returns the time.
    pub fn when(&self) -> Time {
        self.time
    }

    /// Returns the number of its group, 0 if it is in none.
    pub fn group_number(&self) -> usize {
        self.group as usize
    }
}

/// What has become of a batch.
#[derive(Clone, Debug)]
pub struct Output {
    /// The events that came out: those that failed are not among them.
    pub events: Vec<Record>,
    /// The events that failed: which, from 0, and why.
    pub errors: Vec<(usize, Error)>,
    /// What the events of each group have in common, as JSON.
    pub groups: Vec<String>,
}

impl Output {
    /// Returns the bodies as JSON without blanks.
    pub fn bodies(&self) -> Vec<String> {
        self.events.iter().map(Record::body_json).collect()
    }
}

#[derive(Default)]
struct State {
    tag: String,
    config: BTreeMap<String, String>,
    tables: Vec<(String, Map)>,
    groups: Vec<Map>,
    level: Option<Level>,
    lines: Vec<(Level, String)>,
    store: BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>,
    now_ms: u64,
    metrics: Vec<(i32, String, String, Vec<f64>)>,
    series: BTreeMap<(i32, Vec<u8>), f64>,
}

std::thread_local! {
    static HOST: RefCell<Rc<RefCell<State>>> = RefCell::default();
}

/// A host in memory. It has no bounds but those of memory: no `store_limit`, no `metrics_series`.
#[derive(Clone, Default)]
pub struct Host(Rc<RefCell<State>>);

impl Host {
    /// Returns a host without configuration and tables, whose tag is `app.log`.
    pub fn new() -> Self {
        Host::default().tag("app.log")
    }

    /// Gives events that tag.
    pub fn tag(self, tag: &str) -> Self {
        self.0.borrow_mut().tag = tag.into();
        self
    }

    /// Sets `config.KEY`.
    pub fn config(self, key: &str, value: &str) -> Self {
        self.0.borrow_mut().config.insert(key.to_ascii_lowercase(), value.into());
        self
    }

    /// Sets `table.NAME` to an object of JSON, whose keys are looked up.
    pub fn table(self, name: &str, json: &str) -> Self {
        self.0.borrow_mut().tables.push((name.to_ascii_lowercase(), map(json)));
        self
    }

    /// Gives all batches a group with that body, which begins in them; its metadata is empty.
    pub fn group(self, json: &str) -> Self {
        self.0.borrow_mut().groups.push(map(json));
        self
    }

    /// Sets the least urgent level that is logged; unless set, it is that of information.
    pub fn log_level(self, level: Level) -> Self {
        self.0.borrow_mut().level = Some(level);
        self
    }

    /// Lets time pass, for keys of the store.
    pub fn advance(&self, time: Duration) {
        self.0.borrow_mut().now_ms += time.as_millis() as u64;
    }

    /// Returns what has been logged.
    pub fn lines(&self) -> Vec<(Level, String)> {
        self.0.borrow().lines.clone()
    }

    /// Returns a metric with these values of its labels, of a histogram how many values it has; 0 if
    /// there is none.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let state = self.0.borrow();
        let mut key = Vec::new();
        for label in labels {
            key.extend_from_slice(&(label.len() as u32).to_le_bytes());
            key.extend_from_slice(label.as_bytes());
        }
        let metric = state.metrics.iter().position(|metric| metric.1 == name);
        metric.and_then(|i| state.series.get(&(i as i32, key)).copied()).unwrap_or(0.0)
    }

    /// Configures a filter, as at a start.
    pub fn start<F: Filter>(&self) -> Result<Started<F>, Error> {
        HOST.with(|host| *host.borrow_mut() = self.0.clone());
        Ok(Started { filter: F::configure()?, host: self.clone() })
    }

    /// Runs a filter that is a function.
    pub fn run(&self, function: impl FnMut(&mut Event) -> Result<(), Error>, records: &[Record]) -> Output {
        Started { filter: Function(function), host: self.clone() }.run(records)
    }
}

struct Function<F>(F);

impl<F: FnMut(&mut Event) -> Result<(), Error>> Filter for Function<F> {
    fn configure() -> Result<Self, Error> {
        Err("a function has no configuration".into())
    }

    fn filter(&mut self, event: &mut Event) -> Result<(), Error> {
        (self.0)(event)
    }

    fn group(&mut self, _: &mut Group) -> Result<(), Error> {
        Ok(())
    }
}

/// A filter that has been configured.
pub struct Started<F> {
    /// The filter.
    pub filter: F,
    host: Host,
}

impl<F: Filter> Started<F> {
    /// Runs the filter on a batch. Panics if it replies what a host does not take.
    pub fn run(&mut self, records: &[Record]) -> Output {
        HOST.with(|host| *host.borrow_mut() = self.host.0.clone());
        let (tag, groups) = {
            let state = self.host.0.borrow();
            (state.tag.clone(), state.groups.clone())
        };
        let groups: Vec<[Vec<u8>; 2]> = groups.iter().map(|map| [bytes(map), vec![0x80]]).collect();
        let reply = batch::run(&mut self.filter, &input(&tag, records, &groups));
        let mut output = Output { events: Vec::new(), errors: Vec::new(), groups: Vec::new() };
        for (i, group) in groups.iter().enumerate() {
            let ops: Vec<&Op> = reply.group_ops.iter().filter(|op| op.of as usize == i).collect();
            output.groups.push(json(Value::new(&carry_out(&group[0], 0, &ops, &reply.group_parts[0]))));
        }
        for (i, record) in records.iter().enumerate() {
            let ops: Vec<&Op> = reply.ops.iter().filter(|op| op.of as usize == i).collect();
            let extra = |at: u32, len: u32| &reply.extra[at as usize..][..len as usize];
            if let Some(op) = ops.iter().find(|op| op.kind == kind::ERROR) {
                let text = String::from_utf8_lossy(extra(op.address, op.len)).into_owned();
                output.errors.push((i, Error::with_code(op.a, text)));
                continue;
            }
            if !ops.iter().any(|op| op.kind == kind::DROP) {
                let mut new = record.clone();
                new.body = carry_out(&record.body, 0, &ops, &reply.parts[0]);
                new.metadata = carry_out(&record.metadata, 1, &ops, &reply.parts[1]);
                if let Some(op) = ops.iter().find(|op| op.kind == kind::TIME) {
                    new.time = Time { sec: i64::from(op.a), nsec: op.b };
                }
                output.events.push(new);
            }
            for op in ops.iter().filter(|op| op.kind == kind::EMIT) {
                let e = &reply.emitted[op.address as usize];
                let mut new = record.clone();
                new.body = extra(e.body, e.body_len).to_vec();
                if e.metadata_len > 0 {
                    new.metadata = extra(e.metadata, e.metadata_len).to_vec();
                }
                if e.sec != -1 {
                    new.time = Time { sec: e.sec, nsec: e.nsec };
                }
                if e.group != u32::MAX {
                    new.group = e.group;
                }
                output.events.push(new);
            }
        }
        output
    }
}

fn bytes(value: &impl ToValue) -> Vec<u8> {
    let mut to = Vec::new();
    value.write(&mut to);
    to
}

/// Returns a batch as the ABI has it, with structures larger than they are today.
fn input(tag: &str, records: &[Record], groups: &[[Vec<u8>; 2]]) -> Vec<u8> {
    const HEADER: usize = 64;
    const EVENT: usize = 40;
    const GROUP: usize = 32;
    let events_at = HEADER + (tag.len() + 7) / 8 * 8;
    let groups_at = events_at + EVENT * records.len();
    let mut all = vec![0; groups_at + GROUP * groups.len()];
    let put = |all: &mut Vec<u8>, at: usize, numbers: &[usize]| {
        for (i, number) in numbers.iter().enumerate() {
            all[at + 4 * i..][..4].copy_from_slice(&(*number as u32).to_le_bytes());
        }
    };
    let counts = [events_at, records.len(), EVENT, groups_at, groups.len(), GROUP];
    put(&mut all, 0, &[HEADER, 0, HEADER, tag.len()]);
    put(&mut all, 16, &counts);
    all[HEADER..][..tag.len()].copy_from_slice(tag.as_bytes());
    let append = |all: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        let end = all.len();
        put(all, at, &[end, bytes.len()]);
        all.extend_from_slice(bytes);
    };
    for (i, record) in records.iter().enumerate() {
        let at = events_at + EVENT * i;
        all[at..][..8].copy_from_slice(&record.time.sec.to_le_bytes());
        put(&mut all, at + 8, &[record.time.nsec as usize, record.group as usize]);
        append(&mut all, at + 16, &record.metadata);
        append(&mut all, at + 24, &record.body);
    }
    for (i, [body, metadata]) in groups.iter().enumerate() {
        let at = groups_at + GROUP * i;
        put(&mut all, at, &[1]);
        append(&mut all, at + 8, metadata);
        append(&mut all, at + 16, body);
    }
    all
}

/// Returns what a host makes of a part by operations.
fn carry_out(came: &[u8], part: u8, ops: &[&Op], buffer: &[u8]) -> Vec<u8> {
    let ops: Vec<&Op> = ops.iter().copied().filter(|op| op.is_edit() && op.part == part).collect();
    let edits = ops.iter().filter(|op| op.kind == kind::SET || op.kind == kind::REMOVE).count();
    assert!(edits <= 256, "a host takes 256 sets and removes of a part");
    match ops.first() {
        None => came.to_vec(),
        Some(op) if op.kind == kind::REPLACE => buffer[op.address as usize..][..op.len as usize].to_vec(),
        Some(_) => bytes(&apply(Value::new(came), ops.into_iter(), buffer)),
    }
}

/// Reads an object of JSON; panics if the text is not one.
pub fn map(json: &str) -> Map {
    let mut text = Text { rest: json };
    let value = text.value();
    assert!(text.peek().is_none(), "JSON has something behind it: {}", text.rest);
    Map::copy(Value::new(&value)).unwrap_or_else(|| panic!("not an object of JSON: {json}"))
}

struct Text<'a> {
    rest: &'a str,
}

/// A value that is written already.
struct Raw(Vec<u8>);

impl ToValue for Raw {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.0);
    }
}

impl Text<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) {
        assert!(self.eat(token), "JSON: expected {token} before: {}", self.rest);
    }

    fn value(&mut self) -> Vec<u8> {
        match self.peek() {
            Some('{') => {
                self.expect("{");
                let mut map = Map::new();
                while !self.eat("}") {
                    let key = self.string();
                    self.expect(":");
                    map.add(&key, Raw(self.value()));
                    if !self.eat(",") {
                        self.expect("}");
                        break;
                    }
                }
                bytes(&map)
            }
            Some('[') => {
                self.expect("[");
                let mut list = List::new();
                while !self.eat("]") {
                    list.push(Raw(self.value()));
                    if !self.eat(",") {
                        self.expect("]");
                        break;
                    }
                }
                bytes(&list)
            }
            Some('"') => bytes(&self.string()),
            _ if self.eat("null") => vec![0xc0],
            _ if self.eat("true") => vec![0xc3],
            _ if self.eat("false") => vec![0xc2],
            _ => {
                let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
                let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                let written = number.parse::<i64>().map(|n| bytes(&n)).ok();
                let written = written.or_else(|| number.parse::<u64>().map(|n| bytes(&n)).ok());
                let written = written.or_else(|| number.parse::<f64>().map(|n| bytes(&n)).ok());
                let written =
                    written.unwrap_or_else(|| panic!("JSON: expected a value before: {}", self.rest));
                self.rest = rest;
                written
            }
        }
    }

    fn string(&mut self) -> String {
        self.expect("\"");
        let mut to = Vec::new(); // of UTF-16 code units
        let mut chars = self.rest.chars();
        let mut next = || chars.next().expect("JSON: a string does not end");
        loop {
            let c = match next() {
                '"' => break,
                '\\' => match next() {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => {
                        let digits: String = (0..4).map(|_| next()).collect();
                        to.push(u16::from_str_radix(&digits, 16).expect("JSON: four digits after \\u"));
                        continue;
                    }
                    c => c,
                },
                c => c,
            };
            to.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
        self.rest = chars.as_str();
        String::from_utf16_lossy(&to)
    }
}

/// Returns a value as JSON without blanks. Bins are text, and extensions null.
pub fn json(value: Value) -> String {
    let mut to = String::new();
    write_json(value, &mut to);
    to
}

fn write_json(value: Value, to: &mut String) {
    match value.kind() {
        Kind::Str | Kind::Bin => {
            to.push('"');
            for c in String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).chars() {
                match c {
                    '"' | '\\' => to.extend(['\\', c]),
                    '\n' => to.push_str("\\n"),
                    '\t' => to.push_str("\\t"),
                    '\r' => to.push_str("\\r"),
                    c if c < ' ' => write!(to, "\\u{:04x}", c as u32).unwrap_or_default(),
                    c => to.push(c),
                }
            }
            to.push('"');
        }
        Kind::Map => {
            to.push('{');
            for (i, (key, value)) in value.members().enumerate() {
                to.push_str(if i > 0 { "," } else { "" });
                write_json(key, to);
                to.push(':');
                write_json(value, to);
            }
            to.push('}');
        }
        Kind::Array => {
            to.push('[');
            for (i, value) in value.elements().enumerate() {
                to.push_str(if i > 0 { "," } else { "" });
                write_json(value, to);
            }
            to.push(']');
        }
        Kind::Nil | Kind::Ext => to.push_str("null"),
        Kind::Float if !value.as_f64().unwrap_or_default().is_finite() => to.push_str("null"),
        Kind::Bool => to.push_str(&value.as_bool().unwrap_or_default().to_string()),
        Kind::Float => to.push_str(&format!("{:?}", value.as_f64().unwrap_or_default())),
        Kind::Int => to.push_str(&match value.as_u64() {
            Some(n) => n.to_string(),
            None => value.as_i64().unwrap_or_default().to_string(),
        }),
    }
}

/// The host functions, of the host that is current in this thread.
pub(crate) mod sys {
    use super::*;

    fn with<T>(function: impl FnOnce(&mut State) -> T) -> T {
        let host = HOST.with(|host| host.borrow().clone());
        let mut state = host.borrow_mut();
        function(&mut state)
    }

    fn give(found: Option<&[u8]>, to: &mut [u8]) -> i32 {
        let bytes = match found {
            Some(bytes) => bytes,
            None => return -1,
        };
        if let Some(to) = to.get_mut(..bytes.len()) {
            to.copy_from_slice(bytes);
        }
        bytes.len() as i32
    }

    pub fn log_enabled(level: u32) -> i32 {
        with(|state| i32::from(level <= state.level.unwrap_or(Level::Info) as u32))
    }

    pub fn log(level: u32, text: &str) {
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        if log_enabled(level) == 1 {
            with(|state| state.lines.push((levels[level as usize - 1], text.into())));
        }
    }

    pub fn config_get(key: &str, to: &mut [u8]) -> i32 {
        with(|state| give(state.config.get(&key.to_ascii_lowercase()).map(String::as_bytes), to))
    }

    pub fn config_key(i: usize, to: &mut [u8]) -> i32 {
        with(|state| give(state.config.keys().nth(i).map(String::as_bytes), to))
    }

    pub fn table_open(name: &str) -> i32 {
        let name = name.to_ascii_lowercase();
        with(|state| state.tables.iter().position(|table| table.0 == name).map_or(-1, |i| i as i32))
    }

    pub fn table_get(table: i32, key: &str, path: &str, format: i32, to: &mut [u8]) -> i32 {
        with(|state| {
            let found = state.tables[table as usize].1.get((key,));
            let found = found.and_then(|value| if path.is_empty() { Some(value) } else { value.get(path) });
            let bytes = found.map(|value| match format {
                1 => value.as_msgpack().to_vec(),
                _ => value.as_str().map_or_else(|| json(value), ToOwned::to_owned).into_bytes(),
            });
            give(bytes.as_deref(), to)
        })
    }

    fn live(state: &mut State, key: &[u8]) -> Option<(Vec<u8>, Option<u64>)> {
        let now = state.now_ms;
        state.store.retain(|_, (_, end)| end.map_or(true, |end| now < end));
        state.store.get(key).cloned()
    }

    pub fn store_get(key: &[u8], to: &mut [u8]) -> i32 {
        with(|state| give(live(state, key).as_ref().map(|(value, _)| value.as_slice()), to))
    }

    pub fn store_set(key: &[u8], value: &[u8], ttl_ms: i64) -> i32 {
        if key.len() > 1024 || value.len() > 1 << 20 {
            return -1;
        }
        with(|state| {
            let before = live(state, key).and_then(|(_, end)| end);
            let end = match ttl_ms {
                0 => None,
                -1 => before,
                ms => Some(state.now_ms.saturating_add(ms as u64)),
            };
            state.store.insert(key.to_vec(), (value.to_vec(), end));
        });
        0
    }

    pub fn store_delete(key: &[u8]) -> i32 {
        with(|state| live(state, key).and_then(|_| state.store.remove(key)).map_or(0, |_| 1))
    }

    pub fn store_add(key: &[u8], n: i64, ttl_ms: i64, result: &mut i64) -> i32 {
        let before = with(|state| live(state, key)).map(|(value, _)| value);
        let ttl_ms = if before.is_some() { -1 } else { ttl_ms };
        let before = before.unwrap_or_else(|| vec![0; 8]);
        let before = before.try_into().expect("a trap: the key has a value that is not a counter");
        *result = i64::from_le_bytes(before).wrapping_add(n);
        store_set(key, &result.to_le_bytes(), ttl_ms)
    }

    pub fn store_cas(key: &[u8], old: Option<&[u8]>, value: &[u8], ttl_ms: i64) -> i32 {
        let before = with(|state| live(state, key)).map(|(value, _)| value);
        if before.as_deref() != old {
            return 0;
        }
        match store_set(key, value, ttl_ms) {
            0 => 1,
            full => full,
        }
    }

    pub fn metric_define(kind: i32, name: &str, _help: &str, labels: &str, buckets: &[f64]) -> i32 {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
        assert!(
            name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit()),
            "a trap: {name:?} is no name for a metric"
        );
        assert!(kind != 3 || !buckets.is_empty(), "a trap: {name} has no buckets");
        let new = (kind, name.to_string(), labels.to_string(), buckets.to_vec());
        with(|state| {
            let i = state.metrics.iter().position(|metric| metric.1 == name).unwrap_or(state.metrics.len());
            if i == state.metrics.len() {
                state.metrics.push(new.clone());
            }
            assert!(state.metrics[i] == new, "a trap: {name} is defined another way already");
            i as i32
        })
    }

    fn change(metric: i32, kinds: &[i32], labels: &[u8], function: impl FnOnce(f64) -> f64) -> i32 {
        with(|state| {
            let (kind, name, names, _) = &state.metrics[metric as usize];
            assert!(kinds.contains(kind), "a trap: {name} is a metric of another kind");
            let (mut count, mut at) = (0, 0);
            while at < labels.len() {
                at += 4 + labels[at] as usize + 256 * labels[at + 1] as usize;
                count += 1;
            }
            let want = names.split(',').filter(|name| !name.is_empty()).count();
            assert!(count == want, "a trap: {name} has {want} labels, and got {count} values");
            let value = state.series.entry((metric, labels.to_vec())).or_default();
            *value = function(*value);
        });
        0
    }

    pub fn metric_add(metric: i32, value: f64, labels: &[u8]) -> i32 {
        change(metric, &[1, 2], labels, |before| before + value)
    }

    pub fn metric_set(metric: i32, value: f64, labels: &[u8]) -> i32 {
        change(metric, &[2], labels, |_| value)
    }

    pub fn metric_observe(metric: i32, _: f64, labels: &[u8]) -> i32 {
        change(metric, &[3], labels, |before| before + 1.0)
    }
}
