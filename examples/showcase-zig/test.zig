//! Tests the filter without WebAssembly.

const std = @import("std");
const flb = @import("flb");
const showcase = @import("showcase.zig");
const Host = flb.testing.Host;

const filter: flb.Filter = .{ .filter = showcase.filter, .configure = showcase.configure, .group = showcase.group };
const options: flb.testing.Options = .{
    .config = &.{ .{ "environment", "production" }, .{ "count_ttl", "10" } },
    .tables = &.{.{ "geo", "{\"192.0.2.7\":{\"country\":{\"iso_code\":\"DE\"}}}" }},
};

test "debug is dropped" {
    var host: Host = .init(std.testing.allocator, options);
    defer host.deinit();
    try host.start(filter);
    const out = try host.run(&.{ .{ .body = "{\"level\":\"debug\"}" }, .{ .body = "{\"level\":\"info\"}" } });
    try out.expectBodies(&.{"{\"level\":\"info\",\"environment\":\"production\"}"});
}

test "addresses are masked everywhere" {
    var with = options;
    with.groups = &.{"{\"resource\":{\"owner\":\"ops@example.com\"}}"};
    var host: Host = .init(std.testing.allocator, with);
    defer host.deinit();
    try host.start(filter);
    const out = try host.run(&.{.{
        .body = "{\"a\":[{\"b\":\"to bob@example.com, carol@example.com.\"}],\"c\":\"a@.b a@b..c @ x@y@z\"}",
        .metadata = "{\"otlp\":{\"from\":\"bob@example.com\"}}",
        .group = 1,
    }});
    try out.expectBodies(&.{"{\"a\":[{\"b\":\"to ***, ***.\"}],\"c\":\"a@.b ***..c @ ***@z\",\"environment\":\"production\"}"});
    try std.testing.expectEqualStrings("{\"otlp\":{\"from\":\"***\"}}", out.records[0].metadata.?);
    try std.testing.expectEqualStrings("{\"resource\":{\"owner\":\"***\"}}", out.groups[0]);
    for ([_][]const u8{ "body", "metadata", "group" }, [_]f64{ 4, 1, 1 }) |place, n| {
        try std.testing.expectEqual(n, host.metric("masked_total", &.{place}));
    }
}

test "arrays are split, and countries looked up" {
    var host: Host = .init(std.testing.allocator, options);
    defer host.deinit();
    try host.start(filter);
    const out = try host.run(&.{.{ .body = "{\"items\":[\"a@b.c\",2],\"client_ip\":\"192.0.2.7\"}" }});
    try out.expectBodies(&.{
        "{\"items\":\"***\",\"client_ip\":\"192.0.2.7\",\"environment\":\"production\",\"country\":\"DE\"}",
        "{\"items\":2,\"client_ip\":\"192.0.2.7\",\"environment\":\"production\",\"country\":\"DE\"}",
    });
}

test "counts end with their time" {
    var host: Host = .init(std.testing.allocator, options);
    defer host.deinit();
    try host.start(filter);
    inline for (.{ 0, 9999, 1 }, .{ "1", "2", "1" }) |after, count| {
        host.advance(after);
        const out = try host.run(&.{.{ .body = "{\"user\":\"bob\"}" }});
        try out.expectBodies(&.{"{\"user\":\"bob\",\"environment\":\"production\",\"count\":" ++ count ++ "}"});
    }
}

test "a configuration is refused" {
    for ([_]flb.testing.Options{
        .{},
        .{ .config = options.config },
        .{ .config = &.{ .{ "environment", "x" }, .{ "count_ttl", "soon" } }, .tables = options.tables },
    }, [_][]const u8{
        "config.environment: set it to what is to be added to each record",
        "table.geo: set it to a .csv, .json or .mmdb file",
        "config.count_ttl is 'soon': set it to a whole number, 0 to 4294967295",
    }) |with, want| {
        var host: Host = .init(std.testing.allocator, with);
        defer host.deinit();
        try std.testing.expectError(error.Refused, host.start(filter));
        try std.testing.expectEqualStrings(want, host.refusal);
    }
}
