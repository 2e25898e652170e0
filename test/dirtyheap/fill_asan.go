//go:build asan

package dirtyheap

const supported = false

func fill() {}

func writePointers() {}
