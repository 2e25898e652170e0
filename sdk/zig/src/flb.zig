//! Filters for Fluent Bit, which run as WebAssembly in the filter `wasmtime` of fluent-bit-wasmtime.
//! README.md begins with an example.
//!
//! What a filter is given, and memory of `allocator`, lives until the batch ends; memory that is taken while
//! the filter is configured stays. Without memory the event fails, whatever the filter returns.

pub const version = "0.1.0";

const batch = @import("batch.zig");
const event = @import("event.zig");
const host = @import("host.zig");
const memory = @import("memory.zig");
const part = @import("part.zig");
const path = @import("path.zig");
const values = @import("value.zig");

pub const Filter = batch.Filter;
pub const exportFilter = batch.exportFilter;
pub const panic = host.panic;
pub const allocator = memory.allocator;

pub const Event = event.Event;
pub const Group = event.Group;
pub const Time = event.Time;
pub const Emit = event.Emit;
pub const Part = part.Part;
pub const Texts = part.Texts;

pub const Value = values.Value;
pub const Kind = values.Kind;
pub const Member = values.Member;
pub const Map = values.Map;
pub const Bin = values.Bin;
pub const Accessor = path.Accessor;

pub const config = host.config;
pub const emitTo = host.emitTo;
pub const refuse = host.refuse;
pub const log = host.log;
pub const Table = host.Table;
pub const store = host.store;
pub const Ttl = host.Ttl;
pub const metrics = host.metrics;

/// A host in memory, for tests.
pub const testing = @import("testing.zig");
