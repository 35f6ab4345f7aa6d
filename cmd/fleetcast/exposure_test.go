package main

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestOpenPortsAreRefused: serve does not start, and config and doctor say the same.
func TestOpenPortsAreRefused(t *testing.T) {
	const clients, publish, admin = "listen: 0.0.0.0:0\n", "publish: 0.0.0.0:0\n", "admin: ':0'\n"
	for _, test := range []struct {
		file  string
		flags []string
		ways  []string
	}{
		{"publish: off\nadmin: off\n" + clients, nil, []string{"token-secret: file:PATH", "listen: localhost:PORT", `channels: "** subscribe=anyone"`}},
		{"publish: off\nadmin: off\n" + clients, []string{"--log-format=json"}, []string{"nothing says who clients are"}},
		{"admin: off\n" + clients + publish, nil, []string{"nothing says who clients are", "fleetcast key new --publish", "insecure: publish"}},
		{"listen: localhost:0\nadmin: off\n" + publish, nil, []string{"fleetcast key new --publish", "publish: localhost:PORT", "insecure: publish"}},
		{"listen: localhost:0\npublish: off\n" + admin, nil, []string{"fleetcast key new --admin", "admin: localhost:PORT", "insecure: admin"}},
		{"listen: localhost:0\npublish: off\n" + admin, []string{"--log-format=json"}, []string{"fleetcast key new --admin"}},
	} {
		configFileHere(t, test.file)
		for _, command := range [][]string{{"serve"}, {"config"}, {"config", "--check"}, {"config", "explain", "news"}} {
			c := start(t, nil, append(append(command, "--config=fleetcast.yaml"), test.flags...)...)
			if code := c.wait(t); code != exitUsage || c.out.String() != "" {
				t.Errorf("%q of %q: exit code %d, output %q", command, test.file, code, c.out)
			}
			for _, way := range test.ways {
				if !strings.Contains(c.err.String(), way) {
					t.Errorf("%q of %q does not name %q:\n%s", command, test.file, way, c.err)
				}
			}
		}
		c := start(t, nil, "doctor", "--clients=1", "--publishers=1", "--config=fleetcast.yaml")
		if code := c.wait(t); code != exitFailure || !strings.Contains(c.out.String(), "which other machines can reach") {
			t.Errorf("doctor of %q: exit code %d\n%s", test.file, code, c.out)
		}
	}
}

// TestPortsOpenByAWord: the gateway starts, and the log says what others can do.
func TestPortsOpenByAWord(t *testing.T) {
	for listen, pattern := range map[string]string{
		"0.0.0.0:0": `address=0\.0\.0\.0:[1-9]\d*\n`,
		":0":        `address=(\[::\]|0\.0\.0\.0):[1-9]\d*\n`,
	} {
		c := start(t, nil, "--listen="+listen, "--publish=off", "--admin=off", "--channels=news.** subscribe=anyone", "--channels=** slow=conflate", "--channels=a subscribe=anyone")
		c.err.await(t, `nothing authenticates: whoever reaches it can subscribe to the channels that rules open to anyone.*--listen channels="news.\*\* a"`)
		if !regexp.MustCompile(pattern).MatchString(c.err.String()) {
			t.Errorf("--listen %s: the log has no %s:\n%s", listen, pattern, c.err)
		}
	}
	c, _, _, _ := startGateway(t, "--publish=0.0.0.0:0", "--admin=0.0.0.0:0", "--insecure=publish,admin")
	c.err.await(t, `nothing authenticates: whoever reaches it can publish to every channel.*--publish`)
	c.err.await(t, `nothing authenticates.*stop the gateway.*--admin`)
	setSecrets(t)
	for _, closes := range [][]string{
		{"--token-secret=env:" + secretVariable, "--channels=news subscribe=anyone"},
		{"--subscribe-hooks=rooms url=https://app.test/", "--channels=** subscribe-hook=rooms"},
	} {
		c = start(t, nil, append(closes, "--listen=0.0.0.0:0", "--publish=off", "--admin=off")...)
		c.out.await(t, "stop with")
		if strings.Contains(c.err.String(), "nothing authenticates") {
			t.Errorf("%q: the log warns:\n%s", closes, c.err)
		}
	}
}

// subscribing is what a client without a token is answered.
func (g *liveGateway) subscribing(channel string) string {
	g.Helper()
	return asks(1, `{"type":"subscribe","id":1,"channel":"`+channel+`"}`)(g)
}

// TestChannelsWithoutARule: where others can reach the port, nobody may subscribe to them,
// and config explain says why.
func TestChannelsWithoutARule(t *testing.T) {
	rule := "--channels=news.** subscribe=anyone"
	_, url, _, _ := startGateway(t, "--listen=0.0.0.0:0", rule)
	g := &liveGateway{T: t, url: url}
	for channel, want := range map[string]string{"news.a": "subscribed", "news": "permission_denied", "other": "permission_denied"} {
		if got := g.subscribing(channel); got != want {
			t.Errorf("%s is answered with %s, want %s", channel, got, want)
		}
	}
	for listen, want := range map[string]string{"0.0.0.0:8080": "subscribe nobody listen: 0.0.0.0:8080 --listen", "localhost:8080": "subscribe anyone default default"} {
		if got := explained(t, "other", rule, "--listen="+listen); !strings.Contains(got, want) {
			t.Errorf("explained as\n%s\nwant %s", got, want)
		}
	}
	_, url, _, _ = startGateway(t, rule)
	if got := (&liveGateway{T: t, url: url}).subscribing("other"); got != "subscribed" {
		t.Errorf("on loopback other channels are answered with %s", got)
	}
}

// TestOpenSocketsOfSystemd: the same holds for sockets of systemd.
func TestOpenSocketsOfSystemd(t *testing.T) {
	t.Parallel() // it waits most of the time
	for name, test := range map[string]struct {
		socket, address, flag string
		refused               bool
	}{
		"clients":                {"clients", "0.0.0.0:0", "", true},
		"clients, with a rule":   {"clients", "0.0.0.0:0", "--channels=news subscribe=anyone", false},
		"clients, on loopback":   {"clients", "127.0.0.1:0", "", false},
		"publishers":             {"publish", "0.0.0.0:0", "", true},
		"publishers, insecurely": {"publish", "0.0.0.0:0", "--insecure=publish", false},
		"operators":              {"admin", "0.0.0.0:0", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp4", test.address)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			file, err := listener.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			args := []string{"-c", forChild + `export LISTEN_FDS=1 LISTEN_FDNAMES=` + test.socket + `; exec "$0" "$@"`, testBinary(t), "--listen=localhost:0", "--publish=localhost:0", "--admin=localhost:0"}
			if test.flag != "" {
				args = append(args, test.flag)
			}
			cmd := exec.Command("/bin/sh", args...)
			cmd.ExtraFiles = []*os.File{file}
			p := startCommand(t, cmd)
			if !test.refused {
				p.out.await(t, "stop with")
				return
			}
			if code := p.exitCode(t); code != exitUsage {
				t.Errorf("exit code %d", code)
			}
			p.err.await(t, `the socket that systemd passed as `+test.socket+` is 0\.0\.0\.0:\d+, which other machines can reach(.*\n)*.*ListenStream=127\.0\.0\.1:PORT in its \.socket unit`)
		})
	}
}

// TestReloadOfOpenPorts: no reload opens a port that others can reach, also if the options
// that would close it, or allow it, take a restart.
func TestReloadOfOpenPorts(t *testing.T) {
	setSecrets(t)
	const (
		ports  = "admin: off\nlisten: 0.0.0.0:0\npublish: 0.0.0.0:0\n"
		local  = "admin: off\nlisten: localhost:0\npublish: localhost:0\n"
		secret = "token-secret: env:" + secretVariable + "\n"
		rule   = "channels: news subscribe=anyone\n"
	)
	key := "publish-keys: a sha256=" + anyDigest + " channels=**\n"
	configFileHere(t, ports+key+secret)
	hangups := make(chan os.Signal, 1)
	c := startWith(t, nil, hangups, "--config=fleetcast.yaml")
	g := &liveGateway{T: t, invocation: c, url: c.out.await(t, `clients connect to +(ws://\S+)`)[1]}
	c.out.await(t, "stop with")
	refused := ""
	reload := func(text, want string, refuses bool) {
		t.Helper()
		writeConfig(t, "fleetcast.yaml", text)
		hangups <- syscall.SIGHUP
		if refuses {
			want = `the configuration was not reloaded, nothing has changed" errors=.*` + want
		}
		refused += `[^\n]*` + want + `(?s:.*)`
		c.err.await(t, refused)
	}
	const open, published = `listen is 0\.0\.0\.0:0.*nothing says who clients are`, `publish is 0\.0\.0\.0:0.*needs no key`
	reload(ports+key, open, true)
	reload(local+key, open, true)
	reload(local+secret, published, true)
	reload(ports+secret+"insecure: publish\n", published, true)
	if user := g.welcomeOf("Authorization: Bearer " + tokenOf("alice")).User; user != "alice" {
		t.Errorf("after reloads that were refused, the user is %q", user)
	}
	reload(ports+key+rule, "msg=reloaded", false)
	c.err.await(t, `nothing authenticates.*channels=news`)
	for channel, want := range map[string]string{"news": "subscribed", "other": "permission_denied"} {
		if got := g.subscribing(channel); got != want {
			t.Errorf("%s is answered with %s, want %s", channel, got, want)
		}
	}
	reload(local+key, open, true)
	reload(ports+key+secret, "msg=reloaded", false)
}
