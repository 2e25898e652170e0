package toolchains_test

const (
	assemblyscript = "AssemblyScript 0.28.20"
	// Part of the refusal of a module whose allocator uses all of memory up to
	// memory.size, which is out of the host's reach.
	exportRuntime = "--exportRuntime"
)

var assemblyscriptRows = []row{
	{File: "assemblyscript/incremental_runtime.wasm", Language: assemblyscript, Target: "`--runtime incremental --use abort=`",
		Form: "`--exportRuntime`", Allocator: "`__new`, `__pin`"},
	{File: "assemblyscript/incremental_runtime_abort.wasm", Language: assemblyscript, Target: "`--runtime incremental`",
		Form: "`--exportRuntime`", Allocator: "`__new`, `__pin`"},
	{File: "assemblyscript/minimal_runtime.wasm", Language: assemblyscript, Target: "`--runtime minimal --use abort=`",
		Form: "`--exportRuntime`", Allocator: "`__new`, `__pin`"},
	{File: "assemblyscript/minimal_runtime_abort.wasm", Language: assemblyscript, Target: "`--runtime minimal`",
		Form: "`--exportRuntime`", Allocator: "`__new`, `__pin`"},
	{File: "assemblyscript/stub_runtime.wasm", Language: assemblyscript, Target: "`--runtime stub --use abort=`",
		Form: "`--exportRuntime`", Allocator: "`__new`, `__pin`"},
	{File: "assemblyscript/stub_runtime_abort.wasm", Language: assemblyscript, Target: "`--runtime stub`",
		Form: "`--exportRuntime`", Allocator: "`__new`, `__pin`"},
	{File: "assemblyscript/initialize.wasm", Language: assemblyscript, Target: "`--use abort=`",
		Form: "`--exportRuntime --exportStart _initialize`", Allocator: "`__new`, `__pin`"},
	{File: "assemblyscript/wasi_initialize.wasm", Language: assemblyscript, Target: "wasi-shim 0.1.0",
		Form: "`--exportRuntime --exportStart _initialize`", Allocator: "`__new`, `__pin`"},
	{File: "assemblyscript/static.wasm", Language: assemblyscript, Target: "`--runtime stub --use abort=`",
		Form: "makes no objects", Allocator: "none: pages of the host"},

	// With option init_function.
	{File: "assemblyscript/start.wasm", Language: assemblyscript, Target: "`--use abort=`",
		Form: "`--exportRuntime --exportStart _start`", Allocator: "`__new`, `__pin`",
		Options: map[string]string{"init_function": "_start"}},
	{File: "assemblyscript/wasi_start.wasm", Language: assemblyscript, Target: "wasi-shim 0.1.0",
		Form: "`--exportRuntime`", Allocator: "`__new`, `__pin`",
		Options: map[string]string{"init_function": "_start"}},

	// With the refusal.
	{File: "assemblyscript/incremental.wasm", Language: assemblyscript, Target: "`--runtime incremental --use abort=`",
		Form: "", Allocator: "not exported", Refused: exportRuntime},
	{File: "assemblyscript/incremental_abort.wasm", Language: assemblyscript, Target: "`--runtime incremental`",
		Form: "", Allocator: "not exported", Refused: exportRuntime},
	{File: "assemblyscript/minimal.wasm", Language: assemblyscript, Target: "`--runtime minimal --use abort=`",
		Form: "", Allocator: "not exported", Refused: exportRuntime},
	{File: "assemblyscript/minimal_abort.wasm", Language: assemblyscript, Target: "`--runtime minimal`",
		Form: "", Allocator: "not exported", Refused: exportRuntime},
	{File: "assemblyscript/stub.wasm", Language: assemblyscript, Target: "`--runtime stub --use abort=`",
		Form: "", Allocator: "not exported", Refused: exportRuntime},
	{File: "assemblyscript/stub_abort.wasm", Language: assemblyscript, Target: "`--runtime stub`",
		Form: "", Allocator: "not exported", Refused: exportRuntime},
}
