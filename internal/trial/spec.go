package trial

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/closest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// DefaultTag is the tag of records of which nothing else gives one.
const DefaultTag = "app.log"

// Spec is a filter instance that is still to be made.
type Spec struct {
	Plugin   string // what the configuration calls the plugin
	Name     string
	Options  options.Options
	LogLevel hostlog.Level
	Match    func(tag string) (bool, error)
	Overlaps func(pattern string) (overlaps, known bool) // whether it may match a tag of a pattern; nil: it has no rules of its own
	Quick    bool                                        // Load compiles quickly, to code that is not optimised

	// Properties are the options as the configuration has them.
	Properties []options.Property
}

// Configuration is what a Fluent Bit configuration means for this program.
type Configuration struct {
	Specs   []Spec
	Faults  []Fault  // filters that can't be made
	Others  []Other  // filters and processors of other plugins
	Tag     string   // of the first input
	Notes   []string // what of the configuration does not take part, and warnings
	Outputs []fbconf.Section
	Files   []string // of which the configuration consists

	// What only Fluent Bit runs: processors of metrics and traces, and those of outputs.
	Processors      []Spec
	ProcessorFaults []Fault

	// By which EmitterFaults finds what it does.
	emitters    []emitter                  // of filters, in order
	inputs      map[string]*fbconf.Section // by what Fluent Bit calls them: their numbers, and their aliases
	storagePath bool                       // the service has storage in files
}

// Other is a filter of another plugin, which is not run here.
type Other struct {
	Plugin, Name string
	Match        func(tag string) (bool, error)
	Overlaps     func(pattern string) (overlaps, known bool) // as that of a Spec
}

// Fault says what keeps a filter or output of a configuration from starting.
type Fault struct {
	Name string // of the instance
	Err  error  // says where it is
}

// PluginNames are the names under which a configuration may have the filter:
// its own, and that of Fluent Bit's filter that it replaces.
var PluginNames = []string{"wasmtime", "wasm"}

// CoreKeys are properties of a filter that the host keeps for itself
// (flb_filter_set_property and is_active in src/flb_filter.c, 5.1.1).
var CoreKeys = []string{"name", "match", "match_regex", "alias", "log_level", "log_suppress_interval", "active"}

// ReadFilters is ReadConfiguration for a configuration that is to be run: of the first
// fault it has.
func ReadFilters(path string, logLevel *hostlog.Level) (*Configuration, error) {
	c, err := ReadConfiguration(path, logLevel)
	switch {
	case err != nil:
		return nil, err
	case len(c.Faults) > 0:
		return nil, c.Faults[0].Err
	case len(c.Specs) == 0:
		for _, p := range c.Processors {
			if p.Options.Signal != options.Logs {
				return nil, fmt.Errorf("%s: it has no active filter called %s: processors of metrics and traces are run by --signal", path, strings.Join(PluginNames, " or "))
			}
		}
		return nil, fmt.Errorf("%s: it has no active filter called %s", path, strings.Join(PluginNames, " or "))
	}
	for _, p := range c.Processors {
		c.Notes = append(c.Notes, fmt.Sprintf("processor %s is not run here", p.Name))
	}
	for _, f := range c.ProcessorFaults {
		c.Notes = append(c.Notes, fmt.Sprintf("processor %s is not run here", f.Name))
	}
	return c, nil
}

// ReadConfiguration finds the filters of the configuration at path. logLevel is
// for those that do not say, nil if the configuration decides.
func ReadConfiguration(path string, logLevel *hostlog.Level) (*Configuration, error) {
	conf, err := fbconf.Load(path, getenv)
	if err != nil {
		return nil, err
	}
	c := &Configuration{Tag: DefaultTag, Notes: conf.Warnings, Files: conf.Files}
	level := hostlog.Info
	for _, s := range conf.Kind("service") {
		if text, ok := s.Get("log_level"); ok {
			if level, err = ParseLevel(text); err != nil {
				return nil, Locate(&s, err)
			}
		}
	}
	r := specReader{level: level, forced: logLevel}
	c.noteInputs(conf)

	// Fluent Bit numbers inputs, and filters, each through, whatever the plugin.
	for i, s := range conf.Kind("input") {
		input := fmt.Sprintf("%s.%d", s.Name, i)
		tag, ok := s.Get("tag")
		if !ok {
			tag = input
		}
		if i == 0 {
			c.Tag = tag
		}
		names := newProcessorNames(&s, i)
		for _, p := range s.Processors {
			name := names.next(&p)
			if p.Signal != logs {
				c.addProcessor(r, &p, name)
				continue
			}
			// A tag may hold a * that the input replaces, as tail does.
			match := func(t string) (bool, error) { return fbconf.MatchTag(tag, t), nil }
			c.add(r, &p, name, match)
		}
	}
	for i, s := range conf.Kind("filter") {
		c.add(r, &s, fmt.Sprintf("%s.%d", s.Name, i), nil)
	}
	c.Outputs = conf.Kind("output")
	for i, s := range c.Outputs {
		names := newProcessorNames(&s, i)
		for _, p := range s.Processors {
			c.addProcessor(r, &p, names.next(&p))
		}
	}
	return c, nil
}

// processorNames are those of the processors of an input or output.
type processorNames struct {
	owner   *fbconf.Section
	id      string         // of the owner
	all     map[string]int // processors so far, by signal
	natives map[string]int // of these, native ones of this plugin
}

func newProcessorNames(owner *fbconf.Section, i int) processorNames {
	return processorNames{owner, fmt.Sprintf("%s.%d", owner.Name, i), map[string]int{}, map[string]int{}}
}

// next names the owner's next processor. Native ones of this plugin are called as the plugin calls itself, with the
// owner's alias, if it has one (distinct_name in processor_abi.c).
func (n *processorNames) next(s *fbconf.Section) string {
	name := fmt.Sprintf("%s.%d of %s", s.Name, n.all[s.Signal], n.id)
	n.all[s.Signal]++
	if _, native := signals[s.Signal]; native && strings.EqualFold(s.Name, PluginNames[0]) {
		owner := strings.ToLower(n.id)
		if alias, ok := n.owner.Get("alias"); ok {
			owner = alias
		}
		name = fmt.Sprintf("%s.%s.%s.%d", n.owner.Kind, owner, s.Signal, n.natives[s.Signal])
		n.natives[s.Signal]++
	} else if s.Signal != logs {
		name += " of " + s.Signal
	}
	return name
}

// getenv knows HOSTNAME even where only the shell does, as Fluent Bit
// (env_preset in src/flb_env.c, 5.1.1).
func getenv(name string) string {
	value := os.Getenv(name)
	if value == "" && name == "HOSTNAME" {
		value, _ = os.Hostname()
	}
	return value
}

// Locate says in which section of which file an error is.
func Locate(s *fbconf.Section, err error) error {
	return fmt.Errorf("%s:%d: %w", s.File, s.Line, err)
}

// add takes a filter or a processor up, unless it is not to be run. match nil
// means that its own rules decide.
func (c *Configuration) add(r specReader, s *fbconf.Section, name string, match func(string) (bool, error)) {
	number := name
	active, _ := s.Get("active")
	isActive := options.IsActive(active)
	if !slices.ContainsFunc(PluginNames, func(n string) bool { return strings.EqualFold(n, s.Name) }) {
		c.Notes = append(c.Notes, fmt.Sprintf("%s %s is not run here", s.Kind, name))
		if isActive {
			c.Others = append(c.Others, other(s, name, match))
			if s.Kind == "filter" {
				c.addEmitter(s, number, -1)
			}
		}
		return
	}
	if !isActive {
		c.Notes = append(c.Notes, fmt.Sprintf("%s %s is not active", s.Kind, name))
		return
	}
	if _, ok := s.Get("condition"); ok && s.Kind == "processor" {
		c.Notes = append(c.Notes, fmt.Sprintf("processor %s: its condition is not looked at, every record goes through it", name))
	}
	if alias, ok := s.Get("alias"); ok {
		name = alias
	}
	sp, err := r.read(s, name, match)
	if err == nil && s.Kind == "processor" && sp.Options.Emits() {
		err = errProcessor
	}
	if err != nil {
		c.Faults = append(c.Faults, Fault{name, Locate(s, fmt.Errorf("filter %s: %w", name, err))})
		return
	}
	c.Specs = append(c.Specs, sp)
	if s.Kind == "filter" {
		c.addEmitter(s, number, len(c.Specs)-1)
	}
}

var errProcessor = errors.New("options emit_tags and on_error route:TAG: a processor can't emit under other tags: make it a filter")

// logs is the signal that filters are for.
const logs = "logs"

// signals are those of native processors.
var signals = map[string]options.Signal{"metrics": options.Metrics, "traces": options.Traces}

// addProcessor takes up a processor that is not run here.
func (c *Configuration) addProcessor(r specReader, s *fbconf.Section, name string) {
	isFilter := slices.ContainsFunc(PluginNames, func(n string) bool { return strings.EqualFold(n, s.Name) })
	signal, known := signals[s.Signal]
	if !isFilter || s.Signal != logs && !strings.EqualFold(s.Name, PluginNames[0]) {
		c.Notes = append(c.Notes, fmt.Sprintf("processor %s is not run here", name))
		return
	}
	if alias, ok := s.Get("alias"); ok {
		name = alias
	}
	sp, err := r.readFor(s, name, everyTag, signal)
	switch {
	case s.Signal != logs && !known:
		err = fmt.Errorf("there are no processors of %s: known are logs, metrics and traces", s.Signal)
	case err == nil && sp.Options.Emits():
		err = errProcessor
	}
	if err != nil {
		c.ProcessorFaults = append(c.ProcessorFaults, Fault{name, Locate(s, fmt.Errorf("processor %s: %w", name, err))})
		return
	}
	c.Processors = append(c.Processors, sp)
}

// checkTexts refuses what native processors can't read: their options are texts.
func checkTexts(s *fbconf.Section) error {
	for _, p := range s.Properties {
		if p.List {
			return fmt.Errorf("option %s in line %d: a processor of %s can't read a list: write a text", p.Key, p.Line, s.Signal)
		}
	}
	return nil
}

// other is a filter of another plugin. What can't be told of its tags is taken for a match.
func other(s *fbconf.Section, name string, match func(string) (bool, error)) Other {
	if alias, ok := s.Get("alias"); ok {
		name = alias
	}
	o := Other{Plugin: strings.ToLower(s.Name), Name: name, Match: match}
	if match == nil {
		o.Match = everyTag
		if m, err := fbconf.NewMatcher(s); err == nil {
			o.Match, o.Overlaps = m.Match, m.Overlaps
		}
	}
	return o
}

// ReadSection makes a filter of its properties alone. It sees all tags.
func ReadSection(s *fbconf.Section, name string, level hostlog.Level) (Spec, error) {
	return specReader{level: level}.read(s, name, everyTag)
}

func everyTag(string) (bool, error) { return true, nil }

type specReader struct {
	level  hostlog.Level  // of filters that do not say
	forced *hostlog.Level // of all filters; may be nil
}

func (r specReader) read(s *fbconf.Section, name string, match func(string) (bool, error)) (Spec, error) {
	return r.readFor(s, name, match, options.Logs)
}

func (r specReader) readFor(s *fbconf.Section, name string, match func(string) (bool, error), signal options.Signal) (Spec, error) {
	sp := Spec{Plugin: strings.ToLower(s.Name), Name: name, LogLevel: r.level, Match: match}
	for _, p := range s.Properties {
		if !p.Nested && !isHosts(s, p.Key) {
			sp.Properties = append(sp.Properties, options.Property{Key: p.Key, Value: p.Value})
		}
	}
	if err := checkKeys(s); err != nil {
		return sp, err
	}
	if match == nil {
		m, err := fbconf.NewMatcher(s)
		if err != nil {
			return sp, err
		}
		sp.Match, sp.Overlaps = m.Match, m.Overlaps
	}
	if text, ok := s.Get("log_level"); ok {
		var err error
		if sp.LogLevel, err = ParseLevel(text); err != nil {
			return sp, err
		}
	}
	if r.forced != nil {
		sp.LogLevel = *r.forced
	}
	var err error
	if signal == options.Logs {
		sp.Options, err = options.Parse(options.Of(sp.Properties))
	} else if err = checkTexts(s); err == nil {
		sp.Options, err = options.ParseSignal(options.Of(sp.Properties), signal)
	}
	sp.Options.LogLevel = int(hostlog.LevelOf(int(sp.LogLevel)))
	return sp, err
}

// checkKeys refuses what the host refuses: options that the filter does not
// have, and options that are set twice (flb_config_map_properties_check in
// src/flb_config_map.c, 5.1.1).
func checkKeys(s *fbconf.Section) error {
	known := OptionNames(options.Table)
	seen := map[string]bool{}
	isKnown := func(key string) bool {
		return slices.ContainsFunc(options.Table, func(o options.Option) bool {
			return o.Name == key || o.Prefix != "" && strings.HasPrefix(key, o.Name)
		})
	}
	for _, p := range s.Properties {
		if isHosts(s, p.Key) {
			continue
		}
		switch {
		case !isKnown(p.Key):
			return fmt.Errorf("unknown option %q in line %d%s: known are %s", p.Key, p.Line, Hint(p.Key, known), strings.Join(known, ", "))
		case p.Nested:
			return fmt.Errorf("option %s in line %d: a single value is expected, not a mapping", p.Key, p.Line)
		case seen[p.Key] && !isMultiple(p.Key):
			return fmt.Errorf("option %s is set again in line %d: it may be set once", p.Key, p.Line)
		}
		seen[p.Key] = true
	}
	return nil
}

// isHosts reports whether a property is none of the filter's.
func isHosts(s *fbconf.Section, key string) bool {
	return slices.Contains(CoreKeys, key) || key == "condition" && s.Kind == "processor"
}

func isMultiple(name string) bool {
	return slices.ContainsFunc(options.Table, func(o options.Option) bool { return o.Name == name && o.Multiple })
}

// Source makes the section's properties a source of options.
func Source(s *fbconf.Section) options.Source {
	var list []options.Property
	for _, p := range s.Properties {
		if !p.Nested {
			list = append(list, options.Property{Key: p.Key, Value: p.Value})
		}
	}
	return options.Of(list)
}

// OptionNames are the names of a table's options, as documents write them.
func OptionNames(table []options.Option) []string {
	var names []string
	for _, o := range table {
		names = append(names, o.Label())
	}
	return names
}

// Hint asks whether a word that is not known was meant to be one that is.
func Hint(word string, known []string) string {
	return closest.Hint(word, known, func(w string) string { return w })
}

// Files are those that decide what the filter does: module, configuration, tables.
func (sp *Spec) Files() []string {
	files := []string{sp.Options.WasmPath}
	if sp.Options.ConfigFile != "" {
		files = append(files, sp.Options.ConfigFile)
	}
	for _, t := range sp.Options.Tables {
		files = append(files, t.Path)
	}
	return files
}

// With makes a filter of options that are given elsewhere. It sees all tags.
func With(source options.Source, level hostlog.Level) (Spec, error) {
	sp := Spec{Plugin: PluginNames[0], Name: OnlyName, LogLevel: level, Match: everyTag}
	var err error
	sp.Options, err = options.Parse(source)
	sp.Options.LogLevel = int(hostlog.LevelOf(int(level)))
	if err != nil {
		err = fmt.Errorf("filter %s: %w", sp.Name, err)
	}
	return sp, err
}

// OnlyName is that of a filter that stands alone.
const OnlyName = "wasmtime.0"

// Load loads the module of a filter, and if its options name no function, sets the only one that
// could be called; choose says by what one of several is chosen. The module is the caller's to
// close: while it is loaded, filters need not compile it.
func (sp *Spec) Load(choose string) (*guest.Module, error) {
	source := filter.Source(sp.Options)
	source.Quick = sp.Quick
	module, err := guest.Load(source)
	if err != nil {
		return nil, fmt.Errorf("filter %s: option %s: %w", sp.Name, "wasm_path", err)
	}
	if sp.Options.FunctionName != "" {
		return module, nil
	}
	switch names := module.Candidates(); len(names) {
	case 0:
		err = fmt.Errorf("%s exports no function that could be called for records; flb-wasmtime check says what it has", sp.Options.WasmPath)
	case 1:
		sp.Options.FunctionName = names[0]
	default:
		err = fmt.Errorf("%s exports several functions that could be called for records: choose one of %s with %s",
			sp.Options.WasmPath, hostlog.List(names, hostlog.Name), choose)
	}
	if err != nil {
		module.Close()
		return nil, err
	}
	return module, nil
}
