package filter

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// Counts are exact, however many instances count and whatever becomes of them.
func TestStateIsShared(t *testing.T) {
	for _, workers := range []int{1, 2, 3} {
		f := startWith(t, options.Options{Workers: workers, Timeout: time.Minute, StoreLimitBytes: 1 << 20, MetricsSeries: 100}, guests.WAT("counts_in_store"))
		const chunks, records = 20, 50
		counts := map[string]map[any]int{}
		for range chunks {
			var in []byte
			for i := range records {
				in = append(in, event(int64(i+1), map[string]any{"n": i})...)
			}
			out, _ := f.Run(tag, in)
			for i, body := range bodies(t, out) {
				record := body.(map[any]any)
				if digit := i % 10; digit == 7 {
					if fmt.Sprint(record) != fmt.Sprint(map[string]any{"n": i}) {
						t.Fatalf("record %d is %v", i, record)
					}
				} else if fmt.Sprint(record["digit"]) != fmt.Sprint(digit) {
					t.Fatalf("record %d is %v", i, record)
				} else {
					key := fmt.Sprint(digit)
					if counts[key] == nil {
						counts[key] = map[any]int{}
					}
					counts[key][fmt.Sprint(record["count"])]++
				}
			}
		}
		const each = chunks * records / 10
		for digit, seen := range counts {
			for n := 1; n <= each; n++ {
				if seen[fmt.Sprint(n)] != 1 {
					t.Fatalf("%d workers, digit %s: %d is there %d times", workers, digit, n, seen[fmt.Sprint(n)])
				}
			}
		}
		if len(counts) != 9 {
			t.Errorf("%d digits", len(counts))
		}
		stats := f.Stats()
		if stats.GivenUp != each || stats.Failed != each {
			t.Errorf("%d workers: %v", workers, stats)
		}
		m := f.Metrics()
		if len(m) != 1 || len(m[0].Series) != 10 {
			t.Fatalf("%+v", m)
		}
		for _, s := range m[0].Series {
			if s.Value != each {
				t.Errorf("%d workers: %v has %v, want %d", workers, s.Values, s.Value, each)
			}
		}
		if got := f.state.StoreStats(); got.Keys != 10 || got.Refused != 0 {
			t.Errorf("%+v", got)
		}
		f.Close()
		if f.count(hostlog.Info, "store: 10 keys, and ") != 1 ||
			f.count(hostlog.Info, fmt.Sprintf(`{digit="7"} %d`, each)) != 1 ||
			f.count(hostlog.Info, "counter seen_total: {") != 1 {
			t.Errorf("%v", f.logs)
		}
		if last := f.logs[len(f.logs)-1].line; !strings.HasPrefix(last, fmt.Sprint(chunks*records, " records: ")) {
			t.Errorf("the last line is %q", last)
		}
	}
}

// What is refused is in the log once, and counted at the end.
func TestStateIsFull(t *testing.T) {
	const rounds = 50
	f := startWith(t, options.Options{Timeout: time.Minute, StoreLimitBytes: 100, MetricsSeries: 1}, `(module
  (import "flb_v1" "store_set" (func $set (param i32 i32 i32 i32 i64) (result i32)))
  (import "flb_v1" "metric_define" (func $define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "metric_add" (func $count (param i32 f64 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "ab")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $set (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 10) (i64.const 0)))
    (drop (call $set (i32.const 17) (i32.const 1) (i32.const 0) (i32.const 10) (i64.const 0)))
    (drop (call $count (call $define (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (f64.const 1) (i32.const 0) (i32.const 0)))
    (drop (call $count (call $define (i32.const 1) (i32.const 17) (i32.const 1) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (f64.const 1) (i32.const 0) (i32.const 0)))
    (local.get 4)))`)
	for range rounds {
		f.Run(tag, event(1, map[string]any{}))
	}
	if f.count(hostlog.Warn, "the store has refused 1 calls so far: it has 1 keys, and ") != 1 ||
		f.count(hostlog.Warn, "metrics: 2 calls so far were not counted: 2 for want of room (1 series;") != 1 || len(f.logs) != 3 {
		t.Errorf("%v", f.logs)
	}
	f.Close()
	if f.count(hostlog.Warn, fmt.Sprintf("; %d calls refused", rounds)) != 1 ||
		f.count(hostlog.Warn, fmt.Sprintf("metrics: %d calls so far", 2*rounds)) != 1 ||
		f.count(hostlog.Info, fmt.Sprintf("counter a: %d", rounds)) != 1 {
		t.Errorf("%v", f.logs)
	}
}

// A filter has no more lines of its metrics than a log can bear, and no other text in them.
func TestMetricLines(t *testing.T) {
	for want, m := range map[string]state.Metric{
		"counter c: 1.5":               {Name: "c", Kind: state.Counter, Series: []state.Series{{Value: 1.5}}},
		"gauge g: no series":           {Name: "g", Kind: state.Gauge, Labels: []string{"a"}},
		`gauge g: {a="\x0a",b=""} -1`:  {Name: "g", Kind: state.Gauge, Labels: []string{"a", "b"}, Series: []state.Series{{Values: []string{"\n", ""}, Value: -1}}},
		"histogram h: 3 values, sum 2": {Name: "h", Kind: state.Histogram, Series: []state.Series{{Value: 2, Counts: []uint64{1, 2}}}},
	} {
		if got := metricText(m); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	var define strings.Builder
	for i := range 60 {
		fmt.Fprintf(&define, `(i32.store16 (i32.const 16) (i32.const %d)) (drop (call $define (i32.const 1)
			(i32.const 16) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))`, 'a'+i/26|('a'+i%26)<<8)
	}
	f := startWith(t, options.Options{MetricsSeries: 100}, `(module
  (import "flb_v1" "metric_define" (func $define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "flb_configure") (result i32) `+define.String()+` (i32.const 0))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`)
	f.Close()
	var names []string
	for _, l := range f.logs {
		if m := regexp.MustCompile(`^counter (..): 0$`).FindStringSubmatch(l.line); m != nil {
			names = append(names, m[1])
		}
	}
	if len(names) != maxMetricLines || names[0] != "aa" || f.count(hostlog.Info, "and 10 more metrics") != 1 {
		t.Errorf("%v", f.logs)
	}
	if diff := cmp.Diff(60, len(names)+10); diff != "" {
		t.Error(diff)
	}
}

// A check makes what the module needs, too.
func TestCheckHasState(t *testing.T) {
	o := options.Options{WasmPath: writeGuest(t, guests.WAT("counts_in_store")), FunctionName: "filter", StoreLimitBytes: 1000, MetricsSeries: 1}
	if err := Check(o); err != nil {
		t.Error(err)
	}
	o.StoreLimitBytes = 0
	if err := Check(o); err == nil || !strings.Contains(err.Error(), "flb_v1.store_add") || !strings.Contains(err.Error(), "set store_limit") {
		t.Error(err)
	}
}
