package token_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetcast/gateway/token"
)

func pemBlock(kind string, body []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}))
}

// certificate is one for a key, signed by that key.
func certificate(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	made, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestIssuerCheck(t *testing.T) {
	ec := newP256(t)
	public := pemOf(t, ec)
	jwk := jwkOf(t, ec, "a")
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x25519Public, err := x509.MarshalPKIXPublicKey(x25519.Public())
	if err != nil {
		t.Fatal(err)
	}
	private := jwkOf(t, ec, "a")
	scalar, err := ec.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	private["d"] = base64.RawURLEncoding.EncodeToString(scalar)
	path := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(path, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	der, _ := pem.Decode([]byte(public))
	for _, test := range []struct {
		name   string
		issuer token.Issuer
		want   string // "": it is right
	}{
		{"secret", token.Issuer{Secret: secret}, ""},
		{"PEM", token.Issuer{Keys: public}, ""},
		{"two keys with text between", token.Issuer{Keys: "# one\n" + public + "# two\n" + pemOf(t, keys()["EdDSA"])}, ""},
		{"PKCS 1", token.Issuer{Keys: pemBlock("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&newRSA(t, 2048).PublicKey))}, ""},
		{"certificate", token.Issuer{Keys: pemBlock("CERTIFICATE", certificate(t, ec))}, ""},
		{"JWK", token.Issuer{Keys: strings.TrimSuffix(strings.TrimPrefix(jwksOf(t, jwk), `{"keys":[`), `]}`)}, ""},
		{"JWKS", token.Issuer{Keys: jwksOf(t, jwk, jwkOf(t, keys()["RS256"], "b"))}, ""},
		{"file", token.Issuer{Keys: path}, ""},
		{"secret and keys", token.Issuer{Keys: path, Secret: secret}, ""},
		{"https", token.Issuer{JWKS: "https://issuer.example/keys"}, ""},
		{"http on loopback", token.Issuer{JWKS: "http://127.0.0.1:9/keys"}, ""},
		{"http on localhost", token.Issuer{JWKS: "http://localhost:9/keys"}, ""},
		{"http on IPv6 loopback", token.Issuer{JWKS: "http://[::1]:9/keys"}, ""},
		{"algorithms", token.Issuer{Secret: secret, Algorithms: []string{"HS512"}}, ""},

		{"nothing", token.Issuer{Issuer: "x"}, "needs a secret, keys"},
		{"keys and JWKS", token.Issuer{Keys: public, JWKS: "https://issuer.example/keys"}, "one of them must go"},
		{"short secret", token.Issuer{Secret: secret[1:]}, "has 31 bytes, must have at least 32"},
		{"secret with a line feed", token.Issuer{Secret: secret + "\n"}, "white space"},
		{"PEM as the secret", token.Issuer{Secret: public}, "PEM"},
		{"private PEM as the secret", token.Issuer{Secret: pemBlock("PRIVATE KEY", pkcs8)}, "PEM"},
		{"JWK as the secret", token.Issuer{Secret: `{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}`}, "JSON Web Key"},
		{"JWKS as the secret", token.Issuer{Secret: jwksOf(t, jwk)}, "JSON Web Key"},
		{"DER in base64 as the secret", token.Issuer{Secret: base64.StdEncoding.EncodeToString(der.Bytes)}, "in base64"},
		{"SSH key as the secret", token.Issuer{Secret: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK"}, "SSH"},
		{"private key", token.Issuer{Keys: pemBlock("PRIVATE KEY", pkcs8)}, "private key"},
		{"private EC key", token.Issuer{Keys: pemBlock("EC PRIVATE KEY", sec1)}, "private key"},
		{"private JWK", token.Issuer{Keys: jwksOf(t, private)}, "private key"},
		{"symmetric JWK", token.Issuer{Keys: `{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}`}, "belongs into secret"},
		{"one bad JWK of two", token.Issuer{Keys: jwksOf(t, jwk, map[string]any{"kty": "EC"})}, "key 2"},
		{"JWK for encryption", token.Issuer{Keys: jwksOf(t, withMember(jwkOf(t, ec, ""), "use", "enc"))}, "use"},
		{"JWK for signing", token.Issuer{Keys: jwksOf(t, withMember(jwkOf(t, ec, ""), "key_ops", []string{"sign"}))}, "key_ops"},
		{"JWK of an algorithm that does not fit", token.Issuer{Keys: jwksOf(t, withAlg(jwkOf(t, ec, ""), "HS256"))}, "does not fit its type"},
		{"empty JWKS", token.Issuer{Keys: `{"keys":[]}`}, "no usable key"},
		{"small RSA", token.Issuer{Keys: pemOf(t, newRSA(t, 1024))}, "1024 bits"},
		{"P-224", token.Issuer{Keys: pemOf(t, p224)}, "type or curve"},
		{"X25519", token.Issuer{Keys: pemBlock("PUBLIC KEY", x25519Public)}, "type or curve"},
		{"another PEM", token.Issuer{Keys: pemBlock("MESSAGE", []byte("x"))}, "not a public key"},
		{"broken PEM", token.Issuer{Keys: pemBlock("PUBLIC KEY", []byte("x"))}, "PEM block 1"},
		{"PEM cut off", token.Issuer{Keys: public[:80]}, "neither PEM nor JSON"},
		{"no such file", token.Issuer{Keys: path + "x"}, "no file"},
		{"a folder", token.Issuer{Keys: filepath.Dir(path)}, "is no regular file"},
		{"http", token.Issuer{JWKS: "http://issuer.example/keys"}, "https://"},
		{"http that looks like loopback", token.Issuer{JWKS: "http://127.0.0.1.evil.example/keys"}, "https://"},
		{"file URL", token.Issuer{JWKS: "file:///etc/keys"}, "must begin with https://"},
		{"no host", token.Issuer{JWKS: "https:///keys"}, "no host"},
		{"no URL", token.Issuer{JWKS: "https://a b/"}, "not a URL"},
		{"password", token.Issuer{JWKS: "https://user:word@issuer.example/keys"}, "password"},
		{"none", token.Issuer{Secret: secret, Algorithms: []string{"HS256", "None"}}, "never taken"},
		{"unknown algorithm", token.Issuer{Secret: secret, Algorithms: []string{"HS1"}}, "not one of"},
		{"algorithms of other keys", token.Issuer{Keys: public, Algorithms: []string{"RS256", "HS256"}}, "no key allows"},
		{"empty audience", token.Issuer{Secret: secret, Audience: []string{""}}, "audience"},
		{"claim with an empty part", token.Issuer{Secret: secret, Claim: "a..b"}, "empty part"},
		{"user claim with an empty part", token.Issuer{Secret: secret, UserClaim: "a."}, "empty part"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.issuer.Check()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if err != nil {
				if _, err := token.New(token.Options{Issuers: []token.Issuer{test.issuer}}); err == nil {
					t.Error("New takes it")
				}
			}
			if err != nil && test.issuer.Secret != "" && strings.Contains(err.Error(), test.issuer.Secret) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
	if _, err := token.New(token.Options{Issuers: []token.Issuer{{Secret: secret}, {Secret: secret}}}); err == nil {
		t.Error("two issuers have one name")
	}
}

func withMember(jwk map[string]any, name string, value any) map[string]any {
	jwk[name] = value
	return jwk
}

// TestSecretIsHidden prints an issuer in all manners.
func TestSecretIsHidden(t *testing.T) {
	issuer := token.Issuer{Issuer: "x", Secret: secret, Audience: []string{"a"}}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "issuer", issuer, "pointer", &issuer, "all", []token.Issuer{issuer})
	shown := logged.String() + fmt.Sprint(issuer, &issuer) + fmt.Sprintf("%v %+v %#v %s %q", issuer, issuer, issuer, issuer, []token.Issuer{issuer})
	if strings.Contains(shown, secret) || !strings.Contains(shown, "(hidden)") {
		t.Error(shown)
	}
}
