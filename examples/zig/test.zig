//! Tests the filter without WebAssembly.

const std = @import("std");
const flb = @import("flb");
const logfmt = @import("logfmt.zig");

/// Checks what becomes of an event with a body.
fn expect(body: []const u8, want: []const u8) !void {
    var host: flb.testing.Host = .init(std.testing.allocator, .{});
    defer host.deinit();
    try host.start(.{ .filter = logfmt.filter });
    const out = try host.run(&.{.{ .body = body }});
    try out.expectBodies(&.{want});
}

test "pairs become keys, and what looks like one a number or bool" {
    try expect(
        \\{"message":"a=1 b=-0.5 c=true d=007 e=12e4 f= g=\"17\" h=-0 i=1234567890123456789 j=x=y"}
    ,
        \\{"message":"a=1 b=-0.5 c=true d=007 e=12e4 f= g=\"17\" h=-0 i=1234567890123456789 j=x=y","a":1,"b":-0.5,"c":true,"d":"007","e":"12e4","f":"","g":"17","h":"-0","i":"1234567890123456789","j":"x=y"}
    );
}

test "escapes are those of JSON" {
    try expect(
        \\{"log":"a=\"\\t\\\"\\u00e9\\ud83d\\ude00\\ud83d\\x\""}
    ,
        \\{"log":"a=\"\\t\\\"\\u00e9\\ud83d\\ude00\\ud83d\\x\"","a":"\t\"é😀�\\x"}
    );
}

test "keys that are there stay, and of two the first counts" {
    try expect(
        \\{"message":"a=1 a=2 b.c=3 b=4","b":{"c":5}}
    ,
        \\{"message":"a=1 a=2 b.c=3 b=4","b":{"c":5},"a":1,"b.c":3}
    );
}

test "what is not logfmt as a whole adds nothing" {
    inline for (.{
        \\{"message":"could not set a=b","log":7}
        ,
        \\{"message":"a=\"b","log":"a=b\"c"}
        ,
        \\{"message":"a=\"b\"c"}
        ,
        \\{"message":"","log":{"a":"b=c"}}
    }) |body| try expect(body, body);
    var buffer: [4096]u8 = undefined;
    var many: std.Io.Writer = .fixed(&buffer);
    try many.writeAll("{\"message\":\"");
    for (0..257) |i| try many.print("k{d}= ", .{i});
    try many.writeAll("\"}");
    try expect(many.buffered(), many.buffered());
}
