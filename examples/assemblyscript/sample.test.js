import assert from "node:assert/strict";
import { test } from "node:test";
import { Host } from "flb-filter/testing";

function start(config = {}) {
  return new Host({ config }).start(new URL("sample.wasm", import.meta.url));
}

function run(config, ...bodies) {
  return start(config).run(bodies.map((body) => ({ body }))).events.map((event) => event.body);
}

// In JavaScript's own arithmetic.
function hash(text) {
  let h = 2166136261;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 16777619);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

test("a trace is kept if its hash lies below the rate, and says for how many it stands", () => {
  const rate = 0.25;
  const traces = [...Array(300).keys()].map((n) => (n % 3 ? `trace ${n} é` : n * 7919));
  const want = traces.filter((trace) => hash(String(trace)) < rate * 2 ** 32);
  assert.ok(want.length > 30 && want.length < 120);
  const got = run({ rate }, ...traces.map((trace_id) => ({ trace_id })));
  assert.deepEqual(got, want.map((trace_id) => ({ trace_id, sample_rate: rate })));
});

test("errors, and what is in no trace, are always kept", () => {
  const bodies = [
    { trace_id: "a", level: "FATAL" }, { trace_id: "a", severity: "err" }, { trace_id: "a", level: 50 },
    {}, { trace_id: "" }, { trace_id: null }, { trace_id: true }, { trace_id: ["a"] },
  ];
  assert.deepEqual(run({ rate: 0 }, ...bodies, { trace_id: "a", level: "info" }, { trace_id: "a", level: 40 }), bodies);
});

test("the key may be another one", () => {
  assert.deepEqual(run({ rate: 0, key: "span.id" }, { span: { id: "a" } }, { trace_id: "a" }), [{ trace_id: "a" }]);
});

test("a rate that is there stays", () => {
  assert.deepEqual(run({ rate: 1 }, { trace_id: "a", sample_rate: 0.01 }), [{ trace_id: "a", sample_rate: 0.01 }]);
});

test("a rate that is none is refused", () => {
  const message = "config.rate: set it to a number from 0 to 1, such as 0.25";
  assert.throws(() => start({ rate: 2 }), { message });
  assert.throws(() => start({ rate: -0.5 }), { message });
  assert.throws(() => start({ rate: "half" }), { message: "config.rate is 'half': set it to a number" });
});
