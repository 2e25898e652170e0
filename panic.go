package main

import "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"

// logPanic keeps a mistake of this plugin from taking the host down. Every
// function that C calls defers it; what such a function answers then is what it
// has set its result to before.
func logPanic(log func(line string), doing string) {
	if r := recover(); r != nil {
		hostlog.Panic(log, doing, r)
	}
}
