package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// The command, flb-wasmtime run.
func TestCommand(t *testing.T) { RunAll(t, runCommand) }

var logForm = regexp.MustCompile(`^\[[^]]*\] \[ *([a-z]+)\] \[filter:[^]]*\] (.*)$`)

// runCommand gives the command the filter in a configuration, and a file for each chunk: it makes none
// of events of several files.
func runCommand(t *testing.T, c *Case, dir string) Result {
	filter := fmt.Sprintf("[FILTER]\n    name wasmtime\n    match %s\n    alias %s\n", c.Name, c.Name)
	for name, value := range c.FilterOptions(dir) {
		filter += fmt.Sprintf("    %s %s\n", name, value)
	}
	config := filepath.Join(dir, "fluent-bit.conf")
	if err := os.WriteFile(config, []byte(filter), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--quiet", "--config", config, "--tag", c.Name, "--chunk-records", "1000000",
		"--input-format", "msgpack", "--output-format", "msgpack"}
	for i, chunk := range c.Chunks {
		path := filepath.Join(dir, fmt.Sprintf("chunk-%d.msgpack", i))
		if err := os.WriteFile(path, chunk.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	path, err := fluentbit.Plugin("flb-wasmtime")
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := emulator.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// 1 says that records have failed.
	code := 0
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
		// A crash of Go's has the code 2, too.
		if code = exit.ExitCode(); code != 1 && code != 2 || strings.Contains(stderr.String(), "\ngoroutine ") {
			t.Fatalf("%v\n%.6000s", err, stderr.String())
		}
	}
	r := Result{Refused: code == 2, Message: stderr.String(), Joined: true, Chunks: [][]byte{stdout.Bytes()}}
	for line := range strings.Lines(stderr.String()) {
		if m := logForm.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			r.Log = append(r.Log, LogLine{m[1], m[2]})
		}
	}
	return r
}
