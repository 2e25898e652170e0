// Dedupe lets a message through once in a window, and says at the end of the window how often it came again.
package main

import (
	"errors"
	"time"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/stateful" // no event is counted twice
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/tick"
)

// What this instance has left out since the last tick.
type dedupe struct {
	window time.Duration
	held   map[string]*repeated
	order  []string
}

type repeated struct {
	host, message string
	times         int
}

func init() { flb.Configure(configure) }

func main() {}

func configure() (flb.Handler, error) {
	window, err := flb.ParseOr("window", 30*time.Second, time.ParseDuration)
	if err == nil && window <= 0 {
		err = errors.New("config.window: set it to a time, such as 30s")
	}
	d := &dedupe{window: window, held: map[string]*repeated{}}
	tick.Call(d.tick)
	return d, err
}

func (d *dedupe) Filter(e *flb.Event) error {
	message, ok := e.Body.GetStr("message")
	if !ok {
		return nil
	}
	host := e.Body.Get("host").Str()
	key := host + " " + message
	// In the store, since all workers and instances look there. Without room for it events pass.
	if seen, err := flb.Store.Add(key, 1, d.window); err != nil || seen == 1 {
		return nil
	}
	if d.held[key] == nil {
		d.held[key] = &repeated{host: host, message: message}
		d.order = append(d.order, key)
	}
	d.held[key].times++
	e.Drop()
	return nil
}

// tick hands over all that is held: what has been emitted is forgotten.
func (d *dedupe) tick(last bool) error {
	for _, key := range d.order {
		r := d.held[key]
		summary := flb.NewMap().Add("host", r.host).Add("message", r.message).Add("repeated", r.times)
		if err := tick.Emit("repeated", summary); err != nil {
			return err // nothing of this call comes out: it is all there for the next one
		}
	}
	clear(d.held)
	d.order = d.order[:0]
	return nil
}
