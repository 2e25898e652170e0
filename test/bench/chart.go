package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// Sizes of the chart, in pixels.
const (
	chartWidth = 820
	barLeft    = 190
	barMax     = 500
	barHeight  = 14
	barStep    = 19
	rowGap     = 34 // with the row's title
)

// The colours are those of the text where the chart is shown; it has no background
// of its own.
const chartStyle = `text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.row, .ours { font-weight: 600 }
.quiet { fill: #57606a }
.bar { fill: #a8b1bb }
.bar.ours { fill: #0969da }
.range { stroke: #24292f; stroke-opacity: 0.55 }
.cut { stroke: #ffffff; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.quiet { fill: #9198a1 }
.bar { fill: #5c6570 }
.bar.ours { fill: #4493f8 }
.range { stroke: #e6edf3 }
.cut { stroke: #0d1117 }
}`

// chart draws the medians as bars, with a line from the least to the most. Rows of
// heavy guests have a scale of their own, below the others.
func chart(title string, rows []measured) string {
	var b strings.Builder
	y := 28
	fmt.Fprintf(&b, "<text class=\"title\" x=\"16\" y=\"%d\">%s</text>\n", y, html.EscapeString(title))
	y += 20
	fmt.Fprintf(&b, "<text class=\"quiet\" x=\"16\" y=\"%d\">µs, medians; the thin line goes from the least to the most; shorter is better</text>\n", y)
	for _, heavy := range []bool{false, true} {
		var panel []measured
		for _, m := range rows {
			if m.heavy == heavy {
				panel = append(panel, m)
			}
		}
		if len(panel) == 0 {
			continue
		}
		if heavy && len(panel) < len(rows) {
			y += 30
			fmt.Fprintf(&b, "<text class=\"quiet\" x=\"16\" y=\"%d\">on another scale</text>\n", y)
		}
		y = drawPanel(&b, panel, y)
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"%s\">\n<style>\n%s\n</style>\n%s</svg>\n",
		chartWidth, y+20, chartWidth, y+20, html.EscapeString(title), chartStyle, b.String())
}

func drawPanel(b *strings.Builder, panel []measured, y int) int {
	limit := scale(panel)
	at := func(v float64) float64 { return barMax * min(max(v, 0), limit) / limit }
	for _, m := range panel {
		y += rowGap
		fmt.Fprintf(b, "<text class=\"row\" x=\"16\" y=\"%d\">%s</text>\n", y-8, html.EscapeString(strings.ReplaceAll(m.title, "`", "")))
		for c, figures := range m.cells {
			if len(figures) == 0 {
				continue
			}
			class := ""
			if c == here {
				class = " ours"
			}
			v, middle := median(figures), float64(y)+barHeight/2.0
			least, most := at(slices.Min(figures)), at(slices.Max(figures))
			fmt.Fprintf(b, "<text class=\"name%s\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", class, barLeft-8, y+11, columnTitles[c])
			fmt.Fprintf(b, "<rect class=\"bar%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", class, barLeft, y, max(at(v), 1), barHeight)
			end := max(at(v), most)
			if v > limit {
				// Too long to be drawn: two strokes across say so.
				for _, x := range []float64{barMax - 34, barMax - 26} {
					fmt.Fprintf(b, "<line class=\"cut\" x1=\"%.0f\" y1=\"%d\" x2=\"%.0f\" y2=\"%d\"/>\n", barLeft+x-3, y+barHeight+1, barLeft+x+3, y-1)
				}
			} else {
				fmt.Fprintf(b, "<line class=\"range\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", barLeft+least, middle, barLeft+most, middle)
			}
			label := micros(v)
			if ours := m.cells[here]; c != here && len(ours) > 0 && median(ours) >= 0.1 {
				label += fmt.Sprintf("  ×%s", times(v/median(ours)))
			}
			fmt.Fprintf(b, "<text class=\"value%s\" x=\"%.1f\" y=\"%d\">%s</text>\n", class, barLeft+end+6, y+11, label)
			y += barStep
		}
	}
	return y
}

// scale is the longest bar of a panel. One median that is far beyond all others is
// cut, for they would vanish next to it.
func scale(panel []measured) float64 {
	var medians, most []float64
	for _, m := range panel {
		for _, figures := range m.cells {
			if len(figures) > 0 {
				medians = append(medians, median(figures))
				most = append(most, slices.Max(figures))
			}
		}
	}
	slices.Sort(medians)
	if n := len(medians); n > 1 && medians[n-1] > 4*medians[n-2] && medians[n-2] > 0 {
		return 1.6 * medians[n-2]
	}
	return max(1, slices.Max(append(most, 0)))
}
