package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

const (
	wallTitle  = "Wall time"
	wallLegend = "µs of wall time per record that the filter adds, from the end of Fluent Bit's start to the end of the file: median (least–most) ×times of the first"
)

var (
	errWholeSeconds = errors.New("this Fluent Bit logs whole seconds")

	// When the stream processor starts, the filters have been, and nothing is read
	// yet. The process's end says nothing: it waits for the next tick of a second.
	startLine = logLine(`\[sp\] stream processor started`)
	endLine   = logLine(`ended, stop`)
)

// logLine finds a line's date and time, and what follows the point in it, if any.
func logLine(ending string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^\[(\S+ [\d:]+)(?:\.(\d+))?\] .*` + ending + `$`)
}

// wall is how long a log says that reading and filtering took.
func wall(log string) (time.Duration, error) {
	start, err := stamp(log, startLine)
	if err != nil {
		return 0, err
	}
	end, err := stamp(log, endLine)
	return end.Sub(start), err
}

// stamp is the time of a line.
func stamp(log string, line *regexp.Regexp) (time.Time, error) {
	m := line.FindStringSubmatch(log)
	if m == nil {
		return time.Time{}, fmt.Errorf("not in the log: %s\n%s", line, clip(log))
	}
	at, err := time.Parse("2006/01/02 15:04:05", m[1])
	if err != nil {
		return at, err
	}
	if m[2] == "" {
		return at, errWholeSeconds
	}
	// Fluent Bit 4.2.8 prints nanoseconds by %03ld, so that the first 100 ms of a
	// second have fewer than nine digits; 5.1.1 prints milliseconds by the same. Three
	// digits of nanoseconds are one stamp in a million.
	n, err := strconv.ParseInt(m[2], 10, 64)
	if len(m[2]) == 3 {
		n *= int64(time.Millisecond)
	}
	return at.Add(time.Duration(n)), err
}

// measureWall returns the section of wall times, or none and why.
func (w *work) measureWall(fb fluentbit.Binary, rounds int, progress io.Writer) (section, []string, error) {
	if runtime.NumCPU() < 2 {
		return section{}, []string{wallTitle + ": not measured: there is one CPU only"}, nil
	}
	if _, err := w.wallOnce(fb, filter{}); errors.Is(err, errWholeSeconds) {
		return section{}, []string{wallTitle + ": not measured: " + err.Error()}, nil
	}
	heavy := *w.heavy()
	contenders, notes, err := w.able(fb, wallTitle, heavy, []contender{
		{title: "here, `workers 1`", filter: heavy.filters[here].with("workers", "1")},
		{title: "here, `workers 2`", filter: heavy.filters[here].with("workers", "2")},
		{title: columnTitles[aot], filter: heavy.filters[aot]},
	}, progress)
	if err != nil {
		return section{}, nil, err
	}
	for round := range rounds {
		fmt.Fprintf(progress, "%s: round %d of %d with Fluent Bit %s\n", wallTitle, round+1, rounds, fb.Version)
		if err := w.wallRound(fb, contenders, round%2 == 1); err != nil {
			return section{}, nil, err
		}
	}
	grid := [][]string{{""}, {heavy.title}}
	for _, c := range contenders {
		grid[0] = append(grid[0], c.title)
		grid[1] = append(grid[1], cell(c.figures, contenders[0].figures))
	}
	return section{title: wallTitle, legend: wallLegend, grid: grid}, notes, nil
}

// wallRound measures each filter once, in turn or the other way around, between two
// runs without one.
func (w *work) wallRound(fb fluentbit.Binary, contenders []contender, reversed bool) error {
	before, err := w.wallOnce(fb, filter{})
	if err != nil {
		return err
	}
	took := make([]time.Duration, len(contenders))
	for i := range contenders {
		if reversed {
			i = len(contenders) - 1 - i
		}
		if took[i], err = w.wallOnce(fb, contenders[i].filter); err != nil {
			return fmt.Errorf("%s: %w", contenders[i].title, err)
		}
	}
	after, err := w.wallOnce(fb, filter{})
	if err != nil {
		return err
	}
	for i := range contenders {
		added := (took[i] - (before+after)/2).Seconds() * 1e6 / float64(w.full.records)
		contenders[i].figures = append(contenders[i].figures, added)
	}
	return nil
}

// wallOnce runs a filter that keeps all records, or none, and returns its wall time.
func (w *work) wallOnce(fb fluentbit.Binary, f filter) (time.Duration, error) {
	_, log, err := w.time(fb, f, w.full, w.full.records)
	if err != nil {
		return 0, err
	}
	return wall(log)
}
