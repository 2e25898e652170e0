package flb

import (
	"errors"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

// batch is one call of the module: its input, as docs/abi.md has it, and the reply. The host vouches for
// the input.
type batch struct {
	sys.Reply
	input  string
	events Event
	groups Group
	failed []bool // groups
}

func newBatch() *batch {
	b := &batch{}
	b.events.batch = b
	for _, p := range []*Part{&b.events.Body, &b.events.Metadata, &b.groups.Body, &b.groups.Metadata} {
		p.bytes = &b.Bytes
	}
	return b
}

func (b *batch) number(at int) int {
	s := b.input[at : at+4]
	return int(uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24)
}

func (b *batch) slice(at int) string {
	from := b.number(at)
	return b.input[from : from+b.number(at+4)]
}

// group returns where in the input a group stands.
func (b *batch) group(i int) int { return b.number(28) + i*b.number(36) }

// run calls a filter for the groups and events of a batch.
func (b *batch) run(handler Handler, input string) {
	// What one large batch has needed is not kept.
	if cap(b.Bytes) > 1<<20+4*len(b.Bytes) {
		b.Bytes = nil
	}
	b.Ops, b.GroupOps, b.Emitted, b.Bytes = b.Ops[:0], b.GroupOps[:0], b.Emitted[:0], b.Bytes[:0]
	b.input, b.failed = input, b.failed[:0]
	b.events.tag = b.slice(8)
	if n := b.number(32); n > 0 {
		groups, _ := handler.(GroupHandler)
		for i := range n {
			err := b.runGroup(groups, i)
			if err != nil {
				b.GroupOps = append(b.GroupOps, b.errorOf(i, err))
			}
			b.failed = append(b.failed, err != nil)
		}
	}
	for i := 0; i < b.number(20); {
		i = b.runEvents(handler, i)
	}
}

func (b *batch) runGroup(handler GroupHandler, i int) (err error) {
	at := b.group(i)
	if handler == nil || b.number(at)&1 == 0 {
		return nil
	}
	g := &b.groups
	g.Metadata.load(b.slice(at + 8))
	body := b.slice(at + 16)
	if (Value{body}).Kind() != KindMap {
		body = "" // a marker may have anything: it reads as an empty map, and can't be edited
	}
	g.Body.load(body)
	defer sys.Recover(&err)
	if err = handler.Group(g); err == nil {
		err = faulted(&g.Body, &g.Metadata)
	}
	if err == nil {
		b.GroupOps = g.Metadata.finish(i, 1, g.Body.finish(i, 0, b.GroupOps))
	}
	return err
}

// runEvents runs the events from one on, and returns where to go on: after the last one, or after one
// that has panicked.
func (b *batch) runEvents(handler Handler, i int) (next int) {
	e := &b.events
	defer func() {
		if why := recover(); why != nil {
			e.finish(i, sys.Panicked(why))
			next = i + 1
		}
	}()
	count, size := b.number(20), b.number(24)
	for at := b.number(16) + i*size; i < count; at += size {
		sec := int64(uint64(b.number(at)) | uint64(b.number(at+4))<<32)
		group := b.number(at + 12)
		e.load(b.slice(at+24), b.slice(at+16), sec, uint32(b.number(at+8)), group)
		// The host fails the events of a group that has failed.
		if group == 0 || !b.failed[group-1] {
			e.finish(i, handler.Filter(e))
		}
		i++
	}
	return count
}

// errorOf returns the operation of an error.
func (b *batch) errorOf(of int, err error) sys.Op {
	code, coded := uint32(1), (*Error)(nil)
	if errors.As(err, &coded) {
		code = coded.Code
	}
	text, from := err.Error(), len(b.Bytes)
	b.Bytes = append(b.Bytes, text[:min(len(text), 1024)]...)
	return sys.Op{Of: uint32(of), Kind: sys.Error, A: code, Address: uint32(from), Len: uint32(len(b.Bytes) - from)}
}
