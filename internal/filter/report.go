package filter

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tables"
)

// Report is what a filter and its workers have done so far, and how they are now.
type Report struct {
	Stats
	Signal     options.Signal // what the filter filters
	Calls      uint64         // of the guest, for a record or a batch
	CallTimes  guest.Times    // of the guest's calls, of one in guest.SampleEvery
	ChunkTimes guest.Times    // of chunks, likewise

	Instances   uint64 // of the module, those of workers too
	MemoryBytes uint64 // of their linear memory
	Breakers    [numBreakerStates]uint64
	Openings    uint64 // of breakers

	Module   *guest.Identity  // nil: there is none
	Previous []guest.Identity // modules that ran before
	Loads    [guest.NumOrigins]uint64
	Reloads  [numReloadResults]uint64

	Store   *state.StoreStats // nil: there is none
	Counted *state.MetricsStats
	Tables  []tables.Loaded
	Hidden  uint64 // series of the guest that the endpoint of the host does not show; whoever writes there sets it
}

// ReloadResult is how a reload of the module has ended.
type ReloadResult int

// The results.
const (
	ReloadSuccess  ReloadResult = iota // the new version runs
	ReloadFailure                      // it can't be started: the one before goes on
	ReloadRollback                     // it has failed soon after: the one before is back
	numReloadResults
)

func (r ReloadResult) String() string {
	return [numReloadResults]string{"success", "failure", "rollback"}[r]
}

// shown is what Report tells of things that only the thread which runs the filter may look at.
type shown struct {
	until    time.Time // of the breaker
	openings uint64
	module   *guest.Identity
	previous []guest.Identity
	loads    [guest.NumOrigins]uint64
}

// maxPrevious is how many modules are known that ran before; of more, the first ones are forgotten.
const maxPrevious = 16

// show has Report tell of the breaker as it is now.
func (f *Filter) show() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shown.until, f.shown.openings = f.breaker.until, f.breaker.openings
}

// showModule has Report tell of another module. loaded: it has been loaded for the filter, and has not
// run before.
func (f *Filter) showModule(id guest.Identity, loaded bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.shown
	if s.module != nil && s.module.Hash == id.Hash {
		return // its configuration is another one
	}
	if s.module != nil {
		s.previous = slices.DeleteFunc(append(slices.Clone(s.previous), *s.module), func(p guest.Identity) bool {
			return slices.Equal(info(&p), info(&id))
		})
		s.previous = s.previous[max(0, len(s.previous)-maxPrevious):]
	}
	s.module = &id
	if loaded {
		s.loads[id.Origin]++
	}
}

// hideModule has Report tell that there is no module.
func (f *Filter) hideModule() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shown.module = nil
}

// reloads counts reloads by their results, on any goroutine.
type reloads [numReloadResults]atomic.Uint64

// CountReload counts a reload of the module. It may be called from any goroutine.
func (f *Filter) CountReload(r ReloadResult) { f.reloads[r].Add(1) }

// Report returns what there is to tell. It may be called from any goroutine, until Close, and waits for
// no chunk and no file.
func (f *Filter) Report() Report {
	r := Report{Stats: f.Stats(), Signal: f.signal, Tables: f.tables.Loaded()}
	for i := range f.reloads {
		r.Reloads[i] = f.reloads[i].Load()
	}
	if s := f.state; s.HasStore() {
		stats := s.StoreStats()
		r.Store = &stats
	}
	if s := f.state; s.HasMetrics() {
		stats := s.MetricsStats()
		r.Counted = &stats
	}
	f.mu.Lock()
	s := f.shown
	f.mu.Unlock()
	r.Module, r.Previous, r.Loads = s.module, s.previous, s.loads // which are replaced, not changed
	r.addPart(f)
	for _, w := range f.workers {
		r.addPart(w.filter)
	}
	return r
}

// addPart adds what the filter, or one of its workers, has by itself.
func (r *Report) addPart(f *Filter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lane == nil {
		return
	}
	calls, chunks := f.lane.Times()
	r.CallTimes.Add(calls)
	if !f.silent { // a worker has a part of a chunk
		r.ChunkTimes.Add(chunks)
	}
	totals := f.lane.Totals()
	r.Calls += totals.Calls
	if totals.MemoryBytes > 0 {
		r.Instances++
		r.MemoryBytes += totals.MemoryBytes
	}
	r.Breakers[stateAt(f.shown.until, f.breaker.now)]++
	r.Openings += f.shown.openings
}
