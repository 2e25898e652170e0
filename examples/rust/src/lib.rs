//! Adds `severity_number`, `tag` and `time` to a record, and drops what is only there for debugging.

use flb_filter::{Error, Event, Time, ToValue, Value};

#[cfg(test)]
mod tests;

flb_filter::export!(fn filter);

fn filter(event: &mut Event) -> Result<(), Error> {
    let (tag, time, body) = (event.tag(), event.time(), &mut event.body);
    let severity = (body.get("level").and_then(level))
        .or_else(|| body.get("severity").and_then(level))
        .or_else(|| body.get("status").and_then(status))
        .unwrap_or(0);
    if (1..INFO).contains(&severity) {
        event.drop();
        return Ok(());
    }
    // What the record has under these names stays.
    let added: [(&str, &dyn ToValue); 3] =
        [("severity_number", &severity), ("tag", &tag), ("time", &rfc3339(time))];
    for (key, value) in added {
        if body.get([key]).is_none() {
            body.add(key, value);
        }
    }
    Ok(())
}

/// Severity numbers of OpenTelemetry's log data model.
const INFO: u8 = 9;
const NAMES: [(u8, &[&str]); 9] = [
    (INFO, &["info", "information", "informational"]),
    (10, &["notice"]),
    (13, &["warn", "warning"]),
    (17, &["err", "error", "severe"]),
    (18, &["crit", "critical"]),
    (19, &["alert"]),
    (21, &["emerg", "emergency", "fatal", "panic"]),
    (5, &["debug", "dbg"]),
    (1, &["trace"]),
];

/// Returns the severity of a name ("warn"), or of a number as bunyan and pino write it.
fn level(value: Value) -> Option<u8> {
    if let Some(text) = value.as_str() {
        let is = |name: &&str| name.eq_ignore_ascii_case(text);
        return NAMES.iter().find(|(_, names)| names.iter().any(is)).map(|(number, _)| *number);
    }
    match whole(value)? / 10 {
        tens @ 1..=5 => Some(4 * tens as u8 - 3), // trace, debug, info, warn, error
        6 => Some(21),
        _ => None,
    }
}

/// Returns the severity of an HTTP status, a number or a number in a text, or of a name.
fn status(value: Value) -> Option<u8> {
    match value.as_str().map_or_else(|| whole(value), |text| text.parse().ok()) {
        Some(100..=399) => Some(INFO),
        Some(400..=499) => Some(13),
        Some(500..=599) => Some(17),
        Some(_) => None,
        None => level(value),
    }
}

fn whole(value: Value) -> Option<i64> {
    value.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as i64)
}

/// Returns the time in UTC, as in "2023-11-14T22:13:20.123456789Z".
fn rfc3339(time: Time) -> String {
    // Years are taken to begin in March, so that a leap day is their last.
    let days = time.sec / 86_400 + 719_468; // since 0000-03-01
    let (era, day) = (days / 146_097, days % 146_097); // of 400 years
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // 0 is March
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let (year, second) = (era * 400 + year, time.sec % 86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", time.nsec)
}
