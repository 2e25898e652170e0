// Package output is the way of a chunk through an output instance: through the
// guest, into messages for one destination, and there. A flush waits for a limited
// time; what is not done by then goes on, and the retry of the same chunk finds it.
package output

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// Result is what a flush comes to, by Fluent Bit's numbers
// (include/fluent-bit/flb_output.h, 1.9 to 5.1).
type Result int

// The results.
const (
	Error Result = 0
	OK    Result = 1
	Retry Result = 2
)

const (
	// lookInterval is how often a flush that waits looks at the engine.
	lookInterval = 100 * time.Millisecond

	// engineGone is how long the engine is silent before it counts as gone: it has
	// ended and waits for its workers. Then no worker's flush waits. A filter that
	// holds up the engine for so long makes flushes return Retry, too: until it
	// goes on, nobody would read another result.
	engineGone = 5 * time.Second

	// closeWait is how long Close waits for deliveries under way, and closeBy how
	// long the engine is silent when it no longer does: several outputs, which are
	// closed one after the other, have it in common. endWait is for what has been
	// told to end.
	closeWait = 5 * time.Second
	closeBy   = 8 * time.Second
	endWait   = 2 * time.Second

	// maxAge is how long a result waits for a retry that does not come. Fluent
	// Bit's back-off goes up to 2,000 s (scheduler.cap).
	maxAge = 2 * time.Hour

	// entryBytes stands for what an entry takes besides its chunk.
	entryBytes = 512
)

// transformer is the guest: filter.Filter, but for tests.
type transformer interface {
	Run(tag, data []byte) (out []byte, modified bool)
	TakeRouted() []filter.Routed
	Close()
}

// Host is what outputs ask of their host. All those of a process have it in common.
type Host struct {
	// Thread runs a function on a thread of its own, whose stack must hold the
	// guest's.
	Thread func(func()) error

	// Silent is how long the engine's event loop has not come round; 0 if that is
	// not known. It may be called from any goroutine.
	Silent func() time.Duration

	engine engineTime
}

// Output is one output instance. Its methods may be called from any goroutine.
type Output struct {
	options     options.Output
	host        *Host
	now         func() time.Time
	destination destination
	log         *sink
	connections chan struct{} // a place for each delivery at a time
	work        chan *parcel  // to the guest's thread
	guestGone   chan struct{} // closed when the guest's thread is done
	ctx         context.Context
	cancel      context.CancelFunc

	mu       sync.Mutex
	known    map[key][]*delivery // guarded by mu, as all that follows
	order    *list.List          // of *delivery, the one asked for last at the end
	bytes    int64               // of all known deliveries
	working  sync.WaitGroup
	patience patience
	closing  bool
	hinted   bool // that Workers would help
	total    Stats
	reported time.Time // when total was logged last, if stats_interval is set
}

// Stats counts.
type Stats struct {
	Chunks    uint64 `json:"chunks_total"`           // that came, retries not counted
	Delivered uint64 `json:"delivered_chunks_total"` // chunks
	Retries   uint64 `json:"retried_flushes_total"`  // flushes that Fluent Bit was asked to repeat
	Refused   uint64 `json:"refused_chunks_total"`   // chunks that can't be delivered
	Evicted   uint64 `json:"evicted_results_total"`  // results that were pushed out of retry_cache
}

// String is the line that the log gets when the output ends.
func (s Stats) String() string {
	return fmt.Sprintf("%d chunks: %d delivered, %d given up; %d flushes to be tried again, %d results pushed out of retry_cache",
		s.Chunks, s.Delivered, s.Refused, s.Retries, s.Evicted)
}

// report logs the counts once in stats_interval. o.mu is held.
func (o *Output) report() {
	now := o.now()
	if o.options.StatsInterval == 0 || now.Sub(o.reported) < o.options.StatsInterval {
		return
	}
	o.reported = now
	line := "stats: " + o.total.String()
	if o.options.StatsFormat == options.StatsJSON {
		text, _ := json.Marshal(map[string]Stats{"output": o.total}) // of numbers there is no error
		line = string(text)
	}
	o.log.add(hostlog.Info, line)
}

type key [sha256.Size]byte

type state int

const (
	waiting   state = iota // for a flush to start it, again
	working                // somebody is at it
	delivered              // and no flush knows yet
	hopeless               // nor this
)

// A delivery is a chunk on its way. Two chunks with equal bytes are two deliveries.
type delivery struct {
	key      key
	tag      string
	input    []byte // the chunk; nil once it has been through the guest
	parcel   *parcel
	bytes    int64
	state    state
	attended bool          // a flush is waiting for it
	sent     bool          // there is something to send
	done     chan struct{} // closed when the attempt under way ends
	asked    time.Time
	place    *list.Element
}

// errPermanent marks errors that a retry won't mend.
type errPermanent struct{ error }

func (e errPermanent) Unwrap() error { return e.error }

// New makes the output of an instance and starts its guest.
func New(o options.Output, host *Host) (*Output, []Line, error) {
	s := newSink()
	out, err := start(o, s, host, func() (transformer, error) { return filter.New(o.Options, s.add) })
	return out, s.take(), err
}

// start makes an output; open is called on the guest's thread.
func start(o options.Output, s *sink, host *Host, open func() (transformer, error)) (*Output, error) {
	out := &Output{
		options:     o,
		host:        host,
		now:         time.Now,
		destination: newDestination(o),
		log:         s,
		connections: make(chan struct{}, o.Connections),
		work:        make(chan *parcel),
		guestGone:   make(chan struct{}),
		known:       map[key][]*delivery{},
		order:       list.New(),
	}
	out.reported = out.now()
	out.ctx, out.cancel = context.WithCancel(context.Background())
	started := make(chan error)
	err := host.Thread(func() { out.guest(open, started) })
	if err == nil {
		err = <-started
	}
	if err != nil {
		out.cancel()
		out.destination.close()
		return nil, err
	}
	return out, nil
}

// guest is what the guest's thread does.
func (o *Output) guest(open func() (transformer, error), started chan<- error) {
	defer close(o.guestGone)
	t, err := o.opened(open)
	started <- err
	if err != nil {
		return
	}
	defer t.Close()
	for {
		select {
		case p := <-o.work:
			o.transform(t, p)
		case <-o.ctx.Done():
			return
		}
	}
}

// opened is open, of which a panic is an error.
func (o *Output) opened(open func() (transformer, error)) (t transformer, err error) {
	defer hostlog.Recover(o.logError, "start", &err)
	return open()
}

// transform runs a chunk through the guest, and divides what comes out.
func (o *Output) transform(t transformer, p *parcel) {
	defer close(p.transformed)
	defer hostlog.Recover(o.logError, "transform", &p.err)
	data := p.input
	if out, modified := t.Run([]byte(p.tag), data); modified {
		data = out
	}
	groups, err := divide(data, p.tag, o.options.Tag, o.options.Metadata)
	for _, r := range t.TakeRouted() {
		if err != nil {
			break
		}
		var more []*group
		more, err = divide(r.Events, r.Tag, sameTag, o.options.Metadata)
		groups = append(groups, more...)
	}
	if err != nil {
		p.err = errPermanent{err}
		return
	}
	p.groups = groups
}

// logError logs a line about a panic.
func (o *Output) logError(line string) { o.log.add(hostlog.Error, line) }

// Flush delivers a chunk, or finds out what became of it since the last flush of
// the same bytes with the same tag. It waits no longer than the option for this
// thread allows. data is not kept.
func (o *Output) Flush(tag string, data []byte, onEngine bool) Result {
	h := sha256.New()
	h.Write([]byte(tag))
	h.Write([]byte{0})
	h.Write(data)
	var k key
	h.Sum(k[:0])

	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return Retry
	}
	d := o.find(k)
	if d == nil {
		if !o.makeRoom(int64(len(data)) + entryBytes) {
			o.total.Retries++
			o.log.failed(retryCacheFull, "chunks under way fill retry_cache: Fluent Bit is asked to try again later")
			return Retry
		}
		d = o.add(k, tag, data)
	}
	d.asked = o.now()
	o.order.MoveToBack(d.place)
	if d.state == waiting {
		d.state = working
		d.done = make(chan struct{})
		o.working.Add(1)
		go o.attempt(d)
	}
	if d.state == working {
		o.wait(d, onEngine)
	}
	defer o.report()
	switch d.state {
	case delivered:
		o.forget(d)
		return OK
	case hopeless:
		o.forget(d)
		return Error
	default:
		o.total.Retries++
		return Retry
	}
}

// wait waits for the attempt under way, as long as it may. o.mu is held, but not
// meanwhile.
func (o *Output) wait(d *delivery, onEngine bool) {
	limit := o.options.FlushTimeout
	if onEngine {
		limit = o.options.EngineTimeout
	}
	d.attended = true
	began := o.now()
	done, left := d.done, o.patience.enter(limit, began)
	if onEngine {
		left = min(left, o.host.engine.left(limit, began))
	}
	o.mu.Unlock()
	o.waitFor(done, left, onEngine)
	o.mu.Lock()
	ended := o.now()
	if onEngine {
		o.host.engine.spend(ended.Sub(began))
	}
	o.patience.leave(limit, ended)
	d.attended = false
	if d.state == working && onEngine && !o.hinted {
		o.hinted = true
		o.log.add(hostlog.Info, "a delivery takes longer than engine_timeout, goes on in the background, "+
			"and is asked for at the retry; Workers 1 gives this output a thread that may wait for it")
	}
}

// waitFor waits for done, no longer than limit, nor on a worker when the engine is
// gone.
func (o *Output) waitFor(done <-chan struct{}, limit time.Duration, onEngine bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for onEngine || o.host.Silent() < engineGone {
		select {
		case <-done:
			return
		case <-timer.C:
			return
		case <-look.C:
		}
	}
}

// find returns a delivery of that chunk that no other flush attends to.
func (o *Output) find(k key) *delivery {
	for _, d := range o.known[k] {
		if !d.attended {
			return d
		}
	}
	return nil
}

func (o *Output) add(k key, tag string, data []byte) *delivery {
	d := &delivery{
		key: k, tag: tag, input: append([]byte(nil), data...), bytes: int64(len(data)) + entryBytes,
	}
	d.place = o.order.PushBack(d)
	o.known[k] = append(o.known[k], d)
	o.bytes += d.bytes
	o.total.Chunks++
	return d
}

func (o *Output) forget(d *delivery) {
	o.order.Remove(d.place)
	o.bytes -= d.bytes
	list := o.known[d.key]
	for i := range list {
		if list[i] == d {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(o.known, d.key)
	} else {
		o.known[d.key] = list
	}
}

// resize notes what a delivery takes now.
func (o *Output) resize(d *delivery, bytes int64) {
	o.bytes += bytes - d.bytes
	d.bytes = bytes
}

// makeRoom forgets results until there is room for size bytes more: first those
// that are too old, then those to be tried again, last those that a retry would
// find delivered.
func (o *Output) makeRoom(size int64) bool {
	old := o.now().Add(-maxAge)
	for e := o.order.Front(); e != nil; {
		d := e.Value.(*delivery)
		e = e.Next()
		if d.asked.After(old) {
			break
		}
		o.evict(d)
	}
	for _, s := range []state{waiting, hopeless, delivered} {
		for e := o.order.Front(); e != nil && o.bytes+size > o.options.RetryCacheBytes; {
			d := e.Value.(*delivery)
			e = e.Next()
			if d.state == s {
				o.evict(d)
			}
		}
	}
	// A chunk that is larger than the whole cache has to go through, too.
	return o.bytes+size <= o.options.RetryCacheBytes || o.order.Len() == 0
}

func (o *Output) evict(d *delivery) {
	if d.state != working && !d.attended {
		o.total.Evicted++
		o.forget(d)
	}
}

// attempt tries to deliver a chunk once.
func (o *Output) attempt(d *delivery) {
	defer o.working.Done()
	err := o.try(d)

	o.mu.Lock()
	defer o.mu.Unlock()
	var permanent errPermanent
	switch {
	case err == nil:
		if d.sent { // else it says nothing about the far side
			o.patience.delivered(o.now())
			o.log.succeeded()
		}
		d.state, d.parcel = delivered, nil
		o.resize(d, entryBytes)
		o.total.Delivered++
	case errors.As(err, &permanent):
		d.state, d.parcel = hopeless, nil
		o.resize(d, entryBytes)
		o.total.Refused++
		o.log.add(hostlog.Error, fmt.Sprintf("chunk of tag %s given up, a retry would not help: %v", hostlog.Name(d.tag), err))
	default:
		d.state = waiting
		if !o.closing {
			o.log.failed(kindOf(err), fmt.Sprintf("emit_to %s: %v: Fluent Bit will try again", o.destination, err))
		}
	}
	close(d.done)
}

// try takes a chunk through the guest, unless it has been there, and to its
// destination.
func (o *Output) try(d *delivery) (err error) {
	defer hostlog.Recover(o.logError, "delivery", &err)
	if d.parcel == nil {
		p, err := o.prepare(d)
		if err != nil {
			return err
		}
		o.mu.Lock()
		d.parcel, d.input, d.sent = p, nil, p.bytes() > 0
		o.resize(d, p.bytes()+entryBytes)
		o.makeRoom(0) // the guest may have made more of it
		o.mu.Unlock()
	}
	if !d.sent {
		return nil
	}
	select {
	case o.connections <- struct{}{}:
		defer func() { <-o.connections }()
	case <-o.ctx.Done():
		return o.ctx.Err()
	}
	return o.destination.deliver(o.ctx, d.parcel)
}

// prepare takes a chunk through the guest and packs what comes out.
func (o *Output) prepare(d *delivery) (*parcel, error) {
	p := &parcel{tag: d.tag, input: d.input, transformed: make(chan struct{})}
	select {
	case o.work <- p:
		<-p.transformed
	case <-o.ctx.Done():
		return nil, o.ctx.Err()
	}
	if p.err != nil {
		return nil, p.err
	}
	if err := o.destination.pack(p); err != nil {
		return nil, errPermanent{err}
	}
	p.groups, p.input = nil, nil
	return p, nil
}

// Stats returns the counts.
func (o *Output) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.total
}

// Lines takes what has been logged since the last call.
func (o *Output) Lines() []Line { return o.log.take() }

// Close waits a while for deliveries under way, ends the others, and frees the
// guest.
func (o *Output) Close() []Line {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	done := make(chan struct{})
	go func() { o.working.Wait(); close(done) }()
	within(done, time.After(min(closeWait, closeBy-o.host.Silent())))
	o.cancel()
	end := time.After(endWait)
	if !within(done, end) || !within(o.guestGone, end) {
		o.log.add(hostlog.Warn, "a delivery or the module does not end: it is left behind")
	}
	o.destination.close()
	s := o.Stats()
	o.log.close()
	o.log.add(hostlog.Info, s.String())
	return o.log.take()
}

func within(done <-chan struct{}, end <-chan time.Time) bool {
	select {
	case <-done:
		return true
	case <-end:
		return false
	}
}
