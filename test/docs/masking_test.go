package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// The modules that mask, by the names that examples and documents give them. {{name}} is what new makes.
	masks        = regexp.MustCompile(`^\s*wasm_path:?\s+\S*(?:redact[^/]*|mask[^/]*|showcase[^/]*|showcase/\w+|\{\{name\}\})\.wasm$`)
	sectionStart = regexp.MustCompile(`^\s*(?:\[\w+\]|- name: .*|config: \||)$`)
	failsClosed  = regexp.MustCompile(`(?m)^\s*on_error:?\s+drop$`)
	reason       = regexp.MustCompile(`(?s)(?:not\s+leave|not\s+be\s+masked|fails\s+on|fail\s+open|fails\s+closed).{0,200}on_error drop|on_error drop.{0,200}(?:not\s+leave|not\s+be\s+masked|fails\s+on)`)
)

// maskingSections are the sections of a file that run a module that masks.
func maskingSections(text string) (found []string) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !masks.MatchString(line) {
			continue
		}
		first, last := i, i+1
		for first > 0 && !sectionStart.MatchString(lines[first-1]) {
			first--
		}
		for last < len(lines) && !sectionStart.MatchString(lines[last]) {
			last++
		}
		found = append(found, strings.Join(lines[first:last], "\n"))
	}
	return found
}

// What masks fails closed, in each configuration that may be copied, and the file says why.
func TestMaskingFailsClosed(t *testing.T) {
	files, sections := 0, 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// Cases of flb-wasmtime test are no configurations: what fails there is seen.
		if d.IsDir() && slices.Contains([]string{".git", "build", "cases", "node_modules", "target", "test"}, d.Name()) {
			return fs.SkipDir
		}
		if !slices.Contains([]string{".conf", ".md", ".yaml", ".yml"}, filepath.Ext(name)) {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		text := regexp.MustCompile("(?s)<!-- case -->\n```.*?```").ReplaceAllString(string(b), "")
		masking := maskingSections(text)
		if len(masking) == 0 {
			return nil
		}
		files++
		for _, section := range masking {
			sections++
			if !failsClosed.MatchString(section) {
				t.Errorf("%s: what the module fails on leaves unmasked:\n%s", name, section)
			}
		}
		if !reason.MatchString(strings.ReplaceAll(text, "`", "")) {
			t.Errorf("%s does not say why on_error is drop", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 || sections < 30 {
		t.Errorf("%d configurations in %d files that mask were found", sections, files)
	}
}

func TestMaskingSections(t *testing.T) {
	for text, want := range map[string]int{
		"[FILTER]\n    Name wasmtime\n    wasm_path /a/redact.wasm\n\n[OUTPUT]\n    on_error drop\n":         1,
		"  - name: wasmtime\n    on_error: drop\n    wasm_path: showcase-c/showcase.wasm\n  - name: other\n": 0,
		"  - name: wasmtime\n    wasm_path: showcase/batch.wasm\n  - name: wasmtime\n    on_error: drop\n":   1,
		"[FILTER]\n    wasm_path enrich.wasm\n":                                                              0,
	} {
		open := 0
		for _, section := range maskingSections(text) {
			if !failsClosed.MatchString(section) {
				open++
			}
		}
		if open != want {
			t.Errorf("%d sections fail open, want %d:\n%s", open, want, text)
		}
	}
}
