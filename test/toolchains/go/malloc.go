//go:build wasip1 && !tinygo && !nomalloc

package main

import "unsafe"

// What the host has asked for, reachable until it gives it back.
var buffers = map[unsafe.Pointer][]byte{}

//go:wasmexport malloc
func malloc(size uint32) unsafe.Pointer {
	b := make([]byte, max(size, 1))
	buffers[unsafe.Pointer(&b[0])] = b
	return unsafe.Pointer(&b[0])
}

//go:wasmexport free
func free(p unsafe.Pointer) { delete(buffers, p) }
