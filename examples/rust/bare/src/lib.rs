//! enrich: adds `severity_number`, `tag` and `time` to a record and drops what
//! is only there for debugging.
//!
//! Only the top level of the record is looked at, and its bytes are copied as
//! they are: numbers, the order of keys and escapes stay what they were.

use std::alloc::Layout;
use std::cell::UnsafeCell;

/// Severity numbers of OpenTelemetry's log data model.
const UNSPECIFIED: u8 = 0;
const TRACE: u8 = 1;
const DEBUG: u8 = 5;
const INFO: u8 = 9;
const NOTICE: u8 = 10;
const WARN: u8 = 13;
const ERROR: u8 = 17;
const CRITICAL: u8 = 18;
const FATAL: u8 = 21;

const NAMES: [(&str, u8); 19] = [
    ("trace", TRACE),
    ("debug", DEBUG),
    ("dbg", DEBUG),
    ("info", INFO),
    ("information", INFO),
    ("informational", INFO),
    ("notice", NOTICE),
    ("warn", WARN),
    ("warning", WARN),
    ("err", ERROR),
    ("error", ERROR),
    ("severe", ERROR),
    ("crit", CRITICAL),
    ("critical", CRITICAL),
    ("alert", 19),
    ("emerg", FATAL),
    ("emergency", FATAL),
    ("fatal", FATAL),
    ("panic", FATAL),
];

/// The reply of the last call. The host copies it before the next one, so one
/// buffer is enough and nothing leaks; it stays where it is until then.
struct Reply(UnsafeCell<Vec<u8>>);

// An instance runs one call at a time, on one thread.
unsafe impl Sync for Reply {}

static REPLY: Reply = Reply(UnsafeCell::new(Vec::new()));

/// # Safety
/// `tag` and `record` must point to as many readable bytes as their lengths say.
#[no_mangle]
pub unsafe extern "C" fn enrich(
    tag: *const u8,
    tag_len: usize,
    sec: u32,
    nsec: u32,
    record: *const u8,
    record_len: usize,
) -> *const u8 {
    if tag.is_null() || record.is_null() {
        return record;
    }
    let tag = std::slice::from_raw_parts(tag, tag_len);
    let json = std::slice::from_raw_parts(record, record_len);
    let reply = &mut *REPLY.0.get();

    match process(tag, sec, nsec, json, reply) {
        Outcome::Drop => std::ptr::null(),
        Outcome::Keep => record,
        Outcome::Reply => reply.as_ptr(),
    }
}

enum Outcome {
    /// Drop the record.
    Drop,
    /// Hand back the record as it came: it is no map, or there is no memory.
    Keep,
    /// Hand back the reply.
    Reply,
}

fn process(tag: &[u8], sec: u32, nsec: u32, json: &[u8], reply: &mut Vec<u8>) -> Outcome {
    let found = match scan(json) {
        Some(found) => found,
        None => return Outcome::Keep,
    };
    let severity = found.level.or(found.severity).or(found.status).unwrap_or(UNSPECIFIED);
    if severity != UNSPECIFIED && severity < INFO {
        return Outcome::Drop;
    }

    // The longest escape is six bytes for one; the rest is less than 128.
    reply.clear();
    if reply.try_reserve(json.len() + 6 * tag.len() + 128).is_err() {
        return Outcome::Keep;
    }
    reply.extend_from_slice(&json[..found.end]);
    let mut empty = found.empty;
    // What the record already has under these names stays.
    if !found.has_severity_number {
        key(reply, "severity_number", &mut empty);
        decimal(reply, severity as u32, 1);
    }
    if !found.has_tag {
        key(reply, "tag", &mut empty);
        string(reply, tag);
    }
    if !found.has_time {
        key(reply, "time", &mut empty);
        rfc3339(reply, sec, nsec);
    }
    reply.extend_from_slice(b"}\0");
    Outcome::Reply
}

/// What there is to know of a record.
#[derive(Default)]
struct Found {
    level: Option<u8>,
    severity: Option<u8>,
    status: Option<u8>,
    has_severity_number: bool,
    has_tag: bool,
    has_time: bool,
    empty: bool,
    /// Where the new keys go: behind the last value.
    end: usize,
}

/// Walks over the top level of a JSON object; None if it is not one.
fn scan(json: &[u8]) -> Option<Found> {
    let mut found = Found { empty: true, ..Default::default() };
    let mut at = expect(json, 0, b'{')?;
    found.end = at;
    loop {
        at = skip_space(json, at);
        if json.get(at) == Some(&b'}') && found.empty {
            return Some(found);
        }
        let name_end = string_end(json, at)?;
        let name = json.get(at + 1..name_end - 1)?;
        let value_at = skip_space(json, expect(json, name_end, b':')?);
        at = value_end(json, value_at)?;
        let value = json.get(value_at..at)?;

        if is(name, b"level") {
            found.level = level(value);
        } else if is(name, b"severity") {
            found.severity = level(value);
        } else if is(name, b"status") {
            found.status = status(value);
        } else if is(name, b"severity_number") {
            found.has_severity_number = true;
        } else if is(name, b"tag") {
            found.has_tag = true;
        } else if is(name, b"time") {
            found.has_time = true;
        }
        found.empty = false;
        found.end = at;

        at = skip_space(json, at);
        match json.get(at)? {
            b',' => at += 1,
            b'}' => return Some(found),
            _ => return None,
        }
    }
}

fn skip_space(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Skips space and then one byte that must be there.
fn expect(json: &[u8], at: usize, byte: u8) -> Option<usize> {
    let at = skip_space(json, at);
    (json.get(at) == Some(&byte)).then(|| at + 1)
}

/// The end of the string that begins at `at`, behind its closing quote.
fn string_end(json: &[u8], at: usize) -> Option<usize> {
    if json.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of the value that begins at `at`. Counts brackets and does not
/// recurse, so that the depth of a record does not matter.
fn value_end(json: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    let mut depth = 0usize;
    loop {
        match json.get(at)? {
            b'"' => at = string_end(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => {
                at += 1;
                continue;
            }
            _ => {
                let from = at;
                while matches!(json.get(at), Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.')) {
                    at += 1;
                }
                if at == from {
                    return None;
                }
            }
        }
        if depth == 0 {
            return (at > start).then(|| at);
        }
    }
}

/// Whether a key, which may be written with escapes, is this name.
fn is(mut key: &[u8], name: &[u8]) -> bool {
    for &want in name {
        let (have, rest) = match key {
            [b'\\', b'u', b'0', b'0', hi, lo, rest @ ..] => match (hex(*hi), hex(*lo)) {
                (Some(hi), Some(lo)) => (hi << 4 | lo, rest),
                _ => return false,
            },
            [byte, rest @ ..] => (*byte, rest),
            [] => return false,
        };
        if have != want {
            return false;
        }
        key = rest;
    }
    key.is_empty()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The severity of a name ("warn") or of a number as bunyan and pino write it.
fn level(value: &[u8]) -> Option<u8> {
    if let [b'"', name @ .., b'"'] = value {
        return NAMES
            .iter()
            .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))
            .map(|&(_, severity)| severity);
    }
    match integer(value)? {
        10..=19 => Some(TRACE),
        20..=29 => Some(DEBUG),
        30..=39 => Some(INFO),
        40..=49 => Some(WARN),
        50..=59 => Some(ERROR),
        60..=69 => Some(FATAL),
        _ => None,
    }
}

/// The severity of an HTTP status, a number or a number in a string, or of a
/// name.
fn status(value: &[u8]) -> Option<u8> {
    let digits = match value {
        [b'"', digits @ .., b'"'] => digits,
        digits => digits,
    };
    match integer(digits) {
        Some(100..=399) => Some(INFO),
        Some(400..=499) => Some(WARN),
        Some(500..=599) => Some(ERROR),
        Some(_) => None,
        None => level(value),
    }
}

/// A small whole number; `418.0` is one as well.
fn integer(digits: &[u8]) -> Option<u32> {
    let digits = digits.strip_suffix(b".0").unwrap_or(digits);
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    let mut n = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        n = n * 10 + (digit - b'0') as u32;
    }
    Some(n)
}

fn key(out: &mut Vec<u8>, name: &str, first: &mut bool) {
    if !*first {
        out.push(b',');
    }
    *first = false;
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends n with at least `width` digits.
fn decimal(out: &mut Vec<u8>, mut n: u32, width: usize) {
    let mut digits = [b'0'; 10];
    let mut used = 0;
    while n > 0 || used < width {
        used += 1;
        digits[10 - used] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    out.extend_from_slice(&digits[10 - used..]);
}

/// Appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in String::from_utf8_lossy(text).as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[(byte >> 4) as usize]);
                out.push(HEX[(byte & 15) as usize]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends the time in UTC, as in "2023-11-14T22:13:20.123456789Z".
fn rfc3339(out: &mut Vec<u8>, sec: u32, nsec: u32) {
    let (mut days, second) = (sec / 86_400, sec % 86_400);
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let mut month = 1;
    loop {
        let length = match month {
            2 if is_leap(year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let parts = [
        (b'"', year, 4),
        (b'-', month, 2),
        (b'-', days + 1, 2),
        (b'T', second / 3600, 2),
        (b':', second / 60 % 60, 2),
        (b':', second % 60, 2),
        (b'.', nsec % 1_000_000_000, 9),
    ];
    for (separator, n, width) in parts {
        out.push(separator);
        decimal(out, n, width);
    }
    out.extend_from_slice(b"Z\"");
}

fn is_leap(year: u32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// In front of each block malloc keeps its size, which Rust's allocator wants
/// back. Eight bytes, so that the block stays aligned.
const HEADER: usize = 8;

/// Room for the host to put tag and record into: without it, the host has to
/// guess what memory is free.
#[no_mangle]
pub extern "C" fn malloc(size: usize) -> *mut u8 {
    let layout = match size.checked_add(HEADER).map(|n| Layout::from_size_align(n, HEADER)) {
        Some(Ok(layout)) => layout,
        _ => return std::ptr::null_mut(),
    };
    unsafe {
        let block = std::alloc::alloc(layout);
        if block.is_null() {
            return block;
        }
        block.cast::<usize>().write(layout.size());
        block.add(HEADER)
    }
}

/// # Safety
/// `pointer` must be null or come from `malloc` and not have been freed.
#[no_mangle]
pub unsafe extern "C" fn free(pointer: *mut u8) {
    if pointer.is_null() {
        return;
    }
    let block = pointer.sub(HEADER);
    let size = block.cast::<usize>().read();
    std::alloc::dealloc(block, Layout::from_size_align_unchecked(size, HEADER));
}
