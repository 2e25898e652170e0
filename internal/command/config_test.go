package command

import (
	"strings"
	"testing"
)

// place puts guests into a text: @name@ becomes a path.
func place(t *testing.T, text string, names ...string) string {
	t.Helper()
	for _, name := range names {
		text = strings.ReplaceAll(text, "@"+name+"@", guestFile(t, name))
	}
	return text
}

func TestRunConfig(t *testing.T) {
	t.Setenv("FLB_WASMTIME_TEST_FUNCTION", "filter")
	const record = `{"n":1}`
	tests := []struct {
		name   string
		file   string
		text   string
		args   []string
		in     string
		code   int
		out    string
		stderr []string
	}{
		{
			name: "classic, two filters",
			file: "fluent-bit.conf",
			text: `
[SERVICE]
    Flush     1
    Log_Level off
[INPUT]
    Name  tail
    Tag   app.web
[FILTER]
    Name  grep
    Match *
    Regex log x
[FILTER]
    Name          wasmtime
    Match         app.*
    Wasm_Path     @wrap@
    Function_Name ${FLB_WASMTIME_TEST_FUNCTION}
[FILTER]
    Name          wasm
    Match_Regex   ^app\.(web|db)$
    Alias         second
    wasm_path     @wrap@
    function_name filter
    event_format  json
[FILTER]
    Name          wasmtime
    Match         other
    wasm_path     @drop@
    function_name filter
[OUTPUT]
    Name  null
    Match *
`,
			in:  record,
			out: `{"tag":"app.web","sec":1767366245,"record":{"tag":"app.web","sec":1767366245,"record":{"n":1}}}` + "\n",
			stderr: []string{
				"flb-wasmtime: filter grep.0 is not run here\n",
				"filter wasmtime.1: records in 1, out 1, dropped 0, passed through by error 0; ",
				"filter second: records in 1, out 1, dropped 0, passed through by error 0; ",
				"filter wasmtime.3: does not match tag app.web\n",
				"total: records in 1, out 1, dropped 0, passed through by error 0; ",
			},
		},
		{
			name: "the tag decides",
			file: "fluent-bit.conf",
			text: "[FILTER]\n  Name wasmtime\n  Match a\n  wasm_path @wrap@\n  function_name filter\n" +
				"[FILTER]\n  Name wasmtime\n  Match b\n  wasm_path @drop_every_other@\n  function_name filter\n",
			args:   []string{"--tag", "b", "--log-level", "off"},
			in:     "{\"n\":1}\n{\"n\":2}\n",
			out:    "{\"n\":1}\n",
			stderr: []string{"filter wasmtime.0: does not match tag b\n", "filter wasmtime.1: records in 2, out 1, dropped 1"},
		},
		{
			name: "a filter sees what the one before it left",
			file: "fluent-bit.conf",
			text: "[FILTER]\n  Name wasmtime\n  Match *\n  wasm_path @drop_every_other@\n  function_name filter\n" +
				"[FILTER]\n  Name wasmtime\n  Match *\n  wasm_path @trap_when_told@\n  function_name filter\n",
			args: []string{"--log-level", "off"},
			in:   "{\"n\":1}\n{\"n\":2,\"trap\":true}\n{\"n\":3,\"trap\":true}\n",
			out:  "{\"n\":1}\n{\"n\":3,\"trap\":true}\n",
			code: 1,
			stderr: []string{
				"filter wasmtime.0: records in 3, out 2, dropped 1, passed through by error 0",
				"filter wasmtime.1: records in 2, out 2, dropped 0, passed through by error 1",
				"total: records in 3, out 2, dropped 1, passed through by error 1",
			},
		},
		{
			name: "yaml with processors",
			file: "fluent-bit.yaml",
			text: `
service:
  log_level: off
pipeline:
  inputs:
    - name: dummy
      processors:
        logs:
          - name: wasmtime
            wasm_path: @drop_every_other@
            function_name: filter
            condition: {op: and, rules: []}
          - name: content_modifier
            action: insert
    - name: dummy
      tag: other
      processors:
        logs:
          - name: wasmtime
            wasm_path: @drop@
            function_name: filter
  filters:
    - name: wasmtime
      match: dummy.*
      wasmPath: @wrap@
      functionName: filter
    - name: wasmtime
      match: '*'
      active: false
      wasm_path: /no/such/file
  outputs:
    - name: stdout
      match: '*'
      processors:
        logs:
          - name: wasmtime
            wasm_path: /no/such/file
`,
			in:  "{\"n\":1}\n{\"n\":2}\n",
			out: `{"tag":"dummy.0","sec":1767366245,"record":{"n":1}}` + "\n",
			stderr: []string{
				"processor wasmtime.0 of dummy.0: its condition is not looked at",
				"processor content_modifier.1 of dummy.0 is not run here\n",
				"filter wasmtime.1 is not active\n",
				"processor wasmtime.0 of stdout.0 is not run here\n",
				"filter wasmtime.0 of dummy.0: records in 2, out 1, dropped 1",
				"filter wasmtime.0 of dummy.1: does not match tag dummy.0\n",
				"filter wasmtime.0: records in 1, out 1, dropped 0",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeFile(t, tt.file, place(t, tt.text, "wrap", "drop", "drop_every_other", "trap_when_told"))
			args := append([]string{"run", "--config", path, fixedTime}, tt.args...)
			checkResult(t, runMain(tt.in, args...), tt.code, tt.out, tt.stderr...)
		})
	}
}

func TestRunConfigMistakes(t *testing.T) {
	const guest = "  wasm_path @identity@\n  function_name filter\n"
	tests := []struct {
		name string
		text string
		want []string
	}{
		{"no filter", "[FILTER]\n  Name grep\n  Match *\n", []string{"it has no active filter called wasmtime or wasm"}},
		{"unknown option", "\n[FILTER]\n  Name wasmtime\n  Match *\n  Wasm_Pth x\n" + guest,
			[]string{"c.conf:2: filter wasmtime.0: unknown option \"wasm_pth\" in line 5 (did you mean wasm_path?): known are wasm_path, wasm_sha256, function_name"}},
		{"unknown option of an aliased filter", "[FILTER]\n  Name wasm\n  Alias mine\n  Match *\n  x y\n" + guest,
			[]string{`c.conf:1: filter mine: unknown option "x" in line 5`}},
		{"twice", "[FILTER]\n  Name wasmtime\n  Match *\n" + guest + guest,
			[]string{"c.conf:1: filter wasmtime.0: option wasm_path is set again in line 6: it may be set once"}},
		{"value", "[FILTER]\n  Name wasmtime\n  Match *\n  event_format xml\n" + guest,
			[]string{`c.conf:1: filter wasmtime.0: option event_format: invalid value "xml": allowed are json and msgpack`}},
		{"no match", "[FILTER]\n  Name wasmtime\n" + guest,
			[]string{"c.conf:1: filter wasmtime.0: neither match nor match_regex is set"}},
		{"match_regex", "[FILTER]\n  Name wasmtime\n  match_regex (?<!a)b)\n" + guest,
			[]string{`c.conf:1: filter wasmtime.0: match_regex "(?<!a)b)" can't be used here`}},
		{"log level", "[FILTER]\n  Name wasmtime\n  Match *\n  log_level loud\n" + guest,
			[]string{`c.conf:1: filter wasmtime.0: invalid log_level "loud": allowed are off, `}},
		{"log level of the service", "[SERVICE]\n  log_level loud\n", []string{`c.conf:1: invalid log_level "loud"`}},
		{"syntax", "[FILTER\n", []string{"c.conf:1: section header"}},
		{"module", "[FILTER]\n  Name wasmtime\n  Match none\n  wasm_path /no/such.wasm\n  function_name f\n",
			[]string{"filter wasmtime.0: ", "no such file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeFile(t, "c.conf", place(t, tt.text, "identity"))
			checkResult(t, runMain("{}\n", "run", "--config", path), 2, "", tt.want...)
		})
	}

	t.Run("nested", func(t *testing.T) {
		path := writeFile(t, "c.yaml", "pipeline:\n  filters:\n    - name: wasmtime\n      match: '*'\n      wasm_path: {a: b}\n")
		checkResult(t, runMain("{}\n", "run", "--config", path), 2, "",
			"c.yaml:3: filter wasmtime.0: option wasm_path in line 5: a single value is expected, not a mapping")
	})
}
