package command

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/closest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// defaultTag is the tag of records of which nothing else gives one.
const defaultTag = "app.log"

// spec is a filter instance that is still to be made.
type spec struct {
	plugin   string // what the configuration calls the plugin
	name     string
	options  options.Options
	logLevel hostlog.Level
	match    func(tag string) (bool, error)
}

// configuration is what a Fluent Bit configuration means for this program.
type configuration struct {
	specs   []spec
	faults  []fault  // filters that can't be made
	tag     string   // of the first input
	notes   []string // what of the configuration does not take part, and warnings
	outputs []fbconf.Section
}

// fault says what keeps a filter or output of a configuration from starting.
type fault struct {
	name string // of the instance
	err  error  // says where it is
}

// pluginNames are the names under which a configuration may have the filter:
// its own, and that of Fluent Bit's filter that it replaces.
var pluginNames = []string{"wasmtime", "wasm"}

// coreKeys are properties of a filter that the host keeps for itself
// (flb_filter_set_property and is_active in src/flb_filter.c, 5.1.1).
var coreKeys = []string{"name", "match", "match_regex", "alias", "log_level", "log_suppress_interval", "active"}

// readFilters is readConfiguration for a configuration that is to be run: of the first
// fault it has.
func readFilters(path string, logLevel *hostlog.Level) (*configuration, error) {
	c, err := readConfiguration(path, logLevel)
	switch {
	case err != nil:
		return nil, err
	case len(c.faults) > 0:
		return nil, c.faults[0].err
	case len(c.specs) == 0:
		return nil, fmt.Errorf("%s: it has no active filter called %s", path, strings.Join(pluginNames, " or "))
	}
	return c, nil
}

// readConfiguration finds the filters of the configuration at path. logLevel is
// for those that do not say, nil if the configuration decides.
func readConfiguration(path string, logLevel *hostlog.Level) (*configuration, error) {
	conf, err := fbconf.Load(path, getenv)
	if err != nil {
		return nil, err
	}
	c := &configuration{tag: defaultTag, notes: conf.Warnings}
	level := hostlog.Info
	for _, s := range conf.Kind("service") {
		if text, ok := s.Get("log_level"); ok {
			if level, err = parseLevel(text); err != nil {
				return nil, locate(&s, err)
			}
		}
	}
	r := specReader{level: level, forced: logLevel}

	// Fluent Bit numbers inputs, and filters, each through, whatever the plugin.
	for i, s := range conf.Kind("input") {
		input := fmt.Sprintf("%s.%d", s.Name, i)
		tag, ok := s.Get("tag")
		if !ok {
			tag = input
		}
		if i == 0 {
			c.tag = tag
		}
		for j, p := range s.Processors {
			name := fmt.Sprintf("%s.%d of %s", p.Name, j, input)
			// A tag may hold a * that the input replaces, as tail does.
			match := func(t string) (bool, error) { return fbconf.MatchTag(tag, t), nil }
			c.add(r, &p, name, match)
		}
	}
	for i, s := range conf.Kind("filter") {
		c.add(r, &s, fmt.Sprintf("%s.%d", s.Name, i), nil)
	}
	c.outputs = conf.Kind("output")
	for i, s := range c.outputs {
		for j, p := range s.Processors {
			c.notes = append(c.notes, fmt.Sprintf("processor %s.%d of %s.%d is not run here", p.Name, j, s.Name, i))
		}
	}
	return c, nil
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

// locate says in which section of which file an error is.
func locate(s *fbconf.Section, err error) error {
	return fmt.Errorf("%s:%d: %w", s.File, s.Line, err)
}

// add takes a filter or a processor up, unless it is not to be run. match nil
// means that its own rules decide.
func (c *configuration) add(r specReader, s *fbconf.Section, name string, match func(string) (bool, error)) {
	if !slices.ContainsFunc(pluginNames, func(n string) bool { return strings.EqualFold(n, s.Name) }) {
		c.notes = append(c.notes, fmt.Sprintf("%s %s is not run here", s.Kind, name))
		return
	}
	if active, ok := s.Get("active"); ok && (strings.EqualFold(active, "false") || active == "0") {
		c.notes = append(c.notes, fmt.Sprintf("%s %s is not active", s.Kind, name))
		return
	}
	if _, ok := s.Get("condition"); ok && s.Kind == "processor" {
		c.notes = append(c.notes, fmt.Sprintf("processor %s: its condition is not looked at, every record goes through it", name))
	}
	if alias, ok := s.Get("alias"); ok {
		name = alias
	}
	sp, err := r.read(s, name, match)
	if err != nil {
		c.faults = append(c.faults, fault{name, locate(s, fmt.Errorf("filter %s: %w", name, err))})
		return
	}
	c.specs = append(c.specs, sp)
}

type specReader struct {
	level  hostlog.Level  // of filters that do not say
	forced *hostlog.Level // of all filters; may be nil
}

func (r specReader) read(s *fbconf.Section, name string, match func(string) (bool, error)) (spec, error) {
	sp := spec{plugin: strings.ToLower(s.Name), name: name, logLevel: r.level, match: match}
	if err := checkKeys(s); err != nil {
		return sp, err
	}
	if match == nil {
		m, err := fbconf.NewMatcher(s)
		if err != nil {
			return sp, err
		}
		sp.match = m.Match
	}
	if text, ok := s.Get("log_level"); ok {
		var err error
		if sp.logLevel, err = parseLevel(text); err != nil {
			return sp, err
		}
	}
	if r.forced != nil {
		sp.logLevel = *r.forced
	}
	var err error
	sp.options, err = options.Parse(source(s))
	sp.options.LogLevel = int(hostlog.LevelOf(int(sp.logLevel)))
	return sp, err
}

// checkKeys refuses what the host refuses: options that the filter does not
// have, and options that are set twice (flb_config_map_properties_check in
// src/flb_config_map.c, 5.1.1).
func checkKeys(s *fbconf.Section) error {
	known := optionNames(options.Table)
	seen := map[string]bool{}
	isKnown := func(key string) bool {
		return slices.ContainsFunc(options.Table, func(o options.Option) bool {
			return o.Name == key || o.Prefix != "" && strings.HasPrefix(key, o.Name)
		})
	}
	for _, p := range s.Properties {
		if slices.Contains(coreKeys, p.Key) || p.Key == "condition" && s.Kind == "processor" {
			continue
		}
		switch {
		case !isKnown(p.Key):
			return fmt.Errorf("unknown option %q in line %d%s: known are %s", p.Key, p.Line, hint(p.Key, known), strings.Join(known, ", "))
		case p.Nested:
			return fmt.Errorf("option %s in line %d: a single value is expected, not a mapping", p.Key, p.Line)
		case seen[p.Key] && !isMultiple(p.Key):
			return fmt.Errorf("option %s is set again in line %d: it may be set once", p.Key, p.Line)
		}
		seen[p.Key] = true
	}
	return nil
}

func isMultiple(name string) bool {
	return slices.ContainsFunc(options.Table, func(o options.Option) bool { return o.Name == name && o.Multiple })
}

// source makes the section's properties a source of options.
func source(s *fbconf.Section) options.Source {
	var list []options.Property
	for _, p := range s.Properties {
		if !p.Nested {
			list = append(list, options.Property{Key: p.Key, Value: p.Value})
		}
	}
	return options.Of(list)
}

func optionNames(table []options.Option) []string {
	var names []string
	for _, o := range table {
		names = append(names, o.Label())
	}
	return names
}

// hint asks whether a word that is not known was meant to be one that is.
func hint(word string, known []string) string {
	return closest.Hint(word, known, func(w string) string { return w })
}

// filterFlags are the options of the filter as flags.
type filterFlags map[string]*optionValue

// optionValue is what is given for an option; options.Parse judges it.
type optionValue struct {
	option options.Option
	texts  []string
}

// Set takes a value, which takes the place of one that was given before, unless the option may
// have several.
func (v *optionValue) Set(text string) error {
	if v.option.Prefix != "" && !strings.Contains(text, "=") {
		return errors.New("it must be of the form " + v.Type())
	}
	if !v.option.Multiple && v.option.Prefix == "" {
		v.texts = nil
	}
	v.texts = append(v.texts, text)
	return nil
}

// Type is what stands after the flag in the help.
func (v *optionValue) Type() string {
	if v.option.Prefix != "" {
		return v.option.Prefix
	}
	return v.option.Type.String()
}

func (v *optionValue) String() string {
	if len(v.texts) > 0 {
		return v.texts[0]
	}
	return v.option.Default
}

// flagName is the flag of an option. Of config.KEY it is --set KEY=VALUE, of table.NAME --table NAME=PATH.
func flagName(o options.Option) string {
	if o.Flag != "" {
		return "--" + o.Flag
	}
	return "--" + strings.ReplaceAll(o.Name, "_", "-")
}

// add makes the flags. One that is on or off is on if it is given alone.
func (f filterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	for _, o := range options.Table {
		v := &optionValue{option: o}
		f[o.Name] = v
		flag := flags.VarPF(v, strings.TrimPrefix(flagName(o), "--"), "", o.Help)
		values := o.Values
		if o.Type == options.Bool {
			flag.NoOptDefVal = "on"
			values = []string{"on", "off"}
		}
		if len(values) > 0 {
			completeWords(cmd, flag.Name, values...)
		}
	}
	completeFiles(cmd, "wasm-path", moduleSuffixes...)
	completeDirectories(cmd, "accessible-paths", "cache-dir")
}

const (
	wasmPath     = "wasm_path"
	functionName = "function_name"
)

// takeModule takes the module from the arguments, unless --wasm-path names it, and
// returns the other arguments.
func (f filterFlags) takeModule(args []string) ([]string, error) {
	if len(f[wasmPath].texts) > 0 {
		return args, nil
	}
	if len(args) == 0 {
		return nil, errors.New("no module is given: name a .wasm file")
	}
	_ = f[wasmPath].Set(args[0])
	return args[1:], nil
}

// instanceName is that of the filter that the flags stand for.
const instanceName = "wasmtime.0"

// spec makes the one filter that the flags stand for.
func (f filterFlags) spec(level hostlog.Level) (spec, error) {
	sp := spec{plugin: "wasmtime", name: instanceName, logLevel: level, match: func(string) (bool, error) { return true, nil }}
	var err error
	sp.options, err = options.Parse(f.source())
	sp.options.LogLevel = int(hostlog.LevelOf(int(level)))
	if err != nil {
		err = fmt.Errorf("filter %s: %w", sp.name, err)
	}
	return sp, err
}

// source makes the flags a source of options.
func (f filterFlags) source() options.Source {
	var list []options.Property
	for _, o := range options.Table {
		for _, text := range f[o.Name].texts {
			p := options.Property{Key: o.Name, Value: text}
			if o.Prefix != "" {
				key, value, _ := strings.Cut(text, "=")
				p = options.Property{Key: o.Name + key, Value: value}
			}
			list = append(list, p)
		}
	}
	return options.Of(list)
}

// withoutFunction is spec with no function if none is given.
func (f filterFlags) withoutFunction(level hostlog.Level) (spec, error) {
	v := f[functionName]
	if len(v.texts) > 0 {
		return f.spec(level)
	}
	_ = v.Set("?") // it must be set
	sp, err := f.spec(level)
	v.texts = nil
	sp.options.FunctionName = ""
	return sp, err
}

// load makes the filter that the flags stand for, with the module's only function that
// could be called if none is given. The module is the caller's to close: while it is
// loaded, filters need not compile it.
func (f filterFlags) load(level hostlog.Level) (spec, *guest.Module, error) {
	sp, err := f.withoutFunction(level)
	if err != nil {
		return spec{}, nil, err
	}
	module, err := guest.Load(filter.Source(sp.options))
	if err != nil {
		return spec{}, nil, fmt.Errorf("filter %s: option %s: %w", sp.name, wasmPath, err)
	}
	if sp.options.FunctionName == "" {
		switch names := module.Candidates(); len(names) {
		case 0:
			err = fmt.Errorf("%s exports no function that could be called for records; flb-wasmtime check says what it has", sp.options.WasmPath)
		case 1:
			sp.options.FunctionName = names[0]
		default:
			err = fmt.Errorf("%s exports several functions that could be called for records: choose one of %s with %s",
				sp.options.WasmPath, hostlog.List(names, hostlog.Name), "--function-name")
		}
		if err != nil {
			module.Close()
			return spec{}, nil, err
		}
	}
	return sp, module, nil
}

var errConfigAndOptions = errors.New("options of the filter come from the file given with --config")

// refuse returns an error if an option has been given.
func (f filterFlags) refuse() error {
	for _, o := range options.Table {
		if len(f[o.Name].texts) > 0 {
			return fmt.Errorf("%s: %w", flagName(o), errConfigAndOptions)
		}
	}
	return nil
}
