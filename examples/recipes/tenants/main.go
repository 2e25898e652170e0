// Tenants sends each event on under its tenant's tag, with those that have none on the way of failures.
package main

import (
	"errors"
	"strings"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
)

func init() { flb.Filter(filter) }

func main() {}

func filter(e *flb.Event) error {
	tenant, ok := e.Body.GetStr("kubernetes.labels.tenant")
	if !ok {
		return errors.New("it has no tenant")
	}
	if tenant == "" || len(tenant) > 63 || strings.Trim(tenant, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errors.New("its tenant is not a name") // what a sender says does not get into a tag as it is
	}
	e.Route("tenant." + tenant)
	return nil
}
