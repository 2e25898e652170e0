//! A host in memory, to test filters without WebAssembly, with records written as JSON.
//!
//! A filter goes the way that it goes in Fluent Bit: it is given a batch as docs/abi.md has it, and what it
//! replies is checked and carried out.

const std = @import("std");
const memory = @import("memory.zig");
const values = @import("value.zig");
const batch = @import("batch.zig");
const events = @import("event.zig");
const Part = @import("part.zig").Part;
const log = @import("host.zig").log;
const Op = batch.Op;
const Value = values.Value;

/// An event, to be filtered or as it has come out.
pub const Record = struct {
    /// An object of JSON; as it has come out without blanks.
    body: []const u8 = "{}",
    /// Likewise; null: the event is of the form of older inputs, without metadata.
    metadata: ?[]const u8 = "{}",
    time: events.Time = .{},
    /// Which of the host's groups; 1 is the first one, 0 none.
    group: u32 = 0,
    /// Of an event that is emitted under another tag.
    tag: ?[]const u8 = null,
};

/// An event that has failed: which of the records, from 0, and why.
pub const Failure = struct { record: usize, code: u32, text: []const u8 };

/// What has become of a batch. It lives as long as the host.
pub const Output = struct {
    /// What came out: records that failed, and those under other tags, are not among them.
    records: []const Record,
    /// What is emitted under other tags.
    routed: []const Record = &.{},
    failures: []const Failure,
    /// What the events of each group have in common, as JSON.
    groups: []const []const u8,

    /// Fails a test unless these bodies came out, and nothing failed.
    pub fn expectBodies(out: Output, want: []const []const u8) !void {
        for (out.failures) |f| {
            std.debug.print("record {d} failed: {s}\n", .{ f.record, f.text });
            return error.TestUnexpectedFailure;
        }
        for (out.records[0..@min(out.records.len, want.len)], want[0..@min(out.records.len, want.len)]) |r, w| {
            try std.testing.expectEqualStrings(w, r.body);
        }
        try std.testing.expectEqual(want.len, out.records.len);
    }

    /// Fails a test unless that record has failed with that text.
    pub fn expectFailure(out: Output, record: usize, text: []const u8) !void {
        for (out.failures) |f| if (f.record == record) return std.testing.expectEqualStrings(text, f.text);
        std.debug.print("record {d} has not failed\n", .{record});
        return error.TestExpectedFailure;
    }
};

pub const Pair = struct { []const u8, []const u8 };

pub const Options = struct {
    tag: []const u8 = "app.log",
    /// config.KEY
    config: []const Pair = &.{},
    /// table.NAME, each an object of JSON.
    tables: []const Pair = &.{},
    /// Bodies, as JSON, of groups that begin in each batch.
    groups: []const []const u8 = &.{},
    log_level: log.Level = .info,
};

const Stored = struct { value: []const u8, end: i64 };
const Metric = struct { kind: u32, name: []const u8, labels: []const u8, series: std.StringArrayHashMapUnmanaged(f64) = .empty };

var current: *Host = undefined;

/// Where the filter's memory comes from, for tests in which there is none.
pub fn backing() *std.mem.Allocator {
    return &memory.backing;
}

/// A host. It has no bounds but those of memory: no store_limit, no metrics_series.
pub const Host = struct {
    arena: std.heap.ArenaAllocator,
    options: Options,
    filter: batch.Filter = undefined,
    /// What has been logged, each line with its level: "[info] text".
    lines: std.ArrayList([]const u8) = .empty,
    /// Why `start` has refused the configuration.
    refusal: []const u8 = "",
    stored: std.StringArrayHashMapUnmanaged(Stored) = .empty,
    metrics: std.ArrayList(Metric) = .empty,
    now: i64 = 0,
    /// What the tick that is under way has emitted.
    ticked: ?*std.ArrayList(Record) = null,

    /// One at a time: a module has one thread.
    pub fn init(gpa: std.mem.Allocator, options: Options) Host {
        memory.backing = gpa;
        return .{ .arena = .init(gpa), .options = options };
    }

    pub fn deinit(host: *Host) void {
        host.free();
        host.arena.deinit();
    }

    /// Gives back what the filter has taken, its configuration too.
    pub fn free(_: *Host) void {
        for ([_]*Part{ &batch.event.body, &batch.event.metadata, &batch.group.body, &batch.group.metadata }) |part| {
            part.puts.clearAndFree(memory.backing);
            part.edits.clearAndFree(memory.backing);
        }
        batch.ops.clearAndFree(memory.backing);
        batch.group_ops.clearAndFree(memory.backing);
        memory.configured = .{};
        memory.restore(.{});
        memory.begin();
    }

    /// Configures a filter, as at a start; error.Refused: see `refusal`.
    pub fn start(host: *Host, filter: batch.Filter) !void {
        current = host;
        host.filter = filter;
        host.refusal = try host.arena.allocator().dupe(u8, batch.configure(filter) orelse return);
        return error.Refused;
    }

    /// Has a tick come, which may be the last one, and returns what it emits; error.Refused: see `refusal`.
    pub fn tick(host: *Host, last: bool) ![]const Record {
        current = host;
        var emitted: std.ArrayList(Record) = .empty;
        host.ticked = &emitted;
        defer host.ticked = null;
        host.refusal = try host.arena.allocator().dupe(u8, batch.tick(host.filter, last) orelse return emitted.items);
        return error.Refused;
    }

    /// Lets time pass, for keys of the store, and for what ticks emit now.
    pub fn advance(host: *Host, milliseconds: i64) void {
        host.now += milliseconds;
    }

    /// Returns a metric with these values of its labels, of a histogram how many values it has.
    pub fn metric(host: *Host, name: []const u8, labels: []const []const u8) f64 {
        const key = std.mem.join(host.arena.allocator(), "\x00", labels) catch unreachable;
        for (host.metrics.items) |m| if (std.mem.eql(u8, m.name, name)) return m.series.get(key) orelse 0;
        return 0;
    }

    /// Runs the filter on a batch. It panics if that replies what a host does not take.
    pub fn run(host: *Host, records: []const Record) !Output {
        const a = host.arena.allocator();
        current = host;
        // Structures are larger than they are today.
        const event_size = @sizeOf(batch.InputEvent) + 8;
        const group_size = @sizeOf(batch.InputGroup) + 8;
        const tag: u32 = @sizeOf(batch.Input);
        const first: u32 = @intCast(std.mem.alignForward(usize, tag + host.options.tag.len, 8));
        const first_group: u32 = @intCast(first + records.len * event_size);
        var in: std.ArrayList(u8) = .empty;
        try in.appendNTimes(a, 0, first_group + host.options.groups.len * group_size);
        @memcpy(in.items[tag..][0..host.options.tag.len], host.options.tag);
        put(in.items, 0, batch.Input{ .tag = tag, .tag_len = @intCast(host.options.tag.len), .events = first, .event_count = @intCast(records.len), .event_size = event_size, .groups = first_group, .group_count = @intCast(host.options.groups.len), .group_size = group_size });
        var maps: std.ArrayList([2][]const u8) = .empty; // metadata and body
        for (host.options.groups, 0..) |group, i| {
            var g: batch.InputGroup = .{};
            const both = .{ "\x80", try parse(a, group) };
            try append(&g, &in, a, both);
            try maps.append(a, both);
            put(in.items, first_group + i * group_size, g);
        }
        for (records, 0..) |r, i| {
            var e: batch.InputEvent = .{ .sec = r.time.sec, .nsec = r.time.nsec, .group = r.group };
            const both = .{ if (r.metadata) |m| try parse(a, m) else "", try parse(a, r.body) };
            try append(&e, &in, a, both);
            try maps.append(a, both);
            put(in.items, first + i * event_size, e);
        }
        const none: batch.Reply = .{};
        const reply = batch.run(host.filter, in.items) orelse &none;
        if (memory.refused and reply == &none) return error.OutOfMemory;
        const group_ops = reply.groups[0..reply.group_count];
        const event_ops = reply.events[0..reply.event_count];
        const groups = try a.alloc([]const u8, host.options.groups.len);
        for (groups, 0..) |*group, i| group.* = try json(a, try apply(a, maps.items[i][1], 0, of(group_ops, i)));
        var out: std.ArrayList(Record) = .empty;
        var routed: std.ArrayList(Record) = .empty;
        var failures: std.ArrayList(Failure) = .empty;
        for (records, 0..) |came, i| {
            var ops = of(event_ops, i);
            if (came.group > 0) for (of(group_ops, came.group - 1)) |op| if (op.kind == .failed) {
                ops = of(group_ops, came.group - 1); // whatever the operations on the event
            };
            var r = came;
            var keep = true;
            const both = maps.items[groups.len + i];
            r.body = try json(a, try apply(a, both[1], 0, ops));
            if (came.metadata != null) r.metadata = try json(a, try apply(a, both[0], 1, ops));
            for (ops) |op| switch (op.kind) {
                .drop => keep = false,
                .time => r.time = .{ .sec = op.a, .nsec = op.b },
                .failed => {
                    if (ops.len > 1) @panic("an error goes with nothing else");
                    keep = false;
                    try failures.append(a, .{ .record = i, .code = op.a, .text = try a.dupe(u8, op.slice()) });
                },
                else => if (op.part == 1 and came.metadata == null) @panic("an event without metadata can't be given any"),
            };
            for (ops) |op| if (!keep and op.part == 0 and isEdit(op.kind)) @panic("a dropped event has no operations on the body");
            if (keep) try out.append(a, r);
            for (ops) |op| if (op.kind == .emit or op.kind == .emit_to) {
                const e = std.mem.bytesToValue(batch.Emitted, op.slice());
                var sent = r;
                sent.body = try json(a, e.body.slice());
                if (e.metadata.len > 0) sent.metadata = try json(a, e.metadata.slice());
                if (e.sec != -1) sent.time = .{ .sec = e.sec, .nsec = e.nsec };
                if (e.group == 0) sent.group = 0;
                if (op.kind == .emit) {
                    try out.append(a, sent);
                    continue;
                }
                if (!isTag(e.tag.slice())) @panic("emit_to: this is not a tag");
                sent.tag = try a.dupe(u8, e.tag.slice());
                try routed.append(a, sent);
            };
        }
        return .{ .routed = routed.items, .records = out.items, .failures = failures.items, .groups = groups };
    }
};

fn isTag(tag: []const u8) bool {
    for (tag) |c| if (c < ' ' or c == 0x7f) return false;
    return tag.len > 0 and tag.len <= 1024;
}

fn put(to: []u8, at: usize, value: anytype) void {
    @memcpy(to[at..][0..@sizeOf(@TypeOf(value))], std.mem.asBytes(&value));
}

fn append(to: anytype, in: *std.ArrayList(u8), a: std.mem.Allocator, maps: [2][]const u8) !void {
    to.metadata = @intCast(in.items.len);
    to.metadata_len = @intCast(maps[0].len);
    try in.appendSlice(a, maps[0]);
    to.body = @intCast(in.items.len);
    to.body_len = @intCast(maps[1].len);
    try in.appendSlice(a, maps[1]);
}

fn isEdit(kind: batch.OpKind) bool {
    return switch (kind) {
        .replace, .set, .add, .remove, .put => true,
        else => false,
    };
}

/// Returns the operations on one event or group.
fn of(ops: []const Op, i: usize) []const Op {
    var from: usize = 0;
    while (from < ops.len and ops[from].of < i) from += 1;
    var end = from;
    while (end < ops.len and ops[end].of == i) end += 1;
    return ops[from..end];
}

/// Does what a host does with the operations on a part.
fn apply(a: std.mem.Allocator, came: []const u8, part: u8, ops: []const Op) ![]const u8 {
    var bytes: std.ArrayList(u8) = .empty;
    var done: usize = 0;
    var replaced: ?[]const u8 = null;
    var edits: usize = 0;
    var key_bytes: usize = 0;
    for (ops) |op| if (op.part == part) switch (op.kind) {
        .replace => replaced = op.slice(),
        .put => {
            if (op.a < done or op.a + op.b > came.len) @panic("puts overlap, or do not ascend");
            try bytes.appendSlice(a, came[done..op.a]);
            try bytes.appendSlice(a, op.slice());
            done = op.a + op.b;
        },
        .set, .remove => {
            key_bytes += values.size(op.slice());
            edits += 1;
        },
        .add => edits += 1,
        else => {},
    };
    if (edits > 256 or key_bytes > 65536) @panic("more sets and removes of a part than a host takes");
    if (replaced) |whole| return if (edits + bytes.items.len == 0) whole else @panic("a part is replaced, or has other operations");
    if (came.len == 0 or edits + done == 0) return came;
    try bytes.appendSlice(a, came[done..]);
    var members: std.ArrayList(values.Member) = .empty;
    var all = (Value{ .bytes = bytes.items }).members();
    while (all.next()) |m| try members.append(a, m);
    for ([_]batch.OpKind{ .remove, .set, .add }) |kind| for (ops) |op| if (op.part == part and op.kind == kind) {
        var rest: values.Members = .{ .rest = op.slice(), .left = 1, .keyed = kind != .remove };
        const new = rest.next().?;
        const key = if (kind == .remove) new.value else new.key;
        var found = false;
        var i: usize = 0;
        while (kind != .add and i < members.items.len) {
            const is_it = std.mem.eql(u8, members.items[i].key.bytes, key.bytes) or
                (key.asStr() != null and members.items[i].key.eql(key.asStr().?));
            if (is_it and kind == .set and !found) members.items[i].value = new.value;
            if (is_it and (kind == .remove or found)) _ = members.orderedRemove(i) else i += 1;
            found = found or is_it;
        }
        if (kind != .remove and !found) try members.append(a, new);
    };
    var out: std.ArrayList(u8) = .empty;
    try out.appendSlice(a, "\xdf\x00\x00\x00\x00");
    std.mem.writeInt(u32, out.items[1..5], @intCast(members.items.len), .big);
    for (members.items) |m| {
        try out.appendSlice(a, m.key.bytes);
        try out.appendSlice(a, m.value.bytes);
    }
    return out.items;
}

fn json(a: std.mem.Allocator, bytes: []const u8) ![]const u8 {
    return if (bytes.len == 0) "" else std.fmt.allocPrint(a, "{f}", .{Value{ .bytes = bytes }});
}

/// Returns an object of JSON as MessagePack.
pub fn parse(a: std.mem.Allocator, text: []const u8) ![]const u8 {
    const parsed = try std.json.parseFromSliceLeaky(std.json.Value, a, text, .{});
    if (parsed != .object) return error.NotAnObject;
    const before = memory.mark();
    defer memory.restore(before);
    var out: values.Out = .empty;
    try writeJson(&out, parsed);
    return a.dupe(u8, out.items);
}

fn writeJson(to: *values.Out, value: std.json.Value) values.OutOfMemory!void {
    switch (value) {
        .array => |list| {
            try values.writeCount(to, .array, list.items.len);
            for (list.items) |element| try writeJson(to, element);
        },
        .object => |map| {
            try values.writeCount(to, .map, map.count());
            for (map.keys(), map.values()) |key, member| {
                try values.writeBytes(to, .str, key);
                try writeJson(to, member);
            }
        },
        .number_string => |digits| try values.write(to, std.fmt.parseInt(u64, digits, 10) catch 0),
        .null => try values.write(to, null),
        inline else => |v| try values.write(to, v),
    }
}

/// What the host functions are natively. What is a trap in a host is a panic here.
pub const sys = struct {
    fn give(value: ?[]const u8, to: [*]u8, room: usize) i32 {
        const bytes = value orelse return -1;
        if (bytes.len <= room) @memcpy(to[0..bytes.len], bytes);
        return @intCast(bytes.len);
    }

    fn copy(bytes: []const u8) []const u8 {
        return current.arena.allocator().dupe(u8, bytes) catch unreachable;
    }

    fn in(pairs: []const Pair, key: []const u8) ?usize {
        for (pairs, 0..) |pair, i| if (std.ascii.eqlIgnoreCase(pair[0], key)) return i;
        return null;
    }

    pub fn log_enabled(level: u32) i32 {
        return @intFromBool(level <= @backingInt(current.options.log_level));
    }

    pub fn log(level: u32, text: [*]const u8, len: usize) void {
        if (log_enabled(level) == 0) return;
        const names = [_][]const u8{ "error", "warn", "info", "debug", "trace" };
        const a = current.arena.allocator();
        const line = std.fmt.allocPrint(a, "[{s}] {s}", .{ names[level - 1], text[0..len] }) catch unreachable;
        current.lines.append(a, line) catch unreachable;
    }

    pub fn emit_to(tag: [*]const u8, tag_len: usize, body: [*]const u8, body_len: usize, metadata: [*]const u8, metadata_len: usize, sec: i64, nsec: u32) i32 {
        const a = current.arena.allocator();
        const ticked = current.ticked orelse return -1;
        if (!isTag(tag[0..tag_len])) return -2;
        ticked.append(a, .{
            .tag = copy(tag[0..tag_len]),
            .body = json(a, body[0..body_len]) catch unreachable,
            .metadata = if (metadata_len == 0) "{}" else json(a, metadata[0..metadata_len]) catch unreachable,
            .time = if (sec == -1) .{ .sec = 1_700_000_000 + @divTrunc(current.now, 1000) } else .{ .sec = sec, .nsec = nsec },
        }) catch unreachable;
        return 0;
    }

    pub fn config_get(key: [*]const u8, len: usize, to: [*]u8, room: usize) i32 {
        const pairs = current.options.config;
        return give(if (in(pairs, key[0..len])) |i| pairs[i][1] else null, to, room);
    }

    pub fn config_key(i: u32, to: [*]u8, room: usize) i32 {
        const a = current.arena.allocator();
        var keys: std.ArrayList([]const u8) = .empty;
        for (current.options.config) |pair| keys.append(a, std.ascii.allocLowerString(a, pair[0]) catch unreachable) catch unreachable;
        std.mem.sort([]const u8, keys.items, {}, struct {
            fn less(_: void, x: []const u8, y: []const u8) bool {
                return std.mem.lessThan(u8, x, y);
            }
        }.less);
        return give(if (i < keys.items.len) keys.items[i] else null, to, room);
    }

    pub fn table_open(name: [*]const u8, len: usize) i32 {
        return if (in(current.options.tables, name[0..len])) |i| @intCast(i) else -1;
    }

    pub fn table_get(table: i32, key: [*]const u8, len: usize, path: [*]const u8, path_len: usize, form: u32, to: [*]u8, room: usize) i32 {
        const a = current.arena.allocator();
        const all: Value = .{ .bytes = parse(a, current.options.tables[@intCast(table)][1]) catch @panic("a table is an object of JSON") };
        const record = all.member(key[0..len]) orelse return -1;
        const found = if (path_len == 0) record else record.get(path[0..path_len]) orelse return -1;
        const text = found.asStr() orelse json(a, found.bytes) catch unreachable;
        return give(if (form == 2) text else found.messagePack(), to, room);
    }

    /// A key that has not outlived its time.
    fn live(key: []const u8) ?Stored {
        const s = current.stored.get(key) orelse return null;
        return if (s.end == 0 or current.now < s.end) s else null;
    }

    pub fn store_get(key: [*]const u8, len: usize, to: [*]u8, room: usize) i32 {
        return give(if (live(key[0..len])) |s| s.value else null, to, room);
    }

    pub fn store_set(key: [*]const u8, len: usize, value: [*]const u8, value_len: usize, ttl_ms: i64) i32 {
        if (len > 1024 or value_len > 1 << 20) return -1;
        const before = live(key[0..len]);
        const end = if (ttl_ms > 0) current.now +| ttl_ms else if (ttl_ms == 0 or before == null) 0 else before.?.end;
        const stored: Stored = .{ .value = copy(value[0..value_len]), .end = end };
        current.stored.put(current.arena.allocator(), copy(key[0..len]), stored) catch unreachable;
        return 0;
    }

    pub fn store_delete(key: [*]const u8, len: usize) i32 {
        const was = live(key[0..len]) != null;
        _ = current.stored.orderedRemove(key[0..len]);
        return @intFromBool(was);
    }

    pub fn store_add(key: [*]const u8, len: usize, delta: i64, ttl_ms: i64, result: *i64) i32 {
        const before = live(key[0..len]);
        result.* = delta;
        if (before) |s| {
            if (s.value.len != 8) @panic("a trap: the key has a value that is not a counter");
            result.* +%= std.mem.readInt(i64, s.value[0..8], .little);
        }
        return store_set(key, len, std.mem.asBytes(result), 8, if (before == null) ttl_ms else -1);
    }

    pub fn store_cas(key: [*]const u8, len: usize, old: [*]const u8, old_len: i32, value: [*]const u8, value_len: usize, ttl_ms: i64) i32 {
        const before = live(key[0..len]);
        if ((before != null) != (old_len >= 0)) return 0;
        if (before) |s| if (!std.mem.eql(u8, s.value, old[0..@intCast(old_len)])) return 0;
        return 1 + 2 * store_set(key, len, value, value_len, ttl_ms);
    }

    pub fn metric_define(kind: u32, name: [*]const u8, name_len: usize, _: [*]const u8, _: usize, labels: [*]const u8, labels_len: usize, _: [*]const f64, buckets: usize) i32 {
        if (name_len == 0 or (kind == 3) != (buckets > 0)) @panic("a trap: a metric has a name, and a histogram buckets");
        for (current.metrics.items, 0..) |m, i| if (std.mem.eql(u8, m.name, name[0..name_len])) {
            if (m.kind != kind or !std.mem.eql(u8, m.labels, labels[0..labels_len])) @panic("a trap: the metric is defined another way already");
            return @intCast(i);
        };
        const new: Metric = .{ .kind = kind, .name = copy(name[0..name_len]), .labels = copy(labels[0..labels_len]) };
        current.metrics.append(current.arena.allocator(), new) catch unreachable;
        return @intCast(current.metrics.items.len - 1);
    }

    /// The series of these values of labels.
    fn series(metric: i32, kinds: []const u32, labels: []const u8) *f64 {
        const a = current.arena.allocator();
        const m = &current.metrics.items[@intCast(metric)];
        if (std.mem.indexOfScalar(u32, kinds, m.kind) == null) @panic("a trap: the metric is of another kind");
        var given: std.ArrayList([]const u8) = .empty;
        var rest = labels;
        while (rest.len > 0) {
            const end = 4 + std.mem.readInt(u32, rest[0..4], .little);
            given.append(a, rest[4..end]) catch unreachable;
            rest = rest[end..];
        }
        const want = if (m.labels.len == 0) 0 else 1 + std.mem.count(u8, m.labels, ",");
        if (given.items.len != want) @panic("a trap: the metric has another number of labels");
        const key = std.mem.join(a, "\x00", given.items) catch unreachable;
        return (m.series.getOrPutValue(a, key, 0) catch unreachable).value_ptr;
    }

    pub fn metric_add(metric: i32, value: f64, labels: [*]const u8, len: usize) i32 {
        series(metric, &.{ 1, 2 }, labels[0..len]).* += value;
        return 0;
    }

    pub fn metric_set(metric: i32, value: f64, labels: [*]const u8, len: usize) i32 {
        series(metric, &.{2}, labels[0..len]).* = value;
        return 0;
    }

    pub fn metric_observe(metric: i32, _: f64, labels: [*]const u8, len: usize) i32 {
        series(metric, &.{3}, labels[0..len]).* += 1;
        return 0;
    }
};
