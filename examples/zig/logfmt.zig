//! Makes keys of a record of what its message says in logfmt, as in level=warn msg="disk full" took=3ms.

const std = @import("std");
const flb = @import("flb");
const pairs = @import("pairs.zig");

pub const panic = flb.panic;

comptime {
    flb.exportFilter(.{ .filter = filter });
}

pub fn filter(event: *flb.Event) !void {
    const body = &event.body;
    for ([_][]const u8{ "message", "log" }) |source| { // the first one that is logfmt counts
        const text = body.getStr(.{source}) orelse continue;
        for (try pairs.parse(flb.allocator, text) orelse continue) |pair| {
            if (body.get(.{pair.key}) == null) try add(body, pair);
        }
        return;
    }
}

fn add(body: *flb.Part, pair: pairs.Pair) !void {
    const key, const value = .{ pair.key, pair.value };
    if (pair.quoted) return body.add(key, value);
    if (std.mem.eql(u8, value, "true") or std.mem.eql(u8, value, "false")) return body.add(key, value.len == 4);
    switch (pairs.numberIn(value)) {
        .whole => try body.add(key, try std.fmt.parseInt(i64, value, 10)),
        .float => try body.add(key, try std.fmt.parseFloat(f64, value)),
        .none => try body.add(key, value),
    }
}
