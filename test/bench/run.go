package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// deadline is how long a run may take. The slowest takes a few seconds.
const deadline = 10 * time.Minute

// A config is the text of a configuration.
type config struct{ strings.Builder }

// section adds a section, whose options come in pairs.
func (c *config) section(title string, options ...string) {
	fmt.Fprintf(c, "[%s]\n", title)
	for i := 0; i < len(options); i += 2 {
		fmt.Fprintf(c, "    %s %s\n", options[i], options[i+1])
	}
}

// object is the shared object that a filter is in, or "" if it is Fluent Bit's own.
func (w *work) object(fb fluentbit.Binary, f filter) string {
	switch f.name {
	case "wasmtime":
		return w.plugin
	case "copies":
		return w.copiers[fb.Version]
	}
	return ""
}

// command is a Fluent Bit that is about to start, and its log.
func (w *work) command(ctx context.Context, fb fluentbit.Binary, f filter, conf string) (*exec.Cmd, *bytes.Buffer, error) {
	file := w.path("fluent-bit.conf")
	if err := os.WriteFile(file, []byte(conf), 0o666); err != nil {
		return nil, nil, err
	}
	path, err := filepath.Abs(fb.Path)
	if err != nil {
		return nil, nil, err
	}
	args := []string{"-c", file}
	// Loading a plugin is a part of what its filter costs, and of no other's.
	if object := w.object(fb, f); object != "" {
		args = append([]string{"-e", object}, args...)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = w.dir
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.WaitDelay = time.Second
	if w.counted {
		cmd = underValgrind(ctx, cmd)
	}
	return cmd, &log, nil
}

// run runs a filter, or none, over an input that ends in an output. It returns the
// CPU time of the process and its log.
func (w *work) run(fb fluentbit.Binary, in input, f filter, output ...string) (time.Duration, string, error) {
	var conf config
	conf.section("SERVICE", "log_level", "info", "parsers_file", w.path("parsers.conf"))
	conf.section("INPUT", "name", "tail", "path", in.path, "parser", "json", "tag", "app",
		"read_from_head", "true", "exit_on_eof", "true")
	if f.name != "" {
		conf.section("FILTER", append([]string{"name", f.name, "match", "*"}, f.options...)...)
	}
	conf.section("OUTPUT", append([]string{"match", "*", "name"}, output...)...)

	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd, log, err := w.command(ctx, fb, f, conf.String())
	if err != nil {
		return 0, "", err
	}
	err = cmd.Run()
	text := fluentbit.Plain(log.String())
	if err != nil {
		return 0, text, fmt.Errorf("%w\n%s\n%s", err, conf.String(), clip(text))
	}
	if err := errorIn(text); err != nil {
		return 0, text, err
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), text, nil
}

// errorIn is the first error that a log tells.
func errorIn(log string) error {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "[error]") {
			return fmt.Errorf("logged: %s", strings.TrimSpace(line))
		}
	}
	return nil
}

// clip shortens a log.
func clip(s string) string {
	const max = 2000
	if len(s) > max {
		return s[:max] + "\n..."
	}
	return s
}

// firstLine leaves out of an error what a program printed.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// check runs a filter once and reads what comes out.
func (w *work) check(fb fluentbit.Binary, r row, f filter, kept int) error {
	out := w.path("out.msgpack")
	defer os.Remove(out)
	_, _, err := w.run(fb, w.input(f), f, "file", "path", w.dir, "file", filepath.Base(out), "format", "msgpack")
	if err != nil {
		return err
	}
	chunk, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	events, err := oracle.Unpack(chunk)
	if err != nil {
		return err
	}
	if len(events) != kept {
		return fmt.Errorf("%d records came out, want %d", len(events), kept)
	}
	made := r.made
	if f.made != nil {
		made = f.made
	}
	for i, e := range events {
		if body, ok := e.Body.(map[string]any); !ok || !made(body) {
			return fmt.Errorf("record %d that came out is %v", i, e.Body)
		}
	}
	return nil
}

// time measures a filter, or none, once. It returns the CPU time and the log.
func (w *work) time(fb fluentbit.Binary, f filter, in input, kept int) (time.Duration, string, error) {
	cpu, log, err := w.run(fb, in, f, "null")
	if err != nil {
		return 0, "", err
	}
	if closing := closing(f, in, kept); !closing.MatchString(log) {
		return 0, "", fmt.Errorf("not in the log: %s\n%s", closing, clip(log))
	}
	return cpu, log, nil
}

// closing is what filters that count say at the end of a run. Nothing else tells a
// chunk that was copied from one that was let through.
func closing(f filter, in input, kept int) *regexp.Regexp {
	switch f.name {
	case "wasmtime":
		if f.shows { // one record may become several
			return regexp.MustCompile(fmt.Sprintf(`\b%d records: .*, 0 failed;`, in.records))
		}
		return regexp.MustCompile(fmt.Sprintf(`\b%d records: %d returned, %d dropped by the guest, 0 failed;`,
			in.records, kept, in.records-kept))
	case "copies":
		return regexp.MustCompile(`(?m)^copies: [1-9]\d* chunks$`)
	}
	return regexp.MustCompile("")
}

// A contender is a filter with what it is called, and its figures.
type contender struct {
	title   string
	filter  filter
	figures []float64
}

// able returns those of the contenders that do a row's job, and notes, which begin
// with where, on the others. This project's own filter must do it.
func (w *work) able(fb fluentbit.Binary, where string, r row, contenders []contender, progress io.Writer) ([]contender, []string, error) {
	var good []contender
	var notes []string
	for _, c := range contenders {
		f := c.filter
		if f.name == "" {
			continue
		}
		if w.object(fb, f) == "" && !fb.Has("Filters", f.name) {
			notes = append(notes, fmt.Sprintf("%s: this Fluent Bit has no filter %s", where, f.name))
			continue
		}
		err := w.check(fb, r, f, w.kept(r, f))
		if err != nil && f.name == "wasmtime" {
			return nil, nil, fmt.Errorf("%s: %s: %w", where, c.title, err)
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s: %s not measured, does not do it: %s", where, c.title, firstLine(err)))
			fmt.Fprintf(progress, "*** %s: %s: %v\n", where, c.title, err)
			continue
		}
		good = append(good, c)
	}
	return good, notes, nil
}

// measure returns the figures of all rows, and notes on what is not among them.
// A peer that fails in this Fluent Bit is left out with a note.
func (w *work) measure(fb fluentbit.Binary, rows []row, rounds int, progress io.Writer) ([]measured, []string, error) {
	if len(rows) == 0 {
		return nil, nil, nil
	}
	results := make([]measured, len(rows))
	var notes []string
	if slices.ContainsFunc(rows, func(r row) bool { return r.filters[copies].name != "" }) {
		if err := w.compileCopies(fb); err != nil {
			notes = append(notes, fmt.Sprintf("%s: not measured: %s", columnTitles[copies], firstLine(err)))
			fmt.Fprintf(progress, "*** %s: %v\n", columnTitles[copies], err)
		}
	}
	for i, r := range rows {
		results[i] = measured{title: r.title, heavy: r.heavy}
		for c, f := range r.filters {
			if c == copies && w.object(fb, f) == "" {
				continue
			}
			good, more, err := w.able(fb, r.title, r, []contender{{title: columnTitles[c], filter: f}}, progress)
			if err != nil {
				return nil, nil, err
			}
			notes = append(notes, more...)
			if len(good) == 0 {
				continue
			}
			if f.fewer {
				notes = append(notes, fmt.Sprintf("%s: %s with %d records", r.title, columnTitles[c], w.tenth.records))
			}
			results[i].cells[c] = []float64{}
		}
	}
	for round := range rounds {
		fmt.Fprintf(progress, "round %d of %d with Fluent Bit %s\n", round+1, rounds, fb.Version)
		for i, r := range rows {
			if err := w.round(fb, r, &results[i], round%2 == 1); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", r.title, err)
			}
		}
	}
	return results, notes, nil
}

func (w *work) kept(r row, f filter) int {
	if f.name == "copies" {
		return w.input(f).records
	}
	i := slices.IndexFunc(w.rows, func(other row) bool { return other.title == r.title })
	return w.input(f).kept[i]
}

// round measures each filter of a row once, in turn or the other way around,
// between two runs without a filter: what else the machine does falls on all.
func (w *work) round(fb fluentbit.Binary, r row, m *measured, reversed bool) error {
	bare := map[string]time.Duration{}
	without := func() error {
		done := map[string]bool{}
		for c, f := range r.filters {
			in := w.input(f)
			if m.cells[c] == nil || done[in.path] {
				continue
			}
			done[in.path] = true
			cpu, _, err := w.time(fb, filter{}, in, in.records)
			if err != nil {
				return err
			}
			bare[in.path] += cpu / 2
		}
		return nil
	}
	if err := without(); err != nil {
		return err
	}
	var cpu [columns]time.Duration
	for c := range columns {
		if reversed {
			c = columns - 1 - c
		}
		if m.cells[c] == nil {
			continue
		}
		f := r.filters[c]
		var err error
		if cpu[c], _, err = w.time(fb, f, w.input(f), w.kept(r, f)); err != nil {
			return fmt.Errorf("%s: %w", columnTitles[c], err)
		}
	}
	if err := without(); err != nil {
		return err
	}
	for c, f := range r.filters {
		if m.cells[c] != nil {
			in := w.input(f)
			added := (cpu[c] - bare[in.path]).Seconds() * 1e6 / float64(in.records)
			m.cells[c] = append(m.cells[c], added)
		}
	}
	return nil
}
