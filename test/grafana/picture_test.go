package grafana

import (
	"cmp"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"math"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	update  = flag.Bool("update", false, "with -run Picture: write docs/dashboard.svg, which takes some minutes, a Prometheus and a Fluent Bit")
	minutes = flag.Int("minutes", 4, "how long what the picture shows goes on")
)

// Sizes of the picture, in pixels.
const (
	column    = 50 // of which the grid has 24
	line      = 26 // as high as Grafana has a row of the grid, nearly
	rowHeight = 30
	inset     = 8
	maxSeries = 8 // that are drawn of a query
)

// A result is a series that a query has returned.
type result struct {
	metric map[string]string
	points [][2]float64 // seconds since 1970, value
}

// seriesOver asks for a query's values over a time.
func (p prometheus) seriesOver(expr string, from, to time.Time, step time.Duration) ([]result, error) {
	var data struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
	err := p.get("query_range", url.Values{"query": {expr}, "step": {step.String()},
		"start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix(), 10)}}, &data)
	if err != nil {
		return nil, err
	}
	var all []result
	for _, r := range data.Result {
		one := result{metric: r.Metric}
		for _, v := range r.Values {
			at, _ := v[0].(float64)
			text, _ := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, err
			}
			if !math.IsNaN(value) && !math.IsInf(value, 0) {
				one.points = append(one.points, [2]float64{at, value})
			}
		}
		if len(one.points) > 0 {
			all = append(all, one)
		}
	}
	return all, nil
}

// legend is what a series is called.
func legend(format string, metric map[string]string) string {
	return legendLabel.ReplaceAllStringFunc(format, func(s string) string {
		return strings.TrimPrefix(metric[legendLabel.FindStringSubmatch(s)[1]], guests)
	})
}

// measured prints a value as Grafana does, more or less.
func measured(v float64, unit string) string {
	scaled := func(v float64, names ...string) string {
		i := 0
		for math.Abs(v) >= 1000 && i < len(names)-1 {
			v /= 1000
			i++
		}
		return strconv.FormatFloat(v, 'g', 3, 64) + names[i]
	}
	switch unit {
	case "percentunit":
		return strconv.FormatFloat(100*v, 'g', 3, 64) + "%"
	case "s":
		switch {
		case v != 0 && math.Abs(v) < 1e-3:
			return strconv.FormatFloat(v*1e6, 'g', 3, 64) + " µs"
		case v != 0 && math.Abs(v) < 1:
			return strconv.FormatFloat(v*1e3, 'g', 3, 64) + " ms"
		}
		return strconv.FormatFloat(v, 'g', 3, 64) + " s"
	case "bytes":
		return scaled(v, " B", " kB", " MB", " GB")
	case "cps":
		return scaled(v, "/s", "k/s", "M/s")
	}
	return scaled(v, "", "k", "M", "G")
}

const pictureStyle = `text { font: 11px system-ui, sans-serif; fill: #24292f }
.title { font-size: 12px; font-weight: 600 }
.row { font-size: 14px; font-weight: 600 }
.big { font-size: 26px; font-weight: 600 }
.quiet { fill: #57606a; font-size: 10px }
.panel { fill: #ffffff; stroke: #d0d7de }
.grid { stroke: #8c959f; stroke-opacity: 0.25 }
.line { fill: none; stroke-width: 1.3 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.quiet { fill: #9198a1 }
.panel { fill: #161b22; stroke: #30363d }
}`

var colours = []string{"#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#0ea5e9", "#84cc16", "#ec4899"}

// A drawing is an SVG in the making.
type drawing struct{ strings.Builder }

func (d *drawing) text(class string, x, y float64, anchor, what string) {
	fmt.Fprintf(d, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", class, x, y, anchor, html.EscapeString(what))
}

// picture draws panels where the dashboard has them, with what ask says that a query has returned.
func picture(list []panel, ask func(panel panel, expr string) []result) string {
	var d drawing
	bottom := 0.0
	y := func(p panel) float64 { // rows are higher than the grid has them
		rows := 0
		for _, other := range list {
			if other.Type == "row" && other.GridPos.Y < p.GridPos.Y {
				rows++
			}
		}
		return float64(p.GridPos.Y*line + rows*(rowHeight-line))
	}
	for _, p := range list {
		left, top := float64(p.GridPos.X*column), y(p)
		width, height := float64(p.GridPos.W*column), float64(p.GridPos.H*line)
		bottom = max(bottom, top+height)
		if p.Type == "row" {
			d.text("row", left+inset, top+rowHeight-inset, "start", p.Title)
			continue
		}
		fmt.Fprintf(&d, "<rect class=\"panel\" x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" rx=\"3\"/>\n", left+3, top+3, width-6, height-6)
		var all []result
		var names []string
		for _, target := range p.Targets {
			for _, r := range ask(p, target.Expr) {
				all = append(all, r)
				names = append(names, cmp.Or(legend(target.LegendFormat, r.metric), p.Title))
			}
		}
		d.text("title", left+inset+4, top+20, "start", strings.ReplaceAll(p.Title, "$guest_counter", guests+"seen_total"))
		switch p.Type {
		case "stat":
			d.stat(all, p.FieldConfig.Defaults.Unit, left+width/2, top+height/2)
		case "table":
			d.table(all, left+inset+4, top+42, height)
		default:
			d.lines(p, all, names, left+inset, top+30, width-2*inset, height-34)
		}
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"The dashboard\">\n<style>\n%s\n</style>\n%s</svg>\n",
		24*column, bottom, pictureStyle, d.String())
}

func (d *drawing) stat(all []result, unit string, x, y float64) {
	if len(all) == 0 {
		d.text("quiet", x, y, "middle", "No data")
		return
	}
	points := all[0].points
	d.text("big", x, y+14, "middle", measured(points[len(points)-1][1], unit))
}

// tableLabels are what the table of modules has.
var tableLabels = []string{"name", "version", "hash", "engine"}

func (d *drawing) table(all []result, x, y, height float64) {
	end := math.Inf(-1)
	for _, r := range all {
		end = max(end, r.points[len(r.points)-1][0])
	}
	places := []float64{0, 60, 110, 225, 325}
	for i, title := range []string{"filter", "version", "hash", "engine", "filters"} {
		d.text("quiet", x+places[i], y, "start", title)
	}
	for _, r := range all {
		last := r.points[len(r.points)-1]
		if last[0] != end { // gone by now
			continue
		}
		if height -= labelHeight; height < 60 {
			break
		}
		y += labelHeight
		for i, label := range tableLabels {
			d.text("", x+places[i], y, "start", r.metric[label])
		}
		d.text("", x+places[len(places)-1], y, "start", measured(last[1], "short"))
	}
}

const labelHeight = 14

// lines draws the series of a panel in a box, with their names below.
func (d *drawing) lines(p panel, all []result, names []string, left, top, width, height float64) {
	if len(all) == 0 {
		d.text("quiet", left+width/2, top+height/2, "middle", "No data")
		return
	}
	// Of many the largest.
	order := make([]int, len(all))
	most := make([]float64, len(all))
	for i, r := range all {
		order[i] = i
		for _, point := range r.points {
			most[i] = max(most[i], point[1])
		}
	}
	// What is 0 all the time is left out, unless there is nothing else.
	if slices.Max(most) > 0 {
		order = slices.DeleteFunc(order, func(i int) bool { return most[i] == 0 })
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(most[b], most[a]) })
	order = order[:min(len(order), maxSeries)]
	unit := p.FieldConfig.Defaults.Unit
	logarithmic := p.FieldConfig.Defaults.Custom.ScaleDistribution.Type == "log"
	from, to := math.Inf(1), math.Inf(-1)
	low, high := math.Inf(1), 0.0
	for _, i := range order {
		points := all[i].points
		from, to = min(from, points[0][0]), max(to, points[len(points)-1][0])
		for _, point := range points {
			if point[1] > 0 {
				low = min(low, point[1])
			}
			high = max(high, point[1])
		}
	}
	if high == 0 {
		high = 1
	}
	scale := func(v float64) float64 { return v / high }
	ticks := []float64{0, high / 2, high}
	if logarithmic && low < high {
		bottom, top := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
		scale = func(v float64) float64 { return max(0, (math.Log10(v)-bottom)/(top-bottom)) }
		ticks = nil
		for power := bottom; power <= top; power++ {
			ticks = append(ticks, math.Pow(10, power))
		}
	}
	const axis = 52
	legendLines := (len(order) + 1) / 2
	plot := height - float64(legendLines*labelHeight) - 12
	x := func(at float64) float64 { return left + axis + (width-axis-inset)*(at-from)/max(to-from, 1) }
	y := func(v float64) float64 { return top + plot - (plot-6)*scale(v) }
	for _, tick := range ticks {
		fmt.Fprintf(d, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", left+axis, y(tick), left+width-inset, y(tick))
		d.text("quiet", left+axis-4, y(tick)+3, "end", measured(tick, unit))
	}
	for n, i := range order {
		colour := colours[n%len(colours)]
		var points strings.Builder
		for _, point := range all[i].points {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(point[0]), y(point[1]))
		}
		fmt.Fprintf(d, "<polyline class=\"line\" stroke=\"%s\" points=\"%s\"/>\n", colour, strings.TrimSpace(points.String()))
		labelX := left + 4 + float64(n%2)*width/2
		labelY := top + plot + 18 + float64(n/2*labelHeight)
		fmt.Fprintf(d, "<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"3\" fill=\"%s\"/>\n", labelX, labelY-5, colour)
		d.text("quiet", labelX+14, labelY, "start", names[i])
	}
}

// The picture is well-formed, has each panel, and nothing outside of it.
func TestPictureOfMadeUpSeries(t *testing.T) {
	list := panels(t)
	text := picture(list, func(p panel, expr string) []result {
		var all []result
		for i := range 12 {
			r := result{metric: map[string]string{"name": fmt.Sprintf("a<%d>", i), "hash": "0123"}}
			for at := range 50 {
				r.points = append(r.points, [2]float64{1e9 + float64(at), math.Pow(10, float64(i-6)) * float64(at%7)})
			}
			all = append(all, r)
		}
		return all
	})
	var words strings.Builder
	var bottom float64
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			words.Write(token)
		case xml.StartElement:
			for _, attr := range token.Attr {
				switch attr.Name.Local {
				case "viewBox":
					if _, err := fmt.Sscanf(attr.Value, "0 0 1200 %g", &bottom); err != nil {
						t.Error(attr.Value, err)
					}
				case "points":
					for _, point := range strings.Fields(attr.Value) {
						var x, y float64
						if _, err := fmt.Sscanf(point, "%g,%g", &x, &y); err != nil || x < 0 || x > 1200 || y < 0 || y > bottom {
							t.Fatalf("a point lies at %s: %v", point, err)
						}
					}
				case "x", "y":
					if v, err := strconv.ParseFloat(attr.Value, 64); err != nil || v < 0 || v > max(1200, bottom) {
						t.Errorf("%s: %s=%s: %v", token.Name.Local, attr.Name.Local, attr.Value, err)
					}
				}
			}
		}
	}
	for _, p := range list {
		if !strings.Contains(words.String(), p.Title) && !strings.Contains(p.Title, "$") {
			t.Errorf("%s is not there", p.Title)
		}
	}
}

func TestMeasured(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{0.0123, "percentunit", "1.23%"}, {0, "s", "0 s"}, {2.5e-5, "s", "25 µs"}, {0.005, "s", "5 ms"}, {3, "s", "3 s"},
		{70e6, "bytes", "70 MB"}, {1234, "cps", "1.23k/s"}, {12, "cps", "12/s"}, {7, "short", "7"}, {0.5, "short", "0.5"},
	} {
		if got := measured(c.v, c.unit); got != c.want {
			t.Errorf("%g in %s is %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

// Writes docs/dashboard.svg, from what a real Prometheus has of real Fluent Bits.
func TestPicture(t *testing.T) {
	if !*update {
		if _, err := os.Stat(root + "/docs/dashboard.svg"); err != nil {
			t.Error(err)
		}
		return
	}
	fluentBit, _, _ := strings.Cut(os.Getenv("FLUENT_BIT"), ":")
	if fluentBit == "" {
		t.Fatal("set FLUENT_BIT")
	}
	machines := map[string]machine{}
	for i, name := range []string{"a", "b", "c"} {
		machines[name] = machineWith(t, fluentBit, []string{"identity.wat", "identity.wat", "wrap.wat"}[i])
	}
	p := scraping(t, machines)
	length := time.Duration(*minutes) * time.Minute
	begun := time.Now()
	// On one machine after the other a new version takes over, and the last one is given a broken one.
	for i, name := range []string{"a", "b", "c"} {
		time.Sleep(length / 4)
		text := []byte("(module")
		if i < 2 {
			text = read(t, root+"/test/guests/wrap.wat")
		}
		machines[name].swap(t, text)
	}
	time.Sleep(length / 4)
	text := picture(panels(t), func(panel panel, expr string) []result {
		all, err := p.seriesOver(filled(expr, "30s", guests+"seen_total"), begun.Add(length/8), begun.Add(length), length/80)
		if err != nil {
			t.Errorf("%s: %v", panel.Title, err)
		}
		return all
	})
	if err := os.WriteFile(root+"/docs/dashboard.svg", []byte(text), 0o666); err != nil {
		t.Error(err)
	}
}
