//go:build !tinygo

package main

import "unsafe"

// TinyGo exports malloc and free by itself, Go does not. These buffers are
// reachable until the host gives them back.
var buffers = map[unsafe.Pointer][]byte{}

//go:wasmexport malloc
func malloc(size uint32) unsafe.Pointer {
	b := make([]byte, max(size, 1))
	buffers[unsafe.Pointer(&b[0])] = b
	return unsafe.Pointer(&b[0])
}

//go:wasmexport free
func free(p unsafe.Pointer) { delete(buffers, p) }
