//! The body or the metadata of an event or group, and its edits.

const std = @import("std");
const memory = @import("memory.zig");
const path = @import("path.zig");
const values = @import("value.zig");
const batch = @import("batch.zig");
const Op = batch.Op;
const Map = values.Map;
const Out = values.Out;
const Route = path.Route;
const Value = values.Value;

/// So many sets, adds and removes of a part, and so many bytes of their keys, are said one by one. A host
/// takes 256, and 65,536.
const max_edits = 32;
const max_key_bytes = 60_000;
/// The members of a part whose keys are remembered.
const max_indexed = 64;
/// Values nest up to 128 deep in a batch.
const max_depth = 130;

pub const Error = error{ OutOfMemory, NoMetadata, NotAMap, InTheWay };

/// Which texts `Part.rewriteStrings` is about.
pub const Texts = struct {
    /// Those alone that have this byte in them: others cost next to nothing.
    having: ?u8 = null,
    /// Keys as well as values.
    keys: bool = false,
};

/// The body or the metadata of an event or group: a map.
///
/// What is read is the part as it came; edits take effect when the filter has returned, one after the
/// other. `edited` has them now. An edit costs what it touches, however large the part is, unless another
/// one has touched the same member before: then it costs a copy of the part.
pub const Part = struct {
    came: []const u8 = "",
    /// In the order of their places, which do not overlap.
    puts: std.ArrayList(Op) = .empty,
    /// Sets, adds and removes, no two with one key, but for adds.
    edits: std.ArrayList(Op) = .empty,
    key_bytes: usize = 0,
    /// The part as it is to be: then there are no other edits.
    whole: ?Map = null,
    index: [max_indexed]struct { key: []const u8, value: []const u8 } = undefined,
    indexed: usize = 0,
    /// The members that are not in the index.
    others: ?values.Members = null,

    /// Goes to the next event or group. No bytes: there is no such part.
    pub fn load(p: *Part, came: []const u8) void {
        p.came = came;
        p.puts.clearRetainingCapacity();
        p.edits.clearRetainingCapacity();
        p.key_bytes = 0;
        p.whole = null;
        p.indexed = 0;
        p.others = null;
    }

    /// Returns the part as it came.
    pub fn value(p: *const Part) Value {
        return .{ .bytes = if (p.came.len == 0) "\x80" else p.came };
    }

    /// Returns what a path leads to, in the part as it came.
    ///
    /// A path is a text with dots between its parts ("a.b", "items.0.name"), a tuple of keys and numbers of
    /// elements (.{ "items", 0, "name" }), whose dots are theirs, or an `Accessor`. A text finds keys with
    /// dots, too: in a map, a member whose key is all that is left of the text goes before one whose key is
    /// what is left up to the first dot.
    pub fn get(p: *Part, way: anytype) ?Value {
        const steps = path.stepsOf(way);
        return p.find(path.routeOf(way, &steps)).value;
    }

    /// Returns the text that a path leads to; null if it is not there, or not text.
    pub fn getStr(p: *Part, way: anytype) ?[]const u8 {
        return (p.get(way) orelse return null).asStr();
    }

    /// Returns what a path leads to as a bool, number or text: see `Value.as`.
    pub fn getAs(p: *Part, comptime T: type, way: anytype) ?T {
        return (p.get(way) orelse return null).as(T);
    }

    /// Says whether a path leads to that text.
    pub fn eql(p: *Part, way: anytype, text: []const u8) bool {
        return (p.get(way) orelse return false).eql(text);
    }

    /// Gives what the path leads to the value. What is not there is added as the last member of its map,
    /// which is made if need be; error.InTheWay where there is a value that is not a map.
    ///
    /// Values are null, bool, numbers, texts, enums (their names), optionals, slices, arrays and tuples, which
    /// become arrays, struct literals, which become maps, `Bin`, `Map` and `Value`.
    pub fn set(p: *Part, way: anytype, with: anytype) Error!void {
        const steps = path.stepsOf(way);
        if (!try p.change(path.routeOf(way, &steps), try values.encode(with), false)) return error.InTheWay;
    }

    /// Adds a member as the last one, without a look whether its key is there.
    pub fn add(p: *Part, key: []const u8, with: anytype) Error!void {
        const bytes = try values.encode(with);
        try p.check();
        if (p.whole == null and p.edits.items.len >= max_edits) try p.makeWhole();
        if (p.whole) |*whole| return whole.addMember(key, bytes);
        try p.edit(.add, .{ .steps = &.{.{ .key = key }} }, bytes);
    }

    /// Removes what the path leads to, if it is there.
    pub fn remove(p: *Part, way: anytype) Error!void {
        const steps = path.stepsOf(way);
        _ = try p.change(path.routeOf(way, &steps), null, false);
    }

    /// Sets what the path leads to to the value that there is, and removes it if that is null.
    pub fn setOrRemove(p: *Part, way: anytype, with: anytype) Error!void {
        if (with) |v| try p.set(way, v) else try p.remove(way);
    }

    /// Replaces the value that a path leads to; false if there is none.
    pub fn put(p: *Part, way: anytype, with: anytype) Error!bool {
        const steps = path.stepsOf(way);
        return p.change(path.routeOf(way, &steps), try values.encode(with), true);
    }

    /// Replaces the part as a whole, by what becomes a map: see `Map.from`.
    pub fn replace(p: *Part, with: anytype) Error!void {
        if (p.came.len == 0) return error.NoMetadata;
        p.whole = try .from(with);
        p.puts.clearRetainingCapacity();
        p.edits.clearRetainingCapacity();
    }

    /// Calls `function(context, text)`, which returns `!?[]const u8`, for each text that is a value, at any
    /// depth, and puts what it returns in the text's place. Bins are taken for text. Texts need not be UTF-8.
    pub fn rewriteStrings(p: *Part, texts: Texts, context: anytype, comptime function: anytype) !void {
        const Context = @TypeOf(context);
        const erased = struct {
            fn call(of: *const anyopaque, text: []const u8) anyerror!?[]const u8 {
                return function(@as(*const Context, @ptrCast(@alignCast(of))).*, text);
            }
        };
        return p.rewrite(texts, @ptrCast(&context), erased.call);
    }

    /// Returns a copy of the part with the edits so far.
    pub fn edited(p: *const Part) Error!Map {
        if (p.whole) |whole| return .from(whole);
        if (p.value().kind() != .map) return error.NotAMap;
        const h = values.head(p.value().bytes);
        var map: Map = .empty;
        try map.begin(h.count, p.came.len);
        try splice(p.value().bytes, h.len, p.puts.items, &map.out);
        for (p.edits.items) |op| {
            const key: Value = .{ .bytes = op.slice() };
            const step: Route = .{ .steps = &.{.{ .key = key.asStr().? }} };
            const with = key.bytes[values.size(key.bytes)..];
            if (op.kind == .add) try map.addMember(step.steps[0].key, with) else _ = try map.change(step, if (op.kind == .set) with else null);
        }
        return map;
    }

    /// Has edits from now on be those of a copy of the part.
    pub fn makeWhole(p: *Part) Error!void {
        if (p.whole != null) return;
        p.whole = try p.edited();
        p.puts.clearRetainingCapacity();
        p.edits.clearRetainingCapacity();
    }

    pub fn isEdited(p: *const Part) bool {
        return p.whole != null or p.puts.items.len + p.edits.items.len > 0;
    }

    /// Returns the first member of that key, in the part as it came.
    pub fn member(p: *Part, key: []const u8) ?Value {
        for (p.index[0..p.indexed]) |entry| if (values.same(entry.key, key)) return .{ .bytes = entry.value };
        if (p.others == null) p.others = p.value().members();
        const others = &p.others.?;
        while (p.indexed < max_indexed) {
            const name, const found = others.named() orelse return null;
            p.index[p.indexed] = .{ .key = name, .value = found.bytes };
            p.indexed += 1;
            if (values.same(name, key)) return found;
        }
        return others.find(key);
    }

    /// Where a path leads to.
    pub const Found = struct {
        /// The innermost value that is there and holds others, but for the part itself.
        holder: ?Value = null,
        /// What is left of the path from there on.
        last: Route,
        value: ?Value = null,
        by: path.Step,
    };

    pub fn find(p: *Part, route: Route) Found {
        const stepped = route.step(p.value(), p) orelse return .{ .last = route, .by = route.split()[0] };
        const rest = stepped.rest orelse return .{ .last = route, .value = stepped.next, .by = stepped.by };
        const holder, const last = rest.holder(stepped.next);
        const found = last.step(holder, null);
        return .{ .holder = holder, .last = last, .value = if (found) |f| f.next else null, .by = stepped.by };
    }

    /// Returns where a value begins and ends in the part as it came.
    fn placeOf(p: *const Part, v: Value) [2]usize {
        const at = @intFromPtr(v.bytes.ptr) - @intFromPtr(p.came.ptr);
        return .{ at, at + values.size(v.bytes) };
    }

    /// Says whether earlier edits have to do with what a path leads to, or with `all` that is beside it.
    pub fn isTouched(p: *const Part, route: Route, to: Found, all: bool) bool {
        if (!p.isEdited()) return false;
        if (p.whole != null or p.edits.items.len >= max_edits) return true;
        const of: ?Value = if (to.value != null and !all) to.value else to.holder;
        if (of != null and p.puts.items.len > 0) {
            const from, const end = p.placeOf(of.?);
            for (p.puts.items) |op| if (op.a < end and op.a + op.b > from) return true;
        }
        const first = route.split()[0];
        for (p.edits.items) |op| {
            const key: Value = .{ .bytes = op.slice() };
            if (first == .key and key.eql(first.key)) return true;
            if (route == .text and key.eql(route.text)) return true;
        }
        return false;
    }

    fn check(p: *const Part) Error!void {
        if (p.came.len == 0) return error.NoMetadata;
        if (p.whole == null and p.value().kind() != .map) return error.NotAMap;
    }

    /// Sets, or with null removes; puts if `only_there`. Returns false if there is nothing that can be done.
    fn change(p: *Part, route: Route, with: ?[]const u8, only_there: bool) Error!bool {
        if (p.came.len == 0 and (with == null or only_there)) return false;
        try p.check();
        const to = p.find(route);
        const bytes: usize = switch (to.by) {
            .key => |key| key.len + 5,
            .index => 0,
        };
        if (p.isTouched(route, to, !only_there) or p.key_bytes + bytes > max_key_bytes) {
            try p.makeWhole();
            if (only_there and route.find(p.whole.?.value()) == null) return false;
            return p.whole.?.change(route, with);
        }
        if (only_there) {
            try p.putAt(to.value orelse return false, with.?);
        } else if (to.holder) |holder| {
            var new: Out = .empty;
            if (!try to.last.writeChanged(holder, with, &new)) return false;
            try p.putAt(holder, new.items);
        } else if (to.value != null) {
            p.key_bytes += bytes;
            try p.edit(if (with == null) .remove else .set, .{ .steps = &.{to.by} }, with orelse "");
        } else {
            if (with == null or !route.hasKeysAlone()) return false;
            try p.edit(.add, route, with.?);
        }
        return true;
    }

    fn edit(p: *Part, kind: batch.OpKind, key: Route, with: []const u8) Error!void {
        var out: Out = .empty;
        try key.writeNew(with, &out);
        try batch.push(&p.edits, .{ .kind = kind, .a = @intFromBool(kind == .add) }, out.items);
    }

    /// Puts at a place that no earlier put overlaps.
    fn putAt(p: *Part, old: Value, bytes: []const u8) Error!void {
        const from, const end = p.placeOf(old);
        try batch.push(&p.puts, .{ .kind = .put, .a = @intCast(from), .b = @intCast(end - from) }, bytes);
        const list = p.puts.items;
        var i = list.len - 1;
        while (i > 0 and list[i - 1].a > list[i].a) : (i -= 1) std.mem.swap(Op, &list[i - 1], &list[i]);
    }

    fn rewrite(p: *Part, texts: Texts, context: *const anyopaque, function: *const fn (*const anyopaque, []const u8) anyerror!?[]const u8) !void {
        if (p.came.len == 0) return;
        const as_came = !p.isEdited();
        if (!as_came) try p.makeWhole();
        const from = if (as_came) p.came else p.whole.?.value().bytes;
        errdefer p.puts.clearRetainingCapacity();
        // Values of each map and array on the way that are to come, with keys.
        var left: [max_depth]usize = undefined;
        var is_map: [max_depth]bool = undefined;
        var depth: usize = 0;
        var at: usize = 0;
        var next = if (texts.having) |byte| values.find(from, byte) else 0; // where that byte stands
        left[0] = 1;
        is_map[0] = false;
        walk: while (true) {
            while (left[depth] == 0) {
                if (depth == 0) break :walk;
                depth -= 1;
            }
            left[depth] -= 1;
            const is_key = is_map[depth] and left[depth] % 2 == 1;
            if (is_key and !texts.keys) {
                at += values.size(from[at..]);
                continue;
            }
            const n = values.shortSize(from[at..]);
            if (n > 0 and at + n <= next) {
                at += n;
                continue;
            }
            const h = values.head(from[at..]);
            const end = at + h.len + h.data;
            if (texts.having) |byte| if (next < at + h.len) {
                next = at + h.len + values.find(from[at + h.len ..], byte);
                if (next == from.len) break :walk;
            };
            if ((h.kind == .str or h.kind == .bin) and (texts.having == null or next < end)) {
                if (try function(context, from[at + h.len .. end])) |new| {
                    var out: Out = .empty;
                    try values.writeBytes(&out, h.kind, new);
                    try batch.push(&p.puts, .{ .kind = .put, .a = @intCast(at), .b = @intCast(end - at) }, out.items);
                }
            }
            at = end;
            if (h.count > 0) {
                depth += 1;
                if (depth == max_depth) return error.TooDeep;
                is_map[depth] = h.kind == .map;
                left[depth] = if (h.kind == .map) 2 * h.count else h.count;
            }
        }
        if (!as_came and p.puts.items.len > 0) {
            var new: Out = .empty;
            try splice(from, 0, p.puts.items, &new);
            p.puts.clearRetainingCapacity();
            p.whole.?.out = new;
        } else if (texts.keys and p.puts.items.len > 0 and p.value().kind() == .map) {
            try p.makeWhole(); // edits that follow find keys as they are now
        }
    }

    /// Says what has been edited, in operations.
    pub fn finish(p: *Part, of: u32, part: u8) Error!void {
        if (p.whole) |whole| return batch.say(.{ .of = of, .kind = .replace, .part = part }, whole.value().bytes);
        for ([_][]const Op{ p.puts.items, p.edits.items }) |list| {
            for (list) |op| {
                var said = op;
                said.of = of;
                said.part = part;
                try batch.say(said, op.slice());
            }
        }
    }
};

/// Copies with puts carried out.
fn splice(from: []const u8, start: usize, puts: []const Op, to: *Out) values.OutOfMemory!void {
    var done = start;
    for (puts) |op| {
        try values.append(to, from[done..op.a]);
        try values.append(to, op.slice());
        done = op.a + op.b;
    }
    try values.append(to, from[done..]);
}
