package command

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// casesIn writes files to a directory. @name@ becomes the path of a guest.
func casesIn(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		text = regexp.MustCompile(`@(\w+)@`).ReplaceAllStringFunc(text, func(s string) string {
			guest := strings.Trim(s, "@")
			path := filepath.Join(dir, guest+".wat")
			if err := os.WriteFile(path, []byte(guests.WAT(guest)), 0o644); err != nil {
				t.Fatal(err)
			}
			return path
		})
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Each case is as it should be, and each one of it that is changed fails as it says.
func TestCases(t *testing.T) {
	const marked = `
filter: {wasm_path: "@record_functions@"}
input: |
  [[10, {}], {"n": 1}]
  [["group", {"g": 1}], {"r": 2}]
  [["1970-01-01T00:00:20Z", {"m": 1}], {"n": 2}]
  ["end"]
output: |
`
	tests := []struct {
		name string
		text string
		code int
		want string // what stdout says of it, without the first line and the last
	}{
		{"passes", `
filter: {wasm_path: "@wrap@", function_name: filter}
tag: x.y
time: 2026-01-02T15:04:05.5Z
input: |
  {"a": 1}

  [["2026-01-02T15:04:06Z", {}], {"a": 2.0}]
output: |
  {"record": {"a":1}, "tag":"x.y", "sec":1767366245}
  [["2026-01-02T15:04:06Z", {}], {"tag":"x.y","sec":1767366246,"record":{"a":2.0}}]
`, 0, ""},
		{"integers and floats", `
filter: {wasm_path: "@identity@"}
input: '{"a":1,"b":[1,2.0],"c":"x"}'
output: '{"a":1.0,"b":[1,2,3],"d":"x"}'
`, 1, `  output 1
    $a
      - 1.0
      + 1
    $b[1]
      - 2
      + 2.0
    $b[2]
      - 3
    $d
      - "x"
    $c
      + "x"
`},
		{"dropped and further", `
filter: {wasm_path: "@drop_every_other@"}
input: |
  {"n":1}
  {"n":2}
  {"n":3}
output: |
  {"n":0}
  {"n":1}
  {"n":2}
  {"n":3}
`, 1, "  output 1\n    - {\"n\":0}\n  output 3\n    - {\"n\":2}\n"},
		{"more than expected", "\nfilter: {wasm_path: \"@identity@\"}\ninput: |\n  {\"n\":1}\n  {\"n\":2}\noutput: |\n  {\"n\":1}\n", 1,
			"  output, further (2 of what came out)\n    + {\"n\":2}\n"},
		{"time, metadata, group", marked + `
  [["1970-01-01T00:00:11.000000005Z", {"was": {}}], {"n": 1}]
  [["1970-01-01T00:00:11.000000005Z", {"was": {}}], {"copy": true}]
  [["group", {"g": 1}], {"was": {"r": 2}}]
  [["1970-01-01T00:00:21.000000005Z", {"was": {"m": 1}}], {"n": 2}]
  [[null, null], {"copy": true}]
  ["end"]
`, 0, ""},
		{"time, metadata, group that differ", marked + `
  {"n": 1}
  [[null, null], {"copy": true}]
  [["group", null], {"was": {"r": 3}}]
  [[21, {"was": {"m": 1}}], {"n": 2}]
  [[null, {"a": 1}], {"copy": true}]
  {}
`, 1, `  output 1
    time
      - "2026-01-01T00:00:00Z"
      + "1970-01-01T00:00:11.000000005Z"
    metadata $was
      + {}
  output 3
    $was['r']
      - 3
      + 2
  output 4
    time
      - "1970-01-01T00:00:21Z"
      + "1970-01-01T00:00:21.000000005Z"
  output 5
    metadata $a
      - 1
    metadata $was
      + {"m":1}
  output 6
    - {}
    + ["end"]
`},
		{"tags", `
filter: {wasm_path: "@wrap@"}
input: |
  {}
  ["tag", "b"]
  {}
output: |
  ["tag", "app.log"]
  {"tag":"app.log","sec":1767225600,"record":{}}
  ["tag", "b"]
  {"tag":"b","sec":1767225600,"record":{}}
`, 0, ""},
		{"a failure that is expected", `
filter: {wasm_path: "@trap_when_told@"}
input: '{"trap":true}'
output: '{"trap":true}'
failed: 1
log: |
  error unreachable
`, 0, ""},
		{"a failure", `
filter: {wasm_path: "@bad_json@"}
input: '{"n":1}'
output: '{"n":1}'
`, 1, "  failed\n    - 0\n    + 1\n  log\n    + error record 1 of a chunk …"},
		{"errors by code", `
filter: {wasm_path: "@batch_told@", function_name: mark}
input: '{"do":"c"}'
output: '{"do":"c"}'
failed: 1
errors:
  8: 1
`, 1, "  errors\n    - 8: 1\n    + 7: 1\n"},
		{"log", `
filter: {wasm_path: "@wasi_print@"}
input: '{"n":1}'
output: '{"n":1}'
log: |
  warn guest stdout: x
  info guest
`, 1, ""},
		{"configuration", `
filter:
  wasm_path: "@configured@"
  config.greeting: hello
input: '{}'
output: '{"config":"hello"}'
`, 0, ""},
		{"start error", `
filter: {wasm_path: "@configured@"}
input: '{}'
start_error: it must be set
`, 0, ""},
		{"start error that is another one", `
filter: {wasm_path: "@configured@"}
input: '{}'
start_error: 'greeting: it need not be'
`, 1, "  start_error\n    - greeting: it need not be\n    + filter wasmtime.0: module @: it refuses its configuration: \"greeting: it must be set\"\n"},
		{"it does start", "\nfilter: {wasm_path: \"@identity@\"}\ninput: '{}'\nstart_error: no\n", 1, "  start_error\n    - no\n    + the filters start\n"},
		{"metrics", `
filter: {wasm_path: "@counts_in_store@", store_limit: 1M}
input: |
  {"n":1}
  {"n":11}
output: |
  {"digit":1,"count":1}
  {"digit":1,"count":2}
metrics: |
  seen_total{digit="1"} 3
`, 1, "  metrics\n    - seen_total{digit=\"1\"} 3\n    + seen_total{digit=\"1\"} 2\n"},
		{"no output", "\nfilter: {wasm_path: \"@identity@\"}\ninput: '{}'\n", 1, "  output\n    + the case says nothing of it: write it, or have it written with --update\n"},
		{"broken: start", "\nfilter: {wasm_path: \"@configured@\"}\ninput: '{}'\n", 2, "  @: filter wasmtime.0: module @: it refuses its configuration: \"greeting: it must be set\"\n"},
		{"broken: no module", "\nfilter: {wasm_path: no.wasm}\n", 2, "  @: filter wasmtime.0: option wasm_path: can't read the module: open @: no such file or directory\n"},
		{"emitted", `
filter: {wasm_path: "@routes@", emit_tags: "x.*", on_error: "route:dead.$TAG"}
input: |
  {"a": 1}
  [["2026-01-02T15:04:05Z", {"m": 1}], {"to": "x.y", "n": 2}]
  {"to": "x.z", "n": 1}
  {"to": "x.y", "n": 3}
  {"bad": "!"}
output: |
  {"a": 1}
  {"to": "x.z", "n": 1}
emitted:
  x.z: '{"to": "x.z", "n": 1}'
  x.y: |
    [["2026-01-02T15:04:05Z", {"m": 1}], {"to": "x.y", "n": 2}]
    {"to": "x.y", "n": 3}
  none: ""
  dead.app.log: |
    [[null, null], {"bad": "!"}]
failed: 1
`, 0, ""},
		{"emitted, in groups", `
filter: {wasm_path: "@routes@", emit_tags: x}
input: |
  [["group", {"g": 1}], {"r": 1}]
  {"to": "x", "n": 2}
  {"to": "x", "n": 3}
  ["end"]
output: |
  [["group", {"g": 1}], {"r": 1}]
  ["end"]
emitted:
  x: |
    [["group", {"g": 1}], {"r": 1}]
    {"to": "x", "n": 2}
    {"to": "x", "n": 3}
    ["end"]
`, 0, ""},
		{"emitted, and not expected", `
filter: {wasm_path: "@routes@", emit_tags: "x.*"}
input: '{"to": "x.y", "n": 2}'
output: ""
`, 1, `  emitted
    + the case says nothing of it: write it, tag by tag, or have it written with --update
  emitted under x.y, further (1 of what came out)
    + {"to":"x.y","n":2}
`},
		{"emitted otherwise", `
filter: {wasm_path: "@routes@", emit_tags: "x.*"}
input: |
  {"to": "x.y", "n": 2}
  {"to": "x.z", "n": 3}
output: ""
emitted:
  x.y: '{"to": "x.y", "n": 3}'
  x.w: '{"n": 3}'
`, 1, `  emitted under x.y, event 1
    $n
      - 3
      + 2
  emitted under x.w, event 1
    - {"n":3}
  emitted under x.z, further (1 of what came out)
    + {"to":"x.z","n":3}
`},
		{"nothing emitted as expected", `
filter: {wasm_path: "@identity@"}
input: '{}'
output: '{}'
emitted: {}
`, 0, ""},
		{"ticks", `
filter: {wasm_path: "@folds@", emit_tags: counts}
input: |
  {"n": 1}
  ["tick"]
  ["tick"]
  {"n": 2}
  {"n": 3}
output: ""
emitted:
  counts: |
    [[null, null], {"n": 1, "last": 0}]
    [[null, null], {"n": 2, "last": 1}]
`, 0, ""},
		{"a tick at the end alone, of the time of day", `
filter: {wasm_path: "@folds@", emit_tags: counts}
input: '{"n": 1}'
output: ""
emitted:
  counts: '{"n":1, "last":1}'
`, 1, "  emitted under counts, event 1\n    time\n      - \"2026-01-01T00:00:00Z\"\n      + …"},
		{"a tick that fails", `
filter: {wasm_path: "@folds@", emit_tags: counts}
input: |
  {"n":1}
  {"n":2}
  {"n":3}
  {"n":4}
  {"n":5}
  {"n":6}
  {"n":7}
  {"n":8}
  {"n":9}
  {"n":10}
output: ""
`, 1, "  ticks\n    + 1 have failed: if that is right, expect the error in log\n  log\n    + error flb_tick: …"},
		{"a tick that fails, as expected", `
filter: {wasm_path: "@folds@", emit_tags: counts}
input: |
  {"n":1}
  {"n":2}
  {"n":3}
  {"n":4}
  {"n":5}
  {"n":6}
  {"n":7}
  {"n":8}
  {"n":9}
  {"n":10}
  ["tick"]
  {"n":1}
output: ""
emitted:
  counts: '[[null, null], {"n":1, "last":1}]'
log: error flb_tick
`, 0, ""},
		{"broken: a tick of none", "\nfilter: {wasm_path: \"@identity@\"}\ninput: '[\"tick\"]'\noutput: ''\n", 2,
			"  @: the input has [\"tick\"], and no filter ticks: the module exports no flb_tick, or tick_interval is 0\n"},
		{"broken: a tick in a group", "\nfilter: {wasm_path: \"@folds@\", emit_tags: c}\ninput: |\n  [[\"group\", {}], {}]\n  [\"tick\"]\n  [\"end\"]\n", 2,
			"  @: input: [\"tick\"] stands inside of a group, which is in one chunk: put it before the group or after its [\"end\"]\n"},
		{"broken: emitted", "\nfilter: {wasm_path: \"@identity@\"}\nemitted: {x: {}}\n", 2, "  @:3: emitted: x: lines of events are expected\n"},
		{"broken: key", "\nfiter: {}\n", 2, "  @:2: unknown key \"fiter\" (did you mean filter?): known are filter, config, skip, tag, time, log_level, chunk_records, input, input_file, output, output_file, emitted, log, metrics, failed, errors, start_error\n"},
		{"broken: option", "\nfilter:\n  wasm_path: \"@identity@\"\n  wasm_pat: x\n", 2, ""},
		{"broken: value", "\nfilter: {wasm_path: \"@identity@\", event_format: xml}\n", 2, "  @: filter: option event_format: invalid value \"xml\": allowed are json and msgpack\n"},
		{"broken: line", "\nfilter: {wasm_path: \"@identity@\"}\ninput: |\n  {}\n  plain\n", 2, "  @: input: line 2: a line is an object, [[TIME, METADATA], BODY], [[\"group\", METADATA], BODY], [\"end\"], [\"tag\", TAG] or [\"tick\"]\n"},
		{"broken: nothing to run", "\ninput: '{}'\n", 2, "  @: it has neither filter, with the options of one, nor config, with the path of a Fluent Bit configuration\n"},
		{"broken: YAML", "filter: [", 2, ""},
		{"broken: both", "\nfilter: {wasm_path: \"@identity@\"}\nconfig: x\n", 2, "  @: it has filter and config: one of them says what is run\n"},
		{"broken: kinds", "\nfilter: {wasm_path: \"@identity@\"}\nskip: x\n", 2, "  @:3: skip: a list is expected\n"},
		{"broken: count", "\nfilter: {wasm_path: \"@identity@\"}\nfailed: some\n", 2, "  @:3: failed: invalid value \"some\": a number of records is expected\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := casesIn(t, map[string]string{"cases/case.yaml": tt.text})
			got := runMain("", "test", filepath.Join(dir, "cases"))
			word := []string{"ok    ", "FAIL  ", "ERROR "}[tt.code]
			lines := strings.SplitAfter(got.stdout, "\n")
			if got.code != tt.code || got.stderr != "" || !strings.HasPrefix(lines[0], word+dir+"/cases/case.yaml (") {
				t.Fatalf("exit code %d, stderr %q, stdout:\n%s", got.code, got.stderr, got.stdout)
			}
			text := strings.Join(lines[1:len(lines)-2], "")
			text = regexp.MustCompile(regexp.QuoteMeta(dir)+`[\w/.]+`).ReplaceAllString(text, "@")
			if part, ok := strings.CutSuffix(tt.want, "…"); ok {
				if !strings.HasPrefix(text, part) {
					t.Errorf("it begins otherwise than %q: %q", part, text)
				}
			} else if tt.want != "" || tt.code == 0 {
				if diff := cmp.Diff(tt.want, text); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			} else if text == "" {
				t.Error("it does not say why")
			}
		})
	}
}

// A case may be of a configuration, classic or YAML, whose filters run in order where they match.
func TestCasesOfConfigurations(t *testing.T) {
	classic := "[INPUT]\n  Name tail\n  Tag app.web\n[FILTER]\n  Name grep\n  Match app.*\n[FILTER]\n  Name wasmtime\n  Match app.*\n  wasm_path @wrap@\n  function_name filter\n" +
		"[FILTER]\n  Name wasmtime\n  Match other\n  wasm_path @drop@\n  function_name filter\n[FILTER]\n  Name wasm\n  Match_Regex ^app\\.web$\n  Alias second\n  wasm_path @wrap@\n  function_name filter\n"
	yaml := "pipeline:\n  inputs:\n    - {name: tail, tag: app.web}\n  filters:\n    - {name: lua, alias: mine, match: app.*}\n    - {name: wasmtime, match: app.*, wasm_path: '@wrap@', function_name: filter}\n" +
		"    - {name: wasmtime, match: app.web, wasm_path: '@wrap@', function_name: filter}\n"
	const out = "output: '{\"tag\":\"app.web\",\"sec\":1767225600,\"record\":{\"tag\":\"app.web\",\"sec\":1767225600,\"record\":{}}}'\n"
	dir := casesIn(t, map[string]string{
		"fluent-bit.conf": classic, "fluent-bit.yaml": yaml,
		"cases/classic.yaml": "config: ../fluent-bit.conf\nskip: [grep]\ninput: '{}'\n" + out,
		"cases/yaml.yaml":    "config: ../fluent-bit.yaml\nskip: [mine]\ninput: '{}'\n" + out,
		"cases/other.yaml":   "config: ../fluent-bit.conf\ntag: other\ninput: '{}'\noutput: ''\n",
		"more/refused.yaml":  "config: ../fluent-bit.conf\nskip: [lua]\ninput: '{}'\noutput: ''\n",
	})
	got := runMain("", "test", filepath.Join(dir, "cases"))
	if got.code != 0 || !strings.HasSuffix(got.stdout, "\n3 passed, 0 failed, 0 could not be run\n") {
		t.Errorf("%+v", got)
	}
	got = runMain("", "test", "--wasm-path", "x.wasm", filepath.Join(dir, "cases", "yaml.yaml"))
	if got.code != 2 || !strings.Contains(got.stdout, "options can't be given for them") {
		t.Errorf("%+v", got)
	}
	got = runMain("", "test", filepath.Join(dir, "more"))
	if got.code != 2 || !strings.Contains(got.stdout, "filter grep.0 of "+dir+"/fluent-bit.conf matches tag app.web and can't be run here: if the case is right without it, add it to skip") {
		t.Errorf("%+v", got)
	}
}

// What a filter of a configuration emits goes through the filters that match its tag, and round in no circle.
func TestCasesFollowTags(t *testing.T) {
	const classic = "[INPUT]\n  Name tail\n  Tag app.web\n" +
		"[FILTER]\n  Name wasmtime\n  Match app.*\n  Alias sends\n  wasm_path @routes@\n  function_name filter\n  emit_tags db.*,app.*\n" +
		"[FILTER]\n  Name wasmtime\n  Match db.*\n  Alias wraps\n  wasm_path @wrap@\n  function_name filter\n" +
		"[FILTER]\n  Name wasmtime\n  Match db.*\n  Alias folds\n  wasm_path @folds@\n  function_name filter\n  emit_tags counts\n" +
		"[FILTER]\n  Name wasmtime\n  Match counts\n  Alias again\n  wasm_path @wrap@\n  function_name filter\n"
	dir := casesIn(t, map[string]string{
		"fluent-bit.conf": classic,
		"wraps.conf":      classic[:strings.Index(classic, "[FILTER]\n  Name wasmtime\n  Match db.*\n  Alias folds")],
		"chain.yaml": "config: wraps.conf\ninput: |\n  {\"to\":\"db.x\",\"n\":2}\n  {\"to\":\"db.x\",\"n\":1}\noutput: '{\"to\":\"db.x\",\"n\":1}'\n" +
			"emitted:\n  db.x: |\n    {\"tag\":\"db.x\",\"sec\":1767225600,\"record\":{\"to\":\"db.x\",\"n\":2}}\n    {\"tag\":\"db.x\",\"sec\":1767225600,\"record\":{\"to\":\"db.x\",\"n\":1}}\n",
		// The guest sends what comes back on again: that stays, once more if there is a copy of it.
		"loop.yaml": "config: wraps.conf\ninput: |\n  {\"a\":1}\n  {\"to\":\"app.x\",\"n\":2}\n  {\"to\":\"app.y\",\"n\":3}\n  {\"to\":\"app.y\",\"n\":1}\noutput: |\n  {\"a\":1}\n  {\"to\":\"app.y\",\"n\":1}\n" +
			"emitted:\n  app.x: '{\"to\":\"app.x\",\"n\":2}'\n  app.y: |\n    {\"to\":\"app.y\",\"n\":1}\n    {\"to\":\"app.y\",\"n\":3}\n    {\"to\":\"app.y\",\"n\":1}\n" +
			"log: 'warn sends: records stay under the tag \"app.x\" that they came with, and do not go on under \"app.x\": they have been through this filter before'\n",
		// What a filter holds back of another one's records comes at the end, and goes on.
		"fold.yaml": "config: fluent-bit.conf\ninput: |\n  {\"to\":\"db.x\",\"n\":2}\n  [\"tick\"]\n  {\"to\":\"db.y\",\"n\":1}\noutput: '{\"to\":\"db.y\",\"n\":1}'\nskip: []\n" +
			"emitted:\n  counts: |\n    [[null, {}], {\"tag\":\"counts\",\"sec\":SEC,\"record\":{\"n\":1,\"last\":0}}]\n    [[null, {}], {\"tag\":\"counts\",\"sec\":SEC,\"record\":{\"n\":1,\"last\":1}}]\n",
	})
	got := runMain("", "test", filepath.Join(dir, "chain.yaml"), filepath.Join(dir, "loop.yaml"))
	if got.code != 0 {
		t.Errorf("%+v", got)
	}
	// What wraps them writes the time of day, which differs.
	fold := filepath.Join(dir, "fold.yaml")
	got = runMain("", "test", fold)
	if lines := strings.Count(got.stdout, "\n"); got.code != 2 || lines != 3 || !strings.Contains(got.stdout, "emitted: counts: line 1") {
		t.Errorf("%+v", got)
	}
	text, err := os.ReadFile(fold)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fold, bytes.ReplaceAll(text, []byte("SEC"), []byte("0")), 0o644); err != nil {
		t.Fatal(err)
	}
	got = runMain("", "test", fold)
	seconds := regexp.MustCompile(`\+ \d{10}\n`)
	if want := "  emitted under counts, event 1\n    $sec\n      - 0\n      @  emitted under counts, event 2\n    $sec\n      - 0\n      @0 passed"; got.code != 1 ||
		!strings.Contains(seconds.ReplaceAllString(got.stdout, "@"), want) {
		t.Errorf("%+v", got)
	}

	// A loop is not passed over.
	loop := filepath.Join(dir, "loop.yaml")
	text, err = os.ReadFile(loop)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(loop, text[:bytes.Index(text, []byte("log:"))], 0o644); err != nil {
		t.Fatal(err)
	}
	got = runMain("", "test", loop)
	if got.code != 1 || !strings.Contains(got.stdout, "  loop\n    + 3 records would go round in a circle, which is cut: if that is right, expect the warning in log\n  log\n    + warn sends: records stay under the tag") {
		t.Errorf("%+v", got)
	}
}

// A filter that another one hands something over to at the end hands it on, and one that goes round in a circle ends.
func TestCasesEnd(t *testing.T) {
	filter := func(match, guest, tags string) string {
		return "[FILTER]\n  Name wasmtime\n  Match " + match + "\n  wasm_path " + guest + "\n  function_name filter\n  emit_tags " + tags + "\n"
	}
	dir := casesIn(t, map[string]string{"x": "@folds@"})
	folds, totals := filepath.Join(dir, "folds.wat"), filepath.Join(dir, "totals.wat")
	for path, text := range map[string]string{
		totals:                            strings.Replace(guests.WAT("folds"), `"counts"`, `"totals"`, 1),
		filepath.Join(dir, "end.conf"):    filter("counts", totals, "totals") + filter("app.*", folds, "counts"),
		filepath.Join(dir, "circle.conf"): filter("*", folds, "counts"),
		filepath.Join(dir, "end.yaml"):    "config: end.conf\ninput: |\n  {}\n  {}\noutput: ''\nemitted:\n  totals: '[[null, {}], {\"n\":1,\"last\":1}]'\n",
		filepath.Join(dir, "circle.yaml"): "config: circle.conf\ninput: |\n  {}\n  {}\noutput: ''\nlog: error after 8 final ticks filters still hand records over\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := runMain("", "test", filepath.Join(dir, "end.yaml"), filepath.Join(dir, "circle.yaml")); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

// What cases have in common stands in one file, and each may set it anew.
func TestCasesInCommon(t *testing.T) {
	dir := casesIn(t, map[string]string{
		"common.yaml":   "tag: a\nfilter:\n  wasm_path: '@configured@'\n  config.greeting: hello\n",
		"one.yaml":      "input: '{}'\noutput: '{\"config\":\"hello\"}'\n",
		"two.yml":       "filter: {config.greeting: bye}\ninput: '{}'\noutput: '{\"config\":\"bye\"}'\n",
		"sub/wrap.yaml": "filter: {wasm_path: '../wrap.wat'}\ninput_file: in.ndjson\noutput_file: out.ndjson\n", // of another directory
		"sub/in.ndjson": "{\"a\":1}\n", "sub/out.ndjson": "{\"tag\":\"app.log\",\"sec\":1767225600,\"record\":{\"a\":1}}\n",
		".hidden/x.yaml": "no case", "readme": "@wrap@",
	})
	got := runMain("", "test", dir)
	if got.code != 0 || !strings.HasSuffix(got.stdout, "\n3 passed, 0 failed, 0 could not be run\n") {
		t.Errorf("%+v", got)
	}
	if got := runMain("", "test", filepath.Join(dir, "one.yaml")); got.code != 0 || !strings.HasSuffix(got.stdout, "\n1 passed, 0 failed, 0 could not be run\n") {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "common.yaml"), []byte("output: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := runMain("", "test", dir); got.code != 2 || !strings.Contains(got.stdout, `common.yaml:1: unknown key "output"`) {
		t.Errorf("%+v", got)
	}
	other := filepath.Join(dir, "wrap.wat")
	if got := runMain("", "test", "--wasm-path", other, filepath.Join(dir, "sub")); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if got := runMain("", "test", "--wasm-path", guestFile(t, "drop"), filepath.Join(dir, "sub")); got.code != 1 || !strings.Contains(got.stdout, "  output 1\n    - {") {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"/no/such"}, {t.TempDir()}} {
		if got := runMain("", append([]string{"test"}, args...)...); got.code != 2 || got.stdout != "" || got.stderr == "" {
			t.Errorf("%+v", got)
		}
	}
}

// A raw chunk is an input as it is.
func TestCasesOfChunks(t *testing.T) {
	raw := chunk.AppendRecord(nil, 5, 6, []byte{0x81, 0xa1, 'm', 1}, []byte{0x81, 0xa1, 'b', 0xc4, 1, 0xff})
	dir := casesIn(t, map[string]string{
		"case.yaml": "filter: {wasm_path: '@msgpack_identity@', event_format: msgpack}\ninput_file: in.msgpack\noutput: '[[5.000000006,{\"m\":1}],{\"b\":{\"$bin\":\"/w==\"}}]'\n",
	})
	if err := os.WriteFile(filepath.Join(dir, "in.msgpack"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := runMain("", "test", dir); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

// --update changes what is not as expected, and nothing else: comments, order, what holds.
func TestCasesUpdate(t *testing.T) {
	before := `# What this is about.
output: |
  # no line
  {"n":  1}
  {"n":9}

# Why.
failed: 7

filter: {wasm_path: '@trap_when_told@'}
# Of events:
input: |
  {"n":  1}
  {"n":2}
  [[5, {"m":1}], {"trap":true}]
log: |
  error unreachable
  warn  gone
errors:
  5: 1
# The end.
`
	want := `# What this is about.
output: |
  {"n":  1}
  {"n":2}
  [["1970-01-01T00:00:05Z",{"m":1}],{"trap":true}]

# Why.
failed: 1

filter: {wasm_path: '@trap_when_told@'}
# Of events:
input: |
  {"n":  1}
  {"n":2}
  [[5, {"m":1}], {"trap":true}]
log: |
  error unreachable
# The end.
`
	before = strings.Replace(before, "  # no line\n", "", 1)
	dir := casesIn(t, map[string]string{"case.yaml": before, "want": want, "new.yaml": "filter: {wasm_path: '@drop@'}\ninput: '{}'",
		"files.yaml": "filter: {wasm_path: '@identity@'}\ninput_file: in.ndjson\noutput_file: out.ndjson\n", "in.ndjson": "{\"a\": 1}\n",
		"flow.yaml": "{filter: {wasm_path: '@identity@'}, input: '{}', output: '{\"a\":1}'}\n"})
	got := runMain("", "test", "--update", dir)
	if got.code != 2 || !strings.Contains(got.stdout, "output can't be replaced: it does not begin a line") {
		t.Errorf("%+v", got)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if diff := cmp.Diff(read("want"), read("case.yaml")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := read("new.yaml"); !strings.HasSuffix(got, "\ninput: '{}'\noutput: \"\"\n") {
		t.Errorf("%q", got)
	}
	if got := read("out.ndjson"); got != "{\"a\":1}\n" {
		t.Errorf("%q", got)
	}
	if err := os.Remove(filepath.Join(dir, "flow.yaml")); err != nil {
		t.Fatal(err)
	}
	if got := runMain("", "test", dir); got.code != 0 {
		t.Errorf("%+v", got)
	}
	got = runMain("", "test", "--update", dir)
	if got.code != 0 || strings.Contains(got.stdout, "wrote") {
		t.Errorf("%+v", got)
	}
}

// --update writes what is emitted under other tags: what holds stays as it is, and a time of day may be any.
func TestCasesUpdateEmitted(t *testing.T) {
	const routed = "filter: {wasm_path: '@routes@', emit_tags: '*'}\ninput: |\n  {\"to\": \"a.b\", \"n\": 2}\n  {\"to\":\"c d\",\"n\":3}\n  {\"to\":\"a.b\",\"n\":4}\noutput: \"\"\n"
	dir := casesIn(t, map[string]string{
		"new.yaml":  routed,
		"old.yaml":  routed + "# Where to.\nemitted:\n  gone: '{}'\n  none: ''\n  a.b: |\n    {\"to\": \"a.b\",   \"n\": 2}\n    {\"n\":0}\n# The end.\n",
		"fold.yaml": "filter: {wasm_path: '@folds@', emit_tags: counts}\ninput: '{}'\noutput: ''\n",
		"less.yaml": "filter: {wasm_path: '@identity@'}\nemitted: {a: '{}'}\ninput: '{}'\noutput: '{}'\n",
	})
	got := runMain("", "test", "--update", dir)
	if got.code != 0 || strings.Count(got.stdout, "wrote ") != 4 {
		t.Errorf("%+v", got)
	}
	for name, want := range map[string]string{
		"new.yaml":  "\noutput: \"\"\nemitted:\n  a.b: |\n    {\"to\":\"a.b\",\"n\":2}\n    {\"to\":\"a.b\",\"n\":4}\n  \"c d\": |\n    {\"to\":\"c d\",\"n\":3}\n",
		"old.yaml":  "\n# Where to.\nemitted:\n  none: \"\"\n  a.b: |\n    {\"to\": \"a.b\",   \"n\": 2}\n    {\"to\":\"a.b\",\"n\":4}\n  \"c d\": |\n    {\"to\":\"c d\",\"n\":3}\n# The end.\n",
		"fold.yaml": "\noutput: ''\nemitted:\n  counts: |\n    [[null,{}],{\"n\":1,\"last\":1}]\n",
		"less.yaml": ".wat'}\ninput: '{}'\noutput: '{}'\n",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(text), want) {
			t.Errorf("%s: %s", name, text)
		}
	}
	if got := runMain("", "test", dir); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if got := runMain("", "test", "--update", dir); got.code != 0 || strings.Contains(got.stdout, "wrote") {
		t.Errorf("%+v", got)
	}
}

// JUnit's XML has each case, where it failed and where it could not be run.
func TestCasesJUnit(t *testing.T) {
	dir := casesIn(t, map[string]string{
		"a/good.yaml": "filter: {wasm_path: '@identity@'}\ninput: '{}'\noutput: '{}'\n",
		"a/bad.yaml":  "filter: {wasm_path: '@identity@'}\ninput: '{\"a\":\"]]>&<\\u0001\"}'\noutput: '{}'\n",
		"b/none.yaml": "x: y\n",
	})
	file := filepath.Join(dir, "junit.xml")
	if got := runMain("", "test", "--junit", file, dir); got.code != 2 {
		t.Errorf("%+v", got)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure string `xml:"failure"`
				Error   *struct {
					Message string `xml:"message,attr"`
				} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	var got suites
	if err := xml.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Tests != 3 || got.Failures != 1 || got.Errors != 1 || len(got.Suites) != 2 || len(got.Suites[0].Cases) != 2 {
		t.Fatalf("%s", text)
	}
	bad, good, none := got.Suites[0].Cases[0], got.Suites[0].Cases[1], got.Suites[1].Cases[0]
	if bad.Name != "bad" || !strings.Contains(bad.Failure, "$a\n      + \"]]>&<\\u0001\"\n") || good.Failure != "" || good.Error != nil ||
		none.Error == nil || !strings.Contains(none.Error.Message, `unknown key "x"`) {
		t.Errorf("%s", text)
	}
	if got := runMain("", "test", "--junit", "/no/such/file", dir); got.code != 2 || !strings.Contains(got.stderr, "--junit: ") {
		t.Errorf("%+v", got)
	}
}
