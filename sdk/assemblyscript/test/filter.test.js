// What filters see and do, by the host in memory.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Host, Text, batch } from "../testing.js";
import { compile } from "./compile.js";

const module = await compile("cases.ts");
const users = { bob: { name: "Bob", ids: [1, 2] } };
const large = { config: { needed: "x", n: "-42", large: "x".repeat(1000) }, tables: { users } };

function run(tag, record, options = {}) {
  // A neighbour on each side, whose bytes would show places that are wrong.
  const neighbour = { body: { neighbour: "yes" } };
  const host = new Host({ ...large, tag, ...options });
  const out = host.start(module).run([neighbour, { body: {}, ...record }, neighbour]);
  for (const event of [out.events.shift(), out.events.pop()]) {
    assert.deepEqual(event, { body: { neighbour: "yes", seen: true }, metadata: { m: 1 }, time: [1700000000, 0], group: 0 });
  }
  return out;
}

function edit(tag, body, ...want) {
  const out = run(tag, { body });
  assert.deepEqual(out.errors, []);
  assert.deepEqual(out.events.map((e) => e.body), want, tag);
}

function fails(tag, record, text, code = 1) {
  const out = run(tag, record);
  assert.deepEqual(out, { events: [], routed: [], errors: [{ event: 1, code, text }], groups: [] });
}

test("edits", () => {
  edit("nothing", { a: 1 }, { a: 1 });
  edit("set", { a: 1, b: 2 }, { a: "x", b: 2, c: [true, null, 1.5] });
  edit("add", { a: 1, b: 2 }, { b: 2, d: 4, e: 5, c: [1, 2] });
  edit("remove after set", { a: 0 }, { b: 2 });
  edit("deep", { a: { b: [1, { c: 2 }] }, z: 0 }, { a: { b: ["one"], new: { er: "x" } }, z: 9, p: { q: { r: 2, s: 3 } } });
  edit("put over put", { a: { b: 1, c: 2 }, d: 3 }, { a: null, d: 4 });
  edit("replace", { a: 1 }, { b: 3, c: "x!" });
  edit("edited", { a: 0, b: 0, x: "x" }, { a: 1, b: 2, x: "x" }, { b: "new", x: "x", c: 3 });
  const [{ body }] = run("many", { body: { a: 1 } }).events;
  assert.equal(Object.keys(body).length, 301);
  assert.equal(body.k299, 599);
});

test("events go under other tags", () => {
  const record = { body: { a: 1, user: "bob" }, metadata: { m: 1 } };
  const rest = { time: [1700000000, 0], group: 0 };
  let out = run("emit to", record);
  assert.deepEqual(out.events.map((e) => e.body), [record.body, { n: 1 }]);
  assert.deepEqual(out.routed, [
    { tag: "audit.é", body: { n: 2 }, metadata: { m: 2 }, time: [7, 8], group: 0 },
    { tag: "other", body: { n: 3 }, metadata: { own: true }, time: [5, 6], group: 0 },
  ]);
  // The body goes as it stands in the batch, or as it has been edited.
  out = run("route", record);
  assert.deepEqual([out.events, out.routed], [[], [{ tag: "audit", body: record.body, metadata: { m: 3 }, ...rest }]]);
  out = run("route edited", record);
  const body = { a: 1, user: "***" };
  assert.deepEqual([out.events, out.routed], [[], ["audit", "copy"].map((tag) => ({ tag, body, metadata: { m: 1 }, ...rest }))]);
  // What has failed has gone nowhere.
  fails("route and fail", {}, "no");
  assert.throws(() => run("route to nothing", record), /not a tag/);
});

test("ticks", () => {
  const host = new Host(large);
  const filter = host.start(module);
  host.advance(60000);
  const rest = { group: 0 };
  assert.deepEqual(filter.tick(), [
    { tag: "ticks", body: { last: false, n: 1 }, metadata: {}, time: [1700000060, 0], ...rest },
    { tag: "timed", body: { last: false, n: 1 }, metadata: { m: 1 }, time: [3, 4], ...rest },
  ]);
  assert.deepEqual(filter.tick(true).map((e) => e.body), [{ last: true, n: 2 }, { last: true, n: 2 }]);
  assert.throws(() => filter.tick(), /^Error: the tick fails$/);
  assert.equal(host.ticked, undefined);
});

test("strings are rewritten", () => {
  const body = { "k@": "a@", n: 1, l: ["@", { "m@": "@b", x: "none" }], bin: Buffer.from("@") };
  const bin = new Uint8Array(Buffer.from("***"));
  edit("rewrite", body, { "k@": "a***", n: 1, l: ["***", { "m@": "***b", x: "none" }], bin });
  edit("rewrite after put", { a: ["@"], b: "@" }, { a: "***put", b: "***" });
  const long = "@".repeat(70000);
  edit("rewrite", { a: long, l: Array(1000).fill("x@") }, { a: long.replaceAll("@", "***"), l: Array(1000).fill("x***") });
});

test("faults are the event's", () => {
  fails("in the way", { body: { a: 1 } }, "set: a value that is not a map is in the way");
  fails("fail", {}, "there is no n: é", 7);
  fails("metadata", { metadata: null }, "the event is of a form that has no metadata");
  fails("emit metadata", { metadata: null }, "the event is of a form that has no metadata");
  fails("time", { body: { later: -1700000001 } }, "the time is not one that an event can have");
  fails("time", { body: { later: 2 ** 32 - 2 - 1700000000 } }, "the time is not one that an event can have");
  fails("time", { time: [0, 999999999] }, "the time is not one that an event can have");
  assert.deepEqual(run("time", { time: [5, 6] }).events[0].time, [5, 7]);
});

test("events are split and emitted", () => {
  edit("split", { l: [1, "x"], z: 0 }, { l: 1, z: 0, a: 1 }, { l: "x", z: 0, a: 1 });
  edit("deep split", { l: { m: [1, [2]], n: 3 } }, { l: { m: 1, n: 3 } }, { l: { m: [2], n: 3 } });
  for (const l of [[], { b: 2 }, "x"]) edit("split", { l }, { l, a: 1 });
  const out = run("emit", { metadata: { m: 1 }, time: [10, 11], group: 1 }, { groups: [{ name: "g" }] });
  assert.deepEqual(out.events, [
    { body: { n: 1 }, metadata: { m: 2 }, time: [20, 21], group: 1 },
    { body: {}, metadata: {}, time: [30, 31], group: 0 },
  ]);
});

test("values are read", () => {
  const body = {
    "a.b": { c: 1 }, a: { b: { c: 2, d: 3 }, "b.c": 4 }, l: [[5]], 0: 6, max: 2n ** 64n - 1n, low: -5, float: 1.25,
    bool: true, text: "é𝄞x", bin: Buffer.from([0, 255]),
  };
  const out = run("read", { body, group: 2 }, { groups: [{}, { name: "second" }] });
  const got = out.events[0].body;
  for (const n of [0, 15, 16, 31, 32, 255, 256, 65535, 65536]) {
    const [[text, list, map, bin]] = got[`n${n}`];
    assert.deepEqual([text.length, list.length, Object.keys(map).length, bin.length], [n, n, Math.min(n, 300), n]);
    delete got[`n${n}`];
  }
  assert.deepEqual(got, {
    tag: "read", "a.b.c": 4, "a.b.d": 3, "l.0.0": 5, nowhere: true, parts: 3, dots: 1, 0: 6, accessor: 3,
    index: 5, refused: true, max: 2n ** 64n - 1n, notI64: -7, notU64: 5, low: -5, float: 1.25, whole: -5, bool: true,
    notBool: true, notText: null, text: "é𝄞x", is: true, isNot: false, includes: true, bin: new Uint8Array([0, 255]),
    kind: 5, copy: { b: { c: 2, d: 3 }, "b.c": 4 }, keys: "bb.c", sum: 5, length: 10, group: "second",
    numbers: [0, 127, 128, 255, 256, 65535, 65536, -1, -32, -33, -128, -129, -32768, -32769],
    wide: [4294967295, 4294967296, -2147483648, -2147483649, 2n ** 63n - 1n, -(2n ** 63n)], lone: "\uFFFDx",
  });
});

test("text is UTF-8 or not", () => {
  const filter = new Host({ ...large, tag: "decode" }).start(module);
  // Bytes that matter: ends of ranges, and what begins and goes on.
  const bytes = [0, 0x40, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff];
  let seed = 1;
  const next = () => (seed = Math.imul(seed, 1103515245) + 12345 >>> 0) >>> 16;
  const texts = Array.from({ length: 20000 }, () => Buffer.from(Array.from({ length: next() % 8 }, () => bytes[next() % bytes.length])));
  const out = filter.run(texts.map((text) => ({ body: { text: new Text(text) } })));
  assert.deepEqual(out.events.map((e) => e.body.text), texts.map((text) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(text)));
  assert.ok(out.events.every((e) => e.body.same));
});

test("groups", () => {
  const host = new Host({ ...large, tag: "nothing", groups: [{ bad: 1 }, { good: 1 }] });
  const out = host.start(module).run([0, 1, 2].map((group) => ({ body: { group }, group })));
  assert.deepEqual(out.groups, [{ bad: 1 }, { good: 1, seen: true }]);
  assert.deepEqual(out.events.map((e) => e.body), [{ group: 0 }, { group: 2 }]);
  assert.deepEqual(out.errors, [{ event: 1, code: 5, text: "a bad group" }]);
});

test("the host", () => {
  const host = new Host({ ...large, tag: "host" });
  const filter = host.start(module);
  const { body } = filter.run([{ body: { who: "bob", eve: 1, none: 2 } }]).events[0];
  assert.deepEqual(body, {
    who: "bob", name: "Bob", bob: users.bob, ids: "[1,2]", count: 2,
    settings: ["-42", "1", "0.5", "false", "1000", "y"],
  });
  assert.deepEqual([host.metric("c_total", ["x", "é"]), host.metric("g"), host.metric("h")], [3, 4, 1]);
  assert.deepEqual(host.lines, [{ level: "warn", text: "é of -42" }]);
  host.advance(9999);
  assert.equal(filter.run([{ body: { who: "bob" } }]).events[0].body.count, 4);
  host.advance(1);
  assert.equal(filter.run([{ body: { who: "bob" } }]).events[0].body.count, 2);
});

test("a configuration is refused", () => {
  const refused = (config, tables = { users }) => assert.throws(() => new Host({ config, tables }).start(module), (why) => {
    refused.text = why.message;
    return true;
  }) ?? refused.text;
  assert.equal(refused({}), "config.needed: set it to some text");
  assert.equal(refused({ needed: "x" }, {}), "table.Users: set it to a .csv, .json or .mmdb file");
  assert.equal(refused({ needed: "x", n: 13 }), "config.n: 13 is unlucky");
  for (const n of ["soon", "", "1.5", "2147483648", "-2147483649", "99999999999999999999", "1e3", "0x10", "--1", "-"]) {
    assert.equal(refused({ needed: "x", n }), `config.n is '${n}': set it to a whole number`);
  }
  for (const small of ["-1", "256"]) {
    assert.equal(refused({ needed: "x", small }), `config.small is '${small}': set it to a whole number that is not negative`);
  }
  assert.equal(refused({ needed: "x", ratio: "half" }), "config.ratio is 'half': set it to a number");
  assert.equal(refused({ needed: "x", on: "maybe" }), "config.on is 'maybe': set it to true or false");
  for (const config of [{ n: "007" }, { n: "-0" }, { n: "-2147483648" }, { small: " 255 " }, { ratio: "1e-3" }, { on: "on" }]) {
    new Host({ config: { needed: "x", ...config }, tables: { users } }).start(module);
  }
});

test("a throw is logged", () => {
  const host = new Host({ ...large, tag: "throw" });
  assert.throws(() => host.start(module).run([{ body: {} }]), WebAssembly.RuntimeError);
  assert.match(host.lines[0].text, /^a bug at .*cases\.ts:\d+:\d+$/);
  assert.equal(host.lines[0].level, "error");
});

test("an event that there is no memory for fails alone", async () => {
  const small = await compile("cases.ts", "--maximumMemory", "40");
  const host = new Host({ ...large, tag: "split" });
  const filter = host.start(small);
  for (let i = 0; i < 3; i++) {
    const out = filter.run([{ body: { x: "x".repeat(40000), l: Array(100).fill(0) } }, { body: { neighbour: "yes", text: "x".repeat(50000) } }]);
    assert.deepEqual(out.errors, [{ event: 0, code: 1, text: "no memory for the event" }]);
    assert.deepEqual(out.events.map((e) => e.body), [{ neighbour: "yes", text: 50000, seen: true }]);
  }
});

test("memory does not grow", () => {
  const filter = new Host({ ...large, tag: "garbage" }).start(module);
  const record = (_, i) => ({ body: { text: `text ${i}`.repeat(10) }, metadata: {}, time: [1, 2], group: 0 });
  const input = batch("garbage", Array.from({ length: 1000 }, record), []);
  for (let i = 0; i < 20; i++) filter.call(input);
  const pages = filter.memory.buffer.byteLength >> 16;
  for (let i = 0; i < 980; i++) assert.notEqual(filter.call(input), 0);
  assert.equal(filter.memory.buffer.byteLength >> 16, pages);
  assert.ok(pages < 64, `${pages} pages`);
});

test("another runtime is refused", async () => {
  for (const runtime of ["incremental", "stub"]) {
    await assert.rejects(compile("cases.ts", "--runtime", runtime), /set the runtime to minimal/);
  }
});
