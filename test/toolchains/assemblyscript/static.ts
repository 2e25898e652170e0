// probe, see the package comment of test/toolchains, without an allocator: all
// memory is static, and no object of AssemblyScript is made while records run.

const WINDOW: u32 = 8;
const KEPT: usize = 512;
const REPLY_MAX: usize = 262144;

let count: i32 = -1;
// A statement of the module: part of its start function.
count = 0;

const ring = memory.data(4096); // WINDOW * KEPT
const lengths = memory.data(32);
const reply = memory.data(262144); // REPLY_MAX
let out: usize = 0;

export function probe(tag: usize, tagLen: i32, sec: u32, nsec: u32, record: usize, recordLen: i32): usize {
  const slot = <usize>((count++) % WINDOW);
  const kept = ring + slot * KEPT;
  const sum = <u32>count > WINDOW ? fnv(kept, load<u32>(lengths + 4 * slot)) : 0;
  const len = min(<usize>recordLen, KEPT);
  store<u32>(lengths + 4 * slot, len);
  memory.copy(kept, record, len);
  if (contains(record, recordLen, '"drop":true')) return 0;
  if (<usize>(recordLen + tagLen) > REPLY_MAX - 256) return record;

  out = reply;
  text('{"tag":"');
  bytes(tag, tagLen);
  text('","sec":');
  decimal(sec);
  text(',"nsec":');
  decimal(nsec);
  text(',"count":');
  decimal(count);
  text(',"sum":');
  decimal(sum);
  text(',"record":');
  bytes(record, recordLen);
  text("}\0");
  return reply;
}

function text(s: string): void {
  for (let i = 0; i < s.length; i++) store<u8>(out++, s.charCodeAt(i));
}

function bytes(at: usize, len: i32): void {
  memory.copy(out, at, len);
  out += len;
}

function decimal(n: u32): void {
  if (n >= 10) decimal(n / 10);
  store<u8>(out++, 0x30 + n % 10);
}

function fnv(at: usize, len: u32): u32 {
  let h: u32 = 2166136261;
  for (let i: u32 = 0; i < len; i++) h = (h ^ load<u8>(at + i)) * 16777619;
  return h;
}

function contains(at: usize, len: i32, text: string): bool {
  for (let i = 0; i + text.length <= len; i++) {
    let n = 0;
    while (n < text.length && load<u8>(at + i + n) == text.charCodeAt(n)) n++;
    if (n == text.length) return true;
  }
  return false;
}
