// Package guest runs WebAssembly modules that keep the C ABI of Fluent Bit's
// WASM filter. An engine (one per native stack size and process) compiles, a
// Module is compiled code that any number of instances share, an Instance is a
// store with its linear memory, for one thread at a time.
//
// The Go side uses wasmtime-go to compile, link and instantiate. The crossing
// itself is call.c: one cgo call runs a whole batch of records.
package guest

// #include <stdlib.h>
// #include "call.h"
import "C"

import (
	"sync"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// minStackBytes is wasmtime's default for the native stack of a guest. The
// built-in filter's default of 8 KiB is an interpreter's stack; compiled code
// needs more.
const minStackBytes = 512 * 1024

var engines struct {
	sync.Mutex
	bySize map[int64]*wasmtime.Engine
}

// engineFor answers the process's engine for guests with that much native
// stack. Engines live as long as the process: there are few, and their signal
// handlers can't be taken back.
func engineFor(stackBytes int64) *wasmtime.Engine {
	stackBytes = max(stackBytes, minStackBytes)
	engines.Lock()
	defer engines.Unlock()
	if e := engines.bySize[stackBytes]; e != nil {
		return e
	}
	config := wasmtime.NewConfig()
	config.SetMaxWasmStack(int(stackBytes))
	config.SetCraneliftOptLevel(wasmtime.OptLevelSpeed)
	e := wasmtime.NewEngineWithConfig(config)
	if engines.bySize == nil {
		engines.bySize = make(map[int64]*wasmtime.Engine)
	}
	engines.bySize[stackBytes] = e
	return e
}
