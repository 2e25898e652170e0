package guest

// #include "call.h"
import "C"

import (
	"encoding/binary"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// poll_oneoff is WASI's way to sleep. wasmtime's own sleeps in the host for as
// long as the guest likes, out of reach of the watchdog; this one wakes up when
// the call is overdue. A guest has nothing else to wait for: files and its
// standard streams are always ready.

// Layouts and numbers of wasi_snapshot_preview1 (witx/typenames.witx).
const (
	subscriptionBytes = 48
	eventBytes        = 32
	maxSubscriptions  = 64

	eventClock    = 0
	clockRealtime = 0
	clockAbsolute = 1

	errnoSuccess = 0
	errnoFault   = 21
	errnoInval   = 28

	pollSlice = 10 * time.Millisecond
)

func (in *Instance) pollOneoff(caller *wasmtime.Caller, subscriptions, events, count, result int32) (int32, *wasmtime.Trap) {
	memory := caller.GetExport("memory").Memory().UnsafeData(caller)
	part := func(at int32, n uint64) []byte {
		if from := uint64(uint32(at)); from+n <= uint64(len(memory)) {
			return memory[from : from+n]
		}
		return nil
	}
	if count <= 0 || count > maxSubscriptions {
		return errnoInval, nil
	}
	subs := part(subscriptions, uint64(count)*subscriptionBytes)
	out := part(events, uint64(count)*eventBytes)
	n := part(result, 4)
	if subs == nil || out == nil || n == nil {
		return errnoFault, nil
	}

	shortest := time.Duration(-1)
	ready := 0 // subscriptions that are no clocks
	for s := subs; len(s) > 0; s = s[subscriptionBytes:] {
		if s[8] != eventClock {
			ready++
			continue
		}
		if d := clockDelay(s); shortest < 0 || d < shortest {
			shortest = d
		}
	}
	if ready == 0 && !in.sleep(shortest) {
		return 0, wasmtime.NewTrap("slept past the timeout")
	}

	written := 0
	for s := subs; len(s) > 0; s = s[subscriptionBytes:] {
		if s[8] == eventClock && (ready > 0 || clockDelay(s) > shortest) {
			continue
		}
		event := out[written*eventBytes : (written+1)*eventBytes]
		clear(event)
		copy(event, s[:8]) // userdata
		event[10] = s[8]
		written++
	}
	binary.LittleEndian.PutUint32(n, uint32(written))
	return errnoSuccess, nil
}

// clockDelay is how long a clock subscription waits from now on, as it was
// written. Absolute times of the monotonic clock, which starts anywhere, are not
// waited for.
func clockDelay(s []byte) time.Duration {
	clock := binary.LittleEndian.Uint32(s[16:])
	timeout := binary.LittleEndian.Uint64(s[24:])
	d := time.Duration(min(timeout, uint64(1<<62)))
	if binary.LittleEndian.Uint16(s[40:])&clockAbsolute != 0 {
		if clock != clockRealtime {
			return 0
		}
		d = time.Until(time.Unix(0, int64(d)))
	}
	return max(d, 0)
}

// sleep waits for d, or until the call is overdue: then it answers false.
func (in *Instance) sleep(d time.Duration) bool {
	for end := time.Now().Add(d); ; {
		if bool(C.flbwt_watch_overdue(&in.c.watch)) {
			return false
		}
		rest := time.Until(end)
		if rest <= 0 {
			return true
		}
		// What was slept beyond that, the process was stopped, or had no processor.
		slice := min(rest, pollSlice)
		time.Sleep(slice)
		C.flbwt_watch_waited(&in.c.watch, C.uint64_t(slice))
	}
}
