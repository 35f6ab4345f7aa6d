package options

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"fleetcast/cmd/internal/credential"
	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// TestKeys reads keys in all forms.
func TestKeys(t *testing.T) {
	text := keys.New()
	d := keys.DigestOf([]byte(text))
	want := gateway.Key{Name: "billing", Digest: d, Channels: []string{"invoices.**", "news"}, Rate: gateway.Rate{PerSecond: 100, Burst: 500}}
	t.Setenv("BILLING_KEY", text+"\n")
	for name, file := range map[string]string{
		"a mapping":      "publish-keys:\n  - name: billing\n    sha256: %[1]s\n    channels: [invoices.**, news]\n    rate: 100/s burst 500\n",
		"a list below":   "publish-keys:\n  - name: billing\n    sha256: %[1]s\n    channels:\n      - invoices.**\n      - news\n    rate: 100/s burst 500\n",
		"channels, text": "publish-keys:\n  - name: billing\n    sha256: %[1]s\n    channels: invoices.** news\n    rate: \"100/s burst 500\"\n",
		"flow":           "{publish-keys: [{name: billing, sha256: %[1]s, channels: [invoices.**, news], rate: 100/s burst 500}]}",
		"a text":         "publish-keys:\n  - 'billing sha256=%[1]s channels=\"invoices.** news\" rate=\"100/s burst 500\"'\n",
		"one":            "publish-keys:\n  name: billing\n  sha256: %[1]s\n  channels: invoices.** news\n  rate: 100/s burst 500\n",
		"a file":         "publish-keys:\n  - name: billing\n    key: file:secret\n    channels: invoices.** news\n    rate: 100/s burst 500\n",
		"a variable":     "publish-keys:\n  - name: billing\n    key: env:BILLING_KEY\n    channels: invoices.** news\n    rate: 100/s burst 500\n",
	} {
		t.Run(name, func(t *testing.T) {
			file = strings.ReplaceAll(file, "%[1]s", d.String())
			fileHere(t, file)
			writeFile(t, "secret", text+"\n")
			o, err := parseOptions("--config=fleetcast.yaml")
			if err != nil {
				t.Fatal(err)
			}
			config, err := o.GatewayConfig(1000)
			if err != nil || len(config.PublishKeys) != 1 || fmt.Sprint(config.PublishKeys[0]) != fmt.Sprint(want) {
				t.Errorf("the keys are %+v, %v, want %+v", config.PublishKeys, err, want)
			}
			var printed bytes.Buffer
			if err := o.Print(&printed); err != nil || strings.Contains(printed.String(), text) {
				t.Errorf("the printed configuration has the key, or %v", err)
			}
		})
	}
}

// TestBadKeys: what is wrong is refused with its place, and without a key.
func TestBadKeys(t *testing.T) {
	text := keys.New()
	d := keys.DigestOf([]byte(text)).String()
	t.Setenv("NOT_A_KEY", "hunter2")
	for file, want := range map[string]string{
		"- name: a\n    sha256: " + text + "\n    channels: a":                     "3: publish-keys: sha256: is the key itself; write its SHA-256 here, which fleetcast key new prints",
		"- name: a\n    key: " + text + "\n    channels: a":                        "3: publish-keys: key: write file:PATH or env:NAME",
		"- name: a\n    key: file:nothing\n    channels: a":                        "3: publish-keys: key: read the secret: open nothing: no such file or directory",
		"- name: a\n    key: file:.\n    channels: a":                              "3: publish-keys: key: read the secret: . is no regular file",
		"- name: a\n    key: file:empty\n    channels: a":                          "3: publish-keys: key: read the secret: empty is empty",
		"- name: a\n    key: env:NOTHING\n    channels: a":                         "3: publish-keys: key: the environment variable NOTHING is not set, or is empty",
		"- name: a\n    key: env:NOT_A_KEY\n    channels: a":                       "3: publish-keys: key: what env:NOT_A_KEY has is no key",
		"- name: a\n    key: env:" + text + "!\n    channels: a":                   "3: publish-keys: key: env:",
		"- name: " + text + "\n    sha256: " + d + "\n    channels: a":             "2: publish-keys: name: a name of a key begins with fck_",
		"- name: a\n    sha256: " + d:                                              "2: publish-keys: the key a has no channels",
		"- name: a\n    channels: a":                                               "2: publish-keys: the key a has no sha256",
		"- sha256: " + d + "\n    channels: a":                                     "2: publish-keys: a key has no name",
		"- name: a\n    sha256: " + d + "\n    channels: a\n    rates: 1/s":        "5: publish-keys: rates: a key has no such entry; did you mean rate?",
		"- name: a\n    sha256: " + d + "\n    channels: a\n    rate: 1":           "5: publish-keys: rate: \"1\" is not a rate",
		"- name: a\n    sha256: " + d + "\n    channels: a\n    access: write":     "5: publish-keys: access: a key has no such entry",
		"- name: a\n    sha256: " + d + "\n    channels: [a, [b]]":                 "4: publish-keys: channels is a list; write one value",
		"- name: a\n    sha256: [" + d + "]\n    channels: a":                      "3: publish-keys: sha256 is a list; write one value",
		"- name: a\n    sha256: " + d + "\n    sha256: " + d + "\n    channels: a": "4: publish-keys: sha256 is given twice, first in line 3",
		"- " + text:                                      "publish-keys: name: a name of a key begins with fck_",
		"- a " + text:                                    "publish-keys: \"fck_…\" in a key has no =",
		"- a sha256=" + text + " channels=a":             "publish-keys: sha256: is the key itself",
		"- a sha256=" + d + " channels=\"a":              "a quote is not closed",
		"- a sha256=" + d + " channels=inbox.{user}\n  ": "bad entry: {user} in a pattern",
	} {
		fileHere(t, "publish-keys:\n  "+file+"\n")
		writeFile(t, "empty", "\n")
		_, err := parseOptions("--config=fleetcast.yaml")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error is %v, want %q", file, err, want)
		}
	}
	_, err := parseOptions("--admin-keys=a sha256=" + d)
	if err == nil || !strings.Contains(err.Error(), "the key a has no access") {
		t.Errorf("without access: %v", err)
	}
	_, err = parseOptions("--admin-keys=a sha256="+d+" access=read", "--admin-keys=b sha256="+d+" access=write")
	if want := "--admin-keys has the same key twice, as a and as b"; err == nil || err.Error() != want {
		t.Errorf("the same key twice: %v", err)
	}
}

// TestSecret reads secrets, and shows them in no form.
func TestSecret(t *testing.T) {
	t.Chdir(t.TempDir())
	const value = "correct horse battery staple"
	writeFile(t, "secret", value+"\r\n")
	t.Setenv("A_SECRET", value)
	for given, shown := range map[string]string{"file:secret": "file:secret", "env:A_SECRET": "env:A_SECRET", value: hidden} {
		var s Secret
		if err := s.UnmarshalText([]byte(given)); err != nil || s.Value() != value || !s.Given() {
			t.Fatalf("%q: %v", given, err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("it", "secret", s, "of", struct{ S Secret }{s})
		slog.New(slog.NewJSONHandler(&log, nil)).Info("it", "secret", s, "of", struct{ S Secret }{s})
		all := fmt.Sprintf("%v %s %q %+v %#v %v ", s, s, s, s, s, struct{ S Secret }{s}) + log.String()
		if s.String() != shown || strings.Contains(all, "horse") {
			t.Errorf("%q is shown as %s", given, all)
		}
		other := Secret{reference: s.reference, value: "x"}
		if other.fingerprint() == s.fingerprint() {
			t.Errorf("%q: another secret is the same", given)
		}
	}
	long := strings.Repeat("x", credential.MaxFile+1)
	writeFile(t, "long", long)
	for given, want := range map[string]string{
		hidden: "write the secret", "file:": "no such file", "file:long": "longer than", "env:": "names no variable", "env:A B": "names no variable", "env:NONE": "not set",
	} {
		var s Secret
		if err := s.UnmarshalText([]byte(given)); err == nil || !strings.Contains(err.Error(), want) || s.Given() {
			t.Errorf("%q: %v", given, err)
		}
	}
}

// TestSecretsOfOthers: that everybody can read a file with a key is a warning, and that its
// content has changed is a change.
func TestSecretsOfOthers(t *testing.T) {
	fileHere(t, "publish-keys:\n  - name: a\n    key: file:secret\n    channels: a\n")
	writeFile(t, "secret", keys.New())
	parse := func() *Options {
		t.Helper()
		o, err := parseOptions("--config=fleetcast.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	first := parse()
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o444: true} {
		if err := os.Chmod("secret", mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		first.Warn(slog.New(slog.NewTextHandler(&log, nil)))
		if got := strings.Contains(log.String(), "file=secret"); got != warns {
			t.Errorf("mode %v: the log has %s", mode, log.String())
		}
	}
	if err := os.Chmod("secret", 0o600); err != nil {
		t.Fatal(err)
	}
	text := keys.New()
	writeFile(t, "secret", text)
	live, waiting := first.Differences(parse())
	if len(live) != 1 || len(waiting) != 0 || !strings.Contains(live[0], "another secret") || strings.Contains(live[0], text) {
		t.Errorf("the changes are %q and %q", live, waiting)
	}
	if live, waiting := parse().Differences(parse()); len(live)+len(waiting) > 0 {
		t.Errorf("without a change they are %q and %q", live, waiting)
	}
}

// FuzzKeyEntry: what String writes is read as the same, whatever was given, and no error
// has a key in it.
func FuzzKeyEntry(f *testing.F) {
	for _, text := range []string{
		"billing sha256=" + digest + " channels=invoices.**", "a sha256=" + digest + " channels=\"a b\" rate=\"1/s burst 2\"", "a key=env:A channels=a", "a sha256=" + digest + " users=true", "a sha256=" + digest + " channels=b users=no", "", "\"", "a b=c",
		keys.New(), "a sha256=" + keys.New(),
	} {
		f.Add(text)
	}
	f.Setenv("A", keys.New())
	f.Fuzz(func(t *testing.T, text string) {
		var first, second publishKey
		if err := first.UnmarshalText([]byte(text)); err != nil {
			if secretForm.MatchString(err.Error()) {
				t.Errorf("%q: the error has a key: %v", text, err)
			}
			return
		}
		if err := second.UnmarshalText([]byte(first.String())); err != nil || first.fingerprint() != second.fingerprint() || fmt.Sprint(first) != fmt.Sprint(second) {
			t.Errorf("%q is written as %q, which is read as %q, %v", text, first, second, err)
		}
	})
}

var secretForm = regexp.MustCompile(`fck_[A-Za-z0-9_-]{43}`)
