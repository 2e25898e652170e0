// Package grafana checks the dashboard and the alert rules in deploy/grafana: that they decode, that what their
// queries name is in Fluent Bit's endpoint, and, where there are a Prometheus and a Fluent Bit, that the rules fire
// and the queries return series. It is a module of its own, so that nothing of Prometheus and Grafana is among what
// the plugin is built of.
//
// FLUENT_BIT names real Fluent Bits, separated by colons. Prometheus and promtool are those of PROMETHEUS, a
// directory, of build/prometheus/usr/bin, where .ci/run unpacks Debian's package, or of PATH.
package grafana

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

const (
	root       = "../.."
	boardPath  = root + "/deploy/grafana/dashboard.json"
	alertsPath = root + "/deploy/grafana/alerts.yaml"
	prefix     = "fluentbit_wasmtime_"
	guests     = prefix + "guest_"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tool returns the path of prometheus or promtool. Without one the test is skipped, loudly.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("PROMETHEUS"), root + "/build/prometheus/usr/bin"} {
		if path := filepath.Join(dir, name); dir != "" {
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("PROMETHEUS_REQUIRED") != "" {
			t.Fatalf("there is no %s, and PROMETHEUS_REQUIRED is set", name)
		}
		t.Skipf("NOT TESTED: deploy/grafana, for want of %s (.ci/run deploy unpacks Debian's prometheus into build/)", name)
	}
	return path
}

// An alert is a rule of alerts.yaml.
type alert struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

type rules struct {
	Groups []struct {
		Name  string
		Rules []alert
	}
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file rules
	if err := yaml.UnmarshalStrict(read(t, alertsPath), &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// A query is one of a panel or rule.
type query struct {
	of   string // the title of the panel, the name of the alert
	expr string
	text string // what else names labels: a legend, annotations
}

// board decodes the dashboard into Grafana's types, strictly.
//
//lint:ignore SA1019 the newer form is for Grafana 12 and later, all take this one
func board(t *testing.T) dashboard.Dashboard {
	t.Helper()
	plugins.RegisterDefaultPlugins() // with the types of panels and queries
	//lint:ignore SA1019 the same
	var d dashboard.Dashboard
	// It returns a list of errors that may be empty.
	if err := d.UnmarshalJSONStrict(read(t, boardPath)); err != nil && err.Error() != "" {
		t.Fatal(err)
	}
	return d
}

// A panel is a part of what Grafana knows of one.
type panel struct {
	ID          int
	Type, Title string
	Description string
	Datasource  *struct{ UID string }
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults struct {
			Unit   string
			Custom struct {
				DrawStyle         string
				ScaleDistribution struct{ Type string }
				Stacking          struct{ Mode string }
			}
		}
	}
	Targets []struct{ RefID, Expr, LegendFormat string }
}

// panels are those of the dashboard, rows among them.
func panels(t *testing.T) []panel {
	t.Helper()
	var d struct{ Panels []panel }
	if err := json.Unmarshal(read(t, boardPath), &d); err != nil {
		t.Fatal(err)
	}
	return d.Panels
}

// queries are all of dashboard and rules.
func queries(t *testing.T) []query {
	t.Helper()
	var all []query
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			all = append(all, query{p.Title, target.Expr, target.LegendFormat})
		}
	}
	for _, a := range alerts(t) {
		all = append(all, query{a.Alert, a.Expr, a.Annotations["summary"]})
	}
	return all
}

// filled has Grafana's variables replaced, as it does: those that stand for anything, and the counter of a module.
func filled(expr, interval, counter string) string {
	expr = strings.ReplaceAll(expr, "$__rate_interval", interval)
	expr = strings.ReplaceAll(expr, "$guest_counter", counter)
	return regexp.MustCompile(`\$\w+`).ReplaceAllString(expr, ".*")
}

// A use is how a query uses a metric.
type use struct {
	metric   string // "": several, by a pattern
	matchers []*labels.Matcher
}

// uses are the metrics of an expression, and the labels that it groups by.
func uses(t *testing.T, q query) (found []use, grouping []string) {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(filled(q.expr, "5m", guests+"a_total"))
	if err != nil {
		t.Errorf("%s: %v\n%s", q.of, err, q.expr)
		return nil, nil
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			u := use{metric: n.Name}
			for _, m := range n.LabelMatchers {
				if m.Name != "__name__" {
					u.matchers = append(u.matchers, m)
				}
			}
			found = append(found, u)
		case *parser.AggregateExpr:
			grouping = append(grouping, n.Grouping...)
		}
		return nil
	})
	return found, grouping
}

// ofPrometheus are labels that Prometheus adds.
var ofPrometheus = []string{"job", "instance"}

var legendLabel = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)

// labelsIn are the labels that a legend or a summary names.
func labelsIn(text string) (found []string) {
	for _, m := range legendLabel.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(found, m[1]) {
			found = append(found, m[1])
		}
	}
	return found
}
