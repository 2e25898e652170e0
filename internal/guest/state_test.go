package guest

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
)

const stateImports = `
  (import "flb_v1" "store_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "store_set" (func $set (param i32 i32 i32 i32 i64) (result i32)))
  (import "flb_v1" "store_delete" (func $delete (param i32 i32) (result i32)))
  (import "flb_v1" "store_add" (func $add (param i32 i32 i64 i64 i32) (result i32)))
  (import "flb_v1" "store_cas" (func $cas (param i32 i32 i32 i32 i32 i32 i64) (result i32)))
  (import "flb_v1" "metric_define" (func $define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "metric_add" (func $madd (param i32 f64 i32 i32) (result i32)))
  (import "flb_v1" "metric_set" (func $mset (param i32 f64 i32 i32) (result i32)))
  (import "flb_v1" "metric_observe" (func $observe (param i32 f64 i32 i32) (result i32)))`

// stateGuest has data at 1024, zeros at 2048, and replies with the number that body makes. $end is
// the address that is so many bytes before the end of memory.
func stateGuest(data, body string) string {
	return `(module` + stateImports + `
  (memory (export "memory") 2)
  (data (i32.const 1024) "` + data + `")
  ` + answer + `
  (func $end (param i32) (result i32) (i32.sub (i32.shl (memory.size) (i32.const 16)) (local.get 0)))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (call $answer ` + body + `)))`
}

const key = "(i32.const 1024) (i32.const 1)"

// block makes one number of several calls, which is that of the last one.
func block(calls ...string) string {
	return "(block (result i32) (drop " + strings.Join(calls[:len(calls)-1], ") (drop ") + ") " + calls[len(calls)-1] + ")"
}

func TestStoreOfGuest(t *testing.T) {
	const value = "(i32.const 1025) (i32.const 3)"
	for _, test := range []struct {
		name, body string
		want       uint32
	}{
		{"nothing", "(call $get " + key + " (i32.const 0) (i32.const 0))", math.MaxUint32},
		{"set", "(call $set " + key + " " + value + " (i64.const 0))", 0},
		{"length", block("(call $set "+key+" "+value+" (i64.const 0))", "(call $get "+key+" (i32.const 2048) (i32.const 2))"), 3},
		{"no room, nothing written", block("(call $get "+key+" (i32.const 2048) (i32.const 2))", "(i32.load (i32.const 2048))"), 0},
		{"value", block("(call $get "+key+" (i32.const 2048) (i32.const 3))", "(i32.load (i32.const 2048))"), 'v' | 'a'<<8 | 'l'<<16},
		{"at the end of memory", "(call $get " + key + " (call $end (i32.const 3)) (i32.const 3))", 3},
		{"other key", "(call $get (i32.const 1024) (i32.const 2) (i32.const 0) (i32.const 0))", math.MaxUint32},
		{"cas of none", "(call $cas " + key + " (i32.const -1) (i32.const -1) " + value + " (i64.const 0))", 0},
		{"cas of another", "(call $cas " + key + " (i32.const 1024) (i32.const 3) " + value + " (i64.const 0))", 0},
		{"cas", "(call $cas " + key + " (i32.const 1025) (i32.const 3) (i32.const 0) (i32.const 0) (i64.const -1))", 1},
		{"empty", "(call $get " + key + " (i32.const 131072) (i32.const 0))", 0},
		{"delete", "(call $delete " + key + ")", 1},
		{"delete again", "(call $delete " + key + ")", 0},
		{"cas makes", "(call $cas " + key + " (i32.const 0) (i32.const -1) " + value + " (i64.const 60000))", 1},
		{"delete made", "(call $delete " + key + ")", 1},
		{"add", block("(call $add "+key+" (i64.const 0x100000007) (i64.const 0) (i32.const 2048))",
			"(i32.add (i32.load (i32.const 2048)) (i32.load (i32.const 2052)))"), 8},
		{"add less", block("(call $add "+key+" (i64.const -0x100000009) (i64.const 0) (i32.const 2048))",
			"(i32.add (i32.load (i32.const 2048)) (i32.load (i32.const 2052)))"), math.MaxUint32 - 2},
		{"counter as value", block("(call $get "+key+" (i32.const 2048) (i32.const 8))", "(i32.load8_u (i32.const 2048))"), 0xfe},
		{"value too large", "(call $set " + key + " (i32.const 0) (i32.const 5000) (i64.const 0))", math.MaxUint32},
		{"the old one stays", "(call $get " + key + " (i32.const 0) (i32.const 0))", 8},
		{"ttl of a million years", "(call $set " + key + " " + value + " (i64.const 0x7fffffffffffffff))", 0},
		{"and still there", "(call $get " + key + " (i32.const 0) (i32.const 0))", 3},
	} {
		// Each instance is another one, of one state.
		in := instantiate(t, stateGuest("kval", test.body), Config{Msgpack: true, State: stateOf(t)})
		if got := number(t, in, "\x80"); got != test.want {
			t.Errorf("%s: %#x, want %#x", test.name, got, test.want)
		}
	}
}

var states = map[string]*state.State{}

// stateOf returns the state of the test.
func stateOf(t *testing.T) *state.State {
	if states[t.Name()] == nil {
		s := state.New(4096, 10)
		states[t.Name()] = s
		t.Cleanup(func() { delete(states, t.Name()); s.Close() })
	}
	return states[t.Name()]
}

// A key with a time to live is gone after it.
func TestStoreTimeToLive(t *testing.T) {
	in := instantiate(t, stateGuest("k", block("(call $set "+key+" (i32.const 0) (i32.const 5) (i64.const 5))",
		"(loop (br_if 0 (i32.ge_s (call $get "+key+" (i32.const 0) (i32.const 0)) (i32.const 0)))) (call $delete "+key+")")), Config{Msgpack: true, State: stateOf(t)})
	if got := number(t, in, "\x80"); got != 0 {
		t.Error(got)
	}
}

func TestMetricsOfGuest(t *testing.T) {
	const data = `total` + `help` + `a,b` + `\00\00\00\00\00\00\f0\3f` + `\01\00\00\00x\00\00\00\00` // at 1024, 1029, 1033, 1036, 1044
	const values = "(i32.const 1044) (i32.const 9)"
	define := func(kind, nameLen, labelsLen, buckets int) string {
		return fmt.Sprintf("(call $define (i32.const %d) (i32.const 1024) (i32.const %d) (i32.const 1029) (i32.const 4) (i32.const 1033) (i32.const %d) (i32.const 1036) (i32.const %d))",
			kind, nameLen, labelsLen, buckets)
	}
	s := stateOf(t)
	for range 2 {
		for _, test := range []struct {
			name, body string
			want       uint32
		}{
			{"counter", block("(call $madd "+define(1, 5, 0, 0)+" (f64.const 2.5) (i32.const 131072) (i32.const 0))", define(1, 5, 0, 0)), 0},
			{"gauge", block("(call $mset "+define(2, 4, 3, 0)+" (f64.const -1) "+values+")", "(call $madd (i32.const 1) (f64.const -1) "+values+")"), 0},
			{"histogram", block(define(3, 3, 1, 1), "(call $observe "+define(3, 3, 1, 1)+" (f64.const 7) (i32.const 1044) (i32.const 5))"), 0},
			{"negative", "(call $madd (i32.const 0) (f64.const -1) (i32.const 0) (i32.const 0))", math.MaxUint32},
			{"no metric", "(call $madd (i32.const -1) (f64.const 1) (i32.const 0) (i32.const 0))", math.MaxUint32},
		} {
			in := instantiate(t, stateGuest(data, test.body), Config{Msgpack: true, State: s})
			if got := number(t, in, "\x80"); got != test.want {
				t.Errorf("%s: %#x, want %#x", test.name, got, test.want)
			}
		}
	}
	want := []state.Metric{
		{Name: "total", Kind: state.Counter, Help: "help", Series: []state.Series{{Value: 5}}},
		{Name: "tota", Kind: state.Gauge, Help: "help", Labels: []string{"a", "b"}, Series: []state.Series{{Values: []string{"x", ""}, Value: -2}}},
		{Name: "tot", Kind: state.Histogram, Help: "help", Labels: []string{"a"}, Buckets: []float64{1}, Series: []state.Series{{Values: []string{"x"}, Value: 14, Counts: []uint64{0, 2}}}},
	}
	if diff := cmp.Diff(want, s.Metrics()); diff != "" {
		t.Error(diff)
	}
}

// A version that comes back goes on without the metric that a later one has defined in another way; a later one is
// refused.
func TestMetricsOfVersions(t *testing.T) {
	define := func(kind int) string {
		body := fmt.Sprintf("(call $define (i32.const %d) (i32.const 1024) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))", kind)
		return stateGuest("m", block("(call $madd "+body+" (f64.const 1) (i32.const 0) (i32.const 0))", body))
	}
	s := stateOf(t)
	config := Config{Function: "filter", Msgpack: true, State: s}
	counter, gauge := load(t, define(1)), load(t, define(2))
	later := load(t, define(1)+" ")
	for _, test := range []struct {
		module *Module
		want   uint32
	}{{gauge, 0}, {counter, math.MaxUint32}, {gauge, 0}} {
		in, err := test.module.NewInstance(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := number(t, in, "\x80"); got != test.want {
			t.Errorf("%d, want %d", got, test.want)
		}
		in.Close()
	}
	if list := s.Metrics(); len(list) != 1 || list[0].Kind != state.Gauge || list[0].Series[0].Value != 2 {
		t.Errorf("%+v", list)
	}
	if trap := trapOf(t, later, config, "\x80"); !strings.Contains(trap.Reason, "is defined already") {
		t.Errorf("%v", trap)
	}
}

// What is outside memory, or has no meaning, ends the guest with a message.
func TestStateMistakes(t *testing.T) {
	const outside = "outside memory"
	in, out := "(i32.const 1024) (i32.const 1)", "(call $end (i32.const 1)) (i32.const 2)"
	far := "(i32.const -1) (i32.const -1)"
	define := func(parameters ...string) string {
		return "(call $define (i32.const 1) " + strings.Join(parameters, " ") + ")"
	}
	defined := define(in, in, in, "(i32.const 0) (i32.const 0)")
	for body, want := range map[string]string{
		"(call $get " + out + " (i32.const 0) (i32.const 0))":                                 outside,
		"(call $get " + in + " (call $end (i32.const 0)) (i32.const 1))":                      outside,
		"(call $get " + in + " " + far + ")":                                                  outside,
		"(call $set " + out + " " + in + " (i64.const 0))":                                    outside,
		"(call $set " + in + " " + far + " (i64.const 0))":                                    outside,
		"(call $set " + in + " " + in + " (i64.const -2))":                                    "store_set: a time to live of -2 ms",
		"(call $delete " + far + ")":                                                          outside,
		"(call $add " + out + " (i64.const 1) (i64.const 0) (i32.const 0))":                   outside,
		"(call $add " + in + " (i64.const 1) (i64.const 0) (call $end (i32.const 7)))":        outside,
		"(call $add " + in + " (i64.const 1) (i64.const -9223372036854775808) (i32.const 0))": "a time to live of",
		"(call $cas " + in + " " + out + " " + in + " (i64.const 0))":                         outside,
		"(call $cas " + in + " " + in + " " + out + " (i64.const 0))":                         outside,
		"(call $cas " + in + " (i32.const 0) (i32.const -2) " + in + " (i64.const 0))":        outside,
		define(out, in, in, "(i32.const 0) (i32.const 0)"):                                    outside,
		define(in, far, in, "(i32.const 0) (i32.const 0)"):                                    outside,
		define(in, in, out, "(i32.const 0) (i32.const 0)"):                                    outside,
		define(in, in, in, "(call $end (i32.const 7)) (i32.const 1)"):                         outside,
		define(in, in, in, "(i32.const 0) (i32.const 0x20000001)"):                            outside, // 8 bytes, if they were counted in 32 bits
		define("(i32.const 2048) (i32.const 1)", in, in, "(i32.const 0) (i32.const 0)"):       "metric_define: the name is not",
		"(call $madd " + defined + " (f64.const 1) " + far + ")":                              outside,
		"(call $madd " + defined + " (f64.const 1) (i32.const 0) (i32.const 0))":              "metric_add: there must be a length of 4 bytes and a value for each label of metric 0",
		// The length of the value goes beyond memory, which ends behind one byte of it.
		"(block (result i32) (i32.store (call $end (i32.const 5)) (i32.const -1)) (call $madd " + defined + " (f64.const 1) (call $end (i32.const 5)) (i32.const 5)))": "metric_add: there must be",
		"(call $mset " + defined + " (f64.const 1) (i32.const 2048) (i32.const 4))":                                                                                    "metric_set: metric 0 is of another kind",
		"(call $observe (i32.const 77) (f64.const 1) (i32.const 0) (i32.const 0))":                                                                                     "metric_observe: there is no metric 77",
		block("(call $set "+in+" "+in+" (i64.const 0))", "(call $add "+in+" (i64.const 1) (i64.const 0) (i32.const 0))"):                                               "store_add: the key has a value that is no counter",
	} {
		s := state.New(4096, 10)
		if trap := trapOf(t, load(t, stateGuest("k", body)), Config{State: s}, "{}"); !strings.Contains(trap.Reason, want) {
			t.Errorf("%s: %v, want %q", body, trap, want)
		}
		s.Close()
	}
}

// A function that no option grants is a start error that names both; check says so, too.
func TestGrants(t *testing.T) {
	m := load(t, stateGuest("", "(i32.const 0)"))
	path := filepath.Join(t.TempDir(), "guest.wat")
	if err := os.WriteFile(path, []byte(stateGuest("", "(i32.const 0)")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		store  int64
		series int
		want   []string
	}{
		{1000, 1, nil},
		{0, 1, []string{"flb_v1.store_get", "flb_v1.store_cas", "which is not granted: set store_limit"}},
		{1000, 0, []string{"flb_v1.metric_define", "flb_v1.metric_observe", "which is not granted: metrics_series is 0"}},
		{0, 0, []string{"store_limit", "metrics_series"}},
	} {
		s := state.New(test.store, test.series)
		for _, function := range []string{"filter", ""} {
			config := Config{Function: function, State: s}
			report, err := Inspect(Source{Path: path}, config)
			if err != nil {
				t.Fatal(err)
			}
			problems := strings.Join(report.Problems, "; ")
			if function != "" {
				in, err := m.NewInstance(config)
				if err == nil {
					in.Close()
				} else if err.Error() != problems {
					t.Errorf("%q and %v", problems, err)
				}
			}
			if (problems == "") != (test.want == nil) {
				t.Errorf("%+v: %q", test, problems)
			}
			for _, want := range test.want {
				if !strings.Contains(problems, want) {
					t.Errorf("%q has no %q", problems, want)
				}
			}
		}
		s.Close()
	}
}

// Of what is refused there is a notice, once for all instances.
func TestNotices(t *testing.T) {
	s := state.New(10, 1)
	t.Cleanup(s.Close)
	full := block("(call $set "+key+" (i32.const 0) (i32.const 0) (i64.const 0))",
		"(call $madd (i32.const -1) (f64.const 1) (i32.const 0) (i32.const 0))")
	for i, want := range []Notice{NoticeStore | NoticeMetrics, 0} {
		in := instantiate(t, stateGuest("k", full), Config{Msgpack: true, State: s})
		if in.HasOutput() {
			t.Error("there is output before a call")
		}
		number(t, in, "\x80")
		if in.HasOutput() != (want != 0) {
			t.Errorf("instance %d: output %v", i, in.HasOutput())
		}
		if got := in.TakeNotices(); got != want || in.HasOutput() {
			t.Errorf("instance %d: %v, want %v", i, got, want)
		}
	}
}
