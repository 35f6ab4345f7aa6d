package loadtest_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetcast/loadtest"
)

// nowhere is where nobody listens: configurations are checked before.
var nowhere = loadtest.Common{URL: "ws://127.0.0.1:1/ws", Publish: "127.0.0.1:2"}

// with adapts nowhere.
func with(change func(*loadtest.Common)) loadtest.Common {
	c := nowhere
	change(&c)
	return c
}

// Scenarios of a Common that are otherwise right.
var (
	connect  = of(loadtest.RunConnect, func(c loadtest.Common) loadtest.Connect { return loadtest.Connect{Common: c} })
	fanout   = of(loadtest.RunFanout, func(c loadtest.Common) loadtest.Fanout { return loadtest.Fanout{Common: c} })
	echoing  = of(loadtest.RunEcho, func(c loadtest.Common) loadtest.Echo { return loadtest.Echo{Common: c} })
	churn    = of(loadtest.RunChurn, func(c loadtest.Common) loadtest.Churn { return loadtest.Churn{Common: c} })
	storm    = of(loadtest.RunStorm, func(c loadtest.Common) loadtest.Storm { return loadtest.Storm{Common: c} })
	slow     = of(loadtest.RunSlow, func(c loadtest.Common) loadtest.Slow { return loadtest.Slow{Common: c} })
	fairness = of(loadtest.RunFairness, func(c loadtest.Common) loadtest.Fairness { return loadtest.Fairness{Common: c} })
	intake   = of(loadtest.RunIntake, func(c loadtest.Common) loadtest.Intake { return loadtest.Intake{Common: c} })
)

// What all scenarios have in common is checked by all of them (RFC 6455, 3 and
// 4.1).
func TestCommonConfigErrors(t *testing.T) {
	scenarios := map[string]cancellable{
		"connect": connect, "fanout": fanout, "echo": echoing, "churn": churn,
		"storm": storm, "slow": slow, "fairness": fairness, "intake": intake,
	}
	cases := map[string]func(*loadtest.Common){
		"loops is 65: want 1 to 64":       func(c *loadtest.Common) { c.Loops = 65 },
		"loops is -1":                     func(c *loadtest.Common) { c.Loops = -1 },
		"processes is 65: want 1 to 64":   func(c *loadtest.Common) { c.Processes = 65 },
		"several processes need":          func(c *loadtest.Common) { c.Processes = 2 },
		"connecting is -1":                func(c *loadtest.Common) { c.Connecting = -1 },
		"settle is -1":                    func(c *loadtest.Common) { c.Settle = -time.Second },
		"stall is -1":                     func(c *loadtest.Common) { c.Stall = -time.Second },
		`via is "http": want ndjson or`:   func(c *loadtest.Common) { c.Via = "http" },
		`there is no profile "fleetcats"`: func(c *loadtest.Common) { c.Profile = "fleetcats" },
		"process 1073741824":              func(c *loadtest.Common) { c.PID = 1 << 30 },
	}
	for name, run := range scenarios {
		for want, change := range cases {
			_, err := run(t.Context(), with(change))
			expectError(t, name, err, want)
		}
		if name != "intake" { // it looks at the publish port alone
			for _, url := range []string{"http://127.0.0.1", "ws:///ws", "ws://127.0.0.1:1/ws#part", "ws://127.0.0.1:1/a#"} {
				_, err := run(t.Context(), with(func(c *loadtest.Common) { c.URL = url }))
				expectError(t, name, err, "want ws://HOST:PORT/PATH")
			}
		}
	}
}

func expectError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want %q", what, err, want)
	}
}

func TestScenarioConfigErrors(t *testing.T) {
	connect := configured(t, loadtest.RunConnect, loadtest.Connect{Common: nowhere})
	echo := configured(t, loadtest.RunEcho, loadtest.Echo{Common: nowhere})
	churn := configured(t, loadtest.RunChurn, loadtest.Churn{Common: nowhere})
	storm := configured(t, loadtest.RunStorm, loadtest.Storm{Common: nowhere})
	slow := configured(t, loadtest.RunSlow, loadtest.Slow{Common: nowhere})
	fairness := configured(t, loadtest.RunFairness, loadtest.Fairness{Common: nowhere})
	intake := configured(t, loadtest.RunIntake, loadtest.Intake{Common: nowhere})
	noToken := func(int, int) (string, error) { return "", nil }
	cases := []struct {
		want string
		err  error
	}{
		{"clients is -1: want 1 to 1048576", connect(func(c *loadtest.Connect) { c.Clients = -1 })},
		{"channels is 65537: want 1 to 65536", connect(func(c *loadtest.Connect) { c.Channels = 65537 })},
		{"rate is -1: must not be negative", connect(func(c *loadtest.Connect) { c.Rate = -1 })},
		{"hold is -1: must not be negative", connect(func(c *loadtest.Connect) { c.Hold = -time.Second })},
		{"no channels: want 1, not 2", connect(func(c *loadtest.Connect) { c.Profile, c.Channels = "raw", 2 })},

		{"clients is 1048577", echo(func(e *loadtest.Echo) { e.Clients = 1048577 })},
		{"messages of all clients is 10000000: want 1 to 8388608", echo(func(e *loadtest.Echo) { e.Clients, e.Messages = 1000, 10000 })},
		{"messages of all clients is -1", echo(func(e *loadtest.Echo) { e.Messages = -1 })},
		{"window is 65537: want 1 to 65536", echo(func(e *loadtest.Echo) { e.Window = 65537 })},
		{"payload is 63: want 64 to 16777216", echo(func(e *loadtest.Echo) { e.Payload = 63 })},
		{"payload is 16777217", echo(func(e *loadtest.Echo) { e.Payload = 16777217 })},
		{"rate is -1", echo(func(e *loadtest.Echo) { e.Rate = -1 })},
		{"messages of all clients is", echo(func(e *loadtest.Echo) { e.Rate, e.Duration = 1e300, time.Hour })},

		{"clients is -1", churn(func(c *loadtest.Churn) { c.Clients = -1 })},
		{"churners is -1", churn(func(c *loadtest.Churn) { c.Churners = -1 })},
		{"churn is -1: must not be negative", churn(func(c *loadtest.Churn) { c.Churn = -1 })},
		{"2 channels need as many clients that stay, not 1", churn(func(c *loadtest.Churn) { c.Channels = 2 })},
		{"payload is 61441: want 64 to 61440", churn(func(c *loadtest.Churn) { c.Payload = 61441 })},
		{"choose a lower rate or less time", churn(func(c *loadtest.Churn) { c.Rate = 1e300 })},
		{"duration is -1", churn(func(c *loadtest.Churn) { c.Duration = -time.Second })},
		{"publish port: address nowhere", churn(func(c *loadtest.Churn) { c.Publish = "nowhere" })},

		{"clients is -1", storm(func(s *loadtest.Storm) { s.Clients = -1 })},
		{"witnesses is -1", storm(func(s *loadtest.Storm) { s.Witnesses = -1 })},
		{"jitter is -1", storm(func(s *loadtest.Storm) { s.Jitter = -time.Second })},
		{"calm is -1", storm(func(s *loadtest.Storm) { s.Calm = -time.Second })},
		{"rate is -1", storm(func(s *loadtest.Storm) { s.Rate = -1 })},
		{"new tokens are for clients with tokens of their own", storm(func(s *loadtest.Storm) { s.NewTokens = true })},
		{"with tokens of their own", storm(func(s *loadtest.Storm) { s.NewTokens, s.Token, s.OneToken = true, noToken, true })},
		{"with new tokens or with tickets, not with both", storm(func(s *loadtest.Storm) { s.NewTokens, s.Token, s.ResumeTickets = true, noToken, true })},
		{"no channels: the scenario storm needs two", storm(func(s *loadtest.Storm) { s.Profile = "raw" })},

		{"clients is 1: want 2", slow(func(s *loadtest.Slow) { s.Clients = 1 })},
		{"above 0 and below 1", slow(func(s *loadtest.Slow) { s.Share = 1 })},
		{"above 0 and below 1", slow(func(s *loadtest.Slow) { s.Share = -0.1 })},
		{"9 channels need as many clients that read, not 8", slow(func(s *loadtest.Slow) { s.Clients, s.Share, s.Channels = 10, 0.2, 9 })},
		{"stalls is -1: want 1 to 1000", slow(func(s *loadtest.Slow) { s.Stalls = -1 })},
		{"keys is 65537: want 0 to 65536", slow(func(s *loadtest.Slow) { s.Keys = 65537 })},
		{"that takes a publish port with JSON lines", slow(func(s *loadtest.Slow) { s.Keys, s.Via = 1, "resp" })},
		{"receive buffer is -1: want 0 to", slow(func(s *loadtest.Slow) { s.ReceiveBuffer = -1 })},
		{"events is -1", slow(func(s *loadtest.Slow) { s.Window, s.Events = 1, -1 })},
		{"events is 8388609", slow(func(s *loadtest.Slow) { s.Window, s.Events = 1, 8388609 })},
		{"events is 8389000: want 1 to 8388608", slow(func(s *loadtest.Slow) { s.Window, s.Events, s.Stalls = 1, 83890, 50 })},
		{"choose a lower rate or less time", slow(func(s *loadtest.Slow) { s.Rate, s.Stalls, s.Duration = 100, 1000, time.Hour })},
		{"duration is -1", slow(func(s *loadtest.Slow) { s.Duration = -time.Second })},

		{"clients is -1", fairness(func(f *loadtest.Fairness) { f.Clients = -1 })},
		{"watchers is -1", fairness(func(f *loadtest.Fairness) { f.Watchers = -1 })},
		{"pings is -1: must not be negative", fairness(func(f *loadtest.Fairness) { f.Pings = -1 })},
		{"publishers is 5: want 1 to 4", fairness(func(f *loadtest.Fairness) { f.Clients, f.Publishers = 4, 5 })},
		{"visitors is -1", fairness(func(f *loadtest.Fairness) { f.Visitors = -1 })},
		{"window is -1", fairness(func(f *loadtest.Fairness) { f.Window = -1 })},
		{"payload is 1", fairness(func(f *loadtest.Fairness) { f.Payload = 1 })},
		{"no channels: the scenario fairness needs two", fairness(func(f *loadtest.Fairness) { f.Profile = "raw" })},

		{"events is 1073741825: want 1 to 1073741824", intake(func(i *loadtest.Intake) { i.Events = 1073741825 })},
		{"connections is 1001: want 1 to 1000", intake(func(i *loadtest.Intake) { i.Connections = 1001 })},
		{"connections is 3: want 1 to 2", intake(func(i *loadtest.Intake) { i.Events, i.Connections = 2, 3 })},
		{"payload is 63", intake(func(i *loadtest.Intake) { i.Payload = 63 })},
		{"profile raw has no publish port", intake(func(i *loadtest.Intake) { i.Profile = "raw" })},
		{"connection refused", intake(func(*loadtest.Intake) {})},
	}
	for _, c := range cases {
		expectError(t, "a setting", c.err, c.want)
	}
}

// configured returns what makes a run of good with one change and returns its
// error.
func configured[C any](t *testing.T, run func(context.Context, C) (*loadtest.Result, error), good C) func(change func(*C)) error {
	return func(change func(*C)) error {
		config := good
		change(&config)
		_, err := run(t.Context(), config)
		return err
	}
}

// What is wrong with a profile is said with its line and key.
func TestProfileError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	text := "name: mine\nsubscribe:\n  send: hello\nevent:\n  wehn: type = \"event\"\npublish:\n  via: ndjson\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := fanout(t.Context(), with(func(c *loadtest.Common) { c.Profile = path }))
	expectError(t, "profile", err, path+`:5: event.wehn: unknown key; did you mean "when"?`)
}
