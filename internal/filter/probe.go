package filter

import (
	"fmt"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

const (
	// sampleInterval is how often the head of a chunk is kept: Go has that chunk, and a copy is made.
	sampleInterval = time.Second

	// maxSampleBytes bounds the records that are kept to try a version with.
	maxSampleBytes = 1 << 20

	// probeTimeout bounds what a guest may take for one of them, if timeout does not.
	probeTimeout = 5 * time.Second

	// probeFailures in a row are enough: the records that are left count as failed.
	probeFailures = 4 * timeoutWeight
)

// head is the first records of a chunk.
type head struct {
	tag, data []byte
	records   int
}

// heads are those of the last chunks of which one was taken.
type heads struct {
	list           []head
	records, bytes int
}

// add takes the head of a chunk, up to so many records, and lets go of the oldest heads that are not needed
// to have as many.
func (s *heads) add(tag, data []byte, records int) {
	n, end := 0, 0
	for rest := data; len(rest) > 0 && n < records; {
		event, after, err := chunk.Next(rest)
		if err != nil || len(data)-len(after) > maxSampleBytes {
			break
		}
		if event.Kind == chunk.Record {
			n++
		}
		rest = after
		end = len(data) - len(rest)
	}
	if n == 0 {
		return
	}
	var room head
	for len(s.list) > 0 && (s.records-s.list[0].records+n >= records || s.bytes+end > maxSampleBytes) {
		room = s.list[0]
		s.records -= room.records
		s.bytes -= len(room.data)
		s.list = append(s.list[:0], s.list[1:]...)
	}
	if cap(room.data) > 2*end {
		room.data = nil // else each has as much as its largest head has needed
	}
	s.list = append(s.list, head{append(room.tag[:0], tag...), append(room.data[:0], data[:end]...), n})
	s.records += n
	s.bytes += end
}

// copy returns heads that further calls of add don't change.
func (s *heads) copy() []head {
	list := make([]head, len(s.list))
	for i, one := range s.list {
		list[i] = head{append([]byte(nil), one.tag...), append([]byte(nil), one.data...), one.records}
	}
	return list
}

// probe starts the module and runs the heads through it, and says why it should not take over: it can't be
// started, or fails on more of them than the module that runs now. Both have instances for that alone, with a store and metrics that are thrown
// away, so that nothing is counted twice, and may write nowhere.
func (r *reloader) probe(o options.Options, module *guest.Module) error {
	r.mu.Lock()
	list, running := r.heads.copy(), r.running
	if running == nil || r.options.ReloadProbe == 0 {
		r.mu.Unlock()
		return nil
	}
	old := running.module.Share() // its own is given up when it is replaced
	r.mu.Unlock()
	defer old.Close()
	was, err := r.judge(running.options, old, list)
	if err != nil {
		return nil // it can't be started either
	}
	is, err := r.judge(o, module, list)
	switch {
	case err != nil:
		return err
	case is.failed > was.failed:
		return fmt.Errorf("module %s: reload_probe: version %s fails on %d of %d records, and version %s on %d: %s",
			o.WasmPath, shortHash(module), is.failed, is.records, shortHash(old), was.failed, is.why)
	}
	return nil
}

// result is what came of heads.
type result struct {
	records, failed uint64
	why             string // the first line of the log about a failure
}

// judge runs heads through the module.
func (r *reloader) judge(o options.Options, module *guest.Module, list []head) (v result, err error) {
	if o.Timeout == 0 || o.Timeout > probeTimeout {
		o.Timeout = probeTimeout
	}
	// One that hangs or traps each time is left out soon, and its records fail.
	o.BreakerFailures, o.BreakerBackoff = probeFailures, time.Hour
	o.AccessiblePaths = append([]options.Path(nil), o.AccessiblePaths...)
	for i := range o.AccessiblePaths {
		o.AccessiblePaths[i].Writable = false
	}
	shared := NewState(o)
	defer shared.Close()
	shared.DefineAs(r.filter.state) // what would be refused there is
	config := Config(o, shared)
	config.Tables = r.filter.tables
	a, err := instantiate(o, module.Share(), config)
	if err != nil {
		module.Close()
		return result{}, err
	}
	f := assemble(o, shared, a, nil, r.filter.tables.Share(), hostlog.NewLimiter(func(level hostlog.Level, text string) {
		if v.why == "" && level == hostlog.Error {
			v.why = text
		}
	}))
	defer f.stop()
	f.silent = true
	for _, s := range list {
		if r.closed.Load() {
			break
		}
		f.Run(s.tag, s.data)
		f.lane.TakeJournal() // it goes nowhere
	}
	stats := f.Stats()
	v.records, v.failed = stats.Records, stats.Failed
	return v, nil
}
