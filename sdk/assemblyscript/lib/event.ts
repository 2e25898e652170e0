import { Do, Ops, begin, begun, copy, current, cursor, refuse, refused, rewind, written } from "./memory";
import { Part } from "./part";
import { Kind, MapValue, Value, find, inside, skip, writeBytes } from "./value";

const INHERITED: u32 = 0xffffffff;
const SECONDS_MAX: i64 = 0xfffffffd;

/** A further event, to be emitted, with the time, metadata and group of the event that it is emitted from,
 * as they are when the filter has returned. */
export class Emit {
  newMetadata: MapValue | null = null;
  seconds: i64 = -1;
  nanoseconds: u32 = 0;
  grouped: bool = true;
  tag: string | null = null;

  constructor(public body: MapValue) {}

  /** Gives it metadata of its own. */
  metadata(map: MapValue): Emit {
    this.newMetadata = map;
    return this;
  }

  /** Gives it a time of its own. */
  time(seconds: i64, nanoseconds: u32): Emit {
    this.seconds = seconds;
    this.nanoseconds = nanoseconds;
    return this;
  }

  /** Gives it another tag than the event's, which `emit_tags` of the filter has to grant: else the event fails. */
  to(tag: string): Emit {
    this.tag = tag;
    return this;
  }

  /** Takes it out of the event's group. */
  withoutGroup(): Emit {
    this.grouped = false;
    return this;
  }

  /** Writes what it has, but for the body, and `EMITTED`, as the ABI has it. */
  write(): void {
    const metadata = this.newMetadata;
    if (metadata !== null) metadata.write();
    piece(16);
    const tag = this.tag;
    if (tag !== null) writeBytes(tag);
    piece(32);
    store<i64>(EMITTED, this.seconds);
    store<u32>(EMITTED, this.nanoseconds, 8);
    store<u32>(EMITTED, this.grouped ? INHERITED : 0, 12);
  }
}

/** An emitted event. */
export const EMITTED: usize = memory.data(40);

/** Says in it where a piece stands: what has been written since `begin`. */
export function piece(offset: usize): void {
  store<usize>(EMITTED + offset, begun);
  store<usize>(EMITTED + offset, written(), 4);
  begin();
}

/** What is of an event, or of a group. */
class Parts {
  /** The record; of a group what its events have in common, with OTLP `{"resource": {…}, "scope": {…}}`. */
  body: Part = new Part();
  /** The metadata: with OTLP what a log record has beside its body; of a group that of the marker that begins it. */
  metadata: Part = new Part();
  failure: string | null = null;
  code: u32 = 1;
  protected chunk: usize = 0;
  protected cursor: usize = 0;

  /** Goes to the next one of a batch, by where the ABI has the places of its metadata and body. */
  load(batch: usize, at: usize): void {
    this.metadata.load(batch + load<usize>(at), load<usize>(at, 4));
    this.body.load(batch + load<usize>(at, 8), load<usize>(at, 12));
    this.failure = null;
    this.code = 1;
    this.chunk = current;
    this.cursor = cursor;
  }

  /** Says that it has failed, and why: an event, or all of a group's in the batch, and the group stays as it is. The
   * host counts it and logs it with the text, of which it takes 1,024 bytes; `on_error` of the filter says what
   * becomes of the event. Other events go on. */
  fail(text: string, code: u32 = 1): void {
    this.failure = text;
    this.code = code;
  }

  /** Says what is to become of it, in operations, or why it has failed. `left` is the room that the list has to
   * have then. */
  finish(to: Ops, number: u32, left: u32): void {
    const first = to.count;
    if (this.failure === null) this.failure = this.body.fault;
    if (this.failure === null) this.failure = this.metadata.fault;
    if (this.failure === null) this.say(to, left);
    if (this.failure === null && refused) this.failure = "no memory for the event";
    if (this.failure !== null) {
      to.count = first;
      rewind(this.chunk, this.cursor);
    }
    to.areOf(number, first);
  }

  protected say(to: Ops, left: u32): void {
    this.body.finish(to, 0, left);
    this.metadata.finish(to, 1, left);
  }
}

/** An event: what a filter is called for. */
export class Event extends Parts {
  /** The tag. */
  tag: string = "";
  /** What the event's group has in common, as it came; with OTLP `{"resource": {…}, "scope": {…}}`. A
   * `Filter` edits it by `group`. */
  group: Value | null = null;

  /** Seconds since the epoch, as they have been set if they have: by `setTime` alone. */
  seconds: i64 = 0;
  /** Nanoseconds of the second. */
  nanoseconds: u32 = 0;
  private timed: bool = false;
  private dropped: bool = false;
  private emitted: Ops = new Ops();

  /** Goes to the next one of a batch, which the ABI has at an address. */
  load(batch: usize, at: usize): void {
    super.load(batch, at + 16);
    this.seconds = load<i64>(at);
    this.nanoseconds = load<u32>(at, 8);
    this.timed = this.dropped = false;
    this.emitted.count = 0;
  }

  /** Sets the time: 0 to 2^32 - 3 seconds, and less than 10^9 nanoseconds. Another one fails the event. */
  setTime(seconds: i64, nanoseconds: u32): void {
    this.checkTime(seconds, nanoseconds);
    this.seconds = seconds;
    this.nanoseconds = nanoseconds;
    this.timed = true;
  }

  /** Drops the event. Events that it emits come out. */
  drop(): void {
    this.dropped = true;
  }

  /** Has the event go on under another tag, with the edits of the body so far, through the filters and outputs that
   * match it; a body without edits costs no copy. Under its own tag it is dropped. `emit_tags` of the filter has to
   * grant the tag: else the event fails. */
  route(tag: string): void {
    const body = this.body.now();
    store<usize>(EMITTED, body, 24);
    store<usize>(EMITTED, skip(body) - body, 28);
    begin();
    this.finishEmit(new Emit(new MapValue()).to(tag));
    this.drop();
  }

  private checkTime(seconds: i64, nanoseconds: u32): void {
    if (seconds >= 0 && seconds <= SECONDS_MAX && nanoseconds < 1000000000) return;
    this.body.fault = "the time is not one that an event can have";
  }

  /** Emits a further event, which comes after this one and those emitted before: a `MapValue` is its body;
   * an `Emit` has more. */
  emit<T>(event: T): void {
    if (idof<T>() == idof<MapValue>()) this.emitEvent(new Emit(changetype<MapValue>(event)));
    else if (idof<T>() == idof<Emit>()) this.emitEvent(changetype<Emit>(event));
    else ERROR("emit takes a MapValue or an Emit");
  }

  private emitEvent(event: Emit): void {
    begin();
    event.body.write();
    piece(24);
    this.finishEmit(event);
  }

  private finishEmit(event: Emit): void {
    if (event.seconds != -1) this.checkTime(event.seconds, event.nanoseconds);
    if (event.newMetadata !== null && this.metadata.came == 0) {
      this.metadata.fault = "the event is of a form that has no metadata";
    }
    event.write();
    begin(8);
    copy(EMITTED, 40);
    this.emitted.push(event.tag === null ? Do.Emit : Do.EmitTo);
  }

  /** Makes an event for each element of the array that a path leads to, which takes the array's place, in this
   * event with the edits so far. The event itself is dropped. What is not an array, or is empty, is left as
   * it is. */
  split(path: string): void {
    if (!this.body.mayHaveElements(path)) return;
    const whole = this.body.now();
    const list = find(whole, path);
    if (list == 0 || changetype<Value>(list).kind != Kind.Array || changetype<Value>(list).length == 0) return;
    const end = skip(list);
    const wholeEnd = skip(whole);
    let element = inside(list);
    const same = new Emit(new MapValue());
    for (let left = changetype<Value>(list).length; left > 0 && !refused; left--) {
      const next = skip(element);
      begin();
      copy(whole, list - whole);
      copy(element, next - element);
      copy(end, wholeEnd - end);
      piece(24);
      this.finishEmit(same);
      element = next;
    }
    this.drop();
  }

  finish(to: Ops, number: u32, left: u32): void {
    super.finish(to, number, left);
    const text = this.failure;
    if (text === null) return;
    begin();
    writeBytes(text);
    if (refused) rewind(this.chunk, this.cursor); // an error without text
    to.push(Do.Error, this.code);
    to.areOf(number, to.count - 1);
  }

  protected say(to: Ops, left: u32): void {
    // Events that are emitted have time and metadata as operations leave them.
    const changes = !this.dropped || this.emitted.count > 0;
    if (!to.ensure(2 + left)) return refuse();
    begin();
    if (this.dropped) to.push(Do.Drop);
    if (changes && this.timed) to.push(Do.Time, <u32>this.seconds, this.nanoseconds);
    if (!this.dropped) this.body.finish(to, 0, left);
    if (changes) this.metadata.finish(to, 1, left);
    to.append(this.emitted, 0, left);
  }
}

/** What the events of a group have in common: with OTLP a resource and a scope. */
export class Group extends Parts {}

/** A filter with a state, or a configuration, of its own. */
export abstract class Filter {
  /** Is called for each event. */
  abstract filter(event: Event): void;

  /** Is called for each group that may be changed, before the events of the batch. */
  group(group: Group): void {}

  /** Is called every `tick_interval` of the filter, also when no events come, by a module that has `export * from
   * "flb-filter/tick";`. By `emitTo` it hands over what is held: all of it if this is the last call of the instance. It
   * returns null, or why it has failed: that is logged, and nothing that the call has emitted comes out. */
  tick(last: bool): string | null {
    return null;
  }
}
