package play

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// What a run may take and give. Variables where tests need less.
const (
	maxRecords     = 10_000
	maxLogLines    = 2_000
	maxMetricLines = 2_000
	maxModuleBytes = 1 << 30
	maxOutputBytes = 64 << 10 // of an event that comes out, as text
)

var (
	maxRunTime   = 10 * time.Second
	maxTimeout   = 5 * time.Second // of a record
	maxViewBytes = 8 << 20         // of what is shown of all records
)

// request is what the page asks for.
type request struct {
	Input    string             `json:"input"`
	Text     bool               `json:"text"` // each line is a record's log
	Tag      string             `json:"tag"`
	LogLevel string             `json:"logLevel"`
	Quick    bool               `json:"quick"`
	Options  []options.Property `json:"options"`
}

// result is what the page gets.
type result struct {
	Module  moduleInfo `json:"module"`
	Problem *problem   `json:"problem,omitempty"` // nothing was run
	Notes   []string   `json:"notes,omitempty"`   // what was left out
	Records []record   `json:"records"`
	Counts  counts     `json:"counts"`
	Time    *timing    `json:"time,omitempty"`
	Log     []logLine  `json:"log"`
	Metrics []string   `json:"metrics"`
}

// problem is why the filter does not start.
type problem struct {
	Option string `json:"option,omitempty"` // which one is wrong
	Text   string `json:"text"`
}

type moduleInfo struct {
	Name      string   `json:"name"`
	Path      string   `json:"path"`
	SHA256    string   `json:"sha256,omitempty"`
	Bytes     int      `json:"bytes,omitempty"`
	Function  string   `json:"function,omitempty"`
	Functions []string `json:"functions,omitempty"` // that could be called
	Batch     bool     `json:"batch,omitempty"`
	LoadMs    float64  `json:"loadMs,omitempty"`
}

// What became of a record.
const (
	statusUnchanged = "unchanged"
	statusChanged   = "changed"
	statusDropped   = "dropped"
	statusRouted    = "routed" // it came out under another tag alone
	statusFailed    = "failed"
	statusUnread    = "unreadable" // the line is no record
	statusTick      = "tick"       // it is none, but a tick
)

type record struct {
	Line   int      `json:"line"` // of the input; 0: behind it
	Status string   `json:"status"`
	Added  int      `json:"added,omitempty"`  // events that came out in addition
	Differ int      `json:"differ,omitempty"` // places that differ
	Reason string   `json:"reason,omitempty"` // why it failed
	Micros float64  `json:"micros"`
	Blocks []block  `json:"blocks,omitempty"`
	Output []string `json:"output,omitempty"` // lines of events
	Tag    string   `json:"tag,omitempty"`    // of these

	Emitted int       `json:"emitted,omitempty"` // events that came out under other tags
	Others  []emitted `json:"others,omitempty"`  // these
}

// emitted is an event that came out under another tag.
type emitted struct {
	Tag  string `json:"tag"`
	Line string `json:"line"`
}

type counts struct {
	Records   int `json:"records"`
	Unchanged int `json:"unchanged"`
	Changed   int `json:"changed"`
	Dropped   int `json:"dropped"`
	Added     int `json:"added"`
	Routed    int `json:"routed"`
	Emitted   int `json:"emitted"` // events
	Failed    int `json:"failed"`
}

type logLine struct {
	Level string `json:"level"`
	Text  string `json:"text"`
	Line  int    `json:"line,omitempty"` // of the input
}

// runner runs what pages ask for, one after the other.
type runner struct {
	config Config
	module *guest.Module // of the last run: it need not be compiled again
}

func (r *runner) close() {
	if r.module != nil {
		r.module.Close()
	}
}

// run runs all records of a request. It ends early if the context does.
func (r *runner) run(ctx context.Context, q request) (out *result) {
	out = &result{Module: moduleOf(r.config.Module), Records: []record{}, Log: []logLine{}, Metrics: []string{}}
	defer func() {
		// A mistake of this program: what it has is shown, and the page stays.
		if p := recover(); p != nil {
			out.Problem = &problem{Text: fmt.Sprintf("this is a mistake of flb-wasmtime: %v", p)}
		}
	}()
	sp, err := r.prepare(q, out)
	if err != nil {
		out.stop(err)
		return out
	}
	t := trier{out: out, tag: q.Tag, room: maxViewBytes}
	if t.pipeline, err = trial.Start([]trial.Spec{sp}, t.log); err != nil {
		out.stop(err)
		return out
	}
	// What the filter logs at its end is what the page shows anyway.
	defer func() { t.ended = true; t.pipeline.Close() }()
	t.pipeline.LogAll()
	t.now = time.Now()
	if t.tag == "" {
		t.tag = trial.DefaultTag
	}
	t.run(ctx, q)
	if t.logged > maxLogLines {
		out.note("the log has %d further lines, which are left out", t.logged-maxLogLines)
	}
	if t.unseen > 0 {
		out.note("what became of %d records is too much to be shown: they are counted", t.unseen)
	}
	out.Time = timingOf(t.elapsed)
	out.Metrics = metricsOf(t.pipeline)
	return out
}

// prepare makes the filter that a request asks for, and loads its module.
func (r *runner) prepare(q request, out *result) (sp trial.Spec, err error) {
	level, err := trial.ParseLevel(q.LogLevel)
	if err != nil {
		return sp, err
	}
	if sp, err = r.config.spec(q.Options, level); err != nil {
		return sp, err
	}
	if sp.Options.Timeout == 0 || sp.Options.Timeout > maxTimeout {
		sp.Options.Timeout = maxTimeout
		out.note("timeout: here it is %v at most", maxTimeout)
	}
	err = r.load(&sp, q.Quick, &out.Module)
	return sp, err
}

// stop says why nothing is run.
func (out *result) stop(err error) {
	out.Problem = &problem{Text: hostlog.Line(err.Error())}
	if e := (*options.Error)(nil); errors.As(err, &e) {
		out.Problem.Option = strings.ToLower(e.Option)
	}
}

func (out *result) note(format string, args ...any) {
	out.Notes = append(out.Notes, fmt.Sprintf(format, args...))
}

// moduleOf says what is known of the module without loading it.
func moduleOf(path string) moduleInfo {
	m := moduleInfo{Name: filepath.Base(path), Path: path}
	if data, err := regular.Read(path, maxModuleBytes); err == nil {
		sum := sha256.Sum256(data)
		m.SHA256, m.Bytes = hex.EncodeToString(sum[:]), len(data)
	}
	return m
}

// load loads the module, and chooses its function if no option does.
func (r *runner) load(sp *trial.Spec, quick bool, info *moduleInfo) error {
	source := filter.Source(sp.Options)
	source.Quick = quick
	start := time.Now()
	module, err := guest.Load(source)
	if err != nil {
		return fmt.Errorf("option %s: %w", wasmPath, err)
	}
	info.LoadMs = float64(time.Since(start).Microseconds()) / 1e3
	r.close()
	r.module = module
	info.Functions, info.Batch = module.Candidates(), module.IsBatch()
	sp.Quick = quick
	loaded, err := sp.Load(functionName)
	if err != nil {
		return err
	}
	loaded.Close()
	info.Function = sp.Options.FunctionName
	return nil
}

// trier runs the records of an input one by one.
type trier struct {
	pipeline *trial.Pipeline
	out      *result
	now      time.Time
	tag      string
	group    []byte // the marker of the group that is open
	elapsed  []time.Duration
	room     int // bytes that may still be shown
	unseen   int // records of which nothing is shown

	at     int  // the line of the record that runs; 0: none does
	logged int  // lines of the log
	ended  bool // what is logged now is not shown
}

// log takes a line of the filter's log.
func (t *trier) log(l trial.Line) {
	if t.ended {
		return
	}
	if t.logged++; t.logged <= maxLogLines {
		t.out.Log = append(t.out.Log, logLine{trial.LevelNames[l.Level], hostlog.Line(l.Text), t.at})
	}
}

// run runs the records of a request, as far as it may take, and a last tick.
func (t *trier) run(ctx context.Context, q request) {
	deadline := t.now.Add(maxRunTime)
	for e := range entries([]byte(q.Input), q.Text) {
		if t.out.Counts.Records == maxRecords {
			t.out.note("the first %d records have been run: a run takes no more", maxRecords)
			break
		}
		if ctx.Err() != nil {
			break
		}
		if time.Now().After(deadline) {
			t.out.note("stopped after %v: records from line %d on have not been run", maxRunTime, e.line)
			break
		}
		t.at = e.line
		t.take(e)
	}
	t.at = 0
	t.tick(0, true)
}

func (t *trier) take(e entry) {
	switch {
	case e.err != nil:
		t.out.Counts.Records++
		t.out.Counts.Failed++
		t.show(record{Line: e.line, Status: statusUnread, Reason: hostlog.Line(e.err.Error())})
		return
	case e.item.Kind == trial.Tag:
		t.tag = e.item.Tag
		return
	case e.item.Kind == trial.Group:
		t.group = e.item.Append(nil, t.now)
		return
	case e.item.Kind == trial.GroupEnd:
		t.group = nil
		return
	case e.item.Kind == trial.Tick:
		t.tick(e.line, false)
		return
	}
	t.out.Counts.Records++
	r := record{Line: e.line, Tag: t.tag}
	event, _, err := chunk.Next(e.item.Append(nil, t.now))
	if err != nil {
		r.Status, r.Reason = statusUnread, hostlog.Line(err.Error())
		t.out.Counts.Failed++
		t.show(r)
		return
	}
	before := t.pipeline.Stats()
	o, err := t.pipeline.Try(t.tag, t.group, event)
	t.elapsed = append(t.elapsed, o.Elapsed)
	r.Micros = tenths(o.Elapsed)
	if err != nil {
		r.Status, r.Reason = statusFailed, hostlog.Line(err.Error())
		t.out.Counts.Failed++
		t.show(r)
		return
	}
	t.fill(&r, &o)
	switch {
	case o.Failed:
		r.Status = statusFailed
		r.Reason = reason(before, t.pipeline.Stats(), o.Log)
		t.out.Counts.Failed++
	case o.Routed():
		r.Status = statusRouted
		t.out.Counts.Routed++
	case len(o.After) == 0:
		r.Status = statusDropped
		t.out.Counts.Dropped++
	case r.Differ > 0 || r.Added > 0 || r.Emitted > 0:
		r.Status = statusChanged
		t.out.Counts.Changed++
	default:
		r.Status = statusUnchanged
		t.out.Counts.Unchanged++
	}
	t.out.Counts.Added += r.Added
	t.out.Counts.Emitted += r.Emitted
	t.show(r)
}

// tick has the filter tick, and shows what it emits.
func (t *trier) tick(line int, final bool) {
	if !t.pipeline.Ticks() {
		if !final {
			t.show(record{Line: line, Status: statusUnread, Reason: "the module exports no flb_tick, or tick_interval is 0"})
		}
		return
	}
	r := record{Line: line, Status: statusTick}
	before, start := t.out.Log, time.Now()
	err := t.pipeline.Tick(final)
	r.Micros = tenths(time.Since(start))
	var list []trial.EmittedItem
	if err == nil {
		list, err = trial.EmittedItems(t.pipeline.TakeEmitted())
	}
	if err != nil {
		r.Reason = hostlog.Line(err.Error())
	}
	for _, l := range t.out.Log[len(before):] {
		if l.Level == trial.LevelNames[hostlog.Error] {
			r.Reason = l.Text
		}
	}
	t.fillEmitted(&r, list, nil, t.now)
	t.out.Counts.Emitted += r.Emitted
	if r.Emitted > 0 || r.Reason != "" || !final {
		t.show(r)
	}
}

func tenths(d time.Duration) float64 { return math.Round(float64(d.Nanoseconds())/100) / 10 }

// fill says how the event, and what came out of it, differ.
func (t *trier) fill(r *record, o *trial.Outcome) {
	var moved trial.Value // what has left the chunk for another tag
	if len(o.After) == 0 {
		moved = o.Before.Body
	}
	defer t.fillEmitted(r, o.Emitted, moved, *o.Before.Time)
	if t.room <= 0 {
		return
	}
	if o.Group != nil && o.Marker != nil {
		if !trial.Equal(o.Group.Metadata, o.Marker.Metadata) {
			r.Blocks = append(r.Blocks, changed("metadata of the group", o.Group.Metadata, o.Marker.Metadata))
		}
		if !trial.Equal(o.Group.Body, o.Marker.Body) {
			r.Blocks = append(r.Blocks, changed("group", o.Group.Body, o.Marker.Body))
		}
	}
	r.Differ = len(o.Changes())
	if len(o.After) == 0 {
		if len(o.Emitted) == 0 {
			r.Blocks = append(r.Blocks, whole("", "-", o.Before.Body))
		}
		t.room -= sizeOf(r.Blocks)
		return
	}
	for i, is := range o.After {
		was := o.Before
		if i > 0 {
			r.Added++
			r.Blocks = append(r.Blocks, whole(fmt.Sprintf("added %d", i), "+", is.Body))
		} else {
			if !was.Time.Equal(*is.Time) {
				r.Blocks = append(r.Blocks, changed("time", trial.TimeText(*was.Time), trial.TimeText(*is.Time)))
			}
			if m, _ := is.Metadata.(trial.Map); len(m) > 0 || !trial.Equal(was.Metadata, is.Metadata) {
				r.Blocks = append(r.Blocks, changed("metadata", was.Metadata, is.Metadata))
			}
			r.Blocks = append(r.Blocks, changed("", was.Body, is.Body))
		}
		text := lineOf(is, *was.Time)
		r.Output = append(r.Output, text)
		if t.room -= len(text) + sizeOf(r.Blocks[len(r.Blocks)-1:]); t.room <= 0 {
			r.Added = len(o.After) - 1
			return
		}
	}
}

// fillEmitted shows events that came out under other tags: the first one by how it differs from the one that has moved
// there, if there is one.
func (t *trier) fillEmitted(r *record, list []trial.EmittedItem, moved trial.Value, now time.Time) {
	r.Emitted = len(list)
	for i, e := range list {
		if t.room <= 0 {
			return
		}
		title := "emitted under " + hostlog.Line(e.Tag)
		if m, _ := e.Metadata.(trial.Map); len(m) > 0 {
			r.Blocks = append(r.Blocks, whole(title+", metadata", "+", e.Metadata))
		}
		if i == 0 && moved != nil {
			r.Blocks = append(r.Blocks, changed(title, moved, e.Body))
		} else {
			r.Blocks = append(r.Blocks, whole(title, "+", e.Body))
		}
		text := lineOf(e.Item, now)
		r.Others = append(r.Others, emitted{e.Tag, text})
		t.room -= len(text) + len(e.Tag) + sizeOf(r.Blocks[max(0, len(r.Blocks)-2):])
	}
}

// lineOf is an event as a line, cut if it is long.
func lineOf(item trial.Item, now time.Time) string {
	text := string(item.AppendLine(nil, now))
	if len(text) > maxOutputBytes {
		text = fmt.Sprintf("%s … %d bytes", text[:strings.LastIndexAny(text[:maxOutputBytes], " ,:\"")+1], len(text))
	}
	return text
}

func sizeOf(blocks []block) (n int) {
	for _, b := range blocks {
		for _, l := range b.Lines {
			n += len(l.Text) + 16
		}
	}
	return n
}

// show adds a record to what the page gets, if there is room.
func (t *trier) show(r record) {
	if t.room <= 0 {
		t.unseen++
		return
	}
	t.room -= 100 + len(r.Reason)
	t.out.Records = append(t.out.Records, r)
}

// reason is why a record failed: what the log says, or at least the kind.
func reason(before, after filter.Stats, log []trial.Line) string {
	for _, l := range slices.Backward(log) {
		if l.Level <= hostlog.Error {
			return hostlog.Line(l.Text)
		}
	}
	had := make(map[string]uint64)
	for reason, n := range before.Reasons() {
		had[reason] = n
	}
	for reason, n := range after.Reasons() {
		if n > had[reason] {
			return reason
		}
	}
	return "it could not be read"
}

func metricsOf(p *trial.Pipeline) []string {
	var b bytes.Buffer
	for _, s := range p.Stages {
		for _, m := range s.Filter.Metrics() {
			trial.WriteMetric(&b, m)
		}
	}
	lines := []string{}
	for text := range strings.Lines(b.String()) {
		if len(lines) == maxMetricLines {
			lines = append(lines, "# there are more")
			break
		}
		lines = append(lines, hostlog.Line(strings.TrimSuffix(text, "\n")))
	}
	return lines
}

// ReadInput reads files of records for a page to begin with.
func ReadInput(paths []string) (string, error) {
	var b strings.Builder
	for _, path := range paths {
		data, err := regular.Read(path, MaxInputBytes)
		if err != nil {
			return "", err
		}
		if b.Len()+len(data) > MaxInputBytes {
			return "", fmt.Errorf("%s: a page takes %d bytes of records: give less", path, MaxInputBytes)
		}
		b.Write(data)
		if len(data) > 0 && data[len(data)-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	return b.String(), nil
}
