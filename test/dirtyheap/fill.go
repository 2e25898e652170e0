//go:build !asan

package dirtyheap

// #include <stdlib.h>
// #include "malloc.h"
import "C"

import "unsafe"

const supported = true

// kept is of a size of which seven stand in a span of 8 KiB, and nothing in the last of its bytes. Of smaller sizes
// the collector has marks there, which a bad pointer damages.
var kept = make([]byte, 1152)

func fill() {
	const spanBytes = 8192
	C.dirtyheap_fill(C.uintptr_t(uintptr(unsafe.Pointer(&kept[0]))|(spanBytes-1)) &^ 7)
}

// writePointers does for many times what must not be done.
func writePointers() {
	for range 10_000_000 {
		p := C.malloc(C.size_t(unsafe.Sizeof(uintptr(0))))
		*(*unsafe.Pointer)(p) = p
		C.free(p)
	}
}
