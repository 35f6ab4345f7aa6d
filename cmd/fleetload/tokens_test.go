package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/token"
)

// TestTokens runs fleetload against a gateway that takes one connection of each user, with
// tokens made from a secret. Neither the result nor the report has the secret, a token or
// the command that prints one.
func TestTokens(t *testing.T) {
	const secret = testrun.Secret + "0123456789abcdef"
	dir := t.TempDir()
	path, page := filepath.Join(dir, "secret"), filepath.Join(dir, "report.html")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := gateway.DefaultConfig(100)
	config.Issuers, config.UserClients = []token.Issuer{{Issuer: "load", Secret: secret, Audience: []string{"here"}}}, 1
	g, err := gateway.New(config, testrun.Log(t))
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

// TestNewTokens has clients come back with tokens that the gateway has not verified yet, even
// where two signatures of the same claims are the same.
func TestNewTokens(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: body}))
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := token.NewSigner(token.SigningKey{Private: text})
	if err != nil {
		t.Fatal(err)
	}
	const witnesses, fleet = 2, 9
	for flag, verified := range map[string]uint64{"": witnesses + fleet, " --new-tokens": witnesses + 2*fleet} {
		config := gateway.DefaultConfig(100)
		config.Issuers = []token.Issuer{signer.Verifies()}
		g, err := gateway.New(config, testrun.Log(t))
		if err != nil {
			t.Fatal(err)
		}
		stopped := make(chan struct{})
		go func() { g.Run(); close(stopped) }()
		line := fmt.Sprintf("storm --clients %d --witnesses %d --rate 50 --calm 50ms --pid=-1 -q --url ws://%s%s --publish %s --token-key file:%s%s",
			fleet, witnesses, g.ClientAddrs()[0], gateway.Path, g.PublishAddrs()[0], path, flag)
		var out, faults bytes.Buffer
		if got := run(t.Context(), strings.Fields(line), streams{&out, &faults}); got != 0 {
			t.Errorf("%q: ends with %d: %s", flag, got, faults.String())
		}
		stats, err := g.Stats(t.Context())
		if err != nil || stats.Tokens.Verifications != verified {
			t.Errorf("%q: %d verifications, want %d; %v", flag, stats.Tokens.Verifications, verified, err)
		}
		g.Close()
		<-stopped
	}
}

// TestWarnings tells of secrets that others can read: in files, and on the way.
func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	open, closed := filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	for path, mode := range map[string]os.FileMode{open: 0o644, closed: 0o640} {
		if err := os.WriteFile(path, []byte(testrun.Secret+"0123456789abcdef\n"), mode); err != nil {
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
