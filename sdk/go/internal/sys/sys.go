// Package sys is what passes between a module and its host, as docs/abi.md has it.
package sys

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
)

// The operations of the batch ABI.
const (
	Drop = iota + 1
	Error
	Time
	Replace
	Set
	Add
	Remove
	Put
	Emit
	EmitTo
)

// Op is an operation on an event or a group. Until the reply is linked, Address is an offset into the
// reply's bytes, and that of Emit a place in its list of emitted events.
type Op struct {
	Of           uint32
	Kind, Part   uint8
	_            uint16
	A, B         uint32
	Address, Len uint32
}

// Emitted is an emitted event, with offsets as an Op has them.
type Emitted struct {
	Sec                   int64
	Nsec, Group           uint32
	Metadata, MetadataLen uint32
	Body, BodyLen         uint32
	Tag, TagLen           uint32
	// What follows is not of the ABI: the operation, and where the body stands.
	Kind, Place uint8
}

// InInput is the place of a body that stands in the input, and not in the reply's bytes.
const InInput = 1

// EmittedSize is the size of what the ABI has of an emitted event.
const EmittedSize = 40

// Tick is the function that is called from time to time; package tick sets it.
var Tick = func(last bool) error { return nil }

// SameGroup is the group of an emitted event that has that of the event.
const SameGroup = 1<<32 - 1

// Reply is the reply to a batch.
type Reply struct {
	Ops, GroupOps []Op
	Emitted       []Emitted
	Bytes         []byte
}

// Recover, deferred, makes an error of a panic.
func Recover(err *error) {
	if why := recover(); why != nil {
		*err = Panicked(why)
	}
}

// Panicked returns the error of a call in which the filter has panicked.
func Panicked(why any) error {
	text := "panic"
	switch why := why.(type) {
	case error:
		text += ": " + why.Error()
	case string:
		text += ": " + why
	case int:
		text += ": " + strconv.Itoa(why)
	}
	// The first line that is not the runtime's.
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for frame, more := frames.Next(); more; frame, more = frames.Next() {
		if frame.Function != "" && !strings.HasPrefix(frame.Function, "runtime.") {
			file := frame.File[strings.LastIndexByte(frame.File, '/')+1:]
			return errors.New(text + " (" + file + ":" + strconv.Itoa(frame.Line) + ")")
		}
	}
	return errors.New(text)
}
