package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An SDK has so many lines of code that a filter is compiled with, at most: lines that have more than a
// comment. What stands in for the host in tests does not count. Metrics and traces are a part of their own.
func TestSDKsAreSmall(t *testing.T) {
	for _, sdk := range []struct {
		name, ext string
		most      int
		without   []string
	}{
		{"rust", ".rs", 1499, []string{"src/testing.rs", "src/otlp.rs", "tests"}},
		{"rust/src/otlp.rs", ".rs", 999, nil},
		{"c", ".h", 1499, []string{"flb_test.h"}},
		{"go", ".go", 1499, []string{"flbtest", "otlp", "internal/readme", "native.go", "internal/sys/sys_native.go"}},
		{"go/otlp", ".go", 999, nil},
		{"assemblyscript", ".ts", 1499, []string{"test", "node_modules"}},
		{"zig", ".zig", 1499, []string{"src/testing.zig", "tests", "build.zig", ".zig-cache"}},
	} {
		t.Run(sdk.name, func(t *testing.T) {
			root, lines := filepath.Join("../../sdk", sdk.name), 0
			err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				for _, left := range sdk.without {
					if path == filepath.Join(root, left) && entry.IsDir() {
						return filepath.SkipDir
					} else if path == filepath.Join(root, left) {
						return nil
					}
				}
				if filepath.Ext(path) != sdk.ext || strings.HasSuffix(path, "_test.go") || entry.IsDir() {
					return nil
				}
				text, err := os.ReadFile(path)
				lines += codeLines(string(text))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if lines == 0 || lines > sdk.most {
				t.Errorf("sdk/%s has %d lines of code: want 1 to %d", sdk.name, lines, sdk.most)
			}
			t.Logf("%d lines of code", lines)
		})
	}
}

// codeLines counts lines that are neither blank nor a comment alone: of // and, at a line's beginning, /* */.
func codeLines(text string) int {
	lines, inComment := 0, false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "/*") {
			inComment = true
		}
		if inComment {
			_, after, ends := strings.Cut(line, "*/")
			inComment, line = !ends, after
		}
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
	}
	return lines
}

func TestCodeLines(t *testing.T) {
	const text = "a\n\n  // b\n/* c */\n/* d\n * e\n*/ f\n/// g\nh // i\n\t/* j */ k\n"
	if n := codeLines(text); n != 4 {
		t.Errorf("%d lines in %q, want 4", n, text)
	}
}
