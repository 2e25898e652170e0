//! Memory that is given back as a whole, when the next batch begins; what is taken while the filter is
//! configured stays.

const std = @import("std");
const builtin = @import("builtin");
const Alignment = std.mem.Alignment;

pub const is_wasm = builtin.target.cpu.arch.isWasm();

/// Where blocks, and lists that are used again, come from.
pub var backing: std.mem.Allocator = if (is_wasm) std.heap.wasm_allocator else std.heap.page_allocator;

/// Memory until the batch ends, or as long as the module if it is taken while the filter is configured.
/// There is no need to free it.
pub const allocator: std.mem.Allocator = .{ .ptr = undefined, .vtable = &.{
    .alloc = alloc,
    .resize = resize,
    .remap = remap,
    .free = free,
} };

/// An allocation has failed: the event fails, whatever its filter returns.
pub var refused = false;

const Block = struct {
    next: ?*Block,
    len: usize, // with this header

    fn end(block: *Block) usize {
        return @intFromPtr(block) + block.len;
    }
};

/// A place in the blocks: what is behind it is free.
pub const Mark = struct { block: ?*Block = null, at: usize = 0, end: usize = 0 };

var blocks: ?*Block = null;
var place: Mark = .{};
/// What is before it stays.
pub var configured: Mark = .{};

pub fn mark() Mark {
    return place;
}

pub fn restore(to: Mark) void {
    place = to;
    if (is_wasm) return;
    // Whoever still reads it natively, reads nonsense.
    var block = to.block orelse blocks;
    while (block) |b| : (block = b.next) {
        const from = if (b == to.block) to.at else @intFromPtr(b) + @sizeOf(Block);
        @memset(@as([*]u8, @ptrFromInt(from))[0 .. b.end() - from], 0xc1);
    }
}

/// Begins a batch. Blocks that the last one has not needed are given back.
pub fn begin() void {
    freeFrom(if (place.block) |block| &block.next else &blocks);
    restore(configured);
    refused = false;
}

fn freeFrom(link: *?*Block) void {
    var block = link.*;
    link.* = null;
    while (block) |b| {
        block = b.next;
        backing.rawFree(@as([*]u8, @ptrCast(b))[0..b.len], .of(Block), 0);
    }
}

fn alloc(_: *anyopaque, len: usize, alignment: Alignment, _: usize) ?[*]u8 {
    while (true) {
        const at = alignment.forward(place.at);
        if (place.block != null and len <= place.end -| at) {
            place.at = at + len;
            return @ptrFromInt(at);
        }
        const block = enter(len +| alignment.toByteUnits()) orelse {
            refused = true;
            return null;
        };
        place = .{ .block = block, .at = @intFromPtr(block) + @sizeOf(Block), .end = block.end() };
    }
}

/// Returns the next block that has room for so many bytes, or a new one.
fn enter(room: usize) ?*Block {
    var link = if (place.block) |block| &block.next else &blocks;
    while (link.*) |block| : (link = &block.next) {
        if (block.len - @sizeOf(Block) >= room) return block;
    }
    // An allocator of pages has some bytes of its own in them.
    const page = 64 << 10;
    const least = @min(if (place.block) |block| 2 * block.len else 0, 4 << 20);
    const pages = (@max(room, least) +| (@sizeOf(Block) + 16)) / page + 1;
    for ([_]usize{ pages, (room +| (@sizeOf(Block) + 16)) / page + 1 }) |n| {
        if (n >= std.math.maxInt(i32) / page) continue;
        const len = n * page - 16;
        const bytes = backing.rawAlloc(len, .of(Block), 0) orelse continue;
        const block: *Block = @ptrCast(@alignCast(bytes));
        block.* = .{ .next = null, .len = len };
        link.* = block;
        return block;
    }
    return null;
}

fn resize(_: *anyopaque, memory: []u8, _: Alignment, len: usize, _: usize) bool {
    const at = @intFromPtr(memory.ptr);
    if (at + memory.len != place.at) return len <= memory.len;
    if (len > place.end - at) return false;
    place.at = at + len;
    return true;
}

fn remap(context: *anyopaque, memory: []u8, alignment: Alignment, len: usize, _: usize) ?[*]u8 {
    return if (resize(context, memory, alignment, len, 0)) memory.ptr else null;
}

fn free(_: *anyopaque, memory: []u8, _: Alignment, _: usize) void {
    if (@intFromPtr(memory.ptr) + memory.len == place.at) place.at = @intFromPtr(memory.ptr);
}
