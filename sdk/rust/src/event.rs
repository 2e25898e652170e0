use alloc::{string::String, string::ToString, vec::Vec};
use core::fmt::Display;

use crate::batch::{kind, Bytes, Emitted, Op, Out};
use crate::part::Part;
use crate::path::Path;
use crate::value::{Kind, Map, Value};

/// Why an event has failed. The host counts it and logs it with its text; `on_error` of the
/// filter says what becomes of the event. Texts, and errors of other kinds, become one with the code 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub code: u32,
    /// The host takes 1,024 bytes of it.
    pub text: String,
}

impl<T: Display> From<T> for Error {
    fn from(why: T) -> Self {
        Error { code: 1, text: why.to_string() }
    }
}

/// When an event happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since the epoch.
    pub sec: i64,
    /// Nanoseconds of the second.
    pub nsec: u32,
}

/// A further event, to be [emitted](Event::emit): a [`Map`] becomes one with that body.
pub struct Emit {
    pub body: Map,
    /// Unless it has its own, it has the metadata of the event that it is emitted from, with all edits.
    pub metadata: Option<Map>,
    /// Unless it has its own, it has the time of the event, as that is set in the end.
    pub time: Option<Time>,
    /// Says whether it is in the group of the event.
    pub in_group: bool,
}

impl From<Map> for Emit {
    fn from(body: Map) -> Self {
        Emit { body, metadata: None, time: None, in_group: true }
    }
}

/// An event: what a filter is called for.
pub struct Event<'a> {
    /// The record.
    pub body: Part<'a>,
    /// The metadata: with OTLP what a log record has beside its body.
    pub metadata: Part<'a>,
    pub(crate) tag: &'a str,
    pub(crate) time: Time,
    pub(crate) new_time: Option<Time>,
    pub(crate) group: Option<Value<'a>>,
    pub(crate) dropped: bool,
    pub(crate) out: &'a mut Out,
    /// Where in `out.emitted` and `out.extra` what is this event's begins.
    pub(crate) first: (usize, usize),
}

impl<'a> Event<'a> {
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
            return Err("the time is not one that an event can have".into());
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

    /// Has the event go on under another tag, with the edits of the body so far, through the filters and outputs
    /// that match it; a body without edits costs no copy. Under its own tag it is dropped. `emit_tags` of the
    /// filter has to grant the tag: another one fails the event.
    pub fn route(&mut self, tag: &str) {
        let (came, in_place) = (self.body.value().as_msgpack(), !self.body.is_edited());
        let body = match in_place {
            true => Bytes { at: (came.as_ptr() as usize - self.out.input) as u32, len: came.len() as u32 },
            false => self.out.keep(&[&self.body.edited().bytes]),
        };
        let (tag, kind) = (self.out.keep(&[tag.as_bytes()]), kind::EMIT_TO);
        self.out.emitted.push(Emitted { tag, body, in_place, kind, ..Emitted::default() });
        self.dropped = true;
    }

    /// Emits a further event, which comes after this one and those emitted before.
    pub fn emit(&mut self, event: impl Into<Emit>) {
        self.emit_as(kind::EMIT, "", event.into());
    }

    /// Emits a further event under another tag, which `emit_tags` of the filter has to grant: another one fails
    /// this event.
    pub fn emit_to(&mut self, tag: &str, event: impl Into<Emit>) {
        self.emit_as(kind::EMIT_TO, tag, event.into());
    }

    fn emit_as(&mut self, kind: u8, tag: &str, Emit { body, metadata, time, in_group }: Emit) {
        let metadata = metadata.filter(|_| self.metadata.has_form());
        let metadata = metadata.map_or(Bytes::default(), |map| self.out.keep(&[&map.bytes]));
        let (body, tag) = (self.out.keep(&[&body.bytes]), self.out.keep(&[tag.as_bytes()]));
        let Time { sec, nsec } = time.unwrap_or(Time { sec: -1, nsec: 0 });
        let group = if in_group { u32::MAX } else { 0 };
        self.out.emitted.push(Emitted { sec, nsec, group, metadata, body, tag, kind, in_place: false });
    }

    /// Makes an event for each element of an array, which takes the place of the array at that path, in
    /// this event with the edits so far. The event itself is dropped. What is not an array, or is
    /// empty, is left as it is.
    pub fn split(&mut self, path: impl Path) {
        let route = path.route();
        let has_elements = |value: &Value| value.kind() == Kind::Array && !value.is_empty();
        let to = self.body.find(route);
        if to.value.filter(has_elements).is_none() && !self.body.is_touched(route, &to, false) {
            return;
        }
        self.body.make_whole();
        let whole = &self.body.edits.whole;
        if let Some(array) = route.follow(whole.value(), None).value.filter(has_elements) {
            let place = array.place(&whole.bytes);
            let (before, after) = (&whole.bytes[..place.start], &whole.bytes[place.end..]);
            for element in array.elements() {
                let body = self.out.keep(&[before, element.bytes, after]);
                self.out.emitted.push(Emitted { body, ..Emitted::default() });
            }
            self.dropped = true;
        }
    }

    /// Says what is to become of the event, in operations.
    pub(crate) fn finish(&mut self, of: usize, result: Result<(), Error>) {
        let (out, first) = (&mut *self.out, self.first);
        if let Some(error) = out.failure(result, &self.body, &self.metadata, first) {
            return out.ops.push(error.on(of, 0));
        }
        if self.dropped {
            out.ops.push(Op::new(kind::DROP, 0, 0, Bytes::default()).on(of, 0));
        } else {
            self.body.finish(of, 0, &mut out.ops);
        }
        // What is emitted has the time and metadata that the event is left with.
        if !self.dropped || out.emitted.len() > first.0 {
            if let Some(time) = self.new_time {
                out.ops.push(Op::new(kind::TIME, time.sec as u32, time.nsec, Bytes::default()).on(of, 0));
            }
            self.metadata.finish(of, 1, &mut out.ops);
        }
        for (i, emitted) in out.emitted.iter().enumerate().skip(first.0) {
            out.ops.push(Op::new(emitted.kind, 0, 0, Bytes { at: i as u32, len: 40 }).on(of, 0));
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
    /// Says what is to become of the group, in operations. Returns true if it has failed.
    pub(crate) fn finish(
        &mut self, of: usize, result: Result<(), Error>, ops: &mut Vec<Op>, out: &mut Out,
    ) -> bool {
        let first = (out.emitted.len(), out.extra.len());
        let failure = out.failure(result, &self.body, &self.metadata, first);
        ops.extend(failure.map(|error| error.on(of, 0)));
        if failure.is_none() {
            self.body.finish(of, 0, ops);
            self.metadata.finish(of, 1, ops);
        }
        failure.is_some()
    }
}

/// A filter with a state, or a configuration, of its own.
pub trait Filter: Sized {
    /// Makes the filter, before the first event. An error keeps Fluent Bit from starting, with its text.
    fn configure() -> Result<Self, Error>;

    /// Is called for each event. An error is that of this event alone.
    fn filter(&mut self, event: &mut Event) -> Result<(), Error>;

    /// Is called for each group that may be changed, before the events of the batch. An error leaves the
    /// group as it is, and fails its events in the batch, for which the filter is not called.
    fn group(&mut self, _group: &mut Group) -> Result<(), Error> {
        Ok(())
    }

    /// Is called every `tick_interval` of the filter, also when no events come, if the filter is exported by
    /// `export!(Type, tick);`. It hands over what is held by [`emit_to`](crate::emit_to): all of it, if this is
    /// the `last` call of the instance. An error is logged, and nothing that the call has emitted comes out.
    fn tick(&mut self, _last: bool) -> Result<(), Error> {
        Ok(())
    }
}
