package command

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		name  string
		guest string
		args  []string
		code  int
		want  []string // parts of the report, in order; one blank stands for many
	}{
		{"good", "identity", []string{"--function-name", "filter"}, 0, []string{
			"size ", " bytes\n", "code compiled in ", "function filter: func (i32, i32, i32, i32, i32, i32) -> i32\n",
			"ABI as Fluent Bit's wasm filter", "input malloc and free", "called first nothing\n",
			"exports memory: memory", "malloc: func (i32) -> i32\n", "imports none\n", "problems none\n", "result the plugin would start\n"}},
		{"batches", "batch_script", nil, 0, []string{
			"candidates filter: func (i32, i32) -> i32\n", "ABI batches, version 1: (input, length) -> reply\n", "input one buffer by flb_buffer"}},
		{"no function asked for", "wasi_print", nil, 0, []string{
			"candidates filter: func ", "imports wasi_snapshot_preview1.fd_write: func ", "problems none\n",
			"result the plugin would start with one of the candidates as function_name\n"}},
		{"initialisation", "needs_initialize", nil, 0, []string{"called first _initialize\n"}},
		{"warnings", "start_traps", nil, 0, []string{"warnings the module is a command", "problems none\n"}},
		{"no such function", "identity", []string{"--function-name", "go_filter"}, 1, []string{
			"function go_filter: not exported\n", "ABI none that is known\n", "problems function \"go_filter\" is not exported", "filter\n",
			"result the plugin would refuse this module\n"}},
		{"signature", "wrong_signature", []string{"--function-name", "filter"}, 1, []string{
			"function filter: func (i32, i32, i32, i32, i32) -> i32\n", "ABI none that is known\n", "problems function \"filter\" has the type"}},
		{"no candidate", "wrong_signature", nil, 1, []string{"candidates none\n", "ABI none that is known\n", "result the plugin would refuse"}},
		{"import", "unknown_import", []string{"--function-name", "filter"}, 1, []string{
			"imports env.mystery: func ", "problems the module imports env.mystery"}},
		{"memory", "no_memory", nil, 1, []string{"problems the module exports no memory"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := guestFile(t, tt.guest)
			got := runMain("", append([]string{"check", path}, tt.args...)...)
			text := regexp.MustCompile(` +`).ReplaceAllString(got.stdout, " ")
			if got.code != tt.code || got.stderr != "" {
				t.Errorf("exit code %d, want %d; stderr %q", got.code, tt.code, got.stderr)
			}
			rest := text
			for _, want := range append([]string{"module " + path + "\n"}, tt.want...) {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Errorf("the report does not have %q after what comes before it:\n%s", want, got.stdout)
					break
				}
				rest = after
			}
		})
	}

	t.Run("no file", func(t *testing.T) {
		checkResult(t, runMain("", "check", "/no/such.wasm"), 1, "", "flb-wasmtime: ", "no such file")
	})
	t.Run("no module", func(t *testing.T) {
		checkResult(t, runMain("", "check", writeFile(t, "x.wasm", "\x00asm\x01\x00\x00\x00\xff")), 1, "", "flb-wasmtime: ")
	})
}

func TestVersionText(t *testing.T) {
	tests := []struct {
		name string
		info *debug.BuildInfo
		want []string
	}{
		{"none", nil, []string{"flb-wasmtime " + version.Version, guest.EngineText(), "wasmtime-go unknown"}},
		{"installed", &debug.BuildInfo{Deps: []*debug.Module{
			{Path: "github.com/bytecodealliance/wasmtime-go/v44", Version: "v44.0.0"}}},
			[]string{"flb-wasmtime " + version.Version, guest.EngineText(), "wasmtime-go v44.0.0"}},
		{"from a working copy", &debug.BuildInfo{Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}},
			[]string{"flb-wasmtime " + version.Version + " (abc, modified)", guest.EngineText(), "wasmtime-go unknown"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, strings.Split(string(versionText(tt.info)), "\n")[:3]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if flag, command := runMain("", "--version"), runMain("", "version"); flag != command {
		t.Errorf("--version: %+v, version: %+v", flag, command)
	}
	got := runMain("", "version")
	if got.code != 0 || !regexp.MustCompile(`(?m)^go1\S* \w+/\w+\nFluent Bit 1\.9 – 5\.1$`).MatchString(got.stdout) {
		t.Errorf("exit code %d, output %q", got.code, got.stdout)
	}
}

func TestCompile(t *testing.T) {
	path := guestFile(t, "wrap")
	out := filepath.Join(t.TempDir(), "out.cwasm")
	if got := runMain("", "compile", "-o", out, "--cpu", "baseline", path); got.code != 0 || got.stderr != "" ||
		!strings.HasPrefix(got.stdout, out+": ") || !strings.Contains(got.stdout, "CPU baseline, wasmtime ") {
		t.Fatalf("%+v", got)
	}
	args := []string{"run", "--wasm-path", out, "--function-name", "filter", "--tag", "t", "--time", "1970-01-01T00:00:09Z", "--quiet"}
	got := runMain(`{"a":1}`+"\n", args...)
	if got.code != 2 || !strings.Contains(got.stderr, "allow_precompiled") {
		t.Errorf("%+v", got)
	}
	got = runMain(`{"a":1}`+"\n", append(args, "--allow-precompiled")...)
	if want := `{"tag":"t","sec":9,"record":{"a":1}}` + "\n"; got.code != 0 || got.stdout != want {
		t.Errorf("%+v, want %s", got, want)
	}
	if got := runMain("", "check", "--allow-precompiled", out); got.code != 0 || !strings.Contains(got.stdout, "precompiled, loaded in") {
		t.Errorf("%+v", got)
	}
	// Without -o the file stands beside the module.
	if got := runMain("", "compile", path); got.code != 0 || !strings.HasPrefix(got.stdout, strings.TrimSuffix(path, filepath.Ext(path))+".cwasm: ") {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"--target", "pdp11"}, {"--cpu", "z80"}, {"--cpu", "sse42,z80"}} {
		if got := runMain("", append([]string{"compile", "-o", out + "2", path}, args...)...); got.code != 2 || !strings.Contains(got.stderr, args[len(args)-1]) && !strings.Contains(got.stderr, "z80") {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if _, err := os.Stat(out + "2"); err == nil {
		t.Error("a file has been written")
	}
}

// Tables come from flags and configurations; bad ones are problems.
func TestTables(t *testing.T) {
	guest := guestFile(t, "lookup")
	good, bad := writeFile(t, "good.csv", "k,v\nk,one\n"), writeFile(t, "bad.csv", "k,v\nk\n")
	for _, command := range []string{"run", "bench"} {
		args := []string{command, guest, "--function-name", "filter", "--table", "T=" + good, writeFile(t, "in.ndjson", "{}\n")}
		got := runMain("", args...)
		if got.code != 0 || command == "run" && got.stdout != `{"value":{"v":"one"}}`+"\n" {
			t.Errorf("%s: %+v", command, got)
		}
	}
	got := runMain("", "check", guest, "--table", "t="+good)
	if got.code != 0 || !strings.Contains(got.stdout, "result         the plugin would start") {
		t.Errorf("%+v", got)
	}
	got = runMain("", "check", guest, "--table", "t="+bad)
	if got.code != 1 || !strings.Contains(got.stdout, "problems       option table.t: "+bad+": line 2: it has another number of fields than line 1\nresult") {
		t.Errorf("%+v", got)
	}
	got = runMain("", "check", guest)
	if got.code != 1 || !strings.Contains(got.stdout, "which is not granted: set table.NAME PATH") {
		t.Errorf("%+v", got)
	}
	config := writeFile(t, "fluent-bit.yaml", "pipeline:\n  filters:\n    - name: wasmtime\n      match: '*'\n      wasm_path: "+guest+
		"\n      function_name: filter\n      table.t: "+bad+"\n")
	got = runMain("", "check", "--config", config)
	if got.code != 1 || !strings.Contains(got.stdout, "option table.t: "+bad+": line 2: ") {
		t.Errorf("%+v", got)
	}
	got = runMain("{}\n", "run", guest, "--table", "t")
	if got.code != 2 || !strings.Contains(got.stderr, "it must be of the form NAME=PATH") {
		t.Errorf("%+v", got)
	}
}
