//! Reads logfmt.

const std = @import("std");

pub const Pair = struct {
    key: []const u8,
    value: []const u8,
    quoted: bool,
};

/// A text with more pairs is taken for something else.
const max_pairs = 256;

/// Returns the pairs of a text, of those with the same key the first one; or null if any of the text is not logfmt:
/// a sentence with a=b in it is not. Keys, and most values, stay in the text.
pub fn parse(gpa: std.mem.Allocator, text: []const u8) !?[]const Pair {
    var list: std.ArrayList(Pair) = .empty;
    var at: usize = 0;
    while (true) {
        while (at < text.len and text[at] <= ' ') at += 1;
        if (at == text.len) return if (list.items.len > 0) list.items else null;

        const from = at;
        while (at < text.len and isKey(text[at], at == from)) at += 1;
        if (at == from or at == text.len or text[at] != '=') return null;
        const key = text[from..at];
        at += 1;

        const quoted = at < text.len and text[at] == '"';
        const start = if (quoted) at + 1 else at;
        if (quoted) {
            at = start;
            while (at < text.len and text[at] != '"') at += if (text[at] == '\\') 2 else 1;
            if (at >= text.len or (at + 1 < text.len and text[at + 1] > ' ')) return null;
        } else while (at < text.len and text[at] > ' ') : (at += 1) {
            if (text[at] == '"') return null;
        }
        const value = text[start..at];
        if (quoted) at += 1;

        const is_known = for (list.items) |earlier| {
            if (std.mem.eql(u8, earlier.key, key)) break true;
        } else false;
        if (is_known) continue;
        if (list.items.len == max_pairs) return null;
        try list.append(gpa, .{ .key = key, .value = if (quoted) try resolve(gpa, value) else value, .quoted = quoted });
    }
}

/// What a key is made of; it begins with a letter or an underscore.
fn isKey(c: u8, first: bool) bool {
    return switch (c) {
        'a'...'z', 'A'...'Z', '_', 0x80...0xff => true,
        '0'...'9', '-', '.', '/', '@', '#' => !first,
        else => false,
    };
}

/// Says which number a value is. One with an exponent, as hashes may seem to have, or with more digits than survive
/// is none.
pub fn numberIn(value: []const u8) enum { none, whole, float } {
    const digits = if (std.mem.startsWith(u8, value, "-")) value[1..] else value;
    const whole, const fraction = std.mem.cutScalar(u8, digits, '.') orelse .{ digits, null };
    if (whole.len == 0 or (whole.len > 1 and whole[0] == '0')) return .none;
    for (whole) |c| if (!std.ascii.isDigit(c)) return .none;
    if (fraction) |f| {
        for (f) |c| if (!std.ascii.isDigit(c)) return .none;
        return if (f.len > 0 and whole.len + f.len <= 15) .float else .none;
    }
    return if (whole.len <= 18 and !std.mem.eql(u8, value, "-0")) .whole else .none;
}

/// Resolves the escapes of a quoted value, which are those of JSON. What is none stays.
fn resolve(gpa: std.mem.Allocator, value: []const u8) ![]const u8 {
    var at = std.mem.findScalar(u8, value, '\\') orelse return value;
    var to: std.ArrayList(u8) = try .initCapacity(gpa, value.len); // an escape is not shorter than what it stands for
    to.appendSliceAssumeCapacity(value[0..at]);
    while (at < value.len) {
        if (escapeIn(value[at..])) |escape| {
            var utf8: [4]u8 = undefined;
            to.appendSliceAssumeCapacity(utf8[0..try std.unicode.utf8Encode(escape.code, &utf8)]);
            at += escape.len;
        } else {
            to.appendAssumeCapacity(value[at]);
            at += 1;
        }
    }
    return to.items;
}

const Escape = struct { code: u21, len: usize };

/// Returns the escape at the beginning of a text, if there is one.
fn escapeIn(text: []const u8) ?Escape {
    if (text.len < 2 or text[0] != '\\') return null;
    if (text[1] == 'u') {
        const high = hex4(text[2..]) orelse return null;
        if (!std.unicode.utf16IsHighSurrogate(high)) {
            return .{ .code = if (std.unicode.utf16IsLowSurrogate(high)) 0xfffd else high, .len = 6 };
        }
        const low = (if (std.mem.startsWith(u8, text[6..], "\\u")) hex4(text[8..]) else null) orelse 0;
        const code = std.unicode.utf16DecodeSurrogatePair(&.{ high, low }) catch return .{ .code = 0xfffd, .len = 6 };
        return .{ .code = code, .len = 12 };
    }
    const i = std.mem.findScalar(u8, "\"\\/bfnrt", text[1]) orelse return null;
    return .{ .code = "\"\\/\x08\x0c\n\r\t"[i], .len = 2 };
}

fn hex4(text: []const u8) ?u16 {
    if (text.len < 4) return null;
    for (text[0..4]) |c| if (!std.ascii.isHex(c)) return null;
    return std.fmt.parseInt(u16, text[0..4], 16) catch null;
}
