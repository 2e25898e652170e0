import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const sdk = fileURLToPath(new URL("..", import.meta.url));
/** Where modules are compiled to. */
export const workspace = mkdtempSync(join(tmpdir(), "flb-filter-"));
process.on("exit", () => rmSync(workspace, { recursive: true }));
// The package is found as where it is installed.
mkdirSync(join(workspace, "node_modules"));
symlinkSync(sdk, join(workspace, "node_modules", "flb-filter"));

let n = 0;

/** Compiles a file, named from here or absolutely, and returns the module's. */
export async function compile(file, ...options) {
  const module = join(workspace, `${n++}.wasm`);
  const { error, stderr } = await asc.main([
    new URL(file, import.meta.url).pathname, "--baseDir", "/", "--path", join(workspace, "node_modules"),
    "--config", join(sdk, "asconfig.json"), "-o", module, "--disableWarning", "235", ...options,
  ]);
  assert.equal(error, null, stderr.toString());
  return module;
}
