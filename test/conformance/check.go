package conformance

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// FailedKey is the member that the host adds to the body of an event that has failed, with the reason:
// who runs the cases sets on_error to mark, and mark_key to this.
const FailedKey = "conformance_failed"

// A Result is what a host has made of a case.
type Result struct {
	Refused bool
	Message string   // if it is refused, everything that the host said
	Chunks  [][]byte // what has come out; one of all chunks if Joined
	Log     []LogLine
	Joined  bool

	// Recoded says that events go through something else before and after the filter, which may
	// write the same values in other bytes.
	Recoded bool
}

// A LogLine is a line of the log, of the filter or the guest.
type LogLine struct{ Level, Text string }

// Check returns what is wrong with a result.
func (c *Case) Check(r Result) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	switch {
	case c.Refused != nil && !r.Refused:
		add("the host has started")
	case c.Refused != nil:
		rest := r.Message
		for _, part := range c.Refused {
			var ok bool
			if _, rest, ok = strings.Cut(rest, part); !ok {
				add("the message that it is refused with does not have %q (after what comes before)", part)
			}
		}
	case r.Refused:
		add("the host has not started: %s", r.Message)
		return problems
	default:
		problems = append(problems, c.checkChunks(r)...)
	}
	problems = append(problems, c.checkLog(r)...)
	return problems
}

func (c *Case) checkLog(r Result) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	rest := r.Log
	for _, want := range c.Log {
		found := false
		for i, line := range rest {
			if line.Level == want.Level && containsAll(line.Text, want.Parts) {
				found, rest = true, rest[i+1:]
				break
			}
		}
		if !found {
			add("no line of the log is %s with %q (after what comes before)", want.Level, want.Parts)
		}
	}
	for _, line := range r.Log {
		for _, part := range c.NotLog {
			if strings.Contains(line.Text, part) {
				add("a line of the log has %q: %.200q", part, line.Text)
			}
		}
		// The rule of docs/abi.md for all of them.
		if i := strings.IndexFunc(line.Text, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
			add("a line of the log is not printable: %.200q", line.Text)
		}
	}
	return problems
}

// LogIsComplete says whether there is no need to wait for more lines.
func (c *Case) LogIsComplete(lines []LogLine) bool {
	return len((&Case{Log: c.Log}).checkLog(Result{Log: lines})) == 0
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		var ok bool
		if _, text, ok = strings.Cut(text, part); !ok {
			return false
		}
	}
	return true
}

func (c *Case) checkChunks(r Result) (problems []string) {
	if len(r.Chunks) != len(c.Chunks) && !r.Joined {
		return []string{fmt.Sprintf("%d chunks have come out, not %d", len(r.Chunks), len(c.Chunks))}
	}
	if r.Joined {
		var all []outcome
		for _, chunk := range c.Chunks {
			all = append(all, chunk.want...)
		}
		return checkEvents(all, bytes.Join(r.Chunks, nil), r)
	}
	for i, chunk := range c.Chunks {
		for _, problem := range checkEvents(chunk.want, r.Chunks[i], r) {
			problems = append(problems, fmt.Sprintf("chunk %d: %s", i, problem))
		}
	}
	return problems
}

func checkEvents(want []outcome, chunk []byte, r Result) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	events, err := split(chunk)
	if err != nil {
		add("what has come out can't be read: %v", err)
	}
	if len(events) != len(want) {
		add("%d events have come out, not %d", len(events), len(want))
	}
	for i := range min(len(events), len(want)) {
		if diff := want[i].diff(events[i], r); diff != "" {
			add("event %d (-want +got):\n%s", i, diff)
		}
	}
	return problems
}

// split takes the events of a chunk apart.
func split(chunk []byte) (events []Event, err error) {
	for len(chunk) > 0 {
		var whole codec.Raw
		if err := oracle.Raw(chunk, &whole); err != nil {
			return events, fmt.Errorf("event %d: %w", len(events), err)
		}
		events = append(events, eventOf(chunk[:len(whole)]))
		chunk = chunk[len(whole):]
	}
	return events, nil
}

// view is an event as it is compared.
type view struct {
	Time     string
	Metadata any
	Body     any
	Keys     string // of the body's maps, and of the metadata's, in their order
	Failed   bool
}

func (o outcome) diff(got Event, r Result) string {
	if o.event.Time == nil || got.Time == nil || o.exact && !r.Recoded {
		return cmp.Diff(fmt.Sprintf("% x", o.event.Raw), fmt.Sprintf("% x", got.Raw))
	}
	w, g := viewOf(o.event), viewOf(got)
	// Only a map can be marked.
	w.Failed = o.failed && isMap(o.event.Body)
	var reason string
	if body, ok := g.Body.(map[string]any); ok && body[FailedKey] != nil {
		g.Failed, reason = true, fmt.Sprint(body[FailedKey])
		delete(body, FailedKey)
		g.Keys = strings.Replace(g.Keys, fmt.Sprintf("%q", FailedKey), "", 1)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		return diff
	}
	said := func(line LogLine) bool { return containsAll(line.Text, o.text) }
	if !containsAll(reason, o.text) && !slices.ContainsFunc(r.Log, said) {
		return fmt.Sprintf("neither the reason, %.200q, nor a line of the log has %q", reason, o.text)
	}
	return ""
}

func viewOf(e Event) view {
	v := view{Time: fmt.Sprintf("%x", e.Time)}
	read := func(b []byte) (value any) {
		if err := oracle.Value(b, &value); err != nil {
			return fmt.Sprintf("% x: %v", b, err)
		}
		keys, err := oracle.Keys(b)
		if err != nil {
			return fmt.Sprintf("% x: %v", b, err)
		}
		v.Keys += keys
		return value
	}
	v.Body = read(e.Body)
	v.Metadata = map[string]any{}
	if e.Metadata != nil {
		v.Metadata = read(e.Metadata)
	} else {
		v.Keys += "{}"
	}
	return v
}
