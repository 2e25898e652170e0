// What a module of this SDK has to export: `export * from "flb-filter/module";`

export { buffer as flb_buffer, configure as flb_configure, run as filter } from "./lib/batch";

/** The marker of the batch ABI, which is never called. */
export function flb_batch_1(): void {}
