package filter

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

// What is not ordinary: events that the lane has not begun, records that it has not emitted, and
// what an error does to a record.

// Buffers beyond this are given back when a chunk does not need them.
const keepBytes = 4 << 20

// MarkKey is the key under which on_error mark leaves the reason: in the metadata
// of an event, in the body of a legacy one.
const MarkKey = "wasmtime_error"

// next reads the event at which the lane is.
func (f *Filter) next(data []byte) (chunk.Event, error) {
	at := f.lane.At()
	event, _, err := chunk.Next(data[at:])
	if err != nil {
		f.log.Limited(hostlog.Error, "corrupt chunk", func() string {
			return fmt.Sprintf("chunk of %d bytes passed through untouched: it can't be read from byte %d on: %v",
				len(data), at, err)
		})
	}
	return event, err
}

// passBy emits the next event without the guest.
func (f *Filter) passBy(data []byte, why cause) error {
	event, err := f.next(data)
	if err != nil {
		return err
	}
	if event.Kind != chunk.Record {
		return f.keep(data, &event)
	}
	f.count.Records++
	if !event.BodyIsMap() {
		why = recordNotMap
	}
	return f.fail(data, &event, why, nil)
}

// handleUnusualEvent deals with an event that the lane has not begun. It calls the guest if the
// event is a record that can be handed over.
func (f *Filter) handleUnusualEvent(tag, data []byte, state breakerState) error {
	event, err := f.next(data)
	if err != nil {
		return err
	}
	if event.Kind != chunk.Record {
		return f.keep(data, &event)
	}
	in, why := f.stage(&event)
	if why != none {
		f.count.Records++
		return f.fail(data, &event, why, nil)
	}
	header := len(event.Raw) - len(event.Header) - len(event.Body)
	at := f.lane.At()
	stop := f.lane.Call(tag, data, in, !f.msgpack && !f.originals.Empty(), at+header, len(event.Header), at+len(event.Raw),
		uint32(event.Sec), event.Nsec)
	f.logOutput()
	f.reportAnswer(state)
	switch stop {
	case guest.StopRecord:
		return f.decide(data, &event, state)
	case guest.StopReplace:
		f.giveUp(f.lane.TakeError())
	}
	return nil
}

// stage makes what the guest is given of a record, valid until the next one.
func (f *Filter) stage(event *chunk.Event) (in []byte, why cause) {
	in = event.Body
	switch {
	case !event.BodyIsMap():
		return nil, recordNotMap
	case !f.msgpack:
		if cap(f.staged) > keepBytes {
			f.staged = nil
		}
		var err error
		if f.staged, _, err = transcode.AppendJSON(f.staged[:0], event.Body); err != nil {
			return nil, recordNotJSON
		}
		in = f.staged
		f.originals.Find(event.Body)
	}
	if len(in) > guest.MaxRecordBytes {
		return nil, recordTooLarge
	}
	return in, none
}

// handleUndecidedRecord decides on a record that the guest has been called for, and that the lane
// has not emitted.
func (f *Filter) handleUndecidedRecord(data []byte, state breakerState) error {
	event, err := f.next(data)
	if err != nil {
		f.giveUp(f.lane.TakeError())
		return err
	}
	return f.decide(data, &event, state)
}

// decide is handleUndecidedRecord for an event that has been read.
func (f *Filter) decide(data []byte, event *chunk.Event, state breakerState) error {
	outcome, err := f.lane.Outcome(), f.lane.TakeError()
	if outcome == guest.Trapped || outcome == guest.TimedOut || outcome == guest.NoMemory {
		f.giveUpAfter(outcome, err)
		return f.fail(data, event, causeOf(outcome), nil)
	}
	why, detail := causeOf(outcome), error(nil)
	if outcome == guest.Reply {
		why, detail = f.reply(event, f.lane.Reply())
	}
	if why == none {
		f.lane.CountReturned()
		f.succeeded(state)
	} else {
		if state == trial {
			f.breaker.stopped(1)
		}
		f.breaker.answered()
		f.breaker.bad()
	}
	f.giveUp(err)
	if why != none {
		return f.fail(data, event, why, detail)
	}
	return f.emitted(f.lane.Replace(data, f.lane.At()+len(event.Raw), f.event))
}

// fail does to a record what the user wants of those that went wrong, counts it,
// and logs it once in a while.
func (f *Filter) fail(data []byte, event *chunk.Event, c cause, err error) error {
	f.count.Failed++
	f.count.Causes[c]++
	if !c.loggedElsewhere() {
		f.log.Limited(hostlog.Error, c.String(), func() string {
			if err != nil {
				return fmt.Sprintf("record %s: %s: %v", f.fate(), c, err)
			}
			return fmt.Sprintf("record %s: %s", f.fate(), c)
		})
	}
	switch f.onError {
	case options.Drop:
		f.event = f.event[:0]
	case options.Mark:
		f.event = chunk.AppendMarked(f.event[:0], *event, MarkKey, c.String())
	default:
		return f.keep(data, event)
	}
	return f.emitted(f.lane.Replace(data, f.lane.At()+len(event.Raw), f.event))
}

// fate says in the log what becomes of a record that failed.
func (f *Filter) fate() string {
	switch f.onError {
	case options.Drop:
		return "dropped (on_error drop)"
	case options.Mark:
		return "passed through, marked"
	default:
		return "passed through unchanged"
	}
}

// reply makes f.event of an event and the guest's reply for its body. Unless the cause
// is none, err may say more.
func (f *Filter) reply(event *chunk.Event, reply []byte) (c cause, err error) {
	if cap(f.event) > keepBytes {
		f.event = nil
	}
	head := chunk.AppendEvent(f.event[:0], event.Header, nil)
	out, c, err := f.appendBody(head, reply, event.Body, guest.MaxReplyDepth)
	if c == replyTooDeep {
		// What came nested deeper than that may be returned as deep.
		out, c, err = f.appendBody(head, reply, event.Body, max(guest.MaxReplyDepth, mp.Depth(event.Body)))
	}
	f.event = out
	return c, err
}

// appendBody appends the reply to the record as a body.
func (f *Filter) appendBody(dst, reply, record []byte, depth int) (out []byte, c cause, err error) {
	if f.msgpack {
		if mp.KindOf(reply[0]) != mp.Map {
			return dst, replyNotMap, nil
		}
		rest, err := mp.Skip(reply, depth)
		if err != nil {
			return dst, replyCause(err), err
		}
		return append(dst, reply[:len(reply)-len(rest)]...), none, nil
	}
	if trimmed := bytes.TrimLeft(reply, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return dst, replyNotMap, nil
	}
	f.originals.Find(record)
	out, _, err = transcode.AppendMsgpackOf(dst, reply, depth, &f.originals)
	if err != nil {
		return dst, replyCause(err), err
	}
	return out, none, nil
}

func replyCause(err error) cause {
	if errors.Is(err, mp.ErrDepth) {
		return replyTooDeep
	}
	return replyInvalid
}

// keep emits an event as it came.
func (f *Filter) keep(data []byte, event *chunk.Event) error {
	return f.emitted(f.lane.Keep(data, f.lane.At()+len(event.Raw)))
}

var errNoMemory = errors.New("the host has no memory")

// emitted makes an error of what the lane had no memory for.
func (f *Filter) emitted(ok bool) error {
	if ok {
		return nil
	}
	f.log.Limited(hostlog.Error, "no memory", func() string {
		return "no memory for the filtered chunk: it passes through unchanged"
	})
	return errNoMemory
}
