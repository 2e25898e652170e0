// Split makes an event of each record in a list, with the record's own time.
package main

import (
	"fmt"
	"time"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
)

func init() { flb.Filter(filter) }

func main() {}

func filter(e *flb.Event) error {
	records := e.Body.Get("Records")
	if records.Kind() != flb.KindArray {
		return nil
	}
	account := e.Body.Get("account")
	n := 0
	for record := range records.Elements() {
		if record.Kind() != flb.KindMap {
			return fmt.Errorf("record %d is not an object", n) // the event stays whole
		}
		body := flb.MapOf(record)
		if account.Exists() {
			body.Set("account", account)
		}
		emitted := e.Emit(body)
		if at, err := time.Parse(time.RFC3339, record.Get("eventTime").Str()); err == nil {
			emitted.Time(at)
		}
		n++
	}
	e.Drop() // what was emitted comes out
	return nil
}
