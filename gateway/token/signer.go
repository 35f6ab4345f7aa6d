package token

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fleetcast/gateway/identity"
)

// SigningKey is what a Signer signs with: a secret or a private key.
type SigningKey struct {
	// Secret is for HMAC: at least MinSecret bytes.
	Secret string
	// Private is a private key as PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
	Private string
	// Algorithm is one that the key allows. Empty: HS256, RS256, the one of the key's
	// curve, or EdDSA.
	Algorithm string
	// ID is the key's id, which goes into the token's head (kid). Empty: none.
	ID string
}

// String leaves the secrets out.
func (k SigningKey) String() string { return fmt.Sprintf("signing key %q for %s", k.ID, k.Algorithm) }

// GoString leaves the secrets out.
func (k SigningKey) GoString() string { return k.String() }

// Signer makes tokens, for the tools beside the gateway, which itself makes none. It is
// immutable; any goroutine may use it.
type Signer struct {
	alg    algorithm
	key    any // []byte, or a crypto.Signer
	id     string
	public string // the public key as PEM; empty with a secret
}

// NewSigner checks a key as an Issuer's is checked.
func NewSigner(k SigningKey) (*Signer, error) {
	var s *Signer
	var of kind
	var err error
	switch {
	case k.Secret != "" && k.Private != "":
		return nil, errors.New("there are a secret and a key to sign with; one of them must go")
	case k.Secret != "":
		if err := checkSecret(k.Secret); err != nil {
			return nil, err
		}
		s, of = &Signer{key: []byte(k.Secret)}, secretKey
	case k.Private != "":
		if s, of, err = privateSigner(k.Private); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("there is nothing to sign with: neither a secret nor a key")
	}
	name := cmp.Or(k.Algorithm, usualAlgorithm[of])
	alg, known := algorithms[name]
	switch {
	case isNone(name):
		return nil, errors.New("a token must be signed: the algorithm none is never taken")
	case !known:
		return nil, fmt.Errorf("the algorithm %.20q is not one of %s", name, algorithmNames)
	case alg.kind != of:
		return nil, fmt.Errorf("the algorithm %s does not go with the key, which is %s", name, kindNames[of])
	}
	s.alg, s.id = alg, k.ID
	return s, nil
}

var usualAlgorithm = map[kind]string{secretKey: "HS256", rsaKey: "RS256", p256Key: "ES256", p384Key: "ES384", p521Key: "ES512", ed25519Key: "EdDSA"}

var kindNames = map[kind]string{secretKey: "a secret", rsaKey: "an RSA key", p256Key: "a P-256 key", p384Key: "a P-384 key", p521Key: "a P-521 key", ed25519Key: "an Ed25519 key"}

// privateSigner reads a private key.
func privateSigner(text string) (*Signer, kind, error) {
	private, err := parsePrivate(text)
	if err != nil {
		return nil, noKind, err
	}
	public, err := newKey("", "", private.Public())
	if err != nil {
		return nil, noKind, fmt.Errorf("it is %w", err)
	}
	body, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, noKind, fmt.Errorf("a key that cannot be used: %w", err)
	}
	written := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: body})
	return &Signer{key: private, public: string(written)}, public.kind, nil
}

func parsePrivate(text string) (crypto.Signer, error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("there is no private key in PEM (-----BEGIN PRIVATE KEY-----)")
		}
		var parsed any
		var err error
		switch {
		case block.Type == "EC PARAMETERS": // openssl ecparam -genkey writes it first
			continue
		case block.Type == "PRIVATE KEY":
			parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case block.Headers["DEK-Info"] != "" || strings.HasPrefix(block.Type, "ENCRYPTED"):
			return nil, errors.New("the private key is encrypted; decrypt it first, for example with openssl pkey")
		case block.Type == "RSA PRIVATE KEY":
			parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case block.Type == "EC PRIVATE KEY":
			parsed, err = x509.ParseECPrivateKey(block.Bytes)
		case block.Type == "PUBLIC KEY" || block.Type == "RSA PUBLIC KEY" || block.Type == "CERTIFICATE":
			return nil, errors.New("it is a public key; a token is signed with the private one")
		default:
			return nil, fmt.Errorf("it is a %.40q, not a private key that signs tokens", block.Type)
		}
		signer, ok := parsed.(crypto.Signer)
		switch {
		case err != nil:
			return nil, fmt.Errorf("the private key cannot be read: %w", err)
		case !ok:
			return nil, errors.New("the private key is of a type that signs no tokens")
		}
		return signer, nil
	}
}

// Verifies is the entry of an issuer, without a name, whose tokens the signer makes.
func (s *Signer) Verifies() Issuer {
	if secret, ok := s.key.([]byte); ok {
		return Issuer{Secret: string(secret)}
	}
	return Issuer{Keys: s.public}
}

// Claims are what a Signer writes into a token.
type Claims struct {
	Issuer   string   // iss; empty: none
	Audience []string // aud; none if there is none
	User     string   // empty: none
	Grants   *identity.Grants
	// Channels is a pattern. With it the token is for a subscription.
	Channels string
	// Issued is left out if it is zero. Both times count whole seconds.
	Issued, Expires time.Time
	// Claim and UserClaim are where the grants and the user stand: see [Issuer]. Empty:
	// DefaultClaim and DefaultUserClaim.
	Claim, UserClaim string
}

// Sign makes a token, and reads it as a Verifier does: the error is what that would
// refuse.
func (s *Signer) Sign(c Claims) (string, error) {
	all := jwt.MapClaims{"exp": c.Expires.Unix()}
	if !c.Issued.IsZero() {
		all["iat"] = c.Issued.Unix()
	}
	if c.Issuer != "" {
		all["iss"] = c.Issuer
	}
	switch len(c.Audience) {
	case 0:
	case 1:
		all["aud"] = c.Audience[0]
	default:
		all["aud"] = c.Audience
	}
	if c.Channels != "" {
		all[channelClaim] = c.Channels
	}
	if c.User != "" {
		if err := put(all, cmp.Or(c.UserClaim, DefaultUserClaim), c.User); err != nil {
			return "", err
		}
	}
	if c.Grants != nil && c.Grants.Text() != "{}" {
		if err := put(all, cmp.Or(c.Claim, DefaultClaim), rawJSON(c.Grants.Text())); err != nil {
			return "", err
		}
	}
	made := jwt.NewWithClaims(s.alg.method, all)
	if s.id != "" {
		made.Header["kid"] = s.id
	}
	text, err := made.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	if _, refusal := Inspect([]byte(text), c.Claim, c.UserClaim); refusal != nil {
		return "", fmt.Errorf("the token would be refused: %w", refusal)
	}
	return text, nil
}

// rawJSON is a text that is JSON already.
type rawJSON string

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// put sets a claim, which may lie in nested objects.
func put(claims map[string]any, name string, value any) error {
	path := claimPath(name)
	for _, step := range path[:len(path)-1] {
		if claims[step] == nil {
			claims[step] = map[string]any{}
		}
		inner, ok := claims[step].(map[string]any)
		if !ok {
			return fmt.Errorf("the claim %.60q lies within a claim that is no object", name)
		}
		claims = inner
	}
	last := path[len(path)-1]
	if _, taken := claims[last]; taken || last == "" {
		return fmt.Errorf("the name of a claim, %.60q, is taken, or has an empty part", name)
	}
	claims[last] = value
	return nil
}
