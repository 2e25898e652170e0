// Redact masks what a pattern matches, in every text of an event and its group, at any depth.
package main

import (
	"regexp"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
)

type redact struct {
	pattern *regexp.Regexp
	by      string
	masked  flb.Counter
}

func init() { flb.Configure(configure) }

func main() {}

func configure() (flb.Handler, error) {
	const secrets = `\b(?:\d{4}[ -]?){3}\d{4}\b|(?i:bearer) [\w.~+/-]+=*|[\w.%+-]+@[\w-]+(?:\.[\w-]+)+`
	pattern, err := flb.ParseOr("pattern", regexp.MustCompile(secrets), regexp.Compile)
	masked := flb.NewCounter("masked_total", "Texts in which something was masked", "where")
	return &redact{pattern, flb.Config.GetOr("replacement", "***"), masked}, err
}

func (r *redact) Filter(e *flb.Event) error {
	r.mask(&e.Body, "body")
	r.mask(&e.Metadata, "metadata")
	return nil
}

// Group is called for the resource and scope that OpenTelemetry's events share.
func (r *redact) Group(g *flb.Group) error {
	r.mask(&g.Body, "group")
	r.mask(&g.Metadata, "group")
	return nil
}

func (r *redact) mask(p *flb.Part, where string) {
	p.RewriteStrings(func(text string) (string, bool) {
		if !r.pattern.MatchString(text) {
			return "", false
		}
		r.masked.Add(1, where)
		return r.pattern.ReplaceAllString(text, r.by), true
	})
}
