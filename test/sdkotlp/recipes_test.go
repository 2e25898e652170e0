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

// The recipes for metrics and traces make of in.json of their payloads what out.json says, as modules.
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
		name, signal string
		settings     []string
		empty        func() proto.Message
	}{
		{"tailsample", "traces", []string{"every=1000000000"}, func() proto.Message { return &trace.TracesData{} }},
		{"droplabel", "metrics", []string{"label=pod"}, func() proto.Message { return &metrics.MetricsData{} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, module := filepath.Join("../../examples/recipes", c.name), filepath.Join(t.TempDir(), "module.wasm")
			build := exec.Command("go", "build", "-buildmode=c-shared", "-o", module, ".")
			build.Dir = dir
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			read := func(name string) proto.Message {
				text, err := os.ReadFile(filepath.Join(dir, "payloads", name))
				if err != nil {
					t.Fatal(err)
				}
				m := c.empty()
				if err := protojson.Unmarshal(text, m); err != nil {
					t.Fatal(err)
				}
				return m
			}
			payload, err := proto.Marshal(read("in.json"))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "in.pb")
			if err := os.WriteFile(file, payload, 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"run", "--signal", c.signal, module, file}
			for _, s := range c.settings {
				args = append(args, "--set", s)
			}
			run := exec.Command(program, args...)
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
			if want := read("out.json"); !proto.Equal(got, want) {
				t.Errorf("got  %s\nwant %s\n%s", prototext.Format(got), prototext.Format(want), &stderr)
			}
		})
	}
}
