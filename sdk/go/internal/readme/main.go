package main

import (
	"errors"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
)

func init() { flb.Filter(filter) }

func main() {}

func filter(e *flb.Event) error {
	if e.Body.Get("level").Str() == "debug" {
		e.Drop()
		return nil
	}
	if status, ok := e.Body.Get("http.response.status").AsInt(); ok {
		e.Body.Set("http.response.failed", status >= 500)
	}
	if !e.Body.Put("user", "***") {
		return errors.New("there is no user") // this event's error: the others go on
	}
	return nil
}
