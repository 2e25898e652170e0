package toolchains_test

import "slices"

const noNul = "library, reply freed and without NUL"

var rustRows = slices.Concat(
	rustRowsOf("rust", "Rust 1.63", "wasm32-wasi"),
	rustRowsOf("rust-1.85", "Rust 1.85", "wasm32-wasip1"),
)

func rustRowsOf(dir, language, wasi string) []row {
	const (
		unknown = "wasm32-unknown-unknown"
		hidden  = "Rust's, not exported"
		libc    = "libc's, exported"
	)
	rows := []row{
		{File: "hidden.wasm", Target: unknown, Form: "library", Allocator: hidden},
		{File: "malloc.wasm", Target: unknown, Form: "library", Allocator: "Rust's, exported as malloc and free"},
		{File: "sized.wasm", Target: unknown, Form: "library", Allocator: "Rust's, exported as alloc(size) and dealloc(pointer, size)",
			Options: map[string]string{"allocator": "alloc,dealloc"}},
		{File: "dangling.wasm", Target: unknown, Form: noNul, Allocator: hidden},
		{File: "wasi.wasm", Target: wasi, Form: "library", Allocator: "libc's, not exported"},
		{File: "wasi_malloc.wasm", Target: wasi, Form: "library", Allocator: libc},
		{File: "command.wasm", Target: wasi, Form: "command, main is not run", Allocator: "libc's, not exported"},
		{File: "command_malloc.wasm", Target: wasi, Form: "command, main is not run", Allocator: libc},
		{File: "command_start.wasm", Target: wasi, Form: "command, main is run", Allocator: libc,
			Options: map[string]string{"init_function": "_start"}},
	}
	for i := range rows {
		rows[i].File = dir + "/" + rows[i].File
		rows[i].Language = language
	}
	return rows
}
