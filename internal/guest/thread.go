package guest

// #include "thread.h"
import "C"

import (
	"runtime/cgo"
	"syscall"
)

// The stack of a thread that Go starts: what a guest may have at most, and room for
// Go's C calls and wasmtime below it.
const threadStackBytes = 8 << 20

// Go runs f on a thread of its own, on whose stack guests may run. The runtime's threads
// have what the limits of the process say, which may be too little. The thread blocks
// the signals that the caller's blocks. The error is an errno.
func Go(f func()) error {
	handle := cgo.NewHandle(f)
	if errno := C.flbwt_thread_start(C.uintptr_t(handle), threadStackBytes); errno != 0 {
		handle.Delete()
		return syscall.Errno(errno)
	}
	return nil
}

//export flbwtThread
func flbwtThread(handle C.uintptr_t) {
	h := cgo.Handle(handle)
	f := h.Value().(func())
	h.Delete()
	f()
}
