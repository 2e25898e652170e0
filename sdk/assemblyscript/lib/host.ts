// What the host does for a filter.
// @ts-nocheck: decorators of functions are AssemblyScript's

import { begin, begun, refused, room, written } from "./memory";
import { EMITTED, Emit, piece } from "./event";
import { decode } from "./text";
import { Value, writeBytes, writeSized } from "./value";

@external("flb_v1", "log") declare function hostLog(level: u32, text: usize, size: usize): void;
@external("flb_v1", "log_enabled") declare function logEnabled(level: u32): i32;
@external("flb_v1", "emit_to")
declare function hostEmitTo(tag: usize, tagSize: usize, body: usize, bodySize: usize, metadata: usize, metadataSize: usize, sec: i64, nsec: u32): i32;
@external("flb_v1", "config_get") declare function configGet(key: usize, keySize: usize, to: usize, room: usize): i32;
@external("flb_v1", "table_open") declare function tableOpen(name: usize, nameSize: usize): i32;
@external("flb_v1", "table_get")
declare function tableGet(table: i32, key: usize, keySize: usize, path: usize, pathSize: usize, format: i32, to: usize, room: usize): i32;
@external("flb_v1", "store_get") declare function storeGet(key: usize, keySize: usize, to: usize, room: usize): i32;
@external("flb_v1", "store_set")
declare function storeSet(key: usize, keySize: usize, value: usize, valueSize: usize, ttl: i64): i32;
@external("flb_v1", "store_delete") declare function storeDelete(key: usize, keySize: usize): i32;
@external("flb_v1", "store_add") declare function storeAdd(key: usize, keySize: usize, n: i64, ttl: i64, result: usize): i32;
@external("flb_v1", "store_cas")
declare function storeCas(key: usize, keySize: usize, old: usize, oldSize: i32, value: usize, valueSize: usize, ttl: i64): i32;
@external("flb_v1", "metric_define")
declare function metricDefine(kind: i32, name: usize, nameSize: usize, help: usize, helpSize: usize, labels: usize, labelsSize: usize, buckets: usize, bucketsCount: u32): i32;
@external("flb_v1", "metric_add") declare function metricAdd(metric: i32, value: f64, labels: usize, labelsSize: usize): i32;
@external("flb_v1", "metric_set") declare function metricSet(metric: i32, value: f64, labels: usize, labelsSize: usize): i32;
@external("flb_v1", "metric_observe")
declare function metricObserve(metric: i32, value: f64, labels: usize, labelsSize: usize): i32;

/** Why the configuration is refused. */
export let refusal: string | null = null;

/** Says why the configuration is refused, if nothing has before. Fluent Bit does not start then, or goes on
 * with its old configuration at a hot reload. */
export function refuse(why: string): void {
  if (refusal === null) refusal = why;
}

/** Bytes that a host function gets: of a text its UTF-8, of a `Value` those of its text, or an array's. */
class Bytes {
  at: usize = 0;
  size: usize = 0;

  /** They are good until the next thing is written. */
  of<T>(value: T): Bytes {
    if (isString<T>()) {
      begin();
      writeBytes(changetype<string>(value));
      this.at = begun;
      this.size = refused ? 0 : written();
    } else if (!isManaged<T>()) {
      const v = changetype<Value>(value);
      this.at = v.dataStart;
      this.size = v.dataSize;
    } else {
      this.at = changetype<Uint8Array>(value).dataStart;
      this.size = changetype<Uint8Array>(value).byteLength;
    }
    return this;
  }
}

const one: Bytes = new Bytes();
const two: Bytes = new Bytes();
const three: Bytes = new Bytes();

/** Emits an event under a tag, in a tick alone: a filter has `event.emit`. Unless it has its own, its time is now and its
 * metadata is empty. False: the tag is not one that `emit_tags` of the filter grants, or there is no memory. A module
 * that calls this does not start where that is not set. */
export function emitTo(tag: string, event: Emit): bool {
  begin();
  event.body.write();
  piece(24);
  event.to(tag).write();
  const at = EMITTED;
  return !refused && hostEmitTo(
    load<usize>(at, 32), load<usize>(at, 36), load<usize>(at, 24), load<usize>(at, 28), load<usize>(at, 16),
    load<usize>(at, 20), load<i64>(at), load<u32>(at, 8)) == 0;
}

/** Settings of the filter: what the user has set as `config.KEY`, and in `config_file`. Upper and lower case
 * are the same in a key. What is not as it must be refuses the configuration, with a text that says so. */
export namespace config {
  /** The value of a key, or what it is if it is not set. Bytes that are not UTF-8 are U+FFFD. */
  export function get(key: string, orElse: string = ""): string {
    const value = find(key);
    return value !== null ? value : orElse;
  }

  /** The value of a key, null if it is not set. */
  export function find(key: string): string | null {
    one.of(key);
    const size = fetch((to, have) => configGet(one.at, one.size, to, have));
    return size < 0 ? null : decode(begun, size);
  }

  /** The value of a key, which must be set to what is said. */
  export function require(key: string, what: string): string {
    const value = find(key);
    if (value === null) refuse("config." + key + ": set it to " + what);
    return value !== null ? value : "";
  }

  /** The value of a key as a number of that type, or a `bool`; what it is if it is not set. */
  export function parse<T>(key: string, orElse: T): T {
    const value = find(key);
    if (value === null) return orElse;
    const text = value.trim();
    let what = "true or false";
    if (isBoolean<T>()) {
      if (text == "true" || text == "on") return <T>true;
      if (text == "false" || text == "off") return <T>false;
    } else if (isInteger<T>()) {
      const negative = isSigned<T>() && text.startsWith("-");
      let digits = text.substring(negative ? 1 : 0);
      while (digits.length > 1 && digits.startsWith("0")) digits = digits.substring(1);
      const n = <T>(<i64>U64.parseInt(digits) * (negative ? -1 : 1));
      // What is out of range, or is no number, is another one when it is written again.
      if (n.toString() == (negative && n != 0 ? "-" : "") + digits) return n;
      what = isSigned<T>() ? "a whole number" : "a whole number that is not negative";
    } else {
      let isNumber = text.length > 0;
      for (let i = 0; i < text.length; i++) isNumber = isNumber && "0123456789+-.eE".includes(text.charAt(i));
      const n = parseFloat(text);
      if (isNumber && isFinite(n)) return <T>n;
      what = "a number";
    }
    refuse("config." + key + " is '" + value + "': set it to " + what);
    return orElse;
  }
}

/** Has a host function write at an address, with so much room, and returns how much it has: less than 0 is nothing. */
function fetch(from: (to: usize, room: i32) => i32): i32 {
  begin();
  for (let need = 64; room(need - <i32>written()) != 0;) {
    const have = need;
    need = from(begun, have);
    if (need <= have) return need;
  }
  return -1;
}

/** What functions that are fetched by know of: they have no variables around them. */
let number: i32 = 0;

/** Fluent Bit's log. Of a line the host takes 16 KiB, and 100 lines in 10 s. */
export namespace log {
  export const ERROR: u32 = 1;
  export const WARN: u32 = 2;
  export const INFO: u32 = 3;
  export const DEBUG: u32 = 4;
  export const TRACE: u32 = 5;

  /** Whether lines of that level reach the log: if not, they need not be made. */
  export function enabled(level: u32): bool {
    return logEnabled(level) == 1;
  }

  /** Writes a line of that level. */
  export function line(level: u32, text: string): void {
    one.of(text);
    hostLog(level, one.at, one.size);
  }

  /** Writes an error. */
  export function error(text: string): void { line(ERROR, text); }

  /** Writes a warning. */
  export function warn(text: string): void { line(WARN, text); }

  /** Writes a line of information. */
  export function info(text: string): void { line(INFO, text); }

  /** Writes a line for who looks for a mistake. */
  export function debug(text: string): void { line(DEBUG, text); }

  /** Writes a line for who follows each step. */
  export function trace(text: string): void { line(TRACE, text); }
}

/** A metric. It is defined when the filter is made, and has its labels in the order of their names, all of them.
 * A name or label that Prometheus does not allow is a trap. */
class Metric {
  protected id: i32;

  protected constructor(kind: i32, name: string, help: string, labels: string[], buckets: f64[]) {
    one.of(name);
    two.of(help);
    three.of(labels.join(","));
    this.id = metricDefine(
      kind, one.at, one.size, two.at, two.size, three.at, three.size, buckets.dataStart, buckets.length);
  }

  /** Writes values of labels, as host functions take them; false: there is no memory. */
  protected write(labels: string[]): bool {
    begin();
    for (let i = 0; i < labels.length; i++) writeSized(labels[i]);
    return !refused;
  }
}

/** What only grows. */
export class Counter extends Metric {
  /** Defines a counter, or finds the one that is defined the same. */
  constructor(name: string, help: string, labels: string[] = []) {
    super(1, name, help, labels, []);
  }

  /** Adds to the counter of these labels. */
  add(n: f64, labels: string[] = []): void {
    if (this.write(labels)) metricAdd(this.id, n, begun, written());
  }
}

/** What grows and shrinks. */
export class Gauge extends Metric {
  /** Defines a gauge, or finds the one that is defined the same. */
  constructor(name: string, help: string, labels: string[] = []) {
    super(2, name, help, labels, []);
  }

  /** Adds to the gauge of these labels. */
  add(n: f64, labels: string[] = []): void {
    if (this.write(labels)) metricAdd(this.id, n, begun, written());
  }

  /** Sets the gauge of these labels. */
  set(value: f64, labels: string[] = []): void {
    if (this.write(labels)) metricSet(this.id, value, begun, written());
  }
}

/** How many values there are up to each of some bounds. */
export class Histogram extends Metric {
  /** Defines a histogram by the upper ends of its buckets, 1 to 64 that ascend. */
  constructor(name: string, help: string, labels: string[], buckets: f64[]) {
    super(3, name, help, labels, buckets);
  }

  /** Counts a value. */
  observe(value: f64, labels: string[] = []): void {
    if (this.write(labels)) metricObserve(this.id, value, begun, written());
  }
}

const result: usize = memory.data(8);

/** The key-value store, which all instances of the filter share, and which ends with it. A filter that uses
 * it needs `store_limit`. Keys and values are text, a `Value` that is text, or a `Uint8Array`: 1,024 bytes
 * and 1 MiB at most. `ttl` says how long a key lives from now on, in milliseconds. */
export namespace store {
  /** A `ttl`: until the key is deleted. */
  export const FOREVER: i64 = 0;
  /** A `ttl`: as long as it would have. */
  export const KEEP: i64 = -1;
  /** What `add` returns if there is no room. */
  export const FULL: i64 = i64.MIN_VALUE;

  /** Returns a `ttl` of so many seconds. */
  export function seconds(n: i64): i64 {
    return max(1, 1000 * n);
  }

  function find<K>(key: K): i32 {
    one.of(key);
    return fetch((to, have) => storeGet(one.at, one.size, to, have));
  }

  /** The value of a key as text, null if it is not there. */
  export function get<K>(key: K): string | null {
    const size = find(key);
    return size < 0 ? null : decode(begun, size);
  }

  /** The bytes of the value of a key, null if it is not there. */
  export function getBytes<K>(key: K): Uint8Array | null {
    const size = find(key);
    if (size < 0) return null;
    const bytes = new Uint8Array(size);
    memory.copy(bytes.dataStart, begun, size);
    return bytes;
  }

  /** Sets a key; false: there is no room. */
  export function set<K, V>(key: K, value: V, ttl: i64 = FOREVER): bool {
    one.of(key);
    two.of(value);
    return !refused && storeSet(one.at, one.size, two.at, two.size, ttl) == 0;
  }

  /** Deletes a key; false: it was not there. */
  export function remove<K>(key: K): bool {
    one.of(key);
    return !refused && storeDelete(one.at, one.size) == 1;
  }

  /** Adds to a counter, and returns what it is then; `FULL` if there is no room. `ttl` counts if the key is
   * new. A key that has a value of another length than 8 bytes is a trap. */
  export function add<K>(key: K, n: i64, ttl: i64 = FOREVER): i64 {
    one.of(key);
    if (refused || storeAdd(one.at, one.size, n, ttl, result) != 0) return FULL;
    return load<i64>(result);
  }

  /** Sets a key if its value is `old`, or with null if it is not there: 1; 0 if that is not so; -1: there is no
   * room. */
  export function compareAndSet<K, V>(key: K, old: string | null, value: V, ttl: i64 = FOREVER): i32 {
    one.of(key);
    two.of(value);
    if (old !== null) three.of(old);
    if (refused) return -1;
    return storeCas(one.at, one.size, three.at, old !== null ? <i32>three.size : -1, two.at, two.size, ttl);
  }
}

/** A table that the user has set as `table.NAME`: a CSV, JSON or MaxMind DB file. */
export class Table {
  private constructor(private id: i32) {}

  /** Opens a table, when the filter is made. If there is none, the configuration is refused. */
  static open(name: string): Table {
    one.of(name);
    const id = tableOpen(one.at, one.size);
    if (id < 0) refuse("table." + name + ": set it to a .csv, .json or .mmdb file");
    return new Table(id);
  }

  /** What the path leads to in the table's value for the key, as text: other values are JSON. The key is text,
   * or a `Value` that is; null is not in a table. The path is as in docs/abi.md (`country.iso_code`), or "" for the whole value. */
  get<K>(key: K, path: string = ""): string | null {
    const size = this.fetch(key, path, 2);
    return size < 0 ? null : decode(begun, size);
  }

  /** The same as a value, to be read or put into a record. */
  getValue<K>(key: K, path: string = ""): Value | null {
    return this.fetch(key, path, 1) < 0 ? null : changetype<Value>(begun);
  }

  private fetch<K>(key: K, path: string, format: i32): i32 {
    if (changetype<usize>(key) == 0) return -1;
    one.of(key);
    two.of(path);
    number = this.id;
    three.size = format;
    return fetch((to, have) => tableGet(number, one.at, one.size, two.at, two.size, <i32>three.size, to, have));
  }
}

/** Is called for `throw` and `assert`: the text is in Fluent Bit's log, and the batch has failed. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const where = file !== null ? " at " + file + ":" + line.toString() + ":" + column.toString() : "";
  const text = String.UTF8.encode((message !== null && message.length > 0 ? message : "abort") + where);
  hostLog(1, changetype<usize>(text), text.byteLength);
  unreachable();
}
