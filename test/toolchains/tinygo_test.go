package toolchains_test

// tinygoRows are stand-ins: text modules that export and do what modules of
// TinyGo do, since TinyGo is in no package registry. What they stand for was
// seen on modules of TinyGo 0.25, 0.26 and 0.34.
var tinygoRows = []row{
	{
		File: "tinygo/command.wat", Language: "stand-in for TinyGo before 0.34", Target: "wasi",
		Form: "command, not started", Allocator: "a collector's, by exported malloc and free",
	},
	{
		File: "tinygo/reactor.wat", Language: "stand-in for TinyGo 0.34 or later", Target: "wasip1",
		Form: "reactor", Allocator: "a collector's, by exported malloc and free",
	},
	{
		File: "tinygo/command_wasmexport.wat", Language: "stand-in for TinyGo 0.34 or later", Target: "wasip1",
		Form: "command", Allocator: "a collector's, by exported malloc and free",
		Refused: "-buildmode=c-shared",
	},
}
