package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrintedConfigurationExplains(t *testing.T) {
	configFileHere(t, "\nmax-clients: 5\nallow-origin: https://a\nchannels:\n- match: a.**\n  client-publish: yes\n- match: b\n  final: true")
	t.Setenv("FLEETCAST_MAX_EVENT", "1KiB")
	c := start(t, nil, "config", "--config=fleetcast.yaml", "--shards=2")
	if code := c.wait(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.err)
	}
	for _, want := range []string{
		"\n# Connections of clients; more get 503.\n# Default: what the descriptor limit allows; a change takes effect with SIGHUP.\nmax-clients: 5 # from fleetcast.yaml:2\n",
		"\nallow-origin: # from fleetcast.yaml:3\n  - https://a\n",
		"\nclient-publish: []\n",
		"\nchannels: # from fleetcast.yaml:4\n  - match: \"a.**\"\n    client-publish: on\n  - match: b\n    final: on\n",
		"\nmax-event: 1KiB # from FLEETCAST_MAX_EVENT\n",
		"\n# Event loops that serve clients. The kernel spreads connections over them. Can be from 1 to\n# 1024.\n# Default: one per processor; a change takes a restart.\nshards: 2 # from --shards\n",
		"\nmax-publishers: 0\n",
	} {
		if !strings.Contains(c.out.String(), want) {
			t.Errorf("no %q in\n%s", want, c.out)
		}
	}
}

func TestCheckConfiguration(t *testing.T) {
	configFileHere(t, "shards: 1\n")
	writeConfig(t, "bad.yaml", "shard: 1\n")
	writeConfig(t, "rules.yaml", "\nchannels:\n- match: a\n  slow: late\n")
	writeConfig(t, "many.yaml", "max-clients: 1000000000\n")
	for _, test := range []struct {
		file string
		code int
		want string
	}{
		{"fleetcast.yaml", 0, ""},
		{"bad.yaml", exitUsage, "fleetcast: bad.yaml:1: shard: no such option; did you mean shards?\n"},
		{"rules.yaml", exitUsage, "fleetcast: rules.yaml:4: channels: slow: \"late\" is not a policy for slow consumers; choose disconnect, drop_oldest or conflate\n"},
		{"many.yaml", exitUsage, "fleetcast config: many.yaml:1: max-clients is 1000000000, "},
	} {
		c := start(t, nil, "config", "--check", "--config="+test.file)
		if code := c.wait(t); code != test.code {
			t.Errorf("%s: exit code %d, want %d", test.file, code, test.code)
		}
		if got := c.err.String(); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", test.file, got, test.want)
		}
		if got := c.out.String(); got != "" {
			t.Errorf("%s: output %q", test.file, got)
		}
	}
}

// serve and config warn of a variable that is no option.
func TestStrangeVariableIsLogged(t *testing.T) {
	t.Setenv("FLEETCAST_MAX_CLEINTS", "5")
	const want = `level=WARN msg="an environment variable is no option and has no effect" variable=FLEETCAST_MAX_CLEINTS did_you_mean=FLEETCAST_MAX_CLIENTS`
	c, _, _, _ := startGateway(t)
	c.err.await(t, want)
	c = start(t, nil, "config", "--check")
	if code := c.wait(t); code != 0 || !strings.Contains(c.err.String(), want) {
		t.Errorf("exit code %d, log %s", code, c.err)
	}
}

// Other commands do not read the options' variables.
func TestVariablesConcernServeAlone(t *testing.T) {
	t.Setenv("FLEETCAST_MAX_MESSAGE", "nonsense")
	t.Setenv("FLEETCAST_CONFIG", filepath.Join(os.TempDir(), "missing", "fleetcast.yaml"))
	if c := start(t, nil, "version"); c.wait(t) != 0 {
		t.Errorf("version fails: %s", c.err)
	}
}
