// Package tick has a filter called from time to time, also when no events come, so that it can hand over what it
// has counted, joined or held back. A module that imports it exports flb_tick.
//
//	func configure() (flb.Handler, error) {
//		f := &fold{}
//		tick.Call(f.tick)
//		return f, nil
//	}
//
// With several workers each instance of the module is called. What they have in common is in [flb.Store].
package tick

import (
	"errors"
	"time"
	"unsafe"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

// Call has a function called every tick_interval of the filter. When it is called for the last time by this
// instance, it hands over all that is held. An error, or a panic, is logged, and nothing that the call has
// emitted comes out. Call it once, while the filter is configured.
func Call(function func(last bool) error) { sys.Tick = function }

// Emit emits an event of now, without metadata, under a tag that the option emit_tags of the filter grants. It is
// for a function that is called by a tick: a filter has [flb.Event.EmitTo].
func Emit(tag string, body *flb.Map) error { return EmitAt(tag, body, flb.NewMap(), time.Time{}) }

// EmitAt emits an event with metadata, and with a time; the zero Time is now.
func EmitAt(tag string, body, metadata *flb.Map, t time.Time) error {
	sec, nsec := int64(-1), uint32(0)
	if !t.IsZero() {
		sec, nsec = t.Unix(), uint32(t.Nanosecond())
	}
	switch sys.EmitInTick(tag, body.Value().MessagePack(), metadata.Value().MessagePack(), sec, nsec) {
	case 0:
		return nil
	case -2:
		return errors.New("tick: the tag '" + tag + "' is not one that emit_tags grants")
	}
	return errors.New("tick: there is no tick under way, or the event is too large, or its time is none that an event can have")
}

var refusal []byte

//go:wasmexport flb_tick
func flbTick(flags uint32) unsafe.Pointer {
	if err := call(flags&1 != 0); err != nil {
		refusal = append([]byte(err.Error()), 0)
		return unsafe.Pointer(&refusal[0])
	}
	return nil
}

func call(last bool) (err error) {
	defer sys.Recover(&err)
	return sys.Tick(last)
}
