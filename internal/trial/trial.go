// Package trial runs filters without Fluent Bit around them: those of a configuration or of options
// alone, in their order, over chunks of events. It keeps what became of the events, what the log got,
// counts and metrics, for programs that try guests out, test and measure them.
package trial

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// Stage is a filter in its place in a pipeline.
type Stage struct {
	Spec
	Filter  *filter.Filter
	Elapsed time.Duration // in Run
	Looped  uint64        // records that it would have emitted under another tag in a circle, and that have stayed in their chunk
	log     func(hostlog.Level, string)
	ended   bool // no chunk has come since its last tick, which was final
}

// Pipeline is filters in their order. Like a filter.Filter it must not be used by two goroutines at
// once, and runs on a thread of guest.Go.
type Pipeline struct {
	Stages []*Stage

	// Follow has what a filter emits under another tag go through the filters that match it, from the first one,
	// as in Fluent Bit. Else it is what comes out.
	Follow bool

	lines   *[]Line // where lines of the log go, too; may be nil
	emitted []Emitted
}

// Emitted are events, in the form of a chunk, that have come out under a tag that a filter has given them.
type Emitted struct {
	Tag    string
	Events []byte
}

// Start makes the filters. log takes what their log_level lets through, on the goroutine that calls
// Start, Run, Tick or Close. On an error no filter is left running.
func Start(specs []Spec, log func(Line)) (*Pipeline, error) {
	p := &Pipeline{}
	take := func(line Line) {
		if p.lines != nil {
			*p.lines = append(*p.lines, line)
		}
		log(line)
	}
	for _, sp := range specs {
		s := &Stage{Spec: sp, log: sp.Log(take)}
		var err error
		if s.Filter, err = filter.New(sp.Options.Once(), s.log); err != nil {
			p.Close()
			return nil, fmt.Errorf("filter %s: %w", sp.Name, err)
		}
		p.Stages = append(p.Stages, s)
	}
	return p, nil
}

// LogAll has the log say of each record by itself what goes wrong with it.
func (p *Pipeline) LogAll() {
	for _, s := range p.Stages {
		s.Filter.LogAll()
	}
}

// Run takes a chunk with that tag through the filters that match it. What it returns is valid until
// the next Run or Tick; what has been emitted under other tags is for TakeEmitted. An error says that it can't be
// told whether a filter matches.
func (p *Pipeline) Run(tag string, chunk []byte) ([]byte, error) { return p.run(tag, chunk, nil) }

// run is Run for a chunk that has come through the emitters of these filters.
func (p *Pipeline) run(tag string, chunk []byte, from []*Stage) ([]byte, error) {
	for _, s := range p.Stages {
		if len(chunk) == 0 {
			break
		}
		matches, err := s.Match(tag)
		if err != nil {
			return nil, fmt.Errorf("filter %s: %w", s.Name, err)
		}
		if !matches {
			continue
		}
		start := time.Now()
		out, modified := s.Filter.Run([]byte(tag), chunk)
		s.Elapsed += time.Since(start)
		s.ended = false
		if modified {
			chunk = out
		}
		if routed := s.Filter.TakeRouted(); len(routed) > 0 {
			// What follows may run this filter again.
			chunk = bytes.Clone(chunk)
			if slices.Contains(from, s) {
				chunk = s.keep(tag, chunk, routed)
			} else if err := p.deliver(s, routed, from); err != nil {
				return nil, err
			}
		}
	}
	return chunk, nil
}

// keep appends to a chunk what its filter would have emitted in a circle: the chunk has come from its emitter.
func (s *Stage) keep(tag string, chunk []byte, routed []filter.Routed) []byte {
	for _, r := range routed {
		if s.Looped == 0 {
			s.log(hostlog.Warn, fmt.Sprintf("records stay under the tag %q that they came with, and do not go on under %q: they have been through this filter before (Match has a tag that it emits)",
				tag, r.Tag))
		}
		s.Looped += uint64(recordsOf(r.Events))
		chunk = append(chunk, r.Events...)
	}
	return chunk
}

// deliver takes what a filter has emitted to where it goes.
func (p *Pipeline) deliver(s *Stage, routed []filter.Routed, from []*Stage) (err error) {
	for _, r := range routed {
		events := r.Events
		if p.Follow {
			if events, err = p.run(r.Tag, events, append(from[:len(from):len(from)], s)); err != nil {
				return err
			}
		}
		if len(events) > 0 {
			p.emitted = append(p.emitted, Emitted{r.Tag, bytes.Clone(events)})
		}
	}
	return nil
}

// TakeEmitted returns what has come out under tags of filters since it was called last, in the order in which it
// did. It has to be called after each Run and Tick.
func (p *Pipeline) TakeEmitted() []Emitted {
	list := p.emitted
	p.emitted = nil
	return list
}

// Ticks reports whether Tick does anything.
func (p *Pipeline) Ticks() bool {
	return slices.ContainsFunc(p.Stages, func(s *Stage) bool { return s.Filter.Ticks() })
}

// TickInterval is how often Tick is wanted: as often as the filter that wants it most.
func (p *Pipeline) TickInterval() (interval time.Duration) {
	for _, s := range p.Stages {
		if d := s.Options.TickInterval; s.Filter.Ticks() && (interval == 0 || d < interval) {
			interval = d
		}
	}
	return interval
}

// maxFinalTicks bounds how often filters hand over what they hold at the end to one another.
const maxFinalTicks = 8

// Tick has each filter that ticks do so. The final one, after the last chunk, has them hand over what they hold; one
// that another one hands something over to after that has another final tick.
func (p *Pipeline) Tick(final bool) error {
	for n := 0; ; n++ {
		done := true
		for _, s := range p.Stages {
			if !s.Filter.Ticks() || final && s.ended {
				continue
			}
			if n == maxFinalTicks {
				s.log(hostlog.Error, fmt.Sprintf("after %d final ticks filters still hand records over to one another: what this one holds is lost", n))
				continue
			}
			done = false
			s.Filter.Tick(final)
			s.ended = final
			if err := p.deliver(s, s.Filter.TakeRouted(), nil); err != nil {
				return err
			}
		}
		if done || !final {
			return nil
		}
	}
}

// recordsOf counts the records of a chunk.
func recordsOf(data []byte) (n int) {
	for len(data) > 0 {
		event, rest, err := chunk.Next(data)
		if err != nil {
			break
		}
		if event.Kind == chunk.Record {
			n++
		}
		data = rest
	}
	return n
}

// Stats are the counts of all filters together.
func (p *Pipeline) Stats() (total filter.Stats) {
	for _, s := range p.Stages {
		total.Add(s.Filter.Stats())
	}
	return total
}

// Close ends the filters, which log what they have counted.
func (p *Pipeline) Close() {
	for _, s := range p.Stages {
		s.Filter.Close()
	}
}
