package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// unusual has another value than the default for every option but --config.
var unusual = []string{
	"--listen=:0", "--publish=[::1]:9", "--admin=off", "--console=off",
	"--max-head=16KiB", "--allow-host=* *.a.test 192.0.2.1 b", "--allow-origin=* http://[::1]:3000", "--client-publish=* a.* null 1 é #a -x a:b a\"b\\",
	"--shards=3", "--ingest-loops=2", "--max-clients=7", "--max-publishers=8", "--max-channels=9", "--client-channels=10",
	"--max-message=1000", "--max-event=2KiB", "--backlog=3MiB", "--backlog-messages=11", "--slow-after=20s", "--credits=1GiB",
	"--publisher-credits=65537", "--retention=1h", "--handshake-timeout=1m30s", "--ping-interval=1h0m1s",
	"--pong-timeout=1.5s", "--message-timeout=7s", "--input-memory=9MiB", "--shutdown-delay=3s", "--drain-window=2s", "--retry-window=0s", "--drain-timeout=1h1m", "--log-level=warn", "--log-format=json", "--log-connections=5",
	"--trusted-proxies=10.0.0.0/8 192.0.2.7 2001:db8::/32", "--proxy-header=proxy-protocol", "--address-clients=12", "--address-connects=6/m burst 3",
	"--connects=100/s", "--connect-queue=13", "--send-buffer=64KiB", "--send-timeout=20s",
	"--max-subscriptions=12", "--max-channel-name=13", "--client-commands=7/s", "--client-publishes=30/m burst 9", "--publisher-rate=1000/s burst 14",
	"--compression=off", "--compress-channels=a.* b", "--compression-level=6", "--compression-from=1KiB", "--client-context=4KiB",
	"--backlog-memory=2GiB", "--slow-policy=conflate", "--slow-channels=a.*=drop_oldest x=y=disconnect",
	"--channels=* compress=off", "--channels=a=b\\ slow=drop_oldest client-publish=on", `--channels=#"é:{}[],&- final=on`, "--channels=- slow=disconnect compress=on client-publish=off final=true", "--channels=null",
}

// What config prints can be given to --config and leads to the same options.
func TestPrintedConfigurationIsTheSame(t *testing.T) {
	for name, args := range map[string][]string{"defaults": nil, "unusual": unusual} {
		t.Run(name, func(t *testing.T) {
			want, err := readOptions(args)
			if err != nil {
				t.Fatal(err)
			}
			c := start(t, nil, append([]string{"config"}, args...)...)
			if code := c.wait(t); code != 0 {
				t.Fatalf("exit code %d: %s", code, c.err)
			}
			if err := yaml.Unmarshal([]byte(c.out.String()), &map[string]any{}); err != nil {
				t.Errorf("not YAML: %v", err)
			}
			configFileHere(t, c.out.String())
			got, err := readOptions(arguments{"--config=fleetcast.yaml"})
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range want.settings {
				if s.text() == fallback(s.flag) == (name == "unusual") && s.flag.Tag.Get("derived") == "" {
					t.Errorf("%s is %s", s.name(), s.text())
				}
				if !slices.Equal(got.settings[i].texts(), s.texts()) {
					t.Errorf("%s is %q after the round trip, was %q", s.name(), got.settings[i].texts(), s.texts())
				}
				if got.settings[i].source.file == "" {
					t.Errorf("%s is not printed", s.name())
				}
			}
		})
	}
}

func TestPrintedConfigurationExplains(t *testing.T) {
	configFileHere(t, "\nmax-clients: 5\nallow-origin: https://a\nchannels:\n- match: a.*\n  client-publish: yes\n- match: b\n  final: true")
	t.Setenv("FLEETCAST_MAX_EVENT", "1KiB")
	c := start(t, nil, "config", "--config=fleetcast.yaml", "--shards=2")
	if code := c.wait(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.err)
	}
	for _, want := range []string{
		"\n# Connections of clients; more get 503.\n# Default: what the descriptor limit allows; a change takes effect with SIGHUP.\nmax-clients: 5 # from fleetcast.yaml:2\n",
		"\nallow-origin: # from fleetcast.yaml:3\n  - https://a\n",
		"\nclient-publish: []\n",
		"\nchannels: # from fleetcast.yaml:4\n  - match: \"a.*\"\n    client-publish: on\n  - match: b\n    final: on\n",
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

// Values that are wrong are reported with the place where they stand.
func TestWhereAValueCameFrom(t *testing.T) {
	t.Chdir(t.TempDir())
	writeConfig(t, "f.yaml", "max-event: 0\n")
	t.Setenv("FLEETCAST_CLIENT_CHANNELS", "0")
	_, err := readOptions(arguments{"--config=f.yaml", "--max-channels=0"})
	want := "--max-channels is 0, must be from 1 to 1000000000\nFLEETCAST_CLIENT_CHANNELS is 0, must be from 1 to 1000000\nf.yaml:1: max-event is 0, must be from 1 to 32MiB"
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestBadVariables(t *testing.T) {
	t.Setenv("FLEETCAST_PING_INTERVAL", "25")
	t.Setenv("FLEETCAST_ALLOW_ORIGIN", "https://a b")
	t.Setenv("FLEETCAST_MAX_CLIENTS", "")
	t.Setenv("FLEETCAST_CONFIG", "missing.yaml")
	_, err := readOptions(nil)
	want := `FLEETCAST_ALLOW_ORIGIN: "b" is not an origin; write for example https://example.com, http://localhost:3000 or *
FLEETCAST_PING_INTERVAL: "25" has no unit; write 25s for seconds, or for example 500ms or 5m
missing.yaml: there is no such file`
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestVariablesThatAreNoOptions(t *testing.T) {
	for name, value := range map[string]string{
		"FLEETCAST_SERVICE_HOST":               "10.0.0.1",
		"FLEETCAST_SERVICE_PORT":               "8080",
		"FLEETCAST_SERVICE_PORT_CLIENTS":       "8080",
		"FLEETCAST_PORT":                       "tcp://10.0.0.1:8080",
		"FLEETCAST_PORT_8080_TCP":              "tcp://10.0.0.1:8080",
		"FLEETCAST_PORT_8080_TCP_PROTO":        "tcp",
		"FLEETCAST_PORT_8080_TCP_PORT":         "8080",
		"FLEETCAST_PORT_8080_TCP_ADDR":         "10.0.0.1",
		"FLEETCAST_PUBLISH_SERVICE_HOST":       "10.0.0.2",
		"FLEETCAST_PUBLISH_PORT":               "tcp://10.0.0.2:8082",
		"FLEETCAST_PUBLISH_PORT_8082_TCP":      "tcp://10.0.0.2:8082",
		"FLEETCAST_TEST_SOMETHING":             "1",
		"FLEETCAST_MAX_CLIENTS":                "5",
		"FLEETCAST_CONFIG":                     "",
		"FLEETCAST_MAX_CLEINTS":                "5",
		"FLEETCAST_LISTEN_PORT":                "8080",
		"FLEETCAST_COLOUR":                     "red",
		"FLEETCAST_" + strings.Repeat("X", 99): "1",
	} {
		t.Setenv(name, value)
	}
	o, err := readOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []variable{
		{"FLEETCAST_COLOUR", ""},
		{"FLEETCAST_LISTEN_PORT", "FLEETCAST_LISTEN"},
		{"FLEETCAST_MAX_CLEINTS", "FLEETCAST_MAX_CLIENTS"},
		{"FLEETCAST_" + strings.Repeat("X", 99), ""},
	}
	if !slices.Equal(o.strange, want) {
		t.Errorf("strange variables %q, want %q", o.strange, want)
	}
	c, _, _, _ := startGateway(t)
	c.err.await(t, `level=WARN msg="an environment variable is no option and has no effect" variable=FLEETCAST_MAX_CLEINTS did_you_mean=FLEETCAST_MAX_CLIENTS`)
}

// Other commands do not read the options' variables.
func TestVariablesConcernServeAlone(t *testing.T) {
	t.Setenv("FLEETCAST_MAX_MESSAGE", "nonsense")
	t.Setenv("FLEETCAST_CONFIG", filepath.Join(os.TempDir(), "missing", "fleetcast.yaml"))
	if c := start(t, nil, "version"); c.wait(t) != 0 {
		t.Errorf("version fails: %s", c.err)
	}
}
