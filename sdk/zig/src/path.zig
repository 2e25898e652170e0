//! Ways to values.

const std = @import("std");
const memory = @import("memory.zig");
const values = @import("value.zig");
const Part = @import("part.zig").Part;
const Value = values.Value;
const Out = values.Out;

/// A part of a path: the key of a member, or the number of an element from 0. Digits are a number, too, in
/// an array.
pub const Step = union(enum) {
    key: []const u8,
    index: usize,

    pub fn number(step: Step) ?usize {
        switch (step) {
            .index => |i| return i,
            .key => |digits| {
                if (digits.len == 0 or digits.len > 9) return null;
                var n: usize = 0;
                for (digits) |c| n = if (c >= '0' and c <= '9') 10 * n + (c - '0') else return null;
                return n;
            },
        }
    }
};

/// What is left of a path: never nothing.
pub const Route = union(enum) {
    text: []const u8,
    steps: []const Step,

    pub const Stepped = struct { next: Value, by: Step, rest: ?Route };

    /// Returns the first part, and what is left then.
    pub fn split(route: Route) struct { Step, ?Route } {
        switch (route) {
            .text => |text| {
                const dot = values.find(text, '.');
                return .{ .{ .key = text[0..dot] }, if (dot < text.len) .{ .text = text[dot + 1 ..] } else null };
            },
            .steps => |steps| return .{ steps[0], if (steps.len > 1) .{ .steps = steps[1..] } else null },
        }
    }

    /// Goes a step from a value, or from a part, which knows its members.
    pub fn step(route: Route, from: Value, part: ?*Part) ?Stepped {
        const kind = from.kind();
        if (kind == .map and route == .text) {
            const found = if (part) |p| p.member(route.text) else from.member(route.text);
            if (found) |next| return .{ .next = next, .by = .{ .key = route.text }, .rest = null };
        }
        const first, const rest = route.split();
        const next = switch (kind) {
            .array => element(from, first.number() orelse return null),
            .map => if (first == .index or (rest == null and route == .text))
                null
            else if (part) |p| p.member(first.key) else from.member(first.key),
            else => null,
        };
        return .{ .next = next orelse return null, .by = first, .rest = rest };
    }

    pub fn find(route: Route, from: Value) ?Value {
        const stepped = route.step(from, null) orelse return null;
        return if (stepped.rest) |rest| rest.find(stepped.next) else stepped.next;
    }

    /// Returns the innermost value on the way that is there and holds another, and what is left from it on.
    pub fn holder(route: Route, from: Value) struct { Value, Route } {
        const stepped = route.step(from, null) orelse return .{ from, route };
        return if (stepped.rest) |rest| rest.holder(stepped.next) else .{ from, route };
    }

    /// Writes a holder with another value at the end of the path, or with none. Returns false if there is
    /// none to be removed, or no map to add it to.
    pub fn writeChanged(route: Route, in: Value, value: ?[]const u8, to: *Out) values.OutOfMemory!bool {
        const kind = in.kind();
        const found = route.step(in, null);
        if (found == null and (value == null or kind != .map or !route.hasKeysAlone())) return false;
        const by = if (found) |f| f.by else route.split()[0];
        var n: usize = @intFromBool(value != null);
        var all = in.entriesOf(kind);
        var i: usize = 0;
        while (all.next()) |entry| : (i += 1) n += @intFromBool(!isAt(entry, i, kind, by));
        // A header that has the widest form keeps it: that of a Map does.
        if (in.bytes[0] == 0xdf) {
            try values.writeHead(to, @max(n, 1 << 16), 0, 0, null, 0xde);
            std.mem.writeInt(u32, to.items[to.items.len - 4 ..][0..4], @intCast(n), .big);
        } else {
            try values.writeCount(to, kind, n);
        }
        var new = value;
        all = in.entriesOf(kind);
        i = 0;
        while (all.next()) |entry| : (i += 1) {
            const is_it = isAt(entry, i, kind, by);
            if (is_it and new == null) continue;
            if (kind == .map) try values.append(to, entry.key.bytes);
            try values.append(to, if (is_it) new.? else entry.value.bytes);
            if (is_it) new = null;
        }
        if (new) |bytes| try route.writeNew(bytes, to);
        return true;
    }

    fn isAt(entry: values.Member, i: usize, kind: values.Kind, by: Step) bool {
        return if (kind == .map) entry.key.eql(by.key) else i == by.number();
    }

    /// Says whether maps can be made by the path.
    pub fn hasKeysAlone(route: Route) bool {
        if (route == .steps) for (route.steps) |s| if (s == .index) return false;
        return true;
    }

    /// Writes a member by which the path leads to a value: key and value.
    pub fn writeNew(route: Route, value: []const u8, to: *Out) values.OutOfMemory!void {
        const first, const rest = route.split();
        try values.writeBytes(to, .str, first.key);
        const more = rest orelse return values.append(to, value);
        try values.append(to, "\x81");
        try more.writeNew(value, to);
    }
};

fn element(array: Value, index: usize) ?Value {
    var elements = array.elements();
    if (index >= elements.entries.left) return null;
    for (0..index) |_| _ = elements.next();
    return .{ .bytes = elements.entries.rest };
}

/// A path out of a configuration, in the form of Fluent Bit's record accessor: `$a['b'][0]`. What does not
/// begin with a `$` is a text with dots.
pub const Accessor = struct {
    route: Route,

    /// Reads a path. An error's text names it. The accessor lives as the text does.
    pub fn parse(text: []const u8) error{ OutOfMemory, Failed }!Accessor {
        if (text.len == 0 or text[0] != '$') return if (text.len > 0) .{ .route = .{ .text = text } } else malformed(text);
        var steps: std.ArrayList(Step) = .empty;
        var at = values.find(text, '[');
        if (at == 1 or std.mem.indexOfScalar(u8, text[0..at], ']') != null) return malformed(text);
        try steps.append(memory.allocator, .{ .key = text[1..at] });
        while (at < text.len) {
            if (text[at] != '[' or text.len - at < 3) return malformed(text);
            const quote = text[at + 1];
            if (quote == '\'' or quote == '"') {
                const end = std.mem.indexOfPos(u8, text, at + 2, &.{ quote, ']' }) orelse return malformed(text);
                try steps.append(memory.allocator, .{ .key = text[at + 2 .. end] });
                at = end + 2;
            } else {
                const end = std.mem.indexOfScalarPos(u8, text, at, ']') orelse return malformed(text);
                const digits: Step = .{ .key = text[at + 1 .. end] };
                try steps.append(memory.allocator, .{ .index = digits.number() orelse return malformed(text) });
                at = end + 1;
            }
        }
        return .{ .route = .{ .steps = steps.items } };
    }

    fn malformed(text: []const u8) error{Failed} {
        return @import("batch.zig").fail(1, "'{s}' is not a path: write it as $a['b'][0] or a.b.0", .{text});
    }
};

fn length(comptime T: type) usize {
    const info = @typeInfo(T);
    if (T == Accessor or T == Route or info != .@"struct") return 0;
    if (!info.@"struct".is_tuple or info.@"struct".field_names.len == 0)
        @compileError("a path is a text, a tuple of keys and numbers, or an Accessor");
    return info.@"struct".field_names.len;
}

/// Returns the parts of a path that is a tuple.
pub fn stepsOf(path: anytype) [length(@TypeOf(path))]Step {
    var steps: [length(@TypeOf(path))]Step = undefined;
    inline for (&steps, 0..) |*step, i| {
        step.* = if (comptime values.isText(@TypeOf(path[i]))) .{ .key = path[i] } else .{ .index = path[i] };
    }
    return steps;
}

pub fn routeOf(path: anytype, steps: []const Step) Route {
    const T = @TypeOf(path);
    if (T == Route) return path;
    if (T == Accessor) return path.route;
    return if (comptime length(T) > 0) .{ .steps = steps } else .{ .text = path };
}
