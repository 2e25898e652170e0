// What paths lead to in edits, by the table that the SDKs share.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Host } from "../testing.js";
import { compile } from "./compile.js";

test("paths lead where the table says", async () => {
  const module = await compile("paths.ts");
  const { cases } = JSON.parse(readFileSync(new URL("../../paths.json", import.meta.url)));
  const started = new Host({}).start(module);
  for (const { doc, edits, want } of cases) {
    const out = started.run([{ body: doc, metadata: { edits } }]);
    const which = JSON.stringify({ doc, edits });
    assert.deepEqual(out.events.map((e) => e.body), want === undefined ? [] : [want].flat(), which);
    assert.equal(out.errors.length, want === undefined ? 1 : 0, which);
  }
  assert(cases.length > 80);
});
