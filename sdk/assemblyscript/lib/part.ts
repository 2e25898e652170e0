import { Do, Op, Ops, begin, begun, byte, copy, refused, room, written } from "./memory";
import {
  Kind, MapValue, Value, find, holder, inside, keyIs, keyIsSame, last, partEnd, pathStart, skip, stepped, write,
  writeCount, writeText,
} from "./value";

const EMPTY: usize = memory.data<u8>([0x80]);
const NO_FORM: string = "the event is of a form that has no metadata";

/** What makes a text anew, or leaves it as it is. */
type Rewrite<C> = (text: Value, context: C) => string | null;

/** More sets, adds and removes than this are carried out here: a host takes 256 of a part. */
const EDITS: u32 = 32;

/**
 * The body or the metadata of an event or group: a map.
 *
 * What is read is the part as it came. Edits take effect when the filter has returned, one after the other;
 * `edited` has them now. An edit costs what it touches, however large the part is, unless another one has
 * touched the same member before: then it costs a copy of the part.
 *
 * A path is a text with dots between keys, and numbers for elements (`"items.0.name"`), or what `path` and
 * `accessor` return. A text finds keys with dots, too: a member whose key is all that is left of the text
 * goes before one whose key is what is left up to the first dot.
 */
export class Part {
  /** Where the part stands that came; 0: the event is of a form that has no such part. */
  came: usize = 0;
  /** What edits are edits of: what came, or a copy with earlier edits. */
  private base: usize = EMPTY;
  private whole: bool = false;
  private puts: Ops = new Ops();
  private edits: Ops = new Ops();
  fault: string | null = null;

  /** Goes to the next event or group. No bytes: it has no such part. */
  load(came: usize, size: usize): void {
    this.came = size > 0 ? came : 0;
    this.base = size > 0 ? came : EMPTY;
    this.whole = false;
    this.puts.count = this.edits.count = 0;
    this.fault = null;
  }

  /** The part as it came. */
  get value(): Value {
    return changetype<Value>(this.came != 0 ? this.came : EMPTY);
  }

  /** What a path leads to, in the part as it came. */
  get(path: string): Value | null {
    return this.value.get(path);
  }

  /** Whether a path leads to that text. Nothing is decoded. */
  is(path: string, text: string): bool {
    const found = this.get(path);
    return found !== null && found.is(text);
  }

  /** The text that a path leads to, not decoded; null if it is not there, or not text. */
  getText(path: string): Value | null {
    const found = this.get(path);
    return found !== null && found.kind == Kind.Str ? found : null;
  }

  /** The text that a path leads to; null if it is not there, or not text. */
  getString(path: string): string | null {
    const text = this.getText(path);
    return text !== null ? text.toString() : null;
  }

  /** The whole number that a path leads to, or what it is instead of one. */
  getI64(path: string, orElse: i64 = 0): i64 {
    const found = this.get(path);
    return found !== null ? found.toI64(orElse) : orElse;
  }

  /** The number that a path leads to, or what it is instead of one. */
  getF64(path: string, orElse: f64 = 0): f64 {
    const found = this.get(path);
    return found !== null ? found.toF64(orElse) : orElse;
  }

  /** What a path leads to if it is true or false, or what it is instead of these. */
  getBool(path: string, orElse: bool = false): bool {
    const found = this.get(path);
    return found !== null ? found.toBool(orElse) : orElse;
  }

  /** Gives what the path leads to the value. What is not there is added as the last member of its map, which
   * is made if need be. Where a value that is not a map is in the way, the event fails. */
  set<T>(path: string, value: T): void {
    const found = this.reach(path, false, false);
    if (!this.canEdit()) return;
    begin();
    if (found != 0 && holder == this.base) {
      writeText(path, false, last, stepped);
      write(value);
      this.edits.push(Do.Set);
    } else if (found != 0) {
      write(value);
      this.put_(found);
    } else if (changetype<Value>(holder).kind != Kind.Map) {
      this.fault = "set: a value that is not a map is in the way";
    } else if (holder == this.base) {
      writeNew(path, last, value);
      this.add_();
    } else {
      const data = inside(holder);
      writeCount(true, changetype<Value>(holder).length + 1);
      copy(data, skip(holder) - data);
      writeNew(path, last, value);
      this.put_(holder);
    }
  }

  /** Returns what a path leads to, in a copy with earlier edits if these have to do with what is found, or with
   * `all` that is in its holder; of members of the part itself only if they are put. */
  private reach(path: string, all: bool, puts: bool): usize {
    if (this.isTouched(path)) this.settle();
    const found = find(this.base, path);
    const place = found != 0 && !all ? found : holder;
    if (place == this.base || (holder == this.base && !puts) || !this.isPut(place)) return found;
    this.settle();
    return find(this.base, path);
  }

  /** Adds a member as the last one, without a look whether its key is there. */
  add<T>(key: string, value: T): void {
    if (this.edits.count >= EDITS) this.settle();
    if (!this.canEdit()) return;
    begin();
    writeText(key);
    write(value);
    this.add_();
  }

  /** Removes what the path leads to, if it is there. */
  remove(path: string): void {
    const found = this.reach(path, true, false);
    if (found == 0 || !this.canEdit()) return;
    begin();
    if (holder == this.base) {
      writeText(path, false, last, stepped);
      this.edits.push(Do.Remove);
      return;
    }
    const n = changetype<Value>(holder).length - 1;
    const isMap = changetype<Value>(holder).kind == Kind.Map;
    let at = inside(holder);
    writeCount(isMap, n);
    for (const end = skip(holder); at < end;) {
      const value = isMap ? skip(at) : at;
      const next = skip(value);
      if (value != found) copy(at, next - at);
      at = next;
    }
    this.put_(holder);
  }

  /** Sets what the path leads to to the value that there is, and removes it if that is null. */
  setOrRemove<T>(path: string, value: T): void {
    if (changetype<usize>(value) == 0) this.remove(path);
    else this.set(path, value);
  }

  /** Replaces the value that a path leads to, however deep; false if there is none. */
  put<T>(path: string, value: T): bool {
    const found = this.reach(path, false, true);
    if (found == 0 || !this.canEdit()) return found != 0;
    begin();
    write(value);
    this.put_(found);
    return true;
  }

  /** Replaces the part as a whole. */
  replace(map: MapValue): void {
    if (this.came == 0) this.fault = NO_FORM;
    begin();
    map.write();
    this.rebase(begun);
  }

  /**
   * Calls a function for each text that is a value, at any depth, and puts what it returns, unless that is
   * null, in the text's place. Bins are taken for text. As functions here know nothing of what is around
   * them, it is given a context.
   *
   *     body.rewriteStrings((text: Value, who: string): string | null =>
   *       text.includes(who) ? text.toString().replaceAll(who, "***") : null, "bob");
   */
  rewriteStrings<C>(rewrite: Rewrite<C>, context: C): void {
    this.rewriteStringsWith("", rewrite, context);
  }

  /** Does the same with texts that include some other one, such as `"@"`: others cost next to nothing. */
  rewriteStringsWith<C>(part: string, rewrite: Rewrite<C>, context: C): void {
    const at = this.now();
    if (changetype<Value>(at).includes(part)) this.rewriteAt(at, rewrite, context, part);
    if (this.puts.count > 0) this.canEdit();
  }

  private rewriteAt<C>(at: usize, rewrite: Rewrite<C>, context: C, part: string): usize {
    const value = changetype<Value>(at);
    const kind = value.kind;
    if (kind == Kind.Str || kind == Kind.Bin) {
      const text = part.length == 0 || value.includes(part) ? rewrite(value, context) : null;
      if (text !== null) {
        begin();
        writeText(text, kind == Kind.Bin);
        this.put_(at);
      }
      return skip(at);
    }
    if (kind != Kind.Array && kind != Kind.Map) return skip(at);
    let left = value.length;
    for (at = inside(at); left > 0; left--) {
      if (kind == Kind.Map) at = skip(at);
      at = this.rewriteAt(at, rewrite, context, part);
    }
    return at;
  }

  /** A copy of the part with the edits so far. */
  edited(): MapValue {
    return MapValue.from(changetype<Value>(this.now()));
  }

  /** Where the part stands with the edits so far, a map of the batch's memory. */
  now(): usize {
    this.settle();
    return this.base;
  }

  /** Says what has been edited, in operations. */
  finish(to: Ops, part: u8, left: u32): void {
    if (this.whole) {
      this.settle();
      this.puts.push(Do.Replace, 0, 0, 0, this.base, skip(this.base) - this.base);
    }
    to.append(this.puts, part, left);
    to.append(this.edits, part, left);
  }

  private canEdit(): bool {
    if (changetype<Value>(this.base).kind != Kind.Map) this.fault = "what is not a map can only be replaced";
    else if (this.came == 0) this.fault = NO_FORM;
    return this.fault === null;
  }

  /** Says whether an earlier edit is one of the member that a path goes through, or there are too many. */
  private isTouched(path: string): bool {
    const start = pathStart(path);
    const end = partEnd(path, start);
    if (this.edits.count >= EDITS) return true;
    for (let i: u32 = 0; i < this.edits.count; i++) {
      const op = this.edits.at(i);
      let at = op.address;
      const last = at + op.size;
      while (at < last) {
        if (keyIs(at, path, start, end) || keyIs(at, path, start, path.length)) return true;
        if (op.kind == Do.Remove) break;
        at = skip(skip(at));
      }
    }
    return false;
  }

  /** Says whether a path leads to an array with elements, or may do so by earlier edits. */
  mayHaveElements(path: string): bool {
    const found = find(this.base, path);
    if (found != 0 && changetype<Value>(found).kind == Kind.Array && changetype<Value>(found).length > 0) return true;
    const place = holder != this.base ? holder : found;
    return this.isTouched(path) || (place != 0 && this.isPut(place));
  }

  /** Says whether an earlier put overlaps a value. */
  private isPut(at: usize): bool {
    const from = <u32>(at - this.base);
    const to = <u32>(skip(at) - this.base);
    for (let i: u32 = 0; i < this.puts.count; i++) {
      const put = this.puts.at(i);
      if (put.a < to && put.a + put.b > from) return true;
    }
    return false;
  }

  /** Puts what has been written in the place of a value that no earlier put overlaps. */
  private put_(at: usize): void {
    const a = <u32>(at - this.base);
    let i = this.puts.count;
    while (i > 0 && this.puts.at(i - 1).a > a) i--;
    this.puts.push(Do.Put, a, <u32>(skip(at) - at), i); // they ascend
  }

  /** Adds the member that has been written. */
  private add_(): void {
    const n = this.edits.count;
    const last = n > 0 ? this.edits.at(n - 1) : null;
    if (last !== null && last.kind == Do.Add && last.address + last.size == begun && !refused) {
      last.size += written();
      last.a++;
    } else {
      this.edits.push(Do.Add, 1);
    }
  }

  private rebase(base: usize): void {
    this.puts.count = this.edits.count = 0;
    if (refused) return;
    this.base = base;
    this.whole = true;
  }

  /** Has edits from now on be those of a copy of the part. */
  private settle(): void {
    if (this.puts.count == 0 && this.edits.count == 0) return;
    let from = this.base;
    if (this.puts.count > 0) {
      begin();
      let done = from;
      for (let i: u32 = 0; i < this.puts.count; i++) {
        const put = this.puts.at(i);
        copy(done, this.base + put.a - done);
        copy(put.address, put.size);
        done = this.base + put.a + put.b;
      }
      copy(done, skip(from) - done);
      from = begun;
    }
    if (this.edits.count > 0 && !refused) from = this.apply(from);
    this.rebase(from);
  }

  /** Writes a map with the edits, and returns where. */
  private apply(from: usize): usize {
    let n: u32 = 0;
    begin();
    byte(0xdf);
    room(4);
    let left = changetype<Value>(from).length;
    for (let at = inside(from); left > 0; left--) {
      const end = skip(skip(at));
      let edit = changetype<usize>(0);
      let size = end - at;
      for (let i: u32 = 0; i < this.edits.count && edit == 0; i++) {
        const op = this.edits.at(i);
        if (op.kind == Do.Add || !keyIsSame(at, op.address)) continue;
        edit = op.address;
        size = op.kind == Do.Remove || op.b != 0 ? 0 : op.size;
        op.b = 1; // a key that is there several times stays once
      }
      if (size > 0) n++;
      copy(edit != 0 ? edit : at, size);
      at = end;
    }
    for (let i: u32 = 0; i < this.edits.count; i++) {
      const op = this.edits.at(i);
      if (op.kind == Do.Remove || (op.kind == Do.Set && op.b != 0)) continue;
      n += op.kind == Do.Add ? op.a : 1;
      copy(op.address, op.size);
    }
    if (!refused) store<u32>(begun, bswap<u32>(n), 1);
    return begun;
  }
}

/** Writes a member by which the rest of a path leads to a value. */
function writeNew<T>(path: string, from: i32, value: T): void {
  for (let end = partEnd(path, from); ; end = partEnd(path, from)) {
    writeText(path, false, from, end);
    if (end == path.length) break;
    writeCount(true, 1);
    from = end + 1;
  }
  write(value);
}
