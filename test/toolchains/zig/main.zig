//! A program: main is run by _start of a command and by _initialize of a reactor.

const probe = @import("probe.zig");

/// The number of calls starts at -1, which main makes good.
pub const main_counts = true;

pub fn main() void {
    probe.count +%= 1;
}
