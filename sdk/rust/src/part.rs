use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::batch::{kind, Op};
use crate::path::{Path, Route};
use crate::value::{head, position, size, write_text, Head, Kind, Map, ToValue, Value, SIZES};

/// As many sets, adds and removes of a part are said one by one. A host takes 256.
const EDITS: usize = 32;

/// The most members of a part for which keys are remembered.
const INDEXED: usize = 64;

/// What is said of a part, for one event after the other.
#[derive(Default)]
pub(crate) struct Edits {
    /// In the order of their places, which do not overlap.
    puts: Vec<Op>,
    /// Of other kinds, no two with one key, but for adds.
    edits: Vec<Op>,
    /// The part as it is to be, if `is_whole`: then there are no other edits.
    pub whole: Map,
    is_whole: bool,
    /// What the operations of the batch so far have for bytes.
    pub bytes: Vec<u8>,
    pub fault: Option<&'static str>,
    /// Keys and values of the part as it came, if it has a few members only; empty until it is asked for.
    index: RefCell<Vec<Member>>,
}

/// Where in a part the text of a key stands, and the value.
struct Member {
    mark: u64,
    key: usize,
    value: usize,
}

/// Tells keys apart, most of them.
fn mark(key: &[u8]) -> u64 {
    (key.len() as u64) << 8 | u64::from(*key.first().unwrap_or(&0))
}

/// Where a path leads to in a part.
pub(crate) struct Found<'a, 'p> {
    /// The innermost value that is there and holds others, but for the part itself.
    holder: Option<Value<'a>>,
    /// What is left of the path from there on.
    last: Route<'p>,
    /// What is there, and its key in the holder.
    pub found: Option<(Value<'a>, &'p str)>,
}

/// The body or the metadata of an event or group: a map.
///
/// What is read is the part as it came; edits take effect when the filter has returned, one after the
/// other. [`edited`](Part::edited) has them now. An edit costs what it touches, however large the part
/// is, unless another one has touched the same member before: then it costs a copy of the part.
pub struct Part<'a> {
    came: &'a [u8],
    pub(crate) edits: &'a mut Edits,
}

impl<'a> Part<'a> {
    /// Returns a part without edits. No bytes mean that there is no such part.
    pub(crate) fn new(came: &'a [u8], edits: &'a mut Edits) -> Self {
        edits.puts.clear();
        edits.edits.clear();
        edits.is_whole = false;
        edits.fault = None;
        edits.index.get_mut().clear();
        Part { came, edits }
    }

    /// Returns the part as it came.
    pub fn value(&self) -> Value<'a> {
        Value::new(if self.came.is_empty() { &[0x80] } else { self.came })
    }

    /// Returns what a path leads to, in the part as it came.
    pub fn get(&self, path: impl Path) -> Option<Value<'a>> {
        let (next, _, rest) = path.route().step(self.value(), |key| self.member(key))?;
        rest.map_or(Some(next), |rest| rest.find(next))
    }

    /// Returns the text that a path leads to; `None` if it is not there, or not text.
    pub fn get_str(&self, path: impl Path) -> Option<&'a str> {
        self.get(path)?.as_str()
    }

    /// Gives what the path leads to the value. What is not there is added as the last member of its map,
    /// which is made if need be. Where a value that is not a map is in the way, the event fails.
    pub fn set(&mut self, path: impl Path, value: impl ToValue) {
        if !self.change(path.route(), Some(&value), false) && self.edits.fault.is_none() {
            self.edits.fault = Some("set: a value that is not a map is in the way");
        }
    }

    /// Adds a member as the last one, without a look whether its key is there.
    pub fn add(&mut self, key: &str, value: impl ToValue) {
        if self.edits.edits.len() >= EDITS {
            self.make_whole();
        }
        if self.edits.is_whole {
            return self.edits.whole.add(key, value);
        }
        self.edit(kind::ADD, |to| {
            key.write(to);
            value.write(to);
        });
    }

    /// Removes what the path leads to, if it is there.
    pub fn remove(&mut self, path: impl Path) {
        self.change(path.route(), None, false);
    }

    /// Sets what the path leads to to the value that there is, and removes it if there is none.
    pub fn set_or_remove(&mut self, path: impl Path, value: Option<impl ToValue>) {
        match value {
            Some(value) => self.set(path, value),
            None => self.remove(path),
        }
    }

    /// Replaces the value that a path leads to; false if there is none.
    pub fn put(&mut self, path: impl Path, value: impl ToValue) -> bool {
        self.change(path.route(), Some(&value), true)
    }

    /// Replaces the part as a whole.
    pub fn replace(&mut self, map: Map) {
        if self.has_form() {
            self.edits.puts.clear();
            self.edits.edits.clear();
            self.edits.whole = map;
            self.edits.is_whole = true;
        }
    }

    /// Calls a function for each text that is a value, at any depth, and puts what it returns in the
    /// text's place. Bytes that are not UTF-8 are U+FFFD there, and bins are taken for text.
    pub fn rewrite_strings<R: AsRef<str>>(&mut self, function: impl FnMut(&str) -> Option<R>) {
        self.rewrite(None, false, function);
    }

    /// Does the same with texts that have that byte in them, such as `b'@'`: others cost next to nothing.
    pub fn rewrite_strings_with<R: AsRef<str>>(&mut self, byte: u8, function: impl FnMut(&str) -> Option<R>) {
        self.rewrite(Some(byte), false, function);
    }

    /// Does the same as [`rewrite_strings`](Part::rewrite_strings), with keys as well as values.
    pub fn rewrite_all<R: AsRef<str>>(&mut self, function: impl FnMut(&str) -> Option<R>) {
        self.rewrite(None, true, function);
    }

    fn rewrite<R: AsRef<str>>(
        &mut self, byte: Option<u8>, keys: bool, mut function: impl FnMut(&str) -> Option<R>,
    ) {
        let came = self.value();
        let as_came = !self.is_edited();
        if !as_came {
            self.make_whole();
        }
        let Edits { puts, whole, bytes, .. } = &mut *self.edits;
        let from = if as_came { came.bytes } else { &whole.bytes };
        if byte.map_or(false, |byte| !has_text_with(from, byte)) {
            return;
        }
        let mut next = 0; // where the byte is that is looked for
        texts(from, 0, 1, keys, &mut |at, h| {
            let (start, end) = (at + h.len, at + h.len + h.data);
            if let Some(byte) = byte {
                if next < start {
                    next = start + position(&from[start..], byte);
                }
                if next >= end {
                    return;
                }
            }
            let text = &from[start..end];
            // In older Rusts from_utf8_lossy alone takes several times as long.
            let new = match core::str::from_utf8(text) {
                Ok(text) => function(text),
                Err(_) => function(&String::from_utf8_lossy(text)),
            };
            if let Some(new) = new {
                let start = bytes.len();
                write_text(bytes, new.as_ref().as_bytes(), h.kind == Kind::Bin);
                let (a, b) = (at as u32, (h.len + h.data) as u32);
                puts.push(Op::new(kind::PUT, a, b, start..bytes.len()));
            }
        });
        if !puts.is_empty() && !as_came {
            let mut new = Vec::new();
            splice(from, 0, puts, bytes, &mut new);
            whole.bytes = new;
            puts.clear();
        } else if !puts.is_empty() && self.is_map() && keys {
            self.make_whole();
        }
    }

    /// Returns a copy of the part with the edits so far.
    pub fn edited(&self) -> Map {
        let Edits { puts, edits, whole, is_whole, bytes, .. } = &*self.edits;
        let mut map = whole.clone();
        if !is_whole {
            write_edited(self.value(), puts, edits, bytes, &mut map);
        }
        map
    }

    /// Has edits from now on be those of a copy of the part.
    pub(crate) fn make_whole(&mut self) {
        let came = self.value();
        let Edits { puts, edits, whole, is_whole, bytes, .. } = &mut *self.edits;
        if !*is_whole {
            write_edited(came, puts, edits, bytes, whole);
            puts.clear();
            edits.clear();
            *is_whole = true;
        }
    }

    pub(crate) fn is_edited(&self) -> bool {
        self.edits.is_whole || !self.edits.puts.is_empty() || !self.edits.edits.is_empty()
    }

    /// Returns the value of the first member of that key, in the part as it came.
    fn member(&self, key: &str) -> Option<Value<'a>> {
        let (came, mut index) = (self.value(), self.edits.index.borrow_mut());
        if index.is_empty() {
            let h = head(came.bytes);
            if h.count > INDEXED {
                return came.member(key);
            }
            let mut at = h.len;
            for _ in 0..h.count {
                let h = head(&came.bytes[at..]);
                let is_text = h.kind == Kind::Str;
                let value = at + if is_text { h.len + h.data } else { size(&came.bytes[at..]) };
                if is_text {
                    let key = at + h.len;
                    index.push(Member { mark: mark(&came.bytes[key..value]), key, value });
                }
                at = value + size(&came.bytes[value..]);
            }
        }
        let key = key.as_bytes();
        let mark = mark(key);
        let is_key = |m: &&Member| m.mark == mark && &came.bytes[m.key..][..key.len()] == key;
        index.iter().find(is_key).map(|m| Value::new(&came.bytes[m.value..]))
    }

    pub(crate) fn find<'p>(&self, route: Route<'p>) -> Found<'a, 'p> {
        match route.step(self.value(), |key| self.member(key)) {
            Some((next, _, Some(rest))) => {
                let (holder, last) = rest.holder(next);
                let found = last.step(holder, |key| holder.member(key));
                Found { holder: Some(holder), last, found: found.map(|(found, key, _)| (found, key)) }
            }
            found => Found { holder: None, last: route, found: found.map(|(found, key, _)| (found, key)) },
        }
    }

    /// Says whether earlier edits have to do with what a path leads to, or with `all` that is beside it.
    pub(crate) fn is_touched(&self, route: Route, to: &Found<'a, '_>, all: bool) -> bool {
        let Edits { puts, edits, is_whole, bytes, .. } = &*self.edits;
        if !self.is_edited() {
            return false;
        }
        let place = match to {
            Found { found: Some((found, _)), .. } if !all => found.place(self.came),
            Found { holder: Some(holder), .. } if !puts.is_empty() => holder.place(self.came),
            _ => 0..0,
        };
        if *is_whole
            || edits.len() >= EDITS
            || puts.iter().any(|put| (put.a as usize) < place.end && (put.a + put.b) as usize > place.start)
        {
            return true;
        }
        let first = route.split().0;
        let text = if let Route::Text(text, ..) = route { text } else { first };
        let is_named =
            |name| edits.iter().any(|edit| Value::new(&bytes[edit.address as usize..]).is_key(name));
        is_named(first) || (text.len() > first.len() && is_named(text))
    }

    /// An event of the old form has no metadata, and can't be given any.
    pub(crate) fn has_form(&mut self) -> bool {
        if self.came.is_empty() {
            self.edits.fault = Some("the event is of a form that has no metadata");
        }
        !self.came.is_empty()
    }

    fn is_map(&mut self) -> bool {
        let is_map = self.value().kind() == Kind::Map;
        if !is_map {
            self.edits.fault = Some("what is not a map can only be replaced");
        }
        is_map && self.has_form()
    }

    /// Sets, removes, or puts if `only_there`. Returns false if there is nothing that can be done.
    fn change(&mut self, route: Route, value: Option<&dyn ToValue>, only_there: bool) -> bool {
        let to = self.find(route);
        if self.is_touched(route, &to, !only_there) {
            self.make_whole();
            let is_there = route.find(self.edits.whole.value()).is_some();
            return (is_there || !only_there) && self.edits.whole.change(route, value);
        }
        match (to.found, to.holder, value) {
            (Some((found, _)), _, Some(value)) if only_there => self.put_at(found, |to| value.write(to)),
            _ if only_there => false,
            (_, Some(holder), _) => {
                let mut new = Vec::new();
                to.last.write_changed(holder, value, &mut new) && self.put_at(holder, |to| to.extend(new))
            }
            (Some((_, key)), None, Some(value)) => self.edit(kind::SET, |to| {
                key.write(to);
                value.write(to);
            }),
            (Some((_, key)), None, None) => self.edit(kind::REMOVE, |to| key.write(to)),
            (None, None, Some(value)) => self.edit(kind::ADD, |to| route.write_new(value, to)),
            (None, None, None) => false,
        }
    }

    fn edit(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = self.edits.bytes.len();
        write(&mut self.edits.bytes);
        let op = Op::new(kind, u32::from(kind == kind::ADD), 0, start..self.edits.bytes.len());
        self.edits.edits.push(op);
        self.is_map()
    }

    /// Puts at a place that no earlier put overlaps.
    fn put_at(&mut self, old: Value<'a>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let (start, place) = (self.edits.bytes.len(), old.place(self.came));
        write(&mut self.edits.bytes);
        let put = Op::new(kind::PUT, place.start as u32, place.len() as u32, start..self.edits.bytes.len());
        let next = self.edits.puts.partition_point(|other| other.a < put.a);
        self.edits.puts.insert(next, put);
        self.is_map()
    }

    /// Says what has been edited, in operations.
    pub(crate) fn finish(&mut self, of: usize, part: u8, ops: &mut Vec<Op>) {
        let Edits { puts, edits, whole, is_whole, bytes, .. } = &mut *self.edits;
        if *is_whole {
            let start = bytes.len();
            whole.write(bytes);
            edits.push(Op::new(kind::REPLACE, 0, 0, start..bytes.len()));
        }
        ops.extend(puts.iter().map(|put| put.on(of, part)));
        for edit in edits {
            match ops.last_mut() {
                // Adds whose bytes stand together are one.
                Some(last)
                    if (last.of as usize, last.part, last.kind, edit.kind)
                        == (of, part, kind::ADD, kind::ADD)
                        && last.address + last.len == edit.address =>
                {
                    last.a += 1;
                    last.len += edit.len;
                }
                _ => ops.push(edit.on(of, part)),
            }
        }
    }
}

/// Writes a map with edits carried out.
fn write_edited(came: Value, puts: &[Op], edits: &[Op], bytes: &[u8], map: &mut Map) {
    let came = came.bytes;
    map.begin(head(came).count);
    splice(came, head(came).len, puts, bytes, &mut map.bytes);
    for edit in edits {
        let key = Value::new(&bytes[edit.address as usize..]);
        let value = Value::new(&key.bytes[size(key.bytes)..]);
        let key = key.as_str().unwrap_or_default();
        match edit.kind {
            kind::ADD => map.add(key, value),
            kind::SET => drop(map.set([key], value)),
            _ => map.remove([key]),
        }
    }
}

/// Copies with puts carried out.
fn splice(from: &[u8], start: usize, puts: &[Op], bytes: &[u8], to: &mut Vec<u8>) {
    let mut done = start;
    for put in puts {
        to.extend_from_slice(&from[done..put.a as usize]);
        to.extend_from_slice(&bytes[put.address as usize..][..put.len as usize]);
        done = (put.a + put.b) as usize;
    }
    to.extend_from_slice(&from[done..]);
}

/// Says whether a text, be it a key or a value, has that byte: numbers and headers may, too.
fn has_text_with(bytes: &[u8], byte: u8) -> bool {
    let (mut at, mut next) = (0, position(bytes, byte));
    while next < bytes.len() {
        let n = usize::from(SIZES[usize::from(bytes[at])]);
        if n > 0 && at + n <= next {
            at += n;
            continue;
        }
        let h = head(&bytes[at..]);
        let (start, end) = (at + h.len, at + h.len + h.data);
        if next < end {
            let is_text = h.kind == Kind::Str || h.kind == Kind::Bin;
            if is_text && position(&bytes[start..end], byte) < h.data {
                return true;
            }
            next = end + position(&bytes[end..], byte);
        }
        at = end;
    }
    false
}

/// Calls a function for each text of so many values, in order, with its place, and returns their end.
fn texts(bytes: &[u8], at: usize, count: usize, keys: bool, function: &mut dyn FnMut(usize, Head)) -> usize {
    let mut next = at;
    for _ in 0..count {
        let (at, h) = (next, head(&bytes[next..]));
        next = at + h.len + h.data;
        match h.kind {
            Kind::Str | Kind::Bin => function(at, h),
            Kind::Array => next = texts(bytes, next, h.count, keys, function),
            Kind::Map if keys => next = texts(bytes, next, 2 * h.count, keys, function),
            Kind::Map => {
                for _ in 0..h.count {
                    next += size(&bytes[next..]);
                    next = texts(bytes, next, 1, keys, function);
                }
            }
            _ => {}
        }
    }
    next
}
