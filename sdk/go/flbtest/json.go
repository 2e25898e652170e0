//go:build !wasm

package flbtest

import (
	"encoding/json"
	"strconv"
	"strings"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
)

// fromJSON returns an object of JSON as MessagePack; it panics if the text is not one.
func fromJSON(text string) string {
	if text == "" {
		text = "{}"
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	m, ok := next(d).(*flb.Map)
	if !ok || d.More() {
		panic("flbtest: not an object of JSON: " + text)
	}
	return m.Value().MessagePack()
}

func next(d *json.Decoder) any {
	token, err := d.Token()
	if err != nil {
		panic("flbtest: " + err.Error())
	}
	switch token {
	case json.Delim('{'):
		m := flb.NewMap()
		for d.More() {
			key := next(d).(string)
			m.Add(key, next(d))
		}
		d.Token()
		return m
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, next(d))
		}
		d.Token()
		return list
	}
	number, ok := token.(json.Number)
	if !ok {
		return token
	}
	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseUint(number.String(), 10, 64); err == nil {
		return n
	}
	f, _ := number.Float64()
	return f
}

func toJSON(messagePack string) string { return asJSON(value(messagePack)) }

// asJSON returns a value as JSON without blanks. Bins are text, and extensions null.
func asJSON(v flb.Value) string {
	var parts []string
	switch v.Kind() {
	case flb.KindMissing:
		return ""
	case flb.KindMap:
		for key, value := range v.Members() {
			parts = append(parts, asJSON(key)+":"+asJSON(value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case flb.KindArray:
		for element := range v.Elements() {
			parts = append(parts, asJSON(element))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case flb.KindStr, flb.KindBin:
		text, _ := v.AsBytes()
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(text)
		return strings.TrimSpace(b.String())
	case flb.KindBool:
		return strconv.FormatBool(v.Bool())
	case flb.KindFloat:
		f := strconv.FormatFloat(v.Float(), 'g', -1, 64)
		if !strings.ContainsAny(f, ".eIN") {
			f += ".0"
		}
		return f
	case flb.KindInt:
		if n, ok := v.AsInt(); ok {
			return strconv.FormatInt(n, 10)
		}
		n, _ := v.AsUint()
		return strconv.FormatUint(n, 10)
	}
	return "null"
}
