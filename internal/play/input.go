package play

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// maxSpanBytes bounds a value that goes over several lines.
const maxSpanBytes = 1 << 20

// entry is an item of the input, or why there is none in a line.
type entry struct {
	line int // in which it begins, from 1
	item trial.Item
	err  error
}

// entries reads the input: lines of events, but an object may go over several lines, and a list of objects
// stands for these. As text each line is a record with the line as its log.
func entries(input []byte, asText bool) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for number := 1; len(input) > 0; {
			text, rest, _ := bytes.Cut(input, []byte("\n"))
			text = bytes.TrimSuffix(text, []byte("\r"))
			e := entry{line: number}
			switch {
			case len(bytes.TrimSpace(text)) == 0:
				number, input = number+1, rest
				continue
			case asText:
				e.item = trial.Item{Body: trial.Map{{Key: "log", Value: string(text)}}, Plain: true}
			default:
				if e.item, e.err = trial.ParseItem(text); e.err == nil {
					break
				}
				list, length := spanning(input)
				if length == 0 {
					break
				}
				for _, item := range list {
					if !yield(entry{line: number, item: item}) {
						return
					}
				}
				number += bytes.Count(input[:length], []byte("\n"))
				input = input[length:]
				continue
			}
			number, input = number+1, rest
			if !yield(e) {
				return
			}
		}
	}
}

// spanning reads an object, or a list of objects, that begins the input, and returns where the line ends in which it
// ends; 0: there is none.
func spanning(input []byte) (items []trial.Item, length int) {
	decoder := json.NewDecoder(io.LimitReader(bytes.NewReader(input), maxSpanBytes))
	var raw json.RawMessage
	if err := decoder.Decode(&raw); err != nil {
		return nil, 0
	}
	length = int(decoder.InputOffset())
	rest, after, _ := bytes.Cut(input[length:], []byte("\n"))
	if len(bytes.Trim(rest, " \t\r,")) > 0 {
		return nil, 0
	}
	item, err := trial.ParseItem(raw)
	if err == nil {
		return []trial.Item{item}, len(input) - len(after)
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, 0
	}
	for _, raw := range list {
		if item, err = trial.ParseItem(raw); err != nil || raw[0] != '{' {
			return nil, 0
		}
		items = append(items, item)
	}
	return items, len(input) - len(after)
}
