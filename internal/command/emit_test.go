package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// What a filter emits under other tags is written with these, or alone.
func TestRunEmitted(t *testing.T) {
	const in = `{"a":1}` + "\n" + `{"to":"x.y","n":2}` + "\n" + `{"to":"x.\"","n":1}` + "\n" + `{"to":"x.z","n":1}` + "\n" + `{"bad":"!"}` + "\n"
	const own = `{"a":1}` + "\n" + `{"to":"x.\"","n":1}` + "\n" + `{"to":"x.z","n":1}` + "\n"
	const routed = "{\"to\":\"x.y\",\"n\":2}\n{\"to\":\"x.\\\"\",\"n\":1}\n{\"to\":\"x.z\",\"n\":1}\n"
	args := func(more ...string) []string {
		return runArgs(t, "routes", append([]string{"--emit-tags", "x.*", "--on-error", "route:dead.$TAG"}, more...)...)
	}
	got := runMain(in, args()...)
	// The guest takes the tag as it is written, up to the quote.
	checkResult(t, got, 1, own+`["x.y",{"to":"x.y","n":2}]`+"\n"+`["x.\\",{"to":"x.\"","n":1}]`+"\n"+`["x.z",{"to":"x.z","n":1}]`+"\n"+
		`["dead.app.log",{"bad":"!"},{"wasmtime_error":"the guest trapped"}]`+"\n",
		"records in 5, out 3, dropped 0, routed 1, failed 1; ", ` µs per record; emitted 1 under "x.y", 1 under "x.\\", 1 under "x.z", 1 under "dead.app.log"`+"\n")
	checkResult(t, runMain(in, args("--only-tag", "x.*", "--quiet")...), 1, routed)
	checkResult(t, runMain(in, args("--only-tag", "app.log")...), 1, own, "records in 5, out 3, ")
	checkResult(t, runMain(in, args("--mark-key", "why", "--only-tag", "dead.*")...), 1, `{"bad":"!","why":"the guest trapped"}`+"\n")

	good := in[:strings.Index(in, `{"bad"`)]
	events := func(text string) []any { return decodeEvents(t, text) }
	all := runMain(good, args("--output-format", "msgpack")...)
	if n := len(events(all.stdout)); all.code != 1 || n != 3 || strings.Count(all.stderr, "are left out: choose one with --only-tag") != 1 || !strings.HasSuffix(all.stderr, "; left out 3\n") {
		t.Errorf("%d events, %+v", n, all)
	}
	one := runMain(good, args("--output-format", "msgpack", "--only-tag", "x.y")...)
	if list := events(one.stdout); one.code != 0 || len(list) != 1 || !strings.Contains(one.stdout, "x.y") {
		t.Errorf("%v, %+v", list, one)
	}

	got = runMain(in, args("--diff")...)
	want := "record 2: routed\n  under \"x.y\"\n" +
		"record 3: unchanged, and emitted\n  under \"x.\\\\\"\n    + {\"to\":\"x.\\\"\",\"n\":1}\n" +
		"record 4: unchanged, and emitted\n  under \"x.z\"\n    + {\"to\":\"x.z\",\"n\":1}\n" +
		"record 5: failed, and routed\n  under \"dead.app.log\"\n    metadata $wasmtime_error\n      + \"the guest trapped\"\n"
	if got.code != 1 || got.stdout != want || !strings.Contains(got.stderr, ` 1 under "dead.app.log"`) {
		t.Errorf("%+v", got)
	}
	if got := runMain(in, args("--diff", "--only-tag", "x")...); got.code != 2 || !strings.Contains(got.stderr, "leave --only-tag out") {
		t.Errorf("%+v", got)
	}
	if got := runMain(in, runArgs(t, "routes")...); got.code != 2 || !strings.Contains(got.stderr, "set emit_tags") {
		t.Errorf("%+v", got)
	}

	// More tags than the summary names.
	var many strings.Builder
	for n := range 30 {
		many.WriteString(`{"to":"x.` + string(rune('a'+n%26)) + strings.Repeat("b", n/26) + `","n":2}` + "\n")
	}
	got = runMain(many.String(), args()...)
	if got.code != 0 || strings.Count(got.stderr, " 1 under ") != 20 || !strings.HasSuffix(got.stderr, ", 10 under others\n") {
		t.Errorf("%+v", got)
	}
}

// Filters of a configuration get what others emit.
func TestRunFollowsTags(t *testing.T) {
	config := writeFile(t, "fluent-bit.conf", place(t, `
[FILTER]
    Name          wasmtime
    Match         app.*
    wasm_path     @routes@
    function_name filter
    emit_tags     db,app.x
[FILTER]
    Name          wasmtime
    Match         db
    wasm_path     @wrap@
    function_name filter
`, "routes", "wrap"))
	got := runMain("{\"to\":\"db\",\"n\":2}\n{\"to\":\"app.x\",\"n\":2}\n", "run", "--config", config, fixedTime)
	checkResult(t, got, 0, `["db",{"tag":"db","sec":1767366245,"record":{"to":"db","n":2}}]`+"\n"+`["app.x",{"to":"app.x","n":2}]`+"\n",
		`records stay under the tag "app.x" that they came with`, "\nfilter wasmtime.1: records in 1, out 1, ")
}

// Filters tick while nothing comes, and at the end.
func TestRunTicks(t *testing.T) {
	for _, name := range []string{"pipe", "diff"} {
		t.Run(name, func(t *testing.T) {
			stdin, toStdin := io.Pipe()
			fromStdout, stdout := io.Pipe()
			args := runArgs(t, "folds", "--quiet", "--emit-tags", "counts", "--tick-interval", "10ms", "--diff="+map[string]string{"pipe": "false", "diff": "true"}[name])
			code := make(chan int)
			go func() {
				c, _ := runTo(t, stdout, stdin, args...)
				stdout.Close()
				code <- c
			}()
			late := time.AfterFunc(20*time.Second, func() { fromStdout.CloseWithError(errors.New("nothing has come for too long")) })
			defer late.Stop()
			out := bufio.NewReader(fromStdout)
			until := func(part string) {
				t.Helper()
				for {
					line, err := out.ReadString('\n')
					if err != nil {
						t.Fatalf("%v before %s", err, part)
					}
					if strings.Contains(line, part) {
						return
					}
				}
			}
			for range 2 {
				if _, err := io.WriteString(toStdin, "{\"n\":1}\n"); err != nil {
					t.Fatal(err)
				}
				until(`{"n":1,"last":0}`)
			}
			toStdin.Close()
			if _, err := io.ReadAll(out); err != nil {
				t.Error(err)
			}
			if c := <-code; c != 0 {
				t.Errorf("exit code %d", c)
			}
		})
	}
	path := writeFile(t, "in.ndjson", "{}\n{}\n{}\n")
	checkResult(t, runMain("", runArgs(t, "folds", "--emit-tags", "counts", path)...), 0, `["counts",{"n":3,"last":1}]`+"\n", `emitted 1 under "counts"`)
	checkResult(t, runMain("", runArgs(t, "folds", "--emit-tags", "counts", "--tick-interval", "0", path)...), 0, "", "records in 3, out 0, dropped 3")
	// Ten records are too many for a tick of this guest.
	checkResult(t, runMain(strings.Repeat("{}\n", 10), runArgs(t, "folds", "--emit-tags", "counts")...), 1, "")
}

// A guest that emits, and folds, is measured as others are.
func TestBenchOfEmitted(t *testing.T) {
	for _, guest := range []string{"routes", "folds"} {
		in := writeFile(t, "in.ndjson", "{\"to\":\"x\",\"n\":2}\n")
		if got := runMain("", "bench", guestFile(t, guest), in, "--emit-tags", "*", "--tick-interval", "1ms", "--records", "5", "--log-level", "off"); got.code != 0 || got.stderr != "" {
			t.Errorf("%+v", got)
		}
	}
}

// check says where tags lead that filters of a configuration emit under.
func TestCheckRoutes(t *testing.T) {
	const filter = "    - name: wasmtime\n      match: app.*\n      wasm_path: '@routes@'\n      function_name: filter\n"
	for _, tt := range []struct {
		name, filters, outputs, processors string
		code                               int
		warnings                           []string
	}{
		{name: "good", filters: filter + "      emit_tags: 'db.*,alerts'\n      on_error: route:dead.$TAG\n",
			outputs: "    - {name: stdout, match: app.*}\n    - {name: stdout, match_regex: '^(db\\.|alerts)'}\n    - {name: stdout, match: dead.*}\n"},
		{name: "loops", filters: filter + "      emit_tags: '*.web,db'\n      on_error: route:app.dead\n", outputs: "    - {name: stdout, match: '*'}\n",
			warnings: []string{`emit_tags "*.web": its own Match has such tags`, `on_error "app.dead": its own Match has such tags`}},
		{name: "to itself alone", filters: filter + "      emit_tags: app.dead\n", outputs: "    - {name: stdout, match: app.log}\n",
			warnings: []string{`emit_tags "app.dead": its own Match`, `emit_tags "app.dead": no output matches such a tag`}},
		{name: "nowhere", filters: filter + "      emit_tags: 'db.*,alerts'\n      on_error: route:dead.$TAG\n", outputs: "    - {name: stdout, match: app.*}\n    - {name: stdout, match: alerts}\n",
			warnings: []string{`emit_tags "db.*": no output matches such a tag`, `on_error "dead.*": no output matches such a tag`}},
		{name: "an expression, which tells of tags and not of patterns", filters: filter + "      emit_tags: 'db.*,alerts,other'\n", outputs: "    - {name: stdout, match_regex: '^alerts$'}\n",
			warnings: []string{`emit_tags "other": no output matches such a tag`}},
		{name: "another filter", filters: filter + "      emit_tags: 'db.*,raw,more'\n" + "    - {name: rewrite_tag, match: db.x, rule: $a .* app.x false}\n" +
			strings.Replace(filter, "app.*", "raw", 1) + "      emit_tags: app.raw\n" + "    - {name: grep, match: more, regex: a b}\n",
			outputs: "    - {name: stdout, match: app.*}\n", warnings: []string{`emit_tags "more": no output`}},
		{name: "no outputs", filters: filter + "      emit_tags: 'db.*'\n"},
		{name: "output without match", filters: filter + "      emit_tags: 'db.*'\n", outputs: "    - {name: stdout}\n",
			warnings: []string{`output stdout.0 has no Match: Fluent Bit sends it nothing`, `emit_tags "db.*": no output`}},
		{name: "nothing is emitted", filters: strings.Replace(filter, "@routes@", "@identity@", 1), outputs: "    - {name: stdout}\n"},
		{name: "processor", processors: "      processors:\n        logs:\n          - {name: wasmtime, wasm_path: '@routes@', function_name: filter, emit_tags: x}\n", code: 1,
			outputs: "    - {name: stdout, match: '*'}\n", warnings: []string{"a processor can't emit under other tags: make it a filter"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "pipeline:\n  inputs:\n    - name: dummy\n      tag: app.log\n" + tt.processors
			if tt.filters != "" {
				text += "  filters:\n" + tt.filters
			}
			if tt.outputs != "" {
				text += "  outputs:\n" + tt.outputs
			}
			got := runMain("", "check", "--config", writeFile(t, "fluent-bit.yaml", place(t, text, "routes", "identity")))
			all := got.stdout + got.stderr
			n := strings.Count(all, "own Match") + strings.Count(all, "no output matches") + strings.Count(all, "no Match") + strings.Count(all, "make it a filter")
			if got.code != tt.code || n != len(tt.warnings) {
				t.Errorf("%d warnings, %+v", n, got)
			}
			for _, want := range tt.warnings {
				if !strings.Contains(all, want) {
					t.Errorf("it does not say %s: %+v", want, got)
				}
			}
		})
	}
}

// The output differs from the one before, line by line, with tags too.
func TestOutputDiffOfTags(t *testing.T) {
	got := outputDiff(paletteOf(io.Discard), "{\"a\":1}\n[\"x\",{\"n\":1}]\n", "{\"a\":1}\n[\"x\",{\"n\":2}]\n")
	if want := "output 2\n  $[1]['n']\n    - 1\n    + 2\n1 of 2 records differ\n"; got != want {
		t.Errorf("%q", got)
	}
}

// What would keep Fluent Bit from making an emitter is found before, in classic and YAML form: a reload with it would
// end the pipeline that runs.
func TestCheckEmitters(t *testing.T) {
	own := func(more ...string) []string {
		return append([]string{"name", "wasmtime", "match", "*", "wasm_path", "@routes@", "function_name", "filter", "emit_tags", "x"}, more...)
	}
	for _, tt := range []struct {
		name             string
		service, input   []string
		filters          [][]string
		faults           []string // of each, what is said on stderr
		problems, passes int      // of filters of this plugin
	}{
		{name: "no storage", filters: [][]string{own("emitter_storage.type", "filesystem")}, problems: 1,
			faults: []string{"filter wasmtime.0: option emitter_storage.type filesystem: the service has no storage.path: set it, or leave emitter_storage.type out"}},
		{name: "storage", service: []string{"storage.path", "/var/lib/x"}, filters: [][]string{own("emitter_storage.type", "filesystem")}, passes: 1},
		{name: "storage in memory", filters: [][]string{own("emitter_storage.type", "memory")}, passes: 1},
		{name: "storage of what emits nothing", filters: [][]string{{"name", "wasmtime", "match", "*", "wasm_path", "@identity@", "function_name", "filter", "emitter_storage.type", "filesystem"}}, passes: 1},
		{name: "one name", filters: [][]string{own("emitter_name", "em"), {"name", "grep", "match", "*", "regex", "a b"}, own("emitter_name", "em")},
			problems: 1, passes: 1,
			faults: []string{"filter wasmtime.2: option emitter_name: filter wasmtime.0 of @1@, which comes before, has an emitter em already: set emitter_name to another name"}},
		{name: "one alias", filters: [][]string{own("alias", "one"), own("alias", "one"), own("alias", "one")}, problems: 2, passes: 1,
			faults: []string{"filter one: option emitter_name: filter one of @1@, which comes before, has an emitter emitter_for_one already",
				"filter one: option emitter_name: filter one of @1@, which comes before"}},
		{name: "a name and a default", filters: [][]string{own(), own("emitter_name", "emitter_for_wasmtime.0")}, problems: 1, passes: 1,
			faults: []string{"filter wasmtime.1: option emitter_name: filter wasmtime.0 of @1@, which comes before, has an emitter emitter_for_wasmtime.0 already"}},
		{name: "names that differ", filters: [][]string{own("emitter_name", "em"), own("emitter_name", "EM"), own()}, passes: 3},
		{name: "not active", filters: [][]string{own("emitter_name", "em", "active", "false"), own("emitter_name", "em")}, passes: 1},
		{name: "an input's alias", input: []string{"alias", "em"}, filters: [][]string{own("emitter_name", "em")}, problems: 1,
			faults: []string{"filter wasmtime.0: option emitter_name: the input of @0@ is called em already: set emitter_name to another name"}},
		{name: "an input's number", filters: [][]string{own("emitter_name", "dummy.0")}, problems: 1,
			faults: []string{"filter wasmtime.0: option emitter_name: the input of @0@ is called dummy.0 already"}},
		{name: "rewrite_tag before", filters: [][]string{{"name", "rewrite_tag", "match", "y", "rule", "$a b c false", "alias", "one"}, own("alias", "one")}, problems: 1,
			faults: []string{"filter one: option emitter_name: filter one of @1@, which comes before, has an emitter emitter_for_one already"}},
		{name: "rewrite_tag behind", filters: [][]string{own("emitter_name", "em"), {"name", "rewrite_tag", "match", "y", "rule", "$a b c false", "emitter_name", "em"}}, passes: 1,
			faults: []string{"filter rewrite_tag.1: option emitter_name: filter wasmtime.0 of @1@, which comes before, has an emitter em already"}},
		{name: "multiline without a buffer", filters: [][]string{{"name", "multiline", "match", "y", "emitter_name", "em", "buffer", "off"}, own("emitter_name", "em")}, passes: 1},
	} {
		for _, form := range []string{"classic", "yaml"} {
			t.Run(tt.name+"/"+form, func(t *testing.T) {
				sections := []section{{"SERVICE", "service", append([]string{"flush", "1"}, tt.service...)},
					{"INPUT", "inputs", append([]string{"name", "dummy", "tag", "app"}, tt.input...)}}
				for _, f := range tt.filters {
					sections = append(sections, section{"FILTER", "filters", f})
				}
				sections = append(sections, section{"OUTPUT", "outputs", []string{"name", "stdout", "match", "*"}})
				text, lines := configuration(sections, form == "yaml")
				file := map[string]string{"classic": "fluent-bit.conf", "yaml": "fluent-bit.yaml"}[form]
				path := writeFile(t, file, place(t, text, "routes", "identity"))
				got := runMain("", "check", "--config", path)
				code := 0
				if len(tt.faults) > 0 {
					code = 1
				}
				if got.code != code || strings.Count(got.stderr, "option emitter_") != len(tt.faults) {
					t.Errorf("exit code %d, want %d: %s", got.code, code, got.stderr)
				}
				rest := got.stderr
				for _, want := range tt.faults {
					for i, line := range lines[1:] {
						want = strings.ReplaceAll(want, fmt.Sprintf("@%d@", i), fmt.Sprintf("%s:%d", path, line))
					}
					_, after, ok := strings.Cut(rest, want)
					if !ok {
						t.Errorf("it does not say %q:\n%s", want, got.stderr)
					}
					rest = after
				}
				if n, m := strings.Count(got.stdout, "the plugin would refuse"), strings.Count(got.stdout, "the plugin would start"); n != tt.problems || m != tt.passes {
					t.Errorf("%d would be refused, %d would start:\n%s", n, m, got.stdout)
				}
			})
		}
	}
}

// section is one of a configuration, by its two names, with its properties.
type section struct {
	classic, yaml string
	properties    []string
}

// configuration is the text of sections, and in which line each begins.
func configuration(sections []section, yaml bool) (string, []int) {
	var b strings.Builder
	var lines []int
	list := ""
	for i, s := range sections {
		switch {
		case !yaml:
			fmt.Fprintf(&b, "[%s]\n", s.classic)
		case i == 0:
			fmt.Fprintf(&b, "%s:\n", s.yaml)
		case i == 1:
			b.WriteString("pipeline:\n")
		}
		if yaml && i > 0 && s.yaml != list {
			list = s.yaml
			fmt.Fprintf(&b, "  %s:\n", list)
		}
		line := strings.Count(b.String(), "\n")
		if yaml {
			line++
		}
		lines = append(lines, line)
		for j := 0; j < len(s.properties); j += 2 {
			switch {
			case !yaml:
				fmt.Fprintf(&b, "    %s %s\n", s.properties[j], s.properties[j+1])
			case i == 0:
				fmt.Fprintf(&b, "  %s: '%s'\n", s.properties[j], s.properties[j+1])
			default:
				fmt.Fprintf(&b, "    %c %s: '%s'\n", "- "[min(j, 1)], s.properties[j], s.properties[j+1])
			}
		}
	}
	return b.String(), lines
}
