package token_test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// privatePEM is a private key as PKCS #8.
func privatePEM(t testing.TB, private crypto.Signer) string {
	t.Helper()
	body, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: body}))
}

// grantsOf are the grants of a text.
func grantsOf(t testing.TB, text string) *identity.Grants {
	t.Helper()
	g, err := identity.ParseGrants([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestSigner makes a token by every algorithm, which a verifier takes.
func TestSigner(t *testing.T) {
	c := newClock()
	tries := map[string]token.SigningKey{"default of a secret": {Secret: secret}}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		tries[alg] = token.SigningKey{Secret: secret, Algorithm: alg}
	}
	for alg, private := range keys() {
		if !strings.HasPrefix(alg, "other") {
			tries[alg] = token.SigningKey{Private: privatePEM(t, private), Algorithm: alg, ID: "k1"}
			tries["default of "+alg] = token.SigningKey{Private: privatePEM(t, private)}
		}
	}
	for name, key := range tries {
		s, err := token.NewSigner(key)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		issuer := s.Verifies()
		issuer.Issuer, issuer.Audience = issName, []string{"gateway"}
		issuer.Claim, issuer.UserClaim = "app.fleetcast", "https://example.com/user"
		v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{issuer}})
		made := token.Claims{
			Issuer: issName, Audience: []string{"other", "gateway"}, User: "alice", Grants: grantsOf(t, `{"subscribe":["chat.*"],"auto":["news"]}`),
			Issued: c.now(), Expires: c.now().Add(time.Hour), Claim: issuer.Claim, UserClaim: issuer.UserClaim,
		}
		text, err := s.Sign(made)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := want(t, v, text, "accepted").Identity; got != nil && (got.User != "alice" || got.Grants.Text() != made.Grants.Text() || got.Expires != made.Expires.Unix()) {
			t.Errorf("%s: the identity is %+v", name, got)
		}
		got, refusal := token.Inspect([]byte(text), issuer.Claim, issuer.UserClaim)
		if refusal != nil || got.User != "alice" || got.KeyID != key.ID || len(got.Audience) != 2 || got.Issued != c.now().Unix() || got.Issuer != issName || got.Channels != "" {
			t.Errorf("%s: the contents are %+v, %v", name, got, refusal)
		}
		if key.Algorithm != "" && got.Algorithm != key.Algorithm {
			t.Errorf("%s: signed by %s", name, got.Algorithm)
		}
		if err := issuer.CheckSignature([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		made.Channels = "orders.17"
		if text, err = s.Sign(made); err != nil {
			t.Fatal(err)
		}
		if verdict := v.VerifySubscription(t.Context(), netip.Addr{}, []byte(text)); verdict.Refusal != nil || verdict.Subscription.Channels[0] != "orders.17" {
			t.Errorf("%s: of a token for a subscription: %v", name, verdict.Refusal)
		}
	}
}

// TestBadSigners cannot be made, or make no token that would be refused.
func TestBadSigners(t *testing.T) {
	private := privatePEM(t, keys()["ES256"])
	for name, test := range map[string]struct {
		key  token.SigningKey
		says string
	}{
		"nothing":           {token.SigningKey{}, "nothing to sign with"},
		"both":              {token.SigningKey{Secret: secret, Private: private}, "one of them must go"},
		"short secret":      {token.SigningKey{Secret: secret[:31]}, "must have at least 32"},
		"public as secret":  {token.SigningKey{Secret: pemOf(t, keys()["ES256"])}, "PEM"},
		"public key":        {token.SigningKey{Private: pemOf(t, keys()["ES256"])}, "public key"},
		"no key":            {token.SigningKey{Private: secret}, "no private key"},
		"none":              {token.SigningKey{Secret: secret, Algorithm: "none"}, "never taken"},
		"unknown algorithm": {token.SigningKey{Secret: secret, Algorithm: "HS1"}, "is not one of"},
		"another's":         {token.SigningKey{Secret: secret, Algorithm: "ES256"}, "a secret"},
		"another curve":     {token.SigningKey{Private: private, Algorithm: "ES384"}, "a P-256 key"},
		"small RSA":         {token.SigningKey{Private: privatePEM(t, newRSA(t, 1024))}, "1024 bits"},
	} {
		if s, err := token.NewSigner(test.key); err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), secret[:31]) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	s, err := token.NewSigner(token.SigningKey{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	for name, made := range map[string]token.Claims{
		"long user":    {User: strings.Repeat("x", 256)},
		"bad pattern":  {Channels: "***"},
		"too large":    {Issuer: strings.Repeat("x", 4096)},
		"name taken":   {User: "alice", UserClaim: "exp"},
		"not nested":   {User: "alice", UserClaim: "exp.user"},
		"nameless":     {User: "alice", UserClaim: "a."},
		"claim inside": {User: "alice", Grants: grantsOf(t, `{"auto":["a"]}`), Claim: "sub.grants"},
	} {
		made.Expires = time.Now().Add(time.Hour)
		if text, err := s.Sign(made); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestCheckSignature looks at the signature and nothing else.
func TestCheckSignature(t *testing.T) {
	c := newClock()
	expired := sign(t, "HS256", "", []byte(secret), claims(c, map[string]any{"exp": 1, "iss": 7, "aud": []int{1}}))
	i := token.Issuer{Issuer: "other", Audience: []string{"x"}, Secret: secret}
	if err := i.CheckSignature([]byte(expired)); err != nil {
		t.Errorf("of an expired token: %v", err)
	}
	other := token.Issuer{Secret: strings.ToUpper(secret)}
	keyed := token.Issuer{Keys: pemOf(t, keys()["ES256"])}
	for name, err := range map[string]error{
		"another key": other.CheckSignature([]byte(expired)),
		"for which":   keyed.CheckSignature([]byte(expired)),
		"three parts": i.CheckSignature([]byte("abc")),
		"needs a":     (&token.Issuer{}).CheckSignature([]byte(expired)),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q: %v", name, err)
		}
	}
}

// TestInspectRefuses what cannot be read, and returns what could be until then.
func TestInspectRefuses(t *testing.T) {
	c := newClock()
	of := func(changes jwt.MapClaims) string { return sign(t, "HS256", "k", []byte(secret), claims(c, changes)) }
	for name, test := range map[string]struct {
		text, reason string
		read         bool
	}{
		"no token": {"abc", token.Malformed, false},
		"long":     {strings.Repeat("a", 5000), token.TooLarge, false},
		"issuer":   {of(jwt.MapClaims{"iss": 1}), token.Malformed, true},
		"audience": {of(jwt.MapClaims{"aud": 1}), token.Malformed, true},
		"exp":      {of(jwt.MapClaims{"exp": "soon"}), token.Malformed, true},
		"grants":   {of(jwt.MapClaims{"fleetcast": 1}), token.BadClaims, true},
		"channel":  {of(jwt.MapClaims{"channel": 1}), token.BadClaims, true},
	} {
		got, refusal := token.Inspect([]byte(test.text), "", "")
		if refusal == nil || refusal.Reason != test.reason || (got != nil) != test.read || test.read && got.KeyID != "k" {
			t.Errorf("%s: %+v, %v", name, got, refusal)
		}
	}
	if got, refusal := token.Inspect([]byte(of(jwt.MapClaims{"exp": nil, "iss": nil})), "", ""); refusal != nil || got.Expires != 0 || got.Issuer != "" || got.User != "alice" {
		t.Errorf("without exp: %+v, %v", got, refusal)
	}
}
