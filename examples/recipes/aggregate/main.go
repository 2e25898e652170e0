// Aggregate lets a message through once in a while, with how often it came, and counts all by level.
package main

import (
	"time"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/stateful" // no event is counted twice
)

type aggregate struct {
	window   time.Duration
	messages flb.Counter
}

func init() { flb.Configure(configure) }

func main() {}

func configure() (flb.Handler, error) {
	window, err := flb.ParseOr("window", time.Minute, time.ParseDuration)
	return &aggregate{window, flb.NewCounter("messages_total", "Messages that came", "level")}, err
}

func (a *aggregate) Filter(e *flb.Event) error {
	message, ok := e.Body.GetStr("message")
	if !ok {
		return nil
	}
	a.messages.Add(1, e.Body.Get("level").Str())
	host := e.Body.Get("host").Str()
	seen, err := flb.Store.Add("seen "+host+" "+message, 1, a.window)
	if err != nil {
		return nil // no room, or too long a message: it passes
	}
	if seen > 1 {
		_, err := flb.Store.Add("left out "+host+" "+message, 1, flb.Forever)
		if err == nil {
			e.Drop()
		}
		return nil
	}
	// The first one of this window says what the last one has left out.
	leftOut, err := flb.Store.Add("left out "+host+" "+message, 0, flb.Forever)
	if err == nil && leftOut > 0 {
		e.Body.Set("repeated", leftOut)
	}
	flb.Store.Delete("left out " + host + " " + message)
	return nil
}
