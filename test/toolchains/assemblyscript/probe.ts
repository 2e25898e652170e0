// probe: see the package comment of test/toolchains.

const WINDOW: u32 = 8;
const KEPT: usize = 512;

let count: i32 = -1;
// A statement of the module: part of its start function, or of what --exportStart
// names.
count = 0;

const ring = new Array<ArrayBuffer | null>(WINDOW);
// Holds the reply until the next call. A global, so that the collector finds it.
let reply = new ArrayBuffer(4096);

export function probe(tag: usize, tagLen: i32, sec: u32, nsec: u32, record: usize, recordLen: i32): usize {
  const slot = (count++) % WINDOW;
  const old = ring[slot];
  const sum = old ? fnv(changetype<usize>(old), old.byteLength) : 0;
  const kept = new ArrayBuffer(<i32>min(<usize>recordLen, KEPT));
  memory.copy(changetype<usize>(kept), record, kept.byteLength);
  ring[slot] = kept;
  if (contains(record, recordLen, '"drop":true')) return 0;

  const head = String.UTF8.encode(
    '{"tag":"' + String.UTF8.decodeUnsafe(tag, tagLen) + '","sec":' + sec.toString() + ',"nsec":' + nsec.toString() +
    ',"count":' + count.toString() + ',"sum":' + sum.toString() + ',"record":');
  const len = head.byteLength + recordLen + 2;
  if (reply.byteLength < len) reply = new ArrayBuffer(len * 2);
  let out = changetype<usize>(reply);
  memory.copy(out, changetype<usize>(head), head.byteLength);
  out += head.byteLength;
  memory.copy(out, record, recordLen);
  store<u8>(out + recordLen, 0x7d);
  store<u8>(out + recordLen + 1, 0);
  return changetype<usize>(reply);
}

function fnv(at: usize, len: i32): u32 {
  let h: u32 = 2166136261;
  for (let i = 0; i < len; i++) h = (h ^ load<u8>(at + i)) * 16777619;
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
