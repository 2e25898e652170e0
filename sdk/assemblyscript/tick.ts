// `export * from "flb-filter/tick";` has `tick` of the filter called every `tick_interval`, also when no events come.

export { tick as flb_tick } from "./lib/batch";
