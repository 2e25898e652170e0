// UTF-8, without strings of AssemblyScript where they can be avoided.

let after: usize = 0;

/** Reads a code point; where there is none, U+FFFD of as many bytes as Unicode recommends. */
function codePoint(at: usize, end: usize): u32 {
  const lead = <u32>load<u8>(at++);
  after = at;
  if (lead < 0x80) return lead;
  let low: u32 = 0x80;
  let high: u32 = 0xbf;
  let more = 1;
  if (lead >= 0xe0) {
    more = lead < 0xf0 ? 2 : 3;
    if (lead == 0xe0) low = 0xa0;
    else if (lead == 0xed) high = 0x9f;
    else if (lead == 0xf0) low = 0x90;
    else if (lead == 0xf4) high = 0x8f;
  }
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
  let from = at;
  let units: usize = 0;
  while (from < end) {
    if (load<u8>(from) < 0x80) {
      from++;
      units++;
    } else {
      units += codePoint(from, end) > 0xffff ? 2 : 1;
      from = after;
    }
  }
  let to = __new(units << 1, idof<string>());
  const text = changetype<string>(to);
  from = at;
  while (from < end) {
    const b = load<u8>(from);
    if (b < 0x80) {
      store<u16>(to, b);
      from++;
      to += 2;
      continue;
    }
    let c = codePoint(from, end);
    from = after;
    if (c > 0xffff) {
      c -= 0x10000;
      store<u16>(to, 0xd800 | (c >> 10));
      to += 2;
      c = 0xdc00 | (c & 0x3ff);
    }
    store<u16>(to, c);
    to += 2;
  }
  return text;
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
    unit += 2;
    if (c < 0x80) {
      if (load<u8>(at++) != <u8>c) return false;
      continue;
    }
    let code = codePoint(at, end);
    at = after;
    if (code > 0xffff) {
      code -= 0x10000;
      if (c != (0xd800 | (code >> 10)) || unit == unitsEnd) return false;
      if (load<u16>(unit) != (0xdc00 | (code & 0x3ff))) return false;
      unit += 2;
    } else if (c != code) {
      return false;
    }
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
