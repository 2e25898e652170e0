package golden

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

// Update makes the file of the case, and the file that it names for output, say what came out. Log and metrics are
// written if the case has them; expected lines that hold stay as they are. It reports whether a file was
// changed.
func (r *Result) Update() (changed bool, err error) {
	c, o := r.Case, &r.actual
	f := file{lines: slices.Collect(strings.Lines(string(c.text))), entries: c.entries}
	if o.startError != "" {
		// It can't be told from a case that is broken, so it is only corrected.
		if c.startError == "" {
			return false, fmt.Errorf("%s: %s; if that is what is expected, give it as start_error", c.Path, o.startError)
		}
		if !strings.Contains(o.startError, c.startError) {
			f.set("start_error", block([]string{o.startError}))
		}
		return f.write(c)
	}
	f.set("start_error", "")
	output := o.output
	if c.output != nil || c.outputFile != "" {
		want, err := c.want()
		if err != nil && c.outputFile == "" {
			return false, err
		}
		texts := c.output
		if c.outputFile != "" && err == nil {
			text, _ := os.ReadFile(c.outputFile)
			texts = lines(string(text))
		}
		if err == nil {
			equal, _ := trial.Align(len(want), len(o.items), func(i, j int) bool { return len(c.changes(want[i], o.items[j])) == 0 })
			output = keep(texts, o.output, equal)
		}
	}
	if c.outputFile != "" {
		text := []byte(strings.Join(output, "\n") + "\n")
		if len(output) == 0 {
			text = nil
		}
		if old, err := os.ReadFile(c.outputFile); err != nil || !bytes.Equal(old, text) {
			if err := os.WriteFile(c.outputFile, text, 0o666); err != nil {
				return false, err
			}
			changed = true
		}
	} else if c.output == nil || !slices.Equal(output, c.output) {
		f.set("output", block(output))
	}
	if err := f.setEmitted(c, o); err != nil {
		return false, err
	}
	if o.failed != c.failed {
		failed := ""
		if o.failed > 0 {
			failed = fmt.Sprintf(" %d\n", o.failed)
		}
		f.set("failed", failed)
	}
	if len(compareSets("", c.errors, o.errors)) > 0 {
		errors := ""
		for _, e := range o.errors {
			errors += "\n  " + e
		}
		if errors != "" {
			errors += "\n"
		}
		f.set("errors", errors)
	}
	if c.log != nil {
		equal, _ := trial.Align(len(c.log), len(o.log), func(i, j int) bool { return sameLine(c.log[i], o.log[j]) })
		if log := keep(c.log, o.log, equal); !slices.Equal(log, c.log) {
			f.set("log", block(log))
		}
	}
	if c.metrics != nil && len(compareSets("", c.metrics, o.metrics)) > 0 {
		f.set("metrics", block(o.metrics))
	}
	wrote, err := f.write(c)
	return changed || wrote, err
}

// setEmitted has the case say what is emitted under other tags: tags and lines that hold stay as they are.
func (f *file) setEmitted(c *Case, o *outcome) error {
	want, err := c.wantEmitted()
	if err != nil {
		return err
	}
	var list []tagged
	for i, e := range want {
		got := under(o.emitted, e.tag)
		equal, _ := trial.Align(len(e.items), len(got), func(i, j int) bool { return len(c.changes(e.items[i], got[j])) == 0 })
		if len(got) > 0 || len(e.items) == 0 {
			list = append(list, tagged{e.tag, keep(c.emitted[i].lines, o.lines(c, got), equal)})
		}
	}
	for _, e := range o.emitted {
		if !slices.ContainsFunc(want, func(w emitted) bool { return w.tag == e.tag }) {
			list = append(list, tagged{e.tag, o.lines(c, e.items)})
		}
	}
	if slices.EqualFunc(list, c.emitted, func(a, b tagged) bool { return a.tag == b.tag && slices.Equal(a.lines, b.lines) }) {
		return nil
	}
	value := ""
	for _, t := range list {
		if len(t.lines) == 0 {
			value += fmt.Sprintf("\n  %s: \"\"", key(t.tag))
			continue
		}
		value += fmt.Sprintf("\n  %s: |\n    %s", key(t.tag), strings.Join(t.lines, "\n    "))
	}
	if value != "" {
		value += "\n"
	}
	f.set("emitted", value)
	return nil
}

// plainKey is a text that is a key of YAML as it is.
var plainKey = regexp.MustCompile(`^[A-Za-z_][\w./-]*$`)

// key is a text as a key of YAML.
func key(text string) string {
	if plainKey.MatchString(text) {
		return text
	}
	return trial.Notation(text)
}

// keep returns what there is, with expected lines in the place of those that are as expected.
func keep(want, got []string, equal []trial.Pair) []string {
	got = slices.Clone(got)
	for _, p := range equal {
		got[p.Is] = want[p.Was]
	}
	return got
}

// block is the value of a key, with what stands between them: the lines as they are.
func block(lines []string) string {
	if len(lines) == 0 {
		return " \"\"\n"
	}
	return " |\n  " + strings.Join(lines, "\n  ") + "\n"
}

// file is a case's text, in which the values of keys are replaced. All else in it stays: order, blank lines, comments.
type file struct {
	lines   []string
	entries []fbconf.Entry
	err     error
	changed bool
}

// set gives a key another value, "" for none.
func (f *file) set(key, value string) {
	text := []string{}
	if value != "" {
		text = append(text, key+":"+value)
	}
	at := slices.IndexFunc(f.entries, func(e fbconf.Entry) bool { return e.Key == key })
	if at < 0 {
		if value == "" {
			return
		}
		if n := len(f.lines); n > 0 && !strings.HasSuffix(f.lines[n-1], "\n") {
			f.lines[n-1] += "\n"
		}
		f.lines = append(f.lines, text...)
		f.changed = true
		return
	}
	start, end := f.entries[at].Line-1, len(f.lines)
	if at+1 < len(f.entries) {
		end = f.entries[at+1].Line - 1
	}
	if !strings.HasPrefix(f.lines[start], key+":") || end <= start {
		f.err = fmt.Errorf("%s can't be replaced: it does not begin a line", key)
		return
	}
	// Blank lines and comments belong to what follows.
	for end > start+1 && (strings.TrimSpace(f.lines[end-1]) == "" || strings.HasPrefix(f.lines[end-1], "#")) {
		end--
	}
	f.lines = slices.Replace(f.lines, start, end, text...)
	grown := len(text) - (end - start)
	f.entries = slices.Clone(f.entries)
	for i := at + 1; i < len(f.entries); i++ {
		f.entries[i].Line += grown
	}
	if value == "" {
		f.entries = slices.Delete(f.entries, at, at+1)
	}
	f.changed = true
}

func (f *file) write(c *Case) (bool, error) {
	if f.err != nil || !f.changed {
		if f.err != nil {
			return false, fmt.Errorf("%s: %w", c.Path, f.err)
		}
		return false, nil
	}
	return true, os.WriteFile(c.Path, []byte(strings.Join(f.lines, "")), 0o666)
}

// Updatable reports whether the case could be run, but for a file for its output that is not there yet.
func (r *Result) Updatable() bool {
	return r.Case != nil && r.Case.outputFile != "" && errors.Is(r.Err, fs.ErrNotExist) && r.ran
}
