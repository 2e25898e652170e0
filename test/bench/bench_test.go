package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// madeUp are figures that nobody has measured.
func madeUp() report {
	return report{
		environment: []string{"CPU: none"},
		rows: []measured{
			{title: "light; `modify`", cells: [columns][]float64{
				here: {3, 5, 4}, interpreter: {6, 6.1, 5}, native: {0.5, -0.25}, copies: {2}}},
			{title: "heavy", heavy: true, cells: [columns][]float64{
				here: {20}, interpreter: {1500, 1499, 1600}}},
		},
		sections: []section{{title: "Memory", legend: "MB", grid: [][]string{
			{"", "none", "here"}, {"1 filter", "1.0 (0.5)", "2.0 (1.5)"}}}},
		notes: []string{"heavy: fewer records"},
	}
}

func TestText(t *testing.T) {
	want := `CPU: none

µs of CPU time per record that the filter adds: median (least–most) ×times of here

                 here              built-in wasm, interpreted  native               copy only
light; ` + "`modify`" + `  4.0 (3.0–5.0)     6.0 (5.0–6.1) ×1.5          0.1 (-0.2–0.5) ×0.0  2.0 (2.0–2.0) ×0.5
heavy            20.0 (20.0–20.0)  1500 (1499–1600) ×75

Memory: MB

          none       here
1 filter  1.0 (0.5)  2.0 (1.5)

heavy: fewer records
`
	if diff := cmp.Diff(want, madeUp().text()); diff != "" {
		t.Error(diff)
	}
}

func TestMarkdown(t *testing.T) {
	want := `- CPU: none

µs of CPU time per record that the filter adds: median (least–most) ×times of here

|  | here | built-in wasm, interpreted | native | copy only |
|---|---|---|---|---|
| light; ` + "`modify`" + ` | 4.0 (3.0–5.0) | 6.0 (5.0–6.1) ×1.5 | 0.1 (-0.2–0.5) ×0.0 | 2.0 (2.0–2.0) ×0.5 |
| heavy | 20.0 (20.0–20.0) | 1500 (1499–1600) ×75 |  |  |

## Memory

MB

|  | none | here |
|---|---|---|
| 1 filter | 1.0 (0.5) | 2.0 (1.5) |

- heavy: fewer records
`
	if diff := cmp.Diff(want, madeUp().markdown()); diff != "" {
		t.Error(diff)
	}
}

// Sections can be all that is asked for.
func TestSectionsAlone(t *testing.T) {
	r := madeUp()
	r.rows, r.notes = nil, nil
	want := `CPU: none

Memory: MB

          none       here
1 filter  1.0 (0.5)  2.0 (1.5)
`
	if diff := cmp.Diff(want, r.text()); diff != "" {
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
	want := []float64{327.9, 491.8, 10.2, 163.9, 312.5, 500}
	if diff := cmp.Diff(want, widths); diff != "" {
		t.Error("widths of the bars:", diff)
	}
	if classes["bar ours"] != 2 || classes["bar"] != 4 || classes["cut"] != 2 || classes["range"] != 5 {
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
			for _, r := range w.rows {
				for c, f := range r.filters {
					if f.name == "" || c == aot || w.object(fb, f) == "" && !fb.Has("Filters", f.name) {
						continue
					}
					err := w.check(fb, r, f, w.kept(r, f))
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

// What the floor does can't be seen in its records, so it counts.
func TestCopyOnly(t *testing.T) {
	found, w := found(t)
	rows := slices.DeleteFunc(slices.Clone(w.rows), func(r row) bool { return r.filters[copies].name == "" })
	if len(rows) != 4 {
		t.Fatalf("in %d rows, want 4", len(rows))
	}
	f := rows[0].filters[copies]
	for _, fb := range found {
		t.Run(fb.Version, func(t *testing.T) {
			compileCopies(t, w, fb)
			if err := w.check(fb, rows[0], f, w.full.records); err != nil {
				t.Error(err)
			}
			if _, _, err := w.time(fb, f, w.full, w.full.records); err != nil {
				t.Error(err)
			}
		})
	}
}

// compileCopies skips a test without a C compiler.
func compileCopies(t *testing.T, w *work, fb fluentbit.Binary) {
	t.Helper()
	if err := w.compileCopies(fb); errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

func TestNativeFiltersCompileForAllFamilies(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	w := &work{dir: t.TempDir(), root: root, copiers: map[string]string{}}
	for _, version := range []string{"1.9.10", "2.1.10", "2.2.3", "3.2.10", "5.1.1"} {
		fb := fluentbit.Binary{Version: version}
		compileCopies(t, w, fb)
		if _, err := w.compile(fb, "latency"); err != nil {
			t.Error(err)
		}
	}
	t.Setenv("CC", "nowhere")
	if err := w.compileCopies(fluentbit.Binary{Version: "4.2.8"}); !errors.Is(err, exec.ErrNotFound) {
		t.Error(err)
	}
	if got := w.object(fluentbit.Binary{Version: "4.2.8"}, filter{name: "copies"}); got != "" {
		t.Error(got)
	}
}

func TestFamily(t *testing.T) {
	for version, want := range map[string]int{
		"1.8.0": 180, "1.9.10": 180, "2.0.14": 180, "2.1.0": 210, "2.1.10": 210,
		"2.2.0": 220, "3.0.7": 220, "3.1.10": 220, "3.2.0": 320, "4.2.8": 320,
		"5.0.2": 320, "5.0.3": 503, "5.1.1": 503, "5.10.0": 503, "10.0.0": 503,
	} {
		if got, err := family(version); err != nil || got != want {
			t.Errorf("%s: %d, %v", version, got, err)
		}
	}
	for _, version := range []string{"1.7.9", "fluent-bit", ""} {
		if got, err := family(version); err == nil {
			t.Errorf("%q: %d", version, got)
		}
	}
}

func TestWall(t *testing.T) {
	const start = "[ info] [sp] stream processor started\n"
	const end = "[ info] [input:tail:tail.0] inode=9986145 file=/tmp/bench1/full.log ended, stop\n"
	const worker = "[ info] [output:null:null.0] worker #0 started\n"
	for name, c := range map[string]struct {
		log   string
		want  time.Duration
		fails error
	}{
		"5.1.1": {
			log:  "[2026/11/25 19:11:45.256] " + start + "[2026/11/25 19:11:46.019] " + end + "[2026/11/25 19:11:45.257] " + worker,
			want: 763 * time.Millisecond},
		// 19163265 is .019163265.
		"4.2.8": {
			log: "[2026/11/25 19:11:45.263811181] " + start + "[2026/11/25 19:11:45.264012435] " + worker +
				"[2026/11/25 19:11:47.19163265] " + end,
			want: 1755352084},
		"midnight": {
			log:  "[2026/11/30 23:59:59.900] " + start + "[2026/12/01 00:00:00.100] " + end,
			want: 200 * time.Millisecond},
		"3.2.10": {
			log:   "[2026/11/25 19:11:47] " + start + "[2026/11/25 19:11:48] " + end,
			fails: errWholeSeconds},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := wall("Fluent Bit v5\n" + c.log + "[2026/11/25 19:11:49.019] [ info] [engine] service has stopped\n")
			if got != c.want && c.fails == nil || !errors.Is(err, c.fails) {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
	for _, log := range []string{"", "[2026/11/25 19:11:45.256] " + start, "[2026/11/25 19:11:45.256] " + end,
		"[2026/31/25 19:11:45.256] " + start + "[2026/31/25 19:11:45.257] " + end} {
		if got, err := wall(log); err == nil {
			t.Errorf("%d from %q", got, log)
		}
	}
}

func TestInstructionsOfALog(t *testing.T) {
	const log = "[ info] [engine] ==1== I refs: 7 of none\n==564== \n==564== I   refs:      109,032,390\n"
	if n, err := instructions(log); err != nil || n != 109032390 {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := instructions("==564== \n"); err == nil {
		t.Errorf("%v of a log without a count", n)
	}
}

func TestFootprint(t *testing.T) {
	const status = "Name:\tfluent-bit\nVmHWM:\t   99999 kB\nVmRSS:\t   12595 kB\nRssAnon:\t    2253 kB\nRssFile:\t   10342 kB\n"
	got, err := footprintOf(status)
	if err != nil || got != (footprint{all: 12595 << 10, anonymous: 2253 << 10}) || got.String() != "12.3 (2.2)" {
		t.Errorf("%+v, %v", got, err)
	}
	// A process that has ended has no memory.
	if got, err := footprintOf("Name:\tfluent-bit\nState:\tZ (zombie)\n"); err == nil {
		t.Error(got)
	}
}

// A process whose end comes early has no footprint.
func TestResidentOfAFailure(t *testing.T) {
	found, w := found(t)
	for _, fb := range found {
		if got, err := w.resident(fb, filter{name: "nothing"}, 1); err == nil {
			t.Errorf("%s: %s", fb.Version, got)
		}
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
