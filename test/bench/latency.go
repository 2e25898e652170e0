package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

const (
	latencyTitle = "Latency"

	// The steady load: 37,500 records a second. 75 records are what tail reads at once.
	chunkRecords = 75
	chunkEvery   = 2 * time.Millisecond

	// guestTimeout is the timeout of the guest that hangs once in hangEvery records.
	guestTimeout = 10 * time.Millisecond
	hangEvery    = 20_000

	// lastRecord is in the last record, after which the meter ends Fluent Bit.
	lastRecord = "that is all there is to measure"
)

var latencyLegend = fmt.Sprintf("µs for a chunk of %d records, one every %s, between the filter before and the one after",
	chunkRecords, chunkEvery)

// A latencyCase is a filter, or none, and what goes on beside it.
type latencyCase struct {
	title    string
	kind     string // in the chart: ours, peer, floor
	filter   filter
	job      string          // the title of the row whose job it does; "": not checked
	logs     *regexp.Regexp  // what the log must say; nil: what closing says
	swaps    [2]string       // modules that take turns at the filter's wasm_path, each for a second
	compiles bool            // swaps has to be compiled first, which may take longer than all chunks
	busyGo   bool            // Go's collector runs all the time, and there is an output of the plugin beside it
	took     []time.Duration // of all chunks in all rounds, sorted
}

// latencyCases makes modules and lists what is measured.
func (w *work) latencyCases(fb fluentbit.Binary, only *regexp.Regexp, progress io.Writer) ([]latencyCase, []string, error) {
	rowOf := func(title string) row {
		return w.rows[slices.IndexFunc(w.rows, func(r row) bool { return r.title == title })]
	}
	const jsonJob, batchJob = "adds a key, JSON; `modify` Add", "adds a key, batches"
	addJSON, addBatch := rowOf(jsonJob), rowOf(batchJob)
	light := addJSON.filters[here]

	source, err := testdata.ReadFile("testdata/add_json.wat")
	if err != nil {
		return nil, nil, err
	}
	hangs, err := w.variant("hangs", source,
		"(local $kept i32)", fmt.Sprintf(`(local $kept i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.eq (global.get $calls) (i32.const %d))
      (then (loop $forever (br $forever))))`, hangEvery),
		"(global $heap", "(global $calls (mut i32) (i32.const 0))\n  (global $heap")
	if err != nil {
		return nil, nil, err
	}

	first, err := w.variant("first", source)
	if err != nil {
		return nil, nil, err
	}
	other, err := w.variant("other", source, `\"v\"`, `\"w\"`)
	if err != nil {
		return nil, nil, err
	}
	notes := []string{
		fmt.Sprintf("timeouts: a guest that hangs in one of %d records, timeout %s", hangEvery, guestTimeout),
		"swaps: each second another version of the module, by reload_module; those of Go are in cache_dir",
		"Go's collector at work: GOGC=1, and an output of the plugin that does the same and writes to a file",
	}
	cases := []latencyCase{
		{title: "no filter", kind: "floor"},
		{title: "copy only", kind: "floor", filter: rowOf(jsonJob).filters[copies], job: jsonJob},
		{title: "light, batches", kind: "ours", filter: addBatch.filters[here], job: batchJob},
		{title: "light, JSON", kind: "ours", filter: light, job: jsonJob},
		{title: "light, JSON, Go's collector at work", kind: "ours", filter: light, job: jsonJob, busyGo: true},
		{title: "light, JSON, swaps", kind: "ours", filter: w.swapped("json"), swaps: [2]string{first.wasm, other.wasm}},
		{title: "light, JSON, timeouts", kind: "ours",
			filter: hangs.guest("json").with("timeout", guestTimeout.String()),
			logs:   regexp.MustCompile(`\b[1-9]\d* failed\b`)},
	}
	goFirst, err := w.goGuest("add_go", "v")
	if err == nil {
		other, err = w.goGuest("add_go", "w")
	}
	if err != nil {
		notes = append(notes, latencyTitle+": no Go guest: "+firstLine(err))
		fmt.Fprintln(progress, "***", err)
	} else {
		cases = append(cases,
			latencyCase{title: "Go, batches", kind: "ours", filter: w.cached(goFirst.guest("json")), job: batchJob},
			latencyCase{title: "Go, batches, swaps", kind: "ours", filter: w.cached(w.swapped("json")), swaps: [2]string{goFirst.wasm, other.wasm}},
			latencyCase{title: "Go, batches, a version is compiled", kind: "ours", filter: w.swapped("json"), swaps: [2]string{goFirst.wasm, other.wasm},
				compiles: true})
		if _, _, err := w.time(fb, w.cached(other.guest("json")), w.full, w.full.records); err != nil { // into the cache
			return nil, nil, err
		}
	}
	cases = append(cases,
		latencyCase{title: "built-in wasm, interpreted", kind: "peer", filter: addJSON.filters[interpreter], job: jsonJob},
		latencyCase{title: "built-in wasm, .aot", kind: "peer", filter: addJSON.filters[aot], job: jsonJob},
		latencyCase{title: "lua", kind: "peer", filter: addJSON.filters[lua], job: jsonJob})

	cases = slices.DeleteFunc(cases, func(c latencyCase) bool {
		return c.kind == "peer" && c.filter.name == "" || !only.MatchString(c.title)
	})
	// What does not do its job is not measured.
	var able []latencyCase
	for _, c := range cases {
		if c.job != "" && !c.busyGo {
			good, more, err := w.able(fb, latencyTitle, rowOf(c.job), []contender{{title: c.title, filter: c.filter}}, progress)
			if err != nil {
				return nil, nil, err
			}
			if notes = append(notes, more...); len(good) == 0 {
				continue
			}
		}
		able = append(able, c)
	}
	return able, notes, nil
}

// variant is a module of a text in which each old is replaced by the new that follows it.
func (w *work) variant(name string, text []byte, oldNew ...string) (module, error) {
	for i := 0; i < len(oldNew); i += 2 {
		if bytes.Count(text, []byte(oldNew[i])) == 0 {
			return module{}, fmt.Errorf("%s: there is no %s to be replaced", name, oldNew[i])
		}
		text = bytes.Replace(text, []byte(oldNew[i]), []byte(oldNew[i+1]), 1)
	}
	return w.module(name+".wat", "filter", text)
}

// goGuest builds testdata/NAME, a batch guest by the SDK for Go that adds the key "k" of a value.
func (w *work) goGuest(name, value string) (module, error) {
	m := module{wasm: w.path(name + "_" + value + ".wasm"), function: "filter"}
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -X main.value="+value, "-o", m.wasm, ".")
	cmd.Dir = filepath.Join(w.root, "test/bench/testdata", name)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return m, fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return m, nil
}

// swapped is a filter whose module is to be swapped.
func (w *work) swapped(format string) filter {
	return module{wasm: w.path("swapped.wasm"), function: "filter"}.guest(format).
		with("reload_module", "on").with("reload_interval", "100ms")
}

// swap puts a module in the place of the one that is swapped, as a whole.
func (w *work) swap(from string) error {
	code, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.path("next.wasm"), code, 0o666); err != nil {
		return err
	}
	return os.Rename(w.path("next.wasm"), w.path("swapped.wasm"))
}

// swapping swaps the modules once a second, until the context ends.
func (w *work) swapping(ctx context.Context, modules [2]string) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for i := 1; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := w.swap(modules[i%2]); err != nil {
			return err
		}
	}
}

// cached is a filter whose module is compiled once: whoever checks it does.
func (w *work) cached(f filter) filter { return f.with("cache_dir", w.path("cache")) }

// measureLatency returns the cases, and notes on what is not among them.
func (w *work) measureLatency(fb fluentbit.Binary, only *regexp.Regexp, o options, progress io.Writer) ([]latencyCase, []string, error) {
	meter, err := w.compile(fb, "latency")
	if err != nil {
		return nil, nil, err
	}
	if err := w.compileCopies(fb); err != nil {
		return nil, nil, err
	}
	cases, notes, err := w.latencyCases(fb, only, progress)
	if err != nil {
		return nil, nil, err
	}
	bursts := makeBursts(o.records / chunkRecords)
	for round := range o.rounds {
		fmt.Fprintf(progress, "%s: round %d of %d with Fluent Bit %s\n", latencyTitle, round+1, o.rounds, fb.Version)
		for i := range cases {
			if round%2 == 1 {
				i = len(cases) - 1 - i
			}
			c := &cases[i]
			took, err := w.latencyOnce(fb, *c, meter, bursts)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", c.title, err)
			}
			c.took = append(c.took, took...)
		}
	}
	for i := range cases {
		slices.Sort(cases[i].took)
	}
	return cases, notes, nil
}

// makeBursts makes n times the lines of a chunk, the last of which is one that ends the measurement.
func makeBursts(n int) [][]byte {
	list := make([][]byte, n)
	i := 0
	for text := range records.Generate(n*chunkRecords, 1) {
		burst := &list[i/chunkRecords]
		*burst = append(append(*burst, text...), '\n')
		i++
	}
	last := bytes.TrimSuffix(list[n-1], []byte("}\n"))
	list[n-1] = fmt.Appendf(last, `,"last":"%s"}`+"\n", lastRecord)
	return list
}

// latencyOnce has tail read the bursts and returns how long a filter took for each chunk.
func (w *work) latencyOnce(fb fluentbit.Binary, c latencyCase, meter string, bursts [][]byte) ([]time.Duration, error) {
	results, read := w.path("latency.bin"), w.path("latency.log")
	if err := os.Remove(results); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	file, err := os.Create(read)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var conf config
	conf.section("SERVICE", "log_level", "info", "flush", "1", "grace", "1", "parsers_file", w.path("parsers.conf"))
	conf.section("INPUT", "name", "tail", "path", read, "parser", "json", "tag", "app", "read_from_head", "true",
		"buffer_chunk_size", "64k", "buffer_max_size", "64k")
	conf.section("FILTER", "name", "latency", "match", "*")
	if c.filter.name != "" {
		conf.section("FILTER", append([]string{"name", c.filter.name, "match", "*"}, c.filter.options...)...)
	}
	conf.section("FILTER", "name", "latency", "match", "*", "path", results, "last", lastRecord)
	conf.section("OUTPUT", "match", "*", "name", "null")
	if c.busyGo {
		conf.section("OUTPUT", append([]string{"match", "*", "name", "wasmtime", "emit_to", "file://" + w.path("beside.ndjson")},
			c.filter.options...)...)
	}

	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd, log, err := w.command(ctx, fb, c.filter, conf.String())
	if err != nil {
		return nil, err
	}
	cmd.Args = slices.Insert(cmd.Args, 1, "-e", meter)
	if c.busyGo {
		cmd.Args = slices.Insert(cmd.Args, 1, "-e", filepath.Join(filepath.Dir(w.plugin), "out_wasmtime.so"))
		cmd.Env = append(os.Environ(), "GOGC=1", "GODEBUG=gctrace=1")
		defer os.Remove(w.path("beside.ndjson"))
	}
	if c.swaps[0] != "" {
		if err := w.swap(c.swaps[0]); err != nil {
			return nil, err
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	feeding, fedUp := context.WithCancel(ctx)
	swapped := make(chan error, 1)
	go func() {
		if c.swaps[0] == "" {
			swapped <- nil
			return
		}
		swapped <- w.swapping(feeding, c.swaps)
	}()
	fed := feed(file, bursts)
	fedUp()
	fed = cmp.Or(fed, <-swapped)
	if fed != nil {
		cancel()
	}
	ended := cmd.Wait()
	text := fluentbit.Plain(log.String())
	logged := errorIn(text)
	if c.logs != nil {
		logged = nil // it is to fail
	}
	if err := cmp.Or(logged, fed, ended); err != nil {
		return nil, fmt.Errorf("%w\n%s\n%s", err, conf.String(), clip(text))
	}
	n := len(bursts) * chunkRecords
	logs := closing(c.filter, input{records: n}, n)
	if c.logs != nil {
		logs = c.logs
	}
	if !logs.MatchString(text) {
		return nil, fmt.Errorf("not in the log: %s\n%s", logs, clip(text))
	}
	if swaps := strings.Count(text, "] reloaded: module "); c.swaps[0] != "" && !c.compiles && swaps == 0 {
		return nil, fmt.Errorf("no version took over\n%s", clip(text))
	}
	if collections := strings.Count(text, "\ngc "); c.busyGo && collections < 10 {
		return nil, fmt.Errorf("only %d times has Go's collector run", collections)
	}
	b, err := os.ReadFile(results)
	if err != nil {
		return nil, err
	}
	took := make([]time.Duration, len(b)/8)
	for i := range took {
		took[i] = time.Duration(binary.LittleEndian.Uint64(b[8*i:]))
	}
	// tail may have read two bursts at once, or one in parts.
	if ratio := float64(len(took)) / float64(len(bursts)); ratio < 0.5 || ratio > 1.5 {
		return nil, fmt.Errorf("%d bursts became %d chunks: the load is not steady", len(bursts), len(took))
	}
	return took, nil
}

// feed writes bursts at a steady pace.
func feed(file *os.File, bursts [][]byte) error {
	begin := time.Now()
	for i, burst := range bursts {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * chunkEvery)))
		if _, err := file.Write(burst); err != nil {
			return err
		}
	}
	return nil
}

// percentile is the smallest of sorted figures that p of all, 0 to 1, don't exceed.
func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[max(int(math.Ceil(p*float64(len(sorted))-1e-9)), 1)-1]
}

// latencySection is the table of cases.
func latencySection(cases []latencyCase) section {
	grid := [][]string{{"", "p50", "p99", "p99.9", "longest"}}
	for _, c := range cases {
		line := []string{c.title}
		for _, p := range []float64{0.5, 0.99, 0.999, 1} {
			line = append(line, micros(float64(percentile(c.took, p))/1e3))
		}
		grid = append(grid, line)
	}
	return section{title: latencyTitle, legend: latencyLegend, grid: grid}
}
