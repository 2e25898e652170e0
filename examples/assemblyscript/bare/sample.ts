// sample: keeps a share of the records, all of one trace or none.
//
// A record is kept if the hash of the value of its key lies below the rate. So
// every filter with the same rate decides alike about a trace, wherever it runs,
// and a lower rate keeps a part of what a higher one keeps. Records without the
// key and errors are always kept.
//
// It works on the bytes of the record, for strings of AssemblyScript are UTF-16.
// Only the top level is looked at, and nothing is parsed and printed again.

// The environment comes from WASI, of which no more than this is used.
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_sizes_get")
declare function environSizes(count: usize, bytes: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_get")
declare function environ(pointers: usize, bytes: usize): i32;

// The value of an environment variable, or "".
function variable(name: string): string {
  const sizes = new StaticArray<u32>(2);
  const at = changetype<usize>(sizes);
  if (environSizes(at, at + 4) != 0) return "";
  const pointers = new StaticArray<u32>(sizes[0]);
  const bytes = new StaticArray<u8>(sizes[1]);
  if (environ(changetype<usize>(pointers), changetype<usize>(bytes)) != 0) return "";
  for (let i = 0; i < pointers.length; i++) {
    let len = 0;
    while (load<u8>(pointers[i] + len) != 0) len++;
    const entry = String.UTF8.decodeUnsafe(pointers[i], len);
    if (entry.startsWith(name + "=")) return entry.substring(name.length + 1);
  }
  return "";
}

function checkedRate(text: string): string {
  if (!isRate(text)) throw new Error("SAMPLE_RATE must be a number from 0 to 1, such as 0.25, and not " + text);
  return text;
}

// Whether a text is a number from 0 to 1 as JSON writes it, without an exponent.
function isRate(text: string): bool {
  if (text != "0" && text != "1" && !text.startsWith("0.") && !text.startsWith("1.")) return false;
  for (let i = 2; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (!isDigit(c) || (c != 0x30 && text.startsWith("1"))) return false;
  }
  return text.length != 2;
}

function or(text: string, instead: string): string {
  return text.length > 0 ? text : instead;
}

const rate = checkedRate(or(variable("SAMPLE_RATE"), "0.1"));
const threshold = <u64>(parseFloat(rate) * 4294967296.0);
const key = String.UTF8.encode(or(variable("SAMPLE_KEY"), "trace_id"));
// Goes behind the last value of a record; with the NUL that ends a reply.
const addition = String.UTF8.encode(',"sample_rate":' + rate + "}", true);

// The reply, until the next call. The collector finds what a global holds.
let reply = new ArrayBuffer(4096);

export function sample(tag: usize, tagLen: i32, sec: u32, nsec: u32, record: usize, recordLen: i32): usize {
  const end = record + recordLen;
  // What is no JSON object is not for this filter to judge.
  if (!scan(record, end) || isError || valueAt == 0) return record;
  if (<u64>hash(valueAt, valueEnd) >= threshold) return 0;
  if (hasRate) return record;

  const len = <i32>(lastEnd - record);
  if (reply.byteLength < len + addition.byteLength) reply = new ArrayBuffer(2 * (len + addition.byteLength));
  const out = changetype<usize>(reply);
  memory.copy(out, record, len);
  memory.copy(out + len, changetype<usize>(addition), addition.byteLength);
  return out;
}

// What scan has found. valueAt is 0 without a usable value of the key.
let isError = false;
let hasRate = false;
let valueAt: usize = 0;
let valueEnd: usize = 0;
let lastEnd: usize = 0;

// Walks over the top level of a JSON object. False: it is none.
function scan(at: usize, end: usize): bool {
  isError = hasRate = false;
  valueAt = valueEnd = lastEnd = 0;
  at = skipSpace(at, end);
  if (byte(at, end) != 0x7b) return false; // {
  at = skipSpace(at + 1, end);
  if (byte(at, end) == 0x7d) return true; // }
  while (true) {
    const name = at + 1;
    at = stringEnd(at, end);
    if (at == 0) return false;
    const nameEnd = at - 1;
    at = skipSpace(at, end);
    if (byte(at, end) != 0x3a) return false; // :
    const from = skipSpace(at + 1, end);
    at = skipValue(from, end);
    if (at == 0) return false;
    lastEnd = at;

    if (same(name, nameEnd, key) && valueAt == 0) takeKey(from, at);
    if (is(name, nameEnd, "level") || is(name, nameEnd, "severity")) isError = isError || means(from, at);
    else if (is(name, nameEnd, "sample_rate")) hasRate = true;

    at = skipSpace(at, end);
    const c = byte(at, end);
    if (c == 0x7d) return true;
    if (c != 0x2c) return false; // ,
    at = skipSpace(at + 1, end);
  }
}

// Takes the value of the key if it is a string or a number. Without its quotes,
// so that 17 and "17" are one trace.
function takeKey(from: usize, to: usize): void {
  const c = load<u8>(from);
  if (c == 0x22) {
    from++;
    to--;
  } else if (c != 0x2d && !isDigit(c)) {
    return;
  }
  if (from == to) return;
  valueAt = from;
  valueEnd = to;
}

// Whether the value of a level means an error: by its name, or by the number that
// bunyan and pino give it.
function means(from: usize, to: usize): bool {
  if (load<u8>(from) != 0x22) {
    return to - from >= 2 && load<u8>(from) >= 0x35 && isDigit(load<u8>(from)) && isDigit(load<u8>(from + 1)) &&
      (to - from == 2 || load<u8>(from + 2) == 0x2e);
  }
  from++;
  to--;
  return is(from, to, "error") || is(from, to, "err") || is(from, to, "fatal") || is(from, to, "critical") ||
    is(from, to, "crit") || is(from, to, "alert") || is(from, to, "emergency") || is(from, to, "emerg") ||
    is(from, to, "panic");
}

// FNV-1a; the steps behind it spread to the high bits what the last bytes of a
// value decide.
function hash(from: usize, to: usize): u32 {
  let h: u32 = 2166136261;
  for (; from < to; from++) h = (h ^ load<u8>(from)) * 16777619;
  h = (h ^ (h >> 16)) * 0x85ebca6b;
  h = (h ^ (h >> 13)) * 0xc2b2ae35;
  return h ^ (h >> 16);
}

// The byte at an address, 0 at the end.
function byte(at: usize, end: usize): u8 {
  return at < end ? load<u8>(at) : 0;
}

function isDigit(c: i32): bool {
  return c >= 0x30 && c <= 0x39;
}

function skipSpace(at: usize, end: usize): usize {
  for (; at < end; at++) {
    const c = load<u8>(at);
    if (c != 0x20 && c != 0x09 && c != 0x0a && c != 0x0d) break;
  }
  return at;
}

// The end of the string that begins at an address, behind its closing quote; 0 if
// there is none.
function stringEnd(at: usize, end: usize): usize {
  if (byte(at, end) != 0x22) return 0;
  for (at++; at < end; at++) {
    const c = load<u8>(at);
    if (c == 0x22) return at + 1;
    if (c == 0x5c) at++;
  }
  return 0;
}

// The end of a value, or 0. Counts brackets and does not recurse, so that the
// depth of a record does not matter.
function skipValue(at: usize, end: usize): usize {
  let depth = 0;
  while (at < end) {
    const c = load<u8>(at);
    if (c == 0x22) {
      at = stringEnd(at, end);
      if (at == 0) return 0;
    } else if (c == 0x7b || c == 0x5b) { // { [
      depth++;
      at++;
      continue;
    } else if (c == 0x7d || c == 0x5d) { // } ]
      if (depth == 0) return 0;
      depth--;
      at++;
    } else if (depth > 0 && (c == 0x2c || c == 0x3a || c <= 0x20)) {
      at++;
      continue;
    } else {
      const from = at;
      while (isWord(byte(at, end))) at++;
      if (at == from) return 0;
    }
    if (depth == 0) return at;
  }
  return 0;
}

// What numbers, true, false and null are made of.
function isWord(c: i32): bool {
  return isDigit(c) || ((c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a) || c == 0x2b || c == 0x2d || c == 0x2e;
}

function same(from: usize, to: usize, name: ArrayBuffer): bool {
  return to - from == <usize>name.byteLength && memory.compare(from, changetype<usize>(name), to - from) == 0;
}

// Whether bytes are this name, which is in lower case, in any case.
function is(from: usize, to: usize, name: string): bool {
  if (to - from != <usize>name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const c: i32 = load<u8>(from + i);
    const lower = c >= 0x41 && c <= 0x5a ? c | 0x20 : c;
    if (lower != name.charCodeAt(i)) return false;
  }
  return true;
}
