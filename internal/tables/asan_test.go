//go:build asan

package tables

func init() { keepsFreed = true }
