package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tagtemplate"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// rewriteTag is Fluent Bit's filter that gives records another tag.
const rewriteTag = "rewrite_tag"

// routes are the patterns of the tags under which a filter may emit, and by which option.
type route struct{ option, pattern string }

func routesOf(o *options.Options) (list []route) {
	for _, pattern := range o.EmitTags {
		list = append(list, route{"emit_tags", pattern})
	}
	if o.OnError == options.Route {
		if t, err := tagtemplate.Parse(o.RouteTag); err == nil {
			list = append(list, route{"on_error", t.Pattern()})
		}
	}
	return list
}

// routeWarnings says what is amiss with the tags under which a filter of a configuration emits: they come back to it, or
// get nowhere.
func routeWarnings(c *trial.Configuration, sp *trial.Spec) (warnings []string) {
	for _, r := range routesOf(&sp.Options) {
		if sp.Overlaps != nil {
			if overlaps, _ := sp.Overlaps(r.pattern); overlaps {
				warnings = append(warnings, fmt.Sprintf("%s %q: its own Match has such tags: what it emits comes back to it once, and what it would emit of that stays where it is (a loop is cut)", r.option, r.pattern))
			}
		}
		if len(c.Outputs) > 0 && !arrives(c, sp, r.pattern) {
			warnings = append(warnings, fmt.Sprintf("%s %q: no output matches such a tag, and Fluent Bit drops such records without a word: give an output a Match for it", r.option, r.pattern))
		}
	}
	return warnings
}

// arrives reports whether a record with a tag of that pattern may get to an output: by that tag, or by one that another
// filter gives it.
func arrives(c *trial.Configuration, from *trial.Spec, pattern string) bool {
	may := func(overlaps func(string) (bool, bool)) bool {
		if overlaps == nil {
			return true
		}
		matches, known := overlaps(pattern)
		return matches || !known
	}
	for _, s := range c.Outputs {
		m, err := fbconf.NewMatcher(&s)
		switch {
		case errors.Is(err, fbconf.ErrNoMatch): // gets nothing, which outputWarnings says
		case err != nil || may(m.Overlaps):
			return true
		}
	}
	return slices.ContainsFunc(c.Specs, func(sp trial.Spec) bool {
		return sp.Name != from.Name && sp.Overlaps != nil && may(sp.Overlaps) && sp.Options.Emits()
	}) || slices.ContainsFunc(c.Others, func(o trial.Other) bool { return o.Plugin == rewriteTag && o.Overlaps != nil && may(o.Overlaps) })
}

// outputWarnings says which outputs get nothing once a filter emits: without a Match an output has the records of one
// input only while there is one, and an emitter is another (flb_router_io_set in src/flb_router.c, 5.1.1).
func outputWarnings(c *trial.Configuration) (warnings []string) {
	if !slices.ContainsFunc(c.Specs, func(sp trial.Spec) bool { return sp.Options.Emits() }) {
		return nil
	}
	for i, s := range c.Outputs {
		if _, err := fbconf.NewMatcher(&s); errors.Is(err, fbconf.ErrNoMatch) {
			warnings = append(warnings, fmt.Sprintf("%s:%d: output %s.%d has no Match: Fluent Bit sends it nothing once a filter emits under other tags: set Match *",
				s.File, s.Line, strings.ToLower(s.Name), i))
		}
	}
	return warnings
}
