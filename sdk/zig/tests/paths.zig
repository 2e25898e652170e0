//! What paths lead to in edits, by the table that the SDKs share.

const std = @import("std");
const flb = @import("flb");
const Value = flb.Value;

const Steps = @FieldType(@FieldType(flb.Accessor, "route"), "steps");

var edits: Value = undefined;
/// What `edited` has after them.
var edited: []const u8 = "";

fn path(v: Value) !flb.Accessor {
    if (v.asStr()) |text| return .{ .route = .{ .text = text } };
    var steps: std.ArrayList(std.meta.Child(Steps)) = .empty;
    var all = v.elements();
    while (all.next()) |step| {
        try steps.append(flb.allocator, if (step.asStr()) |key| .{ .key = key } else .{ .index = step.as(usize).? });
    }
    return .{ .route = .{ .steps = steps.items } };
}

fn mask(_: void, text: []const u8) !?[]const u8 {
    return if (std.mem.eql(u8, text, "secret")) "***" else null;
}

fn filter(event: *flb.Event) !void {
    const body = &event.body;
    var all = edits.elements();
    while (all.next()) |step| {
        const way = step.get(.{1}).?;
        const value = step.get(.{2});
        switch (std.meta.stringToEnum(enum { set, put, remove, split, add, replace, mask }, step.getStr(.{0}).?).?) {
            .set => try body.set(try path(way), value.?),
            .put => _ = try body.put(try path(way), value.?),
            .remove => try body.remove(try path(way)),
            .split => try event.split(try path(way)),
            .add => try body.add(way.asStr().?, value.?),
            .replace => try body.replace(value.?),
            .mask => try body.rewriteStrings(.{}, {}, mask),
        }
    }
    edited = try std.fmt.allocPrint(flb.allocator, "{f}", .{(try body.edited()).value()});
}

test "paths lead where the table says" {
    var arena: std.heap.ArenaAllocator = .init(std.testing.allocator);
    defer arena.deinit();
    const a = arena.allocator();
    var host: flb.testing.Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try host.start(.{ .filter = filter });
    const table = try std.Io.Dir.cwd().readFileAlloc(std.testing.io, "../paths.json", a, .limited(1 << 20));
    const cases = (Value{ .bytes = try flb.testing.parse(a, table) }).get("cases").?;
    try std.testing.expect(cases.count() > 80);
    var all = cases.elements();
    while (all.next()) |case| {
        errdefer std.debug.print("{f}\n", .{case});
        edits = case.get("edits").?;
        const out = try host.run(&.{.{ .body = try std.fmt.allocPrint(a, "{f}", .{case.get("doc").?}) }});
        const want = case.get("want") orelse {
            try std.testing.expectEqual(1, out.failures.len);
            continue;
        };
        if (want.kind() == .array) {
            var bodies: std.ArrayList([]const u8) = .empty;
            var events = want.elements();
            while (events.next()) |body| try bodies.append(a, try std.fmt.allocPrint(a, "{f}", .{body}));
            try out.expectBodies(bodies.items);
        } else {
            const body = try std.fmt.allocPrint(a, "{f}", .{want});
            try out.expectBodies(&.{body});
            try std.testing.expectEqualStrings(body, edited);
        }
    }
}
