package filter

import (
	"errors"
	"fmt"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// The filter's instance of the module: when it has to go, and the next one.

// giveUp gives the instance up if err, which Lane.TakeError has returned, says so. The last record
// has been answered.
func (f *Filter) giveUp(err error) {
	switch {
	case err == nil:
	case errors.Is(err, guest.ErrRecycle):
		f.recycle()
	default: // in free, after its answer
		f.logTrap(err, func() string { return fmt.Sprintf("free: %s; the instance is given up", worded(err)) }, ", in free")
		f.breaker.stopped(1)
		f.discard()
	}
}

// giveUpAfter does so after a record with no answer: a trap, a timeout, or no memory.
// report makes the line for the log.
func (f *Filter) giveUpAfter(outcome guest.Outcome, err error, report func(why string) string) {
	switch {
	case outcome == guest.NoMemory && errors.Is(err, guest.ErrRecycle):
		f.breaker.stopped(1)
		f.retire(&f.count.NoMemory)
		return
	case outcome == guest.NoMemory:
		f.giveUp(err)
		return
	default:
		f.logTrap(err, func() string {
			return report(fmt.Sprintf("function %s: %v; the instance is given up", hostlog.Name(f.config.Called()), worded(err)))
		}, "")
		f.stopAfter(outcome)
	}
	f.discard()
}

// stopAfter tells the breaker that the guest has stopped, and counts a timeout.
func (f *Filter) stopAfter(outcome guest.Outcome) {
	weight := 1
	if outcome == guest.TimedOut {
		weight = timeoutWeight
		f.count.TimedOut++
	}
	f.breaker.stopped(weight)
}

// worded says why a guest has stopped, and where.
func worded(err error) string {
	text := err.Error()
	if e := (*guest.TrapError)(nil); errors.As(err, &e) {
		if trace := e.Backtrace(); trace != "" {
			text += "; backtrace: " + trace
		}
	}
	return text
}

// logTrap logs why a guest has stopped. Each kind is a cause of its own: a guest that both traps
// and hangs has a line for either.
func (f *Filter) logTrap(err error, line func() string, where string) {
	kind := "trap"
	if e := (*guest.TrapError)(nil); errors.As(err, &e) {
		kind = e.Kind
	}
	f.log.Limited(hostlog.Error, kind+where, line)
}

// minBetweenRecycles is how many records an instance should last: one that has
// less gets more memory, so that replacing it never becomes all that is done.
const minBetweenRecycles = 1000

// recycle gives up an instance whose memory has grown.
func (f *Filter) recycle() {
	age := f.records() - f.born
	if age < minBetweenRecycles {
		f.config.RecycleMemoryBytes *= 2
		if f.config.RecycleMemoryBytes >= f.limit {
			f.config.RecycleMemoryBytes = 0
		}
		f.log.Always(hostlog.Warn, fmt.Sprintf(
			"recycle_memory is little for this module: it took %d records to grow past it, and now may have twice as much", age))
	}
	f.retire(&f.count.Recycled)
}

// retire has the instance hand over what it holds, and gives it up, which reason counts: unless it traps in that
// last tick, and is given up for that.
func (f *Filter) retire(reason *uint64) {
	f.handOver()
	if f.instance != nil {
		*reason++
		f.discard()
	}
}

// records is how many records, or payloads, the guest has been called for.
func (f *Filter) records() uint64 {
	return f.lane.Totals().Records + f.lane.Counts().Records + f.payloads
}

// discard gives the instance up; the next record gets another one.
func (f *Filter) discard() {
	f.count.GivenUp++
	f.closeInstance()
}

// closeInstance frees the instance, if there is one.
func (f *Filter) closeInstance() {
	if f.instance == nil {
		return
	}
	f.lane.Attach(nil)
	f.instance.Close()
	f.instance = nil
}

// noModule says once per back-off that there is none.
func (f *Filter) noModule() {
	if !f.silent {
		f.log.Limited(hostlog.Error, "no module", func() string {
			return fmt.Sprintf("there is still no module: %v; records follow on_error until its file changes", f.absent)
		})
	}
	f.breaker.stopped(1)
}

// replace makes another instance. If it can't, the log says why.
func (f *Filter) replace() bool {
	instance, err := f.module.NewInstance(f.config)
	if err != nil {
		f.log.Limited(hostlog.Error, "no instance", func() string {
			return fmt.Sprintf("the module can't be instantiated again: %v", err)
		})
		return false
	}
	f.instance, f.handedOver = instance, false
	f.lane.Attach(instance)
	f.born = f.records()
	return true
}
