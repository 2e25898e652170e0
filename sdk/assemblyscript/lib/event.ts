import { Do, Ops, begin, beginAligned, begun, copy, cursorNow, chunkNow, refuse, rewind, room, wasRefused, written } from "./memory";
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

  /** Takes it out of the event's group. */
  withoutGroup(): Emit {
    this.grouped = false;
    return this;
  }
}

/** An event: what a filter is called for. */
export class Event {
  /** The record. */
  body: Part = new Part();
  /** The metadata: with OTLP what a log record has beside its body. */
  metadata: Part = new Part();
  /** The tag. */
  tag: string = "";
  /** What the event's group has in common, as it came; with OTLP `{"resource": {…}, "scope": {…}}`. A
   * `Filter` edits it by `group`. */
  group: Value | null = null;

  private sec: i64 = 0;
  private nsec: u32 = 0;
  private timed: bool = false;
  private dropped: bool = false;
  private failed: Failure = new Failure();
  private emitted: Ops = new Ops();

  load(body: usize, bodySize: usize, metadata: usize, metadataSize: usize, sec: i64, nsec: u32): void {
    this.body.load(body, bodySize);
    this.metadata.load(metadata, metadataSize);
    this.sec = sec;
    this.nsec = nsec;
    this.timed = this.dropped = false;
    this.failed.text = null;
    this.failed.mark();
    this.emitted.count = 0;
  }

  /** Seconds since the epoch, as they have been set if they have. */
  get seconds(): i64 {
    return this.sec;
  }

  /** Nanoseconds of the second. */
  get nanoseconds(): u32 {
    return this.nsec;
  }

  /** Sets the time: 0 to 2^32 - 3 seconds, and less than 10^9 nanoseconds. Another one fails the event. */
  setTime(seconds: i64, nanoseconds: u32): void {
    if (!isTime(seconds, nanoseconds)) this.body.fault = "the time is not one that an event can have";
    this.sec = seconds;
    this.nsec = nanoseconds;
    this.timed = true;
  }

  /** Drops the event. Events that it emits come out. */
  drop(): void {
    this.dropped = true;
  }

  /** Says that the event has failed, and why. The host counts it and logs it with the text, of which it takes
   * 1,024 bytes; `on_error` of the filter says what becomes of the event. Other events go on. */
  fail(text: string, code: u32 = 1): void {
    this.failed.text = text;
    this.failed.code = code;
  }

  /** Emits a further event, which comes after this one and those emitted before: a `MapValue` is its body;
   * an `Emit` has more. */
  emit<T>(event: T): void {
    if (idof<T>() == idof<MapValue>()) this.emitEvent(new Emit(changetype<MapValue>(event)));
    else if (idof<T>() == idof<Emit>()) this.emitEvent(changetype<Emit>(event));
    else ERROR("emit takes a MapValue or an Emit");
  }

  private emitEvent(event: Emit): void {
    if (event.seconds != -1 && !isTime(event.seconds, event.nanoseconds)) {
      this.body.fault = "the time is not one that an event can have";
    }
    begin();
    event.body.write();
    const body = begun();
    const bodySize = written();
    const metadata = event.newMetadata;
    begin();
    if (metadata !== null) {
      if (this.metadata.isMissing) this.metadata.fault = "the event is of a form that has no metadata";
      metadata.write();
    }
    const metadataAt = begun();
    this.emitBytes(body, bodySize, metadataAt, written(), event.seconds, event.nanoseconds, event.grouped);
  }

  private emitBytes(
    body: usize, bodySize: usize, metadata: usize, metadataSize: usize, sec: i64, nsec: u32, grouped: bool,
  ): void {
    beginAligned();
    const at = room(32);
    if (at == 0) return;
    store<i64>(at, sec);
    store<u32>(at, nsec, 8);
    store<u32>(at, grouped ? INHERITED : 0, 12);
    store<usize>(at, metadata, 16);
    store<usize>(at, metadataSize, 20);
    store<usize>(at, body, 24);
    store<usize>(at, bodySize, 28);
    this.emitted.push(Do.Emit);
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
    for (let left = changetype<Value>(list).length; left > 0 && !wasRefused(); left--) {
      const next = skip(element);
      begin();
      copy(whole, list - whole);
      copy(element, next - element);
      copy(end, wholeEnd - end);
      this.emitBytes(begun(), written(), 0, 0, -1, 0, true);
      element = next;
    }
    this.drop();
  }

  /** Says what is to become of the event, in operations. `left` is the room that the list has to have then. */
  finish(to: Ops, at: u32, left: u32): void {
    const first = to.count;
    const failed = this.failed;
    failed.take(this.body, this.metadata);
    if (failed.text === null) this.say(to, left);
    if (wasRefused()) failed.or("no memory for the event");
    const text = failed.text;
    if (text !== null) {
      to.count = first;
      failed.forget();
      writeBytes(text);
      if (wasRefused()) failed.forget(); // an error without text
      to.push(Do.Error, failed.code);
    }
    to.areOf(at, first);
  }

  private say(to: Ops, left: u32): void {
    // Events that are emitted have time and metadata as operations leave them.
    const changes = !this.dropped || this.emitted.count > 0;
    if (!to.ensure(2 + left)) return refuse();
    if (this.dropped) to.pushBytes(Do.Drop, 0, 0, 0, 0);
    if (changes && this.timed) to.pushBytes(Do.Time, <u32>this.sec, this.nsec, 0, 0);
    if (!this.dropped) this.body.finish(to, 0, left);
    if (changes) this.metadata.finish(to, 1, left);
    to.append(this.emitted, 0, left);
  }
}

function isTime(seconds: i64, nanoseconds: u32): bool {
  return seconds >= 0 && seconds <= SECONDS_MAX && nanoseconds < 1000000000;
}

/** What has failed. */
export class Failure {
  text: string | null = null;
  code: u32 = 1;
  private chunk: usize = chunkNow();
  private cursor: usize = cursorNow();

  /** Says why, if it is not said yet. */
  or(text: string): void {
    if (this.text !== null) return;
    this.text = text;
    this.code = 1;
  }

  /** Takes down where what a failure forgets begins in memory. */
  mark(): void {
    this.chunk = chunkNow();
    this.cursor = cursorNow();
  }

  /** Forgets what has been written since `mark`. */
  forget(): void {
    rewind(this.chunk, this.cursor);
  }

  /** Takes over what is wrong with edits. */
  take(body: Part, metadata: Part): void {
    const fault = body.fault;
    if (fault !== null) this.or(fault);
    const another = metadata.fault;
    if (another !== null) this.or(another);
  }
}

/** What the events of a group have in common: with OTLP a resource and a scope. */
export class Group {
  /** With OTLP `{"resource": {…}, "scope": {…}}`. */
  body: Part = new Part();
  /** The metadata of the marker that begins the group. */
  metadata: Part = new Part();
  failed: Failure = new Failure();

  load(body: usize, bodySize: usize, metadata: usize, metadataSize: usize): void {
    this.body.load(body, bodySize);
    this.metadata.load(metadata, metadataSize);
    this.failed.text = null;
    this.failed.mark();
  }

  /** Leaves the group as it is, and fails all of its events in the batch. */
  fail(text: string, code: u32 = 1): void {
    this.failed.text = text;
    this.failed.code = code;
  }
}

/** A filter with a state, or a configuration, of its own. */
export abstract class Filter {
  /** Is called for each event. */
  abstract filter(event: Event): void;

  /** Is called for each group that may be changed, before the events of the batch. */
  group(group: Group): void {}
}
