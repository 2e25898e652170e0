// Filters for Fluent Bit that run as WebAssembly, in its filter `wasmtime`: see README.md.

export { onEvent, onStart } from "./lib/batch";
export { Emit, Event, Filter, Group } from "./lib/event";
export { Counter, Gauge, Histogram, Table, config, emitTo, log, refuse, store } from "./lib/host";
export { Part } from "./lib/part";
export { Items, Kind, ListValue, MapValue, Value, accessor, path } from "./lib/value";
