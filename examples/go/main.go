// Geo adds to each event where the client's address is from.
package main

import (
	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"

	"geo/networks"
)

type geo struct{ table *networks.Table[*flb.Map] }

func init() { flb.Configure(configure) }

func main() {}

func configure() (flb.Handler, error) {
	path, err := flb.Config.Require("file", "the file of networks, in a directory of accessible_paths")
	if err != nil {
		return nil, err
	}
	table, err := networks.Open(path, addition)
	return &geo{table}, err
}

// addition is made once for each network.
func addition(n networks.Network) *flb.Map {
	m := flb.NewMap()
	if n.Country != "" {
		m.Add("country", n.Country)
	}
	if n.City != "" {
		m.Add("city", n.City)
	}
	if n.ASN != 0 {
		m.Add("asn", n.ASN)
	}
	return m
}

func (g *geo) Filter(e *flb.Event) error {
	if e.Body.Get("geo").Exists() {
		return nil
	}
	for _, key := range [...]string{"client_ip", "remote_addr"} {
		if address, ok := networks.Address(e.Body.Get(key).Str()); ok {
			if found, ok := g.table.Lookup(address); ok {
				e.Body.Set("geo", found)
			}
			break
		}
	}
	return nil
}
