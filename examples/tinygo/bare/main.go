// Unnest takes JSON that an application has logged as a string apart: the keys of
// the object in it become keys of the record.
package main

import (
	"os"
	"strings"
	"unsafe"

	"gojson"
)

var (
	// What the environment says, read while the host runs _initialize.
	prefix = os.Getenv("UNNEST_PREFIX") // goes before the names of new keys
	keep   = os.Getenv("UNNEST_KEEP") != ""

	// The host reads the reply after unnest has returned: here it stays reachable.
	reply []byte
)

// unnest is called for each record. Tag and record are the host's memory:
// nothing may point there when it returns.
//
//go:wasmexport unnest
func unnest(tag string, sec, nsec uint32, record string) *byte {
	if !merge(record) {
		return unsafe.StringData(record)
	}
	return &reply[0]
}

func main() {}

// merge makes the reply, unless neither log nor message holds an object.
func merge(record string) bool {
	nested, from := "", ""
	known := map[string]bool{} // the record's own keys
	end := gojson.Members(record, 0, 128, func(key, value string) {
		name := gojson.Text(key)
		known[name] = true
		if value[0] != '"' || name != "log" && (name != "message" || from == "log") {
			return
		}
		inner := strings.TrimSpace(gojson.Text(value))
		if gojson.Members(inner, 0, gojson.MaxDepth, nil) == len(inner) && inner != "" {
			nested, from = inner, name
		}
	})
	if end < 0 || nested == "" {
		return false
	}
	if !keep {
		delete(known, from)
	}

	reply = append(reply[:0], '{')
	add := func(key, value string) {
		if len(reply) > 1 {
			reply = append(reply, ',')
		}
		reply = append(reply, key...)
		reply = append(reply, ':')
		reply = append(reply, value...)
	}
	gojson.Members(record, 0, 128, func(key, value string) {
		if keep || gojson.Text(key) != from {
			add(key, value)
		}
	})
	var quoted []byte
	gojson.Members(nested, 0, gojson.MaxDepth, func(key, value string) {
		name := prefix + gojson.Text(key)
		if known[name] {
			return
		}
		if prefix != "" {
			quoted = gojson.AppendQuoted(quoted[:0], name)
			key = string(quoted)
		}
		add(key, value)
	})
	reply = append(reply, "}\x00"...)
	return true
}
