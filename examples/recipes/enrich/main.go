// Enrich adds what a table says of a user.
package main

import flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"

var users flb.Table

func init() {
	flb.Configure(func() (flb.Handler, error) {
		var err error
		users, err = flb.OpenTable("users")
		return flb.Func(filter), err
	})
}

func main() {}

func filter(e *flb.Event) error {
	user, ok := e.Body.GetStr("user.name")
	if !ok {
		return nil
	}
	department, found := users.Get(user, "department")
	e.Body.SetOrRemove("department", department, found) // what a sender claims does not stay
	return nil
}
