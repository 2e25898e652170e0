const flb = @import("flb");
var n: u32 = 0;
fn filter(e: *flb.Event) anyerror!void {
    n += 1;
    const what = e.body.getStr("do") orelse return e.emit(.{ .own = 1 }, .{});
    const eql = @import("std").mem.eql;
    if (eql(u8, what, "route")) return e.route("t.route");
    if (eql(u8, what, "edited")) {
        try e.body.set("n", 2);
        return e.route("t.edited");
    }
    if (eql(u8, what, "emit")) return e.emit(.{ .new = 1 }, .{ .tag = "t.emit" });
    return e.route("elsewhere");
}
fn tick(last: bool) anyerror!void {
    try flb.emitTo("t.tick", .{ .n = n, .last = last }, .{ .metadata = try .from(.{ .m = 1 }), .time = .{ .sec = 5 } });
    if (!last) try flb.emitTo("elsewhere", .{}, .{});
}
comptime {
    flb.exportFilter(.{ .filter = filter, .tick = tick });
}
