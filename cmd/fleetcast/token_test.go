package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/token"
)

// tokenSecret signs the tokens of these tests.
const tokenSecret = testrun.Secret + "for tokens of a terminal"

// fileWith is a new file that only its owner can read.
func fileWith(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// signedFor is a token of alice, who may subscribe to all channels. It is good for life,
// or has ended if that is negative.
func signedFor(t *testing.T, life time.Duration) string {
	t.Helper()
	s, err := token.NewSigner(token.SigningKey{Secret: tokenSecret})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	text, err := s.Sign(token.Claims{User: "alice", Issued: now, Expires: now.Add(life)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ranToken runs fleetcast token and returns its output.
func ranToken(t *testing.T, stdin string, want int, args ...string) (out, complaints string) {
	t.Helper()
	c := start(t, strings.NewReader(stdin), append([]string{"token"}, args...)...)
	if code := c.wait(t); code != want {
		t.Errorf("token %q: exit code %d, want %d: %s%s", args, code, want, c.out, c.err)
	}
	return c.out.String(), c.err.String()
}

// TestToken makes a secret and tokens with it, and explains them in each way that a token
// can be given.
func TestToken(t *testing.T) {
	secret, _ := ranToken(t, "", 0, "--new-secret")
	if again, _ := ranToken(t, "", 0, "--new-secret"); len(secret) != 45 || again == secret {
		t.Errorf("the secrets are %q and %q", secret, again)
	}
	key := "--secret=file:" + fileWith(t, "secret", secret)
	made, complaints := ranToken(t, "", 0, key, "--user=alice", "--subscribe=chat.* news", "--subscribe", "inbox.{user}", "--publish=chat.*", "--presence=chat.*", "--history=news",
		"--auto=a,b", "--ttl=2h", "--issuer=https://issuer.example", "--audience=gateway", "--alg=HS512", "--key-id=k1")
	if complaints != "" || strings.Count(made, "\n") != 1 || strings.Count(made, ".") != 2 {
		t.Fatalf("the output is %q and %q", made, complaints)
	}
	made = strings.TrimSpace(made)
	t.Setenv("FLEETCAST_TEST_TOKEN", made)
	for _, given := range []string{made, "-", "file:" + fileWith(t, "token", made), "env:FLEETCAST_TEST_TOKEN"} {
		out, _ := ranToken(t, made+"\n", 0, "--explain="+given)
		for _, says := range []string{"HS512", "k1", "https://issuer.example", "gateway", "alice", "a connection", ", in ", "subscribe   chat.* news inbox.{user}", "publish     chat.*",
			"presence    chat.*", "history     news", "auto        a b", "not verified"} {
			if !strings.Contains(out, says) {
				t.Errorf("--explain does not say %q:\n%s", says, out)
			}
		}
	}
	if out, _ := ranToken(t, made, 0, "--explain", "-", key, "--audience=gateway", "--issuer=https://issuer.example"); !strings.Contains(out, "signature   right") || !strings.Contains(out, "takes it") {
		t.Errorf("with its key:\n%s", out)
	}
	other := "--secret=file:" + fileWith(t, "other", tokenSecret)
	if out, _ := ranToken(t, "", 1, "--explain="+made, other); !strings.Contains(out, "signature   wrong") || !strings.Contains(out, "token_invalid") {
		t.Errorf("with another key:\n%s", out)
	}
	if out, _ := ranToken(t, "", 1, "--explain="+made, key, "--audience=else"); !strings.Contains(out, "signature   right") || !strings.Contains(out, "token_wrong_audience") {
		t.Errorf("for another audience:\n%s", out)
	}
	if out, _ := ranToken(t, "", 1, "--explain="+signedFor(t, -time.Hour), other); !strings.Contains(out, "signature   right") || !strings.Contains(out, "1h0m") || !strings.Contains(out, "ago") || !strings.Contains(out, "token_expired") {
		t.Errorf("an old one:\n%s", out)
	}
	if out, _ := ranToken(t, "", 0, "--subscription=orders.17", "--user=alice", key); true {
		if said, _ := ranToken(t, out, 0, "--explain=-", key); !strings.Contains(said, "subscriptions to orders.17") || !strings.Contains(said, "takes it") {
			t.Errorf("a token for a subscription:\n%s", said)
		}
	}
	if out, _ := ranToken(t, "", 0, "--explain="+signedFor(t, -time.Second), other); !strings.Contains(out, "1s ago") || !strings.Contains(out, "until 30s behind its end") {
		t.Errorf("one that has just ended:\n%s", out)
	}
	if _, complaints := ranToken(t, "", 1, "--explain=fct1.abc"); !strings.Contains(complaints, "resume ticket") {
		t.Errorf("a ticket: %s", complaints)
	}
}

// TestMistakenClaims: --explain says what is perhaps wrong with a token that a gateway takes.
func TestMistakenClaims(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	for want, claims := range map[string]jwt.MapClaims{
		`the claim subscribe is not read; grants are in the claim fleetcast, for example {"fleetcast": {"subscribe": ["news"]}}`: {"subscribe": []string{"news"}},
		"the claim channels is not read":                     {"channels": []string{"news"}},
		"the claim fleetcast has none of subscribe, publish": {"fleetcast": map[string]any{"Subscribe": []string{"news"}}},
		"perhaps counts milliseconds":                        {"exp": soon.UnixMilli()},
	} {
		all := jwt.MapClaims{"sub": "alice", "exp": soon.Unix()}
		for name, value := range claims {
			all[name] = value
		}
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(tokenSecret))
		if err != nil {
			t.Fatal(err)
		}
		out, _ := ranToken(t, "", 0, "--explain="+text, "--secret=file:"+fileWith(t, "secret", tokenSecret))
		if !strings.Contains(out, want) || !strings.Contains(out, "takes it") {
			t.Errorf("%v, want %q:\n%s", claims, want, out)
		}
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "alice", "fleetcast": map[string]any{"subscribe": "news"}}).SignedString([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := ranToken(t, "", 1, "--explain="+text); strings.Contains(out, "nobody in particular") || strings.Contains(out, "none: its client") {
		t.Errorf("says what it has not read:\n%s", out)
	}
}

// TestMistakenSecret: --explain finds out what a program has signed with in place of the
// secret.
func TestMistakenSecret(t *testing.T) {
	for secret, want := range map[string][2]string{
		base64.StdEncoding.EncodeToString([]byte(tokenSecret)):    {tokenSecret, "as base64: have your program sign with its text"},
		base64.RawURLEncoding.EncodeToString([]byte(tokenSecret)): {tokenSecret, "as base64: have your program sign with its text"},
		hex.EncodeToString([]byte(tokenSecret)):                   {tokenSecret, "as hexadecimal digits"},
		"line" + tokenSecret:                                      {"line" + tokenSecret + "\n", "line end behind it"},
		"lines" + tokenSecret:                                     {"lines" + tokenSecret + "\r\n", "line end behind it"},
		"another" + tokenSecret:                                   {tokenSecret, "with another key"},
	} {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(want[0]))
		if err != nil {
			t.Fatal(err)
		}
		out, _ := ranToken(t, "", 1, "--explain="+text, "--secret=file:"+fileWith(t, "secret", secret))
		if !strings.Contains(out, "signature   wrong") || !strings.Contains(out, want[1]) || strings.Contains(out, tokenSecret) {
			t.Errorf("with %q for %q:\n%s", want[0], secret, out)
		}
	}
}

// TestTokenOfKey signs with a private key, and verifies with it and its public one.
func TestTokenOfKey(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	publicBody, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	key := "--key=file:" + fileWith(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: body})))
	public := "--key=file:" + fileWith(t, "public.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicBody})))
	made, _ := ranToken(t, "", 0, key, "--user=alice")
	for _, with := range []string{key, public} {
		if out, _ := ranToken(t, made, 0, "--explain=-", with); !strings.Contains(out, "ES256") || !strings.Contains(out, "signature   right") {
			t.Errorf("%s", out)
		}
	}
	if _, complaints := ranToken(t, "", exitUsage, public, "--user=alice"); !strings.Contains(complaints, "public key") {
		t.Errorf("signing with a public key: %s", complaints)
	}
}

// TestBadToken: nothing is printed, and never a secret.
func TestBadToken(t *testing.T) {
	t.Setenv("FLEETCAST_TEST_SHORT", tokenSecret[:31])
	t.Setenv("FLEETCAST_TEST_SECRET", tokenSecret)
	const secret = "--secret=env:FLEETCAST_TEST_SECRET"
	for want, args := range map[string][]string{
		"say what to sign with":                  {"--user=a"},
		"can be read by every user":              {"--user=a", "--secret=" + tokenSecret},
		"must have at least 32":                  {"--user=a", "--secret=env:FLEETCAST_TEST_SHORT"},
		"no such file":                           {"--user=a", "--secret=file:/nowhere"},
		"no such file or directory, seen from /": {"--user=a", "--secret=file:nowhere"},
		"is not set":                             {"--user=a", "--secret=env:FLEETCAST_TEST_NOTHING"},
		"never taken":                            {secret, "--alg=none"},
		"does not go with the key":               {secret, "--alg=ES256"},
		"three * in a row":                       {secret, "--subscribe=***"},
		"longer than 255":                        {secret, "--user=" + strings.Repeat("x", 256)},
		"must be from 1s":                        {secret, "--ttl=0s"},
		"make two tokens":                        {secret, "--subscription=a", "--subscribe=b"},
		"goes with no other":                     {secret, "--new-secret"},
		"leave out what":                         {secret, "--explain=a", "--user=b"},
		"there is no token":                      {"--explain="},
		"exclude each other":                     {secret, "--key=file:/nowhere"},
		"neither PEM nor a JSON Web":             {"--explain=" + signedFor(t, time.Hour), "--key=env:FLEETCAST_TEST_SECRET"},
	} {
		_, complaints := ranToken(t, "", exitUsage, args...)
		if !strings.Contains(complaints, want) || strings.Contains(complaints, tokenSecret[:20]) {
			t.Errorf("%q: %s", args, complaints)
		}
	}
	if _, complaints := ranToken(t, "", exitFailure, "--explain=abc"); !strings.Contains(complaints, "token_malformed: the token is not a JSON Web Token") {
		t.Errorf("--explain=abc: %s", complaints)
	}
}
