//! Tests of filters, without WebAssembly: a host in memory, with records written as JSON.
//!
//! A filter goes the way that it goes in Fluent Bit: it is given a batch as the ABI has it, and what it
//! replies is carried out. See the [crate's](crate) first page.

use core::time::Duration;
use std::borrow::ToOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use crate::batch::{self, kind, Bytes, Op, Reply};
use crate::log::Level;
use crate::value::{size, write_head};
use crate::{Error, Event, Filter, Kind, Map, Time, ToValue, Value};

/// An event, to be filtered or as it has come out.
#[derive(Clone, Debug)]
pub struct Record {
    pub body: Map,
    /// None: the event is of the form without, of older inputs.
    pub metadata: Option<Map>,
    pub time: Time,
    /// The number of its group, of [`Host::group`]: 1 is the first one, 0 none.
    pub group: usize,
}

impl Record {
    /// Returns an event with a body of JSON, an object, without metadata (an empty map), at 1,700,000,000 s,
    /// in no group.
    pub fn json(body: &str) -> Self {
        let time = Time { sec: 1_700_000_000, nsec: 0 };
        Record { body: map(body), metadata: Some(Map::new()), time, group: 0 }
    }

    /// Gives the event metadata: an object of JSON.
    pub fn metadata(self, json: &str) -> Self {
        Record { metadata: Some(map(json)), ..self }
    }
}

/// What has become of a batch.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The events that came out: those that failed, and that went under another tag, are not among them.
    pub events: Vec<Record>,
    /// The events that are emitted under other tags, each with its own.
    pub routed: Vec<(String, Record)>,
    /// The events that failed: which, from 0, and why.
    pub errors: Vec<(usize, Error)>,
    /// What the events of each group have in common, as JSON.
    pub groups: Vec<String>,
}

impl Output {
    /// Returns the bodies as JSON without blanks.
    pub fn bodies(&self) -> Vec<String> {
        self.events.iter().map(|event| json(event.body.value())).collect()
    }

    /// Returns the bodies of the events under another tag.
    pub fn bodies_under(&self, tag: &str) -> Vec<String> {
        let of_tag = self.routed.iter().filter(|(under, _)| under == tag);
        of_tag.map(|(_, event)| json(event.body.value())).collect()
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
    /// What the tick that is under way has emitted.
    ticked: Option<Vec<(String, Record)>>,
}

std::thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// A host in memory. It has no bounds but those of memory: no `store_limit`, no `metrics_series`.
#[derive(Clone, Default)]
pub struct Host(Rc<RefCell<State>>);

impl Host {
    /// Returns a host without configuration and tables, whose tag is `app.log`.
    pub fn new() -> Self {
        Host::default().tag("app.log")
    }

    fn with(self, function: impl FnOnce(&mut State)) -> Self {
        function(&mut self.0.borrow_mut());
        self
    }

    /// Gives events that tag.
    pub fn tag(self, tag: &str) -> Self {
        self.with(|state| state.tag = tag.into())
    }

    /// Sets `config.KEY`.
    pub fn config(self, key: &str, value: &str) -> Self {
        self.with(|state| drop(state.config.insert(key.to_ascii_lowercase(), value.into())))
    }

    /// Sets `table.NAME` to an object of JSON, whose keys are looked up.
    pub fn table(self, name: &str, json: &str) -> Self {
        self.with(|state| state.tables.push((name.to_ascii_lowercase(), map(json))))
    }

    /// Gives all batches a group with that body, which begins in them; its metadata is empty.
    pub fn group(self, json: &str) -> Self {
        self.with(|state| state.groups.push(map(json)))
    }

    /// Sets the least urgent level that is logged; unless set, it is that of information.
    pub fn log_level(self, level: Level) -> Self {
        self.with(|state| state.level = Some(level))
    }

    /// Lets time pass, for keys of the store and for events that are emitted now.
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
        let key =
            labels.iter().flat_map(|label| [&(label.len() as u32).to_le_bytes(), label.as_bytes()].concat());
        let metric = state.metrics.iter().position(|metric| metric.1 == name).map_or(-1, |i| i as i32);
        state.series.get(&(metric, key.collect())).copied().unwrap_or_default()
    }

    /// Configures a filter, as at a start.
    pub fn start<F: Filter>(&self) -> Result<Started<F>, Error> {
        HOST.with(|host| *host.borrow_mut() = self.clone());
        Ok(Started { filter: F::configure()?, host: self.clone(), reply: Reply::default() })
    }

    /// Runs a filter that is a function.
    pub fn run(&self, function: impl FnMut(&mut Event) -> Result<(), Error>, records: &[Record]) -> Output {
        Started { filter: Function(function), host: self.clone(), reply: Reply::default() }.run(records)
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
}

/// A filter that has been configured.
pub struct Started<F> {
    /// The filter.
    pub filter: F,
    host: Host,
    reply: Reply,
}

impl<F: Filter> Started<F> {
    /// Runs the filter on a batch. Panics if it replies what a host does not take.
    pub fn run(&mut self, records: &[Record]) -> Output {
        HOST.with(|host| *host.borrow_mut() = self.host.clone());
        let (tag, groups) = (self.host.0.borrow().tag.clone(), self.host.0.borrow().groups.clone());
        let input = input(&tag, records, &groups);
        batch::run(&mut self.filter, &input, &mut self.reply);
        let reply = &self.reply;
        let (mut output, mut failed) = (Output::default(), Vec::new());
        let text = |bytes: Bytes| String::from_utf8_lossy(bytes.of(&reply.out.extra)).to_string();
        let error = |op: &Op| Error { code: op.a, text: text(op.bytes) };
        for (i, group) in groups.iter().enumerate() {
            let ops = reply.group_ops.iter().filter(|op| op.of as usize == i);
            let why = ops.clone().find(|op| op.kind == kind::ERROR).map(error);
            assert!(why.is_none() || ops.clone().count() == 1, "a group fails and is edited");
            let edits = ops.filter(|op| op.part == 0 && op.kind != kind::ERROR);
            output.groups.push(json(carry_out(group, edits, &reply.group_parts[0].bytes).value()));
            failed.push(why);
        }
        for (i, record) in records.iter().enumerate() {
            if let Some(why) = record.group.checked_sub(1).and_then(|group| failed[group].clone()) {
                output.errors.push((i, why));
                continue;
            }
            let ops = reply.out.ops.iter().filter(|op| op.of as usize == i);
            let part = |part: u8| ops.clone().filter(move |op| op.part == part && (4..=8).contains(&op.kind));
            let mut event = record.clone();
            event.body = carry_out(&record.body, part(0), &reply.parts[0].bytes);
            event.metadata =
                record.metadata.as_ref().map(|map| carry_out(map, part(1), &reply.parts[1].bytes));
            let mut kept = true;
            for op in ops.clone() {
                match op.kind {
                    kind::ERROR => output.errors.push((i, error(op))),
                    kind::TIME => event.time = Time { sec: i64::from(op.a), nsec: op.b },
                    _ => {}
                }
                kept &= op.kind != kind::ERROR && op.kind != kind::DROP;
            }
            output.events.extend(Some(event.clone()).filter(|_| kept));
            for op in ops.filter(|op| op.kind == kind::EMIT || op.kind == kind::EMIT_TO) {
                let e = &reply.out.emitted[op.bytes.at as usize];
                let from = if e.in_place { &input } else { &reply.out.extra };
                let copy = |bytes| Map::copy(Value::new(bytes)).expect("what is emitted is a map");
                let mut new = Record { body: copy(e.body.of(from)), ..event.clone() };
                if e.metadata.len > 0 {
                    new.metadata = Some(copy(e.metadata.of(&reply.out.extra)));
                }
                if e.sec != -1 {
                    new.time = Time { sec: e.sec, nsec: e.nsec };
                }
                if e.group != u32::MAX {
                    new.group = e.group as usize;
                }
                if op.kind == kind::EMIT_TO {
                    assert!(is_tag(e.tag.of(&reply.out.extra)), "emit_to: {:?} is not a tag", text(e.tag));
                    output.routed.push((text(e.tag), new));
                } else {
                    output.events.push(new);
                }
            }
        }
        output
    }

    /// Has a tick come, which may be the last one, and returns what it emits, each event with its tag.
    pub fn tick(&mut self, last: bool) -> Result<Vec<(String, Record)>, Error> {
        HOST.with(|host| *host.borrow_mut() = self.host.clone());
        self.host.0.borrow_mut().ticked = Some(Vec::new());
        let result = self.filter.tick(last);
        let emitted = self.host.0.borrow_mut().ticked.take().unwrap_or_default();
        result.map(|()| emitted)
    }
}

fn is_tag(bytes: &[u8]) -> bool {
    (1..=1024).contains(&bytes.len()) && bytes.iter().all(|b| *b >= b' ' && *b != 0x7f)
}

/// Returns a batch as the ABI has it, with structures larger than they are today.
fn input(tag: &str, records: &[Record], groups: &[Map]) -> Vec<u8> {
    const HEADER: usize = 64;
    const EVENT: usize = 40;
    const GROUP: usize = 32;
    let events_at = HEADER + (tag.len() + 7) / 8 * 8;
    let groups_at = events_at + EVENT * records.len();
    let mut all = vec![0; groups_at + GROUP * groups.len()];
    fn put(all: &mut [u8], at: usize, numbers: &[usize]) {
        for (i, number) in numbers.iter().enumerate() {
            all[at + 4 * i..][..4].copy_from_slice(&(*number as u32).to_le_bytes());
        }
    }
    let append = |all: &mut Vec<u8>, at: usize, map: Option<&Map>| {
        let end = all.len();
        map.iter().for_each(|map| map.write(all));
        let len = all.len() - end;
        put(all, at, &[end, len]);
    };
    put(
        &mut all,
        0,
        &[HEADER, 0, HEADER, tag.len(), events_at, records.len(), EVENT, groups_at, groups.len(), GROUP],
    );
    all[HEADER..][..tag.len()].copy_from_slice(tag.as_bytes());
    for (i, record) in records.iter().enumerate() {
        let at = events_at + EVENT * i;
        all[at..][..8].copy_from_slice(&record.time.sec.to_le_bytes());
        put(&mut all, at + 8, &[record.time.nsec as usize, record.group]);
        append(&mut all, at + 16, record.metadata.as_ref());
        append(&mut all, at + 24, Some(&record.body));
    }
    for (i, body) in groups.iter().enumerate() {
        put(&mut all, groups_at + GROUP * i, &[1]);
        append(&mut all, groups_at + GROUP * i + 8, Some(&Map::new()));
        append(&mut all, groups_at + GROUP * i + 16, Some(body));
    }
    all
}

/// Returns what a host makes of a part by operations.
fn carry_out<'o>(came: &Map, ops: impl Iterator<Item = &'o Op> + Clone, buffer: &[u8]) -> Map {
    let of = |kind| ops.clone().filter(move |op| op.kind == kind).map(|op| (op, op.bytes.of(buffer)));
    if let Some((_, bytes)) = of(kind::REPLACE).next() {
        return Map::copy(Value::new(bytes)).expect("a part is replaced by a map");
    }
    assert!(
        of(kind::SET).chain(of(kind::REMOVE)).count() <= 256,
        "a host takes 256 sets and removes of a part"
    );
    let (old, mut new, mut done) = (bytes(came), Vec::new(), 0);
    for (op, bytes) in of(kind::PUT) {
        new.extend_from_slice(&old[done..op.a as usize]);
        new.extend_from_slice(bytes);
        done = (op.a + op.b) as usize;
    }
    new.extend_from_slice(&old[done..]);
    let mut members: Vec<(Value, Value)> = Value::new(&new).members().collect();
    for (_, key) in of(kind::REMOVE) {
        members.retain(|(k, _)| k.as_bytes() != Value::new(key).as_bytes());
    }
    for (op, mut bytes) in of(kind::SET).chain(of(kind::ADD)) {
        while !bytes.is_empty() {
            let (key, value) = bytes.split_at(size(bytes));
            let (key, value) = (Value::new(key), Value::new(&value[..size(value)]));
            let same = |(k, _): &(Value, Value)| op.kind == kind::SET && k.as_bytes() == key.as_bytes();
            let place = members.iter().position(same).unwrap_or(members.len());
            members.retain(|member| !same(member)); // set leaves one
            members.insert(place, (key, value));
            bytes = &bytes[key.as_msgpack().len() + value.as_msgpack().len()..];
        }
    }
    let mut map = Map::new();
    members.iter().for_each(|(k, v)| map.append(1, &[k.as_msgpack(), v.as_msgpack()].concat()));
    map
}

fn bytes(value: &impl ToValue) -> Vec<u8> {
    let mut to = Vec::new();
    value.write(&mut to);
    to
}

/// Returns a value as JSON without blanks: bins are strings, extensions and numbers that are not finite null.
pub fn json(value: Value) -> String {
    match value.kind() {
        Kind::Str | Kind::Bin => {
            let text = String::from_utf8_lossy(value.as_bytes().unwrap_or_default());
            let escaped = text.chars().map(|c| match c {
                '"' | '\\' | '\n' | '\t' | '\r' => c.escape_default().to_string(),
                c if c < ' ' => format!("\\u{:04x}", c as u32),
                c => c.to_string(),
            });
            format!("\"{}\"", escaped.collect::<String>())
        }
        Kind::Map => {
            let members = value.members().map(|(key, value)| format!("{}:{}", json(key), json(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Kind::Array => format!("[{}]", value.elements().map(json).collect::<Vec<_>>().join(",")),
        Kind::Bool => (value.as_bool() == Some(true)).to_string(),
        Kind::Int => match value.as_u64() {
            Some(n) => n.to_string(),
            None => value.as_i64().unwrap_or_default().to_string(),
        },
        Kind::Float => value.as_f64().filter(|v| v.is_finite()).map_or("null".into(), |v| format!("{v:?}")),
        Kind::Nil | Kind::Ext => "null".into(),
    }
}

/// Reads an object of JSON; panics if the text is not one.
pub fn map(json: &str) -> Map {
    let (mut rest, mut to) = (json, Vec::new());
    read(&mut rest, &mut to);
    assert!(rest.trim_start().is_empty(), "JSON has something behind it: {rest}");
    Map::copy(Value::new(&to)).unwrap_or_else(|| panic!("not an object of JSON: {json}"))
}

fn eat(rest: &mut &str, token: &str) -> bool {
    *rest = rest.trim_start();
    let after = rest.strip_prefix(token);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

/// Reads a value of JSON, and writes it as MessagePack.
fn read(rest: &mut &str, to: &mut Vec<u8>) {
    let is_map = eat(rest, "{");
    if is_map || eat(rest, "[") {
        let (close, mut items, mut count) = (if is_map { "}" } else { "]" }, Vec::new(), 0);
        while !eat(rest, close) {
            assert!(count == 0 || eat(rest, ","), "JSON: expected , or {close} before: {rest}");
            if is_map {
                read(rest, &mut items);
                assert!(eat(rest, ":"), "JSON: expected : before: {rest}");
            }
            read(rest, &mut items);
            count += 1;
        }
        write_head(to, if is_map { Kind::Map } else { Kind::Array }, count);
        return to.extend(items);
    }
    if eat(rest, "\"") {
        return read_text(rest).write(to);
    }
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    match word {
        "null" => None::<bool>.write(to),
        "true" | "false" => (word == "true").write(to),
        _ => match (word.parse::<i64>(), word.parse::<u64>(), word.parse::<f64>()) {
            (Ok(n), ..) => n.write(to),
            (_, Ok(n), _) => n.write(to),
            (.., n) => n.unwrap_or_else(|_| panic!("JSON: expected a value before: {rest}")).write(to),
        },
    }
    *rest = after;
}

/// Reads a text of JSON from behind its first quote.
fn read_text(rest: &mut &str) -> String {
    let mut to = Vec::new(); // of UTF-16 code units
    let mut chars = rest.chars();
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
    *rest = chars.as_str();
    String::from_utf16_lossy(&to)
}

/// The host functions, of the host that is current in this thread.
pub(crate) mod sys {
    use super::*;

    fn with<T>(function: impl FnOnce(&mut State) -> T) -> T {
        let host = HOST.with(|host| host.borrow().clone());
        let mut state = host.0.borrow_mut();
        function(&mut state)
    }

    fn give(found: Option<&[u8]>, to: *mut u8, room: usize) -> i32 {
        let bytes = match found {
            Some(bytes) => bytes,
            None => return -1,
        };
        if bytes.len() <= room {
            unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
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

    pub fn config_get(key: &str, to: *mut u8, room: usize) -> i32 {
        with(|state| give(state.config.get(&key.to_ascii_lowercase()).map(String::as_bytes), to, room))
    }

    pub fn table_open(name: &str) -> i32 {
        let name = name.to_ascii_lowercase();
        with(|state| state.tables.iter().position(|table| table.0 == name).map_or(-1, |i| i as i32))
    }

    pub fn table_get(table: i32, key: &str, path: &str, format: i32, to: *mut u8, room: usize) -> i32 {
        with(|state| {
            let found = state.tables[table as usize].1.get([key]);
            let found = found.and_then(|value| if path.is_empty() { Some(value) } else { value.get(path) });
            let bytes = found.map(|value| match format {
                1 => value.as_msgpack().to_vec(),
                _ => value.as_str().map_or_else(|| super::json(value), ToOwned::to_owned).into_bytes(),
            });
            give(bytes.as_deref(), to, room)
        })
    }

    pub fn emit_to(tag: &str, body: &[u8], metadata: &[u8], sec: i64, nsec: u32) -> i32 {
        with(|state| {
            let now = Time { sec: 1_700_000_000 + state.now_ms as i64 / 1000, nsec: 0 };
            let ticked = match &mut state.ticked {
                Some(ticked) => ticked,
                None => return -1,
            };
            if !is_tag(tag.as_bytes()) {
                return -2;
            }
            let map = |bytes| Map::copy(Value::new(bytes)).expect("what is emitted is a map");
            let metadata = Some(if metadata.is_empty() { Map::new() } else { map(metadata) });
            let time = if sec == -1 { now } else { Time { sec, nsec } };
            ticked.push((tag.into(), Record { body: map(body), metadata, time, group: 0 }));
            0
        })
    }

    fn live(state: &mut State, key: &[u8]) -> Option<(Vec<u8>, Option<u64>)> {
        let now = state.now_ms;
        state.store.retain(|_, (_, end)| end.map_or(true, |end| now < end));
        state.store.get(key).cloned()
    }

    pub fn store_get(key: &[u8], to: *mut u8, room: usize) -> i32 {
        with(|state| give(live(state, key).as_ref().map(|(value, _)| value.as_slice()), to, room))
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

    pub fn store_add(key: &[u8], n: i64, ttl_ms: i64, result: *mut i64) -> i32 {
        let before = with(|state| live(state, key)).map(|(value, _)| value);
        let ttl_ms = if before.is_some() { -1 } else { ttl_ms };
        let before = before.unwrap_or_else(|| vec![0; 8]);
        let before = before.try_into().expect("a trap: the key has a value that is not a counter");
        let sum = i64::from_le_bytes(before).wrapping_add(n);
        unsafe { *result = sum };
        store_set(key, &sum.to_le_bytes(), ttl_ms)
    }

    pub fn store_cas(key: &[u8], old: *const u8, len: i32, value: &[u8], ttl_ms: i64) -> i32 {
        let old = usize::try_from(len).ok().map(|len| unsafe { core::slice::from_raw_parts(old, len) });
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
