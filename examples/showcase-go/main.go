// Showcase drops debug, masks e-mail addresses, adds an environment, a country and a count, and splits by an array.
package main

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	_ "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/stateful" // what comes a second time would be counted again
)

var address = regexp.MustCompile(`[0-9A-Za-z._%+\-[:^ascii:]]+@[0-9A-Za-z\-[:^ascii:]]+(\.[0-9A-Za-z\-[:^ascii:]]+)*`)

type showcase struct {
	environment, path string
	geo               flb.Table
	ttl               int
	masked            flb.Counter
}

func init() { flb.Configure(configure) }

func main() {}

func configure() (flb.Handler, error) {
	environment, err := flb.Config.Require("environment", "what is to be added to each record")
	geo, noTable := flb.OpenTable("geo")
	ttl, noNumber := flb.ParseOr("count_ttl", 60, strconv.Atoi)
	path, masked := flb.Config.GetOr("geo_path", "country.iso_code"), flb.NewCounter("masked_total", "E-mail addresses masked", "where")
	return &showcase{environment, path, geo, ttl, masked}, errors.Join(err, noTable, noNumber)
}

func (s *showcase) Group(g *flb.Group) error {
	s.mask(&g.Body, "group")
	s.mask(&g.Metadata, "group")
	return nil
}

func (s *showcase) Filter(e *flb.Event) error {
	if e.Body.Get("level").Str() == "debug" {
		e.Drop()
		return nil
	}
	s.mask(&e.Body, "body")
	s.mask(&e.Metadata, "metadata")
	e.Body.Set("environment", s.environment)
	country, found := s.geo.Get(e.Body.Get("client_ip").Str(), s.path)
	e.Body.SetOrRemove("country", country, found)
	if user, ok := e.Body.Get("user").AsStr(); ok {
		count, err := flb.Store.Add(user, 1, time.Duration(s.ttl)*time.Second)
		e.Body.SetOrRemove("count", count, err == nil)
	} else {
		e.Body.Remove("count")
	}
	e.Split("items")
	return nil
}

func (s *showcase) mask(p *flb.Part, where string) {
	p.RewriteStrings(func(text string) (string, bool) {
		if !strings.Contains(text, "@") {
			return "", false
		}
		masked := address.ReplaceAllStringFunc(text, func(string) string { s.masked.Add(1, where); return "***" })
		return masked, masked != text
	})
}
