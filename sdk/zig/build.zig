const std = @import("std");

pub fn build(b: *std.Build) void {
    _ = b.addModule("flb", .{ .root_source_file = b.path("src/flb.zig") });
}
