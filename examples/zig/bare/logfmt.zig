//! logfmt: makes keys of a record of what its message says in logfmt, as in
//! level=warn msg="disk full" took=3ms.
//!
//! The record's bytes are copied, not parsed and printed again: the new keys go
//! behind its last value. A record that nothing is added to comes back as it came.

const std = @import("std");

/// Grows memory by itself, so that the host's pages never overlap with its own.
const allocator = std.heap.wasm_allocator;

/// The keys whose value may be logfmt; the first one that is counts.
const sources = [_][]const u8{ "message", "log" };

/// A text with more pairs is taken for something else.
const max_pairs = 256;

const Pair = struct {
    key: []const u8,
    value: []const u8,
    quoted: bool,
    hash: u32,
    known: bool = false, // to the record, or from an earlier pair
};

var pairs: [max_pairs]Pair = undefined;
/// The message without its JSON escapes; keys and values point into it.
var text: Buffer = .{};
/// The reply, until the next call.
var reply: Buffer = .{};
/// A key of the record without its escapes.
var name: Buffer = .{};

export fn logfmt(_: [*]const u8, _: u32, _: u32, _: u32, record: [*]const u8, record_len: u32) [*]const u8 {
    // Out of memory: better a record without the keys than none.
    return (extend(record[0..record_len]) catch null) orelse record;
}

fn extend(record: []const u8) !?[*]const u8 {
    var found: [sources.len]?[]const u8 = .{ null, null };
    var end: usize = 0;
    var members: Members = .{ .json = record };
    while (members.next()) |member| {
        for (sources, 0..) |source, i| {
            if (found[i] == null and std.mem.eql(u8, member.name, source)) found[i] = member.value;
        }
        end = members.at;
    }
    if (!members.complete) return null;

    const list = for (found) |value| {
        const json = value orelse continue;
        if (json[0] != '"') continue;
        text.len = 0;
        try unescape(&text, json[1 .. json.len - 1]);
        if (parse(text.bytes[0..text.len])) |list| break list;
    } else return null;

    members = .{ .json = record };
    while (members.next()) |member| {
        name.len = 0;
        try unescape(&name, member.name);
        mark(list, name.bytes[0..name.len]);
    }

    reply.len = 0;
    for (list) |pair| {
        if (pair.known) continue;
        if (reply.len == 0) try reply.add(record[0..end]);
        try reply.add(",\"");
        try escape(&reply, pair.key);
        try reply.add("\":");
        if (!pair.quoted and isPlain(pair.value)) {
            try reply.add(pair.value);
        } else {
            try reply.add("\"");
            try escape(&reply, pair.value);
            try reply.add("\"");
        }
    }
    if (reply.len == 0) return null;
    try reply.add("}\x00");
    return reply.bytes.ptr;
}

/// The pairs of a text, or null if any of it is no logfmt: a sentence with a=b in
/// it is none. Escapes in quoted values are resolved in place.
fn parse(line: []u8) ?[]Pair {
    var n: usize = 0;
    var at: usize = 0;
    while (true) {
        while (at < line.len and line[at] <= ' ') at += 1;
        if (at == line.len) return if (n > 0) pairs[0..n] else null;
        if (n == max_pairs) return null;

        const from = at;
        while (at < line.len and isKey(line[at], at == from)) at += 1;
        if (at == from or at == line.len or line[at] != '=') return null;
        const key = line[from..at];
        at += 1;

        const quoted = at < line.len and line[at] == '"';
        var value: []const u8 = undefined;
        if (quoted) {
            at += 1;
            const start = at;
            while (at < line.len and line[at] != '"') at += if (line[at] == '\\') 2 else 1;
            if (at >= line.len) return null;
            value = resolve(line[start..at]);
            at += 1;
            if (at < line.len and line[at] > ' ') return null;
        } else {
            const start = at;
            while (at < line.len and line[at] > ' ') : (at += 1) {
                if (line[at] == '"') return null;
            }
            value = line[start..at];
        }
        const pair: Pair = .{ .key = key, .value = value, .quoted = quoted, .hash = hash(key) };
        // Of pairs with the same key, the first counts.
        const before = for (pairs[0..n]) |earlier| {
            if (earlier.hash == pair.hash and std.mem.eql(u8, earlier.key, key)) break true;
        } else false;
        if (!before) {
            pairs[n] = pair;
            n += 1;
        }
    }
}

fn mark(list: []Pair, key: []const u8) void {
    const h = hash(key);
    for (list) |*pair| {
        if (pair.hash == h and std.mem.eql(u8, pair.key, key)) pair.known = true;
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

/// Whether a value may stand in JSON as it is: true, false, and numbers that
/// neither have an exponent, as hashes may seem to have, nor more digits than
/// survive.
fn isPlain(value: []const u8) bool {
    if (std.mem.eql(u8, value, "true") or std.mem.eql(u8, value, "false")) return true;
    const digits = if (std.mem.startsWith(u8, value, "-")) value[1..] else value;
    const point = std.mem.indexOfScalar(u8, digits, '.');
    const whole = digits[0 .. point orelse digits.len];
    if (whole.len == 0 or (whole.len > 1 and whole[0] == '0')) return false;
    for (whole) |c| if (c < '0' or c > '9') return false;
    if (point) |p| {
        const fraction = digits[p + 1 ..];
        for (fraction) |c| if (c < '0' or c > '9') return false;
        return fraction.len > 0 and whole.len + fraction.len <= 15;
    }
    return whole.len <= 18 and !std.mem.eql(u8, value, "-0");
}

fn hash(key: []const u8) u32 {
    var h: u32 = 2166136261;
    for (key) |c| h = (h ^ c) *% 16777619;
    return h;
}

/// Resolves the escapes of a quoted value, in place. What is none stays.
fn resolve(value: []u8) []const u8 {
    var to: usize = 0;
    var at: usize = 0;
    while (at < value.len) {
        const unit = if (value[at] == '\\') escaped(value[at..]) else null;
        if (unit) |u| {
            to += put(value[to..], u.code);
            at += u.len;
        } else {
            value[to] = value[at];
            to += 1;
            at += 1;
        }
    }
    return value[0..to];
}

/// Appends what a JSON string stands for, without its quotes.
fn unescape(to: *Buffer, string: []const u8) !void {
    var at: usize = 0;
    while (std.mem.indexOfScalarPos(u8, string, at, '\\')) |backslash| {
        try to.add(string[at..backslash]);
        at = backslash;
        if (escaped(string[at..])) |unit| {
            var utf8: [4]u8 = undefined;
            try to.add(utf8[0..put(&utf8, unit.code)]);
            at += unit.len;
        } else {
            try to.add(string[at .. at + 1]);
            at += 1;
        }
    }
    try to.add(string[at..]);
}

const Unit = struct { code: u21, len: usize };

/// The escape at the beginning of a string, or null if it is none. logfmt is
/// written with the escapes of JSON.
fn escaped(string: []const u8) ?Unit {
    if (string.len < 2) return null;
    const code: u21 = switch (string[1]) {
        '"', '\\', '/' => |c| c,
        'b' => 8,
        'f' => 12,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            const high = hex4(string[2..]) orelse return null;
            if (high & 0xf800 != 0xd800) return .{ .code = high, .len = 6 };
            const pair = high < 0xdc00 and string.len >= 12 and string[6] == '\\' and string[7] == 'u';
            const low = (if (pair) hex4(string[8..]) else null) orelse 0;
            if (low & 0xfc00 != 0xdc00) return .{ .code = 0xfffd, .len = 6 };
            return .{ .code = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff), .len = 12 };
        },
        else => return null,
    };
    return .{ .code = code, .len = 2 };
}

fn hex4(string: []const u8) ?u21 {
    if (string.len < 4) return null;
    var code: u21 = 0;
    for (string[0..4]) |c| {
        const digit: u21 = switch (c) {
            '0'...'9' => c - '0',
            'a'...'f' => c - 'a' + 10,
            'A'...'F' => c - 'A' + 10,
            else => return null,
        };
        code = code << 4 | digit;
    }
    return code;
}

/// Writes a character that is no surrogate in UTF-8, which is never longer than
/// its escape.
fn put(to: []u8, code: u21) usize {
    return std.unicode.utf8Encode(code, to) catch unreachable;
}

/// Appends a text as the inside of a JSON string.
fn escape(to: *Buffer, string: []const u8) !void {
    var from: usize = 0;
    for (string, 0..) |c, i| {
        if (c >= ' ' and c != '"' and c != '\\') continue;
        try to.add(string[from..i]);
        from = i + 1;
        switch (c) {
            '"' => try to.add("\\\""),
            '\\' => try to.add("\\\\"),
            '\n' => try to.add("\\n"),
            '\r' => try to.add("\\r"),
            '\t' => try to.add("\\t"),
            else => {
                const digits = "0123456789abcdef";
                try to.add(&.{ '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] });
            },
        }
    }
    try to.add(string[from..]);
}

/// Bytes that grow, and keep their memory from call to call.
const Buffer = struct {
    bytes: []u8 = &.{},
    len: usize = 0,

    fn add(buffer: *Buffer, more: []const u8) !void {
        const len = buffer.len + more.len;
        if (len > buffer.bytes.len) {
            buffer.bytes = try allocator.realloc(buffer.bytes, @max(2 * len, 1024));
        }
        @memcpy(buffer.bytes[buffer.len..len], more);
        buffer.len = len;
    }
};

const Member = struct { name: []const u8, value: []const u8 };

/// The members of a JSON object, as they are written. It counts brackets and does
/// not recurse, so that the depth of a record does not matter.
const Members = struct {
    json: []const u8,
    at: usize = 0,
    /// The object has been read up to its end.
    complete: bool = false,

    fn next(m: *Members) ?Member {
        const first = m.at == 0;
        const separator = m.token() orelse return null;
        if (separator != @as(u8, if (first) '{' else ',')) {
            m.complete = separator == '}' and !first;
            return null;
        }
        m.skipSpace();
        const name_from = m.at;
        if (!m.skipString()) {
            m.complete = first and m.token() == '}';
            return null;
        }
        const name_to = m.at;
        if (m.token() != ':') return null;
        m.skipSpace();
        const value_from = m.at;
        if (!m.skipValue()) return null;
        return .{ .name = m.json[name_from + 1 .. name_to - 1], .value = m.json[value_from..m.at] };
    }

    fn peek(m: *const Members) ?u8 {
        return if (m.at < m.json.len) m.json[m.at] else null;
    }

    fn skipSpace(m: *Members) void {
        while (m.peek()) |c| : (m.at += 1) {
            if (c != ' ' and c != '\t' and c != '\n' and c != '\r') return;
        }
    }

    fn token(m: *Members) ?u8 {
        m.skipSpace();
        const c = m.peek() orelse return null;
        m.at += 1;
        return c;
    }

    fn skipString(m: *Members) bool {
        if (m.peek() != '"') return false;
        m.at += 1;
        while (m.peek()) |c| {
            m.at += if (c == '\\') 2 else 1;
            if (c == '"') return true;
        }
        return false;
    }

    fn skipValue(m: *Members) bool {
        var depth: usize = 0;
        while (m.peek()) |c| {
            switch (c) {
                '"' => if (!m.skipString()) return false,
                '{', '[' => {
                    depth += 1;
                    m.at += 1;
                },
                '}', ']' => {
                    if (depth == 0) return false;
                    depth -= 1;
                    m.at += 1;
                },
                ',', ':', ' ', '\t', '\n', '\r' => {
                    if (depth == 0) return false;
                    m.at += 1;
                },
                else => {
                    const from = m.at;
                    while (m.peek()) |w| : (m.at += 1) {
                        if (!std.ascii.isAlphanumeric(w) and w != '+' and w != '-' and w != '.') break;
                    }
                    if (m.at == from) return false;
                },
            }
            if (depth == 0) return true;
        }
        return false;
    }
};
