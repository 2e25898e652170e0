package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

const (
	memoryTitle  = "Memory"
	memoryLegend = "resident memory of the whole process 4 s after the start, MB (of that RssAnon, which no other process can share); CPU time from start to end, ms: median (least–most)"

	// settling is for how long a process runs before its memory is looked at.
	settling = 4 * time.Second

	// several is how many filters of one module share what can be shared.
	several = 50
)

// A footprint is resident memory, in bytes.
type footprint struct{ all, anonymous int }

// String is in MB of the kernel's kind, whose kB has 1,024 bytes.
func (f footprint) String() string {
	const mega = 1 << 20
	return fmt.Sprintf("%.1f (%.1f)", float64(f.all)/mega, float64(f.anonymous)/mega)
}

// footprintOf reads /proc/PID/status.
func footprintOf(status string) (footprint, error) {
	var f footprint
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		kilobytes, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch {
		case err != nil:
		case key == "VmRSS":
			f.all = kilobytes << 10
		case key == "RssAnon":
			f.anonymous = kilobytes << 10
		}
	}
	if f.all == 0 || f.anonymous == 0 {
		return f, errors.New("no VmRSS and RssAnon in the process's status")
	}
	return f, nil
}

// measureMemory returns the section of what filters cost before any record comes.
func (w *work) measureMemory(fb fluentbit.Binary, rounds int, progress io.Writer) (section, []string, error) {
	heavy := *w.heavy()
	cache, err := os.MkdirTemp(w.dir, "cache")
	if err != nil {
		return section{}, nil, err
	}
	contenders := []contender{
		{title: columnTitles[here], filter: heavy.filters[here]},
		{title: "here, warm `cache_dir`", filter: heavy.filters[here].with("cache_dir", cache)},
		{title: columnTitles[interpreter], filter: heavy.filters[interpreter]},
		{title: columnTitles[aot], filter: heavy.filters[aot]},
	}
	for i := range contenders {
		contenders[i].filter.fewer = true
	}
	// This fills the cache.
	contenders, notes, err := w.able(fb, memoryTitle, heavy, contenders, progress)
	if err != nil {
		return section{}, nil, err
	}
	contenders = append([]contender{{title: "none"}}, contenders...)
	for round := range rounds {
		fmt.Fprintf(progress, "%s: start %d of %d with Fluent Bit %s\n", memoryTitle, round+1, rounds, fb.Version)
		for i, c := range contenders {
			cpu, _, err := w.time(fb, c.filter, w.one, w.one.records)
			if err != nil {
				return section{}, nil, fmt.Errorf("%s: %w", c.title, err)
			}
			contenders[i].figures = append(contenders[i].figures, cpu.Seconds()*1e3)
		}
	}
	grid := [][]string{{""}, {"1 filter, MB"}, {fmt.Sprintf("%d filters of one module, MB", several)},
		{"CPU time of a run with one record, ms"}}
	for _, c := range contenders {
		fmt.Fprintf(progress, "%s: %s\n", memoryTitle, c.title)
		grid[0] = append(grid[0], c.title)
		for i, n := range []int{1, several} {
			used, err := w.resident(fb, c.filter, n)
			if err != nil {
				return section{}, nil, fmt.Errorf("%s: %w", c.title, err)
			}
			grid[i+1] = append(grid[i+1], used.String())
		}
		grid[3] = append(grid[3], cell(c.figures, nil))
	}
	return section{title: memoryTitle, legend: memoryLegend, grid: grid}, notes, nil
}

// resident starts a Fluent Bit with n inputs and as many filters, or none, and
// returns its memory after a while. Each filter has an input of its own: in a row
// they would nest a record ever deeper.
func (w *work) resident(fb fluentbit.Binary, f filter, n int) (footprint, error) {
	var conf config
	conf.section("SERVICE", "log_level", "info")
	for i := range n {
		tag := fmt.Sprintf("t.%d", i)
		conf.section("INPUT", "name", "dummy", "tag", tag, "rate", "10")
		if f.name != "" {
			conf.section("FILTER", append([]string{"name", f.name, "match", tag}, f.options...)...)
		}
	}
	conf.section("OUTPUT", "name", "null", "match", "*")

	ctx, cancel := context.WithTimeout(context.Background(), settling)
	defer cancel()
	cmd, log, err := w.command(ctx, fb, f, conf.String())
	if err != nil {
		return footprint{}, err
	}
	var used footprint
	err = errors.New("ended early")
	cmd.Cancel = func() error {
		var status []byte
		if status, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)); err == nil {
			used, err = footprintOf(string(status))
		}
		return cmd.Process.Kill()
	}
	ended := cmd.Run()
	text := fluentbit.Plain(log.String())
	if err != nil {
		return used, fmt.Errorf("%w: %v\n%s", err, ended, clip(text))
	}
	return used, errorIn(text)
}
