package main

import flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"

func init() { flb.Filter(filter) }

func main() {}

func filter(e *flb.Event) error {
	if e.Body.Get("level").Str() == "error" {
		e.Route("errors")
	}
	return nil
}
