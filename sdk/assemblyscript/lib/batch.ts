// The batch ABI, as docs/abi.md has it.

import { Event, Filter, Group } from "./event";
import { refusal, refuse } from "./host";
import { Do, Ops, allocate, allocated, release, reset } from "./memory";
import { decode } from "./text";
import { Value } from "./value";

// More events than this are not gone through without a collection.
const COLLECT: u32 = 256;

let each: ((event: Event) => void) | null = null;
let make: (() => Filter) | null = null;
let filter: Filter | null = null;
let event: Event = new Event();
let group: Group = new Group();
let ops: Ops = new Ops();
let groupOps: Ops = new Ops();
/** Why groups have failed. */
let failures: Array<string | null> = [];
let codes: u32[] = [];
let refusalText: ArrayBuffer | null = null;
let input: usize = 0;
const reply: usize = memory.data(16);

let uncollected: u32 = 0;
let collectedAt: i32 = 0;

/** Has a function be called for each event. */
export function onEvent(call: (event: Event) => void): void { each = call; }

/** Has a function make the filter, when the configuration is there and before the first event. */
export function onStart(start: () => Filter): void { make = start; }

/** Returns where a batch is to be written; 0: there is no memory. */
export function buffer(size: usize): usize {
  if (input != 0 && allocated(input) >= size) return input;
  if (!reset()) return 0;
  const at = allocate(size);
  if (at == 0) return 0;
  if (input != 0) release(input);
  input = at;
  return at;
}

/** Makes the filter. Returns why the configuration is refused, or 0. */
export function configure(): usize {
  const start = make;
  reset();
  if (start !== null) filter = start();
  if (filter === null && each === null) refuse("the module has no filter: call onEvent or onStart");
  return reason(refusal);
}

/** Has a tick come. Returns why it has failed, or 0. */
export function tick(flags: u32): usize {
  collect();
  reset();
  return reason(filter === null ? null : filter!.tick((flags & 1) != 0));
}

function reason(text: string | null): usize {
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

/** Is called for a batch, and returns the reply. No local variable holds what is collected: globals do. */
export function run(at: usize, size: usize): usize {
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
  const tagAt = at + load<usize>(at, 8);
  event.tag = decode(tagAt, load<usize>(at, 12));
  failures = new Array<string | null>(groups);
  codes = new Array<u32>(groups);
  for (let i: u32 = 0; i < groups; i++) {
    const g = groupsAt + <usize>i * groupSize;
    collect();
    if ((load<u32>(g) & 1) == 0 || filter === null) continue;
    group.load(at, g + 8);
    filter!.group(group);
    group.finish(groupOps, i, 0);
    failures[i] = group.failure;
    codes[i] = group.code;
  }
  for (let i: u32 = 0; i < events; i++) {
    const e = eventsAt + <usize>i * eventSize;
    const n = load<u32>(e, 12);
    collect();
    event.load(at, e);
    event.group = n == 0 ? null : changetype<Value>(at + load<usize>(groupsAt + <usize>(n - 1) * groupSize, 16));
    if (n > 0 && failures[n - 1] !== null) event.fail(failures[n - 1]!, codes[n - 1]);
    else if (filter !== null) filter!.filter(event);
    else each!(event);
    event.finish(ops, i, events - i - 1);
  }
  store<usize>(reply, ops.base);
  store<u32>(reply, ops.count, 4);
  store<usize>(reply, groupOps.base, 8);
  store<u32>(reply, groupOps.count, 12);
  return reply;
}
