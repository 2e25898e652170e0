// What README.md has for code builds, and does what it says.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Host } from "../testing.js";
import { compile, workspace } from "./compile.js";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const blocks = (language) => readme.split("```" + language + "\n").slice(1).map((rest) => rest.split("```")[0]);

const modules = [];
for (const [i, source] of blocks("ts").entries()) {
  const file = join(workspace, `readme${i}.ts`);
  writeFileSync(file, source);
  modules.push(await compile(file));
}

test("the filter of the first page", () => {
  const [source, ...more] = blocks("js");
  assert.deepEqual(more, []);
  writeFileSync(join(workspace, "redact.test.mjs"), source);
  writeFileSync(join(workspace, "redact.wasm"), readFileSync(modules[0]));
  // Not as a part of this run.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const out = execFileSync(process.execPath, ["--test", "redact.test.mjs"], { cwd: dirname(modules[0]), encoding: "utf8", env });
  assert.match(out, /pass 1\n/);
});

test("the filter with a configuration", () => {
  const host = new Host({ config: { every: 2 } });
  const out = host.start(modules[1]).run([1, 2, 3, 4].map((n) => ({ body: { n } })));
  assert.deepEqual(out.events.map((e) => e.body.n), [2, 4]);
  assert.equal(host.metric("dropped_total"), 2);
  assert.throws(() => new Host({ config: { every: 0 } }).start(modules[1]), { message: "config.every: set it to 1 or more" });
});

test("the filter that masks", () => {
  const out = new Host().start(modules[2]).run([{ body: { a: ["a secret"], b: "none" } }]);
  assert.deepEqual(out.events[0].body, { a: ["a ***"], b: "none" });
});
