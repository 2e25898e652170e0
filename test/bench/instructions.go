package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/showcase"
)

const (
	instructionsTitle  = "Instructions"
	instructionsLegend = "instructions of the whole process per record that the filter adds, counted by valgrind ×times of the first"

	// What a run has besides its records is the same for a few and many, and is not counted.
	fewRecords, manyRecords = 2_000, 12_000
)

var instructionsLine = regexp.MustCompile(`(?m)^==\d+== I +refs: +([\d,]+)$`)

// instructions is how many valgrind says there were.
func instructions(log string) (float64, error) {
	m := instructionsLine.FindStringSubmatch(log)
	if m == nil {
		return 0, fmt.Errorf("not in the log: %s\n%s", instructionsLine, clip(log))
	}
	return strconv.ParseFloat(strings.ReplaceAll(m[1], ",", ""), 64)
}

// underValgrind has a command run under valgrind, which counts its instructions. Those of guests are
// made while it runs.
func underValgrind(ctx context.Context, cmd *exec.Cmd) *exec.Cmd {
	counted := exec.CommandContext(ctx, "valgrind", append([]string{
		"--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", "--smc-check=all-non-file"}, cmd.Args...)...)
	counted.Dir, counted.Stdout, counted.Stderr, counted.WaitDelay = cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay
	return counted
}

// measureInstructions returns the section of instructions, or none and why.
func (w *work) measureInstructions(fb fluentbit.Binary, rows []row, progress io.Writer) (section, []string, error) {
	if _, err := exec.LookPath("valgrind"); err != nil {
		return section{}, []string{instructionsTitle + ": not measured: " + err.Error()}, nil
	}
	generators := map[bool]func(n int, seed uint64) iter.Seq[[]byte]{false: records.Generate, true: showcase.Records}
	inputs := map[bool][2]input{} // few and many, of rows that show and of others
	for shows, generate := range generators {
		var made [2]input
		for i, n := range []int{fewRecords, manyRecords} {
			var err error
			if made[i], _, err = w.makeInput(fmt.Sprintf("instructions-%t-%d.ndjson", shows, n), n, generate(n, 1)); err != nil {
				return section{}, nil, err
			}
		}
		inputs[shows] = made
	}
	w.counted = true
	defer func() { w.counted = false }()
	perRecord := func(f filter, row int) (float64, error) {
		var n [3]float64
		in := inputs[f.shows]
		for i, in := range []input{in[0], in[0], in[1]} { // the first one may fill a cache
			_, log, err := w.time(fb, f, in, in.kept[row])
			if err != nil {
				return 0, err
			}
			if n[i], err = instructions(log); err != nil {
				return 0, err
			}
		}
		return (n[2] - n[1]) / (manyRecords - fewRecords), nil
	}
	without := map[bool]float64{}
	for shows := range inputs {
		var err error
		if without[shows], err = perRecord(filter{shows: shows}, 0); err != nil {
			return section{}, nil, err
		}
	}
	grid := [][]string{append([]string{""}, columnTitles[:]...)}
	for _, r := range rows {
		fmt.Fprintf(progress, "%s: %s with Fluent Bit %s\n", instructionsTitle, r.title, fb.Version)
		at := slices.IndexFunc(w.rows, func(other row) bool { return other.title == r.title })
		line := []string{r.title}
		var first float64
		for c, f := range r.filters {
			// WAMR uses an instruction that valgrind does not know (wrgsbase).
			if f.name == "" || f.name == "wasm" || c == copies && w.object(fb, f) == "" {
				line = append(line, "")
				continue
			}
			n, err := perRecord(f, at)
			if err != nil {
				return section{}, nil, fmt.Errorf("%s: %s: %w", r.title, columnTitles[c], err)
			}
			if n -= without[r.shows]; first == 0 {
				first = n
			}
			line = append(line, fmt.Sprintf("%.0f ×%s", n, times(n/first)))
		}
		grid = append(grid, line)
	}
	return section{title: instructionsTitle, legend: instructionsLegend, grid: grid}, nil, nil
}
