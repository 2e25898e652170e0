comptime {
    _ = @import("probe.zig");
    _ = @import("malloc.zig");
}
