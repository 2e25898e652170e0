//! The probe. What is set by --cfg:
//!
//! - `malloc`: exports malloc and free
//! - `sized`: exports alloc(size) and dealloc(pointer, size)
//! - `dangling`: the reply is a String that is freed before the host has read it,
//!   without a NUL, as beginners of FFI write it
//! - `command`: has a main, which begins to count

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::fmt::Write;

const WINDOW: usize = 8;
const KEPT: usize = 512;

struct State {
    calls: u32,
    kept: VecDeque<Vec<u8>>,
    reply: String,
}

struct Global(UnsafeCell<Option<State>>);

// An instance runs one call at a time, on one thread.
unsafe impl Sync for Global {}

static STATE: Global = Global(UnsafeCell::new(None));

fn start(calls: u32) -> State {
    State { calls, kept: VecDeque::new(), reply: String::new() }
}

/// Where main runs, what has not been started by it counts wrong.
const FIRST: u32 = if cfg!(started) { 1000 } else { 0 };

#[cfg(command)]
fn main() {
    unsafe { *STATE.0.get() = Some(start(if cfg!(started) { 0 } else { 5000 })) };
}

fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(2_166_136_261, |h, &b| (h ^ u32::from(b)).wrapping_mul(16_777_619))
}

/// Frees what was kept, unless the reply is to be the only block that is ever
/// freed: else its bytes would change when it is.
fn keep(old: Option<Vec<u8>>, bytes: &[u8]) -> Vec<u8> {
    if !cfg!(dangling) {
        return bytes.to_vec();
    }
    let mut kept = old.unwrap_or_else(|| Vec::with_capacity(KEPT));
    kept.clear();
    kept.extend_from_slice(bytes);
    kept
}

/// # Safety
/// The pointers must point to as many readable bytes as their lengths say.
#[no_mangle]
pub unsafe extern "C" fn probe(
    tag: *const u8,
    tag_len: usize,
    sec: u32,
    nsec: u32,
    record: *const u8,
    record_len: usize,
) -> *const u8 {
    let tag = String::from_utf8_lossy(std::slice::from_raw_parts(tag, tag_len));
    let record = std::slice::from_raw_parts(record, record_len);
    let state = (*STATE.0.get()).get_or_insert_with(|| start(FIRST));

    state.calls += 1;
    let old = if state.kept.len() < WINDOW { None } else { state.kept.pop_front() };
    let sum = old.as_ref().map_or(0, |old| hash(old));
    state.kept.push_back(keep(old, &record[..record.len().min(KEPT)]));
    let record = String::from_utf8_lossy(record);
    if record.contains("\"drop\":true") {
        return std::ptr::null();
    }

    let mut reply = String::with_capacity(tag.len() + record.len() + 128);
    write!(
        reply,
        r#"{{"tag":"{}","sec":{},"nsec":{},"count":{},"sum":{},"record":{}}}"#,
        tag, sec, nsec, state.calls, sum, record
    )
    .unwrap();
    if cfg!(dangling) {
        return reply.as_ptr();
    }
    reply.push('\0');
    state.reply = reply;
    state.reply.as_ptr()
}

#[cfg(malloc)]
mod allocator {
    use std::alloc::{alloc, dealloc, Layout};

    /// The size of each block stands in front of it.
    const HEADER: usize = 8;

    #[no_mangle]
    pub unsafe extern "C" fn malloc(size: usize) -> *mut u8 {
        let layout = match size.checked_add(HEADER).map(|n| Layout::from_size_align(n, HEADER)) {
            Some(Ok(layout)) => layout,
            _ => return std::ptr::null_mut(),
        };
        let block = alloc(layout);
        if block.is_null() {
            return block;
        }
        block.cast::<usize>().write(layout.size());
        block.add(HEADER)
    }

    #[no_mangle]
    pub unsafe extern "C" fn free(pointer: *mut u8) {
        if pointer.is_null() {
            return;
        }
        let block = pointer.sub(HEADER);
        let size = block.cast::<usize>().read();
        dealloc(block, Layout::from_size_align_unchecked(size, HEADER));
    }
}

#[cfg(sized)]
mod allocator {
    #[no_mangle]
    pub extern "C" fn alloc(size: usize) -> *mut u8 {
        Box::into_raw(vec![0u8; size].into_boxed_slice()).cast()
    }

    #[no_mangle]
    pub unsafe extern "C" fn dealloc(pointer: *mut u8, size: usize) {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(pointer, size)));
    }
}
