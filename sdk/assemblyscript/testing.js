// Tests of filters in node, without Fluent Bit: a host in memory, with records as objects of JavaScript. A
// filter goes the way that it goes in Fluent Bit: it gets a batch as the ABI has it, and what it replies is
// carried out. See README.md.

import { readFileSync } from "node:fs";

const LEVELS = ["", "error", "warn", "info", "debug", "trace"];
const DROP = 1, ERROR = 2, TIME = 3, REPLACE = 4, SET = 5, ADD = 6, REMOVE = 7, PUT = 8, EMIT = 9, EMIT_TO = 10;

/** A floating-point number that is a whole one, which a number of JavaScript can't say. */
export class Float {
  constructor(value) {
    this.value = value;
  }
}

/** A string of these bytes, which need not be UTF-8. */
export class Text {
  constructor(bytes) {
    this.bytes = bytes;
  }
}

/** Writes a value as MessagePack. Numbers that are whole are written as such. */
export function encode(value) {
  const head = (n, short, most, one, two) => n <= most ? [short | n] : one && n < 256 ? [one, n]
    : n < 65536 ? [two, n >> 8, n & 255] : [two + 1, n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255];
  const bytes = (lead, n, set) => {
    const b = Buffer.alloc(n + 1, lead);
    b[set](value instanceof Float ? value.value : n === 8 && set !== "writeDoubleBE" ? BigInt(value) : value, 1);
    return b;
  };
  const join = (...parts) => Buffer.concat(parts.map((p) => Buffer.from(p)));
  if (value === null) return Buffer.from([0xc0]);
  if (typeof value === "boolean") return Buffer.from([value ? 0xc3 : 0xc2]);
  if (value instanceof Float || (typeof value === "number" && !Number.isInteger(value))) {
    return bytes(0xcb, 8, "writeDoubleBE");
  }
  if (typeof value === "number" || typeof value === "bigint") {
    if (value >= -32 && value < 128) return Buffer.from([Number(value) & 255]);
    return value < 0 ? bytes(0xd3, 8, "writeBigInt64BE") : bytes(0xcf, 8, "writeBigUInt64BE");
  }
  if (typeof value === "string" || value instanceof Text) {
    const text = Buffer.from(value.bytes ?? value);
    return join(head(text.length, 0xa0, 31, 0xd9, 0xda), text);
  }
  if (value instanceof Uint8Array) return join(head(value.length, 0, -1, 0xc4, 0xc5), value);
  if (Array.isArray(value)) return join(head(value.length, 0x90, 15, 0, 0xdc), ...value.map(encode));
  const members = Object.entries(value);
  return join(head(members.length, 0x80, 15, 0, 0xde), ...members.flat().map(encode));
}

/** Reads MessagePack: one value and nothing else. Whole numbers beyond 2^53 are BigInt. */
export function decode(bytes) {
  const b = Buffer.from(bytes);
  const [value, end] = read(b, 0);
  if (end !== b.length) throw new Error(`${b.length - end} bytes behind a value of MessagePack`);
  return value;
}

function read(b, at) {
  const lead = b[at++];
  const size = (width) => (at += width, b.readUIntBE(at - width, width));
  const take = (n) => {
    if (at + n > b.length) throw new Error("MessagePack that does not end");
    return b.subarray(at, at += n);
  };
  const many = (n) => Array.from({ length: n }, () => {
    const [value, end] = read(b, at);
    at = end;
    return value;
  });
  const map = (n) => Object.fromEntries(Array.from({ length: n }, () => many(2)));
  const int = (n) => [n >= -(2n ** 53n) && n <= 2n ** 53n ? Number(n) : n, at];
  if (lead === undefined) throw new Error("MessagePack that does not end");
  if (lead < 0x80) return [lead, at];
  if (lead < 0x90) return [map(lead & 15), at];
  if (lead < 0xa0) return [many(lead & 15), at];
  if (lead < 0xc0) return [take(lead & 31).toString(), at];
  if (lead >= 0xe0) return [lead - 256, at];
  if (lead >= 0xd4 && lead <= 0xd8) return [take(1 + (1 << (lead - 0xd4))), at];
  switch (lead) {
    case 0xc0: return [null, at];
    case 0xc2: case 0xc3: return [lead === 0xc3, at];
    case 0xc4: case 0xc5: case 0xc6: return [new Uint8Array(take(size(1 << (lead - 0xc4)))), at];
    case 0xc7: case 0xc8: case 0xc9: return [take(1 + size(1 << (lead - 0xc7))), at];
    case 0xca: return [take(4).readFloatBE(), at];
    case 0xcb: return [take(8).readDoubleBE(), at];
    case 0xcc: case 0xcd: case 0xce: return [size(1 << (lead - 0xcc)), at];
    case 0xcf: return int(take(8).readBigUInt64BE());
    case 0xd0: case 0xd1: case 0xd2: return [take(1 << (lead - 0xd0)).readIntBE(0, 1 << (lead - 0xd0)), at];
    case 0xd3: return int(take(8).readBigInt64BE());
    case 0xd9: case 0xda: case 0xdb: return [take(size(1 << (lead - 0xd9))).toString(), at];
    case 0xdc: case 0xdd: return [many(size(2 << (lead - 0xdc))), at];
    case 0xde: case 0xdf: return [map(size(2 << (lead - 0xde))), at];
    default: throw new Error(`no MessagePack: ${lead}`);
  }
}

/**
 * A host in memory. It has no bounds but those of memory: no `store_limit`, no `metrics_series`.
 *
 * Options: `config` and `tables`, objects; `groups`, bodies of groups that begin in each batch; `tag`;
 * `level`, the least urgent that is logged (`"info"`).
 */
export class Host {
  /** What has been logged: `{level, text}`. */
  lines = [];
  /** What the tick that is under way has emitted. */
  ticked;
  #metrics = [];
  #series = new Map();
  #store = new Map();
  #now = 0;

  constructor(options = {}) {
    this.options = { config: {}, tables: {}, groups: [], tag: "app.log", level: "info", ...options };
  }

  /** Lets time pass, in milliseconds, for keys of the store, and for what ticks emit now. */
  advance(ms) {
    this.#now += ms;
  }

  /** A metric with these values of its labels, of a histogram how many values it has; 0 if there is none. */
  metric(name, labels = []) {
    return this.#series.get(JSON.stringify([name, labels])) ?? 0;
  }

  /** Starts a module, named by its file or URL. An error has the text with which it refuses its configuration. */
  start(module) {
    return new Started(this, new WebAssembly.Module(readFileSync(module)), (memory) => this.#functions(memory));
  }

  #functions(memory) {
    const view = (at, n) => Buffer.from(memory().buffer, at, n);
    const text = (at, n) => view(at, n).toString();
    const give = (value, at, room) => {
      if (value === undefined) return -1;
      const bytes = Buffer.from(value);
      if (bytes.length <= room) bytes.copy(view(at, room));
      return bytes.length;
    };
    const sorted = Object.entries(this.options.config).map(([k, v]) => [k.toLowerCase(), String(v)]).sort();
    const tables = Object.entries(this.options.tables);
    const live = (key) => {
      const entry = this.#store.get(key);
      return entry && (entry.end === 0 || entry.end > this.#now) ? entry : undefined;
    };
    const set = (key, value, ttl) => {
      const end = ttl === -1n ? live(key)?.end ?? 0 : ttl === 0n ? 0 : this.#now + Number(ttl);
      this.#store.set(key, { value: Buffer.from(value), end });
    };
    const count = (metric, labels, n, change) => {
      const values = [];
      for (let at = 0, b = view(labels, n); at < n;) {
        values.push(b.toString("utf8", at + 4, at + 4 + b.readUInt32LE(at)));
        at += 4 + b.readUInt32LE(at);
      }
      if (values.length !== this.#metrics[metric].labels) throw new Error("labels of another number");
      const key = JSON.stringify([this.#metrics[metric].name, values]);
      this.#series.set(key, change(this.#series.get(key) ?? 0));
      return 0;
    };
    return {
      emit_to: (t, n, body, size, metadata, metadataSize, sec, nsec) => {
        if (!this.ticked) return -1;
        if (!isTag(text(t, n))) return -2;
        const time = sec === -1n ? [1700000000 + Math.floor(this.#now / 1000), 0] : [Number(sec), nsec];
        const map = (at, length) => length === 0 ? {} : decode(view(at, length));
        this.ticked.push({ tag: text(t, n), body: map(body, size), metadata: map(metadata, metadataSize), time, group: 0 });
        return 0;
      },
      log: (level, at, n) => {
        if (LEVELS.indexOf(this.options.level) >= level) this.lines.push({ level: LEVELS[level], text: text(at, n) });
      },
      log_enabled: (level) => +(LEVELS.indexOf(this.options.level) >= level),
      config_get: (k, n, at, room) => give(sorted.find(([key]) => key === text(k, n).toLowerCase())?.[1], at, room),
      config_key: (i, at, room) => give(sorted[i]?.[0], at, room),
      table_open: (at, n) => tables.findIndex(([name]) => name.toLowerCase() === text(at, n).toLowerCase()),
      table_get: (table, k, n, p, m, format, at, room) => {
        let value = tables[table][1][text(k, n)];
        for (const part of m ? text(p, m).split(".") : []) value = value?.[part];
        if (value === undefined) return -1;
        return give(format === 1 ? encode(value) : typeof value === "string" ? value : JSON.stringify(value), at, room);
      },
      store_get: (k, n, at, room) => give(live(text(k, n))?.value, at, room),
      store_set: (k, n, at, size, ttl) => (set(text(k, n), view(at, size), ttl), 0),
      store_delete: (k, n) => {
        const was = live(text(k, n));
        return was ? +this.#store.delete(text(k, n)) : 0;
      },
      store_add: (k, n, delta, ttl, result) => {
        const was = live(text(k, n));
        const bytes = was?.value ?? Buffer.alloc(8);
        bytes.writeBigInt64LE(BigInt.asIntN(64, bytes.readBigInt64LE() + delta));
        if (!was) set(text(k, n), bytes, ttl);
        bytes.copy(view(result, 8));
        return 0;
      },
      store_cas: (k, n, old, oldSize, at, size, ttl) => {
        const was = live(text(k, n))?.value;
        if (oldSize < 0 ? was : !was || !was.equals(view(old, oldSize))) return 0;
        set(text(k, n), view(at, size), ttl);
        return 1;
      },
      metric_define: (kind, at, n, help, helpSize, labels, labelsSize) => {
        const name = text(at, n);
        const i = this.#metrics.findIndex((m) => m.name === name);
        if (i >= 0) return i;
        return this.#metrics.push({ name, labels: labelsSize ? text(labels, labelsSize).split(",").length : 0 }) - 1;
      },
      metric_add: (metric, value, labels, n) => count(metric, labels, n, (was) => was + value),
      metric_set: (metric, value, labels, n) => count(metric, labels, n, () => value),
      metric_observe: (metric, value, labels, n) => count(metric, labels, n, (was) => was + 1),
    };
  }
}

/** A module that has been configured. */
class Started {
  #host;
  #exports;
  #buffer = 0;
  #room = 0;

  constructor(host, module, functions) {
    this.#host = host;
    const imports = { env: { seed: () => 0 }, flb_v1: functions(() => this.memory) };
    this.#exports = new WebAssembly.Instance(module, imports).exports;
    this.memory = this.#exports.memory;
    this.#exports._initialize();
    const refused = this.#exports.flb_configure();
    if (refused !== 0) throw new Error(this.#view(refused, 1024).toString().split("\0")[0]);
  }

  #view(at, n) {
    return Buffer.from(this.memory.buffer, at, Math.min(n, this.memory.buffer.byteLength - at));
  }

  /** Hands over a batch, and returns the address of the reply, 0 if memory was refused. */
  call(input) {
    if (input.length > this.#room) {
      this.#buffer = this.#exports.flb_buffer(input.length) >>> 0;
      if (this.#buffer === 0) throw new Error("there is no memory for the batch");
      this.#room = input.length;
    }
    input.copy(this.#view(this.#buffer, input.length));
    return this.#exports.filter(this.#buffer, input.length) >>> 0;
  }

  /**
   * Runs the filter on a batch of records: `{body, metadata, time: [seconds, nanoseconds], group}`, of which
   * only the body must be there. Metadata is an empty map unless it is given, and null for an event of the form
   * without; a group is a number, from 1. Returns `{events, routed, errors, groups}`: events that came out, those
   * that are emitted under other tags, each with its `tag`, `{event, code, text}` of those that failed, and bodies
   * of groups.
   */
  run(records) {
    records = records.map((r) => ({ metadata: {}, time: [1700000000, 0], group: 0, ...r }));
    const groups = this.#host.options.groups;
    const reply = this.call(batch(this.#host.options.tag, records, groups));
    if (reply === 0) throw new Error("memory was refused");
    const [ops, groupOps] = [0, 8].map((at) => this.#ops(this.#view(reply, 16).readUInt32LE(at), this.#view(reply, 16).readUInt32LE(at + 4)));
    const out = { events: [], routed: [], errors: [], groups: [] };
    groups.forEach((body, i) => out.groups.push(this.#carryOut(encode(body), 0, groupOps.filter((op) => op.event === i))));
    records.forEach((record, i) => this.#finish(record, i, ops.filter((op) => op.event === i), out));
    for (const list of [ops, groupOps]) {
      if (list.some((op, i) => i > 0 && op.event < list[i - 1].event)) throw new Error("operations that do not ascend");
    }
    return out;
  }

  /** Has a tick come, which may be the last one, and returns the events that it emits, each with its `tag`. */
  tick(last = false) {
    const ticked = (this.#host.ticked = []);
    const failed = this.#exports.flb_tick(last ? 1 : 0) >>> 0;
    this.#host.ticked = undefined;
    if (failed !== 0) throw new Error(this.#view(failed, 1024).toString().split("\0")[0]);
    return ticked;
  }

  #ops(at, n) {
    return Array.from({ length: n }, (_, i) => {
      const b = this.#view(at + 24 * i, 24);
      const [event, , a, bb, address, size] = [0, 4, 8, 12, 16, 20].map((o) => b.readUInt32LE(o));
      return { event, kind: b[4], part: b[5], a, b: bb, bytes: Buffer.from(this.#view(address, size)) };
    });
  }

  #finish(record, i, ops, out) {
    const of = (kind) => ops.filter((op) => op.kind === kind);
    const [failed] = of(ERROR);
    if (failed) {
      if (ops.length > 1) throw new Error("an error with other operations");
      out.errors.push({ event: i, code: failed.a, text: failed.bytes.toString() });
      return;
    }
    const [dropped, [time]] = [of(DROP).length > 0, of(TIME)];
    const emitted = ops.filter((op) => op.kind === EMIT || op.kind === EMIT_TO);
    const changed = {
      body: this.#carryOut(encode(record.body), 0, ops),
      metadata: record.metadata && this.#carryOut(encode(record.metadata), 1, ops),
      time: time ? [time.a, time.b] : record.time,
      group: record.group,
    };
    if (!dropped) out.events.push(changed);
    else if (ops.some((op) => op.part === 0 && op.kind >= REPLACE && op.kind <= PUT)) throw new Error("a drop with edits of the body");
    for (const { kind, bytes: e } of emitted) {
      const [sec, group] = [Number(e.readBigInt64LE()), e.readUInt32LE(12)];
      const map = (at) => decode(this.#view(e.readUInt32LE(at), e.readUInt32LE(at + 4)));
      const event = {
        body: map(24),
        metadata: e.readUInt32LE(20) ? map(16) : changed.metadata,
        time: sec === -1 ? changed.time : [sec, e.readUInt32LE(8)],
        group: group === 0xffffffff ? changed.group : group,
      };
      if (kind === EMIT) {
        out.events.push(event);
        continue;
      }
      const tag = this.#view(e.readUInt32LE(32), e.readUInt32LE(36)).toString();
      if (!isTag(tag)) throw new Error(`emit_to: this is not a tag: ${JSON.stringify(tag)}`);
      out.routed.push({ tag, ...event });
    }
  }

  // Does what the host does with the operations on a part.
  #carryOut(came, part, ops) {
    ops = ops.filter((op) => op.kind >= REPLACE && op.kind <= PUT && op.part === part);
    const of = (kind) => ops.filter((op) => op.kind === kind);
    if (of(REPLACE).length) {
      if (ops.length > 1) throw new Error("a replace with other operations");
      return decode(ops[0].bytes);
    }
    if (of(SET).length + of(REMOVE).length > 256) throw new Error("a host takes 256 sets and removes of a part");
    let done = 0;
    const pieces = [];
    for (const op of of(PUT)) {
      if (op.a < done) throw new Error("puts that overlap or do not ascend");
      pieces.push(came.subarray(done, op.a), op.bytes);
      done = op.a + op.b;
    }
    const body = decode(Buffer.concat([...pieces, came.subarray(done)]));
    for (const op of of(REMOVE)) delete body[decode(op.bytes)];
    for (const op of [...of(SET), ...of(ADD)]) {
      const n = op.kind === ADD ? op.a : 1;
      const list = decode(Buffer.concat([Buffer.from([0xdc, n >> 7, (2 * n) & 255]), op.bytes]));
      for (let i = 0; i < 2 * n; i += 2) body[list[i]] = list[i + 1];
    }
    return body;
  }
}

const isTag = (tag) => tag.length > 0 && Buffer.byteLength(tag) <= 1024 && !/[\x00-\x1f\x7f]/.test(tag);

/** Returns a batch as the ABI has it, of whole records, with structures larger than they are today. */
export function batch(tag, records, groups) {
  const [HEADER, EVENT, GROUP] = [72, 40, 32];
  const tagBytes = Buffer.from(tag);
  const eventsAt = HEADER + Math.ceil(tagBytes.length / 8) * 8;
  const groupsAt = eventsAt + EVENT * records.length;
  const head = Buffer.alloc(groupsAt + GROUP * groups.length);
  const data = [];
  let end = head.length;
  const numbers = (at, ...list) => list.forEach((n, i) => head.writeUInt32LE(n, at + 4 * i));
  const append = (at, value) => {
    const bytes = value === null ? Buffer.alloc(0) : encode(value);
    numbers(at, end, bytes.length);
    data.push(bytes);
    end += bytes.length;
  };
  numbers(0, HEADER, 0, HEADER, tagBytes.length, eventsAt, records.length, EVENT, groupsAt, groups.length, GROUP);
  tagBytes.copy(head, HEADER);
  records.forEach((r, i) => {
    const at = eventsAt + EVENT * i;
    head.writeBigInt64LE(BigInt(r.time[0]), at);
    numbers(at + 8, r.time[1], r.group);
    append(at + 16, r.metadata);
    append(at + 24, r.body);
  });
  groups.forEach((body, i) => {
    numbers(groupsAt + GROUP * i, 1);
    append(groupsAt + GROUP * i + 8, {});
    append(groupsAt + GROUP * i + 16, body);
  });
  return Buffer.concat([head, ...data]);
}
