// Package filter is the way of a chunk through a guest: a lane of package guest does
// what is ordinary, and this package all else. It decides what an error does to a
// record, counts it, and replaces guests.
package filter

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

// maxReplyDepth bounds the nesting of a reply. Fluent Bit can't read an event that
// nests more than 32 containers (MSGPACK_EMBED_STACK_SIZE, 32 in msgpack-c of 1.9, 64
// in 5.1), and the event's own array is one of them. lane.c knows it as REPLY_DEPTH.
const maxReplyDepth = 31

// Buffers beyond this are given back when a chunk does not need them.
const keepBytes = 4 << 20

// MarkKey is the key under which on_error mark leaves the reason: in the metadata
// of an event, in the body of a legacy one.
const MarkKey = "wasmtime_error"

// Filter is one filter instance. It must not be used by two goroutines at once,
// except for Stats.
type Filter struct {
	msgpack  bool
	onError  options.OnError
	limit    int64 // memory_limit
	breaker  *breaker
	born     uint64 // records that the lane had been given when the instance was new
	module   *guest.Module
	config   guest.Config
	lane     *guest.Lane
	instance *guest.Instance // nil after a trap, until a record needs the next one
	log      *limiter
	workers  []*worker // further instances
	share    float64   // of a chunk that is the filter's own, if there are workers

	mu    sync.Mutex
	total Stats // guarded by mu: of all finished chunks, but for what the lane counts

	// What Run works with; kept so that a record needs no allocation.
	staged    []byte              // a record that the lane does not make itself
	event     []byte              // an event that takes another's place
	originals transcode.Originals // of the record, what its JSON does not hold
	count     Stats               // of the current chunk, but for what the lane counts
	settled   guest.Counts        // of the lane, what the breaker knows of
	ends      []int               // of the parts of a chunk
	shared    []byte              // what takes the place of a chunk that was split
}

// New makes the filter of an instance with these options, and starts its guest.
// log takes lines for Fluent Bit's log, without the instance's name; it is
// called on the goroutine that calls New, Run or Close.
func New(o options.Options, log func(Level, string)) (*Filter, error) {
	f, err := newFilter(o, log)
	if err != nil {
		return nil, err
	}
	f.introduce(o)
	for len(f.workers) < o.Workers-1 {
		w, err := newWorker(o)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.workers = append(f.workers, w)
	}
	f.share = 1 / float64(1+len(f.workers))
	f.setReady()
	return f, nil
}

// checkedLife is how long the code of a module that has been checked is kept: at a hot reload,
// for as long as the old pipeline needs to end.
const checkedLife = 2 * time.Minute

// Check says what would keep New from making a filter with these options. It starts a guest and
// ends it. The module's code is kept for a while, so that New need not compile it again.
func Check(o options.Options) error {
	f, err := newFilter(o, func(Level, string) {})
	if err != nil {
		return err
	}
	time.AfterFunc(checkedLife, f.module.Share().Close)
	f.stop()
	return nil
}

// introduce logs what has been started.
func (f *Filter) introduce(o options.Options) {
	f.log.always(Info, fmt.Sprintf("module %s, function %s, event_format %s; %s",
		o.WasmPath, hostlog.Name(o.FunctionName), o.EventFormat, f.module.Summary(f.config)))
	for _, w := range f.module.Warnings(f.config) {
		f.log.always(Warn, w)
	}
	f.logOutput()
}

// newFilter is New without a word in the log.
func newFilter(o options.Options, log func(Level, string)) (*Filter, error) {
	limiter := newLimiter(log)
	source := Source(o)
	source.Warn = func(line string) { limiter.always(Warn, line) }
	module, err := guest.Load(source)
	if err != nil {
		return nil, fmt.Errorf("option wasm_path: %w", err)
	}
	f := &Filter{
		msgpack: o.EventFormat == options.Msgpack,
		onError: o.OnError,
		limit:   o.MemoryLimitBytes,
		module:  module,
		config:  Config(o),
		log:     limiter,
	}
	f.breaker = newBreaker(o.BreakerFailures, o.BreakerBackoff, f.log.always)
	f.instance, err = module.NewInstance(f.config)
	if err != nil {
		module.Close()
		return nil, fmt.Errorf("module %s: %w", o.WasmPath, err)
	}
	f.lane = guest.NewLane()
	f.lane.Attach(f.instance)
	return f, nil
}

// Source is where the module of a filter with these options comes from.
func Source(o options.Options) guest.Source {
	return guest.Source{
		Path:             o.WasmPath,
		StackBytes:       o.WasmStackBytes,
		AllowPrecompiled: o.AllowPrecompiled,
		CacheDir:         o.CacheDir,
	}
}

// Config is how instances of a filter with these options are.
func Config(o options.Options) guest.Config {
	c := guest.Config{
		Function:           o.FunctionName,
		Init:               o.InitFunction,
		Allocator:          o.Allocator,
		Msgpack:            o.EventFormat == options.Msgpack,
		Env:                o.Env,
		HeapBytes:          o.WasmHeapBytes,
		Timeout:            o.Timeout,
		MemoryLimitBytes:   o.MemoryLimitBytes,
		RecycleMemoryBytes: o.RecycleMemoryBytes,
	}
	for _, p := range o.AccessiblePaths {
		c.Dirs = append(c.Dirs, guest.Dir{Path: p.Dir, Writable: p.Writable})
	}
	return c
}

// Stats answers the counts of all finished chunks. It may be called from any
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
		s.add(part)
	}
	return s
}

// MemoryBytes answers the linear memory of the instances. One that has trapped has none.
func (f *Filter) MemoryBytes() (n uint64) {
	if f.instance != nil {
		n = f.instance.MemoryBytes()
	}
	for _, w := range f.workers {
		n += w.filter.MemoryBytes()
	}
	return n
}

// Direct is guest.Lane.Direct: while it is ready, C may filter chunks without Run. If
// it can't go to a chunk's end, Resume does.
func (f *Filter) Direct() (function, lane, ready unsafe.Pointer) { return f.lane.Direct() }

// Close frees the guest and logs what has been counted.
func (f *Filter) Close() {
	for _, w := range f.workers {
		w.stop(f.log)
	}
	f.stop()
	logStats(f.log, f.Stats())
}

func logStats(log *limiter, s Stats) {
	level := Info
	if s.Failed+s.Corrupt > 0 {
		level = Warn
	}
	log.always(level, s.String())
}

// stop is Close without the last line.
func (f *Filter) stop() {
	if f.instance != nil {
		f.instance.Close()
	}
	f.module.Close()
	f.log.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total.addLane(f.lane.Totals())
	f.lane.Close()
	f.lane = nil
}

// Run filters one chunk of events with that tag. modified is false if the chunk
// is to stay as it is; else out, which may be empty, takes its place. out is
// valid until the next Run; nothing else of tag or data is kept.
func (f *Filter) Run(tag, data []byte) (out []byte, modified bool) {
	if len(f.workers) > 0 {
		return f.runShared(tag, data)
	}
	f.lane.Begin(len(data))
	return f.finish(f.process(tag, data, false) != nil)
}

// Resume is Run for a chunk with which the lane was begun by Direct, and has stopped.
func (f *Filter) Resume(tag, data []byte) (out []byte, modified bool) {
	return f.finish(f.process(tag, data, true) != nil)
}

// finish ends a chunk that process has gone through. What the guest made of the events
// of one that is to be forgotten is: a chunk that can't be read to its end is not this
// filter's to change.
func (f *Filter) finish(forget bool) (out []byte, modified bool) {
	f.lane.Finish(forget)
	if forget {
		f.count = Stats{Corrupt: 1, GivenUp: f.count.GivenUp, Recycled: f.count.Recycled}
	}
	f.mu.Lock()
	f.total.add(f.count)
	f.mu.Unlock()
	f.setReady()
	if forget || !f.lane.Changed() {
		return nil, false
	}
	return f.lane.Out(), true
}

func (f *Filter) setReady() {
	f.lane.SetReady(f.instance != nil && f.breaker.state() == closed && len(f.workers) == 0)
}

// process goes through a chunk. stopped says that the lane has, at some event. An error
// means that the chunk can't be read, and has been logged.
func (f *Filter) process(tag, data []byte, stopped bool) error {
	f.count = Stats{}
	f.settled = guest.Counts{}
	state := f.breaker.state()
	for {
		stop := f.lane.Stop()
		if !stopped {
			if f.lane.At() >= len(data) {
				return nil
			}
			if state = f.breaker.state(); state == open {
				if err := f.pass(data, breakerOpen); err != nil {
					return err
				}
				continue
			}
			if f.instance == nil && !f.replace() {
				f.breaker.stopped(1)
				if err := f.pass(data, notRun); err != nil {
					return err
				}
				continue
			}
			most := uint64(math.MaxUint64)
			if state == trial {
				most = 1
			}
			stop = f.lane.Run(tag, data, most)
		}
		stopped = false
		f.logOutput()
		f.settle(state)
		if stop == guest.StopEvent {
			var err error
			if stop, err = f.odd(tag, data); err != nil {
				return err
			}
			f.logOutput()
			f.settle(state)
		}
		var err error
		switch stop {
		case guest.StopRecord:
			err = f.record(data, state)
		case guest.StopGuest:
			f.retire(guest.Reply, f.lane.Err())
		}
		if err != nil {
			return err
		}
	}
}

// settle tells the breaker of the records that the lane has dealt with by itself.
func (f *Filter) settle(state breakerState) {
	c := f.lane.Counts()
	if c.Returned+c.Dropped > f.settled.Returned+f.settled.Dropped {
		f.succeeded(state)
	}
	f.settled = c
}

// succeeded tells the breaker of an answer that was of use.
func (f *Filter) succeeded(state breakerState) {
	f.breaker.answered()
	f.breaker.success()
	if state == trial && f.breaker.state() != closed {
		f.breaker.close()
	}
}

// next reads the event at which the lane is.
func (f *Filter) next(data []byte) (chunk.Event, error) {
	at := f.lane.At()
	event, _, err := chunk.Next(data[at:])
	if err != nil {
		f.log.limited(Error, "corrupt chunk", func() string {
			return fmt.Sprintf("chunk of %d bytes passed through untouched: it can't be read from byte %d on: %v",
				len(data), at, err)
		})
	}
	return event, err
}

// pass emits the next event without the guest, of which the cause tells why.
func (f *Filter) pass(data []byte, why cause) error {
	event, err := f.next(data)
	if err != nil {
		return err
	}
	if event.Kind != chunk.Record {
		return f.keep(data, &event)
	}
	f.count.Records++
	if !event.BodyIsMap() {
		why = recordNotMap
	}
	return f.fail(data, &event, why, nil)
}

// odd deals with an event that is no ordinary record. It calls the guest if it is one
// at all; else the answer is StopDone.
func (f *Filter) odd(tag, data []byte) (guest.Stop, error) {
	event, err := f.next(data)
	if err != nil {
		return guest.StopDone, err
	}
	if event.Kind != chunk.Record {
		return guest.StopDone, f.keep(data, &event)
	}
	in, why := event.Body, none
	switch {
	case !event.BodyIsMap():
		why = recordNotMap
	case !f.msgpack:
		if cap(f.staged) > keepBytes {
			f.staged = nil
		}
		if f.staged, _, err = transcode.AppendJSON(f.staged[:0], event.Body); err != nil {
			why = recordNotJSON
		}
		in = f.staged
		f.originals.Find(event.Body)
	}
	if why == none && len(in) > guest.MaxRecordBytes {
		why = recordTooLarge
	}
	if why != none {
		f.count.Records++
		return guest.StopDone, f.fail(data, &event, why, nil)
	}
	header := len(event.Raw) - len(event.Header) - len(event.Body)
	at := f.lane.At()
	return f.lane.Call(tag, data, in, !f.msgpack && !f.originals.Empty(), at+header, len(event.Header), at+len(event.Raw),
		uint32(event.Sec), event.Nsec), nil
}

// record decides on a record that the guest has been called for, and that the lane has
// not emitted.
func (f *Filter) record(data []byte, state breakerState) error {
	outcome, err := f.lane.Outcome(), f.lane.Err()
	event, eventErr := f.next(data)
	if eventErr != nil {
		return eventErr
	}
	if outcome == guest.Trapped || outcome == guest.TimedOut || outcome == guest.NoMemory {
		f.retire(outcome, err)
		return f.fail(data, &event, causeOf(outcome), nil)
	}
	why, detail := causeOf(outcome), error(nil)
	if outcome == guest.Reply {
		why, detail = f.reply(&event, f.lane.Reply())
	}
	if why == none {
		f.lane.CountReturned()
		f.settled.Returned++
		f.succeeded(state)
	} else {
		if state == trial {
			f.breaker.stopped(1)
		}
		f.breaker.answered()
		f.breaker.bad()
	}
	f.retire(guest.Reply, err)
	if why != none {
		return f.fail(data, &event, why, detail)
	}
	return f.emitted(f.lane.Replace(data, f.lane.At()+len(event.Raw), f.event))
}

// retire gives the instance up if err, which Lane.Err has answered, says so. outcome is
// that of the last record.
func (f *Filter) retire(outcome guest.Outcome, err error) {
	switch {
	case err == nil:
	case errors.Is(err, guest.ErrRecycle) && outcome == guest.NoMemory:
		f.breaker.stopped(1)
		f.discard()
	case errors.Is(err, guest.ErrRecycle):
		f.recycle()
	default:
		f.trapped(outcome, err)
	}
}

// trapped logs why the guest stopped, and gives the instance up.
func (f *Filter) trapped(outcome guest.Outcome, err error) {
	weight := 1
	// A cause of its own for each kind: a guest that both traps and hangs has a line for
	// either.
	kind := "trap"
	if e := (*guest.TrapError)(nil); errors.As(err, &e) {
		kind = e.Kind
	}
	switch outcome {
	case guest.TimedOut:
		weight = timeoutWeight
		fallthrough
	case guest.Trapped:
		f.log.limited(Error, kind, func() string {
			return fmt.Sprintf("record %s: function %s: %v; the instance is given up", f.fate(), hostlog.Name(f.config.Function), err)
		})
	default: // it had replied, and trapped when it freed its input
		f.log.limited(Error, kind+", in free", func() string {
			return fmt.Sprintf("free: %v; the instance is given up", err)
		})
	}
	f.breaker.stopped(weight)
	f.discard()
}

// leastBetweenRecycles is how many records an instance should last: one that has
// less gets more memory, so that replacing it never becomes all that is done.
const leastBetweenRecycles = 1000

// recycle gives up an instance whose memory has grown.
func (f *Filter) recycle() {
	age := f.records() - f.born
	if age < leastBetweenRecycles {
		f.config.RecycleMemoryBytes *= 2
		if f.config.RecycleMemoryBytes >= f.limit {
			f.config.RecycleMemoryBytes = 0
		}
		f.log.always(Warn, fmt.Sprintf(
			"recycle_memory is little for this module: it took %d records to grow past it, and now may have twice as much", age))
	}
	f.count.Recycled++
	f.discard()
}

// records is how many records the guest has been called for.
func (f *Filter) records() uint64 { return f.lane.Totals().Records + f.lane.Counts().Records }

// discard gives the instance up; the next record gets another one.
func (f *Filter) discard() {
	f.count.GivenUp++
	f.lane.Attach(nil)
	f.instance.Close()
	f.instance = nil
}

func (f *Filter) replace() bool {
	instance, err := f.module.NewInstance(f.config)
	if err != nil {
		f.log.limited(Error, "no instance", func() string {
			return fmt.Sprintf("the module can't be instantiated again: %v", err)
		})
		return false
	}
	f.instance = instance
	f.lane.Attach(instance)
	f.born = f.records()
	return true
}

// fail does to a record what the user wants of those that went wrong, counts it,
// and logs it once in a while.
func (f *Filter) fail(data []byte, event *chunk.Event, c cause, err error) error {
	f.count.Failed++
	f.count.Causes[c]++
	if !c.loggedElsewhere() {
		f.log.limited(Error, c.String(), func() string {
			if err != nil {
				return fmt.Sprintf("record %s: %s: %v", f.fate(), c, err)
			}
			return fmt.Sprintf("record %s: %s", f.fate(), c)
		})
	}
	switch f.onError {
	case options.Drop:
		f.event = f.event[:0]
	case options.Mark:
		f.event = chunk.AppendMarked(f.event[:0], *event, MarkKey, c.String())
	default:
		return f.keep(data, event)
	}
	return f.emitted(f.lane.Replace(data, f.lane.At()+len(event.Raw), f.event))
}

// fate says in the log what becomes of a record that failed.
func (f *Filter) fate() string {
	switch f.onError {
	case options.Drop:
		return "dropped (on_error drop)"
	case options.Mark:
		return "passed through, marked"
	default:
		return "passed through unchanged"
	}
}

// reply makes f.event of an event and the guest's reply for its body. Unless the cause
// is none, err may say more.
func (f *Filter) reply(event *chunk.Event, reply []byte) (c cause, err error) {
	if cap(f.event) > keepBytes {
		f.event = nil
	}
	head := chunk.AppendEvent(f.event[:0], event.Header, nil)
	out, c, err := f.appendBody(head, reply, event.Body, maxReplyDepth)
	if c == replyTooDeep {
		// What came nested deeper than that may be returned as deep.
		out, c, err = f.appendBody(head, reply, event.Body, max(maxReplyDepth, mp.Depth(event.Body)))
	}
	f.event = out
	return c, err
}

// appendBody appends the reply to the record as a body.
func (f *Filter) appendBody(dst, reply, record []byte, depth int) (out []byte, c cause, err error) {
	if f.msgpack {
		if mp.KindOf(reply[0]) != mp.Map {
			return dst, replyNotMap, nil
		}
		rest, err := mp.Skip(reply, depth)
		if err != nil {
			return dst, replyCause(err), err
		}
		return append(dst, reply[:len(reply)-len(rest)]...), none, nil
	}
	if trimmed := bytes.TrimLeft(reply, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return dst, replyNotMap, nil
	}
	f.originals.Find(record)
	out, _, err = transcode.AppendMsgpackOf(dst, reply, depth, &f.originals)
	if err != nil {
		return dst, replyCause(err), err
	}
	return out, none, nil
}

func replyCause(err error) cause {
	if errors.Is(err, mp.ErrDepth) {
		return replyTooDeep
	}
	return replyInvalid
}

// keep emits an event as it came.
func (f *Filter) keep(data []byte, event *chunk.Event) error {
	return f.emitted(f.lane.Keep(data, f.lane.At()+len(event.Raw)))
}

var errNoMemory = errors.New("the host has no memory")

// emitted makes an error of what the lane had no memory for.
func (f *Filter) emitted(ok bool) error {
	if ok {
		return nil
	}
	f.log.limited(Error, "no memory", func() string {
		return "no memory for the filtered chunk: it passes through unchanged"
	})
	return errNoMemory
}

// logOutput logs what the guest wrote to its standard streams.
func (f *Filter) logOutput() {
	if f.instance == nil || !f.instance.HasOutput() {
		return
	}
	stdout, stderr := f.instance.TakeOutput()
	f.log.lines(Info, "guest stdout: ", stdout)
	f.log.lines(Warn, "guest stderr: ", stderr)
}
