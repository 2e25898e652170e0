use alloc::{string::String, vec::Vec};
use core::cell::RefCell;

use crate::batch::{kind, Bytes, Op};
use crate::path::{Found, Path, Route};
use crate::value::{append, head, position, size, write_text, Head, Kind, Map, ToValue, Value, LEADS};

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
    /// Of the keys in these.
    marks: Vec<u64>,
    /// The part as it is to be, if `is_whole`: then there are no other edits.
    pub whole: Map,
    is_whole: bool,
    /// The event is of a form without the part.
    is_absent: bool,
    /// What the operations of the batch so far have for bytes.
    pub bytes: Vec<u8>,
    pub fault: Option<&'static str>,
    /// Keys and values of the part as it came, if it has a few members only; empty until it is asked for.
    index: RefCell<Vec<Member>>,
}

impl Edits {
    fn clear(&mut self) {
        self.puts.clear();
        self.edits.clear();
        self.marks.clear();
    }

    fn become_whole(&mut self, map: Map) {
        self.clear();
        self.whole = map;
        self.is_whole = true;
    }
}

/// Where in a part the text of a key stands, and behind it the value.
struct Member {
    mark: u64,
    key: u32,
    value: u32,
}

/// Returns the first 8 bytes of a key, or all that it has; more may follow it.
#[inline]
fn mark(bytes: &[u8], len: usize) -> u64 {
    let word = match bytes.get(..8) {
        Some(word) => u64::from_le_bytes(word.try_into().unwrap_or_default()),
        None => bytes.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)),
    };
    word & !u64::MAX.checked_shl(8 * len as u32).unwrap_or(0)
}

/// Returns where the text of a key begins and ends; that of another one begins behind its end.
#[inline(never)]
fn long_key(bytes: &[u8], at: usize) -> (usize, usize) {
    let h = head(&bytes[at..]);
    let end = at + size(&bytes[at..]);
    (if h.kind == Kind::Str { at + h.len } else { end + 1 }, end)
}

#[derive(Clone, Copy)]
pub(crate) struct Key<'p> {
    pub text: &'p str,
    mark: u64,
}

impl<'p> Key<'p> {
    #[inline]
    pub fn new(text: &'p str) -> Self {
        Key { text, mark: mark(text.as_bytes(), text.len()) }
    }
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
        edits.clear();
        edits.is_whole = false;
        edits.fault = None;
        edits.index.get_mut().clear();
        edits.is_absent = came.is_empty();
        Part { came: if came.is_empty() { &[0x80] } else { came }, edits }
    }

    /// Returns the part as it came.
    pub fn value(&self) -> Value<'a> {
        Value::new(self.came)
    }

    /// Returns what a path leads to, in the part as it came.
    #[inline]
    pub fn get(&self, path: impl Path) -> Option<Value<'a>> {
        let route = path.route();
        match route.key() {
            Some(key) => self.look_up(Key::new(key)),
            None => self.find(route).value,
        }
    }

    /// Returns the text that a path leads to; `None` if it is not there, or not text.
    #[inline]
    pub fn get_str(&self, path: impl Path) -> Option<&'a str> {
        self.get(path)?.as_str()
    }

    /// Gives what the path leads to the value. What is not there is added as the last member of its map,
    /// which is made if need be. Where a value that is not a map is in the way, the event fails.
    pub fn set(&mut self, path: impl Path, value: impl ToValue) {
        self.set_or_remove(path, Some(value));
    }

    /// Adds a member as the last one, without a look whether its key is there.
    pub fn add(&mut self, key: &str, value: impl ToValue) {
        if self.edits.marks.len() >= EDITS {
            self.make_whole();
        }
        if self.edits.is_whole {
            return self.edits.whole.add(key, value);
        }
        self.edit(kind::ADD, Key::new(key), |to| value.write(to));
    }

    /// Removes what the path leads to, if it is there.
    pub fn remove(&mut self, path: impl Path) {
        self.change(path.route(), None, false);
    }

    /// Sets what the path leads to to the value that there is, and removes it if there is none.
    pub fn set_or_remove(&mut self, path: impl Path, value: Option<impl ToValue>) {
        let value = value.as_ref().map(|value| value as &dyn ToValue);
        if !self.change(path.route(), value, false) && value.is_some() && self.edits.fault.is_none() {
            self.edits.fault = Some("set: a value that is not a map is in the way");
        }
    }

    /// Replaces the value that a path leads to; false if there is none.
    pub fn put(&mut self, path: impl Path, value: impl ToValue) -> bool {
        self.change(path.route(), Some(&value), true)
    }

    /// Replaces the part as a whole.
    pub fn replace(&mut self, map: Map) {
        if self.has_form() {
            self.edits.become_whole(map);
        }
    }

    /// Calls a function for each text that is a value, at any depth, and puts what it returns in the
    /// text's place. Bytes that are not UTF-8 are U+FFFD there, and bins are taken for text.
    pub fn rewrite_strings<R: AsRef<str>>(&mut self, function: impl FnMut(&str) -> Option<R>) {
        self.rewrite(None, function);
    }

    /// Does the same with texts that have that byte in them, such as `b'@'`: others cost next to nothing.
    pub fn rewrite_strings_with<R: AsRef<str>>(&mut self, byte: u8, function: impl FnMut(&str) -> Option<R>) {
        self.rewrite(Some(byte), function);
    }

    fn rewrite<R: AsRef<str>>(&mut self, byte: Option<u8>, mut function: impl FnMut(&str) -> Option<R>) {
        if self.is_edited() {
            let (so_far, mut edits) = (self.edited(), Edits::default());
            let mut part = Part::new(&so_far.bytes, &mut edits);
            part.rewrite(byte, function);
            return self.edits.become_whole(part.edited());
        }
        let mut next = byte.map_or(0, |byte| position(self.came, byte));
        if next == self.came.len() {
            return;
        }
        self.index();
        let Edits { puts, bytes, index, .. } = &mut *self.edits;
        let (from, members) = (self.came, index.get_mut());
        let mut found = |at, h: Head| {
            let text = &from[at + h.len..][..h.data];
            // In older Rusts from_utf8_lossy alone takes several times as long.
            let new = match core::str::from_utf8(text) {
                Ok(text) => function(text),
                Err(_) => function(&String::from_utf8_lossy(text)),
            };
            if let Some(new) = new {
                let start = bytes.len();
                write_text(bytes, new.as_ref().as_bytes(), h.kind);
                let (a, b) = (at as u32, (h.len + h.data) as u32);
                puts.push(Op::new(kind::PUT, a, b, Bytes::since(start, bytes)));
            }
        };
        for (i, member) in members.iter().enumerate() {
            if members.get(i + 1).map_or(true, |after| next < after.value as usize) {
                texts(from, member.value as usize, byte, &mut next, &mut found);
            }
        }
        if members.is_empty() {
            texts(from, 0, byte, &mut next, &mut found);
        }
        if !puts.is_empty() {
            self.is_map();
        }
    }

    /// Returns a copy of the part with the edits so far.
    pub fn edited(&self) -> Map {
        self.edited_in(self.edits.whole.clone())
    }

    /// Has edits from now on be those of a copy of the part.
    pub(crate) fn make_whole(&mut self) {
        let map = core::mem::take(&mut self.edits.whole);
        let map = self.edited_in(map);
        self.edits.become_whole(map);
    }

    /// Returns the same in a map that is there: if it has been made so before, that is it.
    fn edited_in(&self, mut map: Map) -> Map {
        let (came, Edits { puts, edits, is_whole, bytes, .. }) = (self.value().bytes, &*self.edits);
        if *is_whole {
            return map;
        }
        map.bytes.truncate(5);
        map.bytes[1..].copy_from_slice(&(head(came).count as u32).to_be_bytes());
        splice(came, head(came).len, puts, bytes, &mut map.bytes);
        for edit in edits {
            let new = edit.bytes.of(bytes);
            let (key, value) = (Value::new(new), &new[size(new)..]);
            match (key.as_str().unwrap_or_default(), edit.kind) {
                (_, kind::ADD) => map.append(edit.a, new),
                (key, kind::SET) => drop(map.set([key], Value::new(value))),
                (key, _) => map.remove([key]),
            }
        }
        map
    }

    pub(crate) fn is_edited(&self) -> bool {
        self.edits.is_whole || !self.edits.puts.is_empty() || !self.edits.edits.is_empty()
    }

    /// Returns the value of the first member of that key, in the part as it came.
    #[inline(never)]
    pub(crate) fn look_up(&self, key: Key) -> Option<Value<'a>> {
        let is_there = !self.edits.index.borrow().is_empty();
        if !is_there && !self.index() {
            return self.value().member(key.text);
        }
        let members = self.edits.index.borrow();
        let member = members.iter().find(|member| member.mark == key.mark)?;
        let (text, from, to) = (key.text, member.key as usize, member.value as usize);
        if to - from == text.len() && (text.len() <= 8 || &self.came[from..to] == text.as_bytes()) {
            return Some(Value::new(&self.came[to..]));
        }
        self.value().member(text) // behind another one that begins so
    }

    /// Makes the index, unless it is there or would be large, and says whether it is there.
    #[inline(never)]
    fn index(&self) -> bool {
        let (came, mut members) = (self.came, self.edits.index.borrow_mut());
        let h = head(came);
        let mut at = h.len;
        let count = if h.count <= INDEXED && members.is_empty() { h.count } else { 0 };
        members.extend((0..count).map(|_| {
            let (key, value) = match came[at] {
                lead @ 0xa0..=0xbf => (at + 1, at + 1 + usize::from(lead & 31)),
                _ => long_key(came, at),
            };
            at = value + size(&came[value..]);
            let mark = if key <= value { mark(&came[key..], value - key) } else { u64::MAX };
            Member { mark, key: key as u32, value: value as u32 }
        }));
        !members.is_empty()
    }

    pub(crate) fn find<'p>(&self, route: Route<'p>) -> Found<'a, 'p> {
        match route.key().map(Key::new) {
            Some(key) => Found { holder: self.value(), last: route, key, value: self.look_up(key) },
            None => route.follow(self.value(), Some(self)),
        }
    }

    fn is_inner(&self, to: &Found) -> bool {
        to.holder.bytes.as_ptr() != self.came.as_ptr()
    }

    /// Says whether there is a value, and no other one with its key.
    fn is_only(&self, to: &Found) -> bool {
        let is_it = |(key, _): &(Value, Value)| key.is_key(to.key.text);
        to.value.is_some()
            && match to.holder.kind() {
                Kind::Array => true,
                _ if self.is_inner(to) => to.holder.members().filter(is_it).count() == 1,
                _ => self.edits.index.borrow().iter().filter(|m| m.mark == to.key.mark).count() == 1,
            }
    }

    /// Says whether earlier edits have to do with what a path leads to, or with `all` that is beside it.
    #[inline(never)]
    pub(crate) fn is_touched(&self, route: Route, to: &Found, all: bool) -> bool {
        let Edits { puts, marks, is_whole, .. } = &*self.edits;
        if *is_whole || marks.len() >= EDITS {
            return true;
        }
        let of = to.value.filter(|_| !all).or_else(|| Some(to.holder).filter(|_| self.is_inner(to)));
        if let (Some(of), false) = (of, puts.is_empty()) {
            let place = of.place(self.came);
            if puts.iter().any(|p| (p.a as usize) < place.end && (p.a + p.b) as usize > place.start) {
                return true;
            }
        }
        let is_named = |key: &str| marks.contains(&Key::new(key).mark);
        match route {
            _ if route.key().is_some() => marks.contains(&to.key.mark),
            Route::Text(text, ..) if is_named(text) => true,
            _ => is_named(route.split().0),
        }
    }

    /// An event of the old form has no metadata, and can't be given any.
    pub(crate) fn has_form(&mut self) -> bool {
        if self.edits.is_absent {
            self.edits.fault = Some("the event is of a form that has no metadata");
        }
        !self.edits.is_absent
    }

    fn is_map(&mut self) -> bool {
        if !matches!(self.came[0], 0x80..=0x8f | 0xde | 0xdf) {
            self.edits.fault = Some("what is not a map can only be replaced");
        }
        self.has_form() && self.edits.fault.is_none()
    }

    /// Sets, removes, or puts if `only_there`. Returns false if there is nothing that can be done.
    fn change(&mut self, route: Route, value: Option<&dyn ToValue>, only_there: bool) -> bool {
        let to = self.find(route);
        let in_place = only_there || self.is_only(&to);
        if self.is_touched(route, &to, !in_place) {
            self.make_whole();
            let is_there = route.follow(self.edits.whole.value(), None).value.is_some();
            return (is_there || !only_there) && self.edits.whole.change(route, value);
        }
        match (to.value, value) {
            (Some(old), Some(value)) if in_place => self.put_at(old, |to| value.write(to)),
            _ if only_there => false,
            _ if self.is_inner(&to) => {
                let mut new = Vec::new();
                to.write_changed(value, &mut new) && self.put_at(to.holder, |to| append(to, &new))
            }
            (Some(_), Some(value)) => self.edit(kind::SET, to.key, |to| value.write(to)),
            (Some(_), None) => self.edit(kind::REMOVE, to.key, |_| ()),
            (None, Some(value)) => self.edit(kind::ADD, to.key, |to| route.write_new(value, to)),
            (None, None) => false,
        }
    }

    /// Sets, adds or removes a member of that key.
    fn edit(&mut self, kind: u8, key: Key, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Edits { edits, marks, bytes, .. } = &mut *self.edits;
        let start = bytes.len();
        key.text.write(bytes);
        write(bytes);
        marks.push(key.mark);
        match edits.last_mut() {
            // Adds whose bytes stand together are one.
            Some(last)
                if [kind, last.kind] == [kind::ADD; 2] && last.bytes.at + last.bytes.len == start as u32 =>
            {
                last.a += 1;
                last.bytes.len += (bytes.len() - start) as u32;
            }
            _ => edits.push(Op::new(kind, u32::from(kind == kind::ADD), 0, Bytes::since(start, bytes))),
        }
        self.is_map()
    }

    /// Puts at a place that no earlier put overlaps.
    fn put_at(&mut self, old: Value<'a>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let (start, place) = (self.edits.bytes.len(), old.place(self.came));
        write(&mut self.edits.bytes);
        let bytes = Bytes::since(start, &self.edits.bytes);
        let put = Op::new(kind::PUT, place.start as u32, place.len() as u32, bytes);
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
            edits.push(Op::new(kind::REPLACE, 0, 0, Bytes::since(start, bytes)));
        }
        ops.extend(puts.iter().chain(&*edits).map(|op| op.on(of, part)));
    }
}

/// Copies with puts carried out.
fn splice(from: &[u8], start: usize, puts: &[Op], bytes: &[u8], to: &mut Vec<u8>) {
    let mut done = start;
    for put in puts {
        append(to, &from[done..put.a as usize]);
        append(to, put.bytes.of(bytes));
        done = (put.a + put.b) as usize;
    }
    append(to, &from[done..]);
}

/// Goes through the texts that are values in a value, those with a byte if there is one, and returns its end.
/// `next` is where the byte stands next; without one, where the next text may stand.
fn texts(
    bytes: &[u8], at: usize, byte: Option<u8>, next: &mut usize, found: &mut dyn FnMut(usize, Head),
) -> usize {
    let h = head(&bytes[at..]);
    let (start, mut end) = (at + h.len, at + h.len + h.data);
    match h.kind {
        Kind::Str | Kind::Bin => {
            if *next < start {
                *next = start + byte.map_or(0, |byte| position(&bytes[start..], byte));
            }
            if *next < end {
                found(at, h);
            }
        }
        Kind::Array | Kind::Map => {
            for _ in 0..h.count {
                if h.kind == Kind::Map {
                    end += size(&bytes[end..]);
                }
                match LEADS[usize::from(bytes[end])] {
                    Head { len: 1, count: 0, data, .. } if end + data < *next => end += 1 + data,
                    _ => end = texts(bytes, end, byte, next, found),
                }
            }
        }
        _ => {}
    }
    end
}
