package monitoring

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// command finds a program of Prometheus, or skips the test.
func command(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (Debian's package prometheus has it)", name)
	}
	return path
}

// TestPromtool has promtool check each file and run the alerts' own tests.
func TestPromtool(t *testing.T) {
	t.Parallel() // it computes while the other test waits
	promtool := command(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml"},
		{"check", "config", "prometheus.yaml"},
		{"test", "rules", "alerts_test.yaml", "alerts_day_test.yaml"},
	} {
		t.Run(strings.Join(args[:2], " "), func(t *testing.T) {
			if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
				t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		})
	}
}

// exampleRule is an alert that always fires, so that queries about alerts have
// something to tell.
const exampleRule = `
groups:
  - name: example
    rules:
      - alert: FleetcastExample
        expr: up{job="fleetcast"} == 1
        labels: {severity: ticket}
`

// prometheus is a Prometheus that scrapes one gateway until its test ends.
type prometheus struct {
	*testing.T
	base string // of its API
}

// startPrometheus runs Prometheus with prometheus.yaml, but for the target and
// shorter intervals, and with exampleRule beside the alerts.
// With a key it shows that.
func startPrometheus(t *testing.T, admin, key string) *prometheus {
	t.Helper()
	path, dir := command(t, "prometheus"), t.TempDir()
	rules, err := filepath.Abs("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(readFile(t, "prometheus.yaml"), &config); err != nil {
		t.Fatalf("reading prometheus.yaml: %v", err)
	}
	example := filepath.Join(dir, "example.yaml")
	config["global"] = map[string]string{"scrape_interval": "200ms", "evaluation_interval": "200ms"}
	config["rule_files"] = []string{rules, example}
	job := config["scrape_configs"].([]any)[0].(map[string]any)
	delete(job, "scrape_timeout") // may not exceed the interval
	job["static_configs"] = []any{map[string]any{"targets": []string{admin}}}
	keyFile := filepath.Join(dir, "prometheus.key")
	if key != "" {
		job["authorization"] = map[string]string{"credentials_file": keyFile}
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "prometheus.yaml")
	for name, text := range map[string][]byte{file: text, example: []byte(exampleRule), keyFile: []byte(key)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &prometheus{t, "http://" + run(t, path, "--config.file="+file,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")}
}

var listeningPattern = regexp.MustCompile(`msg="Listening on".* address=(\S+)`)

// run starts Prometheus and returns the address that it logs.
func run(t *testing.T, path string, args ...string) (addr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, path, args...)
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	process.WaitDelay = patience
	logs, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatalf("starting Prometheus: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, logs)
		_ = process.Wait() // it was told to end
	})
	timer := time.AfterFunc(patience, cancel) // which ends its log
	defer timer.Stop()
	var said strings.Builder
	for lines := bufio.NewScanner(logs); lines.Scan(); {
		if address := listeningPattern.FindStringSubmatch(lines.Text()); address != nil {
			go func() { _, _ = io.Copy(io.Discard, logs) }() // it must not block
			return address[1]
		}
		said.WriteString(lines.Text() + "\n")
	}
	t.Fatalf("Prometheus does not listen; it says\n%s", said.String())
	return ""
}

// get asks the API and decodes the data of its answer. The error is of the
// answer; what has not come up yet is one too.
func (p *prometheus) get(path string, values url.Values, data any) error {
	answer, err := http.Get(p.base + path + "?" + values.Encode())
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var envelope struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		return fmt.Errorf("%s: %w", answer.Status, err)
	}
	if envelope.Status != "success" {
		return fmt.Errorf("%s", envelope.Error)
	}
	return json.Unmarshal(envelope.Data, data)
}

// eventually repeats a check until it passes.
func (p *prometheus) eventually(what string, deadline time.Time, check func() error) {
	p.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.Errorf("%s: %v", what, err)
			return
		}
		<-poll.C
	}
}

var legendPattern = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// evaluates checks that a query has a finite value, and its series the labels
// that the legend shows.
func (p *prometheus) evaluates(q query) error {
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	if err := p.get("/api/v1/query", url.Values{"query": {q.expr}}, &data); err != nil {
		return fmt.Errorf("%s: %w", q.expr, err)
	}
	finite := false
	for _, series := range data.Result {
		text, _ := series.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		finite = finite || err == nil && !math.IsNaN(value) && !math.IsInf(value, 0)
		for _, label := range legendPattern.FindAllStringSubmatch(q.legend, -1) {
			if series.Metric[label[1]] == "" {
				return fmt.Errorf("%s has no label %s, which the legend shows", q.expr, label[1])
			}
		}
	}
	if !finite {
		return fmt.Errorf("%s has no finite value among %d series", q.expr, len(data.Result))
	}
	return nil
}

var (
	setPattern        = regexp.MustCompile(`\n\s*(?:and|or|unless) `)
	offsetPattern     = regexp.MustCompile(` offset \w+`)
	comparisonPattern = regexp.MustCompile(` (==|!=|>=|<=|>|<) `)
	absentPattern     = regexp.MustCompile(`^absent\((.*)\)$`)
)

// operands returns what must have a value while nothing is wrong: the parts of
// an alert's expression that set operators join, with comparisons that tell
// whether they hold (so both sides must have series, of the same labels), and
// about now where they look back further than the test runs.
func (a *alert) operands() (parts []query) {
	for _, part := range setPattern.Split(strings.TrimSpace(a.Expr), -1) {
		part = absentPattern.ReplaceAllString(part, "$1")
		part = offsetPattern.ReplaceAllString(part, "")
		part = comparisonPattern.ReplaceAllString(part, " $1 bool ")
		parts = append(parts, query{where: a.Alert, expr: part})
	}
	return parts
}

// TestQueriesOfARunningGateway has Prometheus scrape a gateway with clients and
// events, and evaluates every query of the board and every alert.
func TestQueriesOfARunningGateway(t *testing.T) {
	t.Parallel() // Prometheus takes 5 s to look at its targets for the first time
	command(t, "prometheus")
	g, admin := startGateway(t, asking(t))
	keepBusy(t, g)
	keepAsking(t, g)
	p := startPrometheus(t, admin, "")
	deadline := time.Now().Add(patience)

	// As Grafana does: a pattern within a string.
	instance := strings.ReplaceAll(regexp.QuoteMeta(admin), `\`, `\\`)
	variables := strings.NewReplacer("$job", "fleetcast", "$instance", instance, "$__rate_interval", "1m")
	b := readBoard(t)
	for _, q := range b.queries() {
		q.expr = variables.Replace(q.expr)
		p.eventually(q.where, deadline, func() error { return p.evaluates(q) })
	}
	alerts := readAlerts(t)
	for _, a := range alerts {
		for _, q := range a.operands() {
			p.eventually(q.where, deadline, func() error { return p.evaluates(q) })
		}
	}
	for _, label := range []string{"job", "instance"} {
		p.eventually("variable "+label, deadline, func() error {
			var values []string
			err := p.get("/api/v1/label/"+label+"/values", url.Values{"match[]": {"fleetcast_clients"}}, &values)
			if err == nil && len(values) != 1 {
				err = fmt.Errorf("it has the values %q", values)
			}
			return err
		})
	}
	p.eventually("rules", deadline, func() error { return p.rulesAreHealthy(len(alerts)) })
}

// rulesAreHealthy checks that so many alerts and the example are evaluated
// without error, and that only the example fires.
func (p *prometheus) rulesAreHealthy(alerts int) error {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	if err := p.get("/api/v1/rules", nil, &data); err != nil {
		return err
	}
	loaded := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			loaded++
			if rule.Health != "ok" || (rule.State == "firing") != (rule.Name == "FleetcastExample") {
				return fmt.Errorf("%s is %s and %s: %s", rule.Name, rule.Health, rule.State, rule.LastError)
			}
		}
	}
	if loaded != alerts+1 {
		return fmt.Errorf("%d are loaded, want %d", loaded, alerts+1)
	}
	return nil
}

// TestPrometheusWithKey scrapes a gateway that wants a key.
func TestPrometheusWithKey(t *testing.T) {
	t.Parallel() // it waits most of the time
	key := keys.New()
	_, admin := startGateway(t, func(c *gateway.Config) {
		c.AdminKeys = []gateway.Key{{Name: "prometheus", Digest: keys.DigestOf([]byte(key)), Scope: gateway.KeyRead}}
	})
	p := startPrometheus(t, admin, key)
	p.eventually("a scrape", time.Now().Add(patience), func() error {
		return p.evaluates(query{expr: `up{job="fleetcast"} == 1 and on(instance) fleetcast_clients`})
	})
}
