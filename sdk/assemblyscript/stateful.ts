// `export * from "flb-filter/stateful";` says that an event must not go through the filter twice, for it counts
// or stores: then `retry_batch` does not repeat events.

/** A marker, which is never called. */
export function flb_stateful(): void {}
