package version

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	semantic = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-dev)?$`)
	// As Keep a Changelog 1.1 has them: "## [Unreleased]" and "## [1.2.3] - 2026-01-31".
	heading = regexp.MustCompile(`^## \[(Unreleased|(\d+\.\d+\.\d+))\](?: - \d{4}-\d{2}-\d{2})?$`)
)

// numbers returns the three numbers of a semantic version.
func numbers(t *testing.T, version string) (n [3]int) {
	m := semantic.FindStringSubmatch(version)
	if m == nil {
		t.Fatalf("%q is not a semantic version", version)
	}
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1])
	}
	return n
}

func less(a, b [3]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// A development version has its changes under [Unreleased] and comes after the last release; a
// release is the newest heading. Releases stand in falling order.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, "## ") {
			continue
		}
		m := heading.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("heading %q is neither [Unreleased] nor [VERSION] - DATE", line)
			continue
		}
		headings = append(headings, m[1])
	}
	if len(headings) == 0 {
		t.Fatal("no headings")
	}
	current := numbers(t, Version)
	development := strings.HasSuffix(Version, "-dev")
	if unreleased := headings[0] == "Unreleased"; unreleased != development {
		t.Errorf("Version is %s, and the first heading [%s]", Version, headings[0])
	}
	if !development && headings[0] != Version {
		t.Errorf("Version is %s, and the newest release %s", Version, headings[0])
	}
	releases := headings
	if development {
		releases = headings[1:]
		if len(releases) > 0 && !less(numbers(t, releases[0]), current) {
			t.Errorf("Version is %s, which has to be after release %s", Version, releases[0])
		}
	}
	for i, release := range releases {
		if release == "Unreleased" {
			t.Errorf("[Unreleased] is not first")
		} else if i > 0 && !less(numbers(t, release), numbers(t, releases[i-1])) {
			t.Errorf("release %s stands after %s", release, releases[i-1])
		}
	}
}
