package options

import (
	"fmt"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tagtemplate"
)

// What options say of records under other tags.

const (
	maxEmitTags = 100

	// maxTagBytes is the longest tag that a module may give.
	maxTagBytes = tagtemplate.MaxBytes

	minBlock, maxBlock = time.Millisecond, time.Hour

	routePrefix = "route:"
	blockWord   = "block"
)

// emitterOptions are those that mean something only if records go on under other tags.
var emitterOptions = []string{"emit_on_busy", "emitter_name", "emitter_storage.type", "emitter_mem_buf_limit"}

// patterns reads a list of patterns of tags.
func (p *parser) patterns(name string) []string {
	list := p.list(name)
	if len(list) > maxEmitTags {
		p.fail(name, fmt.Sprintf("%d patterns", len(list)), fmt.Sprintf("there may be %d: let * stand for what they differ in", maxEmitTags))
		return nil
	}
	for _, pattern := range list {
		if len(pattern) > maxTagBytes || strings.ContainsFunc(pattern, isControl) {
			p.fail(name, p.value(name), fmt.Sprintf("allowed are patterns of up to %d bytes without control characters, such as tenant.* or alerts, with commas between", maxTagBytes))
			return nil
		}
	}
	return list
}

// isControl says whether a character can't be in a tag.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// onError reads a word of the table, or route: and a template of a tag.
func (p *parser) onError(name string) (on OnError, tag string) {
	v := p.value(name)
	if len(v) < len(routePrefix) || !strings.EqualFold(v[:len(routePrefix)], routePrefix) {
		for i, word := range find(name).Values {
			if strings.EqualFold(v, word) {
				return OnError(i), ""
			}
		}
		p.fail(name, v, "allowed are passthrough, drop, mark and route:TAG, such as route:failed.$TAG")
		return Passthrough, ""
	}
	tag = strings.TrimSpace(v[len(routePrefix):])
	_, err := tagtemplate.Parse(tag)
	switch {
	case err != nil:
		p.fail(name, v, err.Error())
	case tag == "" || len(tag) > maxTagBytes || strings.ContainsFunc(tag, isControl):
		p.fail(name, v, fmt.Sprintf("after route: a tag is expected, of up to %d bytes without control characters, such as route:failed or route:failed.$TAG", maxTagBytes))
	}
	return Route, tag
}

// onBusy reads a word of the table, or block and a time.
func (p *parser) onBusy(name string) (OnBusy, time.Duration) {
	v := p.value(name)
	word, rest, _ := strings.Cut(v, " ")
	if strings.EqualFold(word, blockWord) {
		d, ok := parseTime(strings.TrimSpace(rest))
		if !ok || d < minBlock || d > maxBlock {
			p.fail(name, v, fmt.Sprintf("after block a time is expected, from %v to %v, such as block 30s", minBlock, maxBlock))
		}
		return BlockBusy, d
	}
	for i, word := range find(name).Values {
		if strings.EqualFold(v, word) {
			return OnBusy(i), 0
		}
	}
	p.fail(name, v, "allowed are keep, drop and block TIME, such as block 30s")
	return KeepBusy, 0
}

// unused warns of options that are set, and have no effect; why goes behind that.
func (p *parser) unused(why string, names ...string) {
	for _, name := range names {
		if len(p.source.values(name)) > 0 {
			p.warnings = append(p.warnings, fmt.Sprintf("option %s: it has no effect%s", name, why))
		}
	}
}
