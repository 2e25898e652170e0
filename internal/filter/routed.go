package filter

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tagtemplate"
)

// Events that a filter emits under other tags than the chunk's. They stand in the journals of lanes until
// somebody takes them.

// Routed are events under another tag, in their order, in the form of a chunk: those of a group between its
// markers.
type Routed struct {
	Tag    string
	Events []byte
}

// TakeRouted returns what has been emitted under other tags since it was called last, by tags in the order in
// which each came first. It has to follow each Run and Tick, unless the caller takes it of the Lane. The caller
// owns what it returns.
func (f *Filter) TakeRouted() []Routed {
	type open struct {
		i      int // of the tag in all
		marker []byte
	}
	var all []Routed
	tags := make(map[string]*open)
	for r := range f.lane.TakeJournal() {
		o := tags[string(r.Tag)]
		if o == nil {
			o = &open{i: len(all)}
			all = append(all, Routed{Tag: string(r.Tag)})
			tags[string(r.Tag)] = o
		}
		to := &all[o.i].Events
		if !bytes.Equal(o.marker, r.Marker) {
			if len(o.marker) > 0 {
				*to = append(*to, guest.GroupEnd...)
			}
			*to = append(*to, r.Marker...)
			o.marker = r.Marker
		}
		*to = append(*to, r.Event...)
	}
	for _, o := range tags {
		if len(o.marker) > 0 {
			all[o.i].Events = append(all[o.i].Events, guest.GroupEnd...)
		}
	}
	return all
}

// KeepRouted is called in the place of TakeRouted if a chunk stays as it came after all: what it has emitted under
// other tags is among that.
func (f *Filter) KeepRouted() { f.lane.KeepJournal() }

// shareHops has what workers emit under other tags be counted as what the filter's lane does, which the border
// has told.
func (f *Filter) shareHops() {
	for _, w := range f.workers {
		w.filter.lane.CountHopsAs(f.lane)
	}
}

// joinRouted moves what workers have emitted under other tags to the filter's lane.
func (f *Filter) joinRouted() {
	for _, w := range f.workers {
		f.lane.JoinJournal(w.filter.lane)
	}
}

// elsewhereBytes is what the lane needs to emit the events of given under other tags, in the group that is
// open, if the marker of that has a body of so many bytes.
func (f *Filter) elsewhereBytes(data []byte, body int) (n int) {
	if len(f.given.elsewhere) == 0 {
		return 0
	}
	marker := f.lane.MarkerBytes(data) - len(f.lane.GroupBody(data)) + body
	for _, e := range f.given.elsewhere {
		n += guest.JournalEntryBytes + marker + len(e.tag)
	}
	return n + len(f.given.routed)
}

// routeGiven emits the events of given under other tags. False: there is no memory.
func (f *Filter) routeGiven(data []byte, event *chunk.Event) bool {
	start := 0
	_, metadata := event.Parts()
	for _, e := range f.given.elsewhere {
		if !f.lane.Route(data, e.tag, metadata, f.given.routed[start:e.end]) {
			return false
		}
		start = e.end
	}
	return true
}

// routeFailed emits a record that has failed under the tag of on_error route, with the reason. False: it has to
// stay in the chunk.
func (f *Filter) routeFailed(data []byte, event *chunk.Event, c cause, err error) bool {
	f.routeName = appendTag(f.routeName[:0], f.routeTag, f.tag, event.Body)
	fits := func() bool {
		return guest.JournalEntryBytes+f.lane.MarkerBytes(data)+len(f.routeName)+len(f.event) <= f.lane.Room()
	}
	f.mark(event, hostlog.Printable(reasonOf(c, err), maxReasonBytes))
	if err != nil && !fits() {
		f.mark(event, c.String())
	}
	_, metadata := event.Parts()
	if fits() && f.lane.Route(data, f.routeName, metadata, f.event) {
		return true
	}
	f.log.Limited(hostlog.Warn, "route", func() string {
		return fmt.Sprintf("on_error route: there is no room for a failed record of %d bytes: it passes through unchanged", len(event.Raw))
	})
	return false
}

// appendTag appends the tag that a template makes for a record. What no tag may hold is _ in it.
func appendTag(dst []byte, t tagtemplate.Template, tag, body []byte) []byte {
	at := len(dst)
	dst = t.Append(dst, unsafe.String(unsafe.SliceData(tag), len(tag)), body)
	dst = dst[:min(len(dst), at+tagtemplate.MaxBytes)]
	for i, c := range dst[at:] {
		if c < ' ' || c == 0x7f {
			dst[at+i] = '_'
		}
	}
	return dst
}
