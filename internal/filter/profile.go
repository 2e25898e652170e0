package filter

import (
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// Parts is what the time of a filter went into.
type Parts struct {
	Transcoding time.Duration // reading chunks, making records, making events of replies
	Crossing    time.Duration // into the guest and back, as measured with one that does nothing
	Guest       time.Duration // what is left
}

// Profiler runs chunks as a Filter does, with a clock before and after each call of
// the guest, to tell what its time goes into. A Filter itself does not look at a clock.
type Profiler struct {
	filter    *Filter
	module    *guest.Module // of the reference
	reference *guest.Instance
	lane      *guest.Lane // of the reference

	total time.Duration
}

// NewProfiler makes one with a guest of its own. log is as with New.
func NewProfiler(o options.Options, log func(hostlog.Level, string)) (*Profiler, error) {
	f, err := New(o, log)
	if err != nil {
		return nil, err
	}
	p := &Profiler{filter: f, lane: guest.NewLane()}
	if p.module, p.reference, err = f.module.NewReference(f.config); err != nil {
		p.lane.Close()
		f.Close()
		return nil, err
	}
	p.lane.Attach(p.reference)
	if f.batch {
		p.lane.SetBatch(batchLimits(o))
	}
	p.lane.SetTimed()
	f.lane.SetTimed()
	return p, nil
}

// Close frees the guests.
func (p *Profiler) Close() {
	p.lane.Close()
	p.reference.Close()
	p.module.Close()
	p.filter.Close()
}

// Parts returns what all runs took. None is negative.
func (p *Profiler) Parts() Parts {
	// With a guest that does nothing either, noise decides which took longer.
	calls := min(p.filter.lane.CallTime(), p.total)
	crossing := min(p.lane.CallTime(), calls)
	return Parts{Transcoding: p.total - calls, Crossing: crossing, Guest: calls - crossing}
}

// Run is Filter.Run, after which the reference has the chunk too.
func (p *Profiler) Run(tag, data []byte) {
	start := time.Now()
	p.filter.Run(tag, data)
	p.total += time.Since(start)
	p.filter.TakeRouted() // it goes nowhere

	p.lane.Begin(len(data))
	for p.lane.At() < len(data) {
		stop := p.lane.Run(tag, data, uint64(len(data)))
		if stop == guest.StopDone {
			break
		}
		if p.filter.batch && stop == guest.StopEvent {
			event, _, err := chunk.Next(data[p.lane.Gathered():])
			if err != nil || !p.lane.Gather(entry(p.lane.Gathered(), &event)) {
				break
			}
			continue
		}
		event, _, err := chunk.Next(data[p.lane.At():])
		if err != nil || !p.lane.Keep(data, p.lane.At()+len(event.Raw)) {
			break
		}
	}
	p.lane.Finish(true)
}
