package e2e

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The configuration of an example makes of its input what is expected, by the SDK and in the bare form. Modules that
// are not committed, which are Go's, take seconds to compile, and are left to the tests of examples/.
func TestExamples(t *testing.T) {
	const root = "../.."
	bare, err := filepath.Glob(filepath.Join(root, "examples/*/bare/TOOLCHAIN"))
	if err != nil || len(bare) == 0 {
		t.Fatal("no examples", err)
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, at := range bare {
			form := filepath.Dir(at)
			dir := filepath.Dir(form)
			want := exampleValues(t, filepath.Join(dir, "expected.ndjson"))
			for _, form := range []string{dir, form} {
				name, err := filepath.Rel(root, form)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(strings.TrimPrefix(name, "examples/"), func(t *testing.T) {
					t.Parallel()
					// Paths in it count from the root of the project.
					run := fb.exec(t, root, "-e", pluginPath, "-c", filepath.Join(name, "fluent-bit.conf"))
					run.wait() // for it ends at the end of its input
					var out []byte
					for line := range strings.Lines(run.log.String()) {
						if strings.HasPrefix(line, `{"date":`) {
							out = append(out, line...)
						}
					}
					if diff := cmp.Diff(want, decodeExample(t, out)); diff != "" {
						t.Error(diff)
					}
				})
			}
		}
	})
}

func exampleValues(t *testing.T, file string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return decodeExample(t, text)
}

// decodeExample reads records without what depends on when they were read, numbers as floats: some versions print
// one that is whole as an integer, and old ones read the largest whole numbers as 2^63 - 1.
func decodeExample(t *testing.T, text []byte) (list []map[string]any) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var record map[string]any
		if err := d.Decode(&record); err != nil {
			t.Fatal(err)
		}
		delete(record, "date")
		for key, value := range record {
			if n, ok := value.(float64); ok {
				record[key] = min(n, math.MaxInt64)
			}
		}
		if record["time"] != "earlier" {
			delete(record, "time")
		}
		list = append(list, record)
	}
	return list
}
