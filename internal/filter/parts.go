package filter

import (
	"slices"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// Parts is what the time of a filter went into.
type Parts struct {
	Transcoding time.Duration // reading chunks, staging records, making events of replies
	Crossing    time.Duration // into the guest and back, as measured with one that does nothing
	Guest       time.Duration // what is left
}

// Splitter runs chunks as a Filter does, step by step with a clock between the
// steps, to tell what its time goes into. A Filter itself looks at no clock.
type Splitter struct {
	filter    *Filter
	module    *guest.Module // of the reference
	reference *guest.Instance
	batch     guest.Batch // what the reference is given

	transcoding, called, crossing time.Duration
}

// NewSplitter makes one with a guest of its own. log is as with New.
func NewSplitter(o options.Options, log func(Level, string)) (*Splitter, error) {
	f, err := New(o, log)
	if err != nil {
		return nil, err
	}
	s := &Splitter{filter: f}
	if s.module, s.reference, err = f.module.NewReference(f.config); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// Close frees the guests.
func (s *Splitter) Close() {
	s.reference.Close()
	s.module.Close()
	s.batch.Close()
	s.filter.Close()
}

// Parts answers what all runs took. None is negative.
func (s *Splitter) Parts() Parts {
	// With a guest that does nothing either, noise decides which took longer.
	crossing := min(s.crossing, s.called)
	return Parts{Transcoding: s.transcoding, Crossing: crossing, Guest: s.called - crossing}
}

// Run is Filter.Run, less what it does about chunks that can't be read.
func (s *Splitter) Run(tag, data []byte) {
	f := s.filter
	start := time.Now()
	f.begin(data)
	for rest := data; len(rest) > 0; {
		next, err := f.stage(rest)
		if err != nil {
			break
		}
		rest = next
		if len(f.batch.In) >= batchBytes || len(f.items) >= batchRecords {
			start = s.flush(tag, start)
		}
	}
	s.flush(tag, start)
	f.chunk = nil
}

// flush is Filter.flush. start is when the batch was begun; the answer is when the
// next one is.
func (s *Splitter) flush(tag []byte, start time.Time) time.Time {
	f := s.filter
	staged := time.Now()
	f.run(tag)
	called := time.Now()
	for i := range f.items {
		f.emit(&f.items[i])
	}
	f.items = f.items[:0]
	s.transcoding += staged.Sub(start) + time.Since(called)
	s.called += called.Sub(staged)

	s.cross(tag)
	start = time.Now()
	f.batch.Reset()
	return start
}

// cross hands the reference guest what the guest was given, for as many replies.
func (s *Splitter) cross(tag []byte) {
	b := &s.batch
	b.Reset()
	b.In = s.filter.batch.In // borrowed, and only read
	b.Records = slices.Grow(b.Records, len(s.filter.batch.Records))
	for _, r := range s.filter.batch.Records {
		if !r.Outcome.Answered() {
			continue
		}
		r.Sec = 1
		if r.Outcome == guest.Drop {
			r.Sec = 0
		}
		b.Records = append(b.Records, r)
	}
	start := time.Now()
	for from := 0; from < len(b.Records); {
		from, _ = s.reference.Run(tag, b, from, len(b.Records))
	}
	s.crossing += time.Since(start)
	b.In = nil
}
