package token_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/token"
)

// TestReloadTakesKeysOver makes a verifier from another, whose issuer is configured as
// before: nothing is fetched or verified anew, and the server may be down meanwhile.
func TestReloadTakesKeysOver(t *testing.T) {
	c := newClock()
	s := newKeyServer(t, jwksOf(t, jwkOf(t, keys()["ES256"], "known")))
	o := token.Options{Issuers: []token.Issuer{{Issuer: issName, JWKS: s.URL}, {Issuer: "b", Secret: secret}}, RootCAs: s.roots(), Now: c.now, Logger: testrun.Log(t)}
	o.SetTiming(time.Hour, time.Hour, 0, time.Minute, time.Minute)
	first, err := token.New(o)
	if err != nil {
		t.Fatal(err)
	}
	known := sign(t, "ES256", "known", keys()["ES256"], claims(c, nil))
	byB := sign(t, "HS256", "", []byte(secret), claims(c, map[string]any{"iss": "b"}))
	alice := want(t, first, known, "accepted").Identity
	want(t, first, byB, "accepted")
	s.serve(`{"keys":[]}`)

	o.Previous = first
	o.Issuers[1].Audience = []string{"fleetcast"}
	second := newVerifier(t, c, o)
	want(t, first, sign(t, "ES256", "known", keys()["ES256"], claims(c, map[string]any{"sub": "during"})), "accepted")
	first.Close()
	want(t, first, sign(t, "ES256", "known", keys()["ES256"], claims(c, map[string]any{"sub": "late"})), "accepted") // by its successor
	if got := want(t, second, known, "accepted").Identity; got != alice {
		t.Error("the same token is another identity")
	}
	want(t, second, byB, token.WrongAudience) // its issuer has changed
	want(t, second, sign(t, "ES256", "known", keys()["ES256"], claims(c, map[string]any{"sub": "bob"})), "accepted")
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}

	// The keys are still refreshed: the goroutine has gone over too.
	next := newP256(t)
	s.serve(jwksOf(t, jwkOf(t, next, "new")))
	want(t, second, sign(t, "ES256", "new", next, claims(c, nil)), "accepted")
	want(t, second, known, token.KeysUnavailable)

	// Without the issuer its tokens are refused, those that were known too.
	o.Previous, o.Issuers = second, o.Issuers[1:]
	third := newVerifier(t, c, o)
	second.Close()
	want(t, third, sign(t, "ES256", "new", next, claims(c, nil)), token.UnknownIssuer)
}

// TestReloadReadsFilesAnew has a changed file of keys count, though its name has not
// changed.
func TestReloadReadsFilesAnew(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "keys.pem")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(pemOf(t, keys()["ES256"]))
	o := token.Options{Issuers: []token.Issuer{{Issuer: issName, Keys: path}}}
	first := newVerifier(t, c, o)
	text := sign(t, "ES256", "", keys()["ES256"], claims(c, nil))
	want(t, first, text, "accepted")
	o.Previous = first
	second := newVerifier(t, c, o)
	if _, left := second.Quick([]byte(text)); left != nil {
		t.Error("with the same keys, a token is not known any more")
	}
	write(pemOf(t, keys()["other P-256"]))
	o.Previous = second
	third := newVerifier(t, c, o)
	want(t, third, text, token.Invalid)

	// One that is not right leaves the previous one as it is.
	write("nothing")
	o.Previous = third
	if _, err := token.New(o); err == nil {
		t.Fatal("a broken file is taken")
	}
	want(t, third, sign(t, "ES256", "", keys()["other P-256"], claims(c, nil)), "accepted")
	if f := third.Figures(); f.Accepted < 3 {
		t.Errorf("figures begin anew: %+v", f)
	}
}

// TestReloadNamesAnIssuer gives an issuer of its own to tokens that were those of the issuer
// without a name.
func TestReloadNamesAnIssuer(t *testing.T) {
	c := newClock()
	o := token.Options{Issuers: []token.Issuer{{Keys: pemOf(t, keys()["ES256"])}}}
	first := newVerifier(t, c, o)
	ofB := sign(t, "ES256", "", keys()["ES256"], claims(c, map[string]any{"iss": "b"}))
	want(t, first, ofB, "accepted")
	o.Previous = first
	o.Issuers = append(o.Issuers, token.Issuer{Issuer: "b", Secret: secret})
	second := newVerifier(t, c, o)
	want(t, second, ofB, token.Invalid)
	want(t, second, sign(t, "ES256", "", keys()["ES256"], claims(c, map[string]any{"iss": "a"})), "accepted")
}
