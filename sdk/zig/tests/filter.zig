//! What filters see and do, by the host in memory.

const std = @import("std");
const flb = @import("flb");
const testing = flb.testing;
const expect = std.testing.expect;
const equal = std.testing.expectEqual;
const same = std.testing.expectEqualStrings;
const Host = testing.Host;
const Event = flb.Event;
const Part = flb.Part;

fn start(host: *Host, comptime filter: anytype) !void {
    try host.start(.{ .filter = &struct {
        fn call(e: *Event) anyerror!void {
            return filter(e);
        }
    }.call });
}

/// Edits a body between two neighbours, whose bytes would show offsets that are wrong, and compares it: as it
/// comes out, and as `edited` has it.
fn edit(body: []const u8, want: []const u8, comptime function: anytype) !void {
    var host: Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try start(&host, struct {
        fn filter(e: *Event) !void {
            if (e.body.eql("neighbour", "yes")) return e.body.set("seen", true);
            try function(&e.body);
            try e.emit(try e.body.edited(), .{});
        }
    }.filter);
    const neighbour: testing.Record = .{ .body = "{\"neighbour\":\"yes\"}", .metadata = "{\"m\":[1]}" };
    const seen = "{\"neighbour\":\"yes\",\"seen\":true}";
    const out = try host.run(&.{ neighbour, .{ .body = body }, neighbour });
    try out.expectBodies(&.{ seen, want, want, seen });
}

test "edits" {
    try edit("{\"a\":1,\"b\":{\"c\":2}}", "{\"a\":1,\"b\":{\"c\":2}}", struct {
        fn f(_: *Part) !void {}
    }.f);
    try edit("{\"a\":1,\"b\":2}", "{\"a\":\"x\",\"b\":2,\"c\":[true,null]}", struct {
        fn f(b: *Part) !void {
            try b.set("c", .{ true, null });
            try b.set("a", 1);
            try b.set("a", "x");
        }
    }.f);
    try edit("{\"a\":1,\"b\":2}", "{\"b\":2,\"d\":4,\"e\":5,\"c\":3}", struct {
        fn f(b: *Part) !void {
            try b.add("d", 4);
            try b.add("e", 5);
            try b.remove("a");
            try b.remove("not there");
            try b.set("c", 3);
        }
    }.f);
    try edit("{\"a\":{\"b\":[1,{\"c\":2}]},\"z\":0}", "{\"a\":{\"b\":[\"one\",{\"c\":{}}]},\"z\":9}", struct {
        fn f(b: *Part) !void {
            try expect(try b.put("z", 9));
            try expect(try b.put(.{ "a", "b", 1, "c" }, .{ .x = 1 }));
            try expect(try b.put(.{ "a", "b", 1, "c" }, flb.Map.empty));
            try expect(try b.put("a.b.0", "one"));
            try expect(!try b.put("a.x", 1));
        }
    }.f);
    // What holds an earlier place takes its place.
    try edit("{\"a\":{\"b\":1,\"c\":2},\"d\":3}", "{\"a\":null,\"d\":4}", struct {
        fn f(b: *Part) !void {
            _ = try b.put("a.c", 7);
            _ = try b.put("d", 4);
            _ = try b.put("a.b", 8);
            _ = try b.put("a", null);
        }
    }.f);
    try edit("{\"a\":1}", "{\"b\":3,\"c\":\"y\"}", struct {
        fn f(b: *Part) !void {
            _ = try b.put("a", 5);
            try b.set("a", 6);
            try b.replace(.{ .a = 1, .b = 2 });
            try b.set("b", 3);
            try b.remove("a");
            try b.add("c", "x");
            try b.rewriteStrings(.{}, {}, y);
        }
        fn y(_: void, text: []const u8) !?[]const u8 {
            return if (std.mem.eql(u8, text, "x")) "y" else null;
        }
    }.f);
    try edit("{\"a\":1,\"b\":2}", "{\"a\":2}", struct {
        fn f(b: *Part) !void {
            try b.setOrRemove("a", @as(?u8, 2));
            try b.setOrRemove("b", @as(?bool, null));
        }
    }.f);
}

const nested = "{\"a\":{\"b\":1},\"a.c\":2,\"l\":[{\"x\":1},2,3]}";

test "paths are set and removed as get finds them" {
    try edit(nested, "{\"a\":{\"b\":9,\"d\":{\"e\":8}},\"a.c\":7,\"l\":[{},3],\"n\":{\"m\":6},\"p.q\":5}", struct {
        fn f(b: *Part) !void {
            try b.set("a.b", 9);
            try b.set("a.d.e", 8);
            try b.set("a.c", 7);
            try b.remove("l.0.x");
            try b.remove("l.1");
            try b.remove("l.5");
            try b.remove("not.there");
            try b.set("n.m", 6);
            try b.set(.{"p.q"}, 5);
        }
    }.f);
    try edit(nested, "{\"a\":{},\"l\":[{\"x\":1,\"y\":{\"z\":null}},2,3]}", struct {
        fn f(b: *Part) !void {
            try b.remove("a.b");
            try b.remove("a.c");
            try b.set(.{ "l", 0, "y", "z" }, null);
        }
    }.f);
    try edit(nested, "{\"a\":{\"b\":{\"n\":1}},\"a.c\":2,\"l\":[{\"x\":\"***\"},2,3]}", struct {
        fn f(b: *Part) !void {
            try b.set(try flb.Accessor.parse("$l[0]['x']"), "***");
            try b.set("a.b", .{ .n = 1 });
        }
    }.f);
    // A map of 15 members has a longer header with one more, and a shorter one with one less.
    const some = "{\"a\":{\"0\":0,\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,\"10\":0,\"11\":0,\"12\":0,\"13\":0,\"14\":0";
    try edit(some ++ "}}", some ++ ",\"15\":0}}", struct {
        fn f(b: *Part) !void {
            try b.set("a.15", 0);
        }
    }.f);
    try edit(some ++ ",\"15\":0}}", some ++ "}}", struct {
        fn f(b: *Part) !void {
            try b.remove("a.15");
        }
    }.f);
}

test "of members with one key the first is found, and set and remove leave no other" {
    try edit("{}", "{\"n\":{\"b\":8},\"a\":9}", struct {
        fn f(b: *Part) !void {
            var inner: flb.Map = .empty;
            for ([_]u8{ 1, 2 }) |i| try inner.add("b", i);
            var map: flb.Map = .empty;
            try map.add("x", 1);
            try map.add("n", inner);
            for ([_]u8{ 3, 4 }) |i| try map.add("a", i);
            try map.add("x", 2);
            try equal(3, map.get("a").?.as(u8));
            try b.replace(map);
            try b.set("a", 9);
            try b.set("n.b", 8);
            try b.remove("x");
        }
    }.f);
}

test "paths and accessors are read" {
    try edit("{\"a.b\":{\"c\":4},\"a\":{\"b\":{\"c\":2,\"d\":3},\"b.c\":7},\"l\":[[5]],\"0\":6,\"x]y\":[{\"e'f\":8}]}", "{}", struct {
        fn f(b: *Part) !void {
            for ([_][]const u8{ "a.b.c", "a.b.d", "l.0.0", "0" }, [_]i64{ 7, 3, 5, 6 }) |path, n| try equal(n, b.getAs(i64, path));
            for ([_][]const u8{ "", ".", "a.", "l.1", "l.x", "l.-0", "0.0", "l.0." }) |path| try equal(null, b.get(path));
            try equal(3, b.getAs(u8, .{ "a", "b", "d" }));
            try equal(4, b.getAs(u8, .{ "a.b", "c" }));
            try equal(5, b.getAs(u8, .{ "l", "0", 0 }));
            try equal(null, b.get(.{0}));
            try equal(null, b.get(.{ "l", 1 }));
            for ([_][]const u8{ "$l[0][0]", "$a['b']['d']", "$a.b[\"c\"]", "$a['b.c']", "$x]y[0]['e'f']", "a.b.d" }, [_]?i64{ 5, 3, 4, 7, null, 3 }) |text, want| {
                const path = flb.Accessor.parse(text) catch {
                    try equal(want, null);
                    continue;
                };
                try equal(want, b.getAs(i64, path));
            }
            for ([_][]const u8{ "", "$", "$['a']", "$a[b]", "$a['b", "$a['b'", "$a[0", "$a[0]b", "$a['b']c", "$a[]", "$a[-1]", "$a[", "$a]", "$a[0][" }) |text| {
                try std.testing.expectError(error.Failed, flb.Accessor.parse(text));
            }
            try b.replace(.{});
        }
    }.f);
}

test "more edits, and more bytes of keys, than a host takes" {
    var host: Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try start(&host, struct {
        fn filter(e: *Event) !void {
            if (e.body.get("many") == null) {
                var keys = e.body.value().members();
                while (keys.next()) |m| try e.body.set(.{m.key.asStr().?}, 1);
            } else for (0..300) |i| try e.body.add(try std.fmt.allocPrint(flb.allocator, "{d}", .{i}), i);
        }
    }.filter);
    var body: std.Io.Writer.Allocating = .init(std.testing.allocator);
    defer body.deinit();
    for (0..25) |i| try body.writer.print("{s}\"{d:0>3000}\":0", .{ if (i == 0) "{" else ",", i });
    try body.writer.writeByte('}');
    const out = try host.run(&.{ .{ .body = body.written() }, .{ .body = "{\"many\":true}" } });
    try equal(0, out.failures.len);
    try equal(25, std.mem.count(u8, out.records[0].body, ":1"));
    try equal(301, std.mem.count(u8, out.records[1].body, ":"));
}

/// What edits make of a record, by a model that knows nothing of MessagePack.
const Model = struct {
    const J = std.json.Value;
    a: std.mem.Allocator,

    fn step(at: *J, text: []const u8) ?struct { *J, ?[]const u8 } {
        switch (at.*) {
            .object => |*map| {
                if (map.getPtr(text)) |v| return .{ v, null };
                const dot = std.mem.indexOfScalar(u8, text, '.') orelse return null;
                return .{ map.getPtr(text[0..dot]) orelse return null, text[dot + 1 ..] };
            },
            .array => |list| {
                const dot = std.mem.indexOfScalar(u8, text, '.') orelse text.len;
                const i = std.fmt.parseInt(usize, text[0..dot], 10) catch return null;
                return .{ if (i < list.items.len) &list.items[i] else return null, if (dot < text.len) text[dot + 1 ..] else null };
            },
            else => return null,
        }
    }

    fn set(m: Model, at: *J, text: []const u8, v: J) !bool {
        if (step(at, text)) |found| {
            if (found[1]) |rest| return m.set(found[0], rest, v);
            found[0].* = v;
            return true;
        }
        if (at.* != .object) return false;
        const dot = std.mem.indexOfScalar(u8, text, '.') orelse {
            try at.object.put(m.a, try m.a.dupe(u8, text), v);
            return true;
        };
        try at.object.put(m.a, try m.a.dupe(u8, text[0..dot]), .{ .object = .empty });
        return m.set(at.object.getPtr(text[0..dot]).?, text[dot + 1 ..], v);
    }

    fn put(at: *J, text: []const u8, v: J) bool {
        const found = step(at, text) orelse return false;
        if (found[1]) |rest| return put(found[0], rest, v);
        found[0].* = v;
        return true;
    }

    fn remove(at: *J, text: []const u8) void {
        const found = step(at, text) orelse return;
        if (found[1]) |rest| return remove(found[0], rest);
        if (at.* == .array) {
            _ = at.array.orderedRemove((@intFromPtr(found[0]) - @intFromPtr(at.array.items.ptr)) / @sizeOf(J));
        } else if (!at.object.orderedRemove(text)) unreachable;
    }

    fn rewrite(at: *J) void {
        switch (at.*) {
            .string => |*text| if (std.mem.eql(u8, text.*, "text")) {
                text.* = "new";
            },
            .array => |list| for (list.items) |*v| rewrite(v),
            .object => |map| for (map.values()) |*v| rewrite(v),
            else => {},
        }
    }
};

fn anew(_: void, text: []const u8) !?[]const u8 {
    return if (std.mem.eql(u8, text, "text")) "new" else null;
}

/// Memory that is not the filter's.
var scratch: std.mem.Allocator = undefined;
var random: std.Random.DefaultPrng = undefined;

fn randomJson(r: std.Random, a: std.mem.Allocator, depth: usize) !std.json.Value {
    switch (r.uintLessThan(u8, if (depth == 0) 3 else 6)) {
        0 => return .{ .integer = r.intRangeAtMost(i16, -200, 300) },
        1 => return .{ .string = if (r.boolean()) "text" else "other" },
        2 => return .null,
        3 => {
            var list: std.json.Array = .init(a);
            for (0..r.uintLessThan(usize, 18)) |_| try list.append(try randomJson(r, a, depth - 1));
            return .{ .array = list };
        },
        else => return randomObject(r, a, depth - 1),
    }
}

fn randomObject(r: std.Random, a: std.mem.Allocator, depth: usize) error{OutOfMemory}!std.json.Value {
    var map: std.json.ObjectMap = .empty;
    for (0..r.uintLessThan(usize, 7)) |_| try map.put(a, randomPath(r), try randomJson(r, a, depth));
    if (r.uintLessThan(u8, 8) == 0) for (0..100) |i| try map.put(a, try std.fmt.allocPrint(a, "k{d}", .{i}), .null);
    return .{ .object = map };
}

fn randomPath(r: std.Random) []const u8 {
    const paths = [_][]const u8{ "a", "b", "c", "a.b", "b.c", "a.b.c", "a.0", "b.1.a", "c.a.b.c", "a.16", "k70", "k3.a", "new", "new.b" };
    return paths[r.uintLessThan(usize, paths.len)];
}

test "edits of all kinds, one after the other, make what a model makes" {
    for (0..2000) |seed| {
        random = .init(seed);
        var arena: std.heap.ArenaAllocator = .init(std.testing.allocator);
        defer arena.deinit();
        const a = arena.allocator();
        scratch = a;
        var host: Host = .init(std.testing.allocator, .{});
        defer host.deinit();
        try start(&host, struct {
            fn filter(e: *Event) !void {
                const r = random.random();
                const memory = scratch;
                const m: Model = .{ .a = memory };
                var model = try std.json.parseFromSliceLeaky(std.json.Value, memory, try std.fmt.allocPrint(memory, "{f}", .{e.body.value()}), .{});
                const count = if (r.uintLessThan(u8, 10) == 0) 60 else r.uintLessThan(usize, 8);
                for (0..count) |_| {
                    const path = randomPath(r);
                    const v = try randomJson(r, memory, 1);
                    var buffer: std.Io.Writer.Allocating = .init(memory);
                    try std.json.Stringify.value(v, .{}, &buffer.writer);
                    const wrapped = try std.fmt.allocPrint(memory, "{{\"v\":{s}}}", .{buffer.written()});
                    const value = (flb.Value{ .bytes = try testing.parse(memory, wrapped) }).get("v").?;
                    switch (r.uintLessThan(u8, 7)) {
                        0, 1, 2 => {
                            const done = try m.set(&model, path, v);
                            if (e.body.set(path, value)) try expect(done) else |err| try expect(err == error.InTheWay and !done);
                        },
                        3 => try equal(Model.put(&model, path, v), try e.body.put(path, value)),
                        4, 5 => {
                            Model.remove(&model, path);
                            try e.body.remove(path);
                        },
                        else => {
                            Model.rewrite(&model);
                            try e.body.rewriteStrings(.{}, {}, anew);
                        },
                    }
                }
                var want: std.Io.Writer.Allocating = .init(memory);
                try std.json.Stringify.value(model, .{}, &want.writer);
                try e.emit(.{ .want = want.written() }, .{});
            }
        }.filter);
        var body: std.Io.Writer.Allocating = .init(a);
        try std.json.Stringify.value(try randomObject(random.random(), a, 2), .{}, &body.writer);
        const out = try host.run(&.{.{ .body = body.written() }});
        try equal(0, out.failures.len);
        const want = try std.json.parseFromSliceLeaky(struct { want: []const u8 }, a, out.records[1].body, .{});
        same(want.want, out.records[0].body) catch |err| {
            std.debug.print("seed {d}: {s}\n", .{ seed, body.written() });
            return err;
        };
    }
}

test "texts are rewritten, wherever they are" {
    const body = "{\"k@\":\"a@\",\"n\":64,\"l\":[\"@\",{\"m@\":\"@b\",\"x\":\"none\"}]}";
    const Mark = struct {
        fn mark(with: u8, text: []const u8) !?[]const u8 {
            const new = try flb.allocator.dupe(u8, text);
            std.mem.replaceScalar(u8, new, '@', with);
            return new;
        }
    };
    try edit(body, "{\"k@\":\"a#\",\"n\":64,\"l\":[\"#\",{\"m@\":\"#b\",\"x\":\"none\"}]}", struct {
        fn f(b: *Part) !void {
            try b.rewriteStrings(.{ .having = '@' }, @as(u8, '#'), Mark.mark);
        }
    }.f);
    try edit(body, "{\"k#\":\"a#\",\"n\":64,\"l\":[\"#\",{\"m#\":\"#b\",\"x\":\"none\"}]}", struct {
        fn f(b: *Part) !void {
            try b.rewriteStrings(.{ .keys = true }, @as(u8, '#'), Mark.mark);
            try expect(try b.put("k#", "a#"));
            try expect(!try b.put("k@", "a#"));
        }
    }.f);
    try edit("{\"a\":1,\"l\":[]}", "{\"a\":1,\"l\":[]}", struct {
        fn f(b: *Part) !void {
            try b.rewriteStrings(.{ .having = '@' }, @as(u8, '#'), Mark.mark);
        }
    }.f);
}

const Errors = struct {
    fn filter(e: *Event) !void {
        try e.emit(.{}, .{});
        try e.body.set("touched", true);
        const n = e.body.getStr("n") orelse return e.fail(7, "no {s}", .{"n"});
        if (std.mem.eql(u8, n, "own")) return error.OfItsOwn;
        if (std.mem.eql(u8, n, "long")) return e.fail(1, "{s}", .{&@as([2000]u8, @splat('x'))});
        if (std.mem.eql(u8, n, "memory")) _ = flb.allocator.alloc(u8, 1 << 50) catch {};
        if (std.mem.eql(u8, n, "way")) try e.body.set("n.m", 1);
        if (std.mem.eql(u8, n, "time")) try e.setTime(.{ .sec = 1 << 32 });
        if (std.mem.eql(u8, n, "map")) try e.emit(.{ 1, 2 }, .{});
        if (std.mem.eql(u8, n, "form")) try e.metadata.set("a", 1);
        if (std.mem.eql(u8, n, "emit")) try e.emit(.{}, .{ .metadata = .empty });
    }
};

test "an error is one event's, and nothing of what it did takes effect" {
    var host: Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try host.start(.{ .filter = Errors.filter });
    const names = [_][]const u8{ "own", "memory", "way", "time", "map", "form", "emit", "long" };
    const want = [_][]const u8{
        "OfItsOwn",                              "no memory for the event",                     "set: a value that is not a map is in the way", "the time is not one that an event can have",
        "a part, and what is emitted, is a map", "the event is of a form that has no metadata", "the event is of a form that has no metadata",  &@as([1024]u8, @splat('x')),
    };
    var records: [names.len + 3]testing.Record = undefined;
    inline for (names, 0..) |name, i| records[i] = .{ .body = "{\"n\":\"" ++ name ++ "\"}", .metadata = null };
    records[names.len] = .{ .body = "{\"n\":\"fine\"}" };
    records[names.len + 1] = .{};
    records[names.len + 2] = .{ .body = "{\"n\":\"fine\"}" };
    const out = try host.run(&records);
    for (want, 0..) |text, i| try out.expectFailure(i, text);
    try out.expectFailure(names.len + 1, "no n");
    try equal(names.len + 1, out.failures.len);
    try equal(7, out.failures[names.len].code);
    try equal(1, out.failures[0].code);
    try equal(4, out.records.len); // two, and what they emit
    try same("{\"n\":\"fine\",\"touched\":true}", out.records[0].body);
}

test "emitted events have what the event is left with" {
    const filter = struct {
        fn filter(e: *Event) !void {
            try same("a.b", e.tag);
            try equal(flb.Time{ .sec = 10, .nsec = 11 }, e.time());
            try equal(1, e.group.?.get("scope").?.as(u8));
            try e.emit(.{ .n = 1 }, .{});
            try e.metadata.set("m", 2);
            try e.setTime(.{ .sec = 20, .nsec = 21 });
            try e.emit(.{ .n = 2 }, .{ .metadata = .empty, .time = .{ .sec = 30, .nsec = 31 }, .in_group = false });
            if (e.body.getAs(bool, "drop") orelse false) {
                try e.body.set("not", "seen");
                e.drop();
            }
        }
    }.filter;
    var host: Host = .init(std.testing.allocator, .{ .tag = "a.b", .groups = &.{"{\"scope\":1}"} });
    defer host.deinit();
    try host.start(.{ .filter = filter });
    const came: testing.Record = .{ .body = "{\"drop\":true}", .metadata = "{\"m\":1}", .time = .{ .sec = 10, .nsec = 11 }, .group = 1 };
    var kept = came;
    kept.body = "{}";
    const out = try host.run(&.{ came, kept });
    const first: testing.Record = .{ .body = "{\"n\":1}", .metadata = "{\"m\":2}", .time = .{ .sec = 20, .nsec = 21 }, .group = 1 };
    const second: testing.Record = .{ .body = "{\"n\":2}", .metadata = "{}", .time = .{ .sec = 30, .nsec = 31 } };
    kept = first;
    kept.body = "{}";
    try std.testing.expectEqualDeep(@as([]const testing.Record, &.{ first, second, kept, first, second }), out.records);
}

test "arrays are split" {
    var host: Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try start(&host, struct {
        fn filter(e: *Event) !void {
            try e.body.set("a", 1);
            if (e.body.eql("l", "set")) try e.body.set("l", &[_][]const u8{ "p", "q" });
            try e.split(if (e.body.get("n") != null) "n.l" else "l");
        }
    }.filter);
    const out = try host.run(&.{ .{ .body = "{\"l\":[1,\"x\"],\"z\":{}}" }, .{ .body = "{\"n\":{\"l\":[[]],\"z\":0}}" }, .{ .body = "{\"l\":\"set\"}" }, .{ .body = "{\"l\":[]}" }, .{ .body = "{\"l\":{\"b\":2}}" }, .{} });
    try out.expectBodies(&.{
        "{\"l\":1,\"z\":{},\"a\":1}", "{\"l\":\"x\",\"z\":{},\"a\":1}", "{\"n\":{\"l\":[],\"z\":0},\"a\":1}", "{\"l\":\"p\",\"a\":1}",
        "{\"l\":\"q\",\"a\":1}",      "{\"l\":[],\"a\":1}",             "{\"l\":{\"b\":2},\"a\":1}",          "{\"a\":1}",
    });
}

test "a group that fails fails its events" {
    const functions = struct {
        fn filter(e: *Event) !void {
            try e.body.set("seen", true);
        }

        fn group(g: *flb.Group) !void {
            try g.body.set("tagged", 1);
            if (g.body.getStr("bad")) |why| return g.fail(3, "{s}", .{why});
        }
    };
    var host: Host = .init(std.testing.allocator, .{ .groups = &.{ "{\"bad\":\"a bad group\"}", "{\"good\":1}" } });
    defer host.deinit();
    try host.start(.{ .filter = functions.filter, .group = functions.group });
    const out = try host.run(&.{ .{}, .{ .group = 1 }, .{ .group = 2 } });
    try same("{\"bad\":\"a bad group\"}", out.groups[0]);
    try same("{\"good\":1,\"tagged\":1}", out.groups[1]);
    try equal(2, out.records.len);
    try out.expectFailure(1, "a bad group");
    try equal(3, out.failures[0].code);
}

test "numbers and lengths" {
    var host: Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try start(&host, struct {
        fn filter(_: *Event) !void {
            for ([_]i64{ 0, 1, -1, -32, -33, 127, 128, 255, 256, -128, -129, 65535, 65536, -32768, -32769, std.math.maxInt(i64), std.math.minInt(i64), 1 << 31, -(1 << 31), -(1 << 31) - 1, 1 << 32, std.math.maxInt(u32) }) |n| {
                const v = (try flb.Map.from(.{ .n = n })).get("n").?;
                try equal(n, v.as(i64));
                try equal(std.math.cast(u64, n), v.as(u64));
                try equal(std.math.cast(i8, n), v.as(i8));
                try equal(@as(f64, @floatFromInt(n)), v.as(f64));
            }
            const others = try flb.Map.from(.{ .max = @as(u64, std.math.maxInt(u64)), .f = @as(f32, 1.5), .t = .level, .bin = flb.Bin{ .bytes = "x" }, .none = @as(?u8, null), .deep = .{ .list = .{ 1, "two", .{} } } });
            try same("{\"max\":18446744073709551615,\"f\":1.5,\"t\":\"level\",\"bin\":\"x\",\"none\":null,\"deep\":{\"list\":[1,\"two\",[]]}}", try std.fmt.allocPrint(flb.allocator, "{f}", .{others.value()}));
            try equal(flb.Kind.bin, others.get("bin").?.kind());
            try equal(null, others.get("max").?.as(i64));
            try equal(null, others.get("f").?.as(i64));
            for ([_]usize{ 0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536 }) |n| {
                const bytes = try flb.allocator.alloc(u8, n);
                @memset(bytes, 'x');
                const list = try flb.allocator.alloc(bool, n);
                @memset(list, true);
                var members: flb.Map = .empty;
                for (0..n) |i| try members.add("k", i);
                const map = try flb.Map.from(.{ .text = bytes, .bin = flb.Bin{ .bytes = bytes }, .list = list, .map = members, .last = true });
                try same(bytes, map.get("text").?.asStr().?);
                try same(bytes, map.get("bin").?.asBytes().?);
                try equal(n, map.get("list").?.count());
                try equal(n, map.get("map").?.count());
                try equal(true, map.get("last").?.as(bool));
            }
        }
    }.filter);
    try (try host.run(&.{.{}})).expectBodies(&.{"{}"});
}

const Everything = struct {
    var users: flb.Table = undefined;
    var counter: flb.metrics.Counter = undefined;
    var gauge: flb.metrics.Gauge = undefined;
    var histogram: flb.metrics.Histogram = undefined;
    var large: []const u8 = "";
    const Choice = enum { one, two };

    fn refused(comptime T: type, key: []const u8) !void {
        if (flb.config.parse(T, key)) |_| return error.NotRefused else |err| if (err != error.Failed) return err;
    }

    fn configure() !void {
        large = (try flb.config.get("LARGE")).?;
        try equal(42, try flb.config.parse(u8, "n"));
        try equal(4.5, try flb.config.parse(f64, "f"));
        try equal(true, try flb.config.parse(bool, "on"));
        try equal(Choice.two, try flb.config.parse(Choice, "choice"));
        try equal(null, try flb.config.parse(u8, "none"));
        try same("choice", (try flb.config.key(0)).?);
        try equal(null, try flb.config.key(9));
        try refused(u8, "large");
        try refused(f64, "choice");
        try refused(bool, "n");
        try refused(Choice, "n");
        users = try .open("Users");
        counter = .init("c_total", "", "a,b");
        gauge = .init("g", "", "");
        histogram = .init("h", "", "", &.{ 1, 2 });
    }

    fn filter(e: *Event) !void {
        try equal(1000, large.len); // as long as the module
        counter.add(2, &.{ "x", "" });
        counter.add(1, &.{ "x", "" });
        counter.add(1, &.{ large, "" });
        gauge.set(5, &.{});
        gauge.add(-1, &.{});
        histogram.observe(7, &.{});
        for ([_][]const u8{ "bob", "eve" }) |key| try e.body.setOrRemove(key, try users.get(key, "name"));
        try e.body.set("all", try users.getValue("bob", ""));
        try e.body.set("ids", try users.get("bob", "ids"));
        flb.log.warn("{d} of {s}", .{ 1, "2" });
        flb.log.debug("not logged", .{});
    }
};

test "configuration, tables, metrics and log" {
    const long: [1000]u8 = @splat('x');
    var host: Host = .init(std.testing.allocator, .{
        .config = &.{ .{ "n", "42" }, .{ "Large", &long }, .{ "f", " 4.5" }, .{ "on", "Yes" }, .{ "choice", "two" } },
        .tables = &.{.{ "users", "{\"bob\":{\"name\":\"Bob\",\"ids\":[1,2]}}" }},
    });
    defer host.deinit();
    try host.start(.{ .filter = Everything.filter, .configure = Everything.configure });
    for (0..2) |_| {
        const out = try host.run(&.{.{ .body = "{\"eve\":1}" }});
        try out.expectBodies(&.{"{\"bob\":\"Bob\",\"all\":{\"name\":\"Bob\",\"ids\":[1,2]},\"ids\":\"[1,2]\"}"});
    }
    try equal(6, host.metric("c_total", &.{ "x", "" }));
    try equal(2, host.metric("c_total", &.{ &long, "" }));
    try equal(4, host.metric("g", &.{}));
    try equal(2, host.metric("h", &.{}));
    try same("[warn] 1 of 2", host.lines.items[0]);
    try equal(2, host.lines.items.len);
}

test "the store" {
    const Step = struct {
        var at: usize = 0;

        fn is(key: []const u8, want: ?[]const u8) !void {
            try std.testing.expectEqualDeep(want, try flb.store.get(key));
        }

        fn filter(_: *Event) !void {
            const store = flb.store;
            switch (at) {
                0 => {
                    const zeros: [1000]u8 = @splat(0);
                    try is("a", null);
                    try store.set("a", "1", .seconds(1));
                    try store.set("b", &zeros, .forever);
                    try is("b", &zeros);
                    try expect(!try store.cas("a", null, "2", .keep));
                    try expect(!try store.cas("a", "", "2", .keep));
                    try expect(try store.cas("a", "1", "2", .keep));
                    try expect(try store.cas("c", null, "3", .milliseconds(1500)));
                    try equal(2, try store.add("n", 2, .seconds(1)));
                    try store.set("short", "", .milliseconds(0));
                    try is("short", "");
                    try expect(store.delete("b"));
                    try expect(!store.delete("b"));
                    try std.testing.expectError(error.StoreFull, store.set(&@as([1025]u8, @splat('k')), "", .forever));
                },
                1 => {
                    try is("a", "2");
                    try equal(-3, try store.add("n", -5, .seconds(9)));
                    try is("short", null);
                },
                else => {
                    try is("a", null);
                    try is("n", null);
                    try is("c", "3");
                },
            }
            at += 1;
        }
    };
    var host: Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try host.start(.{ .filter = Step.filter });
    for ([_]i64{ 0, 999, 1 }) |after| {
        host.advance(after);
        try (try host.run(&.{.{}})).expectBodies(&.{"{}"});
    }
}

test "configurations are refused" {
    const own = struct {
        fn f() !void {
            return error.OfItsOwn;
        }

        fn require() !void {
            _ = try flb.config.require("x", "a number");
        }

        fn memory() !void {
            _ = flb.allocator.alloc(u8, 1 << 50) catch {};
        }
    };
    for ([_]*const fn () anyerror!void{ own.f, own.require, own.memory }, [_][]const u8{ "OfItsOwn", "config.x: set it to a number", "no memory for the configuration" }) |configure, want| {
        var host: Host = .init(std.testing.allocator, .{});
        defer host.deinit();
        try std.testing.expectError(error.Refused, host.start(.{ .filter = Errors.filter, .configure = configure }));
        try same(want, host.refusal);
    }
}

/// Whichever allocation fails: its event fails, or the batch, and what goes on is right. Events emit so many.
fn withoutMemory(gpa: std.mem.Allocator, emits: usize) !void {
    var host: Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try start(&host, struct {
        fn filter(e: *Event) !void {
            if (e.body.get("l") != null) _ = try flb.allocator.alloc(u8, 100_000);
            for (0..e.body.getAs(usize, "n") orelse 0) |_| try e.emit(.{ .a = 1 }, .{});
            try e.body.rewriteStrings(.{}, {}, anew);
            try e.body.set("a", 1);
            try e.split("l");
        }
    }.filter);
    const memory = @import("flb").testing.backing();
    const before = memory.*;
    memory.* = gpa;
    defer memory.* = before;
    defer host.free();
    var records: [40]testing.Record = @splat(.{ .body = try std.fmt.allocPrint(scratch, "{{\"t\":\"text\",\"n\":{d}}}", .{emits}) });
    records[1].body = "{\"l\":[1,2]}";
    const out = try host.run(&records);
    for (out.failures) |f| try same("no memory for the event", f.text);
    for (out.records) |r| try expect(std.mem.indexOf(u8, r.body, "\"a\":1") != null and std.mem.indexOf(u8, r.body, "text") == null);
    if (out.failures.len > 0) return error.OutOfMemory;
}

test "without memory an event fails" {
    var arena: std.heap.ArenaAllocator = .init(std.testing.allocator);
    defer arena.deinit();
    scratch = arena.allocator();
    for (0..8) |n| try std.testing.checkAllAllocationFailures(std.testing.allocator, withoutMemory, .{n});
}

fn routes(e: *Event) !void {
    const n = e.body.getAs(u32, "n") orelse return e.body.set("seen", true);
    var tag = "edited.2".*; // is gone when the filter has returned
    switch (n) {
        1 => {
            try e.route("audit");
            try e.metadata.set("m", 2);
            try e.setTime(.{ .sec = 7 });
        },
        2 => {
            try e.body.set("user", "***");
            try e.route(&tag);
            try e.route("copy");
            try e.body.set("n", 3); // too late
            @memset(&tag, 0);
        },
        3 => {
            try e.body.set("kept", true);
            try e.emit(.{ .new = 1 }, .{ .tag = "other" });
            try e.emit(.{ .new = 2 }, .{ .tag = "other", .metadata = try .from(.{ .own = true }), .time = .{ .sec = 5, .nsec = 6 } });
        },
        else => {
            try e.route("nowhere");
            return e.fail(2, "no", .{}); // what fails has gone nowhere
        },
    }
}

test "events go under other tags" {
    var host: Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try start(&host, routes);
    const neighbour: testing.Record = .{ .body = "{\"m\":[1]}" };
    const out = try host.run(&.{
        neighbour,
        .{ .body = "{\"n\":1,\"user\":\"bob\"}", .metadata = "{\"m\":1}" },
        .{ .body = "{\"n\":2,\"user\":\"bob\"}" },
        .{ .body = "{\"n\":3}" },
        .{ .body = "{\"n\":4}" },
        neighbour,
    });
    try out.expectFailure(4, "no");
    try equal(3, out.records.len);
    try same("{\"n\":3,\"kept\":true}", out.records[1].body);
    const want = [_]testing.Record{
        .{ .tag = "audit", .body = "{\"n\":1,\"user\":\"bob\"}", .metadata = "{\"m\":2}", .time = .{ .sec = 7 } },
        .{ .tag = "edited.2", .body = "{\"n\":2,\"user\":\"***\"}" },
        .{ .tag = "copy", .body = "{\"n\":2,\"user\":\"***\"}" },
        .{ .tag = "other", .body = "{\"new\":1}" },
        .{ .tag = "other", .body = "{\"new\":2}", .metadata = "{\"own\":true}", .time = .{ .sec = 5, .nsec = 6 } },
    };
    try std.testing.expectEqualDeep(@as([]const testing.Record, &want), out.routed);
}

var held: u32 = 0;
var fails = false;

fn hold(e: *Event) !void {
    held += 1;
    e.drop();
    if (flb.emitTo("counts", .{}, .{})) |_| return e.fail(1, "only a tick emits so", .{}) else |_| {}
}

fn handOver(last: bool) !void {
    defer held = 0;
    try flb.emitTo("counts", .{ .n = held, .last = last }, .{});
    try flb.emitTo("timed", .{ .n = held }, .{ .metadata = try .from(.{ .m = 1 }), .time = .{ .sec = 5 } });
    if (fails) return flb.refuse("the tick fails", .{});
}

test "ticks" {
    var host: Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try host.start(.{ .filter = hold, .tick = handOver });
    try (try host.run(&.{ .{}, .{} })).expectBodies(&.{});
    host.advance(60_000);
    const want = [_]testing.Record{
        .{ .tag = "counts", .body = "{\"n\":2,\"last\":false}", .time = .{ .sec = 1_700_000_060 } },
        .{ .tag = "timed", .body = "{\"n\":2}", .metadata = "{\"m\":1}", .time = .{ .sec = 5 } },
    };
    try std.testing.expectEqualDeep(@as([]const testing.Record, &want), try host.tick(false));
    try same("{\"n\":0,\"last\":true}", (try host.tick(true))[0].body);
    fails = true;
    try std.testing.expectError(error.Refused, host.tick(false));
    try same("the tick fails", host.refusal);
}
