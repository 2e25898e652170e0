use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::batch::{kind, Emitted, Op};
use crate::value::{head, size, take, write_bin, Kind, Map, Path, ToValue, Value};

/// Why an event has failed. The host counts it and logs it with its text; `on_error` of the
/// filter says what becomes of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: u32,
    text: String,
}

impl Error {
    /// Returns an error with the code 1.
    pub fn new(text: impl Into<String>) -> Self {
        Error::with_code(1, text)
    }

    /// Returns an error with a code of one's own. The host takes 1,024 bytes of the text.
    pub fn with_code(code: u32, text: impl Into<String>) -> Self {
        Error { code, text: text.into() }
    }

    /// Returns the code.
    pub fn code(&self) -> u32 {
        self.code
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.text)
    }
}

macro_rules! errors {
    ($($from:ty),+) => {$(
        impl From<$from> for Error {
            fn from(why: $from) -> Self {
                Error::new(why.to_string())
            }
        }
    )+};
}

errors!(
    &str,
    String,
    core::num::ParseIntError,
    core::num::ParseFloatError,
    core::str::Utf8Error,
    core::fmt::Error
);

/// When an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since the epoch.
    pub sec: i64,
    /// Nanoseconds of the second.
    pub nsec: u32,
}

/// A put of `len` bytes at `at`: the bytes from `from` to `to`.
#[derive(Clone)]
struct Put {
    at: usize,
    len: usize,
    from: usize,
    to: usize,
}

#[derive(Clone)]
struct Edit {
    kind: u8,
    count: u32,
    from: usize,
    to: usize,
}

/// More sets and removes than this the host does not take of one part.
const EDITS: usize = 256;

/// The body or the metadata of an event or group: a map.
///
/// What is read is the part as it came; edits take effect when the filter has returned, and cost
/// what they touch, however large the part is. [`edited`](Part::edited) has them now.
pub struct Part<'a> {
    came: &'a [u8],
    puts: Vec<Put>,
    edits: Vec<Edit>,
    replaced: Option<Map>,
    /// What the operations of the batch so far have for bytes.
    pub(crate) bytes: Vec<u8>,
    fault: Option<&'static str>,
}

impl<'a> Part<'a> {
    pub(crate) fn new(came: &'a [u8]) -> Self {
        Part { came, puts: Vec::new(), edits: Vec::new(), replaced: None, bytes: Vec::new(), fault: None }
    }

    /// Goes to the next event or group. No bytes mean that it has no such part.
    pub(crate) fn load(&mut self, came: &'a [u8]) {
        self.came = came;
        self.puts.clear();
        self.edits.clear();
        self.replaced = None;
        self.fault = None;
    }

    /// Returns the part as it came.
    pub fn value(&self) -> Value<'a> {
        Value::new(if self.came.is_empty() { &[0x80] } else { self.came })
    }

    /// Returns what a path leads to, in the part as it came.
    pub fn get(&self, path: impl Path) -> Option<Value<'a>> {
        path.find(self.value())
    }

    /// Returns the text that a path leads to; `None` if it is not there, or not text.
    pub fn get_str(&self, path: impl Path) -> Option<&'a str> {
        self.get(path)?.as_str()
    }

    /// Gives the member of that key the value, or adds it as the last one.
    pub fn set(&mut self, key: &str, value: impl ToValue) {
        if let Some(map) = &mut self.replaced {
            return map.set(key, value);
        }
        self.edit(kind::SET, |to| {
            key.write(to);
            value.write(to);
        });
    }

    /// Adds a member as the last one, without a look whether its key is there.
    pub fn add(&mut self, key: &str, value: impl ToValue) {
        if let Some(map) = &mut self.replaced {
            return map.add(key, value);
        }
        self.edit(kind::ADD, |to| {
            key.write(to);
            value.write(to);
        });
    }

    /// Removes the member of that key, if it is there.
    pub fn remove(&mut self, key: &str) {
        match &mut self.replaced {
            Some(map) => map.remove(key),
            None => self.edit(kind::REMOVE, |to| key.write(to)),
        }
    }

    /// Sets the member to the value that there is, and removes it if there is none.
    pub fn set_or_remove(&mut self, key: &str, value: Option<impl ToValue>) {
        match value {
            Some(value) => self.set(key, value),
            None => self.remove(key),
        }
    }

    /// Replaces the value that a path leads to, however deep; false if there is none. A value inside
    /// one that has been replaced can't be: that fails the event.
    pub fn put(&mut self, path: impl Path, value: impl ToValue) -> bool {
        if self.replaced.is_some() {
            self.fault = Some("put after replace: edit the map before it is given to replace");
            return false;
        }
        let (at, len) = match self.get(path) {
            Some(found) => self.place(found),
            None => return false,
        };
        self.put_at(at, len, |to| value.write(to));
        true
    }

    /// Replaces the part as a whole, and forgets earlier edits of it.
    pub fn replace(&mut self, map: Map) {
        self.check();
        self.puts.clear();
        self.edits.clear();
        self.replaced = Some(map);
    }

    /// Calls a function for each text that is a value, at any depth, and puts what it returns in the
    /// text's place. Bytes that are not UTF-8 are U+FFFD there, and bins are taken for text. Text that
    /// has been set, added or put before is not looked at.
    pub fn rewrite_strings(&mut self, mut function: impl FnMut(&str) -> Option<String>) {
        self.rewrite(false, &mut function);
    }

    /// Does the same with keys as well as values.
    pub fn rewrite_all(&mut self, mut function: impl FnMut(&str) -> Option<String>) {
        self.rewrite(true, &mut function);
    }

    fn rewrite(&mut self, keys: bool, function: &mut dyn FnMut(&str) -> Option<String>) {
        if let Some(map) = self.replaced.take() {
            let mut part = Part::new(map.value().as_msgpack());
            part.rewrite(keys, function);
            self.replaced = Some(part.edited());
            return;
        }
        let came = self.value().as_msgpack();
        each_text(came, 0, keys, &mut |at, h| {
            let text = &came[at + h.head..at + h.head + h.data];
            // In older Rusts from_utf8_lossy alone takes several times as long.
            let new = match core::str::from_utf8(text) {
                Ok(text) => function(text),
                Err(_) => function(&String::from_utf8_lossy(text)),
            };
            if let Some(new) = new {
                let next = self.puts.partition_point(|p| p.at <= at);
                if next > 0 && self.puts[next - 1].at + self.puts[next - 1].len > at {
                    return;
                }
                self.put_at(at, h.head + h.data, |to| match h.kind {
                    Kind::Bin => write_bin(to, new.as_bytes()),
                    _ => new.write(to),
                });
            }
        });
    }

    /// Returns a copy of the part with the edits so far.
    pub fn edited(&self) -> Map {
        if let Some(map) = &self.replaced {
            return map.clone();
        }
        let mut ops = Vec::new();
        self.write_ops(0, 0, &mut ops);
        apply(self.value(), ops.iter(), &self.bytes)
    }

    fn is_edited(&self) -> bool {
        self.replaced.is_some() || !self.puts.is_empty() || !self.edits.is_empty()
    }

    /// Where a value of this part stands, and how many bytes it has.
    fn place(&self, value: Value<'a>) -> (usize, usize) {
        let bytes = value.as_msgpack();
        (bytes.as_ptr() as usize - self.came.as_ptr() as usize, bytes.len())
    }

    /// An event of the old form has no metadata, and can't be given any.
    fn check(&mut self) {
        if self.came.is_empty() {
            self.fault = Some("the event is of a form that has no metadata");
        }
    }

    fn edit(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
        self.check();
        let from = self.bytes.len();
        write(&mut self.bytes);
        let to = self.bytes.len();
        match self.edits.last_mut() {
            Some(last) if kind == kind::ADD && last.kind == kind && last.to == from => {
                last.to = to;
                last.count += 1;
            }
            _ => self.edits.push(Edit { kind, count: u32::from(kind == kind::ADD), from, to }),
        }
        if self.edits.len() > EDITS {
            self.replaced = Some(self.edited());
        }
    }

    fn put_at(&mut self, at: usize, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let first = self.puts.partition_point(|p| p.at < at);
        let last = self.puts.partition_point(|p| p.at < at + len);
        if first > 0 && self.puts[first - 1].at + self.puts[first - 1].len > at {
            self.fault = Some("put inside a value that has been replaced");
            return;
        }
        let from = self.bytes.len();
        write(&mut self.bytes);
        let put = Put { at, len, from, to: self.bytes.len() };
        self.puts.splice(first..last, [put]);
    }

    /// Says what has been edited, in operations.
    pub(crate) fn finish(&mut self, of: usize, part: u8, ops: &mut Vec<Op>) {
        if let Some(map) = self.replaced.take() {
            let from = self.bytes.len();
            map.write(&mut self.bytes);
            ops.push(Op::new(of, kind::REPLACE, part, 0, 0, from, self.bytes.len() - from));
            return;
        }
        self.write_ops(of, part, ops);
    }

    fn write_ops(&self, of: usize, part: u8, ops: &mut Vec<Op>) {
        for put in &self.puts {
            let (a, b) = (put.at as u32, put.len as u32);
            ops.push(Op::new(of, kind::PUT, part, a, b, put.from, put.to - put.from));
        }
        for edit in &self.edits {
            ops.push(Op::new(of, edit.kind, part, edit.count, 0, edit.from, edit.to - edit.from));
        }
    }
}

/// Does what the host does with the operations on a part: with put, remove, set and add.
pub(crate) fn apply<'o>(came: Value, ops: impl Iterator<Item = &'o Op> + Clone, buffer: &[u8]) -> Map {
    let of = |kind| ops.clone().filter(move |op| op.kind == kind);
    let text = |op: &Op| &buffer[op.address as usize..][..op.len as usize];
    let came = came.as_msgpack();
    let (mut put, mut done) = (Vec::with_capacity(came.len()), 0);
    for op in of(kind::PUT) {
        put.extend_from_slice(&came[done..op.a as usize]);
        put.extend_from_slice(text(op));
        done = op.a as usize + op.b as usize;
    }
    put.extend_from_slice(&came[done..]);
    let mut map = Map::copy(Value::new(&put)).unwrap_or_default();
    for op in of(kind::REMOVE) {
        map.remove(Value::new(text(op)).as_str().unwrap_or_default());
    }
    for op in of(kind::SET).chain(of(kind::ADD)) {
        let mut rest = text(op);
        while !rest.is_empty() {
            let (key, value) = (take(&mut rest), take(&mut rest));
            let key = key.as_str().unwrap_or_default();
            if op.kind == kind::SET {
                map.set(key, value);
            } else {
                map.add(key, value);
            }
        }
    }
    map
}

/// Calls a function for each text, in order, with its place, and returns the value's end.
fn each_text(
    bytes: &[u8], at: usize, keys: bool, function: &mut dyn FnMut(usize, crate::value::Head),
) -> usize {
    let h = head(&bytes[at..]);
    let (kind, count, mut next) = (h.kind, h.count, at + h.head + h.data);
    match kind {
        Kind::Str | Kind::Bin => function(at, h),
        Kind::Array => {
            for _ in 0..count {
                next = each_text(bytes, next, keys, function);
            }
        }
        Kind::Map => {
            for _ in 0..count {
                next =
                    if keys { each_text(bytes, next, keys, function) } else { next + size(&bytes[next..]) };
                next = each_text(bytes, next, keys, function);
            }
        }
        _ => {}
    }
    next
}

/// A further event, to be [emitted](Event::emit).
pub struct Emit {
    body: Map,
    metadata: Option<Map>,
    time: Option<Time>,
    grouped: bool,
}

impl Emit {
    /// Returns one with the time, metadata and group of the event that it is emitted from, with the
    /// edits that these have when it is.
    pub fn new(body: Map) -> Self {
        Emit { body, metadata: None, time: None, grouped: true }
    }

    /// Gives it metadata of its own.
    pub fn metadata(mut self, metadata: Map) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Gives it a time of its own.
    pub fn time(mut self, time: Time) -> Self {
        self.time = Some(time);
        self
    }

    /// Takes it out of the event's group.
    pub fn without_group(mut self) -> Self {
        self.grouped = false;
        self
    }
}

impl From<Map> for Emit {
    fn from(body: Map) -> Self {
        Emit::new(body)
    }
}

/// An event: what a filter is called for.
pub struct Event<'a> {
    /// The record.
    pub body: Part<'a>,
    /// The metadata: with OTLP what a log record has beside its body.
    pub metadata: Part<'a>,
    tag: &'a str,
    time: Time,
    new_time: Option<Time>,
    group: Option<Value<'a>>,
    dropped: bool,
    pub(crate) emitted: Vec<Emitted>,
    /// Texts of errors, and what emitted events consist of.
    pub(crate) extra: Vec<u8>,
    /// Where in `emitted` and `extra` what is this event's begins.
    first: (usize, usize),
}

impl<'a> Event<'a> {
    pub(crate) fn new(tag: &'a str) -> Self {
        Event {
            body: Part::new(&[]),
            metadata: Part::new(&[]),
            tag,
            time: Time { sec: 0, nsec: 0 },
            new_time: None,
            group: None,
            dropped: false,
            emitted: Vec::new(),
            extra: Vec::new(),
            first: (0, 0),
        }
    }

    pub(crate) fn load(&mut self, body: &'a [u8], metadata: &'a [u8], time: Time, group: Option<Value<'a>>) {
        self.body.load(body);
        self.metadata.load(metadata);
        self.time = time;
        self.new_time = None;
        self.group = group;
        self.dropped = false;
        self.first = (self.emitted.len(), self.extra.len());
    }

    /// Returns the tag. Bytes of it that are not UTF-8 are U+FFFD.
    pub fn tag(&self) -> &'a str {
        self.tag
    }

    /// Returns the time, as it has been set if it has.
    pub fn time(&self) -> Time {
        self.new_time.unwrap_or(self.time)
    }

    /// Sets the time: 0 to 2^32 - 3 seconds, and less than 10^9 nanoseconds.
    pub fn set_time(&mut self, time: Time) -> Result<(), Error> {
        if time.sec < 0 || time.sec > i64::from(u32::MAX) - 2 || time.nsec >= 1_000_000_000 {
            return Err(Error::new("the time is not one that an event can have"));
        }
        self.new_time = Some(time);
        Ok(())
    }

    /// Returns what the event's group has in common, as it came; with OTLP
    /// `{"resource": {…}, "scope": {…}}`. [`Filter::group`] edits it.
    pub fn group(&self) -> Option<Value<'a>> {
        self.group
    }

    /// Drops the event. Events that it emits come out.
    #[allow(clippy::should_implement_trait)]
    pub fn drop(&mut self) {
        self.dropped = true;
    }

    /// Emits a further event, which comes after this one and those emitted before. A [`Map`] is its
    /// body; [`Emit`] has more.
    pub fn emit(&mut self, event: impl Into<Emit>) {
        let event = event.into();
        let inherited = self.metadata.is_edited().then(|| self.metadata.edited());
        let metadata = event.metadata.or(inherited);
        if metadata.is_some() {
            self.metadata.check();
        }
        let size = |map: &Map| map.value().as_msgpack().len();
        if !self.has_room(size(&event.body) + metadata.as_ref().map_or(0, size)) {
            self.body.fault = Some("no memory for the event");
            return;
        }
        let time = event.time.or(self.new_time);
        let mut write = |map: Option<&Map>| {
            let from = self.extra.len();
            map.iter().for_each(|map| map.write(&mut self.extra));
            (from as u32, (self.extra.len() - from) as u32)
        };
        let (body, metadata) = (write(Some(&event.body)), write(metadata.as_ref()));
        self.emitted.push(Emitted {
            sec: time.map_or(-1, |time| time.sec),
            nsec: time.map_or(0, |time| time.nsec),
            group: if event.grouped { u32::MAX } else { 0 },
            metadata: metadata.0,
            metadata_len: metadata.1,
            body: body.0,
            body_len: body.1,
        });
    }

    /// Makes room for what is emitted. An allocation that fails would end the instance, and with it the
    /// batch: so there has to be more, for the copies from which the next event is made.
    fn has_room(&mut self, size: usize) -> bool {
        let grows = self.extra.capacity() - self.extra.len() < size;
        let (room, mut probe) = (self.extra.try_reserve(size), Vec::<u8>::new());
        room.is_ok() && (!grows || probe.try_reserve_exact(4 * size + (64 << 10)).is_ok())
    }

    /// Makes an event for each element of an array, which takes the place of the array at that key, in
    /// this event with the edits so far. The event itself is dropped. What is not an array, or is
    /// empty, is left as it is.
    pub fn split(&mut self, key: &str) {
        if self.body.get((key,)).map_or(true, |v| v.elements().next().is_none()) {
            return;
        }
        let whole = self.body.edited();
        for element in whole.get((key,)).iter().flat_map(|v| v.elements()) {
            if self.body.fault.is_some() {
                return; // such as for want of memory
            }
            let mut part = whole.clone();
            part.set(key, element);
            self.emit(part);
        }
        self.drop();
    }

    /// Says what is to become of the event, in operations.
    pub(crate) fn finish(&mut self, of: usize, result: Result<(), Error>, ops: &mut Vec<Op>) {
        let fault = self.body.fault.or(self.metadata.fault).map_or(Ok(()), |fault| Err(fault.into()));
        if let Err(why) = result.and(fault) {
            self.emitted.truncate(self.first.0);
            self.extra.truncate(self.first.1);
            self.extra.shrink_to(2 * self.first.1);
            let from = self.extra.len();
            self.extra.extend_from_slice(why.text.as_bytes());
            ops.push(Op::new(of, kind::ERROR, 0, why.code, 0, from, why.text.len()));
            return;
        }
        if self.dropped {
            ops.push(Op::new(of, kind::DROP, 0, 0, 0, 0, 0));
        } else {
            if let Some(time) = self.new_time {
                ops.push(Op::new(of, kind::TIME, 0, time.sec as u32, time.nsec, 0, 0));
            }
            self.body.finish(of, 0, ops);
            self.metadata.finish(of, 1, ops);
        }
        for i in self.first.0..self.emitted.len() {
            ops.push(Op::new(of, kind::EMIT, 0, 0, 0, i, core::mem::size_of::<Emitted>()));
        }
    }
}

/// What the events of a group have in common: with OTLP a resource and a scope.
pub struct Group<'a> {
    /// With OTLP `{"resource": {…}, "scope": {…}}`.
    pub body: Part<'a>,
    /// The metadata of the marker that begins the group.
    pub metadata: Part<'a>,
}

impl Group<'_> {
    pub(crate) fn finish(
        &mut self, of: usize, result: Result<(), Error>, ops: &mut Vec<Op>,
    ) -> Option<Error> {
        let fault = self.body.fault.or(self.metadata.fault).map_or(Ok(()), |fault| Err(fault.into()));
        if let Err(why) = result.and(fault) {
            return Some(why);
        }
        self.body.finish(of, 0, ops);
        self.metadata.finish(of, 1, ops);
        None
    }
}

/// A filter with a state, or a configuration, of its own.
pub trait Filter: Sized {
    /// Makes the filter, before the first event. An error keeps Fluent Bit from starting, with its text.
    fn configure() -> Result<Self, Error>;

    /// Is called for each event. An error is that of this event alone.
    fn filter(&mut self, event: &mut Event) -> Result<(), Error>;

    /// Is called for each group that begins in a batch, before the events of the batch. An error leaves
    /// the group as it is, and is one of all of its events in the batch.
    fn group(&mut self, _group: &mut Group) -> Result<(), Error> {
        Ok(())
    }
}
