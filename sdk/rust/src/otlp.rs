//! Modules that see metrics and traces, in Fluent Bit's processor `wasmtime`: each payload as an OTLP request, of
//! which they read and edit what they name. What they don't touch stays as it came, byte for byte, with fields that
//! this crate does not know.
//!
//! ```
//! use flb_filter::otlp::{self, Output, Request};
//! use flb_filter::Error;
//!
//! struct Health;
//!
//! impl otlp::Filter for Health {
//!     fn configure() -> Result<Self, Error> {
//!         Ok(Health)
//!     }
//!
//!     fn traces(&mut self, request: &mut Request) -> Result<(), Error> {
//!         for mut span in request.spans() {
//!             if span.attributes().get("http.route").and_then(|v| v.as_str()) == Some("/health") {
//!                 span.drop();
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! flb_filter::export_otlp!(Health);
//!
//! // Its test:
//! let output = otlp::run(b"", |request| Health.traces(request)).unwrap();
//! # use flb_filter::otlp::Filter;
//! assert_eq!(output, Output::Kept);
//! ```

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::cell::UnsafeCell;

use crate::Error;

// The types of fields on the wire.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

/// A module for metrics and traces.
pub trait Filter: Sized {
    /// Makes the filter, before the first payload. An error keeps Fluent Bit from starting, with its text.
    fn configure() -> Result<Self, Error>;

    /// Is called for each payload of metrics. An error is logged; the payload passes as it came, or is dropped
    /// by `on_error`.
    fn metrics(&mut self, _request: &mut Request) -> Result<(), Error> {
        Ok(())
    }

    /// Is called for each payload of traces. An error is as that of metrics.
    fn traces(&mut self, _request: &mut Request) -> Result<(), Error> {
        Ok(())
    }
}

/// What becomes of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nothing was changed.
    Kept,
    Dropped,
    /// The request that takes its place.
    Replaced(Vec<u8>),
}

/// Runs a function on a request.
pub fn run(
    payload: &[u8], function: impl FnOnce(&mut Request) -> Result<(), Error>,
) -> Result<Output, Error> {
    let mut request = Request(Message::new(payload, 1, 0));
    function(&mut request)?;
    let message = request.0;
    if message.is_broken() {
        return Err("the payload is not valid protobuf".into());
    }
    if message.dropped || message.is_empty() {
        return Ok(Output::Dropped);
    }
    if !message.is_changed() {
        return Ok(Output::Kept);
    }
    let mut to = Vec::with_capacity(payload.len() + payload.len() / 8);
    message.encode(&mut to);
    Ok(Output::Replaced(to))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = bytes.iter().take(10).position(|b| *b < 0x80)? + 1;
    let n = bytes[..len].iter().rev().fold(0, |n, b| n << 7 | u64::from(b & 0x7f));
    Some((n, &bytes[len..]))
}

fn write_varint(to: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

fn write_field(to: &mut Vec<u8>, number: u32, wire: u8, value: &[u8]) {
    write_varint(to, u64::from(number << 3 | u32::from(wire)));
    if wire == BYTES {
        write_varint(to, value.len() as u64);
    }
    to.extend_from_slice(value);
}

/// A field of a message: its bytes, and where in them its value begins.
struct Field<'a> {
    number: u32,
    wire: u8,
    raw: Cow<'a, [u8]>,
    at: usize,
    child: Option<Message<'a>>,
}

impl<'a> Field<'a> {
    /// Reads the first field of some bytes, and returns what is left.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (tag, mut rest) = varint(bytes)?;
        let wire = (tag & 7) as u8;
        let len = match wire {
            VARINT => rest.len() - varint(rest)?.1.len(),
            FIXED64 => 8,
            FIXED32 => 4,
            BYTES => {
                let (len, after) = varint(rest)?;
                rest = after;
                usize::try_from(len).ok()?
            }
            _ => return None, // groups were never in OTLP
        };
        let number = u32::try_from(tag >> 3).ok().filter(|n| (1..1 << 29).contains(n))?;
        let after = rest.get(len..)?;
        let raw = &bytes[..bytes.len() - after.len()];
        let at = bytes.len() - rest.len();
        Some((Field { number, wire, raw: Cow::Borrowed(raw), at, child: None }, after))
    }

    fn new(number: u32, wire: u8, value: &[u8]) -> Self {
        let mut raw = Vec::new();
        write_field(&mut raw, number, wire, value);
        let at = raw.len() - value.len();
        Field { number, wire, raw: Cow::Owned(raw), at, child: None }
    }

    fn value(&self) -> &[u8] {
        &self.raw[self.at..]
    }

    /// Returns a number of whatever width, as its bits.
    fn bits(&self) -> u64 {
        match self.wire {
            VARINT => varint(self.value()).map_or(0, |(n, _)| n),
            BYTES => 0,
            _ => self.value().iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)),
        }
    }

    /// Returns the message that the field holds: one that came, for others are not asked for.
    fn child(&mut self, items: u32, attributes: u32) -> &mut Message<'a> {
        let raw = match &self.raw {
            Cow::Borrowed(raw) => &raw[self.at..],
            Cow::Owned(_) => &[],
        };
        self.child.get_or_insert_with(|| Message::new(raw, items, attributes))
    }
}

/// A message, whose fields are found when one is asked for. Those that are not edited are written as they came.
struct Message<'a> {
    raw: &'a [u8],
    fields: Vec<Field<'a>>,
    /// The fields without which it is dropped, once they have been.
    items: u32,
    /// The fields that are its attributes.
    attributes: u32,
    read: bool,
    broken: bool,
    edited: bool,
    dropped: bool,
}

impl<'a> Message<'a> {
    fn new(raw: &'a [u8], items: u32, attributes: u32) -> Self {
        let fields = Vec::new();
        Message { raw, fields, items, attributes, read: false, broken: false, edited: false, dropped: false }
    }

    fn fields(&mut self) -> &mut Vec<Field<'a>> {
        let mut rest = if self.read { &[][..] } else { self.raw };
        self.read = true;
        while !rest.is_empty() && !self.broken {
            match Field::read(rest) {
                Some((field, after)) => {
                    self.fields.push(field);
                    rest = after;
                }
                None => self.broken = true,
            }
        }
        &mut self.fields
    }

    fn children<'m>(
        &'m mut self, number: u32, items: u32, attributes: u32,
    ) -> impl Iterator<Item = &'m mut Message<'a>> + 'm {
        let fields = self.fields().iter_mut();
        let of_number = fields.filter(move |field| field.number == number && field.wire == BYTES);
        of_number.map(move |field| field.child(items, attributes)).filter(|message| !message.dropped)
    }

    /// Returns the message in a field of that number, which is made if it is not there; empty it is not written.
    fn one(&mut self, number: u32, attributes: u32) -> &mut Message<'a> {
        let i = self.last(number).unwrap_or_else(|| {
            self.fields.push(Field { number, wire: BYTES, raw: Cow::Borrowed(&[]), at: 0, child: None });
            self.fields.len() - 1
        });
        self.fields[i].child(0, attributes)
    }

    /// Returns where the field of that number is which counts.
    fn last(&mut self, number: u32) -> Option<usize> {
        self.fields().iter().rposition(|field| field.number == number)
    }

    fn text(&mut self, number: u32) -> &str {
        let i = self.last(number).filter(|i| self.fields[*i].wire == BYTES);
        i.and_then(|i| core::str::from_utf8(self.fields[i].value()).ok()).unwrap_or_default()
    }

    fn bytes(&mut self, number: u32) -> &[u8] {
        let i = self.last(number).filter(|i| self.fields[*i].wire == BYTES);
        i.map_or(&[], |i| self.fields[i].value())
    }

    fn bits(&mut self, number: u32) -> u64 {
        self.last(number).map_or(0, |i| self.fields[i].bits())
    }

    /// Makes a field of that number the only one, in the place of the first.
    fn set(&mut self, number: u32, wire: u8, value: &[u8]) {
        let new = Field::new(number, wire, value);
        match self.fields().iter().position(|field| field.number == number) {
            Some(i) => {
                self.fields[i] = new;
                let mut n = 0;
                self.retain(|field| {
                    n += usize::from(field.number == number);
                    field.number != number || n == 1
                });
            }
            None => self.fields.push(new),
        }
        self.edited = true;
    }

    /// Keeps fields; returns true if others are gone.
    fn retain(&mut self, keep: impl FnMut(&Field) -> bool) -> bool {
        let before = self.fields().len();
        self.fields.retain(keep);
        self.edited |= self.fields.len() < before;
        self.fields.len() < before
    }

    fn is_broken(&self) -> bool {
        self.broken || self.fields.iter().any(|f| f.child.as_ref().map_or(false, Message::is_broken))
    }

    fn is_changed(&self) -> bool {
        let changed = |field: &Field| field.child.as_ref().map_or(false, |c| c.dropped || c.is_changed());
        self.edited || self.fields.iter().any(changed)
    }

    /// Says whether all that the message is there for has been dropped.
    fn is_empty(&self) -> bool {
        let gone = |field: &Field| field.child.as_ref().map_or(false, |c| c.dropped || c.is_empty());
        let mut items = self.fields.iter().filter(|field| field.number == self.items).peekable();
        items.peek().is_some() && items.all(gone)
    }

    fn encode(&self, to: &mut Vec<u8>) {
        for field in &self.fields {
            match &field.child {
                Some(child) if child.dropped || child.is_empty() => {}
                Some(child) if child.is_changed() => {
                    let mut inner = Vec::new();
                    child.encode(&mut inner);
                    write_field(to, field.number, BYTES, &inner);
                }
                _ => to.extend_from_slice(&field.raw),
            }
        }
    }
}

macro_rules! nodes {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        pub struct $name<'m, 'a>(&'m mut Message<'a>);

        impl<'a> $name<'_, 'a> {
            /// Drops it. What then holds nothing more is dropped with it.
            pub fn drop(&mut self) {
                self.0.dropped = true;
            }
        }
    )+};
}

nodes! {
    /// What there is of a resource.
    Resource;
    /// What there is of an instrumentation scope.
    Scope;
    /// A metric, with its data points.
    Metric;
    /// A data point of a metric.
    Point;
    /// A span of a trace.
    Span;
    /// An event of a span, or a link to another one.
    Item;
}

/// A payload.
pub struct Request<'a>(Message<'a>);

impl<'a> Request<'a> {
    /// Drops the payload.
    #[allow(clippy::should_implement_trait)]
    pub fn drop(&mut self) {
        self.0.dropped = true;
    }

    /// Returns what there is of each resource.
    pub fn resources<'m>(&'m mut self) -> impl Iterator<Item = Resource<'m, 'a>> + 'm {
        self.0.children(1, 2, 0).map(Resource)
    }

    fn inner<'m>(&'m mut self, attributes: u32) -> impl Iterator<Item = &'m mut Message<'a>> + 'm {
        let scopes = self.0.children(1, 2, 0).flat_map(|resource| resource.children(2, 2, 0));
        scopes.flat_map(move |scope| scope.children(2, 0, attributes))
    }

    /// Returns all metrics.
    pub fn metrics<'m>(&'m mut self) -> impl Iterator<Item = Metric<'m, 'a>> + 'm {
        self.inner(12).map(Metric)
    }

    /// Returns all spans.
    pub fn spans<'m>(&'m mut self) -> impl Iterator<Item = Span<'m, 'a>> + 'm {
        self.inner(9).map(Span)
    }
}

impl<'a> Resource<'_, 'a> {
    /// Returns the attributes of the resource.
    pub fn attributes(&mut self) -> Attributes<'_, 'a> {
        Attributes(self.0.one(1, 1))
    }

    /// Returns what there is of each scope.
    pub fn scopes<'m>(&'m mut self) -> impl Iterator<Item = Scope<'m, 'a>> + 'm {
        self.0.children(2, 2, 0).map(Scope)
    }
}

impl<'a> Scope<'_, 'a> {
    /// Returns the name of the scope.
    pub fn name(&mut self) -> &str {
        self.0.one(1, 3).text(1)
    }

    /// Returns the attributes of the scope.
    pub fn attributes(&mut self) -> Attributes<'_, 'a> {
        Attributes(self.0.one(1, 3))
    }

    /// Returns the metrics of the scope.
    pub fn metrics<'m>(&'m mut self) -> impl Iterator<Item = Metric<'m, 'a>> + 'm {
        self.0.children(2, 0, 12).map(Metric)
    }

    /// Returns the spans of the scope.
    pub fn spans<'m>(&'m mut self) -> impl Iterator<Item = Span<'m, 'a>> + 'm {
        self.0.children(2, 0, 9).map(Span)
    }
}

/// What kind of metric one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Gauge = 5,
    Sum = 7,
    Histogram = 9,
    ExponentialHistogram = 10,
    Summary = 11,
}

impl<'a> Metric<'_, 'a> {
    /// Returns the name.
    pub fn name(&mut self) -> &str {
        self.0.text(1)
    }

    /// Renames the metric.
    pub fn set_name(&mut self, name: &str) {
        self.0.set(1, BYTES, name.as_bytes());
    }

    /// Returns the description.
    pub fn description(&mut self) -> &str {
        self.0.text(2)
    }

    /// Sets the description.
    pub fn set_description(&mut self, text: &str) {
        self.0.set(2, BYTES, text.as_bytes());
    }

    /// Returns the unit.
    pub fn unit(&mut self) -> &str {
        self.0.text(3)
    }

    /// Sets the unit. Values stay as they are.
    pub fn set_unit(&mut self, unit: &str) {
        self.0.set(3, BYTES, unit.as_bytes());
    }

    /// Returns what kind of metric it is, if it is one that this crate knows.
    pub fn kind(&mut self) -> Option<Type> {
        use Type::*;
        let kinds = [Gauge, Sum, Histogram, ExponentialHistogram, Summary];
        let fields = self.0.fields().iter().rev();
        fields.filter_map(|f| kinds.into_iter().find(|kind| *kind as u32 == f.number)).next()
    }

    /// Returns the data points. A metric all of whose points are dropped is dropped.
    pub fn points<'m>(&'m mut self) -> impl Iterator<Item = Point<'m, 'a>> + 'm {
        let kind = self.kind();
        let attributes = match kind {
            Some(Type::Histogram) => 9,
            Some(Type::ExponentialHistogram) => 1,
            _ => 7,
        };
        self.0.items = kind.map_or(0, |kind| kind as u32);
        // Of a summary no number is asked for: its points have no items.
        let items = if matches!(kind, Some(Type::Gauge | Type::Sum)) { NUMBER } else { 0 };
        let data = self.0.children(self.0.items, 1, 0);
        data.flat_map(move |data| data.children(1, items, attributes)).map(Point)
    }
}

/// What points that have a number are marked by: a field that there is not.
const NUMBER: u32 = u32::MAX;

impl<'a> Point<'_, 'a> {
    /// Returns the labels. Without one of them several points may be of one series: they are not added up.
    pub fn attributes(&mut self) -> Attributes<'_, 'a> {
        Attributes(self.0)
    }

    /// Returns when the value was taken, in nanoseconds since the epoch.
    pub fn time(&mut self) -> u64 {
        self.0.bits(3)
    }

    /// Returns the number that a point of a gauge or sum has.
    pub fn value(&mut self) -> Option<f64> {
        let (double, whole) = (self.0.last(4), self.0.last(6));
        match double > whole {
            _ if self.0.items != NUMBER => None,
            true => Some(f64::from_bits(self.0.bits(4))),
            false => whole.map(|_| self.0.bits(6) as i64 as f64),
        }
    }

    /// Gives a point of a gauge or sum another number. Other points stay as they are.
    pub fn set_value(&mut self, value: f64) {
        if self.0.items == NUMBER {
            self.0.retain(|field| field.number != 6);
            self.0.set(4, FIXED64, &value.to_bits().to_le_bytes());
        }
    }
}

impl<'a> Span<'_, 'a> {
    /// Returns the 16 bytes of the trace's number.
    pub fn trace_id(&mut self) -> &[u8] {
        self.0.bytes(1)
    }

    /// Returns the 8 bytes of the span's number.
    pub fn id(&mut self) -> &[u8] {
        self.0.bytes(2)
    }

    /// Returns the 8 bytes of the parent's number; none if it is the first span of a trace.
    pub fn parent_id(&mut self) -> &[u8] {
        self.0.bytes(4)
    }

    /// Returns the name.
    pub fn name(&mut self) -> &str {
        self.0.text(5)
    }

    /// Renames the span.
    pub fn set_name(&mut self, name: &str) {
        self.0.set(5, BYTES, name.as_bytes());
    }

    /// Returns the kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub fn kind(&mut self) -> u64 {
        self.0.bits(6)
    }

    /// Returns when the span began, in nanoseconds since the epoch.
    pub fn start(&mut self) -> u64 {
        self.0.bits(7)
    }

    /// Returns how many nanoseconds the span took.
    pub fn duration(&mut self) -> u64 {
        self.0.bits(8).saturating_sub(self.0.bits(7))
    }

    /// Says whether the span's status is an error.
    pub fn is_error(&mut self) -> bool {
        self.0.one(15, 0).bits(3) == 2
    }

    /// Returns the attributes of the span.
    pub fn attributes(&mut self) -> Attributes<'_, 'a> {
        Attributes(self.0)
    }

    /// Returns the events of the span.
    pub fn events<'m>(&'m mut self) -> impl Iterator<Item = Item<'m, 'a>> + 'm {
        self.0.children(11, 0, 3).map(Item)
    }

    /// Returns the links of the span.
    pub fn links<'m>(&'m mut self) -> impl Iterator<Item = Item<'m, 'a>> + 'm {
        self.0.children(13, 0, 4).map(Item)
    }
}

impl<'a> Item<'_, 'a> {
    /// Returns the name of an event; a link has none.
    pub fn name(&mut self) -> &str {
        match self.0.attributes {
            3 => self.0.text(2),
            _ => "",
        }
    }

    /// Returns the attributes.
    pub fn attributes(&mut self) -> Attributes<'_, 'a> {
        Attributes(self.0)
    }
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'v> {
    Str(&'v str),
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A list, a map, bytes, or text that is not UTF-8: the `AnyValue` as it stands.
    Other(&'v [u8]),
}

impl<'v> Value<'v> {
    fn read(any: &'v [u8]) -> Option<Self> {
        let (mut rest, mut value) = (any, None);
        while let Some((field, after)) = Field::read(rest) {
            let bytes = &rest[field.at..rest.len() - after.len()];
            value = match (field.number, field.wire) {
                (1, BYTES) => Some(core::str::from_utf8(bytes).map_or(Value::Other(any), Value::Str)),
                (2, VARINT) => Some(Value::Bool(field.bits() != 0)),
                (3, VARINT) => Some(Value::Int(field.bits() as i64)),
                (4, FIXED64) => Some(Value::Float(f64::from_bits(field.bits()))),
                (5..=7, BYTES) => Some(Value::Other(any)),
                _ => value,
            };
            rest = after;
        }
        value
    }

    fn write(self, to: &mut Vec<u8>) {
        match self {
            Value::Str(text) => write_field(to, 1, BYTES, text.as_bytes()),
            Value::Bool(is) => write_field(to, 2, VARINT, &[u8::from(is)]),
            Value::Int(n) => {
                to.push(3 << 3 | VARINT);
                write_varint(to, n as u64);
            }
            Value::Float(n) => write_field(to, 4, FIXED64, &n.to_bits().to_le_bytes()),
            Value::Other(any) => to.extend_from_slice(any),
        }
    }

    /// Returns a text.
    pub fn as_str(self) -> Option<&'v str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a whole number.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(n),
            _ => None,
        }
    }

    /// Returns a number, whole or not.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Value::Float(n) => Some(n),
            _ => self.as_i64().map(|n| n as f64),
        }
    }

    /// Returns true or false.
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Value::Bool(is) => Some(is),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty: $kind:ident)+) => {$(
        impl<'v> From<$type> for Value<'v> {
            fn from(value: $type) -> Self {
                Value::$kind(value.into())
            }
        }
    )+};
}

from! { &'v str: Str bool: Bool i64: Int i32: Int f64: Float }

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Value::Str(text)
    }
}

/// The attributes of something: of a data point its labels.
pub struct Attributes<'m, 'a>(&'m mut Message<'a>);

/// Returns key and value of an attribute.
fn attribute(mut bytes: &[u8]) -> (&[u8], Option<Value<'_>>) {
    let (mut key, mut value) = (&[][..], None);
    while let Some((field, after)) = Field::read(bytes) {
        let inner = &bytes[field.at..bytes.len() - after.len()];
        match (field.number, field.wire) {
            (1, BYTES) => key = inner,
            (2, BYTES) => value = Value::read(inner),
            _ => {}
        }
        bytes = after;
    }
    (key, value)
}

impl<'a> Attributes<'_, 'a> {
    fn is(&self, field: &Field, key: &str) -> bool {
        field.number == self.0.attributes && attribute(field.value()).0 == key.as_bytes()
    }

    fn position(&mut self, key: &str) -> Option<usize> {
        self.0.fields();
        self.0.fields.iter().position(|field| self.is(field, key))
    }

    /// Returns the value of a key, if it is there and has one.
    pub fn get(&mut self, key: &str) -> Option<Value<'_>> {
        self.position(key).and_then(|i| attribute(self.0.fields[i].value()).1)
    }

    /// Returns keys and values, in order; keys that are not UTF-8, and values that are empty, are left out.
    pub fn iter(&mut self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let number = self.0.attributes;
        let all = self.0.fields().iter().filter(move |field| field.number == number);
        all.filter_map(|field| match attribute(field.value()) {
            (key, Some(value)) => Some((core::str::from_utf8(key).ok()?, value)),
            _ => None,
        })
    }

    /// Writes an attribute anew with another field, in the place of that which was there.
    fn replace(&mut self, i: usize, number: u32, value: &[u8]) {
        let mut new = Message::new(&[], 0, 0);
        let mut rest = self.0.fields[i].value();
        while let Some((field, after)) = Field::read(rest) {
            new.fields.push(field);
            rest = after;
        }
        new.read = true;
        new.set(number, BYTES, value);
        let mut bytes = Vec::new();
        new.encode(&mut bytes);
        self.0.fields[i] = Field::new(self.0.attributes, BYTES, &bytes);
        self.0.edited = true;
    }

    /// Gives a key a value: text, a `bool`, a number, or one that there is. A key that is not there is added as the last one.
    pub fn set<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        let (mut bytes, mut whole) = (Vec::new(), Vec::new());
        value.into().write(&mut bytes);
        if let Some(i) = self.position(key) {
            return self.replace(i, 2, &bytes);
        }
        write_field(&mut whole, 1, BYTES, key.as_bytes());
        write_field(&mut whole, 2, BYTES, &bytes);
        let field = Field::new(self.0.attributes, BYTES, &whole);
        self.0.fields().push(field);
        self.0.edited = true;
    }

    /// Removes a key, and says whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let number = self.0.attributes;
        self.0.retain(|field| field.number != number || attribute(field.value()).0 != key.as_bytes())
    }

    /// Gives a key another name, if it is there, and says so. What has that name goes.
    pub fn rename(&mut self, key: &str, to: &str) -> bool {
        let found = self.position(key).is_some();
        if found && key != to {
            self.remove(to);
        }
        if let Some(i) = self.position(key).filter(|_| key != to) {
            self.replace(i, 1, to.as_bytes());
        }
        found
    }
}

/// An instance of a module: what [`export_otlp!`](crate::export_otlp) makes functions of.
#[doc(hidden)]
pub struct Instance<F>(UnsafeCell<(Option<F>, Vec<u64>, Vec<u8>, [u32; 4])>);

// A module has one thread, and none of its functions is called while another one runs.
unsafe impl<F> Sync for Instance<F> {}

impl<F: Filter> Instance<F> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Instance(UnsafeCell::new((None, Vec::new(), Vec::new(), [0; 4])))
    }

    #[allow(clippy::mut_from_ref)]
    fn state(&self) -> &mut (Option<F>, Vec<u64>, Vec<u8>, [u32; 4]) {
        unsafe { &mut *self.0.get() }
    }

    /// `flb_buffer`.
    pub fn buffer(&self, size: usize) -> *mut u8 {
        let input = &mut self.state().1;
        *input = Vec::new();
        if input.try_reserve_exact(size / 8 + 1).is_err() {
            return core::ptr::null_mut();
        }
        input.resize(size / 8 + 1, 0);
        input.as_mut_ptr().cast()
    }

    /// `flb_configure`.
    pub fn configure(&self) -> *const u8 {
        #[cfg(all(feature = "std", target_arch = "wasm32"))]
        std::panic::set_hook(std::boxed::Box::new(|why| {
            crate::log::line(crate::log::Level::Error, &alloc::format!("{why}"));
        }));
        let (filter, _, out, _) = self.state();
        match F::configure() {
            Ok(configured) => *filter = Some(configured),
            Err(why) => *out = (why.text + "\0").into_bytes(),
        }
        filter.as_ref().map_or(out.as_ptr(), |_| core::ptr::null())
    }

    /// The function that is called for a payload.
    ///
    /// # Safety
    ///
    /// `input` has to be the address of a payload, as the ABI has it.
    pub unsafe fn run(
        &self, input: *const u8, function: fn(&mut F, &mut Request) -> Result<(), Error>,
    ) -> *const u8 {
        let (filter, _, out, reply) = self.state();
        let filter = filter.as_mut().expect("flb_configure is called before all others");
        let header = core::slice::from_raw_parts(input.cast::<u32>(), 16);
        let payload = core::slice::from_raw_parts(input.add(header[4] as usize), header[5] as usize);
        let operation = match run(payload, |request| function(filter, request)) {
            Ok(Output::Kept) => return core::ptr::null(),
            Ok(Output::Dropped) => 1,
            Ok(Output::Replaced(request)) => {
                *out = request;
                2
            }
            Err(why) => {
                *out = why.text.into_bytes();
                3
            }
        };
        *reply = [operation, 0, out.as_ptr() as usize as u32, out.len() as u32];
        reply.as_ptr().cast()
    }
}

/// Makes a module of an [`otlp::Filter`](crate::otlp::Filter).
#[macro_export]
macro_rules! export_otlp {
    ($filter:ty) => {
        #[allow(dead_code)] // outside of WebAssembly nothing calls what is in it
        const _: () = {
            static INSTANCE: $crate::otlp::Instance<$filter> = $crate::otlp::Instance::new();

            #[cfg_attr(target_arch = "wasm32", link_section = "flb_module", used)]
            static ABOUT: [u8; $crate::otlp::ABOUT.len()] = $crate::otlp::ABOUT;

    $crate::export!(@ "flb_otlp_1" otlp() {});
    $crate::export!(@ "flb_buffer" buffer(size: usize) -> *mut u8 { INSTANCE.buffer(size) });
    $crate::export!(@ "flb_configure" configure() -> *const u8 { INSTANCE.configure() });
            $crate::export!(@ "flb_metrics" metrics(input: *const u8, _len: usize) -> *const u8 {
                unsafe { INSTANCE.run(input, <$filter as $crate::otlp::Filter>::metrics) }
            });
            $crate::export!(@ "flb_traces" traces(input: *const u8, _len: usize) -> *const u8 {
                unsafe { INSTANCE.run(input, <$filter as $crate::otlp::Filter>::traces) }
            });
        };
    };
}

/// What modules say of themselves, in their section `flb_module`.
#[doc(hidden)]
pub const ABOUT: [u8; 47] = *b"language=Rust\nsdk=flb-filter\nsdk_version=0.1.0\n";
