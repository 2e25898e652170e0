package docs

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var commandLine = regexp.MustCompile(`(?m)^build/flb-wasmtime (?:run|check|bench) .*$`)

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
	if n < 5 {
		t.Errorf("%d commands found", n)
	}
}
