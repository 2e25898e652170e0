package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// measured is a row's figures.
type measured struct {
	title string
	heavy bool
	cells [columns][]float64 // µs per record, one for each round; nil if not measured
}

// A report is all there is to say of a Fluent Bit.
type report struct {
	environment []string
	rows        []measured
	sections    []section
	notes       []string
}

// A section is a table of its own, a row of titles first.
type section struct {
	title, legend string
	grid          [][]string
}

func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// micros prints µs with as many digits as mean something.
func micros(v float64) string {
	if math.Abs(v) < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// cell is a median, the least and the most, and how many times it is what the same
// costs here. There is no ratio to a cost that is lost in the noise.
func cell(figures, here []float64) string {
	if len(figures) == 0 {
		return ""
	}
	text := fmt.Sprintf("%s (%s–%s)", micros(median(figures)), micros(slices.Min(figures)), micros(slices.Max(figures)))
	if len(here) == 0 || &figures[0] == &here[0] || median(here) < 0.1 {
		return text
	}
	return text + " ×" + times(median(figures)/median(here))
}

// times prints a ratio with two digits or so.
func times(ratio float64) string {
	if ratio < 9.95 {
		return fmt.Sprintf("%.1f", ratio)
	}
	return fmt.Sprintf("%.0f", ratio)
}

// grid is the table, a row of titles first. Columns without a figure are left out.
func (r report) grid() [][]string {
	grid := make([][]string, len(r.rows)+1)
	grid[0] = []string{""}
	for i, m := range r.rows {
		grid[i+1] = []string{m.title}
	}
	for c := range columns {
		if !slices.ContainsFunc(r.rows, func(m measured) bool { return len(m.cells[c]) > 0 }) {
			continue
		}
		grid[0] = append(grid[0], columnTitles[c])
		for i, m := range r.rows {
			grid[i+1] = append(grid[i+1], cell(m.cells[c], m.cells[here]))
		}
	}
	return grid
}

const legend = "µs of CPU time per record that the filter adds: median (least–most) ×times of here"

// tables are the main table, unless it has no row, and the sections.
func (r report) tables() []section {
	if len(r.rows) == 0 {
		return r.sections
	}
	return append([]section{{legend: legend, grid: r.grid()}}, r.sections...)
}

// text is the report for a terminal.
func (r report) text() string {
	var b strings.Builder
	for _, line := range r.environment {
		fmt.Fprintln(&b, line)
	}
	for _, table := range r.tables() {
		fmt.Fprintln(&b)
		if table.title != "" {
			fmt.Fprintf(&b, "%s: ", table.title)
		}
		fmt.Fprintf(&b, "%s\n\n", table.legend)
		align(&b, table.grid)
	}
	for i, note := range r.notes {
		if i == 0 {
			fmt.Fprintln(&b)
		}
		fmt.Fprintln(&b, note)
	}
	return b.String()
}

// align writes a grid in columns.
func align(b *strings.Builder, grid [][]string) {
	widths := make([]int, len(grid[0]))
	for _, row := range grid {
		for c, text := range row {
			widths[c] = max(widths[c], utf8.RuneCountInString(text))
		}
	}
	for _, row := range grid {
		var line strings.Builder
		for c, text := range row {
			line.WriteString(text + strings.Repeat(" ", widths[c]-utf8.RuneCountInString(text)+2))
		}
		fmt.Fprintln(b, strings.TrimRight(line.String(), " "))
	}
}

// markdown is the same for a page.
func (r report) markdown() string {
	var b strings.Builder
	for _, line := range r.environment {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	for _, table := range r.tables() {
		if table.title != "" {
			fmt.Fprintf(&b, "\n## %s\n", table.title)
		}
		fmt.Fprintf(&b, "\n%s\n\n", table.legend)
		for i, row := range table.grid {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(row)))
			}
		}
	}
	for i, note := range r.notes {
		if i == 0 {
			fmt.Fprintln(&b)
		}
		fmt.Fprintf(&b, "- %s\n", note)
	}
	return b.String()
}
