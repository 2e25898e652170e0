package command

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// result is what a run of the program leaves behind.
type result struct {
	code           int
	stdout, stderr string
}

func runMain(stdin string, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := Main(args, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// writeFile writes a file into a directory of the test and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// guestFile writes a guest to a file and returns its path.
func guestFile(t *testing.T, name string) string {
	t.Helper()
	return writeFile(t, name+".wat", guests.WAT(name))
}

// runArgs are those that run a guest and log nothing.
func runArgs(t *testing.T, name string, more ...string) []string {
	t.Helper()
	return append([]string{"run", "--wasm-path", guestFile(t, name), "--function-name", "filter", "--log-level", "off"}, more...)
}

// decode reads lines of JSON with a library; lines that are none stay text.
func decode(text string) []any {
	var values []any
	for line := range strings.Lines(text) {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			v = line
		}
		values = append(values, v)
	}
	return values
}

// checkResult compares the output as JSON, and what parts stderr has to have.
func checkResult(t *testing.T, got result, code int, stdout string, stderr ...string) {
	t.Helper()
	if got.code != code {
		t.Errorf("exit code %d, want %d", got.code, code)
	}
	if diff := cmp.Diff(decode(stdout), decode(got.stdout)); diff != "" {
		t.Errorf("standard output (-want +got):\n%s", diff)
	}
	rest := got.stderr
	for _, want := range stderr {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Errorf("standard error does not have %q after what comes before it", want)
			continue
		}
		rest = after
	}
	if t.Failed() {
		t.Logf("standard error:\n%s", got.stderr)
	}
}

func TestMainUsage(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
		want string // part of stdout if code is 0, else of stderr
	}{
		{"nothing", nil, 0, "Available Commands:"},
		{"help", []string{"run", "--help"}, 0, "--wasm-path string"},
		{"command", []string{"walk"}, 2, `unknown command "walk" for "flb-wasmtime"; flb-wasmtime --help lists the commands` + "\n"},
		{"flag", []string{"run", "--wasm-pth", "x"}, 2, "unknown flag: --wasm-pth (did you mean --wasm-path?)\n"},
		{"flag of another command", []string{"compile", "--tagg", "x"}, 2, "unknown flag: --tagg; flb-wasmtime compile --help lists the flags\n"},
		{"misspelt command", []string{"chek", "x"}, 2, `unknown command "chek" for "flb-wasmtime" (did you mean check?)` + "\n"},
		{"check too much", []string{"check", "a.wasm", "b.wasm"}, 2, "one module or configuration is checked: what is \"b.wasm\" for?"},
		{"compile too much", []string{"compile", "a.wasm", "b.wasm"}, 2, "one module is compiled: what is \"b.wasm\" for?"},
		{"check nothing", []string{"check"}, 2, "no module is given: name a .wasm file"},
		{"version", []string{"version", "x"}, 2, `version takes no arguments: what is "x" for?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runMain("", tt.args...)
			text := got.stdout
			if tt.code != 0 {
				text = got.stderr
			}
			if got.code != tt.code || !strings.Contains(text, tt.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
			}
		})
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func runTo(t *testing.T, stdout io.Writer, stdin io.Reader, args ...string) (code int, stderr string) {
	t.Helper()
	var errs bytes.Buffer
	code = Main(args, stdin, stdout, &errs)
	return code, errs.String()
}
