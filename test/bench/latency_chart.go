package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// Sizes of the chart of latencies, in pixels.
const (
	latencyHeight = 480
	plotLeft      = 70
	plotTop       = 76
	plotRight     = 540
	plotBottom    = latencyHeight - 56
	labelStep     = 15
)

const latencyStyle = chartStyle + `
.grid { stroke: #8c959f; stroke-opacity: 0.3 }
.line { fill: none; stroke-width: 1.8 }
.floor { stroke-dasharray: 2 3 }
.peer { stroke-dasharray: 7 3 }
.leader { stroke-width: 0.7; stroke-opacity: 0.6 }`

// Colours that can be told apart on light and dark grounds, and by most of the colour-blind.
var (
	oursColours  = []string{"#0969da", "#1b9e77", "#7a5ccc", "#0aa2c0", "#4d7c0f", "#3b5bdb", "#12b886", "#a16207"}
	peerColours  = []string{"#d9480f", "#e8590c", "#c2255c"}
	floorColours = []string{"#868e96", "#adb5bd"}
)

// latencyChart draws each case as a line: across how many of the chunks, up how long they take at most. Both
// axes are logarithmic: each step to the right leaves a tenth of the chunks.
func latencyChart(title string, cases []latencyCase) string {
	var b strings.Builder
	text := func(class string, x, y float64, anchor, what string) {
		fmt.Fprintf(&b, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", class, x, y, anchor, html.EscapeString(what))
	}
	text("title", 16, 28, "start", title)
	text("quiet", 16, 48, "start", latencyLegend+"; lower is better")

	most, low, high := 10, math.Inf(1), 0.0
	for _, c := range cases {
		most = max(most, len(c.took))
		low = min(low, microseconds(percentile(c.took, 0.5)))
		high = max(high, microseconds(percentile(c.took, 1)))
	}
	// From the median to the longest; from the power of ten below to the one above.
	from, to := math.Log10(2), math.Log10(float64(most))
	bottom, top := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	x := func(left float64) float64 { // left is how many of the chunks are beyond
		return plotLeft + (plotRight-plotLeft)*(-math.Log10(left)-from)/(to-from)
	}
	y := func(micros float64) float64 {
		return plotBottom - (plotBottom-plotTop)*(math.Log10(micros)-bottom)/(top-bottom)
	}
	for p := bottom; p <= top; p++ {
		at := y(math.Pow(10, p))
		fmt.Fprintf(&b, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n", plotLeft, at, plotRight, at)
		text("quiet", plotLeft-8, at+4, "end", duration(math.Pow(10, p)))
	}
	for _, tick := range []struct {
		left float64
		name string
	}{{0.5, "p50"}, {0.1, "p90"}, {0.01, "p99"}, {0.001, "p99.9"}, {1 / float64(most), "longest"}} {
		if tick.left < 1/float64(most) {
			continue
		}
		fmt.Fprintf(&b, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", x(tick.left), plotTop, x(tick.left), plotBottom)
		text("quiet", x(tick.left), plotBottom+18, "middle", tick.name)
	}

	type label struct {
		case_  int
		colour string
		end, y float64
	}
	var labels []label
	used := map[string]int{}
	for i, c := range cases {
		colours := map[string][]string{"ours": oursColours, "peer": peerColours, "floor": floorColours}[c.kind]
		colour := colours[used[c.kind]%len(colours)]
		used[c.kind]++
		var points strings.Builder
		const steps = 120
		for step := range steps + 1 {
			left := math.Pow(10, -(from + (to-from)*float64(step)/steps))
			v := microseconds(percentile(c.took, 1-max(left, 0)))
			if step == steps {
				v = microseconds(percentile(c.took, 1))
			}
			fmt.Fprintf(&points, "%.1f,%.1f ", x(left), y(v))
		}
		fmt.Fprintf(&b, "<polyline class=\"line %s\" stroke=\"%s\" points=\"%s\"/>\n", c.kind, colour, strings.TrimSpace(points.String()))
		end := y(microseconds(percentile(c.took, 1)))
		labels = append(labels, label{i, colour, end, end})
	}
	// The titles stand where the lines end, but not on each other.
	slices.SortFunc(labels, func(a, b label) int { return int(math.Copysign(1, a.end-b.end)) })
	for i := range labels {
		if i > 0 {
			labels[i].y = max(labels[i].y, labels[i-1].y+labelStep)
		}
	}
	below := float64(plotBottom + 20)
	for i := len(labels) - 1; i >= 0; i-- {
		labels[i].y = min(labels[i].y, below)
		below = labels[i].y - labelStep
	}
	for _, l := range labels {
		c := cases[l.case_]
		fmt.Fprintf(&b, "<line class=\"leader\" stroke=\"%s\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n", l.colour, plotRight, l.end, plotRight+14, l.y)
		class := "name"
		if c.kind == "ours" {
			class = "name ours"
		}
		fmt.Fprintf(&b, "<text class=\"%s\" x=\"%d\" y=\"%.1f\" style=\"fill: %s\">%s</text>\n", class, plotRight+18, l.y+4, l.colour, html.EscapeString(c.title))
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"%s\">\n<style>\n%s\n</style>\n%s</svg>\n",
		chartWidth, latencyHeight, chartWidth, latencyHeight, html.EscapeString(title), latencyStyle, b.String())
}

func microseconds(d time.Duration) float64 { return max(float64(d.Nanoseconds()), 1) / 1e3 }

// duration prints a power of ten of µs.
func duration(micros float64) string {
	return time.Duration(math.Round(micros * 1e3)).String()
}
