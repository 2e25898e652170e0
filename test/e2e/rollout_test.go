package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// systemctl and journalctl do what systemd's would, for one Fluent Bit.
const systemctl = `#!/bin/sh
set -e
start() {
    "$FLUENT_BIT_UNDER_TEST" $RELOADS -e "$PLUGIN" -c "$DIR/etc/fluent-bit.conf" >>"$DIR/log" 2>&1 </dev/null &
    echo $! >"$DIR/pid"
}
stop() {
    pid=$(cat "$DIR/pid")
    kill -TERM $pid
    while [ -d /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status; do sleep 0.1; done
}
case $1 in
start) start ;;
stop) stop ;;
restart) stop; start ;;
reload) kill -HUP $(cat "$DIR/pid") ;;
esac
`

const journalctl = "#!/bin/sh\ncat \"$DIR/log\"\n"

// The commands of docs/rollout.md do what it says.
func TestRollout(t *testing.T) {
	text, err := os.ReadFile("../../docs/rollout.md")
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllSubmatch(text, -1) {
		steps = append(steps, string(m[1]))
	}
	if len(steps) != 5 {
		t.Fatalf("%d steps", len(steps))
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) { rollout(t, fb, steps) })
}

func rollout(t *testing.T, fb fluentBit, steps []string) {
	dir := t.TempDir()
	modules := filepath.Join(dir, "modules")
	for _, d := range []string{"bin", "etc", "modules", "here"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range map[string]string{"systemctl": systemctl, "journalctl": journalctl} {
		path := filepath.Join(dir, "bin", name)
		writeFile(t, path, script)
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(modules, "redact-1.0.0.wasm"), says(t, "1.0.0"))
	writeFile(t, filepath.Join(dir, "here", "redact-1.1.0.wasm"), says(t, "1.1.0"))
	writeFile(t, filepath.Join(dir, "here", "samples.ndjson"), "{\"log\":\"x\"}\n")
	config := pipeline{
		inputs: []plugin{{name: "dummy", options: []string{"tag", "app", "rate", "50", "dummy", `{"n":1}`}}},
		filters: []plugin{{name: "wasmtime", options: []string{
			"match", "*", "wasm_path", filepath.Join(modules, "redact-1.0.0.wasm"), "function_name", "redact"}}},
	}
	path := config.write(t, dir)
	if err := os.Rename(path, filepath.Join(dir, "etc", "fluent-bit.conf")); err != nil {
		t.Fatal(err)
	}

	reloads := strings.Contains(fb.help, "hot-reload")
	environment := append(os.Environ(), "DIR="+dir, "FLUENT_BIT_UNDER_TEST="+fb.path, "PLUGIN="+pluginPath, "RELOADS=",
		"PATH="+filepath.Join(dir, "bin")+":"+filepath.Dir(pluginPath)+":"+os.Getenv("PATH"))
	if reloads {
		environment = append(environment, "RELOADS=-Y")
	}
	sh := func(script string) {
		t.Helper()
		script = strings.NewReplacer("/var/lib/fluent-bit-modules", modules, "/etc/fluent-bit", filepath.Join(dir, "etc")).Replace(script)
		if !reloads { // as the page says
			script = strings.ReplaceAll(script, "systemctl reload", "systemctl restart")
		}
		cmd := exec.Command("timeout", "60", "sh", "-e", "-c", script)
		cmd.Dir, cmd.Env = filepath.Join(dir, "here"), environment
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, script, out)
		}
	}
	t.Cleanup(func() {
		killMentioning(dir)
		if log, _ := os.ReadFile(filepath.Join(dir, "log")); t.Failed() {
			t.Logf("%s", fluentbit.Clip(string(log)))
		}
	})
	// versions are those that records went through, in order.
	versions := func() (found []string) {
		b, _ := os.ReadFile(outPath(dir))
		events, _ := oracle.Unpack(b)
		for _, e := range events {
			found = append(found, fmt.Sprint(e.Body.(map[string]any)["version"]))
		}
		return slices.Compact(found)
	}
	runs := func(want ...string) {
		t.Helper()
		poll(t, fmt.Sprintf("records of versions %q", want), func() bool {
			got := versions()
			if len(got) > len(want) {
				t.Fatalf("records of versions %q, want %q", got, want)
			}
			return slices.Equal(got, want)
		})
	}

	sh("systemctl start fluent-bit")
	runs("1.0.0")
	for _, step := range steps[:3] {
		sh(step)
	}
	if old, _ := os.ReadFile(filepath.Join(dir, "here", "old.ndjson")); !bytes.Contains(old, []byte("1.0.0")) {
		t.Errorf("the old version makes %s", old)
	}
	runs("1.0.0")
	sh(steps[3])
	runs("1.0.0", "1.1.0")
	sh("cd /etc/fluent-bit\n" + steps[4])
	runs("1.0.0", "1.1.0", "1.0.0")
	sh("systemctl stop fluent-bit")
}

// says is a module whose function redact replies with a version.
func says(t *testing.T, version string) string {
	t.Helper()
	wasm, err := wasmtime.Wat2Wasm(`(module (memory (export "memory") 1)
	  (data (i32.const 16) "{\"version\":\"` + version + `\"}\00")
	  (func (export "redact") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))`)
	if err != nil {
		t.Fatal(err)
	}
	return string(wasm)
}
