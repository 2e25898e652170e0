// Package sys is what passes between a module and its host, as docs/abi.md has it.
package sys

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
}

// SameGroup is the group of an emitted event that has that of the event.
const SameGroup = 1<<32 - 1

// Reply is the reply to a batch.
type Reply struct {
	Ops, GroupOps []Op
	Emitted       []Emitted
	Bytes         []byte
}
