package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/identity"
)

// secretVariable has the secret of the tokens of these tests. The variable of that name
// and _OLD has another.
const secretVariable = "FLEETCAST_TEST_SECRET"

const testSecret = testrun.Secret + "32 bytes at least"

// setSecrets sets the variables.
func setSecrets(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{secretVariable: testSecret, secretVariable + "_OLD": testrun.Secret + "another of that length"} {
		if err := os.Setenv(name, value); err != nil { // for parallel tests too
			t.Fatal(err)
		}
	}
}

// allowingHook is the URL of a hook that allows all subscriptions. It serves as long as
// the tests run.
func allowingHook() string {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"allow":true}`))
	})).URL
}

// tokenOf is a token of a user who may subscribe to all.
func tokenOf(user string) string {
	claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "fleetcast": map[string]any{"subscribe": []string{"**"}}}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(testSecret))
	if err != nil {
		panic(err)
	}
	return text
}

// welcomeOf is what a client is told that connects with headers.
func (g *liveGateway) welcomeOf(headers ...string) (welcome struct{ User, Ticket string }) {
	g.Helper()
	p, response := g.handshake(headers...)
	if response.StatusCode != 101 {
		g.Fatalf("status %d", response.StatusCode)
	}
	if err := json.Unmarshal([]byte(p.text()), &welcome); err != nil {
		g.Fatal(err)
	}
	return welcome
}

func (g *liveGateway) lookAtCookie() string {
	return g.welcomeOf("Origin: https://a.test", "Cookie: session="+tokenOf("alice")).User
}

// lookAtTicket shows a ticket that the gateway knows by the key of these tests only.
func (g *liveGateway) lookAtTicket() string {
	tickets, err := identity.NewTickets(new(identity.Interner), []byte(testSecret))
	if err != nil {
		g.Fatal(err)
	}
	alice := &identity.Identity{User: "alice", Grants: identity.Anonymous().Grants, Expires: time.Now().Add(time.Hour).Unix(), Behind: identity.Behind{Issuer: identity.DigestIssuer("")}}
	ticket := tickets.Issue(alice, time.Now())
	_, response := g.handshake("Authorization: Bearer " + ticket)
	return fmt.Sprint(response.StatusCode)
}
