package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// lockedPort is a gateway whose publish port wants a key for the channel news, and a
// subscriber to it.
func lockedPort(t *testing.T) (host, port, key string, subscriber client) {
	t.Helper()
	key = keys.New()
	s := startGateway(t, func(c *gateway.Config) {
		c.PublishKeys = []gateway.Key{{Name: "feed", Digest: keys.DigestOf([]byte(key)), Channels: []string{"news"}}}
	})
	subscriber = dialGorilla(t, options{URL: s.url("127.0.0.1", "")})
	expect(t, subscriber, "welcome", nil)
	say(t, subscriber, `{"type":"subscribe","channel":"news"}`)
	expect(t, subscriber, "subscribed", nil)
	at := s.PublishAddrs()[0]
	return at.Addr().String(), fmt.Sprint(at.Port()), key, subscriber
}

// TestRedisLibrariesWithKeys has libraries show a key as password: as the default user, by
// the key's name and in a URL. Then they publish to a channel that it is not for, alone and
// in a transaction, and connect without the key.
func TestRedisLibrariesWithKeys(t *testing.T) {
	t.Parallel() // it waits most of the time
	for _, name := range []string{"redis-py", "ioredis", "node-redis"} {
		library := redisLibraries[name]
		t.Run(name, func(t *testing.T) {
			cmd := library.command(t, filepath.Join("testdata/keys", library.file))
			if cmd == nil {
				t.Skipf("%s is not installed (%s)", name, library.install)
			}
			host, port, key, subscriber := lockedPort(t)
			cmd.Args = append(cmd.Args, host, port, key)
			output, err := cmd.CombinedOutput()
			t.Logf("%s", output)
			if err != nil {
				t.Fatalf("the program fails: %v", err)
			}
			for _, data := range []string{"1", "2", "3"} {
				expect(t, subscriber, "event", []byte(data))
			}
		})
	}
}

// TestRedisCLIWithKeys does what a person does with redis-cli.
func TestRedisCLIWithKeys(t *testing.T) {
	testrun.OtherProcess(t)
	path, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed (redis-tools)")
	}
	host, port, key, subscriber := lockedPort(t)
	for _, test := range []struct {
		variable string
		args     []string
		says     string
	}{
		{"", []string{"-a", key, "PUBLISH", "news", "1"}, "1\n"},
		{"", []string{"--user", "feed", "--pass", key, "PUBLISH", "news", "2"}, "1\n"},
		{"", []string{"-3", "-a", key, "PUBLISH", "news", "3"}, "1\n"},
		{key, []string{"PUBLISH", "news", "4"}, "1\n"},
		{key, []string{"PUBLISH", "secret", "1"}, "NOPERM the key feed may not publish to \"secret\""},
		{"", []string{"PUBLISH", "news", "lost"}, "NOAUTH Authentication required."},
		{"", []string{"-a", "wrong", "PUBLISH", "news", "lost"}, "WRONGPASS"},
	} {
		cmd := exec.Command(path, append([]string{"-h", host, "-p", port}, test.args...)...)
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+test.variable)
		if test.variable == "" {
			cmd.Env = os.Environ()
		}
		output, _ := cmd.CombinedOutput() // the status of an error depends on the version
		if !strings.Contains(string(output), test.says) {
			t.Errorf("redis-cli %q says %q, want %q", test.args, output, test.says)
		}
	}
	for _, data := range []string{"1", "2", "3", "4"} {
		expect(t, subscriber, "event", []byte(data))
	}
}
