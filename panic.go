package main

import (
	"fmt"
	"runtime/debug"
)

// logPanic keeps a mistake of this plugin from taking the host down. Every
// function that C calls defers it; what such a function answers then is what it
// has set its result to before.
func logPanic(log func(line string), doing string) {
	if r := recover(); r != nil {
		log(fmt.Sprintf("%s: panic: %v\n%s", doing, r, debug.Stack()))
	}
}
