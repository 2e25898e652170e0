const flb = @import("flb");

pub const panic = flb.panic; // its text is in the log

comptime {
    flb.exportFilter(.{ .filter = filter });
}

fn filter(event: *flb.Event) !void {
    if (event.body.eql("level", "error")) return event.route("errors");
}
