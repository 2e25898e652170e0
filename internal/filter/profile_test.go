package filter

import (
	"bytes"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// heapText answers the record, in a block of the heap that the host keeps.
const heapText = `(module
  (import "env" "malloc" (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`

// What is measured in steps is what Run does, and the reference guest answers
// what the guest has answered, however input reaches them.
func TestProfilerDoesWhatRunDoes(t *testing.T) {
	var chunk []byte
	for i := range 600 {
		chunk = append(chunk, event(int64(i), map[string]any{"n": i, "text": "some words"})...)
	}
	for _, test := range []struct {
		name, text string
		format     options.EventFormat
	}{
		{"malloc", guests.WAT("identity"), options.JSON},
		{"malloc, replies of its own", guests.WAT("wrap"), options.JSON},
		{"malloc, msgpack", guests.WAT("msgpack_identity"), options.Msgpack},
		{"pinned", guests.WAT("assemblyscript_like"), options.JSON},
		{"grown", guests.WAT("identity_noalloc"), options.JSON},
		{"heap", heapText, options.JSON},
		{"drops", guests.WAT("drop_every_other"), options.JSON},
		{"traps", guests.WAT("trap_every_third"), options.JSON},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := options.Options{
				WasmPath: writeGuest(t, test.text), FunctionName: "filter", EventFormat: test.format, Timeout: time.Minute,
			}
			s, err := NewProfiler(o, func(hostlog.Level, string) {})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			fx := start(t, test.text, test.format)
			for range 2 {
				want, modified := fx.Run(tag, chunk)
				s.Run(tag, chunk)
				if lane := s.filter.lane; lane.Changed() != modified || !bytes.Equal(lane.Out(), want) {
					t.Fatalf("it makes %d bytes (modified %t) of the chunk, Run %d (modified %t)",
						len(lane.Out()), lane.Changed(), len(want), modified)
				}
				if c := s.lane.Counts(); c.Records != 600 || c.Returned != 599 || c.Dropped != 1 {
					t.Fatalf("the reference: %+v; all but the record of second 0 come back", c)
				}
			}
			if p := s.Parts(); p.Transcoding <= 0 || p.Crossing <= 0 || p.Guest < 0 {
				t.Errorf("%+v", p)
			}
		})
	}
}
