package output

import (
	"errors"
	"fmt"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tagtemplate"
)

// maxGroupBytes is where a group is closed and another one begun with the same
// tag. Fluent Bit's forward input takes messages of 6 MB (buffer_max_size).
const maxGroupBytes = 1 << 20

// maxMarkerBytes bounds what the markers of groups of records take in all: each tag has them
// again, and how many tags there are, and how long markers are, is up to the records.
const maxMarkerBytes = 64 << 20

var (
	errEventHeader = errors.New("the chunk can't be read: the header of an event is not what it was")
	errMarkers     = fmt.Errorf("resource and scope of its records, repeated for each tag that emit_tag gives them, are more than %d bytes: let emit_tag use fewer values of the record, or set emit_metadata off", maxMarkerBytes)
)

// group is a row of events with one tag, in their order in the chunk.
type group struct {
	tag    string
	events []byte
	count  int
	within []byte // the marker of the group of records that is open, as it came
}

// sameTag leaves the tag of events that the module has given one as it is.
var sameTag, _ = tagtemplate.Parse("$TAG")

// divide sorts the events of a chunk by their tags, and brings them into the form
// that they travel in. Nothing of data is kept.
func divide(data []byte, tag string, template tagtemplate.Template, metadata options.Metadata) ([]*group, error) {
	d := divider{tag: tag, template: template, metadata: metadata, open: map[string]*group{}}
	for rest := data; len(rest) > 0; {
		event, next, err := chunk.Next(rest)
		if err != nil {
			return nil, fmt.Errorf("the chunk can't be read: %w", err)
		}
		if err := d.event(event); err != nil {
			return nil, err
		}
		rest = next
	}
	for _, g := range d.all {
		g.leave()
	}
	return d.all, nil
}

type divider struct {
	tag      string
	template tagtemplate.Template
	metadata options.Metadata
	all      []*group
	open     map[string]*group // by tag
	within   []byte            // the start marker that holds for the next records
	markers  int               // bytes of start markers in all groups
	name     []byte
}

func (d *divider) event(ev chunk.Event) error {
	switch ev.Kind {
	case chunk.GroupStart:
		if d.metadata != options.MetadataOff {
			d.within = ev.Raw
		}
		return nil
	case chunk.GroupEnd:
		d.within = nil
		return nil
	}
	g := d.groupFor(ev)
	if len(g.within) != len(d.within) || string(g.within) != string(d.within) {
		g.leave()
		if d.within != nil {
			if d.markers += len(d.within); d.markers > maxMarkerBytes {
				return errMarkers
			}
			g.within = d.within
			g.events = append(g.events, d.within...)
			g.count++
		}
	}
	var err error
	g.events, err = appendEvent(g.events, ev, d.metadata, d.within != nil)
	g.count++
	return err
}

func (d *divider) groupFor(ev chunk.Event) *group {
	d.name = d.template.Append(d.name[:0], d.tag, ev.Body)
	g := d.open[string(d.name)]
	if g == nil || len(g.events) >= maxGroupBytes {
		if g != nil {
			g.leave()
		}
		g = &group{tag: string(d.name)}
		d.open[g.tag] = g
		d.all = append(d.all, g)
	}
	return g
}

// leave ends the group of records that is open.
func (g *group) leave() {
	if g.within != nil {
		g.within = nil
		// A group's end is an event whose time is -2 (flb_log_event.h, since 3.2).
		g.events = chunk.AppendRecord(g.events, -2, 0, nil, []byte{0x80})
		g.count++
	}
}

// appendEvent appends a record as it travels. Inside a group of records, which only
// Fluent Bit knows, it stays as it is.
func appendEvent(dst []byte, ev chunk.Event, metadata options.Metadata, grouped bool) ([]byte, error) {
	if ev.Legacy {
		if metadata != options.MetadataOn {
			return append(dst, ev.Raw...), nil
		}
		dst = mp.AppendArrayHeader(dst, 2)
		dst = mp.AppendArrayHeader(dst, 2)
		dst = append(dst, ev.Header...)
		dst = mp.AppendMapHeader(dst, 0)
		return append(dst, ev.Body...), nil
	}
	if metadata == options.MetadataOn || grouped {
		return append(dst, ev.Raw...), nil
	}
	time, meta, err := header(ev)
	if err != nil {
		return dst, err
	}
	if n, _, err := mp.ReadMapHeader(meta); metadata == options.MetadataAuto && (err != nil || n > 0) {
		return append(dst, ev.Raw...), nil
	}
	return chunk.AppendEvent(dst, time, ev.Body), nil
}

// header takes the header of an event apart; of a legacy one, the metadata is nil.
func header(ev chunk.Event) (time, metadata []byte, err error) {
	if ev.Legacy {
		return ev.Header, nil, nil
	}
	_, rest, err := mp.ReadArrayHeader(ev.Header)
	if err != nil {
		return nil, nil, errEventHeader
	}
	metadata, err = mp.Skip(rest, chunk.MaxDepth)
	if err != nil {
		return nil, nil, errEventHeader
	}
	n := len(rest) - len(metadata)
	return rest[:n:n], metadata, nil
}
