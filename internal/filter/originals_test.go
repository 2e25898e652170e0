package filter

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// Members that JSON can't hold are what they were inside what a guest makes of the record: in
// records that the lane takes to JSON, and in those that Go does.
func TestWhatJSONCantHold(t *testing.T) {
	f := start(t, guests.WAT("wrap"), options.JSON)
	for name, members := range map[string]string{
		"float 32":  "\xa1f\xca\x3f\x80\x00\x00",
		"bin":       "\xa1b\xc4\x02\xff\xfe",
		"NaN":       "\xa1n\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01",
		"latin 1":   "\xa1l\xa2\xe1b",
		"extension": "\xa1e\xd4\x05\x0a",
	} {
		body := "\x82" + members + "\xa1z\x01"
		in := []byte("\x92\x92\x07\x80" + body)
		out, modified := f.Run(tag, in)
		want := []byte("\x92\x92\x07\x80\x83\xa3tag\xa7app.log\xa3sec\x07\xa6record" + body)
		if !modified || !bytes.Equal(out, want) {
			t.Errorf("%s: %q, want %q", name, out, want)
		}
	}
	if s := f.Stats(); s.Returned != 5 || s.Failed != 0 {
		t.Errorf("%v", s)
	}
}

// The same if the guest writes the record anew, so that no member is repeated letter for letter.
func TestWhatJSONCantHoldWrittenAnew(t *testing.T) {
	for name, test := range map[string]struct{ value, json string }{
		"float 32": {"\xca\x3f\x80\x00\x00", "1.0"},
		"bin":      {"\xc4\x02\xff\xfe", `\"\ufffd\ufffd\"`},
		"NaN":      {"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01", "null"},
	} {
		reply := `{ \"v\" : ` + test.json + ` , \"k\" : 1 }`
		f := start(t, `(module (memory (export "memory") 2) (data (i32.const 1024) "`+strings.ReplaceAll(reply, `\uf`, `\\uf`)+`\00")
			(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 1024)))`, options.JSON)
		out, modified := f.Run(tag, []byte("\x92\x92\x07\x80\x81\xa1v"+test.value))
		want := "\x92\x92\x07\x80\x82\xa1v" + test.value + "\xa1k\x01"
		if !modified || string(out) != want {
			t.Errorf("%s: %q, want %q", name, out, want)
		}
	}
}
