package options

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOnErrorRoute(t *testing.T) {
	for value, want := range map[string]string{"route:failed": "failed", " ROUTE: dead.$TAG[1].$level ": "dead.$TAG[1].$level"} {
		o, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b", "on_error": value, "mark_key": "why"}))
		if err != nil || o.OnError != Route || o.RouteTag != want || !o.Emits() {
			t.Errorf("%q: %v %q %v", value, o.OnError, o.RouteTag, err)
		}
		if len(o.Warnings) > 0 {
			t.Errorf("%q: %q", value, o.Warnings)
		}
	}
}

func TestEmitOnBusy(t *testing.T) {
	for value, want := range map[string]Options{
		"keep": {EmitOnBusy: KeepBusy}, "DROP": {EmitOnBusy: DropBusy},
		"block 250ms": {EmitOnBusy: BlockBusy, EmitBlockTime: 250 * time.Millisecond}, "block  30": {EmitOnBusy: BlockBusy, EmitBlockTime: 30 * time.Second},
	} {
		o, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b", "emit_on_busy": value, "emit_tags": "*"}))
		if err != nil || o.EmitOnBusy != want.EmitOnBusy || o.EmitBlockTime != want.EmitBlockTime {
			t.Errorf("%q: %v %v %v", value, o.EmitOnBusy, o.EmitBlockTime, err)
		}
	}
}

// The least of limits is what is written as 64K, be that with K or in digits.
func TestSmallestLimits(t *testing.T) {
	for _, name := range []string{"memory_limit", "table_limit", "emitter_mem_buf_limit"} {
		for value, ok := range map[string]bool{"64K": true, "64kb": true, "64000": true, "65536": true, "63999": false, "63K": false, "0": false} {
			o, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b", "emit_tags": "*", "table.t": "t.csv", name: value}))
			if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s %s: %v", name, value, err)
			}
			least := min(o.MemoryLimitBytes, o.TableLimitBytes, o.EmitterMemLimitBytes)
			if want := int64(64_000); ok && value != "65536" && least != want {
				t.Errorf("%s %s: %d", name, value, least)
			}
		}
	}
}

// There may be as many patterns as the documents say.
func TestEmitTagsMany(t *testing.T) {
	for n, ok := range map[int]bool{100: true, 101: false} {
		_, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b", "emit_tags": strings.Repeat("t,", n)}))
		if (err == nil) != ok {
			t.Errorf("%d patterns: %v", n, err)
		}
	}
}

// What has no effect is said to have none.
func TestUnusedEmitOptions(t *testing.T) {
	values := map[string]string{"wasm_path": "a", "function_name": "b", "emit_to": "stdout", "tick_interval": "2s",
		"emit_on_busy": "drop", "emitter_name": "e", "emitter_storage.type": "memory", "emitter_mem_buf_limit": "1M"}
	warned := func(list []string, what string) bool {
		return slices.ContainsFunc(list, func(w string) bool { return strings.HasPrefix(w, "option "+what+":") })
	}
	o, err := Parse(set(values))
	if err != nil {
		t.Fatal(err)
	}
	out, err := ParseOutput("o", set(values))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"emit_on_busy", "emitter_name", "emitter_storage.type", "emitter_mem_buf_limit"} {
		if !warned(o.Warnings, name) || !warned(out.Warnings, name) {
			t.Errorf("%s: %q, %q", name, o.Warnings, out.Warnings)
		}
	}
	if warned(o.Warnings, "tick_interval") || !warned(out.Warnings, "tick_interval") || !out.IsOutput {
		t.Errorf("%q, %q", o.Warnings, out.Warnings)
	}
	values["emit_tags"] = "t"
	if o, err := Parse(set(values)); err != nil || len(o.Warnings) > 0 {
		t.Errorf("%q, %v", o.Warnings, err)
	}
}

// An option of the filter has an effect on payloads, or is warned of, or refused: once, in the same words.
func TestOptionsOfPayloads(t *testing.T) {
	effective := []string{"wasm_path", "wasm_sha256", "accessible_paths", "env", "config.", "config_file", "table.", "table_limit", "table_refresh",
		"on_error", "timeout", "memory_limit", "recycle_memory", "breaker_failures", "breaker_backoff", "store_limit", "metrics_series",
		"stats_interval", "stats_format", "init_function", "cache_dir", "allow_precompiled", "on_start_error", "reload_module", "reload_interval",
		"wasm_stack_size"}
	file := filepath.Join(t.TempDir(), "c.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range Table {
		value := map[string]string{"wasm_sha256": strings.Repeat("a", 64), "accessible_paths": "/", "env": "A=1", "config.": "x", "config_file": file,
			"table.": "t.csv", "emit_tags": "t", "mark_key": "m", "emitter_name": "e", "cache_dir": "/x", "function_name": "f", "wasm_path": "a"}[o.Name]
		if value == "" {
			value = o.Default
		}
		key := o.Name
		if o.Prefix != "" {
			key += "k"
		}
		got, err := ParseSignal(Of([]Property{{"wasm_path", "a"}, {key, value}}), Traces)
		switch want := []string{"option " + o.Name + ": it has no effect on metrics and traces"}; {
		case o.Name == "emit_tags":
			if err == nil || err.Error() != `option emit_tags: invalid value "t": metrics and traces can't be given another tag` {
				t.Errorf("%v", err)
			}
		case err != nil:
			t.Errorf("%s: %v", key, err)
		case got.Signal != Traces || got.Workers != 1:
			t.Errorf("%s: %+v", key, got)
		case slices.Contains(effective, o.Name):
			if len(got.Warnings) > 0 {
				t.Errorf("%s: %q", key, got.Warnings)
			}
		case !slices.Equal(got.Warnings, want):
			t.Errorf("%s: %q, want %q", key, got.Warnings, want)
		}
	}
	got, err := ParseSignal(set(map[string]string{"wasm_path": "a", "on_error": "mark"}), Metrics)
	if want := []string{"option on_error: metrics and traces can't be marked: they pass"}; err != nil || !slices.Equal(got.Warnings, want) {
		t.Errorf("%q, %v", got.Warnings, err)
	}
	if _, err := ParseSignal(set(map[string]string{"wasm_path": "a", "on_error": "route:t"}), Metrics); err == nil {
		t.Error("on_error route: no error")
	}
}

// What is more often than Fluent Bit's timer is told.
func TestTickIntervalThatIsTooShort(t *testing.T) {
	for value, want := range map[string][]string{
		"0": nil, "100ms": nil, "1h": nil,
		"99ms": {"option tick_interval: 99ms can't be kept in Fluent Bit: flb_tick is called at most once in 100ms"},
	} {
		o, err := Parse(set(map[string]string{"wasm_path": "a", "function_name": "b", "tick_interval": value}))
		if err != nil || !slices.Equal(o.Warnings, want) {
			t.Errorf("%s: %q, %v", value, o.Warnings, err)
		}
	}
	if help := find("tick_interval").Help; !strings.Contains(help, "at most ten times a second") || minTick != time.Second/10 {
		t.Errorf("%v: %s", minTick, help)
	}
}

// Patterns may stand in one value, or in several: that is a list in YAML.
func TestEmitTagsInSeveralValues(t *testing.T) {
	o, err := Parse(Of([]Property{{"wasm_path", "a"}, {"function_name", "b"}, {"emit_tags", "tenant.*, alerts"}, {"Emit_Tags", "dead"}}))
	if want := []string{"tenant.*", "alerts", "dead"}; err != nil || !slices.Equal(o.EmitTags, want) {
		t.Errorf("%q, %v; want %q", o.EmitTags, err, want)
	}
}
