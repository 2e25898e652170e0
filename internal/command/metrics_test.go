package command

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

func TestWriteMetric(t *testing.T) {
	var got strings.Builder
	for _, m := range []state.Metric{
		{Name: "a_total", Kind: state.Counter, Help: "back\\slash\nand line", Series: []state.Series{{Value: 1e21}}},
		{Name: "g", Kind: state.Gauge, Labels: []string{"x", "y"}, Series: []state.Series{
			{Values: []string{"\"\\\n", "ä"}, Value: math.Inf(-1)},
			{Values: []string{"", "b"}, Value: math.NaN()},
		}},
		{Name: "h", Kind: state.Histogram, Labels: []string{"x"}, Buckets: []float64{-0.5, 10}, Series: []state.Series{
			{Values: []string{"1"}, Value: 7.5, Counts: []uint64{1, 0, 2}},
		}},
		{Name: "none", Kind: state.Counter, Labels: []string{"x"}},
	} {
		trial.WriteMetric(&got, m)
	}
	// From the description of the format.
	const want = `# HELP a_total back\\slash\nand line
# TYPE a_total counter
a_total 1e+21
# TYPE g gauge
g{x="\"\\\n",y="ä"} -Inf
g{x="",y="b"} NaN
# TYPE h histogram
h_bucket{x="1",le="-0.5"} 1
h_bucket{x="1",le="10"} 1
h_bucket{x="1",le="+Inf"} 3
h_sum{x="1"} 7.5
h_count{x="1"} 3
# TYPE none counter
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

const countsInput = "{\"n\":1}\n{\"n\":7}\n{\"n\":11}\n"

func TestRunMetrics(t *testing.T) {
	const metrics = "# HELP seen_total Records by their last digit\n# TYPE seen_total counter\nseen_total{digit=\"1\"} 2\nseen_total{digit=\"7\"} 1\n"
	const out = "{\"digit\":1,\"count\":1}\n{\"n\":7}\n{\"digit\":1,\"count\":2}\n"
	path := filepath.Join(t.TempDir(), "metrics")
	args := runArgs(t, "counts_in_store", "--store-limit", "1M", "--metrics", path)
	checkResult(t, runMain(countsInput, args...), 1, out)
	if got, err := os.ReadFile(path); err != nil || string(got) != metrics {
		t.Errorf("%v, %s", err, got)
	}
	args[len(args)-1] = "-"
	checkResult(t, runMain(countsInput, args...), 1, out, metrics)
	args[len(args)-1] = t.TempDir()
	checkResult(t, runMain(countsInput, args...), 2, out, "--metrics: open ")

	// Several filters have a comment each, and a store of their own.
	config := writeFile(t, "fluent-bit.conf", place(t, `[INPUT]
    name dummy
    tag app
[FILTER]
    name wasmtime
    match *
    wasm_path @counts_in_store@
    function_name filter
    store_limit 1M
[FILTER]
    name wasmtime
    alias second
    match *
    wasm_path @counts_in_store@
    function_name filter
    store_limit 1M
`, "counts_in_store"))
	result := runMain("{\"n\":1}\n", "run", "--config", config, "--metrics", "-")
	const each = "# HELP seen_total Records by their last digit\n# TYPE seen_total counter\nseen_total{digit=\"1\"} 1\n"
	checkResult(t, result, 0, "{\"digit\":1,\"count\":1}\n", "# filter wasmtime.0\n"+each+"# filter second\n"+each)
}

// check says which option is missing, with and without a function.
func TestCheckGrants(t *testing.T) {
	path := guestFile(t, "counts_in_store")
	for _, args := range [][]string{{"check", path}, {"check", path, "--function-name", "filter"}, {"check", path, "--store-limit", "1M", "--metrics-series", "0"}} {
		result := runMain("", args...)
		want := "flb_v1.store_add: func (i32, i32, i64, i64, i32) -> i32, which is not granted: set store_limit"
		if len(args) > 4 {
			want = "which is not granted: metrics_series is 0"
		}
		if result.code != 1 || !strings.Contains(result.stdout, want) {
			t.Errorf("%v: %+v", args, result)
		}
	}
	if result := runMain("", "check", path, "--store-limit", "1M"); result.code != 0 {
		t.Errorf("%+v", result)
	}
}
