package options

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/codec/testrun"
)

const longSecret = testrun.Secret + "0123456789abcde"

// identityIn reads options of a configuration file, beside which is a file with a secret.
func identityIn(t *testing.T, text string, args ...string) (*Options, error) {
	t.Helper()
	t.Setenv("ITS_SECRET", longSecret)
	fileHere(t, "# a test\n"+text)
	writeFile(t, "secret", longSecret+"\n")
	writeFile(t, "short", "short")
	if err := unix.Mkfifo("pipe", 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		t.Fatal(err)
	}
	return parseOptions(append([]string{"--config=fleetcast.yaml"}, args...)...)
}

func TestIssuers(t *testing.T) {
	for name, text := range map[string]string{
		"a mapping": "issuers:\n  - issuer: https://a.test\n    secret: file:secret\n    audience: [one, two]\n    user-claim: email\n",
		"flow":      "issuers: [{issuer: https://a.test, secret: env:ITS_SECRET, audience: one two, user-claim: email}]\n",
		"a text":    "issuers: 'https://a.test secret=file:secret audience=\"one two\" user-claim=email'\n",
	} {
		t.Run(name, func(t *testing.T) {
			o, err := identityIn(t, text)
			if err != nil {
				t.Fatal(err)
			}
			config := o.unshared(100)
			if len(config.Issuers) != 1 {
				t.Fatalf("issuers %v", config.Issuers)
			}
			i := config.Issuers[0]
			if i.Issuer != "https://a.test" || i.Secret != longSecret || strings.Join(i.Audience, " ") != "one two" || i.UserClaim != "email" {
				t.Errorf("the issuer is %v", i)
			}
			again := issuerEntry{}
			if err := again.UnmarshalText([]byte(o.Issuers[0].String())); err != nil || again.String() != o.Issuers[0].String() {
				t.Errorf("its text %q is read as %q, %v", o.Issuers[0], again, err)
			}
		})
	}
}

func TestConnectHook(t *testing.T) {
	o, err := identityIn(t, "connect-hook:\n  url: https://app.test/connect\n  secret: file:secret\n  forward: [Cookie, X-Device]\n  timeout: 1s\n  at-once: 8\n  queue: 9\n")
	if err != nil {
		t.Fatal(err)
	}
	h := o.unshared(100).ConnectHook
	if h == nil || h.Name != "connect" || h.URL != "https://app.test/connect" || h.Header.Get("Authorization") != "Bearer "+longSecret ||
		strings.Join(h.Forward, " ") != "Cookie X-Device" || h.Timeout != time.Second || h.AtOnce != 8 || h.Queue != 9 {
		t.Errorf("the hook is %v", h)
	}
}

func TestTokenSecret(t *testing.T) {
	for name, test := range map[string]struct{ text, arg string }{
		"the file": {text: "token-secret: file:secret\n"}, "a flag": {arg: "--token-secret=env:ITS_SECRET"}, "in the file itself": {text: "token-secret: " + longSecret + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var args []string
			if test.arg != "" {
				args = append(args, test.arg)
			}
			o, err := identityIn(t, test.text, args...)
			if err != nil {
				t.Fatal(err)
			}
			if issuers := o.unshared(100).Issuers; len(issuers) != 1 || issuers[0].Secret != longSecret || issuers[0].Issuer != "" {
				t.Errorf("the issuers are %v", issuers)
			}
			var shown strings.Builder
			if err := o.Print(&shown); err != nil || strings.Contains(shown.String(), longSecret) {
				t.Errorf("fleetcast config shows the secret, or fails: %v", err)
			}
		})
	}
}

// TestQueriesAreHidden: a secret may stand in the query of a URL. It is not shown, but
// another one is a change.
func TestQueriesAreHidden(t *testing.T) {
	read := func(key string) *Options {
		o, err := identityIn(t, "connect-hook: https://app.test/connect?key="+key+"\nissuers:\n  - jwks: https://a.test/keys?key="+key+
			"\nsubscribe-hooks:\n  - name: rooms\n    url: https://app.test/rooms?key="+key+"\n")
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	o, next := read("url-secret"), read("url-secret-2")
	c := o.unshared(100)
	for _, url := range []string{c.ConnectHook.URL, c.Issuers[0].JWKS, c.SubscribeHooks["rooms"].URL} {
		if !strings.HasSuffix(url, "?key=url-secret") {
			t.Errorf("the URL is %s", url)
		}
	}
	var printed strings.Builder
	if err := o.Print(&printed); err != nil {
		t.Fatal(err)
	}
	live, waiting := o.Differences(next)
	if len(live) != 3 || len(waiting) != 0 {
		t.Errorf("changed: %v, %v", live, waiting)
	}
	if shown := printed.String() + strings.Join(live, "\n"); strings.Contains(shown, "url-secret") || strings.Count(shown, "?(hidden)") < 3 {
		t.Errorf("shown:\n%s", shown)
	}
	if live, _ := o.Differences(read("url-secret")); len(live) != 0 {
		t.Errorf("changed without a change: %v", live)
	}
}

// TestAudienceIsMissed warns of an issuer that may have other applications.
func TestAudienceIsMissed(t *testing.T) {
	for entry, warned := range map[string]bool{
		"jwks: https://a.test/keys": true, "jwks: https://a.test/keys\n    audience: fleetcast": false, "secret: file:secret": false,
	} {
		o, err := identityIn(t, "issuers:\n  - "+entry+"\n")
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		o.WarnOfNoEffect(slog.New(slog.NewTextHandler(&log, nil)))
		if strings.Contains(log.String(), "for other applications") != warned {
			t.Errorf("%s: %s", entry, log.String())
		}
	}
}

// No error shows a secret.
func TestIdentityErrors(t *testing.T) {
	for text, want := range map[string]string{
		"issuers:\n  - issuer: a\n":                                                "an issuer needs a secret, keys, or the URL of a key set",
		"issuers:\n  - secret: " + longSecret + "\n":                               "secret: write file:PATH or env:NAME, where it is",
		"issuers:\n  - secret: file:nothing\n":                                     "secret: read the secret: open nothing",
		"issuers:\n  - secret: file:short\n":                                       "bytes",
		"issuers:\n  - jwks: http://a.test/keys\n":                                 "jwks:",
		"issuers:\n  - secrt: file:secret\n":                                       "secrt: an issuer has no such entry; did you mean secret?",
		"issuers:\n  - secret: file:secret\n  - secret: env:ITS_SECRET\n":          "twice",
		"token-secret: file:short\n":                                               "2: token-secret: the secret has 5 bytes",
		"token-secret: file:pipe\n":                                                "2: token-secret: read the secret: pipe is no regular file",
		"issuers:\n  - keys: file:pipe\n":                                          "keys: read the secret: pipe is no regular file",
		"ticket-keys: file:short\n":                                                "must have at least 32",
		"connect-hook:\n  secret: file:secret\n":                                   "a hook has no url",
		"connect-hook: https://app.test/?(hidden)\n":                               "url: ends with (hidden)",
		"connect-hook: http://app.test/connect\n":                                  "https",
		"connect-hook: [https://a.test/1, https://a.test/2]\n":                     "2 entries; one hook is asked",
		"connect-hook:\n  url: https://a.test/\n  queue: many\n":                   "queue: \"many\" is not a whole number",
		"subscribe-hooks:\n  url: https://a.test/\n":                               "a hook has no name",
		"subscribe-hooks:\n  name: A B\n  url: https://a.test/\n":                  "is no name of a hook",
		"subscribe-hooks: [a url=https://a.test/1, a url=https://b.test]\n":        "has the name a twice",
		"channels: [{match: a, subscribe-hook: rooms}]\n":                          "rooms",
		"keys-dir: /dev/null\n":                                                    "is no folder",
		"token-cookie: a b\n":                                                      "no name of a cookie",
		"token-cookie: session\ntoken-secret: file:secret\nallow-origin: '*'\n":    "every web site could connect",
		"token-cookie: session\ntoken-secret: file:secret\nallow-origin: 'null'\n": "every web site could connect",
	} {
		_, err := identityIn(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), longSecret) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := identityIn(t, "", "--token-secret="+longSecret); err == nil || !strings.Contains(err.Error(), "every user of this machine can read it") || strings.Contains(err.Error(), longSecret) {
		t.Errorf("a secret on the command line: %v", err)
	}
}
