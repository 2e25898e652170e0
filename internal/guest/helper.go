package guest

// #include <stdlib.h>
// #include "helper.h"
import "C"

import (
	"sync/atomic"
	"unsafe"
)

var helpers atomic.Int64

// Helpers is how many there are, for the tests' sake.
func Helpers() int { return int(helpers.Load()) }

// Helper takes parts of chunks through a lane on a thread of its own. Next and Finish are
// for that thread, the rest for the caller of the filter.
type Helper struct{ c *C.flbwt_helper }

// NewHelper returns a helper for a lane. Close frees it, and not the lane.
func NewHelper(lane *Lane) *Helper {
	h := &Helper{(*C.flbwt_helper)(C.calloc(1, C.sizeof_flbwt_helper))}
	C.flbwt_helper_init(h.c, lane.c)
	helpers.Add(1)
	return h
}

// Next goes through parts until Go has to run the lane; Finish has to follow. False: the thread is
// to end, after Finish.
func (h *Helper) Next() bool { return bool(C.flbwt_helper_next(h.c)) }

// Finish says that the part has been gone through, or that the thread ends.
func (h *Helper) Finish() { C.flbwt_helper_finish(h.c) }

// Begin gives the helper a part of a chunk, which must stay until Wait has returned.
func (h *Helper) Begin(tag, data []byte) {
	C.flbwt_helper_begin(h.c, pointer(tag), C.uint32_t(len(tag)), pointer(data), C.size_t(len(data)))
}

// Idle says whether the part has been gone through.
func (h *Helper) Idle() bool { return bool(C.flbwt_helper_idle(h.c)) }

// Wait waits until the part has been gone through.
func (h *Helper) Wait() { C.flbwt_helper_wait(h.c) }

// Close has the thread end, waits for it, and frees the helper.
func (h *Helper) Close() {
	C.flbwt_helper_end(h.c)
	h.Free()
}

// Free frees a helper that has got no thread.
func (h *Helper) Free() {
	C.flbwt_helper_destroy(h.c)
	C.free(unsafe.Pointer(h.c))
	h.c = nil
	helpers.Add(-1)
}
