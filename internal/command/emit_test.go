package command

import (
	"bufio"
	"errors"
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
