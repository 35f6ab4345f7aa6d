package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fleetcast/gateway/keys"
)

// newKey runs key new and returns the key and its entry.
func newKey(t *testing.T, args ...string) (key, entry string) {
	t.Helper()
	c := start(t, nil, append([]string{"key", "new"}, args...)...)
	if code := c.wait(t); code != 0 {
		t.Fatalf("key new %q: exit code %d: %s", args, code, c.err)
	}
	key, entry = strings.TrimSpace(c.out.String()), c.err.String()
	if !keys.HasForm([]byte(key)) || strings.Contains(entry, key) {
		t.Errorf("the output is %q and %q", key, entry)
	}
	return key, entry
}

func TestBadKeyNew(t *testing.T) {
	for want, args := range map[string][]string{
		"say what the key is for": nil,
		"exclude each other":      {"--publish=a", "--admin=read"},
		"--rate is for keys":      {"--admin=read", "--rate=1/s"},
		"must be one of":          {"--admin=all"},
		"is not a rate":           {"--publish=a", "--rate=1"},
		"can match no channel":    {"--publish=a\x7f"},
		"letters, digits":         {"--publish=a", "--name=a b"},
	} {
		c := start(t, nil, append([]string{"key", "new"}, args...)...)
		if code := c.wait(t); code != exitUsage || !strings.Contains(c.err.String(), want) || c.out.String() != "" {
			t.Errorf("key new %q: exit code %d, %s, %s", args, code, c.err, c.out)
		}
	}
}

// TestKeyNewAddTo puts entries into a file, which then has all of them.
func TestKeyNewAddTo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fleetcast.yaml")
	if err := os.WriteFile(file, []byte("# ours\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--publish=a.**", "--name=a"}, {"--admin=read"}, {"--publish=b", "--name=b"}} {
		if _, says := newKey(t, append(args, "--add-to="+file)...); !strings.Contains(says, "Its entry is in "+file) {
			t.Errorf("key new %q says %s", args, says)
		}
	}
	c := start(t, nil, "config", "--config="+file)
	if code := c.wait(t); code != 0 || strings.Count(c.out.String(), "sha256: ") != 3 {
		t.Errorf("config: exit code %d, %s%s", code, c.out, c.err)
	}
	again := start(t, nil, "key", "new", "--publish=b", "--name=b", "--add-to="+file)
	if code := again.wait(t); code != exitFailure || again.out.String() != "" || !strings.Contains(again.err.String(), "has a key with the name b") {
		t.Errorf("the same name again: exit code %d, %s%s", code, again.out, again.err)
	}
}

// TestKeysFromEndToEnd makes keys, puts their entries into a file, and publishes and looks
// with them. Nothing that any of the processes writes has a key, but the output of key new.
func TestKeysFromEndToEnd(t *testing.T) {
	dir := t.TempDir()
	key, entry := newKey(t, "--publish=prices.**", "--publish", "news", "--name=feed", "--rate=100/s burst 500")
	admin, adminEntry := newKey(t, "--admin=read")
	file, secret := filepath.Join(dir, "fleetcast.yaml"), filepath.Join(dir, "feed.key")
	for path, text := range map[string]string{file: entry + adminEntry, secret: key + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var all []*invocation
	command := func(args ...string) *invocation {
		c := start(t, nil, args...)
		all = append(all, c)
		return c
	}
	// Other machines can reach the ports, because there are keys.
	gateway := command("--config="+file, "--listen=localhost:0", "--publish=0.0.0.0:0", "--admin=0.0.0.0:0", "--log-level=debug", "--log-connections=100")
	publish := gateway.out.await(t, `publish to +(\S+)`)[1]
	adminURL := "http://" + gateway.out.await(t, `look inside at +http://([^/]+)/`)[1]
	gateway.out.await(t, `stop with`)
	if strings.Contains(gateway.err.String(), "nothing authenticates") {
		t.Errorf("the log warns of ports with keys:\n%s", gateway.err)
	}
	published := func(want int, says string, args ...string) {
		t.Helper()
		c := command(append([]string{"publish", "--to=" + publish}, args...)...)
		if code := c.wait(t); code != want || !strings.Contains(c.err.String()+c.out.String(), says) {
			t.Errorf("publish %q: exit code %d, want %d and %q:\n%s%s", args, code, want, says, c.out, c.err)
		}
	}
	published(0, "offset 1 of prices.eur", "--key-file="+secret, "prices.eur", "1")
	published(exitFailure, "permission_denied: the key feed may not publish to", "--key-file="+secret, "secret", "1")
	published(exitFailure, "Give one with --key-file, FLEETCAST_KEY", "prices.eur", "1")
	if text := all[len(all)-1].err.String(); !strings.HasPrefix(text, "fleetcast publish: publishing to channel") {
		t.Errorf("the reason does not come first:\n%s", text)
	}
	published(exitFailure, "no such file", "--key-file="+secret+"x", "prices.eur", "1")
	t.Setenv("FLEETCAST_KEY_FILE", secret)
	published(0, "offset 2 of prices.eur", "prices.eur", "1")
	t.Setenv("FLEETCAST_KEY", key)
	published(0, "offset 3 of prices.eur", "prices.eur", "1")
	t.Setenv("FLEETCAST_KEY", keys.New())
	published(exitFailure, "invalid_key: there is no such key", "prices.eur", "1")
	t.Setenv("FLEETCAST_KEY", "some-token")
	published(exitFailure, "invalid_key: this is no key: keys begin with fck_", "prices.eur", "1")
	t.Setenv("FLEETCAST_KEY", key)
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	published(0, "every user of this machine can read the file with the key", "--key-file="+secret, "prices.eur", "1")

	for path, want := range map[string]int{"/": 200, "/healthz": 200, "/metrics": 200, "/api/stats": 200, "/debug/pprof/cmdline": 403} {
		request, err := http.NewRequest(http.MethodGet, adminURL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+admin)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s is answered with %d, want %d", path, response.StatusCode, want)
		}
	}
	fetchWants(t, adminURL+"/metrics", 401, "needs a key of --admin-keys")
	config := command("config", "--config="+file)
	if code := config.wait(t); code != 0 || !strings.Contains(config.out.String(), keys.DigestOf([]byte(key)).String()) {
		t.Errorf("config: exit code %d, %s", code, config.err)
	}
	gateway.stop()
	gateway.wait(t)
	for _, c := range all {
		for _, secret := range []string{key, admin} {
			if text := c.out.String() + c.err.String(); strings.Contains(text, secret[:16]) {
				t.Errorf("a key is in what a command wrote:\n%s", text)
			}
		}
	}
	if !regexp.MustCompile(`requests to publish were refused.*code=permission_denied.*key=feed`).MatchString(gateway.err.String()) {
		t.Errorf("the log does not name the key:\n%s", gateway.err)
	}
}
