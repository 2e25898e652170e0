// Unnest takes JSON that an application has logged as text apart: the members of the object in it become keys of
// the record.
package main

import (
	"strconv"
	"strings"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"

	"gojson"
)

type unnest struct {
	prefix string // goes before the names of new keys
	keep   bool   // the text stays
}

func init() { flb.Configure(configure) }

func main() {}

func configure() (flb.Handler, error) {
	keep, err := flb.ParseOr("keep", false, strconv.ParseBool)
	return &unnest{flb.Config.GetOr("prefix", ""), keep}, err
}

func (u *unnest) Filter(e *flb.Event) error {
	for _, from := range [...]string{"log", "message"} {
		object := strings.TrimSpace(e.Body.At(from).Str())
		if object == "" || gojson.Members(object, 0, gojson.MaxDepth, nil) != len(object) {
			continue // it is not an object
		}
		if !u.keep {
			e.Body.RemoveAt(from)
		}
		gojson.Members(object, 0, gojson.MaxDepth, func(key, value string) {
			name := u.prefix + gojson.Text(key)
			if !e.Body.At(name).Exists() || (name == from && !u.keep) {
				e.Body.Add(name, valueOf(value)) // what the record has under that name stays
			}
		})
		break
	}
	return nil
}

// valueOf reads valid JSON.
func valueOf(json string) any {
	switch json[0] {
	case '{':
		m := flb.NewMap()
		gojson.Members(json, 0, gojson.MaxDepth, func(key, value string) { m.Add(gojson.Text(key), valueOf(value)) })
		return m
	case '[':
		list := []any{}
		gojson.Elements(json, 0, gojson.MaxDepth, func(value string) { list = append(list, valueOf(value)) })
		return list
	case '"':
		return gojson.Text(json)
	case 't', 'f':
		return json == "true"
	case 'n':
		return nil
	}
	if n, err := strconv.ParseInt(json, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseUint(json, 10, 64); err == nil {
		return n
	}
	n, _ := strconv.ParseFloat(json, 64)
	return n
}
