use alloc::string::String;
use alloc::vec::Vec;

/// What a [`Value`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nil,
    Bool,
    Int,
    Float,
    Str,
    /// Bytes that are not said to be text.
    Bin,
    Array,
    Map,
    /// An extension of MessagePack.
    Ext,
}

pub(crate) struct Head {
    pub kind: Kind,
    /// Bytes of the header.
    pub head: usize,
    /// Bytes after it, without the elements of an array or map.
    pub data: usize,
    /// Elements of an array, members of a map.
    pub count: usize,
}

pub(crate) fn head(p: &[u8]) -> Head {
    let lead = p[0];
    let number = |n: usize| p[1..=n].iter().fold(0, |v, b| v << 8 | usize::from(*b));
    let new = |kind, head, data, count| Head { kind, head, data, count };
    match lead {
        0x80..=0x8f => new(Kind::Map, 1, 0, usize::from(lead & 15)),
        0x90..=0x9f => new(Kind::Array, 1, 0, usize::from(lead & 15)),
        0xa0..=0xbf => new(Kind::Str, 1, usize::from(lead & 31), 0),
        0xc0 | 0xc1 => new(Kind::Nil, 1, 0, 0),
        0xc2 | 0xc3 => new(Kind::Bool, 1, 0, 0),
        0xc4..=0xc6 => {
            let n = 1 << (lead - 0xc4);
            new(Kind::Bin, 1 + n, number(n), 0)
        }
        0xc7..=0xc9 => {
            let n = 1 << (lead - 0xc7);
            new(Kind::Ext, 2 + n, number(n), 0)
        }
        0xca | 0xcb => new(Kind::Float, 1, 4 << (lead - 0xca), 0),
        0xcc..=0xd3 => new(Kind::Int, 1, 1 << (lead & 3), 0),
        0xd4..=0xd8 => new(Kind::Ext, 2, 1 << (lead - 0xd4), 0),
        0xd9..=0xdb => {
            let n = 1 << (lead - 0xd9);
            new(Kind::Str, 1 + n, number(n), 0)
        }
        0xdc | 0xdd => {
            let n = 2 << (lead - 0xdc);
            new(Kind::Array, 1 + n, 0, number(n))
        }
        0xde | 0xdf => {
            let n = 2 << (lead - 0xde);
            new(Kind::Map, 1 + n, 0, number(n))
        }
        _ => new(Kind::Int, 1, 0, 0),
    }
}

/// Returns how many bytes the value at the beginning of `p` has.
pub(crate) fn size(p: &[u8]) -> usize {
    let (mut at, mut left) = (0, 1);
    while left > 0 {
        let h = head(&p[at..]);
        at += h.head + h.data;
        left += if h.kind == Kind::Map { 2 * h.count } else { h.count };
        left -= 1;
    }
    at
}

/// A value of a record, read where it stands: nothing is parsed but what is asked for.
///
/// ```
/// use flb_filter::{List, Map};
///
/// let map = Map::new().with("http", Map::new().with("status", 404)).with("a.b", "dots")
///     .with("items", List::new().with(1.5).with("x"));
/// let value = map.value();
/// assert_eq!(value.get("http.status").and_then(|v| v.as_i64()), Some(404));
/// assert_eq!(value.get("a.b").and_then(|v| v.as_str()), Some("dots"));
/// assert_eq!(value.get(("items", 1)).and_then(|v| v.as_str()), Some("x"));
/// assert_eq!(value.get("items.0").and_then(|v| v.as_f64()), Some(1.5));
/// assert!(value.get("http.method").is_none());
/// ```
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// Begins with the value, and goes on behind it.
    bytes: &'a [u8],
}

impl<'a> Value<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Value { bytes }
    }

    /// Returns the value's MessagePack.
    pub fn as_msgpack(self) -> &'a [u8] {
        &self.bytes[..size(self.bytes)]
    }

    /// Returns what the value is.
    pub fn kind(self) -> Kind {
        head(self.bytes).kind
    }

    /// Returns the text of a string of UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        if self.kind() != Kind::Str {
            return None;
        }
        core::str::from_utf8(self.as_bytes()?).ok()
    }

    /// Returns the bytes of a string, UTF-8 or not, or of a bin.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        let h = head(self.bytes);
        match h.kind {
            Kind::Str | Kind::Bin => Some(&self.bytes[h.head..h.head + h.data]),
            _ => None,
        }
    }

    /// Returns a whole number of 64 bits, with its sign.
    pub fn as_i64(self) -> Option<i64> {
        self.int().and_then(|v| i64::try_from(v).ok())
    }

    /// Returns a whole number that is not negative.
    pub fn as_u64(self) -> Option<u64> {
        self.int().and_then(|v| u64::try_from(v).ok())
    }

    fn int(self) -> Option<i128> {
        let (h, p) = (head(self.bytes), self.bytes);
        if h.kind != Kind::Int {
            return None;
        }
        let raw = p[1..1 + h.data].iter().fold(0u64, |v, b| v << 8 | u64::from(*b));
        let shift = 64 - 8 * h.data as u32;
        Some(match p[0] {
            0xcc..=0xcf => i128::from(raw),
            0xd0..=0xd3 => i128::from((raw << shift) as i64 >> shift),
            small => i128::from(small as i8),
        })
    }

    /// Returns a number, whole or not.
    pub fn as_f64(self) -> Option<f64> {
        let p = self.bytes;
        match p[0] {
            0xca => Some(f64::from(f32::from_be_bytes(p[1..5].try_into().ok()?))),
            0xcb => Some(f64::from_be_bytes(p[1..9].try_into().ok()?)),
            _ => self.int().map(|v| v as f64),
        }
    }

    /// Returns true or false.
    pub fn as_bool(self) -> Option<bool> {
        match self.bytes[0] {
            0xc2 => Some(false),
            0xc3 => Some(true),
            _ => None,
        }
    }

    /// Returns the number of elements of an array, or members of a map, else 0.
    pub fn len(self) -> usize {
        head(self.bytes).count
    }

    /// Says whether there are no elements or members.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns what a [`Path`] leads to.
    pub fn get(self, path: impl Path) -> Option<Value<'a>> {
        path.find(self)
    }

    /// Returns the elements of an array; none if it is not one.
    pub fn elements(self) -> impl Iterator<Item = Value<'a>> {
        let h = head(self.bytes);
        let mut rest = &self.bytes[h.head..];
        (0..if h.kind == Kind::Array { h.count } else { 0 }).map(move |_| take(&mut rest))
    }

    /// Returns the members of a map, as key and value; none if it is not one.
    pub fn members(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let h = head(self.bytes);
        let mut rest = &self.bytes[h.head..];
        (0..if h.kind == Kind::Map { h.count } else { 0 }).map(move |_| (take(&mut rest), take(&mut rest)))
    }

    fn is_key(self, key: &str) -> bool {
        self.kind() == Kind::Str && self.as_bytes() == Some(key.as_bytes())
    }
}

pub(crate) fn take<'a>(rest: &mut &'a [u8]) -> Value<'a> {
    let value = &rest[..size(rest)];
    *rest = &rest[value.len()..];
    Value { bytes: value }
}

impl core::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.kind() {
            Kind::Nil => f.write_str("nil"),
            Kind::Bool => self.as_bool().fmt(f),
            Kind::Int => self.int().fmt(f),
            Kind::Float => self.as_f64().fmt(f),
            Kind::Str => String::from_utf8_lossy(self.as_bytes().unwrap_or_default()).fmt(f),
            Kind::Array => f.debug_list().entries(self.elements()).finish(),
            Kind::Map => f.debug_map().entries(self.members()).finish(),
            Kind::Bin | Kind::Ext => self.as_msgpack().fmt(f),
        }
    }
}

/// A way to a value: a text with dots between keys, and numbers for elements of arrays (`"a.b"`,
/// `"items.0.name"`), or a tuple of keys and numbers (`("items", 0, "name")`), whose dots are theirs.
///
/// A text finds keys with dots, too: in a map, a member whose key is all that is left of the text
/// goes before one whose key is what is left up to the first dot.
pub trait Path {
    /// Returns what the path leads to, from this value on.
    fn find<'a>(&self, from: Value<'a>) -> Option<Value<'a>>;
}

impl Path for &str {
    fn find<'a>(&self, from: Value<'a>) -> Option<Value<'a>> {
        if let Some(found) = Step::step(self, from) {
            return Some(found);
        }
        let (first, rest) = self.split_once('.').unwrap_or((self, ""));
        let next = if from.kind() == Kind::Array {
            from.elements().nth(first.parse().ok()?)?
        } else if rest.is_empty() {
            return None;
        } else {
            Step::step(&first, from)?
        };
        if rest.is_empty() {
            Some(next)
        } else {
            Path::find(&rest, next)
        }
    }
}

impl Path for &String {
    fn find<'a>(&self, from: Value<'a>) -> Option<Value<'a>> {
        Path::find(&self.as_str(), from)
    }
}

/// A part of a path: a key of a map (`&str`), or the number of an element, from 0 (`usize`).
pub trait Step {
    /// Returns the member or element of this value.
    fn step<'a>(&self, from: Value<'a>) -> Option<Value<'a>>;
}

impl Step for &str {
    fn step<'a>(&self, from: Value<'a>) -> Option<Value<'a>> {
        let h = head(from.bytes);
        if h.kind != Kind::Map {
            return None;
        }
        let mut at = h.head;
        for _ in 0..h.count {
            let key = Value { bytes: &from.bytes[at..] };
            at += size(key.bytes);
            let value = Value { bytes: &from.bytes[at..] };
            if key.is_key(self) {
                return Some(value);
            }
            at += size(value.bytes);
        }
        None
    }
}

impl Step for usize {
    fn step<'a>(&self, from: Value<'a>) -> Option<Value<'a>> {
        from.elements().nth(*self)
    }
}

macro_rules! tuples {
    ($(($($step:ident $n:tt)+))+) => {$(
        impl<$($step: Step),+> Path for ($($step,)+) {
            fn find<'a>(&self, from: Value<'a>) -> Option<Value<'a>> {
                Some(from)$(.and_then(|v| self.$n.step(v)))+
            }
        }
    )+};
}

tuples! { (A 0) (A 0 B 1) (A 0 B 1 C 2) (A 0 B 1 C 2 D 3) (A 0 B 1 C 2 D 3 E 4) }

/// What can be put into a record: text, numbers, booleans, `None` for nil, slices and vectors, a
/// [`Map`], a [`List`], a [`Value`] of another place.
pub trait ToValue {
    /// Appends the value as MessagePack: one whole value.
    fn write(&self, to: &mut Vec<u8>);
}

/// Writes a header with a length: a short form up to `most` where there is one, else of 1 (where
/// `wide` is its lead), 2 or 4 bytes.
fn write_head(to: &mut Vec<u8>, n: usize, short: Option<(u8, usize)>, one: Option<u8>, two: u8) {
    match (short, one) {
        (Some((lead, most)), _) if n <= most => to.push(lead | n as u8),
        (_, Some(lead)) if n < 1 << 8 => to.extend_from_slice(&[lead, n as u8]),
        _ if n < 1 << 16 => {
            to.push(two);
            to.extend_from_slice(&(n as u16).to_be_bytes());
        }
        _ => {
            to.push(two + 1);
            to.extend_from_slice(&(n as u32).to_be_bytes());
        }
    }
}

pub(crate) fn write_bin(to: &mut Vec<u8>, bytes: &[u8]) {
    write_head(to, bytes.len(), None, Some(0xc4), 0xc5);
    to.extend_from_slice(bytes);
}

impl ToValue for str {
    fn write(&self, to: &mut Vec<u8>) {
        write_head(to, self.len(), Some((0xa0, 31)), Some(0xd9), 0xda);
        to.extend_from_slice(self.as_bytes());
    }
}

impl ToValue for String {
    fn write(&self, to: &mut Vec<u8>) {
        self.as_str().write(to);
    }
}

impl ToValue for bool {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(0xc2 + u8::from(*self));
    }
}

impl ToValue for u64 {
    fn write(&self, to: &mut Vec<u8>) {
        let (v, bytes) = (*self, self.to_be_bytes());
        let width = match v {
            0..=0x7f => return to.push(v as u8),
            0x80..=0xff => 0,
            0x100..=0xffff => 1,
            0x1_0000..=0xffff_ffff => 2,
            _ => 3,
        };
        to.push(0xcc + width as u8);
        to.extend_from_slice(&bytes[8 - (1 << width)..]);
    }
}

impl ToValue for i64 {
    fn write(&self, to: &mut Vec<u8>) {
        let (v, bytes) = (*self, self.to_be_bytes());
        let width = match v {
            0.. => return (v as u64).write(to),
            -0x20..=-1 => return to.push(v as u8),
            -0x80..=-0x21 => 0,
            -0x8000..=-0x81 => 1,
            -0x8000_0000..=-0x8001 => 2,
            _ => 3,
        };
        to.push(0xd0 + width as u8);
        to.extend_from_slice(&bytes[8 - (1 << width)..]);
    }
}

macro_rules! numbers {
    ($($small:ty as $large:ty),+) => {$(
        impl ToValue for $small {
            fn write(&self, to: &mut Vec<u8>) {
                (*self as $large).write(to);
            }
        }
    )+};
}

numbers!(
    u8 as u64,
    u16 as u64,
    u32 as u64,
    usize as u64,
    i8 as i64,
    i16 as i64,
    i32 as i64,
    isize as i64,
    f32 as f64
);

impl ToValue for f64 {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(0xcb);
        to.extend_from_slice(&self.to_be_bytes());
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(to),
            None => to.push(0xc0),
        }
    }
}

impl<T: ToValue> ToValue for [T] {
    fn write(&self, to: &mut Vec<u8>) {
        write_head(to, self.len(), Some((0x90, 15)), None, 0xdc);
        self.iter().for_each(|element| element.write(to));
    }
}

impl<T: ToValue> ToValue for Vec<T> {
    fn write(&self, to: &mut Vec<u8>) {
        self.as_slice().write(to);
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn write(&self, to: &mut Vec<u8>) {
        (**self).write(to);
    }
}

impl ToValue for Value<'_> {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.as_msgpack());
    }
}

/// Of a [`Map`] or [`List`]: a header of 4 bytes for the number, and what is in it.
fn append(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let count = head(bytes).count as u32 + 1;
    bytes[1..5].copy_from_slice(&count.to_be_bytes());
    write(bytes);
}

/// A map of one's own, to be put into a record or emitted.
///
/// ```
/// use flb_filter::Map;
///
/// let mut map = Map::new().with("a", 1).with("tags", vec!["x", "y"]);
/// map.set("a", "one");
/// map.remove("tags");
/// map.set("b", Map::new().with("c", None::<bool>));
/// assert_eq!(format!("{map:?}"), r#"{"a": "one", "b": {"c": nil}}"#);
/// ```
#[derive(Clone)]
pub struct Map {
    bytes: Vec<u8>,
}

impl Map {
    /// Returns an empty map.
    pub fn new() -> Self {
        Map { bytes: [0xdf, 0, 0, 0, 0].to_vec() }
    }

    /// Copies a value that is a map.
    pub fn copy(value: Value) -> Option<Self> {
        if value.kind() != Kind::Map {
            return None;
        }
        let mut map = Map::new();
        map.bytes[1..5].copy_from_slice(&(value.len() as u32).to_be_bytes());
        map.bytes.extend_from_slice(&value.as_msgpack()[head(value.bytes).head..]);
        Some(map)
    }

    /// Adds a member, as [`add`](Map::add) does.
    pub fn with(mut self, key: &str, value: impl ToValue) -> Self {
        self.add(key, value);
        self
    }

    /// Adds a member as the last one, without a look whether its key is there.
    pub fn add(&mut self, key: &str, value: impl ToValue) {
        append(&mut self.bytes, |to| {
            key.write(to);
            value.write(to);
        });
    }

    /// Gives a member a value, or adds it as the last one. It costs a copy of the map.
    pub fn set(&mut self, key: &str, value: impl ToValue) {
        if !self.change(key, Some(&value)) {
            self.add(key, value);
        }
    }

    /// Removes a member, if it is there. It costs a copy of the map.
    pub fn remove(&mut self, key: &str) {
        self.change(key, None::<&bool>);
    }

    /// Gives the first member of that key the value, if there is one, and leaves the others out.
    fn change<T: ToValue>(&mut self, key: &str, value: Option<&T>) -> bool {
        let (mut map, mut value, mut found) = (Map::new(), value, false);
        map.bytes.reserve(self.bytes.len());
        for (k, v) in self.value().members() {
            let is = k.is_key(key);
            found |= is;
            match value {
                Some(new) if is => append(&mut map.bytes, |to| {
                    k.write(to);
                    new.write(to);
                }),
                _ if is => {}
                _ => append(&mut map.bytes, |to| {
                    k.write(to);
                    v.write(to);
                }),
            }
            if is {
                value = None;
            }
        }
        *self = map;
        found
    }

    /// Returns the map as a value, to read it.
    pub fn value(&self) -> Value<'_> {
        Value { bytes: &self.bytes }
    }

    /// Returns what a path leads to.
    pub fn get(&self, path: impl Path) -> Option<Value<'_>> {
        self.value().get(path)
    }
}

impl Default for Map {
    fn default() -> Self {
        Map::new()
    }
}

impl core::fmt::Debug for Map {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.value().fmt(f)
    }
}

impl ToValue for Map {
    fn write(&self, to: &mut Vec<u8>) {
        write_head(to, self.value().len(), Some((0x80, 15)), None, 0xde);
        to.extend_from_slice(&self.bytes[5..]);
    }
}

/// An array of one's own, of values of any kinds. Where all are of one kind, a slice will do.
#[derive(Clone)]
pub struct List {
    bytes: Vec<u8>,
}

impl List {
    /// Returns an empty array.
    pub fn new() -> Self {
        List { bytes: [0xdd, 0, 0, 0, 0].to_vec() }
    }

    /// Appends a value, as [`push`](List::push) does.
    pub fn with(mut self, value: impl ToValue) -> Self {
        self.push(value);
        self
    }

    /// Appends a value.
    pub fn push(&mut self, value: impl ToValue) {
        append(&mut self.bytes, |to| value.write(to));
    }

    /// Returns the array as a value, to read it.
    pub fn value(&self) -> Value<'_> {
        Value { bytes: &self.bytes }
    }
}

impl Default for List {
    fn default() -> Self {
        List::new()
    }
}

impl ToValue for List {
    fn write(&self, to: &mut Vec<u8>) {
        write_head(to, self.value().len(), Some((0x90, 15)), None, 0xdc);
        to.extend_from_slice(&self.bytes[5..]);
    }
}
