package sdkotlp

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// The recipes for metrics and traces, and the module of docs/metrics-traces.md, make of a payload what is expected.
func TestRecipes(t *testing.T) {
	program, err := filepath.Abs("../../build/flb-wasmtime")
	if err != nil {
		t.Fatal(err)
	}
	if other := os.Getenv("FLB_WASMTIME"); other != "" {
		program = other
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("NOT TESTED: the recipes for metrics and traces: make build first")
	}
	for _, c := range []struct {
		dir, signal, in, out string
		setting              string
		empty                func() proto.Message
	}{
		{"../../examples/recipes/tailsample", "traces", "in", "out", "every=1000000000", func() proto.Message { return &trace.TracesData{} }},
		{"../../examples/recipes/droplabel", "metrics", "in", "out", "label=pod", func() proto.Message { return &metrics.MetricsData{} }},
		{"labels", "metrics", "metrics", "metrics-out", "environment=test", func() proto.Message { return &metrics.MetricsData{} }},
		{"labels", "traces", "spans", "spans-out", "environment=test", func() proto.Message { return &trace.TracesData{} }},
	} {
		t.Run(filepath.Base(c.dir)+" "+c.signal, func(t *testing.T) {
			module := filepath.Join(t.TempDir(), "module.wasm")
			build := exec.Command("go", "build", "-buildmode=c-shared", "-o", module, ".")
			build.Dir = c.dir
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			read := func(name string) proto.Message {
				text, err := os.ReadFile(filepath.Join(c.dir, "payloads", name+".json"))
				if err != nil {
					t.Fatal(err)
				}
				m := c.empty()
				if err := protojson.Unmarshal(text, m); err != nil {
					t.Fatal(err)
				}
				return m
			}
			payload, err := proto.Marshal(read(c.in))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "in.pb")
			if err := os.WriteFile(file, payload, 0o600); err != nil {
				t.Fatal(err)
			}
			run := exec.Command(program, "run", "--signal", c.signal, "--set", c.setting, module, file)
			var stderr strings.Builder
			run.Stderr = &stderr
			out, err := run.Output()
			if strings.Contains(stderr.String(), "unknown flag: --signal") {
				t.Skip("NOT TESTED: this flb-wasmtime knows records alone")
			}
			if err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			got := c.empty()
			if err := proto.Unmarshal(out, got); err != nil {
				t.Fatalf("%v: %q", err, out)
			}
			if want := read(c.out); !proto.Equal(got, want) {
				t.Errorf("got  %s\nwant %s\n%s", prototext.Format(got), prototext.Format(want), &stderr)
			}
		})
	}
}
