//! Values of MessagePack: read where they stand, and written.

const std = @import("std");
const memory = @import("memory.zig");
const path = @import("path.zig");
const Route = path.Route;

pub const Out = std.ArrayList(u8);
pub const OutOfMemory = std.mem.Allocator.Error;

pub const Kind = enum {
    nil,
    bool,
    int,
    float,
    str,
    /// Bytes that are not said to be text.
    bin,
    array,
    map,
    /// An extension of MessagePack.
    ext,
};

pub const Head = struct {
    kind: Kind,
    /// Bytes of the header.
    len: usize = 1,
    /// Bytes behind it, but for what is in an array or map.
    data: usize = 0,
    /// Elements or members.
    count: usize = 0,
};

fn number(bytes: []const u8) u64 {
    return std.mem.readVarInt(u64, bytes, .big);
}

/// Of leads from 0xc0 to 0xdf: what the value is, and how many bytes it has; 0: a length says so.
const kinds = [_]Kind{ .nil, .nil, .bool, .bool, .bin, .bin, .bin, .ext, .ext, .ext, .float, .float } ++
    @as([8]Kind, @splat(.int)) ++ @as([5]Kind, @splat(.ext)) ++ [_]Kind{ .str, .str, .str, .array, .array, .map, .map };
const sizes = [32]u8{ 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 5, 9, 2, 3, 5, 9, 2, 3, 5, 9, 3, 4, 6, 10, 18, 0, 0, 0, 0, 0, 0, 0 };

/// Returns the header that the bytes begin with.
pub fn head(bytes: []const u8) Head {
    const c = bytes[0];
    if (c < 0x80 or c >= 0xe0) return .{ .kind = .int };
    if (c < 0xa0) return .{ .kind = if (c < 0x90) .map else .array, .count = c & 15 };
    if (c < 0xc0) return .{ .kind = .str, .data = c & 31 };
    const kind = kinds[c - 0xc0];
    if (sizes[c - 0xc0] > 0) return .{ .kind = kind, .data = sizes[c - 0xc0] - 1 };
    const width: usize = switch (c) {
        0xc4, 0xc7, 0xd9 => 1,
        0xc5, 0xc8, 0xda, 0xdc, 0xde => 2,
        else => 4,
    };
    const n: usize = @intCast(number(bytes[1 .. 1 + width]));
    if (kind == .array or kind == .map) return .{ .kind = kind, .len = 1 + width, .count = n };
    return .{ .kind = kind, .len = 1 + width, .data = n + @intFromBool(kind == .ext) };
}

/// Returns how many bytes the value has that the bytes begin with, if that is told by its first two; else 0.
pub inline fn shortSize(bytes: []const u8) usize {
    const c = bytes[0];
    if (c & 0xe0 == 0xa0) return 1 + @as(usize, c & 31);
    if (c < 0x80 or c >= 0xe0) return 1;
    if (c == 0xd9) return 2 + @as(usize, bytes[1]);
    return if (c >= 0xc0) sizes[c - 0xc0] else 0;
}

/// Returns how many bytes the value has that the bytes begin with.
pub fn size(bytes: []const u8) usize {
    var at: usize = 0;
    var left: usize = 1;
    while (left > 0) : (left -= 1) {
        const n = shortSize(bytes[at..]);
        at += n;
        if (n > 0) continue;
        const h = head(bytes[at..]);
        at += h.len + h.data;
        left += if (h.kind == .map) 2 * h.count else h.count;
    }
    return at;
}

/// Says whether texts are the same.
pub inline fn same(a: []const u8, b: []const u8) bool {
    if (a.len != b.len) return false;
    for (a, b) |x, y| if (x != y) return false;
    return true;
}

/// Copies as many bytes as there are: the instruction of WebAssembly that does is a call of the host.
inline fn copy(to: [*]u8, from: []const u8) void {
    const n = from.len;
    if (n > 32) {
        @memcpy(to, from);
    } else if (n >= 8) { // words, of which the last ones overlap
        var i: usize = 0;
        while (i + 8 < n) : (i += 8) to[i..][0..8].* = from[i..][0..8].*;
        to[n - 8 ..][0..8].* = from[n - 8 ..][0..8].*;
    } else if (n >= 4) {
        to[0..4].* = from[0..4].*;
        to[n - 4 ..][0..4].* = from[n - 4 ..][0..4].*;
    } else {
        for (from, 0..) |byte, i| to[i] = byte;
    }
}

/// Returns where a byte stands, or the length of the bytes.
pub fn find(bytes: []const u8, byte: u8) usize {
    var at: usize = 0;
    while (bytes.len - at >= 16) : (at += 16) {
        if (marks(bytes[at..], byte) | marks(bytes[at + 8 ..], byte) != 0) break;
    }
    while (bytes.len - at >= 8) : (at += 8) {
        const found = marks(bytes[at..], byte);
        if (found != 0) return at + @ctz(found) / 8;
    }
    while (at < bytes.len and bytes[at] != byte) at += 1;
    return at;
}

/// Marks where a byte stands among the first eight: the lowest mark is that of the first one.
inline fn marks(bytes: []const u8, byte: u8) u64 {
    const ones: u64 = 0x0101010101010101;
    const word = std.mem.readInt(u64, bytes[0..8], .little) ^ ones * byte;
    return (word -% ones) & ~word & ones << 7;
}

/// A value of a record, read where it stands: nothing is parsed but what is asked for. It lives until the
/// batch ends.
pub const Value = struct {
    /// Begins with the value, and may go on behind it.
    bytes: []const u8,

    pub fn kind(v: Value) Kind {
        return head(v.bytes).kind;
    }

    /// Returns the value as it stands in the record.
    pub fn messagePack(v: Value) []const u8 {
        return v.bytes[0..size(v.bytes)];
    }

    /// Returns a text; null if the value is something else. It need not be UTF-8.
    pub fn asStr(v: Value) ?[]const u8 {
        if (v.bytes[0] & 0xe0 == 0xa0) return v.bytes[1..][0 .. v.bytes[0] & 31];
        const h = head(v.bytes);
        return if (h.kind == .str) v.bytes[h.len..][0..h.data] else null;
    }

    /// Returns the bytes of a text or bin; null if the value is something else.
    pub fn asBytes(v: Value) ?[]const u8 {
        const h = head(v.bytes);
        return if (h.kind == .str or h.kind == .bin) v.bytes[h.len..][0..h.data] else null;
    }

    /// Returns the value as a bool, integer, float or []const u8; null if it is something else, or a number
    /// beyond the type. Whole numbers are floats, too.
    pub fn as(v: Value, comptime T: type) ?T {
        return switch (@typeInfo(T)) {
            .bool => if (v.kind() == .bool) v.bytes[0] == 0xc3 else null,
            .int => std.math.cast(T, v.whole() orelse return null),
            .float => @floatCast(v.float() orelse return null),
            else => if (T == []const u8) v.asStr() else @compileError("a value can't be had as " ++ @typeName(T)),
        };
    }

    fn whole(v: Value) ?i128 {
        const h = head(v.bytes);
        if (h.kind != .int) return null;
        if (h.data == 0) return @as(i8, @bitCast(v.bytes[0]));
        const n = number(v.bytes[1..][0..h.data]);
        if (v.bytes[0] < 0xd0) return n;
        const shift: u6 = @intCast(64 - 8 * h.data);
        return @as(i64, @bitCast(n << shift)) >> shift;
    }

    fn float(v: Value) ?f64 {
        return switch (v.bytes[0]) {
            0xca => @as(f32, @bitCast(@as(u32, @intCast(number(v.bytes[1..5]))))),
            0xcb => @bitCast(number(v.bytes[1..9])),
            else => @floatFromInt(v.whole() orelse return null),
        };
    }

    /// Says whether the value is that text.
    pub fn eql(v: Value, text: []const u8) bool {
        return same(v.asStr() orelse return false, text);
    }

    /// Returns how many elements an array has, or members a map.
    pub fn count(v: Value) usize {
        return head(v.bytes).count;
    }

    /// Goes through an array; if the value is something else, there are none.
    pub fn elements(v: Value) Elements {
        return .{ .entries = v.entriesOf(.array) };
    }

    /// Goes through a map; if the value is something else, there are none.
    pub fn members(v: Value) Members {
        return v.entriesOf(.map);
    }

    pub fn entriesOf(v: Value, what: Kind) Members {
        const h = head(v.bytes);
        return .{ .rest = v.bytes[h.len..], .left = if (h.kind == what) h.count else 0, .keyed = what == .map };
    }

    /// Returns what a path leads to: see `Part.get`.
    pub fn get(v: Value, way: anytype) ?Value {
        const steps = path.stepsOf(way);
        return path.routeOf(way, &steps).find(v);
    }

    /// Returns the text that a path leads to.
    pub fn getStr(v: Value, way: anytype) ?[]const u8 {
        return (v.get(way) orelse return null).asStr();
    }

    /// Returns the first member of that key.
    pub fn member(v: Value, key: []const u8) ?Value {
        return v.members().find(key);
    }

    /// Writes JSON without blanks, for the format {f}. Bins are text; extensions and numbers that are not
    /// finite are null.
    pub fn format(v: Value, to: *std.Io.Writer) std.Io.Writer.Error!void {
        var first = true;
        switch (v.kind()) {
            .nil, .ext => try to.writeAll("null"),
            .bool => try to.print("{}", .{v.bytes[0] == 0xc3}),
            .int => try to.print("{d}", .{v.whole().?}),
            .float => {
                const f = v.float().?;
                if (!std.math.isFinite(f)) return to.writeAll("null");
                const is_whole = @trunc(f) == f and @abs(f) < 1e15;
                if (is_whole) try to.print("{d:.1}", .{f}) else try to.print("{d}", .{f});
            },
            .str, .bin => try std.json.Stringify.encodeJsonString(v.asBytes().?, .{}, to),
            .array, .map => |what| {
                var all = v.entriesOf(what);
                try to.writeByte(if (what == .map) '{' else '[');
                while (all.next()) |m| : (first = false) {
                    if (!first) try to.writeByte(',');
                    if (what == .map) try to.print("{f}:", .{m.key});
                    try m.value.format(to);
                }
                try to.writeByte(if (what == .map) '}' else ']');
            },
        }
    }
};

pub const Member = struct { key: Value, value: Value };

pub const Members = struct {
    rest: []const u8,
    left: usize,
    keyed: bool = true,

    pub fn next(m: *Members) ?Member {
        if (m.left == 0) return null;
        m.left -= 1;
        const key: Value = if (m.keyed) m.take() else .{ .bytes = "\xc0" };
        return .{ .key = key, .value = m.take() };
    }

    fn take(m: *Members) Value {
        const n = size(m.rest);
        defer m.rest = m.rest[n..];
        return .{ .bytes = m.rest[0..n] };
    }

    /// Returns the next member whose key is text. The value goes on behind its end.
    pub inline fn named(m: *Members) ?struct { []const u8, Value } {
        while (m.left > 0) {
            m.left -= 1;
            const name = (Value{ .bytes = m.rest }).asStr();
            const end = if (name) |text| @intFromPtr(text.ptr) + text.len - @intFromPtr(m.rest.ptr) else size(m.rest);
            const value: Value = .{ .bytes = m.rest[end..] };
            m.rest = value.bytes[size(value.bytes)..];
            return .{ name orelse continue, value };
        }
        return null;
    }

    /// Returns the next value of that key.
    pub fn find(from: Members, key: []const u8) ?Value {
        var m = from;
        while (m.named()) |found| if (same(found[0], key)) return found[1];
        return null;
    }
};

pub const Elements = struct {
    entries: Members,

    pub fn next(e: *Elements) ?Value {
        return (e.entries.next() orelse return null).value;
    }
};

/// Bytes that are no text, to be put into a record.
pub const Bin = struct { bytes: []const u8 };

inline fn makeRoom(to: *Out, n: usize) OutOfMemory!void {
    if (to.capacity - to.items.len < n) try to.ensureUnusedCapacity(memory.allocator, n);
}

pub fn append(to: *Out, bytes: []const u8) OutOfMemory!void {
    try makeRoom(to, bytes.len);
    copy(to.items.ptr + to.items.len, bytes);
    to.items.len += bytes.len;
}

fn writeNumber(to: *Out, lead: u8, n: u64, width: usize) OutOfMemory!void {
    var bytes: [9]u8 = undefined;
    std.mem.writeInt(u64, bytes[1..], n, .big);
    bytes[8 - width] = lead;
    try append(to, bytes[8 - width ..]);
}

/// Writes a header: in the short form if it is less than `few`, else by a lead for each width.
pub fn writeHead(to: *Out, n: usize, short: u8, few: usize, one: ?u8, two: u8) OutOfMemory!void {
    if (n < few) return append(to, &.{short | @as(u8, @intCast(n))});
    if (one) |lead| if (n < 1 << 8) return writeNumber(to, lead, n, 1);
    if (n < 1 << 16) return writeNumber(to, two, n, 2);
    try writeNumber(to, two + 1, n, 4);
}

pub fn writeCount(to: *Out, kind: Kind, n: usize) OutOfMemory!void {
    try if (kind == .map) writeHead(to, n, 0x80, 16, null, 0xde) else writeHead(to, n, 0x90, 16, null, 0xdc);
}

/// Writes a text or bin.
pub fn writeBytes(to: *Out, kind: Kind, bytes: []const u8) OutOfMemory!void {
    try makeRoom(to, bytes.len + 5);
    try if (kind == .bin) writeHead(to, bytes.len, 0, 0, 0xc4, 0xc5) else writeHead(to, bytes.len, 0xa0, 32, 0xd9, 0xda);
    try append(to, bytes);
}

/// Writes a whole number in the least bytes.
fn writeInt(to: *Out, n: i128) OutOfMemory!void {
    const bits: u64 = @truncate(@as(u128, @bitCast(n)));
    if (n >= -32 and n < 0x80) return append(to, &.{@truncate(bits)});
    const width: u7 = for ([_]u7{ 1, 2, 4 }) |bytes| {
        if (if (n < 0) n >> (8 * bytes - 1) == -1 else n >> (8 * bytes) == 0) break bytes;
    } else 8;
    try writeNumber(to, (if (n < 0) @as(u8, 0xd0) else 0xcc) + @ctz(width), bits, width);
}

/// Writes a value: see `Part.set`.
pub fn write(to: *Out, value: anytype) OutOfMemory!void {
    const T = @TypeOf(value);
    if (T == Value) return append(to, value.messagePack());
    if (T == Map) return append(to, value.value().bytes);
    if (T == Bin) return writeBytes(to, .bin, value.bytes);
    switch (@typeInfo(T)) {
        .null => try append(to, "\xc0"),
        .bool => try append(to, if (value) "\xc3" else "\xc2"),
        .int, .comptime_int => try writeInt(to, value),
        .float, .comptime_float => try writeNumber(to, 0xcb, @bitCast(@as(f64, value)), 8),
        .optional => if (value) |v| try write(to, v) else try append(to, "\xc0"),
        .@"enum", .enum_literal => try writeBytes(to, .str, @tagName(value)),
        .pointer => |pointer| if (pointer.size == .one) {
            try if (comptime isText(T)) writeBytes(to, .str, value) else write(to, value.*);
        } else if (pointer.child == u8) {
            try writeBytes(to, .str, value);
        } else {
            try writeCount(to, .array, value.len);
            for (value) |element| try write(to, element);
        },
        .array => try write(to, @as([]const @typeInfo(T).array.child, &value)),
        .@"struct" => |s| {
            try writeCount(to, if (s.is_tuple) .array else .map, s.field_names.len);
            inline for (s.field_names) |name| {
                if (!s.is_tuple) try writeBytes(to, .str, name);
                try write(to, @field(value, name));
            }
        },
        else => @compileError("a " ++ @typeName(T) ++ " can't be put into a record"),
    }
}

/// Says whether a type is that of a literal.
pub fn isText(comptime T: type) bool {
    const info = @typeInfo(T);
    if (info != .pointer) return false;
    if (info.pointer.size == .slice) return info.pointer.child == u8;
    const child = @typeInfo(info.pointer.child);
    return child == .array and child.array.child == u8;
}

/// Returns a value as MessagePack.
pub fn encode(value: anytype) OutOfMemory![]const u8 {
    if (@TypeOf(value) == Value) return value.messagePack();
    if (@TypeOf(value) == Map) return value.value().bytes;
    var out: Out = .empty;
    try write(&out, value);
    return out.items;
}

/// Returns what becomes a map as MessagePack: a struct literal, which may be empty, a `Value`, a `Map`.
pub fn encodeMap(members: anytype) error{ OutOfMemory, NotAMap }![]const u8 {
    if (@TypeOf(members) == @TypeOf(.{})) return "\x80";
    const bytes = try encode(members);
    return if (head(bytes).kind == .map) bytes else error.NotAMap;
}

/// A map of one's own, to be read, put into a record or emitted. It lives until the batch ends.
pub const Map = struct {
    /// Has a header of five bytes, if there is anything.
    out: Out = .empty,

    pub const empty: Map = .{};

    /// Copies what becomes a map in a record: a struct literal, a `Value`, another map.
    pub fn from(members: anytype) error{ OutOfMemory, NotAMap }!Map {
        const bytes = try encodeMap(members);
        const h = head(bytes);
        var map: Map = .empty;
        try map.begin(h.count, bytes.len);
        try append(&map.out, bytes[h.len..]);
        return map;
    }

    pub fn begin(map: *Map, n: usize, room: usize) OutOfMemory!void {
        map.out.clearRetainingCapacity();
        try map.out.ensureTotalCapacity(memory.allocator, room + 5);
        try writeNumber(&map.out, 0xdf, n, 4);
    }

    pub fn value(map: Map) Value {
        return .{ .bytes = if (map.out.items.len == 0) "\x80" else map.out.items };
    }

    pub fn get(map: Map, way: anytype) ?Value {
        return map.value().get(way);
    }

    /// Adds a member as the last one, without a look whether its key is there.
    pub fn add(map: *Map, key: []const u8, member: anytype) OutOfMemory!void {
        try map.addMember(key, try encode(member));
    }

    pub fn addMember(map: *Map, key: []const u8, bytes: []const u8) OutOfMemory!void {
        if (map.out.items.len == 0) try map.begin(0, key.len + bytes.len + 5);
        try writeBytes(&map.out, .str, key);
        try append(&map.out, bytes);
        const n = map.out.items[1..5];
        std.mem.writeInt(u32, n, std.mem.readInt(u32, n, .big) + 1, .big);
    }

    /// Does what `Part.set` does.
    pub fn set(map: *Map, way: anytype, with: anytype) error{ OutOfMemory, InTheWay }!void {
        const steps = path.stepsOf(way);
        if (!try map.change(path.routeOf(way, &steps), try encode(with))) return error.InTheWay;
    }

    /// Removes what a path leads to, if it is there.
    pub fn remove(map: *Map, way: anytype) OutOfMemory!void {
        const steps = path.stepsOf(way);
        _ = try map.change(path.routeOf(way, &steps), null);
    }

    /// Sets, or with null removes. Returns false if there is nothing that can be done.
    pub fn change(map: *Map, route: Route, with: ?[]const u8) OutOfMemory!bool {
        if (map.out.items.len == 0) try map.begin(0, 0);
        const holder, const last = route.holder(map.value());
        var new: Out = .empty;
        if (!try last.writeChanged(holder, with, &new)) return false;
        const at = @intFromPtr(holder.bytes.ptr) - @intFromPtr(map.out.items.ptr);
        try map.out.replaceRange(memory.allocator, at, size(holder.bytes), new.items);
        return true;
    }
};
