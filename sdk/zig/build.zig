const std = @import("std");

/// Makes the module `flb`; `zig build test` tests it, from this directory.
pub fn build(b: *std.Build) void {
    const flb = b.addModule("flb", .{ .root_source_file = b.path("src/flb.zig") });
    const tests = b.step("test", "Test the SDK");
    for ([_][]const u8{ "tests/filter.zig", "tests/paths.zig" }) |path| addTest(b, tests, flb, b.path(path));
}

pub const Options = struct {
    /// Of the file: NAME.wasm.
    name: []const u8,
    /// The file that exports the filter.
    root_source_file: std.Build.LazyPath,
    /// What `zig build test` runs, natively.
    tests: ?std.Build.LazyPath = null,
};

/// Has `zig build` build a filter, for a build.zig that has this package as the dependency `flb`. The filter keeps
/// Zig's checks; the SDK, whose input the host vouches for, does without.
pub fn addFilter(b: *std.Build, options: Options) *std.Build.Step.Compile {
    const package = b.dependency("flb", .{});
    const target = b.resolveTargetQuery(.{ .cpu_arch = .wasm32, .os_tag = .freestanding });
    const flb = b.createModule(.{
        .root_source_file = package.path("src/flb.zig"),
        .target = target,
        .optimize = .ReleaseFast,
    });
    const filter = b.addExecutable(.{ .name = options.name, .root_module = b.createModule(.{
        .root_source_file = options.root_source_file,
        .target = target,
        .optimize = .ReleaseSafe,
        .strip = true,
        .imports = &.{.{ .name = "flb", .module = flb }},
    }) });
    filter.entry = .disabled;
    filter.rdynamic = true;
    filter.stack_size = 64 << 10;
    b.installArtifact(filter);
    const step = b.step("test", "Test the filter");
    if (options.tests) |path| addTest(b, step, package.module("flb"), path);
    return filter;
}

fn addTest(b: *std.Build, step: *std.Build.Step, flb: *std.Build.Module, path: std.Build.LazyPath) void {
    const tests = b.addTest(.{ .root_module = b.createModule(.{
        .root_source_file = path,
        .target = b.graph.host,
        .imports = &.{.{ .name = "flb", .module = flb }},
    }) });
    step.dependOn(&b.addRunArtifact(tests).step);
}
