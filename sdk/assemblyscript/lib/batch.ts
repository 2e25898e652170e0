// The batch ABI, as docs/abi.md has it.

import { Event, Failure, Filter, Group } from "./event";
import { refusal, refuse } from "./host";
import { Do, Ops, allocate, allocated, release, reset, wasRefused } from "./memory";
import { decode } from "./text";
import { Value } from "./value";

// More events than this are not gone through without a collection.
const COLLECT: u32 = 256;

class FunctionFilter extends Filter {
  constructor(private call: (event: Event) => void) {
    super();
  }

  filter(event: Event): void {
    this.call(event);
  }
}

let make: (() => Filter) | null = null;
let filter: Filter | null = null;
let event: Event = new Event();
let group: Group = new Group();
let ops: Ops = new Ops();
let groupOps: Ops = new Ops();
let failures: Array<Failure | null> = [];
let tag: string = "";
let refusalText: ArrayBuffer | null = null;
let input: usize = 0;
const reply: usize = memory.data(16);

let uncollected: u32 = 0;
let collectedAt: i32 = 0;

/** Has a function be called for each event. */
export function onEvent(call: (event: Event) => void): void {
  filter = new FunctionFilter(call);
}

/** Has a function make the filter, when the configuration is there and before the first event. */
export function onStart(start: () => Filter): void {
  make = start;
}

export function buffer(size: usize): usize {
  if (input != 0 && allocated(input) >= size) return input;
  if (!reset()) return 0;
  const at = allocate(size);
  if (at == 0) return 0;
  if (input != 0) release(input);
  input = at;
  return at;
}

export function configure(): usize {
  const start = make;
  reset();
  if (start !== null) filter = start();
  if (filter === null) refuse("the module has no filter: call onEvent or onStart");
  const text = refusal();
  if (text === null) return 0;
  refusalText = String.UTF8.encode(text, true);
  return changetype<usize>(refusalText);
}

/** Frees what is not used any more: now and then, between two events, when nothing is in use but what globals
 * hold. It also does if the heap has had to grow. */
function collect(): void {
  if (++uncollected < COLLECT && memory.size() == collectedAt) return;
  __collect();
  uncollected = 0;
  collectedAt = memory.size();
}

// No local variable holds what is collected: globals do.
export function run(at: usize): usize {
  // Others collect while values are in use, or never.
  if (ASC_RUNTIME != 1) ERROR("set the runtime to minimal, as flb-filter/asconfig.json does");
  const eventsAt = at + load<usize>(at, 16);
  const events = load<u32>(at, 20);
  const eventSize = load<usize>(at, 24);
  const groupsAt = at + load<usize>(at, 28);
  const groups = load<u32>(at, 32);
  const groupSize = load<usize>(at, 36);
  ops.count = groupOps.count = 0;
  // 0, after memory has been refused: the batch has failed.
  if (!reset() || !ops.ensure(events)) return 0;
  // A batch has the same tag as the last one, as a rule.
  const tagAt = at + load<usize>(at, 8);
  tag = decode(tagAt, load<usize>(at, 12));
  event.tag = tag;
  failures = new Array<Failure | null>(groups);
  for (let i: u32 = 0; i < groups; i++) {
    const g = groupsAt + <usize>i * groupSize;
    collect();
    if ((load<u32>(g) & 1) != 0) runGroup(at, g, i);
  }
  for (let i: u32 = 0; i < events; i++) {
    const e = eventsAt + <usize>i * eventSize;
    const n = load<u32>(e, 12);
    collect();
    event.load(
      at + load<usize>(e, 24), load<usize>(e, 28), at + load<usize>(e, 16), load<usize>(e, 20), load<i64>(e),
      load<u32>(e, 8));
    event.group = n == 0 ? null : changetype<Value>(at + load<usize>(groupsAt + <usize>(n - 1) * groupSize, 16));
    runEvent(n);
    event.finish(ops, i, events - i - 1);
  }
  store<usize>(reply, ops.base);
  store<u32>(reply, ops.count, 4);
  store<usize>(reply, groupOps.base, 8);
  store<u32>(reply, groupOps.count, 12);
  return reply;
}

function runEvent(groupNumber: u32): void {
  const failed = groupNumber > 0 ? failures[groupNumber - 1] : null;
  if (failed !== null) event.fail(failed.text!, failed.code);
  else filter!.filter(event);
}

function runGroup(at: usize, g: usize, i: u32): void {
  const count = groupOps.count;
  group.load(
    at + load<usize>(g, 16), load<usize>(g, 20), at + load<usize>(g, 8), load<usize>(g, 12));
  filter!.group(group);
  group.failed.take(group.body, group.metadata);
  if (group.failed.text === null) {
    group.body.finish(groupOps, 0, 0);
    group.metadata.finish(groupOps, 1, 0);
    groupOps.areOf(i, count);
  }
  if (wasRefused()) group.failed.or("no memory for the group");
  if (group.failed.text === null) return;
  groupOps.count = count;
  group.failed.forget();
  failures[i] = group.failed;
  group.failed = new Failure();
}
