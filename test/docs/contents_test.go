package docs

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the tables of contents anew")

const (
	contentsBegin = "<!-- contents -->\n"
	contentsEnd   = "<!-- /contents -->\n"
	longPage      = 100 // lines
)

// Long pages have a table of contents, and each that there is agrees with the headings.
func TestContents(t *testing.T) {
	n := 0
	read(t).documents(func(at, text string) {
		dir := path.Dir(at)
		before, rest, found := strings.Cut(text, contentsBegin)
		if !found {
			long := strings.Count(text, "\n") > longPage && len(headings(text)) > 4
			if long && slices.Contains([]string{".", "docs", "docs/internals", "docs/languages"}, dir) && at != "CHANGELOG.md" {
				t.Errorf("%s has more than %d lines, and no %s", at, longPage, strings.TrimSpace(contentsBegin))
			}
			return
		}
		n++
		got, after, found := strings.Cut(rest, contentsEnd)
		if !found {
			t.Fatalf("%s lacks %s", at, contentsEnd)
		}
		want := contents(at, headings(text))
		if *update && got != want {
			if err := os.WriteFile(filepath.Join(root, at), []byte(before+contentsBegin+want+contentsEnd+after), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the contents are not what its headings are; go test ./test/docs -run Contents -update writes them (-want +got):\n%s", at, diff)
		}
	})
	if n < 5 {
		t.Errorf("%d tables of contents found", n)
	}
}

// contents is a list of a document's headings; on the first screen of README it is a line.
func contents(at string, all []heading) string {
	deepest := 2
	if at == "RATIONALE.md" {
		deepest = 3
	}
	var items []string
	for _, h := range all {
		if h.level < 2 || h.level > deepest || h.text == "Contents" {
			continue
		}
		item := fmt.Sprintf("[%s](#%s)", h.text, h.anchor)
		if at != "README.md" {
			item = strings.Repeat("  ", h.level-2) + "- " + item
		}
		items = append(items, item)
	}
	if at == "README.md" {
		return strings.Join(items, " ·\n") + "\n"
	}
	return "\n" + strings.Join(items, "\n") + "\n\n"
}
