// What a module of this SDK has to export: `export * from "flb-filter/module";`

import { buffer, configure, run } from "./lib/batch";

/** The marker of the batch ABI, which is never called. */
export function flb_batch_1(): void {}

/** Returns where a batch is to be written. */
export function flb_buffer(size: usize): usize {
  return buffer(size);
}

/** Makes the filter. */
export function flb_configure(): usize {
  return configure();
}

/** Is called for a batch. */
export function filter(input: usize, size: usize): usize {
  return run(input);
}
