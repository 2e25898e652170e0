pub const main_counts = true;
pub const main = @import("main.zig").main;

comptime {
    _ = @import("malloc.zig");
}
