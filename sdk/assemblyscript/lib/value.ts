import { begin, begun, byte, copy, forget, room, written } from "./memory";
import { decode, includes, same } from "./text";

/** What a `Value` is. */
export enum Kind {
  Nil,
  Bool,
  Int,
  Float,
  Str,
  /** Bytes that are not said to be text. */
  Bin,
  Array,
  Map,
  /** An extension of MessagePack. */
  Ext,
}

// What `head` has found: how many bytes the header of a value has, and how many stand behind it, without
// elements or members, and how many of these there are.
let headSize: usize = 0;
let dataSize: usize = 0;
let count: u32 = 0;

// Of the leads from 0xc0 on: the kind, the bytes that the number of what follows has, and without one how many
// bytes follow.
const LEADS: usize = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 5, 1, 0, 5, 2, 0, 5, 4, 0, 8, 1, 1, 8, 2, 1, 8, 4, 1, 3, 0, 4, 3, 0, 8,
  2, 0, 1, 2, 0, 2, 2, 0, 4, 2, 0, 8, 2, 0, 1, 2, 0, 2, 2, 0, 4, 2, 0, 8, 8, 0, 2, 8, 0, 3, 8, 0, 5, 8, 0, 9,
  8, 0, 17, 4, 1, 0, 4, 2, 0, 4, 4, 0, 6, 2, 0, 6, 4, 0, 7, 2, 0, 7, 4, 0,
]);

function head(at: usize): Kind {
  const lead = <u32>load<u8>(at);
  let kind = Kind.Int;
  headSize = 1;
  dataSize = 0;
  count = 0;
  if (lead < 0x80 || lead >= 0xe0) return kind;
  if (lead < 0xc0) {
    kind = lead < 0x90 ? Kind.Map : lead < 0xa0 ? Kind.Array : Kind.Str;
    if (kind == Kind.Str) dataSize = lead & 31;
    else count = lead & 15;
    return kind;
  }
  const row = LEADS + 3 * (lead - 0xc0);
  const width = load<u8>(row, 1);
  const n: u32 = width == 0 ? 0 : width == 1 ? load<u8>(at, 1)
    : width == 2 ? bswap<u16>(load<u16>(at, 1)) : bswap<u32>(load<u32>(at, 1));
  kind = <Kind>load<u8>(row);
  headSize += width;
  if (kind == Kind.Map || kind == Kind.Array) count = n;
  else dataSize = n + load<u8>(row, 2);
  return kind;
}

/** Returns where a value ends. */
export function skip(at: usize): usize {
  let left: u64 = 1;
  do {
    const lead = load<u8>(at);
    left--;
    if (lead < 0x80 || lead >= 0xe0) {
      at++;
    } else if (lead >= 0xa0 && lead < 0xc0) {
      at += 1 + (lead & 31);
    } else {
      const kind = head(at);
      at += headSize + dataSize;
      left += kind == Kind.Map ? 2 * <u64>count : count;
    }
  } while (left > 0);
  return at;
}

/** Where the members of a map, or the elements of an array, begin. */
export function inside(at: usize): usize {
  head(at);
  return at + headSize;
}

/** Says whether a key is a string with the code units of a text from one to another place. */
export function keyIs(key: usize, text: string, from: i32, to: i32): bool {
  const lead = load<u8>(key);
  if (lead >= 0xa0 && lead < 0xc0) return same(key + 1, lead & 31, text, from, to);
  return head(key) == Kind.Str && same(key + headSize, dataSize, text, from, to);
}

/** Says whether a key is the same as one that is a string. */
export function keyIsSame(key: usize, text: usize): bool {
  if (head(key) != Kind.Str) return false;
  const data = key + headSize;
  const size = dataSize;
  return head(text) == Kind.Str && dataSize == size && memory.compare(data, text + headSize, size) == 0;
}

/**
 * Returns a path of keys, and numbers of elements, whose dots are theirs:
 * `path(["items", "0", "http.status"])`. It is made once, and given wherever a path is.
 */
export function path(parts: string[]): string {
  return "\0" + parts.join("\0");
}

/**
 * Returns a path in the form of Fluent Bit's record accessor, `$a['b'][0]`; null if the text has another
 * form. What does not begin with a `$` is a path already.
 */
export function accessor(text: string): string | null {
  if (!text.startsWith("$")) return text.length > 0 && !text.startsWith("\0") ? text : null;
  const n = text.length;
  let at = text.indexOf("[");
  if (at < 0) at = n;
  if (at == 1) return null;
  let to = "\0" + text.substring(1, at);
  while (at < n) {
    const quote = text.charAt(at + 1);
    const quoted = quote == "'" || quote == '"';
    const from = quoted ? at + 2 : at + 1;
    const end = text.indexOf(quoted ? quote + "]" : "]", from);
    if (text.charCodeAt(at) != 0x5b || end < 0 || (!quoted && index(text, from, end) < 0)) return null;
    to += "\0" + text.substring(from, end);
    at = quoted ? end + 2 : end + 1;
  }
  return to;
}

function index(path: string, from: i32, to: i32): i64 {
  if (from == to || to - from > 10) return -1;
  let n: i64 = 0;
  for (; from < to; from++) {
    const digit = path.charCodeAt(from) - 0x30;
    if (<u32>digit > 9) return -1;
    n = 10 * n + digit;
  }
  return n;
}

/** Where the first part of a path begins. */
export function pathStart(path: string): i32 {
  return path.length > 0 && load<u16>(changetype<usize>(path)) == 0 ? 1 : 0;
}

/** Where the part of a path that begins at a place ends. */
export function partEnd(path: string, from: i32): i32 {
  const separator: u16 = pathStart(path) == 1 ? 0 : 0x2e;
  const length = path.length;
  while (from < length && load<u16>(changetype<usize>(path) + (<usize>from << 1)) != separator) from++;
  return from;
}

/** Where the part of the path ends by which `step` has found something. */
export let stepped: i32 = 0;

/** Goes a step from a value, by the part of the path that begins at a place. 0: there is no such thing. */
export function step(at: usize, path: string, from: i32): usize {
  const end = partEnd(path, from);
  const kind = head(at);
  let left = count;
  stepped = end;
  at += headSize;
  if (kind == Kind.Array) {
    const i = index(path, from, end);
    if (i < 0 || i >= <i64>left) return 0;
    for (left = <u32>i; left > 0; left--) at = skip(at);
    return at;
  }
  if (kind != Kind.Map) return 0;
  const whole = pathStart(path) == 1 ? end : path.length;
  let first: usize = 0;
  for (; left > 0; left--) {
    const value = skip(at);
    if (first == 0 && keyIs(at, path, from, end)) {
      first = value;
      if (whole == end) return first;
    } else if (whole != end && keyIs(at, path, from, whole)) {
      stepped = whole;
      return value;
    }
    at = skip(value);
  }
  return first;
}

/** What `find` has come to: what holds what the path leads to, or would, and where in the path the part begins
 * that is looked for there. */
export let holder: usize = 0;
export let last: i32 = 0;

/** Returns what a path leads to, 0 if it leads nowhere. */
export function find(at: usize, path: string): usize {
  last = pathStart(path);
  do {
    holder = at;
    at = step(at, path, last);
    if (at == 0 || stepped == path.length) return at;
    last = stepped + 1;
  } while (true);
}

/**
 * A value of a record, read where it stands: nothing is parsed but what is asked for, and nothing is
 * allocated. It is good until the filter has returned: keep what is read, not the value.
 */
@unmanaged
export class Value {
  /** What the value is. */
  get kind(): Kind {
    return head(changetype<usize>(this));
  }

  /** The number of elements of an array, or members of a map, else 0. */
  get length(): u32 {
    head(changetype<usize>(this));
    return count;
  }

  /** What a path leads to. */
  get(path: string): Value | null {
    return changetype<Value | null>(find(changetype<usize>(this), path));
  }

  /** Whether the value is that text: bytes are compared, and nothing is decoded. */
  is(text: string): bool {
    return keyIs(changetype<usize>(this), text, 0, text.length);
  }

  /** Whether the bytes of a text or bin include those of a text, without decoding. Of an array or map:
   * whether anything in it might. */
  includes(text: string): bool {
    const at = changetype<usize>(this);
    const kind = head(at);
    if (kind == Kind.Map || kind == Kind.Array) return includes(at, skip(at) - at, text);
    return includes(at + headSize, dataSize, text);
  }

  /** The text of a string or bin, decoded: bytes that are not UTF-8 are U+FFFD. Of others it is nothing. */
  toString(): string {
    return decode(this.dataStart, this.dataSize);
  }

  /** The bytes of a string or bin. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(<i32>this.dataSize);
    memory.copy(bytes.dataStart, this.dataStart, this.dataSize);
    return bytes;
  }

  /** A whole number, or what it is instead of one and of those that an i64 has no room for. */
  toI64(orElse: i64 = 0): i64 {
    const n = this.raw();
    return this.kind != Kind.Int || (n < 0 && this.isU64) ? orElse : n;
  }

  /** A whole number that is not negative, or what it is instead of one. */
  toU64(orElse: u64 = 0): u64 {
    const n = this.raw();
    return this.kind != Kind.Int || (n < 0 && !this.isU64) ? orElse : <u64>n;
  }

  /** A number, whole or not, or what it is instead of one. */
  toF64(orElse: f64 = 0): f64 {
    const at = changetype<usize>(this);
    const kind = head(at);
    if (kind == Kind.Int) return this.isU64 ? <f64>(<u64>this.raw()) : <f64>this.raw();
    if (kind != Kind.Float) return orElse;
    if (dataSize == 4) return <f64>reinterpret<f32>(bswap<u32>(load<u32>(at, 1)));
    return reinterpret<f64>(bswap<u64>(load<u64>(at, 1)));
  }

  /** True or false, or what it is instead of these. */
  toBool(orElse: bool = false): bool {
    const lead = load<u8>(changetype<usize>(this));
    return lead == 0xc3 || (lead != 0xc2 && orElse);
  }

  /** Where the bytes of a string or bin are. */
  get dataStart(): usize {
    head(changetype<usize>(this));
    return changetype<usize>(this) + headSize;
  }

  /** How many bytes a string or bin has; of others it is 0. */
  get dataSize(): usize {
    const kind = head(changetype<usize>(this));
    return kind == Kind.Str || kind == Kind.Bin ? dataSize : 0;
  }

  private get isU64(): bool {
    return load<u8>(changetype<usize>(this)) == 0xcf;
  }

  private raw(): i64 {
    const at = changetype<usize>(this);
    head(at);
    if (dataSize == 0) return load<i8>(at);
    let n: i64 = load<u8>(at) >= 0xd0 ? load<i8>(at, 1) : load<u8>(at, 1);
    for (let i: usize = 2; i <= dataSize; i++) n = (n << 8) | load<u8>(at + i);
    return n;
  }

  /** The elements of an array, or members of a map: `for (const it = v.items(); it.next(); ) it.value`. */
  items(): Items {
    return new Items(this);
  }
}

/** A way through elements of an array or members of a map. */
export class Items {
  /** The key of a member; of an element its value. */
  key: Value;
  /** The value of a member or element. */
  value: Value;
  private at: usize;
  private left: u32;
  private isMap: bool;

  constructor(from: Value) {
    this.key = this.value = from;
    this.isMap = from.kind == Kind.Map;
    this.left = from.length;
    this.at = changetype<usize>(from) + headSize;
  }

  /** Goes to the next one; false: there is none. */
  next(): bool {
    if (this.left == 0) return false;
    this.left--;
    this.key = this.value = changetype<Value>(this.at);
    if (this.isMap) this.value = changetype<Value>(skip(this.at));
    this.at = skip(changetype<usize>(this.value));
    return true;
  }
}

/** Writes a header: a short form up to `most` where there is one, else of 1 (where `one` is its lead), 2 or
 * 4 bytes. */
function writeHead(n: usize, short: u32, most: u32, one: u32, two: u32): void {
  if (short != 0 && n <= most) return byte(short | <u32>n);
  const width = one != 0 && n < 0x100 ? 0 : n < 0x10000 ? 1 : 2;
  writeNumber(width == 0 ? one : two + width - 1, width, n);
}

/** Writes a lead, and a number of 1, 2, 4 or 8 bytes: 1 << `width`. */
function writeNumber(lead: u32, width: u32, n: u64): void {
  const at = room(1 + (1 << width));
  if (at == 0) return;
  store<u8>(at, lead);
  for (let left = 1 << width; left > 0; left--, n >>= 8) store<u8>(at + left, n);
}

export function writeCount(isMap: bool, n: usize): void {
  writeHead(n, isMap ? 0x80 : 0x90, 15, 0, isMap ? 0xde : 0xdc);
}

/** Writes a text, or a part of one, as a string or bin. */
export function writeText(text: string, isBin: bool = false, from: i32 = 0, to: i32 = text.length): void {
  if (from > 0 || to < text.length) text = text.substring(from, to);
  const size = String.UTF8.byteLength(text);
  if (isBin) writeHead(size, 0, 0, 0xc4, 0xc5);
  else writeHead(size, 0xa0, 31, 0xd9, 0xda);
  writeBytes(text, size);
}

/** Writes the UTF-8 of a text, and nothing else. */
export function writeBytes(text: string, size: usize = String.UTF8.byteLength(text)): void {
  const at = room(size);
  if (at == 0) return;
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, at, false, String.UTF8.ErrorMode.REPLACE);
}

/** Writes the length of a text in UTF-8, 4 bytes, and the text. */
export function writeSized(text: string): void {
  const at = room(4);
  if (at != 0) store<u32>(at, String.UTF8.byteLength(text));
  writeBytes(text);
}

/** Writes a whole number in its shortest form. What is not signed is a u64. */
function writeInt(n: i64, signed: bool): void {
  if (n < 0x80 && n >= (signed ? -0x20 : 0)) return byte(<u32>(n & 0xff));
  const negative = signed && n < 0;
  const most = <u64>(negative ? ~n << 1 : n);
  const width = most < 0x100 ? 0 : most < 0x10000 ? 1 : most < 0x100000000 ? 2 : 3;
  writeNumber((negative ? 0xd0 : 0xcc) + width, width, n);
}

/** What there is written of an array or map of one's own. */
class Built {
  protected bytes: ArrayBuffer = new ArrayBuffer(64);
  protected size: usize = 5;

  constructor(lead: u8) {
    store<u8>(changetype<usize>(this.bytes), lead);
  }

  /** The value, to read it. It is as it is now, until something is added. */
  get value(): Value {
    return changetype<Value>(this.bytes);
  }

  /** Puts what has been written, with so many more elements or members, in the place of some bytes. */
  protected splice(from: usize, to: usize, more: u32): void {
    const size = from + written() + this.size - to;
    const old = changetype<usize>(this.bytes);
    if (size > <usize>this.bytes.byteLength) {
      this.bytes = new ArrayBuffer(2 * <i32>size);
      memory.copy(changetype<usize>(this.bytes), old, from);
    }
    const start = changetype<usize>(this.bytes);
    memory.copy(start + from + written(), old + to, this.size - to);
    memory.copy(start + from, begun, written());
    store<u32>(start, bswap<u32>(this.value.length + more), 1);
    this.size = size;
    forget();
  }

  write(): void {
    const n = this.value.length;
    writeCount(load<u8>(changetype<usize>(this.bytes)) == 0xdf, n);
    copy(changetype<usize>(this.bytes) + 5, this.size - 5);
  }
}

/** A map of one's own, to be put into a record or emitted. */
export class MapValue extends Built {
  constructor() {
    super(0xdf);
  }

  /** Copies a value; one that is not a map becomes an empty map. */
  static from(value: Value): MapValue {
    const map = new MapValue();
    const at = changetype<usize>(value);
    if (head(at) != Kind.Map) return map;
    const n = count;
    begin();
    copy(at + headSize, skip(at) - at - headSize);
    map.splice(5, 5, n);
    return map;
  }

  /** Gives the member of that key the value, or adds it as the last one. Returns the map. */
  set<T>(key: string, value: T): MapValue {
    const member = this.member(key);
    if (member == 0) return this.add(key, value);
    const start = changetype<usize>(this.bytes);
    const at = skip(member);
    begin();
    write(value);
    this.splice(at - start, skip(at) - start, 0);
    return this;
  }

  /** Adds a member as the last one, without a look whether its key is there. Returns the map. */
  add<T>(key: string, value: T): MapValue {
    begin();
    writeText(key);
    write(value);
    this.splice(this.size, this.size, 1);
    return this;
  }

  /** Removes the member of that key, if it is there. */
  remove(key: string): void {
    for (let at = this.member(key); at != 0; at = this.member(key)) {
      const start = changetype<usize>(this.bytes);
      begin();
      this.splice(at - start, skip(skip(at)) - start, -1);
    }
  }

  private member(key: string): usize {
    let at = changetype<usize>(this.bytes) + 5;
    for (let left = this.value.length; left > 0; left--) {
      if (keyIs(at, key, 0, key.length)) return at;
      at = skip(skip(at));
    }
    return 0;
  }
}

/** An array of one's own, of values of any kinds. Where all are of one kind, an array will do. */
export class ListValue extends Built {
  constructor() {
    super(0xdd);
  }

  /** Appends a value. Returns the list. */
  push<T>(value: T): ListValue {
    begin();
    write(value);
    this.splice(this.size, this.size, 1);
    return this;
  }
}

/** Writes a value: text, numbers, booleans, null, arrays, `Uint8Array` for a bin, a `MapValue`, `ListValue`
 * or `Value`. */
export function write<T>(value: T): void {
  if (isBoolean<T>()) {
    byte(value ? 0xc3 : 0xc2);
  } else if (isInteger<T>()) {
    writeInt(<i64>value, isSigned<T>());
  } else if (isFloat<T>()) {
    writeNumber(0xcb, 3, reinterpret<u64>(<f64>value));
  } else if (changetype<usize>(value) == 0) {
    byte(0xc0);
  } else if (isString<T>()) {
    writeText(changetype<string>(value));
  } else if (!isManaged<T>()) {
    const at = changetype<usize>(value);
    copy(at, skip(at) - at);
  } else if (idof<T>() == idof<MapValue>() || idof<T>() == idof<ListValue>()) {
    changetype<MapValue>(value).write();
  } else if (idof<T>() == idof<Uint8Array>()) {
    const bytes = changetype<Uint8Array>(value);
    writeHead(bytes.byteLength, 0, 0, 0xc4, 0xc5);
    copy(bytes.dataStart, bytes.byteLength);
  } else if (isArray<T>()) {
    writeCount(false, value.length);
    for (let i = 0; i < value.length; i++) write<valueof<T>>(value[i]);
  } else {
    ERROR("a record has no form for a value of this type");
  }
}
