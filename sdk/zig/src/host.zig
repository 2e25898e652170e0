//! What the host does for a filter: configuration, log, tables, the store, metrics.

const std = @import("std");
const memory = @import("memory.zig");
const values = @import("value.zig");
const batch = @import("batch.zig");
const OutOfMemory = values.OutOfMemory;
const Value = values.Value;

const sys = if (memory.is_wasm) struct {
    extern "flb_v1" fn log(level: u32, text: [*]const u8, len: usize) void;
    extern "flb_v1" fn log_enabled(level: u32) i32;
    extern "flb_v1" fn emit_to(tag: [*]const u8, tag_len: usize, body: [*]const u8, body_len: usize, metadata: [*]const u8, metadata_len: usize, sec: i64, nsec: u32) i32;
    extern "flb_v1" fn config_get(key: [*]const u8, len: usize, to: [*]u8, room: usize) i32;
    extern "flb_v1" fn config_key(i: u32, to: [*]u8, room: usize) i32;
    extern "flb_v1" fn table_open(name: [*]const u8, len: usize) i32;
    extern "flb_v1" fn table_get(table: i32, key: [*]const u8, len: usize, path: [*]const u8, path_len: usize, format: u32, to: [*]u8, room: usize) i32;
    extern "flb_v1" fn store_get(key: [*]const u8, len: usize, to: [*]u8, room: usize) i32;
    extern "flb_v1" fn store_set(key: [*]const u8, len: usize, value: [*]const u8, value_len: usize, ttl_ms: i64) i32;
    extern "flb_v1" fn store_delete(key: [*]const u8, len: usize) i32;
    extern "flb_v1" fn store_add(key: [*]const u8, len: usize, delta: i64, ttl_ms: i64, result: *i64) i32;
    extern "flb_v1" fn store_cas(key: [*]const u8, len: usize, old: [*]const u8, old_len: i32, value: [*]const u8, value_len: usize, ttl_ms: i64) i32;
    extern "flb_v1" fn metric_define(kind: u32, name: [*]const u8, name_len: usize, help: [*]const u8, help_len: usize, labels: [*]const u8, labels_len: usize, buckets: [*]const f64, count: usize) i32;
    extern "flb_v1" fn metric_add(metric: i32, value: f64, labels: [*]const u8, len: usize) i32;
    extern "flb_v1" fn metric_set(metric: i32, value: f64, labels: [*]const u8, len: usize) i32;
    extern "flb_v1" fn metric_observe(metric: i32, value: f64, labels: [*]const u8, len: usize) i32;
} else @import("testing.zig").sys;

/// The address of a text: that of one without bytes may be any, and a host looks at it.
fn ptr(text: []const u8) [*]const u8 {
    return if (text.len == 0) "" else text.ptr;
}

/// Has a host function write into memory, as much as it has. Null: it has nothing.
fn fetch(comptime function: anytype, args: anytype) OutOfMemory!?[]const u8 {
    var room: usize = 128;
    while (true) {
        const before = memory.mark();
        const to = try memory.allocator.alloc(u8, room);
        const n = @call(.auto, function, args ++ .{ to.ptr, room });
        if (n >= 0 and n <= room) {
            _ = memory.allocator.resize(to, @intCast(n));
            return to[0..@intCast(n)];
        }
        memory.restore(before);
        if (n < 0) return null;
        room = @intCast(n);
    }
}

/// Returns an error with a text, for `configure` to return.
pub fn refuse(comptime text: []const u8, args: anytype) error{Failed} {
    return batch.fail(1, text, args);
}

/// Emits an event under a tag, in a tick alone: a filter has `Event.emit`. Unless it is said it is one of now, without
/// metadata. The body is what becomes a map: see `Map.from`. A module that calls this does not start without the option
/// emit_tags, which has to grant the tag.
pub fn emitTo(tag: []const u8, body: anytype, options: struct { metadata: ?values.Map = null, time: ?@import("event.zig").Time = null }) !void {
    const bytes = try values.encodeMap(body);
    const metadata = if (options.metadata) |map| map.value().bytes else "";
    const sec, const nsec = if (options.time) |t| .{ t.sec, t.nsec } else .{ -1, 0 };
    const done = sys.emit_to(ptr(tag), tag.len, bytes.ptr, bytes.len, metadata.ptr, metadata.len, sec, nsec);
    if (done == -2) return refuse("emit_to: the tag '{s}' is not one that emit_tags grants", .{tag});
    if (done != 0) return refuse("emit_to: there is no tick under way, or the event is not one that a host takes", .{});
}

/// What the user has set as config.KEY, and in config_file. Upper and lower case are the same in a key.
pub const config = struct {
    /// Returns the value of a key; null if it is not set.
    pub fn get(name: []const u8) OutOfMemory!?[]const u8 {
        return fetch(sys.config_get, .{ ptr(name), name.len });
    }

    /// Returns the value of a key, or an error that says what to set it to.
    pub fn require(name: []const u8, what: []const u8) error{ OutOfMemory, Failed }![]const u8 {
        return try get(name) orelse refuse("config.{s}: set it to {s}", .{ name, what });
    }

    /// Returns the value of a key as a number, bool or enum; null if it is not set. An error says what is there
    /// and what can be.
    pub fn parse(comptime T: type, name: []const u8) error{ OutOfMemory, Failed }!?T {
        const text = try get(name) orelse return null;
        const trimmed = std.mem.trim(u8, text, " \t\r\n");
        switch (@typeInfo(T)) {
            .int => if (std.fmt.parseInt(T, trimmed, 10)) |n| return n else |_| {
                const most = .{ std.math.minInt(T), std.math.maxInt(T) };
                return refuse("config.{s} is '{s}': set it to a whole number, {d} to {d}", .{ name, text } ++ most);
            },
            .float => return std.fmt.parseFloat(T, trimmed) catch
                refuse("config.{s} is '{s}': set it to a number", .{ name, text }),
            .bool => {
                for ([_][]const u8{ "off", "on", "false", "true", "no", "yes" }, 0..) |word, i| {
                    if (std.ascii.eqlIgnoreCase(trimmed, word)) return i % 2 == 1;
                }
                return refuse("config.{s} is '{s}': set it to on or off", .{ name, text });
            },
            .@"enum" => |e| return std.meta.stringToEnum(T, trimmed) orelse {
                const words = comptime all: {
                    var words: []const u8 = "";
                    for (e.field_names, 0..) |word, i| words = words ++ (if (i > 0) ", " else "") ++ word;
                    break :all words;
                };
                return refuse("config.{s} is '{s}': set it to one of {s}", .{ name, text, words });
            },
            else => @compileError("a configuration can't be had as " ++ @typeName(T)),
        }
    }

    /// Returns the i-th key that is set, in lower case and in order; null behind the last one.
    pub fn key(i: u32) OutOfMemory!?[]const u8 {
        return fetch(sys.config_key, .{i});
    }
};

/// Fluent Bit's log. The host takes 16 KiB of a line, and 100 lines in 10 s.
pub const log = struct {
    pub const Level = enum(u32) { err = 1, warn, info, debug, trace };

    /// Says whether lines of that level reach the log.
    pub fn enabled(level: Level) bool {
        return sys.log_enabled(@backingInt(level)) == 1;
    }

    /// Writes a text as it is.
    pub fn write(level: Level, text: []const u8) void {
        sys.log(@backingInt(level), ptr(text), text.len);
    }

    pub const err = at(.err);
    pub const warn = at(.warn);
    pub const info = at(.info);
    pub const debug = at(.debug);
    pub const trace = at(.trace);

    /// Has lines of a level formatted, if they reach the log.
    fn at(comptime level: Level) fn (comptime []const u8, anytype) void {
        return struct {
            fn print(comptime text: []const u8, args: anytype) void {
                if (!enabled(level)) return;
                const before = memory.mark();
                defer memory.restore(before);
                write(level, std.fmt.allocPrint(memory.allocator, text, args) catch return);
            }
        }.print;
    }
};

/// Ends the instance, with the text of a panic in the log: `pub const panic = flb.panic;` in the root file.
pub const panic = std.debug.FullPanic(struct {
    fn panic(text: []const u8, address: ?usize) noreturn {
        if (!memory.is_wasm) std.debug.defaultPanic(text, address);
        var line: [512]u8 = undefined;
        var to: std.Io.Writer = .fixed(&line);
        to.print("panic: {s}", .{text}) catch {};
        log.write(.err, to.buffered());
        @trap();
    }
}.panic);

/// A table that the user has set as table.NAME: a CSV, JSON or MaxMind DB file.
pub const Table = struct {
    id: i32,

    /// Opens a table, or returns an error that says to set it. Open it when the filter is configured.
    pub fn open(name: []const u8) error{Failed}!Table {
        const id = sys.table_open(ptr(name), name.len);
        return if (id < 0) refuse("table.{s}: set it to a .csv, .json or .mmdb file", .{name}) else .{ .id = id };
    }

    /// Returns as text what the path leads to in the table's value for the key: text as it is, other values
    /// as JSON. The path is as in docs/abi.md ("country.iso_code"), or empty for the whole value.
    pub fn get(table: Table, key: []const u8, path: []const u8) OutOfMemory!?[]const u8 {
        return fetch(sys.table_get, .{ table.id, ptr(key), key.len, ptr(path), path.len, 2 });
    }

    /// Returns the same as a value, to be read or put into a record.
    pub fn getValue(table: Table, key: []const u8, path: []const u8) OutOfMemory!?Value {
        return .{ .bytes = try fetch(sys.table_get, .{ table.id, ptr(key), key.len, ptr(path), path.len, 1 }) orelse return null };
    }
};

/// How long a key of the store lives from now on, in milliseconds.
pub const Ttl = enum(i64) {
    /// Until it is deleted.
    forever = 0,
    /// As long as it would have.
    keep = -1,
    _,

    pub fn seconds(n: u32) Ttl {
        return milliseconds(@as(u64, n) * 1000);
    }

    /// At least one.
    pub fn milliseconds(n: u64) Ttl {
        return @fromBackingInt(@intCast(std.math.clamp(n, 1, std.math.maxInt(i64))));
    }
};

/// The key-value store, which all instances of the filter share, and which ends with it. A filter that uses it
/// needs store_limit.
pub const store = struct {
    pub const Error = error{StoreFull};

    fn full(result: i32) Error!i32 {
        return if (result < 0) error.StoreFull else result;
    }

    /// Returns the value of a key; null if it is not there.
    pub fn get(key: []const u8) OutOfMemory!?[]const u8 {
        return fetch(sys.store_get, .{ ptr(key), key.len });
    }

    /// Sets a key. There is no room for keys of more than 1,024 bytes, and values of more than 1 MiB.
    pub fn set(key: []const u8, value: []const u8, ttl: Ttl) Error!void {
        _ = try full(sys.store_set(ptr(key), key.len, ptr(value), value.len, @backingInt(ttl)));
    }

    /// Deletes a key, and returns whether it was there.
    pub fn delete(key: []const u8) bool {
        return sys.store_delete(ptr(key), key.len) == 1;
    }

    /// Adds to a counter, and returns what it is then. The ttl counts if the key is new. A key that has a
    /// value of another length than 8 bytes is a trap.
    pub fn add(key: []const u8, n: i64, ttl: Ttl) Error!i64 {
        var result: i64 = 0;
        _ = try full(sys.store_add(ptr(key), key.len, n, @backingInt(ttl), &result));
        return result;
    }

    /// Sets a key if its value is the old one, or with null if it is not there; returns whether it was so.
    pub fn cas(key: []const u8, old: ?[]const u8, value: []const u8, ttl: Ttl) Error!bool {
        const len: i32 = if (old) |bytes| @intCast(bytes.len) else -1;
        return try full(sys.store_cas(ptr(key), key.len, ptr(old orelse ""), len, ptr(value), value.len, @backingInt(ttl))) == 1;
    }
};

/// Metrics, which Fluent Bit's log has at the end, and which flb-wasmtime run --metrics writes. Define them when
/// the filter is configured. Values of labels are given in the order of their names, all of them. A name or label
/// that Prometheus does not allow is a trap.
pub const metrics = struct {
    /// Returns a method that encodes the values of labels, and has a function change a series.
    fn changing(comptime Metric: type, comptime function: anytype) fn (Metric, f64, []const []const u8) void {
        return struct {
            fn change(metric: Metric, value: f64, labels: []const []const u8) void {
                const before = memory.mark();
                defer memory.restore(before);
                var to: values.Out = .empty;
                for (labels) |label| {
                    var len: [4]u8 = undefined;
                    std.mem.writeInt(u32, &len, @intCast(label.len), .little);
                    values.append(&to, &len) catch return;
                    values.append(&to, label) catch return;
                }
                _ = function(metric.id, value, ptr(to.items), to.items.len);
            }
        }.change;
    }

    fn define(kind: u32, name: []const u8, help: []const u8, labels: []const u8, bounds: []const f64) i32 {
        const none = [1]f64{0};
        const at: [*]const f64 = if (bounds.len == 0) &none else bounds.ptr;
        return sys.metric_define(kind, ptr(name), name.len, ptr(help), help.len, ptr(labels), labels.len, at, bounds.len);
    }

    /// A metric that only grows.
    pub const Counter = struct {
        id: i32,

        /// Defines it, or finds the one that is defined the same. `labels` are names with commas between.
        pub fn init(name: []const u8, help: []const u8, labels: []const u8) Counter {
            return .{ .id = define(1, name, help, labels, &.{}) };
        }

        pub const add = changing(Counter, sys.metric_add);
    };

    /// A metric that grows and shrinks.
    pub const Gauge = struct {
        id: i32,

        pub fn init(name: []const u8, help: []const u8, labels: []const u8) Gauge {
            return .{ .id = define(2, name, help, labels, &.{}) };
        }

        pub const add = changing(Gauge, sys.metric_add);
        pub const set = changing(Gauge, sys.metric_set);
    };

    /// A metric that has how many values there are up to each of some bounds.
    pub const Histogram = struct {
        id: i32,

        /// Defines it by the upper ends of its buckets, 1 to 64 that ascend.
        pub fn init(name: []const u8, help: []const u8, labels: []const u8, bounds: []const f64) Histogram {
            return .{ .id = define(3, name, help, labels, bounds) };
        }

        pub const observe = changing(Histogram, sys.metric_observe);
    };
};
