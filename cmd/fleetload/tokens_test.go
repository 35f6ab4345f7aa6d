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
