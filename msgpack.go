package main

// #include <string.h>
// #include "plugin.h"
import "C"

import "unsafe"

// borrow makes a slice of C memory that is valid until the host's call returns.
func borrow(p unsafe.Pointer, size C.size_t) []byte {
	if size == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(p), int(size))
}

// runChunk filters a chunk, or goes on with one that the instance's lane could not go
// through by itself. If it was modified, *out is what takes its place, in memory from
// the allocator that the host frees with: NULL if nothing is left.
func (h *filterInstance) runChunk(tag, data []byte, out *unsafe.Pointer, outSize *C.size_t) C.int {
	result, modified := h.filter.Run(tag, data)
	if !modified {
		return C.FLB_FILTER_NOTOUCH
	}
	*out, *outSize = nil, C.size_t(len(result))
	if len(result) > 0 {
		p := C.border_alloc(C.size_t(len(result)))
		if p == nil {
			h.errorLog("no memory for the filtered chunk: it passes through unchanged")
			h.filter.KeepRouted()
			return C.FLB_FILTER_NOTOUCH
		}
		copy(unsafe.Slice((*byte)(p), len(result)), result)
		*out = p
	}
	return C.FLB_FILTER_MODIFIED
}
