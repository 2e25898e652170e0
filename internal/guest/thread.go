package guest

// #include "thread.h"
import "C"

import (
	"runtime"
	"runtime/cgo"
	"syscall"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// lowestPriority is the nice value of a thread that runs when no other wants to.
const lowestPriority = 19

// GoSlowly is Go with a thread of the lowest priority.
func GoSlowly(f func()) error {
	return Go(func() {
		// Else the runtime makes threads of its own of this one, which have its priority, too.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		// It can only be refused where the whole process has it already.
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), lowestPriority)
		f()
	})
}

// Go runs f on a thread of its own, on whose stack guests may run: those of the runtime's
// threads may be too small. The thread blocks the signals that the caller's blocks. A panic ends it,
// with lines for hostlog.Stray. The error is an errno.
func Go(f func()) error {
	handle := cgo.NewHandle(hostlog.Guard("thread", f))
	if errno := C.flbwt_thread_start_go(C.uintptr_t(handle)); errno != 0 {
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
