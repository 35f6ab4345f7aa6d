package token_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fleetcast/gateway/token"
)

// signer is what signs with an algorithm, and the issuer that trusts it.
type signer struct {
	alg        string
	key, other any // of the same type
	issuer     token.Issuer
}

func signers(t testing.TB) (all []signer) {
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		all = append(all, signer{alg, []byte(secret), []byte(strings.ToUpper(secret)), token.Issuer{Issuer: issName, Secret: secret}})
	}
	for alg, other := range otherOf {
		private := keys()[alg]
		all = append(all,
			signer{alg, private, keys()[other], token.Issuer{Issuer: issName, Keys: pemOf(t, private)}},
			signer{alg, private, keys()[other], token.Issuer{Issuer: issName, Keys: jwksOf(t, jwkOf(t, private, "one"))}})
	}
	return all
}

// tampered changes what is in a part of a token: 0 is the head, 1 the claims.
func tampered(t testing.TB, text string, part int, change func(map[string]any)) string {
	t.Helper()
	parts := strings.Split(text, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(decoded, &members); err != nil {
		t.Fatal(err)
	}
	change(members)
	if decoded, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	parts[part] = base64.RawURLEncoding.EncodeToString(decoded)
	return strings.Join(parts, ".")
}

// TestEveryAlgorithm shows tokens of each algorithm, right and wrong ones, to the issuer
// of its key.
func TestEveryAlgorithm(t *testing.T) {
	for i, s := range signers(t) {
		t.Run(fmt.Sprint(s.alg, " ", i), func(t *testing.T) {
			c := newClock()
			s.issuer.Audience = []string{"gateway", "fleetcast"}
			v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{s.issuer}})
			make := func(changes map[string]any) string {
				if _, set := changes["aud"]; !set {
					changes["aud"] = "fleetcast"
				}
				return sign(t, s.alg, "", s.key, claims(c, changes))
			}
			now := c.now().Unix()
			good := make(map[string]any{})
			alice := want(t, v, good, "accepted").Identity
			if alice != nil && (alice.User != "alice" || alice.Expires != now+3600 || !alice.MaySubscribe([]byte("chat.x")) || alice.MayPublish([]byte("chat.x"))) {
				t.Errorf("%+v", alice)
			}
			if again := want(t, v, good, "accepted"); again.Identity == nil || *again.Identity != *alice {
				t.Error("the same token is another identity")
			}
			cut := good[:strings.LastIndexByte(good, '.')]
			for _, test := range []struct{ name, text, want string }{
				{"expired within the leeway", make(map[string]any{"exp": now - 29}), "accepted"},
				{"expired", make(map[string]any{"exp": now - 30}), token.Expired},
				{"never expires", make(map[string]any{"exp": nil}), token.NoExpiry},
				{"valid within the leeway", make(map[string]any{"nbf": now + 30}), "accepted"},
				{"valid later", make(map[string]any{"nbf": now + 31}), token.NotYetValid},
				{"issued later", make(map[string]any{"iat": now + 3000}), "accepted"},
				{"one of its audiences", make(map[string]any{"aud": []string{"x", "gateway"}}), "accepted"},
				{"another audience", make(map[string]any{"aud": "fleetcast2"}), token.WrongAudience},
				{"other audiences", make(map[string]any{"aud": []string{"x", "y"}}), token.WrongAudience},
				{"no audience", make(map[string]any{"aud": []string{}}), token.WrongAudience},
				{"another issuer", make(map[string]any{"iss": "https://other.example"}), token.UnknownIssuer},
				{"another key", sign(t, s.alg, "", s.other, claims(c, map[string]any{"aud": "fleetcast"})), token.Invalid},
				{"other claims", tampered(t, good, 1, func(m map[string]any) { m["sub"] = "bob" }), token.Invalid},
				{"another head", tampered(t, good, 0, func(m map[string]any) { m["typ"] = "at+jwt" }), token.Invalid},
				{"another signature", cut + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("s", 64))), token.Invalid},
				{"none", tampered(t, good, 0, func(m map[string]any) { m["alg"] = "none" }), token.Invalid},
				{"nOnE without a signature", tampered(t, cut+".", 0, func(m map[string]any) { m["alg"] = "nOnE" }), token.Invalid},
				{"no signature", cut + ".", token.Invalid},
				{"no algorithm", tampered(t, good, 0, func(m map[string]any) { delete(m, "alg") }), token.Malformed},
				{"an unknown algorithm", tampered(t, good, 0, func(m map[string]any) { m["alg"] = "XS256" }), token.Invalid},
				{"too large", make(map[string]any{"filler": strings.Repeat("x", 4096)}), token.TooLarge},
			} {
				t.Run(test.name, func(t *testing.T) { want(t, v, test.text, test.want) })
			}
			c.advance(3600*time.Second + 30*time.Second)
			want(t, v, good, token.Expired)
		})
	}
}

// TestSwappedAlgorithms signs with what is not the key's own algorithm.
func TestSwappedAlgorithms(t *testing.T) {
	c := newClock()
	for _, s := range signers(t) {
		v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{s.issuer}})
		good := sign(t, s.alg, "", s.key, claims(c, nil))
		for _, alg := range []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "none"} {
			if alg == s.alg || alg == "Ed25519" && s.alg == "EdDSA" {
				continue
			}
			swapped := tampered(t, good, 0, func(m map[string]any) { m["alg"] = alg })
			if got := reasonOf(verify(t, v, swapped)); got != token.Invalid {
				t.Errorf("a token of %s that says %s: %s", s.alg, alg, got)
			}
		}
		// The classic: the public key, which everybody knows, as the secret of an HMAC.
		if s.issuer.Keys == "" {
			continue
		}
		for _, public := range []string{s.issuer.Keys, strings.TrimSpace(s.issuer.Keys), s.issuer.Keys + "\n"} {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				want(t, v, sign(t, alg, "", []byte(public), claims(c, nil)), token.Invalid)
				want(t, v, sign(t, alg, "one", []byte(public), claims(c, nil)), token.Invalid)
			}
		}
	}
}

// TestOwnKeyInHead brings the key along: such keys are not looked at.
func TestOwnKeyInHead(t *testing.T) {
	c := newClock()
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Issuer: issName, Keys: pemOf(t, keys()["ES256"])}}})
	made := jwt.NewWithClaims(jwt.SigningMethodES256, claims(c, nil))
	made.Header["jwk"] = jwkOf(t, keys()["other P-256"], "")
	made.Header["jku"] = "https://evil.example/keys"
	made.Header["x5u"] = "https://evil.example/cert"
	text, err := made.SignedString(keys()["other P-256"])
	if err != nil {
		t.Fatal(err)
	}
	want(t, v, text, token.Invalid)
}

// TestAlgorithmsRestricted has an issuer take fewer algorithms than its key allows.
func TestAlgorithmsRestricted(t *testing.T) {
	c := newClock()
	private := keys()["RS256"]
	for name, issuer := range map[string]token.Issuer{
		"by the configuration": {Issuer: issName, Keys: pemOf(t, private), Algorithms: []string{"PS256", "RS512"}},
		"by the key":           {Issuer: issName, Keys: jwksOf(t, withAlg(jwkOf(t, private, "a"), "PS256"), withAlg(jwkOf(t, private, "b"), "RS512"))},
		"by both":              {Issuer: issName, Keys: jwksOf(t, withAlg(jwkOf(t, private, "a"), "PS256"), jwkOf(t, private, "b")), Algorithms: []string{"PS256", "RS512"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{issuer}})
			for alg, reason := range map[string]string{"PS256": "accepted", "RS512": "accepted", "RS256": token.Invalid, "PS512": token.Invalid} {
				want(t, v, sign(t, alg, "", private, claims(c, nil)), reason)
			}
		})
	}
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Secret: secret, Issuer: issName, Algorithms: []string{"HS512"}}}})
	want(t, v, sign(t, "HS256", "", []byte(secret), claims(c, nil)), token.Invalid)
	want(t, v, sign(t, "HS512", "", []byte(secret), claims(c, nil)), "accepted")
}

func withAlg(jwk map[string]any, alg string) map[string]any {
	jwk["alg"] = alg
	return jwk
}
