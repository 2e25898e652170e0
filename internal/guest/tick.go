package guest

// #include "lane.h"
// #include "../hostcall/record.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// The function that a guest is called by now and then, whether records come or not (docs/abi.md).
const (
	tickFunction = "flb_tick"
	tickType     = "(i32) -> i32"
)

// HasTick says whether the module wants to be called by Instance.Tick.
func (m *Module) HasTick() bool { return m.export(tickFunction) != nil }

// HasTick says so of the instance's module.
func (in *Instance) HasTick() bool { return bool(in.c.has_tick) }

// Tick calls flb_tick, which the module must have; if it is final, the instance is told that it is not called
// again. Nothing is to come out of what the guest has emitted if there is an error: a *TrapError, after which
// the instance must be closed, or one that is the guest's own word. emitted is valid until the instance is
// called again.
func (in *Instance) Tick(final bool) (emitted Changes, outcome Outcome, err error) {
	x := C.flbwt_call{guest: in.c}
	var flags, result C.uint32_t
	if final {
		flags = 1
	}
	outcome = Outcome(C.flbwt_call_tick(&x, flags, &result))
	runtime.KeepAlive(in)
	if outcome != Reply {
		return Changes{}, outcome, in.trapError(x.trap, x.error)
	}
	if result != 0 {
		text, ok := in.textAt(uint32(result))
		if !ok {
			return Changes{}, outcome, errors.New("it reports an error, by a text outside its memory")
		}
		return Changes{}, outcome, fmt.Errorf("it reports an error: %s", hostlog.Quote(text, hostlog.MaxTextBytes))
	}
	if r := in.c.instance.current; r != nil && r.changes&C.FLBWT_EMITTED != 0 {
		emitted.emitted = unsafe.Slice((*byte)(unsafe.Pointer(r.emitted.data)), int(r.emitted.len))
	}
	return emitted, outcome, nil
}

// TrimGiven gives back what the guest has given of a record, or a tick, if that is much.
func (in *Instance) TrimGiven(keepBytes int) {
	if in.c.instance.current != nil {
		C.flbwt_current_trim(in.c.instance.current, C.size_t(keepBytes))
	}
}
