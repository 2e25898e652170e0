package filter

import (
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// Parts is what the time of a filter went into.
type Parts struct {
	Transcoding time.Duration // reading chunks, making records, making events of replies
	Crossing    time.Duration // into the guest and back, as measured with one that does nothing
	Guest       time.Duration // what is left
}

// Splitter runs chunks as a Filter does, with a clock before and behind each call of
// the guest, to tell what its time goes into. A Filter itself looks at no clock.
type Splitter struct {
	filter    *Filter
	module    *guest.Module // of the reference
	reference *guest.Instance
	lane      *guest.Lane // of the reference

	total time.Duration
}

// NewSplitter makes one with a guest of its own. log is as with New.
func NewSplitter(o options.Options, log func(Level, string)) (*Splitter, error) {
	f, err := New(o, log)
	if err != nil {
		return nil, err
	}
	s := &Splitter{filter: f, lane: guest.NewLane()}
	if s.module, s.reference, err = f.module.NewReference(f.config); err != nil {
		s.lane.Close()
		f.Close()
		return nil, err
	}
	s.lane.Attach(s.reference)
	s.lane.SetTimed()
	f.lane.SetTimed()
	return s, nil
}

// Close frees the guests.
func (s *Splitter) Close() {
	s.lane.Close()
	s.reference.Close()
	s.module.Close()
	s.filter.Close()
}

// Parts answers what all runs took. None is negative.
func (s *Splitter) Parts() Parts {
	// With a guest that does nothing either, noise decides which took longer.
	calls := min(s.filter.lane.CallTime(), s.total)
	crossing := min(s.lane.CallTime(), calls)
	return Parts{Transcoding: s.total - calls, Crossing: crossing, Guest: calls - crossing}
}

// Run is Filter.Run, after which the reference has the chunk too.
func (s *Splitter) Run(tag, data []byte) {
	start := time.Now()
	s.filter.Run(tag, data)
	s.total += time.Since(start)

	s.lane.Begin(len(data))
	for s.lane.At() < len(data) {
		if s.lane.Run(tag, data, uint64(len(data))) == guest.StopDone {
			break
		}
		event, _, err := chunk.Next(data[s.lane.At():])
		if err != nil || !s.lane.Keep(data, s.lane.At()+len(event.Raw)) {
			break
		}
	}
	s.lane.Finish(true)
}
