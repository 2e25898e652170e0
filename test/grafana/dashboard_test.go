package grafana

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// Grafana's own types take the dashboard, and every panel says what it shows and from where.
func TestDashboard(t *testing.T) {
	d := board(t)
	if d.Uid == nil || *d.Uid == "" || d.Title == nil || *d.Title == "" {
		t.Error("the dashboard has no uid or title")
	}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range panels(t) {
		if ids[p.ID] {
			t.Errorf("%s: the id %d is another panel's, too", p.Title, p.ID)
		}
		ids[p.ID] = true
		if g := p.GridPos; g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s: it does not fit into the grid: %+v", p.Title, g)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%s: a panel has a description, a unit and a query", p.Title)
		}
		if p.Datasource == nil || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s: its data source is not the variable", p.Title)
		}
		for _, target := range p.Targets {
			for _, variable := range []string{"$job", "$instance", "$name"} {
				if strings.Contains(target.Expr, prefix) && !strings.Contains(target.Expr, variable) {
					t.Errorf("%s: %s makes no difference to %s", p.Title, variable, target.Expr)
				}
			}
		}
	}
	if len(ids) < 20 {
		t.Errorf("%d panels", len(ids))
	}
}

// The variables of the dashboard are those that its queries use.
func TestVariables(t *testing.T) {
	var d struct {
		Templating struct{ List []struct{ Name string } }
	}
	text := string(read(t, boardPath))
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	defined := map[string]bool{"__rate_interval": true, "__all": true}
	for _, v := range d.Templating.List {
		defined[v.Name] = true
		if !strings.Contains(text, "$"+v.Name) && !strings.Contains(text, "${"+v.Name+"}") {
			t.Errorf("the variable %s is not used", v.Name)
		}
	}
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if !defined[m[1]] {
			t.Errorf("the variable %s is not defined", m[1])
		}
	}
}

var variable = regexp.MustCompile(`\$\{?(\w+)`)
