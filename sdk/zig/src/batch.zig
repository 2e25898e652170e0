//! The batch ABI, as docs/abi.md has it.

const std = @import("std");
const memory = @import("memory.zig");
const values = @import("value.zig");
const events = @import("event.zig");
const Event = events.Event;
const Group = events.Group;

/// A filter, for `exportFilter`. Its functions may return any error.
pub const Filter = struct {
    /// Is called for each event. An error is that of this event alone.
    filter: *const fn (*Event) anyerror!void,
    /// Is called before the first event. An error keeps Fluent Bit from starting, with its text: see `refuse`.
    configure: ?*const fn () anyerror!void = null,
    /// Is called for each group that can be edited in a batch, before the events of the batch. An error leaves
    /// the group as it is, and fails its events in the batch.
    group: ?*const fn (*Group) anyerror!void = null,
    /// Is called every `tick_interval` of the filter, also when no events come. By `emitTo` it hands over what is
    /// held: all of it if this is the last call of the instance. An error is logged, and nothing that the call
    /// has emitted comes out.
    tick: ?*const fn (last: bool) anyerror!void = null,
    /// Says that an event must not go through the filter twice, for it counts or stores: `retry_batch` does
    /// not repeat events then.
    stateful: bool = false,
};

pub const Input = extern struct {
    size: u32 = @sizeOf(Input),
    zero: u32 = 0,
    tag: u32,
    tag_len: u32,
    events: u32,
    event_count: u32,
    event_size: u32,
    groups: u32,
    group_count: u32,
    group_size: u32,
    reserved: [6]u32 = @splat(0),
};

pub const InputEvent = extern struct {
    sec: i64 align(1),
    nsec: u32,
    group: u32,
    metadata: u32 = 0,
    metadata_len: u32 = 0,
    body: u32 = 0,
    body_len: u32 = 0,
};

pub const InputGroup = extern struct {
    changeable: u32 = 1,
    zero: u32 = 0,
    metadata: u32 = 0,
    metadata_len: u32 = 0,
    body: u32 = 0,
    body_len: u32 = 0,
};

pub const OpKind = enum(u8) { drop = 1, failed, time, replace, set, add, remove, put, emit, emit_to };

/// Where bytes stand. Natively the address is wider.
pub const Bytes = extern struct {
    at: [*]const u8 = "",
    len: u32 = 0,

    pub fn of(bytes: []const u8) Bytes {
        return .{ .at = if (bytes.len == 0) "" else bytes.ptr, .len = @intCast(bytes.len) };
    }

    pub fn slice(bytes: Bytes) []const u8 {
        return bytes.at[0..bytes.len];
    }
};

/// An operation.
pub const Op = extern struct {
    of: u32 = 0,
    kind: OpKind,
    part: u8 = 0,
    zero: u16 = 0,
    a: u32 = 0,
    b: u32 = 0,
    bytes: Bytes = .{},

    pub fn slice(op: Op) []const u8 {
        return op.bytes.slice();
    }
};

pub const Emitted = extern struct { sec: i64, nsec: u32, group: u32, metadata: Bytes, body: Bytes, tag: Bytes };

pub const Reply = extern struct {
    events: [*]const Op = &.{},
    event_count: u32 = 0,
    groups: [*]const Op = &.{},
    group_count: u32 = 0,
};

comptime {
    std.debug.assert(!memory.is_wasm or (@sizeOf(Op) == 24 and @sizeOf(Emitted) == 40 and @sizeOf(Reply) == 16));
    std.debug.assert(@sizeOf(Input) == 64 and @sizeOf(InputEvent) == 32 and @sizeOf(InputGroup) == 24);
}

// A module has one thread, and none of its functions is called while another one runs.
pub var event: Event = .{};
pub var group: Group = .{};
/// Operations on events, and on groups.
pub var ops: std.ArrayList(Op) = .empty;
pub var group_ops: std.ArrayList(Op) = .empty;
/// The list that is written to, the event or group that it is about, and how many are to come at most: each of
/// them has room for an operation, to fail by.
var list = &ops;
pub var current: u32 = 0;
var to_come: usize = 0;
var reply: Reply = .{};
var input: []align(8) u8 = &.{};

/// The text of the last `fail`.
var failure: struct { code: u32 = 1, len: usize = 0, text: [1024:0]u8 = undefined } = .{};

pub fn fail(code: u32, comptime text: []const u8, args: anytype) error{Failed} {
    var to: std.Io.Writer = .fixed(&failure.text);
    to.print(text, args) catch {}; // the rest has no room
    failure.code = code;
    failure.len = to.buffered().len;
    return error.Failed;
}

fn textOf(err: anyerror) []const u8 {
    return switch (err) {
        error.Failed => if (failure.len > 0) failure.text[0..failure.len] else @errorName(err),
        error.OutOfMemory => "no memory for the event",
        error.NoMetadata => "the event is of a form that has no metadata",
        error.NotAMap => "a part, and what is emitted, is a map",
        error.InTheWay => "set: a value that is not a map is in the way",
        error.TooDeep => "the part nests too deep",
        error.BadTime => "the time is not one that an event can have",
        error.StoreFull => "there is no room in the store: see store_limit",
        else => @errorName(err),
    };
}

/// Adds to a list that is used again.
pub fn push(to: *std.ArrayList(Op), op: Op, bytes: []const u8) values.OutOfMemory!void {
    errdefer memory.refused = true;
    const made = try to.addOne(memory.backing);
    made.* = op;
    made.bytes = .of(bytes);
}

/// Says what is to become of the current event or group.
pub fn say(op: Op, bytes: []const u8) values.OutOfMemory!void {
    errdefer memory.refused = true;
    try list.ensureUnusedCapacity(memory.backing, 1 + to_come);
    try push(list, op, bytes);
}

/// Begins a batch, or gives its lists back that a large one has left.
fn begin(to: *std.ArrayList(Op), n: usize) values.OutOfMemory!void {
    if (to.capacity > 4 * @max(n, to.items.len) + 4096) to.clearAndFree(memory.backing);
    to.clearRetainingCapacity();
    try to.ensureTotalCapacity(memory.backing, n);
}

/// Calls a function for an event or group, and says in operations what becomes of it. If it has failed, all that
/// it has taken and said is undone. Returns whether it has not.
fn call(function: anytype, to: anytype, of: u32) bool {
    const before = memory.mark();
    const first = list.items.len;
    current = of;
    to_come -= 1;
    memory.refused = false;
    failure.len = 0;
    var result: anyerror!void = function(to);
    if (memory.refused) result = error.OutOfMemory;
    if (result) {
        result = to.finish(of, list.items.len > first);
    } else |_| {}
    const err = if (result) return true else |err| err;
    const text = textOf(err);
    list.shrinkRetainingCapacity(first);
    memory.restore(before);
    // A text of one's own is not in memory that is free now.
    const kept: []const u8 = memory.allocator.dupe(u8, text[0..@min(text.len, 1024)]) catch "no memory for the event";
    const code = if (err == error.Failed and failure.len > 0) failure.code else 1;
    list.appendAssumeCapacity(.{ .of = of, .kind = .failed, .a = code, .bytes = .of(kept) });
    return false;
}

/// Runs a filter on a batch, whose bytes the host vouches for. Null: all events are kept as they are, or memory
/// was refused.
pub fn run(filter: Filter, bytes: []const u8) ?*const Reply {
    return tryRun(filter, bytes) catch {
        memory.refused = true;
        return null;
    };
}

fn tryRun(filter: Filter, bytes: []const u8) values.OutOfMemory!?*const Reply {
    const in = at(Input, bytes, 0);
    memory.begin();
    for ([_]*std.ArrayList(Op){ &event.body.puts, &event.metadata.puts, &group.body.puts, &group.metadata.puts }) |puts| try begin(puts, 0);
    try begin(&ops, in.event_count);
    try begin(&group_ops, in.group_count);
    const bad = try memory.allocator.alloc(bool, in.group_count);
    list = &group_ops;
    to_come = in.group_count;
    for (bad, 0..) |*is_bad, i| {
        const g = at(InputGroup, bytes, in.groups + i * in.group_size);
        is_bad.* = false;
        if (filter.group != null and g.changeable & 1 != 0) {
            group.body.load(bytes[g.body..][0..g.body_len]);
            group.metadata.load(bytes[g.metadata..][0..g.metadata_len]);
            is_bad.* = !call(filter.group.?, &group, @intCast(i));
        }
    }
    list = &ops;
    to_come = in.event_count;
    event.tag = bytes[in.tag..][0..in.tag_len];
    for (0..in.event_count) |i| {
        const e = at(InputEvent, bytes, in.events + i * in.event_size);
        if (e.group > 0 and bad[e.group - 1]) continue; // the host fails it
        event.body.load(bytes[e.body..][0..e.body_len]);
        event.metadata.load(bytes[e.metadata..][0..e.metadata_len]);
        event.came_at = .{ .sec = e.sec, .nsec = e.nsec };
        event.new_time = null;
        event.dropped = false;
        const of: ?*align(1) const InputGroup = if (e.group > 0) at(InputGroup, bytes, in.groups + (e.group - 1) * in.group_size) else null;
        event.group = if (of) |g| .{ .bytes = bytes[g.body..][0..g.body_len] } else null;
        _ = call(filter.filter, &event, @intCast(i));
    }
    if (ops.items.len + group_ops.items.len == 0) return null;
    reply = .{ .events = ops.items.ptr, .event_count = @intCast(ops.items.len), .groups = group_ops.items.ptr, .group_count = @intCast(group_ops.items.len) };
    return &reply;
}

fn at(comptime T: type, bytes: []const u8, offset: usize) *align(1) const T {
    return @ptrCast(bytes[offset..][0..@sizeOf(T)]);
}

/// Configures a filter. Returns why it is refused, with a NUL behind it.
pub fn configure(filter: Filter) ?[:0]const u8 {
    defer memory.configured = memory.mark();
    return refusal("configuration", filter.configure orelse return null, .{});
}

/// Has a tick come. Returns why it has failed. What it has taken is free again.
pub fn tick(filter: Filter, last: bool) ?[:0]const u8 {
    const before = memory.mark();
    defer memory.restore(before);
    return refusal("tick", filter.tick.?, .{last});
}

fn refusal(comptime of: []const u8, function: anytype, args: anytype) ?[:0]const u8 {
    failure.len = 0;
    memory.refused = false;
    var result: anyerror!void = @call(.auto, function, args);
    if (memory.refused) result = error.OutOfMemory;
    const err = if (result) return null else |err| err;
    if (err == error.OutOfMemory) fail(1, "no memory for the " ++ of, .{}) catch {};
    if (failure.len == 0) fail(1, "{s}", .{textOf(err)}) catch {};
    failure.text[failure.len] = 0;
    return failure.text[0..failure.len :0];
}

/// What the module says of itself, in its section flb_module.
const about = struct {
    comptime {
        asm (".section .custom_section.flb_module,\"\",@\n" ++
                ".ascii \"abi=flb_batch_1\\nlanguage=Zig\\nsdk=flb\\nsdk_version=0.1.0\\n\"\n");
    }
};

/// Makes a module of a filter, in its root file: `comptime { flb.exportFilter(.{ .filter = filter }); }`. The
/// function that Fluent Bit's configuration names is `filter`.
pub fn exportFilter(comptime f: Filter) void {
    if (!memory.is_wasm) return; // in tests
    _ = about;
    const exports = struct {
        fn marker() callconv(.c) void {}

        fn configureIt() callconv(.c) ?[*:0]const u8 {
            return if (configure(f)) |text| text.ptr else null;
        }

        fn buffer(size: usize) callconv(.c) ?[*]u8 {
            if (input.len > 0) memory.backing.free(input);
            input = &.{};
            input = memory.backing.alignedAlloc(u8, .@"8", @max(size, 1)) catch return null;
            return input.ptr;
        }

        fn tickIt(flags: u32) callconv(.c) ?[*:0]const u8 {
            return if (tick(f, flags & 1 != 0)) |text| text.ptr else null;
        }

        fn filter(bytes: [*]const u8, size: usize) callconv(.c) ?*const Reply {
            return run(f, bytes[0..size]);
        }
    };
    @export(&exports.marker, .{ .name = "flb_batch_1" });
    @export(&exports.configureIt, .{ .name = "flb_configure" });
    @export(&exports.buffer, .{ .name = "flb_buffer" });
    @export(&exports.filter, .{ .name = "filter" });
    if (f.tick != null) @export(&exports.tickIt, .{ .name = "flb_tick" });
    if (f.stateful) @export(&exports.marker, .{ .name = "flb_stateful" });
}
