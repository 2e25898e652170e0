// Route says where an event is to go, by a key that Fluent Bit's rewrite_tag reads.
package main

import (
	"errors"
	"strings"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
)

func init() { flb.Filter(filter) }

func main() {}

func filter(e *flb.Event) error {
	service, ok := e.Body.GetStr("service")
	if !ok {
		return errors.New("it has no service")
	}
	switch {
	case strings.HasPrefix(service, "pay-"):
		e.Body.Set("route", "audit")
	case e.Body.Get("level").Str() == "debug":
		e.Body.Set("route", "debug")
	default:
		e.Body.Remove("route")
	}
	return nil
}
