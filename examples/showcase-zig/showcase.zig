//! Drops debug, masks e-mail addresses, adds an environment, a country and a count, and splits by an array.

const std = @import("std");
const flb = @import("flb");
pub const panic = flb.panic;

comptime { // stateful: what comes a second time would be counted again
    flb.exportFilter(.{ .filter = filter, .configure = configure, .group = group, .stateful = true });
}

var environment: []const u8 = "";
var geo: flb.Table = undefined;
var path: []const u8 = "";
var ttl: flb.Ttl = .forever;
var masked: flb.metrics.Counter = undefined;

pub fn configure() !void {
    environment = try flb.config.require("environment", "what is to be added to each record");
    geo = try .open("geo");
    path = try flb.config.get("geo_path") orelse "country.iso_code";
    ttl = .seconds(try flb.config.parse(u32, "count_ttl") orelse 60);
    masked = .init("masked_total", "E-mail addresses masked", "where");
}

pub fn group(g: *flb.Group) !void {
    for ([_]*flb.Part{ &g.body, &g.metadata }) |part| try part.rewriteStrings(.{ .having = '@' }, "group", mask);
}

pub fn filter(event: *flb.Event) !void {
    const body = &event.body;
    if (body.eql("level", "debug")) return event.drop();
    try body.rewriteStrings(.{ .having = '@' }, "body", mask);
    try event.metadata.rewriteStrings(.{ .having = '@' }, "metadata", mask);
    try body.set("environment", environment);
    try body.setOrRemove("country", try geo.get(body.getStr("client_ip") orelse "", path));
    try body.setOrRemove("count", if (body.getStr("user")) |user| flb.store.add(user, 1, ttl) catch null else null);
    try event.split("items");
}

fn mask(place: []const u8, text: []const u8) !?[]const u8 {
    var new: std.ArrayList(u8) = .empty;
    var done: usize = 0;
    var found: f64 = 0;
    var next: usize = 0;
    while (std.mem.findScalarPos(u8, text, next, '@')) |at| {
        next = at + 1;
        var from = at;
        while (from > done and (isDomain(text[from - 1]) or std.mem.findScalar(u8, "._%+", text[from - 1]) != null)) from -= 1;
        var end = next;
        while (end < text.len and (isDomain(text[end]) or (text[end] == '.' and end > next and end + 1 < text.len and isDomain(text[end + 1])))) end += 1;
        if (from == at or end == next) continue;
        try new.appendSlice(flb.allocator, text[done..from]);
        try new.appendSlice(flb.allocator, "***");
        done = end;
        next = end;
        found += 1;
    }
    if (found == 0) return null;
    masked.add(found, &.{place});
    try new.appendSlice(flb.allocator, text[done..]);
    return new.items;
}

fn isDomain(c: u8) bool {
    return std.ascii.isAlphanumeric(c) or c == '-' or c >= 0x80;
}
