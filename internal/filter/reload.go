package filter

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filewatch"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// trialTime is how long the version before stays at hand, for the case that the new one fails.
const trialTime = time.Minute

// reloader has another version of a filter's module or configuration take over while chunks go through
// the filter. All that takes time is done on other threads than theirs: loading, instances for the filter
// and its workers, trying them. What has been made waits in next for the thread that runs the filter, which
// takes it between two chunks, as it does with what is to be logged.
type reloader struct {
	filter  *Filter
	options options.Options
	now     func() time.Time
	compile func(func()) error // runs a function on a thread of low priority
	try     func(func()) error // and on one on which guests may run

	// Of the goroutine that looks, but while busy is set of the thread that prepares a version.
	files [2]watched
	busy  atomic.Bool // a version is being prepared
	stop  chan struct{}
	done  chan struct{}
	ended chan struct{} // closed when nothing of the filter is used any more

	making sync.Mutex  // held while instances are made and tried, which use what Close frees
	closed atomic.Bool // mu is held while it is set

	mu       sync.Mutex
	running  *edition  // guarded by mu, as all that follows; nil: there is no module
	next     *edition  // what is to run; nil: what runs
	previous *edition  // what ran before, and comes back if running fails before until
	until    time.Time // the end of running's trial
	banned   *content  // what has been taken back last
	retired  []active  // to be freed
	lines    []line    // for the log
	heads    heads
	sample   bool      // the next chunk is to be one
	sampled  time.Time // when the last one was

	onTrial bool // of the thread that runs the filter: previous may be there
}

// watched is a file that a version is made of.
type watched struct {
	option, path string // "": there is none
	watch        filewatch.Watch
	found        filewatch.ID // at the last look
	missing      int          // looks since it was there
}

// content tells one version from another.
type content struct {
	module string // hash of the file
	config string
}

// edition is one version, for the filter and each of its workers.
type edition struct {
	content content
	options options.Options
	module  *guest.Module // of parts
	parts   []active      // while it does not run
}

func newReloader(o options.Options) *reloader {
	r := &reloader{
		options: o, now: time.Now, compile: guest.GoSlowly, try: guest.Go,
		files: [2]watched{{option: "wasm_path", path: o.WasmPath}, {option: "config_file", path: o.ConfigFile}},
		stop:  make(chan struct{}), done: make(chan struct{}), ended: make(chan struct{}),
	}
	// The module is not read yet. config_file is: what it holds may have changed since, which is found
	// out as if it had.
	if id, err := filewatch.Stat(o.WasmPath); err == nil {
		r.files[0].watch.Take(id)
	}
	return r
}

// attach has f reload. watch has to follow.
func (r *reloader) attach(f *Filter) {
	r.filter, f.reload = f, r
	if f.module != nil {
		r.running = &edition{content: contentOf(f.module, r.options), options: r.options, module: f.module}
	} else if id, err := filewatch.Stat(r.options.ConfigFile); err == nil {
		r.files[1].watch.Take(id) // it is not tried again before something changes
	}
}

func contentOf(m *guest.Module, o options.Options) content {
	return content{m.Hash(), fmt.Sprintf("%q", o.Config)}
}

// watch looks at the files until end.
func (r *reloader) watch() {
	defer close(r.done)
	ticker := time.NewTicker(cmp.Or(r.options.ReloadInterval, time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
			r.look()
		}
	}
}

// endWait bounds how long Close waits for a version that is being started or tried, and for a look at files.
var endWait = 2 * time.Second

// end ends all that the reloader does with the filter, and calls release when it uses nothing of it any more:
// after endWait the caller goes on without. A module that is being compiled is not waited for.
func (r *reloader) end(release func()) {
	close(r.stop)
	r.mu.Lock()
	r.closed.Store(true)
	r.mu.Unlock()
	go func() {
		defer close(r.ended)
		defer hostlog.Recover(func(string) {}, "reload", nil)
		<-r.done
		r.making.Lock()
		defer r.making.Unlock()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.retire(&r.next)
		r.retire(&r.previous)
		free(r.retired)
		r.retired = nil
		release()
	}()
	select {
	case <-r.ended:
	case <-time.After(endWait):
	}
}

// retire has an edition be freed, if there is one. mu is locked.
func (r *reloader) retire(e **edition) {
	if *e != nil {
		r.retired = append(r.retired, (*e).parts...)
		*e = nil
	}
}

func free(parts []active) {
	for i := range parts {
		parts[i].close()
	}
}

// look does what there is to do now and then: it frees what has been replaced, asks for a sample, and
// prepares a version if files have changed.
func (r *reloader) look() {
	defer hostlog.Recover(func(text string) { r.tell(hostlog.Error, text) }, "reload", nil)
	r.mu.Lock()
	if r.previous != nil && !r.now().Before(r.until) {
		r.retire(&r.previous)
	}
	old := r.retired
	r.retired = nil
	if !r.closed.Load() && r.options.ReloadModule && r.options.ReloadProbe > 0 && r.filter.signal == options.Logs && r.now().Sub(r.sampled) >= sampleInterval {
		r.sample = true
		r.notify()
	}
	r.mu.Unlock()
	free(old)
	if !r.busy.Load() && r.wanted() && r.changed() {
		r.busy.Store(true)
		if err := r.compile(r.prepare); err != nil {
			r.busy.Store(false)
			r.refuse(fmt.Errorf("no thread can be started: %w", err))
		}
	}
}

// wanted says whether there is something to look for: without reload_module, only until there is a module.
func (r *reloader) wanted() bool { return r.options.ReloadModule || r.target() == content{} }

// target is what runs, or is to run.
func (r *reloader) target() content {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.next != nil:
		return r.next.content
	case r.running != nil:
		return r.running.content
	default:
		return content{}
	}
}

// changed looks at the files.
func (r *reloader) changed() (due bool) {
	for i := range r.files {
		f := &r.files[i]
		if f.path == "" {
			continue
		}
		found, err := filewatch.Stat(f.path)
		if err == nil {
			f.missing, f.found = 0, found
			due = f.watch.Due(found) || due
			continue
		}
		// For a moment there may be no file while it is replaced.
		if f.missing++; f.missing == 2 && r.options.ReloadModule {
			r.tell(hostlog.Warn, fmt.Sprintf("option %s: %v: what has been loaded goes on", f.option, reason(err)))
		}
	}
	return due
}

// reason is an error of the file system without the system call.
func reason(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return fmt.Errorf("%s: %w", hostlog.Printable(e.Path, hostlog.MaxTextBytes), e.Err)
	}
	return err
}

// notify has the thread that runs the filter look here before its next chunk. mu is locked, and the filter
// is not closed.
func (r *reloader) notify() {
	r.filter.lane.Want()
}

// maxWaitingLines bounds the lines that wait for a chunk: the last ones.
const maxWaitingLines = 100

// tell logs a line with the next chunk.
func (r *reloader) tell(level hostlog.Level, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) == maxWaitingLines { // no chunk has come for long
		r.lines = append(r.lines[:0], r.lines[1:]...)
	}
	r.lines = append(r.lines, line{level, text})
	if !r.closed.Load() {
		r.notify()
	}
}

// refuse says why the files as they are now do not take over.
func (r *reloader) refuse(err error) {
	for i := range r.files {
		r.files[i].watch.Refuse(r.files[i].found)
	}
	r.filter.CountReload(ReloadFailure)
	goes := "there is still no module"
	if target := r.target(); target != (content{}) {
		goes = fmt.Sprintf("version %.16s goes on", target.module)
	}
	r.tell(hostlog.Error, fmt.Sprintf("reload refused: %v; %s", err, goes))
}

// refusePanic takes the lines about a panic, of which the first says what it was.
func (r *reloader) refusePanic() func(text string) {
	first := true
	return func(text string) {
		if first {
			r.refuse(errors.New(text))
		} else {
			r.tell(hostlog.Error, text)
		}
		first = false
	}
}

// prepare loads what the files hold, and hands it on if it is to take over. It runs on a thread of low priority, for
// this may take long.
func (r *reloader) prepare() {
	handedOn := false
	defer func() {
		if !handedOn {
			r.busy.Store(false)
		}
	}()
	defer hostlog.Recover(r.refusePanic(), "reload", nil)
	o, module, err := r.load()
	if err != nil {
		r.refuse(err)
		return
	}
	c := contentOf(module, o)
	wanted, err := r.isWanted(o, c)
	if !wanted {
		module.Close()
		if err != nil {
			r.refuse(err)
		}
		return
	}
	handedOn = true
	if err := r.handOn(o, module, c); err != nil {
		handedOn = false
		module.Close()
		r.refuse(fmt.Errorf("no thread can be started: %w", err))
	}
}

// load reads the files. The module is the caller's to close.
func (r *reloader) load() (options.Options, *guest.Module, error) {
	o, err := r.options.WithConfigFile()
	if err != nil {
		return o, nil, err
	}
	source := Source(o)
	source.Background = true
	source.Warn = func(text string) { r.tell(hostlog.Warn, text) }
	module, err := guest.Load(source)
	if err != nil {
		return o, nil, fmt.Errorf("option wasm_path: %w", err)
	}
	return o, module, nil
}

// isWanted says whether what the files hold is to take over. If it runs already, or is about to, the files need nothing
// more to be done; the error says that it has been taken back.
func (r *reloader) isWanted(o options.Options, c content) (wanted bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	runs := r.running != nil && r.running.content == c
	if runs {
		r.banned = nil // the file has been put back: what was taken back may come again
	}
	switch {
	case r.banned != nil && *r.banned == c:
		return false, fmt.Errorf("module %s: version %.16s has been taken back before", o.WasmPath, c.module)
	case r.next != nil && r.next.content == c:
		r.take()
		return false, nil
	case runs:
		r.take()
		r.retire(&r.next) // what waits for a chunk is no longer wanted
		return false, nil
	}
	return true, nil
}

// handOn has another thread make the version of a module, which it takes. The error says that there is no thread: then
// the module is still the caller's.
func (r *reloader) handOn(o options.Options, module *guest.Module, c content) error {
	started := make(chan error, 1)
	// The thread is started from one that has not the lowest priority, which it would inherit.
	go func() {
		err := errors.New("a panic")
		defer func() { started <- err }()
		defer hostlog.Recover(func(text string) { r.tell(hostlog.Error, text) }, "reload", nil)
		err = r.try(func() {
			defer r.busy.Store(false)
			defer hostlog.Recover(r.refusePanic(), "reload", nil)
			defer module.Close()
			r.make(o, module, c)
		})
	}()
	return <-started
}

// take says that the files as they were found need nothing more to be done.
func (r *reloader) take() {
	for i := range r.files {
		r.files[i].watch.Take(r.files[i].found)
	}
}

// make makes a candidate, tries it, and leaves it for the thread that runs the filter.
func (r *reloader) make(o options.Options, module *guest.Module, c content) {
	r.making.Lock()
	defer r.making.Unlock()
	if r.closed.Load() {
		return
	}
	// First where it can do no harm: its instances have the filter's store and metrics.
	if err := r.probe(o, module); err != nil {
		r.refuse(err)
		return
	}
	next := &edition{content: c, options: o, module: module}
	if err := r.instances(o, module, next); err != nil {
		free(next.parts)
		r.refuse(err)
		return
	}
	r.take()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		free(next.parts)
		return
	}
	r.retire(&r.next) // no chunk has come since
	r.next = next
	r.notify()
}

// instances starts one for the filter and each worker.
func (r *reloader) instances(o options.Options, module *guest.Module, next *edition) error {
	config := Config(o, r.filter.state)
	config.Tables = r.filter.tables
	for range 1 + len(r.filter.workers) {
		if r.closed.Load() {
			return errors.New("the filter ends")
		}
		a, err := instantiate(o, module.Share(), config)
		if err != nil {
			module.Close()
			return err
		}
		next.parts = append(next.parts, a)
	}
	return nil
}

// What follows runs on the thread that runs the filter.

// all is the filter and its workers'.
func (f *Filter) all() []*Filter {
	list := []*Filter{f}
	for _, w := range f.workers {
		list = append(list, w.filter)
	}
	return list
}

// beforeChunk has a version take over that is ready, or go back to the one before, and logs what there is to
// log.
func (f *Filter) beforeChunk(tag, data []byte) {
	r, wanted := f.reload, f.lane.TakeWant()
	if r != nil && r.onTrial && f.anyOpen() {
		f.rollBack()
		f.addCounts()
	}
	if r == nil || !wanted {
		return
	}
	next := f.takeLines()
	if next != nil {
		f.takeOver(next)
		f.addCounts()
	}
	r.mu.Lock()
	if r.sample && f.signal == options.Logs {
		r.sample, r.sampled = false, r.now()
		r.heads.add(tag, data, r.options.ReloadProbe)
	}
	r.mu.Unlock()
}

// takeLines logs what the reloader has to say, and returns the version that is to take over.
func (f *Filter) takeLines() (next *edition) {
	r := f.reload
	r.mu.Lock()
	var lines []line
	lines, r.lines = r.lines, nil
	next, r.next = r.next, nil
	r.mu.Unlock()
	for _, l := range lines {
		f.log.Always(l.level, l.text)
	}
	return next
}

// swap has the filter and its workers go on with other parts, and returns those that ran. Instances that hold
// something hand it over, and have ended then.
func (f *Filter) swap(parts []active) (old []active) {
	for i, g := range f.all() {
		if g.handOver() {
			g.closeInstance()
		}
		old = append(old, g.active)
		g.use(parts[i])
		g.absent = nil
	}
	return old
}

func (f *Filter) takeOver(next *edition) {
	r := f.reload
	failing := f.anyOpen() // or there is no module: that is not worth to come back
	r.mu.Lock()
	old := r.running
	parts := f.swap(next.parts)
	next.parts = nil
	r.running, r.banned = next, nil
	r.retire(&r.previous)
	r.onTrial = !failing
	if r.onTrial {
		old.parts = parts
		r.previous, r.until = old, r.now().Add(trialTime)
	} else {
		r.retired = append(r.retired, parts...)
	}
	r.mu.Unlock()
	f.CountReload(ReloadSuccess)
	f.showModule(next.module.Identity(), true)
	what := ""
	switch {
	case old == nil:
	case old.content.module == next.content.module:
		what = " with another configuration"
	default:
		what = fmt.Sprintf(" in the place of version %.16s", old.content.module)
	}
	f.log.Always(hostlog.Info, fmt.Sprintf("reloaded: module %s, version %.16s%s; %s",
		r.options.WasmPath, next.content.module, what, f.module.Summary(f.config)))
	for _, w := range f.module.Warnings(f.config) {
		f.log.Always(hostlog.Warn, w)
	}
}

// addCounts adds what has been counted outside of a chunk.
func (f *Filter) addCounts() {
	for _, g := range f.all() {
		g.addCount()
	}
}

func (f *Filter) anyOpen() bool {
	for _, g := range f.all() {
		if g.breaker.state() != closed {
			return true
		}
	}
	return false
}

// rollBack goes back to the version before, if the trial of what runs is not over.
func (f *Filter) rollBack() bool {
	r := f.reload
	r.onTrial = false
	r.mu.Lock()
	failed, previous, left := r.running, r.previous, r.until.Sub(r.now())
	if previous == nil || left <= 0 {
		r.mu.Unlock()
		return false
	}
	r.retired = append(r.retired, f.swap(previous.parts)...)
	previous.parts = nil
	r.running, r.previous = previous, nil
	r.banned = &failed.content
	r.mu.Unlock()
	f.CountReload(ReloadRollback)
	f.showModule(previous.module.Identity(), false)
	f.log.Always(hostlog.Error, fmt.Sprintf("taken back: module %s, version %.16s keeps failing %v after it took over; version %.16s goes on until the file changes",
		r.options.WasmPath, failed.content.module, (trialTime-left).Round(time.Millisecond), previous.content.module))
	return true
}

// rollBackInside is rollBack in the middle of a chunk: of one that is not shared, if both versions are called
// for records alike.
func (f *Filter) rollBackInside(data []byte) bool {
	if f.reload == nil || !f.reload.onTrial || len(f.workers) > 0 || f.lane.At() >= len(data) || f.lane.Emitting() {
		return false
	}
	f.reload.mu.Lock()
	alike := f.reload.previous != nil && f.reload.previous.parts[0].batch == f.batch
	f.reload.mu.Unlock()
	return alike && f.rollBack()
}
