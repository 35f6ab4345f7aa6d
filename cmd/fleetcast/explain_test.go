package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// explained runs config explain, and returns its table with single blanks between
// words.
func explained(t *testing.T, args ...string) string {
	t.Helper()
	c := start(t, nil, append([]string{"config", "explain"}, args...)...)
	if code := c.wait(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.err)
	}
	var lines []string
	for line := range strings.Lines(c.out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// historyByDefault is how what is kept is explained if nothing says it.
const historyByDefault = "history 100,5m history: 100,5m default"

func TestExplain(t *testing.T) {
	const file = `
client-publish: "**.open"
channels:
  - match: prices.**
    slow: conflate
    compress: off
    history: {events: 7, age: 10m, bytes: 1MiB}
  - {match: prices.vip.**, slow: disconnect, client-publish: on}
  - match: locked.**
    final: true
`
	for name, test := range map[string]struct {
		channel string
		flags   []string
		want    []string // slow, compress, subscribe, publish, history
	}{
		"defaults": {"news", nil, []string{
			"slow disconnect slow-policy: disconnect default", "compress on compression: on default", "subscribe anyone default default", "publish nobody default default", historyByDefault}},
		"the first that sets a key": {"prices.vip.a", nil, []string{
			"slow conflate prices.** slow=conflate compress=off history=7,10m,1MiB channels[1], line 4 of fleetcast.yaml",
			"compress off prices.** slow=conflate compress=off history=7,10m,1MiB channels[1], line 4 of fleetcast.yaml",
			"subscribe anyone default default", "publish anyone prices.vip.** slow=disconnect client-publish=on channels[2], line 8 of fleetcast.yaml",
			"history 7,10m,1MiB prices.** slow=conflate compress=off history=7,10m,1MiB channels[1], line 4 of fleetcast.yaml"}},
		"short forms": {"a.open", []string{"--slow-channels=b=conflate a.**=drop_oldest", "--compress-channels=a.** b.**", "--history=off a.*=7"}, []string{
			"slow drop_oldest slow-channels: a.**=drop_oldest --slow-channels", "compress on compress-channels: a.** --compress-channels",
			"subscribe anyone default default", "publish anyone client-publish: **.open fleetcast.yaml:2", "history 7,5m history: a.*=7,5m --history"}},
		"other defaults": {"x", []string{"--slow-policy=conflate", "--compress-channels=a.** b.**", "--history=a=7 200,1h"}, []string{
			"slow conflate slow-policy: conflate --slow-policy", "compress off compress-channels: a.** b.** --compress-channels", "subscribe anyone default default", "publish nobody default default", "history 200,1h history: 200,1h --history"}},
		"final": {"locked.open", []string{"--slow-channels=**=conflate", "--history=**=off"}, []string{
			"slow disconnect slow-policy: disconnect, because locked.** final=on ends the search default; channels[3], line 9 of fleetcast.yaml",
			"compress on compression: on, because locked.** final=on ends the search default; channels[3], line 9 of fleetcast.yaml",
			"subscribe anyone default, because locked.** final=on ends the search default; channels[3], line 9 of fleetcast.yaml",
			"publish nobody default, because locked.** final=on ends the search default; channels[3], line 9 of fleetcast.yaml",
			"history 100,5m history: 100,5m, because locked.** final=on ends the search default; channels[3], line 9 of fleetcast.yaml"}},
		"by a flag": {"a", []string{"--channels=b slow=conflate", "--channels=a slow=drop_oldest"}, []string{
			"slow drop_oldest a slow=drop_oldest --channels", "compress on compression: on default", "subscribe anyone default default", "publish nobody default default", historyByDefault}},
		"compression off before any rule": {"a", []string{"--channels=** compress=on", "--compression=off"}, []string{
			"slow disconnect slow-policy: disconnect default", "compress off compression: off --compression", "subscribe anyone default default", "publish nobody default default", historyByDefault}},
	} {
		t.Run(name, func(t *testing.T) {
			configFileHere(t, file)
			want := "KEY VALUE RULE FROM\n" + strings.Join(test.want, "\n")
			if got := explained(t, append([]string{"--config=fleetcast.yaml", test.channel}, test.flags...)...); got != want {
				t.Errorf("explained as\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// The columns stand below each other, and rules from a variable name it.
func TestExplainAligns(t *testing.T) {
	t.Setenv("FLEETCAST_CHANNELS", "ü.** slow=conflate\nb final=on")
	c := start(t, nil, "config", "explain", "ü.x")
	const want = `KEY        VALUE     RULE                FROM
slow       conflate  ü.** slow=conflate  FLEETCAST_CHANNELS
compress   on        compression: on     default
subscribe  anyone    default             default
publish    nobody    default             default
history    100,5m    history: 100,5m     default
`
	if code := c.wait(t); code != 0 || c.out.String() != want || c.err.String() != "" {
		t.Errorf("exit code %d, output\n%s\nwant\n%s%s", code, c.out, want, c.err)
	}
}

func TestExplainRefuses(t *testing.T) {
	configFileHere(t, "channels:\n- match: a\n  slow: never\n")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"a b"}, `fleetcast config explain: channel "a b": bad_channel: a channel name holds a space or a control character`},
		{[]string{""}, `fleetcast config explain: channel "": bad_channel`},
		{[]string{strings.Repeat("x", 256)}, "bad_channel: a channel name is longer than 255 bytes"},
		{[]string{"abcd", "--max-channel-name=3"}, "bad_channel: a channel name is longer than 3 bytes"},
		{[]string{"a", "--config=fleetcast.yaml"}, `fleetcast: fleetcast.yaml:3: channels: slow: "never" is not a policy`},
		{[]string{"a", "--channels=b slwo=conflate"}, "--channels: slwo: no such key of a rule; did you mean slow?\nRun 'fleetcast config explain --help'"},
		{[]string{"a", "--check"}, "--check is not for explain"},
		{[]string{"a", "b"}, "unexpected argument b"},
		{nil, "<channel>"},
	} {
		c := start(t, nil, append([]string{"config", "explain"}, test.args...)...)
		if code := c.wait(t); code != exitUsage || !strings.Contains(c.err.String(), test.want) || c.out.String() != "" {
			t.Errorf("%q: exit code %d, error %q, want %q", test.args, code, c.err, test.want)
		}
	}
}

// A rule that does nothing is a warning.
func TestIdleRule(t *testing.T) {
	configFileHere(t, "channels:\n- {match: b, final: true}\n- match: a\n")
	for _, args := range [][]string{{"config"}, {"config", "show"}, {"config", "--check"}, {"config", "explain", "a"}} {
		c := start(t, nil, append(args, "--config=fleetcast.yaml")...)
		if code := c.wait(t); code != 0 || strings.Count(c.err.String(), "\n") != 1 ||
			!strings.Contains(c.err.String(), `with final: true it would end the search for its channels" rule=a from="channels[2], line 3 of fleetcast.yaml"`) {
			t.Errorf("%q: exit code %d, log %s", args, code, c.err)
		}
	}
}

// A rule that drops events gives effect to the bounds of backlogs.
func TestRuleGivesBacklogEffect(t *testing.T) {
	for rule, warns := range map[string]bool{"a slow=conflate": false, "a slow=disconnect": true} {
		c := start(t, nil, "config", "--check", "--backlog=64KiB", "--channels="+rule)
		if code := c.wait(t); code != 0 || strings.Contains(c.err.String(), "an option has no effect") != warns {
			t.Errorf("%s: exit code %d, log %s", rule, code, c.err)
		}
	}
}

// The documented rules are taken, and explained as the page says.
func TestDocumentedRules(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var examples []string
	for _, block := range regexp.MustCompile(`(?m)(^    .*\n)+`).FindAllString(string(page), -1) {
		if text := strings.ReplaceAll("\n"+block, "\n    ", "\n")[1:]; strings.HasPrefix(text, "channels:") || strings.HasPrefix(text, "KEY ") {
			examples = append(examples, text)
		}
	}
	if len(examples) != 4 {
		t.Fatalf("the page has %d examples", len(examples))
	}
	configFileHere(t, examples[1])
	if got := explained(t, "--config=fleetcast.yaml", "chat.news"); !strings.Contains(got, "slow drop_oldest chat.**") || !strings.Contains(got, "publish nobody chat.news") {
		t.Errorf("chat.news is explained as\n%s", got)
	}
	writeConfig(t, "fleetcast.yaml", examples[0])
	c := start(t, nil, "config", "explain", "prices.eur", "--config=fleetcast.yaml")
	if code := c.wait(t); code != 0 || c.out.String() != examples[2] {
		t.Errorf("exit code %d, output\n%s\nthe page has\n%s", code, c.out, examples[2])
	}
	writeConfig(t, "fleetcast.yaml", examples[3])
	if got := explained(t, "--config=fleetcast.yaml", "inbox.alice"); !strings.Contains(got, "subscribe nobody inbox.** subscribe=nobody") {
		t.Errorf("inbox.alice is explained as\n%s", got)
	}
}

// TestExplainToken says what a client may whose token the configured secret has signed.
func TestExplainToken(t *testing.T) {
	setSecrets(t)
	t.Setenv("ALICE", tokenOf("alice"))
	configFileHere(t, "token-secret: env:"+secretVariable+"\n"+`
subscribe-hooks: {name: rooms, url: "https://app.test/rooms"}
channels:
  - {match: locked.**, subscribe: nobody}
  - {match: "own.{user}", publish: user}
  - {match: room.**, subscribe-hook: rooms, subscribe: token}
`)
	for channel, want := range map[string][]string{
		"news":      {"may subscribe: its token grants **", "may not publish: its token does not grant the channel"},
		"locked.a":  {"may not subscribe: no client may"},
		"own.alice": {"may publish: it has a user"},
		"own.bob":   {"may not publish: its token does not grant the channel"},
		"room.1":    {"may subscribe: its token grants **, and the hook rooms decides"},
	} {
		c := start(t, nil, "config", "explain", channel, "--config=fleetcast.yaml", "--token=env:ALICE")
		if code := c.wait(t); code != 0 {
			t.Errorf("%s: exit code %d: %s", channel, code, c.err)
		}
		for _, words := range append(want, "A client with this token (user alice):") {
			if !strings.Contains(c.out.String(), words) {
				t.Errorf("%s: the output lacks %q:\n%s", channel, words, c.out)
			}
		}
	}
	t.Setenv("OTHER", strings.Replace(tokenOf("alice"), ".", ".e30", 1))
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--token=env:OTHER"}, "the gateway refuses the token: token_"},
		{[]string{"--token=env:ALICE", "--token-secret=off"}, "no issuer of tokens is configured"},
		{[]string{"--token=" + tokenOf("alice")}, "a token on the command line can be read by every user"},
	} {
		c := start(t, nil, append([]string{"config", "explain", "news", "--config=fleetcast.yaml"}, test.args...)...)
		if code := c.wait(t); code == 0 || !strings.Contains(c.err.String(), test.want) || strings.Contains(c.err.String(), tokenOf("alice")) {
			t.Errorf("%v: exit code %d, error %s, want %q", test.args, code, c.err, test.want)
		}
	}
}
