//! What examples/showcase-rust does, as far as it can be done with the function of six arguments and
//! serde_json: records only, and no metadata. What each event costs is compared by test/bench.

use std::cell::UnsafeCell;

use serde_json::{Map, Value};

#[link(wasm_import_module = "flb_v1")]
extern "C" {
    fn config_get(key: *const u8, key_len: usize, buffer: *mut u8, room: usize) -> i32;
    fn table_open(name: *const u8, len: usize) -> i32;
    fn table_get(
        table: i32, key: *const u8, key_len: usize, path: *const u8, path_len: usize, format: i32,
        buffer: *mut u8, room: usize,
    ) -> i32;
    fn store_add(key: *const u8, key_len: usize, n: i64, ttl_ms: i64, result: *mut i64) -> i32;
    fn metric_define(
        kind: i32, name: *const u8, name_len: usize, help: *const u8, help_len: usize, labels: *const u8,
        labels_len: usize, buckets: *const f64, buckets_count: usize,
    ) -> i32;
    fn metric_add(metric: i32, value: f64, labels: *const u8, labels_len: usize) -> i32;
}

#[derive(Default)]
struct Showcase {
    environment: String,
    path: String,
    geo: i32,
    masked: i32,
    reply: Vec<u8>,
}

struct Instance(UnsafeCell<Option<Showcase>>);

// An instance runs one call at a time, on one thread.
unsafe impl Sync for Instance {}

static INSTANCE: Instance = Instance(UnsafeCell::new(None));

fn config(key: &str) -> Option<String> {
    let mut buffer = vec![0; 256];
    let n = unsafe { config_get(key.as_ptr(), key.len(), buffer.as_mut_ptr(), buffer.len()) };
    buffer.truncate(usize::try_from(n).ok()?);
    String::from_utf8(buffer).ok()
}

#[no_mangle]
pub extern "C" fn flb_configure() -> *const u8 {
    let (name, help, labels) = ("masked_total", "E-mail addresses masked", "where");
    let filter = Showcase {
        environment: match config("environment") {
            Some(environment) => environment,
            None => return "config.environment is not set\0".as_ptr(),
        },
        path: config("geo_path").unwrap_or_else(|| "country.iso_code".into()),
        geo: unsafe { table_open("geo".as_ptr(), 3) },
        masked: unsafe {
            metric_define(
                1,
                name.as_ptr(),
                name.len(),
                help.as_ptr(),
                help.len(),
                labels.as_ptr(),
                labels.len(),
                std::ptr::null(),
                0,
            )
        },
        reply: Vec::new(),
    };
    unsafe { *INSTANCE.0.get() = Some(filter) };
    std::ptr::null()
}

/// # Safety
/// `record` must point to as many readable bytes as its length says.
#[no_mangle]
pub unsafe extern "C" fn filter(
    _: *const u8, _: usize, _: u32, _: u32, record: *const u8, record_len: usize,
) -> *const u8 {
    let showcase = (*INSTANCE.0.get()).as_mut().expect("it is configured");
    let body: Map<String, Value> =
        match serde_json::from_slice(std::slice::from_raw_parts(record, record_len)) {
            Ok(body) => body,
            Err(why) => panic!("the record is no JSON: {}", why),
        };
    showcase.reply.clear();
    showcase.filter(body);
    if showcase.reply.is_empty() {
        return std::ptr::null();
    }
    showcase.reply.push(0);
    showcase.reply.as_ptr()
}

impl Showcase {
    fn filter(&mut self, mut body: Map<String, Value>) {
        if body.get("level").and_then(Value::as_str) == Some("debug") {
            return;
        }
        body.values_mut().for_each(|value| self.mask_value(value));
        body.insert("environment".into(), self.environment.clone().into());
        let country = body.get("client_ip").and_then(Value::as_str).and_then(|ip| self.country(ip));
        set_or_remove(&mut body, "country", country.map(Value::from));
        let count = body.get("user").and_then(Value::as_str).and_then(count);
        set_or_remove(&mut body, "count", count.map(Value::from));
        match body.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if !items.is_empty() => {
                for item in items {
                    body.insert("items".into(), item);
                    self.write(&body);
                }
            }
            Some(other) => {
                body.insert("items".into(), other);
                self.write(&body);
            }
            None => self.write(&body),
        }
    }

    fn write(&mut self, body: &Map<String, Value>) {
        serde_json::to_writer(&mut self.reply, body).expect("a Vec takes all that is written");
        self.reply.push(b'\n');
    }

    fn country(&self, ip: &str) -> Option<String> {
        let mut buffer = vec![0; 64];
        let (to, room) = (buffer.as_mut_ptr(), buffer.len());
        let n = unsafe {
            table_get(self.geo, ip.as_ptr(), ip.len(), self.path.as_ptr(), self.path.len(), 2, to, room)
        };
        buffer.truncate(usize::try_from(n).ok()?);
        String::from_utf8(buffer).ok()
    }

    fn mask_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(masked) = self.mask(text) {
                    *text = masked;
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.mask_value(value)),
            Value::Object(map) => map.values_mut().for_each(|value| self.mask_value(value)),
            _ => {}
        }
    }

    /// As examples/showcase-rust does it.
    fn mask(&self, text: &str) -> Option<String> {
        let domain = |c: char| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii();
        let (mut new, rest) = text.split_once('@').map(|(new, rest)| (new.to_string(), rest))?;
        for piece in rest.split('@') {
            let host = piece.split(|c| c != '.' && !domain(c)).next()?.split("..").next()?;
            let host = host.trim_end_matches('.').len();
            let user = new.trim_end_matches(|c| domain(c) || "._%+".contains(c)).len();
            if user == new.len() || host == 0 || piece.starts_with('.') {
                new = new + "@" + piece;
            } else {
                new.truncate(user);
                new = new + "***" + &piece[host..];
                unsafe { metric_add(self.masked, 1.0, b"\x04\0\0\0body".as_ptr(), 8) };
            }
        }
        Some(new)
    }
}

fn count(user: &str) -> Option<i64> {
    let mut n = 0;
    (unsafe { store_add(user.as_ptr(), user.len(), 1, 60_000, &mut n) } == 0).then(|| n)
}

fn set_or_remove(body: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    match value {
        Some(value) => body.insert(key.into(), value),
        None => body.remove(key),
    };
}
