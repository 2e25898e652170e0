package command

import (
	"strings"
	"testing"
)

// check --config looks at processors of all signals, of inputs and outputs, as at filters; run runs those that
// records go through.
func TestProcessorsAreChecked(t *testing.T) {
	const inputs = "pipeline:\n  inputs:\n    - name: dummy\n      processors:\n"
	const outputs = "pipeline:\n  outputs:\n    - name: stdout\n      match: '*'\n      processors:\n"
	noTraces := `(module (memory (export "memory") 1) (func (export "flb_otlp_1")) (func (export "flb_buffer") (param i32) (result i32) (i32.const 0))
		(func (export "flb_metrics") (param i32 i32) (result i32) (i32.const 0)))`
	for name, test := range map[string]struct {
		text string
		code int
		want []string
	}{
		"metrics and traces": {inputs + `
        metrics:
          - {name: labels, insert: a b}
          - {name: wasmtime, wasm_path: @otlp@, config.do: keep, on_error: mark}
        traces:
          - {name: wasmtime, alias: mine, wasm_path: @otlp@, config.do: keep}
`, 0, []string{
			"processor labels.0 of dummy.0 of metrics is not run here\n",
			"processor input.dummy.0.metrics.0\n", "function       flb_metrics: func (i32, i32) -> i32\n", "can't be marked: they pass",
			"processor mine\n", "function       flb_traces: func (i32, i32) -> i32\n", "signal         traces\n",
		}},
		"several": {inputs + `
        traces:
          - {name: wasmtime, wasm_path: @otlp@}
        metrics:
          - {name: wasmtime, wasm_path: @otlp@}
          - {name: wasmtime, wasm_path: @otlp@}
          - {name: wasmtime, wasm_path: @otlp@}
        logs:
          - {name: wasm, wasm_path: @identity@, function_name: filter}
`, 0, []string{"processor input.dummy.0.traces.0\n", "processor input.dummy.0.metrics.0\n",
			"processor input.dummy.0.metrics.1\n", "processor input.dummy.0.metrics.2\n", "wasm.0 of dummy.0\n"}},
		"by an alias of the input": {"pipeline:\n  inputs:\n    - name: Dummy\n      alias: in\n      processors:\n        traces:\n          - {name: wasmtime, wasm_path: @otlp@}\n" +
			"    - name: Dummy\n      processors:\n        traces:\n          - {name: wasmtime, alias: mine, wasm_path: @otlp@}\n          - {name: WASMTIME, wasm_path: @otlp@}\n",
			0, []string{"processor input.in.traces.0\n", "processor mine\n", "processor input.dummy.1.traces.1\n"}},
		"of an output": {outputs + `
        logs:
          - {name: wasm, wasm_path: @identity@, function_name: filter}
        metrics:
          - {name: wasmtime, wasm_path: @otlp@}
`, 0, []string{"processor wasm.0 of stdout.0\n", "processor output.stdout.0.metrics.0\n", "the plugin would start"}},
		"a module for records": {inputs + "        metrics:\n          - {name: wasmtime, wasm_path: @identity@}\n", 1,
			[]string{"can't be called for metrics: it does not export flb_otlp_1", "the plugin would refuse this module"}},
		"no module":           {inputs + "        traces:\n          - {name: wasmtime, wasm_path: /nowhere.wasm}\n", 1, []string{"processor input.dummy.0.traces.0: option wasm_path"}},
		"a misspelt option":   {inputs + "        traces:\n          - {name: wasmtime, wasm_path: @otlp@, timeuot: 1s}\n", 1, []string{`:6: processor input.dummy.0.traces.0: unknown option "timeuot" in line 6`, "timeout"}},
		"a bad value":         {outputs + "        metrics:\n          - {name: wasmtime, wasm_path: @otlp@, timeout: soon}\n", 1, []string{"processor output.stdout.0.metrics.0: option timeout"}},
		"a list":              {inputs + "        traces:\n          - name: wasmtime\n            wasm_path: @otlp@\n            env: [A=1]\n", 1, []string{"option env in line 8: a processor of traces can't read a list: write a text"}},
		"a map":               {inputs + "        traces:\n          - name: wasmtime\n            wasm_path: @otlp@\n            env: {A: 1}\n", 1, []string{"option env in line 8: a single value is expected, not a mapping"}},
		"under other tags":    {outputs + "        logs:\n          - {name: wasmtime, wasm_path: @identity@, function_name: filter, emit_tags: x}\n", 1, []string{"a processor can't emit under other tags"}},
		"profiles":            {inputs + "        profiles:\n          - {name: wasmtime, wasm_path: @otlp@}\n", 1, []string{"there are no processors of profiles: known are logs, metrics and traces"}},
		"wasm has no such":    {inputs + "        metrics:\n          - {name: wasm, wasm_path: @otlp@}\n", 1, []string{"processor wasm.0 of dummy.0 of metrics is not run here", "it has no active filter or processor called wasmtime or wasm"}},
		"no function for one": {inputs + "        traces:\n          - {name: wasmtime, wasm_path: " + writeFile(t, "no_traces.wat", noTraces) + "}\n", 0, []string{"function       none\n", "exports no function flb_traces: all traces pass"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, "fluent-bit.yaml", place(t, test.text, "otlp", "identity"))
			got := runMain("", "check", "--config", file)
			if got.code != test.code {
				t.Errorf("exit code %d", got.code)
			}
			for _, want := range test.want {
				if !strings.Contains(got.stdout+got.stderr, want) {
					t.Errorf("there is no %q in\n%s%s", want, got.stdout, got.stderr)
				}
			}
		})
	}
	both := inputs + `
        metrics:
          - {name: wasmtime, wasm_path: /nowhere.wasm}
          - {name: wasmtime, wasm_path: @otlp@, timeout: soon}
        logs:
          - {name: wasmtime, wasm_path: @identity@, function_name: filter}
`
	got := runMain("{\"a\":1}\n", "run", "--config", writeFile(t, "fluent-bit.yaml", place(t, both, "otlp", "identity")), fixedTime)
	checkResult(t, got, 0, `{"a":1}`+"\n", "processor input.dummy.0.metrics.0 is not run here\n")
	got = runMain("", "run", "--config", writeFile(t, "fluent-bit.yaml", place(t, inputs+"        metrics:\n          - {name: wasmtime, wasm_path: @otlp@}\n", "otlp")))
	if got.code == 0 || !strings.Contains(got.stderr, "processors of metrics and traces are run by --signal") {
		t.Errorf("%+v", got)
	}
}
