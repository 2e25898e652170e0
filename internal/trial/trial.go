// Package trial runs filters without Fluent Bit around them: those of a configuration or of options
// alone, in their order, over chunks of events. It keeps what became of the events, what the log got,
// counts and metrics, for programs that try guests out, test and measure them.
package trial

import (
	"fmt"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
)

// Stage is a filter in its place in a pipeline.
type Stage struct {
	Spec
	Filter  *filter.Filter
	Elapsed time.Duration // in Run
}

// Pipeline is filters in their order. Like a filter.Filter it must not be used by two goroutines at
// once, and runs on a thread of guest.Go.
type Pipeline struct {
	Stages []*Stage
	lines  *[]Line // where lines of the log go, too; may be nil
}

// Start makes the filters. log takes what their log_level lets through, on the goroutine that calls
// Start, Run or Close. On an error no filter is left running.
func Start(specs []Spec, log func(Line)) (*Pipeline, error) {
	p := &Pipeline{}
	take := func(line Line) {
		if p.lines != nil {
			*p.lines = append(*p.lines, line)
		}
		log(line)
	}
	for _, sp := range specs {
		s := &Stage{Spec: sp}
		var err error
		if s.Filter, err = filter.New(sp.Options.Once(), sp.Log(take)); err != nil {
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
// the next Run. An error says that it can't be told whether a filter matches.
func (p *Pipeline) Run(tag string, chunk []byte) ([]byte, error) {
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
		if modified {
			chunk = out
		}
	}
	return chunk, nil
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
