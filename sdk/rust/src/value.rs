//! Values of MessagePack: read where they stand, and written.

use alloc::{string::String, vec::Vec};

use crate::path::{Path, Route};

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

/// What the header of a value says; of one without number its first byte says all.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub kind: Kind,
    /// Bytes of the header.
    pub len: usize,
    /// Bytes after it, without the elements of an array or map.
    pub data: usize,
    /// Elements of an array, members of a map.
    pub count: usize,
}

pub(crate) static LEADS: [Head; 256] = {
    let mut leads = [Head { kind: Kind::Int, len: 1, data: 0, count: 0 }; 256];
    let mut lead = 0x80;
    while lead < 0xe0 {
        let (kind, number, data, count) = match lead {
            0x80..=0x8f => (Kind::Map, 0, 0, lead & 15),
            0x90..=0x9f => (Kind::Array, 0, 0, lead & 15),
            0xa0..=0xbf => (Kind::Str, 0, lead & 31, 0),
            0xc0 | 0xc1 => (Kind::Nil, 0, 0, 0),
            0xc2 | 0xc3 => (Kind::Bool, 0, 0, 0),
            0xc4..=0xc6 => (Kind::Bin, 1 << (lead - 0xc4), 0, 0),
            0xc7..=0xc9 => (Kind::Ext, 1 << (lead - 0xc7), 1, 0),
            0xca | 0xcb => (Kind::Float, 0, 4 << (lead - 0xca), 0),
            0xcc..=0xd3 => (Kind::Int, 0, 1 << (lead & 3), 0),
            0xd4..=0xd8 => (Kind::Ext, 0, 1 + (1 << (lead - 0xd4)), 0),
            0xd9..=0xdb => (Kind::Str, 1 << (lead - 0xd9), 0, 0),
            0xdc | 0xdd => (Kind::Array, 2 << (lead - 0xdc), 0, 0),
            _ => (Kind::Map, 2 << (lead - 0xde), 0, 0),
        };
        leads[lead] = Head { kind, len: 1 + number, data, count };
        lead += 1;
    }
    leads
};

#[inline]
pub(crate) fn head(p: &[u8]) -> Head {
    let h = LEADS[usize::from(p[0])];
    let number = if h.len == 1 { 0 } else { number(p, h.len) };
    match h.kind {
        Kind::Map | Kind::Array => Head { count: h.count + number, ..h },
        _ => Head { data: h.data + number, ..h },
    }
}

#[inline(never)]
fn number(p: &[u8], len: usize) -> usize {
    p[1..len].iter().fold(0, |number, b| number << 8 | usize::from(*b))
}

/// Returns how many bytes the value at the beginning of `p` has.
#[inline]
pub(crate) fn size(p: &[u8]) -> usize {
    match LEADS[usize::from(p[0])] {
        Head { len: 1, count: 0, data, .. } => 1 + data,
        _ => long_size(p),
    }
}

#[inline(never)]
fn long_size(p: &[u8]) -> usize {
    let (mut at, mut left) = (0, 1);
    while left > 0 {
        left -= 1;
        at += match LEADS[usize::from(p[at])] {
            Head { len: 1, count: 0, data, .. } => 1 + data,
            _ => {
                let h = head(&p[at..]);
                left += if h.kind == Kind::Map { 2 * h.count } else { h.count };
                h.len + h.data
            }
        };
    }
    at
}

/// Returns where a byte is first, or how many bytes there are.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(crate) fn position(bytes: &[u8], byte: u8) -> usize {
    let mut at = 0;
    #[cfg(target_arch = "wasm32")]
    {
        use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_splat, v128_load};
        for chunk in bytes.chunks_exact(16) {
            let same = u8x16_eq(unsafe { v128_load(chunk.as_ptr().cast()) }, u8x16_splat(byte));
            match u8x16_bitmask(same) {
                0 => at += 16,
                mask => return at + mask.trailing_zeros() as usize,
            }
        }
    }
    at += bytes[at..].iter().position(|b| *b == byte).unwrap_or(bytes.len() - at);
    at
}

/// Appends bytes. Keys and values have a few: to call `memcpy` takes longer than to copy these, and that of
/// older Rusts goes byte by byte.
#[inline]
pub(crate) fn append(to: &mut Vec<u8>, bytes: &[u8]) {
    let (start, n, mut at) = (to.len(), bytes.len(), 0);
    to.reserve(n);
    // There is room for n bytes behind the start, and no more are read or written.
    unsafe {
        let (from, end) = (bytes.as_ptr(), to.as_mut_ptr().add(start));
        let copy =
            |at| end.add(at).cast::<u64>().write_unaligned(from.add(at).cast::<u64>().read_unaligned());
        while at + 8 < n {
            copy(at);
            at += 8;
        }
        match n {
            0..=7 => (0..n).for_each(|i| *end.add(i) = *from.add(i)),
            _ => copy(n - 8), // again, some of them
        }
        to.set_len(start + n);
    }
}

/// A value of a record, read where it stands: nothing is parsed but what is asked for.
///
/// ```
/// use flb_filter::Map;
///
/// let map = Map::new().with("http", Map::new().with("status", 404)).with("a.b", "dots").with("items", [7, 8]);
/// let value = map.value();
/// assert_eq!(value.get("http.status").and_then(|v| v.as_i64()), Some(404));
/// assert_eq!(value.get("a.b").and_then(|v| v.as_str()), Some("dots"));
/// assert_eq!(value.get(["items", "1"]).and_then(|v| v.as_u64()), Some(8));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// Begins with the value, and goes on behind it.
    pub(crate) bytes: &'a [u8],
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
    #[inline]
    pub fn kind(self) -> Kind {
        LEADS[usize::from(self.bytes[0])].kind
    }

    /// Returns the text of a string of UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        core::str::from_utf8(self.as_bytes().filter(|_| self.kind() == Kind::Str)?).ok()
    }

    /// Returns the bytes of a string, UTF-8 or not, or of a bin.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        let h = head(self.bytes);
        matches!(h.kind, Kind::Str | Kind::Bin).then(|| &self.bytes[h.len..h.len + h.data])
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
        (self.kind() == Kind::Bool).then(|| self.bytes[0] == 0xc3)
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
        path.route().follow(self, None).value
    }

    /// Returns the elements of an array; none if it is not one.
    pub fn elements(self) -> impl Iterator<Item = Value<'a>> {
        self.entries(Kind::Array).map(|(_, element)| element)
    }

    /// Returns the members of a map, as key and value; none if it is not one.
    pub fn members(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        self.entries(Kind::Map)
    }

    /// Returns members, or elements twice, if it is of that kind; their bytes end where they do.
    pub(crate) fn entries(self, kind: Kind) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let h = head(self.bytes);
        let mut rest = &self.bytes[h.len..];
        let mut take = move || {
            let (value, after) = rest.split_at(size(rest));
            rest = after;
            Value { bytes: value }
        };
        (0..if h.kind == kind { h.count } else { 0 }).map(move |_| {
            let first = take();
            (first, if kind == Kind::Map { take() } else { first })
        })
    }

    #[inline]
    pub(crate) fn is_key(self, key: &str) -> bool {
        let h = head(self.bytes);
        h.kind == Kind::Str && h.data == key.len() && &self.bytes[h.len..h.len + h.data] == key.as_bytes()
    }

    /// Returns the value of the first member of that key.
    pub(crate) fn member(self, key: &str) -> Option<Value<'a>> {
        self.members().find(|(k, _)| k.is_key(key)).map(|(_, value)| value)
    }

    /// Returns where the value stands in `whole`, which it is a part of.
    pub(crate) fn place(self, whole: &[u8]) -> core::ops::Range<usize> {
        let at = self.bytes.as_ptr() as usize - whole.as_ptr() as usize;
        at..at + size(self.bytes)
    }
}

/// What can be put into a record: text, numbers, booleans, `None` for nil, arrays, slices and vectors (of
/// `&dyn ToValue` where the elements differ), a [`Map`], a [`Value`] of another place.
pub trait ToValue {
    /// Appends the value as MessagePack: one whole value.
    fn write(&self, to: &mut Vec<u8>);
}

/// Writes the header of a text, array or map, of so many bytes, elements or members.
pub(crate) fn write_head(to: &mut Vec<u8>, kind: Kind, n: usize) {
    let (short, most, lead) = match kind {
        Kind::Str => (0xa0, 32, 0xd9),
        Kind::Bin => (0, 0, 0xc4),
        Kind::Array => (0x90, 16, 0xdb),
        _ => (0x80, 16, 0xdd),
    };
    match n {
        _ if n < most => to.push(short | n as u8),
        0..=0xff if most != 16 => write_number(to, lead, 0, n as u64),
        _ => write_number(to, lead, if n > 0xffff { 2 } else { 1 }, n as u64),
    }
}

/// Writes a number of 1, 2, 4 or 8 bytes, whose lead bytes follow each other.
pub(crate) fn write_number(to: &mut Vec<u8>, lead: u8, width: usize, n: u64) {
    to.push(lead + width as u8);
    append(to, &n.to_be_bytes()[8 - (1 << width)..]);
}

pub(crate) fn write_text(to: &mut Vec<u8>, text: &[u8], kind: Kind) {
    write_head(to, kind, text.len());
    append(to, text);
}

/// Writes a whole number: not beyond what i64 or u64 has.
fn write_int(to: &mut Vec<u8>, v: i128) {
    let (lead, width) = match v {
        -0x20..=0x7f => return to.push(v as u8),
        0x80.. => (0xcc, [0xff, 0xffff, 0xffff_ffff].iter().filter(|most| v > **most).count()),
        _ => (0xd0, [-0x80, -0x8000, -0x8000_0000].iter().filter(|least| v < **least).count()),
    };
    write_number(to, lead, width, v as u64);
}

macro_rules! to_value {
    ($($(@[$($generic:tt)+])? $type:ty: |$value:ident, $to:ident| $write:expr;)+) => {$(
        impl$(<$($generic)+>)? ToValue for $type {
            fn write(&self, $to: &mut Vec<u8>) {
                let $value = self;
                $write
            }
        }
    )+};
    ($($int:ty)+) => { to_value! { $($int: |v, to| write_int(to, *v as i128);)+ } };
}

to_value! { u8 u16 u32 u64 usize i8 i16 i32 i64 isize }
to_value! {
    str: |text, to| write_text(to, text.as_bytes(), Kind::Str);
    String: |text, to| text[..].write(to);
    bool: |v, to| to.push(0xc2 + u8::from(*v));
    f64: |v, to| write_number(to, 0xc8, 3, v.to_bits());
    f32: |v, to| f64::from(*v).write(to);
    @[T: ToValue] Option<T>: |v, to| match v { Some(v) => v.write(to), None => to.push(0xc0) };
    @[T: ToValue] [T]: |list, to| { write_head(to, Kind::Array, list.len()); list.iter().for_each(|v| v.write(to)) };
    @[T: ToValue] Vec<T>: |list, to| list[..].write(to);
    @[T: ToValue, const N: usize] [T; N]: |list, to| list[..].write(to);
    @[T: ToValue + ?Sized] &T: |v, to| (**v).write(to);
    Value<'_>: |v, to| append(to, v.as_msgpack());
    crate::TableValue: |v, to| v.value().write(to);
    Map: |map, to| { write_head(to, Kind::Map, map.value().len()); append(to, &map.bytes[5..]) };
}

/// A map of one's own, to be put into a record or emitted.
///
/// ```
/// use flb_filter::Map;
///
/// let mut map = Map::new().with("a", 1).with("tags", ["x", "y"]);
/// map.set("a", "one");
/// map.remove("tags");
/// map.set("b.c", None::<bool>);
/// assert_eq!(flb_filter::testing::json(map.value()), r#"{"a":"one","b":{"c":null}}"#);
/// ```
#[derive(Clone, Debug)]
pub struct Map {
    /// The map, with a header of 5 bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Map {
    /// Returns an empty map.
    pub fn new() -> Self {
        Map { bytes: [0xdf, 0, 0, 0, 0].to_vec() }
    }

    /// Copies a value that is a map.
    pub fn copy(value: Value) -> Option<Self> {
        let mut map = Map::new();
        map.append(value.len() as u32, &value.as_msgpack()[head(value.bytes).len..]);
        (value.kind() == Kind::Map).then_some(map)
    }

    /// Adds a member, as [`add`](Map::add) does.
    pub fn with(mut self, key: &str, value: impl ToValue) -> Self {
        self.add(key, value);
        self
    }

    /// Adds a member as the last one, without a look whether its key is there.
    pub fn add(&mut self, key: &str, value: impl ToValue) {
        key.write(&mut self.bytes);
        value.write(&mut self.bytes);
        self.append(1, &[]);
    }

    /// Appends members, so many of them.
    pub(crate) fn append(&mut self, count: u32, members: &[u8]) {
        let count = self.value().len() as u32 + count;
        self.bytes[1..5].copy_from_slice(&count.to_be_bytes());
        append(&mut self.bytes, members);
    }

    /// Gives what the path leads to the value, as [`Part::set`](crate::Part::set) does. Returns false, and
    /// changes nothing, where a value that is not a map is in the way.
    pub fn set(&mut self, path: impl Path, value: impl ToValue) -> bool {
        self.change(path.route(), Some(&value))
    }

    /// Removes what the path leads to, if it is there.
    pub fn remove(&mut self, path: impl Path) {
        self.change(path.route(), None);
    }

    pub(crate) fn change(&mut self, route: Route, value: Option<&dyn ToValue>) -> bool {
        let mut changed = Vec::new();
        let to = route.follow(self.value(), None);
        let place = to.holder.place(&self.bytes);
        let done = to.write_changed(value, &mut changed);
        if done {
            self.bytes.splice(place, changed);
        }
        done
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
