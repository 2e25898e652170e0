package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// pipeline takes records, hands them through the stages in chunks and writes
// them to standard output in the order in which they came.
type pipeline struct {
	tag          string
	chunkRecords int
	now          func() time.Time
	stdout       io.Writer
	stderr       io.Writer
	msgpack      bool   // format of the output
	onlyTag      string // a pattern: what is written has such a tag, and is written without it; "": all is
	follow       bool   // what filters emit goes through the filters that match it
	diff         bool   // what is written is how records differ
	palette      trial.Palette

	trial  *trial.Pipeline
	body   []byte // of the record that is being read
	chunk  []byte // events that wait to be run
	group  []byte // with diff, the marker of the group that records are in
	events int    // of these
	out    []byte // what is written next

	tickInterval time.Duration // 0: no filter ticks
	nextTick     time.Time

	in, written  uint64 // records
	emitted      []tagCount
	saidTags     bool   // that records under other tags are left out
	unreadable   uint64 // parts of the input that are not records; passed through or left out
	unwritable   uint64 // records and unreadable parts that the output's format can't hold
	inputsFailed int
}

// start makes the filters. On an error none is left running.
func (p *pipeline) start(specs []trial.Spec) (err error) {
	for _, s := range specs {
		if _, err := s.Match(p.tag); err != nil {
			return fmt.Errorf("filter %s: %w", s.Name, err)
		}
	}
	if p.trial, err = trial.Start(specs, logTo(p.stderr)); err != nil {
		return err
	}
	p.trial.Follow = p.follow
	if p.tickInterval = p.trial.TickInterval(); p.tickInterval > 0 {
		p.nextTick = time.Now().Add(p.tickInterval)
	}
	return nil
}

// readAll runs all inputs. The error is a *writeError; what is wrong with an
// input is said, and the next one is read.
func (p *pipeline) readAll(in inputs, msgpack bool) error {
	read := p.readNDJSON
	if msgpack {
		read = p.readMsgpack
	}
	for _, i := range in {
		err := read(i)
		if flushErr := p.flush(); err == nil {
			err = flushErr
		}
		var write *writeError
		if errors.As(err, &write) {
			return err
		}
		if err != nil {
			p.inputsFailed++
			var path *fs.PathError
			if errors.As(err, &path) { // it names the input again
				err = path.Err
			}
			p.complain(i.name, "%v", err)
		}
	}
	return nil
}

// complain says what is wrong at a place in the input.
func (p *pipeline) complain(place, format string, args ...any) {
	say(p.stderr, "%s: %s", place, fmt.Sprintf(format, args...))
}

// add appends an event to the chunk, and runs it if it is full.
func (p *pipeline) add(event chunk.Event) error {
	if p.diff {
		return p.try(event)
	}
	p.chunk = append(p.chunk, event.Raw...)
	return p.added(event.Kind == chunk.Record)
}

// addRecord appends a record with that body, as of now.
func (p *pipeline) addRecord(body []byte) error {
	now := p.now()
	if p.diff {
		event, _, err := chunk.Next(chunk.AppendRecord(nil, now.Unix(), uint32(now.Nanosecond()), nil, body))
		if err != nil {
			return err
		}
		return p.try(event)
	}
	p.chunk = chunk.AppendRecord(p.chunk, now.Unix(), uint32(now.Nanosecond()), nil, body)
	return p.added(true)
}

func (p *pipeline) added(isRecord bool) error {
	if isRecord {
		p.in++
	}
	p.events++
	if p.events < p.chunkRecords {
		return nil
	}
	return p.flush()
}

// flush runs the chunk and writes what is left of it.
func (p *pipeline) flush() error {
	data, err := p.trial.Run(p.tag, p.chunk)
	if err == nil {
		err = p.write(data, "")
	}
	p.chunk, p.events = p.chunk[:0], 0
	if err == nil {
		err = p.writeEmitted()
	}
	if err == nil && p.tickInterval > 0 && !time.Now().Before(p.nextTick) {
		err = p.tick(false)
	}
	return err
}

// write writes the events of a chunk, which filters have emitted under that tag, or "".
func (p *pipeline) write(data []byte, tag string) error {
	p.out = p.out[:0]
	for len(data) > 0 {
		event, rest, err := chunk.Next(data)
		if err != nil { // no filter makes such a chunk of a good one
			p.unreadable++
			p.complain("output", "%d bytes are no events: %v", len(data), err)
			if p.msgpack {
				p.out = append(p.out, data...)
			}
			break
		}
		p.append(event, tag)
		data = rest
	}
	return write(p.stdout, p.out)
}

// isWanted reports whether events of a tag are written.
func (p *pipeline) isWanted(tag string) bool {
	if tag == "" {
		tag = p.tag
	}
	return p.onlyTag == "" || fbconf.MatchTag(p.onlyTag, tag)
}

// append appends an event to the output. As JSON, markers of groups have no
// place in it.
func (p *pipeline) append(event chunk.Event, tag string) {
	isRecord := event.Kind == chunk.Record
	if isRecord && tag != "" {
		p.count(tag)
	}
	switch {
	case !p.isWanted(tag):
	case p.msgpack && tag != "" && p.onlyTag == "":
		if isRecord {
			p.unwritable++
		}
		if !p.saidTags {
			p.saidTags = true
			p.complain("output", "msgpack has no tags, and records under other tags, such as %q, are left out: choose one with --only-tag", tag)
		}
		return
	case p.msgpack:
		p.out = append(p.out, event.Raw...)
	case !isRecord:
		return
	default:
		out, err := p.appendLine(p.out, event, tag)
		if err != nil {
			p.unwritable++
			p.complain("output", "a record can't be written as JSON and is left out: %v", err)
			return
		}
		p.out = out
	}
	if isRecord && tag == "" {
		p.written++
	}
}

// appendLine appends a record as JSON: its body, or if it is under another tag in the midst of others, a list of that
// tag, body and metadata, if there is some.
func (p *pipeline) appendLine(dst []byte, event chunk.Event, tag string) ([]byte, error) {
	isTagged := tag != "" && p.onlyTag == ""
	if isTagged {
		dst = append(trial.AppendNotation(append(dst, '['), strings.ToValidUTF8(tag, "\ufffd")), ',')
	}
	dst, _, err := transcode.AppendJSON(dst, event.Body)
	if err != nil || !isTagged {
		return append(dst, '\n'), err
	}
	if _, metadata := event.Parts(); len(metadata) > 0 && !bytes.Equal(metadata, emptyMap) {
		if dst, _, err = transcode.AppendJSON(append(dst, ','), metadata); err != nil {
			return dst, err
		}
	}
	return append(dst, "]\n"...), nil
}

var emptyMap = mp.AppendMapHeader(nil, 0)

// tagCount is how many records have been emitted under a tag.
type tagCount struct {
	tag string
	n   uint64
}

// maxTagCounts bounds the tags of which records are counted by themselves. Others are counted under "".
const maxTagCounts = 20

func (p *pipeline) count(tag string) {
	at := slices.IndexFunc(p.emitted, func(c tagCount) bool { return c.tag == tag })
	if at < 0 && len(p.emitted) >= maxTagCounts && tag != "" {
		p.count("")
		return
	}
	if at < 0 {
		at = len(p.emitted)
		p.emitted = append(p.emitted, tagCount{tag: tag})
	}
	p.emitted[at].n++
}

// writeEmitted writes what filters have emitted under other tags.
func (p *pipeline) writeEmitted() error {
	for _, e := range p.trial.TakeEmitted() {
		if err := p.write(e.Events, e.Tag); err != nil {
			return err
		}
	}
	return nil
}

// tick has the filters tick, and writes what they emit.
func (p *pipeline) tick(final bool) error {
	p.nextTick = time.Now().Add(p.tickInterval)
	if err := p.trial.Tick(final); err != nil {
		return err
	}
	if !p.diff {
		return p.writeEmitted()
	}
	list, err := trial.EmittedItems(p.trial.TakeEmitted())
	if err != nil {
		return err
	}
	p.out = p.out[:0]
	if len(list) > 0 {
		p.out = append(p.out, "tick\n"...)
	}
	p.out = p.appendEmitted(p.out, list, time.Time{})
	return write(p.stdout, p.out)
}

// failed reports whether a record, or a part of the input, failed.
func (p *pipeline) failed() bool {
	stats := p.trial.Stats()
	return stats.Failed > 0 || stats.FailedTicks > 0 || stats.Corrupt > 0 || p.unreadable > 0 || p.unwritable > 0 || p.inputsFailed > 0
}

// summary is one line for each filter if there are several, and one for all.
func (p *pipeline) summary() string {
	var text strings.Builder
	stats := p.trial.Stats()
	total := counts{in: p.in, out: p.written, dropped: stats.Dropped, routed: stats.Routed, failed: p.unreadable + stats.Failed}
	for _, s := range p.trial.Stages {
		total.elapsed += s.Elapsed
		leaves := s.Options.OnError == options.Drop || s.Options.OnError == options.Route
		total.leaves = total.leaves || leaves
		matches, _ := s.Match(p.tag)
		stats := s.Filter.Stats()
		matches = matches || stats.Records > 0 // by a tag that another one emits
		if len(p.trial.Stages) == 1 && matches {
			continue
		}
		if !matches {
			fmt.Fprintf(&text, "filter %s: does not match tag %s\n", s.Name, p.tag)
			continue
		}
		fmt.Fprintf(&text, "filter %s: %s\n", s.Name, counts{
			in: stats.Records, out: stats.Records - stats.Dropped - stats.Routed, dropped: stats.Dropped, routed: stats.Routed, failed: stats.Failed, elapsed: s.Elapsed, leaves: leaves,
		})
	}
	if len(p.trial.Stages) > 1 {
		text.WriteString("total: ")
	}
	text.WriteString(total.String())
	for i, c := range p.emitted {
		tag := "others"
		if c.tag != "" {
			tag = fmt.Sprintf("%q", c.tag)
		}
		fmt.Fprintf(&text, "%s %d under %s", []string{"; emitted", ","}[min(i, 1)], c.n, tag)
	}
	if p.unwritable > 0 {
		fmt.Fprintf(&text, "; left out %d", p.unwritable)
	}
	text.WriteByte('\n')
	return text.String()
}

type counts struct {
	in, out, dropped, routed, failed uint64
	elapsed                          time.Duration
	leaves                           bool // a record that fails leaves its chunk
}

func (c counts) String() string {
	fate := "passed through by error"
	if c.leaves {
		fate = "failed"
	}
	text := fmt.Sprintf("records in %d, out %d, dropped %d, ", c.in, c.out, c.dropped)
	if c.routed > 0 {
		text += fmt.Sprintf("routed %d, ", c.routed)
	}
	text += fmt.Sprintf("%s %d", fate, c.failed)
	if c.in > 0 {
		text += fmt.Sprintf("; %.2f µs per record", float64(c.elapsed.Nanoseconds())/1e3/float64(c.in))
	}
	return text
}

// try runs an event alone, and writes how it differs after that.
func (p *pipeline) try(event chunk.Event) error {
	switch event.Kind {
	case chunk.GroupStart:
		p.group = bytes.Clone(event.Raw)
		return nil
	case chunk.GroupEnd:
		p.group = nil
		return nil
	}
	p.in++
	o, err := p.trial.Try(p.tag, p.group, event)
	if err != nil {
		p.unreadable++
		p.complain(fmt.Sprintf("record %d", p.in), "%v", err)
		return nil
	}
	p.written += uint64(len(o.After))
	p.out = p.appendOutcome(p.out[:0], &o)
	err = write(p.stdout, p.out)
	if err == nil && p.tickInterval > 0 && !time.Now().Before(p.nextTick) {
		err = p.tick(false)
	}
	return err
}

// appendOutcome appends what has become of a record, if it has changed or failed.
func (p *pipeline) appendOutcome(dst []byte, o *trial.Outcome) []byte {
	changes := o.Changes()
	word := "changed"
	switch {
	case o.Failed && o.Routed():
		word = "failed, and routed"
	case o.Failed && len(o.After) == 0:
		word = "failed, and dropped"
	case o.Failed:
		word = "failed"
	case o.Routed():
		word = "routed"
	case len(o.After) == 0:
		word = "dropped"
	case len(o.After) == 1 && len(changes) == 0 && len(o.Emitted) == 0:
		return dst
	case len(o.After) == 1 && len(changes) == 0:
		word = "unchanged, and emitted"
	case len(o.Emitted) > 0:
		word = "changed, and emitted"
	}
	dst = fmt.Appendf(dst, "record %d: %s\n", p.in, word)
	if o.Routed() {
		p.count(o.Emitted[0].Tag)
		dst = fmt.Appendf(dst, "  under %q\n%s", o.Emitted[0].Tag, p.palette.Changes("    ", changes))
		return p.appendEmitted(dst, o.Emitted[1:], *o.Before.Time)
	}
	line := func(item trial.Item) string { return string(item.AppendLine(nil, *o.Before.Time)) }
	if len(o.After) == 0 {
		dst = fmt.Appendf(dst, "  %s\n", p.palette.Was(line(o.Before)))
	}
	dst = append(dst, p.palette.Changes("  ", changes)...)
	for _, item := range o.After[min(len(o.After), 1):] {
		dst = fmt.Appendf(dst, "  %s\n", p.palette.Is(line(item)))
	}
	return p.appendEmitted(dst, o.Emitted, *o.Before.Time)
}

// appendEmitted appends what has been emitted under other tags, with the times that are other than that one.
func (p *pipeline) appendEmitted(dst []byte, list []trial.EmittedItem, at time.Time) []byte {
	for i, e := range list {
		p.count(e.Tag)
		if i == 0 || list[i-1].Tag != e.Tag {
			dst = fmt.Appendf(dst, "  under %q\n", e.Tag)
		}
		dst = fmt.Appendf(dst, "    %s\n", p.palette.Is(string(e.AppendLine(nil, at))))
	}
	return dst
}
