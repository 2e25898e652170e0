// Package filter is the way of a chunk through a guest: a lane of package guest does
// what is ordinary, and this package all else. It decides what an error does to a
// record, counts it, and replaces guests.
package filter

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tables"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tagtemplate"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
)

// Filter is one filter instance. It must not be used by two goroutines at once,
// except for Stats.
type Filter struct {
	msgpack     bool
	onError     options.OnError
	routeTag    tagtemplate.Template // of on_error route
	markKey     string               // of the body; "": in the metadata
	logFailed   bool
	split       bool
	batchLimits guest.BatchLimits // if the guest has the batch ABI
	signal      options.Signal    // what it filters
	limit       int64             // memory_limit
	breaker     *breaker
	born        uint64 // what records was when the instance was new
	payloads    uint64 // that the guest has been called for
	active
	absent   error // why there is no module; nil: there is one
	state    *state.State
	lane     *guest.Lane
	log      *hostlog.Limiter
	workers  []*worker // further instances
	reload   *reloader // nil: there are none
	tables   *tables.Set
	logged   int     // lines about tables
	silent   bool    // about tables: another filter logs them
	share    float64 // of a chunk that is the filter's own, if there are workers
	reloads  reloads
	periodic *periodic // nil: no line is wanted

	ticks      atomic.Bool // what runs is to be called by Tick
	handedOver bool        // there is no instance, and no record has come since a final Tick

	mu    sync.Mutex
	total Stats // guarded by mu: of all finished chunks, but for what the lane counts
	shown shown // guarded by mu

	// What Run works with; kept so that a record needs no allocation.
	tag        []byte              // of the current chunk
	errorCodes []uint32            // of records that the guest has reported an error of
	earlier    []byte              // of a chunk that is shared, the part before the filter's own
	staged     []byte              // a record that the lane does not make itself
	event      []byte              // an event that takes another's place
	originals  transcode.Originals // of the record, what its JSON does not hold
	given      given               // what the guest has set of the record
	routeName  []byte              // the tag of a failed record that is routed
	count      Stats               // of the current chunk, but for what the lane counts
	ends       []int               // of the parts of a chunk
	shared     []byte              // what takes the place of a chunk that was split
}

// New makes the filter of an instance with these options, and starts its guest.
// log takes lines for Fluent Bit's log, without the instance's name; it is
// called on the goroutine that calls New, Run or Close.
func New(o options.Options, log func(hostlog.Level, string)) (*Filter, error) {
	f, err := newWhole(o, log)
	if err == nil && f.reload != nil {
		go f.reload.watch()
	}
	return f, err
}

// newWhole is New without the goroutine that looks at files.
func newWhole(o options.Options, log func(hostlog.Level, string)) (*Filter, error) {
	r := newReloader(o) // looks at the files before they are read
	shared := NewState(o)
	f, err := newFilter(o, shared, nil, log)
	if err != nil {
		shared.Close()
		return nil, err
	}
	for len(f.workers) < o.Workers-1 {
		w, err := newWorker(o, shared, f.absent)
		if IsStartError(err) && o.OnStartError == options.StartWithout && f.absent == nil {
			f.goWithout(err)
			continue
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		f.workers = append(f.workers, w)
	}
	f.introduce(o)
	f.share = 1 / float64(1+len(f.workers))
	f.periodic = newPeriodic(o, f.lane)
	f.setReady()
	if o.ReloadModule || f.absent != nil {
		r.attach(f)
	}
	return f, nil
}

// checkedLife is how long the code of a module that has been checked is kept: at a hot reload,
// for as long as the old pipeline needs to end.
const checkedLife = 2 * time.Minute

// Check says what would keep New from making a filter with these options that has a module, whatever
// on_start_error is. It starts a guest and ends it. The module's code and the tables are kept for a while,
// so that New need not compile and load them again.
func Check(o options.Options) error {
	o.OnStartError = options.FailStart
	shared := NewState(o)
	defer shared.Close()
	f, err := newFilter(o, shared, nil, func(hostlog.Level, string) {})
	if err != nil {
		return err
	}
	time.AfterFunc(checkedLife, hostlog.Guard("module", f.module.Share().Close))
	time.AfterFunc(checkedLife, hostlog.Guard("tables", f.tables.Share().Close))
	f.stop()
	return nil
}

// introduce logs what has been started.
func (f *Filter) introduce(o options.Options) {
	if f.absent != nil {
		f.log.Always(hostlog.Error, fmt.Sprintf("%v; there is no module until its file changes, and records follow on_error (on_start_error passthrough); plugin %s, %s",
			f.absent, version.Version, guest.EngineText()))
	} else {
		what := fmt.Sprintf("function %s, event_format %v", hostlog.Name(o.FunctionName), o.EventFormat)
		switch {
		case f.signal != options.Logs:
			what = f.signal.String()
		case f.batch:
			what = fmt.Sprintf("function %s, batches", hostlog.Name(o.FunctionName))
		}
		f.log.Always(hostlog.Info, fmt.Sprintf("module %s, %s; %s; plugin %s, %s",
			o.WasmPath, what, f.module.Summary(f.config), version.Version, guest.EngineText()))
	}
	for _, line := range f.tables.Describe() {
		f.log.Always(hostlog.Info, line)
	}
	for _, w := range o.Warnings {
		f.log.Always(hostlog.Warn, w)
	}
	if f.module != nil {
		for _, w := range f.module.Warnings(f.config) {
			f.log.Always(hostlog.Warn, w)
		}
	}
	f.logOutput()
}

// newFilter is New without a word in the log. It does not try to start a module if it is known why there
// is none.
func newFilter(o options.Options, shared *state.State, absent error, log func(hostlog.Level, string)) (*Filter, error) {
	limiter := hostlog.NewLimiter(log)
	set, err := tables.Open(Tables(o))
	if err != nil {
		return nil, err
	}
	config := Config(o, shared)
	config.Tables = set
	a := active{config: config}
	if absent == nil {
		source := Source(o)
		source.Warn = func(line string) { limiter.Always(hostlog.Warn, line) }
		a, absent = startModule(o, source, config)
	}
	if absent != nil && o.OnStartError == options.FailStart {
		set.Close()
		return nil, absent
	}
	if absent != nil {
		a.config = config
	}
	return assemble(o, shared, a, absent, set, limiter), nil
}

// assemble makes a filter of what has been started. It takes a and set.
func assemble(o options.Options, shared *state.State, a active, absent error, set *tables.Set, log *hostlog.Limiter) *Filter {
	f := &Filter{
		msgpack:     o.EventFormat == options.Msgpack,
		onError:     o.OnError,
		markKey:     o.MarkKey,
		logFailed:   o.LogFailed,
		split:       o.Split,
		batchLimits: batchLimits(o),
		signal:      o.Signal,
		limit:       o.MemoryLimitBytes,
		absent:      absent,
		state:       shared,
		tables:      set,
		logged:      set.Told(),
		log:         log,
		lane:        guest.NewLane(),
	}
	f.routeTag, _ = tagtemplate.Parse(o.RouteTag) // which has been checked
	f.breaker = newBreaker(o.BreakerFailures, o.BreakerBackoff, f.log.Always)
	f.use(a)
	if absent != nil {
		f.breaker.trip()
	}
	if a.module != nil {
		f.showModule(a.module.Identity(), true)
	}
	return f
}

// Source returns where the module of a filter with these options comes from.
func Source(o options.Options) guest.Source {
	s := guest.Source{
		Path:             o.WasmPath,
		SHA256:           o.WasmSHA256,
		StackBytes:       o.WasmStackBytes,
		AllowPrecompiled: o.AllowPrecompiled,
		CacheDir:         o.CacheDir,
	}
	for _, p := range o.AccessiblePaths {
		if p.Writable {
			s.Writable = append(s.Writable, p.Dir)
		}
	}
	return s
}

// NewState makes what the instances of a filter with these options share. The caller closes it.
func NewState(o options.Options) *state.State { return state.New(o.StoreLimitBytes, o.MetricsSeries) }

// Tables returns the configuration of the tables of a filter with these options.
func Tables(o options.Options) tables.Config {
	c := tables.Config{LimitBytes: o.TableLimitBytes, Interval: o.TableRefresh}
	for _, t := range o.Tables {
		c.Specs = append(c.Specs, tables.Spec{Name: t.Name, Path: t.Path, Column: t.Column})
	}
	return c
}

// Config returns the guest configuration for these options, without tables.
func Config(o options.Options, shared *state.State) guest.Config {
	c := guest.Config{
		State:              shared,
		Function:           o.FunctionName,
		Signal:             o.Signal,
		Init:               o.InitFunction,
		Allocator:          o.Allocator,
		Msgpack:            o.EventFormat == options.Msgpack,
		Env:                o.Env,
		LogLevel:           hostlog.Level(o.LogLevel),
		HeapBytes:          o.WasmHeapBytes,
		EmitTags:           o.EmitTags,
		NoTicks:            noTicks(o),
		Timeout:            o.Timeout,
		MemoryLimitBytes:   o.MemoryLimitBytes,
		RecycleMemoryBytes: o.RecycleMemoryBytes,
	}
	for _, p := range o.Config {
		c.Settings = append(c.Settings, guest.Setting{Key: p.Key, Value: p.Value})
	}
	for _, p := range o.AccessiblePaths {
		c.Dirs = append(c.Dirs, guest.Dir{Path: p.Dir, Writable: p.Writable})
	}
	return c
}

// Stats returns the counts of all finished chunks. It may be called from any
// goroutine, until Close.
func (f *Filter) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.total
	if f.lane != nil {
		s.addLane(f.lane.Totals())
	}
	for _, w := range f.workers {
		part := w.filter.Stats()
		part.Chunks, part.Corrupt = 0, 0 // counted already
		s.Add(part)
	}
	return s
}

// MemoryBytes returns the linear memory of the instances. One that has trapped has none.
func (f *Filter) MemoryBytes() (n uint64) {
	if f.instance != nil {
		n = f.instance.MemoryBytes()
	}
	for _, w := range f.workers {
		n += w.filter.MemoryBytes()
	}
	return n
}

// LogAll has the log say of each record by itself what went wrong with it, and all that the guest writes: for
// a user who looks at few records.
func (f *Filter) LogAll() { f.log.LogAll() }

// Lane is the flbwt_lane by which C may filter chunks without Run, while it is ready. If it can't
// go to a chunk's end, Run goes on with that chunk.
func (f *Filter) Lane() unsafe.Pointer { return f.lane.Pointer() }

// Close frees the guest and logs what has been counted.
func (f *Filter) Close() {
	release := f.state.Close
	if f.reload != nil {
		// Of the reloader's and Close's the last frees what both use.
		set, users := f.tables.Share(), atomic.Int32{}
		users.Store(2)
		release = func() {
			if users.Add(-1) == 0 {
				set.Close()
				f.state.Close()
			}
		}
		f.reload.end(release)
		if next := f.takeLines(); next != nil { // end has not come to it
			free(next.parts)
		}
	}
	f.periodic.end()
	for _, w := range f.workers {
		w.stop(f.log)
	}
	f.logTables()
	f.stop()
	f.logState()
	release()
	logStats(f.log, f.Stats())
}

func logStats(log *hostlog.Limiter, s Stats) {
	level := hostlog.Info
	if s.failedPayloads()+s.Failed+s.Corrupt+s.FailedTicks+s.Emission.Dropped+s.Emission.Looped > 0 {
		level = hostlog.Warn
	}
	log.Always(level, s.String())
}

// stop is Close without the last line.
func (f *Filter) stop() {
	f.active.close()
	f.tables.Close()
	if n := f.lane.DropJournal(); n > 0 {
		f.log.Always(hostlog.Error, fmt.Sprintf("%d events for other tags are lost: there was no memory to hand them over", n))
	}
	f.log.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total.addLane(f.lane.Totals())
	f.lane.Close()
	f.lane = nil
}

// Run filters one chunk of events with that tag, or goes on with the one that C has begun with by
// Lane. modified is false if the chunk is to stay as it is; else out, which may be empty, takes
// its place. out is valid until the next Run; nothing else of tag or data is kept.
func (f *Filter) Run(tag, data []byte) (out []byte, modified bool) {
	if !f.lane.InChunk() {
		f.shareHops()
		f.beforeChunk(tag, data)
	}
	if f.periodic.take() {
		defer f.logReport()
	}
	if len(f.workers) > 0 {
		defer f.joinRouted()
		return f.runShared(tag, data)
	}
	return f.runAlone(tag, data)
}

func (f *Filter) runAlone(tag, data []byte) (out []byte, modified bool) {
	finished := false
	defer func() {
		if !finished { // a panic: the next chunk is another one
			f.lane.Finish(true)
		}
	}()
	forget := f.process(tag, data) != nil
	finished = true
	return f.finish(forget)
}

// finish ends a chunk that process has gone through. If forget is set, the guest's changes are
// discarded: an unreadable chunk passes unmodified.
func (f *Filter) finish(forget bool) (out []byte, modified bool) {
	f.lane.Finish(forget)
	f.tag, f.earlier = nil, nil
	if forget {
		f.count = Stats{Corrupt: 1, GivenUp: f.count.GivenUp, Recycled: f.count.Recycled, TimedOut: f.count.TimedOut, NoMemory: f.count.NoMemory,
			Elsewhere: f.count.Elsewhere, Ticks: f.count.Ticks, FailedTicks: f.count.FailedTicks}
	}
	f.addCount()
	f.setReady()
	if forget || !f.lane.Changed() {
		return nil, false
	}
	return f.lane.Out(), true
}

// addCount adds what has been counted to the totals.
func (f *Filter) addCount() {
	f.mu.Lock()
	f.total.Add(f.count)
	f.mu.Unlock()
	f.count = Stats{}
}

func (f *Filter) setReady() {
	f.show()
	f.lane.SetReady(f.instance != nil && f.breaker.state() == closed && len(f.workers) == 0)
}

// process goes through a chunk. An error means that it can't be read, and has been logged.
func (f *Filter) process(tag, data []byte) error {
	f.count, f.tag = Stats{}, tag
	f.lane.Begin(len(data))
	for {
		var err error
		state := f.breaker.state()
		if state == open && f.rollBackInside(data) {
			continue
		}
		if why := f.unavailable(state, data); why != none {
			if err = f.passBy(data, why); err != nil {
				return err
			}
			continue
		}
		stop := f.lane.Run(tag, data, budget(state))
		f.reportAnswer(state)
		switch stop {
		case guest.StopDone:
			return f.emitted(f.lane.CloseGroup(data))
		case guest.StopBudget: // the breaker decides anew
		case guest.StopOutput:
			f.logOutput()
		case guest.StopEvent:
			err = f.handleUnusualEvent(tag, data, state)
		case guest.StopRecord:
			err = f.handleUndecidedRecord(data, state)
		case guest.StopBatch:
			err = f.handleFailedBatch(data, state)
		case guest.StopNoMemory:
			err = f.emitted(false)
		case guest.StopReplace:
			f.giveUp(f.lane.TakeError())
		}
		if err != nil {
			return err
		}
	}
}

// budget is how many records may go to the guest before the breaker is asked again.
func budget(state breakerState) uint64 {
	if state == trial {
		return 1
	}
	return math.MaxUint64
}

// unavailable says why the next event can't go to the guest, if there is one.
func (f *Filter) unavailable(state breakerState, data []byte) cause {
	switch {
	case f.lane.At() >= len(data) || f.lane.Emitting():
		return none
	case state == open && f.absent != nil:
		return noModule
	case state == open:
		return breakerOpen
	case f.absent != nil:
		f.noModule()
		return noModule
	case f.instance == nil && !f.replace():
		f.breaker.stopped(1)
		return notRun
	}
	return none
}

// reportAnswer tells the breaker of records that the lane has dealt with by itself.
func (f *Filter) reportAnswer(state breakerState) {
	if f.lane.Answered() {
		f.succeeded(state)
	}
}

// succeeded tells the breaker of a usable answer.
func (f *Filter) succeeded(state breakerState) {
	f.breaker.answered()
	f.breaker.success()
	if state == trial && f.breaker.state() != closed {
		f.breaker.close()
	}
}

// logTables logs what has happened to the tables.
func (f *Filter) logTables() {
	if f.silent {
		return
	}
	for _, l := range f.tables.Lines(&f.logged) {
		f.log.Always(l.Level, l.Text)
	}
}

// logOutput logs what the guest wrote to its standard streams, and what has happened to its tables.
func (f *Filter) logOutput() {
	if f.instance == nil || !f.instance.HasOutput() {
		return
	}
	stdout, stderr := f.instance.TakeOutput()
	f.log.GuestOutput(hostlog.Info, "guest stdout: ", stdout)
	f.log.GuestOutput(hostlog.Warn, "guest stderr: ", stderr)
	lines, lost := f.instance.TakeLog()
	for _, l := range lines {
		f.log.GuestOutput(l.Level, "guest: ", []byte(l.Text))
	}
	f.log.LeaveOut(lost)
	f.logNotices(f.instance.TakeNotices())
	f.instance.NoteTables()
	f.logTables()
}
