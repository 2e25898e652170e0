package filter

import (
	"bytes"
	"errors"
	"fmt"
	"time"

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
func (f *Filter) next(data []byte) (chunk.Event, error) { return f.nextAt(data, f.lane.At()) }

// nextAt reads the event that begins at that byte of the chunk.
func (f *Filter) nextAt(data []byte, at int) (chunk.Event, error) {
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
		return f.keepMarker(data, &event)
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
	if f.batch {
		return f.gatherUnusualEvent(data)
	}
	event, err := f.next(data)
	if err != nil {
		return err
	}
	if event.Kind != chunk.Record {
		return f.keepMarker(data, &event)
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
	if f.batch {
		return f.handleBatchRecord(data)
	}
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
		f.giveUpAfter(outcome, err, func(why string) string { return f.report(data, event, why) })
		return f.fail(data, event, causeOf(outcome), nil)
	}
	if cap(f.event) > keepBytes {
		f.event = nil
	}
	why, detail, records := causeOf(outcome), error(nil), 0
	emitted, need := 0, 0
	changes, changed := f.lane.Changes()
	if changed {
		records, emitted, why, detail = f.change(data, event, outcome, changes)
		need = f.elsewhereBytes(data, len(f.lane.GroupBody(data)))
	} else if outcome == guest.Reply {
		records, why, detail = f.reply(event, f.lane.Reply())
	}
	if records+emitted > 0 {
		need += len(f.event)
	}
	if room := f.lane.Room(); why == none && need > room {
		why, detail = chunkTooLarge, fmt.Errorf("this one makes %d bytes of events, and %d are left", need, room)
	}
	routed := true
	if why == none {
		routed = !changed || f.routeGiven(data, event) // before the guest goes on, or away
		f.count.Added += uint64(emitted)
		switch {
		case records == 0 && changed && len(f.given.elsewhere) > 0:
			f.lane.CountRouted()
		case records == 0:
			f.lane.CountDropped()
		default:
			f.lane.CountReturned()
			f.count.Added += uint64(records - 1)
		}
		f.succeeded(state)
	} else {
		if state == trial {
			f.breaker.stopped(1)
		}
		f.breaker.answered()
		f.breaker.bad()
	}
	f.giveUp(err)
	if !routed {
		return f.emitted(false)
	}
	if why != none {
		return f.fail(data, event, why, detail)
	}
	if changed && bytes.Equal(f.event, event.Raw) { // it was the group that has changed
		return f.keep(data, event)
	}
	return f.emitted(f.lane.Replace(data, f.lane.At()+len(event.Raw), f.event))
}

// fail does to a record what the user wants of those that went wrong, counts it,
// and logs it once in a while.
func (f *Filter) fail(data []byte, event *chunk.Event, c cause, err error) error {
	return f.failBy(data, event, c, "", err)
}

// failBy is fail for a cause of which there are several kinds, each with lines of its own in the log.
func (f *Filter) failBy(data []byte, event *chunk.Event, c cause, kind string, err error) error {
	f.count.Failed++
	f.count.Causes[c]++
	if !c.loggedElsewhere() {
		f.log.Limited(hostlog.Error, c.String()+kind, func() string { return f.report(data, event, reasonOf(c, err)) })
	}
	switch f.onError {
	case options.Drop:
		f.lane.FailRecord()
		f.event = f.event[:0]
	case options.Mark:
		f.mark(event, hostlog.Printable(reasonOf(c, err), maxReasonBytes))
		if err != nil && len(f.event) > f.lane.Room() {
			f.mark(event, c.String())
		}
	case options.Route:
		if !f.routeFailed(data, event, c, err) {
			f.lane.PassRecord()
			return f.keep(data, event)
		}
		f.lane.FailRecord()
		f.event = f.event[:0]
	default:
		return f.keep(data, event)
	}
	return f.emitted(f.lane.Replace(data, f.lane.At()+len(event.Raw), f.event))
}

// reasonOf words why a record failed; err, unless it is nil, says more than the cause.
func reasonOf(c cause, err error) string {
	if err == nil {
		return c.String()
	}
	return fmt.Sprintf("%s: %v", c, err)
}

// maxReasonBytes bounds the reason in a marked record. A text of the guest fits, if all of it is escaped.
const maxReasonBytes = 5 * hostlog.MaxTextBytes

// mark makes f.event of an event and the reason why it failed.
func (f *Filter) mark(event *chunk.Event, reason string) {
	if f.markKey != "" {
		f.event = chunk.AppendWithMember(f.event[:0], *event, f.markKey, reason)
	} else {
		f.event = chunk.AppendMarked(f.event[:0], *event, MarkKey, reason)
	}
}

// maxExcerptBytes bounds what a line of the log shows of a record, maxExcerptRecordBytes which
// records are made JSON for that.
const (
	maxExcerptBytes       = 512
	maxExcerptRecordBytes = 1 << 20
)

// report is the line for a record that failed: which it is, what becomes of it, and why.
func (f *Filter) report(data []byte, event *chunk.Event, why string) string {
	line := fmt.Sprintf("record %d of a chunk (tag %s, time %s) %s: %s", f.number(data), hostlog.Name(string(f.tag)),
		time.Unix(event.Sec, int64(event.Nsec)).UTC().Format(time.RFC3339Nano), f.fate(), why)
	if !f.logFailed {
		return line
	}
	if len(event.Body) > maxExcerptRecordBytes {
		return fmt.Sprintf("%s; its body has %d bytes", line, len(event.Body))
	}
	json, _, err := transcode.AppendJSON(nil, event.Body)
	if err != nil {
		return fmt.Sprintf("%s; its body is no JSON: %v", line, err)
	}
	return line + "; it is " + hostlog.Printable(string(json), maxExcerptBytes)
}

// number counts the records of the chunk up to the one at which the lane is: its first is 1.
func (f *Filter) number(data []byte) (n int) {
	for _, part := range [][]byte{f.earlier, data[:f.lane.At()]} {
		for rest := part; len(rest) > 0; {
			event, after, err := chunk.Next(rest)
			if err != nil {
				break
			}
			if event.Kind == chunk.Record {
				n++
			}
			rest = after
		}
	}
	return n + 1
}

// fate says in the log what becomes of a record that failed.
func (f *Filter) fate() string {
	switch f.onError {
	case options.Drop:
		return "dropped (on_error drop)"
	case options.Mark:
		return "passed through, marked"
	case options.Route:
		return "taken out of the chunk, to go under the tag of on_error route"
	default:
		return "passed through unchanged"
	}
}

// maxSplitBytes bounds the events that take a record's place: each has the record's time and
// metadata, which the bound of a reply does not count.
const maxSplitBytes = 64 << 20

var errSplitTooLarge = fmt.Errorf("it makes more than %d bytes of events", maxSplitBytes)

// reply makes f.event of an event and the guest's reply for its body, or of as many events as there
// are records in the reply, which it returns. Unless the cause is none, err may say more.
func (f *Filter) reply(event *chunk.Event, reply []byte) (records int, c cause, err error) {
	out, records, list, err := f.appendReply(event, reply, guest.MaxReplyDepth)
	if errors.Is(err, mp.ErrDepth) {
		// What came nested deeper than that may be returned as deep.
		out, records, list, err = f.appendReply(event, reply, max(guest.MaxReplyDepth, mp.Depth(event.Body)))
	}
	f.event = out
	switch {
	case err == errNotMap:
		return 0, replyNotMap, nil
	case err == errSplitTooLarge:
		return 0, causeOf(guest.ReplyTooLarge), err
	case errors.Is(err, mp.ErrDepth):
		return 0, replyTooDeep, err
	case err != nil:
		return 0, replyInvalid, err
	case list && !f.split:
		return 0, replySeveral, nil
	}
	return records, none, nil
}

var errNotMap = errors.New("it is not a map")

// appendReply appends an event for each record of the reply to f.event[:0]. list is set if the
// reply is not just one record: an array of them, or several JSON objects. These are several only if
// nothing but them stands there: guests that write no NUL at its end are followed by anything, such as
// the rest of an earlier reply, and then what follows the first object is none of the reply.
func (f *Filter) appendReply(event *chunk.Event, reply []byte, depth int) (out []byte, records int, list bool, err error) {
	out = f.event[:0]
	if f.msgpack {
		return appendMsgpackReply(out, event, reply, depth)
	}
	f.originals.Find(event.Body)
	rest := skipBlanks(reply)
	list = first(rest) == '['
	if list {
		rest = skipBlanks(rest[1:])
		if first(rest) == ']' {
			return out, 0, list, endOfList(rest[1:])
		}
	}
	firstEnd := 0
	for {
		if first(rest) != '{' {
			return out, 0, list, errNotMap
		}
		next, n, err := transcode.AppendMsgpackOf(chunk.AppendEvent(out, event.Header, nil), rest, depth, &f.originals)
		if err != nil && records > 0 && !list && !isWhole(err) {
			return out[:firstEnd], 1, list, nil
		}
		if err != nil {
			return out, 0, list, err
		}
		out = next
		if records++; records == 1 {
			firstEnd = len(out)
		}
		if records > 1 && len(out) > maxSplitBytes {
			return out, 0, list, errSplitTooLarge
		}
		rest = skipBlanks(rest[n:])
		switch {
		case list && first(rest) == ',':
			rest = skipBlanks(rest[1:])
		case list && first(rest) == ']':
			return out, records, list, endOfList(rest[1:])
		case list:
			return out, 0, list, errList
		case len(rest) == 0:
			return out, records, records > 1, nil
		case first(rest) != '{':
			return out[:firstEnd], 1, list, nil
		}
	}
}

// isWhole says of an error of package transcode that it is not for want of a JSON value.
func isWhole(err error) bool {
	var syntax *transcode.SyntaxError
	return !errors.Is(err, transcode.ErrTruncated) && !errors.As(err, &syntax)
}

func skipBlanks(s []byte) []byte { return bytes.TrimLeft(s, " \t\r\n") }

// first returns the first byte of s, 0 if there is none.
func first(s []byte) byte {
	if len(s) == 0 {
		return 0
	}
	return s[0]
}

func endOfList(rest []byte) error {
	if c := first(skipBlanks(rest)); c == '{' || c == '[' {
		return errList
	}
	return nil
}

var errList = errors.New("a record of a list must be followed by ',' or ']', and a list by nothing")

func appendMsgpackReply(out []byte, event *chunk.Event, reply []byte, depth int) (_ []byte, records int, list bool, err error) {
	n := uint64(1)
	if mp.KindOf(reply[0]) == mp.Array {
		list = true
		count, rest, err := mp.ReadArrayHeader(reply)
		if err != nil {
			return out, 0, list, err
		}
		n, reply = uint64(count), rest
	}
	for range n {
		if len(reply) == 0 {
			return out, 0, list, mp.ErrTruncated
		}
		if mp.KindOf(reply[0]) != mp.Map {
			return out, 0, list, errNotMap
		}
		rest, err := mp.Skip(reply, depth)
		if err != nil {
			return out, 0, list, err
		}
		out = chunk.AppendEvent(out, event.Header, reply[:len(reply)-len(rest)])
		reply = rest
		records++
		if records > 1 && len(out) > maxSplitBytes {
			return out, 0, list, errSplitTooLarge
		}
	}
	return out, records, list, nil
}

// keepMarker emits the marker of a group as it came, once that of the group before it has what was
// set of it, or has gone with its records.
func (f *Filter) keepMarker(data []byte, event *chunk.Event) error {
	at := f.lane.At()
	end := at + len(event.Raw)
	if event.Kind == chunk.GroupStart {
		if err := f.emitted(f.lane.CloseGroup(data)); err != nil {
			return err
		}
		f.lane.OpenGroup(end-len(event.Body), end)
	}
	if f.batch {
		f.lane.PassMarker(entry(at, event))
	}
	if event.Kind == chunk.GroupEnd {
		return f.emitted(f.lane.EndGroup(data, end))
	}
	return f.keep(data, event)
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
