package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/host/oracle"
)

// deadline is how long a run may take. The slowest takes a few seconds.
const deadline = 10 * time.Minute

// run runs a filter, or none, over an input that ends in an output. It answers the
// CPU time of the process and its log.
func (w *work) run(fb fluentbit.Binary, in input, f filter, output ...string) (time.Duration, string, error) {
	var b strings.Builder
	section := func(title string, options ...string) {
		fmt.Fprintf(&b, "[%s]\n", title)
		for i := 0; i < len(options); i += 2 {
			fmt.Fprintf(&b, "    %s %s\n", options[i], options[i+1])
		}
	}
	section("SERVICE", "log_level", "info", "parsers_file", w.path("parsers.conf"))
	section("INPUT", "name", "tail", "path", in.path, "parser", "json", "tag", "app",
		"read_from_head", "true", "exit_on_eof", "true")
	if f.name != "" {
		section("FILTER", append([]string{"name", f.name, "match", "*"}, f.options...)...)
	}
	section("OUTPUT", append([]string{"match", "*", "name"}, output...)...)
	config := w.path("fluent-bit.conf")
	if err := os.WriteFile(config, []byte(b.String()), 0o666); err != nil {
		return 0, "", err
	}

	path, err := filepath.Abs(fb.Path)
	if err != nil {
		return 0, "", err
	}
	args := []string{"-c", config}
	// Loading the plugin is a part of what its filter costs, and of no other's.
	if f.name == "wasmtime" {
		args = append([]string{"-e", w.plugin}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = w.dir
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	text := fluentbit.Plain(log.String())
	if err != nil {
		return 0, text, fmt.Errorf("%w\n%s\n%s", err, b.String(), clip(text))
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "[error]") {
			return 0, text, fmt.Errorf("logged: %s", strings.TrimSpace(line))
		}
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), text, nil
}

// clip shortens a log.
func clip(s string) string {
	const most = 2000
	if len(s) > most {
		return s[:most] + "\n..."
	}
	return s
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
	for i, e := range events {
		if body, ok := e.Body.(map[string]any); !ok || !r.made(body) {
			return fmt.Errorf("record %d that came out is %v", i, e.Body)
		}
	}
	return nil
}

// time measures a filter, or none, once.
func (w *work) time(fb fluentbit.Binary, f filter, in input, kept int) (time.Duration, error) {
	cpu, log, err := w.run(fb, in, f, "null")
	if err != nil {
		return 0, err
	}
	if f.name == "wasmtime" {
		closing := fmt.Sprintf("%d records: %d returned, %d dropped by the guest, 0 failed;",
			in.records, kept, in.records-kept)
		if !strings.Contains(log, closing) {
			return 0, fmt.Errorf("not in the log: %s\n%s", closing, clip(log))
		}
	}
	return cpu, nil
}

// measure answers the figures of all rows, and notes on what is not among them.
// A peer that fails in this Fluent Bit is left out with a note.
func (w *work) measure(fb fluentbit.Binary, rows []row, rounds int, progress io.Writer) ([]measured, []string, error) {
	results := make([]measured, len(rows))
	var notes []string
	for i, r := range rows {
		results[i] = measured{title: r.title, heavy: r.heavy}
		for c, f := range r.filters {
			if f.name == "" {
				continue
			}
			if c != here && !fb.Has("Filters", f.name) {
				notes = append(notes, fmt.Sprintf("%s: this Fluent Bit has no filter %s", r.title, f.name))
				continue
			}
			err := w.check(fb, r, f, w.kept(r, f))
			if err != nil && c == here {
				return nil, nil, fmt.Errorf("%s: %w", r.title, err)
			}
			if err != nil {
				reason, _, _ := strings.Cut(err.Error(), "\n")
				notes = append(notes, fmt.Sprintf("%s: %s not measured, does not do it: %s", r.title, columnTitles[c], reason))
				fmt.Fprintf(progress, "*** %s: %s: %v\n", r.title, columnTitles[c], err)
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
			cpu, err := w.time(fb, filter{}, in, in.records)
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
		if cpu[c], err = w.time(fb, f, w.input(f), w.kept(r, f)); err != nil {
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
