package options

import (
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

// Patterns may stand in one value, or in several: that is a list in YAML.
func TestEmitTagsInSeveralValues(t *testing.T) {
	o, err := Parse(Of([]Property{{"wasm_path", "a"}, {"function_name", "b"}, {"emit_tags", "tenant.*, alerts"}, {"Emit_Tags", "dead"}}))
	if want := []string{"tenant.*", "alerts", "dead"}; err != nil || !slices.Equal(o.EmitTags, want) {
		t.Errorf("%q, %v; want %q", o.EmitTags, err, want)
	}
}
