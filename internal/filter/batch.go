package filter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// What is not ordinary with a guest of the batch ABI.

// batchLimits are those of a filter with these options.
func batchLimits(o options.Options) guest.BatchLimits {
	return guest.BatchLimits{Records: uint32(max(1, o.BatchRecords)), Bytes: uint64(o.BatchBytes), Drop: o.OnError == options.Drop || o.OnError == options.Route}
}

// entry says what the lane has to know of an event at that place of the chunk.
func entry(at int, event *chunk.Event) guest.Entry {
	time, metadata := event.Parts()
	e := guest.Entry{At: at, Next: at + len(event.Raw), Sec: event.Sec, Nsec: event.Nsec}
	e.Body = e.Next - len(event.Body)
	e.Meta = e.Body - len(metadata)
	e.Time = e.Meta - len(time)
	switch {
	case event.Kind == chunk.GroupStart:
		e.Kind = guest.EntryGroupStart
	case event.Kind == chunk.GroupEnd:
		e.Kind = guest.EntryGroupEnd
	case unusable(event) != none:
		e.Kind = guest.EntryUnusable
	}
	return e
}

// unusable says why a record can't be given to a guest as it is.
func unusable(event *chunk.Event) cause {
	switch {
	case !event.BodyIsMap():
		return recordNotMap
	case len(event.Raw) > guest.MaxRecordBytes:
		return recordTooLarge
	}
	return none
}

// gatherUnusualEvent adds an event to the batch that the lane does not know how to read.
func (f *Filter) gatherUnusualEvent(data []byte) error {
	at := f.lane.Gathered()
	event, err := f.nextAt(data, at)
	if err != nil {
		return err
	}
	return f.emitted(f.lane.Gather(entry(at, &event)))
}

// handleFailedBatch decides what becomes of a batch whose call has failed: it is tried again in halves,
// or its records fail.
func (f *Filter) handleFailedBatch(data []byte, state breakerState) error {
	outcome, err := f.lane.Outcome(), f.lane.TakeError()
	n := f.lane.BatchRecords()
	// What the module has had no room for, it has not seen.
	noRoom := !f.lane.BatchSeen() && (outcome == guest.BadBuffer || outcome == guest.NoMemory)
	again := n > 1 && state == closed && (noRoom || f.retryBatch)
	if again {
		f.log.Limited(hostlog.Warn, "batch again", func() string {
			return fmt.Sprintf("a batch of %d records failed, and is run again in halves: %s", n, outcome)
		})
	}
	stopped := outcome == guest.Trapped || outcome == guest.TimedOut
	if n == 0 && !stopped {
		f.log.Limited(hostlog.Error, "groups alone", func() string { return f.reportBatch(data, f.whyFailed(outcome)) })
	}
	switch {
	case stopped || outcome == guest.NoMemory:
		f.giveUpBatch(data, outcome, err, !again)
	case again:
		f.giveUp(err)
	default:
		f.breaker.answered()
		f.breaker.bad()
		f.giveUp(err)
	}
	if again {
		f.lane.HalveBatch()
	} else {
		f.lane.FailBatch()
	}
	return nil
}

// giveUpBatch gives the instance up after a batch with no answer. counts: the breaker is to know.
func (f *Filter) giveUpBatch(data []byte, outcome guest.Outcome, err error, counts bool) {
	if counts {
		f.giveUpAfter(outcome, err, func(why string) string { return f.reportBatch(data, why) })
		return
	}
	if outcome != guest.NoMemory {
		f.logTrap(err, func() string {
			return fmt.Sprintf("function %s: %s; the instance is given up", hostlog.Name(f.config.Function), worded(err))
		}, ", in a batch that is run again")
	}
	switch outcome {
	case guest.NoMemory:
		f.retire(&f.count.NoMemory)
		return
	case guest.TimedOut:
		f.count.TimedOut++
	}
	f.discard()
}

// whyFailed words the outcome of a batch.
func (f *Filter) whyFailed(outcome guest.Outcome) string {
	if outcome == guest.BadReply {
		return fmt.Sprintf("%s: %s", outcome, f.lane.Why())
	}
	return outcome.String()
}

// reportBatch is the line for a batch that failed: that of its first record, if it has any.
func (f *Filter) reportBatch(data []byte, why string) string {
	for rest := data[f.lane.At():]; f.lane.BatchRecords() > 0 && len(rest) > 0; {
		event, after, err := chunk.Next(rest)
		if err != nil {
			break
		}
		if event.Kind == chunk.Record {
			return f.report(data, &event, why)
		}
		rest = after
	}
	fate := "pass through unchanged"
	switch f.onError {
	case options.Drop:
		fate = "dropped (on_error drop)"
	case options.Route:
		fate = "dropped (on_error route)"
	}
	return fmt.Sprintf("groups without records, %d of a chunk (tag %s), %s: %s", f.lane.BatchGroups(), hostlog.Name(string(f.tag)), fate, why)
}

// handleBatchRecord emits the record at which the lane has stopped while it emits a batch.
func (f *Filter) handleBatchRecord(data []byte) error {
	event, err := f.next(data)
	if err != nil {
		return err
	}
	outcome := f.lane.Outcome()
	if event.Kind == chunk.GroupStart { // its records, if it has any, fail by themselves
		code, text := f.lane.Verdict()
		f.log.Limited(hostlog.Error, "group"+f.errorKind(code), func() string {
			return fmt.Sprintf("the group before record %d of a chunk (tag %s) fails: %s: %s", f.number(data), hostlog.Name(string(f.tag)), causeOf(outcome), errorOfGuest(code, text))
		})
		return nil
	}
	switch outcome {
	case guest.NotRun:
		f.count.Records++
		return f.fail(data, &event, unusable(&event), nil)
	case guest.Error:
		code, text := f.lane.Verdict()
		f.count.addErrors(code, 1)
		return f.failBy(data, &event, causeOf(outcome), f.errorKind(code), errorOfGuest(code, text))
	case guest.Breach, guest.TooMuch:
		f.breaker.answered()
		f.breaker.bad()
		return f.fail(data, &event, causeOf(outcome), errors.New(f.lane.Why()))
	case guest.BadReply:
		return f.fail(data, &event, causeOf(outcome), errors.New(f.lane.Why()))
	default:
		return f.fail(data, &event, causeOf(outcome), nil)
	}
}

// errorKind tells errors of a guest apart by their codes: the first maxErrorCodes of them.
func (f *Filter) errorKind(code uint32) string {
	if !slices.Contains(f.errorCodes, code) {
		if len(f.errorCodes) == maxErrorCodes {
			return " of another code"
		}
		f.errorCodes = append(f.errorCodes, code)
	}
	return fmt.Sprintf(" of code %d", code)
}

// errorOfGuest words what a guest says of a record.
func errorOfGuest(code uint32, text string) error {
	if text == "" {
		return fmt.Errorf("code %d", code)
	}
	return fmt.Errorf("code %d: %s", code, hostlog.Quote(text, hostlog.MaxTextBytes))
}
