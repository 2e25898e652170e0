package host

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// metrics are what an exporter of the host would show of an instance, by name and labels.
func (i instance) metrics() map[string]float64 {
	i.p.t.Helper()
	all := map[string]float64{}
	for _, d := range i.p.do("metrics", i.id).details {
		value, err := strconv.ParseFloat(d[3], 64)
		if err != nil {
			i.p.t.Fatal(err)
		}
		var labels []string
		for rest := d[4:]; len(rest) > 0; rest = rest[2:] {
			labels = append(labels, fmt.Sprintf("%s=%q", unhex(rest[0]), unhex(rest[1])))
		}
		all[fmt.Sprintf("%s %s{%s}", d[1], d[2], strings.Join(labels, ","))] = value
	}
	return all
}

// checkMetrics compares those that are named; "-" stands for one that must not be there.
func (i instance) checkMetrics(want map[string]any) {
	i.p.t.Helper()
	all, got := i.metrics(), map[string]any{}
	for name := range want {
		got[name] = "-"
		if v, ok := all[name]; ok {
			got[name] = v
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		i.p.t.Errorf("(-want +got):\n%s", diff)
	}
}

// tick has a second pass, and returns how many timers there are and how many values were written.
func (p *process) tick() (timers, writes int) {
	p.t.Helper()
	r := p.do("tick")
	return r.num("timers"), r.num("writes")
}

// Each second the engine's thread writes what has changed, exactly, wherever the host has its metrics.
func TestMetrics(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		p.do("engine")
		i := p.ready(guest(t, "trap_every_third"), function, settings{"alias": "third"})
		other := p.ready(guest(t, "identity"), function, nil)
		const own = `{name="third"`
		if timers, writes := p.tick(); timers != 2 || writes == 0 {
			t.Fatalf("%d timers, %d values", timers, writes)
		}
		i.checkMetrics(map[string]any{
			`counter fluentbit_wasmtime_records_total` + own + `,outcome="failed"}`:    0.0,
			`counter fluentbit_wasmtime_failed_records_total` + own + `,cause="trap"}`: 0.0,
			`counter fluentbit_wasmtime_reloads_total` + own + `,result="success"}`:    0.0,
			`gauge fluentbit_wasmtime_instances` + own + `}`:                           1.0,
			`gauge fluentbit_wasmtime_module_loaded` + own + `}`:                       1.0,
			`gauge fluentbit_wasmtime_store_keys` + own + `}`:                          "-", // there is no store
		})
		if _, writes := p.tick(); writes != 0 {
			t.Errorf("%d values that have not changed were written", writes)
		}
		// The call that traps is the third of an instance, so of 7 calls two trap.
		for n := range 100 {
			if n%2 == 0 {
				i.filter("app", numberedChunk(7))
			} else {
				i.coroutine(24576, "app", numberedChunk(7))
			}
		}
		p.tick()
		i.checkMetrics(map[string]any{
			`counter fluentbit_wasmtime_records_total` + own + `,outcome="returned"}`:         467.0,
			`counter fluentbit_wasmtime_records_total` + own + `,outcome="failed"}`:           233.0,
			`counter fluentbit_wasmtime_records_total` + own + `,outcome="dropped"}`:          0.0,
			`counter fluentbit_wasmtime_failed_records_total` + own + `,cause="trap"}`:        233.0,
			`counter fluentbit_wasmtime_instances_given_up_total` + own + `,reason="trap"}`:   233.0,
			`counter fluentbit_wasmtime_calls_total` + own + `}`:                              700.0,
			`counter fluentbit_wasmtime_call_seconds_bucket` + own + `,le="+Inf"}`:            11.0,
			`counter fluentbit_wasmtime_call_seconds_count` + own + `}`:                       11.0,
			`counter fluentbit_wasmtime_chunk_seconds_bucket` + own + `,le="+Inf"}`:           2.0,
			`counter fluentbit_wasmtime_chunks_total` + own + `,outcome="read"}`:              100.0,
			`gauge fluentbit_wasmtime_breakers` + own + `,state="closed"}`:                    1.0,
			`counter fluentbit_wasmtime_module_loads_total` + own + `,from="compiled"}`:       1.0,
			`counter fluentbit_wasmtime_failed_records_total` + own + `,cause="guest_error"}`: 0.0,
		})
		other.checkMetrics(map[string]any{
			fmt.Sprintf(`counter fluentbit_wasmtime_records_total{name="wasmtime.%s",outcome="failed"}`, other.id): 0.0,
			`counter fluentbit_wasmtime_records_total` + own + `,outcome="failed"}`:                                "-",
		})
		for range 59 { // once a minute all are written
			p.tick()
		}
		i.exit()
		if timers, _ := p.tick(); timers != 1 {
			t.Errorf("%d timers", timers)
		}
		other.exit()
		if timers, _ := p.tick(); timers != 0 {
			t.Errorf("%d timers", timers)
		}
		p.do("unload")
	})
}

// What has not changed is written again once a minute, for readers to whom it would be old.
func TestMetricsAreRefreshed(t *testing.T) {
	p := loaded(t, newest)
	p.do("engine")
	i := p.ready(guest(t, "identity"), function, nil)
	_, all := p.tick()
	var refreshed []int
	for n := 1; n <= 120; n++ {
		if _, writes := p.tick(); writes == all {
			refreshed = append(refreshed, n)
		} else if writes != 0 {
			t.Errorf("%d of %d values were written", writes, all)
		}
	}
	if !slices.Equal(refreshed, []int{60, 120}) {
		t.Errorf("written after %d seconds", refreshed)
	}
	i.exit()
}

func numberedChunk(n int) []byte {
	var bodies []any
	for i := range n {
		bodies = append(bodies, map[string]any{"n": i})
	}
	return bodiesChunk(bodies...)
}

func bodiesChunk(bodies ...any) (chunk []byte) {
	for _, body := range bodies {
		chunk = append(chunk, oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 1), map[string]any{}, body))...)
	}
	return chunk
}

// Where metrics can't be written the log says why, and the filter does without.
func TestNoMetrics(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		without := func(s string, i instance) {
			t.Helper()
			p.takeLogs()
			if ret := i.init(); ret != 0 {
				t.Fatal(ret)
			}
			p.waitLog(levelInfo, "metrics are not in the endpoint of this Fluent Bit: "+s, "stats_interval has them in the log")
			i.filter("app", numberedChunk(3))
			if timers, _ := p.tick(); timers != 0 {
				t.Errorf("%d timers", timers)
			}
			if all := i.metrics(); len(all) != 0 {
				t.Error(all)
			}
			i.exit()
		}
		s := settings{"wasm_path": guest(t, "identity"), "function_name": function}
		without("this instance does not start on the engine's thread", p.instance(s))
		p.do("engine")
		for _, what := range []string{"none", "number", "unmapped", "other", "counter"} {
			i := p.instance(s)
			p.do("cmt", i.id, what)
			without("where it has them is not known", i)
		}
	})
}

// What guests count is there with their labels, whatever these are, and can't be taken for another's.
func TestMetricsOfGuests(t *testing.T) {
	p := loaded(t, newest)
	p.do("engine")
	text := guests.WAT("metrics_of_each_kind")
	i := p.ready(guestFile(t, text), function, settings{"alias": "a", "metrics_series": "5000"})
	i.filter("app", numberedChunk(4))
	p.tick()
	const texts = `text="\"\\\n` + "\uFFFD" + `é` + "\uFFFD" + `}"`
	want := map[string]any{
		// name is the instance's label, and the guest's are told apart by their bytes in a row only.
		`counter fluentbit_wasmtime_guest_pairs_total{name="a",exported_exported_name="ab",exported_name="c"}`: 4.0,
		`counter fluentbit_wasmtime_guest_pairs_total{name="a",exported_exported_name="a",exported_name="bc"}`: "-",
		`counter fluentbit_wasmtime_guest_texts_total{name="a",` + texts + `}`:                                 1.0,
		`gauge fluentbit_wasmtime_guest_level{name="a"}`:                                                       -2.5,
		`counter fluentbit_wasmtime_guest_waits_bucket{name="a",le="1"}`:                                       0.0,
		`counter fluentbit_wasmtime_guest_waits_bucket{name="a",le="2.5"}`:                                     0.0,
		`counter fluentbit_wasmtime_guest_waits_bucket{name="a",le="+Inf"}`:                                    4.0,
		`counter fluentbit_wasmtime_guest_waits_sum{name="a"}`:                                                 28.0,
		`counter fluentbit_wasmtime_guest_waits_count{name="a"}`:                                               4.0,
		`counter fluentbit_wasmtime_guest_sizes_bucket{name="a",text="{\"n\":3}",le="1"}`:                      1.0,
		`gauge fluentbit_wasmtime_series{name="a"}`:                                                            9.0,
		`gauge fluentbit_wasmtime_series_hidden{name="a"}`:                                                     1.0,
	}
	i.checkMetrics(want)

	// Another filter has metrics of these names, of which two are other ones.
	second := strings.NewReplacer(`$level (call $define (i32.const 2)`, `$level (call $define (i32.const 1)`,
		`(call $set (global.get $level)`, `(call $add (global.get $level)`, `"text"`, `"tuxt"`).Replace(text)
	j := p.ready(guestFile(t, second), function, settings{"alias": "b", "metrics_series": "5000"})
	j.filter("app", numberedChunk(4))
	p.tick()
	j.checkMetrics(map[string]any{
		`counter fluentbit_wasmtime_guest_pairs_total{name="b",exported_exported_name="ab",exported_name="c"}`: 4.0,
		`counter fluentbit_wasmtime_guest_waits_count{name="b"}`:                                               4.0,
		`counter fluentbit_wasmtime_guest_level{name="b"}`:                                                     "-",
		`gauge fluentbit_wasmtime_series_hidden{name="b"}`:                                                     float64(1 + 1 + 1 + 4), // a pair, texts, level, sizes
	})
	for name := range j.metrics() {
		if strings.Contains(name, "tuxt") || strings.Contains(name, "guest_level") {
			t.Error(name)
		}
	}
	i.checkMetrics(want)
	i.exit()
	// Now the names are free.
	k := p.ready(guestFile(t, second), function, settings{"alias": "c", "metrics_series": "5000"})
	k.filter("app", numberedChunk(4))
	p.tick()
	k.checkMetrics(map[string]any{
		`counter fluentbit_wasmtime_guest_sizes_count{name="c",tuxt="{\"n\":3}"}`: 1.0,
		`gauge fluentbit_wasmtime_series_hidden{name="c"}`:                        1.0,
	})
	j.exit()
	k.exit()
}

// However many series a guest has, the host gets a bounded number of values, and whole histograms.
func TestMetricsOfGuestsAreBounded(t *testing.T) {
	p := loaded(t, newest)
	p.do("engine")
	i := p.ready(guestFile(t, guests.WAT("metrics_of_each_kind")), function, settings{"alias": "a", "metrics_series": "100000"})
	const records = 3000
	i.filter("app", numberedChunk(records))
	p.tick()
	p.tick()
	parts := map[string]int{}
	all := 0
	for name := range i.metrics() {
		if _, of, ok := strings.Cut(name, " fluentbit_wasmtime_guest_"); ok {
			of, _, _ = strings.Cut(of, "{")
			parts[of]++
			all++
		}
	}
	hist := parts["sizes_count"]
	if all > 1000 || hist < 100 || parts["sizes_sum"] != hist || parts["sizes_bucket"] != 3*hist {
		t.Errorf("%d values: %v", all, parts)
	}
	// pairs (of which one of two is hidden), texts, level and waits are there, too.
	i.checkMetrics(map[string]any{
		`gauge fluentbit_wasmtime_series{name="a"}`:        float64(records + 5),
		`gauge fluentbit_wasmtime_series_hidden{name="a"}`: float64(records - hist + 1),
	})
	i.exit()
}

// documentedFamilies are the names of metrics in docs/operations.md, which a test of package filter holds to its
// table. That package has wasmtime in it, which these tests do without.
func documentedFamilies(t *testing.T) (names []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "<!-- families -->")
	table, _, _ = strings.Cut(table, "<!-- /families -->")
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` ").FindAllStringSubmatch(table, -1) {
		names = append(names, row[1])
	}
	if len(names) < 20 {
		t.Fatalf("families: %q", names)
	}
	return names
}

// All families are written: none has a name, a label or a kind that the host would not take.
func TestAllFamiliesAreThere(t *testing.T) {
	p := loaded(t, newest)
	p.do("engine")
	table := fileOf(t, "t.json", `{"k":1}`)
	i := p.ready(guest(t, "batch_script"), function, settings{
		"alias": "a", "store_limit": "1M", "table.t": table,
	})
	p.tick()
	names := map[string]bool{}
	for name := range i.metrics() {
		name, _, _ = strings.Cut(name, "{")
		names[strings.Fields(name)[1]] = true
	}
	for _, family := range documentedFamilies(t) {
		name := "fluentbit_wasmtime_" + family
		// Which codes there are is not known; a filter gets no payloads.
		if family == "errors_total" || family == "otlp_payloads_total" {
			continue
		}
		if !names[name] && !(names[name+"_bucket"] && names[name+"_sum"] && names[name+"_count"]) {
			t.Errorf("there is no %s", name)
		}
	}
	i.exit()
}
