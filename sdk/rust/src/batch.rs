//! The batch ABI, as docs/abi.md has it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::UnsafeCell;

use crate::event::{Event, Filter, Group, Part, Time};
use crate::value::Value;

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
    pub fn new(of: usize, kind: u8, part: u8, a: u32, b: u32, address: usize, len: usize) -> Self {
        Op { of: of as u32, kind, part, zero: 0, a, b, address: address as u32, len: len as u32 }
    }

    /// Says whether the operation is one on the bytes of a part.
    pub fn is_edit(&self) -> bool {
        (kind::REPLACE..=kind::PUT).contains(&self.kind)
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

/// The reply to a batch, with the buffers that its operations point to.
pub(crate) struct Reply {
    pub ops: Vec<Op>,
    pub group_ops: Vec<Op>,
    pub emitted: Vec<Emitted>,
    pub parts: [Vec<u8>; 2],
    pub group_parts: [Vec<u8>; 2],
    pub extra: Vec<u8>,
}

/// Runs a filter on a batch, whose bytes the host vouches for.
pub(crate) fn run<F: Filter>(filter: &mut F, input: &[u8]) -> Reply {
    let number = |at: usize| u32::from_le_bytes([input[at], input[at + 1], input[at + 2], input[at + 3]]);
    let place = |at: usize| number(at) as usize;
    let slice = |at: usize| &input[place(at)..place(at) + place(at + 4)];
    let tag: Cow<str> = String::from_utf8_lossy(slice(8));
    let groups = |i: usize| place(28) + i * place(36);

    let mut group = Group { body: Part::new(&[]), metadata: Part::new(&[]) };
    let (mut group_ops, mut failed) = (Vec::new(), Vec::new());
    for i in 0..place(32) {
        let at = groups(i);
        if number(at) & 1 == 0 {
            failed.push(None);
            continue;
        }
        group.metadata.load(slice(at + 8));
        group.body.load(slice(at + 16));
        let result = filter.group(&mut group);
        failed.push(group.finish(i, result, &mut group_ops));
    }
    let (mut event, mut ops) = (Event::new(&tag), Vec::new());
    for i in 0..place(20) {
        let at = place(16) + i * place(24);
        let sec = i64::from(number(at)) | i64::from(number(at + 4) as i32) << 32;
        let group = place(at + 12).checked_sub(1);
        event.load(
            slice(at + 24),
            slice(at + 16),
            Time { sec, nsec: number(at + 8) },
            group.map(|group| Value::new(slice(groups(group) + 16))),
        );
        let result = match group.and_then(|group| failed[group].clone()) {
            Some(why) => Err(why),
            None => filter.filter(&mut event),
        };
        event.finish(i, result, &mut ops);
    }
    Reply {
        ops,
        group_ops,
        emitted: event.emitted,
        parts: [event.body.bytes, event.metadata.bytes],
        group_parts: [group.body.bytes, group.metadata.bytes],
        extra: event.extra,
    }
}

/// An instance of a module: what [`export!`](crate::export) makes functions of.
#[doc(hidden)]
pub struct Instance<F>(UnsafeCell<State<F>>);

struct State<F> {
    filter: Option<F>,
    input: Vec<u64>,
    reply: Option<Reply>,
    head: [u32; 4],
    refusal: String,
}

// A module has one thread, and none of its functions is called while another one runs.
unsafe impl<F> Sync for Instance<F> {}

impl<F: Filter> Instance<F> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Instance(UnsafeCell::new(State {
            filter: None,
            input: Vec::new(),
            reply: None,
            head: [0; 4],
            refusal: String::new(),
        }))
    }

    #[allow(clippy::mut_from_ref)]
    fn state(&self) -> &mut State<F> {
        unsafe { &mut *self.0.get() }
    }

    /// `flb_buffer`.
    pub fn buffer(&self, size: usize) -> *mut u8 {
        let input = &mut self.state().input;
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
        std::panic::set_hook(alloc::boxed::Box::new(|why| {
            crate::host::log::line(crate::host::log::Level::Error, &alloc::format!("{why}"));
        }));
        let state = self.state();
        match F::configure() {
            Ok(filter) => {
                state.filter = Some(filter);
                core::ptr::null()
            }
            Err(why) => {
                state.refusal = why.text().into();
                if state.refusal.is_empty() {
                    state.refusal.push_str("the module refuses its configuration");
                }
                state.refusal.push('\0');
                state.refusal.as_ptr()
            }
        }
    }

    /// The function that is called for a batch.
    ///
    /// # Safety
    ///
    /// `input` has to be the address of that many bytes, a batch as the ABI has it.
    pub unsafe fn run(&self, input: *const u8, len: usize) -> *const u8 {
        let state = self.state();
        state.reply = None;
        let filter = state.filter.as_mut().expect("flb_configure is called before the first batch");
        let mut reply = run(filter, core::slice::from_raw_parts(input, len));
        if reply.ops.is_empty() && reply.group_ops.is_empty() {
            return core::ptr::null();
        }
        reply.link();
        state.head = [
            address(&reply.ops),
            reply.ops.len() as u32,
            address(&reply.group_ops),
            reply.group_ops.len() as u32,
        ];
        state.reply = Some(reply);
        state.head.as_ptr().cast()
    }
}

fn address<T>(list: &[T]) -> u32 {
    list.as_ptr() as usize as u32
}

impl Reply {
    /// Makes addresses of offsets.
    fn link(&mut self) {
        for event in &mut self.emitted {
            event.body += address(&self.extra);
            event.metadata += address(&self.extra);
        }
        for (ops, parts) in [(&mut self.ops, &self.parts), (&mut self.group_ops, &self.group_parts)] {
            for op in ops {
                op.address = match op.kind {
                    kind::EMIT => address(&self.emitted[op.address as usize..]),
                    kind::ERROR => op.address + address(&self.extra),
                    _ if op.is_edit() => op.address + address(&parts[usize::from(op.part)]),
                    _ => continue,
                };
            }
        }
    }
}
