//! What a filter is called for.

const std = @import("std");
const memory = @import("memory.zig");
const path = @import("path.zig");
const values = @import("value.zig");
const batch = @import("batch.zig");
const parts = @import("part.zig");
const Map = values.Map;
const Part = parts.Part;
const Value = values.Value;

/// When an event happened: seconds since the epoch, and nanoseconds.
pub const Time = struct {
    sec: i64 = 0,
    nsec: u32 = 0,

    fn check(time: Time) error{BadTime}!void {
        if (time.sec < 0 or time.sec > std.math.maxInt(u32) - 2 or time.nsec >= 1_000_000_000) return error.BadTime;
    }
};

/// What an event that is emitted has of its own. Unless that is said, it has the metadata and the time that
/// the event is left with when the filter has returned, and its group.
pub const Emit = struct {
    metadata: ?Map = null,
    time: ?Time = null,
    in_group: bool = true,
    /// Another tag than the event's. The option `emit_tags` of the filter has to grant it: else the event fails.
    tag: ?[]const u8 = null,
};

/// An event: what a filter is called for.
pub const Event = struct {
    /// The record.
    body: Part = .{},
    /// The metadata: with OTLP what a log record has beside its body.
    metadata: Part = .{},
    tag: []const u8 = "",
    /// What the event's group has in common, as it came; with OTLP {"resource": {…}, "scope": {…}}. `Group`
    /// edits it.
    group: ?Value = null,
    came_at: Time = .{},
    new_time: ?Time = null,
    dropped: bool = false,

    /// Returns the time, as it has been set if it has.
    pub fn time(e: *const Event) Time {
        return e.new_time orelse e.came_at;
    }

    /// Sets the time: 0 to 2^32 - 3 seconds, and less than 10^9 nanoseconds.
    pub fn setTime(e: *Event, to: Time) error{BadTime}!void {
        try to.check();
        e.new_time = to;
    }

    /// Drops the event. Events that it emits come out.
    pub fn drop(e: *Event) void {
        e.dropped = true;
    }

    /// Returns an error with a code and a text, for the filter to return: `return event.fail(7, "no {s}", .{key});`.
    /// Of the text 1,024 bytes are taken. Other errors have the code 1, and their name for a text.
    pub fn fail(_: *Event, code: u32, comptime text: []const u8, args: anytype) error{Failed} {
        return batch.fail(code, text, args);
    }

    /// Emits a further event, which comes after this one and those emitted before. The body is what becomes a
    /// map: see `Map.from`.
    pub fn emit(e: *Event, body: anytype, options: Emit) !void {
        const bytes = try values.encodeMap(body);
        if (options.metadata != null and e.metadata.came.len == 0) return error.NoMetadata;
        if (options.time) |t| try t.check();
        try emitBytes(bytes, options);
    }

    /// Has the event go on under another tag, with the edits of the body so far, through the filters and outputs
    /// that match it; a body without edits costs no copy. Under its own tag it is dropped.
    pub fn route(e: *Event, tag: []const u8) !void {
        try emitBytes(if (e.body.isEdited()) (try e.body.edited()).value().bytes else e.body.came, .{ .tag = tag });
        e.drop();
    }

    fn emitBytes(body: []const u8, options: Emit) values.OutOfMemory!void {
        const made = try memory.allocator.create(batch.Emitted);
        const at: Time = options.time orelse .{ .sec = -1 };
        const group: u32 = if (options.in_group) std.math.maxInt(u32) else 0;
        made.* = .{ .sec = at.sec, .nsec = at.nsec, .group = group, .metadata = .{}, .body = .of(body), .tag = .{} };
        if (options.metadata) |map| made.metadata = .of(map.value().bytes);
        if (options.tag) |tag| made.tag = .of(try memory.allocator.dupe(u8, tag));
        try batch.say(.{ .of = batch.current, .kind = if (options.tag == null) .emit else .emit_to }, std.mem.asBytes(made));
    }

    /// Makes an event for each element of an array, which takes the place of the array at that path, in this
    /// event with the edits so far. The event itself is dropped. What is not an array, or is empty, is left as
    /// it is.
    pub fn split(e: *Event, way: anytype) !void {
        const steps = path.stepsOf(way);
        const wanted = path.routeOf(way, &steps);
        const to = e.body.find(wanted);
        if (!hasElements(to.value) and !e.body.isTouched(wanted, to, false)) return;
        try e.body.makeWhole();
        const whole = e.body.whole.?.value().bytes;
        const array = wanted.find(.{ .bytes = whole }) orelse return;
        if (!hasElements(array)) return;
        const before = whole[0 .. @intFromPtr(array.bytes.ptr) - @intFromPtr(whole.ptr)];
        const after = array.bytes[values.size(array.bytes)..];
        var elements = array.elements();
        while (elements.next()) |element| {
            try emitBytes(try std.mem.concat(memory.allocator, u8, &.{ before, element.bytes, after }), .{});
        }
        e.drop();
    }

    fn hasElements(v: ?Value) bool {
        return v != null and v.?.kind() == .array and v.?.count() > 0;
    }

    /// Says what is to become of the event, in operations.
    pub fn finish(e: *Event, of: u32, emits: bool) !void {
        if (e.dropped) try batch.say(.{ .of = of, .kind = .drop }, "") else try e.body.finish(of, 0);
        if (e.dropped and !emits) return;
        // What is emitted has the time and metadata that the event is left with.
        if (e.new_time) |t| try batch.say(.{ .of = of, .kind = .time, .a = @intCast(t.sec), .b = t.nsec }, "");
        try e.metadata.finish(of, 1);
    }
};

/// What the events of a group have in common: with OTLP a resource and a scope.
pub const Group = struct {
    /// With OTLP {"resource": {…}, "scope": {…}}.
    body: Part = .{},
    /// The metadata of the marker that begins the group.
    metadata: Part = .{},

    /// As `Event.fail`: the group is left as it is, and all of its events in the batch fail.
    pub fn fail(_: *Group, code: u32, comptime text: []const u8, args: anytype) error{Failed} {
        return batch.fail(code, text, args);
    }

    pub fn finish(g: *Group, of: u32, _: bool) !void {
        try g.body.finish(of, 0);
        try g.metadata.finish(of, 1);
    }
};
