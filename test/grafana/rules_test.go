package grafana

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const unitTests = "testdata/alerts.yaml"

// promtool takes the rules, and what they say of made-up series is right.
func TestRules(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", alertsPath}, {"test", "rules", unitTests}} {
		if out, err := exec.Command(tool(t, "promtool"), args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Each alert has a unit test in which it fires, and one in which it does not.
func TestEachRuleIsTested(t *testing.T) {
	var file struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string `json:"alertname"`
				ExpAlerts []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(read(t, unitTests), &file); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, a := range test.AlertRuleTest {
			if len(a.ExpAlerts) > 0 {
				fires[a.Alertname] = true
			} else {
				quiet[a.Alertname] = true
			}
		}
	}
	var names []string
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !quiet[a.Alert] {
			t.Errorf("%s: tested where it fires: %t, where it does not: %t", a.Alert, fires[a.Alert], quiet[a.Alert])
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) || a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s: an alert has a severity, a summary and a description", a.Alert)
		}
		names = append(names, a.Alert)
	}
	if slices.Sort(names); len(slices.Compact(names)) < 10 {
		t.Errorf("%d alerts", len(names))
	}
}
