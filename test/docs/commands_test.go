package docs

import (
	"fmt"
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

// The cases that testing.md shows pass.
func TestCases(t *testing.T) {
	dir := t.TempDir()
	for name, from := range map[string]string{"showcase.wasm": "examples/showcase-rust/showcase.wasm", "geo.csv": "examples/showcase/geo.csv",
		"route.wat": "test/guests/routes.wat", "window.wat": "test/guests/folds.wat"} {
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
	_, after, _ := strings.Cut(read(t).text["docs/testing.md"], "<!-- case -->\n")
	n := 0
	for more := true; more; n++ {
		text := strings.NewReplacer("route.wasm", "route.wat", "window.wasm", "window.wat").Replace(blocks(after)[0].text)
		if err := os.WriteFile(filepath.Join(dir, "cases", fmt.Sprintf("%d.yaml", n)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, after, more = strings.Cut(after, "<!-- case -->\n")
	}
	command, err := filepath.Abs(filepath.Join(root, "build", "flb-wasmtime"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command, "test")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || n < 3 || !strings.Contains(string(out), fmt.Sprintf("%d passed, 0 failed", n)) {
		t.Errorf("%d cases: %v\n%s", n, err, out)
	}
}
