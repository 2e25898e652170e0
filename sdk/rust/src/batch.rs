//! The batch ABI, as docs/abi.md has it.

use alloc::{string::String, vec::Vec};
use core::cell::UnsafeCell;

use crate::event::{Error, Event, Filter, Group, Time};
use crate::part::{Edits, Part};
use crate::value::{append, Value};

pub(crate) mod kind {
    pub const DROP: u8 = 1;
    pub const ERROR: u8 = 2;
    pub const TIME: u8 = 3;
    pub const REPLACE: u8 = 4;
    pub const SET: u8 = 5;
    pub const ADD: u8 = 6;
    pub const REMOVE: u8 = 7;
    pub const PUT: u8 = 8;
    pub const EMIT: u8 = 9;
    pub const EMIT_TO: u8 = 10;
}

/// Where bytes stand in a buffer; once the reply is linked, their address.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Bytes {
    pub at: u32,
    pub len: u32,
}

impl Bytes {
    /// Returns those from a place to the end of what there is.
    pub fn since(start: usize, buffer: &[u8]) -> Self {
        Bytes { at: start as u32, len: (buffer.len() - start) as u32 }
    }

    pub fn of(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.at as usize..][..self.len as usize]
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Op {
    pub of: u32,
    pub kind: u8,
    pub part: u8,
    zero: u16,
    pub a: u32,
    pub b: u32,
    pub bytes: Bytes,
}

impl Op {
    pub fn new(kind: u8, a: u32, b: u32, bytes: Bytes) -> Self {
        Op { of: 0, kind, part: 0, zero: 0, a, b, bytes }
    }

    /// Makes it one on a part of the event of that number.
    pub fn on(self, of: usize, part: u8) -> Self {
        Op { of: of as u32, part, ..self }
    }
}

/// An event that is emitted, which unless told otherwise has time, metadata and group of the one that it is
/// emitted from.
#[repr(C)]
pub(crate) struct Emitted {
    pub sec: i64,
    pub nsec: u32,
    pub group: u32,
    pub metadata: Bytes,
    pub body: Bytes,
    pub tag: Bytes,
    /// The operation.
    pub kind: u8,
    /// The body stands in the input.
    pub in_place: bool,
}

impl Default for Emitted {
    fn default() -> Self {
        let (metadata, body, tag) = Default::default();
        Emitted { sec: -1, nsec: 0, group: u32::MAX, metadata, body, tag, kind: kind::EMIT, in_place: false }
    }
}

/// What is said of the events of a batch, but for the bytes of their edits.
#[derive(Default)]
pub(crate) struct Out {
    pub ops: Vec<Op>,
    pub emitted: Vec<Emitted>,
    /// Texts of errors, and what emitted events consist of.
    pub extra: Vec<u8>,
    /// The address of the input.
    pub input: usize,
    /// There was no memory for something of the event.
    pub refused: bool,
}

impl Out {
    /// Keeps bytes, which are in pieces. If there is no memory it is said so: an allocation that fails
    /// would end the instance, and with it the batch.
    pub fn keep(&mut self, pieces: &[&[u8]]) -> Bytes {
        let (at, size) = (self.extra.len(), pieces.iter().map(|piece| piece.len()).sum::<usize>());
        let grows = self.extra.capacity() - at < size;
        // The next event has to find memory, too, for what is made of it.
        let has_room = |n| Vec::<u8>::new().try_reserve_exact(n).is_ok();
        self.refused |= self.extra.try_reserve(size).is_err() || (grows && !has_room(4 * size + (64 << 10)));
        if !self.refused {
            pieces.iter().for_each(|piece| append(&mut self.extra, piece));
        }
        Bytes { at: at as u32, len: size as u32 }
    }

    /// Returns an error in an operation, if there is one, and forgets what has been emitted from a place on.
    pub fn failure(
        &mut self, result: Result<(), Error>, body: &Part, metadata: &Part, first: (usize, usize),
    ) -> Option<Op> {
        let refused = core::mem::take(&mut self.refused).then_some("no memory for the event");
        let fault = refused.or(body.edits.fault).or(metadata.edits.fault);
        let why = result.err().or_else(|| fault.map(Error::from))?;
        self.emitted.truncate(first.0);
        self.extra.truncate(first.1);
        self.extra.shrink_to(2 * first.1);
        self.extra.extend_from_slice(why.text.as_bytes());
        Some(Op::new(kind::ERROR, why.code, 0, Bytes::since(first.1, &self.extra)))
    }
}

/// The reply to a batch, in buffers that are used again.
#[derive(Default)]
pub(crate) struct Reply {
    pub out: Out,
    pub parts: [Edits; 2],
    pub group_ops: Vec<Op>,
    pub group_parts: [Edits; 2],
    /// Says of groups whether they have failed.
    failed: Vec<bool>,
}

/// Runs a filter on a batch, whose bytes the host vouches for.
pub(crate) fn run<F: Filter>(filter: &mut F, input: &[u8], reply: &mut Reply) {
    let Reply { out, parts, group_ops, group_parts, failed } = reply;
    out.ops.clear();
    out.emitted.clear();
    out.extra.clear();
    out.input = input.as_ptr() as usize;
    group_ops.clear();
    failed.clear();
    parts.iter_mut().chain(group_parts.iter_mut()).for_each(|part| part.bytes.clear());
    let ([body, metadata], [group_body, group_metadata]) = (parts, group_parts);

    let place = |row: &[u8], at| number(row, at) as usize;
    let slice = |row: &[u8], at| &input[place(row, at)..][..place(row, at + 4)];
    let row = |head: usize, i: usize| &input[place(input, head) + i * place(input, head + 8)..];
    let tag = String::from_utf8_lossy(slice(input, 8));
    for i in 0..place(input, 32) {
        let row = &row(28, i)[..24];
        failed.push(false);
        if number(row, 0) & 1 != 0 {
            let mut group = Group {
                metadata: Part::new(slice(row, 8), group_metadata),
                body: Part::new(slice(row, 16), group_body),
            };
            let result = filter.group(&mut group);
            failed[i] = group.finish(i, result, group_ops, out);
        }
    }
    for i in 0..place(input, 20) {
        let event = &row(16, i)[..32];
        let sec = i64::from(number(event, 0)) | i64::from(number(event, 4) as i32) << 32;
        let group = place(event, 12).checked_sub(1);
        if group.map_or(false, |group| failed[group]) {
            continue; // the host fails it with its group
        }
        let first = (out.emitted.len(), out.extra.len());
        let mut event = Event {
            metadata: Part::new(slice(event, 16), metadata),
            body: Part::new(slice(event, 24), body),
            tag: &tag,
            time: Time { sec, nsec: number(event, 8) },
            new_time: None,
            group: group.map(|group| Value::new(slice(row(28, group), 16))),
            dropped: false,
            out,
            first,
        };
        let result = filter.filter(&mut event);
        event.finish(i, result);
    }
}

#[inline(always)]
fn number(row: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]])
}

const CONFIGURED: &str = "flb_configure is called before all others";

/// An instance of a module: what [`export!`](crate::export) makes functions of.
#[doc(hidden)]
pub struct Instance<F>(UnsafeCell<(Option<F>, Option<State>)>);

#[derive(Default)]
struct State {
    input: Vec<u64>,
    reply: Reply,
    head: [u32; 4],
    /// What has failed at last, and a NUL.
    why: String,
}

// A module has one thread, and none of its functions is called while another one runs.
unsafe impl<F> Sync for Instance<F> {}

impl<F: Filter> Instance<F> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Instance(UnsafeCell::new((None, None)))
    }

    #[allow(clippy::mut_from_ref)]
    fn state(&self) -> (&mut Option<F>, &mut State) {
        let (filter, state) = unsafe { &mut *self.0.get() };
        (filter, state.get_or_insert_with(State::default))
    }

    /// `flb_buffer`.
    pub fn buffer(&self, size: usize) -> *mut u8 {
        let input = &mut self.state().1.input;
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
        self.reason(F::configure().map(|configured| *self.state().0 = Some(configured)))
    }

    /// `flb_tick`.
    pub fn tick(&self, flags: u32) -> *const u8 {
        self.reason(self.state().0.as_mut().expect(CONFIGURED).tick(flags & 1 != 0))
    }

    /// Returns the address of why something has failed, or 0.
    fn reason(&self, result: Result<(), Error>) -> *const u8 {
        let why = &mut self.state().1.why;
        *why = match result {
            Ok(()) => return core::ptr::null(),
            Err(why) => why.text + "\0",
        };
        why.as_ptr()
    }

    /// The function that is called for a batch.
    ///
    /// # Safety
    ///
    /// `input` has to be the address of that many bytes, a batch as the ABI has it.
    pub unsafe fn run(&self, input: *const u8, len: usize) -> *const u8 {
        let (filter, State { reply, head, .. }) = self.state();
        let filter = filter.as_mut().expect(CONFIGURED);
        run(filter, core::slice::from_raw_parts(input, len), reply);
        reply.link();
        let (ops, group_ops) = (&reply.out.ops, &reply.group_ops);
        *head = [address(ops), ops.len() as u32, address(group_ops), group_ops.len() as u32];
        (head[1] + head[3] > 0).then(|| head.as_ptr().cast()).unwrap_or(core::ptr::null())
    }
}

fn address<T>(list: &[T]) -> u32 {
    list.as_ptr() as usize as u32
}

impl Reply {
    /// Makes addresses of offsets.
    fn link(&mut self) {
        let Out { ops, emitted, extra, input, .. } = &mut self.out;
        for event in emitted.iter_mut() {
            event.body.at += if event.in_place { *input as u32 } else { address(extra) };
            event.metadata.at += address(extra);
            event.tag.at += address(extra);
        }
        for (ops, parts) in [(ops, &self.parts), (&mut self.group_ops, &self.group_parts)] {
            for op in ops {
                op.bytes.at = match op.kind {
                    kind::EMIT | kind::EMIT_TO => address(&emitted[op.bytes.at as usize..]),
                    kind::ERROR => op.bytes.at + address(extra),
                    _ => op.bytes.at + address(&parts[usize::from(op.part)].bytes),
                };
            }
        }
    }
}
