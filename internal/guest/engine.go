// Package guest runs WebAssembly modules that keep the C ABI of Fluent Bit's
// WASM filter. An engine (one per native stack size and process) compiles, a
// Module is compiled code that any number of instances share, an Instance is a
// store with its linear memory, for one thread at a time.
//
// The Go side uses wasmtime-go to compile, link and instantiate. A Lane takes chunks
// through an instance: lane.c goes from event to event, call.c into the guest and back.
package guest

// #include <stdlib.h>
// #include "call.h"
// #include "../bounds/signals.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/capi"
)

// minStackBytes is wasmtime's default for the native stack of a guest. The
// built-in filter's default of 8 KiB is an interpreter's stack; compiled code
// needs more.
const minStackBytes = 512 * 1024

// asyncStackBytes is wasmtime's default for the stack of an asynchronous call.
const asyncStackBytes = 2 << 20

// StackBytes returns how much native stack a guest may use that was given so much.
func StackBytes(given int64) int64 { return max(given, minStackBytes) }

var engines struct {
	sync.Mutex
	bySize map[int64]*wasmtime.Engine
}

// errNotExecutable says that the process is kept from what every engine has to do.
var errNotExecutable = errors.New("this process may not make memory executable, which compiled WebAssembly needs: allow it that (in a systemd unit MemoryDenyWriteExecute=no, for SELinux execmem)")

// notExecutable returns errNotExecutable in the place of an error that it is the cause of.
func notExecutable(err error) error {
	if err != nil && !bool(C.flbwt_may_execute()) {
		return errNotExecutable
	}
	return err
}

// engineFor returns the process's engine for guests with that much native
// stack. Engines live as long as the process: there are few, and their signal
// handlers can't be taken back.
func engineFor(stackBytes int64) (*wasmtime.Engine, error) {
	stackBytes = StackBytes(stackBytes)
	engines.Lock()
	defer engines.Unlock()
	if e := engines.bySize[stackBytes]; e != nil {
		return e, nil
	}
	// The handlers that wasmtime installs now must be the ones that are kept.
	C.flbwt_signals_hold()
	defer C.flbwt_signals_release()
	e := wasmtime.NewEngineWithConfig(engineConfig(stackBytes, false))
	if engines.bySize == nil {
		if err := learnTrap(e); err != nil {
			e.Close()
			if err = notExecutable(err); err != errNotExecutable {
				err = fmt.Errorf("wasmtime can't be started: %w", err)
			}
			return nil, err
		}
		C.flbwt_watch_keep_handlers()
		engines.bySize = make(map[int64]*wasmtime.Engine)
	}
	engines.bySize[stackBytes] = e
	return e, nil
}

// engineConfig returns the settings of every engine. Code that is compiled with
// others can't be run, but for parallel, whether all cores compile, and the level of optimisation.
func engineConfig(stackBytes int64, parallel bool) *wasmtime.Config {
	config := wasmtime.NewConfig()
	config.SetMaxWasmStack(int(stackBytes))
	config.SetCraneliftOptLevel(wasmtime.OptLevelSpeed)
	// They are on by themselves from wasmtime 47 on.
	config.SetWasmGC(false)
	config.SetWasmFunctionReferences(false)
	c := capi.Config[*C.wasm_config_t](config)
	C.wasmtime_config_parallel_compilation_set(c, C.bool(parallel))
	// No guest is run on a stack of wasmtime's own, but one must be able to have that much.
	C.wasmtime_config_async_stack_size_set(c, C.uint64_t(max(stackBytes, asyncStackBytes)))
	C.wasmtime_config_wasm_exceptions_set(c, true)
	C.flbwt_memory_configure(c)
	runtime.KeepAlive(config)
	return config
}

// serialBytes is the size of modules from which on all cores compile: there is a thread
// for each of them then until the process ends. Smaller ones take a tenth of a second.
const serialBytes = 256 << 10

// compile compiles a module for an engine of engineFor.
func compile(engine *wasmtime.Engine, s Source, wasm []byte) (*wasmtime.Module, error) {
	if (len(wasm) < serialBytes || s.Background) && !s.Quick {
		module, err := wasmtime.NewModule(engine, wasm)
		return module, notExecutable(err)
	}
	C.flbwt_signals_hold()
	config := engineConfig(StackBytes(s.StackBytes), len(wasm) >= serialBytes)
	if s.Quick {
		config.SetCraneliftOptLevel(wasmtime.OptLevelNone)
		config.SetCraneliftFlag("regalloc_algorithm", "single_pass")
	}
	parallel := wasmtime.NewEngineWithConfig(config)
	C.flbwt_signals_release()
	defer parallel.Close()
	module, err := wasmtime.NewModule(parallel, wasm)
	if err != nil {
		return nil, notExecutable(err)
	}
	defer module.Close()
	code, err := module.Serialize()
	if err != nil {
		return nil, err
	}
	module, err = wasmtime.NewModuleDeserialize(engine, code)
	return module, notExecutable(err)
}

// trapText is the module whose machine code a guest is sent to when it has to
// stop (internal/bounds/watchdog.c). A variable for the tests' sake.
var trapText = `(module (func (export "trap") unreachable))`

// learnTrap finds an instruction that wasmtime knows to trap. What it is made of
// is never freed, unless that fails.
func learnTrap(engine *wasmtime.Engine) error {
	wasm, err := wasmtime.Wat2Wasm(trapText)
	if err != nil {
		return err
	}
	module, err := wasmtime.NewModule(engine, wasm)
	if err != nil {
		return err
	}
	store := wasmtime.NewStore(engine)
	instance, err := wasmtime.NewInstance(store, module, nil)
	if err == nil {
		err = capi.CheckEngine(module)
	}
	if err == nil {
		f := capi.Func[C.wasmtime_func_t](instance.GetFunc(store, "trap"))
		if !C.flbwt_learn_trap(capi.Context[*C.wasmtime_context_t](store), &f) {
			err = errors.New("a trap was not noticed")
		}
	}
	if err != nil {
		store.Close()
		module.Close()
		return err
	}
	trapModule, trapStore = module, store
	return nil
}

var (
	trapModule *wasmtime.Module
	trapStore  *wasmtime.Store
)

// WrapHostSignals keeps the host from taking wasmtime's signal handlers away
// while a guest runs or an engine starts, when it handles SIGHUP or SIGCONT. For
// Fluent Bit's process only, before the first module is loaded; may be called
// again.
func WrapHostSignals() { C.flbwt_signals_wrap() }
