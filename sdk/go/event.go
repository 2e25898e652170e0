package flb

import (
	"cmp"
	"errors"
	"slices"
	"time"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

// Error is an error with a code of one's own, for the host's log. Other errors have the code 1.
type Error struct {
	Code uint32
	Text string // the host takes 1,024 bytes
}

func (e *Error) Error() string { return e.Text }

// A host takes so many bytes of events that one event emits.
const maxEmitted = 64 << 20

// Event is what a filter is called for. It is the filter's until that returns.
type Event struct {
	Body     Part // the record
	Metadata Part // with OTLP what a log record has beside its body

	batch     *batch
	tag       string
	sec       int64
	nsec      uint32
	timed     bool // the time has been set
	number    int  // of its group; 0: it is in none
	dropped   bool
	firstByte int // of the event, in the batch
	firstSent int
	scratch   []byte
}

func (e *Event) load(body, metadata string, sec int64, nsec uint32, group int) {
	e.Body.load(body)
	e.Metadata.load(metadata)
	e.sec, e.nsec, e.timed = sec, nsec, false
	e.number, e.dropped = group, false
	e.firstByte, e.firstSent = len(e.batch.Bytes), len(e.batch.Emitted)
}

// Tag returns the tag. It may hold bytes that are not UTF-8.
func (e *Event) Tag() string { return e.tag }

// Time returns when the event happened, or what that has been set to.
func (e *Event) Time() time.Time { return time.Unix(e.sec, int64(e.nsec)) }

// SetTime sets the time: 0 to 2^32 - 3 seconds after 1970 began.
func (e *Event) SetTime(t time.Time) error {
	sec, nsec, err := split(t)
	if err == nil {
		e.sec, e.nsec, e.timed = sec, nsec, true
	}
	return err
}

func split(t time.Time) (int64, uint32, error) {
	if sec := t.Unix(); sec >= 0 && sec <= 1<<32-3 {
		return sec, uint32(t.Nanosecond()), nil
	}
	return 0, 0, errors.New("the time is not one that an event can have")
}

// Group returns what the event's group has in common, as it came; with OTLP {"resource": …, "scope": …}.
// It is missing if the event is in no group. A [GroupHandler] edits it.
func (e *Event) Group() Value {
	if e.number == 0 {
		return Value{}
	}
	return Value{e.batch.slice(e.batch.group(e.number-1) + 16)}
}

// Drop drops the event. Events that it emits come out.
func (e *Event) Drop() { e.dropped = true }

// Route has the event go on under another tag, with the edits of the body so far, through the filters and
// outputs that match it; a body without edits costs no copy. Under its own tag it is dropped. The option
// emit_tags of the filter has to grant the tag: another one fails the event.
func (e *Event) Route(tag string) {
	if e.Body.edited() {
		e.EmitTo(tag, e.Body.Edited())
	} else {
		at := uintptr(unsafe.Pointer(unsafe.StringData(e.Body.came))) - uintptr(unsafe.Pointer(unsafe.StringData(e.batch.input)))
		e.send(tag, sys.Emitted{Kind: sys.EmitTo, Place: sys.InInput, Body: uint32(at), BodyLen: uint32(len(e.Body.came))})
	}
	e.Drop()
}

// Emit emits a further event, which comes after this one and those emitted before. Its body is a
// [*Map], or a [Value] that is a map. It has the time and metadata that the event has when the filter
// returns, and the event's group, unless it is given others.
func (e *Event) Emit(body any) Emitted { return e.emit(sys.Emit, "", body) }

// EmitTo emits a further event under another tag, which the option emit_tags of the filter has to grant: another
// one fails this event.
func (e *Event) EmitTo(tag string, body any) Emitted { return e.emit(sys.EmitTo, tag, body) }

func (e *Event) emit(kind uint8, tag string, body any) Emitted {
	at, n := e.appendMap(body)
	return e.send(tag, sys.Emitted{Kind: kind, Body: at, BodyLen: n})
}

func (e *Event) send(tag string, sent sys.Emitted) Emitted {
	b := e.batch
	sent.Sec, sent.Group, sent.Tag, sent.TagLen = -1, sys.SameGroup, uint32(len(b.Bytes)), uint32(len(tag))
	b.Bytes, b.Emitted = append(b.Bytes, tag...), append(b.Emitted, sent)
	return Emitted{e, len(b.Emitted) - 1}
}

// appendMap appends a map to the batch's bytes, and returns its place.
func (e *Event) appendMap(m any) (at, n uint32) {
	b := e.batch
	from := len(b.Bytes)
	b.Bytes = appendValue(b.Bytes, m)
	if (Value{view(b.Bytes[from:])}).Kind() != KindMap {
		e.Body.fail("emit: body and metadata are maps")
	}
	if len(b.Bytes)-e.firstByte > maxEmitted {
		e.Body.fail(tooMuch)
	}
	return uint32(from), uint32(len(b.Bytes) - from)
}

const tooMuch = "the event would emit more than 64 MiB"

// Emitted is an event that has been emitted.
type Emitted struct {
	event *Event
	i     int
}

// Metadata gives it metadata of its own: a [*Map], or a [Value] that is a map.
func (n Emitted) Metadata(metadata any) Emitted {
	sent := &n.event.batch.Emitted[n.i]
	sent.Metadata, sent.MetadataLen = n.event.appendMap(metadata)
	if n.event.Metadata.came == "" {
		n.event.Body.fail(missingPart)
	}
	return n
}

// Time gives it a time of its own, of those that an event can have.
func (n Emitted) Time(t time.Time) Emitted {
	sec, nsec, err := split(t)
	if err != nil {
		n.event.Body.fail(err.Error())
	}
	sent := &n.event.batch.Emitted[n.i]
	sent.Sec, sent.Nsec = sec, nsec
	return n
}

// WithoutGroup takes it out of the event's group.
func (n Emitted) WithoutGroup() Emitted {
	n.event.batch.Emitted[n.i].Group = 0
	return n
}

// Split makes an event for each element of an array, which takes the place of the array that the path leads
// to, in the event with the edits so far. The event itself is dropped. What is not an array, or is empty,
// is left as it is.
func (e *Event) Split(path string) {
	isArray := func(v Value) bool { return v.Kind() == KindArray && v.Len() > 0 }
	p, b := &e.Body, e.batch
	way := textual(path)
	to := way.find(Value{p.base})
	if !isArray(to.found) && !p.touches(way, &to, false) {
		return
	}
	e.scratch = p.appendEdited(e.scratch[:0])
	whole := view(e.scratch)
	list := Value{whole}.Get(path)
	if !isArray(list) {
		return
	}
	before := whole[:len(whole)-len(list.s)]
	all := list.MessagePack()
	after := whole[len(before)+len(all):]
	room := list.Len()*(len(before)+len(after)) + len(all)
	if len(b.Bytes)-e.firstByte+room > maxEmitted {
		p.fail(tooMuch)
		return
	}
	b.Bytes = slices.Grow(b.Bytes, room)
	for element := range list.Elements() {
		from := len(b.Bytes)
		b.Bytes = append(b.Bytes, before...)
		b.Bytes = append(b.Bytes, element.MessagePack()...)
		b.Bytes = append(b.Bytes, after...)
		e.send("", sys.Emitted{Kind: sys.Emit, Body: uint32(from), BodyLen: uint32(len(b.Bytes) - from)})
	}
	e.Drop()
}

// faulted returns the fault of a part as an error.
func faulted(body, metadata *Part) error {
	if why := cmp.Or(body.fault, metadata.fault); why != "" {
		return errors.New(why)
	}
	return nil
}

// finish says what is to become of the event, in operations.
func (e *Event) finish(of int, err error) {
	b := e.batch
	if err == nil {
		err = faulted(&e.Body, &e.Metadata)
	}
	if err != nil {
		b.Bytes, b.Emitted = b.Bytes[:e.firstByte], b.Emitted[:e.firstSent]
		b.Ops = append(b.Ops, b.errorOf(of, err))
		return
	}
	if e.dropped {
		b.Ops = append(b.Ops, sys.Op{Of: uint32(of), Kind: sys.Drop})
	}
	// What is emitted gets time and metadata of the event, although that is dropped.
	if !e.dropped || e.firstSent < len(b.Emitted) {
		if e.timed {
			b.Ops = append(b.Ops, sys.Op{Of: uint32(of), Kind: sys.Time, A: uint32(e.sec), B: e.nsec})
		}
		b.Ops = e.Metadata.finish(of, 1, b.Ops)
	}
	if !e.dropped {
		b.Ops = e.Body.finish(of, 0, b.Ops)
	}
	for i := e.firstSent; i < len(b.Emitted); i++ {
		b.Ops = append(b.Ops, sys.Op{Of: uint32(of), Kind: b.Emitted[i].Kind, Address: uint32(i), Len: sys.EmittedSize})
	}
}

// Group is what the events of a group have in common: with OTLP a resource and a scope.
type Group struct {
	Body     Part // with OTLP {"resource": …, "scope": …}
	Metadata Part // of the marker that begins the group
}
