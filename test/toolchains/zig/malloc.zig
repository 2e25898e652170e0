//! Exports malloc and free over the probe's own allocator.

const allocator = @import("probe.zig").allocator;

/// In front of each block: its size, which the allocator wants back.
const header = 16;

export fn malloc(size: usize) ?[*]align(header) u8 {
    const total = @addWithOverflow(size, header);
    if (total[1] != 0) return null;
    const block = allocator.alignedAlloc(u8, alignment, total[0]) catch return null;
    @as(*usize, @ptrCast(block.ptr)).* = block.len;
    return block.ptr + header;
}

export fn free(pointer: ?[*]align(header) u8) void {
    const block = (pointer orelse return) - header;
    allocator.free(block[0..@as(*usize, @ptrCast(block)).*]);
}

// A number until Zig 0.14.
const alignment = if (@hasDecl(@import("std").mem, "Alignment")) .@"16" else header;
