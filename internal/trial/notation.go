package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// Item is what a line of events stands for. Lines are JSON:
//
//	{"log":"x"}                     an event with that body, the time of all, and no metadata
//	[[TIME, METADATA], BODY]        an event. TIME is text of RFC 3339 or seconds; null: the time of all
//	[["group", METADATA], BODY]     the marker before events of a group
//	["end"]                         the marker behind them
//	["tag", "app.db"]               a chunk begins, with that tag
//	["tick"]                        a chunk ends, and filters tick
//
// BODY and METADATA are as AppendNotation writes them.
type Item struct {
	Kind     ItemKind
	Time     *time.Time // of an Event; nil: none is given
	Metadata Value      // a Map; nil: none is given
	Body     Value
	Tag      string // of a Tag
	Plain    bool   // of an Event: the line was a body alone
}

// ItemKind is the kind of an Item.
type ItemKind int

// The kinds.
const (
	Event ItemKind = iota
	Group
	GroupEnd
	Tag
	Tick
)

var errLine = errors.New(`a line is an object, [[TIME, METADATA], BODY], [["group", METADATA], BODY], ["end"], ["tag", TAG] or ["tick"]`)

// ParseItem reads a line.
func ParseItem(line []byte) (Item, error) {
	line = bytes.TrimSpace(line)
	if len(line) > 0 && line[0] == '{' {
		body, err := ParseValue(line)
		return Item{Body: body, Plain: true}, err
	}
	var parts []json.RawMessage
	if json.Unmarshal(line, &parts) != nil || len(parts) == 0 {
		return Item{}, errLine
	}
	var word, tag string
	if json.Unmarshal(parts[0], &word) == nil && parts[0][0] == '"' {
		switch {
		case word == "end" && len(parts) == 1:
			return Item{Kind: GroupEnd}, nil
		case word == "tick" && len(parts) == 1:
			return Item{Kind: Tick}, nil
		case word == "tag" && len(parts) == 2 && json.Unmarshal(parts[1], &tag) == nil && tag != "":
			return Item{Kind: Tag, Tag: tag}, nil
		}
		return Item{}, errLine
	}
	var header []json.RawMessage
	if len(parts) != 2 || json.Unmarshal(parts[0], &header) != nil || len(header) != 2 {
		return Item{}, errLine
	}
	var item Item
	var err error
	if json.Unmarshal(header[0], &word) == nil && word == "group" {
		item.Kind = Group
	} else if item.Time, err = parseTime(header[0]); err != nil {
		return Item{}, err
	}
	if item.Metadata, err = ParseValue(header[1]); err != nil {
		return Item{}, fmt.Errorf("the metadata: %w", err)
	}
	if _, ok := item.Metadata.(Map); !ok && item.Metadata != nil {
		return Item{}, errors.New("the metadata is no object")
	}
	if item.Body, err = ParseValue(parts[1]); err != nil {
		return Item{}, fmt.Errorf("the body: %w", err)
	}
	return item, nil
}

// parseTime reads a time: exactly, whatever digits it has. null is none.
func parseTime(raw json.RawMessage) (*time.Time, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || !inRange(t) {
			return nil, errTime
		}
		t = t.UTC()
		return &t, nil
	}
	var number json.Number
	if len(raw) > 64 || json.Unmarshal(raw, &number) != nil || bytes.ContainsAny(raw, "eE") {
		return nil, errTime
	}
	r, ok := new(big.Rat).SetString(number.String())
	if !ok {
		return nil, errTime
	}
	ns := r.Mul(r, big.NewRat(1e9, 1))
	if !ns.IsInt() || !ns.Num().IsInt64() {
		return nil, errTime
	}
	t := time.Unix(0, ns.Num().Int64()).UTC()
	if !inRange(t) {
		return nil, errTime
	}
	return &t, nil
}

// inRange reports whether a time can be that of an event: two of 32 bits stand for markers.
func inRange(t time.Time) bool { return t.Unix() >= 0 && t.Unix() < math.MaxUint32-1 }

// Append appends what the item stands for to a chunk, which is nothing for a Tag or a Tick. now is the time of an event
// that has none.
func (i Item) Append(dst []byte, now time.Time) []byte {
	metadata := i.Metadata
	if metadata == nil {
		metadata = Map{}
	}
	switch i.Kind {
	case Event:
		if i.Time != nil {
			now = *i.Time
		}
		return chunk.AppendRecord(dst, now.Unix(), uint32(now.Nanosecond()), Append(nil, metadata), Append(nil, i.Body))
	case Group:
		return chunk.AppendRecord(dst, -1, 0, Append(nil, metadata), Append(nil, i.Body))
	case GroupEnd:
		return chunk.AppendRecord(dst, -2, 0, nil, mp.AppendMapHeader(nil, 0))
	}
	return dst
}

// Items reads the events of a chunk. What is read before an error is returned with it.
func Items(data []byte) (items []Item, err error) {
	for len(data) > 0 {
		event, rest, err := chunk.Next(data)
		if err != nil {
			return items, err
		}
		items = append(items, itemOf(event))
		data = rest
	}
	return items, nil
}

func itemOf(event chunk.Event) Item {
	i := Item{Metadata: Map{}}
	i.Body, _ = decode(event.Body)
	if _, metadata := event.Parts(); metadata != nil {
		i.Metadata, _ = decode(metadata)
	}
	switch event.Kind {
	case chunk.GroupStart:
		i.Kind = Group
	case chunk.GroupEnd:
		i = Item{Kind: GroupEnd}
	default:
		t := time.Unix(event.Sec, int64(event.Nsec)).UTC()
		i.Time = &t
	}
	return i
}

// AppendLine appends the item as a line without its end: an event at that time without metadata as its
// body alone.
func (i Item) AppendLine(dst []byte, now time.Time) []byte {
	switch i.Kind {
	case GroupEnd:
		return append(dst, `["end"]`...)
	case Tick:
		return append(dst, `["tick"]`...)
	case Tag:
		return AppendNotation(dst, List{"tag", i.Tag})
	case Group:
		return AppendNotation(dst, List{List{"group", i.metadata()}, i.Body})
	}
	_, isMap := i.Body.(Map)
	if m, _ := i.metadata().(Map); len(m) == 0 && isMap && (i.Time == nil || i.Time.Equal(now)) {
		return AppendNotation(dst, i.Body)
	}
	var at Value
	if i.Time != nil {
		at = TimeText(*i.Time)
	}
	return AppendNotation(dst, List{List{at, i.metadata()}, i.Body})
}

func (i Item) metadata() Value {
	if i.Metadata == nil {
		return Map{}
	}
	return i.Metadata
}

// TimeText is a time as lines of events have it.
func TimeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
