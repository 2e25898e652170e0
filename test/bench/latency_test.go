package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A percentile is one of the figures; as many as it says are not above it, and of no smaller figure that is true.
func TestPercentile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		figures := make([]time.Duration, 1+random.IntN(2500))
		for i := range figures {
			figures[i] = time.Duration(random.IntN(1 + random.IntN(3000)))
		}
		slices.Sort(figures)
		for _, thousandths := range []int{1, 500, 900, 990, 999, 1000} {
			got := percentile(figures, float64(thousandths)/1000)
			notAbove, below := 0, 0
			for _, v := range figures {
				if v <= got {
					notAbove++
				}
				if v < got {
					below++
				}
			}
			if !slices.Contains(figures, got) || notAbove*1000 < thousandths*len(figures) || below*1000 >= thousandths*len(figures) {
				t.Fatalf("%d thousandths of %d figures: %d, which %d don't exceed and %d are below",
					thousandths, len(figures), got, notAbove, below)
			}
		}
	}
}

// madeUpLatencies are figures that nobody has measured: the n-th chunk of n takes n times the unit.
func madeUpLatencies(n int) []latencyCase {
	cases := []latencyCase{
		{title: "none", kind: "floor"}, {title: "a < b", kind: "ours"}, {title: "b", kind: "ours"}, {title: "lua", kind: "peer"},
	}
	for i, unit := range []time.Duration{time.Nanosecond, time.Microsecond, time.Microsecond + 1, time.Millisecond} {
		for j := range n {
			cases[i].took = append(cases[i].took, time.Duration(j+1)*unit)
		}
	}
	return cases
}

func TestLatencySection(t *testing.T) {
	want := [][]string{
		{"", "p50", "p99", "p99.9", "longest"},
		{"none", "0.5", "1.0", "1.0", "1.0"},
		{"a < b", "500", "990", "999", "1000"},
		{"b", "500", "991", "1000", "1001"},
		{"lua", "500000", "990000", "999000", "1000000"},
	}
	if diff := cmp.Diff(want, latencySection(madeUpLatencies(1000)).grid); diff != "" {
		t.Error(diff)
	}
}

func TestLatencyChart(t *testing.T) {
	cases := madeUpLatencies(1000)
	for range 6 { // which end at the top of the chart, all of them
		cases = append(cases, latencyCase{title: "slow", kind: "peer", took: cases[3].took})
	}
	text := latencyChart("how <long>", cases)
	decoder := xml.NewDecoder(strings.NewReader(text))
	var lines [][][2]float64
	var titles []float64 // where they stand
	var words strings.Builder
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if data, ok := token.(xml.CharData); ok {
			words.Write(data)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		attrs := map[string]string{}
		for _, attr := range element.Attr {
			attrs[attr.Name.Local] = attr.Value
		}
		if element.Name.Local == "polyline" {
			var line [][2]float64
			for _, point := range strings.Fields(attrs["points"]) {
				var x, y float64
				if _, err := fmt.Sscanf(point, "%g,%g", &x, &y); err != nil {
					t.Fatal(point, err)
				}
				line = append(line, [2]float64{x, y})
			}
			lines = append(lines, line)
		}
		if strings.HasPrefix(attrs["class"], "name") {
			y, err := strconv.ParseFloat(attrs["y"], 64)
			if err != nil {
				t.Error(err)
			}
			titles = append(titles, y)
		}
	}
	if len(lines) != len(cases) || len(titles) != len(cases) {
		t.Fatalf("%d lines, %d titles", len(lines), len(titles))
	}
	// A unit that is a thousand times another is three decades above it, everywhere but for what is rounded.
	decade := (plotBottom - plotTop) / 7.0 // from 100 ns to 1 s
	for i, at := range lines[1] {
		if rise := at[1] - lines[3][i][1]; rise < 3*decade-0.2 || rise > 3*decade+0.2 {
			t.Fatalf("at %g one line is %g above the other, want %g", at[0], rise, 3*decade)
		}
	}
	for _, line := range lines {
		first, last := line[0], line[len(line)-1]
		if first[0] != plotLeft || last[0] != plotRight {
			t.Errorf("a line goes from %g to %g", first[0], last[0])
		}
		if rise := first[1] - last[1]; rise < 0.29*decade || rise > 0.32*decade { // a factor of two
			t.Errorf("from p50 to the longest a line rises by %g, a decade is %g", rise, decade)
		}
	}
	slices.Sort(titles)
	if top, bottom := titles[0], titles[len(titles)-1]; top < plotTop-10 || bottom > latencyHeight {
		t.Errorf("titles stand from %g to %g", top, bottom)
	}
	for i := range titles[1:] {
		if titles[i+1]-titles[i] < labelStep-0.2 {
			t.Errorf("titles stand at %g and %g", titles[i], titles[i+1])
		}
	}
	for _, want := range []string{"how <long>", "a < b", "p99.9", "longest", "1ms"} {
		if !strings.Contains(words.String(), want) {
			t.Errorf("the chart does not say %q", want)
		}
	}
}

// What the meter says is true of a guest that is known to take long, in every Fluent Bit.
func TestLatencyOfTimeouts(t *testing.T) {
	found, w := found(t)
	for _, fb := range found {
		t.Run(fb.Version, func(t *testing.T) {
			o := options{rounds: 1, records: 3 * hangEvery / 2}
			cases, _, err := w.measureLatency(fb, regexp.MustCompile("^no filter$|timeouts$"), o, io.Discard)
			if errors.Is(err, exec.ErrNotFound) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(cases) != 2 {
				t.Fatalf("%d cases", len(cases))
			}
			bare, hangs := cases[0].took, cases[1].took
			if longest := percentile(hangs, 1); longest < guestTimeout {
				t.Errorf("no chunk took longer than %s, and one had to take %s", longest, guestTimeout)
			}
			if percentile(bare, 0.5) >= percentile(hangs, 0.5) {
				t.Errorf("half of the chunks take %s without a filter, %s with one", percentile(bare, 0.5), percentile(hangs, 0.5))
			}
		})
	}
}

// A variant of a module that would be the module itself is an error.
func TestVariantsDiffer(t *testing.T) {
	w := &work{dir: t.TempDir()}
	if _, err := w.variant("same", []byte("(module)"), "(func)", "(func (nop))"); err == nil {
		t.Error("not noticed")
	}
	m, err := w.variant("other", []byte("(module (func))"), "(func)", "(func (nop))")
	if err != nil {
		t.Fatal(err)
	}
	if code, err := os.ReadFile(m.wasm); err != nil || !strings.HasPrefix(string(code), "\x00asm") {
		t.Errorf("%q, %v", code, err)
	}
}
