// UTF-8, without strings of AssemblyScript where they can be avoided.

let after: usize = 0;

/** Reads a code point; where there is none, U+FFFD of as many bytes as Unicode recommends. */
function codePoint(at: usize, end: usize): u32 {
  const lead = <u32>load<u8>(at++);
  after = at;
  if (lead < 0x80) return lead;
  let low: u32 = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  let high: u32 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  let more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  if (lead < 0xc2 || lead > 0xf4) return 0xfffd;
  let c = lead & (0x3f >> more);
  for (; more > 0; more--) {
    const b: u32 = after < end ? load<u8>(after) : 0;
    if (b < low || b > high) return 0xfffd;
    after++;
    c = (c << 6) | (b & 0x3f);
    low = 0x80;
    high = 0xbf;
  }
  return c;
}

/** Returns the text of bytes; those that are not UTF-8 are U+FFFD. */
export function decode(at: usize, size: usize): string {
  const end = at + size;
  // No byte is more than a code unit.
  const text = __new(size << 1, idof<string>());
  let to = text;
  while (at < end) {
    let c = <u32>load<u8>(at++);
    if (c >= 0x80) {
      c = codePoint(at - 1, end);
      at = after;
      if (c > 0xffff) {
        c -= 0x10000;
        store<u16>(to, 0xd800 | (c >> 10));
        to += 2;
        c = 0xdc00 | (c & 0x3ff);
      }
    }
    store<u16>(to, c);
    to += 2;
  }
  return changetype<string>(to - text == size << 1 ? text : __renew(text, to - text));
}

/** Says whether bytes are the code units of a text from one to another place. */
export function same(at: usize, size: usize, text: string, from: i32, to: i32): bool {
  if (size < <usize>(to - from)) return false;
  const end = at + size;
  let unit = changetype<usize>(text) + (<usize>from << 1);
  const unitsEnd = changetype<usize>(text) + (<usize>to << 1);
  while (unit < unitsEnd) {
    if (at == end) return false;
    const c = load<u16>(unit);
    if (c < 0x80) {
      if (load<u8>(at++) != <u8>c) return false;
      unit += 2;
      continue;
    }
    const code = <u32>text.codePointAt(<i32>((unit - changetype<usize>(text)) >> 1));
    if (codePoint(at, end) != code) return false;
    at = after;
    unit += code > 0xffff ? 4 : 2;
  }
  return at == end;
}

/** Says whether a byte is among some. */
export function has(at: usize, size: usize, byte: u8): bool {
  const end = at + size;
  const ones: u64 = 0x0101010101010101;
  for (; end - at >= 8; at += 8) {
    const word = load<u64>(at) ^ (ones * byte);
    if (((word - ones) & ~word & (ones << 7)) != 0) return true;
  }
  for (; at < end; at++) {
    if (load<u8>(at) == byte) return true;
  }
  return false;
}

/** Says whether the UTF-8 of a text is among some bytes. */
export function includes(at: usize, size: usize, text: string): bool {
  const units = text.length;
  if (units == 0) return true;
  const lead = text.charCodeAt(0);
  if (units == 1 && lead < 0x80) return has(at, size, <u8>lead);
  const bytes = <usize>String.UTF8.byteLength(text);
  for (; size >= bytes; at++, size--) {
    if ((lead >= 0x80 || load<u8>(at) == <u8>lead) && same(at, bytes, text, 0, units)) return true;
  }
  return false;
}
