//! The batch ABI, as docs/abi.md has it.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{cell::UnsafeCell, ops::Range};

use crate::event::{Event, Filter, Group, Time};
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
    /// An offset into the buffer that the operation's bytes are in, until the reply is linked.
    pub address: u32,
    pub len: u32,
}

impl Op {
    pub fn new(kind: u8, a: u32, b: u32, bytes: Range<usize>) -> Self {
        let (address, len) = (bytes.start as u32, bytes.len() as u32);
        Op { of: 0, kind, part: 0, zero: 0, a, b, address, len }
    }

    /// Makes it one on a part of the event of that number.
    pub fn on(self, of: usize, part: u8) -> Self {
        Op { of: of as u32, part, ..self }
    }
}

#[repr(C)]
pub(crate) struct Emitted {
    pub sec: i64,
    pub nsec: u32,
    pub group: u32,
    pub metadata: u32,
    pub metadata_len: u32,
    pub body: u32,
    pub body_len: u32,
}

/// What is said of the events of a batch, but for the bytes of their edits.
#[derive(Default)]
pub(crate) struct Out {
    pub ops: Vec<Op>,
    pub emitted: Vec<Emitted>,
    /// Texts of errors, and what emitted events consist of.
    pub extra: Vec<u8>,
}

impl Out {
    /// Adds a further event, whose body is in pieces. Returns false if there is no memory: an allocation
    /// that fails would end the instance, and with it the batch.
    pub fn emit(&mut self, body: &[&[u8]], metadata: &[u8], time: Option<Time>, in_group: bool) -> bool {
        let (at, body_len) = (self.extra.len(), body.iter().map(|piece| piece.len()).sum::<usize>());
        let (size, Time { sec, nsec }) =
            (body_len + metadata.len(), time.unwrap_or(Time { sec: -1, nsec: 0 }));
        let grows = self.extra.capacity() - at < size;
        // The next event has to find memory, too, for what is made of it.
        let has_room = |n| Vec::<u8>::new().try_reserve_exact(n).is_ok();
        if self.extra.try_reserve(size).is_err() || (grows && !has_room(4 * size + (64 << 10))) {
            return false;
        }
        body.iter().for_each(|piece| append(&mut self.extra, piece));
        append(&mut self.extra, metadata);
        self.emitted.push(Emitted {
            sec,
            nsec,
            group: if in_group { u32::MAX } else { 0 },
            metadata: (at + body_len) as u32,
            metadata_len: metadata.len() as u32,
            body: at as u32,
            body_len: body_len as u32,
        });
        true
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
            failed[i] = group.finish(i, result, group_ops, &mut out.extra);
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

/// An instance of a module: what [`export!`](crate::export) makes functions of.
#[doc(hidden)]
pub struct Instance<F>(UnsafeCell<(Option<F>, Option<State>)>);

#[derive(Default)]
struct State {
    input: Vec<u64>,
    reply: Reply,
    head: [u32; 4],
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
        std::panic::set_hook(Box::new(|why| {
            crate::log::line(crate::log::Level::Error, &alloc::format!("{why}"));
        }));
        match F::configure() {
            Ok(configured) => {
                *self.state().0 = Some(configured);
                core::ptr::null()
            }
            // It stays: the host reads it, and does not call the instance again.
            Err(why) => Box::leak((why.text + "\0").into_boxed_str()).as_ptr(),
        }
    }

    /// The function that is called for a batch.
    ///
    /// # Safety
    ///
    /// `input` has to be the address of that many bytes, a batch as the ABI has it.
    pub unsafe fn run(&self, input: *const u8, len: usize) -> *const u8 {
        let (filter, State { reply, head, .. }) = self.state();
        let filter = filter.as_mut().expect("flb_configure is called before the first batch");
        run(filter, core::slice::from_raw_parts(input, len), reply);
        reply.link();
        let (ops, group_ops) = (&reply.out.ops, &reply.group_ops);
        *head = [address(ops), ops.len() as u32, address(group_ops), group_ops.len() as u32];
        if ops.is_empty() && group_ops.is_empty() {
            core::ptr::null()
        } else {
            head.as_ptr().cast()
        }
    }
}

fn address<T>(list: &[T]) -> u32 {
    list.as_ptr() as usize as u32
}

impl Reply {
    /// Makes addresses of offsets.
    fn link(&mut self) {
        let Out { ops, emitted, extra } = &mut self.out;
        for event in emitted.iter_mut() {
            event.body += address(extra);
            event.metadata += address(extra);
        }
        for (ops, parts) in [(ops, &self.parts), (&mut self.group_ops, &self.group_parts)] {
            for op in ops {
                op.address = match op.kind {
                    kind::EMIT => address(&emitted[op.address as usize..]),
                    kind::ERROR => op.address + address(extra),
                    _ => op.address + address(&parts[usize::from(op.part)].bytes),
                };
            }
        }
    }
}
