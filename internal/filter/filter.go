// Package filter is the way of a chunk through a guest: it reads the chunk's
// events, hands the records over in batches, and writes what comes back. It
// decides what an error does to a record, and counts it.
package filter

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

const (
	// A batch crosses into the guest when it holds this much, so that what is
	// staged stays in a core's cache however large the chunk is.
	batchBytes   = 64 << 10
	batchRecords = 512

	// maxReplyDepth bounds the nesting of a reply. Fluent Bit can't read an
	// event that nests more than 32 containers (MSGPACK_EMBED_STACK_SIZE, 32 in
	// msgpack-c of 1.9, 64 in 5.1), and the event's own array is one of them.
	maxReplyDepth = 31

	// Buffers beyond this are given back when a chunk does not need them.
	keepBytes = 4 << 20
)

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
	age      int // records that the instance has had
	module   *guest.Module
	config   guest.Config
	instance *guest.Instance // nil after a trap, until a record needs the next one
	log      *limiter

	mu    sync.Mutex
	total Stats // guarded by mu: of all finished chunks

	// What Run works with; kept so that a record needs no allocation.
	batch   guest.Batch
	items   []item
	chunk   []byte
	kept    int  // while !changed: how much of the chunk has been emitted as it came
	changed bool // out differs from the chunk so far
	out     []byte
	count   Stats // of the current chunk
}

// item is an event of the current batch. Its slices alias the chunk.
type item struct {
	event  chunk.Event
	record int   // index in the batch; -1: no guest sees it
	failed cause // with record -1: why not; none for a marker
}

// New makes the filter of an instance with these options, and starts its guest.
// log takes lines for Fluent Bit's log, without the instance's name; it is
// called on the goroutine that calls New, Run or Close.
func New(o options.Options, log func(Level, string)) (*Filter, error) {
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
		config:  config(o),
		log:     limiter,
	}
	f.breaker = newBreaker(o.BreakerFailures, o.BreakerBackoff, f.log.always)
	f.instance, err = module.NewInstance(f.config)
	if err != nil {
		module.Close()
		return nil, fmt.Errorf("module %s: %w", o.WasmPath, err)
	}
	f.log.always(Info, fmt.Sprintf("module %s, function %s, event_format %s; %s",
		o.WasmPath, o.FunctionName, o.EventFormat, module.Summary(f.config)))
	for _, w := range module.Warnings(f.config) {
		f.log.always(Warn, w)
	}
	f.logOutput()
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

// config is how the options want instances to be.
func config(o options.Options) guest.Config {
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
// goroutine.
func (f *Filter) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total
}

// MemoryBytes answers the linear memory of the instance; 0 if there is none, after
// a trap.
func (f *Filter) MemoryBytes() uint64 {
	if f.instance == nil {
		return 0
	}
	return f.instance.MemoryBytes()
}

// Close frees the guest and logs what has been counted.
func (f *Filter) Close() {
	if f.instance != nil {
		f.instance.Close()
	}
	f.module.Close()
	f.batch.Close()
	f.log.close()
	s := f.Stats()
	level := Info
	if s.Failed+s.Corrupt > 0 {
		level = Warn
	}
	f.log.always(level, s.String())
}

// Run filters one chunk of events with that tag. modified is false if the chunk
// is to stay as it is; else out, which may be empty, takes its place. out is
// valid until the next Run; nothing else of tag or data is kept.
func (f *Filter) Run(tag, data []byte) (out []byte, modified bool) {
	f.begin(data)
	err := f.events(tag)
	f.chunk = nil

	if err != nil {
		// What the guest made of the events before the damage is forgotten: a
		// chunk that can't be read to its end is not this filter's to change.
		f.count = Stats{Corrupt: 1, Replaced: f.count.Replaced, Recycled: f.count.Recycled}
		f.changed = false
	}
	f.count.Chunks = 1
	f.mu.Lock()
	f.total.add(f.count)
	f.mu.Unlock()
	return f.out, f.changed
}

func (f *Filter) begin(data []byte) {
	if cap(f.out) > keepBytes && cap(f.out) > 4*len(data) {
		f.out = nil
	}
	f.out = f.out[:0]
	f.items = f.items[:0] // whatever a panic left of the last chunk
	f.chunk = data
	f.kept = 0
	f.changed = false
	f.count = Stats{}
	f.batch.Reset()
}

func (f *Filter) events(tag []byte) error {
	for rest := f.chunk; len(rest) > 0; {
		next, err := f.stage(rest)
		if err != nil {
			f.log.limited(Error, "corrupt chunk", func() string {
				return fmt.Sprintf("chunk of %d bytes passed through untouched: it can't be read from byte %d on: %v",
					len(f.chunk), len(f.chunk)-len(rest), err)
			})
			return err
		}
		rest = next
		if len(f.batch.In) >= batchBytes || len(f.items) >= batchRecords {
			f.flush(tag)
		}
	}
	f.flush(tag)
	return nil
}

// stage adds the first event of b to the batch and answers what follows it.
func (f *Filter) stage(b []byte) (rest []byte, err error) {
	it := item{record: -1}
	event, body, err := chunk.NextHeader(b)
	if err != nil {
		return b, err
	}
	if event.Kind == chunk.Record && !f.msgpack && len(body) > 0 && mp.KindOf(body[0]) == mp.Map {
		// To write a body as JSON is to check it.
		from := len(f.batch.In)
		if in, rest, err := transcode.AppendJSON(f.batch.In, body); err == nil {
			it.event = event.WithBody(b, body, rest)
			f.count.Records++
			it.record, it.failed = f.add(in, from, &it.event)
			f.items = append(f.items, it)
			return rest, nil
		}
	}
	if it.event, rest, err = event.SkipBody(b, body); err != nil {
		return b, err
	}
	if event.Kind == chunk.Record {
		f.count.Records++
		switch {
		case !it.event.BodyIsMap():
			it.failed = recordNotMap
		case !f.msgpack: // it could not be written as JSON
			it.failed = recordNotJSON
		default:
			from := len(f.batch.In)
			it.record, it.failed = f.add(append(f.batch.In, it.event.Body...), from, &it.event)
		}
	}
	f.items = append(f.items, it)
	return rest, nil
}

// add makes a record of the batch of in[from:], what the guest is to be given; in
// is the batch's input with it.
func (f *Filter) add(in []byte, from int, event *chunk.Event) (record int, failed cause) {
	if len(in) > guest.MaxBatchBytes {
		return -1, recordTooLarge
	}
	f.batch.In = in
	f.batch.Add(from, uint32(event.Sec), event.Nsec)
	return len(f.batch.Records) - 1, none
}

// flush runs the batch and emits its events in order.
func (f *Filter) flush(tag []byte) {
	f.run(tag)
	for i := range f.items {
		f.emit(&f.items[i])
	}
	f.items = f.items[:0]
	f.batch.Reset()
}

// run calls the guest for every record of the batch: in one crossing, unless it
// has to be replaced on the way.
func (f *Filter) run(tag []byte) {
	records := f.batch.Records
	for from := 0; from < len(records); {
		to := len(records)
		state := f.breaker.state()
		switch state {
		case open:
			return // the records that are left are not run
		case trial:
			to = from + 1
		}
		if f.instance == nil && !f.replace() {
			f.breaker.stopped(1)
			return
		}
		next, err := f.instance.Run(tag, &f.batch, from, to)
		f.age += next - from
		f.logOutput()
		last := &records[next-1]
		trapped := err != nil && !errors.Is(err, guest.ErrRecycle)
		switch {
		case state == trial && f.useful(last):
			f.breaker.close()
		case state == trial && !trapped && last.Outcome != guest.NoMemory:
			f.breaker.stopped(1)
		case next > from+1 || last.Outcome.Answered():
			f.breaker.answered()
		}
		switch {
		case trapped:
			f.trapped(last, err)
		case err != nil && last.Outcome == guest.NoMemory:
			f.breaker.stopped(1)
			f.discard()
		case err != nil:
			f.recycle()
		}
		from = next
	}
}

// useful says whether the guest has answered a record in a way that emit will
// take.
func (f *Filter) useful(r *guest.Record) bool {
	if r.Outcome != guest.Reply {
		return r.Outcome == guest.Drop
	}
	reply := f.batch.Reply(r)
	if bytes.HasPrefix(reply, f.batch.Input(r)) {
		return true
	}
	_, c, _ := f.appendBody(nil, reply, maxReplyDepth)
	return c == none
}

// trapped logs why the guest stopped at a record, and gives the instance up.
func (f *Filter) trapped(r *guest.Record, err error) {
	weight := 1
	switch r.Outcome {
	case guest.TimedOut:
		weight = timeoutWeight
		fallthrough
	case guest.Trapped:
		f.log.limited(Error, "trap", func() string {
			return fmt.Sprintf("record %s: function %s: %v; the instance is replaced", f.fate(), f.config.Function, err)
		})
	default: // it had replied, and trapped when it freed its input
		f.log.limited(Error, "trap in free", func() string {
			return fmt.Sprintf("free: %v; the instance is replaced", err)
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
	if f.age < leastBetweenRecycles {
		f.config.RecycleMemoryBytes *= 2
		if f.config.RecycleMemoryBytes >= f.limit {
			f.config.RecycleMemoryBytes = 0
		}
		f.log.always(Warn, fmt.Sprintf(
			"recycle_memory is little for this module: it took %d records to grow past it, and now may have twice as much", f.age))
	}
	f.count.Recycled++
	f.discard()
}

// discard gives the instance up; the next record gets another one.
func (f *Filter) discard() {
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
	f.age = 0
	f.count.Replaced++
	return true
}

// emit decides what becomes of an event.
func (f *Filter) emit(it *item) {
	if it.record < 0 {
		if it.failed == none {
			f.keep(it)
		} else {
			f.fail(it, it.failed, nil)
		}
		return
	}
	r := &f.batch.Records[it.record]
	switch r.Outcome {
	case guest.Drop:
		f.breaker.success()
		f.change()
		f.count.Dropped++
	case guest.Reply:
		if c, err := f.reply(it, f.batch.Input(r), f.batch.Reply(r)); c != none {
			f.breaker.bad()
			f.fail(it, c, err)
			return
		}
		f.breaker.success()
		f.count.Returned++
	case guest.NotRun:
		if f.breaker.state() == closed {
			f.fail(it, notRun, nil)
		} else {
			f.fail(it, breakerOpen, nil)
		}
	case guest.Trapped, guest.TimedOut, guest.NoMemory: // the breaker has counted them
		f.fail(it, causeOf(r.Outcome), nil)
	default:
		f.breaker.bad()
		f.fail(it, causeOf(r.Outcome), nil)
	}
}

// fail does to a record what the user wants of those that went wrong, counts it,
// and logs it once in a while.
func (f *Filter) fail(it *item, c cause, err error) {
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
		f.change()
	case options.Mark:
		f.change()
		f.out = chunk.AppendMarked(f.out, it.event, MarkKey, c.String())
	default:
		f.keep(it)
	}
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

// reply emits the event with the guest's reply for a body. Unless the cause is
// none, nothing has been emitted, and err may say more.
func (f *Filter) reply(it *item, input, reply []byte) (c cause, err error) {
	// A reply that repeats its input leaves the body as it was: exact even
	// where JSON is not (bin, ext, NaN), and cheap for filters that mostly drop.
	if bytes.HasPrefix(reply, input) {
		f.keep(it)
		return none, nil
	}
	changed := f.changed
	f.change()
	head := chunk.AppendEvent(f.out, it.event.Header, nil)
	out, c, err := f.appendBody(head, reply, maxReplyDepth)
	if c == replyTooDeep {
		// What came nested deeper than that may be returned as deep.
		out, c, err = f.appendBody(head, reply, max(maxReplyDepth, mp.Depth(it.event.Body)))
	}
	if c != none {
		if !changed {
			f.changed = false
			f.out = f.out[:0]
		}
		return c, err
	}
	f.out = out
	return none, nil
}

// appendBody appends the reply as a body.
func (f *Filter) appendBody(dst, reply []byte, depth int) (out []byte, c cause, err error) {
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
	out, _, err = transcode.AppendMsgpack(dst, reply, depth)
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
func (f *Filter) keep(it *item) {
	if !f.changed {
		f.kept += len(it.event.Raw)
		return
	}
	f.out = append(f.out, it.event.Raw...)
}

// change says that the next event will not be emitted as it came.
func (f *Filter) change() {
	if !f.changed {
		f.changed = true
		f.out = append(f.out, f.chunk[:f.kept]...)
	}
}

// logOutput logs what the guest wrote to its standard streams.
func (f *Filter) logOutput() {
	if !f.instance.HasOutput() {
		return
	}
	stdout, stderr := f.instance.TakeOutput()
	f.log.lines(Info, "guest stdout: ", stdout)
	f.log.lines(Warn, "guest stderr: ", stderr)
}
