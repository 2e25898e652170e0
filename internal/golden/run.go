package golden

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// Runner runs cases. It keeps their modules, so that each is compiled once. It runs on a thread of guest.Go.
type Runner struct {
	Options []options.Property                       // take the place of those of filter in all cases
	Load    func(*trial.Spec) (*guest.Module, error) // loads a module, which the Runner closes
	modules []*guest.Module
}

// Close gives up the modules.
func (r *Runner) Close() {
	for _, m := range r.modules {
		m.Close()
	}
	r.modules = nil
}

// Result is what became of a case.
type Result struct {
	Case     *Case // nil if it could not be read
	Path     string
	Problems []Problem // what is not as expected; none: it passed
	Err      error     // why it could not be run
	Elapsed  time.Duration
	actual   outcome
	ran      bool // actual is known
}

// outcome is what a run made.
type outcome struct {
	output     []string // lines
	items      []trial.Item
	emitted    []emitted // by tags, in the order in which each came first
	looped     uint64
	badTicks   uint64
	log        []string
	metrics    []string
	failed     uint64
	errors     []string
	startError string

	// Between these by the clock of this machine. An event whose time lies there has it of that clock.
	began, ended time.Time
}

// emitted is what has come out under a tag that a filter has given it.
type emitted struct {
	tag   string
	items []trial.Item
}

// Run runs the case in a file.
func (r *Runner) Run(path string) *Result {
	start := time.Now()
	result := &Result{Path: path}
	defer func() { result.Elapsed = time.Since(start) }()
	if result.Case, result.Err = Read(path); result.Err != nil {
		return result
	}
	if result.actual, result.Err = r.run(result.Case); result.Err != nil {
		return result
	}
	result.ran = true
	result.Problems, result.Err = result.Case.compare(&result.actual)
	return result
}

// specs are the filters that the case is about, and the tag of its events.
func (c *Case) specs(given []options.Property) ([]trial.Spec, string, error) {
	tag := c.tag
	if c.config == "" {
		if tag == "" {
			tag = trial.DefaultTag
		}
		section := c.filter
		section.Properties = slices.DeleteFunc(slices.Clone(section.Properties), func(p fbconf.Property) bool {
			return slices.ContainsFunc(given, func(g options.Property) bool { return strings.EqualFold(g.Key, p.Key) })
		})
		for _, g := range given {
			section.Properties = append(section.Properties, fbconf.Property{Key: strings.ToLower(g.Key), Value: g.Value})
		}
		if !slices.ContainsFunc(section.Properties, func(p fbconf.Property) bool { return p.Key == functionName }) {
			// It must be set; the only one that could be called takes its place.
			section.Properties = append(section.Properties, fbconf.Property{Key: functionName, Value: "?"})
		}
		sp, err := trial.ReadSection(&section, trial.OnlyName, c.logLevel)
		if err != nil {
			return nil, "", fmt.Errorf("%s: filter: %w", c.Path, err)
		}
		if sp.Options.FunctionName == "?" {
			sp.Options.FunctionName = ""
		}
		return []trial.Spec{sp}, tag, nil
	}
	if len(given) > 0 {
		return nil, "", fmt.Errorf("%s: it has the filters of %s: options can't be given for them", c.Path, c.config)
	}
	conf, err := trial.ReadFilters(c.config, &c.logLevel)
	if err != nil {
		return nil, "", err
	}
	if tag == "" {
		tag = conf.Tag
	}
	for _, o := range conf.Others {
		matches, err := o.Match(tag)
		if (err != nil || matches) && !slices.ContainsFunc(c.skip, func(s string) bool { return strings.EqualFold(s, o.Plugin) || s == o.Name }) {
			return nil, "", fmt.Errorf("%s: filter %s of %s matches tag %s and can't be run here: if the case is right without it, add it to skip, by its plugin or name",
				c.Path, o.Name, c.config, tag)
		}
	}
	return conf.Specs, tag, nil
}

const functionName = "function_name"

// run makes the filters and takes the events through them.
func (r *Runner) run(c *Case) (o outcome, err error) {
	specs, tag, err := c.specs(r.Options)
	if err != nil {
		return o, err
	}
	parts, tagged, err := c.parts(tag)
	if err != nil {
		return o, err
	}
	for i := range specs {
		module, err := r.Load(&specs[i])
		if err != nil {
			return o, fmt.Errorf("%s: %w", c.Path, err)
		}
		r.modules = append(r.modules, module)
	}
	o.began = time.Now()
	several, ended := len(specs) > 1, false
	p, err := trial.Start(specs, func(line trial.Line) {
		if !ended && (line.Level <= hostlog.Warn || strings.HasPrefix(line.Text, "guest")) {
			o.log = append(o.log, logLine(line, several))
		}
	})
	if err != nil {
		o.startError = hostlog.Line(err.Error())
		return o, nil
	}
	// What the filters log at their end is no part of it.
	defer func() { ended = true; p.Close() }()
	p.Follow = c.config != ""
	for _, part := range parts {
		if err := o.run(c, p, part, tagged); err != nil {
			return o, err
		}
	}
	if err := o.tick(c, p, true); err != nil {
		return o, err
	}
	o.ended = time.Now()
	o.output = o.lines(c, o.items)
	o.count(p)
	return o, nil
}

// run takes a part of the input through the filters. If tagged is set, the output says under which tag events come
// out.
func (o *outcome) run(c *Case, p *trial.Pipeline, in part, tagged bool) error {
	if in.tick {
		if !p.Ticks() {
			return fmt.Errorf(`%s: the input has ["tick"], and no filter ticks: the module exports no flb_tick, or tick_interval is 0`, c.Path)
		}
		return o.tick(c, p, false)
	}
	out, err := p.Run(in.tag, in.data)
	if err != nil {
		return err
	}
	items, err := trial.Items(out)
	if tagged && len(items) > 0 {
		o.items = append(o.items, trial.Item{Kind: trial.Tag, Tag: in.tag})
	}
	o.items = append(o.items, items...)
	if err != nil {
		return fmt.Errorf("%s: an output of %d bytes can't be read: %w", c.Path, len(out), err)
	}
	return o.take(c, p.TakeEmitted())
}

// tick has the filters tick, for the last time if it is final.
func (o *outcome) tick(c *Case, p *trial.Pipeline, final bool) error {
	if err := p.Tick(final); err != nil {
		return err
	}
	return o.take(c, p.TakeEmitted())
}

// count takes over what the filters have counted.
func (o *outcome) count(p *trial.Pipeline) {
	stats := p.Stats()
	o.failed, o.badTicks = stats.Failed, stats.FailedTicks
	for code, n := range stats.ErrorCodes() {
		o.errors = append(o.errors, fmt.Sprintf("%d: %d", code, n))
	}
	for _, s := range p.Stages {
		o.looped += s.Looped
		for _, m := range s.Filter.Metrics() {
			o.metrics = append(o.metrics, trial.Samples(m)...)
		}
	}
	slices.Sort(o.metrics)
}

// take adds what has been emitted.
func (o *outcome) take(c *Case, list []trial.Emitted) error {
	for _, e := range list {
		items, err := trial.Items(e.Events)
		if err != nil {
			return fmt.Errorf("%s: %d bytes that are emitted under tag %q can't be read: %w", c.Path, len(e.Events), e.Tag, err)
		}
		tag := strings.ToValidUTF8(e.Tag, "\ufffd") // as YAML can have it
		at := slices.IndexFunc(o.emitted, func(t emitted) bool { return t.tag == tag })
		if at < 0 {
			at = len(o.emitted)
			o.emitted = append(o.emitted, emitted{tag: tag})
		}
		o.emitted[at].items = append(o.emitted[at].items, items...)
	}
	return nil
}

// lines are events as a case expects them. One that has its time of the machine's clock may have any.
func (o *outcome) lines(c *Case, items []trial.Item) []string {
	list := []string{}
	for _, item := range items {
		if item.Kind == trial.Event && !item.Time.Before(o.began.Truncate(time.Second)) && !item.Time.After(o.ended) {
			list = append(list, string(trial.AppendNotation(nil, trial.List{trial.List{nil, item.Metadata}, item.Body})))
			continue
		}
		list = append(list, string(item.AppendLine(nil, c.time)))
	}
	return list
}

// logLine is a line of the log as a case writes it: level and text, and if there are several filters, which.
func logLine(line trial.Line, several bool) string {
	text := trial.LevelNames[line.Level] + " "
	if several {
		text += line.Filter.Name + ": "
	}
	return text + hostlog.Line(line.Text)
}

// want is the expected output.
func (c *Case) want() ([]trial.Item, error) {
	if c.outputFile != "" {
		text, err := regular.Read(c.outputFile, maxFileBytes)
		if err != nil {
			return nil, err
		}
		return readItems(c.outputFile, text)
	}
	return readItems(c.Path+": output", []byte(strings.Join(c.output, "\n")))
}

// wantEmitted is what is expected under other tags.
func (c *Case) wantEmitted() (list []emitted, err error) {
	for _, t := range c.emitted {
		e := emitted{tag: t.tag}
		if e.items, err = readItems(fmt.Sprintf("%s: emitted: %s", c.Path, t.tag), []byte(strings.Join(t.lines, "\n"))); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// under are the events of a tag.
func under(list []emitted, tag string) []trial.Item {
	for _, e := range list {
		if e.tag == tag {
			return e.items
		}
	}
	return nil
}
