comptime {
    _ = @import("probe.zig");
}
