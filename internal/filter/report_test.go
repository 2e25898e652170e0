package filter

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// samples are all values of a report, by name and labels.
func samples(r Report) map[string]float64 {
	all := map[string]float64{}
	for _, m := range r.Metrics() {
		name := strings.TrimPrefix(m.Name, "fluentbit_wasmtime_")
		for _, s := range m.Series {
			if m.Kind == state.Histogram {
				all[name+"_count"] = float64(s.Count())
			} else {
				all[name+"{"+strings.Join(s.Values, ",")+"}"] = s.Value
			}
		}
	}
	return all
}

// check compares those of a filter that are named with what they must be.
func check(t *testing.T, f *fixture, want map[string]float64) {
	t.Helper()
	all, got := samples(f.Report()), map[string]float64{}
	for name := range want {
		if v, ok := all[name]; ok {
			got[name] = v
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func numbers(n int, also ...map[string]any) (chunk []byte) {
	for i := range n {
		chunk = append(chunk, event(int64(i), map[string]any{"n": i})...)
	}
	for _, body := range also {
		chunk = append(chunk, event(1, body)...)
	}
	return chunk
}

func TestReport(t *testing.T) {
	t.Run("trap", func(t *testing.T) {
		for _, workers := range []int{1, 3} {
			f := startWith(t, options.Options{Workers: workers, Timeout: time.Minute}, guests.WAT("trap_when_told"))
			for range 100 {
				f.Run(tag, numbers(8, map[string]any{"trap": true}, map[string]any{"a": 1}))
			}
			f.Run(tag, numbers(300)) // after which each has an instance
			f.Run(tag, []byte{0x92, 0xff})
			check(t, f, map[string]float64{
				"records_total{returned}": 1200, "records_total{dropped}": 0, "records_total{failed}": 100,
				"failed_records_total{trap}": 100, "failed_records_total{timeout}": 0,
				"chunks_total{read}": 101, "chunks_total{unreadable}": 1,
				"calls_total{}": 1300, "added_records_total{}": 0,
				"instances_given_up_total{trap}": 100, "instances_given_up_total{timeout}": 0,
				"instances_given_up_total{memory}": 0, "instances_given_up_total{recycled}": 0,
				"instances{}": float64(workers), "memory_bytes{}": float64(f.MemoryBytes()),
				"breakers{closed}": float64(workers), "breakers{open}": 0, "breakers{trial}": 0,
				"module_loaded{}": 1, "module_loads_total{compiled}": 1,
				"chunk_seconds_count": math.Ceil(102.0 / guest.SampleEvery),
			})
			// Each lane takes samples of its own calls.
			if n := samples(f.Report())["call_seconds_count"]; n < 1300/guest.SampleEvery || n > 1300/guest.SampleEvery+float64(workers) {
				t.Errorf("%v calls are timed", n)
			}
		}
	})
	t.Run("timeout", func(t *testing.T) {
		f := startWith(t, options.Options{Timeout: 20 * time.Millisecond}, guests.WAT("infinite_loop"))
		f.Run(tag, numbers(2, map[string]any{"loop": true}))
		check(t, f, map[string]float64{
			"failed_records_total{timeout}": 1, "instances_given_up_total{timeout}": 1, "instances_given_up_total{trap}": 0,
			"instances{}": 0, "memory_bytes{}": 0, "records_total{returned}": 2,
		})
	})
	t.Run("memory", func(t *testing.T) {
		f := startWith(t, options.Options{Timeout: time.Minute, MemoryLimitBytes: 2 << 20}, guests.WAT("malloc_null"))
		f.Run(tag, numbers(3))
		check(t, f, map[string]float64{
			"failed_records_total{guest_memory}": 3, "instances_given_up_total{memory}": 3, "instances_given_up_total{trap}": 0,
		})
	})
	t.Run("recycled", func(t *testing.T) {
		f := startWith(t, options.Options{MemoryLimitBytes: 64 << 20, RecycleMemoryBytes: 64 << 10, Timeout: time.Minute}, guests.WAT("identity"))
		f.Run(tag, numbers(2000))
		check(t, f, map[string]float64{
			"instances_given_up_total{recycled}": float64(f.Stats().Recycled), "instances_given_up_total{trap}": 0, "instances_given_up_total{memory}": 0,
		})
	})
	t.Run("breaker", func(t *testing.T) {
		f := startWith(t, options.Options{BreakerFailures: 3, BreakerBackoff: time.Hour, Timeout: time.Minute}, guests.WAT("oob_store"))
		f.Run(tag, numbers(10))
		check(t, f, map[string]float64{
			"breakers{closed}": 0, "breakers{open}": 1, "breakers{trial}": 0, "breaker_openings_total{}": 1,
			"failed_records_total{trap}": 3, "failed_records_total{breaker_open}": 7, "calls_total{}": 3,
		})
		f.breaker.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		check(t, f, map[string]float64{"breakers{closed}": 0, "breakers{open}": 0, "breakers{trial}": 1})
	})
	t.Run("batch", func(t *testing.T) {
		f := startScript(t, options.Options{BatchRecords: 5, OnError: options.Drop})
		f.Run(script([]batchOp{{of: 1, kind: opDrop}, {of: 2, kind: opError, a: 404}}, nil), numbers(10))
		check(t, f, map[string]float64{
			"records_total{returned}": 6, "records_total{dropped}": 2, "records_total{failed}": 2,
			"failed_records_total{guest_error}": 2, "errors_total{404}": 2, "calls_total{}": 2,
		})
		if id := f.Report().Module; id.ABI != "flb_batch_1" || !regexp.MustCompile(`^wasmtime \d+\.\d+\.\d+$`).MatchString(id.Engine) || len(id.Hash) != 64 {
			t.Errorf("%+v", id)
		}
	})
	t.Run("state", func(t *testing.T) {
		f := startWith(t, options.Options{Timeout: time.Minute, StoreLimitBytes: 1 << 20, MetricsSeries: 4}, guests.WAT("counts_in_store"))
		f.Run(tag, numbers(7)) // 0 to 6: those from 4 on have no series
		check(t, f, map[string]float64{
			"store_keys{}": 7, "store_limit_bytes{}": 1 << 20, "store_refused_total{}": 0,
			"series{}": 4, "uncounted_total{no_room}": 3, "uncounted_total{bad_value}": 0,
		})
		if got := f.FirstMetrics(2); len(got) != 1 || len(got[0].Series) != 2 || got[0].Series[1].Values[0] != "1" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("reload", func(t *testing.T) {
		f := startWith(t, options.Options{}, guests.WAT("identity"))
		was := f.Report().Module.Hash
		f.CountReload(ReloadFailure)
		f.CountReload(ReloadSuccess)
		f.showModule(guest.Identity{Hash: "abc", Version: "2", ABI: "x", Engine: "y", Origin: guest.Cached}, true)
		check(t, f, map[string]float64{
			"reloads_total{success}": 1, "reloads_total{failure}": 1, "reloads_total{rollback}": 0,
			"module_loads_total{compiled}": 1, "module_loads_total{cache}": 1,
			"module_info{abc,2,x,y}": 1, "module_info{" + was[:16] + ",," + "flb_filter," + f.Report().Previous[0].Engine + "}": 0,
		})
		for range 100 { // back and forth: no series is there twice, and they are not ever more
			f.showModule(guest.Identity{Hash: "abc"}, true)
			f.showModule(guest.Identity{Hash: "def"}, true)
		}
		for i := range 100 {
			f.showModule(guest.Identity{Hash: fmt.Sprint(i)}, true)
		}
		f.showModule(guest.Identity{Hash: "95"}, true)
		r, seen := f.Report(), map[string]bool{}
		for _, m := range r.Metrics() {
			for _, s := range m.Series {
				key := m.Name + strings.Join(s.Values, ",")
				if seen[key] {
					t.Errorf("%s is there twice", key)
				}
				seen[key] = true
			}
		}
		if n := len(r.Previous); n != maxPrevious {
			t.Errorf("%d modules before", n)
		}
	})
}

// A report is there while chunks go through, and never tells of more than has come.
func TestReportWhileRunning(t *testing.T) {
	f := startWith(t, options.Options{Workers: 2, Timeout: time.Minute, StoreLimitBytes: 1 << 20, MetricsSeries: 100, BreakerFailures: 2, BreakerBackoff: time.Millisecond},
		guests.WAT("counts_in_store"))
	const chunks, records = 50, 20
	var wait sync.WaitGroup
	stop := make(chan struct{})
	wait.Go(func() {
		last := 0.0
		for {
			select {
			case <-stop:
				return
			default:
			}
			r := f.Report()
			if got := samples(r)["records_total{returned}"]; got < last || got > chunks*records {
				t.Errorf("%v records after %v", got, last)
			} else {
				last = got
			}
			_ = r.json(f.FirstMetrics(100))
		}
	})
	for range chunks {
		f.Run(tag, numbers(records))
	}
	close(stop)
	wait.Wait()
}

var update = flag.Bool("update", false, "write the table of metrics in docs/operations.md")

// The table in docs/operations.md is that of Families.
func TestFamiliesAreDocumented(t *testing.T) {
	const path = "../../docs/operations.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := Report{Store: &state.StoreStats{}, Counted: &state.MetricsStats{}}
	table := "| `fluentbit_wasmtime_…` | kind | label, values | |\n|---|---|---|---|\n"
	for i, m := range r.Metrics() {
		var labels []string
		for _, l := range m.Labels {
			labels = append(labels, "`"+l+"`")
		}
		list := strings.Join(labels, ", ")
		if len(m.Labels) == 1 && len(m.Series) > 0 {
			var values []string
			for _, s := range m.Series {
				values = append(values, "`"+s.Values[0]+"`")
			}
			list += ": " + strings.Join(values, ", ")
		}
		table += fmt.Sprintf("| `%s` | %v | %s | %s |\n", Families[i].Name, m.Kind, list, m.Help)
	}
	part := regexp.MustCompile(`(?s)(<!-- families -->\n).*(<!-- /families -->)`)
	want := part.ReplaceAllString(string(text), "${1}\n"+table+"\n${2}")
	if want == string(text) {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is not what the families say (-want +got); run go test ./internal/filter -run Documented -update\n%s", path, cmp.Diff(want, string(text)))
}

// Names keep to the rules of Prometheus, and can't be those of a guest's metrics.
func TestFamilies(t *testing.T) {
	seen := map[string]bool{}
	for i, m := range (&Report{Store: &state.StoreStats{}, Counted: &state.MetricsStats{}}).Metrics() {
		name := Families[i].Name
		if seen[name] || !regexp.MustCompile(`^[a-z][a-z_]*[a-z]$`).MatchString(name) || strings.HasPrefix(name, GuestPrefix) {
			t.Errorf("the name %s", name)
		}
		seen[name] = true
		if m.Kind == state.Counter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %v", name, m.Kind)
		}
		if m.Help == "" || strings.HasSuffix(m.Help, ".") || m.Help[0] < 'A' || m.Help[0] > 'Z' && m.Help[0] != '1' {
			if !strings.HasPrefix(m.Help, "1 ") {
				t.Errorf("the help of %s: %s", name, m.Help)
			}
		}
		values := map[string]bool{}
		for _, s := range m.Series {
			key := strings.Join(s.Values, ",")
			if len(s.Values) != len(m.Labels) || values[key] || len(m.Labels) > 0 && s.Values[0] == "" {
				t.Errorf("%s has the values %q of its labels %q", name, s.Values, m.Labels)
			}
			values[key] = true
		}
		if slices.Contains(m.Labels, "name") {
			t.Errorf("%s has the label of the instance", name)
		}
	}
	for c := none + 1; c < numCauses; c++ {
		if !regexp.MustCompile(`^[a-z_]+$`).MatchString(c.word()) {
			t.Errorf("the cause %v is %q", c, c.word())
		}
	}
	if !strings.Contains(family("call_seconds").Help, fmt.Sprintf("each %dth", guest.SampleEvery)) {
		t.Error("the help does not say how many calls are timed")
	}
}

func family(name string) Family {
	return Families[slices.IndexFunc(Families, func(f Family) bool { return f.Name == name })]
}

// Once in an interval there is a line with all that was counted by then, the chunk's own records too.
func TestPeriodicLine(t *testing.T) {
	for _, format := range []options.StatsFormat{options.StatsText, options.StatsJSON} {
		for _, workers := range []int{1, 2} {
			f := startWith(t, options.Options{
				Workers: workers, Timeout: time.Minute, StatsInterval: time.Hour, StatsFormat: format, StoreLimitBytes: 1 << 20, MetricsSeries: 100,
			}, guests.WAT("counts_in_store"))
			lines := func() (found []string) {
				for _, l := range f.logs {
					if strings.HasPrefix(l.line, "stats: ") || strings.HasPrefix(l.line, "{") {
						found = append(found, l.line)
					}
				}
				return found
			}
			f.Run(tag, numbers(10))
			if got := lines(); len(got) != 0 {
				t.Fatal(got)
			}
			f.periodic.ask() // as the timer does
			f.Run(tag, numbers(10))
			f.Run(tag, numbers(10))
			got := lines()
			if len(got) != 1 {
				t.Fatalf("%d lines: %v", len(got), f.logs)
			}
			if format == options.StatsText {
				if !strings.HasPrefix(got[0], "stats: 20 records: 18 returned, 0 dropped by the guest, 2 failed (2: the guest trapped)") {
					t.Error(got[0])
				}
				continue
			}
			var o struct {
				Records map[string]int `json:"records_total"`
				Failed  map[string]int `json:"failed_records_total"`
				Calls   int            `json:"calls_total"`
				Call    struct {
					Count int
					Sum   float64
				} `json:"call_seconds"`
				Info  map[string]string `json:"module_info"`
				Guest map[string][]struct {
					Labels map[string]string
					Value  float64
				}
			}
			if err := json.Unmarshal([]byte(got[0]), &o); err != nil {
				t.Fatalf("%v: %s", err, got[0])
			}
			if diff := cmp.Diff(map[string]int{"returned": 18, "failed": 2}, o.Records); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]int{"trap": 2}, o.Failed); diff != "" {
				t.Error(diff)
			}
			if o.Calls != 20 || o.Call.Count < 1 || o.Call.Sum <= 0 || len(o.Info["hash"]) != 16 || len(o.Guest["seen_total"]) != 10 {
				t.Errorf("%+v", o)
			}
			for _, s := range o.Guest["seen_total"] {
				if s.Value != 2 || len(s.Labels["digit"]) != 1 {
					t.Errorf("%+v", s)
				}
			}
		}
	}
}

// The timer asks by itself, and not once the filter has ended.
func TestPeriodicTimer(t *testing.T) {
	f := startWith(t, options.Options{Timeout: time.Minute, StatsInterval: time.Millisecond}, guests.WAT("identity"))
	deadline := time.Now().Add(time.Minute)
	for f.count(hostlog.Info, "stats: ") < 3 {
		f.Run(tag, numbers(1))
		if time.Now().After(deadline) {
			t.Fatal(f.logs)
		}
	}
	f.Close()
	f.periodic.ask()
}

// Whatever guests say, the line is JSON, and one that a log leaves as it is; what has no room is left
// out as a whole.
func TestJSONOfHostileMetrics(t *testing.T) {
	texts := []string{"\"\\\n\r\t\x00\x1f\x7f", "\u2028\u202e\u200b\ufeff", "𝔸\U0010ffff", "<>&'", strings.Repeat("é", 128)}
	metrics := []state.Metric{
		{Name: "nan", Kind: state.Gauge, Series: []state.Series{{Value: math.NaN()}}},
		{Name: "inf", Kind: state.Gauge, Series: []state.Series{{Value: math.Inf(-1)}}},
		{Name: "none", Kind: state.Gauge, Labels: []string{"a"}},
		{Name: "h", Kind: state.Histogram, Buckets: []float64{1}, Series: []state.Series{{Value: -1.5, Counts: []uint64{2, 1}}}},
	}
	labels := state.Metric{Name: "texts", Kind: state.Counter, Labels: []string{"a", "b"}}
	for _, text := range texts {
		labels.Series = append(labels.Series, state.Series{Values: []string{text, ""}, Value: 1e21})
	}
	metrics = append(metrics, labels)
	huge := state.Metric{Name: "huge", Kind: state.Counter, Labels: []string{"a"}}
	for i := range 1000 {
		huge.Series = append(huge.Series, state.Series{Values: []string{fmt.Sprint(i, texts[4])}})
	}
	metrics = append(metrics, huge, state.Metric{Name: "small", Kind: state.Gauge, Series: []state.Series{{Value: 7}}})

	r := &Report{}
	line := r.json(metrics)
	if hostlog.Line(line) != line {
		t.Errorf("the log would change it: %q", line)
	}
	var o struct {
		Guest map[string]any
		Left  int `json:"guest_left_out"`
	}
	if err := json.Unmarshal([]byte(line), &o); err != nil {
		t.Fatal(err, line)
	}
	if o.Guest["nan"] != nil || o.Guest["small"] != 7.0 || o.Guest["huge"] != nil || o.Left != 1 {
		t.Errorf("%+v", o)
	}
	if diff := cmp.Diff(map[string]any{"count": 3.0, "sum": -1.5}, o.Guest["h"]); diff != "" {
		t.Error(diff)
	}
	for i, s := range o.Guest["texts"].([]any) {
		if got := s.(map[string]any)["labels"].(map[string]any)["a"]; got != texts[i] {
			t.Errorf("%q became %q", texts[i], got)
		}
	}
}
