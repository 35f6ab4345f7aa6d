package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// board is what the tests look at of grafana.json.
type board struct {
	UID           string  `json:"uid"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Name string `json:"name"`
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

type panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Datasource  datasource `json:"datasource"`
	GridPos     struct {
		X, Y, W, H int
	} `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []target `json:"targets"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type target struct {
	RefID      string     `json:"refId"`
	Datasource datasource `json:"datasource"`
	Expr       string     `json:"expr"`
	Legend     string     `json:"legendFormat"`
	Format     string     `json:"format"`
}

// ruleFile is alerts.yaml.
type ruleFile struct {
	Groups []struct {
		Name  string  `yaml:"name"`
		Rules []alert `yaml:"rules"`
	} `yaml:"groups"`
}

type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readBoard(t *testing.T) (b board) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, "grafana.json"), &b); err != nil {
		t.Fatalf("reading grafana.json: %v", err)
	}
	return b
}

func readAlerts(t *testing.T) (alerts []alert) {
	t.Helper()
	var file ruleFile
	if err := yaml.UnmarshalWithOptions(readFile(t, "alerts.yaml"), &file, yaml.DisallowUnknownField()); err != nil {
		t.Fatalf("reading alerts.yaml: %v", err)
	}
	for _, group := range file.Groups {
		alerts = append(alerts, group.Rules...)
	}
	return alerts
}

// query is one of the board or of the alerts, and where it is.
type query struct {
	where, expr, legend string
}

// queries returns all of the board's.
func (b *board) queries() (all []query) {
	for _, p := range b.Panels {
		for _, target := range p.Targets {
			all = append(all, query{fmt.Sprintf("panel %q, query %s", p.Title, target.RefID), target.Expr, target.Legend})
		}
	}
	for _, a := range b.Annotations.List {
		if a.Expr != "" {
			all = append(all, query{fmt.Sprintf("annotation %q", a.Name), a.Expr, ""})
		}
	}
	return all
}

// corePanels are the types of panels that the board may use; Grafana itself
// brings them.
var corePanels = map[string]bool{
	"row": true, "stat": true, "gauge": true, "timeseries": true, "heatmap": true, "state-timeline": true, "table": true,
}

// TestBoard checks what Grafana would accept in silence and show wrongly.
func TestBoard(t *testing.T) {
	b := readBoard(t)
	if b.UID != "fleetcast" || b.SchemaVersion < 39 {
		t.Errorf("the board is %q of schema %d", b.UID, b.SchemaVersion)
	}
	source := datasource{"prometheus", "${datasource}"}
	ids, cells := make(map[int]bool), make(map[[2]int]string)
	for _, p := range b.Panels {
		if !corePanels[p.Type] || p.Title == "" || p.ID == 0 || ids[p.ID] {
			t.Errorf("panel %d %q has an unknown type %q, no title or another's id", p.ID, p.Title, p.Type)
		}
		ids[p.ID] = true
		if p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X < 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q has the place %+v", p.Title, p.GridPos)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := cells[cell]; other != "" {
					t.Fatalf("panel %q lies over %q", p.Title, other)
				}
				cells[cell] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource != source || len(p.Targets) == 0 {
			t.Errorf("panel %q lacks a description, unit, data source or query", p.Title)
		}
		refs := make(map[string]bool)
		for _, target := range p.Targets {
			if target.RefID == "" || refs[target.RefID] || target.Datasource != source {
				t.Errorf("panel %q: query %q has no data source or another's name", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			if target.Legend == "" && target.Format != "table" {
				t.Errorf("panel %q: query %s has no legend", p.Title, target.RefID)
			}
		}
	}
}

var (
	selectorPattern = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcherPattern  = regexp.MustCompile(`^([a-z_]+)(=|!=|=~|!~)"([^"]*)"$`)
	ownPattern      = regexp.MustCompile(`\b(fleetcast|go|process)_[a-z0-9_]+`)
)

// prometheusOwn are the series that Prometheus makes.
var prometheusOwn = map[string]bool{"up": true, "scrape_duration_seconds": true, "ALERTS": true}

// checkNames checks that a query selects only series that a gateway exports:
// names, labels and the values of labels. Each selector must have these
// matchers, those of the target.
func checkNames(t *testing.T, all exported, q query, chosen ...string) {
	t.Helper()
	selected := make(map[string]bool)
	for _, selector := range selectorPattern.FindAllStringSubmatch(q.expr, -1) {
		name, matchers := selector[1], strings.Split(selector[2], ",")
		selected[name] = true
		if !prometheusOwn[name] && all[name] == nil {
			t.Errorf("%s: no gateway exports %s", q.where, name)
			continue
		}
		for _, want := range chosen {
			if name != "ALERTS" && !strings.Contains(selector[2], want) {
				t.Errorf("%s: %s is selected without %s", q.where, name, want)
			}
		}
		for _, text := range matchers {
			matcher := matcherPattern.FindStringSubmatch(text)
			switch {
			case matcher == nil:
				t.Errorf("%s: the matcher %q is not understood", q.where, text)
			case matcher[1] == "job" || matcher[1] == "instance" || prometheusOwn[name]:
			default:
				for value := range strings.SplitSeq(matcher[3], "|") {
					if !all[name][matcher[1]][value] {
						t.Errorf("%s: no gateway exports %s{%s=%q}", q.where, name, matcher[1], value)
					}
				}
			}
		}
	}
	for _, name := range ownPattern.FindAllString(q.expr, -1) {
		if !selected[name] {
			t.Errorf("%s: %s is used without a selector", q.where, name)
		}
	}
	if len(selected) == 0 {
		t.Errorf("%s: %q selects nothing", q.where, q.expr)
	}
}

// TestQueriesNameWhatIsExported needs no Prometheus.
func TestQueriesNameWhatIsExported(t *testing.T) {
	_, admin := startGateway(t, asking(t))
	all := scrape(t, admin)
	b := readBoard(t)
	for _, q := range b.queries() {
		checkNames(t, all, q, `job=~"$job"`, `instance=~"$instance"`)
	}
	for _, a := range readAlerts(t) {
		checkNames(t, all, query{a.Alert, a.Expr, ""}, `job="fleetcast"`)
	}
	for _, variable := range b.Templating.List {
		if variable.Definition != "" && !strings.HasPrefix(variable.Definition, "label_values(fleetcast_clients") {
			t.Errorf("the variable %s comes from %q", variable.Name, variable.Definition)
		}
	}
}

// TestAlertsAreComplete checks what promtool does not ask for.
func TestAlertsAreComplete(t *testing.T) {
	cases := string(readFile(t, "alerts_test.yaml")) + string(readFile(t, "alerts_day_test.yaml"))
	seen := make(map[string]bool)
	for _, a := range readAlerts(t) {
		if seen[a.Alert] || !strings.HasPrefix(a.Alert, "Fleetcast") {
			t.Errorf("%s is there twice, or the board would not show it", a.Alert)
		}
		seen[a.Alert] = true
		if s := a.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has the severity %q", a.Alert, s)
		}
		if a.For == "" || a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s lacks for, summary or description", a.Alert)
		}
		if !strings.Contains(cases, fmt.Sprintf("labels: '{alertname=%q,severity=%q", a.Alert, a.Labels["severity"])) {
			t.Errorf("%s never fires in alerts_test.yaml or alerts_day_test.yaml", a.Alert)
		}
	}
}

// TestAlertsAreDocumented compares docs/monitoring.md with alerts.yaml: each
// alert must have a row with its severity and its time, and each row an alert.
func TestAlertsAreDocumented(t *testing.T) {
	rows := make(map[string]string)
	for line := range strings.Lines(string(readFile(t, "../monitoring.md"))) {
		if cells := strings.Split(line, "|"); len(cells) == 6 && strings.HasPrefix(cells[1], " `Fleetcast") {
			rows[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	for _, a := range readAlerts(t) {
		documented, ok := rows[a.Alert]
		delete(rows, a.Alert)
		want := a.Labels["severity"] + " after " + a.For
		if !ok {
			t.Errorf("%s is not documented", a.Alert)
		} else if documented != want {
			t.Errorf("%s is documented as %q, is %q", a.Alert, documented, want)
		}
	}
	for name := range rows {
		t.Errorf("%s is documented and does not exist", name)
	}
}
