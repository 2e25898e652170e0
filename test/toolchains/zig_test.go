package toolchains_test

const zig = "Zig 0.17.1"

var zigRows = []row{
	{File: "zig/freestanding.wasm", Language: zig, Target: "wasm32-freestanding", Form: "library (`-fno-entry`)",
		Allocator: "`std.heap.wasm_allocator`, not exported"},
	{File: "zig/freestanding_malloc.wasm", Language: zig, Target: "wasm32-freestanding", Form: "library (`-fno-entry`)",
		Allocator: "`malloc`, `free` over `std.heap.wasm_allocator`"},
	{File: "zig/noentry.wasm", Language: zig, Target: "wasm32-wasi", Form: "library (`-fno-entry`)",
		Allocator: "`std.heap.wasm_allocator`, not exported"},
	{File: "zig/reactor.wasm", Language: zig, Target: "wasm32-wasi", Form: "reactor (`-mexec-model=reactor`)",
		Allocator: "`std.heap.wasm_allocator`, not exported"},
	{File: "zig/reactor_malloc.wasm", Language: zig, Target: "wasm32-wasi", Form: "reactor (`-mexec-model=reactor`)",
		Allocator: "`malloc`, `free` over `std.heap.wasm_allocator`"},
	{File: "zig/libc.wasm", Language: zig, Target: "wasm32-wasi", Form: "reactor (`-mexec-model=reactor -lc`)",
		Allocator: "wasi-libc, not exported"},
	{File: "zig/libc_malloc.wasm", Language: zig, Target: "wasm32-wasi", Form: "reactor (`-mexec-model=reactor -lc`)",
		Allocator: "wasi-libc's `malloc`, `free`"},
	{File: "zig/cc_malloc.wasm", Language: "C, zig cc 0.17.1", Target: "wasm32-wasi", Form: "reactor (`-mexec-model=reactor`)",
		Allocator: "wasi-libc's `malloc`, `free`"},

	// With option init_function.
	{File: "zig/command.wasm", Language: zig, Target: "wasm32-wasi", Form: "command",
		Allocator: "`std.heap.wasm_allocator`, not exported", Options: map[string]string{"init_function": "_start"}},
}
