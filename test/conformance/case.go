// Package conformance is a suite of guests that check a host against docs/abi.md. README.md says
// what a case is; this package reads the cases, and judges what a host has made of one. The tests
// that run them in a host are where that host is: here the command, in test/host the plugin in a test
// host, in test/e2e the plugin in Fluent Bits.
package conformance

import (
	"embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

//go:embed *.wat
var files embed.FS

// A Case is a guest, and what a host has to make of it.
type Case struct {
	Name    string            // of its file, and the tag of its records
	Rule    string            // in words
	Module  string            // in text form
	Options map[string]string // of the filter, but for the module; "$DIR" stands for the directory of Files
	Files   map[string]string // by name
	Slow    bool              // a time limit that can't be set has to pass

	Refused []string // parts of the message, not nil if the host must not start
	Chunks  []Chunk  // what is run, in this order, if it starts
	Log     []Line   // lines that the log has, in this order
	NotLog  []string // what no line of the log contains
}

// A Chunk is events that go through the filter together, and what is to come out.
type Chunk struct {
	Events []Event
	want   []outcome
}

// Bytes is the chunk as Fluent Bit has it.
func (c Chunk) Bytes() []byte { return join(c.Events) }

// An Event is one of a chunk, in MessagePack.
type Event struct {
	Raw      []byte // as a whole
	Time     []byte // nil if the parts of the event can't be told
	Metadata []byte // a map; nil if the event is of the old form, without metadata
	Body     []byte
}

// A Line is of the log: its level (error, warn, info, debug, trace), and parts that it contains in
// that order.
type Line struct {
	Level string
	Parts []string
}

// outcome is what is to become of an event, or a further event.
type outcome struct {
	event  Event
	exact  bool // byte for byte
	failed bool
	text   []string // parts of the reason
}

// DefaultTime is the time of events that have none.
var DefaultTime = [2]uint32{1700000000, 123456789}

// Function is the function of all guests, unless options say otherwise.
const Function = "filter"

// Load reads all cases, by the order of their names.
func Load() ([]*Case, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var all []*Case
	for _, entry := range entries {
		text, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		c, err := Parse(strings.TrimSuffix(entry.Name(), ".wat"), string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		all = append(all, c)
	}
	return all, nil
}

var (
	fieldLine = regexp.MustCompile(`^;; ([a-z_]+): (.*)$`)
	nameForm  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// Parse reads a case from the text of its module.
func Parse(name, text string) (*Case, error) {
	c := &Case{Name: name, Module: text}
	if !nameForm.MatchString(name) {
		return nil, errors.New("the name is not of small letters, digits and single hyphens")
	}
	type field struct{ key, value string }
	var fields []field
	var rule []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, ";;") {
			break
		}
		m := fieldLine.FindStringSubmatch(line)
		switch {
		case m != nil:
			fields = append(fields, field{m[1], m[2]})
		case len(fields) > 0 && strings.HasPrefix(line, ";;   "):
			fields[len(fields)-1].value += "\n" + line[2:]
		case len(fields) == 0:
			rule = append(rule, strings.TrimSpace(line[2:]))
		default:
			return nil, fmt.Errorf("%q is no field, and does not go on with one", line)
		}
	}
	if c.Rule = strings.TrimSpace(strings.Join(rule, " ")); c.Rule == "" {
		return nil, errors.New("it does not say its rule")
	}
	seen := map[string]bool{}
	for _, f := range fields {
		if seen[f.key] && f.key != "chunk" && f.key != "out" {
			return nil, fmt.Errorf("%s is there twice", f.key)
		}
		seen[f.key] = true
		value, err := parseJSON(f.value)
		if err == nil {
			err = c.set(f.key, value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
	}
	return c, c.check()
}

// check looks at what fields have to do with each other.
func (c *Case) check() error {
	for i, chunk := range c.Chunks {
		if chunk.want == nil {
			return fmt.Errorf("chunk %d: nothing is said of what comes out", i)
		}
	}
	switch {
	case c.Refused == nil && len(c.Chunks) == 0:
		return errors.New("there is neither a chunk nor refused")
	case c.Refused != nil && len(c.Chunks) > 0:
		return errors.New("what is refused has no chunk")
	}
	return nil
}

func (c *Case) set(key string, value any) (err error) {
	switch key {
	case "options":
		c.Options, err = stringMap(value)
		for name := range c.Options {
			if slices.Contains([]string{"wasm_path", "on_error", "mark_key", "match"}, name) {
				err = fmt.Errorf("%s is for who runs the case", name)
			}
		}
	case "files":
		c.Files, err = stringMap(value)
	case "slow":
		var ok bool
		if c.Slow, ok = value.(bool); !ok {
			err = errors.New("true or false is expected")
		}
	case "refused":
		c.Refused, err = texts(value)
	case "not_log":
		c.NotLog, err = texts(value)
	case "log":
		list, ok := value.([]any)
		if !ok {
			return errors.New("a list is expected")
		}
		for _, element := range list {
			words, err := texts(element)
			if err != nil || len(words) < 2 || !slices.Contains(Levels, words[0]) {
				return fmt.Errorf("%v: a level and parts of a line are expected", element)
			}
			c.Log = append(c.Log, Line{words[0], words[1:]})
		}
	case "chunk":
		list, ok := value.([]any)
		if !ok {
			return errors.New("a list of events is expected")
		}
		var chunk Chunk
		for i, element := range list {
			e, err := parseEvent(element)
			if err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
			chunk.Events = append(chunk.Events, e)
		}
		c.Chunks = append(c.Chunks, chunk)
	case "out":
		if len(c.Chunks) == 0 || c.Chunks[len(c.Chunks)-1].want != nil {
			return errors.New("it follows no chunk")
		}
		chunk := &c.Chunks[len(c.Chunks)-1]
		chunk.want, err = parseOut(value, chunk.Events)
	default:
		err = errors.New("there is no such field")
	}
	return err
}

// Levels are those of the log, from the one that is always there; the options' log_level may also be
// "off".
var Levels = []string{"error", "warn", "info", "debug", "trace"}

func stringMap(value any) (map[string]string, error) {
	o, ok := value.(object)
	if !ok {
		return nil, errors.New("an object is expected")
	}
	all := map[string]string{}
	for _, m := range o {
		text, ok := m.value.(string)
		if !ok {
			return nil, fmt.Errorf("%s: a text is expected", m.key)
		}
		all[m.key] = text
	}
	return all, nil
}

// parseEvent reads an event: {"time": [s, ns], "metadata": {}, "body": {}}, the marker
// {"group": "start", "metadata": {}, "body": {}} or {"group": "end"}, or {"$hex": "..."}.
func parseEvent(value any) (Event, error) {
	if b, ok := value.(raw); ok {
		return eventOf(b), nil
	}
	o, ok := value.(object)
	if !ok {
		return Event{}, errors.New("an object is expected")
	}
	sec, nsec := DefaultTime[0], DefaultTime[1]
	var body, metadata any = object{}, object{}
	for _, m := range o {
		switch m.key {
		case "time":
			list, _ := m.value.([]any)
			if len(list) != 2 {
				return Event{}, errors.New("time: seconds and nanoseconds are expected")
			}
			for i, to := range []*uint32{&sec, &nsec} {
				n, err := strconv.ParseUint(fmt.Sprint(list[i]), 10, 32)
				if err != nil {
					return Event{}, fmt.Errorf("time: %w", err)
				}
				*to = uint32(n)
			}
		case "group":
			nsec = 0
			switch m.value {
			case "start":
				sec = 0xffffffff
			case "end":
				sec = 0xfffffffe
			default:
				return Event{}, errors.New("group: start or end is expected")
			}
		case "metadata":
			metadata = m.value
		case "body":
			body = m.value
		default:
			return Event{}, fmt.Errorf("there is no %s in an event", m.key)
		}
	}
	e := Event{Time: binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte{0xd7, 0}, sec), nsec)}
	var err error
	if e.Metadata, err = pack(nil, metadata); err != nil {
		return Event{}, err
	}
	if e.Body, err = pack(nil, body); err != nil {
		return Event{}, err
	}
	e.Raw = slices.Concat([]byte{0x92, 0x92}, e.Time, e.Metadata, e.Body)
	return e, nil
}

// eventOf takes an event apart, as far as it can be.
func eventOf(b []byte) Event {
	e := Event{Raw: b}
	var both []codec.Raw
	if len(b) == 0 || b[0] != 0x92 || oracle.Raw(b, &both) != nil || len(both) != 2 || len(both[0]) == 0 {
		return e
	}
	header, body := both[0], orNil(both[1])
	if header[0] != 0x92 {
		e.Time, e.Body = header, body
		return e
	}
	var parts []codec.Raw
	if oracle.Raw(header, &parts) == nil && len(parts) == 2 {
		e.Time, e.Metadata, e.Body = orNil(parts[0]), orNil(parts[1]), body
	}
	return e
}

// orNil restores a nil, of which the codec leaves nothing.
func orNil(b []byte) []byte {
	if len(b) == 0 {
		return []byte{0xc0}
	}
	return b
}

// parseOut reads what comes out: "unchanged", or a list of {"event": i} (that event as it came),
// {"failed": i, "text": [...]}, and events.
func parseOut(value any, events []Event) ([]outcome, error) {
	want := []outcome{}
	if value == "unchanged" {
		for _, e := range events {
			want = append(want, outcome{event: e, exact: true})
		}
		return want, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New(`a list of events, or "unchanged", is expected`)
	}
	for i, element := range list {
		o, err := parseOutcome(element, events)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		want = append(want, o)
	}
	return want, nil
}

func parseOutcome(value any, events []Event) (outcome, error) {
	o, _ := value.(object)
	at := func(key string) (*Event, error) {
		v, ok := o.get(key)
		if !ok {
			return nil, nil
		}
		n, ok := v.(json.Number)
		i, err := strconv.Atoi(string(n))
		if !ok || err != nil || i < 0 || i >= len(events) {
			return nil, fmt.Errorf("there is no event %v in the chunk", v)
		}
		return &events[i], nil
	}
	kept, err := at("event")
	if err != nil || kept != nil {
		if err == nil && len(o) != 1 {
			err = errors.New("an event as it came has nothing else")
		}
		if err != nil {
			return outcome{}, err
		}
		return outcome{event: *kept, exact: true}, nil
	}
	failed, err := at("failed")
	if err != nil {
		return outcome{}, err
	}
	if failed == nil {
		e, err := parseEvent(value)
		_, exact := value.(raw)
		return outcome{event: e, exact: exact}, err
	}
	result := outcome{event: *failed, failed: true}
	for _, m := range o {
		switch m.key {
		case "failed":
		case "text":
			if result.text, err = texts(m.value); err != nil {
				return outcome{}, err
			}
		default:
			return outcome{}, fmt.Errorf("there is no %s in what has failed", m.key)
		}
	}
	return result, nil
}

func join(events []Event) []byte {
	var all []byte
	for _, e := range events {
		all = append(all, e.Raw...)
	}
	return all
}

// NeedsTags says whether the case can only be run where events may go on under other tags.
func (c *Case) NeedsTags() bool { return c.Options["emit_tags"] != "" }

// FitsLegacy says whether the case can be judged where events have no metadata.
func (c *Case) FitsLegacy() bool {
	fits := func(e Event) bool { return e.Time != nil && (e.Metadata == nil || isEmptyMap(e.Metadata)) }
	for _, chunk := range c.Chunks {
		for _, e := range chunk.Events {
			if !fits(e) {
				return false
			}
		}
		for _, o := range chunk.want {
			if !fits(o.event) {
				return false
			}
		}
	}
	return true
}

// Legacy is the chunk without the metadata of its events, which have none.
func (c Chunk) Legacy() []byte {
	var all []byte
	for _, e := range c.Events {
		all = slices.Concat(all, []byte{0x92}, e.Time, e.Body)
	}
	return all
}
