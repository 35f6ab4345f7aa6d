package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fleetcast/gateway"
	"fleetcast/gateway/token"
)

// TestTokens runs fleetload against a gateway that takes one connection of each user, with
// tokens made from a secret. Neither the result nor the report has the secret, a token or
// the command that prints one.
func TestTokens(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	dir := t.TempDir()
	path, page := filepath.Join(dir, "secret"), filepath.Join(dir, "report.html")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := gateway.DefaultConfig(100)
	config.Issuers, config.UserClients = []token.Issuer{{Issuer: "load", Secret: secret, Audience: []string{"here"}}}, 1
	g, err := gateway.New(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { g.Run(); close(stopped) }()
	defer func() { g.Close(); <-stopped }()
	line := "fanout --clients 12 --events 10 --pid=-1 -q --json --report " + page + " --url ws://" + g.ClientAddrs()[0].String() + gateway.Path + " --publish " + g.PublishAddrs()[0].String()
	var out, faults bytes.Buffer
	if got := run(t.Context(), strings.Fields(line+" --token-secret file:"+path+" --token-issuer load --token-audience here --token-alg HS384"), streams{&out, &faults}); got != 0 {
		t.Fatalf("ends with %d: %s", got, faults.String())
	}
	report, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"delivered": 120`) || strings.Contains(out.String()+faults.String()+string(report), secret[:20]) || strings.Contains(out.String()+string(report), "eyJ") {
		t.Errorf("the result is %s", out.String())
	}
	out.Reset()
	faults.Reset()
	if got := run(t.Context(), strings.Fields(line+" --token-secret file:"+path), streams{&out, &faults}); got != exitFailed || !strings.Contains(faults.String(), "401") {
		t.Errorf("without the issuer's name it ends with %d: %s", got, faults.String())
	}
	got := shownArguments([]string{"fleetload", "storm", "--token-command", "curl -H secret", "--token-command=secret", "--json"})
	if want := []string{"fleetload", "storm", "--token-command", "(hidden)", "--token-command=(hidden)", "--json"}; !slices.Equal(got, want) {
		t.Errorf("the report shows %q", got)
	}
}

// TestWarnings tells of secrets that others can read: in files, and on the way.
func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	open, closed := filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	for path, mode := range map[string]os.FileMode{open: 0o644, closed: 0o640} {
		if err := os.WriteFile(path, []byte("0123456789abcdef0123456789abcdef\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	const here, elsewhere, encrypted = "ws://127.0.0.1:1/ws", "ws://gateway.invalid:1/ws", "wss://gateway.invalid:1/ws"
	for line, want := range map[string][]string{
		"--url " + here + " --token file:" + open:        {"the file with the token, " + open},
		"--url " + here + " --token file:" + closed:      nil,
		"--url " + here + " --token-secret file:" + open: {"the file with the secret, " + open},
		"--url " + here + " --key-file " + open:          {"the file with the key, " + open},
		"--url " + here + " --key-file " + closed:        nil,
		"--url " + here:      nil,
		"--url " + elsewhere: nil,
		"--url " + elsewhere + " --token file:" + closed:                       {"the token goes to gateway.invalid in clear text"},
		"--url " + encrypted + " --token file:" + closed:                       nil,
		"--url " + elsewhere + " --token-secret file:" + closed:                {"each token goes to gateway.invalid in clear text"},
		"--url " + elsewhere + " --key-file " + closed:                         {"the key goes to gateway.invalid in clear text"},
		"--url " + here + " --publish gateway.invalid:8082 --key-file " + open: {"the file with the key, " + open, "the key goes to gateway.invalid in clear text"},
	} {
		var out, faults bytes.Buffer
		// An expectation that is wrong ends it before it connects.
		run(t.Context(), strings.Fields("fanout --pid=-1 -q --expect nonsense "+line), streams{&out, &faults})
		lines := strings.Split(strings.TrimSpace(faults.String()), "\n")
		said := lines[:len(lines)-1]
		if len(said) != len(want) || !strings.Contains(lines[len(lines)-1], "--expect") {
			t.Errorf("%s: it says %q, want %q", line, lines, want)
			continue
		}
		for i := range want {
			if !strings.Contains(said[i], want[i]) {
				t.Errorf("%s: it says %q, want %q", line, said, want)
			}
		}
	}
}
