package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// madeUp are figures that nobody has measured.
func madeUp() report {
	return report{
		environment: []string{"CPU: none"},
		rows: []measured{
			{title: "light; `modify`", cells: [columns][]float64{
				here: {3, 5, 4}, interpreter: {6, 6.1, 5}, native: {0.5, -0.25}}},
			{title: "heavy", heavy: true, cells: [columns][]float64{
				here: {20}, interpreter: {1500, 1499, 1600}}},
		},
		notes: []string{"heavy: fewer records"},
	}
}

func TestText(t *testing.T) {
	want := `CPU: none

µs of CPU time per record that the filter adds: median (least–most) ×times of here

                 here              built-in wasm, interpreted  native
light; ` + "`modify`" + `  4.0 (3.0–5.0)     6.0 (5.0–6.1) ×1.5          0.1 (-0.2–0.5) ×0.0
heavy            20.0 (20.0–20.0)  1500 (1499–1600) ×75

heavy: fewer records
`
	if diff := cmp.Diff(want, madeUp().text()); diff != "" {
		t.Error(diff)
	}
}

func TestMarkdown(t *testing.T) {
	want := `- CPU: none

µs of CPU time per record that the filter adds: median (least–most) ×times of here

|  | here | built-in wasm, interpreted | native |
|---|---|---|---|
| light; ` + "`modify`" + ` | 4.0 (3.0–5.0) | 6.0 (5.0–6.1) ×1.5 | 0.1 (-0.2–0.5) ×0.0 |
| heavy | 20.0 (20.0–20.0) | 1500 (1499–1600) ×75 |  |

- heavy: fewer records
`
	if diff := cmp.Diff(want, madeUp().markdown()); diff != "" {
		t.Error(diff)
	}
}

// A cost that can't be told from none is no measure of others.
func TestNoRatioToNothing(t *testing.T) {
	if got := cell([]float64{3}, []float64{0.01}); got != "3.0 (3.0–3.0)" {
		t.Error(got)
	}
}

func TestChart(t *testing.T) {
	text := chart(`less < "more"`, madeUp().rows)
	decoder := xml.NewDecoder(strings.NewReader(text))
	var widths []float64
	classes := map[string]int{}
	var words strings.Builder
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch token := token.(type) {
		case xml.CharData:
			words.Write(token)
		case xml.StartElement:
			for _, attr := range token.Attr {
				switch {
				case attr.Name.Local == "class":
					classes[attr.Value]++
				case attr.Name.Local == "width" && token.Name.Local == "rect":
					width, err := strconv.ParseFloat(attr.Value, 64)
					if err != nil {
						t.Error(err)
					}
					widths = append(widths, width)
				}
			}
		}
	}
	// In the light rows the longest line, to 6.1, takes all the width. In the heavy
	// ones 1500 is cut at 1.6 times 20.
	want := []float64{327.9, 491.8, 10.2, 312.5, 500}
	if diff := cmp.Diff(want, widths); diff != "" {
		t.Error("widths of the bars:", diff)
	}
	if classes["bar ours"] != 2 || classes["bar"] != 3 || classes["cut"] != 2 || classes["range"] != 4 {
		t.Error(classes)
	}
	for _, want := range []string{`less < "more"`, "light; modify", "1500  ×75", "on another scale"} {
		if !strings.Contains(words.String(), want) {
			t.Errorf("the chart does not say %q", want)
		}
	}
}

func TestNothingToRun(t *testing.T) {
	t.Setenv("FLUENT_BIT", "")
	t.Setenv("PATH", t.TempDir())
	var out strings.Builder
	if err := bench(options{rounds: 1, records: 1000}, &out); err != nil || !strings.Contains(out.String(), nothingToRun) {
		t.Errorf("%v, %q", err, out.String())
	}
}

// found skips a test without a Fluent Bit.
func found(t *testing.T) ([]fluentbit.Binary, *work) {
	t.Helper()
	found, err := fluentbit.Find()
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skip(nothingToRun)
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWork(t.TempDir(), root, 2000)
	if err != nil {
		t.Fatal(err)
	}
	return found, w
}

// Every filter does its job in every Fluent Bit that has it. An .aot file is only
// good for one of them.
func TestFiltersDoTheirJob(t *testing.T) {
	found, w := found(t)
	for _, fb := range found {
		t.Run(fb.Version, func(t *testing.T) {
			for i, r := range w.rows {
				for c, f := range r.filters {
					if f.name == "" || c == aot || c != here && !fb.Has("Filters", f.name) {
						continue
					}
					err := w.check(fb, r, f, w.input(f).kept[i])
					if err != nil && c == interpreter && r.heavy {
						// The built-in of Fluent Bit 2.2.3 and 3.2.10 loses
						// records of this guest, which exports no allocator.
						t.Logf("%s: %s: %v", r.title, columnTitles[c], err)
					} else if err != nil {
						t.Errorf("%s: %s: %v", r.title, columnTitles[c], err)
					}
				}
			}
		})
	}
}

// A filter that does something else is not measured.
func TestOtherJobsAreNoticed(t *testing.T) {
	found, w := found(t)
	for _, fb := range found {
		for name, c := range map[string]struct {
			row    int
			filter filter
		}{
			"no key":        {1, filter{name: "modify", options: []string{"add", "other v"}}},
			"nothing drops": {3, filter{name: "grep", options: []string{"exclude", "level ^nothing$"}}},
			"all dropped":   {4, filter{name: "grep", options: []string{"exclude", "level ."}}},
			"unknown":       {4, filter{name: "lua", options: []string{"script", "nowhere.lua", "call", "keep"}}},
		} {
			t.Run(fb.Version+"/"+name, func(t *testing.T) {
				if err := w.check(fb, w.rows[c.row], c.filter, w.full.kept[c.row]); err == nil {
					t.Error("not noticed")
				} else {
					t.Log(err)
				}
			})
		}
	}
}
