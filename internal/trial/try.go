package trial

import (
	"bytes"
	"fmt"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
)

// Outcome is what became of one event, which was run alone.
type Outcome struct {
	Before  Item
	After   []Item        // none: it was dropped
	Emitted []EmittedItem // under other tags
	Group   *Item         // the marker of its group as it came; nil: it is in none
	Marker  *Item         // the marker as it is now
	Changed bool          // the bytes are not the same
	Failed  bool          // it failed, or was refused
	Elapsed time.Duration // in all filters
	Log     []Line        // what the filters logged meanwhile
}

// EmittedItem is an event that has come out under a tag that a filter has given it.
type EmittedItem struct {
	Tag string
	Item
}

// maxTriedBytes bounds an output of Try: as values of Go it takes many times as much memory.
const maxTriedBytes = 8 << 20

// TooLargeError is an output that is too large to be looked at.
type TooLargeError struct{ Bytes int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("what came out has %d bytes, and %d can be looked at", e.Bytes, maxTriedBytes)
}

// Try runs one event in a chunk of its own, between the markers of its group if it is in one: group is the one
// that begins it, or empty.
func (p *Pipeline) Try(tag string, group []byte, event chunk.Event) (o Outcome, err error) {
	data := bytes.Clone(event.Raw)
	if len(group) > 0 {
		data = Item{Kind: GroupEnd}.Append(append(bytes.Clone(group), event.Raw...), time.Time{})
	}
	o.Before = itemOf(event)
	before := p.Stats()
	start := time.Now()
	p.lines = &o.Log
	out, err := p.Run(tag, data)
	p.lines = nil
	o.Elapsed = time.Since(start)
	if err != nil {
		return o, err
	}
	after := p.Stats()
	o.Failed = after.Failed+after.Corrupt > before.Failed+before.Corrupt
	o.Changed = !bytes.Equal(data, out)
	if len(group) > 0 {
		if items, err := Items(group); err == nil && len(items) == 1 {
			o.Group = &items[0]
		}
	}
	emitted := p.TakeEmitted()
	size := len(out)
	for _, e := range emitted {
		size += len(e.Events)
	}
	if size > max(maxTriedBytes, 2*len(data)) {
		return o, &TooLargeError{size}
	}
	if o.Emitted, err = EmittedItems(emitted); err != nil {
		return o, err
	}
	items, err := Items(out)
	if err != nil {
		return o, fmt.Errorf("an output of %d bytes can't be read: %w", len(out), err)
	}
	for i, item := range items {
		switch item.Kind {
		case Group:
			if o.Marker == nil {
				o.Marker = &items[i]
			}
		case Event:
			o.After = append(o.After, item)
		}
	}
	return o, nil
}

// EmittedItems are the events of a list, without the markers of their groups.
func EmittedItems(list []Emitted) (events []EmittedItem, err error) {
	for _, e := range list {
		items, err := Items(e.Events)
		if err != nil {
			return nil, fmt.Errorf("what is emitted under tag %q, %d bytes, can't be read: %w", e.Tag, len(e.Events), err)
		}
		for _, i := range items {
			if i.Kind == Event {
				events = append(events, EmittedItem{e.Tag, i})
			}
		}
	}
	return events, nil
}

// Routed reports whether the event has left its chunk for another tag.
func (o *Outcome) Routed() bool { return len(o.After) == 0 && len(o.Emitted) > 0 }

// Changes are where the event, and the marker of its group, differ from what they were: the first event that came
// out stands in its place, under another tag if it was routed. What was dropped, or came in addition, is not among them.
func (o *Outcome) Changes() (list []Change) {
	prefixed := func(prefix string, was, is Value) {
		for _, c := range Diff(was, is) {
			c.Path = prefix + c.Path
			list = append(list, c)
		}
	}
	if o.Group != nil && o.Marker != nil {
		prefixed("group metadata ", o.Group.metadata(), o.Marker.metadata())
		prefixed("group ", o.Group.Body, o.Marker.Body)
	}
	var is Item
	switch {
	case o.Routed():
		is = o.Emitted[0].Item
	case len(o.After) > 0:
		is = o.After[0]
	default:
		return list
	}
	if !o.Before.Time.Equal(*is.Time) {
		list = append(list, Change{Path: "time", Was: TimeText(*o.Before.Time), Is: TimeText(*is.Time)})
	}
	prefixed("metadata ", o.Before.metadata(), is.metadata())
	return append(list, Diff(o.Before.Body, is.Body)...)
}
