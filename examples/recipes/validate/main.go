// Validate makes numbers of what should be numbers, and fails what can't be used.
package main

import (
	"errors"
	"strconv"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
)

func init() { flb.Filter(filter) }

func main() {}

func filter(e *flb.Event) error {
	if _, ok := e.Body.GetStr("service"); !ok {
		return errors.New("service: there is none")
	}
	status := e.Body.Get("status")
	n, ok := status.AsInt()
	if text, is := status.AsStr(); is {
		var err error
		n, err = strconv.ParseInt(text, 10, 32)
		ok = err == nil
		e.Body.Set("status", n)
	}
	if !ok || n < 100 || n > 599 {
		return errors.New("status: it is not one of HTTP")
	}
	e.Body.Remove("failed") // of an earlier attempt
	return nil
}
