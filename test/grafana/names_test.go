package grafana

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

// A family is a metric of docs/operations.md.
type family struct {
	kind   string
	labels map[string][]string // and their values, none if these are not known beforehand
}

var (
	familyRow  = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| (.*?) \\| ")
	familyWord = regexp.MustCompile("`(\\w+)`")
)

// families are the metrics by their names in the endpoint, where a histogram has three.
func families(t *testing.T) map[string]family {
	t.Helper()
	_, table, ok := strings.Cut(string(read(t, root+"/docs/operations.md")), "<!-- families -->")
	table, _, end := strings.Cut(table, "<!-- /families -->")
	if !ok || !end {
		t.Fatal("docs/operations.md has no table of families")
	}
	found := map[string]family{}
	for _, row := range familyRow.FindAllStringSubmatch(table, -1) {
		f := family{row[2], map[string][]string{"name": nil}}
		names, values, fixed := strings.Cut(row[3], ": ")
		for _, m := range familyWord.FindAllStringSubmatch(names, -1) {
			f.labels[m[1]] = nil
			for _, value := range familyWord.FindAllStringSubmatch(values, -1) {
				f.labels[m[1]] = append(f.labels[m[1]], value[1])
			}
			if fixed && len(f.labels[m[1]]) == 0 {
				t.Errorf("the row of %s can't be read", row[1])
			}
		}
		if f.kind != "histogram" {
			found[prefix+row[1]] = f
			continue
		}
		found[prefix+row[1]+"_sum"], found[prefix+row[1]+"_count"] = f, f
		buckets := family{f.kind, map[string][]string{"le": nil}}
		for name, values := range f.labels {
			buckets.labels[name] = values
		}
		found[prefix+row[1]+"_bucket"] = buckets
	}
	if len(found) < 20 {
		t.Fatalf("%d metrics", len(found))
	}
	return found
}

// alternatives are the values that a matcher is for; none if it is for any.
func alternatives(m *labels.Matcher) []string {
	if m.Value == ".*" {
		return nil
	}
	if m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp {
		return strings.Split(m.Value, "|")
	}
	return []string{m.Value}
}

// Every metric and every label in the queries of dashboard and rules is one that there is, and so is every value
// of a label whose values are known.
func TestNames(t *testing.T) {
	known := families(t)
	used := map[string]bool{}
	for _, q := range queries(t) {
		found, grouping := uses(t, q)
		there := slices.Clone(ofPrometheus)
		if strings.Contains(q.text, "__name__") {
			there = append(there, "__name__")
		}
		for _, u := range found {
			f, ok := known[u.metric]
			switch {
			case u.metric == "" || strings.HasPrefix(u.metric, guests):
				f = family{labels: map[string][]string{"name": nil}}
			case !ok:
				t.Errorf("%s: there is no metric %s", q.of, u.metric)
				continue
			}
			used[u.metric] = true
			for _, m := range u.matchers {
				values, ok := f.labels[m.Name]
				if !ok && !slices.Contains(ofPrometheus, m.Name) {
					t.Errorf("%s: %s has no label %s", q.of, u.metric, m.Name)
				}
				for _, value := range alternatives(m) {
					if len(values) > 0 && !slices.Contains(values, value) {
						t.Errorf("%s: %s of %s is not %q", q.of, m.Name, u.metric, value)
					}
				}
			}
			for label := range f.labels {
				there = append(there, label)
			}
		}
		for _, label := range append(grouping, labelsIn(q.text)...) {
			if !slices.Contains(there, label) {
				t.Errorf("%s: nothing in it has a label %s", q.of, label)
			}
		}
	}
	for name, f := range known {
		if f.kind == "histogram" && !strings.HasSuffix(name, "_bucket") {
			continue
		}
		if !used[name] && !slices.Contains(notShown, name) {
			t.Errorf("%s is neither in the dashboard nor in a rule", name)
		}
	}
}

// notShown are metrics that are for those who look at one filter.
var notShown = []string{prefix + "calls_total", prefix + "store_keys", prefix + "table_bytes"}
