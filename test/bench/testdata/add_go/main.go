// Adds the key "k" to the body of each event of a batch.
package main

import flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"

var value = "v"

func init() { flb.Filter(filter) }

func main() {}

func filter(e *flb.Event) error {
	e.Body.Add("k", value)
	return nil
}
