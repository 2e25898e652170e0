package host

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/conformance"
)

// The plugin, as Fluent Bit loads and calls it.
func TestConformance(t *testing.T) { conformance.RunAll(t, runCase) }

func runCase(t *testing.T, c *conformance.Case, dir string) conformance.Result {
	if c.Slow {
		t.Skip("longer than an answer of this host may take: the command runs it")
	}
	if c.NeedsTags() {
		t.Skip("this host has no other tags: the command and Fluent Bits run it")
	}
	p := loaded(t, newest)
	options := settings(c.FilterOptions(dir))
	options["alias"] = c.Name
	if level, ok := options["log_level"]; ok {
		options["log_level"] = strconv.Itoa(slices.Index(conformance.Levels, level) + 1)
	}
	i := p.instance(options)
	r := conformance.Result{Refused: i.init() != 0}
	if !r.Refused {
		for _, chunk := range c.Chunks {
			raw := chunk.Bytes()
			r.Chunks = append(r.Chunks, i.filter(c.Name, raw).over(raw))
		}
		i.exit()
	}
	var said strings.Builder
	for _, line := range p.takeLogs() {
		text := strings.TrimSpace(line.text)
		said.WriteString(text + "\n")
		if line.level >= 1 && line.level <= len(conformance.Levels) {
			r.Log = append(r.Log, conformance.LogLine{Level: conformance.Levels[line.level-1], Text: text})
		}
	}
	r.Message = said.String()
	return r
}
