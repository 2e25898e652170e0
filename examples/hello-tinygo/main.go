// Hello adds the record's time, its tag, and the record as text. It does what the
// example for TinyGo in Fluent Bit's own sources does, without its library.
package main

import (
	"time"
	"unsafe"

	"gojson"
)

// The host reads the reply after hello has returned: here it stays reachable.
var reply []byte

// hello is called for each record. Tag and record are the host's memory: nothing
// may point there when it returns.
//
//go:wasmexport hello
func hello(tag string, sec, nsec uint32, record string) *byte {
	reply = append(reply[:0], '{')
	end := gojson.Members(record, 0, 128, func(key, value string) {
		switch gojson.Text(key) {
		case "time", "tag", "original": // set below
			return
		}
		reply = append(reply, key...)
		reply = append(reply, ':')
		reply = append(reply, value...)
		reply = append(reply, ',')
	})
	if end < 0 {
		return unsafe.StringData(record)
	}
	reply = append(reply, `"time":`...)
	reply = gojson.AppendQuoted(reply, time.Unix(int64(sec), int64(nsec)).UTC().String())
	reply = append(reply, `,"tag":`...)
	reply = gojson.AppendQuoted(reply, tag)
	reply = append(reply, `,"original":`...)
	reply = gojson.AppendQuoted(reply, record)
	reply = append(reply, "}\x00"...)
	return &reply[0]
}

func main() {}
