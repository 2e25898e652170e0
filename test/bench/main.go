// Bench measures what a filter costs in a real Fluent Bit: the CPU time, user and
// system, of the whole process per record, less that of the same run without a
// filter. It puts this project's filter next to the others that do the same job:
// the built-in wasm filter, a native one, lua; and a native one that only copies.
// Two sections follow: wall time with several workers, and memory. -latency measures
// something else: the time of each chunk between two filters that stand before and
// after, under a steady load.
//
//	FLUENT_BIT=path[:path...]  the Fluent Bits; else fluent-bit of PATH
//	FLB_WAMRC=path             flb-wamrc of that Fluent Bit, for the built-in's .aot
//	CC=command                 the C compiler; else cc
//
// Before anything is timed each configuration runs once over all records, and what
// comes out is read: a filter that does not do its job is not measured.
package main

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

const nothingToRun = "FILTERS NOT MEASURED: no Fluent Bit; set FLUENT_BIT, or have fluent-bit on PATH"

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each filter is measured")
	flag.IntVar(&o.records, "records", 150_000, "how many records a run reads")
	flag.StringVar(&o.only, "only", "", "measure only the rows and sections whose title matches this regular expression")
	flag.StringVar(&o.markdown, "markdown", "", "also write the tables to this file, in Markdown")
	flag.StringVar(&o.svg, "svg", "", "also write a chart to this file")
	flag.BoolVar(&o.instructions, "instructions", false, "also count the instructions of the rows' filters, under valgrind")
	flag.BoolVar(&o.latency, "latency", false, "measure how long filters take for a chunk, and nothing else; -only matches its rows")
	flag.Parse()
	if err := bench(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "test/bench:", err)
		os.Exit(1)
	}
}

type options struct {
	rounds, records     int
	only, markdown, svg string
	instructions        bool
	latency             bool
}

func bench(o options, out io.Writer) error {
	if o.rounds < 1 || o.records < fewer {
		return fmt.Errorf("at least 1 round and %d records are needed", fewer)
	}
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	found, err := fluentbit.Find()
	if err != nil {
		return err
	}
	if len(found) == 0 {
		fmt.Fprintln(out, "\n*** "+nothingToRun+" ***")
		return nil
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	read := o.records
	if o.latency {
		read = fewer * chunkRecords // what is timed comes by another way
	}
	w, err := newWork(dir, root, read)
	if err != nil {
		return err
	}
	for _, fb := range found {
		if o.latency {
			if err := w.benchLatency(fb, root, only, o, len(found) > 1, out); err != nil {
				return fmt.Errorf("in Fluent Bit %s: %s: %w", fb.Version, latencyTitle, err)
			}
			continue
		}
		var rows []row
		for _, r := range w.rows {
			if only.MatchString(r.title) {
				rows = append(rows, r)
			}
		}
		rep := report{environment: w.environment(fb, root, o)}
		rep.rows, rep.notes, err = w.measure(fb, rows, o.rounds, os.Stderr)
		if err != nil {
			return fmt.Errorf("in Fluent Bit %s: %w", fb.Version, err)
		}
		if err := w.measureSections(fb, only, o.rounds, &rep, os.Stderr); err != nil {
			return fmt.Errorf("in Fluent Bit %s: %w", fb.Version, err)
		}
		if o.instructions {
			made, notes, err := w.measureInstructions(fb, rows, os.Stderr)
			if err != nil {
				return fmt.Errorf("in Fluent Bit %s: %s: %w", fb.Version, instructionsTitle, err)
			}
			if made.grid != nil {
				rep.sections = append(rep.sections, made)
			}
			rep.notes = append(rep.notes, notes...)
		}
		rep.environment = append(rep.environment, "load average at the end: "+loadAverage())
		fmt.Fprintf(out, "\n%s", rep.text())
		// With several Fluent Bits, each has its files.
		if err := write(o.markdown, fb, len(found) > 1, rep.markdown()); err != nil {
			return err
		}
		title := "CPU time that a filter adds per record, Fluent Bit " + fb.Version
		if err := write(o.svg, fb, len(found) > 1, chart(title, rep.rows)); err != nil {
			return err
		}
	}
	return nil
}

// benchLatency measures latency alone, and reports it.
func (w *work) benchLatency(fb fluentbit.Binary, root string, only *regexp.Regexp, o options, several bool, out io.Writer) error {
	rep := report{environment: w.environment(fb, root, o)}
	cases, notes, err := w.measureLatency(fb, only, o, os.Stderr)
	if err != nil {
		return err
	}
	rep.sections, rep.notes = []section{latencySection(cases)}, notes
	rep.environment = append(rep.environment, "load average at the end: "+loadAverage())
	fmt.Fprintf(out, "\n%s", rep.text())
	if err := write(o.markdown, fb, several, rep.markdown()); err != nil {
		return err
	}
	return write(o.svg, fb, several, latencyChart("How long a filter takes for a chunk, Fluent Bit "+fb.Version, cases))
}

// measureSections adds the sections that are asked for.
func (w *work) measureSections(fb fluentbit.Binary, only *regexp.Regexp, rounds int, rep *report, progress io.Writer) error {
	for _, s := range []struct {
		title   string
		measure func(fluentbit.Binary, int, io.Writer) (section, []string, error)
	}{
		{wallTitle, w.measureWall},
		{memoryTitle, w.measureMemory},
	} {
		if !only.MatchString(s.title) {
			continue
		}
		made, notes, err := s.measure(fb, rounds, progress)
		if err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
		if made.grid != nil {
			rep.sections = append(rep.sections, made)
		}
		rep.notes = append(rep.notes, notes...)
	}
	return nil
}

// write writes a file, unless it has no path. If several are written, the version
// stands in the name.
func write(path string, fb fluentbit.Binary, several bool, text string) error {
	if path == "" {
		return nil
	}
	if several {
		ext := filepath.Ext(path)
		path = strings.TrimSuffix(path, ext) + "-" + fb.Version + ext
	}
	return os.WriteFile(path, []byte(text), 0o666)
}

// moduleRoot is the directory of go.mod, at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod at or above the working directory")
		}
		dir = parent
	}
}

// environment is what a figure means nothing without.
func (w *work) environment(fb fluentbit.Binary, root string, o options) []string {
	revision := "unknown"
	if out, err := exec.Command("git", "-C", root, "describe", "--always", "--dirty").Output(); err == nil {
		revision = strings.TrimSpace(string(out))
	}
	// What the shared object was linked with, not what go.mod says by now.
	engine := "unknown"
	if info, err := buildinfo.ReadFile(w.plugin); err == nil {
		for _, dep := range info.Deps {
			if strings.HasPrefix(dep.Path, "github.com/bytecodealliance/wasmtime-go") {
				engine = dep.Version
			}
		}
	}
	lines := []string{
		fmt.Sprintf("CPU: %s, %d cores", cpuModel(), runtime.NumCPU()),
		fmt.Sprintf("Fluent Bit %s; plugin %s, wasmtime-go %s", fb.Version, revision, engine),
		fmt.Sprintf("%d records of %d bytes on average, %d rounds, %s",
			o.records, w.averageBytes, o.rounds, time.Now().UTC().Format(time.DateOnly)),
	}
	if w.wamrc != "" {
		lines = append(lines, "ahead of time: "+w.wamrc)
	}
	return append(lines, "load average at the start: "+loadAverage())
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// loadAverage tells whether others used the machine: a run by itself makes it 1.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) == 0 {
		return "unknown"
	}
	return fields[0]
}
