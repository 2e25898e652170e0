// Package golden runs cases: files that say what filters are to make of events, written by hand or by Update.
package golden

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/closest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// CommonName is the file of what the cases in its directory have in common.
const CommonName = "common.yaml"

const (
	maxCaseBytes = 16 << 20
	maxFileBytes = 256 << 20
)

// defaultTime is that of events that have none.
var defaultTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Case is what a file says.
type Case struct {
	Path string // of the file

	filter       fbconf.Section // properties of the one filter
	config       string         // path of a Fluent Bit configuration, in the place of filter
	skip         []string       // filters of other plugins in it that are left out
	tag          string         // "": the configuration's, or DefaultTag
	time         time.Time
	logLevel     hostlog.Level
	chunkRecords int // 0: all events of a tag in one chunk

	input      string
	inputFile  string
	outputFile string

	// What is expected.
	output     []string // lines; nil: it is not said
	emitted    []tagged // under other tags; nil: it is not said
	log        []string // nil: the log is not looked at
	metrics    []string // nil: they are not looked at
	failed     uint64
	errors     []string // "CODE: COUNT"
	startError string   // "": the filters start

	text    []byte // of the file
	entries []fbconf.Entry
}

// tagged are lines of events that are emitted under a tag.
type tagged struct {
	tag   string
	lines []string
}

// keys are those of a case, in the order in which they are documented; of common.yaml the first of them.
var keys = []string{"filter", "config", "skip", "tag", "time", "log_level", "chunk_records", "input", "input_file",
	"output", "output_file", "emitted", "log", "metrics", "failed", "errors", "start_error"}

const commonKeys = 7

// Find returns the paths of the cases that are meant by paths of files and directories: of a directory all .yaml
// and .yml files in it and below.
func Find(paths []string) (cases []string, err error) {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			switch {
			case p == path && errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("%s: no such file or directory: name a directory or files of cases", path)
			case err != nil:
				return err
			case d.IsDir():
				if p != path && strings.HasPrefix(d.Name(), ".") {
					return filepath.SkipDir
				}
				return nil
			case p == path || isYAML(p) && d.Name() != CommonName:
				cases = append(cases, p)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(cases) == 0 {
			return nil, fmt.Errorf("%s has no case in it: a case is a .yaml file with filter or config, input and output", path)
		}
	}
	return cases, nil
}

func isYAML(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".yaml" || ext == ".yml"
}

// Read reads a case, and what it has in common with its neighbours.
func Read(path string) (*Case, error) {
	c := &Case{Path: path, time: defaultTime, logLevel: hostlog.Info}
	c.filter = fbconf.Section{Kind: "filter", Name: trial.PluginNames[0], File: path}
	common := filepath.Join(filepath.Dir(path), CommonName)
	text, err := regular.Read(common, maxCaseBytes)
	switch {
	case err == nil:
		if _, err := c.read(common, text, keys[:commonKeys]); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if c.text, err = regular.Read(path, maxCaseBytes); err != nil {
		return nil, err
	}
	if c.entries, err = c.read(path, c.text, keys); err != nil {
		return nil, err
	}
	return c, c.check()
}

// read takes the entries of a file, of which those win that come last.
func (c *Case) read(path string, text []byte, allowed []string) ([]fbconf.Entry, error) {
	entries, err := fbconf.ReadMapping(path, text)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := c.set(path, e, allowed); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, e.Line, err)
		}
	}
	return entries, nil
}

func (c *Case) set(path string, e fbconf.Entry, allowed []string) (err error) {
	if !slices.Contains(allowed, e.Key) {
		return fmt.Errorf("unknown key %q%s: known are %s", e.Key, closest.Hint(e.Key, allowed, func(w string) string { return w }),
			strings.Join(allowed, ", "))
	}
	want := map[string]fbconf.EntryKind{"filter": fbconf.Mapping, "skip": fbconf.List, "emitted": fbconf.Mapping, "errors": fbconf.Mapping}[e.Key]
	if e.Kind != want && (want == fbconf.Scalar || e.Kind != fbconf.Scalar || e.Value != "") {
		return fmt.Errorf("%s: %s is expected", e.Key, [...]string{"a single value", "a list", "a mapping"}[want])
	}
	beside := func() string {
		if e.Value == "" || filepath.IsAbs(e.Value) {
			return e.Value
		}
		return filepath.Join(filepath.Dir(path), e.Value)
	}
	switch e.Key {
	case "filter":
		return c.setFilter(path, e)
	case "config":
		c.config = beside()
	case "skip":
		c.skip = e.List
	case "tag":
		c.tag = e.Value
	case "time":
		c.time, err = time.Parse(time.RFC3339Nano, e.Value)
		if err != nil || c.time.Unix() < 0 || c.time.Unix() >= 1<<32-2 {
			return fmt.Errorf("time: invalid value %q: allowed are times such as 2026-01-02T15:04:05.678Z, from 1970 to 2106", e.Value)
		}
	case "log_level":
		c.logLevel, err = trial.ParseLevel(e.Value)
	case "chunk_records":
		c.chunkRecords, err = strconv.Atoi(e.Value)
		if err != nil || c.chunkRecords < 1 {
			return fmt.Errorf("chunk_records: invalid value %q: allowed are numbers from 1", e.Value)
		}
	case "input":
		c.input = e.Value
	case "input_file":
		c.inputFile = beside()
	case "output":
		c.output = lines(e.Value)
	case "output_file":
		c.outputFile = beside()
	case "emitted":
		c.emitted = []tagged{}
		for _, x := range e.Entries {
			if x.Kind != fbconf.Scalar {
				return fmt.Errorf("emitted: %s: lines of events are expected", x.Key)
			}
			c.emitted = append(c.emitted, tagged{x.Key, lines(x.Value)})
		}
	case "log":
		c.log = lines(e.Value)
	case "metrics":
		c.metrics = lines(e.Value)
	case "failed":
		if c.failed, err = strconv.ParseUint(e.Value, 10, 64); err != nil {
			return fmt.Errorf("failed: invalid value %q: a number of records is expected", e.Value)
		}
	case "errors":
		for _, x := range e.Entries {
			_, codeErr := strconv.ParseUint(x.Key, 10, 32)
			_, countErr := strconv.ParseUint(x.Value, 10, 64)
			if codeErr != nil || countErr != nil {
				return fmt.Errorf("errors: %s: %s: a code and how many records have it are expected", x.Key, x.Value)
			}
			c.errors = append(c.errors, x.Key+": "+x.Value)
		}
	case "start_error":
		c.startError = strings.TrimSpace(e.Value)
	}
	return err
}

// pathOptions are options of the filter that name files. Relative ones are looked for beside the case.
// accessible_paths is not among them: the module knows its directories by these names.
var pathOptions = []string{"wasm_path", "config_file", "cache_dir"}

func (c *Case) setFilter(path string, e fbconf.Entry) error {
	for _, x := range e.Entries {
		key := fbconf.TranslateKey(x.Key)
		if x.Kind == fbconf.Mapping {
			return fmt.Errorf("filter: option %s in line %d: a single value is expected, not a mapping", x.Key, x.Line)
		}
		values := x.List
		if x.Kind == fbconf.Scalar {
			values = []string{x.Value}
		}
		// The case's own take the place of those in common.
		c.filter.Properties = slices.DeleteFunc(c.filter.Properties, func(p fbconf.Property) bool { return p.Key == key })
		for _, v := range values {
			if (slices.Contains(pathOptions, key) || strings.HasPrefix(key, "table.")) && v != "" && !filepath.IsAbs(v) {
				v = filepath.Join(filepath.Dir(path), v)
			}
			c.filter.Properties = append(c.filter.Properties, fbconf.Property{Key: key, Value: v, Line: x.Line})
		}
	}
	return nil
}

// lines are those of a text that are not blank. They are not nil.
func lines(text string) []string {
	list := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

func (c *Case) check() error {
	problem := ""
	switch hasFilter := len(c.filter.Properties) > 0; {
	case hasFilter && c.config != "":
		problem = "it has filter and config: one of them says what is run"
	case !hasFilter && c.config == "":
		problem = "it has neither filter, with the options of one, nor config, with the path of a Fluent Bit configuration"
	case c.input != "" && c.inputFile != "":
		problem = "it has input and input_file: give one of them"
	case c.output != nil && c.outputFile != "":
		problem = "it has output and output_file: give one of them"
	case len(c.skip) > 0 && c.config == "":
		problem = "skip is for a case with config"
	}
	if problem != "" {
		return fmt.Errorf("%s: %s", c.Path, problem)
	}
	return nil
}

// part is events of one tag, or a tick.
type part struct {
	tick  bool
	tag   string
	items []trial.Item // nil: data is all that is known
	data  []byte
}

// parts reads the input.
func (c *Case) parts(tag string) ([]part, bool, error) {
	text, name := []byte(c.input), c.Path+": input"
	if c.inputFile != "" {
		var err error
		if text, err = regular.Read(c.inputFile, maxFileBytes); err != nil {
			return nil, false, err
		}
		name = c.inputFile
		if !isLines(c.inputFile) {
			return []part{{tag: tag, data: text}}, false, nil
		}
	}
	items, err := readItems(name, text)
	if err != nil {
		return nil, false, err
	}
	list, tagged := []part{{tag: tag}}, false
	for _, item := range items {
		last := &list[len(list)-1]
		if item.Kind == trial.Tag {
			tagged = true
			list = append(list, part{tag: item.Tag})
			continue
		}
		if item.Kind == trial.Tick {
			if inGroup(last.items) {
				return nil, false, fmt.Errorf(`%s: ["tick"] stands inside of a group, which is in one chunk: put it before the group or after its ["end"]`, name)
			}
			list = append(list, part{tick: true}, part{tag: last.tag})
			continue
		}
		if c.chunkRecords > 0 && len(last.items) >= c.chunkRecords && !inGroup(last.items) {
			list = append(list, part{tag: last.tag})
			last = &list[len(list)-1]
		}
		last.items = append(last.items, item)
	}
	for i := range list {
		for _, item := range list[i].items {
			list[i].data = item.Append(list[i].data, c.time)
		}
	}
	return slices.DeleteFunc(list, func(p part) bool { return len(p.data) == 0 && !p.tick }), tagged, nil
}

func isLines(path string) bool {
	return slices.Contains([]string{".ndjson", ".jsonl", ".json"}, strings.ToLower(filepath.Ext(path)))
}

func inGroup(items []trial.Item) bool {
	for _, item := range slices.Backward(items) {
		if item.Kind != trial.Event {
			return item.Kind == trial.Group
		}
	}
	return false
}

func readItems(name string, text []byte) (items []trial.Item, err error) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		item, err := trial.ParseItem(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, number, err)
		}
		items = append(items, item)
	}
	return items, nil
}
