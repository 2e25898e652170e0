package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// What flb-wasmtime run makes of a configuration whose filters emit under other tags, for one another and in a circle, is
// what Fluent Bit makes of it.
func TestRunEmitsAsFluentBit(t *testing.T) {
	command, err := fluentbit.Plugin("flb-wasmtime")
	if err != nil {
		t.Fatal(err)
	}
	eachThatTakesEvents(t, func(t *testing.T, fb fluentBit) {
		out := t.TempDir()
		input := linesFile(t, `{"a":1}`, `{"to":"db.x","n":2}`, `{"to":"app.y","n":1}`, `{"to":"app.y","n":3}`, `{"to":"db.x","n":1}`,
			`{"to":"db.z","n":5}`, `{"bad":"!"}`, `{"to":"fold","n":2}`, `{"to":"fold","n":1}`, `{"to":"db.x","n":7}`)
		p := pipeline{
			inputs: []plugin{tailInput(input, "json")},
			filters: []plugin{
				{name: "wasmtime", options: []string{"match", "app*", "wasm_path", guest(t, "routes"), "function_name", "filter",
					"emit_tags", "db.*,app.*,fold", "on_error", "route:dead.$TAG", "mark_key", "why"}},
				{name: "wasmtime", options: []string{"match", "db.*", "wasm_path", guest(t, "drop_every_other"), "function_name", "filter"}},
				{name: "wasmtime", options: []string{"match", "fold", "wasm_path", guest(t, "folds"), "function_name", "filter",
					"emit_tags", "counts", "tick_interval", "1h"}},
			},
			outputs: []plugin{{name: "file", options: []string{"match", "*", "path", out, "format", "msgpack"}}}, // a file for each tag
		}
		if code := fb.start(t, p).wait(); code != 0 {
			t.Fatal(code)
		}
		got := map[string][]string{}
		files, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(filepath.Join(out, file.Name()))
			if err != nil {
				t.Fatal(err)
			}
			events, err := oracle.Unpack(data)
			if err != nil {
				t.Fatal(err)
			}
			for _, body := range bodies(events) {
				got[file.Name()] = append(got[file.Name()], fmt.Sprint(body))
			}
		}

		run := exec.Command(command, "run", "--quiet", "--log-level=off", "--config", p.write(t, t.TempDir()), input)
		var stderr bytes.Buffer
		run.Stderr = &stderr
		text, err := run.Output()
		if run.ProcessState.ExitCode() != 1 { // a record fails
			t.Fatalf("%v: %s", err, stderr.String())
		}
		want := map[string][]string{}
		for line := range strings.Lines(string(text)) {
			tag, body := "app", any(nil)
			if err := json.Unmarshal([]byte(line), &body); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			if list, ok := body.([]any); ok {
				tag, body = list[0].(string), list[1]
			}
			want[tag] = append(want[tag], fmt.Sprint(body))
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) != 5 {
			t.Errorf("%d tags; (-run +Fluent Bit):\n%s", len(want), diff)
		}
	})
}
