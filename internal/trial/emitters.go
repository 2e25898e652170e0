package trial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// emitter is the input that a filter makes for what goes on under other tags.
type emitter struct {
	section *fbconf.Section // of the filter
	spec    int             // its place in Specs; -1: it is another plugin's
	filter  string          // its name
	name    string
	files   bool // it is to have storage in files
}

// emittersOfHost are Fluent Bit's filters that make an emitter, all by an option emitter_name, else as
// emitter_for_ and the filter's name (plugins/filter_*, 5.1.1).
var emittersOfHost = []string{"rewrite_tag", "multiline", "log_to_metrics"}

// addEmitter notes the emitter of a filter that is active, if it makes one. number is what Fluent Bit calls the filter
// unless it has an alias; spec is its place in Specs, -1 if it is another plugin's.
func (c *Configuration) addEmitter(s *fbconf.Section, number string, spec int) {
	e := emitter{section: s, spec: spec, filter: strings.ToLower(number)}
	if alias, ok := s.Get("alias"); ok {
		e.filter = alias
	}
	if spec >= 0 {
		o := c.Specs[spec].Options
		if !o.Emits() {
			return
		}
		e.name, e.files = o.EmitterName, o.EmitterFilesystem
	} else {
		buffer, _ := s.Get("buffer") // of multiline, which makes none without
		if options.IsOff(buffer) || !slices.Contains(emittersOfHost, strings.ToLower(s.Name)) {
			return
		}
		e.name, _ = s.Get("emitter_name")
	}
	e.name = options.NameOfEmitter(e.name, e.filter)
	c.emitters = append(c.emitters, e)
}

// EmitterFault is what keeps Fluent Bit from making the emitter of a filter.
type EmitterFault struct {
	Spec int   // the filter's place in Specs; -1: it is another plugin's
	Err  error // names the option
	At   error // the same, with the filter, and where it is
}

// EmitterFaults are what Fluent Bit finds out when the filters start, and not before: an emitter with storage in
// files for a service that has none, and one by the name of an input or of another emitter.
func (c *Configuration) EmitterFaults() (faults []EmitterFault) {
	taken := map[string]emitter{}
	for _, e := range c.emitters {
		fault := func(format string, args ...any) {
			err := fmt.Errorf(format, args...)
			faults = append(faults, EmitterFault{e.spec, err, Locate(e.section, fmt.Errorf("filter %s: %w", hostlog.Name(e.filter), err))})
		}
		if e.files && !c.storagePath {
			fault("option emitter_storage.type filesystem: the service has no storage.path: set it, or leave emitter_storage.type out")
		}
		first, again := taken[e.name]
		input, isInput := c.inputs[e.name]
		switch {
		case e.spec >= 0 && isInput:
			fault("option emitter_name: the input of %s:%d is called %s already: set emitter_name to another name",
				input.File, input.Line, hostlog.Name(e.name))
		case again && (e.spec >= 0 || first.spec >= 0):
			fault("option emitter_name: filter %s of %s:%d, which comes before, has an emitter %s already: set emitter_name to another name",
				hostlog.Name(first.filter), first.section.File, first.section.Line, hostlog.Name(e.name))
		case !again:
			taken[e.name] = e
		}
	}
	return faults
}

// noteInputs notes what Fluent Bit calls the inputs, and whether the service has storage in files.
func (c *Configuration) noteInputs(conf *fbconf.Config) {
	c.inputs = map[string]*fbconf.Section{}
	for i, s := range conf.Kind("input") {
		c.inputs[fmt.Sprintf("%s.%d", strings.ToLower(s.Name), i)] = &s
		if alias, ok := s.Get("alias"); ok {
			c.inputs[alias] = &s
		}
	}
	for _, s := range conf.Kind("service") {
		path, _ := s.Get("storage.path")
		c.storagePath = c.storagePath || path != ""
	}
}
