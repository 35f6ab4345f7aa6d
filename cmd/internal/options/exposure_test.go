package options

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"fleetcast/gateway/rules"
)

// What closes the publish port and the admin port.
var (
	aPublishKey = "--publish-keys=a sha256=" + digest + " channels=**"
	anAdminKey  = "--admin-keys=a sha256=" + digest + " access=read"
)

// TestExposure: ports that other machines can reach need keys, an identity, or the word.
func TestExposure(t *testing.T) {
	t.Setenv("ITS_SECRET", longSecret)
	hook := "--subscribe-hooks=rooms url=https://app.test/"
	for _, test := range []struct {
		args  []string
		wants string // ports that are refused
	}{
		{nil, ""},
		{[]string{"--publish=127.0.0.5:1", "--admin=[::1]:2"}, ""},
		{[]string{"--publish=off", "--admin=off"}, ""},
		{[]string{"--publish=:1"}, "publish"},
		{[]string{"--publish=0.0.0.0:1", "--admin=[::]:2"}, "publish admin"},
		{[]string{"--admin=192.0.2.1:2"}, "admin"},
		{[]string{"--publish=:1", aPublishKey}, ""},
		{[]string{"--publish=:1", anAdminKey}, "publish"},
		{[]string{"--admin=:1", aPublishKey}, "admin"},
		{[]string{"--publish=:1", "--admin=:2", aPublishKey, anAdminKey}, ""},
		{[]string{"--publish=:1", "--admin=:2", "--insecure=publish"}, "admin"},
		{[]string{"--publish=:1", "--admin=:2", "--insecure=admin,publish"}, ""},
		{[]string{"--publish=:1", "--insecure=off"}, "publish"},

		{[]string{"--listen=127.0.0.5:1"}, ""},
		{[]string{"--listen=[::1]:1"}, ""},
		{[]string{"--listen=[::ffff:127.0.0.1]:1"}, ""},
		{[]string{"--listen=:1"}, "listen"},
		{[]string{"--listen=0.0.0.0:1"}, "listen"},
		{[]string{"--listen=[::]:1"}, "listen"},
		{[]string{"--listen=10.0.0.5:1"}, "listen"},
		{[]string{"--listen=[2001:db8::1]:1"}, "listen"},
		{[]string{"--listen=:1", "--publish=:2", "--admin=:3"}, "listen publish admin"},
		{[]string{"--listen=:1", "--insecure=publish,admin", aPublishKey, anAdminKey}, "listen"},
		{[]string{"--listen=:1", "--token-secret=env:ITS_SECRET"}, ""},
		{[]string{"--listen=:1", "--token-secret=off"}, "listen"},
		{[]string{"--listen=:1", "--issuers=https://a.test secret=env:ITS_SECRET"}, ""},
		{[]string{"--listen=:1", "--connect-hook=https://app.test/"}, ""},
		{[]string{"--listen=:1", "--connect-hook="}, "listen"},
		{[]string{"--listen=:1", "--token-cookie=session", "--ticket-keys=env:ITS_SECRET", hook}, "listen"},

		{[]string{"--listen=:1", "--channels=** subscribe=anyone"}, ""},
		{[]string{"--listen=:1", "--channels=news.** subscribe=anyone"}, ""},
		{[]string{"--listen=:1", "--channels=a slow=conflate", "--channels=b subscribe=anyone"}, ""},
		{[]string{"--listen=:1", "--channels=rooms.** subscribe-hook=rooms", hook}, ""},
		{[]string{"--listen=:1", "--channels=rooms.** subscribe=anyone subscribe-hook=rooms", hook}, ""},
		{[]string{"--listen=:1", "--channels=rooms.** subscribe=user subscribe-hook=rooms", hook}, "listen"},
		{[]string{"--listen=:1", "--channels="}, "listen"},
		{[]string{"--listen=:1", "--channels=** slow=conflate"}, "listen"},
		{[]string{"--listen=:1", "--channels=** subscribe=nobody"}, "listen"},
		{[]string{"--listen=:1", "--channels=** subscribe=user"}, "listen"},
		{[]string{"--listen=:1", "--channels=** publish=anyone"}, "listen"},
		{[]string{"--listen=:1", "--channels=inbox.{user} subscribe=anyone"}, "listen"},
		{[]string{"--listen=:1", "--client-publish=**"}, "listen"},
	} {
		_, err := parseOptions(test.args...)
		text := fmt.Sprint(err)
		for port, ways := range map[string][]string{
			listenOption: {"nothing says who clients are", "tokens: --token-secret=file:PATH, or --issuers, or --connect-hook; fleetcast token --new-secret",
				"machine: --listen=localhost:PORT\n", "subscribe: --channels='** subscribe=anyone' for all"},
			publishOption: {"can publish to every channel", "fleetcast key new --publish '**'", "entry for --publish-keys", "machine: --publish=localhost:PORT\n", "out: --insecure="},
			adminOption:   {"stop the gateway", "fleetcast key new --admin write", "entry for --admin-keys", "machine: --admin=localhost:PORT\n", "out: --insecure="},
		} {
			refused := strings.Contains(text, "--"+port+" is ")
			if refused != strings.Contains(test.wants, port) {
				t.Errorf("%q: %v", test.args, err)
			}
			for _, way := range ways {
				if refused && !strings.Contains(text, way) {
					t.Errorf("%q: the error does not say %q: %v", test.args, way, err)
				}
			}
		}
		if (err == nil) != (test.wants == "") {
			t.Errorf("%q: %v", test.args, err)
		}
	}
	const noPort, byRules = "is no port that can be open without keys", "by rules such as --channels='** subscribe=anyone'"
	for bad, want := range map[string]string{"publish,off": noPort, "all": noPort, "yes": noPort, "listen": byRules, "clients": byRules, "publish,listen": byRules} {
		if _, err := parseOptions("--insecure=" + bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--insecure=%s: %v, want %q", bad, err, want)
		}
	}
}

// TestWaysOut does what the error for an open port says, in the place where the port is
// configured. Each way is enough.
func TestWaysOut(t *testing.T) {
	t.Setenv("ITS_SECRET", longSecret)
	for name, test := range map[string]struct {
		file, variable, flag string // one of them opens the port
		named                string
		ways                 []string // in the error
	}{
		"a file": {file: "listen: 0.0.0.0:8080", named: "fleetcast.yaml:2: listen is 0.0.0.0:8080",
			ways: []string{"token-secret: file:PATH", "listen: localhost:PORT", `channels: "** subscribe=anyone"`}},
		"a variable": {variable: "FLEETCAST_LISTEN=0.0.0.0:8080", named: "FLEETCAST_LISTEN is 0.0.0.0:8080",
			ways: []string{"FLEETCAST_TOKEN_SECRET=file:PATH", "FLEETCAST_LISTEN=localhost:PORT", "FLEETCAST_CHANNELS='** subscribe=anyone'"}},
		"a flag": {flag: "--listen=0.0.0.0:8080", named: "--listen is 0.0.0.0:8080",
			ways: []string{"--token-secret=file:PATH", "--listen=localhost:PORT", "--channels='** subscribe=anyone'"}},
		"a variable, for publishers": {variable: "FLEETCAST_PUBLISH=0.0.0.0:8082", named: "FLEETCAST_PUBLISH is 0.0.0.0:8082",
			ways: []string{"FLEETCAST_PUBLISH=localhost:PORT", "FLEETCAST_INSECURE=publish"}},
		"a file, for operators": {file: "admin: 0.0.0.0:8081", named: "fleetcast.yaml:2: admin is 0.0.0.0:8081",
			ways: []string{"admin: localhost:PORT", "insecure: admin"}},
	} {
		t.Run(name, func(t *testing.T) {
			parse := func(way string) error {
				way = strings.NewReplacer("'", "", "file:PATH", "env:ITS_SECRET", "localhost:PORT", "localhost:9").Replace(way)
				option, _, _ := strings.Cut(test.file, ":")
				if file := test.file; strings.HasPrefix(way, option+":") {
					test.file = "" // no option may be there twice
					defer func() { test.file = file }()
				}
				lines, args := []string{"# a test", test.file}, []string{"--config=fleetcast.yaml"}
				for _, set := range []string{test.flag, test.variable, way} {
					name, value, _ := strings.Cut(set, "=")
					switch {
					case set == "":
					case strings.HasPrefix(set, "--"):
						args = append(args, set)
					case strings.HasPrefix(set, environmentPrefix):
						t.Setenv(name, value)
						defer os.Unsetenv(name)
					default:
						lines = append(lines, set)
					}
				}
				fileHere(t, strings.Join(lines, "\n")+"\n")
				_, err := parseOptions(args...)
				return err
			}
			err := parse("")
			if err == nil || !strings.Contains(err.Error(), test.named) {
				t.Fatalf("the error is %v, want %q", err, test.named)
			}
			for _, way := range test.ways {
				if !strings.Contains(err.Error(), ": "+way) {
					t.Errorf("the error does not name %q: %v", way, err)
				}
				if err := parse(way); err != nil {
					t.Errorf("with %s it is refused: %v", way, err)
				}
			}
		})
	}
}

// TestInheritedPorts: for sockets that another process has opened, their addresses count in
// place of the options'.
func TestInheritedPorts(t *testing.T) {
	everywhere := Endpoint{Text: "0.0.0.0:8080", Addrs: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}}
	local := Endpoint{Text: "127.0.0.1:8080", Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080")}}
	sockets := map[string]string{listenOption: "clients", publishOption: "publish", adminOption: "admin"}
	for option, socket := range sockets {
		o, err := parseOptions()
		if err != nil {
			t.Fatal(err)
		}
		for other := range sockets {
			o.Inherit(other, local)
		}
		if err := o.CheckExposure(); err != nil || o.unshared(9).DefaultSubscribe != rules.Anyone {
			t.Errorf("%s on loopback: %v", socket, err)
		}
		o.Inherit(option, everywhere)
		err = o.CheckExposure()
		for _, want := range []string{"the socket that systemd passed as " + socket + " is 0.0.0.0:8080", "ListenStream=127.0.0.1:PORT in its .socket unit"} {
			if err == nil || strings.Count(err.Error(), want) != 1 || strings.Count(err.Error(), "machines can reach") != 1 {
				t.Errorf("%s: the error is %v, want %q", socket, err, want)
			}
		}
		later, err := parseOptions("--channels=news subscribe=anyone", aPublishKey, anAdminKey)
		if err != nil {
			t.Fatal(err)
		}
		later.InheritFrom(o)
		if err := later.CheckExposure(); err != nil {
			t.Errorf("%s, with a word for each port: %v", socket, err)
		}
		if got, want := later.unshared(9).DefaultSubscribe, rules.Nobody; option == listenOption && got != want {
			t.Errorf("anyone may subscribe by default: %v", got)
		}
	}
}

// TestDefaultSubscribe: what anyone may do is a default only where other machines cannot
// reach the port.
func TestDefaultSubscribe(t *testing.T) {
	t.Setenv("ITS_SECRET", longSecret)
	anyone := "--channels=news subscribe=anyone"
	for _, test := range []struct {
		args   []string
		others string // who may subscribe where no rule says so
	}{
		{nil, "anyone"},
		{[]string{anyone}, "anyone"},
		{[]string{"--listen=:1", anyone}, "nobody"},
		{[]string{"--listen=localhost:1", "--token-secret=env:ITS_SECRET"}, "token"},
		{[]string{"--listen=:1", "--token-secret=env:ITS_SECRET"}, "token"},
		{[]string{"--listen=:1", "--channels=** subscribe=anyone"}, "anyone"},
	} {
		o, err := parseOptions(test.args...)
		if err != nil {
			t.Fatalf("%q: %v", test.args, err)
		}
		config := o.unshared(9)
		for _, d := range config.Explain("other") {
			if d.Key == "subscribe" && d.Value != test.others {
				t.Errorf("%q: other channels are for %s, want %s", test.args, d.Value, test.others)
			}
		}
	}
}
