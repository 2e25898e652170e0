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

// Stats counts what became of records since the filter was made.
type Stats struct {
	Chunks   uint64 // chunks seen
	Corrupt  uint64 // of these, passed through untouched because they can't be read
	Records  uint64 // records read from the others (group markers don't count)
	Returned uint64 // records that the guest returned
	Dropped  uint64 // records that the guest dropped
	Failed   uint64 // records passed through unchanged because something went wrong
	Replaced uint64 // guest instances replaced after a trap
}

func (s *Stats) add(o Stats) {
	s.Chunks += o.Chunks
	s.Corrupt += o.Corrupt
	s.Records += o.Records
	s.Returned += o.Returned
	s.Dropped += o.Dropped
	s.Failed += o.Failed
	s.Replaced += o.Replaced
}

// Filter is one filter instance. It must not be used by two goroutines at once,
// except for Stats.
type Filter struct {
	msgpack  bool
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
	raw, header, body []byte
	record            int // index in the batch; -1: it passes as it came
}

// New makes the filter of an instance with these options, and starts its guest.
// log takes lines for Fluent Bit's log, without the instance's name; it is
// called on the goroutine that calls New, Run or Close.
func New(o options.Options, log func(Level, string)) (*Filter, error) {
	module, err := guest.Load(o.WasmPath, o.WasmStackBytes)
	if err != nil {
		return nil, fmt.Errorf("option wasm_path: %w", err)
	}
	f := &Filter{
		msgpack: o.EventFormat == options.Msgpack,
		module:  module,
		config: guest.Config{
			Function:        o.FunctionName,
			Msgpack:         o.EventFormat == options.Msgpack,
			AccessiblePaths: o.AccessiblePaths,
			HeapBytes:       o.WasmHeapBytes,
		},
		log: newLimiter(log),
	}
	f.instance, err = module.NewInstance(f.config)
	if err != nil {
		module.Close()
		return nil, fmt.Errorf("module %s: %w", o.WasmPath, err)
	}
	f.log.always(Info, fmt.Sprintf("module %s, function %s, event_format %s; %s",
		o.WasmPath, o.FunctionName, o.EventFormat, module.Summary()))
	for _, w := range module.Warnings() {
		f.log.always(Warn, w)
	}
	f.logOutput()
	return f, nil
}

// Stats answers the counts of all finished chunks. It may be called from any
// goroutine.
func (f *Filter) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total
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
	f.log.always(level, fmt.Sprintf(
		"%d records: %d returned, %d dropped by the guest, %d passed through unchanged after an error; %d of %d chunks unreadable and untouched",
		s.Records, s.Returned, s.Dropped, s.Failed, s.Corrupt, s.Chunks))
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
		f.count = Stats{Corrupt: 1, Replaced: f.count.Replaced}
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
		event, next, err := chunk.Next(rest)
		if err != nil {
			f.log.limited(Error, "corrupt chunk", func() string {
				return fmt.Sprintf("chunk of %d bytes passed through untouched: it can't be read from byte %d on: %v",
					len(f.chunk), len(f.chunk)-len(rest), err)
			})
			return err
		}
		f.stage(&event)
		rest = next
		if len(f.batch.In) >= batchBytes || len(f.items) >= batchRecords {
			f.flush(tag)
		}
	}
	f.flush(tag)
	return nil
}

// stage adds an event to the batch.
func (f *Filter) stage(event *chunk.Event) {
	it := item{raw: event.Raw, header: event.Header, body: event.Body, record: -1}
	if event.Kind == chunk.Record {
		f.count.Records++
		if err := f.stageRecord(event); err != nil {
			f.fail("record", func() string { return err.Error() })
		} else {
			it.record = len(f.batch.Records) - 1
		}
	}
	f.items = append(f.items, it)
}

var (
	errNotMap   = errors.New("its body is not a map")
	errTooLarge = errors.New("it is too large to be handed to a guest")
)

func (f *Filter) stageRecord(event *chunk.Event) error {
	if !event.BodyIsMap() {
		return errNotMap
	}
	from := len(f.batch.In)
	in := f.batch.In
	if f.msgpack {
		in = append(in, event.Body...)
	} else {
		var err error
		if in, _, err = transcode.AppendJSON(in, event.Body); err != nil {
			return fmt.Errorf("it can't be written as JSON: %w", err)
		}
	}
	if len(in) > guest.MaxBatchBytes {
		return errTooLarge
	}
	f.batch.In = in
	f.batch.Add(from, uint32(event.Sec), event.Nsec)
	return nil
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

// run calls the guest for every record of the batch: once, unless it traps.
func (f *Filter) run(tag []byte) {
	for next := 0; next < len(f.batch.Records); {
		if f.instance == nil && !f.replace() {
			return // the records that are left were not run
		}
		var err error
		next, err = f.instance.Run(tag, &f.batch, next)
		f.logOutput()
		if err != nil {
			f.trapped(&f.batch.Records[next-1], err)
		}
	}
}

// trapped logs why the guest stopped at a record, and gives the instance up.
func (f *Filter) trapped(r *guest.Record, err error) {
	f.log.limited(Error, "trap", func() string {
		if r.Outcome != guest.Trapped { // it had replied, and trapped in free
			return fmt.Sprintf("free: %v; the instance is replaced", err)
		}
		return fmt.Sprintf("record passed through unchanged: function %s: %v; the instance is replaced",
			f.config.Function, err)
	})
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
	f.count.Replaced++
	return true
}

// emit decides what becomes of an event.
func (f *Filter) emit(it *item) {
	if it.record < 0 {
		f.keep(it)
		return
	}
	r := &f.batch.Records[it.record]
	switch r.Outcome {
	case guest.Drop:
		f.change()
		f.count.Dropped++
	case guest.Reply:
		if err := f.reply(it, f.batch.Input(r), f.batch.Reply(r)); err != nil {
			f.fail("reply", func() string { return err.Error() })
			f.keep(it)
			return
		}
		f.count.Returned++
	case guest.Trapped: // logged when it happened
		f.count.Failed++
		f.keep(it)
	default:
		f.fail(r.Outcome.String(), r.Outcome.String)
		f.keep(it)
	}
}

var (
	errReplyNotMap = errors.New("the guest's reply is not a map")
	errReplyDepth  = fmt.Errorf("the guest's reply nests deeper than %d, which Fluent Bit could not read", maxReplyDepth)
)

// reply emits the event with the guest's reply for a body. On an error nothing
// has been emitted.
func (f *Filter) reply(it *item, input, reply []byte) error {
	// A reply that repeats its input leaves the body as it was: exact even
	// where JSON is not (bin, ext, NaN), and cheap for filters that mostly drop.
	if bytes.HasPrefix(reply, input) {
		f.keep(it)
		return nil
	}
	changed := f.changed
	f.change()
	head := chunk.AppendEvent(f.out, it.header, nil)
	out, err := f.appendBody(head, reply, maxReplyDepth)
	if errors.Is(err, mp.ErrDepth) {
		// What came nested deeper than that may be returned as deep.
		out, err = f.appendBody(head, reply, max(maxReplyDepth, mp.Depth(it.body)))
	}
	if err != nil {
		if !changed {
			f.changed = false
			f.out = f.out[:0]
		}
		return err
	}
	f.out = out
	return nil
}

// appendBody appends the reply as a body; dst comes back as it was on an error.
func (f *Filter) appendBody(dst, reply []byte, depth int) ([]byte, error) {
	if f.msgpack {
		if mp.KindOf(reply[0]) != mp.Map {
			return dst, errReplyNotMap
		}
		rest, err := mp.Skip(reply, depth)
		if err != nil {
			return dst, replyError("MessagePack", err)
		}
		return append(dst, reply[:len(reply)-len(rest)]...), nil
	}
	if trimmed := bytes.TrimLeft(reply, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return dst, errReplyNotMap
	}
	out, _, err := transcode.AppendMsgpack(dst, reply, depth)
	if err != nil {
		return dst, replyError("JSON", err)
	}
	return out, nil
}

func replyError(format string, err error) error {
	if errors.Is(err, mp.ErrDepth) {
		return fmt.Errorf("%w: %w", errReplyDepth, err)
	}
	return fmt.Errorf("the guest's reply is not valid %s: %w", format, err)
}

// keep emits an event as it came.
func (f *Filter) keep(it *item) {
	if !f.changed {
		f.kept += len(it.raw)
		return
	}
	f.out = append(f.out, it.raw...)
}

// change says that the next event will not be emitted as it came.
func (f *Filter) change() {
	if !f.changed {
		f.changed = true
		f.out = append(f.out, f.chunk[:f.kept]...)
	}
}

// fail counts a record that passes through unchanged because something went
// wrong, and logs it once in a while.
func (f *Filter) fail(cause string, reason func() string) {
	f.count.Failed++
	f.log.limited(Error, cause, func() string {
		return "record passed through unchanged: " + reason()
	})
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
