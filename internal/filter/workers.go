package filter

import (
	"fmt"
	"slices"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
)

// worker is a further instance of a filter's module, on a thread of its own. It has a
// part of each chunk that is worth it, and what it decides, it decides by itself: a
// breaker, an instance's age, and the limits of the log are its own.
type worker struct {
	filter *Filter
	helper *guest.Helper
	lines  []line // logged since the last join

	tag, data []byte
	inGo      bool // the part was gone through in Go, to the end of it
	forget    bool
}

type line struct {
	level hostlog.Level
	text  string
}

var goThread = guest.Go // tests have it fail

// newWorker starts a worker, without a module if it is known why there is none.
func newWorker(o options.Options, shared *state.State, absent error) (*worker, error) {
	w := &worker{}
	var err error
	w.filter, err = newFilter(o, shared, absent, func(level hostlog.Level, text string) { w.lines = append(w.lines, line{level, text}) })
	if err != nil {
		return nil, err
	}
	if err := w.filter.absent; err != absent { // the filter has a module: so must its workers
		w.filter.stop()
		return nil, err
	}
	w.filter.silent = true
	w.helper = guest.NewHelper(w.filter.lane)
	w.filter.setReady()
	if err := goThread(w.loop); err != nil {
		w.helper.Free()
		w.filter.stop()
		return nil, fmt.Errorf("option workers: can't start a thread: %w", err)
	}
	return w, nil
}

func (w *worker) loop() {
	for w.helper.Next() {
		w.inGo = true
		w.process()
		w.helper.Finish()
	}
	w.helper.Finish()
}

// process goes through the worker's part, or goes on where C has stopped. A panic costs the chunk,
// as one of the filter's own thread does.
func (w *worker) process() {
	defer hostlog.Recover(func(text string) { w.lines = append(w.lines, line{hostlog.Error, text}) }, "filter", nil)
	w.forget = w.filter.process(w.tag, w.data) != nil
}

// begin has the worker go through a part of a chunk. join waits for it, and takes over
// what it has logged.
func (w *worker) begin(tag, data []byte) {
	w.tag, w.data, w.inGo, w.forget = tag, data, false, true
	w.helper.Begin(tag, data)
}

func (w *worker) join(log *hostlog.Limiter) {
	w.helper.Wait()
	if !w.inGo { // there is nothing left but to count
		w.process()
	}
	w.tellLines(log)
}

func (w *worker) tellLines(log *hostlog.Limiter) {
	for _, l := range w.lines {
		log.Always(l.level, l.text)
	}
	w.lines = w.lines[:0]
}

// stop ends the thread and frees the guest.
func (w *worker) stop(log *hostlog.Limiter) {
	w.helper.Close()
	w.filter.stop()
	w.tellLines(log)
}

// runShared is Run with workers: each has a part of the chunk, and their events stand in
// the order of the parts.
func (f *Filter) runShared(tag, data []byte) (out []byte, modified bool) {
	f.ends = split(f.ends[:0], data, 1+len(f.workers), f.share)
	if len(f.ends) < 2 {
		return f.runAlone(tag, data)
	}
	busy := f.workers[:len(f.ends)-1]
	for i, w := range busy {
		w.filter.earlier = data[:f.ends[i]]
		w.begin(tag, data[f.ends[i]:f.ends[i+1]])
	}
	forget := f.processFirst(tag, data[:f.ends[0]])
	f.weigh(busy)
	for _, w := range busy {
		w.join(f.log)
		forget = forget || w.forget
	}
	first, modified := f.finish(forget)
	if cap(f.shared) > keepBytes && cap(f.shared) > 4*len(data) {
		f.shared = nil
	}
	f.shared = appendPart(f.shared[:0], first, data[:f.ends[0]], modified)
	for _, w := range busy {
		part, partModified := w.filter.finish(forget)
		f.shared = appendPart(f.shared, part, w.data, partModified)
		modified = modified || partModified
		w.tag, w.data = nil, nil
	}
	if !modified {
		return nil, false
	}
	return f.shared, true
}

// weigh adjusts the share of the filter's own thread, which begins before the others have
// woken up, until it waits for them in half of all chunks.
func (f *Filter) weigh(busy []*worker) {
	const step, maxShare = 1.0 / 64, 0.75
	waits := slices.ContainsFunc(busy, func(w *worker) bool { return !w.helper.Idle() })
	if waits {
		f.share = min(f.share+step, maxShare)
	} else {
		f.share = max(f.share-step, 1/float64(1+len(f.workers)))
	}
}

// processFirst goes through the filter's own part. If it panics, the workers are waited
// for all the same: they read what is the host's.
func (f *Filter) processFirst(tag, data []byte) (forget bool) {
	forget = true
	defer hostlog.Recover(func(text string) { f.log.Always(hostlog.Error, text) }, "filter", nil)
	return f.process(tag, data) != nil
}

func appendPart(dst, part, came []byte, modified bool) []byte {
	if modified {
		return append(dst, part...)
	}
	return append(dst, came...)
}

// split appends where the parts of a chunk end: up to n, between events, the first one with
// a share of the bytes, the others about the same. A group is in one part, with its markers. Nothing is
// appended if there is one event, or something that is not an event.
func split(ends []int, data []byte, n int, share float64) []int {
	size := float64(len(data))
	other := size * (1 - share) / float64(n-1)
	grouped := false
	for rest := data; ; {
		at := len(data) - len(rest)
		var event chunk.Event
		if len(rest) > 0 {
			var err error
			if event, rest, err = chunk.Next(rest); err != nil {
				return ends[:0]
			}
		}
		if at == len(data) || at > 0 && !grouped && float64(at) >= size*share+other*float64(len(ends)) {
			ends = append(ends, at)
		}
		if at == len(data) {
			return ends
		}
		switch event.Kind {
		case chunk.GroupStart:
			grouped = true
		case chunk.GroupEnd:
			grouped = false
		}
	}
}
