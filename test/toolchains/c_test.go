package toolchains_test

const (
	clangC   = "C, clang 19"
	clangCpp = "C++, clang 19"

	staticArrays = "none: static arrays"
)

var cRows = []row{
	{File: "c/static.wasm", Language: clangC, Target: "wasm32", Form: "library", Allocator: staticArrays},
	{File: "c/mvp.wasm", Language: clangC, Target: "wasm32, mvp", Form: "library", Allocator: staticArrays},
	{File: "c/bleeding_edge.wasm", Language: clangC, Target: "wasm32, bleeding-edge: simd128, bulk-memory", Form: "library", Allocator: staticArrays},
	{File: "c/own_malloc.wasm", Language: clangC, Target: "wasm32", Form: "library", Allocator: "its own, exported"},
	{File: "c/own_malloc_hidden.wasm", Language: clangC, Target: "wasm32", Form: "library", Allocator: "its own, not exported"},
	{File: "c/own_malloc_named.wasm", Language: clangC, Target: "wasm32", Form: "library", Allocator: "its own, exported by other names",
		Options: map[string]string{"allocator": "take,give"}},
	{File: "c/import_memory.wasm", Language: clangC, Target: "wasm32", Form: "library, --import-memory", Allocator: "its own, not exported",
		Refused: "link without --import-memory"},
	{File: "c/builtin_libc.wasm", Language: clangC, Target: "wasm32, libc imported", Form: "library", Allocator: "imported"},
	{File: "c/builtin_libc_more.wasm", Language: clangC, Target: "wasm32, libc and fopen imported", Form: "library", Allocator: "imported",
		Refused: "link the code that defines this one into the module"},
	{File: "c/reactor_malloc.wasm", Language: clangC, Target: "wasm32-wasi", Form: "reactor", Allocator: "wasi-libc's, exported"},
	{File: "c/reactor.wasm", Language: clangC, Target: "wasm32-wasi", Form: "reactor", Allocator: "wasi-libc's, not exported"},
	{File: "c/reactor_host.wasm", Language: clangC, Target: "wasm32-wasi", Form: "reactor", Allocator: "wasi-libc's, exported",
		Options: map[string]string{"allocator": "host"}},
	{File: "c/command_malloc.wasm", Language: clangC, Target: "wasm32-wasi", Form: "command, main is not run", Allocator: "wasi-libc's, exported"},
	{File: "c/command.wasm", Language: clangC, Target: "wasm32-wasi", Form: "command, main is not run", Allocator: "wasi-libc's, not exported"},
	{File: "c/command_start.wasm", Language: clangC, Target: "wasm32-wasi", Form: "command, main is run", Allocator: "wasi-libc's, exported",
		Options: map[string]string{"init_function": "_start"}},
	{File: "c/command_constructor.wasm", Language: clangC, Target: "wasm32-wasi", Form: "command, exports __wasm_call_ctors", Allocator: "wasi-libc's, exported",
		Options: map[string]string{"init_function": "__wasm_call_ctors"}},
	{File: "c/wasi_unstable.wasm", Language: clangC, Target: "wasm32, imports wasi_unstable", Form: "library", Allocator: staticArrays},
	{File: "c/wasi_changed.wasm", Language: clangC, Target: "wasm32, imports wasi_unstable.fd_seek", Form: "library", Allocator: staticArrays},
	{File: "c/cpp.wasm", Language: clangCpp, Target: "wasm32", Form: "library, exports __wasm_call_ctors", Allocator: staticArrays},
}
