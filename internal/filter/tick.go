package filter

import (
	"fmt"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

// Ticks: guests that hold something back are called now and then, and before their instance ends.

// noTicks says why guests of a filter with these options are not called by flb_tick; "": they are.
func noTicks(o options.Options) string {
	switch {
	case o.IsOutput:
		return "an output has no ticks"
	case o.Signal != 0:
		return "a processor of metrics or traces has no ticks"
	case o.TickInterval == 0:
		return "tick_interval is 0"
	}
	return ""
}

// Ticks says whether Tick is wanted every tick_interval: the module that runs exports flb_tick. It may be called
// from any goroutine; a reload may change it.
func (f *Filter) Ticks() bool { return f.ticks.Load() }

// Tick calls flb_tick of each instance, unless its breaker is open. It must not be called inside of Run, nor
// while another goroutine runs the filter; what comes out is there for TakeRouted. If it is final, instances
// hand over all that they hold, and have ended: a record that comes all the same gets a new instance, which
// another final Tick ends.
func (f *Filter) Tick(final bool) {
	if !f.Ticks() {
		return
	}
	f.shareHops()
	for _, g := range f.all() {
		g.tickOnce(final)
		g.addCount()
		g.setReady()
	}
	f.joinRouted()
	for _, w := range f.workers {
		w.tellLines(f.log)
	}
}

func (f *Filter) tickOnce(final bool) {
	may := f.breaker.state() != open // a filter to which no records come is tried by its ticks
	// An instance that had to go has left what it held in the store, if anywhere.
	if f.instance == nil && may && f.absent == nil && !f.handedOver && !f.replace() {
		f.breaker.stopped(1)
	}
	if f.instance != nil && (may || final) {
		f.tick(final)
	}
	if final {
		f.closeInstance()
		f.handedOver = true
	}
}

// handOver has the instance, which is about to end, hand over what it holds. False: it holds nothing.
func (f *Filter) handOver() bool {
	if f.instance == nil || !f.Ticks() {
		return false
	}
	f.tick(true)
	return true
}

// tick calls flb_tick of the instance, which may be gone then, and emits what it has emitted.
func (f *Filter) tick(final bool) {
	emitted, outcome, err := f.instance.Tick(final)
	var events []byte
	var list []elsewhere
	if err == nil {
		events, list, err = f.emittedByTick(emitted)
	}
	f.logOutput()
	switch {
	case outcome == guest.Trapped || outcome == guest.TimedOut:
		f.logTrap(err, func() string { return fmt.Sprintf("flb_tick: %s; the instance is given up", worded(err)) }, ", in flb_tick")
		f.stopAfter(outcome)
		f.discard()
	case err != nil:
		f.log.Limited(hostlog.Error, "flb_tick", func() string { return fmt.Sprintf("flb_tick: %v", err) })
	}
	if err != nil {
		f.count.FailedTicks++
		return
	}
	f.count.Ticks++
	start := 0
	f.count.Elsewhere += uint64(len(list))
	for i, e := range list {
		if !f.lane.RouteTick(e.tag, events[start:e.end]) {
			f.lane.CountLost(len(list) - i)
			f.log.Limited(hostlog.Error, "no memory", func() string {
				return fmt.Sprintf("%d events for other tags are lost: there is no memory for what flb_tick has emitted", len(list)-i)
			})
			break
		}
		start = e.end
	}
	f.instance.TrimGiven(keepBytes)
}

// emittedByTick makes events of what a tick has emitted.
func (f *Filter) emittedByTick(emitted guest.Changes) (events []byte, list []elsewhere, err error) {
	f.given.trim()
	events, list = f.given.routed[:0], f.given.elsewhere[:0]
	defer func() { f.given.routed, f.given.elsewhere = events[:0], list[:0] }()
	now := time.Now()
	var none transcode.Originals
	for e, ok := emitted.Next(); ok; e, ok = emitted.Next() {
		sec, nsec := now.Unix(), uint32(now.Nanosecond())
		if e.HasTime {
			sec, nsec = int64(e.Sec), e.Nsec
		}
		events = mp.AppendArrayHeader(events, 2)
		events = mp.AppendArrayHeader(events, 2)
		events = mp.AppendTimestampExt(events, sec, nsec)
		if len(e.Metadata) == 0 {
			events = mp.AppendMapHeader(events, 0)
		} else if events, err = f.appendMap(events, e.Metadata, maxMetadataDepth, &none); err != nil {
			return events, list, fmt.Errorf("emit_to, metadata of record %d: %w", len(list)+1, err)
		}
		if events, err = f.appendMap(events, e.Body, guest.MaxReplyDepth, &none); err != nil {
			return events, list, fmt.Errorf("emit_to, record %d: %w", len(list)+1, err)
		}
		list = append(list, elsewhere{e.Tag, len(events)})
		if len(events) > maxSplitBytes {
			return events, list, errSplitTooLarge
		}
	}
	return events, list, nil
}
