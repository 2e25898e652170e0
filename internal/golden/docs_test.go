package golden

import (
	"os"
	"strings"
	"testing"
)

// Each key of a case is documented, and with the value that stands for what is not given.
func TestDocumentedKeys(t *testing.T) {
	text, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Cases\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, key := range keys {
		found := false
		for line := range strings.Lines(section) {
			cells := strings.Split(line, "|")
			found = found || len(cells) > 3 && strings.Contains(cells[1], "`"+key+"`")
		}
		if !found {
			t.Errorf("%s has no row", key)
		}
	}
	if !strings.Contains(section, defaultTime.Format("2006-01-02T15:04:05Z07:00")) {
		t.Error("the time of events that have none is another one")
	}
}
