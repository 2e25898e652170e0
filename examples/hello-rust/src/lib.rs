//! hello: what Fluent Bit's own Rust example answers, with its JSON by serde_json.

use std::cell::UnsafeCell;

use serde_json::{json, Value};

/// The reply of the last call: it stays where it is until the next one. Kept in a
/// static, for a String that ends with the function is freed before it is read.
struct Reply(UnsafeCell<Vec<u8>>);

// An instance runs one call at a time, on one thread.
unsafe impl Sync for Reply {}

static REPLY: Reply = Reply(UnsafeCell::new(Vec::new()));

/// # Safety
/// `tag` and `record` must point to as many readable bytes as their lengths say.
#[no_mangle]
pub unsafe extern "C" fn hello(
    tag: *const u8,
    tag_len: usize,
    sec: u32,
    nsec: u32,
    record: *const u8,
    record_len: usize,
) -> *const u8 {
    let tag = String::from_utf8_lossy(std::slice::from_raw_parts(tag, tag_len));
    // What serde_json does not take goes back unchanged rather than be lost.
    let value: Value = match serde_json::from_slice(std::slice::from_raw_parts(record, record_len)) {
        Ok(value) => value,
        Err(_) => return record,
    };
    let mut reply = json!({
        "lang": "Rust",
        "message": value["message"],
        "original": value.to_string(),
        "tag": tag,
        "time": time(sec, nsec),
    })
    .to_string()
    .into_bytes();
    reply.push(0);
    *REPLY.0.get() = reply;
    (*REPLY.0.get()).as_ptr()
}

/// The time in UTC, as in "2023-11-14T22:13:20.123456789 +0000".
fn time(sec: u32, nsec: u32) -> String {
    // Years are taken to begin in March, so that a leap day is their last.
    let days = sec / 86_400 + 719_468; // since 0000-03-01
    let (era, day) = (days / 146_097, days % 146_097); // of 400 years
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // 0 is March
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09} +0000",
        era * 400 + year,
        month,
        day,
        sec / 3600 % 24,
        sec / 60 % 60,
        sec % 60,
        nsec
    )
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times() {
        for (sec, want) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_700_000_000, "2023-11-14T22:13:20"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (u32::MAX, "2106-02-07T06:28:15"),
        ] {
            assert_eq!(time(sec, 7), format!("{want}.000000007 +0000"));
        }
    }
}
