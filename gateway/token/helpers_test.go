package token_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/token"
)

const (
	secret  = testrun.Secret + "0123456789abcde"
	issName = "https://issuer.example"
)

// clock is a time that tests set.
type clock struct{ seconds atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.seconds.Store(1_800_000_000)
	return c
}

func (c *clock) now() time.Time          { return time.Unix(c.seconds.Load(), 0) }
func (c *clock) advance(d time.Duration) { c.seconds.Add(int64(d / time.Second)) }

// keys are a private key for each algorithm, made once. Making RSA keys is slow.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	made := map[string]crypto.Signer{}
	one, err := rsa.GenerateKey(rand.Reader, 2048)
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		made[alg] = one
	}
	made["other RSA"], _ = rsa.GenerateKey(rand.Reader, 2048)
	made["ES256"], _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	made["other P-256"], _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	made["ES384"], _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	made["other P-384"], _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	made["ES512"], _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	made["other P-521"], _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, made["EdDSA"], _ = ed25519.GenerateKey(rand.Reader)
	_, made["other Ed25519"], _ = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return made
})

// otherOf names another key of the same type.
var otherOf = map[string]string{
	"RS256": "other RSA", "RS384": "other RSA", "RS512": "other RSA", "PS256": "other RSA", "PS384": "other RSA", "PS512": "other RSA",
	"ES256": "other P-256", "ES384": "other P-384", "ES512": "other P-521", "EdDSA": "other Ed25519",
}

// pemOf is the public key of a private one.
func pemOf(t testing.TB, private crypto.Signer) string {
	t.Helper()
	body, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: body}))
}

// jwkOf is the public key of a private one, with an id.
func jwkOf(t testing.TB, private crypto.Signer, kid string) map[string]any {
	t.Helper()
	made, err := jwkset.NewJWKFromKey(private.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(made.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// jwksOf is the text of a set of keys.
func jwksOf(t testing.TB, jwks ...map[string]any) string {
	t.Helper()
	if jwks == nil {
		jwks = []map[string]any{}
	}
	text, err := json.Marshal(map[string]any{"keys": jwks})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// claims are those of a good token, with changes. A nil takes a claim away.
func claims(c *clock, changes map[string]any) jwt.MapClaims {
	all := jwt.MapClaims{"iss": issName, "sub": "alice", "exp": c.now().Unix() + 3600, "fleetcast": map[string]any{"subscribe": []string{"chat.*"}}}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// sign makes a token. The key is a secret or a private key.
func sign(t testing.TB, alg, kid string, key any, c jwt.MapClaims) string {
	t.Helper()
	made := jwt.NewWithClaims(jwt.GetSigningMethod(alg), c)
	if kid != "" {
		made.Header["kid"] = kid
	}
	text, err := made.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// newVerifier makes a verifier that ends with the test.
func newVerifier(t testing.TB, c *clock, o token.Options) *token.Verifier {
	t.Helper()
	if o.Now == nil {
		o.Now = c.now
	}
	if o.Logger == nil {
		o.Logger = testrun.Log(t)
	}
	v, err := token.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// verify asks as a shard does: quickly, and if that is not enough, at length.
func verify(t testing.TB, v *token.Verifier, text string) token.Verdict {
	t.Helper()
	verdict, left := v.Quick([]byte(text))
	if left != nil {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		answer := make(chan token.Verdict, 2)
		v.Later(ctx, netip.Addr{}, left, func(v token.Verdict) { answer <- v })
		verdict = <-answer
	}
	if (verdict.Identity == nil) == (verdict.Refusal == nil) {
		t.Fatalf("a verdict with both or neither: %+v", verdict)
	}
	return verdict
}

// reasonOf is "accepted" or the reason of the refusal.
func reasonOf(verdict token.Verdict) string {
	if verdict.Refusal != nil {
		return verdict.Refusal.Reason
	}
	return "accepted"
}

// want compares a verdict's reason; "accepted" is for none.
func want(t testing.TB, v *token.Verifier, text, reason string) token.Verdict {
	t.Helper()
	verdict := verify(t, v, text)
	if got := reasonOf(verdict); got != reason {
		t.Errorf("%s (%v), want %s", got, verdict.Refusal, reason)
	}
	return verdict
}

// eventually waits for a state.
func eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within a minute: " + what)
		}
	}
}

// newRSA makes another RSA key.
func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	made, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// newP256 makes another key for ES256.
func newP256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
