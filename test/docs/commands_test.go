package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var commandLine = regexp.MustCompile(`(?m)^build/flb-wasmtime (?:run|test|check|bench) .*$`)

// The commands that README shows work as they stand there, from the root of the project.
func TestCommands(t *testing.T) {
	n := 0
	for _, b := range blocks(read(t).text["README.md"]) {
		for _, line := range commandLine.FindAllString(b.text, -1) {
			n++
			cmd := exec.Command("sh", "-c", line)
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) == "" {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	}
	if n < 7 {
		t.Errorf("%d commands found", n)
	}
}

// The case that testing.md shows passes.
func TestCase(t *testing.T) {
	_, after, ok := strings.Cut(read(t).text["docs/testing.md"], "<!-- case -->\n")
	if !ok {
		t.Fatal("there is no case")
	}
	dir := t.TempDir()
	for name, from := range map[string]string{"showcase.wasm": "examples/showcase-rust/showcase.wasm", "geo.csv": "examples/showcase/geo.csv"} {
		content, err := os.ReadFile(filepath.Join(root, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "cases"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cases", "mask.yaml"), []byte(blocks(after)[0].text), 0o644); err != nil {
		t.Fatal(err)
	}
	command, err := filepath.Abs(filepath.Join(root, "build", "flb-wasmtime"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command, "test")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "1 passed, 0 failed") {
		t.Errorf("%v\n%s", err, out)
	}
}
