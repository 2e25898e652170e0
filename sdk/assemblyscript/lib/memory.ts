// Memory of a batch: pages beside the heap, in which what a reply points to is written. They are used
// again by the next batch. What the host refuses is told, and no trap as in AssemblyScript's own heap.

// A chunk begins with the address of the next one and its size.
const HEAD: usize = 16;
const PAGE: usize = 65536;
const RESERVE: usize = 4 * PAGE;

let first: usize = 0;
/** The chunk that is written to. */
export let current: usize = 0;
let limit: usize = 0;
/** Where the next byte goes. */
export let cursor: usize = 0;
/** Where what has been begun stands: good once all of it is written. */
export let begun: usize = 0;
/** There was no memory for something that has been written since the last `rewind`. */
export let refused: bool = false;
/** Room that the heap gets when the host has no more. */
let reserve: usize = 0;

function grow(size: usize): usize {
  const pages = size > 0x7fff0000 ? -1 : <i32>((size + HEAD + PAGE - 1) / PAGE);
  const page = pages < 0 ? -1 : memory.grow(pages);
  if (page < 0) {
    if (reserve != 0) heap.free(reserve);
    reserve = 0;
    return 0;
  }
  const chunk = <usize>page * PAGE;
  store<usize>(chunk, 0);
  store<usize>(chunk, <usize>pages * PAGE, 4);
  return chunk;
}

/** Returns the address of so many bytes of their own, a multiple of 8; 0: there is no memory. */
export function allocate(size: usize): usize {
  const chunk = grow(size);
  return chunk == 0 ? 0 : chunk + HEAD;
}

/** Returns how many bytes `allocate` has had for an address. */
export function allocated(at: usize): usize {
  return load<usize>(at - HEAD, 4) - HEAD;
}

/** Gives what `allocate` has returned to the memory of batches. */
export function release(at: usize): void {
  const chunk = at - HEAD;
  store<usize>(chunk, load<usize>(current));
  store<usize>(current, chunk);
}

/** Begins anew, with a batch. Without memory for it, returns false. */
export function reset(): bool {
  if (first == 0) {
    reserve = heap.alloc(RESERVE);
    first = grow(PAGE - HEAD);
  }
  if (first != 0) rewind(first, first + HEAD);
  return first != 0;
}

/** Goes back to where `current` and `cursor` were these. */
export function rewind(chunk: usize, at: usize): void {
  current = chunk;
  limit = chunk + load<usize>(chunk, 4);
  cursor = begun = at;
  refused = false;
}

export function refuse(): void { refused = true; }

/** Begins something, whose bytes stand together, at a multiple of a power of 2. */
export function begin(align: usize = 1): void {
  begun = cursor = (cursor + align - 1) & ~(align - 1);
}

/** Returns how many bytes have been written since `begin`. */
export function written(): usize { return cursor - begun; }

/** Forgets what has been written since `begin`. */
export function forget(): void { cursor = begun; }

/** Returns where so many bytes are to be written, which it takes for written; 0: there is no memory. */
// @ts-ignore: decorator
@inline
export function room(size: usize): usize {
  if (limit - cursor < size && !move(size)) return 0;
  const at = cursor;
  cursor += size;
  return at;
}

function move(size: usize): bool {
  const used = cursor - begun;
  const need = used + size;
  if (current == 0) return reset() && (limit - cursor >= size || move(size));
  if (refused || need < size) {
    refused = true;
    return false;
  }
  let before = current;
  let chunk = load<usize>(current);
  while (chunk != 0 && load<usize>(chunk, 4) - HEAD < need) {
    before = chunk;
    chunk = load<usize>(chunk);
  }
  if (chunk != 0) {
    store<usize>(before, load<usize>(chunk));
  } else {
    chunk = grow(max(need + used, min(<usize>memory.size() * PAGE / 8, 16 * PAGE)));
    if (chunk == 0) chunk = grow(need);
    if (chunk == 0) {
      refused = true;
      return false;
    }
  }
  store<usize>(chunk, load<usize>(current));
  store<usize>(current, chunk);
  memory.copy(chunk + HEAD, begun, used);
  current = chunk;
  limit = chunk + load<usize>(chunk, 4);
  begun = chunk + HEAD;
  cursor = begun + used;
  return true;
}

/** Writes bytes. */
export function copy(from: usize, size: usize): void {
  const at = room(size);
  if (at != 0) memory.copy(at, from, size);
}

/** Writes a byte. */
export function byte(value: u32): void {
  const at = room(1);
  if (at != 0) store<u8>(at, value);
}

/** The operations of the ABI. */
export const enum Do {
  Drop = 1,
  Error,
  Time,
  Replace,
  Set,
  Add,
  Remove,
  Put,
  Emit,
  EmitTo,
}

/** An operation, as the ABI has it. */
@unmanaged
export class Op {
  event: u32;
  kind: u8;
  part: u8;
  zero: u16;
  a: u32;
  b: u32;
  address: usize;
  size: usize;
}

/** Operations, one behind the other. */
export class Ops {
  base: usize = 0;
  count: u32 = 0;
  private room: u32 = 0;

  /** Makes room for some more; false: there is no memory. */
  ensure(more: u32): bool {
    if (this.room - this.count >= more) return true;
    let bytes = max<usize>(2 * this.room, <usize>this.count + more + 8) * offsetof<Op>();
    const old = this.base;
    const small = <usize>this.room * offsetof<Op>() < PAGE / 4;
    if (bytes < PAGE / 4) {
      this.base = heap.alloc(bytes);
    } else {
      let at = allocate(bytes);
      if (at == 0) at = allocate((this.count + more) * offsetof<Op>());
      if (at == 0) return false;
      bytes = allocated(at);
      this.base = at;
    }
    memory.copy(this.base, old, this.count * offsetof<Op>());
    if (old != 0 && small) heap.free(old);
    else if (old != 0) release(old);
    this.room = <u32>(bytes / offsetof<Op>());
    return true;
  }

  /** Makes an operation with some bytes, those that have been written, the i-th, if there is memory for it. */
  push(
    kind: Do, a: u32 = 0, b: u32 = 0, i: u32 = this.count, address: usize = begun, size: usize = cursor - begun,
  ): void {
    if (!this.ensure(1)) return refuse();
    const op = this.at(i);
    const at = changetype<usize>(op);
    memory.copy(at + offsetof<Op>(), at, (this.count++ - i) * offsetof<Op>());
    memory.fill(at, 0, offsetof<Op>());
    op.kind = <u8>kind;
    op.a = a;
    op.b = b;
    op.address = address;
    op.size = size;
  }

  /** Appends the operations of another list, on a part. `left` is the room that has to be there then. */
  append(from: Ops, part: u8, left: u32): void {
    if (from.count == 0) return;
    if (!this.ensure(from.count + left)) return refuse();
    memory.copy(this.base + this.count * offsetof<Op>(), from.base, from.count * offsetof<Op>());
    for (let end = this.count + from.count; this.count < end; this.count++) this.at(this.count).part = part;
  }

  /** Says of which event or group operations are, from the first one on. */
  areOf(event: u32, first: u32): void {
    for (; first < this.count; first++) this.at(first).event = event;
  }

  // @ts-ignore: decorator
  @inline
  at(i: u32): Op {
    return changetype<Op>(this.base + i * offsetof<Op>());
  }
}
