package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A tag is released if it is the version of the sources, and the changelog has an entry for it,
// which is what the release says.
func TestRelease(t *testing.T) {
	const log = "# Changelog\n\n## [1.2.0] - 2026-05-01\n\n### Added\n\n- This.\n\n## [1.1.0] - 2026-04-01\n\n- That.\n"
	for _, tt := range []struct {
		name, version, tag, changelog string
		notes, err                    string
	}{
		{"newest", "1.2.0", "v1.2.0", log, "\n### Added\n\n- This.\n\n", ""},
		{"last entry", "1.1.0", "v1.1.0", log, "\n- That.\n", ""},
		{"other tag", "1.2.0", "v1.2.1", log, "", "the tag has to be v1.2.0"},
		{"no v", "1.2.0", "1.2.0", log, "", "the tag has to be v1.2.0"},
		{"development", "1.2.0-dev", "v1.2.0-dev", log, "", "1.2.0-dev, which is not released"},
		{"no entry", "1.2.1", "v1.2.1", log, "", "CHANGELOG.md has no entry for 1.2.1"},
		{"unreleased", "1.3.0", "v1.3.0", "## [Unreleased]\n\n- This.\n", "", "CHANGELOG.md has no entry for 1.3.0"},
		{"a dot is a dot", "1.2.0", "v1.2.0", "## [1x2.0] - 2026-05-01\n", "", "no entry for 1.2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{
				"CHANGELOG.md":                tt.changelog,
				"internal/version/version.go": "package version\n\nconst Version = \"" + tt.version + "\"\n",
			} {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			run(t, "mkdir", filepath.Join(dir, "packaging"))
			run(t, "cp", root+"/Makefile", dir)
			run(t, "cp", root+"/packaging/release.sh", filepath.Join(dir, "packaging"))
			var stderr strings.Builder
			cmd := exec.Command(filepath.Join(dir, "packaging/release.sh"), tt.tag)
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if (err == nil) != (tt.err == "") || !strings.Contains(stderr.String(), tt.err) || string(out) != tt.notes {
				t.Errorf("%v, %q, %q; want %q, %q", err, out, &stderr, tt.notes, tt.err)
			}
		})
	}
}
